"""Limits of queues outlive a server that is killed, on one machine."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from starflow.v1 import queue_service_pb2 as queue_pb
from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.queue_service_pb2_grpc import QueueServiceStub
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from starflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from tests.service.calls import complete, poll, result, start, take
from tests.support.processes import Server, Stage

pytestmark = pytest.mark.system

HALF_A_SECOND = Duration(nanos=500_000_000)
LIMITS = queue_pb.QueueLimits(
    max_in_flight=2,
    rate=queue_pb.QueueRate(tokens=1, period=Duration(seconds=86_400), burst=3),
)


async def queue_of(channel):
    answer = await QueueServiceStub(channel).ListQueues(
        queue_pb.ListQueuesRequest(), wait_for_ready=True
    )
    (queue,) = answer.queues
    return queue


async def test_permits_and_tokens_outlive_a_server_that_is_killed(tmp_path):
    with Stage(tmp_path) as stage:
        server = stage.add(Server(tmp_path))
        await server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            workers, workflows = (
                WorkerServiceStub(channel),
                WorkflowServiceStub(channel),
            )
            queues = QueueServiceStub(channel)
            await queues.SetQueue(queue_pb.SetQueueRequest(name="test", limits=LIMITS))
            for n in range(4):
                await start(workflows, run_id=f"r{n}")
            held = (await poll(workers, max_tasks=50)).tasks
            assert len(held) == 2

            await server.kill()
            await server.start()

            queue = await queue_of(channel)
            assert (queue.in_flight, int(queue.tokens)) == (2, 1)
            beats = [pb.TaskHeartbeat(task_token=task.task_token) for task in held]
            beat = pb.HeartbeatRequest(worker_id="w", tasks=beats)
            assert list((await workers.Heartbeat(beat)).directives) == []
            others = await poll(workers, worker="other", wait=HALF_A_SECOND)
            assert list(others.tasks) == []

            for task in held:
                [completion] = await complete(workers, result(task, 1))
                assert completion.status == pb.COMPLETION_STATUS_APPLIED
            # There is room for two, and a token for one.
            await take(workers, worker="other")
            more = await poll(workers, worker="other", wait=HALF_A_SECOND)
            assert list(more.tasks) == []
            assert (await queue_of(channel)).in_flight == 1
