"""How a worker begins and how it ends."""

import asyncio
import os
import signal
import threading

import grpc
import pytest

import starflow
from starflow.v1 import worker_service_pb2 as pb
from tests.sdk.fake_service import (
    PATIENCE_SECONDS,
    abort,
    internal,
    unavailable,
)
from tests.sdk.serving import add, both_ways, on_every_kind, serving


@on_every_kind
async def test_a_drained_worker_lets_functions_end_and_reports_them(
    service, module, gate, kind
):
    if kind == "async":

        @module.function
        async def f():
            await gate.pass_async()
            return "done"
    else:

        @module.function
        def f():
            gate.pass_blocking()
            return "done"

    async with serving(service, module) as worker:
        token = service.deliver("m.f")
        await gate.wait_entered()
        await asyncio.to_thread(service.wait_for_request, "Poll", after=1)
        worker.stop()
        # The last word of the poller; whatever comes now stays where it is.
        await asyncio.to_thread(
            service.wait_for_request, "Poll", lambda r: r.wait.seconds == 0
        )
        service.deliver("m.f")
        gate.open()

    assert service.results[token].output.json == '"done"'
    assert len(service.queue) == 1


@both_ways
async def test_what_does_not_end_within_the_grace_is_given_back(service, module, gate):
    told = threading.Event()
    cancelled = asyncio.Event()

    @module.function
    async def f():
        gate.entered.release()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    @module.function
    def g(ctx):
        gate.entered.release()
        while not ctx.cancelled:
            ctx.heartbeat()
        told.set()
        return "too late"

    async with serving(service, module, grace=0.0):
        tokens = [service.deliver("m.f"), service.deliver("m.g")]
        await gate.wait_entered()
        await gate.wait_entered()

    for token in tokens:
        assert service.results[token].release.reason == "the worker shuts down"
    assert cancelled.is_set()
    assert told.is_set()


@both_ways
async def test_stopping_twice_ends_the_grace(service, module, gate):
    @module.function
    async def f():
        gate.entered.release()
        await asyncio.Event().wait()

    async with serving(service, module, grace=3600.0) as worker:
        token = service.deliver("m.f")
        await gate.wait_entered()
        worker.stop()
        worker.stop()

    assert service.results[token].WhichOneof("outcome") == "release"


async def test_tasks_that_nobody_waited_for_are_given_back(service, module):
    """A poll is cut off while its answer is on the way."""
    add(module, "plain", lambda ctx, req: 0)
    is_polling = threading.Event()

    def lease_and_lose(context):
        request = service.requests["Poll"][-1]
        task = pb.Task(task_token="lost", task_id="run/9", function="m.f")
        with service.changed:
            service.polls[request.poll_id] = [task]
        is_polling.set()
        with service.changed:
            service.changed.wait_for(lambda: not context.is_active())

    service.fail("Poll", lease_and_lose)
    async with serving(service, module):
        assert await asyncio.to_thread(is_polling.wait, PATIENCE_SECONDS)

    assert service.results["lost"].WhichOneof("outcome") == "release"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(service, module, number):
    add(module, "plain", lambda ctx, req: 0)
    before = signal.getsignal(number)
    async with starflow.Client(service.address) as client:
        running = asyncio.create_task(starflow.Worker(client, modules=[module]).run())
        await asyncio.to_thread(service.wait_for_request, "Poll")

        os.kill(os.getpid(), number)
        await running

    assert signal.getsignal(number) == before


async def test_a_worker_whose_task_is_cancelled_gives_everything_back(
    service, module, gate
):
    @module.function
    async def f():
        gate.entered.release()
        await asyncio.Event().wait()

    async with starflow.Client(service.address) as client:
        running = asyncio.create_task(starflow.Worker(client, modules=[module]).run())
        token = service.deliver("m.f")
        await gate.wait_entered()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert service.results[token].WhichOneof("outcome") == "release"


@pytest.mark.parametrize("is_in_background", [True, False])
async def test_a_worker_that_the_service_refuses_says_so(
    service, module, is_in_background
):
    def refuse(context):
        code = grpc.StatusCode.INVALID_ARGUMENT
        abort(context, code, "FIELD_INVALID", "time is reserved")

    add(module, "plain", lambda ctx, req: 0)
    service.fail("RegisterFunction", refuse)
    async with starflow.Client(service.address) as client:
        worker = starflow.Worker(client, modules=[module])
        begin = worker.__aenter__ if is_in_background else worker.run
        with pytest.raises(starflow.InvalidRequest, match="time is reserved"):
            await begin()


async def test_a_worker_may_be_there_before_its_service(service, module):
    add(module, "plain", lambda ctx, req: 0)
    service.fail("RegisterFunction", *[unavailable] * 6, internal)
    await asyncio.to_thread(service.stop)
    async with starflow.Client(service.address) as client:
        worker = starflow.Worker(client, modules=[module])
        entering = asyncio.create_task(worker.__aenter__())
        await asyncio.to_thread(service.start)
        await entering
        token = service.deliver("m.f")
        await asyncio.to_thread(service.result, token)
        await worker.__aexit__(None, None, None)

    assert service.results[token].WhichOneof("outcome") == "output"


async def test_a_worker_runs_once(service, module):
    add(module, "plain", lambda ctx, req: 0)
    async with serving(service, module) as worker:
        with pytest.raises(starflow.StarflowError, match="runs once"):
            await worker.run()


async def test_a_worker_stopped_before_it_runs_ends_at_once(service, module):
    add(module, "plain", lambda ctx, req: 0)
    async with starflow.Client(service.address) as client:
        worker = starflow.Worker(client, modules=[module])
        worker.stop()
        await worker.run()

    assert service.results == {}


def test_a_worker_must_have_something_to_do(module):
    client = starflow.Client()
    with pytest.raises(ValueError, match="offers no function"):
        starflow.Worker(client, modules=[module])

    add(module, "plain", lambda ctx, req: 0)
    with pytest.raises(ValueError, match="offered by two modules"):
        starflow.Worker(client, modules=[module, module])
    with pytest.raises(ValueError, match="one is the least"):
        starflow.Worker(client, modules=[module], concurrency=0)


def test_every_worker_has_an_id_of_its_own(module):
    add(module, "plain", lambda ctx, req: 0)
    client = starflow.Client()
    ids = {starflow.Worker(client, modules=[module]).id for _ in range(10)}

    assert len(ids) == 10
    assert all(len(worker_id) <= 128 for worker_id in ids)


async def test_nobody_has_to_wait_for_a_service_that_does_not_come(service, module):
    add(module, "plain", lambda ctx, req: 0)
    await asyncio.to_thread(service.stop)
    async with starflow.Client(service.address) as client:
        worker = starflow.Worker(client, modules=[module])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await worker.__aenter__()

    # The worker gives up, too: its threads end, and so does this test.
    with pytest.raises(asyncio.CancelledError):
        await worker.__aexit__(None, None, None)


async def test_an_ended_worker_leaves_no_threads(service, module):
    together = threading.Barrier(5)

    @module.function
    def f():
        together.wait(PATIENCE_SECONDS)

    async with serving(service, module):
        during = own_threads()
        for token in [service.deliver("m.f") for _ in range(5)]:
            await asyncio.to_thread(service.result, token)
        executing = own_threads() - during
    for thread in during | executing:
        await asyncio.to_thread(thread.join, PATIENCE_SECONDS)

    assert {t.name for t in during} >= {"starflow-poller", "starflow-reporter"}
    assert len(executing) >= 5
    assert not own_threads()


def own_threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name.startswith("starflow-")}
