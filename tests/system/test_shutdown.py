"""A server that is asked to end does so, and nobody is any the worse for it."""

import asyncio
import signal
import time

import grpc.aio
import pytest

from starflow import _status
from starflow.v1 import worker_service_pb2 as worker_pb
from starflow.v1 import worker_service_pb2_grpc as worker_grpc
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1 import workflow_service_pb2_grpc as pb_grpc
from tests.support.processes import until
from tests.system.histories import Outage
from tests.system.scene import Scene, open_scene

pytestmark = pytest.mark.system

# Longer than any test may take: what was answered was not answered because of it.
LONG_S = 55

STEPS = """
def main(ctx, input):
    value = 0
    for n in range(5):
        value = step.add(ctx, {"value": value, "n": n, "ms": 20})["value"]
    return value
"""

HOLD = """
def main(ctx, input):
    return step.hold(ctx, input)
"""

ASK = """
def main(ctx, input):
    return step.ask(ctx, input)
"""


async def test_sigterm_answers_what_waits_and_ends_with_status_0(tmp_path):
    async with open_scene(tmp_path) as scene:
        await scene.start_worker()
        await scene.client.start(ASK, run_id="ask", input={"gate": "yield"})
        workflows = pb_grpc.WorkflowServiceStub(scene.channel)
        poll = asyncio.ensure_future(waiting_poll(scene))
        request = pb.GetRunRequest(run_id="ask")
        request.wait.seconds = LONG_S
        get = asyncio.ensure_future(workflows.GetRun(request))
        follow = workflows.GetEvents(pb.GetEventsRequest(run_id="ask", follow=True))
        shown = await follow.read()
        # Requests of one connection come in order: the others are there, too.
        await workflows.GetServerInfo(pb.GetServerInfoRequest())

        assert await scene.server.terminate() == 0
        assert (list((await poll).tasks), (await poll).draining) == ([], True)
        assert (await get).run.run_id == "ask"
        # Not its end: only FINISH ends a log, and here a client has to go on elsewhere.
        assert [event.version for event in shown.events] == [1, 2]
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await follow.read()
        reason = _status.request_error(ended.value, scene.server.address).reason
        assert reason == "SERVER_DRAINING"


async def waiting_poll(scene: Scene) -> worker_pb.PollResponse:
    request = worker_pb.PollRequest(
        worker_id="other", functions=["other.function"], poll_id="1"
    )
    request.wait.seconds = LONG_S
    stub = worker_grpc.WorkerServiceStub(scene.channel)
    response: worker_pb.PollResponse = await stub.Poll(request)
    return response


async def test_restarts_under_load_are_not_seen_by_clients_and_workers(tmp_path):
    async with open_scene(tmp_path) as scene:
        await scene.start_worker()
        run_ids: list[str] = []
        over = asyncio.Event()

        async def keep_starting(client: int) -> None:
            """Start runs, one after the other; any error fails the test."""
            while not over.is_set():
                run_id = f"run-{client}-{len(run_ids)}"
                run_ids.append(run_id)
                run = await scene.client.start(STEPS, run_id=run_id)
                assert await run.result() == 10
                follow = scene.client.events(run_id, follow=True)
                assert [event.version async for event in follow] == list(range(1, 13))

        async with asyncio.TaskGroup() as tasks:
            for client in range(20):
                tasks.create_task(keep_starting(client))
            for _ in range(3):
                await restart(scene)
            over.set()
        await scene.check(*run_ids)


async def restart(scene: Scene) -> None:
    """Let the server end and come back, once there is something to disturb."""
    before = scene.journal.count()
    await until(lambda: scene.journal.count() > before + 200, "steps are done")
    begin_ns = time.time_ns()
    assert await scene.server.terminate() == 0
    await scene.server.start()
    scene.outages.append(Outage(begin_ns, time.time_ns()))


async def test_a_worker_that_is_asked_to_end_finishes_what_it_has(tmp_path):
    async with open_scene(tmp_path) as scene:
        worker = await scene.start_worker()
        runs = [await scene.client.start(STEPS, run_id=f"run-{n}") for n in range(20)]
        await until(lambda: len(scene.journal.entries("end")) > 10, "steps are done")
        assert await worker.terminate() == 0
        assert len(scene.journal.entries("end")) == len(scene.journal.entries())

        scene.launch_worker()
        assert [await run.result() for run in runs] == [10] * len(runs)
        assert len(scene.journal.entries()) == 5 * len(runs)
        await scene.check(*(run.id for run in runs))


async def test_a_worker_that_is_asked_to_end_keeps_what_takes_long(tmp_path):
    async with open_scene(tmp_path) as scene:
        ending = await scene.start_worker()
        run = await scene.client.start(HOLD, run_id="run", input={"gate": "open"})
        await until(lambda: scene.journal.of("run"), "it is executed")
        scene.launch_worker()
        ending.send(signal.SIGTERM)
        # Its poll breaks off, and for two seconds it may as well be dead.
        doubted_until = time.monotonic() + 3
        await until(lambda: time.monotonic() > doubted_until, "the doubt is over")
        scene.open_gate("open")

        assert await run.result() == {"gate": "open"}
        assert await ending.wait() == 0
        assert len(scene.journal.of("run")) == 1
