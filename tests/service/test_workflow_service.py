"""Runs, signals, scripts and server facts, through a real server."""

import hashlib

import pytest
from google.protobuf.duration_pb2 import Duration

from starflow.v1 import worker_service_pb2 as worker_pb
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.failure_pb2 import Failure, FailureKind
from starflow.v1.payload_pb2 import Payload
from starflow.v1.run_pb2 import PauseReason, RunState
from starflow_service import __version__
from starflow_service.rpc.workflow_service import CAPABILITIES
from starflow_service.runtime.options import Options
from starflow_service.starlark.limits import Limits
from tests.service.calls import (
    ECHO,
    LONG,
    complete,
    finished,
    payload,
    refusal,
    register,
    result,
    start,
    take,
)

PLAIN = "def main(ctx, input):\n    return {'got': input}\n"
FAILING = "def main(ctx, input):\n    fail('no ' + input)\n"
HOUR = Duration(seconds=3600)
SLEEPING = (
    'load("time", "sleep", "hour")\ndef main(ctx, input):\n    sleep(ctx, hour)\n'
)


async def yielded(workflows, workers):
    """Start a run that waits for a signal; return the signal's id."""
    await start(workflows)
    task = await take(workers)
    [completion] = await complete(
        workers, result(task, wait_for_signal=worker_pb.Yield())
    )
    assert completion.status == 1
    return task.signal_id


async def test_a_run_ends_with_what_main_returns(workflows):
    answer = await start(workflows, PLAIN, {"n": 1.0}, wait=LONG)

    run = answer.run
    assert answer.created
    assert (run.namespace, run.run_id) == ("default", "r")
    assert run.state == RunState.RUN_STATE_SUCCEEDED
    assert run.output.json == '{"got":{"n":1.0}}'
    assert run.input.json == '{"n": 1.0}'
    assert run.script_hash == hashlib.sha256(PLAIN.encode()).hexdigest()
    assert run.version == 2
    assert run.create_time.ToNanoseconds() <= run.finish_time.ToNanoseconds()
    assert run.update_time == run.finish_time
    assert not run.waits


async def test_a_run_that_fails_is_an_answer_and_no_error(workflows):
    run = (await start(workflows, FAILING, "way", wait=LONG)).run

    assert run.state == RunState.RUN_STATE_FAILED
    assert run.failure.kind == FailureKind.FAILURE_KIND_SCRIPT
    assert "no way" in run.failure.message
    assert "in main" in run.failure.stack_trace


async def test_a_run_without_an_id_gets_one(workflows):
    first = (await start(workflows, PLAIN, run_id="")).run
    second = (await start(workflows, PLAIN, run_id="")).run

    assert first.run_id != second.run_id
    assert len(first.run_id) >= 16


async def test_a_script_that_the_service_holds_goes_by_its_hash(workflows):
    script_hash = (await start(workflows, PLAIN)).run.script_hash
    request = pb.RunRequest(run_id="again", script_hash=script_hash, wait=LONG)

    run = (await workflows.Run(request)).run

    assert run.output.json == '{"got":null}'


async def test_namespaces_keep_runs_apart(workflows):
    assert (await start(workflows, PLAIN, 1, namespace="a")).created
    assert (await start(workflows, PLAIN, 2, namespace="b")).created
    gone = await refusal(workflows.GetRun(pb.GetRunRequest(run_id="r")))
    assert gone.reason == "RUN_NOT_FOUND"


SAME = {"value": 1, "conflict_policy": "RUN_ID_CONFLICT_POLICY_ATTACH_SAME"}
ANY = {"value": 2, "conflict_policy": "RUN_ID_CONFLICT_POLICY_ATTACH_ANY"}
FAIL = {"value": 1, "conflict_policy": "RUN_ID_CONFLICT_POLICY_FAIL"}


@pytest.mark.parametrize("again", [{"value": 1}, SAME, ANY])
async def test_the_same_run_is_found_again(workflows, again):
    await start(workflows, PLAIN, 1)

    answer = await start(workflows, PLAIN, wait=LONG, **again)

    assert not answer.created
    assert answer.run.output.json == '{"got":1}'


@pytest.mark.parametrize(
    ("script", "again"), [(PLAIN, FAIL), (PLAIN, {"value": 2}), (ECHO, {"value": 1})]
)
async def test_another_run_under_its_id_is_refused(workflows, script, again):
    await start(workflows, PLAIN, 1, wait=LONG)

    refused = await refusal(start(workflows, script, **again))

    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "RUN_ID_CONFLICT")
    assert refused.metadata["run_id"] == "r"
    assert refused.metadata["state"] == "SUCCEEDED"


async def test_without_a_wait_the_run_comes_as_it_stands(workflows):
    answer = await start(workflows)

    assert answer.created
    assert answer.run.state == RunState.RUN_STATE_RUNNING


