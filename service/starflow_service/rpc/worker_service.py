"""WorkerService: how workers get tasks and report on them."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from starflow.v1 import worker_service_pb2 as pb
from starflow.v1.worker_service_pb2_grpc import WorkerServiceServicer
from starflow_service.rpc import fields, tasks, workforce
from starflow_service.rpc.payloads import Payloads
from starflow_service.rpc.times import set_seconds
from starflow_service.rpc.waiting import wait_budget_s
from starflow_service.rpc.work_stream import WorkStream
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import PollRequest

Context = grpc.aio.ServicerContext[Any, Any]


class WorkerService(WorkerServiceServicer):
    """Translates for workers; see ``worker_service.proto``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._options = runtime.options
        self._payloads = Payloads(runtime.options.limits)
        # Set by the server when it begins to stop.
        self.is_draining = False

    async def RegisterFunction(
        self, request: pb.RegisterFunctionRequest, context: Context
    ) -> pb.RegisterFunctionResponse:
        """Announce a worker and its functions."""
        replaced = await self._runtime.workers.register(
            fields.namespace(request.namespace),
            fields.worker(request.worker),
            fields.specs(request.functions),
        )
        response = pb.RegisterFunctionResponse(replaced_functions=replaced)
        set_seconds(response.heartbeat_interval, self._options.heartbeat_s)
        set_seconds(response.lease, self._options.lease_s)
        return response

    async def Poll(self, request: pb.PollRequest, context: Context) -> pb.PollResponse:
        """Lease tasks, waiting for the first."""
        workers = self._runtime.workers
        namespace = fields.namespace(request.namespace)
        worker_id = fields.worker_id(request.worker_id)
        leased = await workers.poll(
            PollRequest(
                namespace=namespace,
                worker_id=worker_id,
                poll_id=fields.poll_id(request.poll_id),
                functions=fields.functions(request.functions),
                max_tasks=fields.count("max_tasks", request.max_tasks) or 1,
                max_bytes=tasks.INPUTS_MAX,
                wait_s=wait_budget_s(
                    context, request.wait, longest_s=self._options.max_wait_s
                ),
            )
        )
        response = pb.PollResponse(draining=self.is_draining)
        if not leased:
            response.drained = workers.is_drained(namespace, worker_id)
        tasks.fill_tasks(response, leased)
        return response

    async def CompleteTasks(
        self, request: pb.CompleteTasksRequest, context: Context
    ) -> pb.CompleteTasksResponse:
        """Take results, each judged by itself."""
        namespace = fields.namespace(request.namespace)
        worker_id = fields.worker_id(request.worker_id, is_required=False)
        reports, refused = await self._payloads.read(
            request.ByteSize(), lambda p: tasks.reports_of(request.results, p)
        )
        judged = iter(
            await self._runtime.workers.complete(namespace, worker_id, reports)
        )
        response = pb.CompleteTasksResponse()
        for index, result in enumerate(request.results):
            completion = response.completions.add(task_token=result.task_token)
            if index in refused:
                tasks.reject(completion, refused[index])
            else:
                tasks.fill_completion(completion, next(judged))
        return response

    async def Heartbeat(
        self, request: pb.HeartbeatRequest, context: Context
    ) -> pb.HeartbeatResponse:
        """Renew the leases of the tasks that a worker holds."""
        namespace = fields.namespace(request.namespace)
        worker_id = fields.worker_id(request.worker_id)
        beats, refusal = await self._payloads.read(
            request.ByteSize(), lambda p: tasks.beats_of(request.tasks, p)
        )
        # A progress that cannot be kept is no reason to lose the leases.
        wait_s = wait_budget_s(
            context, request.wait, longest_s=self._options.max_wait_s
        )
        workers = self._runtime.workers
        directives = await workers.heartbeat(
            namespace, worker_id, beats, 0.0 if refusal else wait_s
        )
        if refusal is not None:
            raise refusal
        response = pb.HeartbeatResponse(draining=self.is_draining)
        response.drained = workers.is_drained(namespace, worker_id)
        set_seconds(response.lease, self._options.lease_s)
        tasks.fill_directives(response, directives)
        return response

    async def DrainWorker(
        self, request: pb.DrainWorkerRequest, context: Context
    ) -> pb.DrainWorkerResponse:
        """Give a worker no more tasks."""
        namespace = fields.namespace(request.namespace)
        worker_id = fields.worker_id(request.worker_id)
        held = await self._runtime.workers.drain_worker(namespace, worker_id)
        return pb.DrainWorkerResponse(held_tasks=held)

    async def ListFunctions(
        self, request: pb.ListFunctionsRequest, context: Context
    ) -> pb.ListFunctionsResponse:
        """Return the registered functions, and what waits for them."""
        return workforce.list_functions(self._runtime, request)

    async def ListWorkers(
        self, request: pb.ListWorkersRequest, context: Context
    ) -> pb.ListWorkersResponse:
        """Return the workers that showed themselves lately."""
        return workforce.list_workers(self._runtime, request)

    async def WorkStream(  # type: ignore[override]  # the stubs know generators only
        self, requests: AsyncIterator[pb.WorkStreamRequest], context: Context
    ) -> None:
        """Serve a worker over one stream."""
        workers = self._runtime.workers
        stream = WorkStream(workers, self._payloads, self._options, context)
        await stream.serve(requests)
