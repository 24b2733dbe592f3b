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


async def test_each_has_its_partitions(pair):
    first, second = pair
    assert isinstance(first, SharedStore)
    assert first.partitions == PARTITIONS
    assert (first.owned, second.owned) == ({0, 1}, {2, 3})
    assert not await first.claim(2)
    assert await first.claim(1)

    states = await second.partition_states()

    assert [state.number for state in states] == list(range(PARTITIONS))
    owners = [first.replica_id] * 2 + [second.replica_id] * 2
    assert [state.owner for state in states] == owners
    assert {state.epoch for state in states} == {1}
    assert all(0 < state.lease_left_s <= 0.6 for state in states)


async def test_a_run_is_written_by_its_owner_and_read_by_all(pair):
    first, second = pair
    run = run_in(first, 0)
    await first.append(appended(run, 0, b"one"))

    with pytest.raises(NotOwnerError) as caught:
        await second.append(appended(run, 1, b"two"))
    with pytest.raises(NotOwnerError):
        await second.delete(run, expected_version=1, tombstone_ns=0)

    assert caught.value.partition == 0
    for store in pair:
        await assert_run(store, run, [b"one"])
    assert [state.runs for state in await second.partition_states()] == [1, 0, 0, 0]


async def test_who_asks_for_all_gets_what_is_his(pair):
    runs = [run_in(pair[0], number) for number in range(PARTITIONS)]
    for store, mine in ((pair[0], runs[:2]), (pair[1], runs[2:])):
        for run in mine:
            await store.append(appended(run, 0, timers={"t": 7}))

    for store, mine in ((pair[0], runs[:2]), (pair[1], runs[2:])):
        assert await store.runs_in([Phase.RUNNABLE]) == sorted(mine)
        assert {timer.run for timer in (await store.timers_due()).due} == set(mine)
    only = await pair[0].runs_in([Phase.RUNNABLE], partitions={1, 3})
    assert only == sorted([runs[1], runs[3]])
    await pair[0].clear_index()
    assert (await pair[0].timers_due()).due == []
    assert len((await pair[1].timers_due()).due) == 2


async def test_who_has_nothing_finds_nothing(url):
    store = RedisStore(url)
    await store.open()

    assert await store.runs_in(list(Phase)) == []
    found = await store.timers_due()
    assert (list(found.due), found.next_due_ns) == ([], None)
    assert found.now_ns > 0
    assert store.owned == frozenset()
    await store.close()


async def test_what_is_given_back_is_free_at_once(pair):
    first, second = pair
    runs = [f"ns/{n}" for n in range(200)]
    mine = [run for run in runs if first.partition_of(run) in first.owned]
    begun = [first.append(appended(run, 0, b"one")) for run in mine]

    await asyncio.gather(*(first.release(number) for number in (0, 1)))

    # What was given before is carried out.
    assert await asyncio.gather(*begun) == [None] * len(mine)
    with pytest.raises(NotOwnerError):
        await first.append(appended(mine[0], 1, b"two"))
    await claim(second, (0, 1))
    await second.append(appended(mine[0], 1, b"two"))
    assert second.owned == set(range(PARTITIONS))
    await first.release(0)
    assert second.owned == set(range(PARTITIONS))


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


async def test_of_many_that_claim_one_gets_it(url):
    stores = [RedisStore(url) for _ in range(5)]
    await asyncio.gather(*(store.open() for store in stores))

    for number in range(PARTITIONS):
        claims = await asyncio.gather(*(store.claim(number) for store in stores))
        assert sorted(claims) == [False] * 4 + [True]
    for store in stores:
        await store.close()


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


async def test_every_life_is_another_replica(url):
    ids = set()
    for _ in range(3):
        store = RedisStore(url)
        ids.add(store.replica_id)
    assert len(ids) == 3


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


# Records are everybody's.


async def test_of_records_that_are_put_once_all_learn_the_same(pair):
    for n in range(20):
        kept = await asyncio.gather(
            *(
                store.put_record("space", f"key-{n}", b"%d" % at, replace=False)
                for at, store in enumerate(pair * 3)
            )
        )
        assert len(set(kept)) == 1
        assert await pair[1].get_record("space", f"key-{n}") == kept[0]


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
