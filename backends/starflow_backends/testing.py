"""What every store promises, as tests that the author of a store runs.

In three lines, for pytest with pytest-asyncio::

    class TestMyStore(StoreContract):
        def new_store(self, place: Path) -> Store:
            return MyStore(place)

A store that keeps what it acknowledged when it is closed derives from
`DurableStoreContract` instead.  For assertions that explain themselves, add
``pytest.register_assert_rewrite("starflow_backends.testing")`` to your conftest.py.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from starflow_backends.shared import SharedStore, claim_all
from starflow_backends.store import (
    Append,
    ConflictError,
    DueTimer,
    Durability,
    Phase,
    Store,
    StoredRun,
)
from starflow_backends.testing_finding import (
    DurableFindingContract,
    FindingContract,
)
from starflow_backends.testing_permits import DurablePermitContract, PermitContract
from starflow_backends.testing_records import RecordContract

_SECOND = 1_000_000_000
_HOUR = 3_600 * _SECOND
# No part of it is what a run begins with.
_INDEX: dict[str, Any] = {
    "phase": Phase.PAUSED,
    "timers": {"t": 7},
    "attempts": {1: b"a"},
    "note": b"why",
}
_append_ids = count(1)


def appended(
    run: str, expected_version: int, *events: bytes, append_id: str = "", **index: Any
) -> Append:
    """Return an append of *events* with an id of its own unless one is given."""
    return Append(
        run=run,
        expected_version=expected_version,
        append_id=append_id or f"append-{next(_append_ids)}",
        events=events,
        **index,
    )


async def outcomes_of(
    store: Store, appends: Iterable[Append]
) -> list[BaseException | None]:
    """Give *appends* together, and return what became of each."""
    given = [store.append(append) for append in appends]
    return await asyncio.gather(*given, return_exceptions=True)


async def loaded(store: Store, run: str) -> StoredRun:
    """Return the index of *run*, which is there."""
    found = await store.load(run)
    assert found is not None, f"{run} is not there"
    return found


async def assert_run(store: Store, run: str, events: list[bytes], **index: Any) -> None:
    """Check all that is stored of *run*; what *index* does not name is empty."""
    assert await store.read(run) == events
    empty = StoredRun(len(events), Phase.RUNNABLE, timers={}, attempts={}, note=b"")
    assert await loaded(store, run) == replace(empty, **index)


@pytest.mark.asyncio
class StoreContract(PermitContract, FindingContract, RecordContract):
    """The rules of `starflow_backends.store`, each with a test."""

    def new_store(self, place: Path) -> Store:
        """
        Return a store that is not open yet.

        Stores of the same *place* hold the same; another place has never been used.  It
        is a directory that may hold files, or whose name may name a store elsewhere.
        """
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self, place: Path) -> AsyncIterator[Store]:
        """Open a store, and close it in the end."""
        store = self.new_store(place)
        await store.open()
        try:
            if isinstance(store, SharedStore):
                await claim_all(store)
            yield store
        finally:
            await store.close()

    @pytest_asyncio.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        """Return an open store that nothing is in."""
        async with self.opened(tmp_path) as store:
            yield store

    # Logs.

    async def test_an_unknown_run_is_an_empty_log(self, store: Store) -> None:
        assert await store.load("ns/r") is None
        assert await store.read("ns/r") == []
        assert await store.read("ns/r", from_version=7, limit=3) == []

    async def test_events_come_back_in_order(self, store: Store) -> None:
        await store.append(appended("ns/r", 0, b"one"))
        await store.append(appended("ns/r", 1, b"two", b"three"))

        await assert_run(store, "ns/r", [b"one", b"two", b"three"])

    async def test_a_part_of_a_log_is_read(self, store: Store) -> None:
        """Parts begin and end anywhere, also between events appended together."""
        log = [b"%d" % n for n in range(1, 10)]
        for version, size in ((0, 3), (3, 1), (4, 4), (8, 1)):
            events = log[version : version + size]
            await store.append(appended("ns/r", version, *events))

        for start in range(1, 11):
            tail = log[start - 1 :]
            assert await store.read("ns/r", from_version=start) == tail
            for limit in range(11):
                part = await store.read("ns/r", from_version=start, limit=limit)
                assert part == tail[:limit]

    async def test_events_are_opaque(self, store: Store) -> None:
        events = [b"", b"\0", bytes(range(256)), b"\xff" * 1_000_000, b""]
        await store.append(appended("ns/r", 0, *events))

        await assert_run(store, "ns/r", events)

    async def test_runs_are_apart(self, store: Store) -> None:
        names = [
            "ns/a",
            "ns/A",
            "ns/a/",
            "ns/ab",
            "other/a",
            "ns/it's \"%_\\",
            "ns/\u2603",
        ]
        for name in names:
            event = name.encode()
            await store.append(
                appended(name, 0, event, timers={"t": 5}, attempts={1: event})
            )

        for name in names:
            event = name.encode()
            await assert_run(store, name, [event], timers={"t": 5}, attempts={1: event})

    async def test_names_have_room(self, store: Store) -> None:
        run, name, append_id = "n" * 64 + "/" + "r" * 128, "t" * 200, "i" * 64
        append = appended(run, 0, b"one", append_id=append_id, timers={name: 1})
        await store.append(append)
        await store.append(append)

        await assert_run(store, run, [b"one"], timers={name: 1})

    # Conflicts.

    @pytest.mark.parametrize("expected_version", [0, 1, 3, 4])
    async def test_another_version_is_a_conflict(
        self, store: Store, expected_version: int
    ) -> None:
        await store.append(appended("ns/r", 0, b"one", b"two"))

        with pytest.raises(ConflictError) as caught:
            await store.append(appended("ns/r", expected_version, b"late"))

        assert caught.value.run == "ns/r"
        assert caught.value.expected_version == expected_version
        assert caught.value.actual_version == 2
        assert await store.read("ns/r") == [b"one", b"two"]

    async def test_an_unknown_run_is_at_version_zero(self, store: Store) -> None:
        with pytest.raises(ConflictError):
            await store.append(appended("ns/r", 1, b"two"))

        assert await store.load("ns/r") is None
        assert await store.runs_in(list(Phase)) == []

    async def test_a_conflict_writes_nothing(self, store: Store) -> None:
        await store.append(appended("ns/r", 0, b"one", **_INDEX))

        with pytest.raises(ConflictError):
            await store.append(
                appended(
                    "ns/r",
                    0,
                    b"late",
                    phase=Phase.FINISHED,
                    timers={"t": None, "new": 8},
                    attempts={1: None, 2: b"new"},
                    note=b"new",
                    scripts={"hash": b"new"},
                )
            )

        await assert_run(store, "ns/r", [b"one"], **_INDEX)
        assert await store.runs_in([Phase.FINISHED]) == []
        # A script that nothing names may be kept, but no other.
        assert await store.get_record("script", "hash") in (None, b"new")

    async def test_one_of_many_writers_wins(self, store: Store) -> None:
        for version in range(5):
            outcomes = await outcomes_of(
                store, (appended("ns/r", version, b"%d" % n) for n in range(20))
            )

            won = [n for n, outcome in enumerate(outcomes) if outcome is None]
            lost = [e for e in outcomes if isinstance(e, ConflictError)]
            assert len(won) == 1
            assert len(lost) == 19
            assert (await store.read("ns/r"))[version:] == [b"%d" % won[0]]

    async def test_a_conflict_leaves_others_alone(self, store: Store) -> None:
        """Appends that come together fail apart."""
        await store.append(appended("ns/3", 0, b"first"))

        outcomes = await outcomes_of(
            store, (appended(f"ns/{n}", 0, b"one") for n in range(7))
        )

        for n, outcome in enumerate(outcomes):
            assert isinstance(outcome, ConflictError) == (n == 3)
            assert await store.read(f"ns/{n}") == [b"first" if n == 3 else b"one"]

    # Repetitions.

    async def test_a_repeated_append_changes_nothing(self, store: Store) -> None:
        append = appended("ns/r", 0, b"one", timers={"t": 7})
        for _ in range(3):
            await store.append(append)

        await assert_run(store, "ns/r", [b"one"], timers={"t": 7})

    async def test_the_id_alone_makes_a_repetition(self, store: Store) -> None:
        await store.append(appended("ns/r", 0, b"one", append_id="same"))
        await store.append(
            appended(
                "ns/r",
                1,
                b"two",
                append_id="same",
                phase=Phase.FINISHED,
                timers={"t": 7},
                scripts={"hash": b"text"},
            )
        )

        await assert_run(store, "ns/r", [b"one"])
        assert await store.get_record("script", "hash") in (None, b"text")

    async def test_repetitions_that_come_together_are_one(self, store: Store) -> None:
        append = appended("ns/r", 0, b"one")
        assert await outcomes_of(store, [append] * 10) == [None] * 10

        await assert_run(store, "ns/r", [b"one"])

    async def test_only_the_last_append_is_repeated(self, store: Store) -> None:
        earlier = appended("ns/r", 0, b"one")
        await store.append(earlier)
        await store.append(appended("ns/r", 1, b"two"))

        with pytest.raises(ConflictError):
            await store.append(earlier)

        await assert_run(store, "ns/r", [b"one", b"two"])

    async def test_an_append_of_the_index_counts_as_the_last(
        self, store: Store
    ) -> None:
        with_events = appended("ns/r", 0, b"one")
        index_only = appended("ns/r", 1, timers={"t": 7})
        await store.append(with_events)
        await store.append(index_only)
        await store.append(index_only)

        with pytest.raises(ConflictError):
            await store.append(with_events)

        await assert_run(store, "ns/r", [b"one"], timers={"t": 7})

    async def test_ids_are_of_one_run(self, store: Store) -> None:
        await store.append(appended("ns/a", 0, b"one", append_id="same"))
        await store.append(appended("ns/b", 0, b"one", append_id="same"))

        assert await store.read("ns/b") == [b"one"]

    # The index.

    async def test_an_append_without_events_changes_the_index(
        self, store: Store
    ) -> None:
        await store.append(appended("ns/r", 0, b"one"))
        await store.append(appended("ns/r", 1, **_INDEX))

        await assert_run(store, "ns/r", [b"one"], **_INDEX)
        await store.append(appended("ns/r", 1, b"two"))

    async def test_timers_are_set_moved_and_removed(self, store: Store) -> None:
        steps: list[tuple[dict[str, int | None], dict[str, int]]] = [
            ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
            ({}, {"a": 1, "b": 2}),
            ({"a": 9, "c": 3}, {"a": 9, "b": 2, "c": 3}),
            ({"a": None, "unknown": None}, {"b": 2, "c": 3}),
            ({"b": None, "c": None, "a": 4}, {"a": 4}),
        ]
        for version, (change, expected) in enumerate(steps):
            await store.append(appended("ns/r", version, b"event", timers=change))
            assert (await loaded(store, "ns/r")).timers == expected
            assert {
                timer.name: timer.due_ns for timer in (await store.timers_due()).due
            } == expected

    async def test_attempts_are_set_replaced_and_removed(self, store: Store) -> None:
        steps: list[tuple[dict[int, bytes | None], dict[int, bytes]]] = [
            ({1: b"a", 2: b""}, {1: b"a", 2: b""}),
            ({}, {1: b"a", 2: b""}),
            ({1: b"b", 50_000: b"c"}, {1: b"b", 2: b"", 50_000: b"c"}),
            ({1: None, 9: None}, {2: b"", 50_000: b"c"}),
        ]
        for version, (change, expected) in enumerate(steps):
            await store.append(appended("ns/r", version, b"event", attempts=change))
            assert (await loaded(store, "ns/r")).attempts == expected

    async def test_notes_and_phases_replace_those_before(self, store: Store) -> None:
        for version, (phase, note) in enumerate(
            [(Phase.PAUSED, b"why"), (Phase.CALLING, b""), (Phase.FINISHED, b"\0")]
        ):
            await store.append(
                appended("ns/r", version, b"event", phase=phase, note=note)
            )
            found = await loaded(store, "ns/r")
            assert (found.phase, found.note) == (phase, note)

    async def test_what_was_loaded_stays_as_it_was(self, store: Store) -> None:
        await store.append(appended("ns/r", 0, timers={"t": 7}, attempts={1: b"a"}))
        before = await loaded(store, "ns/r")
        await store.append(appended("ns/r", 0, timers={"t": 8}, attempts={1: None}))

        assert before.timers == {"t": 7}
        assert before.attempts == {1: b"a"}

    async def test_appends_given_together_follow_each_other(self, store: Store) -> None:
        """The same run in one group: later changes build upon earlier ones."""
        appends = [
            appended("ns/r", 0, b"one", timers={"a": 1, "b": 2}),
            appended("ns/r", 1, b"two", timers={"a": None, "b": 3}),
            appended("ns/r", 2, b"three", timers={"a": 4, "b": None}),
            appended("ns/r", 3, phase=Phase.FINISHED),
            appended("ns/r", 3, phase=Phase.DORMANT, note=b"awake"),
        ]
        assert await outcomes_of(store, appends) == [None] * 5

        await assert_run(
            store,
            "ns/r",
            [b"one", b"two", b"three"],
            timers={"a": 4},
            phase=Phase.DORMANT,
            note=b"awake",
        )

    # Looking for runs.

    async def test_runs_are_found_by_phase(self, store: Store) -> None:
        for n, phase in enumerate(list(Phase) * 2):
            await store.append(appended(f"ns/{n}", 0, b"one", phase=phase))

        assert await store.runs_in([]) == []
        for phase in Phase:
            found = [f"ns/{phase}", f"ns/{phase + 5}"]
            assert await store.runs_in([phase]) == found
        two = await store.runs_in([Phase.PAUSED, Phase.RUNNABLE])
        assert two == ["ns/0", "ns/3", "ns/5", "ns/8"]
        assert len(await store.runs_in(list(Phase))) == 10

    async def test_a_run_is_found_in_its_last_phase_only(self, store: Store) -> None:
        phases = [*Phase, Phase.FINISHED, Phase.FINISHED, Phase.CALLING]
        for version, phase in enumerate(phases):
            await store.append(appended("ns/r", version, b"event", phase=phase))
            for other in Phase:
                found = await store.runs_in([other])
                assert found == (["ns/r"] if other == phase else [])

    async def test_runs_come_in_pages(self, store: Store) -> None:
        names = sorted(f"ns/{n}" for n in range(25))
        for name in reversed(names):
            await store.append(appended(name, 0, b"one", phase=Phase.CALLING))
        await store.append(appended("ns/", 0, b"one", phase=Phase.FINISHED))

        pages, after = [], ""
        while page := await store.runs_in([Phase.CALLING], after=after, limit=10):
            pages.append(page)
            after = page[-1]

        assert pages == [names[:10], names[10:20], names[20:]]

    # Timers.

    async def test_timers_are_due_when_their_time_has_come(self, store: Store) -> None:
        now_ns = (await store.timers_due()).now_ns
        early, late = now_ns - _SECOND, now_ns + _HOUR
        await store.append(appended("ns/a", 0, timers={"x": early, "y": late}))
        await store.append(appended("ns/b", 0, timers={"x": early - 1, "y": late + 1}))

        found = await store.timers_due()

        assert found.now_ns >= now_ns
        assert list(found.due) == [
            DueTimer("ns/b", "x", early - 1),
            DueTimer("ns/a", "x", early),
        ]
        assert found.next_due_ns == late

    async def test_due_timers_stay_until_removed(self, store: Store) -> None:
        await store.append(appended("ns/a", 0, timers={"x": 1}))
        for _ in range(2):
            assert list((await store.timers_due()).due) == [DueTimer("ns/a", "x", 1)]

        await store.append(appended("ns/a", 0, timers={"x": None}))

        found = await store.timers_due()
        assert list(found.due) == []
        assert found.next_due_ns is None

    async def test_the_earliest_timers_come_first(self, store: Store) -> None:
        """The one that did not fit in is the next."""
        dues = [(n * 7_919) % 101 + 1 for n in range(100)]
        for n, due in enumerate(dues):
            await store.append(appended(f"ns/{n}", 0, timers={"t": due}))

        found = await store.timers_due(limit=30)

        in_order = sorted(dues)
        assert [timer.due_ns for timer in found.due] == in_order[:30]
        assert found.next_due_ns == in_order[30]
        for timer in found.due:
            assert dues[int(timer.run.removeprefix("ns/"))] == timer.due_ns

    # Scripts.

    async def test_scripts_are_kept_with_the_append(self, store: Store) -> None:
        """The first text stays: an equal hash is an equal script."""
        first = appended("ns/a", 0, b"one", scripts={"h1": b"a", "h2": b"b"})
        other = appended("ns/b", 0, b"one", scripts={"h1": b"other"})
        later = appended("ns/c", 0, b"one", scripts={"h2": b"other"})
        assert await outcomes_of(store, [first, other]) == [None, None]
        await store.append(later)

        assert await store.get_record("script", "h1") == b"a"
        assert await store.scan_records("script") == {"h1": b"a", "h2": b"b"}

    # The index can be thrown away.

    async def test_a_cleared_index_keeps_the_logs(self, store: Store) -> None:
        last = {}
        for n, phase in enumerate(Phase):
            run, index = f"ns/{n}", {**_INDEX, "phase": phase}
            last[run] = appended(run, 0, b"one", scripts={"hash": b"text"}, **index)
            await store.append(last[run])
        await store.put_record("space", "key", b"value")

        await store.clear_index()

        assert await store.runs_in([Phase.RUNNABLE]) == list(last)
        assert await store.runs_in([p for p in Phase if p != Phase.RUNNABLE]) == []
        assert (await store.timers_due()).next_due_ns is None
        assert await store.get_record("space", "key") == b"value"
        assert await store.get_record("script", "hash") == b"text"
        for run, append in last.items():
            # Not the index only: what was appended last is known as well.
            await store.append(append)
            await assert_run(store, run, [b"one"])
            await store.append(appended(run, 1, b"two", phase=Phase.FINISHED))
        assert await store.runs_in([Phase.FINISHED]) == list(last)

    # Many at a time.

    async def test_many_appends_come_together(self, store: Store) -> None:
        for version in range(3):
            outcomes = await outcomes_of(
                store,
                (appended(f"ns/{n}", version, b"%d" % version) for n in range(300)),
            )
            assert outcomes == [None] * 300

        for n in range(0, 300, 37):
            assert await store.read(f"ns/{n}") == [b"0", b"1", b"2"]

    async def test_who_gives_up_waiting_disturbs_nobody(self, store: Store) -> None:
        async def wait_for(append: Append) -> None:
            await store.append(append)

        tasks = [
            asyncio.create_task(wait_for(appended(f"ns/{n}", 0, b"one", b"two")))
            for n in range(20)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks[1::2])
        await asyncio.wait(tasks)

        for n in range(20):
            whole = [[b"one", b"two"]]
            possible = whole if n % 2 else [*whole, []]
            assert await store.read(f"ns/{n}") in possible

    async def test_it_says_what_it_is(self, store: Store) -> None:
        assert store.kind
        assert store.durability in Durability


class DurableStoreContract(
    StoreContract, DurablePermitContract, DurableFindingContract
):
    """What a store promises besides when it keeps what it acknowledged."""

    async def test_everything_is_there_after_a_restart(self, tmp_path: Path) -> None:
        append = appended("ns/r", 1, b"two", b"", scripts={"hash": b"text"}, **_INDEX)
        async with self.opened(tmp_path) as store:
            await store.append(appended("ns/r", 0, b"one"))
            await store.append(append)
            await store.append(appended("ns/done", 0, b"one", phase=Phase.FINISHED))
            await store.put_record("space", "key", b"value")

        async with self.opened(tmp_path) as store:
            events = [b"one", b"two", b""]
            await assert_run(store, "ns/r", events, **_INDEX)
            assert await store.runs_in([Phase.PAUSED]) == ["ns/r"]
            assert await store.runs_in([Phase.FINISHED]) == ["ns/done"]
            assert list((await store.timers_due()).due) == [DueTimer("ns/r", "t", 7)]
            assert await store.get_record("space", "key") == b"value"
            assert await store.get_record("script", "hash") == b"text"

    async def test_appends_go_on_after_a_restart(self, tmp_path: Path) -> None:
        last = appended("ns/r", 0, b"one")
        async with self.opened(tmp_path) as store:
            await store.append(last)

        async with self.opened(tmp_path) as store:
            await store.append(last)
            with pytest.raises(ConflictError):
                await store.append(appended("ns/r", 0, b"late"))
            await store.append(appended("ns/r", 1, b"two"))
            await store.append(appended("ns/new", 0, b"one"))

            await assert_run(store, "ns/r", [b"one", b"two"])
            await assert_run(store, "ns/new", [b"one"])

    async def test_closing_finishes_what_was_begun(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as store:
            begun = [store.append(appended(f"ns/{n}", 0, b"one")) for n in range(200)]

        await asyncio.gather(*begun)
        async with self.opened(tmp_path) as store:
            assert len(await store.runs_in([Phase.RUNNABLE])) == 200
