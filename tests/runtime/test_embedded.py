"""What a server within a test does to a runtime: moves its time, and restarts it."""

from starflow_backends import MemoryStore
from starflow_service.runtime.clock import MovableClock
from starflow_service.runtime.types import NS
from tests.runtime.harness import shop, until

START_NS = 1_900_000_000 * NS


async def test_after_a_restart_only_what_nobody_holds_is_offered_at_once():
    store = MemoryStore()
    await store.open()
    async with shop(store) as one:
        await one.start(run_id="held")
        held = await one.take()
        await one.start(run_id="free")
        assert one.runtime.leased_tasks() == {held.task_id}
    async with shop(store, recovery_grace_s=3600.0) as other:
        other.runtime.end_grace({held.task_id})
        (free,) = await other.poll(tasks=9)
        assert free.run_id == "free"
        other.runtime.end_grace(set())
        (again,) = await other.poll(tasks=9)

    assert again.task_id == held.task_id


async def test_an_attempt_ages_with_the_time_and_its_lease_does_not():
    clock = MovableClock(START_NS)
    store = MemoryStore(clock=clock.now_ns)
    await store.open()
    async with shop(store, clock=clock) as it:
        await it.register("test.echo", attempt_timeout_ns=60 * NS)
        await it.start()
        await it.take()
        assert 59 < it.runtime.first_timeout_s() <= 60

        clock.move_to(START_NS + 50 * NS)
        it.runtime.time_moved(50)
        it.runtime._calls.sweep()
        assert 9 < it.runtime.first_timeout_s() <= 10
        assert (await it.view()).waits[0].worker_id == "w"

        clock.move_to(START_NS + 60 * NS)
        it.runtime.time_moved(10)
        result = (await it.finished()).result

    assert result.code == "STARFLOW_ATTEMPT_TIMEOUT"


async def test_a_timer_fires_as_soon_as_the_time_is_there():
    clock = MovableClock(START_NS)
    store = MemoryStore(clock=clock.now_ns)
    await store.open()
    script = (
        'load("time", "time")\n'
        "def main(ctx, input):\n"
        "    time.sleep(ctx, 24 * time.hour)\n"
        "    return str(time.now(ctx))\n"
    )
    async with shop(store, clock=clock) as it:
        await it.start(script)
        await until(lambda: it.runtime._timers._planned_ns > START_NS)
        clock.move_to(START_NS + 86_400 * NS)
        it.runtime.time_moved(86_400)

        assert (await it.finished()).result == '"2030-03-18T17:46:40Z"'


def test_a_clock_does_not_go_back():
    clock = MovableClock(START_NS)
    clock.move_to(START_NS - 1)

    assert clock.now_ns() == START_NS
