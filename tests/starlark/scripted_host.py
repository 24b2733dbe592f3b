"""A host for tests of the language: it answers calls from a table, now or later."""

from collections.abc import Callable, Sequence
from typing import Any

from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.host import CallOptions, Fault, Future
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.seeded import SeededStream


class ScriptedHost:
    """
    Answers with what the functions of *table* return.

    With *waits*, every durable operation suspends the script once first.
    """

    def __init__(
        self, table: dict[str, Callable[[Any], Any]] | None = None, waits: bool = False
    ) -> None:
        self.table = table or {}
        self.waits = waits
        self.asked: list[tuple[str, Any]] = []
        self.options: list[CallOptions | None] = []
        self.printed: list[str] = []
        self.started: list[Any] = []
        self.finished: list[Any] = []
        self.restarted: list[str] = []
        self.given_up: list[int] = []
        # Signals that have come, by name.
        self.signals: dict[str, Any] = {}
        self.stream = SeededStream("scripted")

    def _settle(self, m: Meter, name: str, argument: Any) -> None:
        self.asked.append((name, argument))
        if self.waits:
            m.suspend()

    def call(
        self, m: Meter, function: str, req: Any, options: CallOptions | None = None
    ) -> Any:
        self.options.append(options)
        self._settle(m, function, req)
        if function not in self.table:
            raise EvalError(f"no function {function}")
        return self.table[function](req)

    def start(
        self, m: Meter, function: str, req: Any, options: CallOptions | None = None
    ) -> Future:
        self.options.append(options)
        self.started.append(self.table[function](req))
        return Future(len(self.started) - 1, function)

    def room(self, m: Meter) -> int:
        return 1_000

    def wait(
        self, m: Meter, futures: Sequence[Future], timeout_ns: int | None = None
    ) -> list[Any]:
        self._settle(m, "wait", len(futures))
        return [self.value(m, future) for future in futures]

    def first(self, m: Meter, futures: Sequence[Future]) -> int:
        self._settle(m, "first", len(futures))
        return 0

    def next_ended(self, m: Meter) -> list[int]:
        self._settle(m, "next_ended", None)
        me = m.branches.current
        m.branches.hand_over(next(iter(me.keys)))
        arrived, me.arrived = me.arrived, []
        return arrived

    def value(self, m: Meter, future: Future) -> Any:
        if future.key < 0:
            return m.branches.take(future.key)
        return self.started[future.key]

    def drop(self, m: Meter, futures: Sequence[Future]) -> None:
        self.given_up += [future.key for future in futures]

    def give_up(self, m: Meter, versions: Sequence[int]) -> None:
        self.given_up += versions

    def wait_signal(
        self, m: Meter, name: str, timeout_ns: int | None
    ) -> tuple[bool, Any]:
        self._settle(m, "wait_signal", (name, timeout_ns))
        return name in self.signals, self.signals.get(name)

    def sleep(self, m: Meter, duration_ns: int) -> None:
        self._settle(m, "sleep", duration_ns)

    def sleep_until(self, m: Meter, wake_ns: int) -> None:
        self._settle(m, "sleep_until", wake_ns)

    def now(self, m: Meter) -> str:
        self._settle(m, "now", None)
        return "2026-11-20T13:00:00Z"

    def now_ns(self, m: Meter) -> int:
        self._settle(m, "now_ns", None)
        return 1_700_000_000_000_000_000

    def rand_int(self, m: Meter, limit: int) -> int:
        self._settle(m, "rand_int", limit)
        return limit - 1

    def random_bytes(self, m: Meter, n: int) -> bytes:
        return self.stream.take(n)

    def print(self, m: Meter, text: str) -> None:
        self.printed.append(text)

    def set_status(self, m: Meter, status: str) -> None:
        self._settle(m, "set_status", status)

    def timed_out(self, m: Meter, message: str) -> EvalError:
        return EvalError(message)

    def fault(self, m: Meter, error: EvalError) -> Fault:
        return Fault("SCRIPT", error.message, None, False)

    def finish(self, m: Meter, value: Any) -> None:
        self.finished.append(value)

    def restart(self, m: Meter, input: str) -> None:
        self.restarted.append(input)
