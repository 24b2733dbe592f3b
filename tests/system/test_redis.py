"""The service on Redis: servers and Redis are killed with -9 in the middle of work.

Which moments is decided by a seed: SYSTEM_SEEDS="7 8 9" plays others.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from pathlib import Path
from random import Random

import pytest

from starflow_backends.redis import RedisStore
from starflow_backends.redis_wire import slot_of
from tests.support.processes import Server, until, until_async
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_past import Past
from tests.support.redis_server import RedisServer, free_port
from tests.system.histories import Outage
from tests.system.scene import Scene, open_scene
from tests.system.test_kills import SCRIPTS, STEP_MS, STEPS, assert_right

pytestmark = pytest.mark.system

RUNS = 60
KILLS = 3
SEEDS = [int(seed) for seed in os.environ.get("SYSTEM_SEEDS", "1").split()]


@pytest.fixture
def redis():
    """A Redis of the test's own."""
    # Not in `tmp_path`: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="sf-redis-") as place:
        server = RedisServer(Path(place))
        server.start()
        yield server
        server.end()


def store_in(redis: RedisServer) -> str:
    # A server that is frozen loses the store after this.
    return f"{redis.url}?lease_ms=1500"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("victim", ["server", "redis", "either"])
async def test_every_run_ends_right_whatever_is_killed(tmp_path, redis, victim, seed):
    chance = Random(f"{victim} {seed}")
    async with open_scene(tmp_path, store=store_in(redis)) as scene:
        await scene.start_worker()
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(play(scene, n)) for n in range(RUNS)]
            await harm(scene, redis, victim, chance)
            results = await asyncio.gather(*runs)
        found = await scene.check(*(f"run-{n}" for n in range(RUNS)))
        for n, (history, result) in enumerate(zip(found, results, strict=True)):
            assert_right(n, history, result)


async def play(scene: Scene, n: int) -> object:
    """Run one of the scripts, follow its log, and return its result."""
    script, _ = SCRIPTS[n % len(SCRIPTS)]
    run = await scene.client.start(
        script, run_id=f"run-{n}", input={"start": n, "ms": STEP_MS}
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scene.reader(run.id).follow())
        result = tasks.create_task(run.result())
    return result.result()


