"""Signals by name, and asking runs to end, through a real server."""

import pytest

from starflow.v1 import worker_service_pb2 as worker_pb
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.event_pb2 import EventType
from starflow.v1.failure_pb2 import Failure, FailureKind
from starflow.v1.run_pb2 import PauseReason, RunState, RunView
from starflow_service.runtime.options import Options
from starflow_service.starlark.limits import Limits
from tests.service.calls import (
    ECHO,
    LONG,
    complete,
    events,
    finished,
    payload,
    refusal,
    result,
    start,
    take,
)

WAITS = """
load("flow", "flow")
load("time", "hour")
def main(ctx, input):
    flow.set_status(ctx, "waiting", progress=0.25, data=[input])
    first = flow.wait_signal(ctx, "go", timeout=hour)
    return [first, flow.wait_signal(ctx, "stop")]
"""
UNDOES = """
load("flow", "flow")
def main(ctx, input):
    flow.defer(ctx, test.undo, ctx, input)
    return test.echo(ctx, input)
"""
AGAIN = """
load("flow", "flow")
def main(ctx, input):
    if flow.wait_signal(ctx, "again"):
        flow.restart(ctx, input + 1)
    return input
"""
ENDLESS = "def main(ctx, input):\n    for n in range(1000000):\n        pass\n"


async def signal(workflows, name, value, **fields):
    return await workflows.Signal(
        pb.SignalRequest(run_id="r", name=name, output=payload(value), **fields)
    )


async def get(workflows, **fields):
    return (await workflows.GetRun(pb.GetRunRequest(run_id="r", **fields))).run


async def test_a_signal_by_name_answers_the_script(workflows):
    await start(workflows, WAITS, 7)

    kept = await signal(workflows, "stop", 1)
    went_on = await signal(workflows, "go", 2)

    assert kept.disposition == pb.SIGNAL_DISPOSITION_KEPT
    assert went_on.disposition == pb.SIGNAL_DISPOSITION_RESUMED
    assert (kept.resume_version, went_on.resume_version) == (4, 5)
    assert (await finished(workflows)).output.json == "[2,1]"


async def test_a_run_shows_its_waits_status_and_unread_signals(workflows):
    started = (await start(workflows, WAITS, 7)).run
    await signal(workflows, "stop", 1)

    run = await get(workflows)

    assert run.state == RunState.RUN_STATE_YIELDED
    [wait] = run.waits
    assert (wait.signal.name, wait.signal.wait_version) == ("go", 3)
    assert wait.signal.expire_time.ToSeconds() > started.create_time.ToSeconds()
    assert (wait.signal.signal_id, wait.signal.yield_version) == ("", 0)
    assert run.status.json == '{"text":"waiting","progress":0.25,"data":[7]}'
    [unread] = run.unread_signals
    assert (unread.name, unread.version, run.unread_signal_count) == ("stop", 4, 1)
    assert unread.time.ToNanoseconds() > 0
    assert (run.restarts, run.segment_version) == (0, 1)
    assert not (await get(workflows, view=RunView.RUN_VIEW_BASIC)).HasField("status")


async def test_a_request_that_comes_again_is_a_duplicate(workflows):
    await start(workflows, WAITS)
    await signal(workflows, "go", 1, request_id="a")

    again = await signal(workflows, "go", 1, request_id="a")
    refused = await refusal(signal(workflows, "go", 2, request_id="a"))

    assert again.disposition == pb.SIGNAL_DISPOSITION_DUPLICATE
    assert again.resume_version == 4
    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "SIGNAL_CONFLICT")


async def test_a_signal_by_name_can_be_refused_rather_than_kept(workflows):
    await start(workflows, WAITS)

    refused = await refusal(signal(workflows, "stop", 1, only_if_waiting=True))

    assert refused.code == "FAILED_PRECONDITION"
    assert refused.reason == "SIGNAL_NOT_EXPECTED"


async def test_more_signals_than_a_run_keeps_are_refused(workflows):
    await start(workflows, WAITS)
    for n in range(1000):
        await signal(workflows, "stop", n)

    refused = await refusal(signal(workflows, "stop", 1000))

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "SIGNALS_FULL")
    assert len((await get(workflows)).unread_signals) == 100


async def test_a_run_tells_how_often_it_began_again(workflows):
    await start(workflows, AGAIN, 1)
    await signal(workflows, "again", True)

    run = await get(workflows)

    assert (run.restarts, run.segment_version) == (1, 5)
    assert run.input.json == "2"
    # Its log is one, from the first event on.
    log, _ = await events(workflows)
    versions = [event.version for event in log]
    assert versions == [1, 2, 3, 4, 5, 6]


async def test_payloads_of_all_kinds_can_be_left_out(workflows):
    await start(workflows, WAITS, 7)
    await signal(workflows, "go", 1)

    log, _ = await events(workflows, omit_payloads=True)

    [status] = [e for e in log if e.type == EventType.EVENT_TYPE_STATUS]
    assert not status.status_event.HasField("status")


