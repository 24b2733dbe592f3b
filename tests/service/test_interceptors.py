"""What every call goes through, seen from a client, with methods that misbehave."""

import asyncio

import grpc
import pytest
import structlog
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.workflow_service_pb2_grpc import (
    WorkflowServiceServicer,
    WorkflowServiceStub,
    add_WorkflowServiceServicer_to_server,
)
from starflow_service.rpc.interceptors import EdgeInterceptor, request_id
from starflow_service.rpc.routing import Alone
from starflow_service.runtime.errors import RunNotFoundError


class Refused(BaseException):
    """As what ends an interpreter: no Exception."""


class Misbehaving(WorkflowServiceServicer):
    """Does what a test tells it to, in the two kinds of methods that there are."""

    def __init__(self):
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()
        self.act = self.succeed

    async def succeed(self):
        """Do nothing wrong."""

    async def fail(self):
        raise KeyError("secret")

    async def refuse(self):
        raise RunNotFoundError("default", "r")

    async def abort(self):
        raise Refused

    async def stray(self):
        raise asyncio.CancelledError

    async def hang(self):
        self.entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def GetRun(self, request, context):
        await self.act()
        return pb.GetRunResponse(run={"run_id": request_id()})

    async def GetEvents(self, request, context):
        yield pb.GetEventsResponse(next_version=1)
        await self.act()

    Run = Signal = ValidateScript = GetServerInfo = GetRun


@pytest.fixture
async def servicer():
    return Misbehaving()


@pytest.fixture
async def channel(servicer):
    server = grpc.aio.server(interceptors=[EdgeInterceptor(Alone(None))])
    add_WorkflowServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.fixture
def stub(channel):
    return WorkflowServiceStub(channel)


def told(error):
    """Code, reason, message, and the id of the request."""
    status = rpc_status.from_call(error)
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return error.code().name, info.reason, status.message, info.metadata["request_id"]


async def unary(stub):
    await stub.GetRun(pb.GetRunRequest())


async def stream(stub):
    async for _ in stub.GetEvents(pb.GetEventsRequest()):
        pass


both = pytest.mark.parametrize("call", [unary, stream])


@both
async def test_a_refusal_becomes_its_status(stub, servicer, call):
    servicer.act = servicer.refuse

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(stub)

    code, reason, message, _ = told(caught.value)
    assert (code, reason) == ("NOT_FOUND", "RUN_NOT_FOUND")
    assert message == "there is no run r in namespace default"


@both
@pytest.mark.parametrize("act", ["fail", "abort", "stray"])
async def test_a_defect_is_told_as_an_id_and_logged_under_it(stub, servicer, call, act):
    servicer.act = getattr(servicer, act)

    with (
        structlog.testing.capture_logs(
            processors=[structlog.contextvars.merge_contextvars]
        ) as lines,
        pytest.raises(grpc.aio.AioRpcError) as caught,
    ):
        await call(stub)

    code, reason, message, request = told(caught.value)
    assert (code, reason) == ("INTERNAL", "INTERNAL")
    assert message == f"internal error {request}: the service's log has the details"
    [line] = lines
    assert line["request_id"] == request
    assert line["exc_info"].__traceback__ is not None
    assert line["rpc"].startswith("WorkflowService/Get")


@pytest.mark.parametrize(
    "call",
    [
        lambda stub: stub.GetRun(pb.GetRunRequest()),
        lambda stub: stub.GetEvents(pb.GetEventsRequest()),
    ],
)
async def test_a_client_that_goes_away_cancels_its_call(stub, servicer, call):
    servicer.act = servicer.hang
    under_way = call(stub)
    await servicer.entered.wait()

    with structlog.testing.capture_logs() as lines:
        under_way.cancel()
        await servicer.cancelled.wait()

    assert lines == []


async def unary_bytes(channel):
    await channel.unary_unary("/starflow.v1.WorkflowService/GetRun")(b"\xff\xff")


async def stream_bytes(channel):
    method = channel.unary_stream("/starflow.v1.WorkflowService/GetEvents")
    await method(b"\xff\xff").read()


@pytest.mark.parametrize("call", [unary_bytes, stream_bytes])
async def test_bytes_that_are_no_message_are_an_invalid_argument(channel, call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(channel)

    code, reason, message, _ = told(caught.value)
    assert (code, reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert "not a message" in message


async def test_a_method_that_does_not_exist_is_unimplemented(channel):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/starflow.v1.WorkflowService/Nothing")(b"")

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_every_call_has_an_id_of_its_own(stub):
    answers = [await stub.GetRun(pb.GetRunRequest()) for _ in range(3)]

    ids = {answer.run.run_id for answer in answers}
    assert len(ids) == 3
    assert "" not in ids


async def test_a_refusal_is_one_line_of_the_log_without_a_traceback(stub, servicer):
    servicer.act = servicer.refuse

    with (
        structlog.testing.capture_logs() as lines,
        pytest.raises(grpc.aio.AioRpcError),
    ):
        await unary(stub)

    assert lines == [
        {
            "event": "rpc.refused",
            "log_level": "info",
            "error": "RunNotFoundError",
            "message": "there is no run r in namespace default",
        }
    ]


async def test_successful_calls_are_not_logged(stub):
    with structlog.testing.capture_logs() as lines:
        await unary(stub)
        await stream(stub)

    assert lines == []
