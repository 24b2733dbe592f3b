"""Runs that somebody asks to end, ends, or lets go on."""

import json

import pytest

from starflow_backends import Append, Phase, Store
from starflow_service.engine.events import Failure, FailureKind
from starflow_service.runtime.errors import (
    RunFinishedError,
    RunNotFoundError,
)
from starflow_service.runtime.notes import Note, Pause
from starflow_service.runtime.types import (
    CompletionStatus,
    PauseReason,
    RunState,
    TaskAction,
    TaskBeat,
    Until,
)
from starflow_service.starlark.limits import Limits
from tests.runtime.harness import NS, WAIT_S, Shop, shop, until

CALLING = "def main(ctx, input):\n    return test.echo(ctx, input)\n"
PLAIN = "def main(ctx, input):\n    return input\n"
UNDOING = """
load("flow", "flow")
def main(ctx, input):
    flow.defer(ctx, test.undo, ctx, "booking")
    flow.defer(ctx, test.undo, ctx, "log", on="success")
    return test.book(ctx, input)
"""
RETRYING = """
load("flow", "flow")
load("time", "millisecond")
def main(ctx, input):
    retry = dict(max_attempts=3, initial=200 * millisecond)
    return flow.call(ctx, test.echo, input, retry=retry)
"""
# Over its limit of steps after its call.
ENDLESS = """
def main(ctx, input):
    test.echo(ctx, input)
    for n in range(1000000):
        pass
"""


def parking(**options) -> Shop:
    return shop(limits=Limits(max_steps=1000), **options)


async def parked(s: Shop) -> None:
    await s.start(ENDLESS)
    await s.report(await s.take(), "null")
    view = await s.runtime.wait_run(NS, "run", Until.FINISHED, WAIT_S)
    assert view.pause_reason is PauseReason.LIMIT


# Cancelling


async def test_a_cancelled_run_undoes_what_it_did():
    async with shop() as s:
        await s.start(UNDOING, payload=7)
        booking = await s.take("test.book")

        view = await s.runtime.cancel_run(NS, "run", "changed my mind")
        undoing = await s.take("test.undo")
        await s.report(undoing, "null")
        end = await s.finished()

        assert (view.state, view.cancel_reason) == (RunState.RUNNING, "changed my mind")
        assert json.loads(undoing.input) == "booking"
        assert end.state is RunState.CANCELLED
        assert isinstance(end.result, Failure)
        assert end.result.code == "STARFLOW_CANCELLED"
        assert end.result.message == "changed my mind"
        assert end.result.kind is FailureKind.CANCELLED
        # Whoever still works at it learns that nobody waits any more.
        beats = [TaskBeat(booking.token, None)]
        (directive,) = await s.runtime.workers.heartbeat(NS, "w", beats)
        assert directive.action is TaskAction.CANCEL
        assert await s.report(booking, "1") is CompletionStatus.IGNORED
        kinds = await s.kinds()
        assert kinds == "START CALL CANCEL DROP CALL RETURN FINISH"


async def test_to_cancel_is_idempotent():
    async with shop() as s:
        await s.start(UNDOING)
        await s.runtime.cancel_run(NS, "run", "one")
        await s.runtime.cancel_run(NS, "run", "two")
        await s.report(await s.take("test.undo"), "null")
        end = await s.finished()
        again = await s.runtime.cancel_run(NS, "run", "three")
        assert again == end
        assert end.cancel_reason == "one"
        assert (await s.kinds()).count("CANCEL") == 1


@pytest.mark.parametrize("ending", ["cancel_run", "terminate_run"])
async def test_a_run_that_has_ended_otherwise_cannot_be_cancelled(ending):
    async with shop() as s:
        await s.start(PLAIN)
        await s.finished()
        with pytest.raises(RunFinishedError):
            await getattr(s.runtime, ending)(NS, "run", "too late")
        with pytest.raises(RunNotFoundError):
            await getattr(s.runtime, ending)(NS, "no-run", "nowhere")


async def test_a_run_that_is_not_in_memory_can_be_cancelled():
    async with shop(idle_evict_s=0.0, lease_s=0.2) as s:
        await s.start(CALLING)
        await until(lambda: s.runtime.live_runs == 0)
        view = await s.runtime.cancel_run(NS, "run", "enough")
        assert view.state is RunState.CANCELLED
        assert await s.kinds() == "START CALL CANCEL DROP FINISH"


async def test_a_cancelled_run_goes_on_undoing_after_a_restart():
    async with shop() as s:
        await s.start(UNDOING)
        await s.runtime.cancel_run(NS, "run", "enough")
    async with shop(s.store) as s:
        view = await s.view()
        assert (view.state, view.cancel_reason) == (RunState.RUNNING, "enough")
        await s.report(await s.take("test.undo"), "null")
        assert (await s.finished()).state is RunState.CANCELLED


