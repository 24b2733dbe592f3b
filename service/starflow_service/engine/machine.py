"""One run, live or replayed: events in, new events out.

Theory of operation
-------------------

The script runs on its own greenlet and asks for steps through `Host`.  Each step has
one of two lives:

* **Replay**: the log has an event for it.  The event must be what the script asks for
  now - else the run left its log, and `ReplayMismatch` ends the turn - and its recorded
  answer is given.
* **Live**: the log is used up.  The step becomes a new event of the ledger; nothing of
  it may leave the process before it is stored.

Live and replay are one path: the script sees only values that were decoded from payload
text, and results reach it through `_results` alone, whoever put them there.

The order of RETURN, RESUME and WAKE in the log is the order in which the script saw
them. Live, this holds because the runtime delivers one of them at a time and turns the
machine until it blocks.  In replay, the script takes the next of them when it waits.  A
script that waits where the log has a step of its own has left its log.

A machine is never repaired.  When an append fails, when the run is evicted, when the
replay left its log, the machine is killed and another is made from the log.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, TypeVar

from starflow_service.engine import steps
from starflow_service.engine.errors import LogCorruptError, ReplayMismatch
from starflow_service.engine.events import (
    Call,
    Event,
    Failure,
    Finish,
    RandInt,
    Result,
    Resume,
    Return,
    Sleep,
    Start,
    TimeNow,
    Unknown,
    Wake,
)
from starflow_service.engine.ledger import Arrival, Ledger, LoneWake
from starflow_service.engine.stamps import format_rfc3339
from starflow_service.starlark import jsontext
from starflow_service.starlark.errors import Abort, EvalError, LimitError
from starflow_service.starlark.host import Future
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.outcomes import SLICED, SUSPENDED, Aborted, Failed
from starflow_service.starlark.program import Program
from starflow_service.starlark.seeded import SeededStream
from starflow_service.starlark.thread import Thread

LANGUAGE_VERSION = 1

E = TypeVar("E", Call, Sleep, TimeNow, RandInt, Finish)

# The events that a script makes, as against those with which the world answers.
_STEPS = (Call, Sleep, TimeNow, RandInt, Finish)


class Turn(Enum):
    """How a turn ended."""

    # The script waits; deliver something.
    BLOCKED = "blocked"
    # Its time slice is over; turn again, after others.
    SLICED = "sliced"
    # FINISH is among the new events, or was in the log.
    FINISHED = "finished"
    # The script cannot go on; `Machine.abort` says why.  Nothing was written.
    PARKED = "parked"


class Machine:
    """
    The interpreter of one run, at one place of its log.

    Make one and `begin` a new run or `load` a log, then `turn` it until it blocks.
    Then, again and again: `arrive` with one thing, `turn` until it blocks.  The new
    events are in the ledger.
    """

    def __init__(self, program: Program, ledger: Ledger, limits: Limits) -> None:
        self.ledger = ledger
        self.history = ledger.history
        self.abort: Abort | None = None
        # Lines that the script printed for the first time since the last `take_prints`.
        self._prints: list[str] = []
        self._limits = limits
        self._recorded: Sequence[Event] = ()
        self._cursor = 0
        # Whether the script stood still at the end of the log when it was stored: then
        # whatever it prints until something is delivered was printed before.
        self._settled = False
        # Results of calls that the script has not taken yet.
        self._results: dict[int, Result] = {}
        self._woken: set[int] = set()
        self._started = False
        # Made when the script first draws from it.
        self._stream: SeededStream | None = None
        self._thread = Thread(program, self, limits)

    # Making

    def begin(self, script_hash: str, payload: str) -> None:
        """Begin a new run with *payload*, JSON text, as its input."""
        version, now = self.ledger.next()
        self.ledger.record(Start(version, now, script_hash, payload, LANGUAGE_VERSION))

    def load(self, log: Sequence[Event], *, settled: bool) -> None:
        """
        Take a log to be replayed by the next turns.

        *settled* says that the log was stored while the script stood still.

        Raises:
            LogCorruptError: The log does not begin with START.
        """
        self.history.apply(log[0])
        self._recorded = tuple(log)
        self._cursor = 1
        self._settled = settled

    # Turning

    def turn(self) -> Turn:
        """Run the script until it waits, ends, or has used up its time slice."""
        if self._started:
            outcome = self._thread.resume()
        else:
            self._started = True
            outcome = self._thread.start(self._input)
        if outcome is SUSPENDED:
            return Turn.BLOCKED
        if outcome is SLICED:
            return Turn.SLICED
        if isinstance(outcome, Failed):
            return self._fail(outcome.error)
        if isinstance(outcome, Aborted):
            self.abort = outcome.abort
            return Turn.PARKED
        return Turn.FINISHED

    def kill(self) -> None:
        """Drop the interpreter.  A machine must not be dropped in another way."""
        self._thread.kill()

    @property
    def meter(self) -> Meter:
        """What the script has left, and how long its slices are."""
        return self._thread.meter

    @property
    def is_replaying(self) -> bool:
        """Whether recorded events are left."""
        return self._cursor < len(self._recorded)

    def take_prints(self) -> list[str]:
        """Return the lines printed for the first time; each is handed out once."""
        prints, self._prints = self._prints, []
        return prints

    def arrive(self, arrival: Arrival) -> None:
        """Give the blocked script what came for it; then turn, before the next."""
        self._settled = False
        self._hand_over(arrival)

    # Host: what the script asks for.  These run on the script's greenlet.

    def call(self, m: Meter, function: str, req: Any) -> Any:
        """See `Host.call`."""
        future = self.start(m, function, req)
        self._wait_for(m, future)
        return self._value(m, self._results.pop(future.call_version))

    def start(self, m: Meter, function: str, req: Any) -> Future:
        """See `Host.start`."""
        text = jsontext.encode(m, req, what="req")
        recorded = self._recorded_step(Call, lambda: f"calls {function}")
        if recorded is None:
            self._check_open_calls()
            version, now = self.ledger.next()
            signal_id = f"{version}-{self.ledger.sources.nonce()}"
            self._record(Call(version, now, function, text, signal_id))
            return Future(version, function)
        difference = steps.call_difference(recorded, function, text)
        if difference:
            raise self._mismatch(recorded, difference)
        self._consume(recorded)
        return Future(recorded.version, function)

    def wait(self, m: Meter, futures: list[Future]) -> list[Any]:
        """See `Host.wait`."""
        for future in futures:
            self._wait_for(m, future)
        return [self._value(m, self._results[f.call_version]) for f in futures]

    def sleep(self, m: Meter, duration_ns: int) -> None:
        """See `Host.sleep`."""
        self._sleep(m, lambda now: now + duration_ns)

    def sleep_until(self, m: Meter, wake_ns: int) -> None:
        """See `Host.sleep_until`."""
        self._sleep(m, lambda now: max(now, wake_ns))

    def _sleep(self, m: Meter, wake: Callable[[int], int]) -> None:
        recorded = self._recorded_step(Sleep, lambda: "sleeps")
        if recorded is None:
            version, now = self.ledger.next()
            wake_ns = wake(now)
            limit = self._limits.max_sleep_ns
            if wake_ns - now > limit:
                # Only a limit may depend on the clock: no script can hold it, so no log
                # depends on it.
                raise LimitError(
                    "max_sleep_ns", f"a sleep of more than {limit // 10**9} seconds"
                )
            self._record(Sleep(version, now, wake_ns))
        else:
            version = recorded.version
            self._consume(recorded)
        while version not in self._woken:
            if self._ended_silently():
                return
            self._wait_once(m, lambda: f"sleeps (event {version})")
        self._woken.discard(version)

    def now(self, m: Meter) -> str:
        """See `Host.now`."""
        recorded = self._recorded_step(TimeNow, lambda: "reads the time")
        if recorded is None:
            version, value = self.ledger.next()
            self._record(TimeNow(version, value, value))
        else:
            value = recorded.value_ns
            self._consume(recorded)
        return format_rfc3339(value)

    def rand_int(self, m: Meter, limit: int) -> int:
        """See `Host.rand_int`."""
        recorded = self._recorded_step(RandInt, lambda: "draws a random number")
        if recorded is None:
            value = self.ledger.sources.rand_below(limit)
            self._record(RandInt(*self.ledger.next(), value))
        else:
            value = recorded.value
            if not 0 <= value < limit:
                asked = f"draws a number below {limit}"
                raise self._mismatch(recorded, asked)
            self._consume(recorded)
        return value

    def random_bytes(self, m: Meter, n: int) -> bytes:
        """See `Host.random_bytes`."""
        if self._stream is None:
            start = self.history.start
            assert start is not None, "a script runs after START"
            self._stream = SeededStream(start.seed)
        return self._stream.take(n)

    def print(self, m: Meter, text: str) -> None:
        """See `Host.print`."""
        if not self._settled and not self.is_replaying:
            self._prints.append(text)

    def finish(self, m: Meter, value: Any) -> None:
        """See `Host.finish`."""
        self._finish(jsontext.encode(m, value, what="result"))

    # Steps

    def _record(self, event: Event) -> None:
        if event.version > self._limits.max_events:
            raise LimitError(
                "max_events",
                f"the run has {self._limits.max_events} events, the most that one may"
                " have",
            )
        self.ledger.record(event)

    def _hand_over(self, arrival: Event | LoneWake) -> None:
        """Put an answer of the world where the script will find it."""
        self._thread.grant(1)
        if isinstance(arrival, Return | Resume):
            self._results[arrival.call_version] = arrival.result
        elif isinstance(arrival, Wake | LoneWake):
            self._woken.add(arrival.sleep_version)

    def _peek(self) -> Event | None:
        """Return the next recorded event that has a meaning, or None at the end."""
        while self._cursor < len(self._recorded):
            event = self._recorded[self._cursor]
            if type(event) is not Unknown:
                return event
            self._consume(event)
        return None

    def _consume(self, event: Event) -> None:
        self.history.apply(event)
        self._cursor += 1

    def _recorded_step(self, kind: type[E], asked: Callable[[], str]) -> E | None:
        """
        Return the recorded event of the script's next step; None: it is new.

        Answers of the world that come first in the log arrived while the run was paused
        between two steps.
        """
        event = self._peek()
        while event is not None and not isinstance(event, _STEPS):
            self._consume(event)
            self._hand_over(event)
            event = self._peek()
        if event is None or isinstance(event, kind):
            return event
        raise self._mismatch(event, asked())

    def _mismatch(self, event: Event, asked: str) -> ReplayMismatch:
        return ReplayMismatch(event.version, steps.describe(event), asked)

    def _wait_for(self, m: Meter, future: Future) -> None:
        while future.call_version not in self._results:
            self._wait_once(
                m, lambda: f"waits for {future.function} (event {future.call_version})"
            )

    def _wait_once(self, m: Meter, asked: Callable[[], str]) -> None:
        """Take the next recorded answer of the world, or wait for a live one."""
        event = self._peek()
        if event is None:
            m.suspend()
        elif isinstance(event, _STEPS):
            raise self._mismatch(event, asked())
        else:
            self._consume(event)
            self._hand_over(event)

    def _ended_silently(self) -> bool:
        """Whether the log shows that the sleep, the only wait, is over."""
        return self.history.waits == 1 and isinstance(self._peek(), _STEPS)

    def _value(self, m: Meter, result: Result) -> Any:
        if isinstance(result, Failure):
            raise EvalError(f"{result.code}: {result.message}", cause=result)
        return jsontext.decode(m, result)

    def _check_open_calls(self) -> None:
        limit = self._limits.max_open_calls
        if len(self.history.calls) >= limit:
            raise LimitError(
                "max_open_calls",
                f"{limit} calls are open, the most that a run may have",
            )

    # The end

    def _input(self, m: Meter) -> Any:
        start = self.history.start
        if start is None:
            raise LogCorruptError(1, "there is no START")
        return jsontext.decode(m, start.input)

    def _finish(self, result: Result) -> None:
        recorded = self._recorded_step(Finish, lambda: "ends")
        if recorded is None:
            # Over `max_events` or not: the end is always recorded.
            self.ledger.record(Finish(*self.ledger.next(), result))
            return
        difference = steps.finish_difference(recorded, result)
        if difference:
            raise self._mismatch(recorded, difference)
        self._consume(recorded)

    def _fail(self, error: EvalError) -> Turn:
        try:
            self._finish(steps.failure_of(error))
        except ReplayMismatch as mismatch:
            mismatch.stack = error.stack
            self.abort = mismatch
            return Turn.PARKED
        return Turn.FINISHED
