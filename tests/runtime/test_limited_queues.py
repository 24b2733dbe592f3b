"""Queues with limits: never more tasks than they say, and no permit is lost."""

import asyncio
import sqlite3
import time
from itertools import count
from random import Random

import pytest

from starflow_backends import (
    MemoryStore,
    QueueLimits,
    QueueRate,
    SqliteStore,
    UnavailableError,
)
from starflow_service.engine.events import Failure, Retryability, RetryPolicy
from starflow_service.runtime import permits
from starflow_service.runtime.clock import MovableClock
from starflow_service.runtime.errors import TooLargeError
from starflow_service.runtime.types import (
    CallState,
    CompletionStatus,
    ReleaseResult,
    TaskBeat,
    YieldResult,
)
from tests.runtime.harness import NS, shop, until

APPLIED, IGNORED = CompletionStatus.APPLIED, CompletionStatus.IGNORED
YEAR_US = 365 * 24 * 3600 * 1_000_000
QUICK = RetryPolicy(initial_ns=1_000_000, max_attempts=3)
BANKED = """
load("flow", "call")
def main(ctx, input):
    return call(ctx, test.echo, queue="bank")
"""


async def limit(s, in_flight, name="test", **rate):
    """Bound the queue of `test.echo`."""
    limits = QueueLimits(in_flight, QueueRate(**rate) if rate else None)
    await s.runtime.permits.set_queue(NS, name, limits)


async def in_flight(s, name="test"):
    return (await s.runtime.permits.states(NS))[name].in_flight


async def start(s, runs, **options):
    for run in range(runs):
        await s.start(run_id=f"run-{run}", payload=run, **options)


async def hang_up(s, worker):
    """Let a waiting poll of *worker* break off: it is doubted from now."""
    polling = asyncio.create_task(s.poll("test.other", worker=worker))
    await asyncio.sleep(0)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)


async def test_no_more_tasks_than_the_limit():
    async with shop() as s:
        await limit(s, 3)
        await start(s, 8)

        held = await s.poll(tasks=50)
        assert [task.input for task in held] == ["0", "1", "2"]
        assert await s.poll(tasks=50, wait_s=0) == []
        assert await in_flight(s) == 3

        for place in range(5):
            await s.report(held[place], "null")
            held += await s.poll(tasks=50)
        assert [task.input for task in held] == [str(n) for n in range(8)]
        assert await in_flight(s) == 3


async def test_a_waiting_poll_gets_what_a_permit_sets_free():
    async with shop() as s:
        await limit(s, 1)
        await start(s, 2)
        first = await s.take()
        polling = asyncio.create_task(s.take(worker="other"))
        await asyncio.sleep(0)

        await s.report(first, "null")

        assert (await polling).input == "1"


async def test_a_poll_that_does_not_wait_gets_what_there_is():
    async with shop() as s:
        await limit(s, 2)
        await start(s, 3)
        assert len(await s.poll(tasks=50, wait_s=0)) == 2


@pytest.mark.parametrize(
    ("queue", "spec", "script"),
    [("test", "", ""), ("own", "own", ""), ("bank", "own", BANKED)],
    ids=["the function's module", "the registration's", "the call's"],
)
async def test_a_call_belongs_to_one_queue(queue, spec, script):
    async with shop() as s:
        await s.register("test.echo", queue=spec)
        for name in ("test", "own", "bank"):
            await limit(s, 100, name)
        await s.start(*[script] if script else [])

        await s.take()

        states = await s.runtime.permits.states(NS)
        busy = {name for name, state in states.items() if state.in_flight}
        assert busy == {queue}


async def test_what_has_no_limits_does_not_wait():
    script = "def main(ctx, input):\n    return other.echo(ctx, input)\n"
    async with shop() as s:
        await limit(s, 1)
        await start(s, 3)
        await s.start(script, "free", run_id="free")

        first = await s.poll("test.echo", "other.echo", tasks=50)
        first += await s.poll("test.echo", "other.echo", tasks=50)

        assert sorted(task.input for task in first) == ['"free"', "0"]


async def test_a_flood_without_limits_does_not_starve_what_has_some():
    """The poll takes what is there at once, and the permit comes meanwhile."""
    script = "def main(ctx, input):\n    return other.echo(ctx, input)\n"
    async with shop() as s:
        await limit(s, 1)
        await s.start(payload="limited")
        numbers = count()

        async def is_taken():
            await s.start(script, run_id=f"free-{next(numbers)}")
            await s.start(script, run_id=f"free-{next(numbers)}")
            (task,) = await s.poll("test.echo", "other.echo")
            return task.input == '"limited"'

        await until(is_taken)


