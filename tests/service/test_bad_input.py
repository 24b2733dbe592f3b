"""What people and programs send by mistake or malice: each is told what is wrong.

And nothing else is disturbed: whatever a test sends, the service goes on working.
"""

import json

import pytest
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from starflow.v1 import queue_service_pb2
from starflow.v1 import worker_service_pb2 as worker_pb
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.failure_pb2 import Failure
from starflow.v1.payload_pb2 import Payload
from starflow.v1.retry_pb2 import RetryPolicy
from starflow.v1.run_pb2 import RunState
from starflow_backends import FullError, MemoryStore
from tests.service.calls import (
    ECHO,
    LONG,
    complete,
    events,
    finished,
    payload,
    poll,
    refusal,
    register,
    result,
    start,
    take,
)

PLAIN = "def main(ctx, input):\n    return input\n"
NOW = Duration()


@pytest.fixture(autouse=True)
async def goes_on(workflows, workers):
    """After each test the service works as before."""
    yield
    await start(workflows, ECHO.replace("test.", "after."), run_id="after")
    await complete(workers, result(await take(workers, "after.echo"), "fine"))
    assert (await finished(workflows, "after")).output.json == '"fine"'


def run(workflows, **fields):
    return workflows.Run(pb.RunRequest(**fields))


# What is not there


async def test_an_unknown_run(workflows):
    calls = [
        workflows.GetRun(pb.GetRunRequest(run_id="r")),
        workflows.GetRun(pb.GetRunRequest(run_id="r", wait=LONG)),
        workflows.GetRun(pb.GetRunRequest(run_id="r", view="RUN_VIEW_WITH_SCRIPT")),
        workflows.Signal(pb.SignalRequest(run_id="r", signal_id="s")),
        events(workflows),
        events(workflows, follow=True),
    ]

    for call in calls:
        refused = await refusal(call)
        assert (refused.code, refused.reason) == ("NOT_FOUND", "RUN_NOT_FOUND")
        assert refused.message == "there is no run r in namespace default"


async def test_an_unknown_function(workflows, workers):
    await register(workers, "test.each")

    refused = await refusal(run(workflows, script=ECHO))

    assert refused.code == "INVALID_ARGUMENT"
    assert refused.reason == "FUNCTION_UNKNOWN"
    assert "test.echo (did you mean test.each?)" in refused.message
    assert "allow_unregistered" in refused.message


async def test_an_unknown_signal_id(workflows):
    await start(workflows)

    signal = pb.SignalRequest(run_id="r", signal_id="s")
    refused = await refusal(workflows.Signal(signal))

    assert refused.code == "FAILED_PRECONDITION"
    assert refused.reason == "SIGNAL_NOT_EXPECTED"
    assert "GetRun" in refused.message


async def test_a_signal_for_a_finished_run(workflows):
    await start(workflows, PLAIN, wait=LONG)

    signal = pb.SignalRequest(run_id="r", signal_id="s")
    refused = await refusal(workflows.Signal(signal))

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "RUN_FINISHED")


async def test_an_unknown_script(workflows):
    refused = await refusal(run(workflows, script_hash="ab" * 32))

    assert (refused.code, refused.reason) == ("NOT_FOUND", "SCRIPT_NOT_FOUND")
    assert "send its text" in refused.message


# Fields


NAMES = ["a\nb", "a\0", "\x1b[31m", "{a}", "a}b{", "a b", "../x", "'; DROP", "\u202e"]


