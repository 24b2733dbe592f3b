"""All stores, driven together through chance steps, answer like one simple model."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from starflow_backends import (
    Append,
    ConflictError,
    DueTimer,
    Entry,
    Found,
    MemoryStore,
    Phase,
    Query,
    SqliteStore,
    StoredRun,
)
from starflow_backends.testing import outcomes_of
from tests.support.redis_stores import LoneRedisStore

# Few names, so that steps meet.
RUNS = [f"ns/{n}" for n in range(4)]
TIMES = st.integers(0, 50)
TIMERS = st.dictionaries(st.sampled_from("abc"), st.none() | TIMES, max_size=3)
ATTEMPTS = st.dictionaries(
    st.integers(1, 3), st.none() | st.binary(max_size=2), max_size=3
)
SCRIPTS = st.dictionaries(st.sampled_from("xyz"), st.binary(max_size=2), max_size=1)
# What runs are found by.  Times are of the run, for all of its terms.
ENTRIES = st.none() | st.builds(
    lambda terms, time_ns, shown: Entry(dict.fromkeys(terms, time_ns), shown),
    st.sets(st.integers(0, 3), max_size=3),
    st.integers(0, 5),
    st.binary(max_size=2),
)
GROUPS = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=3), min_size=1, max_size=2
)
SPACES = st.sampled_from(["script", "other"])
KEYS = st.sampled_from("xyz")


@dataclass
class Run:
    """What the model knows of a run."""

    last: Append | None = None
    events: list[bytes] = field(default_factory=list)
    phase: Phase = Phase.RUNNABLE
    timers: dict[str, int] = field(default_factory=dict)
    attempts: dict[int, bytes] = field(default_factory=dict)
    note: bytes = b""
    entry: Entry | None = None


class Model:
    """What a store is, in as few words as can be."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.records: dict[tuple[str, str], bytes] = {}

    def append(self, append: Append) -> tuple[int, int] | None:
        """Carry *append* out; return the expected and the actual version if not so."""
        run = self.runs.get(append.run, Run())
        if run.last and run.last.append_id == append.append_id:
            return None
        if len(run.events) != append.expected_version:
            return append.expected_version, len(run.events)
        self.runs[append.run] = run
        run.last = append
        run.events = [*run.events, *append.events]
        run.phase = append.phase
        run.note = append.note
        run.timers = changed(run.timers, append.timers)
        run.attempts = changed(run.attempts, append.attempts)
        run.entry = append.entry or run.entry
        for key, text in append.scripts.items():
            self.records.setdefault(("script", key), text)
        return None

    def clear_index(self) -> None:
        for run in self.runs.values():
            run.phase, run.note = Phase.RUNNABLE, b""
            run.timers, run.attempts, run.entry = {}, {}, None

    def load(self, name: str) -> StoredRun | None:
        run = self.runs.get(name)
        return run and StoredRun(
            len(run.events), run.phase, run.timers, run.attempts, run.note, run.entry
        )

    def find(self, query: Query) -> list[Found]:
        """All that *query* asks for, in its order."""
        found = []
        for name, run in self.runs.items():
            terms = run.entry.terms if run.entry else {}
            times = {time_ns for time_ns in terms.values()}
            if not all(any(term in terms for term in group) for group in query.groups):
                continue
            (time_ns,) = times
            if not query.since_ns <= time_ns < query.before_ns:
                continue
            if name.startswith(query.prefix):
                found.append(Found(name, time_ns, len(run.events), run.entry.summary))
        return sorted(found, key=lambda each: (each.time_ns, each.run), reverse=True)

    def timers(self) -> list[DueTimer]:
        """All timers, the earliest first."""
        timers = [
            DueTimer(name, timer, due)
            for name, run in self.runs.items()
            for timer, due in run.timers.items()
        ]
        return sorted(timers, key=lambda timer: timer.due_ns)


def changed(before, changes):
    return {k: v for k, v in {**before, **changes}.items() if v is not None}


async def all_found(store, query):
    """What *store* finds, page by page."""
    found = []
    while True:
        page = await store.find(query)
        assert len(page.found) <= query.limit
        found += page.found
        if page.last is None:
            return found
        query = replace(query, after=page.last)