async def test_a_wait_ends_when_its_time_is_up(workflows):
    wait = Duration(nanos=50_000_000)

    started = await start(workflows, wait=wait)
    got = await workflows.GetRun(pb.GetRunRequest(run_id="r", wait=wait))

    assert started.run.state == RunState.RUN_STATE_RUNNING
    assert got.run.state == RunState.RUN_STATE_RUNNING


async def test_a_wait_ends_before_the_deadline_of_its_call(workflows):
    await start(workflows)

    request = pb.GetRunRequest(run_id="r", wait=LONG)
    got = await workflows.GetRun(request, timeout=0.7)
    at_once = await workflows.GetRun(request, timeout=0.4)

    assert got.run.state == at_once.run.state == RunState.RUN_STATE_RUNNING


async def test_a_wait_ends_by_the_limit_of_the_server(serve):
    options = Options(max_wait_s=0.05)
    workflows = (await serve(options=options)).workflows

    answer = await start(workflows, wait=LONG)

    assert answer.run.state == RunState.RUN_STATE_RUNNING


async def test_a_run_that_yields_ends_a_wait_unless_only_the_end_counts(
    workflows, workers
):
    signal_id = await yielded(workflows, workers)

    got = await workflows.GetRun(pb.GetRunRequest(run_id="r", wait=LONG))
    [wait] = got.run.waits
    assert got.run.state == RunState.RUN_STATE_YIELDED
    assert (wait.signal.signal_id, wait.signal.function) == (signal_id, "test.echo")
    assert wait.signal.yield_version == 3
    assert not wait.signal.HasField("expire_time")

    not_yet = await workflows.GetRun(
        pb.GetRunRequest(
            run_id="r",
            wait=Duration(nanos=50_000_000),
            wait_until=pb.WAIT_UNTIL_FINISHED,
        )
    )
    assert not_yet.run.state == RunState.RUN_STATE_YIELDED


async def test_the_views_of_a_run(workflows):
    await start(workflows, PLAIN, 1, wait=LONG)

    async def view(name):
        return (await workflows.GetRun(pb.GetRunRequest(run_id="r", view=name))).run

    basic = await view("RUN_VIEW_BASIC")
    assert not basic.HasField("input")
    assert basic.WhichOneof("result") is None
    assert basic.state == RunState.RUN_STATE_SUCCEEDED
    full = await view("RUN_VIEW_FULL")
    assert (full.input.json, full.output.json) == ("1", '{"got":1}')
    assert full == await view("RUN_VIEW_UNSPECIFIED")
    assert not full.script
    assert (await view("RUN_VIEW_WITH_SCRIPT")).script == PLAIN


async def test_a_call_under_way_is_shown(workflows, workers):
    await register(workers, "test.echo", retry_policy={"initial_interval": HOUR})
    await start(workflows)
    [waiting] = (await workflows.GetRun(pb.GetRunRequest(run_id="r"))).run.waits
    assert (waiting.call.function, waiting.call.call_version) == ("test.echo", 2)
    assert (waiting.call.attempt, waiting.call.worker_id) == (1, "")

    task = await take(workers)
    [held] = (await workflows.GetRun(pb.GetRunRequest(run_id="r"))).run.waits
    assert held.call.worker_id == "w"
    assert held.call.HasField("attempt_start_time")

    failure = Failure(code="BUSY", message="later", details=payload([1]))
    await complete(workers, result(task, failure=failure))
    [backing_off] = (await workflows.GetRun(pb.GetRunRequest(run_id="r"))).run.waits
    assert backing_off.call.attempt == 2
    assert backing_off.call.HasField("next_attempt_time")
    assert backing_off.call.last_failure.code == "BUSY"
    assert backing_off.call.last_failure.details.json == "[1]"


async def test_a_sleep_is_shown(workflows):
    run = (await start(workflows, SLEEPING)).run

    [wait] = run.waits
    assert run.state == RunState.RUN_STATE_SLEEPING
    hour = wait.sleep.wake_time.ToNanoseconds() - run.create_time.ToNanoseconds()
    assert hour >= 3600 * 10**9


async def test_a_run_over_a_limit_is_paused_and_says_why(serve):
    script = "def main(ctx, input):\n    for i in range(100000):\n        pass\n"
    options = Options(limits=Limits(max_steps=1000))
    workflows = (await serve(options=options)).workflows

    await start(workflows, script)
    run = (
        await workflows.GetRun(pb.GetRunRequest(run_id="r", wait=Duration(nanos=1)))
    ).run

    assert run.paused
    assert run.pause_reason == PauseReason.PAUSE_REASON_LIMIT
    assert run.pause_message.startswith("max_steps: ")


# Signals


async def signal(workflows, signal_id, **fields):
    fields = {"output": payload("ok"), **fields}
    return await workflows.Signal(
        pb.SignalRequest(run_id="r", signal_id=signal_id, **fields)
    )


async def test_a_signal_is_what_the_call_returns(workflows, workers):
    signal_id = await yielded(workflows, workers)

    answer = await signal(workflows, signal_id)

    assert answer.disposition == pb.SIGNAL_DISPOSITION_RESUMED
    assert answer.resume_version == 4
    assert (await finished(workflows)).output.json == '"ok"'


