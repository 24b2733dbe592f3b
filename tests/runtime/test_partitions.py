"""A partition is given back, or lost: nothing of it stays, and it comes back whole."""

import asyncio
import time

import pytest

from starflow_service.runtime.errors import RunMovingError
from starflow_service.runtime.types import CompletionStatus, RunState, TaskBeat
from tests.runtime.harness import NS, shop, until

COMPUTES = """
def main(ctx, input):
    total = 0
    for a in range(1500):
        for b in range(1500):
            total += b
    return total
"""
SLEEPS = """
load("time", "millisecond", "sleep")

def main(ctx, input):
    sleep(ctx, 50 * millisecond)
    return "awake"
"""


@pytest.fixture(params=["given back", "lost"])
def part(request):
    """Part with the partition in one of two ways."""

    async def give_back(runtime):
        await runtime.give_back(0)

    async def lose(runtime):
        runtime.lose(0)

    return give_back if request.param == "given back" else lose


async def test_nothing_can_be_asked_of_runs_that_are_elsewhere(part):
    async with shop() as s:
        await s.start()
        await part(s.runtime)

        for asked in (
            s.view(),
            s.start(),
            s.start(run_id="another"),
            s.runtime.cancel_run(NS, "run", "why not"),
            s.runtime.read_events(NS, "run", 1, 10),
        ):
            with pytest.raises(RunMovingError):
                await asked
        assert s.runtime.live_runs == 0


async def test_a_task_that_was_out_meanwhile_still_counts(part):
    async with shop() as s:
        await s.start(payload=1)
        task = await s.take()
        await part(s.runtime)
        with pytest.raises(RunMovingError):
            await s.report(task, "2")
        # Whoever has the run is asked; here nobody says that the task is lost.
        beats = [TaskBeat(task.token, None)]
        assert await s.runtime.workers.heartbeat(NS, "w", beats) == []

        await s.runtime.acquire(0)

        assert await s.report(task, "2") is CompletionStatus.APPLIED
        assert (await s.finished()).result == "2"
        assert await s.kinds() == "START CALL RETURN FINISH"


async def test_calls_that_nobody_had_are_offered_once_the_runs_are_back(part):
    async with shop() as s:
        await s.start(payload=1)
        await part(s.runtime)
        assert await s.poll(wait_s=0) == []

        await s.runtime.acquire(0)

        task = await s.take()
        assert await s.report(task, "2") is CompletionStatus.APPLIED


async def test_who_waits_for_a_run_is_told_that_it_moves(part):
    async with shop() as s:
        await s.start()
        waiting = asyncio.create_task(s.finished())
        await until(lambda: s.runtime._watches._by_run)

        await part(s.runtime)

        with pytest.raises(RunMovingError):
            await waiting


async def test_a_script_that_computes_stops_at_its_next_slice(part):
    async with shop() as s:
        starting = asyncio.create_task(s.start(COMPUTES))
        await until(lambda: s.runtime.live_runs and not s.runtime._runs.is_idle)

        await part(s.runtime)

        with pytest.raises(RunMovingError):
            await starting
        await until(lambda: s.runtime._runs.is_idle)
        assert await s.store.load(f"{NS}/run") is None


async def test_a_timer_that_is_due_elsewhere_wakes_the_run_when_it_is_back(part):
    async with shop() as s:
        await s.start(SLEEPS)
        await part(s.runtime)
        due = await s.store.timers_due()
        await until(lambda: time.time_ns() > (due.next_due_ns or 0))

        await s.runtime.acquire(0)

        view = await s.finished()
        assert view.state is RunState.SUCCEEDED
        assert view.result == '"awake"'
