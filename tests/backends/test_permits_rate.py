"""Tokens come exactly as the rate says, by a clock that the test moves."""

import pytest

from starflow_backends import (
    MemoryStore,
    PermitRequest,
    QueueLimits,
    QueueRate,
    SqliteStore,
)

MS = 1_000_000
# One in a tenth of a second, and three at most.
LIMITS = QueueLimits(rate=QueueRate(10, 1_000_000, 3))


class Tokens:
    """A queue with a rate, and the time."""

    def __init__(self, kind, place):
        self.now_ns = 10**18
        where = (place / "starflow.db",) if kind is SqliteStore else ()
        self.store = kind(*where, clock=lambda: self.now_ns)
        self._holders = 0

    async def take(self, wanted):
        holders = [f"h{self._holders + n}" for n in range(wanted)]
        self._holders += wanted
        return (
            await self.store.permits(PermitRequest("ns/q", 1, wanted=holders))
        ).granted

    async def left(self):
        return (await self.store.queues())["ns/q"].tokens


@pytest.fixture(params=[MemoryStore, SqliteStore])
async def tokens(request, tmp_path):
    tokens = Tokens(request.param, tmp_path)
    await tokens.store.open()
    await tokens.store.set_queue("ns/q", LIMITS)
    yield tokens
    await tokens.store.close()


async def test_they_come_one_by_one(tokens):
    assert await tokens.take(9) == 3
    for _ in range(5):
        tokens.now_ns += 99 * MS
        assert await tokens.take(9) == 0
        tokens.now_ns += 1 * MS
        assert await tokens.take(9) == 1


async def test_parts_of_one_are_kept(tokens):
    await tokens.take(3)
    tokens.now_ns += 250 * MS
    assert await tokens.take(9) == 2
    assert await tokens.left() == pytest.approx(0.5)
    # To look, and to ask in vain, takes nothing away.
    for _ in range(50):
        tokens.now_ns += 1 * MS - 1
        assert await tokens.take(1) == 0
    tokens.now_ns += 1 * MS
    assert await tokens.take(9) == 1


async def test_no_more_are_kept_than_the_burst(tokens):
    tokens.now_ns += 3_600_000 * MS
    assert await tokens.left() == 3
    assert await tokens.take(9) == 3


async def test_a_clock_that_goes_back_brings_none_and_takes_none(tokens):
    await tokens.take(2)
    tokens.now_ns -= 3_600_000 * MS
    assert await tokens.take(9) == 1
    assert await tokens.take(9) == 0
    tokens.now_ns += 100 * MS
    assert await tokens.take(9) == 1


async def test_another_rate_holds_from_when_it_is_set(tokens):
    await tokens.take(3)
    tokens.now_ns += 100 * MS
    # What has come by the old rate is kept.
    await tokens.store.set_queue("ns/q", QueueLimits(rate=QueueRate(1, 1_000_000, 5)))
    tokens.now_ns += 500 * MS
    assert await tokens.take(9) == 1
    tokens.now_ns += 500 * MS
    assert await tokens.take(9) == 1
    tokens.now_ns += 900 * MS
    assert await tokens.take(9) == 0
