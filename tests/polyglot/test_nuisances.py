"""Workers that are a nuisance, to a real server: it and the other workers go on."""

import asyncio

import grpc
import psutil
import pytest

from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from starflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from tests.service.calls import (
    LONG,
    complete,
    events,
    finished,
    payload,
    poll,
    register,
    result,
    start,
    take,
)
from tests.support.processes import Server, Stage

pytestmark = pytest.mark.system

REPORTS = 1_000
HEARTBEATS = 1_000
IDLE_POLLERS = 1_000
# What one idle poller may cost: a stream, a task of asyncio, a session.
IDLE_BYTES_MAX = 64 << 10
FLOOD_BYTES_MAX = 48 << 20
# Rejections of results that no run can take, by their reason.
UNUSABLE = {
    "NaN": "PAYLOAD_INVALID",
    "{'no': 'JSON'}": "PAYLOAD_INVALID",
    '{"a": 1, "a": 2}': "PAYLOAD_INVALID",
    '"' + "x" * (3 << 20) + '"': "TOO_LARGE",
}


@pytest.fixture
async def server(tmp_path):
    with Stage(tmp_path) as stage:
        server = stage.add(Server(tmp_path))
        await server.start()
        yield server


@pytest.fixture
async def channel(server):
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture
def workers(channel):
    return WorkerServiceStub(channel)


@pytest.fixture
def workflows(channel):
    return WorkflowServiceStub(channel)


def memory(server):
    return psutil.Process(server.pid).memory_info().rss


async def is_served(workflows, workers, run_id):
    """Whether a worker that is no nuisance gets a task, and its run a result."""
    await start(workflows, run_id=run_id, value=run_id)
    await complete(workers, result(await take(workers), run_id))
    run = await finished(workflows, run_id)
    return run.output.json == f'"{run_id}"'


async def test_a_task_reported_a_thousand_times_counts_once(workflows, workers):
    await start(workflows)
    task = await take(workers)

    answers = await asyncio.gather(
        *(complete(workers, result(task, number)) for number in range(REPORTS))
    )

    statuses = [answer.status for [answer] in answers]
    assert statuses.count(pb.COMPLETION_STATUS_APPLIED) >= 1
    assert pb.COMPLETION_STATUS_REJECTED not in statuses
    assert (await finished(workflows)).output.json.isdigit()
    log, _ = await events(workflows)
    assert [event.WhichOneof("detail") for event in log].count("return_event") == 1


async def test_results_that_cannot_be_used_end_no_call(workflows, workers):
    await start(workflows)
    task = await take(workers)

    for text, reason in UNUSABLE.items():
        unusable = pb.TaskResult(task_token=task.task_token, output={"json": text})
        [answer] = await complete(workers, unusable)
        assert answer.rejection.reason == reason

    await complete(workers, result(task, "at last"))
    assert (await finished(workflows)).output == payload("at last")


async def test_a_flood_of_heartbeats_harms_nobody(server, workflows, workers):
    await register(workers, "test.flood", worker="flood")
    before = memory(server)
    made_up = [{"task_token": f"made-up-{n}" * 10} for n in range(100)]
    request = pb.HeartbeatRequest(worker_id="flood", tasks=made_up, wait=LONG)

    flood = [workers.Heartbeat(request) for _ in range(HEARTBEATS)]
    assert await is_served(workflows, workers, "r")
    answers = await asyncio.gather(*flood)

    assert {len(answer.directives) for answer in answers} == {100}
    assert memory(server) - before < FLOOD_BYTES_MAX


async def test_idle_pollers_cost_little_and_harm_nobody(server, workflows, workers):
    before = memory(server)

    idle = [
        asyncio.ensure_future(poll(workers, "test.never", worker=f"idle-{n}"))
        for n in range(IDLE_POLLERS)
    ]
    assert await is_served(workflows, workers, "while-they-wait")
    assert not any(each.done() for each in idle)
    assert memory(server) - before < IDLE_POLLERS * IDLE_BYTES_MAX

    for each in idle:
        each.cancel()
    await asyncio.gather(*idle, return_exceptions=True)
    assert await is_served(workflows, workers, "when-they-are-gone")
