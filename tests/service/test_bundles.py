"""Scripts of several files, over the wire."""

import hashlib

import pytest

from starflow.v1 import run_pb2
from starflow.v1 import workflow_service_pb2 as pb
from starflow_backends import MemoryStore
from tests.service.calls import (
    LONG,
    complete,
    finished,
    payload,
    refusal,
    register,
    result,
    take,
)

FILES = {
    "main.star": (
        'load("lib/greet.star", "greet")\n'
        "def main(ctx, input):\n    return [greet(ctx, name) for name in input]\n"
    ),
    "lib/greet.star": (
        'load("words.star", "WORD")\n'
        "def greet(ctx, name):\n"
        "    return test.echo(ctx, WORD + name) + '!'\n"
    ),
    "lib/words.star": 'WORD = "hi, "\n',
}


def bundle(files=FILES, entry=""):
    return run_pb2.ScriptBundle(sources=files, entry=entry)


def run_request(files=FILES, entry="", **fields):
    fields = {"run_id": "r", "input": payload(["ada", "bob"]), **fields}
    source = {} if "script_hash" in fields else {"bundle": bundle(files, entry)}
    return pb.RunRequest(allow_unregistered=True, **source, **fields)


def hash_by_hand(files, entry):
    """As the protocol describes it, for whoever writes a client."""
    form = b"\xffstarflow-bundle-1\n" + entry.encode() + b"\n"
    for path in sorted(files):
        source = files[path].encode()
        form += f"{path} {len(source)}\n".encode() + source + b"\n"
    return hashlib.sha256(form).hexdigest()


async def work(workers, count, worker="w"):
    for _ in range(count):
        task = await take(workers, worker=worker)
        text = task.input.json.strip('"')
        await complete(workers, result(task, text.upper()), worker=worker)


async def test_a_bundle_runs(workflows, workers):
    await register(workers, "test.echo")
    run = (await workflows.Run(run_request())).run

    await work(workers, 2)

    assert (await finished(workflows)).output.json == '["HI, ADA!","HI, BOB!"]'
    assert run.script_hash == hash_by_hand(FILES, "main.star")


async def test_a_bundle_is_returned_whole(workflows):
    await workflows.Run(run_request())

    request = pb.GetRunRequest(run_id="r", view="RUN_VIEW_WITH_SCRIPT")
    run = (await workflows.GetRun(request)).run

    assert dict(run.bundle.sources) == FILES
    assert (run.bundle.entry, run.script) == ("main.star", "")


async def test_a_single_script_is_no_bundle(workflows):
    script = "def main(ctx, input): return 1\n"
    await workflows.Run(pb.RunRequest(run_id="r", script=script))

    request = pb.GetRunRequest(run_id="r", view="RUN_VIEW_WITH_SCRIPT")
    run = (await workflows.GetRun(request)).run

    assert run.script == script
    assert not run.HasField("bundle")


async def test_a_run_of_a_bundle_goes_on_after_a_restart(serve):
    """The bundle is read back from the store: nothing else holds it."""
    store = MemoryStore()
    first = await serve(store)
    await register(first.workers, "test.echo")
    await first.workflows.Run(run_request())
    await work(first.workers, 1)
    await first.close()

    second = await serve(store)
    await register(second.workers, "test.echo", worker="v")
    await work(second.workers, 1, worker="v")

    run = await finished(second.workflows)
    assert run.output.json == '["HI, ADA!","HI, BOB!"]'


async def test_a_bundle_goes_by_its_hash(serve):
    store = MemoryStore()
    first = await serve(store)
    script_hash = (await first.workflows.Run(run_request())).run.script_hash
    await first.close()

    second = await serve(store)
    request = run_request(run_id="s", script_hash=script_hash, input=payload([]))
    request.wait.CopyFrom(LONG)
    run = (await second.workflows.Run(request)).run

    assert run.output.json == "[]"
    assert run.script_hash == script_hash


async def test_the_same_bundle_finds_its_run_and_another_does_not(workflows):
    await workflows.Run(run_request())

    assert not (await workflows.Run(run_request(entry="main.star"))).created
    refused = await refusal(workflows.Run(run_request({**FILES, "more.star": ""})))
    assert refused.reason == "RUN_ID_CONFLICT"
    assert "another script" in refused.message


