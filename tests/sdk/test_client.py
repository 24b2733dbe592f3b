"""The client, against a service that can be made to fail."""

import asyncio
import os
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

import starflow
from starflow import _status, errors
from starflow.v1 import event_pb2, failure_pb2, payload_pb2, run_pb2
from starflow.v1 import workflow_service_pb2 as pb
from tests.sdk.fake_service import (
    FakeService,
    abort,
    end_stream,
    failed,
    finished,
    internal,
    not_registered,
    running,
    unavailable,
    yielded,
)

SCRIPT = "def main(ctx, input):\n    return input\n"


@dataclass
class Receipt:
    id: str
    cents: int


@pytest.fixture
async def client(service: FakeService):
    async with starflow.Client(service.address) as client:
        yield client


def event(kind: int, **detail) -> event_pb2.Event:
    return event_pb2.Event(type=kind, time=Timestamp(seconds=1_800_000_000), **detail)


def ticks(count: int) -> list[event_pb2.Event]:
    return [
        event(
            event_pb2.EVENT_TYPE_RAND_INT,
            rand_int_event=event_pb2.RandIntEvent(value=n),
        )
        for n in range(count)
    ]


async def test_a_run_is_started_under_an_id_of_our_choice(service, client):
    run = await client.start(SCRIPT, input={"n": 2**80, "x": 1.0})

    (request,) = service.requests["Run"]
    assert request.script == SCRIPT
    assert request.input.json == '{"n":1208925819614629174706176,"x":1.0}'
    assert request.run_id == run.id
    assert len(run.id) == 32
    assert request.namespace == "default"
    assert run.created
    assert run.info.state == "PENDING"
    assert run.info.input == {"n": 2**80, "x": 1.0}


async def test_starting_sends_what_it_is_told(service):
    async with starflow.Client(service.address, namespace="shop") as client:
        first = await client.start(
            SCRIPT,
            run_id="r-1",
            conflict="fail",
            allow_unregistered=True,
            input=starflow.JsonText("1.50"),
        )
        second = await client.start(script_hash="ab" * 32, run_id="r-1")

    one, two = service.requests["Run"]
    assert (one.namespace, one.run_id) == ("shop", "r-1")
    assert one.conflict_policy == pb.RUN_ID_CONFLICT_POLICY_FAIL
    assert one.allow_unregistered
    assert one.input.json == "1.50"
    assert two.script_hash == "ab" * 32
    assert not two.HasField("input")
    assert (first.created, second.created) == (True, False)


async def test_a_script_or_its_hash_is_needed(client):
    with pytest.raises(TypeError):
        await client.start()
    with pytest.raises(TypeError):
        await client.start(SCRIPT, script_hash="ab")


async def test_a_start_that_is_sent_again_names_the_same_run(service, client):
    # More than gRPC itself repeats, so that our own repetition shows.
    service.fail("Run", *[unavailable] * 7)

    run = await client.start(SCRIPT)

    assert {request.run_id for request in service.requests["Run"]} == {run.id}
    assert len(service.requests["Run"]) == 8


async def test_patience_ends(service):
    async with starflow.Client(service.address, patience=0.0) as client:
        service.fail("GetServerInfo", *[unavailable] * 10)

        with pytest.raises(starflow.Unavailable) as caught:
            await client.server_info()

    assert caught.value.reason == "SERVER_DRAINING"
    assert caught.value.status == "UNAVAILABLE"


async def test_a_service_that_is_not_there_is_named(service):
    service.stop()
    async with starflow.Client(service.address, patience=0.0) as client:
        with pytest.raises(starflow.Unavailable, match=service.address):
            await client.get("r-1")


async def test_what_the_service_limits_is_tried_as_late_as_it_says(service, client):
    def limited(context):
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        abort(context, code, "RATE_LIMITED", retry_after_seconds=0.2)

    service.fail("GetServerInfo", limited)
    before = asyncio.get_running_loop().time()

    await client.server_info()

    assert asyncio.get_running_loop().time() - before >= 0.2
    assert service.count("GetServerInfo") == 2


async def test_a_defect_of_the_service_is_not_tried_again(service, client):
    service.fail("GetServerInfo", internal)

    with pytest.raises(starflow.ServiceFault, match="incident 4711"):
        await client.server_info()
    assert service.count("GetServerInfo") == 1


async def test_a_broken_connection_looks_like_internal_and_is_tried_again(
    service, client
):
    service.fail("GetServerInfo", lambda c: abort(c, grpc.StatusCode.INTERNAL))

    assert (await client.server_info()).version == "1.2.3"


