"""Tasks and reports of workers as they travel between servers.

What comes from another server was checked where it entered, and is not checked again.
"""

from collections.abc import Iterable, Sequence

from starflow.v1 import worker_service_pb2 as pb
from starflow_service.engine.events import Failure
from starflow_service.rpc.codec import fill_failure, make_failure
from starflow_service.rpc.times import NS, get_ns, set_ns
from starflow_service.runtime.errors import FieldInvalidError
from starflow_service.runtime.types import (
    Completion,
    CompletionStatus,
    Directive,
    ReleaseResult,
    Task,
    TaskAction,
    TaskBeat,
    TaskReport,
    YieldResult,
)


def task_of(message: pb.Task) -> Task:
    """Return the task that *message*, made by `rpc.tasks.fill_tasks`, holds."""
    return Task(
        task_id=message.task_id,
        token=message.task_token,
        run_id=message.run_id,
        call_version=message.call_version,
        function=message.function,
        input=message.input.json,
        attempt=message.attempt,
        lease_s=get_ns(message.lease) / NS,
        attempt_timeout_ns=get_ns(message.attempt_timeout),
        signal_id=message.signal_id,
        call_ns=get_ns(message.call_time),
        last_progress=message.last_progress.json
        if message.HasField("last_progress")
        else None,
        last_failure=make_failure(message.last_failure)
        if message.HasField("last_failure")
        else None,
        headers=dict(message.headers),
    )


def fill_results(
    message: pb.CompleteTasksRequest, reports: Iterable[TaskReport]
) -> None:
    """Add *reports*."""
    for report in reports:
        result = message.results.add(task_token=report.token)
        outcome = report.outcome
        if isinstance(outcome, str):
            result.output.json = outcome
        elif isinstance(outcome, Failure):
            fill_failure(result.failure, outcome)
        elif isinstance(outcome, YieldResult):
            result.wait_for_signal.SetInParent()
            if outcome.timeout_ns is not None:
                set_ns(result.wait_for_signal.timeout, outcome.timeout_ns)
        else:
            result.release.reason = outcome.reason


def reports_of(message: pb.CompleteTasksRequest) -> list[TaskReport]:
    """Return what `fill_results` has added."""
    return [_report_of(result) for result in message.results]


def _report_of(result: pb.TaskResult) -> TaskReport:
    kind = result.WhichOneof("outcome")
    if kind == "output":
        return TaskReport(result.task_token, result.output.json)
    if kind == "failure":
        return TaskReport(result.task_token, make_failure(result.failure))
    if kind == "wait_for_signal":
        wait = result.wait_for_signal
        timeout_ns = get_ns(wait.timeout) if wait.HasField("timeout") else None
        return TaskReport(result.task_token, YieldResult(timeout_ns))
    return TaskReport(result.task_token, ReleaseResult(result.release.reason))


def completions_of(message: pb.CompleteTasksResponse) -> list[Completion]:
    """Return what became of reports, as `rpc.tasks.fill_completion` said it."""
    return [
        Completion(
            each.task_token,
            CompletionStatus(int(each.status)),
            # There is no other reason once a result was taken where it entered.
            FieldInvalidError("task_token", "no token of this service")
            if each.HasField("rejection")
            else None,
        )
        for each in message.completions
    ]


def fill_beats(message: pb.HeartbeatRequest, beats: Iterable[TaskBeat]) -> None:
    """Add *beats*."""
    for beat in beats:
        task = message.tasks.add(task_token=beat.token)
        if beat.progress is not None:
            task.progress.json = beat.progress


def beats_of(message: pb.HeartbeatRequest) -> list[TaskBeat]:
    """Return what `fill_beats` has added."""
    return [
        TaskBeat(
            task.task_token, task.progress.json if task.HasField("progress") else None
        )
        for task in message.tasks
    ]


def directives_of(messages: Sequence[pb.TaskDirective]) -> list[Directive]:
    """Return directives, as `rpc.tasks.fill_directives` said them."""
    return [
        Directive(each.task_token, TaskAction(int(each.action)), each.reason)
        for each in messages
    ]
