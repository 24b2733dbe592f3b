"""A run that broke a limit goes on when a server with a higher one starts."""

from pathlib import Path

import pytest

import starflow
from tests.support.processes import Server, Stage

pytestmark = pytest.mark.system

COMPUTES = """
def main(ctx, input):
    total = 0
    for i in range(100000):
        total += i
    return total
"""


async def test_a_raised_limit_lets_the_run_go_on(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        server = stage.add(Server(tmp_path, "--max-steps=5000"))
        await server.start()
        async with starflow.Client(server.address) as client:
            assert (await client.server_info()).limits.by_name["max_steps"] == 5000
            run = await client.start(COMPUTES, run_id="run")
            with pytest.raises(starflow.RunPaused) as paused:
                await run.result()
            assert paused.value.reason == "LIMIT"
            assert paused.value.message.startswith("max_steps: script took more than")
            assert "script.star:4:5: in main" in paused.value.message
            await server.terminate()
            higher = stage.add(Server(tmp_path))
            await higher.start()
        async with starflow.Client(higher.address) as client:
            assert await client.run("run").result() == sum(range(100_000))
