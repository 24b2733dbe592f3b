"""Lists of runs that are in several partitions come in one order, whatever is where."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from starflow_backends import Append, Entry, Query
from tests.support.redis_stores import LoneRedisStore

PARTITIONS = 4
RUNS = 400


@pytest.fixture
async def store(shared_redis):
    """The newest runs are all in one partition, and the oldest in another."""
    prefix = uuid4().hex
    store = LoneRedisStore(
        f"{shared_redis.url}?prefix={prefix}&partitions={PARTITIONS}"
    )
    await store.open()
    given, n = [], 0
    for time_ns in range(RUNS):
        wanted = time_ns * PARTITIONS // RUNS
        while store.partition_of(f"ns/{n:05}") != wanted:
            n += 1
        entry = Entry({1: time_ns, 2 + time_ns % 2: time_ns}, b"")
        given.append(store.append(Append(f"ns/{n:05}", 0, "id", [b"e"], entry=entry)))
        n += 1
    await asyncio.gather(*given)
    yield store
    await store.close()


async def times_of(store, query):
    """The times of all that is found, page by page."""
    times = []
    while True:
        page = await store.find(query)
        times += [found.time_ns for found in page.found]
        if page.last is None:
            return times
        query = replace(query, after=page.last)


@pytest.mark.parametrize("limit", [1, 10, 77, 1_000])
@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        ([[1]], range(RUNS)),
        ([[2, 3]], range(RUNS)),
        ([[1], [3]], range(1, RUNS, 2)),
        ([[2], [1], [2, 3]], range(0, RUNS, 2)),
    ],
)
async def test_partitions_are_merged(store, groups, wanted, limit):
    newest_first = list(reversed(wanted))

    assert await times_of(store, Query(groups, limit=limit)) == newest_first
    with_prefix = Query(groups, limit=limit, prefix="ns/0")
    assert await times_of(store, with_prefix) == newest_first