async def test_the_oldest_of_a_queue_is_first_whatever_its_function():
    script = "def main(ctx, input):\n    return test.{}(ctx, input)\n"
    async with shop() as s:
        await limit(s, 1)
        functions = ["a", "b", "b", "a", "c", "a"]
        for n, name in enumerate(functions):
            await s.start(script.format(name), n, run_id=f"run-{n}")

        taken = []
        for _ in functions:
            task = await s.take("test.a", "test.b", "test.c")
            taken.append(int(task.input))
            await s.report(task, "null")

        assert taken == list(range(len(functions)))


async def test_a_function_without_a_worker_blocks_nobody():
    script = "def main(ctx, input):\n    return test.nobody(ctx, input)\n"
    async with shop() as s:
        await limit(s, 1)
        await s.start(script, run_id="older")
        await s.start()
        assert (await s.take()).run_id == "run"


async def test_tokens_bound_how_many_are_handed_out():
    clock = MovableClock(time.time_ns())
    store = MemoryStore(clock=clock.now_ns)
    async with shop(store, clock=clock) as s:
        await limit(s, None, tokens=1, period_us=60_000_000, burst=2)
        await start(s, 4)

        tasks = await s.poll(tasks=50)
        assert len(tasks) == 2
        for task in tasks:
            await s.report(task, "null")
        assert await s.poll(tasks=50, wait_s=0) == []
        clock.move_to(clock.now_ns() + 60_000_000_000)
        assert len(await s.poll(tasks=50)) == 1


@pytest.mark.parametrize(
    "outcome",
    [
        "null",
        Failure("NO", "no"),
        Failure("LATER", "later", retryability=Retryability.RETRYABLE),
        YieldResult(None),
        ReleaseResult("no time"),
    ],
    ids=["returned", "failed", "to be retried", "yielded", "released"],
)
async def test_whoever_is_done_gives_the_permit_back(outcome):
    async with shop() as s:
        await s.register("test.echo", retry=QUICK)
        await limit(s, 1)
        await start(s, 2)
        task = await s.take()

        assert await s.report(task, outcome) is APPLIED

        # The one that is tried again, or the other one.
        assert await s.take()
        assert await in_flight(s) == 1


async def test_a_lost_task_is_counted_until_its_lease_has_ended():
    """The worker was doubted long before, and may still be at it."""
    async with shop(lease_s=1.0, suspect_s=0.02) as s:
        await limit(s, 1)
        await s.start()
        await s.take(worker="lost")
        leased_at = time.monotonic()
        await hang_up(s, "lost")

        again = await s.take(worker="other")

        assert again.attempt == 2
        assert time.monotonic() - leased_at >= 0.95
        assert await in_flight(s) == 1


async def test_a_late_report_gives_the_permit_of_a_lost_task_back():
    async with shop(suspect_s=0.02) as s:
        await limit(s, 1)
        await s.start()
        task = await s.take(worker="lost")
        await hang_up(s, "lost")
        waiting = asyncio.create_task(s.take(worker="other"))
        await until(lambda: s.runtime.permits.find(NS, "test").has((NS, "test.echo")))

        assert await s.report(task, "null", worker="lost") in (APPLIED, IGNORED)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

        async def is_free():
            return await in_flight(s) == 0

        await until(is_free)


async def test_an_attempt_that_takes_too_long_is_counted_until_its_lease_has_ended():
    async with shop(lease_s=1.0) as s:
        await s.register("test.echo", retry=QUICK, attempt_timeout_ns=50_000_000)
        await limit(s, 1)
        await s.start()
        await s.take(worker="slow")
        leased_at = time.monotonic()

        again = await s.take(worker="other")

        assert again.attempt == 2
        assert time.monotonic() - leased_at >= 0.95


async def test_a_renewed_lease_keeps_its_permit():
    async with shop(lease_s=0.3) as s:
        await limit(s, 1)
        await start(s, 2)
        task = await s.take()
        # Longer than a permit lasts that nobody puts off.
        ends_at = time.monotonic() + 2.0
        while time.monotonic() < ends_at:
            await s.runtime.workers.heartbeat(NS, "w", [TaskBeat(task.token, None)])
            assert await s.poll(worker="other", wait_s=0.05) == []
        assert await s.report(task, "null") is APPLIED
        assert (await s.take(worker="other")).input == "1"


