"""Workers, through a real server."""

import asyncio

import pytest
from google.protobuf.duration_pb2 import Duration

from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.failure_pb2 import Failure
from starflow_service.engine import events
from starflow_service.rpc.server import MESSAGE_BYTES_MAX
from starflow_service.rpc.tasks import fill_tasks
from starflow_service.runtime.options import Options
from starflow_service.runtime.types import Task
from tests.service.calls import (
    ECHO,
    LONG,
    complete,
    finished,
    payload,
    poll,
    refusal,
    register,
    result,
    start,
    take,
)

APPLIED = pb.COMPLETION_STATUS_APPLIED
IGNORED = pb.COMPLETION_STATUS_IGNORED
REJECTED = pb.COMPLETION_STATUS_REJECTED
PARALLEL = """
load("flow", "start", "wait")

def main(ctx, input):
    return wait(ctx, [start(ctx, test.echo, n) for n in range(input)])
"""


async def beat(workers, *tasks, worker="w"):
    beats = [
        each
        if isinstance(each, pb.TaskHeartbeat)
        else pb.TaskHeartbeat(task_token=each.task_token)
        for each in tasks
    ]
    return await workers.Heartbeat(pb.HeartbeatRequest(worker_id=worker, tasks=beats))


async def test_a_worker_is_told_how_often_to_show_life(workers):
    answer = await register(workers, "test.echo")

    assert answer.heartbeat_interval == Duration(seconds=5)
    assert answer.lease == Duration(seconds=15)
    assert list(answer.replaced_functions) == []


async def test_a_specification_that_changes_is_named(workers):
    await register(workers, "test.echo", "test.other")

    answer = await register(
        workers, "test.echo", "test.other", description="new", worker="v"
    )

    assert sorted(answer.replaced_functions) == ["test.echo", "test.other"]


async def test_a_task_says_all_that_a_worker_needs(workflows, workers):
    await register(workers, "test.echo", attempt_timeout=Duration(seconds=7))
    await start(workflows, ECHO, {"n": 1})

    task = await take(workers)

    assert (task.function, task.input.json) == ("test.echo", '{"n":1}')
    assert (task.run_id, task.call_version, task.attempt) == ("r", 2, 1)
    assert task.task_id
    assert task.task_token
    assert task.signal_id
    assert task.lease == Duration(seconds=15)
    assert task.attempt_timeout == Duration(seconds=7)
    assert task.HasField("call_time")
    assert not task.HasField("last_failure")
    assert not task.HasField("last_progress")


async def test_a_second_attempt_knows_the_first(workflows, workers):
    policy = {"initial_interval": Duration()}
    await register(workers, "test.echo", retry_policy=policy)
    await start(workflows)
    first = await take(workers)
    progress = pb.TaskHeartbeat(task_token=first.task_token, progress=payload([7]))
    await beat(workers, progress)
    failure = Failure(code="BUSY", message="later", stack_trace="there")
    await complete(workers, result(first, failure=failure))

    second = await take(workers)

    assert (second.attempt, second.task_id) == (2, first.task_id)
    assert second.task_token != first.task_token
    assert second.signal_id == first.signal_id
    assert second.last_failure.code == "BUSY"
    assert second.last_failure.stack_trace == "there"
    assert second.last_progress.json == "[7]"


async def test_a_poll_without_a_wait_comes_back_at_once(workers):
    assert (await poll(workers, wait=Duration())) == pb.PollResponse()


async def test_a_poll_ends_before_the_deadline_of_its_call(workers):
    request = pb.PollRequest(worker_id="w", functions=["test.echo"], wait=LONG)

    assert await workers.Poll(request, timeout=0.7) == pb.PollResponse()


async def test_a_waiting_poll_gets_what_comes(workflows, workers):
    polling = asyncio.ensure_future(poll(workers))

    await start(workflows)

    assert len((await polling).tasks) == 1


async def test_a_poll_takes_as_many_as_it_asks_for(workflows, workers):
    await start(workflows, PARALLEL, 5)

    first = (await poll(workers)).tasks
    rest = (await poll(workers, max_tasks=10**6)).tasks

    assert [task.input.json for task in [*first, *rest]] == ["0", "1", "2", "3", "4"]
    assert len(first) == 1


