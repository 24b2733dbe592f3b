"""What operators ask: queues with limits, who serves what, and what waits."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from google.protobuf.duration_pb2 import Duration

from starflow import _model
from starflow._connection import Connection
from starflow._context import seconds
from starflow._enums import enum_name
from starflow._function import Retry
from starflow.v1 import (
    queue_service_pb2,
    queue_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
    workflow_service_pb2,
)

_connection = enum_name(worker_service_pb2.WorkerConnection, "WORKER_CONNECTION_")


@dataclass(frozen=True, slots=True)
class Rate:
    """How many tasks of a queue are handed out in a time."""

    # How many tokens come in `per` seconds; each attempt of a call takes one.
    tokens: int
    per: float | timedelta = 1.0
    # How many tokens are kept for later; None means as many as `tokens`.
    burst: int | None = None

    def to_pb(self) -> queue_service_pb2.QueueRate:
        """Return the rate for the wire."""
        period = Duration()
        period.FromTimedelta(timedelta(seconds=seconds(self.per)))
        return queue_service_pb2.QueueRate(
            tokens=self.tokens, period=period, burst=self.burst or 0
        )


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """A queue with limits as it stood when the service answered."""

    name: str
    # None: as many as there are.
    max_in_flight: int | None
    rate: Rate | None
    # How many tasks workers have.
    in_flight: int
    # How many calls wait for their turn, and when the oldest was recorded.
    waiting: int
    oldest_call_time: datetime | None
    # In the bucket, with fractions; 0 without a rate.
    tokens: float

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, as JSON-ready values."""
        values = _model.plain_fields(self)
        if self.rate is not None:
            per = seconds(self.rate.per)
            burst = self.rate.burst
            values["rate"] = {"tokens": self.rate.tokens, "per": per, "burst": burst}
        return values


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """A function as it stood when the service answered."""

    name: str
    # Whether it was ever registered; otherwise it is only called.
    registered: bool
    # The live workers that offer it: the first hundred ids, and how many there are.
    worker_ids: tuple[str, ...]
    worker_count: int
    # How many calls wait, when the oldest of them was recorded, how many a worker has.
    queued: int
    oldest_call_time: datetime | None
    leased: int
    description: str = ""
    # The queue that it was registered with; empty means the first part of its name.
    queue: str = ""
    # In seconds; None means the service's default.
    attempt_timeout: float | None = None
    # In seconds; None means that only scripts bound its calls.
    call_timeout: float | None = None
    # None: a failure is tried again only if it says so.
    retry: Retry | None = None
    # JSON Schemas.
    input_schema: str = ""
    output_schema: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, as JSON-ready values."""
        values = _model.plain_fields(self)
        if self.retry is not None:
            values["retry"] = asdict(self.retry)
        return values


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker as it stood when the service answered."""

    id: str
    # The functions that it registered, or polled for last.
    functions: tuple[str, ...]
    held_tasks: int
    last_seen_time: datetime
    # How it gets its tasks: STREAM, POLL or, at this moment, NONE.
    connection: str
    # Whether it was heard of lately, and whether it was told to end.
    live: bool
    draining: bool
    sdk: str = ""
    build_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    # 0: it did not say.
    max_concurrency: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, as JSON-ready values."""
        return _model.plain_fields(self)


@dataclass(frozen=True, slots=True)
class ReplicaInfo:
    """A server of the store as it stood when the service answered."""

    # Different in each life of the server.
    id: str
    # Where other servers reach it; empty if there are none.
    address: str
    version: str
    start_time: datetime
    # In seconds: how long it counts as there if it is not heard of any more.
    lease_left: float
    # The numbers of those that it owns, and how many runs are stored in them.
    partitions: tuple[int, ...]
    runs: int
    # Whether it is the one that answered.
    answers: bool

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, as JSON-ready values."""
        return _model.plain_fields(self)


