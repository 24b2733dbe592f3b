"""Bad weather between client, worker, server and Redis, with runs in flight.

SYSTEM_SEEDS="7 8" plays other weathers; ROUNDS=20 more of them.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.faults.load import Load
from tests.support.processes import until
from tests.support.proxy import DOWN, UP, Proxy, Weather
from tests.support.redis_server import RedisServer
from tests.system.histories import Outage
from tests.system.scene import Scene, open_scene

pytestmark = pytest.mark.system

ROUNDS = int(os.environ.get("ROUNDS", "1"))
SEEDS = [int(seed) for seed in os.environ.get("SYSTEM_SEEDS", "1").split()]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="sf-redis-") as place:
        server = RedisServer(Path(place), on_tcp=True)
        server.start()
        yield server
        server.end()


def weathers(chance: Random) -> list[Weather]:
    """Return one of each kind, in an order of chance."""
    way = chance.choice((UP, DOWN))
    found = [
        Weather(delay_s=chance.uniform(0.005, 0.05)),
        Weather(stalled={UP, DOWN}),
        Weather(stalled={way}),
        # Requests are carried out, and nobody learns it.
        Weather(lost={DOWN}),
        Weather(lost={UP}),
        Weather(lost={UP, DOWN}),
        Weather(bytes_left=chance.randint(1, 3_000)),
        Weather(is_refusing=True),
    ]
    chance.shuffle(found)
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_bad_weather_between_server_and_redis(
    tmp_path: Path, redis: RedisServer, seed: int
) -> None:
    chance = Random(f"redis {seed}")
    async with Proxy(lambda: ("127.0.0.1", redis.port)) as proxy:
        store = f"redis://{proxy.address}?lease_ms=20000"
        async with open_scene(tmp_path, store=store) as scene:
            await scene.start_worker()
            await brave(scene, proxy, chance)


@pytest.mark.parametrize("seed", SEEDS)
async def test_bad_weather_before_the_server(tmp_path: Path, seed: int) -> None:
    chance = Random(f"front {seed}")

    def server() -> tuple[str, int]:
        host, _, port = scene.server.address.rpartition(":")
        return host, int(port)

    async with (
        Proxy(server) as proxy,
        open_scene(tmp_path, front=lambda: proxy.address) as scene,
    ):
        await scene.start_worker()
        await brave(scene, proxy, chance)


async def brave(scene: Scene, proxy: Proxy, chance: Random) -> None:
    """Keep runs in flight through all kinds of weather, and check what they became."""
    load = Load(scene)
    async with load.going():
        for weather in weathers(chance) * ROUNDS:
            begin_ns = time.time_ns()
            async with proxy.bad(weather):
                await asyncio.sleep(chance.uniform(0.1, 0.6))
                if weather.bytes_left is not None or weather.is_refusing:
                    proxy.cut()
            ended = load.ended
            await until(lambda ended=ended: load.ended > ended + 3, "runs go on")
            scene.outages.append(Outage(begin_ns, time.time_ns()))
    await load.check()
    assert proxy.connections > 3
