"""What every call goes through: it gets an id, and its errors become statuses.

This is the only code that ends a call with an error.  It also takes the bytes of
requests apart, because gRPC answers bytes that are no message with UNKNOWN and the name
of a Python class.
"""

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.rpc import code_pb2
from grpc_status import rpc_status

from starflow_service.rpc.routing import Route
from starflow_service.rpc.status import is_expected, status_of
from starflow_service.runtime.errors import (
    FieldInvalidError,
    LogCorruptedError,
    StoreDownError,
)

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
# The stubs know only the handlers of threaded servers.
Handler: TypeAlias = Any
Continuation: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]

# Only our own services; health and reflection speak for themselves.
_PREFIX = "/starflow.v1."
_OURS = (LogCorruptedError, StoreDownError)

log = structlog.get_logger()


class EdgeInterceptor(grpc.aio.ServerInterceptor):
    """
    Gives calls an id and maps errors.

    A method is wrapped once, at its first call.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._wrapped: dict[str, Handler] = {}
        # Different for every server, so that an id leads to one line of one log.
        self._boot = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        # Calls that have ended, by method and by status.
        self.ended: Counter[tuple[str, str]] = Counter()

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler:
        """Return the handler for a call, wrapped."""
        method = details.method
        wrapped = self._wrapped.get(method)
        if wrapped is not None:
            return wrapped
        handler = await continuation(details)
        if handler is None or not method.startswith(_PREFIX):
            return handler
        wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._both_ways(method, handler), None, handler.response_serializer
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler), None, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler), None, _packing(handler.response_serializer)
        )

    def _unary(self, method: str, handler: Handler) -> Callable[..., Awaitable[Any]]:
        name = method.rpartition("/")[2]
        parse = handler.request_deserializer
        serve = self._route.around(name, handler.unary_unary)
        ended, ok = self.ended, (method.removeprefix(_PREFIX), "OK")

        async def call(data: bytes, context: Context) -> Any:
            request_id = self._enter(method)
            try:
                response = await serve(_parsed(parse, data), context)
            except BaseException as error:
                await self._refuse(method, context, error, request_id)
            ended[ok] += 1
            return response

        return call

    def _stream(self, method: str, handler: Handler) -> Callable[..., Any]:
        parse, serve = handler.request_deserializer, handler.unary_stream
        ok = method.removeprefix(_PREFIX), "OK"

        async def call(data: bytes, context: Context) -> AsyncIterator[Any]:
            request_id = self._enter(method)
            try:
                async for response in serve(_parsed(parse, data), context):
                    yield response
            except BaseException as error:
                await self._refuse(method, context, error, request_id)
            self.ended[ok] += 1

        return call

    def _both_ways(
        self, method: str, handler: Handler
    ) -> Callable[..., Awaitable[None]]:
        parse, serve = handler.request_deserializer, handler.stream_stream
        ok = method.removeprefix(_PREFIX), "OK"

        async def call(requests: AsyncIterator[bytes], context: Context) -> None:
            request_id = self._enter(method)
            try:
                await serve(_Parsed(parse, requests), context)
            except BaseException as error:
                await self._refuse(method, context, error, request_id)
            self.ended[ok] += 1

        return call

    def _enter(self, method: str) -> str:
        request_id = f"{self._boot}-{next(self._numbers)}"
        structlog.contextvars.bind_contextvars(
            request_id=request_id, rpc=method.removeprefix(_PREFIX)
        )
        return request_id

    async def _refuse(
        self, method: str, context: Context, error: BaseException, request_id: str
    ) -> NoReturn:
        """End the call with the status for *error*."""
        rpc = method.removeprefix(_PREFIX)
        if _is_ours_to_pass(error):
            self.ended[rpc, "CANCELLED"] += 1
            raise error
        status = status_of(error, request_id)
        self.ended[rpc, code_pb2.Code.Name(status.code)] += 1
        if not is_expected(error):
            log.error("rpc.failed", peer=context.peer(), exc_info=error)
        else:
            # What is wrong with us is for an operator to see; the rest is the client's.
            say = log.warning if isinstance(error, _OURS) else log.info
            say("rpc.refused", error=type(error).__name__, message=status.message)
        await context.abort_with_status(rpc_status.to_status(status))


def request_id() -> str:
    """Return the id of the call under way."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def _packing(pack: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return what makes bytes of responses, unless another server has done it."""

    def packed(response: Any) -> bytes:
        return response if type(response) is bytes else pack(response)

    return packed


def _parsed(parse: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return parse(data)
    except DecodeError:
        problem = "is not a message of the type that this method takes"
        raise FieldInvalidError("request", problem) from None


class _Parsed:
    """The messages of a stream of requests."""

    def __init__(
        self, parse: Callable[[bytes], Any], requests: AsyncIterator[bytes]
    ) -> None:
        self._parse = parse
        self._next = requests.__aiter__().__anext__

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        return _parsed(self._parse, await self._next())


def _is_ours_to_pass(error: BaseException) -> bool:
    if isinstance(error, asyncio.CancelledError):
        # A cancellation that nobody asked for is a defect, and gRPC would leave the
        # client hanging with it.
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, GeneratorExit | KeyboardInterrupt | SystemExit)
