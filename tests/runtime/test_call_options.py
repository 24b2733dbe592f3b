"""What a script says of one call: how long it may take, and how often it is tried."""

import json

from starflow_service.engine.events import Failure, FailureKind
from starflow_service.runtime.types import (
    NS as SECOND,
)
from starflow_service.runtime.types import (
    CompletionStatus,
    RetryPolicy,
    RunState,
    TaskBeat,
    YieldResult,
)
from tests.runtime.harness import NS, shop, until

HEAD = """
load("flow", "flow")
load("time", "hour", "millisecond", "second")
def main(ctx, input):
"""
TIMED = HEAD + "    return flow.call(ctx, test.echo, input, timeout=%s)\n"
SHORT = TIMED % "100 * millisecond"
CAUGHT = (
    HEAD
    + """
    got = flow.catch(flow.call, ctx, test.echo, input, timeout=100 * millisecond)
    return got.error.code
"""
)
RETRIED = (
    HEAD
    + """
    retry = dict(max_attempts=3, initial=millisecond, non_retryable=["GONE"])
    return flow.call(ctx, test.echo, input, retry=retry)
"""
)
MANY = (
    HEAD
    + """
    span = 100 * millisecond
    calls = [flow.start(ctx, test.echo, n, timeout=span) for n in range(40)]
    return [flow.catch(flow.wait, ctx, each).error.code for each in calls]
"""
)


async def test_a_call_that_takes_too_long_fails():
    async with shop() as s:
        await s.start(CAUGHT)
        task = await s.take()
        assert (await s.finished()).result == '"STARFLOW_TIMEOUT"'
        returned = (await s.log())[2]
        assert (returned.attempts, returned.delivery) == (1, "")
        assert returned.result.kind is FailureKind.TIMEOUT
        # Its worker is told, and comes too late.
        assert await s.runtime.workers.heartbeat(NS, "w", [TaskBeat(task.token, None)])
        assert await s.report(task, "1") is CompletionStatus.IGNORED
        assert await s.kinds() == "START CALL RETURN FINISH"


async def test_a_call_that_nobody_takes_fails_in_time():
    async with shop() as s:
        await s.start(CAUGHT)
        assert (await s.finished()).result == '"STARFLOW_TIMEOUT"'
        assert (await s.log())[2].attempts == 0
        # It is not offered any more.
        assert await s.poll(wait_s=0) == []


async def test_a_timeout_fails_the_run_that_does_not_catch_it():
    async with shop() as s:
        await s.start(SHORT)
        end = await s.finished()
        assert end.state is RunState.FAILED
        assert end.result.code == "STARFLOW_TIMEOUT"


async def test_a_call_that_yielded_times_out_as_a_whole():
    async with shop() as s:
        await s.start(CAUGHT)
        await s.report(await s.take(), YieldResult(3600 * SECOND))
        (wait,) = (await s.view()).waits
        assert wait.expire_ns == (await s.log())[1].expire_ns
        assert (await s.finished()).result == '"STARFLOW_TIMEOUT"'
        assert await s.kinds() == "START CALL YIELD RESUME FINISH"


async def test_a_yield_may_time_out_before_its_call():
    async with shop() as s:
        await s.start(TIMED % "hour")
        await s.report(await s.take(), YieldResult(SECOND // 20))
        assert (await s.finished()).result.code == "STARFLOW_TIMEOUT"


async def test_a_call_that_ends_in_time_leaves_no_timer():
    async with shop() as s:
        view, _ = await s.start(TIMED % "hour")
        stored = await s.store.load(f"{NS}/run")
        assert list(stored.timers) == ["expire/2"]
        assert view.waits[0].expire_ns == stored.timers["expire/2"]
        await s.report(await s.take(), "1")
        await s.finished()
        assert not (await s.store.load(f"{NS}/run")).timers


async def test_a_call_times_out_although_no_server_ran():
    async with shop() as s:
        await s.start(CAUGHT)
    async with shop(s.store) as s:
        assert (await s.finished()).result == '"STARFLOW_TIMEOUT"'


async def test_a_run_that_is_not_in_memory_is_told_in_time():
    script = CAUGHT.replace("100 * millisecond", "second")
    async with shop(idle_evict_s=0.0, lease_s=0.2) as s:
        await s.start(script)
        await until(lambda: s.runtime.live_runs == 0)
        assert (await s.finished()).result == '"STARFLOW_TIMEOUT"'


async def test_many_calls_time_out_one_after_the_other():
    async with shop() as s:
        await s.start(MANY)
        # One timer at a time stands for all of them.
        assert len((await s.store.load(f"{NS}/run")).timers) == 1
        assert json.loads((await s.finished()).result) == ["STARFLOW_TIMEOUT"] * 40
        ended = [e.call_version for e in await s.log() if e.NAME == "RETURN"]
        assert ended == sorted(ended)


async def test_the_calls_policy_counts_and_not_the_functions():
    async with shop() as s:
        await s.register("test.echo", retry=RetryPolicy(max_attempts=1))
        await s.start(RETRIED)
        for attempt in (1, 2):
            task = await s.take()
            assert task.attempt == attempt
            await s.report(task, Failure("BUSY", "later"))
        await s.report(await s.take(), "7")
        assert (await s.finished()).result == "7"


async def test_a_code_that_the_call_does_not_retry_ends_it():
    async with shop() as s:
        await s.register("test.echo", retry=RetryPolicy(max_attempts=9))
        await s.start(RETRIED)
        await s.report(await s.take(), Failure("GONE", "for good"))
        assert (await s.finished()).result.code == "GONE"


async def test_the_calls_policy_holds_over_a_restart():
    async with shop() as s:
        await s.start(RETRIED)
    async with shop(s.store) as s:
        await s.report(await s.take(), Failure("BUSY", "later"))
        await s.report(await s.take(), "7")
        assert (await s.finished()).result == "7"


async def test_the_calls_attempt_timeout_counts_and_not_the_functions():
    script = (
        HEAD
        + """
    return flow.call(ctx, test.echo, input, attempt_timeout=50 * millisecond,
                     retry=dict(max_attempts=2, initial=millisecond))
"""
    )
    async with shop() as s:
        await s.register("test.echo", attempt_timeout_ns=3600 * SECOND)
        await s.start(script)
        task = await s.take()
        assert task.attempt_timeout_ns == SECOND // 20
        again = await s.take()
        assert again.attempt == 2
        assert again.last_failure.code == "STARFLOW_ATTEMPT_TIMEOUT"
        await s.report(again, "7")
        assert (await s.finished()).result == "7"
