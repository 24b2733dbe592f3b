"""A run whose store has lost events is parked, and goes on when a person says so."""

import asyncio
from collections.abc import Awaitable

import pytest

from starflow_backends import Append, LostHistoryError, MemoryStore, Phase
from starflow_backends.store import StoredRun
from starflow_service.runtime.errors import LogCorruptedError
from starflow_service.runtime.types import PauseReason
from tests.runtime.harness import NS, Shop, shop, working

KEY = f"{NS}/run"
TWICE = """
def main(ctx, input):
    first = test.echo(ctx, input)
    return test.echo(ctx, first + 1)
"""


class LossyStore(MemoryStore):
    """Loses ends of logs, and keeps the rules of `LostHistoryError`."""

    def __init__(self) -> None:
        super().__init__()
        self.had: dict[str, int] = {}

    def lose(self, run: str, version: int) -> None:
        """Lose what came after *version*."""
        self.had[run] = len(self._runs[run].events)
        if version:
            self.cut(run, version)
        else:
            del self._runs[run]

    def append(self, append: Append) -> Awaitable[None]:
        version = len(self._runs[append.run].events) if append.run in self._runs else 0
        is_park = append.phase is Phase.PAUSED and not append.events and version
        if append.run in self.had and not is_park:
            refused = asyncio.get_running_loop().create_future()
            loss = LostHistoryError(append.run, self.had[append.run], version)
            refused.set_exception(loss)
            return refused
        self.had.pop(append.run, None)
        return super().append(append)

    async def load(self, run: str) -> StoredRun | None:
        found = await super().load(run)
        if run in self.had:
            version = found.version if found else 0
            raise LostHistoryError(run, self.had[run], version)
        return found


async def under_way(here: Shop) -> None:
    """Bring a run to its second call."""
    await here.register("test.echo")
    await here.start(TWICE, 1)
    await here.report(await here.take(), "1")
    await here.take()


async def assert_parked(here: Shop) -> None:
    view = await here.view()
    assert view.pause_reason is PauseReason.LOST_HISTORY
    assert "it had 4, and 2 are left" in view.pause_message


async def test_a_run_that_lost_events_is_parked_until_a_person_decides() -> None:
    """No start tries it, and its calls are not executed once more meanwhile."""
    store = LossyStore()
    async with shop(store) as here:
        await under_way(here)
        assert await here.kinds() == "START CALL RETURN CALL"
    store.lose(KEY, 2)

    for _ in range(2):
        async with shop(store) as here:
            await here.register("test.echo")
            await assert_parked(here)
            assert await here.poll(wait_s=0.05) == []
            assert await here.kinds() == "START CALL"
    async with shop(store) as here, working(here, {"test.echo": lambda x: x}):
        await here.register("test.echo")
        await here.runtime.unpause_run(NS, "run")
        assert (await here.finished()).result == "2"


async def test_a_server_that_has_the_run_learns_of_the_loss() -> None:
    """From the refusal of what it would append; its calls are not open any more."""
    store = LossyStore()
    async with shop(store) as here:
        await here.register("test.echo")
        await here.start(TWICE, 1)
        await here.report(await here.take(), "1")
        task = await here.take()
        store.lose(KEY, 2)

        await here.report(task, "2")

        await assert_parked(here)
        assert await here.kinds() == "START CALL"


async def test_a_run_of_which_nothing_is_left_does_not_begin_again() -> None:
    store = LossyStore()
    async with shop(store) as here:
        await under_way(here)
    store.lose(KEY, 0)

    async with shop(store) as here:
        await here.register("test.echo")
        with pytest.raises(LogCorruptedError, match="had 4 events"):
            await here.view()
        with pytest.raises(LogCorruptedError, match="had 4 events"):
            await here.start(TWICE, 1)
        # Others are not touched by it.
        await here.start(TWICE, 1, run_id="other")
        assert await store.read(KEY) == []
