"""How long a call may take, as its function was registered."""

import pytest

from starflow_service.engine.events import Failure, FailureKind
from starflow_service.runtime.types import NS as SECOND
from starflow_service.runtime.types import (
    CallState,
    CompletionStatus,
    FunctionSpec,
    RetryPolicy,
    RunState,
    TaskBeat,
    WorkerInfo,
    YieldResult,
)
from tests.runtime.harness import NS, shop, until

SHORT_NS = SECOND // 10
HOUR_NS = 3600 * SECOND
SCRIPT = """
load("flow", "flow")
load("time", "hour", "second")
def main(ctx, input):
    got = flow.catch(%s)
    return got.error.code
"""
PLAIN = SCRIPT % "test.echo, ctx, input"
GENEROUS = SCRIPT % "flow.call, ctx, test.echo, input, timeout=hour"
HASTY = SCRIPT % "flow.call, ctx, test.echo, input, timeout=second"
LATE = '"STARFLOW_TIMEOUT"'


def allowed_ns(call):
    """Return how long the recorded *call* may take."""
    return None if call.expire_ns is None else call.expire_ns - call.time_ns


@pytest.mark.parametrize("script", [PLAIN, GENEROUS])
async def test_a_call_that_nobody_takes_ends_in_time(script):
    async with shop() as s:
        await s.register("test.echo", call_timeout_ns=SHORT_NS)
        await s.start(script)
        assert (await s.finished()).result == LATE
        call, returned = (await s.log())[1:3]
        assert allowed_ns(call) == SHORT_NS
        assert (returned.attempts, returned.result.kind) == (0, FailureKind.TIMEOUT)
        assert await s.poll(wait_s=0) == []
        assert await s.kinds() == "START CALL RETURN FINISH"


async def test_a_call_that_a_worker_has_ends_in_time():
    async with shop() as s:
        await s.register("test.echo", call_timeout_ns=SHORT_NS)
        await s.start(PLAIN)
        task = await s.take()
        assert (await s.finished()).result == LATE
        assert (await s.log())[2].attempts == 1
        # Its worker is told, and comes too late.
        assert await s.runtime.workers.heartbeat(NS, "w", [TaskBeat(task.token, None)])
        assert await s.report(task, "1") is CompletionStatus.IGNORED


async def test_a_call_that_waits_for_its_next_attempt_ends_in_time():
    async with shop() as s:
        retry = RetryPolicy(initial_ns=HOUR_NS, max_attempts=3)
        await s.register("test.echo", retry=retry, call_timeout_ns=SECOND // 2)
        await s.start(PLAIN)
        failure = Failure("BUSY", "not now", FailureKind.APPLICATION)
        await s.report(await s.take(), failure)
        (wait,) = (await s.view()).waits
        assert wait.state is CallState.BACKING_OFF
        assert (await s.finished()).result == LATE
        assert (await s.log())[2].attempts == 1
        assert not (await s.store.load(f"{NS}/run")).timers


async def test_a_call_that_yielded_ends_in_time():
    async with shop() as s:
        await s.register("test.echo", call_timeout_ns=SHORT_NS)
        await s.start(PLAIN)
        await s.report(await s.take(), YieldResult(HOUR_NS))
        assert (await s.finished()).result == LATE
        assert await s.kinds() == "START CALL YIELD RESUME FINISH"


async def test_a_call_ends_in_time_although_no_server_ran():
    async with shop() as s:
        await s.register("test.echo", call_timeout_ns=SHORT_NS)
        await s.start(PLAIN)
    async with shop(s.store) as s:
        assert (await s.finished()).result == LATE


async def test_the_servers_after_a_restart_know_the_function():
    async with shop() as s:
        await s.register("test.echo", call_timeout_ns=HOUR_NS)
    async with shop(s.store) as s:
        await s.start(PLAIN)
        assert allowed_ns((await s.log())[1]) == HOUR_NS


async def test_the_script_may_allow_less():
    async with shop() as s:
        await s.register("test.echo", call_timeout_ns=HOUR_NS)
        await s.start(HASTY)
        assert allowed_ns((await s.log())[1]) == SECOND


@pytest.mark.parametrize("later_ns", [None, SECOND // 1000])
async def test_what_was_recorded_counts_whatever_is_registered_later(later_ns):
    async with shop(idle_evict_s=0.0, lease_s=0.2) as s:
        await s.register("test.echo", call_timeout_ns=HOUR_NS)
        await s.start(PLAIN)
        before = (await s.log())[1]
        await s.register("test.echo", call_timeout_ns=later_ns)
        await until(lambda: s.runtime.live_runs == 0)
        # The script is replayed, against the registry of today.
        await s.report(await s.take(), Failure("GONE", "", FailureKind.APPLICATION))
        view = await s.finished()
        assert (view.state, view.result) == (RunState.SUCCEEDED, '"GONE"')
        assert (await s.log())[1] == before
        await s.start(PLAIN, run_id="another")
        assert allowed_ns((await s.log("another"))[1]) == later_ns


async def test_a_function_of_that_name_in_another_namespace_says_nothing():
    async with shop() as s:
        spec = FunctionSpec("test.echo", call_timeout_ns=HOUR_NS)
        await s.runtime.workers.register("elsewhere", WorkerInfo("w"), [spec])
        await s.start(PLAIN)
        assert allowed_ns((await s.log())[1]) is None
        assert not (await s.store.load(f"{NS}/run")).timers
