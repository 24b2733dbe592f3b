"""A server dies at any moment; the next one goes on from what the store holds."""

import json

from structlog.testing import capture_logs

from starflow_backends import Append, MemoryStore, Phase, SqliteStore
from starflow_service.engine.events import Failure, Return
from starflow_service.rpc.codec import ProtoCodec
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.options import Options
from starflow_service.runtime.runs import Runs
from starflow_service.runtime.types import (
    CompletionStatus,
    Disposition,
    PauseReason,
    RunState,
    TaskBeat,
    YieldResult,
)
from starflow_service.runtime.world import World
from tests.engine import corpus
from tests.runtime.harness import NS, shop, working

APPLIED, IGNORED = CompletionStatus.APPLIED, CompletionStatus.IGNORED


async def test_open_calls_are_offered_again():
    async with shop() as s:
        await s.start(payload=5)
        lost = await s.take()
    async with shop(s.store) as s:
        task = await s.take(worker="b")
        assert (task.task_id, task.input) == (lost.task_id, "5")
        assert await s.report(lost, '"old"') is IGNORED
        assert await s.report(task, '"new"', worker="b") is APPLIED
        assert (await s.finished()).result == '"new"'


async def test_a_result_of_a_task_handed_out_before_is_taken():
    async with shop() as s:
        await s.start()
        task = await s.take()
    async with shop(s.store, recovery_grace_s=3600) as s:
        assert await s.report(task, '"done meanwhile"') is APPLIED
        assert (await s.finished()).result == '"done meanwhile"'


async def test_a_worker_that_still_holds_a_task_keeps_it():
    async with shop() as s:
        await s.start()
        task = await s.take()
    async with shop(s.store, recovery_grace_s=0.1) as s:
        assert (
            await s.runtime.workers.heartbeat(NS, "w", [TaskBeat(task.token, None)])
            == []
        )
        assert await s.poll(worker="b", wait_s=0.3) == []
        assert await s.report(task, "1") is APPLIED


async def test_sleeps_go_on_and_end_after_a_restart():
    script = """
load("time", "hour", "millisecond", "minute", "now", "second", "sleep")
def main(ctx, input):
    sleep(ctx, 200 * millisecond)
    return "woken"
"""
    async with shop() as s:
        await s.start(script)
    async with shop(s.store) as s:
        assert (await s.finished()).result == '"woken"'
        log = await s.log()
        assert log[-1].time_ns >= log[1].wake_ns


async def test_signals_reach_a_run_that_is_only_in_the_store():
    async with shop() as s:
        await s.start()
        task = await s.take()
        await s.report(task, YieldResult(None))
        assert (await s.view()).state is RunState.YIELDED
    async with shop(s.store) as s:
        signal_id = (await s.view()).waits[0].signal_id
        assert signal_id == task.signal_id
        answer = await s.runtime.signal(NS, "run", signal_id, '"go"', False)
        assert answer == (Disposition.RESUMED, 4)
        assert (await s.finished()).result == '"go"'


async def test_a_yield_times_out_after_a_restart():
    async with shop() as s:
        await s.start()
        await s.report(await s.take(), YieldResult(100_000_000))
    async with shop(s.store) as s:
        view = await s.finished()
        assert isinstance(view.result, Failure)
        assert view.result.code == "STARFLOW_TIMEOUT"


async def test_the_index_can_be_thrown_away_at_any_moment():
    script = """
load("flow", "flow")
load("time", "hour", "millisecond", "minute", "now", "second", "sleep")
def main(ctx, input):
    asked = flow.start(ctx, test.ask, 1)
    slow = flow.start(ctx, test.echo, 2)
    sleep(ctx, 200 * millisecond)
    return flow.wait(ctx, [asked, slow])
"""
    async with shop() as s:
        await s.start(script)
        await s.report(await s.take("test.ask"), YieldResult(None))
        await s.start("def main(ctx, input):\n    return 1\n", run_id="done")
        await s.finished("done")
    await s.store.clear_index()
    async with shop(s.store) as s:
        stored = await s.store.load(f"{NS}/run")
        assert list(stored.timers) == ["wake/4"]
        assert stored.phase is Phase.CALLING
        assert (await s.store.load(f"{NS}/done")).phase is Phase.FINISHED
        await s.report(await s.take(), '"slow"')
        signal_id = (await s.log())[1].signal_id
        await s.runtime.signal(NS, "run", signal_id, '"asked"', False)
        assert json.loads((await s.finished()).result) == ["asked", "slow"]


