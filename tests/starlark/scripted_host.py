"""A host for tests of the language: it answers calls from a table, now or later."""

from collections.abc import Callable
from typing import Any

from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.host import Future
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
        self.printed: list[str] = []
        self.started: list[Any] = []
        self.finished: list[Any] = []
        self.stream = SeededStream("scripted")

    def _settle(self, m: Meter, name: str, argument: Any) -> None:
        self.asked.append((name, argument))
        if self.waits:
            m.suspend()

    def call(self, m: Meter, function: str, req: Any) -> Any:
        self._settle(m, function, req)
        if function not in self.table:
            raise EvalError(f"no function {function}")
        return self.table[function](req)

    def start(self, m: Meter, function: str, req: Any) -> Future:
        self.started.append(self.table[function](req))
        return Future(len(self.started) - 1, function)

    def wait(self, m: Meter, futures: list[Future]) -> list[Any]:
        self._settle(m, "wait", len(futures))
        return [self.started[future.call_version] for future in futures]

    def sleep(self, m: Meter, duration_ns: int) -> None:
        self._settle(m, "sleep", duration_ns)

    def sleep_until(self, m: Meter, wake_ns: int) -> None:
        self._settle(m, "sleep_until", wake_ns)

    def now(self, m: Meter) -> str:
        self._settle(m, "now", None)
        return "2026-11-20T13:00:00Z"

    def rand_int(self, m: Meter, limit: int) -> int:
        self._settle(m, "rand_int", limit)
        return limit - 1

    def random_bytes(self, m: Meter, n: int) -> bytes:
        return self.stream.take(n)

    def print(self, m: Meter, text: str) -> None:
        self.printed.append(text)

    def finish(self, m: Meter, value: Any) -> None:
        self.finished.append(value)
