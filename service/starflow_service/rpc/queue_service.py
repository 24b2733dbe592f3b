"""QueueService: how operators bound what is executed at a time."""

from typing import Any

import grpc

from starflow.v1 import queue_service_pb2 as pb
from starflow.v1.queue_service_pb2_grpc import QueueServiceServicer
from starflow_service.rpc import fields, workforce
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import QueueView

Context = grpc.aio.ServicerContext[Any, Any]


class QueueService(QueueServiceServicer):
    """Translates for operators; see ``queue_service.proto``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def SetQueue(
        self, request: pb.SetQueueRequest, context: Context
    ) -> pb.SetQueueResponse:
        """Set the limits of a queue."""
        namespace = fields.namespace(request.namespace)
        name = fields.QUEUE.check("name", request.name)
        limits = fields.queue_limits("limits", request.limits)
        await self._runtime.permits.set_queue(namespace, name, limits)
        state = (await self._runtime.permits.states(namespace)).get(name)
        response = pb.SetQueueResponse()
        # Somebody else may have deleted it since.
        if state is not None:
            response.queue.CopyFrom(workforce.queue(QueueView(name, state)))
        return response

    async def DeleteQueue(
        self, request: pb.DeleteQueueRequest, context: Context
    ) -> pb.DeleteQueueResponse:
        """Take the limits of a queue away."""
        namespace = fields.namespace(request.namespace)
        name = fields.QUEUE.check("name", request.name)
        deleted = await self._runtime.permits.set_queue(namespace, name, None)
        return pb.DeleteQueueResponse(deleted=deleted)

    async def ListQueues(
        self, request: pb.ListQueuesRequest, context: Context
    ) -> pb.ListQueuesResponse:
        """Return the queues that were set."""
        return await workforce.list_queues(self._runtime, request)
