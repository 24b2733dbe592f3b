"""What worker and service said to each other, in the order in which they began."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from google.protobuf.message import Message

from starflow.v1 import worker_service_pb2 as pb

T = TypeVar("T")

# An answer that was given longer ago has arrived, unless the machine is overloaded.
_ON_ITS_WAY_SECONDS = 1.0

# The methods that a worker uses: request and response.
METHODS: dict[str, tuple[type[Message], type[Message]]] = {
    "RegisterFunction": (pb.RegisterFunctionRequest, pb.RegisterFunctionResponse),
    "Poll": (pb.PollRequest, pb.PollResponse),
    "CompleteTasks": (pb.CompleteTasksRequest, pb.CompleteTasksResponse),
    "Heartbeat": (pb.HeartbeatRequest, pb.HeartbeatResponse),
}


@dataclass(eq=False, slots=True)
class Exchange:
    """One request, and its answer if there was one."""

    method: str
    request: Any
    # How many times the worker had been started by then.
    life: int
    # When it began and ended, as a place in the order of all beginnings and endings.
    began: int
    ended: int = 0
    # As the worker got it; None if it got none.
    response: Any = None
    # As the service gave it, though the worker never saw it.
    lost: Any = None
    # Whether nobody knows if the worker saw the answer: the connection broke just then.
    is_unsure: bool = False
    ended_at_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """One result that a worker reported."""

    exchange: Exchange
    result: pb.TaskResult
    # None if the report was not answered.
    status: "pb.CompletionStatus | None"


@dataclass(slots=True)
class Record:
    """All exchanges so far; whoever waits for something is told of each change."""

    exchanges: list[Exchange] = field(default_factory=list)
    life: int = 0
    _place: int = 0
    _waiters: set[asyncio.Event] = field(default_factory=set)

    def begin(self, method: str, request: Message) -> Exchange:
        """Note that the worker asked for something."""
        exchange = Exchange(method, request, self.life, self._next())
        self.exchanges.append(exchange)
        self._tell()
        return exchange

    def end(self, exchange: Exchange) -> None:
        """Note that it was answered, or will not be."""
        exchange.ended = self._next()
        exchange.ended_at_seconds = time.monotonic()
        self._tell()

    def broken(self) -> None:
        """Note that all connections broke, and with them what was on its way."""
        since = time.monotonic() - _ON_ITS_WAY_SECONDS
        for exchange in self.exchanges:
            exchange.is_unsure |= exchange.ended_at_seconds > since

    def place(self) -> int:
        """Return the present place in the order of things."""
        return self._place

    def of(self, method: str, since: int = 0) -> list[Exchange]:
        """Return the exchanges of a method that began after *since*."""
        return [e for e in self.exchanges if e.method == method and e.began > since]

    def deliveries(self, run_id: str) -> list[tuple[Exchange, pb.Task]]:
        """
        Return what the worker was given of a run, each task once.

        A poll that was sent again brings the same tasks again.
        """
        found: dict[str, tuple[Exchange, pb.Task]] = {}
        for exchange in self.of("Poll"):
            for task in exchange.response.tasks if exchange.response else ():
                if task.run_id == run_id:
                    found.setdefault(task.task_token, (exchange, task))
        return list(found.values())

    def reports(self, token: str = "") -> Iterator[Report]:
        """Yield the results that were reported, of one task or of all."""
        for exchange in self.of("CompleteTasks"):
            answer = exchange.response or exchange.lost
            statuses = [c.status for c in answer.completions] if answer else []
            for place, result in enumerate(exchange.request.results):
                if token in ("", result.task_token):
                    status = statuses[place] if place < len(statuses) else None
                    yield Report(exchange, result, status)

    async def until(self, condition: Callable[[], T]) -> T:
        """Wait until *condition* gives something that counts as true; return that."""
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            while not (value := condition()):
                changed.clear()
                await changed.wait()
            return value
        finally:
            self._waiters.discard(changed)

    def _next(self) -> int:
        self._place += 1
        return self._place

    def _tell(self) -> None:
        for changed in self._waiters:
            changed.set()
