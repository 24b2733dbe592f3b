"""The worker over streams: credit, acknowledgements, breaks, and ways back to polls."""

import asyncio
import logging
import threading

import grpc

import starflow
from starflow.v1 import worker_service_pb2 as pb
from tests.sdk.fake_service import (
    PATIENCE_SECONDS,
    abort,
    too_large,
    unavailable,
)
from tests.sdk.serving import add, serving
from tests.support.processes import until


def unimplemented(context):
    abort(context, grpc.StatusCode.UNIMPLEMENTED)


def streams(service):
    service.has_streams = True
    return service


async def test_a_worker_takes_the_stream_where_there_is_one(service, module):
    add(module, "plain", lambda ctx, req: req)
    async with serving(streams(service), module):
        token = service.deliver("m.f", "7")
        result = await asyncio.to_thread(service.result, token)

    assert result.output.json == "7"
    assert "Poll" not in service.requests
    assert "HeldHeartbeat" not in service.requests


async def test_no_more_tasks_come_than_there_are_slots(service, module, gate):
    @module.function
    def f():
        gate.pass_blocking()

    async with serving(streams(service), module, concurrency=3):
        tokens = [service.deliver("m.f") for _ in range(5)]
        for _ in range(3):
            await gate.wait_entered()
        assert len(service.queue) == 2
        gate.open()
        for token in tokens:
            await asyncio.to_thread(service.result, token)


async def test_credit_comes_back_with_results(service, module):
    add(module, "async", lambda ctx, req: None)
    async with serving(streams(service), module, concurrency=2):
        tokens = [service.deliver("m.f") for _ in range(30)]
        for token in tokens:
            await asyncio.to_thread(service.result, token)


async def test_no_more_credit_is_given_than_the_server_takes(service, module):
    add(module, "plain", lambda ctx, req: 0)
    async with serving(streams(service), module, concurrency=500):
        for token in [service.deliver("m.f") for _ in range(300)]:
            await asyncio.to_thread(service.result, token)

    assert service.credit_max <= 100


async def test_what_was_not_acknowledged_is_sent_again(service, module, gate):
    @module.function
    def f(req: int):
        gate.pass_blocking()
        return req

    service.fail("CompleteTasks", unavailable, unavailable)
    async with serving(streams(service), module):
        tokens = [service.deliver("m.f", str(n)) for n in range(3)]
        for _ in tokens:
            await gate.wait_entered()
        gate.open()
        for n, token in enumerate(tokens):
            result = await asyncio.to_thread(service.result, token)
            assert result.output.json == str(n)

    assert service.count("RegisterFunction") >= 3


async def test_what_the_service_could_not_store_is_sent_again(service, module):
    add(module, "plain", lambda ctx, req: 5)
    service.stream_errors.append(pb.Rejection(code=14, reason="STORE_UNAVAILABLE"))
    async with serving(streams(service), module):
        token = service.deliver("m.f")
        result = await asyncio.to_thread(service.result, token)

    assert result.output.json == "5"
    assert service.count("RegisterFunction") == 2


async def test_progress_that_is_refused_is_not_sent_for_ever(service, module, caplog):
    told = threading.Event()

    def f(ctx, req):
        ctx.heartbeat("x" * 100)
        assert told.wait(PATIENCE_SECONDS)

    add(module, "plain", f)
    service.stream_errors.append(
        pb.Rejection(code=3, reason="TOO_LARGE", message="too much")
    )
    async with serving(streams(service), module):
        token = service.deliver("m.f")
        await until(lambda: "progress of tasks is lost" in caplog.text, "is said")
        told.set()
        await asyncio.to_thread(service.result, token)

    assert "too much" in caplog.text


