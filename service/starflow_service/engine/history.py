"""What a log says, folded event by event.

The fold needs no interpreter: it is how a server that starts learns which calls to hand
out, how `GetRun` describes a run that is not in memory, and where the rules of the log
are kept.  The rules, per call:

    (nothing) --CALL--> open --RETURN--> ended
                        open --YIELD--> yielded --RESUME--> ended
                        open --SIGNAL--> open, with a kept signal

and for the log as a whole: START is first and only first, nothing follows FINISH, and
versions count from 1 without a gap.

A sleep ends by WAKE.  A sleep that is the only wait of a script without branches ends
without an event: the script's next step is the proof that it went on.  So a sequential
script leaves exactly the sequence that the Go original leaves.

A WAIT takes the oldest signal of its name that nobody has read; if there is none, it is
open until a SIGNAL of the name, or a WAKE, comes.  DROP closes what the script has
given up.  CANCEL closes nothing: it is a wish, and the DROP that follows shows when the
script has heard it.

RESTART begins the log again: nothing stays open, and START follows, then the signals by
name that nobody has read, once more.  So the events since the last START, the present
segment, are all that a run needs to go on.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Any, ClassVar

from starflow_service.engine.errors import (
    AnsweredError,
    LogCorruptError,
    NotWaitingError,
    TooManySignalsError,
    UnknownSignalError,
)
from starflow_service.engine.events import (
    Call,
    Cancel,
    Drop,
    Event,
    Failure,
    Finish,
    RandInt,
    Restart,
    Result,
    Resume,
    Return,
    Signal,
    Sleep,
    Start,
    Status,
    TimeNow,
    Unknown,
    Wait,
    Wake,
    Yield,
)

# Signals by name that nobody has read: how many a run keeps, and their bytes.
UNREAD_SIGNALS_MAX = 1_000
UNREAD_BYTES_MAX = 16 * 1024 * 1024
# Request ids of signals that are remembered, to know repeated ones by.
REQUEST_IDS_MAX = 10_000


@dataclass(slots=True)
class OpenCall:
    """A call without a result."""

    call: Call
    yielded: Yield | None = None
    # A signal that came before the YIELD.
    kept: Result | None = None

    @property
    def expire_ns(self) -> int | None:
        """When the call, or what it yielded for, has taken too long; None: never."""
        bound = self.call.expire_ns
        until = None if self.yielded is None else self.yielded.expire_ns
        if bound is None or until is None:
            return until if bound is None else bound
        return min(bound, until)


class SignalAnswer(Enum):
    """What a run does with a signal that it takes."""

    RESUME = "resume"
    KEEP = "keep"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Answered:
    """A signal id that has its answer."""

    call_version: int
    # The version of the RESUME.
    version: int
    result: Result


# The steps of a script: what can prove that a lone sleep has ended.
STEPS = frozenset({Call, Sleep, TimeNow, RandInt, Finish, Wait, Drop, Status, Restart})


class History:
    """
    The state that the events applied so far amount to.

    *base* is the version before the first event, for a log that is read from one of its
    segments on.
    """

    __slots__ = (
        "_known_requests",
        "_waiting",
        "answered",
        "base",
        "calls",
        "cancel",
        "carried",
        "finish",
        "last_ns",
        "quiet_sleep",
        "restart",
        "restarts",
        "signal_ids",
        "signal_waits",
        "sleeps",
        "start",
        "status",
        "unread",
        "unread_bytes",
        "unread_count",
        "version",
        "yields",
    )

    def __init__(self, base: int = 0) -> None:
        self.version = base
        # The version before the START of the present segment.
        self.base = base
        # The stamp of the last event; stamps never go back.
        self.last_ns = 0
        # Of the present segment.
        self.start: Start | None = None
        self.finish: Finish | None = None
        self.cancel: Cancel | None = None
        # The last event, if START has to follow it.
        self.restart: Restart | None = None
        # How often the script began again, as far as these events tell.
        self.restarts = 0
        # JSON text that the script set last, in the present segment.
        self.status: str | None = None
        # Open calls by the version of their CALL, oldest first.
        self.calls: dict[int, OpenCall] = {}
        # Open sleeps by version: when they end.
        self.sleeps: dict[int, int] = {}
        # Open WAITs by version, oldest first.
        self.signal_waits: dict[int, Wait] = {}
        # Signals by name that nobody has read, oldest first.
        self.unread: dict[str, deque[Signal]] = {}
        self.unread_count = 0
        self.unread_bytes = 0
        # Those that were unread at RESTART, to be recorded again after START.
        self.carried: list[Signal] = []
        # Signal ids of open calls.
        self.signal_ids: dict[str, int] = {}
        self.answered: dict[str, Answered] = {}
        # How many of the open calls have yielded.
        self.yields = 0
        # The open sleep that may end without an event.
        self.quiet_sleep: int | None = None
        # Versions of the open WAITs of each name, oldest first.
        self._waiting: dict[str, dict[int, None]] = {}
        # Versions and digests of signals by name and request id.
        self._known_requests: dict[tuple[str, str], tuple[int, bytes]] = {}

    def apply(self, event: Event) -> None:
        """
        Take the next event.

        Raises:
            LogCorruptError: No engine writes this event here.
        """
        if event.version != self.version + 1:
            raise LogCorruptError(
                event.version, f"it follows event {self.version}: there is a gap"
            )
        if self.finish is not None:
            raise LogCorruptError(event.version, f"{event.NAME} after FINISH")
        if (self.start is None) is not (type(event) is Start):
            raise LogCorruptError(
                event.version, f"{event.NAME}: START is first, and only first"
            )
        if self.quiet_sleep is not None and type(event) in STEPS:
            self._end_quiet_sleep(event)
        self._APPLY[type(event)](self, event)
        self.version = event.version
        self.last_ns = event.time_ns

    # What stands open

    @property
    def waits(self) -> int:
        """How many calls, sleeps and waits for signals are open."""
        return len(self.calls) + len(self.sleeps) + len(self.signal_waits)

    @property
    def events(self) -> int:
        """How many events the present segment has."""
        return self.version - self.base

    def open_versions(self) -> tuple[int, ...]:
        """Return the versions of all that is open, ascending."""
        return tuple(sorted((*self.calls, *self.sleeps, *self.signal_waits)))

    def ends_quietly(self, sleep_version: int) -> bool:
        """Whether a sleep, if it ended now, would end without an event."""
        return self.quiet_sleep == sleep_version and self.waits == 1

    # Signals

    def waiter(self, name: str) -> int | None:
        """Return the version of the WAIT that the next signal *name* answers."""
        waiting = self._waiting.get(name)
        return next(iter(waiting)) if waiting else None

    def next_unread(self, name: str) -> Signal | None:
        """Return the signal that answers the next WAIT for *name* at once."""
        kept = self.unread.get(name)
        return kept[0] if kept else None

    def unread_signals(self) -> list[Signal]:
        """Return the signals by name that nobody has read, oldest first."""
        return sorted(
            (signal for kept in self.unread.values() for signal in kept),
            key=lambda signal: signal.version,
        )

    def knows_request(self, name: str, request_id: str) -> bool:
        """Whether a signal *name* with this request id came before."""
        return (name, request_id) in self._known_requests

    def judge_named(
        self, name: str, request_id: str, result: Result, *, only_if_waiting: bool
    ) -> tuple[SignalAnswer, int]:
        """
        Say what to do with a signal by name.

        With it comes, for a duplicate, the version of the SIGNAL before it, else 0.

        Raises:
            AnsweredError: The request id came before, with another content.
            NotWaitingError: Nobody waits now, and the signal must not be kept.
            TooManySignalsError: Nobody waits, and no more signals can be kept.
        """
        before = self._known_requests.get((name, request_id))
        if before is not None:
            if before[1] != _digest(result):
                raise AnsweredError(request_id)
            return SignalAnswer.DUPLICATE, before[0]
        if self.waiter(name) is not None:
            return SignalAnswer.RESUME, 0
        if only_if_waiting:
            raise NotWaitingError(name)
        if (
            self.unread_count >= UNREAD_SIGNALS_MAX
            or self.unread_bytes + _size(result) > UNREAD_BYTES_MAX
        ):
            raise TooManySignalsError(name)
        return SignalAnswer.KEEP, 0

    def judge_signal(
        self, signal_id: str, result: Result, *, only_if_waiting: bool
    ) -> tuple[SignalAnswer, int]:
        """
        Say what to do with a signal, and the version of its RESUME if it has one.

        Raises:
            UnknownSignalError: The run never had this id.
            NotWaitingError: It does not wait now, and must not keep the signal.
            AnsweredError: The id was answered before, with another content.
        """
        if (before := self.answered.get(signal_id)) is not None:
            if before.result != result:
                raise AnsweredError(signal_id)
            return SignalAnswer.DUPLICATE, before.version
        call_version = self.signal_ids.get(signal_id)
        if call_version is None:
            raise UnknownSignalError(signal_id)
        call = self.calls[call_version]
        if call.yielded is not None:
            return SignalAnswer.RESUME, 0
        if call.kept is not None:
            if call.kept != result:
                raise AnsweredError(signal_id)
            return SignalAnswer.DUPLICATE, 0
        if only_if_waiting:
            raise NotWaitingError(signal_id)
        return SignalAnswer.KEEP, 0

    # The rules, event by event

    def _end_quiet_sleep(self, event: Event) -> None:
        version = self.quiet_sleep
        if isinstance(event, Drop) and version in event.dropped_versions:
            return
        if self.waits > 1:
            raise LogCorruptError(
                event.version, f"{event.NAME} during a sleep that no WAKE has ended"
            )
        self.sleeps.clear()
        self.quiet_sleep = None

    def _open_call(self, call_version: int, event: Event) -> OpenCall:
        call = self.calls.get(call_version)
        if call is None:
            raise LogCorruptError(
                event.version, f"{event.NAME} of call {call_version}, which is not open"
            )
        return call

    def _end_call(self, call_version: int) -> None:
        call = self.calls.pop(call_version)
        del self.signal_ids[call.call.signal_id]
        if call.yielded is not None:
            self.yields -= 1

    def _end_sleep(self, version: int) -> None:
        del self.sleeps[version]
        if self.quiet_sleep == version:
            self.quiet_sleep = None

    def _end_wait(self, version: int) -> None:
        name = self.signal_waits.pop(version).name
        waiting = self._waiting[name]
        del waiting[version]
        if not waiting:
            del self._waiting[name]

    def _end(self, version: int, event: Event) -> None:
        if version in self.calls:
            self._end_call(version)
        elif version in self.sleeps:
            self._end_sleep(version)
        elif version in self.signal_waits:
            self._end_wait(version)
        else:
            raise LogCorruptError(
                event.version, f"{event.NAME} of event {version}, which is not open"
            )

    def _on_start(self, event: Start) -> None:
        self.start = event
        self.restart = None
        self.base = event.version - 1

    def _on_call(self, event: Call) -> None:
        self.calls[event.version] = OpenCall(event)
        self.signal_ids[event.signal_id] = event.version

    def _on_return(self, event: Return) -> None:
        if self._open_call(event.call_version, event).yielded is not None:
            raise LogCorruptError(event.version, "RETURN of a call that has yielded")
        self._end_call(event.call_version)

    def _on_yield(self, event: Yield) -> None:
        call = self._open_call(event.call_version, event)
        if call.yielded is not None:
            raise LogCorruptError(event.version, "a second YIELD of one call")
        call.yielded = event
        self.yields += 1

    def _on_resume(self, event: Resume) -> None:
        if self._open_call(event.call_version, event).yielded is None:
            raise LogCorruptError(event.version, "RESUME without YIELD")
        self._end_call(event.call_version)
        self.answered[event.signal_id] = Answered(
            event.call_version, event.version, event.result
        )

    def _on_signal(self, event: Signal) -> None:
        if event.name:
            self._on_named_signal(event)
            return
        call_version = self.signal_ids.get(event.signal_id)
        if call_version is None:
            raise LogCorruptError(event.version, "SIGNAL that no call waits for")
        self.calls[call_version].kept = event.result

    def _on_named_signal(self, event: Signal) -> None:
        if event.request_id:
            self._remember(event)
        waiter = self.waiter(event.name)
        if waiter is not None:
            self._end_wait(waiter)
            return
        self.unread.setdefault(event.name, deque()).append(event)
        self.unread_count += 1
        self.unread_bytes += _size(event.result)

    def _remember(self, event: Signal) -> None:
        known = self._known_requests
        # A signal that is carried over a restart is as recent as its last record.
        known.pop((event.name, event.request_id), None)
        if len(known) >= REQUEST_IDS_MAX:
            del known[next(iter(known))]
        known[event.name, event.request_id] = (event.version, _digest(event.result))

    def _on_wait(self, event: Wait) -> None:
        kept = self.unread.get(event.name)
        if kept is None:
            self.signal_waits[event.version] = event
            self._waiting.setdefault(event.name, {})[event.version] = None
            return
        self.unread_count -= 1
        self.unread_bytes -= _size(kept.popleft().result)
        if not kept:
            del self.unread[event.name]

    def _on_sleep(self, event: Sleep) -> None:
        self.sleeps[event.version] = event.wake_ns
        if not event.explicit_wake:
            self.quiet_sleep = event.version

    def _on_wake(self, event: Wake) -> None:
        if event.sleep_version in self.calls:
            raise LogCorruptError(event.version, "WAKE of a call")
        self._end(event.sleep_version, event)

    def _on_drop(self, event: Drop) -> None:
        for version in event.dropped_versions:
            self._end(version, event)

    def _on_cancel(self, event: Cancel) -> None:
        if self.cancel is not None:
            raise LogCorruptError(event.version, "a second CANCEL")
        self.cancel = event

    def _on_status(self, event: Status) -> None:
        self.status = event.status

    def _on_restart(self, event: Restart) -> None:
        if self.cancel is not None:
            raise LogCorruptError(event.version, "RESTART after CANCEL")
        for version in self.open_versions():
            self._end(version, event)
        self.carried = self.unread_signals()
        self.unread.clear()
        self.unread_count = self.unread_bytes = 0
        self.answered.clear()
        self.status = None
        self.restart = event
        self.restarts += 1
        self.start = None

    def _on_finish(self, event: Finish) -> None:
        self.finish = event

    def _on_other(self, event: TimeNow | RandInt | Unknown) -> None:
        """These change nothing but the version."""

    _APPLY: ClassVar[dict[type, Any]] = {
        Start: _on_start,
        Call: _on_call,
        Return: _on_return,
        Yield: _on_yield,
        Resume: _on_resume,
        Signal: _on_signal,
        Sleep: _on_sleep,
        Wake: _on_wake,
        Wait: _on_wait,
        Drop: _on_drop,
        Cancel: _on_cancel,
        Status: _on_status,
        Restart: _on_restart,
        Finish: _on_finish,
        TimeNow: _on_other,
        RandInt: _on_other,
        Unknown: _on_other,
    }


def _size(result: Result) -> int:
    """Return about how many bytes a result takes, and more than none."""
    if isinstance(result, Failure):
        return 64 + len(result.message) + len(result.details or "")
    return 64 + len(result)


def _digest(result: Result) -> bytes:
    """Return what equal results have in common, without keeping them."""
    text = repr(result) if isinstance(result, Failure) else f"={result}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