@pytest.mark.parametrize("name", NAMES)
async def test_names_with_what_has_no_place_in_names(workflows, workers, name):
    get = pb.GetEventsRequest
    calls = {
        "run_id": [
            run(workflows, run_id=name, script=PLAIN),
            workflows.GetRun(pb.GetRunRequest(run_id=name)),
            workflows.Signal(pb.SignalRequest(run_id=name, signal_id="s")),
            workflows.CancelRun(pb.CancelRunRequest(run_id=name)),
            workflows.TerminateRun(pb.TerminateRunRequest(run_id=name)),
            workflows.UnpauseRun(pb.UnpauseRunRequest(run_id=name)),
            workflows.GetEvents(get(run_id=name)).read(),
        ],
        "namespace": [
            run(workflows, namespace=name, script=PLAIN),
            workflows.GetRun(pb.GetRunRequest(namespace=name, run_id="r")),
            workflows.Signal(pb.SignalRequest(namespace=name, run_id="r")),
            workflows.CancelRun(pb.CancelRunRequest(namespace=name)),
            workflows.TerminateRun(pb.TerminateRunRequest(namespace=name)),
            workflows.UnpauseRun(pb.UnpauseRunRequest(namespace=name)),
            workflows.GetEvents(get(namespace=name, run_id="r")).read(),
            workflows.ValidateScript(pb.ValidateScriptRequest(namespace=name)),
            workers.RegisterFunction(worker_pb.RegisterFunctionRequest(namespace=name)),
            workers.Poll(worker_pb.PollRequest(namespace=name)),
            workers.CompleteTasks(worker_pb.CompleteTasksRequest(namespace=name)),
            workers.Heartbeat(worker_pb.HeartbeatRequest(namespace=name)),
        ],
        "functions[0].name": [register(workers, name)],
        "functions[0]": [poll(workers, name)],
    }

    for field, each in calls.items():
        for call in each:
            refused = await refusal(call)
            assert (refused.code, refused.reason) == (
                "INVALID_ARGUMENT",
                "FIELD_INVALID",
            )
            assert refused.fields == [field]
            assert name not in refused.message


BEYOND = Duration(seconds=5, nanos=10**9)
FIELDS = {
    "signal_id": lambda w, _: w.Signal(pb.SignalRequest(run_id="r", signal_id="a b")),
    "script_hash": lambda w, _: run(w, script_hash="AB"),
    "script": lambda w, _: run(w, run_id="r"),
    "run_id": lambda w, _: w.GetRun(pb.GetRunRequest()),
    "wait": lambda w, _: run(w, script=PLAIN, wait=BEYOND),
    "wait_until": lambda w, _: run(w, script=PLAIN, wait_until=9),
    "conflict_policy": lambda w, _: run(w, script=PLAIN, conflict_policy=9),
    "from_version": lambda w, _: events(w, from_version=-1),
    "limit": lambda w, _: events(w, limit=-1),
    "worker_id": lambda _, w: poll(w, worker="w\n"),
    "worker.worker_id": lambda _, w: register(w, "a.b", worker=""),
    "poll_id": lambda _, w: poll(w, poll_id="x" * 65),
    "max_tasks": lambda _, w: poll(w, max_tasks=-1),
    "functions[0].name": lambda _, w: register(w, "time.now"),
}


@pytest.mark.parametrize("field", FIELDS)
async def test_a_field_that_cannot_be(workflows, workers, field):
    refused = await refusal(FIELDS[field](workflows, workers))

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert refused.fields == [field]
    assert refused.message.startswith(f"{field}: ")


async def test_a_refused_wait_starts_no_run(workflows):
    await refusal(run(workflows, run_id="r", script=PLAIN, wait=BEYOND))

    refused = await refusal(workflows.GetRun(pb.GetRunRequest(run_id="r")))
    assert refused.reason == "RUN_NOT_FOUND"


# Payloads


BAD_TEXTS = {
    "{": "unexpected end",
    "{'a': 1}": "unexpected character",
    "NaN": "NaN is not JSON",
    "[Infinity]": "Infinity is not JSON",
    '{"a": 1, "a": 2}': 'duplicate key "a"',
    '"\\ud800"': "lone surrogate",
    "[" * 101 + "]" * 101: "nested deeper than 100 levels",
    "7" * 20_000: "more than 19000 digits",
    "": "is empty",
}


