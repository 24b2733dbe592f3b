"""What a run held goes little by little, however it leaves the memory."""

import pytest

from starflow_service.engine.events import Failure
from tests.runtime.harness import NS, shop, until

# Some ten thousand values, held while it waits.
LARGE = """
def main(ctx, input):
    kept = [[n] for n in range(90000)]
    test.echo(ctx, len(kept))
    return len(kept)
"""


async def terminated(s):
    await s.runtime.terminate_run(NS, "run", "")


async def evicted(s):
    await until(lambda: s.runtime.live_runs == 0)


async def failed(s):
    await s.report(await s.take(), Failure("NO", "no"))
    await s.finished()


async def finished(s):
    await s.report(await s.take(), "1")
    await s.finished()


@pytest.mark.parametrize("leave", [terminated, evicted, failed, finished])
async def test_it_is_buried(leave, monkeypatch):
    """How many slices that takes is for whoever else holds a part of it."""
    buried = []
    async with shop(idle_evict_s=0.2) as s:
        runs = s.runtime._runs
        give_back = runs._line.give_back

        async def watched(remains):
            buried.append(remains)
            await give_back(remains)

        monkeypatch.setattr(runs._line, "give_back", watched)
        await s.start(LARGE)

        await leave(s)
        await until(lambda: buried and not runs._burials.under_way)

        (remains,) = buried
        assert not remains.give_back(1)


async def test_a_server_that_ends_waits_for_none():
    async with shop() as s:
        await s.start(LARGE)
        runs = s.runtime._runs
    assert runs._burials.under_way == 0