class Operations(ABC):
    """The methods of a client that look at, or bound, what is executed."""

    connection: Connection

    @abstractmethod
    async def _call(
        self,
        method: str,
        request: Any,
        *,
        wait: float = ...,
        patience: float | None = ...,
        service: Callable[[Any], Any] | None = ...,
    ) -> Any:
        """Send *request* to a method of *service*, the stub of another one."""

    async def set_queue(
        self, name: str, *, max_in_flight: int | None = None, rate: Rate | None = None
    ) -> QueueInfo:
        """
        Bound the queue *name*, in place of the limits that it had; return it.

        A call belongs to the queue that the script names for it, or that its function
        was registered with, or else to that of its function's module.

        Raises:
            InvalidArgument: There is no limit, or one that means nothing.
        """
        request = queue_service_pb2.SetQueueRequest(
            namespace=self.connection.namespace, name=name
        )
        request.limits.max_in_flight = max_in_flight or 0
        if rate is not None:
            request.limits.rate.CopyFrom(rate.to_pb())
        response = await self._queues("SetQueue", request)
        return _queue(response.queue)

    async def delete_queue(self, name: str) -> bool:
        """Take the limits of a queue away; return whether it had some."""
        request = queue_service_pb2.DeleteQueueRequest(
            namespace=self.connection.namespace, name=name
        )
        return bool((await self._queues("DeleteQueue", request)).deleted)

    async def list_queues(self) -> AsyncGenerator[QueueInfo, None]:
        """Yield the queues with limits, by name."""
        request = queue_service_pb2.ListQueuesRequest(
            namespace=self.connection.namespace
        )
        while True:
            page = await self._queues("ListQueues", request)
            for queue in page.queues:
                yield _queue(queue)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def list_functions(self) -> AsyncGenerator[FunctionInfo, None]:
        """Yield the functions that are registered or waited for, by name."""
        request = worker_service_pb2.ListFunctionsRequest(
            namespace=self.connection.namespace
        )
        while True:
            page = await self._workers("ListFunctions", request)
            for status in page.functions:
                yield _function(status)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def list_workers(self) -> AsyncGenerator[WorkerInfo, None]:
        """Yield the workers that showed themselves lately, by id."""
        request = worker_service_pb2.ListWorkersRequest(
            namespace=self.connection.namespace
        )
        while True:
            page = await self._workers("ListWorkers", request)
            for status in page.workers:
                yield _worker(status)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def list_replicas(self) -> AsyncGenerator[ReplicaInfo, None]:
        """Yield the servers that share the store, by the time they started."""
        request = workflow_service_pb2.ListReplicasRequest()
        for replica in (await self._call("ListReplicas", request)).replicas:
            yield _replica(replica)

    async def _queues(self, method: str, request: Any) -> Any:
        stub = queue_service_pb2_grpc.QueueServiceStub
        return await self._call(method, request, service=stub)

    async def _workers(self, method: str, request: Any) -> Any:
        stub = worker_service_pb2_grpc.WorkerServiceStub
        return await self._call(method, request, service=stub)


def _queue(message: queue_service_pb2.Queue) -> QueueInfo:
    rate = None
    if message.limits.HasField("rate"):
        limit = message.limits.rate
        period = limit.period.ToTimedelta().total_seconds()
        rate = Rate(limit.tokens, period, limit.burst)
    return QueueInfo(
        name=message.name,
        max_in_flight=message.limits.max_in_flight or None,
        rate=rate,
        in_flight=message.in_flight,
        waiting=message.waiting,
        oldest_call_time=_oldest(message),
        tokens=message.tokens,
    )


def _function(message: worker_service_pb2.FunctionStatus) -> FunctionInfo:
    spec = message.spec
    retry = None
    if spec.HasField("retry_policy"):
        retry = Retry.from_pb(spec.retry_policy)
    return FunctionInfo(
        name=spec.name,
        registered=message.registered,
        worker_ids=tuple(message.worker_ids),
        worker_count=message.worker_count,
        queued=message.queued_calls,
        oldest_call_time=_oldest(message),
        leased=message.leased_calls,
        description=spec.description,
        queue=spec.queue,
        attempt_timeout=_seconds(spec, "attempt_timeout"),
        call_timeout=_seconds(spec, "call_timeout"),
        retry=retry,
        input_schema=spec.input_schema,
        output_schema=spec.output_schema,
    )


def _seconds(
    spec: worker_service_pb2.FunctionSpec,
    name: Literal["attempt_timeout", "call_timeout"],
) -> float | None:
    if not spec.HasField(name):
        return None
    span: Duration = getattr(spec, name)
    return span.ToTimedelta().total_seconds()


def _replica(message: workflow_service_pb2.Replica) -> ReplicaInfo:
    return ReplicaInfo(
        id=message.id,
        address=message.address,
        version=message.version,
        start_time=_model.time_of(message.start_time),
        lease_left=message.lease_left.ToTimedelta().total_seconds(),
        partitions=tuple(message.partitions),
        runs=message.runs,
        answers=message.answers,
    )


def _worker(message: worker_service_pb2.WorkerStatus) -> WorkerInfo:
    worker = message.worker
    return WorkerInfo(
        id=worker.worker_id,
        functions=tuple(message.functions),
        held_tasks=message.held_tasks,
        last_seen_time=_model.time_of(message.last_seen_time),
        connection=_connection(message.connection),
        live=message.live,
        draining=message.draining,
        sdk=worker.sdk,
        build_id=worker.build_id,
        labels=dict(worker.labels),
        max_concurrency=worker.max_concurrency,
    )


def _oldest(
    message: queue_service_pb2.Queue | worker_service_pb2.FunctionStatus,
) -> datetime | None:
    if not message.HasField("oldest_call_time"):
        return None
    return _model.time_of(message.oldest_call_time)