@pytest.mark.parametrize("text", BAD_TEXTS, ids=lambda text: text[:16])
async def test_payloads_that_are_not_json(workflows, workers, text):
    await start(workflows)
    task = await take(workers)
    bad = Payload(json=text)
    signal = {"run_id": "r", "signal_id": task.signal_id}
    calls = {
        "input": run(workflows, script=PLAIN, input=bad),
        "output": workflows.Signal(pb.SignalRequest(output=bad, **signal)),
        "failure.details": workflows.Signal(
            pb.SignalRequest(failure=Failure(code="F", details=bad), **signal)
        ),
    }

    for field, call in calls.items():
        refused = await refusal(call)
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "PAYLOAD_INVALID")
        assert refused.fields[0].startswith(field)
        assert BAD_TEXTS[text] in refused.message
    [completion] = await complete(workers, result(task, output=bad))
    assert completion.rejection.reason == "PAYLOAD_INVALID"
    assert BAD_TEXTS[text] in completion.rejection.message
    # The task is still the worker's, and can be reported on properly.
    [completion] = await complete(workers, result(task, 1))
    assert completion.status == worker_pb.COMPLETION_STATUS_APPLIED


@pytest.mark.parametrize("digits", [5_000, 19_000])
async def test_integers_of_thousands_of_digits_are_exact(workflows, workers, digits):
    number = "-" + "7" * digits
    script = "def main(ctx, input):\n    return test.echo(ctx=ctx, req=input) - 1\n"
    await start(workflows, script, input=Payload(json=number))
    task = await take(workers)
    assert task.input.json == number

    await complete(workers, result(task, output=Payload(json=number)))

    assert (await finished(workflows)).output.json == "-" + "7" * (digits - 1) + "8"


async def test_an_integer_that_outgrows_a_payload_is_the_scripts_failure(workflows):
    script = "def main(ctx, input):\n    return input * 10\n"

    number = Payload(json="7" * 19_000)
    got = (await start(workflows, script, input=number, wait=LONG)).run

    assert got.state == RunState.RUN_STATE_FAILED
    assert "more than 19000 digits" in got.failure.message


async def test_forty_levels_are_fine(workflows):
    text = "[" * 40 + "]" * 40

    got = (await start(workflows, PLAIN, input=Payload(json=text), wait=LONG)).run

    assert got.output.json == text


def field(number, data):
    """A field of length-delimited data, as protobuf writes it."""
    length, size = b"", len(data)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def nested_request(levels):
    """A request of Run whose input is an inline value of nested lists."""
    value = b"\x20\x01"  # bool_value
    for _ in range(levels):
        value = field(6, field(1, value))  # list_value, values
    return field(3, PLAIN.encode()) + field(5, field(2, value))


async def test_an_inline_value_too_deep_for_the_wire(service):
    """Protobuf itself reads no more than 100 messages within each other."""
    run_bytes = service.channel.unary_unary("/starflow.v1.WorkflowService/Run")

    answer = pb.RunResponse.FromString(await run_bytes(nested_request(40)))
    refused = await refusal(run_bytes(nested_request(80)))

    assert answer.run.input.json == "[" * 40 + "true" + "]" * 40
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert "not a message" in refused.message


async def test_payloads_of_two_mebibytes(workflows, workers):
    await start(workflows)
    task = await take(workers)
    large = payload("x" * (2 << 20))

    given = await refusal(run(workflows, script=PLAIN, input=large))
    signal = pb.SignalRequest(run_id="r", signal_id=task.signal_id, output=large)
    signalled = await refusal(workflows.Signal(signal))
    [completion] = await complete(workers, result(task, output=large))

    for refused in (given, signalled):
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "TOO_LARGE")
        assert "2097154 bytes, the limit is 1048576" in refused.message
    assert completion.rejection.reason == "TOO_LARGE"


async def test_an_inline_number_that_was_rounded(workflows):
    value = json_format.ParseDict({"value": {"n": 2**60}}, Payload())

    refused = await refusal(run(workflows, script=PLAIN, input=value))

    assert refused.reason == "PAYLOAD_INVALID"
    assert "send it as `json`" in refused.message


async def test_more_results_than_a_request_may_have(workers):
    results = [result(str(n)) for n in range(1001)]

    refused = await refusal(complete(workers, *results))

    assert refused.reason == "TOO_LARGE"
    assert refused.message == "results: 1001 results, the limit is 1000"


# Scripts


