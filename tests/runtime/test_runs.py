import asyncio
import json

import pytest
from structlog.testing import capture_logs

from starflow_backends import MemoryStore
from starflow_service.engine.events import Failure
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.errors import (
    FunctionUnknownError,
    RunIdConflictError,
    RunNotFoundError,
    ScriptInvalidError,
    ScriptNotFoundError,
    VersionOutOfRangeError,
)
from starflow_service.runtime.options import Options
from starflow_service.runtime.programs import hash_of
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import (
    CallState,
    CallWait,
    ConflictPolicy,
    PauseReason,
    RunState,
    SleepWait,
    StartRequest,
    Until,
)
from starflow_service.starlark.errors import Abort
from starflow_service.starlark.limits import Limits
from tests.runtime.harness import ECHO, NS, WAIT_S, Shop, shop, until, working


async def test_a_run_calls_a_worker_and_finishes():
    async with shop() as s:
        view, created = await s.start(payload={"n": 1})
        assert created
        assert view.state is RunState.RUNNING
        task = await s.take()
        assert (task.function, task.input, task.attempt) == ("test.echo", '{"n":1}', 1)
        await s.report(task, '{"n": 2}')
        view = await s.finished()
        assert view.state is RunState.SUCCEEDED
        assert json.loads(view.result) == {"n": 2}
        assert await s.kinds() == "START CALL RETURN FINISH"


class GatedStore(MemoryStore):
    """A store that is slow to say what it has of a run."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()

    async def load(self, run):
        await self.gate.wait()
        return await super().load(run)


async def test_a_run_begins_although_somebody_looks_for_it_at_the_same_moment():
    store = GatedStore()
    await store.open()
    async with shop(store) as s:
        looking = asyncio.create_task(s.runtime.get_run(NS, "run"))
        live = s.runtime._runs._runs
        await until(lambda: f"{NS}/run" in live)
        starting = asyncio.create_task(s.start(run_id="run"))
        await until(lambda: live[f"{NS}/run"].inbox)
        store.gate.set()

        _, created = await starting
        with pytest.raises(RunNotFoundError):
            await looking

    assert created


async def test_payload_text_is_kept_byte_for_byte():
    async with shop() as s:
        await s.start()
        await s.report(await s.take(), '{"z" : 1.0,\n "a":10000000000000000000001}')
        await s.finished()
        returned = (await s.log())[2]
        assert returned.result == '{"z" : 1.0,\n "a":10000000000000000000001}'


async def test_a_run_shows_what_it_waits_for():
    script = """
load("flow", "flow")
load("time", "hour", "millisecond", "minute", "now", "second", "sleep")
def main(ctx, input):
    flow.start(ctx, test.echo, 1)
    sleep(ctx, hour)
