"""Whether a script still does what its log says.

Nothing is executed and nothing is written: the log is replayed, and whatever the script
asks for that the log does not have is a finding.
"""

from collections.abc import Sequence

from starflow_service.engine.events import Event
from starflow_service.engine.history import History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Machine, Turn
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.program import Program


class _Stillness:
    """A world in which nothing happens: a replay must not need one."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def rand_below(self, limit: int) -> int:
        return 0

    def nonce(self) -> str:
        return "0" * 16

    def call_timeout_ns(self, function: str) -> int | None:
        return None


def verify(program: Program, log: Sequence[Event], limits: Limits) -> str:
    """
    Replay the whole of *log*; return where the script leaves it, or nothing.

    The log is one whose script stood still or had ended when it was read.

    Raises:
        LogCorruptError: The log does not begin with START.
    """
    ledger = Ledger(History(), _Stillness(log[-1].time_ns if log else 0))
    machine = Machine(program, ledger, limits)
    machine.load(log, printed=None)
    try:
        while (turn := machine.turn()) is Turn.SLICED:
            pass
        return _finding(machine, turn, log)
    finally:
        machine.kill()


def _finding(machine: Machine, turn: Turn, log: Sequence[Event]) -> str:
    if turn is Turn.PARKED:
        return str(machine.abort)
    new = machine.ledger.take()
    if new:
        asked = ", ".join(event.NAME for event in new)
        return f"after event {len(log)}, the last one, the script goes on with {asked}"
    if machine.is_replaying:
        return f"the script stands still before event {len(log)}, the last one"
    return ""