async def test_a_cancelled_run_runs_its_deferred_functions(workflows, workers):
    await start(workflows, UNDOES, 7)
    task = await take(workers)

    request = pb.CancelRunRequest(run_id="r", reason="enough")
    asked = (await workflows.CancelRun(request)).run
    held = worker_pb.TaskHeartbeat(task_token=task.task_token)
    beat = await workers.Heartbeat(
        worker_pb.HeartbeatRequest(worker_id="w", tasks=[held])
    )
    await complete(workers, result(await take(workers, "test.undo")))
    run = await finished(workflows)

    assert (asked.cancel_requested, asked.cancel_reason) == (True, "enough")
    [directive] = beat.directives
    assert directive.action == worker_pb.TASK_ACTION_CANCEL
    assert run.state == RunState.RUN_STATE_CANCELLED
    assert run.failure.code == "STARFLOW_CANCELLED"
    assert run.failure.kind == FailureKind.FAILURE_KIND_CANCELLED
    assert (await workflows.CancelRun(request)).run == run


async def test_whoever_follows_a_cancelled_run_is_told_its_end(workflows):
    await start(workflows)
    await workflows.CancelRun(pb.CancelRunRequest(run_id="r"))

    _, last = await events(workflows, follow=True)

    assert last.state == RunState.RUN_STATE_CANCELLED


async def test_a_terminated_run_ends_at_once(workflows):
    await start(workflows, UNDOES)

    request = pb.TerminateRunRequest(run_id="r", reason="now")
    run = (await workflows.TerminateRun(request)).run

    assert run.state == RunState.RUN_STATE_CANCELLED
    assert run.failure.code == "STARFLOW_TERMINATED"
    assert run.failure.message == "now"
    assert (await workflows.TerminateRun(request)).run == run


@pytest.mark.parametrize(
    "end",
    [
        lambda w: w.CancelRun(pb.CancelRunRequest(run_id="r")),
        lambda w: w.TerminateRun(pb.TerminateRunRequest(run_id="r")),
    ],
)
async def test_a_run_that_has_finished_cannot_be_cancelled(workflows, workers, end):
    await start(workflows)
    await complete(workers, result(await take(workers)))
    await finished(workflows)

    refused = await refusal(end(workflows))

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "RUN_FINISHED")


async def test_a_paused_run_is_tried_again_or_terminated(serve):
    service = await serve(options=Options(limits=Limits(max_steps=1000)))
    workflows = service.workflows
    await start(workflows, ENDLESS, wait=LONG)

    unpaused = (await workflows.UnpauseRun(pb.UnpauseRunRequest(run_id="r"))).run
    ended = (await workflows.TerminateRun(pb.TerminateRunRequest(run_id="r"))).run

    assert unpaused.pause_reason == PauseReason.PAUSE_REASON_LIMIT
    assert unpaused.pause_message.startswith("max_steps: ")
    assert (ended.state, ended.paused) == (RunState.RUN_STATE_CANCELLED, False)


async def test_to_unpause_a_run_that_goes_on_changes_nothing(workflows):
    run = (await start(workflows)).run

    assert (await workflows.UnpauseRun(pb.UnpauseRunRequest(run_id="r"))).run == run


async def test_a_failure_by_name_is_raised_in_the_script(workflows):
    await start(workflows, WAITS)
    failure = Failure(code="no way", message="no")

    await workflows.Signal(pb.SignalRequest(run_id="r", name="go", failure=failure))

    assert (await finished(workflows)).failure.code == "NO_WAY"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.SignalRequest(run_id="r", name="a b"), "name"),
        (pb.SignalRequest(run_id="r", name="x" * 129), "name"),
        (pb.SignalRequest(run_id="r", name="go", request_id="a b"), "request_id"),
        (pb.SignalRequest(run_id="r", name="go", request_id="x" * 129), "request_id"),
        (pb.SignalRequest(run_id="r", signal_id="2-a", request_id="x"), "request_id"),
    ],
)
async def test_signals_by_name_are_checked_where_they_enter(workflows, request_, field):
    await start(workflows, ECHO)

    refused = await refusal(workflows.Signal(request_))

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert refused.message.startswith(f"{field}: ")


async def test_a_reason_has_its_limit(workflows):
    await start(workflows, ECHO)

    refused = await refusal(
        workflows.CancelRun(pb.CancelRunRequest(run_id="r", reason="é" * 513))
    )

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "TOO_LARGE")
    assert refused.message == "reason: 1026 bytes, the limit is 1024"


async def test_endings_of_an_unknown_run_are_refused(workflows):
    calls = [
        workflows.CancelRun(pb.CancelRunRequest(run_id="r")),
        workflows.TerminateRun(pb.TerminateRunRequest(run_id="r")),
        workflows.UnpauseRun(pb.UnpauseRunRequest(run_id="r")),
        workflows.Signal(pb.SignalRequest(run_id="r", name="go")),
    ]
    for call in calls:
        assert (await refusal(call)).reason == "RUN_NOT_FOUND"