BAD_SCRIPTS = {
    "x = 1\n": ("main", 0),
    "def main(ctx):\n    pass\n": ("main", 1),
    "def main(ctx, input):\n    x = 1\n\treturn x\n": ("", 3),
    "def main(ctx, input):\n    return nothing\n": ("nothing", 2),
    "def main(ctx, input)\n    pass\n": ("", 1),
    "def main(ctx, input):\n    return " + "(" * 5000 + ")" * 5000 + "\n": ("", 2),
    "\0": ("", 1),
}


@pytest.mark.parametrize("script", BAD_SCRIPTS, ids=range(len(BAD_SCRIPTS)))
async def test_scripts_that_are_none(workflows, script):
    words, line = BAD_SCRIPTS[script]

    refused = await refusal(run(workflows, script=script))
    found = await workflows.ValidateScript(pb.ValidateScriptRequest(script=script))

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "SCRIPT_INVALID")
    assert words in refused.message
    assert refused.fields[0] == "script"
    assert not found.valid
    assert found.diagnostics[0].message in refused.message
    assert found.diagnostics[0].line in (line, line or 1)


async def test_a_script_of_300_kilobytes(workflows):
    script = PLAIN + "#" * 300_000

    validated = workflows.ValidateScript(pb.ValidateScriptRequest(script=script))
    for call in (run(workflows, script=script), validated):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "TOO_LARGE")
        assert "the limit is 262144" in refused.message


# Workers that are wrong about what they hold


async def test_anothers_token_counts_as_what_it_names(workflows, workers):
    """The token is the right to report; who brings it is only noted."""
    await start(workflows)
    task = await take(workers)

    [completion] = await complete(workers, result(task, "ok"), worker="v")

    assert completion.status == worker_pb.COMPLETION_STATUS_APPLIED


async def test_a_token_of_another_namespace_or_a_changed_one_is_rejected(
    workflows, workers
):
    await start(workflows)
    task = await take(workers)
    token = task.task_token
    changed = token[:-1] + ("0" if token[-1] != "0" else "1")

    elsewhere = await workers.CompleteTasks(
        worker_pb.CompleteTasksRequest(namespace="other", results=[result(task)])
    )
    completions = await complete(
        workers, result(changed), result("\N{PILE OF POO}/\x00"), result("x" * 100_000)
    )

    told = [*elsewhere.completions, *completions]
    assert {each.status for each in told} == {worker_pb.COMPLETION_STATUS_REJECTED}
    assert {each.rejection.reason for each in told} == {"FIELD_INVALID"}
    await complete(workers, result(task))


async def test_a_task_of_a_run_that_is_over_is_nobodys_any_more(workflows, workers):
    """Cancelled, terminated, finished without it: the answer is that it is too late."""
    script = """
load("flow", "start", "wait_signal")
def main(ctx, input):
    start(ctx, test.echo, input)
    wait_signal(ctx, "go")
"""
    await start(workflows, script, run_id="done")
    await start(workflows, run_id="ended")
    await start(workflows, run_id="cancelled")
    tasks = (await poll(workers, max_tasks=3)).tasks
    await workflows.Signal(pb.SignalRequest(run_id="done", name="go", request_id="1"))
    await workflows.TerminateRun(pb.TerminateRunRequest(run_id="ended"))
    await workflows.CancelRun(pb.CancelRunRequest(run_id="cancelled"))
    runs = [await finished(workflows, run_id) for run_id in ("done", "ended")]

    completions = await complete(workers, *(result(task, "late") for task in tasks))

    statuses = [completion.status for completion in completions]
    assert len(tasks) == 3
    assert statuses == [worker_pb.COMPLETION_STATUS_IGNORED] * 3
    for run in runs:
        assert (await finished(workflows, run.run_id)).version == run.version
    # To give it back is too late as well, and does no harm.
    released = [result(task, release=worker_pb.Release()) for task in tasks]
    completions = await complete(workers, *released)
    assert {each.status for each in completions} == {
        worker_pb.COMPLETION_STATUS_IGNORED
    }
    assert list((await poll(workers, wait=NOW)).tasks) == []


