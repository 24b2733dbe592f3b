"""What a server does beside serving: health, reflection, bursts, stopping."""

import asyncio
import gc

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2 as rp
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from starflow.v1 import worker_service_pb2 as worker_pb
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.worker_service_pb2_grpc import WorkerServiceStub
from starflow_service.rpc.server import BindError, Server
from starflow_service.rpc.workflow_service import StoreFacts
from tests.service.calls import (
    LONG,
    complete,
    finished,
    poll,
    refusal,
    result,
    start,
    take,
)

SERVICES = [
    "starflow.v1.WorkflowService",
    "starflow.v1.WorkerService",
    "starflow.v1.QueueService",
]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("name", ["", *SERVICES])
async def test_health_is_told_by_service(service, name):
    stub = health_pb2_grpc.HealthStub(service.channel)

    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))

    assert answer.status == SERVING


async def test_health_of_an_unknown_service_is_not_found(service):
    stub = health_pb2_grpc.HealthStub(service.channel)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="nothing"))

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("release", ["v1", "v1alpha"])
async def test_reflection_lists_and_describes_what_is_served(service, release):
    reflect = service.channel.stream_stream(
        f"/grpc.reflection.{release}.ServerReflection/ServerReflectionInfo",
        rp.ServerReflectionRequest.SerializeToString,
        rp.ServerReflectionResponse.FromString,
    )
    requests = [
        rp.ServerReflectionRequest(list_services=""),
        rp.ServerReflectionRequest(file_containing_symbol=SERVICES[0]),
        # What errors carry: `grpcurl -format-error` asks for it.
        rp.ServerReflectionRequest(file_containing_symbol="google.rpc.ErrorInfo"),
    ]

    answers = [answer async for answer in reflect(requests)]

    listed = {each.name for each in answers[0].list_services_response.service}
    assert listed == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    for answer in answers[1:]:
        assert answer.file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize("symbol", ["WorkerService", "WorkerService.Poll", "Task"])
async def test_reflection_tells_the_comments_of_the_protos(service, symbol):
    reflect = service.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        rp.ServerReflectionRequest.SerializeToString,
        rp.ServerReflectionResponse.FromString,
    )
    asked = rp.ServerReflectionRequest(file_containing_symbol=f"starflow.v1.{symbol}")

    [answer] = [answer async for answer in reflect([asked])]

    files = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in answer.file_descriptor_response.file_descriptor_proto
    ]
    [file] = [f for f in files if f.name == "starflow/v1/worker_service.proto"]
    comments = [place.leading_comments for place in file.source_code_info.location]
    assert any("Poll leases up to max_tasks tasks" in comment for comment in comments)


async def test_a_client_without_our_protos_can_call(service):
    """As grpcurl does: descriptors by reflection, messages made of them."""

    def call():
        with grpc.insecure_channel(service.address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = descriptor_pool.DescriptorPool(database)
            described = pool.FindServiceByName("starflow.v1.WorkerService")
            method = described.FindMethodByName("Poll")
            request = message_factory.GetMessageClass(method.input_type)
            response = message_factory.GetMessageClass(method.output_type)
            unary = channel.unary_unary(
                "/starflow.v1.WorkerService/Poll",
                request.SerializeToString,
                response.FromString,
            )
            return unary(request(worker_id="w", functions=["a.b"]))

    assert len((await asyncio.to_thread(call)).tasks) == 0


async def test_a_burst_of_calls_is_answered_whole(workflows):
    """At gRPC's defaults some of them would be answered with CANCELLED."""
    calls = [workflows.GetServerInfo(pb.GetServerInfoRequest()) for _ in range(3000)]

    answers = await asyncio.gather(*calls)

    assert len(answers) == 3000


async def test_a_request_over_four_mebibytes_is_refused_by_grpc_itself(workflows):
    request = pb.RunRequest(script="#" * (4 << 20))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await workflows.Run(request)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_an_address_in_use_is_said_to_be_so(service):
    port = int(service.address.rpartition(":")[2])
    other = Server(service.runtime, StoreFacts("memory", "memory"))

    with pytest.raises(BindError) as caught:
        other.bind("127.0.0.1", port)

    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: another process listens there; stop it,"
        " or choose another port"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
async def test_an_address_that_is_not_ours_is_said_to_be_so(service, host):
    other = Server(service.runtime, StoreFacts("memory", "memory"))

    with pytest.raises(BindError) as caught:
        other.bind(host, 0)

    assert str(caught.value).startswith(f"cannot listen on {host}:0: ")
    assert "does not say why" not in str(caught.value)


# Stopping


async def test_a_stop_answers_what_waits_and_then_finishes(serve):
    """
    Far within the grace: without help gRPC lets what waits wait for all of it.
    """
    service = await serve()
    await start(service.workflows)
    task = await take(service.workers)
    health = health_pb2_grpc.HealthStub(service.channel).Watch(
        health_pb2.HealthCheckRequest()
    )
    assert (await health.read()).status == SERVING
    polling = asyncio.ensure_future(poll(service.workers, "test.other"))
    waiting = asyncio.ensure_future(finished(service.workflows))
    await both_wait(service, polling, waiting)

    stopping = asyncio.create_task(service.server.stop(0.5))

    assert await polling == worker_pb.PollResponse(draining=True)
    assert (await waiting).waits[0].call.worker_id == "w"
    assert (await health.read()).status == NOT_SERVING
    health.cancel()
    await stopping
    assert task


async def both_wait(service, *calls):
    """Come back when the calls have reached the server: answers are in their order."""
    for _ in range(3):
        await service.workflows.GetServerInfo(pb.GetServerInfoRequest())
    assert not any(call.done() for call in calls)


async def test_what_was_held_may_be_reported_while_the_server_stops(serve):
    service = await serve()
    await start(service.workflows)
    task = await take(service.workers)
    await service.runtime.drain()

    [completion] = await complete(service.workers, result(task, "ok"))
    refused = [
        await refusal(start(service.workflows, run_id="new")),
        await refusal(poll(service.workers)),
    ]

    assert completion.status == worker_pb.COMPLETION_STATUS_APPLIED
    for each in refused:
        assert (each.code, each.reason) == ("UNAVAILABLE", "SERVER_DRAINING")


async def test_refused_calls_do_not_make_a_stop_ungraceful(serve):
    service = await serve()
    for _ in range(100):
        await refusal(service.workflows.GetRun(pb.GetRunRequest(run_id="r")))
    gc.collect()

    await asyncio.wait_for(service.server.stop(LONG.seconds), LONG.seconds / 2)


async def test_a_client_may_ask_every_few_seconds_whether_the_server_lives(serve):
    """By itself gRPC hangs up on the third ping that comes before five minutes."""
    service = await serve()
    options = [
        ("grpc.keepalive_time_ms", 2_200),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    async with grpc.aio.insecure_channel(service.address, options=options) as channel:
        asking = worker_pb.PollRequest(worker_id="w", functions=["a.b"])
        # Six pings long: gRPC lets some of them pass.
        asking.wait.FromSeconds(14)

        assert not (await WorkerServiceStub(channel).Poll(asking)).tasks
