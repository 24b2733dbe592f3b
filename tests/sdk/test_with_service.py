"""Client, worker and command line with the real service, in a process of its own."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

import starflow
from tests.sdk.service_process import Service
from tests.sdk.serving import Gate
from tests.sdk.terminal import Terminal, subprocess_environment

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """One server for the tests that do not kill it; their namespaces are apart."""
    service = Service("memory:")
    service.start()
    yield service
    service.kill()


@pytest.fixture
def mortal(tmp_path) -> Iterator[Service]:
    service = Service(f"sqlite:{tmp_path / 'runs.db'}")
    service.start()
    yield service
    service.kill()


NAMES = (f"n{number}" for number in range(1_000))


@asynccontextmanager
async def shop(service: Service, module: starflow.Module, **options: Any):
    """A client of a fresh namespace with a worker that offers *module*."""
    async with (
        starflow.Client(service.address, namespace=next(NAMES)) as client,
        starflow.Worker(client, modules=[module], **options),
    ):
        yield client


def alone(service: Service) -> starflow.Client:
    """A client of a fresh namespace, in which nobody works."""
    return starflow.Client(service.address, namespace=next(NAMES))


def script(body: str) -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"def main(ctx, input):\n{lines}\n"


CALL = script("return m.f(ctx=ctx, req=input)")
APPROVAL = """load("flow", "flow")
def main(ctx, input):
    flow.set_status(ctx, "waiting for approval", progress=0.5)
    return flow.wait_signal(ctx, "approval")
"""
BOOKING = """load("flow", "flow")
def main(ctx, input):
    flow.defer(ctx, m.undo, ctx, input, on="failure")
    return m.f(ctx, input)
"""
AGAIN = """load("flow", "flow")
def main(ctx, input):
    if input == 3:
        return "done"
    flow.restart(ctx, input + 1)
