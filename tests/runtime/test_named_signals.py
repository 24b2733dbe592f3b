"""Signals by name: kept, ordered, recognised, and waited for over restarts."""

import asyncio
import json

import pytest

from starflow_backends.store import Phase
from starflow_service.engine.events import Failure, Signal
from starflow_service.runtime.errors import (
    RunFinishedError,
    RunNotFoundError,
    SignalConflictError,
    SignalNotExpectedError,
    SignalsFullError,
)
from starflow_service.runtime.types import (
    Disposition,
    RunState,
    SignalWait,
    SleepWait,
    UnreadSignal,
)
from tests.runtime.harness import NS, Shop, shop, until

TAKES_TWO = """
load("flow", "flow")
def main(ctx, input):
    return [flow.wait_signal(ctx, "go"), flow.wait_signal(ctx, "go")]
"""
CALLS_FIRST = """
load("flow", "flow")
def main(ctx, input):
    test.echo(ctx, input)
    return [flow.wait_signal(ctx, "go"), flow.wait_signal(ctx, "stop")]
"""
IN_TIME = """
load("flow", "flow")
load("time", "time")
def main(ctx, input):
    timeout = time.parse_duration(input)
    return flow.wait_signal(ctx, "go", timeout=timeout, default="too late")
"""
CATCHES = """
load("flow", "flow")
def main(ctx, input):
    got = flow.catch(flow.wait_signal, ctx, "go")
    return [got.ok, got.error.code if got.error else None]
"""


async def send(
    s: Shop, name: str, value: object, request_id: str = "", *, only: bool = False
) -> tuple[Disposition, int]:
    result = value if isinstance(value, Failure) else json.dumps(value)
    return await s.runtime.signal_by_name(NS, "run", name, request_id, result, only)


async def test_signals_answer_a_script_that_waits_in_the_order_they_came():
    async with shop() as s:
        view, _ = await s.start(TAKES_TWO)
        assert view.state is RunState.YIELDED
        assert view.waits == [SignalWait(None, name="go", wait_version=2)]
        assert await send(s, "go", 1) == (Disposition.RESUMED, 3)
        assert await send(s, "go", 2) == (Disposition.RESUMED, 5)
        assert (await s.finished()).result == "[1,2]"
        assert await s.kinds() == "START WAIT SIGNAL WAIT SIGNAL FINISH"


async def test_signals_that_come_first_are_kept_and_shown():
    async with shop() as s:
        await s.start(CALLS_FIRST)
        assert await send(s, "stop", 1) == (Disposition.KEPT, 3)
        assert await send(s, "go", 2) == (Disposition.KEPT, 4)
        view = await s.view()
        assert view.unread_count == 2
        times = [event.time_ns for event in await s.log()]
        assert view.unread == [
            UnreadSignal("stop", 3, times[2]),
            UnreadSignal("go", 4, times[3]),
        ]
    async with shop(s.store) as s:
        assert (await s.view()).unread == view.unread
        await s.report(await s.take(), "null")
        end = await s.finished()
        assert (end.result, end.unread, end.unread_count) == ("[2,1]", (), 0)
        assert await s.kinds() == "START CALL SIGNAL SIGNAL RETURN WAIT WAIT FINISH"


async def test_a_request_that_comes_again_is_one_signal():
    async with shop() as s:
        await s.start(TAKES_TWO)
        assert await send(s, "go", 1, "a") == (Disposition.RESUMED, 3)
        assert await send(s, "go", 1, "a") == (Disposition.DUPLICATE, 3)
        with pytest.raises(SignalConflictError):
            await send(s, "go", 2, "a")
    async with shop(s.store) as s:
        assert await send(s, "go", 1, "a") == (Disposition.DUPLICATE, 3)
        assert await send(s, "go", 2, "b") == (Disposition.RESUMED, 5)
        assert (await s.finished()).result == "[1,2]"
        # In a finished run, too.
        assert await send(s, "go", 2, "b") == (Disposition.DUPLICATE, 5)
        with pytest.raises(RunFinishedError):
            await send(s, "go", 3, "c")
        with pytest.raises(RunFinishedError):
            await send(s, "go", 2)


async def test_without_a_request_id_each_sending_is_a_signal():
    async with shop() as s:
        await s.start(TAKES_TWO)
        await asyncio.gather(send(s, "go", 1), send(s, "go", 1))
        assert (await s.finished()).result == "[1,1]"


