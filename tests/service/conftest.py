"""A real server on a memory store: for asyncio clients, and for pytest-grpc.

pytest-grpc knows only threaded servers; the last fixtures teach it to serve ours.
"""

import asyncio
import socket
import threading
from dataclasses import dataclass

import grpc
import pytest

from starflow.v1.queue_service_pb2_grpc import QueueServiceStub
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from starflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from starflow_backends import MemoryStore
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.rpc.server import Server
from starflow_service.rpc.workflow_service import StoreFacts
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.options import Options
from starflow_service.runtime.runtime import Runtime


@dataclass
class Service:
    """A runtime behind its server, and a channel to it."""

    store: MemoryStore
    runtime: Runtime
    server: Server
    address: str
    channel: grpc.aio.Channel

    @property
    def workflows(self):
        return WorkflowServiceStub(self.channel)

    @property
    def workers(self):
        return WorkerServiceStub(self.channel)

    @property
    def queues(self):
        return QueueServiceStub(self.channel)

    @classmethod
    async def open(cls, store=None, options=None, *, keepalive_s=15.0, port=0):
        store = store or MemoryStore()
        await store.open()
        runtime = Runtime(store, ProtoCodec(), options or Options(), Clock())
        await runtime.open()
        facts = StoreFacts(store.kind, store.durability.value)
        server = Server(runtime, facts, keepalive_s=keepalive_s)
        port = server.bind("127.0.0.1", port)
        await server.start()
        address = f"127.0.0.1:{port}"
        channel = grpc.aio.insecure_channel(address)
        return cls(store, runtime, server, address, channel)

    async def close(self, grace_s=0):
        await self.channel.close()
        await self.server.stop(grace_s)
        await self.runtime.close()
        await self.store.close()


@pytest.fixture
async def serve():
    """Starts services that are closed after the test."""
    opened = []

    async def open_service(*args, **kwargs):
        service = await Service.open(*args, **kwargs)
        opened.append(service)
        return service

    yield open_service
    for service in opened:
        await service.close()


@pytest.fixture
async def service(serve):
    return await serve()


@pytest.fixture
def workflows(service):
    return service.workflows


@pytest.fixture
def workers(service):
    return service.workers


@pytest.fixture
def queues(service):
    return service.queues


# pytest-grpc


class LoopServer:
    """A service on a loop of its own, with the face of a `grpc.server`."""

    def __init__(self, port):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._service = self._call(Service.open(port=port))

    def add_insecure_port(self, address):
        """It listens already."""
        assert address == self._service.address

    def start(self):
        """It serves already."""

    def stop(self, grace):
        self._call(self._service.close(grace))

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine):
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(timeout=20)


@pytest.fixture(scope="module")
def grpc_addr():
    # The plugin's own fixture leaks its socket, which `-W error` turns red.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(scope="module")
def _grpc_server(grpc_addr):
    server = LoopServer(int(grpc_addr.rpartition(":")[2]))
    yield server
    server.close()


@pytest.fixture(scope="module")
def grpc_servicer():
    """The server has its own."""


@pytest.fixture(scope="module")
def grpc_add_to_server():
    return lambda servicer, server: None
