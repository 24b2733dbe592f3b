"""The command line, from arguments to output, standard error and exit code."""

import io
import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from starflow import cli
from starflow.cli import _exits
from starflow.v1 import event_pb2, failure_pb2, payload_pb2, run_pb2
from starflow.v1 import workflow_service_pb2 as pb
from tests.sdk.fake_service import (
    FakeService,
    abort,
    failed,
    finished,
    internal,
    running,
    yielded,
)
from tests.sdk.terminal import subprocess_environment

ROOT = Path(__file__).parents[2]
SCRIPT = "def main(ctx, input):\n\treturn input +\n"


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "order.star"
    path.write_text(SCRIPT)
    return str(path)


def at(seconds: int) -> Timestamp:
    return Timestamp(seconds=1_800_000_000 + seconds, nanos=120_000_000)


def put_log(service: FakeService) -> None:
    service.put_run(finished("r-1", "7"))
    payload = payload_pb2.Payload(json='{"n":1}')
    failure = failure_pb2.Failure(code="BUSY", message="try\nlater")
    details = [
        {"type": 1, "start_event": {"input": payload}},
        {"type": 2, "call_event": {"function": "a.b", "input": payload}},
        {"type": 3, "return_event": {"failure": failure, "call_version": 2}},
        {"type": 4, "yield_event": {"signal_id": "sig", "call_version": 2}},
        {"type": 6, "sleep_event": {"wake_time": at(60)}},
        {"type": 7, "time_now_event": {"value": at(61)}},
        {"type": 8, "rand_int_event": {"value": -5}},
        {"type": 11, "wake_event": {"sleep_version": 5}},
        {"type": 9, "finish_event": {"output": payload_pb2.Payload(json="7")}},
    ]
    events = [event_pb2.Event(time=at(n), **d) for n, d in enumerate(details)]
    service.put_events("r-1", *events)


# run


def test_run_starts_and_says_so(service, terminal, script):
    code, out, err = terminal("run", script, "--run-id", "r-1", "--input", '{"n": 1.0}')

    (request,) = service.requests["Run"]
    assert (code, out, err) == (0, "started r-1 (PENDING)\n", "")
    assert request.script == SCRIPT
    # The text itself, in which 1.0 and 1 differ.
    assert request.input.json == '{"n": 1.0}'
    assert not request.allow_unregistered
    assert terminal("run", script, "--run-id", "r-1") == (
        *(0, "found r-1 (PENDING)\n"),
        "",
    )


def test_run_waits_for_the_result(service, terminal, script):
    service.put_run(finished("r-1", '{"id": 1.0}'))

    assert terminal("run", script, "--run-id", "r-1", "--wait") == (
        *(0, '{"id":1.0}\n'),
        "",
    )


def test_run_waits_so_long(service, terminal, script):
    service.put_run(running("r-1"))

    code, out, err = terminal("run", script, "--run-id", "r-1", "--wait", "0")

    assert (code, out) == (_exits.UNFINISHED, "")
    assert err == ("starflow: run r-1 is RUNNING after 0 s; see starflow get r-1\n")


def test_a_run_that_fails_is_one_line_and_code_1(service, terminal, script):
    service.put_run(failed("r-1", "CARD_DECLINED", "no\nmoney"))

    code, out, err = terminal("run", script, "--run-id", "r-1", "--wait")

    assert (code, out) == (_exits.FAILED, "")
    assert err == "starflow: run r-1 failed: CARD_DECLINED: no money\n"


def test_a_run_that_yields_says_how_to_answer(service, terminal, script):
    service.put_run(yielded("r-1", "sig-1"))

    code, out, err = terminal("run", script, "--run-id", "r-1", "--wait")

    assert (code, out) == (_exits.UNFINISHED, "")
    assert err == (
        "starflow: run r-1 waits for the signal sig-1; answer it with: "
        "starflow signal r-1 sig-1 --output JSON\n"
    )


def test_run_prints_json(service, terminal, script):
    service.put_run(failed("r-1", "GONE", "no"))

    code, out, err = terminal("run", script, "--run-id", "r-1", "--wait", "--json")

    assert code == _exits.FAILED
    assert json.loads(out) == {
        "id": "r-1",
        "namespace": "default",
        "state": "FAILED",
        "version": 0,
        "failure": {"code": "GONE", "message": "no", "kind": "APPLICATION"},
        "created": False,
    }
    assert json.loads(err) == {
        "error": {
            "code": 1,
            "message": "run r-1 failed: GONE: no",
            "reason": "GONE",
        }
    }