class Lockstep(RuleBasedStateMachine):
    """Four stores and the model."""

    # Of the servers that all examples share, each with a prefix of its own.
    redis_urls = "", ""
    prefixes = count()

    def __init__(self):
        super().__init__()
        self.now_ns = 0
        self.ids = count()
        self.model = Model()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.places = count()
        self.memory = MemoryStore(clock=self.clock)
        self.sqlite = self.sqlite_at(self.directory / "first.db")
        self.runner.run(self.sqlite.open())
        self.prefix = next(self.prefixes)
        self.open_redis()

    def open_redis(self):
        self.redis, self.cluster = [
            LoneRedisStore(f"{url}?prefix=x{self.prefix}&partitions=3")
            for url in self.redis_urls
        ]
        self.runner.run(self.redis.open())
        self.runner.run(self.cluster.open())

    def close_redis(self):
        self.runner.run(self.redis.close())
        self.runner.run(self.cluster.close())

    @property
    def stores(self):
        return self.memory, self.sqlite, self.redis, self.cluster

    def clock(self):
        return self.now_ns

    def sqlite_at(self, path):
        self.path = path
        return SqliteStore(path, clock=self.clock, work_max=3)

    def teardown(self):
        for name in RUNS:
            self.check_run(name)
        self.runner.run(self.sqlite.close())
        self.close_redis()
        self.runner.close()
        shutil.rmtree(self.directory)

    def all(self, ask):
        """Ask all stores; return the one answer."""
        of_memory, *others = [self.runner.run(ask(store)) for store in self.stores]
        for other in others:
            assert other == of_memory
        return of_memory

    def appended(self, appends):
        """Give *appends* together to all stores and, one by one, to the model."""

        async def conflicts(store):
            outcomes = await outcomes_of(store, appends)
            for outcome in outcomes:
                assert outcome is None or isinstance(outcome, ConflictError)
            return [o and (o.expected_version, o.actual_version) for o in outcomes]

        assert self.all(conflicts) == [self.model.append(each) for each in appends]

    def next_append(self, name, **changes):
        run = self.model.runs.get(name, Run())
        append_id = f"id {next(self.ids)}"
        return Append(name, len(run.events), append_id, **changes)

    # What is written.

    @rule(
        name=st.sampled_from(RUNS),
        events=st.lists(st.binary(max_size=3), max_size=3),
        phase=st.sampled_from(Phase),
        timers=TIMERS,
        attempts=ATTEMPTS,
        note=st.binary(max_size=2),
        scripts=SCRIPTS,
        entry=ENTRIES,
    )
    def append(self, name, **changes):
        self.appended([self.next_append(name, **changes)])

    @rule(name=st.sampled_from(RUNS), behind=st.integers(-3, 3), timers=TIMERS)
    def append_at_another_version(self, name, behind, timers):
        run = self.model.runs.get(name, Run())
        version = max(0, len(run.events) - behind)
        append_id = f"id {next(self.ids)}"
        self.appended([Append(name, version, append_id, [b"late"], timers=timers)])

    @rule(
        steps=st.lists(
            st.tuples(
                st.sampled_from(RUNS),
                st.integers(0, 2),
                st.sampled_from(Phase),
                TIMERS,
                ATTEMPTS,
                ENTRIES,
            ),
            max_size=12,
        )
    )
    def append_together(self, steps):
        """Some conflict with each other, some follow upon each other."""
        appends = []
        for name, size, phase, timers, attempts, entry in steps:
            append = self.next_append(
                name,
                events=[b"%d" % n for n in range(size)],
                phase=phase,
                timers=timers,
                attempts=attempts,
                entry=entry,
            )
            appends.append(append)
        self.appended(appends)

    @rule(name=st.sampled_from(RUNS), times=st.integers(1, 3))
    @precondition(lambda self: self.model.runs)
    def repeat_the_last_append(self, name, times):
        run = self.model.runs.get(name)
        if run and run.last:
            self.appended([run.last] * times)

    @rule(name=st.sampled_from(RUNS))
    @precondition(lambda self: self.model.runs)
    def delete(self, name):
        """Its key is free at once: clocks differ."""
        run = self.model.runs.pop(name, None)
        version = len(run.events) if run else 0
        was_there = self.all(
            lambda store: store.delete(name, expected_version=version, tombstone_ns=0)
        )
        assert was_there == (run is not None)

    @rule(space=SPACES, key=KEYS, value=st.binary(max_size=2), replace=st.booleans())
    def put_record(self, space, key, value, replace):
        records = self.model.records
        if replace or (space, key) not in records:
            records[space, key] = value

        kept = self.all(lambda s: s.put_record(space, key, value, replace=replace))

        assert kept == records[space, key]

    @rule()
    @precondition(lambda self: self.model.runs)
    def clear_index(self):
        self.model.clear_index()
        self.all(lambda store: store.clear_index())

    # What happens.

    @rule(nanoseconds=st.integers(1, 20))
    def time_goes_by(self, nanoseconds):
        self.now_ns += nanoseconds

    @rule()
    @precondition(lambda self: self.model.runs)
    def restart(self):
        self.close_redis()
        self.open_redis()
        self.runner.run(self.sqlite.close())
        self.sqlite = self.sqlite_at(self.path)
        self.runner.run(self.sqlite.open())

    @rule()
    @precondition(lambda self: self.model.runs)
    def crash(self):
        """Go on with the files as they are now: what a killed process leaves behind."""
        path = self.directory / f"{next(self.places)}.db"
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.path}{suffix}", f"{path}{suffix}")
        self.runner.run(self.sqlite.close())
        self.sqlite = self.sqlite_at(path)
        self.runner.run(self.sqlite.open())

    # What is read.

    @rule(name=st.sampled_from(RUNS))
    def check_run(self, name):
        run = self.model.runs.get(name, Run())
        assert self.all(lambda store: store.load(name)) == self.model.load(name)
        assert self.all(lambda store: store.read(name)) == run.events

    @rule(
        name=st.sampled_from(RUNS),
        start=st.integers(1, 9),
        limit=st.none() | st.integers(0, 5),
    )
    def read_a_part(self, name, start, limit):
        run = self.model.runs.get(name, Run())
        tail = run.events[start - 1 :]

        part = self.all(lambda s: s.read(name, from_version=start, limit=limit))

        assert part == (tail if limit is None else tail[:limit])

    @rule(
        phases=st.lists(st.sampled_from(Phase), unique=True),
        after=st.sampled_from(["", *RUNS]),
        limit=st.integers(1, 4),
    )
    def look_for_runs(self, phases, after, limit):
        wanted = [n for n, run in self.model.runs.items() if run.phase in phases]
        expected = sorted(name for name in wanted if name > after)[:limit]

        found = self.all(lambda s: s.runs_in(phases, after=after, limit=limit))

        assert found == expected

    @rule(
        groups=GROUPS,
        times=st.tuples(st.integers(0, 5), st.integers(0, 6)),
        prefix=st.sampled_from(["", "ns/", "ns/1"]),
        limit=st.integers(1, 4),
    )
    def look_for_entries(self, groups, times, prefix, limit):
        query = Query(groups, *times, prefix=prefix, limit=limit)
        expected = self.model.find(query)
        for store in self.stores:
            assert self.runner.run(all_found(store, query)) == expected

    @rule(limit=st.integers(0, 12))
    def look_for_timers(self, limit):
        timers = self.model.timers()
        for store in self.stores:
            found = self.runner.run(store.timers_due(limit=limit))
            # Redis has a clock of its own, by which all of them are due.
            is_ours = store not in (self.redis, self.cluster)
            now_ns = self.now_ns if is_ours else found.now_ns
            due = [timer for timer in timers if timer.due_ns <= now_ns][:limit]
            # Timers due at the same time come in any order.
            assert [timer.due_ns for timer in found.due] == [t.due_ns for t in due]
            assert set(found.due) <= set(timers)
            assert len(set(found.due)) == len(due)
            rest = timers[len(due) :]
            assert found.next_due_ns == (rest[0].due_ns if rest else None)
            assert found.now_ns == now_ns

    @rule(space=SPACES, key=KEYS)
    def look_for_records(self, space, key):
        records = self.model.records
        found = self.all(lambda store: store.get_record(space, key))
        assert found == records.get((space, key))
        assert self.all(lambda store: store.scan_records(space)) == {
            k: value for (of, k), value in records.items() if of == space
        }


@pytest.mark.usefixtures("_redis_of_lockstep")
class TestLockstep(Lockstep.TestCase):
    settings = settings(stateful_step_count=50, deadline=None)


@pytest.fixture
def _redis_of_lockstep(shared_redis, redis_cluster):
    Lockstep.redis_urls = shared_redis.url, redis_cluster.url