async def test_a_limit_counts_what_workers_have_already():
    async with shop() as s:
        await start(s, 5)
        held = await s.poll(tasks=3)

        await limit(s, 2)
        polling = asyncio.create_task(s.poll(tasks=50))

        async def are_counted():
            return await in_flight(s) == 3

        await until(are_counted)
        await s.report(held[0], "null")
        assert await s.poll(worker="other", wait_s=0.15) == []
        await s.report(held[1], "null")
        assert [task.input for task in await polling] == ["3"]


async def test_another_limit_holds_at_once():
    async with shop() as s:
        await limit(s, 1)
        await start(s, 6)
        await s.take()
        polling = asyncio.create_task(s.poll(tasks=2))
        await asyncio.sleep(0)

        await limit(s, 3)

        taken = len(await polling)
        while taken < 2:
            taken += len(await s.poll(tasks=2))
        assert await in_flight(s) == 3


async def test_without_limits_all_that_waits_is_handed_out():
    async with shop() as s:
        await limit(s, 1)
        await start(s, 9)
        await s.take()

        await s.runtime.permits.set_queue(NS, "test", None)

        taken = 0
        while taken < 8:
            taken += len(await s.poll(tasks=50))
        assert await s.runtime.permits.states(NS) == {}


async def test_a_call_that_ends_while_it_waits_leaves_nothing_behind():
    async with shop() as s:
        await limit(s, 1)
        await start(s, 3)
        held = await s.take()

        await s.runtime.cancel_run(NS, "run-1", "")
        await s.report(held, "null")

        assert (await s.take()).run_id == "run-2"
        assert await in_flight(s) == 1


async def test_a_cancelled_task_is_counted_until_its_worker_is_done():
    async with shop() as s:
        await limit(s, 1)
        await start(s, 2)
        task = await s.take()

        await s.runtime.cancel_run(NS, "run-0", "")

        assert await s.poll(worker="other", wait_s=0.15) == []
        assert await s.report(task, "null") is IGNORED
        assert (await s.take(worker="other")).run_id == "run-1"


@pytest.fixture
async def durable(tmp_path):
    """A function that opens the same store again."""
    opened = []

    async def again():
        if opened:
            await opened.pop().close()
        store = SqliteStore(tmp_path / "starflow.db")
        await store.open()
        opened.append(store)
        return store

    yield again
    await opened.pop().close()


async def test_a_restart_frees_no_permit(durable):
    async with shop(await durable()) as s:
        await limit(s, 2)
        await start(s, 4)
        held = await s.poll(tasks=50)

    async with shop(await durable()) as s:
        assert await in_flight(s) == 2
        # Until they show themselves, or their leases have ended, it is their turn.
        assert await s.poll(worker="other", wait_s=0.2) == []
        beats = [TaskBeat(task.token, None) for task in held]
        await s.runtime.workers.heartbeat(NS, "w", beats)
        assert await s.poll(worker="other", wait_s=0.2) == []

        assert await s.report(held[0], "null") is APPLIED

        assert (await s.take(worker="other")).input in ("2", "3")
        assert await in_flight(s) == 2


async def test_a_report_after_a_restart_gives_the_permit_back(durable):
    async with shop(await durable()) as s:
        await limit(s, 1)
        await start(s, 2)
        task = await s.take()

    async with shop(await durable()) as s:
        assert await s.report(task, "null") is APPLIED
        assert (await s.take(worker="other")).input == "1"


async def test_two_servers_share_the_limit():
    """Each has runs of its own; the store is one."""
    store = MemoryStore()
    await store.open()
    believed: set[str] = set()
    most = 0

    async def work(s, prefix, random):
        nonlocal most
        left = 40
        while left:
            tasks = await s.poll(tasks=random.randint(1, 6), worker=prefix)
            believed.update(task.task_id for task in tasks)
            most = max(most, len(believed))
            for task in tasks:
                await asyncio.sleep(random.random() / 500)
                believed.discard(task.task_id)
                assert await s.report(task, "null", worker=prefix) is APPLIED
                left -= 1

    async with shop(store) as one, shop(store) as two:
        await limit(one, 4)

        def both_know():
            return all(s.runtime.permits.is_used for s in (one, two))

        await until(both_know)
        for s, prefix in ((one, "a"), (two, "b")):
            for n in range(40):
                await s.start(run_id=f"{prefix}-{n}")
        await asyncio.gather(
            *(work(one, "a", Random(n)) for n in range(1)),
            *(work(two, "b", Random(n)) for n in range(1)),
        )

        async def is_empty():
            return await in_flight(one) == 0

        await until(is_empty)
    assert 1 < most <= 4