def test_input_comes_from_a_file_or_standard_input(
    service, terminal, script, tmp_path, monkeypatch
):
    (tmp_path / "in.json").write_text('\n{"n": 2}\n')
    monkeypatch.setattr(sys, "stdin", io.StringIO("[3]\n"))

    terminal("run", script, "--input", f"@{tmp_path}/in.json", "--allow-unregistered")
    terminal("run", script, "--input", "-")
    monkeypatch.setattr(sys, "stdin", io.StringIO("def main(ctx, input): pass"))
    terminal("run", "-")

    one, two, three = service.requests["Run"]
    assert one.input.json == '{"n": 2}'
    assert one.allow_unregistered
    assert two.input.json == "[3]"
    assert three.script == "def main(ctx, input): pass"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "none.star"], "none.star: No such file or directory"),
        (["run", "SCRIPT", "--input", "{n: 1}"], "--input: is not JSON: Expecting"),
        (["run", "SCRIPT", "--input", "NaN"], "--input: NaN has no JSON form"),
        (["run", "SCRIPT", "--input", "@no"], "no: No such file or directory"),
        (["run", "-", "--input", "-"], "cannot be both FILE and --input"),
        (["run", "BINARY"], "is not UTF-8 text"),
        (["run", "--wait", "a.star"], "put FILE before --wait"),
        (["run", "a.star", "--wait", "-1"], "-1 is not a time to wait"),
        (
            ["run"],
            "the following arguments are required: FILE; see starflow run --help",
        ),
        (["rnu"], "invalid choice: 'rnu'"),
        ([], "the following arguments are required: COMMAND; see starflow --help"),
        (["get", "r-1", "--jsno"], "unrecognized arguments: --jsno"),
        (["events", "r-1", "--from", "0"], "'0' is not a version, from 1 on"),
        (["worker", "x.py", "--concurrency", "no"], "'no' is not a number of tasks"),
        (["signal", "r", "s", "--output", "1", "--fail", "A", "b"], "not allowed with"),
        (["signal", "r", "s", "--fail", "A"], "expected 2 arguments"),
        (["signal", "r", "s", "--output", "]"], "--output: is not JSON"),
        (["serve"], "serve and store come first"),
    ],
)
def test_what_is_typed_wrong_is_one_line_and_code_2(
    terminal, script, tmp_path, arguments, said
):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    names = {"SCRIPT": script, "BINARY": str(binary)}

    code, out, err = terminal(*(names.get(a, a) for a in arguments))

    assert (code, out) == (_exits.USAGE, "")
    assert said in err
    assert err.startswith("starflow: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("status", "reason", "code", "fix"),
    [
        ("INVALID_ARGUMENT", "FUNCTION_UNKNOWN", 2, "--allow-unregistered"),
        ("INVALID_ARGUMENT", "SCRIPT_INVALID", 2, "starflow validate FILE"),
        ("INVALID_ARGUMENT", "TOO_LARGE", 2, "as the test said"),
        ("NOT_FOUND", "RUN_NOT_FOUND", 3, "--namespace"),
        ("ALREADY_EXISTS", "RUN_ID_CONFLICT", 5, "another --run-id"),
        ("FAILED_PRECONDITION", "RUN_FINISHED", 5, "starflow get RUN"),
        ("OUT_OF_RANGE", "VERSION_OUT_OF_RANGE", 2, "as the test said"),
        ("INTERNAL", "INTERNAL", 7, "as the test said"),
    ],
)
def test_a_refusal_has_its_code_and_its_fix(
    service, terminal, script, status, reason, code, fix
):
    service.fail("Run", lambda c: abort(c, grpc.StatusCode[status], reason))

    ended, out, err = terminal("run", script, "--json")

    error = json.loads(err)["error"]
    assert (ended, out) == (code, "")
    assert (error["code"], error["reason"]) == (code, reason)
    assert fix in error["message"]


@pytest.mark.parametrize(
    "command", [["run"], ["run", "--wait", "60"], ["get"], ["events", "--follow"]]
)
def test_a_service_that_is_not_there_is_one_line_and_code_4(
    service, terminal, script, command
):
    service.stop()

    code, out, err = terminal(*command, *([script] if command[0] == "run" else ["r-1"]))

    assert (code, out) == (_exits.UNREACHABLE, "")
    assert service.address in err
    assert 'start a server with "starflow serve"' in err
    assert err.count("\n") == 1


