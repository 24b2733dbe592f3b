"""Runs are listed by what they have in common, and deleted, over gRPC."""

import asyncio

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from starflow.v1 import run_pb2
from starflow.v1 import workflow_service_pb2 as pb
from starflow_service.rpc import fields
from starflow_service.runtime.options import Options
from tests.service.calls import (
    ECHO,
    LONG,
    complete,
    events,
    finished,
    refusal,
    result,
    start,
    take,
)

CONSTANT = "def main(ctx, input):\n    return input\n"
FAILING = "def main(ctx, input):\n    fail('no')\n"
SLEEPING = (
    "load('time', 'time')\ndef main(ctx, input):\n    time.sleep(ctx, time.hour)\n"
)
WAITING = (
    "load('flow', 'flow')\ndef main(ctx, input):\n    flow.wait_signal(ctx, 'go')\n"
)


async def listed(workflows, size=0, **given):
    """Return the ids of all runs that a filter selects, page by page."""
    ids, token = [], ""
    while True:
        response = await page(workflows, size, token, **given)
        assert len(response.runs) <= (size or 50)
        ids += [run.run_id for run in response.runs]
        token = response.next_page_token
        if not token:
            return ids


async def page(workflows, size=0, token="", *, namespace="", **given):
    return await workflows.ListRuns(
        pb.ListRunsRequest(
            namespace=namespace,
            page_size=size,
            page_token=token,
            filter=pb.RunFilter(**given),
        )
    )


async def test_runs_are_listed_newest_first(workflows):
    for n in range(7):
        await start(workflows, CONSTANT, run_id=f"r{n}", wait=LONG)

    newest_first = [f"r{n}" for n in reversed(range(7))]
    assert await listed(workflows) == newest_first
    assert await listed(workflows, size=2) == newest_first
    assert await listed(workflows, size=10_000) == newest_first
    assert await listed(workflows, namespace="other") == []


async def test_a_list_shows_what_it_says(workflows):
    labels = {"team": "shop", "env": "prod"}
    begun = await start(workflows, FAILING, run_id="r", labels=labels, wait=LONG)

    (shown,) = (await page(workflows)).runs

    expected = run_pb2.Run()
    expected.CopyFrom(begun.run)
    for name in ("update_time", "input", "failure", "segment_version"):
        expected.ClearField(name)
    assert shown == expected
    assert shown.labels == labels
    assert shown.state == run_pb2.RUN_STATE_FAILED
    assert shown.HasField("finish_time")


async def test_runs_are_listed_by_state(workflows, workers):
    """A run is found in the state that it is in, and in no other any more."""
    await start(workflows, CONSTANT, run_id="succeeded", wait=LONG)
    await start(workflows, FAILING, run_id="failed", wait=LONG)
    await start(workflows, SLEEPING, run_id="sleeping")
    await start(workflows, WAITING, run_id="yielded")
    await start(workflows, ECHO, run_id="running")
    await start(workflows, SLEEPING, run_id="cancelled")
    await workflows.TerminateRun(pb.TerminateRunRequest(run_id="cancelled"))

    async def by_state(*names):
        states = [run_pb2.RunState.Value(f"RUN_STATE_{name}") for name in names]
        return await listed(workflows, states=states)

    for name in ["SUCCEEDED", "FAILED", "SLEEPING", "YIELDED", "RUNNING", "CANCELLED"]:
        assert await by_state(name) == [name.lower()]
    assert await by_state("PENDING") == []
    assert await by_state("FAILED", "RUNNING", "FAILED") == ["running", "failed"]

    task = await take(workers)
    await complete(workers, result(task, 1))
    await finished(workflows, "running")
    assert await by_state("RUNNING") == []
    assert await by_state("SUCCEEDED") == ["running", "succeeded"]