async def test_a_poll_sent_again_brings_the_same_tasks(workflows, workers):
    await start(workflows, PARALLEL, 2)

    first = await poll(workers, max_tasks=2, poll_id="p-1")
    again = await poll(workers, max_tasks=2, poll_id="p-1", wait=Duration())
    other = await poll(workers, max_tasks=2, poll_id="p-2", wait=Duration())

    assert [t.task_token for t in first.tasks] == [t.task_token for t in again.tasks]
    assert len(again.tasks) == 2
    assert not other.tasks


async def test_large_inputs_come_in_answers_that_arrive(workflows, workers):
    script = """
load("flow", "start", "wait")

def main(ctx, input):
    return len(wait(ctx, [start(ctx, test.echo, input) for n in range(12)]))
"""
    await start(workflows, script, "\N{EURO SIGN}" * 150_000)

    tokens = set()
    while len(tokens) < 12:
        tasks = (await poll(workers, max_tasks=100)).tasks
        tokens |= {task.task_token for task in tasks}
        await complete(workers, *(result(task) for task in tasks))

    assert (await finished(workflows)).output.json == "12"


def test_what_earlier_attempts_left_is_told_as_far_as_it_fits():
    large = events.Failure("F", "m", details='"' + "x" * 1_000_000 + '"')
    tasks = [
        Task(
            task_id=str(n),
            token=str(n),
            run_id="r",
            call_version=n,
            function="a.b",
            input='"x"',
            attempt=2,
            lease_s=15.0,
            attempt_timeout_ns=10**9,
            signal_id=str(n),
            call_ns=0,
            last_progress=None,
            last_failure=large,
            headers={},
        )
        for n in range(10)
    ]
    response = pb.PollResponse()

    fill_tasks(response, tasks)

    told = [task.HasField("last_failure") for task in response.tasks]
    assert told == [True] * 3 + [False] * 7
    assert response.ByteSize() <= MESSAGE_BYTES_MAX


async def test_an_unregistered_worker_has_to_name_functions(workers):
    refused = await refusal(workers.Poll(pb.PollRequest(worker_id="nobody")))

    assert refused.code == "FAILED_PRECONDITION"
    assert refused.reason == "WORKER_NOT_REGISTERED"


async def test_a_registered_worker_gets_what_it_offers(workflows, workers):
    await register(workers, "test.echo")
    await start(workflows)

    answer = await workers.Poll(pb.PollRequest(worker_id="w", wait=LONG))

    assert [task.function for task in answer.tasks] == ["test.echo"]


async def test_many_waiting_polls_are_bounded(serve):
    service = await serve(options=Options(waiting_polls_max=1))
    waiting = asyncio.ensure_future(poll(service.workers))

    async def next_poll():
        while True:
            await poll(service.workers, wait=Duration(nanos=1))

    refused = await refusal(next_poll())
    waiting.cancel()

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")


# Results


async def test_a_result_counts_once_and_says_so_again(workflows, workers):
    await start(workflows)
    task = await take(workers)

    first = await complete(workers, result(task, "a"))
    again = await complete(workers, result(task, "b"))

    assert [c.status for c in first + again] == [APPLIED, APPLIED]
    assert first[0].task_token == task.task_token
    assert (await finished(workflows)).output.json == '"a"'


