"""The server is killed at each of its named points, with runs of all shapes in flight.

ROUNDS=20 kills it so often at each; SYSTEM_SEEDS="7 8" plays other moments.  Without
ROUNDS a Redis sees only some of those that a file has seen.
"""

import asyncio
import contextlib
import os
import re
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from starflow_backends.failpoints import POINTS
from tests.faults.load import Load
from tests.support.processes import EndedError, Server, until
from tests.support.redis_server import RedisServer
from tests.system.histories import Outage
from tests.system.scene import Scene, open_scene

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("ROUNDS", "0"))
SEEDS = [int(seed) for seed in os.environ.get("SYSTEM_SEEDS", "1").split()]
STORES = ("sqlite", "redis")
# Which coming-by kills, at most: the first few leave the least behind them.
_NTH_MAX = 6
# Points that a server comes by once.
_ONCE = frozenset({"shutdown_drain", "during_recovery"})
_LOOK_EVERY_S = 0.002
_SOME = 8
_REACHED = re.compile(r"^failpoint (\w+) is reached$", re.MULTILINE)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="sf-redis-") as place:
        server = RedisServer(Path(place))
        server.start()
        yield server
        server.end()


def points_of(store: str) -> list[str]:
    others = [f"{other}_" for other in STORES if other != store]
    return [name for name in POINTS if not name.startswith(tuple(others))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("store", STORES)
async def test_killed_at_every_point(
    tmp_path: Path, store: str, seed: int, redis: RedisServer
) -> None:
    chance = Random(f"{store} {seed}")
    points = points_of(store) * max(1, ROUNDS)
    chance.shuffle(points)
    if store == "redis" and not ROUNDS:
        its_own = [name for name in points if name.startswith("redis_")]
        points = [*its_own, *points[:_SOME]]
    url = f"{redis.url}?lease_ms=1500" if store == "redis" else ""
    async with open_scene(tmp_path, "--allow-failpoints", store=url) as scene:
        await scene.start_worker()
        load = Load(scene)
        async with load.going():
            deaths = Deaths(scene, chance)
            for point in points:
                await deaths.die_at(point)
            await deaths.start()
        found = await load.check()
    assert len(found) == load.ended > 0


class Deaths:
    """Sees the server die, and takes down when."""

    def __init__(self, scene: Scene, chance: Random) -> None:
        self._scene = scene
        self._chance = chance
        self._dead_since_ns = 0

    async def die_at(self, point: str) -> None:
        """See the server die at *point*, in the life that begins now."""
        server = self._scene.server
        nth = 1 if point in _ONCE else self._chance.randint(1, _NTH_MAX)
        await self.start("--failpoint", f"{point}:kill:{nth}")
        if point == "shutdown_drain":
            server.send(signal.SIGTERM)
        while server.is_running:
            self._dead_since_ns = time.time_ns()
            await asyncio.sleep(_LOOK_EVERY_S)
        status = await server.wait()
        assert status == -signal.SIGKILL, f"at {point} it ended with {status}"

    async def start(self, *options: str) -> None:
        """Have a server again, after its death if there was one."""
        server = self._scene.server
        if server.is_running:
            self._dead_since_ns = time.time_ns()
            await server.kill()
        server.more_options = options
        # It may not even get as far as to listen.
        with contextlib.suppress(EndedError):
            await server.start()
        self._scene.outages.append(Outage(self._dead_since_ns, time.time_ns()))


@pytest.mark.parametrize("seed", SEEDS)
async def test_workers_killed_at_every_point(tmp_path: Path, seed: int) -> None:
    chance = Random(f"worker {seed}")
    async with open_scene(tmp_path, *stalling("sqlite", chance)) as scene:
        await scene.start_worker()

        async def harm() -> None:
            await scene.replace(scene.workers[0])

        await harm_at_every_point(scene, "sqlite", harm)


@pytest.mark.parametrize("seed", SEEDS)
async def test_redis_killed_at_every_point(
    tmp_path: Path, redis: RedisServer, seed: int
) -> None:
    chance = Random(f"redis {seed}")
    store = f"{redis.url}?lease_ms=20000"
    options = stalling("redis", chance)
    async with open_scene(tmp_path, *options, store=store) as scene:
        await scene.start_worker()

        async def harm() -> None:
            begin_ns = time.time_ns()
            redis.kill()
            redis.start()
            scene.outages.append(Outage(begin_ns, time.time_ns()))

        await harm_at_every_point(scene, "redis", harm)


def stalling(store: str, chance: Random) -> list[str]:
    """Return the options of a server that stands still for a while at each point."""
    stalls = (
        f"{point}:sleep(100):{chance.randint(2, 20)}" for point in met_by_all(store)
    )
    # An interpreter is made from a log only if it has left the memory.
    evict = ("--idle-evict", "0.01s")
    return ["--allow-failpoints", "--failpoint", ",".join(stalls), *evict]


def met_by_all(store: str) -> list[str]:
    return [point for point in points_of(store) if point not in _ONCE]


async def harm_at_every_point(
    scene: Scene, store: str, harm: Callable[[], Awaitable[None]]
) -> None:
    """Do harm whenever the server stands still at a point, until it did at all."""
    points, met = set(met_by_all(store)), set[str]()

    def news() -> set[str]:
        return points.intersection(_REACHED.findall(scene.server.output)) - met

    load = Load(scene)
    async with load.going():
        while met < points:
            met |= await until(news, f"one of {points - met} is reached")
            await harm()
    await load.check()


async def test_an_append_whose_outcome_is_unknown_is_repeated(tmp_path: Path) -> None:
    """The store says that it does not know, before and after it has written."""
    events = ("start", "call", "return", "yield", "resume", "sleep", "finish")
    points = [f"{when}_{event}" for when in ("before", "after") for event in events]
    async with open_scene(tmp_path, "--allow-failpoints") as scene:
        await scene.server.kill()
        scene.server.more_options = (
            "--failpoint",
            ",".join(f"{point}:error:{n + 2}" for n, point in enumerate(points)),
        )
        await scene.server.start()
        await scene.start_worker()
        load = Load(scene)
        async with load.going():
            await until(lambda: load.ended > 40, "every point was come by")
        await load.check()


async def test_a_server_that_may_not_fail_on_purpose_refuses(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.more_options = ("--failpoint", "before_start:kill")

    assert "--allow-failpoints" in await server.refuse_to_start()