async def test_a_parked_run_is_cancelled_when_it_goes_on():
    script = ENDLESS.replace("1000000", "5000") + "    test.echo(ctx, input)\n"
    async with shop(limits=Limits(max_steps=1000)) as s:
        await s.start(script)
        await s.report(await s.take(), "null")
        view = await s.runtime.wait_run(NS, "run", Until.FINISHED, WAIT_S)
        assert view.pause_reason is PauseReason.LIMIT
        view = await s.runtime.cancel_run(NS, "run", "enough")
        assert view.cancel_reason == "enough"
        assert view.pause_reason is PauseReason.LIMIT
        assert await s.kinds() == "START CALL RETURN CANCEL"
    async with shop(s.store) as s:
        assert (await s.finished()).state is RunState.CANCELLED


# Terminating


async def test_a_terminated_run_ends_without_its_script():
    async with shop() as s:
        await s.start(UNDOING)
        booking = await s.take("test.book")
        view = await s.runtime.terminate_run(NS, "run", "enough")
        assert view.state is RunState.CANCELLED
        assert view.result == Failure(
            "STARFLOW_TERMINATED", "enough", FailureKind.CANCELLED
        )
        assert await s.kinds() == "START CALL FINISH"
        assert await s.report(booking, "1") is CompletionStatus.IGNORED
        assert await s.runtime.terminate_run(NS, "run", "again") == view
        assert await s.runtime.cancel_run(NS, "run", "again") == view


async def test_a_parked_run_can_be_terminated():
    async with parking() as s:
        await parked(s)
        view = await s.runtime.terminate_run(NS, "run", "it is broken")
        assert (view.state, view.pause_reason) == (RunState.CANCELLED, None)
    async with shop(s.store) as s:
        assert (await s.view()).state is RunState.CANCELLED
        assert await s.kinds() == "START CALL RETURN FINISH"


async def test_a_run_that_is_not_in_memory_can_be_terminated():
    async with shop(idle_evict_s=0.0, lease_s=0.2) as s:
        await s.start(CALLING)
        await until(lambda: s.runtime.live_runs == 0)
        view = await s.runtime.terminate_run(NS, "run", "enough")
        assert view.state is RunState.CANCELLED


async def test_a_script_that_computes_can_be_terminated():
    script = "def main(ctx, input):\n    for n in range(1000000000):\n        pass\n"
    limits = Limits(max_steps=10**12, max_cpu_time_ns=10**12)
    async with shop(limits=limits) as s:
        await s.start(script)
        view = await s.runtime.terminate_run(NS, "run", "enough")
        assert view.state is RunState.CANCELLED
        assert await s.kinds() == "START FINISH"


# Letting go on


async def test_a_run_that_is_unpaused_is_tried_again():
    async with parking() as s:
        await parked(s)
        view = await s.runtime.unpause_run(NS, "run")
        # The reason is still there.
        assert view.pause_reason is PauseReason.LIMIT
        with pytest.raises(RunNotFoundError):
            await s.runtime.unpause_run(NS, "no-run")


async def park(store: Store) -> None:
    """Leave the run as a server leaves one that its process died of."""
    stored = await store.load(f"{NS}/run")
    pause = Pause(PauseReason.CRASH_LOOP, "died of it")
    await store.append(
        Append(
            f"{NS}/run",
            stored.version,
            "parked",
            phase=Phase.PAUSED,
            timers=dict.fromkeys(stored.timers),
            note=Note(pause).encode(),
        )
    )


async def test_a_run_that_its_server_died_of_goes_on_only_when_it_is_unpaused():
    async with shop() as s:
        await s.start(RETRYING)
        await s.report(await s.take(), Failure("BUSY", "later"))
    await park(s.store)
    async with shop(s.store) as s:
        view = await s.view()
        assert view.pause_reason is PauseReason.CRASH_LOOP
        # What backs off has no timer, as long as the run is paused.
        assert not (await s.store.load(f"{NS}/run")).timers
        view = await s.runtime.unpause_run(NS, "run")
        assert view.pause_reason is None
        task = await s.take()
        assert task.attempt == 2
        await s.report(task, "7")
        assert (await s.finished()).result == "7"


async def test_to_unpause_a_run_that_is_not_paused_changes_nothing():
    async with shop() as s:
        view, _ = await s.start(CALLING)
        assert await s.runtime.unpause_run(NS, "run") == view
        await s.report(await s.take(), "1")
        end = await s.finished()
        assert await s.runtime.unpause_run(NS, "run") == end
        assert await s.kinds() == "START CALL RETURN FINISH"
