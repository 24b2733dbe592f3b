"""What can happen to Redis, with a server on it and runs in flight.

Every case ends; then everything must go on, and nothing may be missing or doubled.
SYSTEM_SEEDS="7 8" plays them at other moments.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from tests.faults.load import Load
from tests.support.processes import until
from tests.support.redis_server import RedisServer, free_port
from tests.system.histories import Outage
from tests.system.scene import open_scene

pytestmark = pytest.mark.system

SEEDS = [int(seed) for seed in os.environ.get("SYSTEM_SEEDS", "1").split()]

Harm = Callable[[RedisServer, Random], AbstractAsyncContextManager[None]]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="sf-redis-") as place:
        server = RedisServer(Path(place), on_tcp=True)
        server.start()
        yield server
        server.end()


@asynccontextmanager
async def restarted(redis: RedisServer, chance: Random) -> AsyncIterator[None]:
    """It is killed, and starts from its append-only file."""
    redis.kill()
    yield
    redis.start()


@asynccontextmanager
async def paused(redis: RedisServer, chance: Random) -> AsyncIterator[None]:
    """It stands still."""
    redis.send(signal.SIGSTOP)
    yield
    redis.send(signal.SIGCONT)


@asynccontextmanager
async def full(redis: RedisServer, chance: Random) -> AsyncIterator[None]:
    """It has no memory left for anything new."""
    redis.command("CONFIG", "SET", "maxmemory", "1mb")
    yield
    redis.command("CONFIG", "SET", "maxmemory", "0")


@asynccontextmanager
async def read_only(redis: RedisServer, chance: Random) -> AsyncIterator[None]:
    """It is a replica, of nobody who answers."""
    redis.command("REPLICAOF", "127.0.0.1", free_port())
    yield
    redis.command("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def script_less(redis: RedisServer, chance: Random) -> AsyncIterator[None]:
    """It forgets all scripts, again and again."""
    for _ in range(5):
        redis.command("SCRIPT", "FLUSH")
        await asyncio.sleep(chance.uniform(0, 0.1))
    yield


@asynccontextmanager
async def hanging_up(redis: RedisServer, chance: Random) -> AsyncIterator[None]:
    """It ends all connections, again and again."""
    for _ in range(5):
        redis.command("CLIENT", "KILL", "TYPE", "normal")
        await asyncio.sleep(chance.uniform(0, 0.2))
    yield


@asynccontextmanager
async def crowded(redis: RedisServer, chance: Random) -> AsyncIterator[None]:
    """It takes no more clients, and has lost those it had."""
    # One connection for all of it: there is no room for another.
    reader, writer = await asyncio.open_connection("127.0.0.1", redis.port)
    writer.write(b"CONFIG SET maxclients 1\r\nCLIENT KILL TYPE normal\r\n")
    assert await reader.readline() == b"+OK\r\n"
    yield
    writer.write(b"CONFIG SET maxclients 1000\r\n")
    await writer.drain()
    assert (await reader.readline()).startswith(b":")
    assert await reader.readline() == b"+OK\r\n"
    writer.close()


HARMS = (restarted, paused, full, read_only, script_less, hanging_up, crowded)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
async def test_nothing_is_lost(
    tmp_path: Path, redis: RedisServer, harm: Harm, seed: int
) -> None:
    chance = Random(f"{harm.__name__} {seed}")
    # A lease that ends in the middle is for `test_takeover`.
    store = f"{redis.url}?lease_ms=20000"
    async with open_scene(tmp_path, store=store) as scene:
        await scene.start_worker()
        load = Load(scene)
        async with load.going():
            await until(lambda: load.ended > 5, "runs go on")
            begin_ns = time.time_ns()
            async with harm(redis, chance):
                await asyncio.sleep(chance.uniform(0.2, 1.0))
            ended = load.ended
            await until(lambda: load.ended > ended + 10, "runs go on afterwards")
            scene.outages.append(Outage(begin_ns, time.time_ns()))
        await load.check()
        assert scene.server.is_running
