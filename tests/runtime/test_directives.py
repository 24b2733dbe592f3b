"""What workers are told about the tasks that they hold, and about themselves."""

import asyncio

import pytest

from starflow_service.runtime.errors import WorkerNotRegisteredError
from starflow_service.runtime.types import CompletionStatus, TaskAction, TaskBeat
from tests.runtime.harness import NS, WAIT_S, shop, until

IGNORED = CompletionStatus.IGNORED
RACE = """
load("flow", "flow")

def main(ctx, input):
    first = flow.start(ctx, test.echo, 1)
    second = flow.start(ctx, test.add, 2)
    flow.first(ctx, [first, second])
    return test.last(ctx, 3)
"""


def beat(s, *tasks, wait_s=0.0, worker="w"):
    beats = [TaskBeat(task.token, None) for task in tasks]
    return s.runtime.workers.heartbeat(NS, worker, beats, wait_s)


async def held(s, *tasks):
    """Begin a heartbeat that waits."""
    waiting = asyncio.create_task(beat(s, *tasks, wait_s=WAIT_S))
    await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


async def test_a_held_heartbeat_tells_at_once_that_the_run_was_cancelled():
    async with shop() as s:
        await s.start()
        task = await s.take()
        waiting = await held(s, task)
        await s.runtime.cancel_run(NS, "run", "enough")
        (directive,) = await waiting
        assert (directive.token, directive.action) == (task.token, TaskAction.CANCEL)
        assert directive.reason == "the run was cancelled"
        assert await s.report(task, "1") is IGNORED


async def test_the_next_heartbeat_tells_it_to_a_worker_that_does_not_wait():
    async with shop() as s:
        await s.start()
        task = await s.take()
        await s.runtime.terminate_run(NS, "run", "enough")
        (directive,) = await beat(s, task)
        assert (directive.token, directive.action) == (task.token, TaskAction.CANCEL)
        assert directive.reason == "the run has ended"


async def test_a_call_that_the_script_gave_up_is_cancelled_at_its_worker():
    async with shop() as s:
        await s.start(RACE)
        first = await s.take("test.echo")
        second = await s.take("test.add")
        waiting = await held(s, first, second)
        await s.report(first, "1")
        (directive,) = await waiting
        assert (directive.token, directive.action) == (second.token, TaskAction.CANCEL)
        assert directive.reason == "the script gave the call up"


async def test_a_result_of_ones_own_brings_no_directive():
    async with shop() as s:
        await s.start()
        task = await s.take()
        await s.report(task, "1")
        await s.finished()
        assert await beat(s) == []


async def test_a_task_that_somebody_else_has_is_abandoned():
    async with shop(lease_s=0.1) as s:
        await s.start()
        task = await s.take(worker="a")
        await s.take(worker="b")
        (directive,) = await beat(s, task, worker="a")
        assert (directive.token, directive.action) == (task.token, TaskAction.ABANDON)


async def test_an_attempt_that_took_too_long_is_abandoned_at_once():
    async with shop() as s:
        await s.register("test.echo", attempt_timeout_ns=50_000_000)
        await s.start()
        task = await s.take()
        waiting = await held(s, task)
        (directive,) = await waiting
        assert (directive.token, directive.action) == (task.token, TaskAction.ABANDON)
        assert directive.reason == "the attempt took longer than 0.05 s"


async def test_what_a_worker_never_asks_for_is_bounded():
    async with shop() as s:
        await s.start()
        await s.take()
        session = s.runtime.workers._sessions.find(NS, "w")
        for number in range(2_000):
            session.tell(str(number), TaskAction.ABANDON, "")
        assert len(await beat(s)) == 1_000


async def test_a_drained_worker_gets_no_more_and_reports_what_it_holds():
    async with shop() as s:
        await s.register("test.echo")
        await s.start()
        task = await s.take()
        polling = asyncio.create_task(s.poll())
        waiting = await held(s, task)
        assert await s.runtime.workers.drain_worker(NS, "w") == 1
        assert await polling == []
        assert await waiting == []
        assert s.runtime.workers.is_drained(NS, "w")
        await s.start(run_id="other")
        assert await s.poll(wait_s=0.0) == []
        assert await s.report(task, "1") is CompletionStatus.APPLIED
        assert (await s.take(worker="b")).run_id == "other"


async def test_a_drained_worker_that_polls_on_has_to_wait():
    async with shop() as s:
        await s.register("test.echo")
        await s.runtime.workers.drain_worker(NS, "w")
        assert await s.poll() == []
        polling = asyncio.create_task(s.poll())
        await until(lambda: s.runtime.workers._staying)
        assert not polling.done()
        await s.runtime.drain()
        assert await polling == []


async def test_draining_one_worker_leaves_the_polls_of_others_alone():
    async with shop() as s:
        await s.register("test.echo")
        polling = asyncio.create_task(s.poll(worker="b"))
        await until(lambda: s.runtime._calls.queues.waiting_polls == 1)
        await s.runtime.workers.drain_worker(NS, "w")
        assert not s.runtime.workers.is_drained(NS, "b")
        await s.start()
        assert len(await polling) == 1


async def test_a_worker_that_nobody_knows_cannot_be_drained():
    async with shop() as s:
        with pytest.raises(WorkerNotRegisteredError):
            await s.runtime.workers.drain_worker(NS, "w")
