"""Signals by name, and asking runs to end: the client and the command line."""

import asyncio
import json

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

import starflow
from starflow.cli import _exits
from starflow.v1 import event_pb2, payload_pb2, run_pb2
from starflow.v1 import workflow_service_pb2 as pb
from tests.sdk.fake_service import abort, cancelled, finished, paused, running


@pytest.fixture
async def client(service):
    async with starflow.Client(service.address) as client:
        yield client


def waiting(run_id: str, *names: str) -> run_pb2.Run:
    """A run whose script waits for signals by name."""
    run = run_pb2.Run(
        run_id=run_id, namespace="default", state=run_pb2.RUN_STATE_YIELDED
    )
    for version, name in enumerate(names, 2):
        run.waits.add().signal.CopyFrom(
            run_pb2.SignalWait(name=name, wait_version=version)
        )
    return run


def at(seconds: int) -> Timestamp:
    return Timestamp(seconds=1_800_000_000 + seconds)


# The client


async def test_a_signal_by_name_is_told_apart_by_its_request_id(service, client):
    await client.signal("r-1", name="go", output=1)
    await client.signal("r-1", name="go", output=1)
    await client.run("r-1").signal(name="go", output=2, request_id="mine")

    one, two, three = service.requests["Signal"]
    assert (one.WhichOneof("target"), one.name) == ("name", "go")
    assert one.output.json == "1"
    assert len({one.request_id, two.request_id, three.request_id}) == 3
    assert three.request_id == "mine"


async def test_a_repetition_over_the_network_keeps_its_request_id(service, client):
    def lost(context):
        abort(context, grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")

    service.fail("Signal", lost)

    await client.signal("r-1", name="go")

    one, two = service.requests["Signal"]
    assert one.request_id == two.request_id != ""


@pytest.mark.parametrize(
    "arguments",
    [{}, {"signal_id": "s", "name": "n"}, {"signal_id": "s", "request_id": "r"}],
)
async def test_a_signal_has_one_target(client, arguments):
    with pytest.raises(TypeError):
        await client.signal("r-1", **arguments)


async def test_a_run_that_takes_no_more_signals_has_its_own_exception(service, client):
    client.patience = 0

    def full(context):
        abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "SIGNALS_FULL")

    service.fail("Signal", full)

    with pytest.raises(starflow.SignalsFull) as caught:
        await client.signal("r-1", name="go")

    assert isinstance(caught.value, starflow.RateLimited)


async def test_a_run_that_waits_for_names_says_which(service, client):
    service.put_run(waiting("r-1", "go", "stop"))

    with pytest.raises(starflow.RunYielded) as caught:
        await client.result("r-1")

    error = caught.value
    assert (error.signal_name, error.signal_id) == ("go", "")
    assert error.signal_names == ("go", "stop")
    assert str(error) == "run r-1 waits for the signal go, stop"


async def test_a_cancelled_run_is_a_failed_one_with_a_name_of_its_own(service, client):
    service.put_run(cancelled("r-1", "enough"))

    with pytest.raises(starflow.RunCancelled) as caught:
        await client.result("r-1")

    assert isinstance(caught.value, starflow.RunFailed)
    assert str(caught.value) == "run r-1 was cancelled: STARFLOW_CANCELLED: enough"


async def test_waiting_ends_when_the_run_is_cancelled(service, client):
    service.put_run(running("r-1"))
    waiter = asyncio.create_task(client.wait("r-1"))
    await asyncio.to_thread(service.wait_for_request, "GetRun")

    service.put_run(cancelled("r-1", "enough"))

    info = await waiter
    assert (info.state, info.finished) == ("CANCELLED", True)
    assert (info.cancel_requested, info.cancel_reason) == (True, "enough")