async def test_a_signal_may_ask_not_to_be_kept():
    async with shop() as s:
        await s.start(TAKES_TWO)
        with pytest.raises(SignalNotExpectedError, match="does not wait for it now"):
            await send(s, "other", 1, only=True)
        assert await send(s, "go", 1, only=True) == (Disposition.RESUMED, 3)
        with pytest.raises(RunNotFoundError):
            await s.runtime.signal_by_name(NS, "no-run", "go", "", "1", False)


async def test_a_failure_is_raised_in_the_script():
    async with shop() as s:
        await s.start(CATCHES)
        await send(s, "go", Failure("REFUSED", "no"))
        assert (await s.finished()).result == '[false,"REFUSED"]'


async def test_a_run_that_takes_no_signals_refuses_them_in_the_end():
    async with shop() as s:
        await s.start(CALLS_FIRST)
        await asyncio.gather(*(send(s, "go", n) for n in range(1000)))
        with pytest.raises(SignalsFullError, match="1000 signals"):
            await send(s, "go", 1000)
        view = await s.view()
        assert view.unread_count == 1000
        assert len(view.unread) == 100
        await s.report(await s.take(), "null")
        # One has been taken, so there is room for one.
        assert await send(s, "go", 1001) == (Disposition.KEPT, 1006)


async def test_a_wait_that_took_too_long_is_over():
    async with shop() as s:
        await s.start(IN_TIME, "50ms")
        assert (await s.finished()).result == '"too late"'
        assert await s.kinds() == "START WAIT WAKE FINISH"


async def test_a_signal_in_time_stops_the_clock():
    async with shop() as s:
        view, _ = await s.start(IN_TIME, "1h")
        (wait,) = view.waits
        assert wait.expire_ns == (await s.log())[1].time_ns + 3600 * 10**9
        stored = await s.store.load(f"{NS}/run")
        assert list(stored.timers) == ["wake/2"]
        await send(s, "go", "here")
        assert (await s.finished()).result == '"here"'
        assert not (await s.store.load(f"{NS}/run")).timers


async def test_a_wait_ends_in_time_although_no_server_ran():
    async with shop() as s:
        await s.start(IN_TIME, "100ms")
        assert (await s.store.load(f"{NS}/run")).phase is Phase.DORMANT
    async with shop(s.store) as s:
        assert (await s.finished()).result == '"too late"'


async def test_the_timeout_of_a_wait_for_calls_survives_the_server():
    script = """
load("flow", "flow")
load("time", "millisecond")
def main(ctx, input):
    call = flow.start(ctx, test.echo, input)
    got = flow.catch(flow.wait, ctx, call, timeout=100 * millisecond)
    return [got.error.code, flow.wait(ctx, call)]
"""
    async with shop() as s:
        await s.start(script, 7)
    async with shop(s.store) as s:
        task = await s.take()
        await until(lambda: _has(s, "WAKE"))
        await s.report(task, "7")
        assert (await s.finished()).result == '["STARFLOW_TIMEOUT",7]'
        assert await s.kinds() == "START CALL SLEEP WAKE RETURN FINISH"


async def _has(s: Shop, kind: str) -> bool:
    return kind in await s.kinds()


async def test_a_run_that_is_not_in_memory_takes_a_signal():
    async with shop(idle_evict_s=0.0, lease_s=0.2) as s:
        await s.start(TAKES_TWO)
        for n in (1, 2):
            await until(lambda: s.runtime.live_runs == 0)
            await send(s, "go", n)
        assert (await s.finished()).result == "[1,2]"


async def test_a_run_with_a_sleep_beside_its_wait_sleeps():
    script = """
load("flow", "flow")
load("time", "hour", "sleep")
def main(ctx, input):
    flow.spawn(ctx, sleep, ctx, hour)
    flow.wait_signal(ctx, "go")
"""
    async with shop() as s:
        view, _ = await s.start(script)
        assert {type(wait) for wait in view.waits} == {SleepWait, SignalWait}
        # Time can move it on, too.
        assert view.state is RunState.SLEEPING
        await send(s, "go", None)
        assert (await s.finished()).state is RunState.SUCCEEDED


async def test_a_kept_signal_is_recorded_as_it_came():
    async with shop() as s:
        await s.start(CALLS_FIRST)
        await send(s, "go", {"n": 1.0}, "a")
        (signal,) = [e for e in await s.log() if isinstance(e, Signal)]
        assert (signal.name, signal.request_id) == ("go", "a")
        assert signal.result == '{"n": 1.0}'