async def test_whatever_workers_do_the_limit_holds_and_all_is_done():
    random = Random(7)
    done: set[str] = set()
    believed: set[str] = set()
    most = 0

    async def work(s, worker):
        nonlocal most
        while len(done) < 60:
            tasks = await s.poll(
                tasks=random.randint(1, 9), worker=worker, wait_s=random.random() / 50
            )
            believed.update(task.token for task in tasks)
            most = max(most, len(believed))
            for task in tasks:
                await asyncio.sleep(random.random() / 300)
                believed.discard(task.token)
                luck = random.random()
                outcome = "null"
                if luck < 0.2:
                    outcome = ReleaseResult("")
                elif luck < 0.4 and task.attempt < 3:
                    outcome = Failure("X", "", retryability=Retryability.RETRYABLE)
                if (
                    await s.report(task, outcome, worker=worker) is APPLIED
                    and outcome == "null"
                ):
                    done.add(task.run_id)

    async with shop() as s:
        await s.register("test.echo", retry=QUICK)
        await limit(s, 5, tokens=10_000, period_us=1_000_000, burst=5)
        await start(s, 60)
        await asyncio.gather(*(work(s, f"w{n}") for n in range(4)))
        assert len(done) == 60
        assert most <= 5

        async def is_empty():
            return await in_flight(s) == 0

        await until(is_empty)


class FailingStore(MemoryStore):
    """A store that now and then does not say whether it has given permits."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_before = self.fails_after = 0

    async def permits(self, request):
        if self.fails_before:
            self.fails_before -= 1
            raise UnavailableError("gone")
        answer = await super().permits(request)
        if self.fails_after:
            self.fails_after -= 1
            raise UnavailableError("gone")
        return answer


@pytest.mark.parametrize("when", ["fails_before", "fails_after"])
async def test_calls_wait_for_a_store_that_does_not_answer(when):
    store = FailingStore()
    await store.open()
    async with shop(store) as s:
        await limit(s, 1)
        await start(s, 3)
        for n in range(3):
            setattr(store, when, 1)
            task = await s.take()
            assert task.input == str(n)
            setattr(store, when, 1)
            await s.report(task, "null")


async def test_a_permit_that_no_worker_uses_goes_to_others():
    """Another server's, who cannot know why this one keeps it."""
    store = MemoryStore()
    await store.open()
    async with shop(store) as one, shop(store) as two:
        await limit(one, 1)
        await until(lambda: two.runtime.permits.is_used)
        await one.start(run_id="one")
        await two.start(run_id="two")
        # Its poll has left when the permit comes.
        one.runtime.permits.want([(NS, "test.echo")], 1)

        assert (await two.take()).run_id == "two"


async def test_a_damaged_queue_holds_its_calls_until_it_is_set_again(durable, tmp_path):
    async with shop(await durable()) as s:
        await limit(s, 1)
        await s.start()
    with sqlite3.connect(tmp_path / "starflow.db") as connection:
        connection.execute("UPDATE queue SET max = 99")

    async with shop(await durable()) as s:
        assert await s.poll(wait_s=0.2) == []
        await s.register("test.echo")
        (wait,) = (await s.view()).waits
        assert wait.state is CallState.QUEUE_LIMIT
        assert wait.state_message == "queue default/test is damaged: set it again"
        assert (await s.runtime.permits.states(NS))["test"].in_flight == 0

        await limit(s, 1)

        assert await s.take()


async def test_the_number_of_queues_is_bounded(monkeypatch):
    monkeypatch.setattr(permits, "QUEUES_MAX", 2)
    async with shop() as s:
        await limit(s, 1, "a")
        await limit(s, 1, "b")
        with pytest.raises(TooLargeError, match="3 queues, the limit is 2"):
            await limit(s, 1, "c")
        await limit(s, 2, "b")
        await s.runtime.permits.set_queue(NS, "a", None)
        await limit(s, 1, "c")
        assert list(await s.runtime.permits.states(NS)) == ["b", "c"]
