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

The order of the answers in the log - RETURN, RESUME, WAKE, SIGNAL, CANCEL - is the
order in which the script sees them; `Tape` says when, in a replay as in life.  A
script that waits where the log has a step of its own has left its log.

What decides anything here is what the script has seen: `_open` is what it waits for.
The history may be ahead of it, because the world writes while a script computes.

RESTART ends the script and begins it again, in the same turn, with nothing of the old
interpreter but its budget.

A machine is never repaired.  When an append fails, when the run is evicted, when the
replay left its log, the machine is killed and another is made from the log.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from starflow_service.engine import steps
from starflow_service.engine.beginning import LANGUAGE_VERSION as LANGUAGE_VERSION
from starflow_service.engine.beginning import record_start
from starflow_service.engine.errors import LogCorruptError, ReplayMismatch
from starflow_service.engine.events import Event, Failure
from starflow_service.engine.ledger import Arrival, Ledger
from starflow_service.engine.run_host import Print as Print
from starflow_service.engine.run_host import RunHost
from starflow_service.engine.tape import Tape
from starflow_service.starlark import jsontext
from starflow_service.starlark.errors import Abort, Cancelled, EvalError
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.outcomes import (
    SLICED,
    SUSPENDED,
    Aborted,
    Failed,
    Outcome,
    Restarted,
    Returned,
)
from starflow_service.starlark.program import Program
from starflow_service.starlark.thread import Thread

# What beginning again costs: a script that does nothing else must not go on for ever.
_RESTART_STEPS = 10_000


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

    __slots__ = (
        "_host",
        "_limits",
        "_prints",
        "_program",
        "_started",
        "_tape",
        "_thread",
        "abort",
        "history",
        "ledger",
    )

    def __init__(self, program: Program, ledger: Ledger, limits: Limits) -> None:
        self.ledger = ledger
        self.history = ledger.history
        self.abort: Abort | None = None
        self._program = program
        self._limits = limits
        self._tape = Tape(ledger, limits)
        # Lines that were printed before the script began again.
        self._prints: list[Print] = []
        self._begin_script()

    def _begin_script(self) -> None:
        self._host = RunHost(self._tape, self._limits)
        self._thread = Thread(self._program, self._host, self._limits)
        self._host.bind(self._thread.meter)
        self._started = False

    # Making

    def begin(
        self,
        script_hash: str,
        payload: str,
        labels: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Begin a new run with *payload*, JSON text, as its input."""
        record_start(self._tape, script_hash, payload, labels or {}, headers or {})

    def load(self, log: Sequence[Event], *, printed: int | None) -> None:
        """
        Take a log to be replayed by the next turns: its last segment, or more.

        *printed* is how many of the present segment's lines were handed out before;
        None: all that the replay prints.

        Raises:
            LogCorruptError: The log does not begin with START.
        """
        self._tape.load(log)
        self._host.old_lines = printed

    # Turning

    def turn(self) -> Turn:
        """Run the script until it waits, ends, or has used up its time slice."""
        outcome = self._go_on()
        try:
            while outcome is SUSPENDED:
                if not self._host.stir():
                    return Turn.BLOCKED
                outcome = self._thread.resume()
        except ReplayMismatch as mismatch:
            mismatch.stack = self._thread.stack()
            return self._park(mismatch)
        if outcome is SLICED:
            return Turn.SLICED
        return self._end(outcome)

    def kill(self) -> None:
        """Drop the interpreter.  A machine must not be dropped in another way."""
        self._thread.kill()
        self._host.part()

    @property
    def meter(self) -> Meter:
        """What the script has left, and how long its slices are."""
        return self._thread.meter

    @property
    def is_replaying(self) -> bool:
        """Whether recorded events are left."""
        return self._tape.is_replaying

    def take_prints(self) -> list[Print]:
        """Return the lines printed for the first time; each is handed out once."""
        prints = self._prints + self._host.prints
        self._prints, self._host.prints = [], []
        return prints

    @property
    def lines(self) -> int:
        """How many lines the script has printed in the present segment."""
        return self._host.lines

    def arrive(self, arrival: Arrival) -> None:
        """Give the blocked script what came for it; then turn, before the next."""
        self._tape.arrive(arrival)

    def _go_on(self) -> Outcome:
        """Let the script run as far as it can by itself."""
        meter = self._thread.meter
        meter.begin_slice()
        if self._started:
            return self._thread.resume() if meter.branches.is_runnable else SUSPENDED
        self._started = True
        return self._thread.start(self._input)

    def _end(self, outcome: Outcome) -> Turn:
        if isinstance(outcome, Restarted):
            return self._begin_again()
        if isinstance(outcome, Returned):
            return Turn.FINISHED
        if isinstance(outcome, Failed):
            return self._fail(steps.failure_of(outcome.error), outcome.error)
        assert isinstance(outcome, Aborted), "there is no other outcome"
        if isinstance(outcome.abort, Cancelled):
            return self._fail(steps.cancellation(outcome.abort), outcome.abort)
        return self._park(outcome.abort)

    def _park(self, abort: Abort) -> Turn:
        self.abort = abort
        return Turn.PARKED

    def _begin_again(self) -> Turn:
        before = self._thread
        self.kill()
        self._prints += self._host.prints
        self._begin_script()
        self._thread.meter.succeed(before.meter, _RESTART_STEPS)
        return Turn.SLICED

    def _input(self, m: Meter) -> Any:
        start = self.history.start
        if start is None:
            raise LogCorruptError(1, "there is no START")
        return jsontext.decode(m, start.input)

    def _fail(self, failure: Failure, error: EvalError | Cancelled) -> Turn:
        try:
            self._host.end(failure)
        except ReplayMismatch as mismatch:
            mismatch.stack = error.stack
            return self._park(mismatch)
        return Turn.FINISHED
