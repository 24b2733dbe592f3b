"""A damaged queue is said to be damaged, and is whole once it is set again."""

import sqlite3
from dataclasses import replace

import pytest

from starflow_backends import (
    CorruptError,
    MemoryStore,
    PermitRequest,
    QueueLimits,
    QueueRate,
    QueueState,
    SqliteStore,
)
from starflow_backends.store import PERMIT_LASTS_MAX_MS
from tests.support.redis_stores import LoneRedisStore

LIMITS = QueueLimits(2, QueueRate(1, 1_000_000, 3))
ASK = PermitRequest("ns/q", 60_000, wanted=("a", "b", "c"))
HOUR_NS = 3_600 * 10**9


async def is_damaged(store):
    """Check that *store* reports it, and that setting the queue again mends it."""
    with pytest.raises(CorruptError, match="queue ns/q is damaged: set it again"):
        await store.permits(ASK)
    await store.set_queue("ns/other", LIMITS)
    found = await store.queues()
    assert "queue ns/q is damaged" in str(found["ns/q"])
    assert found["ns/other"] == QueueState(LIMITS, 0, 3.0)
    assert await store.set_queue("ns/q", LIMITS)
    # Whatever was given by the wrong limits, nobody was told of it.
    again = replace(ASK, unused=ASK.wanted)
    assert (await store.permits(again)).granted == 2


@pytest.mark.parametrize(
    "change",
    [
        "max = 200",
        "max = NULL",
        "tokens_per = NULL",
        "period_us = 7",
        "burst = 99",
        "tokens = 55.0",
        "at_us = 0",
        "name = 'ns/q' || x'00'",
    ],
)
async def test_a_queue_in_sqlite(store, path, change):
    await store.set_queue("ns/q", LIMITS)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE queue SET {change}")
    if change.startswith("name"):
        # It is not found by its name any more: nobody can tell it from one never set.
        assert (await store.permits(ASK)).state is None
        (found,) = (await store.queues()).values()
        assert isinstance(found, CorruptError)
        return
    await is_damaged(store)


@pytest.mark.parametrize("field", ["max", "tokens_per", "period_us", "burst", "crc"])
async def test_a_queue_in_redis(redis, field):
    store = LoneRedisStore(redis.url)
    await store.open()
    await store.set_queue("ns/q", LIMITS)
    redis.command("HSET", "{sf:main:q:ns/q}:queue", field, "nan")
    await is_damaged(store)
    await store.close()


async def test_a_queue_in_redis_whose_key_is_gone(redis):
    """Its name is still there, so that it does not lose its limits unseen."""
    store = LoneRedisStore(redis.url)
    await store.open()
    await store.set_queue("ns/q", LIMITS)
    redis.command("DEL", "{sf:main:q:ns/q}:queue")
    (found,) = (await store.queues()).values()
    assert str(found) == "queue ns/q is gone: set it again"
    await store.set_queue("ns/q", LIMITS)
    assert (await store.permits(ASK)).granted == 2
    await store.close()


@pytest.mark.parametrize("kind", [MemoryStore, SqliteStore])
async def test_a_clock_that_went_back_makes_nobody_wait(kind, tmp_path):
    """A permit ends at the latest when the longest one would that begins now."""
    now_ns = 10**18

    def clock():
        return now_ns

    where = (tmp_path / "starflow.db",) if kind is SqliteStore else ()
    store = kind(*where, clock=clock)
    await store.open()
    await store.set_queue("ns/q", QueueLimits(1))
    assert (await store.permits(ASK)).granted == 1
    now_ns -= 1_000 * HOUR_NS

    other = PermitRequest("ns/q", 60_000, wanted=("other",))
    assert (await store.permits(other)).granted == 0
    now_ns += PERMIT_LASTS_MAX_MS * 10**6
    assert (await store.permits(other)).granted == 1
    await store.close()


async def test_a_clock_of_redis_that_went_back_makes_nobody_wait(redis):
    store = LoneRedisStore(redis.url)
    await store.open()
    await store.set_queue("ns/q", QueueLimits(1))
    far = str(10**16)
    redis.command("ZADD", "{sf:main:q:ns/q}:permits", far, "dead")

    assert (await store.permits(ASK)).granted == 0

    end = redis.command("ZSCORE", "{sf:main:q:ns/q}:permits", "dead")
    assert float(end) < 10**16
    await store.close()
