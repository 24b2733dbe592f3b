"""What every store promises of lists and deletions; see `starflow_backends.testing`."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from starflow_backends.store import (
    Append,
    ConflictError,
    DeletedError,
    Entry,
    Found,
    Phase,
    Query,
    Store,
)

_HOUR_NS = 3_600_000_000_000
# The largest that a term, and nearly the largest that a time can be.
_HIGHEST = (1 << 63) - 1
_append_ids = count(1)


def listed(run: str, terms: dict[int, int], version: int = 0, **more: Any) -> Append:
    """Return an append that lets *run* be found by *terms*, with its name to show."""
    entry = Entry(terms, run.encode())
    append_id = f"listed-{next(_append_ids)}"
    append = Append(run, version, append_id, [b"event"], entry=entry)
    return replace(append, **more)


async def runs_of(store: Store, query: Query) -> list[str]:
    """Return all runs that *query* asks for, page by page."""
    runs: list[str] = []
    while True:
        page = await store.find(query)
        assert len(page.found) <= query.limit
        runs += [found.run for found in page.found]
        if page.last is None:
            return runs
        query = replace(query, after=page.last)


def by(*groups: tuple[int, ...], **more: Any) -> Query:
    """Return the query for runs that have a term of each group."""
    return replace(Query(groups), **more)


class FindingContract:
    """The rules of `Store.find` and `Store.delete`, each with a test."""

    # Found

    async def test_runs_are_found_by_a_term_newest_first(self, store: Store) -> None:
        for n, time_ns in enumerate([5, 9, 7]):
            await store.append(listed(f"ns/{n}", {1: time_ns}))
        await store.append(listed("ns/other", {2: 8}))

        page = await store.find(by((1,)))

        assert page.last is None
        assert list(page.found) == [
            Found("ns/1", 9, 1, b"ns/1"),
            Found("ns/2", 7, 1, b"ns/2"),
            Found("ns/0", 5, 1, b"ns/0"),
        ]
        assert await runs_of(store, by((3,))) == []

    async def test_runs_of_the_same_time_come_by_key(self, store: Store) -> None:
        names = ["ns/a", "ns/b", "ns/ab", "ns/B", "ns/\u2603", "ns/\U0001f600"]
        for name in names:
            await store.append(listed(name, {1: 5}))

        assert await runs_of(store, by((1,))) == sorted(names, reverse=True)
        assert await runs_of(store, by((1,), limit=1)) == sorted(names, reverse=True)

    async def test_the_borders_of_terms_and_times_are_kept(self, store: Store) -> None:
        await store.append(listed("ns/low", {0: 0}))
        await store.append(listed("ns/high", {_HIGHEST: _HIGHEST - 1}))

        assert await runs_of(store, by((0,))) == ["ns/low"]
        assert await runs_of(store, by((_HIGHEST,))) == ["ns/high"]

    async def test_any_term_of_a_group_and_one_of_each(self, store: Store) -> None:
        """Terms 1 to 3 tell one thing of a run, 10 and 11 another."""
        for n in range(12):
            await store.append(listed(f"ns/{n:02}", {1 + n % 3: n, 10 + n % 2: n}))

        everything = [f"ns/{n:02}" for n in reversed(range(12))]
        assert await runs_of(store, by((1, 2, 3))) == everything
        assert await runs_of(store, by((1, 2, 3), limit=5)) == everything
        assert await runs_of(store, by((1, 3), (10, 11), limit=2)) == [
            f"ns/{n:02}" for n in (11, 9, 8, 6, 5, 3, 2, 0)
        ]
        assert await runs_of(store, by((1,), (10,))) == ["ns/06", "ns/00"]
        assert await runs_of(store, by((10,), (1,))) == ["ns/06", "ns/00"]
        assert await runs_of(store, by((1,), (9,))) == []

    async def test_a_run_with_two_terms_of_a_group_comes_once(
        self, store: Store
    ) -> None:
        await store.append(listed("ns/r", {1: 5, 2: 5}))

        assert await runs_of(store, by((1, 2))) == ["ns/r"]
        assert await runs_of(store, by((1, 2), limit=1)) == ["ns/r"]

    async def test_runs_are_found_by_time(self, store: Store) -> None:
        for n in range(10):
            await store.append(listed(f"ns/{n}", {1: n}))

        async def between(since_ns: int, before_ns: int) -> list[str]:
            query = by((1,), since_ns=since_ns, before_ns=before_ns, limit=2)
            return await runs_of(store, query)

        assert await between(3, 6) == ["ns/5", "ns/4", "ns/3"]
        assert await between(9, 99) == ["ns/9"]
        assert await between(0, 1) == ["ns/0"]
        assert await between(4, 4) == []

    async def test_runs_are_found_by_prefix(self, store: Store) -> None:
        """Whether few runs have it, or nearly all."""
        names = ["ns/a", "ns/a1", "ns/a2", "ns/b", "ns/\u2603a", "other/a"]
        for n, name in enumerate(names):
            await store.append(listed(name, {1: n, 2 + n % 2: n}))

        for prefix in ("ns/", "ns/a", "ns/a1", "ns/\u2603", "n", "", "ns/c"):
            expected = [name for name in reversed(names) if name.startswith(prefix)]
            assert await runs_of(store, by((1,), prefix=prefix)) == expected
            assert await runs_of(store, by((1,), prefix=prefix, limit=1)) == expected
        assert await runs_of(store, by((1,), (2,), prefix="ns/a")) == ["ns/a2", "ns/a"]

    async def test_pages_go_on_where_they_ended(self, store: Store) -> None:
        for n in range(40):
            await store.append(
                listed(f"ns/{n % 7}/{n:02}", {1: n // 4, 2 + n % 2: n // 4})
            )
        in_order = await runs_of(store, by((1,)))
        assert len(set(in_order)) == 40

        for limit in (1, 3, 39, 40, 41):
            assert await runs_of(store, by((1,), limit=limit)) == in_order
            assert await runs_of(store, by((2, 3), limit=limit)) == in_order

    async def test_what_begins_meanwhile_disturbs_no_page(self, store: Store) -> None:
        for n in range(6):
            await store.append(listed(f"ns/{n}", {1: n}))
        first = await store.find(by((1,), limit=3))
        await store.append(listed("ns/new", {1: 99}))

        rest = await runs_of(store, by((1,), limit=3, after=first.last))

        assert rest == ["ns/2", "ns/1", "ns/0"]

    async def test_much_that_is_not_wanted_ends_pages_early(self, store: Store) -> None:
        """Two large sets that share their oldest run only: all of it is found."""
        await store.append(listed("ns/both", {1: 0, 2: 0}))
        for n in range(1, 1_200):
            store.append(listed(f"ns/{n}", {1 + n % 2: n}))
        await store.append(listed("ns/last", {1: 1_200}))

        assert await runs_of(store, by((1,), (2,))) == ["ns/both"]

    # Changed

    async def test_an_entry_replaces_the_one_before(self, store: Store) -> None:
        await store.append(listed("ns/r", {1: 5, 2: 5}))
        await store.append(listed("ns/r", {2: 5, 3: 6}, version=1))

        assert await runs_of(store, by((1,))) == []
        assert await runs_of(store, by((2,))) == ["ns/r"]
        found = (await store.find(by((3,)))).found
        assert list(found) == [Found("ns/r", 6, 2, b"ns/r")]

    async def test_an_entry_stays_where_an_append_has_none(self, store: Store) -> None:
        await store.append(listed("ns/r", {1: 5}))
        await store.append(listed("ns/r", {}, version=1, entry=None))

        assert list((await store.find(by((1,)))).found) == [
            Found("ns/r", 5, 2, b"ns/r")
        ]
        stored = await store.load("ns/r")
        assert stored is not None
        assert stored.entry == Entry({1: 5}, b"ns/r")

    async def test_entries_change_within_a_group(self, store: Store) -> None:
        """Several appends of one run that are committed together."""
        begun = [
            store.append(listed("ns/r", terms, version=version))
            for version, terms in enumerate([{1: 5}, {2: 5}, {2: 5, 1: 5}, {3: 5}])
        ]
        for each in begun:
            await each

        assert await runs_of(store, by((1, 2))) == []
        assert await runs_of(store, by((3,))) == ["ns/r"]

    async def test_a_refused_append_leaves_the_entry(self, store: Store) -> None:
        await store.append(listed("ns/r", {1: 5}))
        with pytest.raises(ConflictError):
            await store.append(listed("ns/r", {2: 5}, version=7))

        assert await runs_of(store, by((1, 2))) == ["ns/r"]
        assert await runs_of(store, by((2,))) == []

    async def test_a_cleared_index_has_no_entries(self, store: Store) -> None:
        await store.append(listed("ns/r", {1: 5}))
        await store.clear_index()

        assert await runs_of(store, by((1,))) == []
        stored = await store.load("ns/r")
        assert stored is not None
        assert stored.entry is None
        await store.append(listed("ns/r", {2: 6}, version=1))
        assert await runs_of(store, by((1, 2))) == ["ns/r"]

    # Deleted

    async def test_nothing_is_left_of_a_deleted_run(self, store: Store) -> None:
        index: dict[str, Any] = {
            "phase": Phase.FINISHED,
            "timers": {"t": 7},
            "attempts": {1: b"a"},
        }
        for run in ("ns/r", "ns/r2"):
            await store.append(listed(run, {1: 5}, **index))

        assert await store.delete("ns/r", expected_version=1, tombstone_ns=_HOUR_NS)

        assert await store.load("ns/r") is None
        assert await store.read("ns/r") == []
        assert await store.runs_in([Phase.FINISHED]) == ["ns/r2"]
        assert await runs_of(store, by((1,))) == ["ns/r2"]
        assert [timer.run for timer in (await store.timers_due()).due] == ["ns/r2"]

    async def test_a_run_is_deleted_once(self, store: Store) -> None:
        await store.append(listed("ns/r", {1: 5}))
        assert await store.delete("ns/r", expected_version=1, tombstone_ns=_HOUR_NS)

        for run in ("ns/r", "ns/unknown"):
            is_there = await store.delete(run, expected_version=1, tombstone_ns=0)
            assert not is_there

    async def test_a_run_that_went_on_is_not_deleted(self, store: Store) -> None:
        await store.append(listed("ns/r", {1: 5}))

        with pytest.raises(ConflictError) as caught:
            await store.delete("ns/r", expected_version=0, tombstone_ns=_HOUR_NS)

        assert caught.value.actual_version == 1
        assert await store.read("ns/r") == [b"event"]
        assert await runs_of(store, by((1,))) == ["ns/r"]

    async def test_the_key_of_a_deleted_run_is_refused(self, store: Store) -> None:
        first = listed("ns/r", {1: 5})
        await store.append(first)
        await store.delete("ns/r", expected_version=1, tombstone_ns=_HOUR_NS)

        for again in (first, listed("ns/r", {1: 5})):
            with pytest.raises(DeletedError) as caught:
                await store.append(again)
            assert caught.value.run == "ns/r"
        with pytest.raises(ConflictError):
            await store.append(listed("ns/r", {1: 5}, version=1))
        await store.append(listed("ns/r2", {1: 5}))
        assert await runs_of(store, by((1,))) == ["ns/r2"]

    async def test_a_key_is_free_once_its_time_is_over(self, store: Store) -> None:
        await store.append(listed("ns/r", {1: 5}))
        await store.delete("ns/r", expected_version=1, tombstone_ns=0)

        await store.append(listed("ns/r", {1: 6}))

        assert await store.read("ns/r") == [b"event"]
        assert await runs_of(store, by((1,))) == ["ns/r"]

    async def test_a_deletion_comes_in_its_turn(self, store: Store) -> None:
        """Given together with appends before and after it."""
        before = store.append(listed("ns/r", {1: 5}))
        deleted = store.delete("ns/r", expected_version=1, tombstone_ns=0)
        assert await deleted
        await before
        await store.append(listed("ns/r", {2: 5}))

        assert await runs_of(store, by((1, 2))) == ["ns/r"]


class DurableFindingContract:
    """What a store promises of them besides when it keeps what it acknowledged."""

    def opened(self, place: Path) -> AbstractAsyncContextManager[Store]:
        """Open a store, and close it in the end."""
        raise NotImplementedError

    async def test_entries_and_tombstones_are_there_after_a_restart(
        self, tmp_path: Path
    ) -> None:
        async with self.opened(tmp_path) as store:
            await store.append(listed("ns/kept", {1: 5}))
            await store.append(listed("ns/gone", {1: 6}))
            await store.delete("ns/gone", expected_version=1, tombstone_ns=_HOUR_NS)

        async with self.opened(tmp_path) as store:
            assert await runs_of(store, by((1,))) == ["ns/kept"]
            with pytest.raises(DeletedError):
                await store.append(listed("ns/gone", {1: 7}))
            await store.append(listed("ns/kept", {2: 5}, version=1))
            assert await runs_of(store, by((1, 2))) == ["ns/kept"]
