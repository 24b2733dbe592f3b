"""Every call may come in at any server, wherever its run is."""

import asyncio
import contextlib

import grpc
import pytest
import pytest_asyncio

from starflow.v1 import event_pb2, run_pb2
from starflow.v1 import worker_service_pb2 as wk
from starflow.v1 import workflow_service_pb2 as wf
from tests.replicas.crew import open_crew
from tests.support.processes import until_async

# One crew for all: to start servers takes longer than the tests.
pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

RETURNS = "def main(ctx, input):\n    return input\n"
CALLS = "def main(ctx, input):\n    return test.echo(ctx, input)\n"
WAITS = """
load("flow", "wait_signal")

def main(ctx, input):
    return wait_signal(ctx, "go")
"""
OWNER, OTHER = 0, 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crew(tmp_path_factory):
    async with open_crew(tmp_path_factory.mktemp("crew"), 2) as crew:
        yield crew


async def start(crew, run_id, script, through=OTHER, **fields):
    request = wf.RunRequest(
        run_id=run_id, script=script, allow_unregistered=True, **fields
    )
    request.input.json = '"x"'
    return await crew.workflows[through].Run(request)


async def get(crew, run_id, through=OTHER, wait_s=0):
    request = wf.GetRunRequest(run_id=run_id)
    request.wait.seconds = wait_s
    return (await crew.workflows[through].GetRun(request)).run


async def poll(crew, through, wait_s=30, **fields):
    request = wk.PollRequest(functions=["test.echo"], max_tasks=10, **fields)
    request.worker_id = request.worker_id or "w"
    request.wait.seconds = wait_s
    return list((await crew.workers[through].Poll(request)).tasks)


async def complete(crew, through, *tokens):
    request = wk.CompleteTasksRequest(worker_id="w")
    for token in tokens:
        request.results.add(task_token=token).output.json = '"done"'
    response = await crew.workers[through].CompleteTasks(request)
    return [completion.status for completion in response.completions]


async def test_a_run_begins_where_it_belongs_and_is_found_from_everywhere(crew):
    run_id = await crew.run_owned_by(OWNER, "r1")

    first = await start(crew, run_id, RETURNS)
    second = await start(crew, run_id, RETURNS)

    assert (first.created, second.created) == (True, False)
    for through in (OWNER, OTHER):
        run = await get(crew, run_id, through)
        assert run.state == run_pb2.RUN_STATE_SUCCEEDED
        assert run.output.json == '"x"'


async def test_a_run_without_an_id_is_begun_by_whoever_is_asked(crew):
    answers = await asyncio.gather(
        *(start(crew, "", RETURNS, through=n % 2) for n in range(20))
    )

    runs = [answer.run.run_id for answer in answers]
    assert len(set(runs)) == 20
    assert all(answer.created for answer in answers)
    found = await asyncio.gather(*(get(crew, run_id, OTHER) for run_id in runs))
    assert {run.state for run in found} == {run_pb2.RUN_STATE_SUCCEEDED}


async def test_what_the_owner_refuses_is_told_as_it_says(crew):
    run_id = await crew.run_owned_by(OWNER, "r2")

    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await get(crew, run_id)
    await start(crew, run_id, RETURNS)
    with pytest.raises(grpc.aio.AioRpcError) as taken:
        await start(crew, run_id, CALLS)
    with pytest.raises(grpc.aio.AioRpcError) as malformed:
        await get(crew, "no id at all")

    assert missing.value.code() is grpc.StatusCode.NOT_FOUND
    assert run_id in (missing.value.details() or "")
    assert taken.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert malformed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailers = dict(taken.value.trailing_metadata())
    assert b"RUN_ID_CONFLICT" in trailers["grpc-status-details-bin"]


