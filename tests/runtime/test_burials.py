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
    most = 0
    slices = 0
    async with shop(idle_evict_s=0.2) as s:
        runs = s.runtime._runs
        wait = runs._line.wait

        async def counted(used_ns):
            nonlocal slices, most
            if runs._burials.under_way:
                slices += 1
                most = max(most, runs._burials.under_way)
            await wait(used_ns)

        monkeypatch.setattr(runs._line, "wait", counted)
        await s.start(LARGE)

        await leave(s)
        await until(lambda: most and not runs._burials.under_way)

        # A thousand values at a time.
        assert (most, slices > 100) == (1, True)


async def test_a_server_that_ends_waits_for_none():
    async with shop() as s:
        await s.start(LARGE)
        runs = s.runtime._runs
    assert runs._burials.under_way == 0
