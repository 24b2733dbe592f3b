"""The gRPC server: our services, health, reflection, and a stop that loses nothing."""

import errno
import os
import socket
from collections.abc import Mapping
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from starflow.v1 import queue_service_pb2, worker_service_pb2, workflow_service_pb2
from starflow.v1.queue_service_pb2_grpc import add_QueueServiceServicer_to_server
from starflow.v1.worker_service_pb2_grpc import add_WorkerServiceServicer_to_server
from starflow.v1.workflow_service_pb2_grpc import (
    add_WorkflowServiceServicer_to_server,
)
from starflow_service.rpc.interceptors import EdgeInterceptor
from starflow_service.rpc.queue_service import QueueService
from starflow_service.rpc.reflection import CommentedReflection
from starflow_service.rpc.routing import Alone, Method, Route, unary_methods
from starflow_service.rpc.worker_service import WorkerService
from starflow_service.rpc.workflow_service import (
    KEEPALIVE_S,
    StoreFacts,
    WorkflowService,
)
from starflow_service.runtime.runtime import Runtime

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
_AGE_MS = 30 * 60 * 1000
# Longer than a call may wait, so that what waits on an old connection is answered.
_AGE_GRACE_MS = 5 * 60 * 1000
_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"

_DESCRIPTORS = (
    workflow_service_pb2.DESCRIPTOR.services_by_name["WorkflowService"],
    worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
    queue_service_pb2.DESCRIPTOR.services_by_name["QueueService"],
)
_SERVICES = tuple(service.full_name for service in _DESCRIPTORS)

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # A second server on the port has to fail, and not to take half of the calls.
    ("grpc.so_reuseport", 0),
    # A dead client is noticed within 80 seconds; a live one may ask every 2 seconds,
    # where gRPC would hang up on anything below 5 minutes.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 2_000),
    # So that clients behind a balancer of connections spread over new servers, too.
    ("grpc.max_connection_age_ms", _AGE_MS),
    ("grpc.max_connection_age_grace_ms", _AGE_GRACE_MS),
    # At their defaults a burst of 2,000 calls is answered with CANCELLED.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 200_000),
)


class BindError(Exception):
    """The address cannot be listened on."""

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(f"cannot listen on {address}: {problem}")


class Server:
    """
    Serves a runtime.

    `bind`, `start` once the runtime is open, and `stop` before it is closed.
    """

    def __init__(
        self,
        runtime: Runtime,
        store: StoreFacts,
        *,
        route: Route | None = None,
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        self._runtime = runtime
        self._route = route = route or Alone(runtime)
        self._workflows = WorkflowService(
            runtime, store, route, keepalive_s=keepalive_s
        )
        self._workers = WorkerService(runtime)
        self._queues = QueueService(runtime)
        self._health = health.aio.HealthServicer()
        self._edge = EdgeInterceptor(route)
        self._server = grpc.aio.server(interceptors=[self._edge], options=_OPTIONS)
        add_WorkflowServiceServicer_to_server(self._workflows, self._server)
        add_WorkerServiceServicer_to_server(self._workers, self._server)
        add_QueueServiceServicer_to_server(self._queues, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        _add_reflection(self._server)

    @property
    def methods(self) -> dict[str, Method]:
        """The unary methods, as other servers of the store may ask for them."""
        servicers = (self._workflows, self._workers, self._queues)
        return unary_methods(dict(zip(_DESCRIPTORS, servicers, strict=True)))

    @property
    def ended_calls(self) -> Mapping[tuple[str, str], int]:
        """How many calls have ended, by method and by status."""
        return self._edge.ended

    def bind(self, host: str, port: int) -> int:
        """
        Take the address; return the port, which is another one if *port* is 0.

        Raises:
            BindError: It is in use, or not ours to have.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError:
            raise BindError(address, _bind_problem(host, port)) from None

    async def start(self) -> None:
        """Serve, and say so."""
        await self._server.start()
        for service in ("", *_SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float) -> None:
        """
        Stop: send clients away, answer what waits, finish what is under way.

        Calls that take longer than *grace_s* are broken off.
        """
        await self._health.enter_graceful_shutdown()
        self._workflows.is_draining = self._workers.is_draining = True
        # What waits is answered before: gRPC would let it wait for the whole grace, and
        # then break it off.
        self._route.drain()
        await self._runtime.drain()
        await self._server.stop(grace_s)

    async def kill(self) -> None:
        """Stop as a process does that is killed: nobody is told, nothing answered."""
        await self._server.stop(None)


def _add_reflection(server: grpc.aio.Server) -> None:
    # The name of v1 is not announced: no file describes it, and `buf curl` gives up on
    # a service that it cannot look up.  grpcurl tries it all the same.
    names = (*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
    servicer = CommentedReflection(names)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    # The library serves v1alpha only; v1 is the same on the wire.
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods: dict[str, Any] = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_REFLECTION_V1, methods),)
    )


def _bind_problem(host: str, port: int) -> str:
    """Say why an address cannot be had, which gRPC does not."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        return f"{error.strerror}"
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "another process listens there; stop it, or choose another port"
        return os.strerror(error.errno or 0)
    return "gRPC could not, and does not say why"
