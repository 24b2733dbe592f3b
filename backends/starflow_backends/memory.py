"""Runs in dictionaries: for tests, demos, and runs that nobody would miss."""

import asyncio
import heapq
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from starflow_backends.permits import DictPermits
from starflow_backends.postings import Postings
from starflow_backends.store import (
    Append,
    ConflictError,
    CorruptError,
    DeletedError,
    DueTimer,
    DueTimers,
    Durability,
    Entry,
    Found,
    Page,
    PermitAnswer,
    PermitRequest,
    Phase,
    Query,
    QueueLimits,
    QueueState,
    StoredRun,
    StoreError,
)


@dataclass(slots=True)
class _Run:
    append_id: str | None = None
    events: list[bytes] = field(default_factory=list)
    phase: Phase = Phase.RUNNABLE
    timers: dict[str, int] = field(default_factory=dict)
    attempts: dict[int, bytes] = field(default_factory=dict)
    note: bytes = b""
    entry: Entry | None = None


class MemoryStore:
    """A `Store` that forgets everything when the process ends."""

    def __init__(self, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._runs: dict[str, _Run] = {}
        # All timers as (due, run, name), sorted: the due ones are in front.
        self._timers: list[tuple[int, str, str]] = []
        self._records: dict[str, dict[str, bytes]] = {}
        self._postings = Postings()
        # Until when the keys of deleted runs are refused.
        self._tombstones: dict[str, int] = {}
        self._permits = DictPermits()

    @property
    def kind(self) -> str:
        return "memory"

    @property
    def durability(self) -> Durability:
        return Durability.MEMORY

    # The methods that follow are asynchronous for the sake of the other stores.

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def append(self, append: Append) -> Awaitable[None]:
        # Done at once and not when it is awaited: whoever gives two appends and awaits
        # the second first finds both carried out in the order given.
        future = asyncio.get_running_loop().create_future()
        try:
            self._append(append)
        except StoreError as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    async def load(self, run: str) -> StoredRun | None:
        found = self._runs.get(run)
        if found is None:
            return None
        return StoredRun(
            version=len(found.events),
            phase=found.phase,
            timers=dict(found.timers),
            attempts=dict(found.attempts),
            note=found.note,
            entry=found.entry,
        )

    async def read(
        self, run: str, *, from_version: int = 1, limit: int | None = None
    ) -> list[bytes]:
        events = self._runs[run].events if run in self._runs else []
        start = from_version - 1
        return events[start : None if limit is None else start + limit]

    async def runs_in(
        self,
        phases: Sequence[Phase],
        *,
        after: str = "",
        limit: int = 1000,
        partitions: Collection[int] | None = None,
    ) -> list[str]:
        if partitions is not None and 0 not in partitions:
            return []
        return heapq.nsmallest(
            limit,
            (
                run
                for run, found in self._runs.items()
                if found.phase in phases and run > after
            ),
        )

    async def find(self, query: Query) -> Page:
        places, last = self._postings.find(query)
        found = []
        for time_ns, key in places:
            run = self._runs[key]
            summary = run.entry.summary if run.entry else b""
            found.append(Found(key, time_ns, len(run.events), summary))
        return Page(found, last)

    async def delete(
        self, run: str, *, expected_version: int, tombstone_ns: int
    ) -> bool:
        found = self._runs.get(run)
        if found is None:
            return False
        if len(found.events) != expected_version:
            raise ConflictError(run, expected_version, len(found.events))
        for name in list(found.timers):
            self._set_timer(run, found, name, None)
        self._postings.change(run, found.entry, None)
        del self._runs[run]
        now_ns = self._clock()
        self._tombstones = {
            k: end for k, end in self._tombstones.items() if end > now_ns
        }
        self._tombstones[run] = now_ns + tombstone_ns
        return True

    async def timers_due(self, *, limit: int = 1000) -> DueTimers:
        now_ns = self._clock()
        timers = self._timers
        count = min(limit, bisect_right(timers, now_ns, key=itemgetter(0)))
        due = [DueTimer(run, name, due_ns) for due_ns, run, name in timers[:count]]
        next_due_ns = timers[count][0] if count < len(timers) else None
        return DueTimers(now_ns=now_ns, due=due, next_due_ns=next_due_ns)

    async def put_record(
        self, space: str, key: str, value: bytes, *, replace: bool = True
    ) -> bytes:
        records = self._records.setdefault(space, {})
        if replace:
            records[key] = value
        return records.setdefault(key, value)

    async def get_record(self, space: str, key: str) -> bytes | None:
        return self._records.get(space, {}).get(key)

    async def scan_records(self, space: str) -> dict[str, bytes]:
        return dict(self._records.get(space, {}))

    async def clear_index(self) -> None:
        self._timers.clear()
        self._postings.clear()
        for run in self._runs.values():
            run.phase = Phase.RUNNABLE
            run.timers.clear()
            run.attempts.clear()
            run.note = b""
            run.entry = None

    async def set_queue(self, name: str, limits: QueueLimits | None) -> bool:
        return self._permits.set_queue(name, limits, self._clock() // 1000)

    async def permits(self, request: PermitRequest) -> PermitAnswer:
        return self._permits.permits(request, self._clock() // 1000)

    async def queues(self) -> dict[str, QueueState | CorruptError]:
        return self._permits.queues(self._clock() // 1000)

    def cut(self, run: str, version: int) -> None:
        """
        Forget what was appended to *run* after *version*, and its index.

        It is then as if the writer had died after that event: a server that starts
        derives the index anew.
        """
        found = self._runs[run]
        for name in list(found.timers):
            self._set_timer(run, found, name, None)
        self._postings.change(run, found.entry, None)
        self._runs[run] = _Run(events=found.events[:version])

    def _append(self, append: Append) -> None:
        run = self._runs.get(append.run) or _Run()
        if run.append_id == append.append_id:
            return
        if len(run.events) != append.expected_version:
            raise ConflictError(append.run, append.expected_version, len(run.events))
        if append.run not in self._runs:
            self._refuse_deleted(append.run)
        self._runs[append.run] = run
        run.append_id = append.append_id
        run.events += append.events
        run.phase = append.phase
        run.note = append.note
        if append.entry is not None:
            self._postings.change(append.run, run.entry, append.entry)
            run.entry = append.entry
        for name, due_ns in append.timers.items():
            self._set_timer(append.run, run, name, due_ns)
        for version, value in append.attempts.items():
            if value is None:
                run.attempts.pop(version, None)
            else:
                run.attempts[version] = value
        scripts = self._records.setdefault("script", {})
        for key, text in append.scripts.items():
            scripts.setdefault(key, text)

    def _refuse_deleted(self, run: str) -> None:
        if self._tombstones.get(run, 0) > self._clock():
            raise DeletedError(run)

    def _set_timer(self, key: str, run: _Run, name: str, due_ns: int | None) -> None:
        before = run.timers.pop(name, None)
        if before is not None:
            del self._timers[bisect_left(self._timers, (before, key, name))]
        if due_ns is not None:
            run.timers[name] = due_ns
            insort(self._timers, (due_ns, key, name))