async def test_a_signal_can_be_a_failure(workflows, workers):
    signal_id = await yielded(workflows, workers)
    failure = Failure(code="refused by boss", message="no", details=payload({"n": 1}))

    await signal(workflows, signal_id, output=None, failure=failure)

    run = await finished(workflows)
    assert run.failure.code == "REFUSED_BY_BOSS"
    assert run.failure.details.json == '{"n": 1}'


async def test_a_signal_without_content_is_null(workflows, workers):
    signal_id = await yielded(workflows, workers)

    await signal(workflows, signal_id, output=None)

    assert (await finished(workflows)).output.json == "null"


async def test_a_signal_that_overtakes_the_yield_is_kept(workflows, workers):
    await start(workflows)
    task = await take(workers)

    early = await signal(workflows, task.signal_id)
    await complete(workers, result(task, wait_for_signal=worker_pb.Yield()))

    assert early.disposition == pb.SIGNAL_DISPOSITION_KEPT
    assert (await finished(workflows)).output.json == '"ok"'


async def test_a_signal_can_be_refused_rather_than_kept(workflows, workers):
    await start(workflows)
    task = await take(workers)

    refused = await refusal(signal(workflows, task.signal_id, only_if_waiting=True))

    assert refused.code == "FAILED_PRECONDITION"
    assert refused.reason == "SIGNAL_NOT_EXPECTED"


async def test_a_signal_sent_again_changes_nothing_and_another_is_refused(
    workflows, workers
):
    signal_id = await yielded(workflows, workers)
    await signal(workflows, signal_id)
    await finished(workflows)

    again = await signal(workflows, signal_id)
    refused = await refusal(signal(workflows, signal_id, output=payload("other")))

    assert again.disposition == pb.SIGNAL_DISPOSITION_DUPLICATE
    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "SIGNAL_CONFLICT")


# Scripts and facts


async def test_a_good_script_is_told_what_it_needs(workflows, workers):
    await register(workers, "test.echo")

    answer = await workflows.ValidateScript(pb.ValidateScriptRequest(script=ECHO))

    assert answer.valid
    assert list(answer.functions) == ["test.echo"]
    assert answer.script_hash == hashlib.sha256(ECHO.encode()).hexdigest()
    assert not answer.diagnostics


async def test_an_unknown_function_is_found_with_a_suggestion(workflows, workers):
    await register(workers, "test.each")

    answer = await workflows.ValidateScript(pb.ValidateScriptRequest(script=ECHO))

    [found] = answer.diagnostics
    assert not answer.valid
    assert (found.code, found.line, found.column) == ("UNKNOWN_FUNCTION", 2, 12)
    assert found.severity == pb.SEVERITY_ERROR
    assert "test.each" in found.hint


async def test_a_bad_script_is_an_answer_with_places(workflows):
    script = "def main(ctx, input):\n    return 1 +\n"

    answer = await workflows.ValidateScript(pb.ValidateScriptRequest(script=script))

    [found] = answer.diagnostics
    assert not answer.valid
    assert found.line == 2
    assert found.message


async def test_the_server_tells_its_limits(workflows):
    info = await workflows.GetServerInfo(pb.GetServerInfoRequest())

    defaults = Limits()
    assert (info.version, info.store) == (__version__, "memory")
    assert info.durability == pb.DURABILITY_MEMORY
    assert info.language_version == 1
    assert list(info.capabilities) == [*CAPABILITIES]
    assert {field.name for field, _ in info.limits.ListFields()} == {
        field.name for field in pb.Limits.DESCRIPTOR.fields
    }
    assert info.limits.max_payload_bytes == defaults.max_payload_bytes
    assert info.limits.max_script_bytes == 256 * 1024
    assert dict(info.limits.by_name) == defaults.by_name()
    assert info.limits.max_wait == Duration(seconds=60)
    assert info.limits.max_sleep == Duration(seconds=365 * 24 * 3600)


async def test_clients_that_go_away_while_waiting_disturb_nothing(workflows, workers):
    await start(workflows, run_id="other")
    get = workflows.GetRun(pb.GetRunRequest(run_id="other", wait=LONG))
    request = worker_pb.PollRequest(worker_id="v", functions=["test.x"], wait=LONG)
    waiting_poll = workers.Poll(request)
    # Requests of one connection come in order: the others are there, too.
    await workflows.GetServerInfo(pb.GetServerInfoRequest())
    get.cancel()
    waiting_poll.cancel()

    await start(workflows, ECHO.replace("echo", "x"))
    await complete(workers, result(await take(workers, "test.x"), "ok"))

    assert (await finished(workflows)).output.json == '"ok"'


async def test_an_inline_value_is_answered_as_text(workflows):
    value = Payload()
    value.value.struct_value.fields["n"].number_value = 3

    run = (await start(workflows, PLAIN, input=value, wait=LONG)).run

    assert (run.input.json, run.output.json) == ('{"n":3}', '{"got":{"n":3}}')
