"""One run in memory."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from starflow_backends.store import Phase
from starflow_service.engine.events import Call, Event, Yield
from starflow_service.engine.frozen import frozen
from starflow_service.engine.history import History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Machine, Print
from starflow_service.runtime.attempts import AttemptRecord
from starflow_service.runtime.entries import Listed
from starflow_service.runtime.notes import NO_RESTARTS, Note, Pause, Segments

# The part of the idle time for which a run is kept that waits for no worker.
RESTING = 0.2

WAKE, EXPIRE, RETRY = "wake", "expire", "retry"


@dataclass(slots=True, eq=False)
class Input:
    """
    Something that comes to a run.

    `apply` looks at the run or writes into its ledger; what it returns is the answer,
    given once everything that it wrote is stored.
    """

    apply: "Callable[[LiveRun], Any]"
    answer: asyncio.Future[Any]
    # Whether it can move the script.  What cannot is applied without an interpreter.
    needs_script: bool
    # How often it may be applied again, to a log that somebody else has changed.
    tries_left: int
    is_applied: bool = False


@dataclass(slots=True, eq=False)
class LiveRun:
    """
    A run in memory: its open log, its interpreter, and what waits to be applied.

    Only one round at a time works on a run, so nothing here needs a lock.
    """

    key: str
    namespace: str
    run_id: str
    # What ends an interpreter of it that is not needed any more.
    bury: Callable[[Machine], None] = Machine.kill
    inbox: deque[Input] = field(default_factory=deque)
    # The inputs of the round under way.
    taken: list[Input] = field(default_factory=list)
    is_busy: bool = False
    # What plays its rounds while it is busy.
    work: asyncio.Task[None] | None = None
    is_loaded: bool = False
    # Whether its partition was closed: what it still does is its last.
    is_leaving: bool = False
    # Whether the script has not been turned yet.
    is_new: bool = False
    # By the monotonic clock.
    used_at: float = 0.0
    # None: the log is not in memory.
    ledger: Ledger | None = None
    # None: no interpreter; the log may be in memory all the same.
    machine: Machine | None = None
    pause: Pause | None = None
    segments: Segments = NO_RESTARTS
    # How often the script began again before the events that the history has.
    restarts_before: int = 0
    # When the first START was recorded; 0: not known yet.
    create_ns: int = 0
    # What lists show of it; None: it is in none yet.
    listed: Listed | None = None
    # How many lines the script has printed in the segment after the version
    # `lines_base`, and those of them that are to be logged once what came with them is
    # stored.
    lines: int = 0
    lines_base: int = 0
    prints: list[Print] = field(default_factory=list)
    # When calls have taken too long, with the version of their CALL, as a heap.  Calls
    # that have ended are in it until they come up.
    expiries: list[tuple[int, int]] = field(default_factory=list)
    # What the store's index holds.
    version: int = 0
    phase: Phase = Phase.RUNNABLE
    timers: dict[str, int] = field(default_factory=dict)
    # Failed attempts by the version of their CALL, and those that changed since the
    # last append.
    records: dict[int, AttemptRecord] = field(default_factory=dict)
    changed_records: set[int] = field(default_factory=set)
    # When calls that back off are due, by the version of their CALL.
    retries: dict[int, int] = field(default_factory=dict)
    # A script that the store must keep together with START: hash and stored form.
    script: tuple[str, bytes] | None = None
    # Inputs that were applied and wait to be stored, with their answers.
    unanswered: list[tuple[Input, Any]] = field(default_factory=list)

    @property
    def history(self) -> History:
        """The log's state."""
        # Asked for ten times a step: one call less is worth a repetition.
        ledger = self.ledger
        if ledger is None:
            raise AssertionError(f"run {self.key} is not loaded")
        return ledger.history

    @property
    def open_ledger(self) -> Ledger:
        """The ledger of a run whose log is in memory."""
        if self.ledger is None:
            raise AssertionError(f"run {self.key} is not loaded")
        return self.ledger

    def kept_s(self, idle_s: float) -> float:
        """Return how long it is kept in memory while nothing comes for it."""
        # What waits for people, or for hours, has less need of its interpreter.
        is_resting = self.phase in (Phase.DORMANT, Phase.FINISHED)
        return idle_s * RESTING if is_resting else idle_s

    def due_timers(self) -> dict[str, int]:
        """Return the timers that the run must have in the store's index."""
        history = self.history
        if history.finish is not None or self.pause is not None:
            # A paused run's timers hold; they are derived again when it goes on.
            return {}
        timers = {f"{WAKE}/{v}": due for v, due in history.sleeps.items()}
        timers |= {f"{RETRY}/{v}": due for v, due in self.retries.items()}
        for version, wait in history.signal_waits.items():
            if wait.expire_ns is not None:
                timers[f"{WAKE}/{version}"] = wait.expire_ns
        # One timer for all calls: a thousand of them would be written one by one.
        if (first := self._first_expiry()) is not None:
            timers[f"{EXPIRE}/{first[1]}"] = first[0]
        return timers

    @property
    def may_have_timers(self) -> bool:
        """Whether `due_timers` is worth a look."""
        history = self.history
        return bool(
            self.timers
            or self.expiries
            or self.retries
            or history.sleeps
            or history.signal_waits
        )

    def find_expiries(self) -> None:
        """Look through the open calls for those that must end in time."""
        calls = self.history.calls.items()
        ends = [(call.expire_ns, version) for version, call in calls]
        self.expiries = [(end, v) for end, v in ends if end is not None]
        heapq.heapify(self.expiries)

    def note_expiries(self, events: Iterable[Event]) -> None:
        """Look through *events*, which are new, for calls that must end in time."""
        for event in events:
            if type(event) is Call:
                version = event.version
            elif type(event) is Yield:
                version = event.call_version
            else:
                continue
            if event.expire_ns is None:
                # What its CALL said is known already.
                continue
            call = self.history.calls.get(version)
            if call is not None and (due_ns := call.expire_ns) is not None:
                heapq.heappush(self.expiries, (due_ns, version))

    def expired_calls(self, now_ns: int) -> list[int]:
        """Return the calls that have taken too long, the longest first."""
        return [v for due_ns, v in sorted(self.expiries) if due_ns <= now_ns]

    def has_expired(self, version: int, now_ns: int) -> bool:
        """Whether the call is open and has taken too long."""
        call = self.history.calls.get(version)
        end_ns = None if call is None else call.expire_ns
        return end_ns is not None and end_ns <= now_ns

    def _first_expiry(self) -> tuple[int, int] | None:
        while self.expiries:
            due_ns, version = self.expiries[0]
            call = self.history.calls.get(version)
            if call is not None and call.expire_ns == due_ns:
                return self.expiries[0]
            heapq.heappop(self.expiries)
        return None

    def forget_ended_calls(self) -> None:
        """Drop the records of attempts of calls that are not open any more."""
        open_calls = self.history.calls
        for version in [v for v in self.records if v not in open_calls]:
            del self.records[version]
            self.changed_records.add(version)
            self.retries.pop(version, None)

    def encoded_note(self) -> bytes:
        """Return the note that the store must keep."""
        if self.pause is None and self.segments is NO_RESTARTS and not self.lines:
            return b""
        return Note(self.pause, self.segments, self.create_ns, self.lines).encode()

    def take_prints(self, machine: Machine) -> None:
        """Take the lines that the script has printed."""
        lines, base = machine.lines, machine.history.base
        if base != self.lines_base:
            self.lines, self.lines_base = 0, base
        if lines == self.lines:
            return
        # A replay that ends too early has not printed all of them again.
        self.lines = max(self.lines, lines)
        self.prints += machine.take_prints()

    def settled_phase(self) -> Phase:
        """Return the phase of the run while its script stands still."""
        history = self.history
        if history.finish is not None:
            return Phase.FINISHED
        if self.pause is not None:
            return Phase.PAUSED
        if self.machine is None and self.phase is Phase.RUNNABLE:
            # Nobody has turned the script yet, so nobody knows that it stands still.
            return Phase.RUNNABLE
        if len(history.calls) > history.yields:
            return Phase.CALLING
        return Phase.DORMANT

    def kill_script(self) -> None:
        """Drop the interpreter."""
        machine, self.machine = self.machine, None
        if machine is not None:
            self.bury(machine)

    def forget_log(self) -> None:
        """Drop the interpreter and the log; both are made again from the store."""
        self.kill_script()
        self.ledger = None
        self.prints.clear()
        self.script = None
        self.is_loaded = self.is_new = False


@frozen
class Stored:
    """What a round has just stored."""

    run: LiveRun
    events: list[Event]