def test_where_the_service_is_may_be_in_the_environment(
    service, script, capsys, monkeypatch
):
    monkeypatch.setenv("STARFLOW_ADDRESS", service.address)
    monkeypatch.setenv("STARFLOW_NAMESPACE", "shop")

    assert cli.main(["run", script]) == 0
    assert cli.main(["run", script, "--namespace", "other"]) == 0
    assert cli.main(["--namespace", "third", "run", script]) == 0

    assert [r.namespace for r in service.requests["Run"]] == ["shop", "other", "third"]


# get


def test_get_shows_a_run(service, terminal):
    run = yielded("r-1", "sig-1")
    run.version = 4
    run.script_hash = "ab" * 32
    run.create_time.CopyFrom(at(0))
    run.input.json = '{"n": 1}'
    run.waits[0].signal.expire_time.CopyFrom(at(60))
    run.waits.add().sleep.wake_time.CopyFrom(at(5))
    call = run.waits.add().call
    call.function, call.attempt = "a.b", 2
    call.last_failure.CopyFrom(failure_pb2.Failure(code="BUSY", message="later"))
    call.next_attempt_time.CopyFrom(at(9))
    run.waits.add().call.CopyFrom(run_pb2.CallWait(function="c.d", worker_id="w"))
    run.waits.add().call.CopyFrom(run_pb2.CallWait(function="e.f"))
    call = run.waits.add().call
    call.function, call.attempt, call.worker_id = "g.h", 1, "w"
    call.attempt_start_time.CopyFrom(at(3))
    call = run.waits.add().call
    call.function, call.attempt = "i.j", 1
    call.state_message = "queue i is at its limit: 5 of 5 in flight"
    service.put_run(run)

    code, out, err = terminal("get", "r-1")

    assert (code, err) == (0, "")
    assert out == (
        "run        r-1\n"
        "namespace  default\n"
        "state      YIELDED\n"
        "events     4\n"
        "script     abababababab\n"
        "created    2027-01-15 08:00:00.120\n"
        "waits for  a signal for shop.ask until 2027-01-15 08:01:00.120: "
        "starflow signal r-1 sig-1 --output JSON\n"
        "waits for  a sleep until 2027-01-15 08:00:05.120\n"
        "waits for  a.b, attempt 2, not before 2027-01-15 08:00:09.120; "
        "the last attempt: BUSY: later\n"
        "waits for  c.d, attempt 0, on worker w\n"
        "waits for  e.f, attempt 0: no worker has taken it yet\n"
        "waits for  g.h, attempt 1, on worker w since 2027-01-15 08:00:03.120\n"
        "waits for  i.j, attempt 1: queue i is at its limit: 5 of 5 in flight\n"
        'input      {"n":1}\n'
    )


def test_get_shows_how_a_run_ended(service, terminal):
    run = failed("r-1", "BUSY", "later")
    run.failure.stack_trace = "a.star:1\na.star:2\n"
    service.put_run(run)
    service.put_run(finished("r-2"))
    paused = running("r-3")
    paused.paused, paused.pause_message = True, "too many steps"
    paused.pause_reason = run_pb2.PAUSE_REASON_LIMIT
    service.put_run(paused)

    assert terminal("get", "r-1")[1].endswith(
        "failure    BUSY: later\n           a.star:1\n           a.star:2\n"
    )
    assert terminal("get", "r-2")[1].endswith("output     null\n")
    shown = terminal("get", "r-3")[1]
    assert "state      RUNNING (paused)\n" in shown
    assert "paused     LIMIT: too many steps\n" in shown


def test_get_prints_json(service, terminal):
    service.put_run(yielded("r-1", "sig-1"))

    code, out, _ = terminal("--json", "get", "r-1")

    assert code == 0
    assert json.loads(out)["waits"] == [
        {
            "kind": "SIGNAL",
            "signal_id": "sig-1",
            "function": "shop.ask",
            "yield_version": 3,
        }
    ]
    assert terminal("get", "r-1", "--json")[1] == out


def test_get_without_such_a_run_is_code_3(terminal):
    code, out, err = terminal("get", "r-9")

    assert (code, out) == (_exits.NOT_FOUND, "")
    assert err == "starflow: no such run; is --namespace right?\n"


