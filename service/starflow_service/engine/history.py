"""What a log says, folded event by event.

The fold needs no interpreter: it is how a server that starts learns which calls to hand
out, how `GetRun` describes a run that is not in memory, and where the rules of the log
are kept.  The rules, per call:

    (nothing) --CALL--> open --RETURN--> ended
                        open --YIELD--> yielded --RESUME--> ended
                        open --SIGNAL--> open, with a kept signal

and for the log as a whole: START is first and only first, nothing follows FINISH, and
versions count from 1 without a gap.

A sleep ends by WAKE.  A sleep that is the only wait of its run ends without an event:
the script's next step is the proof that it went on.  So a sequential script leaves
exactly the sequence that the Go original leaves.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from starflow_service.engine.errors import (
    AnsweredError,
    LogCorruptError,
    NotWaitingError,
    UnknownSignalError,
)
from starflow_service.engine.events import (
    Call,
    Event,
    Finish,
    RandInt,
    Result,
    Resume,
    Return,
    Signal,
    Sleep,
    Start,
    TimeNow,
    Unknown,
    Wake,
    Yield,
)


@dataclass(slots=True)
class OpenCall:
    """A call without a result."""

    call: Call
    yielded: Yield | None = None
    # A signal that came before the YIELD.
    kept: Result | None = None


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
_STEPS = (Call, Sleep, TimeNow, RandInt, Finish)


class History:
    """The state that the events applied so far amount to."""

    __slots__ = (
        "answered",
        "calls",
        "finish",
        "last_ns",
        "signal_ids",
        "sleeps",
        "start",
        "version",
        "yields",
    )

    def __init__(self) -> None:
        self.version = 0
        # The stamp of the last event; stamps never go back.
        self.last_ns = 0
        self.start: Start | None = None
        self.finish: Finish | None = None
        # Open calls by the version of their CALL, oldest first.
        self.calls: dict[int, OpenCall] = {}
        # Open sleeps by version: when they end.
        self.sleeps: dict[int, int] = {}
        # Signal ids of open calls.
        self.signal_ids: dict[str, int] = {}
        self.answered: dict[str, Answered] = {}
        # How many of the open calls have yielded.
        self.yields = 0

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
        if self.sleeps and isinstance(event, _STEPS):
            self._end_lone_sleep(event)
        self._APPLY[type(event)](self, event)
        self.version = event.version
        self.last_ns = event.time_ns

    @property
    def waits(self) -> int:
        """How many calls and sleeps are open."""
        return len(self.calls) + len(self.sleeps)

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

    def _end_lone_sleep(self, event: Event) -> None:
        if self.waits > 1:
            raise LogCorruptError(
                event.version, f"{event.NAME} during a sleep that no WAKE has ended"
            )
        self.sleeps.clear()

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

    def _on_start(self, event: Start) -> None:
        self.start = event

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
        self.yields -= 1
        self.answered[event.signal_id] = Answered(
            event.call_version, event.version, event.result
        )

    def _on_signal(self, event: Signal) -> None:
        call_version = self.signal_ids.get(event.signal_id)
        if call_version is None:
            raise LogCorruptError(event.version, "SIGNAL that no call waits for")
        self.calls[call_version].kept = event.result

    def _on_sleep(self, event: Sleep) -> None:
        self.sleeps[event.version] = event.wake_ns

    def _on_wake(self, event: Wake) -> None:
        if self.sleeps.pop(event.sleep_version, None) is None:
            raise LogCorruptError(event.version, "WAKE of a sleep that is not open")

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
        Finish: _on_finish,
        TimeNow: _on_other,
        RandInt: _on_other,
        Unknown: _on_other,
    }
