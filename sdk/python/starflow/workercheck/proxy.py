"""Stands between worker and server: records what they say, and loses some of it.

It hands on bytes, and reads those of the four methods of workers and of their stream.
Unless it is told otherwise, it lets no stream through: every worker must be able to
poll.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from starflow.v1 import worker_service_pb2 as pb
from starflow.v1 import workflow_service_pb2 as workflow_pb
from starflow.workercheck.record import METHODS, Exchange, Record
from starflow.workercheck.stream_tap import Broken, Fault, Loss, StreamTap

_WORKER_SERVICE = "/starflow.v1.WorkerService/"
_STREAM = "WorkStream"
_SERVER_INFO = "/starflow.v1.WorkflowService/GetServerInfo"
_CAPABILITY = "worker-stream"
_OPTIONS = (
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", 16 << 20),
    # One server after another listens on the same port, never two at a time.
    ("grpc.so_reuseport", 0),
)
# A channel that waits long before it connects again would hide a server that is back.
_IMPATIENT = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
)


class Proxy(grpc.GenericRpcHandler):
    """A port that leads to the server at *target*."""

    def __init__(
        self, record: Record, target: Callable[[], str], *, streams: bool
    ) -> None:
        self.fault: Fault | None = None
        # How many streams workers have opened.
        self.streams_opened = 0
        self._lets_streams = streams
        # What breaks the open ones off.
        self._cuts: set[Callable[[], None]] = set()
        self._record = record
        self._target = target
        self._server: grpc.aio.Server | None = None
        self._channel: grpc.aio.Channel | None = None
        self._port = 0

    @property
    def address(self) -> str:
        """Where the worker finds it."""
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen, where it listened before if it did."""
        self._channel = grpc.aio.insecure_channel(
            self._target(), options=(*_OPTIONS, *_IMPATIENT)
        )
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((self,))
        self._port = self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        """Break all connections, and listen no more."""
        if self._server is not None and self._channel is not None:
            await self._server.stop(None)
            await self._channel.close()
            self._server = self._channel = None

    def cut_streams(self) -> None:
        """Break all open streams off; the worker sees UNAVAILABLE."""
        for cut in tuple(self._cuts):
            cut()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """Return what handles the method."""
        path: str = details.method
        method = path.removeprefix(_WORKER_SERVICE)
        if method in METHODS:

            async def hand_on(request: bytes, context: Any) -> bytes:
                return await self._hand_on(method, path, request, context)

            return grpc.unary_unary_rpc_method_handler(hand_on)
        if method == _STREAM and self._lets_streams:

            async def work(requests: Any, context: Any) -> AsyncIterator[bytes]:
                async for response in self._work(path, requests, context):
                    yield response

            return grpc.stream_stream_rpc_method_handler(work)
        if path == _SERVER_INFO and not self._lets_streams:
            return grpc.unary_unary_rpc_method_handler(self._hide_streams)
        if path.startswith(_WORKER_SERVICE):
            # What is checked are the methods that every worker has.
            return None

        async def stream(requests: Any, context: Any) -> AsyncIterator[bytes]:
            async for response in self._stream(path, requests, context):
                yield response

        return grpc.stream_stream_rpc_method_handler(stream)

    async def _hand_on(
        self, method: str, path: str, request: bytes, context: Any
    ) -> bytes:
        assert self._channel is not None
        request_type, response_type = METHODS[method]
        exchange = self._record.begin(method, request_type.FromString(request))
        try:
            if self._loses(exchange, None) is Loss.REQUEST:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "lost on the way")
            call: Any = self._channel.unary_unary(path)
            raw: bytes = await call(request, timeout=_seconds_left(context))
            response = response_type.FromString(raw)
            if self._loses(exchange, response) is Loss.RESPONSE:
                exchange.lost = response
                await context.abort(grpc.StatusCode.UNAVAILABLE, "lost on the way back")
            exchange.response = response
            return raw
        except grpc.aio.AioRpcError as error:
            await _fail_likewise(context, error)
            raise
        finally:
            self._record.end(exchange)

    async def _hide_streams(self, request: bytes, context: Any) -> bytes:
        assert self._channel is not None
        call: Any = self._channel.unary_unary(_SERVER_INFO)
        try:
            raw: bytes = await call(request, timeout=_seconds_left(context))
        except grpc.aio.AioRpcError as error:
            await _fail_likewise(context, error)
            raise
        info = workflow_pb.GetServerInfoResponse.FromString(raw)
        if _CAPABILITY in info.capabilities:
            info.capabilities.remove(_CAPABILITY)
        return info.SerializeToString()

    async def _work(
        self, path: str, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        assert self._channel is not None
        self.streams_opened += 1
        tap = StreamTap(self._record, self._loses)
        is_broken = False

        def cut() -> None:
            nonlocal is_broken
            is_broken = True
            call.cancel()

        async def said() -> AsyncIterator[bytes]:
            async for raw in requests:
                request = pb.WorkStreamRequest.FromString(raw)
                try:
                    tap.said(request)
                except Broken:
                    cut()
                    return
                yield request.SerializeToString()

        method: Any = self._channel.stream_stream(path)
        call = method(said())
        self._cuts.add(cut)
        try:
            async for raw in call:
                tap.came(pb.WorkStreamResponse.FromString(raw))
                yield raw
        except Broken:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "lost on the way back")
        except grpc.aio.AioRpcError as error:
            await _fail_likewise(context, error)
        except asyncio.CancelledError:
            if not is_broken:
                raise
            await context.abort(grpc.StatusCode.UNAVAILABLE, "lost on the way")
        finally:
            self._cuts.discard(cut)
            call.cancel()
            tap.close()

    def _loses(self, exchange: Exchange, response: Any) -> Loss | None:
        return None if self.fault is None else self.fault(exchange, response)

    async def _stream(
        self, path: str, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        assert self._channel is not None
        method: Any = self._channel.stream_stream(path)
        call = method(requests)
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            await _fail_likewise(context, error)
        finally:
            call.cancel()


def _seconds_left(context: Any) -> float | None:
    left: float | None = context.time_remaining()
    # gRPC says "for ever" as a number that it does not take back.
    return left if left is not None and left < 1e6 else None


async def _fail_likewise(context: Any, error: grpc.aio.AioRpcError) -> None:
    # What the reason is, such as WORKER_NOT_REGISTERED, is in there.
    trailers = tuple(error.trailing_metadata() or ())
    code = error.code()
    if code is grpc.StatusCode.CANCELLED:
        # Not the worker's doing, or nobody would be there to be told.
        code = grpc.StatusCode.UNAVAILABLE
    await context.abort(code, error.details() or "", trailers)