@pytest.mark.parametrize("number", [n for n in failure_pb2.ErrorReason.values() if n])
def test_every_reason_has_its_exception(number):
    name = failure_pb2.ErrorReason.Name(number).removeprefix("ERROR_REASON_")

    assert issubclass(_status._BY_REASON[name], errors.RequestError)


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND", starflow.RunNotFound),
        (grpc.StatusCode.NOT_FOUND, "NEW_IN_2030", starflow.NotFound),
        (grpc.StatusCode.UNIMPLEMENTED, "", starflow.InvalidRequest),
        (grpc.StatusCode.UNKNOWN, "", starflow.ServiceFault),
        (grpc.StatusCode.ALREADY_EXISTS, "RUN_ID_CONFLICT", starflow.RunIdConflict),
    ],
)
async def test_the_reason_decides_and_else_the_status(
    service, client, code, reason, expected
):
    service.fail("GetRun", lambda context: abort(context, code, reason, "so it is"))

    with pytest.raises(starflow.RequestError) as caught:
        await client.get("r-1")

    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.reason) == (code.name, reason)
    assert str(caught.value) == "so it is"


async def test_a_request_over_grpcs_limit_is_not_sent(service, client):
    with pytest.raises(starflow.TooLarge):
        await client.start(SCRIPT, input="x" * 4 * 1024 * 1024)

    assert service.count("Run") == 0


async def test_an_answer_over_grpcs_limit_is_not_asked_for_again(service, client):
    service.put_run(finished("r-1", '"' + "x" * 5_000_000 + '"'))

    with pytest.raises(starflow.TooLarge):
        await client.get("r-1")
    assert service.count("GetRun") == 1


async def test_get_returns_the_run_as_it_stands(service, client):
    run = finished("r-1", "[1, 1.0]")
    run.create_time.FromSeconds(1_800_000_000)
    run.script = SCRIPT
    run.version = 2
    service.put_run(run)

    info = await client.get("r-1", with_script=True)

    assert (info.id, info.state, info.version) == ("r-1", "SUCCEEDED", 2)
    assert repr(info.output) == "[1, 1.0]"
    assert info.finished
    assert info.script == SCRIPT
    assert service.requests["GetRun"][0].view == run_pb2.RUN_VIEW_WITH_SCRIPT
    assert info.to_dict() == {
        "id": "r-1",
        "namespace": "default",
        "state": "SUCCEEDED",
        "version": 2,
        "create_time": "2027-01-15T08:00:00Z",
        "output": [1, 1.0],
        "script": SCRIPT,
    }


async def test_a_result_of_null_is_a_result(service, client):
    service.put_run(finished("r-1"))

    assert await client.run("r-1").result() is None
    assert "output" in (await client.get("r-1")).to_dict()


async def test_a_result_has_the_type_that_is_asked_for(service, client):
    service.put_run(finished("r-1", '{"id": "a", "cents": 5}'))

    assert await client.result("r-1", result_type=Receipt) == Receipt("a", 5)
    with pytest.raises(starflow.ConversionError, match="output: expected an integer"):
        await client.result("r-1", result_type=int)


async def test_a_result_is_waited_for(service, client):
    service.put_run(running("r-1"))
    waiting = asyncio.create_task(client.result("r-1", timeout=30))
    await asyncio.to_thread(service.wait_for_request, "GetRun")

    service.put_run(finished("r-1", "7"))

    assert await waiting == 7


async def test_a_failed_run_raises_its_failure(service, client):
    run = failed("r-1", "CARD_DECLINED", "no money")
    run.failure.details.json = '{"bank": "b"}'
    service.put_run(run)

    with pytest.raises(starflow.RunFailed) as caught:
        await client.result("r-1")

    assert str(caught.value) == "run r-1 failed: CARD_DECLINED: no money"
    assert (caught.value.code, caught.value.message) == ("CARD_DECLINED", "no money")
    assert caught.value.details == {"bank": "b"}


async def test_a_run_that_yields_names_its_signal(service, client):
    service.put_run(yielded("r-1", "sig-1"))

    with pytest.raises(starflow.RunYielded) as caught:
        await client.result("r-1")

    assert caught.value.signal_id == "sig-1"


async def test_a_yield_can_be_waited_through(service, client):
    service.put_run(yielded("r-1", "sig-1"))
    waiting = asyncio.create_task(client.result("r-1", through_yields=True))
    request = await asyncio.to_thread(service.wait_for_request, "GetRun")

    service.put_run(finished("r-1", "7"))

    assert request.wait_until == pb.WAIT_UNTIL_FINISHED
    assert await waiting == 7