async def test_signals_cancels_and_all_else_reach_the_owner(crew):
    stub = crew.workflows[OTHER]
    runs = [await crew.run_owned_by(OWNER, name) for name in ("a", "b", "c", "d")]
    for run_id in runs:
        await start(crew, run_id, WAITS)
    signalled, cancelled, terminated, unpaused = runs

    signal = wf.SignalRequest(run_id=signalled, name="go")
    signal.output.json = '"gone"'
    assert (await stub.Signal(signal)).disposition == wf.SIGNAL_DISPOSITION_RESUMED
    await stub.CancelRun(wf.CancelRunRequest(run_id=cancelled))
    await stub.TerminateRun(wf.TerminateRunRequest(run_id=terminated))
    unpause = await stub.UnpauseRun(wf.UnpauseRunRequest(run_id=unpaused))

    assert (await get(crew, signalled, wait_s=30)).output.json == '"gone"'
    assert (await get(crew, cancelled, wait_s=30)).state == run_pb2.RUN_STATE_CANCELLED
    assert (await get(crew, terminated)).state == run_pb2.RUN_STATE_CANCELLED
    assert unpause.run.state == run_pb2.RUN_STATE_YIELDED
    await stub.DeleteRun(wf.DeleteRunRequest(run_id=terminated))
    with pytest.raises(grpc.aio.AioRpcError) as deleted:
        await get(crew, terminated, OWNER)
    assert deleted.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_log_is_read_and_followed_through_another_server(crew):
    run_id = await crew.run_owned_by(OWNER, "r3")
    await start(crew, run_id, CALLS)
    request = wf.GetEventsRequest(run_id=run_id, follow=True)
    types = []
    async for batch in crew.workflows[OTHER].GetEvents(request):
        types += [event.type for event in batch.events]
        if types[-1] == event_pb2.EVENT_TYPE_CALL:
            (task,) = await poll(crew, OTHER)
            await complete(crew, OTHER, task.task_token)

    assert types == [
        event_pb2.EVENT_TYPE_START,
        event_pb2.EVENT_TYPE_CALL,
        event_pb2.EVENT_TYPE_RETURN,
        event_pb2.EVENT_TYPE_FINISH,
    ]


async def test_waiting_for_a_run_goes_on_when_its_owner_dies(crew):
    run_id = await crew.run_owned_by(OWNER, "r4")
    request = wf.RunRequest(run_id=run_id, script=CALLS, allow_unregistered=True)
    request.wait.seconds = 50
    request.wait_until = wf.WAIT_UNTIL_FINISHED
    starting = asyncio.ensure_future(crew.workflows[OTHER].Run(request))
    getting = asyncio.ensure_future(
        until_async(
            lambda: found(crew, run_id), "the run is finished, as one call tells"
        )
    )
    events = asyncio.ensure_future(follow(crew, run_id))
    await until_async(lambda: has_call(crew, run_id), "the run waits for a worker")

    async with crew.killed(OWNER):
        (task,) = await poll(crew, OTHER)
        assert await complete(crew, OTHER, task.task_token) == [
            wk.COMPLETION_STATUS_APPLIED
        ]
        response = await starting
        assert response.run.state == run_pb2.RUN_STATE_SUCCEEDED
        assert (await getting).output.json == '"done"'
        assert await events == [1, 2, 3, 4]
    await crew.until_balanced()


async def found(crew, run_id):
    with contextlib.suppress(grpc.aio.AioRpcError):
        run = await get(crew, run_id, wait_s=50)
        return run if run.state == run_pb2.RUN_STATE_SUCCEEDED else None
    return None


async def has_call(crew, run_id):
    with contextlib.suppress(grpc.aio.AioRpcError):
        return (await get(crew, run_id)).version == 2
    return False


async def follow(crew, run_id):
    """Return the versions that one stream brings."""
    await until_async(lambda: has_call(crew, run_id), "the run is there")
    request = wf.GetEventsRequest(run_id=run_id, follow=True)
    return [
        event.version
        async for batch in crew.workflows[OTHER].GetEvents(request)
        for event in batch.events
    ]