async def test_cancel_terminate_and_unpause_return_the_run(service, client):
    service.put_run(cancelled("r-1", "enough"))
    run = client.run("r-1")

    infos = [
        await client.cancel("r-1", "enough"),
        await run.cancel("again"),
        await run.terminate("now"),
        await run.unpause(),
    ]

    assert {info.state for info in infos} == {"CANCELLED"}
    assert run.info == infos[-1]
    reasons = [request.reason for request in service.requests["CancelRun"]]
    assert reasons == ["enough", "again"]
    (terminate,) = service.requests["TerminateRun"]
    assert (terminate.run_id, terminate.reason) == ("r-1", "now")
    (unpause,) = service.requests["UnpauseRun"]
    assert (unpause.namespace, unpause.run_id) == ("default", "r-1")


async def test_a_run_tells_its_status_its_unread_signals_and_its_restarts(
    service, client
):
    run = running("r-1")
    run.status.json = '{"text": "half", "progress": 0.5}'
    run.unread_signals.add(name="go", version=4, time=at(0))
    run.unread_signal_count = 1
    run.restarts, run.segment_version = 2, 3
    service.put_run(run)

    info = await client.get("r-1")

    assert info.status == {"text": "half", "progress": 0.5}
    (unread,) = info.unread_signals
    assert (unread.name, unread.version) == ("go", 4)
    assert info.to_dict() == {
        "id": "r-1",
        "namespace": "default",
        "state": "RUNNING",
        "version": 0,
        "status": {"text": "half", "progress": 0.5},
        "unread_signals": [
            {"name": "go", "version": 4, "time": "2027-01-15T08:00:00Z"}
        ],
        "unread_signal_count": 1,
        "restarts": 2,
        "segment_version": 3,
    }


# The command line


def test_signal_by_name_says_what_became_of_it(service, terminal):
    code, out, err = terminal(
        *("signal", "r-1", "--name", "go", "[1]"),
        *("--request-id", "mine", "--only-if-waiting"),
    )

    (request,) = service.requests["Signal"]
    assert (code, out, err) == (0, "r-1 goes on (event 7)\n", "")
    assert (request.name, request.request_id) == ("go", "mine")
    assert request.output.json == "[1]"
    assert request.only_if_waiting


def test_a_signal_by_name_takes_its_value_in_three_ways(service, terminal):
    terminal("signal", "r-1", "--name", "go", "-1")
    terminal("signal", "r-1", "--name", "go", "--output", "2")
    terminal("signal", "r-1", "--name", "go", "--fail", "NO", "no way")
    terminal("signal", "r-1", "--name", "go")

    one, two, three, four = service.requests["Signal"]
    assert (one.output.json, two.output.json, four.output.json) == ("-1", "2", "null")
    assert three.failure.code == "NO"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["signal", "r"], "one of the arguments SIGNAL_ID --name is required"),
        (["signal", "r", "s", "--name", "n"], "not allowed with"),
        (["signal", "r", "s", "--request-id", "i"], "is for signals by --name"),
        (["signal", "r", "--name", "n", "1", "2"], "takes NAME and one VALUE"),
        (["signal", "r", "--name", "n", "["], "VALUE: is not JSON"),
        (["signal", "r", "--name", "n", "1", "--output", "2"], "is not allowed with"),
    ],
)
def test_a_signal_typed_wrong_is_one_line_and_code_2(terminal, arguments, said):
    code, out, err = terminal(*arguments)

    assert (code, out) == (_exits.USAGE, "")
    assert said in err


def test_cancel_says_how_the_run_stands(service, terminal):
    service.put_run(running("r-1"))
    service.put_run(cancelled("r-2", "enough"))
    service.put_run(paused("r-3", "too many steps"))

    assert terminal("cancel", "r-1", "--reason", "enough") == (
        *(0, "r-1 is ending (RUNNING)\n"),
        "",
    )
    assert terminal("cancel", "r-2")[1] == "r-2 has ended (CANCELLED)\n"
    assert terminal("cancel", "r-3")[1] == (
        "r-3 is paused (LIMIT) and ends when it goes on; to end it now: "
        "starflow terminate r-3\n"
    )
    assert service.requests["CancelRun"][0].reason == "enough"


