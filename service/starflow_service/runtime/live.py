"""One run in memory."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starflow_backends.store import Phase
from starflow_service.engine.events import Event
from starflow_service.engine.history import History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Machine
from starflow_service.runtime.attempts import AttemptRecord
from starflow_service.runtime.types import PauseReason

WAKE, EXPIRE, RETRY = "wake", "expire", "retry"


@dataclass(frozen=True, slots=True)
class Pause:
    """Why the service parked a run."""

    reason: PauseReason
    message: str


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
    inbox: deque[Input] = field(default_factory=deque)
    # The inputs of the round under way.
    taken: list[Input] = field(default_factory=list)
    is_busy: bool = False
    is_loaded: bool = False
    # Whether the script has not been turned yet.
    is_new: bool = False
    # By the monotonic clock.
    used_at: float = 0.0
    # None: the log is not in memory.
    ledger: Ledger | None = None
    # None: no interpreter; the log may be in memory all the same.
    machine: Machine | None = None
    pause: Pause | None = None
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
        return self.open_ledger.history

    @property
    def open_ledger(self) -> Ledger:
        """The ledger of a run whose log is in memory."""
        if self.ledger is None:
            raise AssertionError(f"run {self.key} is not loaded")
        return self.ledger

    def due_timers(self) -> dict[str, int]:
        """Return the timers that the run must have in the store's index."""
        history = self.history
        if history.finish is not None or self.pause is not None:
            # A paused run's timers hold; they are derived again when it goes on.
            return {}
        timers = {f"{WAKE}/{v}": due for v, due in history.sleeps.items()}
        timers |= {f"{RETRY}/{v}": due for v, due in self.retries.items()}
        if history.yields:
            for version, call in history.calls.items():
                if call.yielded is not None and call.yielded.expire_ns is not None:
                    timers[f"{EXPIRE}/{version}"] = call.yielded.expire_ns
        return timers

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

    def forget_log(self) -> None:
        """Drop the interpreter and the log; both are made again from the store."""
        if self.machine is not None:
            self.machine.kill()
        self.machine = None
        self.ledger = None
        self.script = None
        self.is_loaded = self.is_new = False


@dataclass(frozen=True, slots=True)
class Stored:
    """What a round has just stored."""

    run: LiveRun
    events: list[Event]