async def test_a_stream_that_is_refused_for_its_results_costs_only_the_bad_one(
    service, module
):
    add(module, "plain", lambda ctx, req: 0)

    def refuse_first(context):
        request = service.requests["CompleteTasks"][-1]
        if any(result.task_token == "token-1" for result in request.results):
            too_large(context)

    # First on the stream, then alone.
    service.fail("CompleteTasks", too_large, *[refuse_first] * 10)
    tokens = [service.deliver("m.f") for _ in range(6)]
    async with serving(streams(service), module):
        for token in tokens[1:]:
            await asyncio.to_thread(service.result, token)

    assert "token-1" not in service.results


async def test_a_worker_falls_back_to_polls_where_streams_do_not_get_through(
    service, module, caplog
):
    add(module, "plain", lambda ctx, req: 0)
    service.fail("WorkStream", unimplemented)
    async with serving(streams(service), module):
        token = service.deliver("m.f")
        await asyncio.to_thread(service.result, token)

    assert service.count("Poll") >= 1
    assert "no streams on the way" in caplog.text


async def test_a_network_that_breaks_every_stream_is_polled_over(service, module):
    add(module, "plain", lambda ctx, req: 0)
    service.fail("WorkStream", *[unavailable] * 5)
    async with serving(streams(service), module):
        token = service.deliver("m.f")
        await asyncio.to_thread(service.result, token)

    assert service.count("WorkStream") == 3
    assert service.count("Poll") >= 1


async def test_a_silent_service_is_left_for_a_new_stream(service, module, caplog):
    service.heartbeat_seconds = 0.1
    add(module, "plain", lambda ctx, req: 0)
    async with serving(streams(service), module):
        await asyncio.to_thread(service.result, service.deliver("m.f"))
        service.is_mute = True
        await asyncio.to_thread(
            service.wait_for, lambda: service.count("WorkStream") >= 2
        )
        service.is_mute = False
        token = service.deliver("m.f")
        await asyncio.to_thread(service.result, token)

    lost = f"the connection is lost: {service.address} says nothing any more"
    assert caplog.text.count(lost) == 1


async def test_a_draining_server_is_not_stormed(service, module):
    add(module, "plain", lambda ctx, req: 0)
    service.is_draining = True
    async with serving(streams(service), module):
        await asyncio.to_thread(
            service.wait_for, lambda: service.count("WorkStream") >= 3
        )
        service.is_draining = False
        token = service.deliver("m.f")
        await asyncio.to_thread(service.result, token)

    assert service.count("WorkStream") < 20


async def test_a_worker_that_stops_drains_and_reports_the_rest(service, module, gate):
    @module.function
    async def f():
        await gate.pass_async()
        return "done"

    async with serving(streams(service), module) as worker:
        token = service.deliver("m.f")
        await gate.wait_entered()
        worker.stop()
        await asyncio.to_thread(service.wait_for_request, "Drain")
        service.deliver("m.f")
        gate.open()

    assert service.results[token].output.json == '"done"'
    assert len(service.queue) == 1


async def test_a_worker_that_is_asked_to_end_ends(service, module, caplog):
    caplog.set_level(logging.INFO, "starflow.worker")
    add(module, "plain", lambda ctx, req: 0)
    service.has_streams = True
    async with starflow.Client(service.address) as client:
        running = asyncio.create_task(starflow.Worker(client, modules=[module]).run())
        await asyncio.to_thread(service.result, service.deliver("m.f"))
        with service.changed:
            service.drained = True
            service.changed.notify_all()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await running

    assert "asks this worker to end" in caplog.text


async def test_an_ended_worker_leaves_no_threads(service, module):
    add(module, "plain", lambda ctx, req: 0)
    async with serving(streams(service), module):
        await asyncio.to_thread(service.result, service.deliver("m.f"))
        during = own_threads()
    for thread in during:
        await asyncio.to_thread(thread.join, PATIENCE_SECONDS)

    assert "starflow-stream" in {thread.name for thread in during}


def own_threads():
    return {t for t in threading.enumerate() if t.name.startswith("starflow-")}
