"""ListRuns and DeleteRun, between the API and the runtime."""

from google.protobuf.timestamp_pb2 import Timestamp

from starflow.v1 import run_pb2
from starflow.v1 import workflow_service_pb2 as pb
from starflow_service.rpc import fields
from starflow_service.rpc.runs import fill_labels
from starflow_service.rpc.times import NS, get_ns, set_ns
from starflow_service.runtime.errors import FieldInvalidError, RunNotFoundError
from starflow_service.runtime.listing import TIME_MAX_NS, ListedRun, RunFilter
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import RunState

PAGE_SIZE = 50
PAGE_SIZE_MAX = 500
_TOKEN_CHARACTERS_MAX = 1024
_STATES = {state.value: state for state in RunState}


async def list_runs(
    runtime: Runtime, request: pb.ListRunsRequest
) -> pb.ListRunsResponse:
    """Answer ListRuns."""
    size = fields.count("page_size", request.page_size) or PAGE_SIZE
    if len(request.page_token) > _TOKEN_CHARACTERS_MAX:
        raise FieldInvalidError("page_token", "is no token of ListRuns")
    runs, token = await runtime.listing.page(
        fields.namespace(request.namespace),
        _filter(request.filter),
        min(size, PAGE_SIZE_MAX),
        request.page_token,
    )
    response = pb.ListRunsResponse(next_page_token=token)
    for run in runs:
        _fill(response.runs.add(), run)
    return response


async def delete_run(
    runtime: Runtime, request: pb.DeleteRunRequest
) -> pb.DeleteRunResponse:
    """Answer DeleteRun."""
    namespace = fields.namespace(request.namespace)
    run_id = fields.run_id(request.run_id)
    try:
        await runtime.delete_run(namespace, run_id)
    except RunNotFoundError:
        if not request.allow_missing:
            raise
        return pb.DeleteRunResponse(deleted=False)
    return pb.DeleteRunResponse(deleted=True)


def _filter(message: pb.RunFilter) -> RunFilter:
    states = []
    for number in message.states:
        if number not in _STATES:
            raise FieldInvalidError("filter.states", f"has no value {number}")
        states.append(_STATES[number])
    if message.script_hash:
        fields.SCRIPT_HASH.check("filter.script_hash", message.script_hash)
    if message.run_id_prefix:
        fields.RUN_ID.check("filter.run_id_prefix", message.run_id_prefix)
    since_ns, before_ns = 0, TIME_MAX_NS
    if message.HasField("earliest_create_time"):
        since_ns = _time_ns("earliest_create_time", message.earliest_create_time)
    if message.HasField("latest_create_time"):
        before_ns = _time_ns("latest_create_time", message.latest_create_time)
    return RunFilter(
        states=states,
        labels=fields.labels("filter.labels", message.labels),
        since_ns=since_ns,
        before_ns=before_ns,
        is_paused=message.paused if message.HasField("paused") else None,
        script_hash=message.script_hash,
        run_id_prefix=message.run_id_prefix,
    )


def _time_ns(name: str, message: Timestamp) -> int:
    time_ns = get_ns(message)
    if not (0 <= message.nanos < NS and 0 <= time_ns < 1 << 63):
        raise FieldInvalidError(f"filter.{name}", "must be a time from 1970 to 2261")
    return time_ns


def _fill(message: run_pb2.Run, run: ListedRun) -> None:
    listed = run.listed
    message.namespace = run.namespace
    message.run_id = run.run_id
    message.state = listed.state.value  # type: ignore[assignment]
    message.script_hash = listed.script_hash
    fill_labels(message, listed.labels)
    message.version = run.version
    set_ns(message.create_time, listed.create_ns)
    if listed.finish_ns is not None:
        set_ns(message.finish_time, listed.finish_ns)
    if listed.pause_reason is not None:
        message.paused = True
        message.pause_reason = listed.pause_reason.value  # type: ignore[assignment]
    message.cancel_requested = listed.cancel_requested
    message.restarts = listed.restarts