"""
    async with shop() as s:
        view, _ = await s.start(script)
        assert [type(wait) for wait in view.waits] == [CallWait, SleepWait]
        assert view.waits[0] == CallWait(
            "test.echo",
            2,
            1,
            state=CallState.NO_WORKER,
            state_message="no worker offers test.echo now",
        )
        await s.take(worker="me")
        call = (await s.view()).waits[0]
        assert call.worker_id == "me"
        assert call.attempt_start_ns is not None


@pytest.mark.parametrize("concurrent", [False, True])
async def test_the_same_start_again_finds_the_run(concurrent):
    async with shop() as s:
        starts = [s.start(payload={"a": 1, "b": 2}), s.start(payload={"b": 2, "a": 1})]
        if concurrent:
            results = await asyncio.gather(*starts)
        else:
            results = [await start for start in starts]
        assert sorted(created for _, created in results) == [False, True]
        assert await s.kinds() == "START CALL"


async def test_the_same_start_finds_the_run_after_a_restart():
    async with shop() as s:
        await s.start(payload=1)
    async with shop(s.store) as s:
        _, created = await s.start(payload=1)
        assert not created


async def test_concurrent_starts_find_the_run_after_a_restart():
    async with shop() as s:
        await s.start(payload=1)
    async with shop(s.store, idle_evict_s=0.0, lease_s=0.2) as s:
        await until(lambda: s.runtime.live_runs == 0)
        results = await asyncio.gather(*(s.start(payload=1) for _ in range(5)))
        assert [created for _, created in results] == [False] * 5
        assert await s.kinds() == "START CALL"


@pytest.mark.parametrize(
    ("script", "payload", "difference"),
    [(ECHO + "\n", 1, "another script"), (ECHO, 1.0, "another input")],
)
async def test_another_start_under_the_same_id_is_refused(script, payload, difference):
    async with shop() as s:
        await s.start(payload=1)
        with pytest.raises(RunIdConflictError, match=difference):
            await s.start(script, payload)
        _, created = await s.start(script, payload, policy=ConflictPolicy.ATTACH_ANY)
        assert not created
        with pytest.raises(RunIdConflictError):
            await s.start(payload=1, policy=ConflictPolicy.FAIL)
        assert await s.kinds() == "START CALL"


async def test_a_run_without_an_id_gets_one():
    async with shop() as s:
        first, _ = await s.start(run_id="")
        second, _ = await s.start(run_id="")
        assert first.run_id != second.run_id


async def test_a_script_may_be_named_by_its_hash():
    async with shop() as s:
        await s.start()
        request = StartRequest(
            NS, "two", "", hash_of(ECHO), "2", allow_unregistered=True
        )
        view, _ = await s.runtime.start_run(request)
        assert view.script_hash == hash_of(ECHO)
        assert await s.runtime.script(hash_of(ECHO)) == ECHO


async def test_an_unknown_hash_is_refused():
    async with shop() as s:
        with pytest.raises(ScriptNotFoundError):
            await s.runtime.start_run(StartRequest(NS, "r", "", "0" * 64, "1"))


async def test_a_script_that_is_none_is_refused_and_leaves_no_trace():
    async with shop() as s:
        with pytest.raises(ScriptInvalidError, match="main"):
            await s.start("x = 1")
        with pytest.raises(RunNotFoundError):
            await s.view()


async def test_functions_that_nobody_registered_are_refused_with_the_nearest():
    async with shop() as s:
        await s.register("payments.charge")
        script = "def main(ctx, input):\n    return payments.chrage(ctx, 1)\n"
        with pytest.raises(
            FunctionUnknownError, match=r"did you mean payments\.charge"
        ):
            await s.runtime.start_run(StartRequest(NS, "r", script, "", "1"))
        with pytest.raises(RunNotFoundError):
            await s.view("r")
        report = await s.runtime.validate(NS, script)
        assert not report.valid
        assert report.functions == ["payments.chrage"]
        assert [d.code for d in report.diagnostics] == ["UNKNOWN_FUNCTION"]


async def test_an_unknown_run_is_not_found():
    async with shop() as s:
        with pytest.raises(RunNotFoundError, match="no run nope"):
            await s.view("nope")


async def test_a_wait_that_is_over_returns_the_run_as_it_stands():
    async with shop() as s:
        await s.start()
        view = await s.runtime.wait_run(NS, "run", Until.FINISHED, 0.01)
        assert view.state is RunState.RUNNING


async def test_a_client_that_hangs_up_writes_nothing():
    """The original wrote a failed FINISH when its caller's deadline ended."""
    script = """
load("time", "hour", "sleep")
def main(ctx, input):
    sleep(ctx, hour)
"""
    async with shop() as s:
        await s.start(script)
        waiting = asyncio.create_task(s.finished())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await s.kinds() == "START SLEEP"


async def test_a_sleep_ends_and_not_early():
    script = """
load("time", "hour", "millisecond", "minute", "now", "second", "sleep")
def main(ctx, input):
    sleep(ctx, 30 * millisecond)
    return now(ctx)
"""
    async with shop() as s:
        view, _ = await s.start(script)
        assert view.state is RunState.SLEEPING
        await s.finished()
        assert await s.kinds() == "START SLEEP TIME_NOW FINISH"
        log = await s.log()
        assert log[2].value_ns >= log[1].wake_ns
        assert (await s.store.timers_due()).next_due_ns is None


async def test_a_fan_out_is_executed_and_joined():
    script = """
load("flow", "flow")
def main(ctx, input):
    return flow.wait(ctx, [flow.start(ctx, test.echo, n) for n in range(100)])
"""
    async with shop() as s, working(s, {"test.echo": lambda n: n * 2}):
        await s.start(script)
        view = await s.finished()
        assert json.loads(view.result) == [n * 2 for n in range(100)]


