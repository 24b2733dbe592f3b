"""ListFunctions, ListWorkers and queues, between the API and the runtime.

With several servers each knows its own calls and workers; `MERGES` makes one answer of
theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from starflow.v1 import queue_service_pb2 as queues_pb
from starflow.v1 import worker_service_pb2 as pb
from starflow_service.rpc import fields, pages
from starflow_service.rpc.codec import fill_spec
from starflow_service.rpc.times import get_ns, set_ns
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import QueueView
from starflow_service.runtime.workforce import FunctionView, WorkerView

_WORKER_IDS_MAX = 100

# A request, and the answers of the servers to it, of which there is at least one.
Merge = Callable[[Any, Sequence[Any]], Any]


def list_functions(
    runtime: Runtime, request: pb.ListFunctionsRequest
) -> pb.ListFunctionsResponse:
    """Answer ListFunctions for this server."""
    views = runtime.workers.force.functions(fields.namespace(request.namespace))
    functions, token = pages.page(
        views,
        lambda view: view.spec.name,
        _function,
        pages.page_size(request.page_size),
        pages.page_token(request.page_token),
    )
    return pb.ListFunctionsResponse(functions=functions, next_page_token=token)


def list_workers(
    runtime: Runtime, request: pb.ListWorkersRequest
) -> pb.ListWorkersResponse:
    """Answer ListWorkers for this server."""
    views = runtime.workers.force.workers(fields.namespace(request.namespace))
    workers, token = pages.page(
        views,
        lambda view: view.info.worker_id,
        _worker,
        pages.page_size(request.page_size),
        pages.page_token(request.page_token),
    )
    return pb.ListWorkersResponse(workers=workers, next_page_token=token)


async def list_queues(
    runtime: Runtime, request: queues_pb.ListQueuesRequest
) -> queues_pb.ListQueuesResponse:
    """Answer ListQueues for this server."""
    size = pages.page_size(request.page_size)
    after = pages.page_token(request.page_token)
    views = await runtime.workers.force.queues(fields.namespace(request.namespace))
    queues, token = pages.page(views, lambda view: view.name, queue, size, after)
    return queues_pb.ListQueuesResponse(queues=queues, next_page_token=token)


# Messages


def _function(view: FunctionView) -> pb.FunctionStatus:
    message = pb.FunctionStatus(
        worker_ids=view.worker_ids,
        worker_count=view.worker_count,
        queued_calls=view.queued,
        leased_calls=view.leased,
        registered=view.is_registered,
    )
    fill_spec(message.spec, view.spec)
    if view.oldest_ns is not None:
        set_ns(message.oldest_call_time, view.oldest_ns)
    return message


def _worker(view: WorkerView) -> pb.WorkerStatus:
    info = view.info
    message = pb.WorkerStatus(
        functions=view.functions,
        held_tasks=view.held,
        live=view.is_live,
        draining=view.is_draining,
    )
    message.worker.worker_id = info.worker_id
    message.worker.sdk = info.sdk
    message.worker.build_id = info.build_id
    message.worker.max_concurrency = info.max_concurrency
    for name, value in info.labels.items():
        message.worker.labels[name] = value
    set_ns(message.last_seen_time, view.seen_ns)
    message.connection = view.connection.value  # type: ignore[assignment]
    return message


def queue(view: QueueView) -> queues_pb.Queue:
    """Return *view* as a message."""
    state = view.state
    message = queues_pb.Queue(
        name=view.name,
        in_flight=state.in_flight,
        waiting=view.waiting,
        tokens=state.tokens,
    )
    message.limits.max_in_flight = state.limits.max_in_flight or 0
    rate = state.limits.rate
    if rate is not None:
        message.limits.rate.tokens = rate.tokens
        message.limits.rate.burst = rate.burst
        set_ns(message.limits.rate.period, rate.period_us * 1000)
    if view.oldest_ns is not None:
        set_ns(message.oldest_call_time, view.oldest_ns)
    return message


# Answers of several servers


def _merge_functions(
    request: pb.ListFunctionsRequest, answers: Sequence[pb.ListFunctionsResponse]
) -> pb.ListFunctionsResponse:
    functions, token = pages.merged(
        [(answer.functions, answer.next_page_token) for answer in answers],
        lambda message: message.spec.name,
        _add_function,
        pages.page_size(request.page_size),
    )
    return pb.ListFunctionsResponse(functions=functions, next_page_token=token)


def _add_function(kept: pb.FunctionStatus, other: pb.FunctionStatus) -> None:
    if other.registered and not kept.registered:
        kept.registered = True
        kept.spec.CopyFrom(other.spec)
    both = set(kept.worker_ids) & set(other.worker_ids)
    ids = sorted({*kept.worker_ids, *other.worker_ids})
    # A worker whose tasks are of several servers is known to each of them.
    kept.worker_count += other.worker_count - len(both)
    kept.worker_ids[:] = ids[:_WORKER_IDS_MAX]
    kept.queued_calls += other.queued_calls
    kept.leased_calls += other.leased_calls
    _keep_older(kept, other)


def _merge_workers(
    request: pb.ListWorkersRequest, answers: Sequence[pb.ListWorkersResponse]
) -> pb.ListWorkersResponse:
    workers, token = pages.merged(
        [(answer.workers, answer.next_page_token) for answer in answers],
        lambda message: message.worker.worker_id,
        _add_worker,
        pages.page_size(request.page_size),
    )
    return pb.ListWorkersResponse(workers=workers, next_page_token=token)


def _add_worker(kept: pb.WorkerStatus, other: pb.WorkerStatus) -> None:
    if len(other.functions) > len(kept.functions):
        # The server that it registered with knows more of it than the others.
        kept.worker.CopyFrom(other.worker)
        kept.functions[:] = other.functions
    elif other.worker.ByteSize() > kept.worker.ByteSize():
        kept.worker.CopyFrom(other.worker)
    kept.held_tasks += other.held_tasks
    kept.live |= other.live
    kept.draining |= other.draining
    kept.connection = max(kept.connection, other.connection)
    if get_ns(other.last_seen_time) > get_ns(kept.last_seen_time):
        kept.last_seen_time.CopyFrom(other.last_seen_time)


def _merge_queues(
    request: queues_pb.ListQueuesRequest,
    answers: Sequence[queues_pb.ListQueuesResponse],
) -> queues_pb.ListQueuesResponse:
    queues, token = pages.merged(
        [(answer.queues, answer.next_page_token) for answer in answers],
        lambda message: message.name,
        _add_queue,
        pages.page_size(request.page_size),
    )
    return queues_pb.ListQueuesResponse(queues=queues, next_page_token=token)


def _add_queue(kept: queues_pb.Queue, other: queues_pb.Queue) -> None:
    # Limits, tokens and what is in flight are the store's, and so the same.
    kept.waiting += other.waiting
    _keep_older(kept, other)


def _keep_older(kept: Any, other: Any) -> None:
    if other.HasField("oldest_call_time"):
        times: list[Timestamp] = [other.oldest_call_time]
        if kept.HasField("oldest_call_time"):
            times.append(kept.oldest_call_time)
        kept.oldest_call_time.CopyFrom(min(times, key=get_ns))


# By the name of the method.
MERGES: Mapping[str, Merge] = {
    "ListFunctions": _merge_functions,
    "ListWorkers": _merge_workers,
    "ListQueues": _merge_queues,
}
