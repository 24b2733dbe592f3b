"""The worker: what functions get, what becomes of what they do."""

import asyncio
import logging
import threading
from dataclasses import dataclass

import pytest

import starflow
from starflow.v1 import failure_pb2, payload_pb2
from starflow.v1 import worker_service_pb2 as pb
from tests.sdk.fake_service import PATIENCE_SECONDS, too_large
from tests.sdk.serving import add, both_ways, executed, on_every_kind, serving

PERMANENT = failure_pb2.RETRYABILITY_PERMANENT


@dataclass
class Charge:
    order: str
    cents: int


@dataclass
class Receipt:
    id: str
    cents: int


@both_ways
@on_every_kind
async def test_a_function_gets_its_request_and_its_result_is_reported(
    service, module, kind
):
    def charge(ctx: starflow.TaskContext, req: Charge) -> Receipt:
        return Receipt(f"r-{req.order}", req.cents * 2**70)

    add(module, kind, charge)

    result = await executed(service, module, '{"order": "a", "cents": 3}')

    assert result.output.json == '{"id":"r-a","cents":3541774862152233910272}'


async def test_a_worker_registers_what_it_offers(service, module):
    retry = starflow.Retry(max_attempts=3)
    add(module, "plain", lambda ctx, req: 0, retry=retry, attempt_timeout=9)
    async with serving(
        service, module, concurrency=7, build_id="b1", labels={"zone": "a"}
    ) as worker:
        (request,) = service.requests["RegisterFunction"]

    assert request.namespace == "default"
    assert request.worker.worker_id == worker.id
    assert request.worker.sdk.startswith("starflow-python/")
    assert request.worker.build_id == "b1"
    assert dict(request.worker.labels) == {"zone": "a"}
    assert request.worker.max_concurrency == 7
    (spec,) = request.functions
    assert (spec.name, spec.retry_policy.max_attempts) == ("m.f", 3)
    assert spec.attempt_timeout.seconds == 9


@both_ways
@on_every_kind
async def test_an_exception_becomes_a_failure_and_the_worker_lives(
    service, module, kind
):
    def decline(ctx, req):
        if req:
            raise starflow.PermanentError("no money", code="CARD_DECLINED", details=[1])
        raise SystemExit("not with me")

    add(module, kind, decline)
    async with serving(service, module):
        one, two = service.deliver("m.f", "1"), service.deliver("m.f", "0")
        declined = await asyncio.to_thread(service.result, one)
        exited = await asyncio.to_thread(service.result, two)

    assert declined.failure.code == "CARD_DECLINED"
    assert declined.failure.message == "no money"
    assert declined.failure.retryability == PERMANENT
    assert declined.failure.details.json == "[1]"
    assert "in decline" in declined.failure.stack_trace
    assert "starflow/_worker" not in declined.failure.stack_trace
    assert exited.failure.code == "SYSTEM_EXIT"


@on_every_kind
@pytest.mark.parametrize(
    ("input", "output", "code", "message"),
    [
        ('{"order": "a"}', None, "BAD_INPUT", "req: expected the key 'cents'"),
        ('{"order": 1, "cents": 1}', None, "BAD_INPUT", "req.order: expected a string"),
        (None, {1: 2}, "BAD_OUTPUT", "the key 1 is not a string"),
        (None, [float("nan")], "BAD_OUTPUT", "[0]: nan has no JSON form"),
        (None, "x" * 99, "OUTPUT_TOO_LARGE", "101 bytes, more than 100"),
    ],
)
async def test_what_cannot_be_converted_is_a_permanent_failure(
    service, module, kind, input, output, code, message
):
    service.payload_bytes_max = 100

    def f(ctx, req: Charge):
        return output

    add(module, kind, f)

    result = await executed(service, module, input or '{"order": "a", "cents": 1}')

    assert result.failure.code == code
    assert message in result.failure.message
    assert result.failure.retryability == PERMANENT