"""


@dataclass
class Item:
    sku: str
    cents: int
    weight: float


async def test_values_pass_unchanged_through_everything(service, module):
    seen = []

    @module.function
    def f(ctx, req):
        seen.append(req)
        return req

    value = {
        "integers": [0, -1, 2**53 + 1, 2**64, -(2**200)],
        "floats": [1.0, 0.1, -1e300, 5e-324],
        "text": 'ß\u2028💥\x00\\"',
        "nothing": None,
        "": [[], {}, True],
    }
    async with shop(service, module) as client:
        run = await client.start(CALL, input=value)
        result = await run.result(timeout=30)
        info = await run.get()

    # Their texts, in which 1 and 1.0 differ.
    assert repr(seen) == repr([value])
    assert repr(result) == repr(value)
    assert repr(info.input) == repr(value)


async def test_types_are_made_on_both_ends(service, module):
    @module.function
    async def f(ctx: starflow.TaskContext, items: list[Item]) -> Item:
        assert ctx.attempt == 1
        return Item("all", sum(i.cents for i in items), sum(i.weight for i in items))

    items = [Item("a", 2**70, 1.5), Item("b", 1, 1.5)]
    async with shop(service, module) as client:
        run = await client.start(CALL, input={"items": items})
        result = await run.result(timeout=30, result_type=Item)

    assert result == Item("all", 2**70 + 1, 3.0)


async def test_failures_are_retried_as_they_say(service, module):
    attempts: Counter[str] = Counter()

    def attempt(name: str, limit: int, error: Exception) -> int:
        attempts[name] += 1
        if attempts[name] < limit:
            raise error
        return attempts[name]

    quickly = starflow.Retry(max_attempts=4, initial=0.01, non_retryable=["KEY_ERROR"])

    @module.function(retry=quickly)
    def by_policy(ctx):
        assert (ctx.last_failure is None) == (ctx.attempt == 1)
        return attempt("by_policy", 3, OSError("again"))

    @module.function(retry=quickly)
    def not_by_policy():
        return attempt("not_by_policy", 3, KeyError("k"))

    @module.function(retry=quickly)
    async def permanent():
        return attempt("permanent", 3, starflow.PermanentError("no", details={"n": 1}))

    @module.function
    async def retryable():
        return attempt("retryable", 3, starflow.RetryableError("later", delay=0.01))

    @module.function
    async def once():
        return attempt("once", 3, OSError("no policy"))

    codes = {}
    async with shop(service, module) as client:
        for name in ("by_policy", "not_by_policy", "permanent", "retryable", "once"):
            run = await client.start(script(f"return m.{name}(ctx=ctx)"))
            try:
                codes[name] = await run.result(timeout=30)
            except starflow.RunFailed as failed:
                codes[name] = failed.code

    assert codes == {
        "by_policy": 3,
        "not_by_policy": "KEY_ERROR",
        "permanent": "PERMANENT_ERROR",
        "retryable": 3,
        "once": "OS_ERROR",
    }
    assert attempts["permanent"] == attempts["not_by_policy"] == attempts["once"] == 1


async def test_the_next_attempt_sees_the_progress_of_the_last(service, module):
    @module.function(retry=starflow.Retry(initial=0.01))
    def f(ctx):
        if ctx.attempt == 1:
            ctx.progress({"page": 1})
            ctx.progress({"page": 2})
            raise OSError
        return [ctx.last_progress, ctx.last_failure.code]

    async with shop(service, module) as client:
        run = await client.start(CALL)

        assert await run.result(timeout=30) == [{"page": 2}, "OS_ERROR"]


async def test_a_run_waits_for_a_signal(service, module):
    @module.function
    async def f(ctx):
        return starflow.wait_for_signal()

    async with shop(service, module) as client:
        run = await client.start(CALL)
        with pytest.raises(starflow.RunYielded) as yielded:
            await run.result(timeout=30)
        with pytest.raises(starflow.SignalNotExpected):
            await run.signal("1-unheard", None)
        outcome = await run.signal(yielded.value.signal_id, {"ok": [1.0]})
        again = await run.signal(yielded.value.signal_id, {"ok": [1.0]})
        with pytest.raises(starflow.SignalConflict):
            await run.signal(yielded.value.signal_id, "other")

        assert repr(await run.result(timeout=30)) == "{'ok': [1.0]}"
        assert (outcome.disposition, again.disposition) == ("RESUMED", "DUPLICATE")


async def test_a_signal_may_overtake_its_function(service, module):
    outcomes = []

    async with starflow.Client(service.address, namespace=next(NAMES)) as client:

        @module.function
        async def f(ctx):
            failure = starflow.Failure("REFUSED", "no", details=5)
            outcomes.append(
                await client.signal(ctx.run_id, ctx.signal_id, failure=failure)
            )
            return starflow.wait_for_signal()

        async with starflow.Worker(client, modules=[module]):
            run = await client.start(CALL)
            with pytest.raises(starflow.RunFailed) as failed:
                await run.result(timeout=30)

    assert outcomes[0].disposition == "KEPT"
    assert (failed.value.code, failed.value.details) == ("REFUSED", 5)


async def test_a_log_is_followed_while_it_grows(service, module):
    @module.function
    async def f(req):
        return req

    body = "for n in range(20):\n    m.f(ctx=ctx, req=n)\nreturn 'end'"
    async with shop(service, module) as client:
        run = await client.start(script(body))
        events = [event async for event in run.events(follow=True)]

    assert [event.version for event in events] == list(range(1, 43))
    assert [e.type for e in events] == ["START", *["CALL", "RETURN"] * 20, "FINISH"]
    assert [e.input for e in events if e.type == "CALL"] == list(range(20))
    assert events[-1].output == "end"


async def test_starting_again_finds_the_run(service, module):
    module.function(name="f")(lambda: None)
    async with shop(service, module) as client:
        first = await client.start(CALL, run_id="r", input={"a": 1})
        second = await client.start(CALL, run_id="r", input={"a": 1})
        other = await client.start(CALL, run_id="r", input=2, conflict="attach_any")
        with pytest.raises(starflow.RunIdConflict):
            await client.start(CALL, run_id="r", input={"a": 2})
        with pytest.raises(starflow.RunIdConflict):
            await client.start(CALL, run_id="r", input={"a": 1}, conflict="fail")

    assert (first.created, second.created, other.created) == (True, False, False)


async def test_what_is_wrong_with_a_request_has_its_own_exception(service, module):
    module.function(name="f")(lambda: None)
    async with shop(service, module) as client:
        with pytest.raises(starflow.ScriptInvalid):
            await client.start("def main(ctx, input) return 1")
        with pytest.raises(starflow.FunctionUnknown, match=r"m\.f"):
            await client.start(script("return m.g(ctx=ctx)"))
        with pytest.raises(starflow.RunNotFound):
            await client.get("nobody")
        run = await client.start(CALL)
        with pytest.raises(starflow.VersionOutOfRange):
            await anext(run.events(from_version=100))
        with pytest.raises(starflow.TooLarge):
            await client.start(CALL, input="x" * 2 * 1024 * 1024)
        with pytest.raises(starflow.PayloadInvalid):
            await client.start(CALL, input=starflow.JsonText('{"a": 1, "a": 2}'))
        with pytest.raises(starflow.InvalidRequest):
            await client.start(CALL, run_id="no spaces")


async def test_a_worker_with_a_reserved_name_is_refused(service):
    time = starflow.Module("time")
    time.function(name="x")(lambda: None)
    async with starflow.Client(service.address) as client:
        with pytest.raises(starflow.InvalidRequest, match="time"):
            await starflow.Worker(client, modules=[time]).run()


async def test_a_result_that_is_too_large_is_a_failure_and_no_endless_retry(
    service, module
):
    module.function(name="f")(lambda: "x" * 1_100_000)
    async with shop(service, module) as client:
        run = await client.start(CALL)
        with pytest.raises(starflow.RunFailed) as failed:
            await run.result(timeout=30)

    assert failed.value.code == "OUTPUT_TOO_LARGE"


async def test_many_runs_at_once(service, module):
    @module.function
    async def f(req):
        return req + 1

    @module.function
    def g(req):
        return req * 2

    body = "for _ in range(5):\n    input = m.g(ctx=ctx, req=m.f(ctx=ctx, req=input))"
    expected = [(n + 2) * 32 - 2 for n in range(100)]
    async with shop(service, module) as client:
        runs = [
            await client.start(script(f"{body}\nreturn input"), input=n)
            for n in range(100)
        ]
        results = await asyncio.gather(*(run.result(timeout=60) for run in runs))

    assert results == expected


async def test_a_script_waits_for_a_signal_by_name(service):
    async with alone(service) as client:
        run = await client.start(APPROVAL)
        with pytest.raises(starflow.RunYielded) as caught:
            await run.result()
        name = caught.value.signal_name
        outcome = await run.signal(name=name, output={"by": "anna"}, request_id="1")
        again = await run.signal(name=name, output={"by": "anna"}, request_id="1")

        assert run.info.status == {"text": "waiting for approval", "progress": 0.5}
        assert (outcome.disposition, again.disposition) == ("RESUMED", "DUPLICATE")
        assert await run.result() == {"by": "anna"}


async def test_a_cancelled_run_stops_its_function_and_undoes(service, module):
    began, stopped = asyncio.Event(), asyncio.Event()
    undone = []

    @module.function
    async def f(ctx, req):
        began.set()
        try:
            while True:
                # Asks the service, which knows that nobody waits any more.
                ctx.heartbeat()
                await asyncio.sleep(0.01)
        finally:
            stopped.set()

    @module.function
    async def undo(ctx, req):
        undone.append(req)

    async with shop(service, module) as client:
        run = await client.start(BOOKING, input="room 7")
        await began.wait()
        info = await run.cancel("changed my mind")
        with pytest.raises(starflow.RunCancelled) as caught:
            await run.result(timeout=20)
        await asyncio.wait_for(stopped.wait(), 20)

        assert info.cancel_requested
        assert caught.value.message == "changed my mind"
        assert undone == ["room 7"]
        assert run.info.state == "CANCELLED"
        with pytest.raises(starflow.RunCancelled):
            await client.result(run.id)


async def test_what_has_ended_otherwise_is_not_cancelled(service):
    async with alone(service) as client:
        run = await client.start(script("return 7"))
        assert await run.result() == 7
        with pytest.raises(starflow.RunFinished):
            await run.cancel()
        with pytest.raises(starflow.RunFinished):
            await run.signal(name="approval")
        assert (await run.unpause()).state == "SUCCEEDED"


async def test_a_run_that_begins_again_is_one_run(service):
    async with alone(service) as client:
        run = await client.start(AGAIN, input=0)
        assert await run.result() == "done"
        assert (run.info.restarts, run.info.input) == (3, 3)
        types = [event.type async for event in run.events()]
        assert types == ["START", "RESTART"] * 3 + ["START", "FINISH"]


async def test_a_result_outlives_the_server_that_gave_the_task(mortal, module):
    """Killed while functions run: no function is executed again, nothing is lost."""
    gate = Gate()
    executions: Counter[str] = Counter()

    @module.function
    async def f(ctx, req):
        executions[ctx.task_id] += 1
        await gate.pass_async()
        return req

    async with shop(mortal, module, concurrency=8) as client:
        runs = [await client.start(CALL, input=n) for n in range(8)]
        for _ in runs:
            await gate.wait_entered()
        waiting = [asyncio.create_task(run.result(timeout=60)) for run in runs]
        log = asyncio.create_task(events_of(runs[0]))

        await asyncio.to_thread(mortal.kill)
        gate.open()
        await asyncio.to_thread(mortal.start)

        assert await asyncio.gather(*waiting) == list(range(8))
        assert await log == ["START", "CALL", "RETURN", "FINISH"]

    assert set(executions.values()) == {1}


async def test_a_function_goes_on_over_a_restart(mortal, module):
    """It ends long after, and its worker said in time that the task is still held."""
    gate = Gate()
    executions = []

    @module.function
    def f(ctx):
        executions.append(ctx.attempt)
        gate.pass_blocking()

    # One slot, so that no poll is under way that would notice the restart.
    async with shop(mortal, module, concurrency=1) as client:
        run = await client.start(CALL)
        await gate.wait_entered()
        await asyncio.to_thread(mortal.kill)
        await asyncio.to_thread(mortal.start)
        with pytest.raises(starflow.ResultTimeout):
            # Longer than the service holds tasks back for those who had them.
            await run.result(timeout=3)
        gate.open()

        assert await run.result(timeout=30) is None

    assert executions == [1]


async def events_of(run: starflow.Run) -> list[str]:
    return [event.type async for event in run.events(follow=True)]


def test_the_command_line_from_start_to_end(service, tmp_path, capsys):
    terminal = Terminal(service.address, capsys)
    (tmp_path / "shop.py").write_text(
        "import starflow\n"
        "m = starflow.Module('m')\n"
        "@m.function\n"
        "async def f(ctx, req): return starflow.wait_for_signal()\n"
    )
    (tmp_path / "a.star").write_text(CALL)
    (tmp_path / "b.star").write_text("def main(ctx, input):\n    return 1 +\n")
    file = str(tmp_path / "a.star")
    worker = [sys.executable, "-m", "starflow.cli", "worker", str(tmp_path / "shop.py")]
    with subprocess.Popen(
        [*worker, "--address", service.address],
        stderr=subprocess.PIPE,
        text=True,
        env=subprocess_environment(),
    ) as process:
        assert process.stderr is not None
        assert any("registered" in line for line in process.stderr)
        code, _, err = terminal("run", file, "--run-id", "cli-1", "--wait")
        signal_id = err.split()[7].rstrip(";")
        answered = terminal("signal", "cli-1", signal_id, "--output", "[1.0]")
        result = terminal("run", file, "--run-id", "cli-1", "--wait", "30")
        log = terminal("events", "cli-1")
        process.terminate()
        process.communicate()

    assert code == 6
    assert answered == (0, "cli-1 goes on (event 4)\n", "")
    assert result == (0, "[1.0]\n", "")
    assert [line.split()[3] for line in log[1].splitlines()[1:]] == [
        *("START", "CALL", "YIELD", "RESUME", "FINISH")
    ]
    assert terminal("get", "cli-1")[0] == 0
    assert terminal("validate", file) == (0, f"{file}: valid, calls m.f\n", "")
    code, out, _ = terminal("validate", str(tmp_path / "b.star"))
    assert (code, out.splitlines()[1]) == (1, "        return 1 +")
    code, _, err = terminal("run", str(tmp_path / "b.star"))
    assert code == 2
    assert f"{tmp_path}/b.star:2:" in err


def test_the_command_line_signals_and_cancels(service, tmp_path, capsys):
    terminal = Terminal(service.address, capsys)
    file = tmp_path / "approval.star"
    file.write_text(APPROVAL)
    for number in (1, 2, 3):
        terminal("run", str(file), "--run-id", f"flow-{number}")

    code, _, err = terminal("run", str(file), "--run-id", "flow-1", "--wait")
    command = err.strip().rpartition("answer it with: starflow ")[2].split()
    answered = terminal(*command[:-1], '"yes"')

    assert (code, answered) == (6, (0, "flow-1 goes on (event 4)\n", ""))
    assert terminal("run", str(file), "--run-id", "flow-1", "--wait")[1] == '"yes"\n'
    assert terminal("cancel", "flow-2", "--reason", "enough", "--wait", "20") == (
        *(0, "flow-2 has ended (CANCELLED)\n"),
        "",
    )
    assert terminal("terminate", "flow-3")[1] == "flow-3 has ended (CANCELLED)\n"
    assert terminal("unpause", "flow-3")[1] == "flow-3 has ended (CANCELLED)\n"
    log = terminal("events", "flow-2")[1].splitlines()
    assert [line.split()[3] for line in log[1:]] == [
        *("START", "STATUS", "WAIT", "CANCEL", "DROP", "FINISH")
    ]