# events


def test_events_are_a_table(service, terminal):
    put_log(service)

    code, out, err = terminal("events", "r-1")

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "VERSION  TIME (UTC)               TYPE      DETAIL",
        '      1  2027-01-15 08:00:00.120  START     {"n":1}',
        '      2  2027-01-15 08:00:01.120  CALL      a.b {"n":1}',
        "      3  2027-01-15 08:00:02.120  RETURN    #2 failed: BUSY: try\\nlater",
        "      4  2027-01-15 08:00:03.120  YIELD     #2 sig",
        "      5  2027-01-15 08:00:04.120  SLEEP     2027-01-15 08:01:00.120",
        "      6  2027-01-15 08:00:05.120  TIME_NOW  2027-01-15 08:01:01.120",
        "      7  2027-01-15 08:00:06.120  RAND_INT  -5",
        "      8  2027-01-15 08:00:07.120  WAKE      #5",
        "      9  2027-01-15 08:00:08.120  FINISH    7",
    ]


def test_events_are_a_line_of_json_each(service, terminal):
    put_log(service)

    code, out, _ = terminal("events", "r-1", "--json", "--from", "8", "--follow")

    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "version": 8,
            "time": "2027-01-15T08:00:07.120000Z",
            "type": "WAKE",
            "sleep_version": 5,
        },
        {
            "version": 9,
            "time": "2027-01-15T08:00:08.120000Z",
            "type": "FINISH",
            "output": 7,
        },
    ]


# signal


def test_signal_delivers_a_value_or_a_failure(service, terminal):
    assert terminal("signal", "r-1", "s", "--output", '{"ok": 1.0}') == (
        *(0, "r-1 goes on (event 7)\n"),
        "",
    )
    terminal("signal", "r-1", "s", "--fail", "REFUSED", "the boss said no")
    terminal("signal", "r-1", "s")

    value, failure, nothing = service.requests["Signal"]
    assert (value.run_id, value.signal_id) == ("r-1", "s")
    assert value.output.json == '{"ok": 1.0}'
    assert failure.failure.code == "REFUSED"
    assert failure.failure.message == "the boss said no"
    assert nothing.output.json == "null"


@pytest.mark.parametrize(
    ("disposition", "said"),
    [
        (pb.SIGNAL_DISPOSITION_KEPT, "kept until r-1 waits for it\n"),
        (pb.SIGNAL_DISPOSITION_DUPLICATE, "duplicate: r-1 had this signal before\n"),
    ],
)
def test_signal_says_what_became_of_it(service, terminal, disposition, said):
    service.disposition = disposition

    assert terminal("signal", "r-1", "s") == (0, said, "")


def test_signal_prints_json(terminal):
    assert json.loads(terminal("signal", "r-1", "s", "--json")[1]) == {
        "disposition": "RESUMED",
        "resume_version": 7,
    }


# All of them


@pytest.mark.parametrize(
    "command", ["", "run", "get", "events", "signal", "validate", "worker"]
)
def test_help_has_examples(terminal, command):
    code, out, _ = terminal(*command.split(), "--help")

    assert code == 0
    assert "\nexamples:\n  starflow " in out
    assert "--json" in out


def test_help_documents_the_exit_codes(terminal):
    _, out, _ = terminal("--help")

    assert _exits.DESCRIPTION in out
    listed = {int(line.split()[0]) for line in _exits.DESCRIPTION.splitlines()[1:]}
    defined = {n for name, n in vars(_exits).items() if name.isupper() and n != out}
    assert listed == {n for n in defined if isinstance(n, int)}


def test_the_version_is_told(terminal):
    code, out, _ = terminal("--version")

    assert code == 0
    assert out.startswith("starflow ")


def test_a_defect_of_the_service_is_code_7(service, terminal):
    service.fail("GetRun", internal)

    code, _, err = terminal("get", "r-1")

    assert (code, err) == (_exits.FAULT, "starflow: incident 4711\n")


def test_output_that_nobody_reads_any_more_is_no_error(service):
    put_log(service)
    command = f"{sys.executable} -m starflow.cli events r-1 | true"

    ended = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={**subprocess_environment(), "STARFLOW_ADDRESS": service.address},
    )

    assert (ended.returncode, ended.stderr) == (0, "")
