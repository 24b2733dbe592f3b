"""Many runs that wait for days: what they cost, and whether all come back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta

import psutil

import starflow
from benchmarks.figures import Figure, percentile
from benchmarks.workloads import Bench, Options, Values, Workload, open_bench
from tests.support.processes import until_async

# Each waits for a signal, and for the end of a day: it has both, and a timer.
SCRIPT = """
load("flow", "wait_signal")
load("time", "hour")

def main(ctx, input):
    return wait_signal(ctx, "go", timeout=24 * hour)
"""
_AT_A_TIME = 100
_IDLE_EVICT_S = 2.0
# All are out of memory by then: a second more than the idle time, and a sweep.
_EVICTED_S = 6.0
_PATIENCE_S = 600.0
_MIB = 1 << 20


async def play_parked(workload: Workload, options: Options) -> Values:
    """Park runs, kill the server, start it again, and signal each of them."""
    runs = options.runs or workload.runs
    settings = {"idle_evict_s": _IDLE_EVICT_S}
    async with open_bench(options, settings) as bench:
        values = await _park(bench, runs)
        values |= await _restart(bench)
        async with starflow.Client(bench.server.address, patience=60) as client:
            values |= await _list(client, runs)
            values |= await _signal_all(client, runs)
            values["server memory, all done"] = _memory_mib(bench)
        return values


async def _park(bench: Bench, runs: int) -> Values:
    before_mib = _memory_mib(bench)
    began = time.monotonic()
    async with starflow.Client(bench.server.address, patience=60) as client:
        script_hash = (await client.start(SCRIPT, run_id="first")).info.script_hash

        async def start(n: int) -> None:
            await client.start(script_hash=script_hash, run_id=f"r{n:06}")

        await _all_of(start, range(runs - 1))
        start_s = time.monotonic() - began
        await until_async(
            lambda: _are_none(client, "RUNNING"), "all wait", timeout_s=_PATIENCE_S
        )
        await asyncio.sleep(_EVICTED_S)
    growth_mib = _memory_mib(bench) - before_mib
    return {
        "start all": start_s,
        "server memory, nothing there": before_mib,
        "server memory more, all parked": growth_mib,
        "server memory a run": growth_mib * _MIB / runs,
        "store a run": bench.store_bytes() / runs,
    }


async def _restart(bench: Bench) -> Values:
    await bench.server.kill()
    began = time.monotonic()
    await bench.server.start()
    async with starflow.Client(bench.server.address, patience=60) as client:
        await client.signal("first", name="go", output=0)
        await client.wait("first", through_yields=True)
    return {
        "restart to first run done": time.monotonic() - began,
        "server memory, after the restart": _memory_mib(bench),
    }


async def _list(client: starflow.Client, runs: int) -> Values:
    """List all of them: none must have moved but the one that was signalled."""
    began = time.monotonic()
    waiting = [run async for run in client.list(states=["YIELDED"])]
    listed_s = time.monotonic() - began
    times = []
    for _ in range(20):
        began = time.monotonic()
        since = datetime.now(UTC) - timedelta(days=1)
        found = client.list(states=["YIELDED"], prefix="r0", since=since)
        await anext(found)
        await found.aclose()
        times.append(time.monotonic() - began)
    return {
        "woke early": runs - 1 - len({run.id for run in waiting}),
        "list all": listed_s,
        "first page p50": percentile(times, 50) * 1e3,
    }


async def _signal_all(client: starflow.Client, runs: int) -> Values:
    began = time.monotonic()

    async def signal(n: int) -> None:
        await client.signal(f"r{n:06}", name="go", output=n)

    await _all_of(signal, range(runs - 1))
    signal_s = time.monotonic() - began
    await until_async(
        lambda: _are_none(client, "YIELDED", "RUNNING"),
        "all are done",
        timeout_s=_PATIENCE_S,
    )
    done = len([run.id async for run in client.list(states=["SUCCEEDED"])])
    return {"signal all": signal_s, "lost runs": runs - done}


async def _are_none(client: starflow.Client, *states: str) -> bool:
    found = client.list(states=states)
    is_none = await anext(found, None) is None
    await found.aclose()
    return is_none


async def _all_of(do: Callable[[int], Awaitable[None]], numbers: Iterable[int]) -> None:
    """Do something for all *numbers*, so many at a time."""
    left = iter(numbers)

    async def loop() -> None:
        for n in left:
            await do(n)

    await asyncio.gather(*(loop() for _ in range(_AT_A_TIME)))


def _memory_mib(bench: Bench) -> float:
    info = psutil.Process(bench.server.pid).memory_full_info()
    return float(info.pss) / _MIB


PARKED = Workload(
    "parked",
    "runs that wait for a signal and a timer; the server is killed meanwhile",
    (
        Figure("start all", "s"),
        Figure("server memory, nothing there", "MiB"),
        Figure("server memory more, all parked", "MiB", 60),
        Figure("server memory a run", "bytes"),
        Figure("store a run", "bytes"),
        Figure("restart to first run done", "s"),
        Figure("server memory, after the restart", "MiB"),
        Figure("woke early", "", 0),
        Figure("list all", "s"),
        Figure("first page p50", "ms"),
        Figure("signal all", "s"),
        Figure("lost runs", "", 0),
        Figure("server memory, all done", "MiB"),
    ),
    play_parked,
    runs=10_000,
)