async def test_a_paused_run_says_why(service, client):
    run = finished("r-1")
    run.state = run_pb2.RUN_STATE_RUNNING
    run.paused = True
    run.pause_reason = run_pb2.PAUSE_REASON_LIMIT
    run.pause_message = "too many steps"
    service.put_run(run)

    with pytest.raises(starflow.RunPaused) as caught:
        await client.result("r-1", timeout=0)

    assert (caught.value.reason, caught.value.message) == ("LIMIT", "too many steps")


async def test_a_result_that_does_not_come_in_time_is_a_timeout(service, client):
    service.put_run(running("r-1"))

    with pytest.raises(TimeoutError, match="r-1 is RUNNING after 0 s"):
        await client.result("r-1", timeout=0)


async def test_a_result_is_waited_for_over_a_restart_of_the_service(service):
    service.put_run(running("r-1"))
    # No patience at all: a result is as patient as its own timeout.
    async with starflow.Client(service.address, patience=0.0) as client:
        waiting = asyncio.create_task(client.result("r-1", timeout=60))
        await asyncio.to_thread(service.wait_for_request, "GetRun")

        await asyncio.to_thread(service.stop)
        service.put_run(finished("r-1", "7"))
        await asyncio.to_thread(service.start)

        assert await waiting == 7


async def test_a_start_can_wait_and_then_needs_no_other_request(service, client):
    service.put_run(finished("r-1", "7"))

    run = await client.start(SCRIPT, run_id="r-1", wait=5)

    assert await run.result() == 7
    assert service.requests["Run"][0].wait.seconds == 5
    assert service.count("GetRun") == 0


async def test_a_signal_carries_a_value_or_a_failure(service, client):
    outcome = await client.signal("r-1", "sig-1", {"ok": True})
    failure = starflow.Failure("refused by boss", "no", details={"why": [1]})
    await client.run("r-1").signal("sig-1", failure=failure, only_if_waiting=True)
    await client.signal("r-1", "sig-1")

    one, two, three = service.requests["Signal"]
    assert outcome == starflow.SignalOutcome("RESUMED", 7)
    assert (one.run_id, one.signal_id) == ("r-1", "sig-1")
    assert one.output.json == '{"ok":true}'
    assert two.failure.code == "REFUSED_BY_BOSS"
    assert two.failure.details.json == '{"why":[1]}'
    assert two.only_if_waiting
    assert three.output.json == "null"


async def test_events_come_as_plain_values(service, client):
    service.put_run(finished("r-1"))
    payload = payload_pb2.Payload(json='{"a": 1}')
    failure = failure_pb2.Failure(code="TIMEOUT", kind=failure_pb2.FAILURE_KIND_TIMEOUT)
    unset = payload_pb2.Payload()
    service.put_events(
        "r-1",
        event(event_pb2.EVENT_TYPE_START, start_event={"input": payload}),
        event(
            event_pb2.EVENT_TYPE_CALL,
            call_event={"function": "a.b", "signal_id": "s"},
        ),
        event(
            event_pb2.EVENT_TYPE_RETURN,
            return_event={"failure": failure, "call_version": 2},
        ),
        event(event_pb2.EVENT_TYPE_RAND_INT, rand_int_event={"value": 0}),
        event(event_pb2.EVENT_TYPE_SLEEP, sleep_event={"wake_time": {"seconds": 0}}),
        event(event_pb2.EVENT_TYPE_FINISH, finish_event={"output": unset}),
        event(99),
    )

    events = [event async for event in client.events("r-1")]

    assert [e.version for e in events] == [1, 2, 3, 4, 5, 6, 7]
    assert [e.type for e in events] == [
        *("START", "CALL", "RETURN", "RAND_INT", "SLEEP", "FINISH", "UNKNOWN_99")
    ]
    start, call, end, drawn, sleep, finish, _ = events
    assert start.input == {"a": 1}
    assert (call.function, call.signal_id) == ("a.b", "s")
    assert end.failure is not None
    assert (end.failure.kind, end.call_version) == ("TIMEOUT", 2)
    assert drawn.detail == {"value": 0}
    assert sleep.to_dict()["wake_time"] == "1970-01-01T00:00:00Z"
    assert finish.detail == {"output": None}
    assert end.to_dict()["failure"] == {"code": "TIMEOUT", "kind": "TIMEOUT"}


