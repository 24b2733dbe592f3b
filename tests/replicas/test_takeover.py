"""Servers that share a Redis are killed, frozen and restarted in the middle of work.

Which moments is decided by a seed: SYSTEM_SEEDS="7 8 9" plays others.
"""

import asyncio
import os
import signal
from random import Random

import pytest

from tests.replicas.crew import LEASE_S, Crew, open_crew
from tests.support.processes import until
from tests.system.scene import Scene
from tests.system.test_kills import SCRIPTS, STEP_MS, STEPS, assert_right

pytestmark = pytest.mark.system

RUNS = 60
SEEDS = [int(seed) for seed in os.environ.get("SYSTEM_SEEDS", "1").split()]


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


async def all_right(crew: Crew, harm) -> None:
    """Play all runs while *harm* is done; make sure that each ended right."""
    scene = crew.scene
    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(play(scene, n)) for n in range(RUNS)]
        tasks.create_task(harm)
        results = await asyncio.gather(*runs)
    found = await scene.check(*(f"run-{n}" for n in range(RUNS)))
    for n, (history, result) in enumerate(zip(found, results, strict=True)):
        assert_right(n, history, result)


async def reach(crew: Crew, share: float) -> None:
    """Wait until *share* of the steps was begun or ended."""
    entries = int(RUNS * STEPS * 2 * share)
    await until(lambda: crew.scene.journal.count() >= entries, "steps are done")


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_run_ends_right_when_a_server_is_killed(tmp_path, seed):
    chance = Random(seed)
    async with open_crew(tmp_path, 3) as crew:
        await crew.scene.start_worker()

        async def harm():
            for share in sorted(chance.uniform(0.05, 0.8) for _ in range(3)):
                await reach(crew, share)
                async with crew.killed(chance.randrange(3)):
                    await asyncio.sleep(chance.uniform(0, LEASE_S))

        await all_right(crew, harm())


async def test_a_frozen_owner_writes_nothing_when_it_wakes_and_goes_on(tmp_path):
    async with open_crew(tmp_path, 2) as crew:
        await crew.scene.start_worker()

        async def harm():
            await reach(crew, 0.3)
            async with crew.frozen(1):
                await crew.until_balanced(1)
            await crew.until_balanced(2)

        await all_right(crew, harm())
        assert crew.servers[1].is_running


async def test_a_rolling_restart_is_seen_by_nobody(tmp_path):
    async with open_crew(tmp_path, 3) as crew:
        await crew.scene.start_worker()

        async def harm():
            for number in range(3):
                await reach(crew, 0.1 + 0.2 * number)
                assert await crew.restart(number) == 0

        await all_right(crew, harm())
        assert "Traceback" not in crew.scene.stage.last_words()


async def test_the_last_server_may_end_and_the_next_one_goes_on(tmp_path):
    async with open_crew(tmp_path, 2) as crew:
        await crew.scene.start_worker()

        async def harm():
            await reach(crew, 0.3)
            for server in crew.servers:
                server.send(signal.SIGTERM)
            for server in crew.servers:
                assert await server.wait() == 0
            for server in crew.servers:
                await server.start()

        await all_right(crew, harm())