async def harm(scene: Scene, redis: RedisServer, victim: str, chance: Random) -> None:
    """Kill the victim at some moments between the first step and the last."""
    entries = RUNS * STEPS * 2
    for moment in sorted(chance.sample(range(entries // 50, entries * 9 // 10), KILLS)):
        await until(lambda at=moment: scene.journal.count() >= at, "steps are done")
        if victim == "server" or (victim == "either" and chance.random() < 0.5):
            async with scene.server_killed():
                await asyncio.sleep(chance.uniform(0, 0.1))
        else:
            async with redis_killed(scene, redis):
                await asyncio.sleep(chance.uniform(0, 0.5))


@contextlib.asynccontextmanager
async def redis_killed(scene: Scene, redis: RedisServer):
    """Kill Redis with -9; have it back after the block."""
    begin_ns = time.time_ns()
    redis.kill()
    yield
    redis.start()
    scene.outages.append(Outage(begin_ns, time.time_ns()))


async def test_every_run_ends_right_in_a_cluster(tmp_path):
    """While a server is killed, and a slot moves from one node to another."""
    cluster = RedisCluster()
    with contextlib.closing(cluster):
        cluster.start()
        store = f"{cluster.url}?lease_ms=1500"
        async with open_scene(tmp_path, store=store) as scene:
            await scene.start_worker()
            async with asyncio.TaskGroup() as tasks:
                runs = [tasks.create_task(play(scene, n)) for n in range(RUNS)]
                await until(lambda: scene.journal.count() >= RUNS, "steps are done")
                async with scene.server_killed():
                    pass
                await until(lambda: scene.journal.count() >= RUNS * 3, "and more")
                await asyncio.to_thread(move_a_partition, cluster)
                results = await asyncio.gather(*runs)
            found = await scene.check(*(f"run-{n}" for n in range(RUNS)))
            for n, (history, result) in enumerate(zip(found, results, strict=True)):
                assert_right(n, history, result)


def move_a_partition(cluster: RedisCluster) -> None:
    slot = slot_of(f"{tag_of('default/run-1')}:partition".encode())
    source = cluster.primary_of(slot)
    target = next(node for node in cluster.primaries if node is not source)
    cluster.move_slot(slot, target)
    # What was begun meanwhile has made more keys.
    cluster.end_move(slot, source, target)


async def test_a_server_ends_when_redis_lost_what_it_acknowledged(tmp_path, redis):
    async with open_scene(tmp_path, store=store_in(redis)) as scene:
        await scene.start_worker()
        redis.command("FLUSHALL")

        assert await scene.server.wait() == 1
        assert "has lost the store" in scene.server.output


async def test_of_a_redis_that_went_back_the_runs_that_lost_events_wait(
    tmp_path, redis
):
    """Nobody continues them; the others end, and so do they when a person says so."""
    hold = "def main(ctx, input):\n    return step.hold(ctx, input)\n"
    async with open_scene(tmp_path, store=store_in(redis)) as scene:
        await scene.start_worker()
        kept, lost = [
            await scene.client.start(hold, run_id=run_id, input={"gate": run_id})
            for run_id in ("kept", "lost")
        ]
        await until(lambda: scene.journal.count() >= 2, "both calls are begun")
        past = Past(redis)
        scene.open_gate("lost")
        await lost.result()

        past.come_back()
        scene.open_gate("kept")

        assert await kept.result() is not None
        view = await until_view(scene, lost.id, lambda v: v.pause_reason)
        assert view.pause_reason == "LOST_HISTORY"
        assert "2 are left" in view.pause_message
        await scene.client.unpause(lost.id)
        assert await lost.result() is not None


async def until_view(scene: Scene, run_id: str, holds):
    """Wait until a run is as wanted; return it."""
    views = []

    async def is_so():
        views.append(await scene.client.get(run_id))
        return holds(views[-1])

    await until_async(is_so, "the run is as wanted")
    return views[-1]


async def test_a_weaker_redis_is_used_only_if_that_is_said(tmp_path, redis):
    redis.command("CONFIG", "SET", "appendfsync", "everysec")
    server = Server(tmp_path, store=store_in(redis))
    assert "CONFIG SET appendfsync always" in await server.refuse_to_start()

    async with open_scene(
        tmp_path, "--durability", "process", store=store_in(redis)
    ) as scene:
        assert "store.weak_durability" in scene.server.output
        assert (await scene.client.server_info()).durability == "PROCESS"


async def test_no_password_is_told(tmp_path, redis):
    server = Server(tmp_path, store=f"redis://:s3cret@127.0.0.1:{free_port()}")

    refusal = await server.refuse_to_start()

    assert "cannot be reached" in refusal
    assert "s3cret" not in refusal


async def test_a_log_that_was_changed_by_hand_parks_its_run_alone(tmp_path, redis):
    async with open_scene(tmp_path, store=store_in(redis)) as scene:
        await scene.start_worker()
        whole, broken = [
            await scene.client.start(
                "def main(ctx, input):\n    return step.hold(ctx, input)\n",
                run_id=run_id,
                input={"gate": "go"},
            )
            for run_id in ("whole", "broken")
        ]
        await until(lambda: scene.journal.count() >= 2, "both calls are executed")
        await scene.server.kill()
        redis.command("XDEL", f"{tag_of('default/broken')}:log:default/broken", "0-1")
        await scene.server.start()
        scene.open_gate("go")

        assert await whole.result() is not None
        assert (await scene.client.get(broken.id)).pause_reason == "LOG_CORRUPT"


def tag_of(run: str) -> str:
    keys = RedisStore("redis://host")._link.keys
    return f"{{sf:main:{keys.number_of(run.encode())}}}"
