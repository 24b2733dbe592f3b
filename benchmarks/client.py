"""The client process: puts the load of one workload on a server, and measures.

`python -m benchmarks.client '{"workload": "w1", ...}'` prints its figures as the last
line, in JSON.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import starflow
from benchmarks import scripts
from benchmarks.figures import percentile
from benchmarks.machine import Processes, Usage, Work
from tests.support.processes import until_async

Values = dict[str, float]
T = TypeVar("T")
R = TypeVar("R")

# Longer than any run takes that is not lost.
_PATIENCE_S = 60.0
_WAIT_S = 20.0
# How many compute in the parts of the workload of that name.
HOGS = (1, 4)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the client is to do."""

    workload: str
    address: str
    server_pid: int = 0
    worker_pid: int = 0
    # 0: the store is in the server.
    redis_pid: int = 0
    # Of other servers on the same Redis.
    other_server_pids: tuple[int, ...] = ()
    seconds: float = 0.0
    warm_up_seconds: float = 0.0
    in_flight: int = 1
    runs: int = 0
    idle_evict_s: float = 0.0
    plain: bool = False


class Load:
    """A client, and the processes whose use of the machine it watches."""

    def __init__(self, client: starflow.Client, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        pids = {
            "server": settings.server_pid,
            "worker": settings.worker_pid,
            "redis": settings.redis_pid,
            "client": os.getpid(),
        }
        others = settings.other_server_pids
        pids |= {f"server {n}": pid for n, pid in enumerate(others, 2)}
        self.processes = Processes({name: pid for name, pid in pids.items() if pid})

    async def run(self, script: str, input: Any = scripts.PAYLOAD) -> float:
        """Run *script* to its end; return how long that took, in seconds."""
        began = time.perf_counter()
        run = await self.client.start(script, input=input, wait=_WAIT_S)
        await run.result(timeout=_PATIENCE_S)
        return time.perf_counter() - began

    async def keep_in_flight(self, script: str) -> "Window":
        """Keep so many runs of *script* under way; return what the window saw."""
        settings = self.settings
        window = Window(time.monotonic() + settings.warm_up_seconds, settings.seconds)
        loops = [self._loop(script, window) for _ in range(settings.in_flight)]
        sampling = asyncio.create_task(window.sample(self.processes.usage))
        await asyncio.gather(*loops)
        await sampling
        return window

    async def _loop(self, script: str, window: "Window") -> None:
        while not window.is_over:
            seconds = await self.run(script)
            window.note(seconds)


class Window:
    """The time in which a closed loop is measured: after warm-up, before the end."""

    def __init__(self, begins_at: float, seconds: float) -> None:
        self._begins_at = begins_at
        self._ends_at = begins_at + seconds
        self._seconds: list[float] = []
        self._usages: list[Usage] = []

    @property
    def is_over(self) -> bool:
        """Whether its end is past."""
        return time.monotonic() >= self._ends_at

    def note(self, seconds: float) -> None:
        """Count a run that ended now, if it ended inside."""
        if self._begins_at <= time.monotonic() < self._ends_at:
            self._seconds.append(seconds)

    async def sample(self, usage: Callable[[], Usage]) -> None:
        """Look at the processes at both ends."""
        for moment in (self._begins_at, self._ends_at):
            await asyncio.sleep(max(0.0, moment - time.monotonic()))
            self._usages.append(usage())

    def values(self, steps_a_run: int) -> Values:
        """
        Return its figures.

        Raises:
            ValueError: Nothing ended inside.
        """
        if not self._seconds:
            raise ValueError("no run ended in the time measured: measure for longer")
        work = Work(*self._usages)
        steps = len(self._seconds) * steps_a_run
        values = {
            "steps/s": steps / work.elapsed_s,
            "CPU per step": work.total_cpu_s / steps * 1e6,
            "run p50": percentile(self._seconds, 50) * 1e3,
            "run p99": percentile(self._seconds, 99) * 1e3,
            "other cores busy": work.other_cores_busy,
        }
        for name in work.end.cpu_s:
            values[f"CPU per step, {name}"] = work.cpu_s(name) / steps * 1e6
        return values


async def w1(load: Load) -> Values:
    """Ten steps, one after the other, in many runs at a time."""
    script = scripts.SEQUENTIAL_PLAIN if load.settings.plain else scripts.SEQUENTIAL
    window = await load.keep_in_flight(script)
    return window.values(scripts.STEPS_A_RUN)


async def w2(load: Load) -> Values:
    """One step, one run at a time."""
    for _ in range(30):
        await load.run(scripts.ONE_STEP)
    seconds = [await load.run(scripts.ONE_STEP) for _ in range(load.settings.runs)]
    return {
        "run p50": percentile(seconds, 50) * 1e3,
        "run p99": percentile(seconds, 99) * 1e3,
        "run min": min(seconds) * 1e3,
    }


async def w3(load: Load) -> Values:
    """Runs that wait for a signal, and nothing else happens."""
    client, settings = load.client, load.settings
    await asyncio.gather(*(load.run(scripts.ONE_STEP) for _ in range(50)))
    base = load.processes.memory_kib()
    began = time.monotonic()
    runs = await each(
        settings.in_flight,
        range(settings.runs),
        lambda _: client.start(scripts.PARKED, wait=_WAIT_S),
    )
    start_s = time.monotonic() - began
    parked = load.processes.memory_kib()
    begin = load.processes.usage()
    # Looks at idle runs come once a second.
    await asyncio.sleep(settings.idle_evict_s + 3)
    idle = Work(begin, load.processes.usage())
    evicted = load.processes.memory_kib()
    began = time.monotonic()
    await each(settings.in_flight, runs, signalled_to_its_end)
    values = {
        "start all": start_s,
        "signal to all done": time.monotonic() - began,
        "idle cores": (idle.cpu_s("server") + idle.cpu_s("worker")) / idle.elapsed_s,
    }
    for when, memory in (("parked", parked), ("evicted", evicted)):
        for name in ("server", "worker"):
            growth = memory[name] - base[name]
            values[f"{name} memory a run, {when}"] = growth / settings.runs
    return values


async def signalled_to_its_end(run: starflow.Run) -> None:
    """Give a parked run what it waits for, and wait for its result."""
    (signal_id,) = run.info.signal_ids
    await run.signal(signal_id, "go on")
    await run.result(timeout=_PATIENCE_S, through_yields=True)


async def each(
    at_a_time: int, items: Iterable[T], play: Callable[[T], Awaitable[R]]
) -> list[R]:
    """Play every item, so many at a time; return the results in order."""
    free = asyncio.Semaphore(at_a_time)

    async def one(item: T) -> R:
        async with free:
            return await play(item)

    return await asyncio.gather(*(one(item) for item in items))


async def w4(load: Load) -> Values:
    """Slow steps, while somebody else kills the server or the worker."""
    client = load.client
    began = time.monotonic()

    async def one() -> bool:
        run = await client.start(scripts.SLOW)
        try:
            return bool(await run.result(timeout=_PATIENCE_S) == "done")
        except starflow.StarflowError:
            return False

    done = await asyncio.gather(*(one() for _ in range(load.settings.runs)))
    return {
        "began_at": began,
        "done_at": time.monotonic(),
        "lost runs": len(done) - sum(done),
    }


async def w5(load: Load) -> Values:
    """A hundred steps at once: one such run alone, then several."""
    alone = [await load.run(scripts.PARALLEL) for _ in range(15)][3:]
    window = await load.keep_in_flight(scripts.PARALLEL)
    values = window.values(scripts.PARALLEL_STEPS)
    return {**values, "alone p50": percentile(alone, 50) * 1e3}


async def hog(load: Load) -> Values:
    """One-step runs, one at a time, while others compute and never wait."""
    alone = await w2(load)
    values = {f"alone {name}": value for name, value in alone.items()}
    hogs = 0
    for wanted in HOGS:
        for script in scripts.HOGS[hogs:wanted]:
            await load.client.start(script)
        hogs = wanted
        disturbed = await w2(load)
        values |= {f"{hogs} hogs: {name}": value for name, value in disturbed.items()}
        for name in ("run p50", "run p99"):
            ratio = disturbed[name] / alone[name]
            values[f"{hogs} hogs: {name} over alone"] = ratio
    return values


LOADS = {"w1": w1, "w2": w2, "w3": w3, "w4": w4, "w5": w5, "hog": hog}


async def main(settings: Settings) -> None:
    """Put the load on, and print what came of it."""
    async with starflow.Client(settings.address, patience=_PATIENCE_S) as client:

        async def knows_worker() -> bool:
            return (await client.validate(scripts.ALL_FUNCTIONS)).valid

        await until_async(knows_worker, "the worker is registered")
        values = await LOADS[settings.workload](Load(client, settings))
    print(json.dumps(values))


if __name__ == "__main__":
    asyncio.run(main(Settings(**json.loads(sys.argv[1]))))
