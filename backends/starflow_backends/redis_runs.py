"""Looks for runs in all partitions, and gives them in one order."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from starflow_backends import redis_script as script
from starflow_backends.redis_link import Link
from starflow_backends.store import Phase

# More than a partition's share, so that few have to be asked again.
_MORE = 16


@dataclass(slots=True)
class _Part:
    """The runs of one phase in one partition."""

    key: bytes
    phase: int
    number: int
    # The last run that was found.
    last: str
    has_more: bool = True
    runs: list[str] = field(default_factory=list)


class RunsQuery:
    """One look for at most *limit* runs past *after*, by key."""

    def __init__(
        self,
        link: Link,
        phases: Sequence[Phase],
        after: str,
        limit: int,
        partitions: Collection[int],
    ) -> None:
        self._link = link
        self._limit = limit
        self._parts = [
            _Part(link.keys.partitions[number].runs, int(phase), number, after)
            for phase in set(phases)
            for number in partitions
        ]
        self._share = limit // max(1, len(self._parts)) + _MORE

    async def run(self) -> list[str]:
        """Return the runs, each once."""
        asked = self._parts
        while asked:
            await self._ask(asked)
            # Up to the first place where a part may go on, nothing can come any more.
            open_parts = [part for part in self._parts if part.has_more]
            reached = min((part.last for part in open_parts), default=None)
            found = self._found_up_to(reached)
            if len(found) >= self._limit or reached is None:
                return found[: self._limit]
            asked = [part for part in open_parts if part.last == reached]
        return []

    def _found_up_to(self, reached: str | None) -> list[str]:
        # A run that changes its phase meanwhile may be found twice.
        found = {
            run
            for part in self._parts
            for run in part.runs
            if reached is None or run <= reached
        }
        return sorted(found)

    async def _ask(self, parts: list[_Part]) -> None:
        groups = self._link.groups(list({part.number for part in parts}))
        await asyncio.gather(
            *(
                self._ask_together([part for part in parts if part.number in group])
                for group in groups
            )
        )

    async def _ask_together(self, parts: list[_Part]) -> None:
        arguments = [b"%d" % self._share]
        arguments += [f"{part.phase}:{part.last}".encode() for part in parts]
        keys = [part.key for part in parts]
        answer = await self._link.run(script.RUNS, keys, arguments)
        for part, joined in zip(parts, answer, strict=True):
            members = joined.decode(errors="replace").split("\0") if joined else []
            runs = [member.partition(":")[2] for member in members]
            part.runs += runs
            part.has_more = len(runs) == self._share
            if runs:
                part.last = runs[-1]