async def test_results_are_judged_one_by_one(workflows, workers):
    await start(workflows, PARALLEL, 3)
    tasks = (await poll(workers, max_tasks=3)).tasks

    completions = await complete(
        workers,
        result(tasks[0], "a"),
        result("garbage", "b"),
        result(tasks[1], output={"json": "{"}),
        pb.TaskResult(task_token=tasks[2].task_token),
        pb.TaskResult(output=payload(1)),
        result(tasks[2], output={"json": '"' + "x" * (1 << 20) + '"'}),
        result(tasks[1], "d"),
        result(tasks[2], failure=Failure(code="F", details={"json": "NaN"})),
    )

    told = [(c.status, c.rejection.code, c.rejection.reason) for c in completions]
    assert told == [
        (APPLIED, 0, ""),
        (REJECTED, 3, "FIELD_INVALID"),
        (REJECTED, 3, "PAYLOAD_INVALID"),
        (REJECTED, 3, "FIELD_INVALID"),
        (REJECTED, 3, "FIELD_INVALID"),
        (REJECTED, 3, "TOO_LARGE"),
        (APPLIED, 0, ""),
        (APPLIED, 0, ""),
    ]
    assert "results[3]: has no outcome" in completions[3].rejection.message
    assert "results[4].task_token: is required" in completions[4].rejection.message
    run = await finished(workflows)
    assert run.failure.code == "F"
    assert "dropped" in run.failure.message


async def test_a_task_given_back_comes_again_as_the_same_attempt(workflows, workers):
    await start(workflows)
    task = await take(workers)

    [completion] = await complete(workers, result(task, release={"reason": "busy"}))
    again = await take(workers)

    assert completion.status == APPLIED
    assert (again.attempt, again.task_id) == (1, task.task_id)
    assert again.task_token != task.task_token


async def test_a_late_result_is_ignored(workflows, workers):
    await start(workflows)
    task = await take(workers)
    await complete(workers, result(task, release={}))
    other = await take(workers, worker="v")

    [late] = await complete(workers, result(task, "late"))
    await complete(workers, result(other, "new"), worker="v")

    assert late.status == IGNORED
    assert (await finished(workflows)).output.json == '"new"'


@pytest.mark.parametrize(
    "code", ["CardDeclined", "", "STARFLOW_SCRIPT_ERROR", "\N{PILE OF POO}"]
)
async def test_a_failure_is_never_lost_for_its_form(workflows, workers, code):
    await start(workflows)
    failure = Failure(
        code=code,
        message="m" * 100_000,
        retry_delay=Duration(seconds=-5),
        stack_trace="s" * 100_000,
    )

    [completion] = await complete(workers, result(await take(workers), failure=failure))

    run = await finished(workflows)
    assert completion.status == APPLIED
    assert run.failure.code in {"CARD_DECLINED", "FAILED", "SCRIPT_ERROR"}
    assert len(run.failure.message) == 4096


# Heartbeats


async def test_a_heartbeat_renews_and_says_for_how_long(workflows, workers):
    await start(workflows)
    task = await take(workers)

    answer = await beat(workers, task)

    assert answer.lease == Duration(seconds=15)
    assert not answer.directives
    assert not answer.draining


async def test_a_worker_is_told_of_tasks_that_are_not_its_own(workflows, workers):
    await start(workflows)
    task = await take(workers)
    await complete(workers, result(task))

    garbage = pb.TaskHeartbeat(task_token="garbage")
    answer = await beat(workers, task, garbage)

    told = [(each.task_token, each.action) for each in answer.directives]
    assert told == [
        (task.task_token, pb.TASK_ACTION_ABANDON),
        ("garbage", pb.TASK_ACTION_ABANDON),
    ]
    assert all(each.reason for each in answer.directives)


async def test_a_heartbeat_of_nobody_is_refused(workers):
    refused = await refusal(beat(workers, worker="nobody"))

    assert refused.reason == "WORKER_NOT_REGISTERED"


async def test_a_progress_that_cannot_be_kept_is_refused_and_renews_all_the_same(serve):
    service = await serve(options=Options(lease_s=0.3, heartbeat_s=0.1))
    await start(service.workflows)
    task = await take(service.workers)
    bad = pb.TaskHeartbeat(task_token=task.task_token, progress={"json": "{"})

    # For longer than the lease.
    ends_at = asyncio.get_running_loop().time() + 1
    while asyncio.get_running_loop().time() < ends_at:
        refused = await refusal(beat(service.workers, bad))
        assert refused.reason == "PAYLOAD_INVALID"
        assert refused.fields == ["tasks[0].progress"]
    [completion] = await complete(service.workers, result(task, "ok"))

    assert completion.status == APPLIED
