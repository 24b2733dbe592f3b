"""Runs that leave the memory die by their count: the collector finds next to nothing.

Thousands of them leave at once, after a burst, and the collector looks seldom while
others compute: what waited for it would be kept all that time.
"""

import gc
from collections import Counter

import pytest

from starflow_service.engine.events import Failure
from starflow_service.starlark.limits import Limits
from tests.runtime.harness import NS, shop, until

_RUNS = 20

# A file with globals, a function that may call itself, values of several kinds.
WAITS = """
load("flow", "wait_signal")
load("time", "hour")

TABLE = {"a": [1, 2], "b": {"c": (3, 4)}}

def name(key):
    return [key for key in TABLE]

def main(ctx, input):
    names = name(input)
    return wait_signal(ctx, "go", timeout=24 * hour)
"""
CALLS = """
def main(ctx, input):
    return [test.echo(ctx, n) for n in range(2)]
"""
BRANCHES = """
load("flow", "flow")

def work(ctx, n):
    return test.echo(ctx, n)

def main(ctx, input):
    return flow.wait(ctx, [flow.spawn(ctx, work, ctx, n) for n in range(2)])
"""
RESTARTS = """
load("flow", "flow", "wait_signal")

def main(ctx, input):
    if input < 3:
        flow.restart(ctx, input + 1)
    return wait_signal(ctx, "go")
"""
FAILS = """
def main(ctx, input):
    values = [1, 2]
    return values[input]
"""
PARKS = """
def main(ctx, input):
    for _ in range(1 << 40):
        pass
"""


async def nothing(s, keys):
    pass


async def report(s, keys):
    for _ in range(2 * len(keys)):
        task = await s.take()
        await s.report(task, task.input)


async def fail(s, keys):
    for _ in keys:
        await s.report(await s.take(), Failure("NO", "no"))


async def terminate(s, keys):
    for key in keys:
        await s.runtime.terminate_run(NS, key, "")


async def cancel(s, keys):
    for key in keys:
        await s.runtime.cancel_run(NS, key, "")


async def play(s, script, then, keys):
    for key in keys:
        await s.start(script, 2, run_id=key)
    await then(s, keys)
    await until(lambda: s.runtime.live_runs == 0)


@pytest.mark.parametrize(
    ("script", "then"),
    [
        (WAITS, nothing),
        (WAITS, terminate),
        (WAITS, cancel),
        (CALLS, report),
        (CALLS, fail),
        (CALLS, nothing),
        (BRANCHES, report),
        (BRANCHES, nothing),
        (BRANCHES, cancel),
        (RESTARTS, nothing),
        (FAILS, nothing),
        (PARKS, nothing),
    ],
)
async def test_nothing_is_left_to_the_collector(script, then):
    async with shop(
        idle_evict_s=0.05, lease_s=2.0, limits=Limits(max_steps=10_000)
    ) as s:
        # What is made once, for all runs of it.
        await play(s, script, then, ["a", "b"])
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await play(s, script, then, [f"r{n}" for n in range(_RUNS)])
            found = gc.collect()
            left = Counter(type(value).__name__ for value in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert found < _RUNS // 2, left.most_common(9)