async def test_runs_are_listed_by_labels(workflows):
    for n in range(6):
        labels = {"parity": str(n % 2), "third": str(n % 3), "all": "\u2603 = yes"}
        await start(workflows, CONSTANT, run_id=f"r{n}", labels=labels, wait=LONG)
    await start(workflows, CONSTANT, run_id="bare", wait=LONG)

    assert await listed(workflows, labels={"parity": "1"}) == ["r5", "r3", "r1"]
    assert await listed(workflows, labels={"parity": "1", "third": "0"}) == ["r3"]
    assert len(await listed(workflows, labels={"all": "\u2603 = yes"})) == 6
    assert await listed(workflows, labels={"parity": "2"}) == []
    # What holds of a value holds of no longer one, nor of another name.
    assert await listed(workflows, labels={"parit": "y=1"}) == []


async def test_runs_are_listed_by_script_time_prefix_and_all_together(workflows):
    for n in range(6):
        script = (CONSTANT, FAILING)[n % 2]
        labels = {"half": str(n // 3)}
        await start(workflows, script, run_id=f"a{n}", labels=labels, wait=LONG)
    await start(workflows, CONSTANT, run_id="b", wait=LONG)
    runs = {run.run_id: run for run in (await page(workflows)).runs}
    constant = runs["b"].script_hash

    assert await listed(workflows, script_hash=constant) == ["b", "a4", "a2", "a0"]
    assert await listed(workflows, run_id_prefix="a5") == ["a5"]
    assert await listed(workflows, run_id_prefix="c") == []
    since = runs["a2"].create_time
    before = runs["a5"].create_time
    times = {"earliest_create_time": since, "latest_create_time": before}
    assert await listed(workflows, **times) == ["a4", "a3", "a2"]
    assert await listed(
        workflows,
        size=1,
        script_hash=constant,
        run_id_prefix="a",
        labels={"half": "0"},
        states=[run_pb2.RUN_STATE_SUCCEEDED],
        latest_create_time=before,
    ) == ["a2", "a0"]


async def test_paused_runs_are_listed(workflows):
    endless = "def main(ctx, input):\n    for i in range(1000000000): pass\n"
    await start(workflows, endless, run_id="paused", wait=LONG)
    await start(workflows, SLEEPING, run_id="sleeping")

    assert await listed(workflows, paused=True) == ["paused"]
    assert await listed(workflows, paused=False) == ["sleeping"]
    assert await listed(workflows) == ["sleeping", "paused"]
    running = [run_pb2.RUN_STATE_RUNNING]
    assert await listed(workflows, states=running) == ["paused"]
    assert await listed(workflows, states=running, paused=False) == []
    (shown, _) = reversed((await page(workflows)).runs)
    assert (shown.paused, shown.pause_reason) == (True, run_pb2.PAUSE_REASON_LIMIT)


async def test_another_label_or_a_second_request_changes_no_labels(workflows):
    await start(workflows, CONSTANT, labels={"a": "1"}, wait=LONG)
    again = await start(workflows, CONSTANT, labels={"a": "2"})

    assert not again.created
    assert again.run.labels == {"a": "1"}
    assert await listed(workflows, labels={"a": "2"}) == []


async def test_labels_outlive_a_restart(workflows):
    script = (
        "load('flow', 'flow')\n"
        "def main(ctx, input):\n"
        "    if input < 3:\n"
        "        flow.restart(ctx, input + 1)\n"
        "    return input\n"
    )
    await start(workflows, script, 0, labels={"a": "1"}, wait=LONG)

    (shown,) = (await page(workflows, labels={"a": "1"})).runs
    assert (shown.restarts, shown.state) == (3, run_pb2.RUN_STATE_SUCCEEDED)
    run = (await workflows.GetRun(pb.GetRunRequest(run_id="r"))).run
    assert run.labels == {"a": "1"}
    assert shown.create_time == run.create_time


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"Upper": ""}, "labels (name)"),
        ({"": "x"}, "labels (name)"),
        ({"a" * 64: ""}, "labels (name)"),
        ({"a": "x" * 129}, "labels"),
        ({"a": "line\nfeed"}, "labels"),
        ({f"l{n}": "" for n in range(fields.RUN_LABELS_MAX + 1)}, "labels"),
    ],
)
async def test_labels_have_bounds(workflows, labels, field):
    error = await refusal(start(workflows, CONSTANT, labels=labels))
    assert error.code == "INVALID_ARGUMENT"
    assert field in error.message


