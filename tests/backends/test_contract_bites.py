"""The contract suite notices stores that break their promises."""

import asyncio
import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from starflow_backends import MemoryStore, Phase, QueueLimits
from starflow_backends.testing import StoreContract


class Forgetful(MemoryStore):
    """Takes every append for a new one."""

    def append(self, append):
        self._runs.get(append.run, self).append_id = None
        return super().append(append)


class Careless(MemoryStore):
    """Appends at whatever version the run is."""

    def append(self, append):
        run = self._runs.get(append.run)
        return super().append(
            replace(append, expected_version=len(run.events) if run else 0)
        )


class OnlyBackward(MemoryStore):
    """Sees that it is behind, but not that it is ahead."""

    def append(self, append):
        run = self._runs.get(append.run)
        ahead = run and append.expected_version > len(run.events)
        return super().append(
            replace(append, expected_version=len(run.events)) if ahead else append
        )


class Torn(MemoryStore):
    """Changes timers before it looks at the version."""

    def append(self, append):
        if append.run in self._runs:
            for name, due in append.timers.items():
                self._set_timer(append.run, self._runs[append.run], name, due)
        return super().append(append)


class Hasty(MemoryStore):
    """Calls timers due that are not."""

    async def timers_due(self, *, limit=1000):
        clock, self._clock = self._clock, lambda: 1 << 62
        found = await super().timers_due(limit=limit)
        self._clock = clock
        return replace(found, now_ns=clock())


class Blind(MemoryStore):
    """Forgets what comes after the timers that it returns."""

    async def timers_due(self, *, limit=1000):
        return replace(await super().timers_due(limit=limit), next_due_ns=None)


class Unordered(MemoryStore):
    """Returns runs as they come."""

    async def runs_in(self, phases, *, after="", limit=1000, partitions=None):
        found = [run for run, found in self._runs.items() if found.phase in phases]
        return [run for run in found if run > after][:limit]


class Stale(MemoryStore):
    """Lets others hold what it goes on changing."""

    async def load(self, run):
        found = await super().load(run)
        return found and replace(found, timers=self._runs[run].timers)


class Overwriting(MemoryStore):
    """Replaces records that it was asked to keep."""

    async def put_record(self, space, key, value, *, replace=True):
        return await super().put_record(space, key, value)


class Thorough(MemoryStore):
    """Clears more than the index."""

    async def clear_index(self):
        await super().clear_index()
        for run in self._runs.values():
            run.append_id = None


class Unfinished(MemoryStore):
    """Does not look at finished runs when it clears the index."""

    async def clear_index(self):
        phases = {key: run.phase for key, run in self._runs.items()}
        await super().clear_index()
        for key, phase in phases.items():
            if phase is Phase.FINISHED:
                self._runs[key].phase = phase


class Grouping(MemoryStore):
    """One conflict fails all that come after it."""

    failed: BaseException | None = None

    def append(self, append):
        future = super().append(append)
        if self.failed:
            future.exception()
            future = asyncio.get_running_loop().create_future()
            future.set_exception(self.failed)
        self.failed = future.exception()
        return future


class Padding(MemoryStore):
    """Loses empty events."""

    def append(self, append):
        return super().append(
            replace(append, events=[event or b"\0" for event in append.events])
        )


class Generous(MemoryStore):
    """Gives permits beyond the limit."""

    async def permits(self, request):
        kept = (*request.kept, *request.wanted)
        answer = await super().permits(replace(request, kept=kept))
        return replace(answer, granted=len(request.wanted))


class Thrifty(MemoryStore):
    """Gives no token back."""

    async def permits(self, request):
        ended = (*request.ended, *request.unused)
        return await super().permits(replace(request, ended=ended, unused=()))


class Greedy(MemoryStore):
    """Takes back what is beyond the limit."""

    async def permits(self, request):
        return await super().permits(
            replace(request, kept=(), wanted=(*request.kept, *request.wanted))
        )


class Refilling(MemoryStore):
    """Fills the bucket whenever limits are set."""

    async def set_queue(self, name, limits):
        before = (await self.queues()).get(name)
        if before and limits:
            await super().set_queue(name, QueueLimits())
        return await super().set_queue(name, limits)


FAULTY = [
    Forgetful, Careless, OnlyBackward, Torn, Hasty, Blind, Unordered, Stale,
    Overwriting, Thorough, Unfinished, Grouping, Padding,
    Generous, Thrifty, Greedy, Refilling,
]  # fmt: skip


async def failures(store_type: type[MemoryStore]) -> list[str]:
    """The tests of the contract that *store_type* does not pass."""
    contract = StoreContract()
    failed = []
    for name, test in inspect.getmembers(contract, inspect.iscoroutinefunction):
        if not name.startswith("test_"):
            continue
        store = store_type()
        is_about_versions = "expected_version" in inspect.signature(test).parameters
        try:
            await test(store, **({"expected_version": 3} if is_about_versions else {}))
        except (Exception, pytest.fail.Exception):
            failed.append(name)
    return failed


@pytest.mark.parametrize("store_type", FAULTY, ids=lambda each: each.__name__)
async def test_a_fault_is_noticed(store_type):
    assert await failures(store_type)


async def test_a_store_without_faults_passes():
    assert await failures(MemoryStore) == []


def test_a_store_has_to_be_given():
    with pytest.raises(NotImplementedError):
        StoreContract().new_store(Path())
