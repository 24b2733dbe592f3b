"""Finds runs in all partitions, and gives them in one order."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from starflow_backends import redis_script as script
from starflow_backends.postings import end_of, time_in
from starflow_backends.redis_entries import (
    entry_of,
    hexadecimal,
    place_of,
    place_text,
)
from starflow_backends.redis_link import Link
from starflow_backends.store import CorruptError, Entry, Found, Page, Place, Query

# Places of one term in one partition that are looked at in one step, where not all of
# them are wanted.
_LOOKED_MAX = 100
# More than a partition's share, so that few have to be asked again.
_MORE = 16
# Steps after which it answers with what it has.
_STEPS_MAX = 6
# Runs that are looked at one by one, if they alone have the prefix.
_RUNS_MAX = 500
# Greater than whatever a run goes on with.
_LAST = b"\xff"


@dataclass(slots=True)
class _Part:
    """The places of one term in one partition."""

    partition: int
    term: int
    # What the next step begins before.
    before: bytes
    has_more: bool = True
    # The last place that was looked at.
    reached: Place | None = None
    places: list[Place] = field(default_factory=list)


class FindQuery:
    """One look for runs; see `Store.find`."""

    def __init__(self, link: Link, query: Query) -> None:
        self._link = link
        self._query = query
        self._since = hexadecimal(query.since_ns)

    async def run(self) -> Page:
        """Return the page that is asked for."""
        places, last = await self._places()
        return Page(await self._found(places), last)

    async def _places(self) -> tuple[list[Place], Place | None]:
        query = self._query
        if len(query.groups) == 1 and not query.prefix:
            return await self._go_through(query.groups[0], ())
        with_prefix, *counts = await self._counts()
        least = min(counts)
        if query.prefix and with_prefix < min(least, _RUNS_MAX):
            return await self._go_through_prefix()
        driving = counts.index(least)
        others = [group for n, group in enumerate(query.groups) if n != driving]
        return await self._go_through(query.groups[driving], others)

    async def _counts(self) -> list[int]:
        query, prefix = self._query, self._query.prefix.encode()
        bounds = [prefix, prefix + _LAST, self._since, hexadecimal(query.before_ns)]
        arguments = [*bounds, *_groups(query.groups)]
        counts = await asyncio.gather(
            *(
                self._link.run(script.COUNT, [keys.found, keys.runs], arguments)
                for keys in self._link.keys.partitions
            )
        )
        return [sum(column) for column in zip(*counts, strict=True)]

    # By terms

    async def _go_through(
        self, driving: Sequence[int], others: Sequence[Sequence[int]]
    ) -> tuple[list[Place], Place | None]:
        time_ns, run = end_of(self._query)
        # What has the time itself comes after the bare time.
        before = place_text((time_ns, run)) if run else hexadecimal(time_ns)
        parts = [
            _Part(number, term, before)
            for number in range(len(self._link.keys.partitions))
            for term in driving
        ]
        options = self._options(len(parts), others)
        limit, asked = self._query.limit, parts
        for _ in range(_STEPS_MAX):
            await self._ask(asked, options)
            open_parts = [part for part in parts if part.has_more]
            # Before the newest place where a part may go on, more may come.
            last = max((p.reached for p in open_parts if p.reached), default=None)
            places = {place for part in parts for place in part.places}
            found = sorted((p for p in places if not last or p >= last), reverse=True)
            if len(found) > limit:
                return found[:limit], found[limit - 1]
            if last is None:
                break
            asked = _worth_asking(open_parts, sorted(places, reverse=True), limit)
        return found, last

    def _options(self, parts: int, others: Sequence[Sequence[int]]) -> list[bytes]:
        wanted = self._query.limit + 1
        looked = min(wanted, wanted // parts + _MORE)
        if others or self._query.prefix:
            looked = _LOOKED_MAX
        prefix = self._query.prefix.encode()
        groups = [b"%d" % len(others), *_groups(others)]
        return [b"%d" % wanted, b"%d" % looked, prefix, *groups]

    async def _ask(self, parts: Sequence[_Part], options: list[bytes]) -> None:
        by_partition: dict[int, list[_Part]] = {}
        for part in parts:
            by_partition.setdefault(part.partition, []).append(part)
        await asyncio.gather(
            *(
                self._ask_partition(number, asked, options)
                for number, asked in by_partition.items()
            )
        )

    async def _ask_partition(
        self, number: int, parts: list[_Part], options: list[bytes]
    ) -> None:
        keys = self._link.keys.partitions[number]
        arguments = [*options]
        for part in parts:
            arguments += (hexadecimal(part.term), self._since, part.before)
        answer = await self._link.run(script.FIND, [keys.found], arguments)
        for part, (joined, reached, has_more) in zip(parts, answer, strict=True):
            part.places += map(place_of, joined.split(b"\0") if joined else ())
            part.has_more = has_more == 1
            if reached:
                part.before, part.reached = reached, place_of(reached)

    # By the prefix of the run

    async def _go_through_prefix(self) -> tuple[list[Place], Place | None]:
        found = await asyncio.gather(
            *(
                self._link.ask([b"ZRANGEBYLEX", keys.runs, low, high])
                for keys in self._link.keys.partitions
                for low, high in self._ranges()
            )
        )
        runs = [member.partition(b":")[2] for members in found for member in members]
        end, query = end_of(self._query), self._query
        places = []
        for run, _, entry in await self._stored(runs):
            time_ns = time_in(entry.terms, query) if entry else None
            if time_ns is not None and (time_ns, run) < end:
                places.append((time_ns, run))
        places.sort(reverse=True)
        page = places[: query.limit]
        return page, page[-1] if len(places) > query.limit else None

    def _ranges(self) -> Iterator[tuple[bytes, bytes]]:
        prefix = self._query.prefix.encode()
        for phase in range(5):
            low = b"%d:%s" % (phase, prefix)
            yield b"[" + low, b"(" + low + _LAST

    # What is shown

    async def _found(self, places: Sequence[Place]) -> list[Found]:
        stored = await self._stored([run.encode() for _, run in places])
        return [
            Found(run, time_ns, version, entry.summary if entry else b"")
            for (time_ns, _), (run, version, entry) in zip(places, stored, strict=True)
        ]

    async def _stored(
        self, runs: Sequence[bytes]
    ) -> list[tuple[str, int, Entry | None]]:
        answers = await asyncio.gather(
            *(
                self._link.ask(
                    [b"HMGET", self._link.keys.of_run(run).run + run, *_FIELDS],
                    run.decode(errors="replace"),
                )
                for run in runs
            )
        )
        return [
            _shown(run.decode(errors="replace"), *answer)
            for run, answer in zip(runs, answers, strict=True)
        ]


_FIELDS = (b"version", b"entry")


def _shown(
    run: str, version: bytes | None, stored: bytes | None
) -> tuple[str, int, Entry | None]:
    count = int(version) if version and version.isdigit() else 0
    try:
        return run, count, entry_of(run, stored) if stored else None
    except CorruptError:
        return run, count, None


def _groups(groups: Sequence[Sequence[int]]) -> Iterator[bytes]:
    for group in groups:
        yield b"%d" % len(group)
        yield from map(hexadecimal, group)


def _worth_asking(
    parts: Sequence[_Part], places: Sequence[Place], limit: int
) -> list[_Part]:
    """Return the parts that may hold one of the first *limit* places and one more."""
    if len(places) <= limit:
        return list(parts)
    return [part for part in parts if part.reached and part.reached > places[limit]]
