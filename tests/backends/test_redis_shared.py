"""Servers that share a store: each has its partitions, and all know of each other."""

import asyncio
import json
from itertools import count
from uuid import uuid4

import pytest

from starflow_backends import (
    MemoryStore,
    NotOwnerError,
    Phase,
    SharedStore,
    SqliteStore,
    claim_all,
)
from starflow_backends.redis import RedisStore
from starflow_backends.testing import appended, assert_run, outcomes_of
from tests.support.processes import until, until_async
from tests.support.redis_stores import claim

PARTITIONS = 4


@pytest.fixture(params=["one server", "cluster"])
def url(request):
    """A place that nobody has used, with a short lease."""
    is_cluster = request.param == "cluster"
    redis = request.getfixturevalue("redis_cluster" if is_cluster else "shared_redis")
    return f"{redis.url}?prefix={uuid4().hex}&partitions={PARTITIONS}&lease_ms=600"


@pytest.fixture
async def pair(url):
    """Two servers that have half of the partitions each."""
    first, second = RedisStore(url), RedisStore(url)
    for store, numbers in ((first, (0, 1)), (second, (2, 3))):
        await store.open()
        await claim(store, numbers)
    yield first, second
    await first.close()
    await second.close()


def run_in(store, number):
    """Return a run of the partition *number*."""
    runs = (f"ns/{n}" for n in count())
    return next(run for run in runs if store.partition_of(run) == number)


async def test_a_late_append_of_who_gave_it_back_is_refused(pair):
    """Also while nobody else has the partition."""
    first, _ = pair
    run = run_in(first, 0)
    epochs = list(first._leases.epochs)
    await first.release(0)
    first._leases.epochs = epochs

    with pytest.raises(NotOwnerError):
        await first.append(appended(run, 0, b"late"))
    assert await first.load(run) is None


async def test_who_does_not_run_has_nothing_by_his_own_clock(pair, monkeypatch):
    """Before anybody has told him; he has it again when the store says so."""
    first, _ = pair
    loop = asyncio.get_running_loop()
    now, late_s = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: now() + late_s)
    assert first.owned == {0, 1}

    # As if the process had stood still, and its first turn were this.
    late_s = 100.0
    assert first.owned == frozenset()

    await until(lambda: first.owned == {0, 1}, "its lease is renewed")


async def test_the_epoch_refuses_who_slept_and_tells_him(pair):
    first, second = pair
    run = run_in(first, 0)
    await first.append(appended(run, 0, b"one"))
    # Nobody renews: as if the process were frozen.
    first._link.ways._keeper.cancel()
    await until_async(lambda: second.claim(0), "its lease has ended")
    await second.append(appended(run, 1, b"two"))

    for append in (appended(run, 1, b"late"), appended(run, 2, b"late")):
        with pytest.raises(NotOwnerError):
            await first.append(append)

    await assert_run(second, run, [b"one", b"two"])
    assert 0 not in first.owned
    assert (await first.partition_states())[0].epoch == 2


# Membership.


async def test_members_are_known_as_long_as_they_renew(pair):
    first, second = pair
    assert await first.replicas() == []
    await first.join("host-a:1", "0.1.0")
    await second.join("host-b:2", "0.1.1")

    a, b = sorted(await first.replicas(), key=lambda each: each.address)

    assert (a.id, a.address, a.version) == (first.replica_id, "host-a:1", "0.1.0")
    assert (b.id, b.address, b.version) == (second.replica_id, "host-b:2", "0.1.1")
    assert a.started_ns > 0
    assert 0 < a.lease_left_s <= 0.6
    began = {each.id: each.started_ns for each in (a, b)}
    second._link.ways._keeper.cancel()

    async def is_alone():
        found = await first.replicas()
        assert {each.started_ns for each in found} <= set(began.values())
        return [each.id for each in found] == [first.replica_id]

    await until_async(is_alone, "the one that does not renew is no member")
    await first.leave()
    assert await first.replicas() == []
    assert first.owned == frozenset()
    states = await first.partition_states()
    assert [state.owner for state in states[:2]] == ["", ""]


async def test_a_member_may_have_no_partition(url):
    store = RedisStore(url)
    await store.open()
    await store.join("host:1", "0.1.0")

    assert [each.id for each in await store.replicas()] == [store.replica_id]
    await store.close()


@pytest.mark.parametrize("kept", ["", "x", "1 2", "99999999999999 5 []", "9 9 {"])
async def test_what_is_no_member_is_none(shared_redis, kept):
    prefix = uuid4().hex
    store = RedisStore(f"{shared_redis.url}?prefix={prefix}&lease_ms=60000")
    await store.open()
    await store.join("host:1", json.dumps("0.1.0"))
    shared_redis.command("HSET", f"{{sf:{prefix}}}:members", "other", kept)

    members = {each.id: each.address for each in await store.replicas()}

    assert members.pop(store.replica_id) == "host:1"
    assert members in ({}, {"other": ""})
    await store.close()


async def test_two_that_make_a_store_make_one(url):
    stores = [RedisStore(url) for _ in range(4)]

    await asyncio.gather(*(store.open() for store in stores))

    assert len({store._link.store_id for store in stores}) == 1
    await claim(stores[0], range(PARTITIONS))
    runs = [f"ns/{n}" for n in range(50)]
    appends = (appended(run, 0, b"one") for run in runs)
    assert await outcomes_of(stores[0], appends) == [None] * 50
    for store in stores:
        await store.close()


# Stores that are not shared are one partition.


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_what_is_not_shared_is_in_partition_zero(path, kind):
    store = MemoryStore() if kind == "memory" else SqliteStore(path)
    await store.open()
    await store.append(appended("ns/r", 0, b"one"))

    assert not isinstance(store, SharedStore)
    assert await store.runs_in([Phase.RUNNABLE], partitions={0, 5}) == ["ns/r"]
    assert await store.runs_in([Phase.RUNNABLE], partitions={1}) == []
    assert await store.runs_in([Phase.RUNNABLE], partitions=()) == []
    await store.close()


async def test_all_are_claimed_when_those_who_had_them_are_gone(pair):
    first, second = pair
    second._link.ways._keeper.cancel()

    await claim_all(first)

    assert first.owned == set(range(PARTITIONS))