async def test_events_begin_where_one_says(service, client):
    service.put_run(finished("r-1"))
    service.put_events("r-1", *ticks(9))

    events = client.events("r-1", from_version=3, limit=4, types=["CALL", "RAND_INT"])
    versions = [event.version async for event in events]

    (request,) = service.requests["GetEvents"]
    assert versions == [3, 4, 5, 6]
    assert list(request.types) == [2, 8]


async def test_a_log_is_followed_to_the_end_of_the_run(service, client):
    run = running("r-1")
    service.put_run(run)
    service.put_events("r-1", *ticks(2))
    versions = []
    async for event in client.run("r-1").events(follow=True):
        versions.append(event.version)
        if event.version == 2:
            service.put_events("r-1", *ticks(2))
        if event.version == 4:
            with service.changed:
                run.state = run_pb2.RUN_STATE_SUCCEEDED
                service.changed.notify_all()

    assert versions == [1, 2, 3, 4]


async def test_a_broken_stream_goes_on_where_it_was(service, client):
    """Neither a gap nor a repetition, wherever it breaks, gracefully or not."""
    service.put_run(finished("r-1"))
    service.put_events("r-1", *ticks(8))
    nothing = [lambda _: None]
    service.fail("batch", unavailable, *nothing, end_stream, unavailable, unavailable)

    versions = [e.version async for e in client.events("r-1", follow=True)]

    assert versions == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len({r.from_version for r in service.requests["GetEvents"]}) > 3


async def test_a_log_is_followed_over_a_restart_of_the_service(service, client):
    service.put_run(running("r-1"))
    service.put_events("r-1", *ticks(2))
    versions = []
    async for event in client.events("r-1", follow=True):
        versions.append(event.version)
        if event.version == 2:
            await asyncio.to_thread(service.stop)
            service.put_run(finished("r-1"))
            service.put_events("r-1", *ticks(2))
            await asyncio.to_thread(service.start)

    assert versions == [1, 2, 3, 4]


async def test_following_ends_when_patience_does(service):
    service.put_run(running("r-1"))
    service.put_events("r-1", *ticks(1))
    async with starflow.Client(service.address, patience=0.0) as client:
        events = client.events("r-1", follow=True)
        assert (await anext(events)).version == 1
        await asyncio.to_thread(service.stop)

        with pytest.raises(starflow.Unavailable):
            await anext(events)


async def test_whoever_stops_following_ends_the_stream(service, client):
    service.put_run(running("r-1"))
    service.put_events("r-1", *ticks(1))
    events = client.events("r-1", follow=True)
    await anext(events)

    await events.aclose()
    await client.close()

    # The handler sits in a wait for the next event until its call ends; the service
    # cannot stop before it has.
    await asyncio.to_thread(service.stop)


async def test_a_script_is_validated(service, client):
    service.diagnostics.append(
        pb.Diagnostic(
            severity=pb.SEVERITY_ERROR,
            code="SYNTAX_ERROR",
            message="m",
            line=2,
            column=5,
            hint="h",
        )
    )

    found = await client.validate(SCRIPT)

    assert found == starflow.Validation(
        valid=False,
        diagnostics=(starflow.Diagnostic("ERROR", "SYNTAX_ERROR", "m", 2, 5, "h"),),
        script_hash="ab" * 32,
        functions=("shop.charge",),
    )


async def test_a_server_says_what_it_is(client):
    info = await client.server_info()

    assert (info.version, info.store, info.durability) == ("1.2.3", "fake", "MEMORY")
    assert info.capabilities == ("a", "b")
    assert info.limits.max_payload_bytes == 1024 * 1024
    assert info.limits.max_wait_seconds == 60.0


async def test_a_client_belongs_to_one_loop(client):
    await client.server_info()

    with pytest.raises(starflow.StarflowError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, client.server_info())


async def test_a_client_does_not_survive_a_fork(client, monkeypatch):
    await client.server_info()
    monkeypatch.setattr(os, "getpid", lambda: -1)

    with pytest.raises(starflow.ForkedError, match="child process"):
        await client.server_info()


async def test_a_closed_client_opens_again(client):
    await client.server_info()
    await client.close()
    await client.close()

    assert (await client.server_info()).version == "1.2.3"


async def test_a_refusal_that_only_workers_know_is_an_error_like_others(
    service, client
):
    service.fail("GetServerInfo", not_registered)

    with pytest.raises(errors.WorkerNotRegistered):
        await client.server_info()