async def test_a_restart_after_every_step_changes_nothing():
    functions = {
        name: function
        for name, function in corpus.FUNCTIONS.items()
        if name.startswith("test.")
    }
    for name in ("loop", "parallel", "failing", "nothing"):
        store = MemoryStore()
        await store.open()
        async with shop(store) as s:
            await s.start(corpus.SCRIPTS[name], corpus.INPUTS.get(name))
        while True:
            async with shop(store, recovery_grace_s=0.0) as s:
                result = (await s.view()).result
                if result is not None:
                    break
                task = await s.take(*functions)
                outcome = functions[task.function](json.loads(task.input))
                if not isinstance(outcome, Failure):
                    outcome = json.dumps(outcome)
                await s.report(task, outcome)
        expected = corpus.play(name).result
        if isinstance(expected, Failure):
            assert result.code == expected.code
        else:
            assert result == expected


async def left_runnable():
    """Return a store as a server leaves it that dies while a script computes."""
    script = """
def main(ctx, input):
    test.echo(ctx, 1)
    print("goes on")
    return test.echo(ctx, 2)
"""
    async with shop() as s:
        await s.start(script)
        task = await s.take()
    codec = ProtoCodec()
    returned = Return(3, (await s.log())[1].time_ns, 2, "1", 1, "w", "d")
    append = Append(f"{NS}/run", 2, "by hand", [codec.encode(returned)])
    await s.store.append(append)
    assert task.call_version == 2
    return s.store


async def test_a_script_that_was_computing_goes_on():
    store = await left_runnable()
    with capture_logs() as lines:
        async with shop(store) as s:
            task = await s.take()
            assert task.call_version == 4
            await s.report(task, "2")
            assert (await s.finished()).result == "2"
    printed = [line["line"] for line in lines if line["event"] == "script.print"]
    assert printed == ["goes on"]


async def test_looking_at_a_run_that_computes_does_not_put_it_to_rest():
    """A server that dies between the look and the turn must leave it to be turned."""
    store = await left_runnable()
    async with shop() as s:
        runs = Runs(
            store,
            ProtoCodec(),
            s.runtime._programs,
            World(Clock(), s.runtime._registry),
            Options(),
            s.runtime._strikes,
            s.runtime._watchdog,
            s.runtime.partitions,
            on_stored=lambda stored: None,
            on_lost=lambda key: None,
        )
        view = await runs.submit(
            f"{NS}/run", lambda run: run.history.version, needs_script=False
        )
        assert view == 3
        await runs.close()
    assert (await store.load(f"{NS}/run")).phase is Phase.RUNNABLE


async def test_a_damaged_log_is_told_and_hurts_no_other_run(tmp_path):
    path = tmp_path / "runs.db"
    store = SqliteStore(str(path))
    await store.open()
    async with shop(store) as s:
        await s.start(run_id="bad", payload="a long enough payload")
        await s.start(run_id="good")
    await store.close()
    damaged = path.read_bytes().replace(b"a long enough", b"a wrong enough"[:13], 1)
    path.write_bytes(damaged)
    store = SqliteStore(str(path))
    await store.open()
    async with shop(store) as s, working(s, {"test.echo": lambda req: req}):
        assert (await s.finished("good")).state is RunState.SUCCEEDED
        view = await s.view("bad")
        assert view.pause_reason is PauseReason.LOG_CORRUPT
        assert view.result is None
    await store.close()