async def test_tokens_are_of_one_list(workflows):
    for n in range(3):
        await start(workflows, CONSTANT, run_id=f"r{n}", wait=LONG)
    token = (await page(workflows, size=1)).next_page_token
    assert token

    for wrong in (
        page(workflows, 1, token, run_id_prefix="r"),
        page(workflows, 1, token, namespace="other"),
        page(workflows, 1, token[:-8]),
        page(workflows, 1, "?"),
        page(workflows, 1, "A" * 5000),
    ):
        error = await refusal(wrong)
        assert (error.code, error.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
        assert "page_token" in error.message
    # Another size is no other list.
    rest = await page(workflows, 2, token)
    assert [run.run_id for run in rest.runs] == ["r1", "r0"]


@pytest.mark.parametrize(
    "given",
    [
        {"states": [99]},
        {"script_hash": "no"},
        {"run_id_prefix": "/"},
        {"labels": {"A": "x"}},
        {"earliest_create_time": Timestamp(seconds=-1)},
        {"latest_create_time": Timestamp(seconds=1, nanos=-1)},
    ],
)
async def test_filters_are_checked(workflows, given):
    error = await refusal(page(workflows, **given))
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    (field,) = given
    assert f"filter.{field}" in error.message


# Deleting


def delete(workflows, run_id="r", **given):
    return workflows.DeleteRun(pb.DeleteRunRequest(run_id=run_id, **given))


async def test_nothing_is_left_of_a_deleted_run(workflows):
    await start(workflows, CONSTANT, wait=LONG)

    assert (await delete(workflows)).deleted

    assert await listed(workflows) == []
    for call in (
        workflows.GetRun(pb.GetRunRequest(run_id="r")),
        events(workflows),
        workflows.Signal(pb.SignalRequest(run_id="r", name="go")),
        delete(workflows),
    ):
        assert (await refusal(call)).reason == "RUN_NOT_FOUND"
    assert not (await delete(workflows, allow_missing=True)).deleted


async def test_only_finished_runs_are_deleted(workflows):
    await start(workflows, SLEEPING)

    error = await refusal(delete(workflows))

    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "RUN_NOT_FINISHED")
    assert "cancel or terminate" in error.message
    await workflows.TerminateRun(pb.TerminateRunRequest(run_id="r"))
    assert (await delete(workflows)).deleted


async def test_the_id_of_a_deleted_run_is_refused(workflows):
    await start(workflows, CONSTANT, wait=LONG)
    await delete(workflows)

    error = await refusal(start(workflows, CONSTANT))

    assert (error.code, error.reason) == ("ALREADY_EXISTS", "RUN_DELETED")
    assert (await start(workflows, CONSTANT, run_id="other", wait=LONG)).created


async def test_the_id_is_free_once_the_time_is_over(serve):
    service = await serve(options=Options(tombstone_s=0.0))
    workflows = service.workflows
    await start(workflows, CONSTANT, 1, wait=LONG)
    await delete(workflows)

    again = await start(workflows, CONSTANT, 2, wait=LONG)

    assert again.created
    assert again.run.output.json == "2"


async def test_who_looks_at_a_run_while_it_is_deleted_learns_one_thing(workflows):
    """Either it is there, or it is not found; never something else."""
    await start(workflows, CONSTANT, wait=LONG)
    looks = [workflows.GetRun(pb.GetRunRequest(run_id="r")) for _ in range(20)]
    deleted, *answers = await asyncio.gather(
        delete(workflows), *looks, return_exceptions=True
    )

    assert deleted.deleted
    for answer in answers:
        if isinstance(answer, Exception):
            assert answer.code().name == "NOT_FOUND"
        else:
            assert answer.run.output.json == "null"
    missing = workflows.GetRun(pb.GetRunRequest(run_id="r"))
    assert (await refusal(missing)).reason == "RUN_NOT_FOUND"
