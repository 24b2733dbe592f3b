"""The open end of a log: where new events get their version and their stamp.

Two parties write here.  The script's steps come through `record`.  The answers of the
world - results, signals, the end of a sleep - come through the other methods, which
need no interpreter: a run that is paused, or not in memory as a script, still takes
them.

Nothing here is stored.  `take` hands the new events to the runtime, which stores them;
if it cannot, the ledger is thrown away with everything it says.
"""

from typing import Protocol, TypeAlias

from starflow_service.engine.events import (
    Cancel,
    Event,
    Failure,
    FailureKind,
    Result,
    Resume,
    Return,
    Signal,
    Wake,
    Yield,
)
from starflow_service.engine.frozen import frozen
from starflow_service.engine.history import History, SignalAnswer


class Sources(Protocol):
    """What the engine may know of the world, handed in."""

    def now_ns(self) -> int:
        """Return the time, in nanoseconds since the epoch."""
        ...

    def rand_below(self, limit: int) -> int:
        """Return a random number from 0 to *limit* - 1."""
        ...

    def nonce(self) -> str:
        """Return a short text that nobody can guess, for signal ids."""
        ...

    def call_timeout_ns(self, function: str) -> int | None:
        """Return how long a call of *function* may take, if a worker has said so."""
        ...


@frozen
class Answer:
    """A signal by name answers a WAIT; it has been recorded."""

    wait_version: int
    result: Result


@frozen
class LoneWake:
    """A sleep that was the only wait is over: the script's next step will show it."""

    sleep_version: int


# What can move a script that has blocked.
Arrival: TypeAlias = Return | Resume | Wake | Answer | Cancel | LoneWake


class Ledger:
    """A history that grows."""

    __slots__ = ("_lone_wake", "_new", "arrivals", "history", "sources")

    def __init__(self, history: History, sources: Sources) -> None:
        self.history = history
        self.sources = sources
        self._new: list[Event] = []
        # What came for the script and was not taken yet, in order.
        self.arrivals: list[Arrival] = []
        # The sleep that has ended without an event, so far.
        self._lone_wake: int | None = None

    def next(self) -> tuple[int, int]:
        """Return the next event's version and stamp; stamps never go back."""
        history, now_ns = self.history, self.sources.now_ns()
        return history.version + 1, max(now_ns, history.last_ns)

    def record(self, event: Event) -> None:
        """Add *event*, made with `next`."""
        self.history.apply(event)
        self._new.append(event)

    def take(self) -> list[Event]:
        """Return the new events, in order; each is handed out once."""
        new, self._new = self._new, []
        return new

    def take_arrivals(self) -> list[Arrival]:
        """Return what came for the script since the last call, in order."""
        arrivals, self.arrivals = self.arrivals, []
        return arrivals

    # What the world answers

    def returned(
        self,
        call_version: int,
        result: Result,
        *,
        attempts: int,
        worker_id: str,
        delivery: str,
    ) -> None:
        """A call ended with *result*."""
        self._arrived(
            Return(*self.next(), call_version, result, attempts, worker_id, delivery)
        )

    def yielded(
        self,
        call_version: int,
        timeout_ns: int | None,
        *,
        worker_id: str,
        delivery: str,
    ) -> None:
        """A call waits for a signal; one that was kept answers it at once."""
        call = self.history.calls[call_version]
        version, now = self.next()
        expire_ns = None if timeout_ns is None else now + timeout_ns
        signal_id = call.call.signal_id
        self.record(
            Yield(version, now, call_version, signal_id, expire_ns, worker_id, delivery)
        )
        if call.kept is not None:
            self.resumed(call_version, call.kept)

    def resumed(self, call_version: int, result: Result) -> int:
        """A yielded call got *result*; return the version of the RESUME."""
        signal_id = self.history.calls[call_version].call.signal_id
        version, now = self.next()
        self._arrived(Resume(version, now, call_version, signal_id, result))
        return version

    def expired(self, call_version: int, *, attempts: int = 0) -> None:
        """A call, or what it yielded for, took too long; *attempts* were made."""
        call = self.history.calls[call_version]
        function = call.call.function
        if call.yielded is None:
            failure = _timeout(f"{function} took longer than its timeout")
            self.returned(
                call_version, failure, attempts=attempts, worker_id="", delivery=""
            )
        else:
            signal_id = call.call.signal_id
            words = f"{function} waited too long for signal {signal_id}"
            self.resumed(call_version, _timeout(words))

    def signal(
        self, signal_id: str, result: Result, *, only_if_waiting: bool
    ) -> tuple[SignalAnswer, int]:
        """
        Take a signal; return what became of it, and the version of its RESUME or 0.

        Raises:
            SignalRefusal: See `History.judge_signal`.
        """
        answer, version = self.history.judge_signal(
            signal_id, result, only_if_waiting=only_if_waiting
        )
        if answer is SignalAnswer.RESUME:
            version = self.resumed(self.history.signal_ids[signal_id], result)
        elif answer is SignalAnswer.KEEP:
            self.record(Signal(*self.next(), signal_id, result))
        return answer, version

    def signal_by_name(
        self, name: str, request_id: str, result: Result, *, only_if_waiting: bool
    ) -> tuple[SignalAnswer, int]:
        """
        Take a signal by name; return what became of it, and the version of its SIGNAL.

        RESUME says that a WAIT was open.  Without a *request_id* no signal is known
        again.

        Raises:
            SignalRefusal: See `History.judge_named`.
        """
        answer, version = self.history.judge_named(
            name, request_id, result, only_if_waiting=only_if_waiting
        )
        if answer is SignalAnswer.DUPLICATE:
            return answer, version
        waiter = self.history.waiter(name)
        version, now = self.next()
        self.record(Signal(version, now, "", result, name, request_id))
        if waiter is not None:
            self.arrivals.append(Answer(waiter, result))
        return answer, version

    def cancel(self, reason: str) -> bool:
        """
        Ask the script to end, because of *reason*.

        Return whether this is the first time; only that is recorded.
        """
        if self.history.cancel is not None:
            return False
        asleep = self.history.quiet_sleep
        if asleep is not None and asleep == self._lone_wake:
            # The script goes on already, and a replay must know that it woke first.
            self.record(Wake(*self.next(), asleep))
        self._arrived(Cancel(*self.next(), reason))
        return True

    def woke(self, version: int) -> None:
        """A sleep is over, or a WAIT took too long."""
        if self.history.ends_quietly(version):
            self._lone_wake = version
            self.arrivals.append(LoneWake(version))
        else:
            self._arrived(Wake(*self.next(), version))

    def _arrived(self, event: Return | Resume | Wake | Cancel) -> None:
        self.record(event)
        self.arrivals.append(event)


def _timeout(message: str) -> Failure:
    return Failure("STARFLOW_TIMEOUT", message, FailureKind.TIMEOUT)
