"""The log as the script meets it: first what is recorded, then what is new.

A tape is read at two occasions only, and that is what makes a replay switch between
branches as the run did when it lived:

* When no branch of the script can go on, one answer of the world is taken (`advance`),
  and then all branches that it made ready run until none is.
* When the script is sure to take a step (`step`), all answers that come before that
  step are taken first.  They make branches ready, and none of them runs yet.

Both are the same for recorded answers and for those that arrive live.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from starflow_service.engine import steps
from starflow_service.engine.errors import LogCorruptError, ReplayMismatch
from starflow_service.engine.events import (
    Call,
    Cancel,
    Drop,
    Event,
    Finish,
    RandInt,
    Restart,
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
)
from starflow_service.engine.history import STEPS
from starflow_service.engine.ledger import Answer, Arrival, Ledger, LoneWake
from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.limits import Limits

E = TypeVar(
    "E", Call, Sleep, TimeNow, RandInt, Finish, Wait, Drop, Status, Restart, Start
)
_ANSWERS = frozenset({Return, Resume, Wake, Cancel})


class Tape:
    """A ledger, with the events that were recorded before and are to be met again."""

    __slots__ = (
        "_cursor",
        "_end",
        "_inbox",
        "_limits",
        "_quietly_woken",
        "_recorded",
        "hand_over",
        "history",
        "is_live",
        "ledger",
    )

    def __init__(self, ledger: Ledger, limits: Limits) -> None:
        self.ledger = ledger
        self.history = ledger.history
        # Whether anything new was written, or has come, since the log was loaded.
        self.is_live = True
        # Gives an answer to the script.
        self.hand_over: Callable[[Arrival], None]
        self._limits = limits
        self._recorded: Sequence[Event] = ()
        self._cursor = 0
        self._end = 0
        self._inbox: list[Arrival] = []
        # The last sleep whose end was seen by the step after it.
        self._quietly_woken: int | None = None

    def load(self, log: Sequence[Event]) -> None:
        """
        Take the events of a log; those of its last segment are to be met again.

        Raises:
            LogCorruptError: The log is none, or does not begin with START.
        """
        begin = max((n for n, e in enumerate(log) if type(e) is Start), default=None)
        if begin is None:
            raise LogCorruptError(1, "there is no START")
        for event in log[: begin + 1]:
            self.history.apply(event)
        self._recorded = tuple(log)
        self._end = len(self._recorded)
        self._cursor = begin + 1
        self.is_live = False

    @property
    def is_replaying(self) -> bool:
        """Whether recorded events are left."""
        return self._cursor < self._end

    def arrive(self, arrival: Arrival) -> None:
        """Take what came; the script gets it when it can do nothing else."""
        self._inbox.append(arrival)

    # Steps of the script

    def step(self, kind: type[E], asked: str) -> E | None:
        """
        Return the recorded event of the script's next step; None: it is new.

        Raises:
            ReplayMismatch: The log holds another step; *asked* words what was asked.
        """
        event = self.catch_up()
        if event is None or isinstance(event, kind):
            return event
        raise self.mismatch(event, asked)

    def catch_up(self) -> Event | None:
        """Take the answers before the next step, which is sure; return its event."""
        while self._cursor < self._end:
            event = self._peek()
            if event is None:
                break
            if type(event) in STEPS:
                return event
            self._answer(event)
        if self._inbox or self.ledger.arrivals:
            self.is_live = True
            self._inbox += self.ledger.take_arrivals()
            while self._inbox:
                self.hand_over(self._inbox.pop(0))
        return None

    def consume(self, event: Event) -> None:
        """The recorded event *event* has had its effect."""
        self.history.apply(event)
        self._cursor += 1

    def record(self, event: Event) -> None:
        """
        Add a new event, made with `Ledger.next`.

        Raises:
            LimitError: The log, or its present segment, is as long as it may be.
        """
        limit = self._limits.max_events
        if event.version - self.history.base > limit:
            raise LimitError(
                "max_events",
                f"the run has {limit} events, the most that one may have"
                " (flow.restart begins a new log)",
            )
        self.is_live = True
        self.ledger.record(event)

    def record_end(self, event: Event) -> None:
        """Add a new event, however long the log is."""
        self.is_live = True
        self.ledger.record(event)

    def mismatch(self, event: Event, asked: str) -> ReplayMismatch:
        """Return the error of a script that left its log at *event*."""
        return ReplayMismatch(event.version, steps.describe(event), asked)

    # Answers of the world

    def advance(self, asked: str) -> bool:
        """
        Take the next answer, for no branch can go on; False: there is none.

        Raises:
            ReplayMismatch: The log holds a step instead.
        """
        event = self._peek() if self._cursor < self._end else None
        if event is None:
            if not self._inbox:
                if not self.ledger.arrivals:
                    return False
                self._inbox = self.ledger.take_arrivals()
            self.is_live = True
            self.hand_over(self._inbox.pop(0))
        elif type(event) not in STEPS:
            self._answer(event)
        elif not self._wake_quietly():
            raise self.mismatch(event, asked)
        return True

    def _wake_quietly(self) -> bool:
        """End the sleep whose end the next step proves, if there is one."""
        sleep = self.history.quiet_sleep
        if sleep is None or sleep == self._quietly_woken:
            return False
        if not self.history.ends_quietly(sleep):
            return False
        self._quietly_woken = sleep
        self.hand_over(LoneWake(sleep))
        return True

    def _answer(self, event: Event) -> None:
        """Take a recorded answer."""
        if type(event) is Signal and event.name:
            waiter = self.history.waiter(event.name)
            self.consume(event)
            if waiter is not None:
                self.hand_over(Answer(waiter, event.result))
            return
        self.consume(event)
        if type(event) in _ANSWERS:
            # The others, a YIELD or a kept signal, change nothing for the script.
            self.hand_over(event)  # type: ignore[arg-type]

    def _peek(self) -> Event | None:
        """Return the next recorded event that has a meaning, or None at the end."""
        while self._cursor < self._end:
            event = self._recorded[self._cursor]
            if type(event) is not Unknown:
                return event
            self.consume(event)
        return None
