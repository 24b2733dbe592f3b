"""Tasks on their way to workers, and what workers say of them on its way back."""

from collections.abc import Collection, Iterable, Sequence

import structlog

from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.replica_service_pb2 import TakeResponse
from starflow_service.engine.events import Failure
from starflow_service.rpc import fields
from starflow_service.rpc.codec import fill_failure
from starflow_service.rpc.interceptors import request_id
from starflow_service.rpc.payloads import Payloads
from starflow_service.rpc.status import is_expected, rejection_of
from starflow_service.rpc.times import set_ns, set_seconds
from starflow_service.runtime.errors import (
    FieldInvalidError,
    PayloadInvalidError,
    RuntimeRefusal,
    TooLargeError,
)
from starflow_service.runtime.types import (
    Completion,
    Directive,
    ReleaseResult,
    Task,
    TaskBeat,
    TaskReport,
    YieldResult,
)

_WithTasks = pb.PollResponse | pb.WorkStreamResponse | TakeResponse

# An answer with more than gRPC's 4 MiB would be lost on the way, and the tasks with it.
_RESPONSE_BYTES_MAX = 4_000_000
RESULTS_MAX = 1_000
# Characters of input in one answer, beyond the first task's.  At four bytes each, and
# with all that is around them, they stay below gRPC's 4 MiB.
INPUTS_MAX = 750_000

log = structlog.get_logger()


def fill_tasks(message: _WithTasks, tasks: Sequence[Task]) -> None:
    """Add *tasks*; what earlier attempts left behind only as far as there is room."""
    for task in tasks:
        _fill_task(message.tasks.add(), task)
    if any(task.last_failure or task.last_progress for task in tasks):
        _fill_past(message, tasks)


def _fill_task(message: pb.Task, task: Task) -> None:
    message.task_id = task.task_id
    message.task_token = task.token
    message.run_id = task.run_id
    message.call_version = task.call_version
    message.function = task.function
    message.input.json = task.input
    message.attempt = task.attempt
    set_seconds(message.lease, task.lease_s)
    set_ns(message.attempt_timeout, task.attempt_timeout_ns)
    message.signal_id = task.signal_id
    set_ns(message.call_time, task.call_ns)
    if task.headers:
        message.headers.update(task.headers)


def _fill_past(message: _WithTasks, tasks: Sequence[Task]) -> None:
    room = _RESPONSE_BYTES_MAX - message.ByteSize()
    for filled, task in zip(message.tasks, tasks, strict=True):
        if task.last_progress is not None:
            filled.last_progress.json = task.last_progress
            room = _keep_if_room(filled, "last_progress", room)
        if task.last_failure is not None:
            fill_failure(filled.last_failure, task.last_failure)
            room = _keep_if_room(filled, "last_failure", room)


def _keep_if_room(task: pb.Task, name: str, room: int) -> int:
    # Some bytes more, for the tags and lengths around it.
    size: int = getattr(task, name).ByteSize() + 16
    if size <= room:
        return room - size
    task.ClearField(name)
    return room


def fill_directives(
    message: pb.HeartbeatResponse | pb.WorkStreamResponse,
    directives: Sequence[Directive],
) -> None:
    """Add *directives*."""
    for each in directives:
        message.directives.add(
            task_token=each.token,
            action=each.action.value,
            reason=each.reason,
        )


def beats_of(
    messages: Iterable[pb.TaskHeartbeat], payloads: Payloads
) -> tuple[list[TaskBeat], RuntimeRefusal | None]:
    """
    Return the tasks that a worker says it holds, and why a progress cannot be kept.

    That is no reason to lose the leases.
    """
    beats = []
    refusal: RuntimeRefusal | None = None
    for index, task in enumerate(messages):
        progress = None
        if task.HasField("progress"):
            try:
                progress = payloads.text(task.progress, f"tasks[{index}].progress")
            except (PayloadInvalidError, TooLargeError) as error:
                refusal = error
        beats.append(TaskBeat(task.task_token, progress))
    return beats, refusal


def reports_of(
    results: Collection[pb.TaskResult], payloads: Payloads
) -> tuple[list[TaskReport], dict[int, RuntimeRefusal]]:
    """
    Return what *results* report; those that cannot be used by index, with the reason.

    Raises:
        TooLargeError: They are too many.
    """
    if len(results) > RESULTS_MAX:
        raise TooLargeError("results", len(results), RESULTS_MAX, "results")
    reports: list[TaskReport] = []
    refused: dict[int, RuntimeRefusal] = {}
    for index, result in enumerate(results):
        try:
            reports.append(report_of(result, index, payloads))
        except RuntimeRefusal as refusal:
            refused[index] = refusal
    return reports, refused


def fill_completion(message: pb.Completion, completion: Completion) -> None:
    """Say what became of a result."""
    message.task_token = completion.token
    if completion.error is not None:
        reject(message, completion.error)
    else:
        message.status = completion.status.value  # type: ignore[assignment]


def reject(message: pb.Completion, error: Exception) -> None:
    """Say that a result cannot be used."""
    message.status = pb.COMPLETION_STATUS_REJECTED
    message.rejection.CopyFrom(rejection_of(error, request_id()))
    if not is_expected(error):
        log.error("rpc.result_failed", exc_info=error)


def report_of(result: pb.TaskResult, index: int, payloads: Payloads) -> TaskReport:
    """
    Return what *result* reports.

    Raises:
        FieldInvalidError: It has no token or no outcome.
        PayloadInvalidError: Its output is not JSON as the API defines it.
        TooLargeError: Its output is over the limit.
    """
    token = result.task_token
    if not token:
        raise FieldInvalidError(f"results[{index}].task_token", "is required")
    kind = result.WhichOneof("outcome")
    if kind == "output":
        field = f"results[{index}].output"
        return TaskReport(token, payloads.text(result.output, field))
    if kind == "failure":
        return TaskReport(token, _failure_of(result, index, payloads))
    if kind == "wait_for_signal":
        field = f"results[{index}].wait_for_signal.timeout"
        timeout_ns = fields.yield_timeout_ns(field, result.wait_for_signal)
        return TaskReport(token, YieldResult(timeout_ns))
    if kind == "release":
        reason = fields.cut(result.release.reason, fields.MESSAGE_BYTES_MAX)
        return TaskReport(token, ReleaseResult(reason))
    problem = "has no outcome: set output, failure, wait_for_signal or release"
    raise FieldInvalidError(f"results[{index}]", problem)


def _failure_of(result: pb.TaskResult, index: int, payloads: Payloads) -> Failure:
    """Return the failure; it counts, even if its details cannot be kept."""
    message = result.failure
    if not message.HasField("details"):
        return fields.failure(message, None)
    try:
        details = payloads.text(message.details, "details")
    except (PayloadInvalidError, TooLargeError) as error:
        # The last resort of a worker: if this were refused, it would have nothing left
        # to say, and the task would be tried again for ever.
        message.message = f"{message.message} (dropped {error})"
        return fields.failure(message, None)
    return fields.failure(message, details)
