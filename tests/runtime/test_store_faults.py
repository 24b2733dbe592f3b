"""What the runtime does when the store fails: nothing is lost, nothing is made up."""

from collections.abc import Awaitable

import pytest

from starflow_backends import FullError, MemoryStore, StoreError, UnavailableError
from starflow_backends.store import Append
from starflow_service.runtime.errors import StoreDownError
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.types import CompletionStatus
from tests.runtime.harness import shop, working

APPLIED = CompletionStatus.APPLIED


class FaultyStore(MemoryStore):
    """A store whose next appends fail: before they took effect, or after."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[StoreError] = []
        self.after: list[StoreError] = []
        self.reads: list[StoreError] = []
        # What the appends after the first of `after` meet.
        self.then_before: list[StoreError] = []

    async def read(
        self, run: str, *, from_version: int = 1, limit: int | None = None
    ) -> list[bytes]:
        if self.reads:
            raise self.reads.pop(0)
        return await super().read(run, from_version=from_version, limit=limit)

    def append(self, append: Append) -> Awaitable[None]:
        return self._append_or_fail(append)

    async def _append_or_fail(self, append: Append) -> None:
        if self.before:
            raise self.before.pop(0)
        await super().append(append)
        if self.after:
            self.before += self.then_before
            raise self.after.pop(0)


@pytest.fixture
async def store():
    store = FaultyStore()
    await store.open()
    return store


DOWN = UnavailableError("no answer")
FULL = FullError("the disk is full")


async def test_an_append_whose_answer_was_lost_is_repeated_and_counts_once(store):
    async with shop(store) as s:
        await s.start()
        task = await s.take()
        store.after = [DOWN, DOWN]
        assert await s.report(task, "1") is APPLIED
        assert await s.kinds() == "START CALL RETURN FINISH"


@pytest.mark.parametrize("faults", [[DOWN] * 4, [FULL]])
async def test_a_report_that_could_not_be_stored_may_be_sent_again(store, faults):
    async with shop(store) as s:
        await s.start()
        task = await s.take()
        store.before = list(faults)
        with pytest.raises(StoreDownError):
            await s.report(task, "1")
        assert await s.kinds() == "START CALL"
        assert await s.report(task, "1") is APPLIED
        assert (await s.finished()).result == "1"


async def test_a_start_that_could_not_be_stored_leaves_nothing(store):
    async with shop(store) as s:
        store.before = [FULL]
        with pytest.raises(StoreDownError, match="full"):
            await s.start()
        assert await s.poll(wait_s=0) == []
        _, created = await s.start()
        assert created


async def test_a_start_whose_fate_is_unknown_goes_on_when_the_store_is_back(store):
    """All four tries were written or not; the client was told to try again."""
    async with shop(store) as s, working(s, {"test.echo": lambda req: req}):
        store.after = [DOWN]
        store.then_before = [DOWN] * 3
        with pytest.raises(StoreDownError):
            await s.start(payload=3)
        assert (await s.finished()).result == "3"


async def test_no_store_error_ever_becomes_an_event(store):
    async with shop(store) as s:
        for n in range(20):
            await s.start(run_id=f"r{n}")
        for n in range(20):
            task = await s.take()
            if n % 3 == 0:
                store.before = [FULL]
            while True:
                try:
                    await s.report(task, "1")
                except StoreDownError:
                    continue
                break
        for n in range(20):
            assert await s.kinds(f"r{n}") == "START CALL RETURN FINISH"


TWO_CALLS = """
def main(ctx, input):
    test.echo(ctx, 1)
    return test.echo(ctx, 2)
"""


async def test_a_result_that_was_stored_after_all_is_not_asked_for_again(store):
    async with shop(store, lease_s=0.3) as s:
        await s.start(TWO_CALLS)
        first = await s.take()
        store.after, store.then_before = [DOWN], [DOWN] * 3
        with pytest.raises(StoreDownError):
            await s.report(first, "1")
        # The worker sends it again, before the run is recovered and after.
        assert await s.report(first, "1") is APPLIED
        second = await s.take()
        assert second.input == "2"
        assert await s.report(first, "1") is APPLIED
        await s.report(second, "2")
        await s.finished()
        assert await s.poll(wait_s=0.5) == []


async def test_a_call_that_ended_in_the_log_is_not_offered_to_another_worker(store):
    """Nobody sends the result again: the log alone says that the call has ended."""
    async with shop(store, lease_s=1.5) as s:
        await s.start(TWO_CALLS)
        store.after, store.then_before = [DOWN], [DOWN] * 3
        with pytest.raises(StoreDownError):
            await s.report(await s.take(), "1")
        tasks = await s.poll(worker="b", tasks=2)
        tasks += await s.poll(worker="b", tasks=2, wait_s=2.0)
        assert {task.input for task in tasks} == {"2"}


async def test_a_report_on_an_ended_call_waits_for_the_store(store):
    async with shop(store) as s:
        await s.start()
        task = await s.take()
        await s.report(task, "1")
        store.reads = [DOWN]
        with pytest.raises(StoreDownError):
            await s.report(task, "1")
        assert await s.report(task, "1") is APPLIED


async def test_a_defect_in_forgetting_a_run_leaves_nobody_waiting(store, monkeypatch):
    """Whoever reported is answered, and the run goes on from its log."""

    def forget_log(run: LiveRun) -> None:
        monkeypatch.undo()
        run.forget_log()
        raise AssertionError("a defect")

    async with shop(store) as s:
        await s.start()
        task = await s.take()
        store.before = [FULL]
        monkeypatch.setattr(LiveRun, "forget_log", forget_log)
        with pytest.raises(StoreDownError):
            await s.report(task, "1")
        assert await s.report(task, "1") is APPLIED
        assert (await s.finished()).result == "1"