@both_ways
@on_every_kind
@pytest.mark.parametrize("seconds", [None, 1.5])
async def test_a_function_can_wait_for_a_signal(service, module, kind, seconds):
    add(module, kind, lambda ctx, req: starflow.wait_for_signal(seconds))

    result = await executed(service, module)

    assert result.WhichOneof("outcome") == "wait_for_signal"
    assert result.wait_for_signal.HasField("timeout") == (seconds is not None)
    assert result.wait_for_signal.timeout.ToMilliseconds() == (seconds or 0) * 1000


async def test_a_function_knows_its_task(service, module, caplog):
    seen = {}

    @module.function
    def f(ctx: starflow.TaskContext):
        for name in (
            *("run_id", "task_id", "signal_id", "attempt", "function"),
            *("call_version", "last_progress", "last_failure", "cancelled"),
        ):
            seen[name] = getattr(ctx, name)
        ctx.raise_if_cancelled()
        ctx.log.info("charging %s", "x", extra={"cents": 5}, name="Ada", euros=1)

    caplog.set_level(logging.INFO, "starflow.task")

    await executed(
        service,
        module,
        attempt=3,
        last_progress=payload_pb2.Payload(json='{"page": 4}'),
        last_failure=failure_pb2.Failure(code="BUSY", message="later"),
    )

    assert seen == {
        "run_id": "run",
        "task_id": "run/1",
        "signal_id": "signal-1",
        "attempt": 3,
        "function": "m.f",
        "call_version": 1,
        "last_progress": {"page": 4},
        "last_failure": starflow.Failure("BUSY", "later"),
        "cancelled": False,
    }
    (record,) = [r for r in caplog.records if r.name == "starflow.task"]
    assert record.getMessage() == "charging x"
    assert (record.run_id, record.task_id, record.cents) == ("run", "run/1", 5)
    assert (record.name_, record.euros) == ("Ada", 1)


async def test_a_first_attempt_has_no_past(service, module):
    add(module, "plain", lambda ctx, req: [ctx.last_progress, ctx.last_failure])

    assert (await executed(service, module)).output.json == "[null,null]"


@both_ways
async def test_functions_that_block_the_loop_do_not_stop_the_heart(service, module):
    service.heartbeat_seconds = 0.02

    @module.function
    async def f():
        # Blocks the loop, for as long as it takes the service to hear three beats.
        for seen in range(3):
            service.wait_for_request(
                "Heartbeat", lambda r: len(r.tasks) == 1, after=seen + 1
            )

    assert (await executed(service, module)).WhichOneof("outcome") == "output"


@both_ways
async def test_progress_travels_with_heartbeats_once(service, module):
    service.heartbeat_seconds = 0.02

    @module.function
    def f(ctx):
        ctx.progress({"page": 1})
        ctx.progress({"page": 2})
        first = service.wait_for_request("Heartbeat", has_progress)
        service.wait_for_request("Heartbeat", lambda r: r.tasks and not has_progress(r))
        return first.tasks[0].progress.json

    result = await executed(service, module)

    assert result.output.json == '"{\\"page\\":2}"'
    assert sum(map(has_progress, service.requests["Heartbeat"])) == 1


def has_progress(request: pb.HeartbeatRequest) -> bool:
    return any(task.HasField("progress") for task in request.tasks)


@both_ways
async def test_a_heartbeat_can_be_asked_for(service, module):
    service.heartbeat_seconds = 3600.0

    @module.function
    def f(ctx):
        ctx.heartbeat({"page": 1})
        service.wait_for_request("Heartbeat", has_progress)

    assert (await executed(service, module)).WhichOneof("outcome") == "output"


@both_ways
async def test_the_last_progress_comes_before_the_failure(service, module):
    """Or the next attempt would begin from an older one."""

    @module.function
    def f(ctx):
        ctx.progress(7)
        raise OSError

    result = await executed(service, module)

    assert result.failure.code == "OS_ERROR"
    (beat,) = filter(has_progress, service.requests["Heartbeat"])
    assert beat.tasks[0].progress.json == "7"
    assert service.order.index("Heartbeat") < service.order.index("CompleteTasks")