async def test_a_result_of_three_mebibytes_harms_nobody(workflows, workers):
    """It is refused by itself; its neighbours count, and so does a failure after it."""
    for n in range(3):
        await start(workflows, run_id=f"r{n}")
    first, large, last = (await poll(workers, max_tasks=3)).tasks
    three_mebibytes = payload("x" * (3 << 20))

    completions = await complete(
        workers,
        result(first, 1),
        result(large, output=three_mebibytes),
        result(last, 2),
    )

    assert [each.status for each in completions] == [
        worker_pb.COMPLETION_STATUS_APPLIED,
        worker_pb.COMPLETION_STATUS_REJECTED,
        worker_pb.COMPLETION_STATUS_APPLIED,
    ]
    assert completions[1].rejection.reason == "TOO_LARGE"
    too_large = Failure(code="RESULT_TOO_LARGE", retryability="RETRYABILITY_PERMANENT")
    [completion] = await complete(workers, result(large, failure=too_large))
    assert completion.status == worker_pb.COMPLETION_STATUS_APPLIED
    states = [(await finished(workflows, f"r{n}")).state for n in range(3)]
    assert [RunState.Name(state) for state in states] == [
        "RUN_STATE_SUCCEEDED",
        "RUN_STATE_FAILED",
        "RUN_STATE_SUCCEEDED",
    ]


async def test_a_worker_may_poll_for_what_it_did_not_register(workflows, workers):
    """It is asked for by name, and the registration is for those who name nothing."""
    await register(workers, "test.other", worker="w")
    await start(workflows)

    assert list((await poll(workers, "test.other", wait=NOW)).tasks) == []
    assert (await take(workers, "test.echo", worker="w")).function == "test.echo"


async def test_two_workers_of_different_policies_are_told_of_it(workflows, workers):
    """The newest holds, for the calls that are recorded from then on."""
    once, twice = RetryPolicy(max_attempts=1), RetryPolicy(max_attempts=2)
    await register(workers, "test.echo", "test.same", worker="a", retry_policy=once)
    await start(workflows, run_id="before")

    answer = await register(workers, "test.echo", worker="b", retry_policy=twice)
    again = await register(workers, "test.echo", worker="c", retry_policy=twice)

    assert list(answer.replaced_functions) == ["test.echo"]
    assert list(again.replaced_functions) == []
    await start(workflows, run_id="newer")
    tasks = {task.run_id: task for task in (await poll(workers, max_tasks=2)).tasks}
    failed = Failure(code="NO", retryability="RETRYABILITY_RETRYABLE")
    await complete(workers, *(result(task, failure=failed) for task in tasks.values()))
    assert (await finished(workflows, "before")).failure.code == "NO"
    assert (await take(workers)).run_id == "newer"


async def test_a_token_of_a_queue_that_is_gone(service, workflows, workers):
    """Limits come and go while a worker has the task."""
    limits = queue_service_pb2.QueueLimits(max_in_flight=1)
    await service.queues.SetQueue(
        queue_service_pb2.SetQueueRequest(name="test", limits=limits)
    )
    await start(workflows)
    task = await take(workers)
    await service.queues.DeleteQueue(queue_service_pb2.DeleteQueueRequest(name="test"))

    [completion] = await complete(workers, result(task, 1))

    assert completion.status == worker_pb.COMPLETION_STATUS_APPLIED


# A store without space


class FullStore(MemoryStore):
    """Runs out of space on request."""

    is_full = False

    async def append(self, append):
        if self.is_full:
            raise FullError("no space left on /secret/path")
        await super().append(append)


async def test_a_full_disk_loses_nothing_and_is_told(serve):
    store = FullStore()
    service = await serve(store)
    workflows, workers = service.workflows, service.workers
    await start(workflows)
    task = await take(workers)

    store.is_full = True
    refused = [
        await refusal(start(workflows, run_id="other")),
        await refusal(complete(workers, result(task, "ok"))),
    ]
    store.is_full = False

    for each in refused:
        assert (each.code, each.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
    [completion] = await complete(workers, result(task, "ok"))
    assert completion.status == worker_pb.COMPLETION_STATUS_APPLIED
    assert json.loads((await finished(workflows)).output.json) == "ok"
    gone = await refusal(workflows.GetRun(pb.GetRunRequest(run_id="other")))
    assert gone.reason == "RUN_NOT_FOUND"