def test_cancel_waits_if_it_is_asked_to(service, terminal):
    service.put_run(running("r-1"))

    code, out, _ = terminal("cancel", "r-1", "--wait", "0")

    assert (code, out) == (_exits.UNFINISHED, "r-1 is ending (RUNNING)\n")
    (request,) = service.requests["GetRun"]
    assert request.wait_until == pb.WAIT_UNTIL_FINISHED


def test_cancelling_what_has_ended_is_refused(service, terminal):
    service.put_run(finished("r-1"))

    def refused(context):
        abort(context, grpc.StatusCode.FAILED_PRECONDITION, "RUN_FINISHED")

    service.fail("CancelRun", refused)

    assert terminal("cancel", "r-1")[0] == _exits.REFUSED


def test_terminate_prints_json(service, terminal):
    service.put_run(cancelled("r-1", "enough"))

    code, out, _ = terminal("terminate", "r-1", "--reason", "enough", "--json")

    assert code == 0
    assert json.loads(out)["state"] == "CANCELLED"


def test_unpause_says_whether_the_run_goes_on(service, terminal):
    service.put_run(running("r-1"))
    service.put_run(paused("r-2", "too many steps"))

    assert terminal("unpause", "r-1") == (0, "r-1 goes on (RUNNING)\n", "")
    code, out, _ = terminal("unpause", "r-2")

    assert code == _exits.UNFINISHED
    assert out == "r-2 is paused again: LIMIT: too many steps\n"


def test_get_shows_what_the_script_waits_for_and_says(service, terminal):
    run = waiting("r-1", "go", "stop")
    run.waits[1].signal.expire_time.CopyFrom(at(60))
    run.status.json = '{"text": "half way", "progress": 0.5, "data": {"n": 1}}'
    for version, name in enumerate(["a", "b", "a"], 5):
        run.unread_signals.add(name=name, version=version)
    run.unread_signal_count = 7
    run.restarts, run.segment_version = 2, 40
    run.cancel_requested, run.cancel_reason = True, "enough"
    service.put_run(run)

    lines = terminal("get", "r-1")[1].splitlines()

    assert lines[4:-1] == [
        "cancelling enough",
        "restarts   2, the last at event 40",
        'status     half way (50%) {"n":1}',
        "waits for  the signal go: starflow signal r-1 --name go JSON",
        "waits for  the signal stop until 2027-01-15 08:01:00.000: "
        "starflow signal r-1 --name stop JSON",
        "unread     a (2), b, and 4 more",
    ]


def test_events_show_what_scripts_and_people_do(service, terminal):
    service.put_run(finished("r-1"))
    one = payload_pb2.Payload(json="1")
    status = payload_pb2.Payload(json='{"text":"half","progress":0.5}')
    details = [
        {"type": 12, "wait_event": {"name": "go", "expire_time": at(0)}},
        {"type": 10, "signal_event": {"name": "go", "output": one}},
        {"type": 14, "drop_event": {"dropped_versions": [2, 5]}},
        {"type": 15, "status_event": {"status": status}},
        {"type": 13, "cancel_event": {"reason": "enough"}},
        {"type": 16, "restart_event": {"input": one}},
    ]
    service.put_events("r-1", *(event_pb2.Event(time=at(0), **d) for d in details))

    rows = [line[34:] for line in terminal("events", "r-1")[1].splitlines()[1:]]

    assert rows == [
        "WAIT      go 2027-01-15 08:00:00.000",
        "SIGNAL    go 1",
        "DROP      #2 #5",
        "STATUS    half (50%)",
        "CANCEL    enough",
        "RESTART   1",
    ]


def test_what_answers_a_run_that_waits_for_a_name_is_in_the_complaint():
    error = starflow.RunYielded("r-1", (), ("go",))

    assert _exits.complaint(error, "").message.endswith(
        "answer it with: starflow signal r-1 --name go JSON"
    )
