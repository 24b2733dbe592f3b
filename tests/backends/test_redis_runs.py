"""Runs are looked for in all partitions at once, and come in one order."""

import itertools
from random import Random
from uuid import uuid4
from zlib import crc32

import pytest

from starflow_backends import Phase
from starflow_backends.testing import appended, outcomes_of
from tests.support.redis_stores import LoneRedisStore

ALL = list(Phase)
PHASES = [Phase.CALLING, Phase.RUNNABLE]


@pytest.fixture(params=[1, 16, 1024])
async def store(request, shared_redis):
    store = LoneRedisStore(
        f"{shared_redis.url}?prefix={uuid4().hex}&partitions={request.param}"
    )
    await store.open()
    yield store
    await store.close()


def names_by_partition(count):
    """Names of which those of one partition of 16 come before those of the next."""
    names = (f"ns/{n % 16:02d}/{n}" for n in itertools.count())
    fitting = (name for name in names if crc32(name.encode()) % 16 == int(name[3:5]))
    return itertools.islice(fitting, count)


async def test_pages_of_any_size_give_each_run_once_and_in_order(store):
    chance = Random(1)
    runs = {f"ns/{chance.randrange(10**9)}": chance.choice(ALL) for _ in range(500)}
    runs |= dict.fromkeys(names_by_partition(1_000), Phase.CALLING)
    outcomes = await outcomes_of(
        store, (appended(run, 0, b"one", phase=phase) for run, phase in runs.items())
    )
    assert outcomes == [None] * len(runs)
    wanted = sorted(run for run, phase in runs.items() if phase in PHASES)

    for limit in (37, 500, 10_000):
        found, after = [], ""
        while page := await store.runs_in(PHASES, after=after, limit=limit):
            assert len(page) <= limit
            found += page
            after = page[-1]
        assert found == wanted