async def test_progress_that_the_service_refuses_costs_no_lease(service, module):
    def refuse(context):
        assert has_progress(service.requests["Heartbeat"][-1])
        too_large(context)

    service.fail("Heartbeat", refuse)

    @module.function
    def f(ctx):
        ctx.heartbeat("x" * 1000)
        service.wait_for_request(
            "Heartbeat", lambda r: r.tasks and not has_progress(r), after=1
        )

    assert (await executed(service, module)).WhichOneof("outcome") == "output"


async def test_heartbeats_stay_below_the_size_of_a_message(service, module):
    told = threading.Barrier(5)

    @module.function
    def f(ctx):
        ctx.progress("x" * 900_000)
        told.wait(PATIENCE_SECONDS)
        raise OSError

    async with serving(service, module):
        tokens = [service.deliver("m.f") for _ in range(5)]
        for token in tokens:
            await asyncio.to_thread(service.result, token)

    beats = service.requests["Heartbeat"]
    assert max(beat.ByteSize() for beat in beats) < 2_000_000
    assert {
        task.task_token for r in beats for task in r.tasks if task.HasField("progress")
    } == set(tokens)


async def test_progress_without_a_json_form_is_the_functions_own_error(service, module):
    add(module, "plain", lambda ctx, req: ctx.progress({1: 2}))

    assert (await executed(service, module)).failure.code == "CONVERSION_ERROR"


@both_ways
async def test_an_abandoned_async_function_is_cancelled(service, module):
    ended = asyncio.Event()

    @module.function
    async def f(ctx):
        service.abandoned["token-1"] = "given to another"
        ctx.heartbeat()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert ctx.cancelled
            ended.set()
            raise

    async with serving(service, module):
        service.deliver("m.f")
        await ended.wait()

    assert service.results == {}


@both_ways
async def test_an_abandoned_plain_function_can_ask(service, module):
    raised = threading.Event()
    reasons = []

    @module.function
    def f(ctx):
        service.abandoned["token-1"] = "given to another"
        try:
            while True:
                ctx.heartbeat()
                ctx.raise_if_cancelled()
        except starflow.TaskAbandoned as reason:
            reasons.append(str(reason))
            raised.set()
            raise

    async with serving(service, module):
        service.deliver("m.f")
        assert await asyncio.to_thread(raised.wait, PATIENCE_SECONDS)

    assert reasons == ["given to another"]
    assert service.results == {}


@on_every_kind
async def test_no_more_tasks_are_taken_than_there_are_slots(
    service, module, gate, kind
):
    if kind == "async":

        @module.function
        async def f():
            await gate.pass_async()
    else:

        @module.function
        def f():
            gate.pass_blocking()

    tokens = [service.deliver("m.f") for _ in range(5)]
    async with serving(service, module, concurrency=2):
        await gate.wait_entered()
        await gate.wait_entered()
        polls = [request.max_tasks for request in service.requests["Poll"]]
        assert len(service.queue) == 3
        gate.open()
        for token in tokens:
            await asyncio.to_thread(service.result, token)

    assert polls in ([2], [2, 1])
    assert all(request.max_tasks <= 2 for request in service.requests["Poll"])


async def test_no_more_tasks_are_asked_for_than_the_server_gives(service, module):
    add(module, "plain", lambda ctx, req: 0)
    async with serving(service, module, concurrency=5_000):
        poll = await asyncio.to_thread(service.wait_for_request, "Poll")

    assert poll.max_tasks == 100


async def test_plain_functions_run_at_the_same_time(service, module):
    together = threading.Barrier(8)

    @module.function
    def f():
        together.wait(PATIENCE_SECONDS)

    async with serving(service, module, concurrency=8):
        tokens = [service.deliver("m.f") for _ in range(8)]
        for token in tokens:
            result = await asyncio.to_thread(service.result, token)
            assert result.WhichOneof("outcome") == "output"


@both_ways
async def test_a_task_for_a_function_not_offered_fails(service, module):
    add(module, "plain", lambda ctx, req: 0)
    async with serving(service, module):
        token = service.deliver("m.other")
        result = await asyncio.to_thread(service.result, token)

    assert result.failure.code == "LOOKUP_ERROR"
    assert result.failure.message == "this worker does not offer m.other"
