"""The worker and a service that is away, forgets, or refuses."""

import asyncio
import logging
import threading
from collections import deque
from typing import Any

import pytest

from starflow.v1 import failure_pb2
from starflow.v1 import worker_service_pb2 as pb
from tests.sdk.fake_service import (
    PATIENCE_SECONDS,
    FakeService,
    internal,
    not_registered,
    too_large,
)
from tests.sdk.serving import add, both_ways, executed, serving

PERMANENT = failure_pb2.RETRYABILITY_PERMANENT


async def test_a_poll_whose_answer_is_lost_is_repeated_under_its_id(service, module):
    executions = []
    add(module, "plain", lambda ctx, req: executions.append(ctx.task_id))
    service.lost_polls = 1
    async with serving(service, module):
        one = service.deliver("m.f")
        await asyncio.to_thread(service.result, one)
        two = service.deliver("m.f")
        await asyncio.to_thread(service.result, two)

    assert executions == ["run/1", "run/2"]
    assert len(service.polls) == 2
    assert all(0 < len(poll_id) <= 64 for poll_id in service.polls)


async def test_results_that_gather_are_reported_together(service, module):
    executed = threading.Semaphore(0)
    is_first_in, let_go = threading.Event(), threading.Event()
    add(module, "plain", lambda ctx, req: executed.release())

    def hold(context):
        is_first_in.set()
        assert let_go.wait(PATIENCE_SECONDS)

    service.fail("CompleteTasks", hold)
    async with serving(service, module, concurrency=40):
        service.deliver("m.f")
        assert await asyncio.to_thread(is_first_in.wait, PATIENCE_SECONDS)
        tokens = [service.deliver("m.f") for _ in range(30)]
        for _ in range(31):
            await asyncio.to_thread(executed.acquire)
        let_go.set()
        for token in tokens:
            await asyncio.to_thread(service.result, token)

    sizes = [len(request.results) for request in service.requests["CompleteTasks"]]
    assert sizes[0] == 1
    assert sum(sizes) == 31
    # Whoever is called last may still be on the way to the outbox when it is emptied.
    assert sizes[1] >= 20


@both_ways
async def test_nothing_is_lost_while_the_service_is_away(service, module, gate):
    @module.function
    def f(req: int):
        gate.pass_blocking()
        return req

    async with serving(service, module):
        tokens = [service.deliver("m.f", str(n)) for n in range(10)]
        for _ in tokens:
            await gate.wait_entered()
        await asyncio.to_thread(service.stop)
        gate.open()
        service.polls.clear()
        await asyncio.to_thread(service.start)
        for n, token in enumerate(tokens):
            result = await asyncio.to_thread(service.result, token)
            assert result.output.json == str(n)
        # And it goes on with new tasks.
        after = service.deliver("m.f", "99")
        assert (await asyncio.to_thread(service.result, after)).output.json == "99"


@both_ways
async def test_a_restarted_service_soon_hears_who_holds_what(service, module, gate):
    """It keeps tasks for their holders for a second only."""
    service.heartbeat_seconds = 3600.0

    @module.function
    async def f():
        await gate.pass_async()

    async with serving(service, module):
        token = service.deliver("m.f")
        await gate.wait_entered()
        await asyncio.to_thread(service.stop)
        await asyncio.to_thread(service.start)

        beat = await asyncio.to_thread(service.wait_for_request, "Heartbeat")
        gate.open()

    assert [task.task_token for task in beat.tasks] == [token]


@both_ways
async def test_a_task_is_held_until_its_result_is_answered(service, module):
    service.heartbeat_seconds = 0.02
    beats = []

    def until_seen(context):
        seen = service.count("Heartbeat")
        beats.append(
            service.wait_for_request("Heartbeat", lambda r: r.tasks, after=seen)
        )

    add(module, "plain", lambda ctx, req: 0)
    service.fail("CompleteTasks", until_seen)

    await executed(service, module)

    assert [task.task_token for task in beats[0].tasks] == ["token-1"]


@pytest.mark.parametrize("method", ["Poll", "Heartbeat", "CompleteTasks"])
async def test_a_worker_that_was_forgotten_registers_again(service, module, method):
    service.heartbeat_seconds = 0.02
    add(module, "plain", lambda ctx, req: 0)
    async with serving(service, module):
        await asyncio.to_thread(service.result, service.deliver("m.f"))
        service.fail(method, not_registered)
        await asyncio.to_thread(service.result, service.deliver("m.f"))
        await asyncio.to_thread(
            service.wait_for, lambda: len(service.requests["RegisterFunction"]) == 2
        )
        token = service.deliver("m.f")
        result = await asyncio.to_thread(service.result, token)

    assert result.WhichOneof("outcome") == "output"


@both_ways
async def test_a_result_that_the_service_cannot_use_becomes_a_failure(service, module):
    add(module, "plain", lambda ctx, req: 0)
    rejected = pb.Completion(
        task_token="token-1",
        status=pb.COMPLETION_STATUS_REJECTED,
        rejection=pb.Rejection(code=3, reason="PAYLOAD_INVALID", message="not that"),
    )
    service.statuses["token-1"] = deque([rejected, rejected])
    async with serving(service, module):
        service.deliver("m.f")
        failure = await asyncio.to_thread(
            service.wait_for, lambda: has_failed(service, "token-1")
        )

    assert failure.code == "RESULT_REJECTED"
    assert failure.message == "the service cannot use the result: not that"
    assert failure.retryability == PERMANENT


def has_failed(service: FakeService, token: str) -> Any:
    result = service.results.get(token)
    return result is not None and result.HasField("failure") and result.failure


@both_ways
async def test_a_result_that_comes_too_late_is_let_go(service, module, caplog):
    caplog.set_level(logging.INFO, "starflow.worker")
    add(module, "plain", lambda ctx, req: 0)
    ignored = pb.Completion(task_token="token-1", status=pb.COMPLETION_STATUS_IGNORED)
    service.statuses["token-1"] = deque([ignored])

    await executed(service, module)

    assert "too late: run/1" in caplog.text
    assert service.count("CompleteTasks") == 1


@pytest.mark.parametrize("fault", [too_large, internal])
async def test_one_result_that_is_refused_does_not_take_others_with_it(
    service, module, fault
):
    add(module, "plain", lambda ctx, req: 0)

    def refuse_first(context):
        request = service.requests["CompleteTasks"][-1]
        if any(result.task_token == "token-1" for result in request.results):
            fault(context)

    service.fail("CompleteTasks", *[refuse_first] * 10)
    tokens = [service.deliver("m.f") for _ in range(6)]
    async with serving(service, module):
        for token in tokens[1:]:
            await asyncio.to_thread(service.result, token)

    assert "token-1" not in service.results


async def test_a_draining_server_is_left_in_peace(service, module):
    """Each poll is answered at once; asking on without a pause would be a storm."""
    add(module, "plain", lambda ctx, req: 0)
    service.is_draining = True
    async with serving(service, module):
        await asyncio.to_thread(service.wait_for_request, "Poll", after=3)
        service.is_draining = False
        token = service.deliver("m.f")
        await asyncio.to_thread(service.result, token)

    assert service.count("Poll") < 20
