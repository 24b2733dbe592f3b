"""Drives a machine without a runtime: functions are Python's, time is a number."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from starflow_service.engine.events import (
    Call,
    Event,
    Failure,
    RandInt,
    Result,
    Start,
)
from starflow_service.engine.history import STEPS, History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Machine, Turn
from starflow_service.starlark.bundle import Bundle, Source
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.program import (
    Program,
    compile_bundle,
    compile_program,
)

SECOND = 1_000_000_000


@dataclass
class WaitForSignal:
    """What a function returns to yield."""

    timeout_ns: int | None = None


class World:
    """Time that advances by itself, and seeded chance."""

    def __init__(self, seed: int = 1) -> None:
        self.time_ns = 1_700_000_000 * SECOND
        self._random = Random(seed)
        # Nanoseconds, by function.
        self.call_timeouts: dict[str, int] = {}

    def now_ns(self) -> int:
        self.time_ns += 1000
        return self.time_ns

    def rand_below(self, limit: int) -> int:
        return self._random.randrange(limit)

    def nonce(self) -> str:
        return f"{self._random.getrandbits(32):08x}"

    def call_timeout_ns(self, function: str) -> int | None:
        return self.call_timeouts.get(function)


class LogWorld:
    """Tells a machine what a log says that the world was like at each version."""

    def __init__(self, log: Sequence[Event]) -> None:
        self._log = log
        self._halves = 0
        self.history = History()

    def now_ns(self) -> int:
        event = self._next()
        return 0 if event is None else event.time_ns

    def rand_below(self, limit: int) -> int:
        event = self._next()
        return event.value if isinstance(event, RandInt) else 0

    def nonce(self) -> str:
        event = self._next()
        if isinstance(event, Start):
            # It is asked for in two halves.
            half = len(event.seed) // 2
            self._halves += 1
            return event.seed[:half] if self._halves % 2 else event.seed[half:]
        return event.signal_id.partition("-")[2] if isinstance(event, Call) else ""

    def call_timeout_ns(self, function: str) -> int | None:
        event = self._next()
        if not isinstance(event, Call) or event.expire_ns is None:
            return None
        return event.expire_ns - event.time_ns

    def _next(self) -> Event | None:
        version = self.history.version
        return self._log[version] if version < len(self._log) else None


Function = Callable[[Any], Any]


def compiled(script: Source) -> Program:
    """Compile a script of one file or of several."""
    if isinstance(script, Bundle):
        return compile_bundle(script)
    return _compiled_once(script)


# A run that is played in several ways is compiled for the first of them.
_compiled_once = lru_cache(maxsize=4)(compile_program)


@dataclass
class Run:
    """A run from START to its end, or to where nothing more happens by itself."""

    script: Source
    functions: Mapping[str, Function] = field(default_factory=dict)
    input: Any = None
    world: World = field(default_factory=World)
    limits: Limits = field(default_factory=Limits)
    # Picks which of several open calls and sleeps is answered next.
    chance: Random = field(default_factory=lambda: Random(0))
    log: list[Event] = field(default_factory=list)
    prints: list[str] = field(default_factory=list)
    turned: Turn | None = None

    def __post_init__(self) -> None:
        self.program = compiled(self.script)
        self.ledger = Ledger(History(), self.world)
        self.machine = Machine(self.program, self.ledger, self.limits)
        self.machine.begin("hash", json.dumps(self.input))
        self.turn()

    @property
    def history(self) -> History:
        return self.ledger.history

    @property
    def kinds(self) -> list[str]:
        return [event.NAME for event in self.log]

    @property
    def result(self) -> Result | None:
        return None if self.history.finish is None else self.history.finish.result

    def turn(self) -> None:
        """Turn until the script stands still; take what is new."""
        while (turned := self.machine.turn()) is Turn.SLICED:
            pass
        self.turned = turned
        self.prints += [line.text for line in self.machine.take_prints()]
        self.log += self.ledger.take()

    def arrive(self) -> None:
        """Let the script see what came into the ledger."""
        for arrival in self.ledger.take_arrivals():
            self.machine.arrive(arrival)
            self.turn()
        self.log += self.ledger.take()

    def go_on(self) -> "Run":
        """Answer calls and end sleeps, in random order, until nothing is left."""
        while self.step():
            pass
        return self

    def step(self) -> bool:
        """Answer one open call, or end one sleep or wait; False if there is none."""
        history = self.history
        if history.finish is not None or self.turned is Turn.PARKED:
            return False
        calls = [v for v, call in history.calls.items() if call.yielded is None]
        due = dict(history.sleeps)
        for version, wait in history.signal_waits.items():
            if wait.expire_ns is not None:
                due[version] = wait.expire_ns
        waits = [*calls, *due]
        if not waits:
            return False
        version = self.chance.choice(waits)
        if version in due:
            self.world.time_ns = max(self.world.time_ns, due[version])
            self.ledger.woke(version)
        else:
            self.answer(version)
        self.arrive()
        return True

    def answer(self, version: int) -> None:
        """Execute an open call's function and take what it says."""
        call = self.history.calls[version].call
        outcome = self.functions[call.function](json.loads(call.input))
        if isinstance(outcome, WaitForSignal):
            self.ledger.yielded(
                version, outcome.timeout_ns, worker_id="w", delivery="d"
            )
            return
        result = outcome if isinstance(outcome, Failure) else json.dumps(outcome)
        self.ledger.returned(version, result, attempts=1, worker_id="w", delivery="d")

    def signal(self, value: Any, *, signal_id: str = "") -> None:
        """Signal the only open signal id, or the given one."""
        signal_id = signal_id or next(iter(self.history.signal_ids))
        self.ledger.signal(signal_id, json.dumps(value), only_if_waiting=False)
        self.arrive()

    def send(self, name: str, value: Any, *, request_id: str = "") -> None:
        """Send a signal by name."""
        self.ledger.signal_by_name(
            name, request_id, json.dumps(value), only_if_waiting=False
        )
        self.arrive()

    def cancel(self, reason: str) -> None:
        """Ask the script to end."""
        self.ledger.cancel(reason)
        self.arrive()

    def reload(self) -> None:
        """Kill the machine and make another from the log, as after a crash."""
        printed = self.machine.lines
        self.machine.kill()
        self.ledger = Ledger(History(), self.world)
        self.machine = Machine(self.program, self.ledger, self.limits)
        self.machine.load(self.log, printed=printed)
        self.turn()


def decisions_after(script: str, log: Sequence[Event], length: int) -> list[Event]:
    """
    Replay the first *length* events of *log*; return what the script then decides.

    A lone sleep at the end of the prefix is over if the log goes on past it.
    """
    world = LogWorld(log)
    ledger = Ledger(world.history, world)
    machine = Machine(compile_program(script), ledger, Limits())
    machine.load(log[:length], printed=None)
    _turn(machine)
    new = ledger.take()
    history = ledger.history
    at = history.version
    asleep = history.quiet_sleep
    if asleep is not None and at < len(log) and type(log[at]) in STEPS:
        ledger.woke(asleep)
        for arrival in ledger.take_arrivals():
            machine.arrive(arrival)
        _turn(machine)
        new += ledger.take()
    machine.kill()
    return new


def _turn(machine: Machine) -> None:
    while (turn := machine.turn()) is Turn.SLICED:
        pass
    assert turn is not Turn.PARKED, machine.abort