@pytest.mark.parametrize("waits", [True, False])
async def test_a_poll_gets_the_tasks_of_all_servers(crew, waits):
    ids = [await crew.run_owned_by(n % 2, f"{waits}{n}") for n in range(6)]
    polling = asyncio.ensure_future(gather_tasks(crew, 6, wait_s=30 if waits else 0))
    for n, run_id in enumerate(ids):
        await start(crew, run_id, CALLS, through=n % 2)

    tasks = await polling

    assert sorted(task.run_id for task in tasks) == sorted(ids)
    statuses = await complete(crew, OTHER, *(task.task_token for task in tasks))
    assert set(statuses) == {wk.COMPLETION_STATUS_APPLIED}
    for run_id in ids:
        run = await get(crew, run_id, OWNER, wait_s=30)
        assert run.output.json == '"done"'


async def gather_tasks(crew, count, wait_s):
    tasks = []
    while len(tasks) < count:
        tasks += await poll(crew, OTHER, wait_s)
    return tasks


async def test_results_are_judged_in_their_order_wherever_their_runs_are(crew):
    ids = [await crew.run_owned_by(n % 2, f"order{n}") for n in range(4)]
    for run_id in ids:
        await start(crew, run_id, CALLS)
    tasks = {task.run_id: task for task in await gather_tasks(crew, 4, 30)}
    tokens = [tasks[run_id].task_token for run_id in ids]
    assert await complete(crew, OWNER, tokens[0], tokens[1]) == [1, 1]
    await crew.workflows[OTHER].TerminateRun(wf.TerminateRunRequest(run_id=ids[2]))

    statuses = await complete(crew, OTHER, *tokens, "no/token/of/any/kind/at/all")

    assert statuses == [
        wk.COMPLETION_STATUS_APPLIED,
        wk.COMPLETION_STATUS_APPLIED,
        wk.COMPLETION_STATUS_IGNORED,
        wk.COMPLETION_STATUS_APPLIED,
        wk.COMPLETION_STATUS_REJECTED,
    ]


async def test_a_worker_hears_what_becomes_of_tasks_of_another_server(crew):
    run_id = await crew.run_owned_by(OWNER, "r5")
    await start(crew, run_id, CALLS)
    (task,) = await poll(crew, OTHER, worker_id="h")
    request = wk.HeartbeatRequest(worker_id="h")
    request.tasks.add(task_token=task.task_token)
    assert not (await crew.workers[OTHER].Heartbeat(request)).directives
    request.wait.seconds = 50

    held = asyncio.ensure_future(crew.workers[OTHER].Heartbeat(request))
    await crew.workflows[OTHER].CancelRun(wf.CancelRunRequest(run_id=run_id))

    (directive,) = (await held).directives
    assert directive.task_token == task.task_token
    assert directive.action == wk.TASK_ACTION_CANCEL


async def test_a_poll_that_comes_again_gets_the_same_tasks(crew):
    run_id = await crew.run_owned_by(OWNER, "r6")
    await start(crew, run_id, CALLS)
    (first,) = await poll(crew, OTHER, wait_s=0, poll_id="p")

    (again,) = await poll(crew, OTHER, wait_s=0, poll_id="p")

    assert again.task_token == first.task_token
    await complete(crew, OTHER, again.task_token)


async def test_a_function_registered_with_one_server_is_known_to_all(crew):
    worker = wk.WorkerInfo(worker_id="w")
    spec = wk.FunctionSpec(name="shop.buy")
    await crew.workers[OWNER].RegisterFunction(
        wk.RegisterFunctionRequest(worker=worker, functions=[spec])
    )
    script = "def main(ctx, input):\n    return shop.buy(ctx, input)\n"

    response = await crew.workflows[OTHER].Run(wf.RunRequest(script=script))

    assert response.created
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await crew.workflows[OTHER].Run(
            wf.RunRequest(script=script.replace("buy", "buyy"))
        )
    assert "did you mean shop.buy?" in (refused.value.details() or "")


async def test_a_worker_is_drained_wherever_it_is(crew):
    waiting = asyncio.ensure_future(poll(crew, OTHER, wait_s=50, worker_id="d"))
    drain = wk.DrainWorkerRequest(worker_id="d")

    async def is_known():
        with contextlib.suppress(grpc.aio.AioRpcError):
            await crew.workers[OWNER].DrainWorker(drain)
            return True
        return False

    await until_async(is_known, "the worker is known")

    assert await waiting == []
