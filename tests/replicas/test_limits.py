"""A queue's limit holds over several servers, whichever of them are killed."""

import asyncio
from random import Random

import grpc
import pytest

from starflow.v1 import queue_service_pb2 as queue_pb
from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.payload_pb2 import Payload
from starflow.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.replicas.crew import Crew, open_crew
from tests.support.processes import until, until_async

pytestmark = pytest.mark.system

SCRIPT = """
def main(ctx, input):
    for n in range(input):
        bank.pay(ctx, n)
    return input
"""
IN_FLIGHT = 3
RUNS, STEPS = 24, 4


class Bank:
    """Workers of all servers, and how many payments they make at a time."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.paying = self.most = self.paid = 0
        self._random = Random(3)

    async def work(self, number: int) -> None:
        """Poll one server after the other, so that each gets its share."""
        servers = self.crew.workers
        turn = number
        while True:
            turn += 1
            request = pb.PollRequest(
                worker_id=f"w-{number}",
                poll_id=f"{number}-{turn}",
                functions=["bank.pay"],
                max_tasks=self._random.randint(1, 5),
            )
            request.wait.FromMilliseconds(300)
            stub = servers[turn % len(servers)]
            try:
                tasks = (await stub.Poll(request, timeout=5)).tasks
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
                continue
            await asyncio.gather(*(self._pay(task, turn) for task in tasks))

    async def _pay(self, task: pb.Task, turn: int) -> None:
        self.paying += 1
        self.most = max(self.most, self.paying)
        await asyncio.sleep(self._random.uniform(0, 0.03))
        self.paying -= 1
        self.paid += 1
        result = pb.TaskResult(task_token=task.task_token, output=Payload(json="1"))
        while True:
            turn += 1
            stub = self.crew.workers[turn % len(self.crew.workers)]
            try:
                await stub.CompleteTasks(
                    pb.CompleteTasksRequest(worker_id="w", results=[result]), timeout=5
                )
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
            else:
                return


async def set_limit(crew: Crew, number: int) -> None:
    """Set it at one server, which knows of it at once."""
    async with grpc.aio.insecure_channel(crew.servers[number].address) as channel:
        limits = queue_pb.QueueLimits(max_in_flight=IN_FLIGHT)
        await QueueServiceStub(channel).SetQueue(
            queue_pb.SetQueueRequest(name="bank", limits=limits)
        )


async def queue_at(crew: Crew, number: int) -> queue_pb.Queue | None:
    address = crew.servers[number].address
    async with grpc.aio.insecure_channel(address) as channel:
        answer = await QueueServiceStub(channel).ListQueues(
            queue_pb.ListQueuesRequest()
        )
        return answer.queues[0] if answer.queues else None


async def test_never_more_than_the_limit_whoever_is_killed(tmp_path):
    async with open_crew(tmp_path, 2, "--lease", "2s") as crew:
        bank = Bank(crew)
        for number in (0, 1):
            await set_limit(crew, number)
        runs = [
            await crew.scene.client.start(
                SCRIPT, run_id=f"run-{n}", input=STEPS, allow_unregistered=True
            )
            for n in range(RUNS)
        ]
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(bank.work(n)) for n in range(4)]
            results = [tasks.create_task(run.result()) for run in runs]
            for number, share in ((0, 0.2), (1, 0.5)):
                await until(
                    lambda share=share: bank.paid >= RUNS * STEPS * share,
                    "payments are made",
                )
                async with crew.killed(number):
                    await asyncio.sleep(0.3)
            assert await asyncio.gather(*results) == [STEPS] * RUNS
            for worker in workers:
                worker.cancel()

        # A permit whose task was handed out by a server that died with its answer
        # ends by itself.
        assert 1 < bank.most <= IN_FLIGHT
        queue = await queue_at(crew, 1)
        assert queue is not None
        assert queue.in_flight <= IN_FLIGHT


async def test_what_waits_at_all_servers_is_listed_by_each(tmp_path):
    async with open_crew(tmp_path, 2) as crew:
        await set_limit(crew, 0)
        ids = [await crew.run_owned_by(n % 2, f"run-{n}") for n in range(6)]
        for run_id in ids:
            await crew.scene.client.start(
                SCRIPT, run_id=run_id, input=1, allow_unregistered=True
            )
        registration = pb.RegisterFunctionRequest(
            worker=pb.WorkerInfo(worker_id="w"),
            functions=[pb.FunctionSpec(name="bank.pay")],
        )
        await crew.workers[0].RegisterFunction(registration)

        for number in (0, 1):
            functions = await crew.workers[number].ListFunctions(
                pb.ListFunctionsRequest()
            )
            workers = await crew.workers[number].ListWorkers(pb.ListWorkersRequest())
            (function,) = functions.functions
            assert (function.spec.name, function.queued_calls) == ("bank.pay", 6)
            assert function.registered
            assert list(function.worker_ids) == ["w"]
            assert [each.worker.worker_id for each in workers.workers] == ["w"]

        async def all_know_all():
            found = [await queue_at(crew, number) for number in (0, 1)]
            return all(queue is not None and queue.waiting == 6 for queue in found)

        await until_async(all_know_all, "calls wait at both")