async def test_a_script_that_was_only_validated_cannot_be_started_by_hash(workflows):
    """A run of it could not be replayed: nobody keeps the script."""
    request = pb.ValidateScriptRequest(bundle=bundle())
    script_hash = (await workflows.ValidateScript(request)).script_hash

    refused = await refusal(workflows.Run(run_request(script_hash=script_hash)))
    assert refused.reason == "SCRIPT_NOT_FOUND"


async def test_findings_name_their_file(workflows, workers):
    await register(workers, "test.each")
    files = {**FILES, "old.star": "x = 1\n"}

    answer = await workflows.ValidateScript(
        pb.ValidateScriptRequest(bundle=bundle(files))
    )

    assert [(d.file, d.line, d.column, d.code) for d in answer.diagnostics] == [
        ("lib/greet.star", 3, 12, "UNKNOWN_FUNCTION"),
        ("old.star", 1, 1, "UNUSED_FILE"),
    ]
    assert answer.script_hash == hash_by_hand(files, "main.star")
    assert list(answer.functions) == ["test.echo"]


async def test_a_bad_bundle_is_refused_with_its_places(workflows):
    files = {**FILES, "lib/words.star": "WORD = = 1\n"}

    refused = await refusal(workflows.Run(run_request(files)))

    assert refused.reason == "SCRIPT_INVALID"
    assert refused.message.startswith("lib/words.star:1:8: ")
    assert refused.fields == ["lib/words.star"]


async def test_a_failure_names_its_file(workflows):
    files = {
        "flows/a.star": 'load("../b.star", "f")\ndef main(ctx, input): return f()\n',
        "b.star": "def f():\n    return 1 // 0\n",
    }
    request = run_request(files, "flows/a.star")
    request.wait.CopyFrom(LONG)

    run = (await workflows.Run(request)).run

    trace = run.failure.stack_trace
    assert "flows/a.star:2:31: in main\n  b.star:2:14: in f" in trace


@pytest.mark.parametrize(
    ("files", "entry", "field"),
    [
        ({}, "", "bundle.entry"),
        ({"a.star": ""}, "", "bundle.entry"),
        ({"main.star": ""}, "mian.star", "bundle.entry"),
        ({"main.star": ""}, "../main.star", "bundle.entry"),
        ({"main.star": "", "../x.star": ""}, "", "bundle.sources"),
        ({"main.star": "", "/x.star": ""}, "", "bundle.sources"),
        ({"main.star": "", "x.py": ""}, "", "bundle.sources"),
        ({"main.star": "", "x\n.star": ""}, "", "bundle.sources"),
        ({"main.star": "", "x" * 124 + ".star": ""}, "", "bundle.sources"),
    ],
)
async def test_names_that_are_none(workflows, files, entry, field):
    for call in (
        workflows.Run(run_request(files, entry)),
        workflows.ValidateScript(pb.ValidateScriptRequest(bundle=bundle(files, entry))),
    ):
        refused = await refusal(call)
        assert (refused.reason, refused.fields) == ("FIELD_INVALID", [field])


MAIN = "def main(ctx, input): return 1\n"


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ({f"f{n}.star": "" for n in range(64)}, "bundle.sources"),
        ({"a.star": "#" * 262_145}, "bundle.sources[a.star]"),
        ({f"f{n}.star": "#" * 262_144 for n in range(4)}, "bundle"),
    ],
)
async def test_bundles_that_are_too_large(workflows, files, field):
    refused = await refusal(workflows.Run(run_request({**files, "main.star": MAIN})))

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "TOO_LARGE")
    assert refused.fields == [field]


async def test_a_bundle_may_be_as_large_as_it_may_be(workflows):
    files = {f"f{n}.star": "#" * 16_000 for n in range(63)}

    request = run_request({**files, "main.star": MAIN}, wait=LONG)

    assert (await workflows.Run(request)).run.output.json == "1"


async def test_a_script_and_a_bundle_at_once(workflows):
    request = pb.ValidateScriptRequest(script=MAIN, bundle=bundle())

    refused = await refusal(workflows.ValidateScript(request))

    assert (refused.reason, refused.fields) == ("FIELD_INVALID", ["bundle"])