async def test_an_idle_run_leaves_memory_and_comes_back():
    async with shop(idle_evict_s=0.0, lease_s=0.2) as s:
        await s.start(payload=[1])
        await until(lambda: s.runtime.live_runs == 0)
        task = await s.take()
        await s.report(task, "[2]")
        assert (await s.finished()).result == "[2]"


async def test_the_least_used_runs_leave_first_when_there_are_too_many():
    async with shop(live_runs_max=3, lease_s=0.2, idle_evict_s=60) as s:
        for n in range(10):
            await s.start(run_id=f"r{n}")
        await until(lambda: s.runtime.live_runs <= 3)
        assert len(await s.poll(tasks=20)) == 10


async def test_a_hog_does_not_keep_others_waiting():
    hog = """
def main(ctx, input):
    n = 0
    for i in range(100000):
        for j in range(100000):
            n += 1
"""
    async with shop() as s, working(s, {"test.echo": lambda req: req}):
        # It is accepted before it stands still, and can be looked at meanwhile.
        view, _ = await s.start(hog, run_id="hog")
        assert (view.state, view.pause_reason) == (RunState.RUNNING, None)
        for n in range(5):
            await s.start(run_id=f"r{n}", payload=n)
            assert (await s.finished(f"r{n}")).result == str(n)
        view = await s.view("hog")
        assert (view.state, view.pause_reason) == (RunState.RUNNING, None)
        view = await s.runtime.wait_run(NS, "hog", Until.FINISHED, WAIT_S)
        assert view.pause_reason is PauseReason.LIMIT
        assert view.pause_message.startswith("max_steps: ")


async def test_a_parked_run_goes_on_after_a_restart_with_a_higher_limit():
    script = """
def main(ctx, input):
    for n in range(10):
        test.echo(ctx, n)
        print("done", n)
"""
    functions = {"test.echo": lambda req: req}
    with capture_logs() as lines:
        async with shop(limits=Limits(max_events=6)) as s, working(s, functions):
            await s.start(script)
            view = await s.runtime.wait_run(NS, "run", Until.FINISHED, WAIT_S)
            assert view.pause_reason is PauseReason.LIMIT
            assert "script.star:4" in view.pause_message
    with capture_logs() as more:
        async with shop(s.store) as s, working(s, functions):
            view = await s.finished()
            assert view.state is RunState.SUCCEEDED
            assert view.pause_reason is None
    assert _printed(lines) == ["done 0", "done 1", "done 2"]
    assert _printed(more) == [f"done {n}" for n in range(3, 10)]


def _printed(lines):
    return [line["line"] for line in lines if line["event"] == "script.print"]


async def test_events_are_read_in_pages():
    async with shop() as s, working(s, {"test.echo": lambda req: req}):
        await s.start()
        await s.finished()
        events, state, last = await s.runtime.read_events(NS, "run", 2, 2)
        assert (len(events), state, last) == (2, RunState.SUCCEEDED, 4)
        assert (await s.runtime.read_events(NS, "run", 5, 2))[0] == []
        with pytest.raises(VersionOutOfRangeError):
            await s.runtime.read_events(NS, "run", 6, 2)


async def test_a_failed_run_has_the_functions_failure_and_the_place():
    failing = {"test.echo": lambda req: Failure("BROKEN", "it broke")}
    async with shop() as s, working(s, failing):
        await s.start()
        view = await s.finished()
        assert view.state is RunState.FAILED
        assert (view.result.code, view.result.message) == ("BROKEN", "it broke")
        assert "script.star:2" in view.result.stack_trace


class UnreadableCodec(ProtoCodec):
    """Meets, while a round is stored, what only a script should meet."""

    def encode(self, event):
        raise Abort("it is over")


async def test_nobody_waits_for_a_round_that_broke_off():
    store = MemoryStore()
    await store.open()
    runtime = Runtime(store, UnreadableCodec(), Options(), Clock())
    await runtime.open()
    try:
        with pytest.raises(AssertionError, match="it is over"):
            async with asyncio.timeout(WAIT_S):
                await Shop(runtime, store).start()
    finally:
        await runtime.close()
