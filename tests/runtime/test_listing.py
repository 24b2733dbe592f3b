"""Lists follow what runs do, can be made again from the logs, and end in time."""

import asyncio

import pytest

from starflow_backends import MemoryStore, Phase, Query
from starflow_service.runtime import entries
from starflow_service.runtime.clock import MovableClock
from starflow_service.runtime.errors import RunDeletedError, RunNotFoundError
from starflow_service.runtime.listing import RunFilter
from starflow_service.runtime.retention_rules import Rule
from starflow_service.runtime.types import RunState, StartRequest
from tests.runtime.harness import ECHO, NS, shop, until, working

CONSTANT = "def main(ctx, input):\n    return input\n"
FAILING = "def main(ctx, input):\n    fail('no')\n"
WAITING = (
    "load('flow', 'flow')\n"
    "def main(ctx, input):\n"
    "    flow.wait_signal(ctx, 'go')\n"
    "    return test.echo(ctx, input)\n"
)
HOUR_NS = 3_600 * 10**9


async def begin(shop, script, run_id, **labels):
    return await shop.runtime.start_run(
        StartRequest(
            NS, run_id, script, "", "null", allow_unregistered=True, labels=labels
        )
    )


async def listed(shop, **wanted):
    runs, token = await shop.runtime.listing.page(NS, RunFilter(**wanted), 100, "")
    assert not token
    return {run.run_id: run.listed for run in runs}


async def states(shop):
    return {run_id: each.state for run_id, each in (await listed(shop)).items()}


async def test_lists_are_made_again_from_the_logs():
    """Whatever the index said of runs: their logs say it again."""
    store = MemoryStore()
    async with shop(store) as first, working(first, {"test.echo": lambda x: x}):
        await begin(first, CONSTANT, "done", team="a")
        await begin(first, FAILING, "failed")
        await begin(first, WAITING, "waiting", team="a")
        await begin(first, ECHO, "echoed")
        for run_id in ("done", "failed", "echoed"):
            await first.finished(run_id)
        await until(lambda: _is(first, "waiting", RunState.YIELDED))
        before = await listed(first)
    await store.clear_index()

    async with shop(store) as second:
        assert await listed(second) == before
        assert set(await listed(second, labels={"team": "a"})) == {"done", "waiting"}
        assert set(await listed(second, states=[RunState.FAILED])) == {"failed"}


async def _is(shop, run_id, state):
    return (await states(shop))[run_id] is state


async def test_a_step_that_changes_nothing_to_be_seen_writes_no_entry():
    """Ten steps in a row are one state: the index must not pay for each."""
    store = CountingStore()
    script = (
        "def main(ctx, input):\n    for i in range(10):\n        test.echo(ctx, i)\n"
    )
    async with shop(store) as here, working(here, {"test.echo": lambda x: x}):
        await begin(here, script, "run")
        await here.finished()

    assert store.appends >= 11
    assert store.entries == 2


class CountingStore(MemoryStore):
    """A store that counts."""

    appends = entries = 0

    def append(self, append):
        self.appends += 1
        self.entries += append.entry is not None
        return super().append(append)


async def test_runs_are_deleted_when_their_time_is_over():
    clock = MovableClock(10**18)
    store = MemoryStore(clock=clock.now_ns)
    rules = (Rule(7_200.0), Rule(None, state=RunState.FAILED))
    async with shop(store, clock=clock, retention=rules) as here:
        await begin(here, CONSTANT, "old")
        await begin(here, FAILING, "failed")
        await begin(here, WAITING, "waiting")
        clock.move_to(10**18 + HOUR_NS)
        await begin(here, CONSTANT, "young")

        clock.move_to(10**18 + 2 * HOUR_NS)
        assert await here.runtime.retention.sweep() == 0
        clock.move_to(10**18 + 2 * HOUR_NS + 1)
        assert await here.runtime.retention.sweep() == 1

        assert set(await states(here)) == {"failed", "waiting", "young"}
        with pytest.raises(RunNotFoundError):
            await here.view("old")
        with pytest.raises(RunDeletedError):
            await begin(here, CONSTANT, "old")
        clock.move_to(10**18 + 30 * HOUR_NS)
        assert await here.runtime.retention.sweep() == 1
        assert set(await states(here)) == {"failed", "waiting"}


async def test_a_server_looks_for_them_by_itself():
    """More than a page of them, in two namespaces, found by a server that starts."""
    clock = MovableClock(10**18)
    store = MemoryStore(clock=clock.now_ns)
    async with shop(store, clock=clock) as here:
        for n in range(130):
            await begin(here, CONSTANT, f"r{n}")
        request = StartRequest("other", "r", CONSTANT, "", "null")
        await here.runtime.start_run(request)
        await until(lambda: _are_finished(store, 131))
    clock.move_to(10**18 + HOUR_NS)

    async with shop(store, clock=clock, retention=(Rule(1.0),)) as here:
        await until(lambda: _are_finished(store, 0))
        assert await states(here) == {}


async def _are_finished(store, count):
    return len(await store.runs_in([Phase.FINISHED])) == count


async def test_who_follows_a_run_that_is_deleted_is_told():
    async with shop() as here:
        await begin(here, CONSTANT, "run")
        await here.finished()
        async with here.runtime.watch(NS, "run") as watch:
            waiting = asyncio.create_task(watch.wait(20))
            await asyncio.sleep(0)
            await here.runtime.delete_run(NS, "run")
            assert await waiting
            with pytest.raises(RunNotFoundError):
                await here.view()


async def test_a_damaged_entry_hides_no_other_run():
    store = MemoryStore()
    async with shop(store) as here:
        await begin(here, CONSTANT, "good")
        await begin(here, CONSTANT, "bad")
        await here.finished("good")
        await here.finished("bad")
        run = store._runs[f"{NS}/bad"]
        run.entry = type(run.entry)(run.entry.terms, b"")

        runs = await listed(here)

        assert runs["good"].state is RunState.SUCCEEDED
        assert runs["bad"].pause_reason is not None


async def test_terms_of_ended_runs_have_the_time_of_their_end():
    clock = MovableClock(10**18)
    store = MemoryStore(clock=clock.now_ns)
    async with shop(store, clock=clock) as here:
        await begin(here, WAITING, "run")
        clock.move_to(10**18 + HOUR_NS)
        await here.runtime.terminate_run(NS, "run", "")

    term = entries.ended_term(NS, RunState.CANCELLED)
    (found,) = (await store.find(Query([[term]]))).found
    assert found.time_ns == 10**18 + HOUR_NS
