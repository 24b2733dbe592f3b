"""Redis comes back with less than it had, or as another one."""

import tempfile
from pathlib import Path

import pytest

from starflow_backends import (
    CorruptError,
    LostHistoryError,
    Phase,
    UnavailableError,
    UnsafeError,
    redis_history,
)
from starflow_backends.redis import RedisStore
from starflow_backends.redis_history import History
from starflow_backends.testing import appended, assert_run
from tests.support.processes import until
from tests.support.redis_past import Past
from tests.support.redis_proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.redis_stores import (
    LoneRedisStore,
    claim,
    loss_of,
    lost_partitions,
    surely,
)


@pytest.fixture
async def store(redis):
    """A store with one run in a Redis of its own."""
    store = LoneRedisStore(f"{redis.url}?lease_ms=300&partitions=3")
    await store.open()
    await store.append(appended("ns/r", 0, b"one"))
    yield store
    await store.close()


async def test_a_restarted_redis_has_everything(store, redis):
    append = appended("ns/r", 1, b"two", timers={"t": 7}, note=b"why")
    await store.append(append)

    redis.kill()
    with pytest.raises(UnavailableError):
        await store.append(appended("ns/r", 2, b"three"))
    redis.start()

    # As the last one, the repetition changes nothing.
    await surely(store, append)
    await assert_run(store, "ns/r", [b"one", b"two"], timers={"t": 7}, note=b"why")
    await store.append(appended("ns/r", 2, b"three"))


async def test_a_redis_that_lost_everything_ends_the_service(store, redis):
    redis.kill()
    redis.data.rename(redis.place / "lost")
    redis.start()

    loss = await loss_of(store)

    assert isinstance(loss, UnsafeError)
    assert "has lost the store" in str(loss)
    with pytest.raises(UnsafeError):
        await store.append(appended("ns/r", 1, b"two"))


async def test_a_flushed_redis_ends_the_service(store, redis):
    redis.command("FLUSHALL")

    with pytest.raises(UnsafeError, match="has lost the store"):
        await store.append(appended("ns/r", 1, b"two"))
    assert isinstance(await loss_of(store), UnsafeError)


async def test_runs_that_lost_events_are_not_continued_and_others_are(store, redis):
    await store.append(appended("ns/whole", 0, b"one"))
    past = Past(redis)
    for version in (1, 2):
        await store.append(appended("ns/r", version, b"lost"))
    # Of this one not even the beginning is there.
    await store.append(appended("ns/new", 0, b"lost"))
    number, others = store.partition_of("ns/r"), {store.partition_of("ns/new")}
    assert store.partition_of("ns/whole") not in {number, *others}

    past.come_back()
    lost = await lost_partitions(store, len({number, *others}))

    assert lost == {number, *others}
    await claim(store, lost)
    for run, had, has in (("ns/r", 3, 1), ("ns/new", 1, 0)):
        with pytest.raises(LostHistoryError) as caught:
            await store.load(run)
        assert caught.value.acknowledged_version == had
        assert caught.value.version == has
        with pytest.raises(LostHistoryError):
            await store.append(appended(run, has, b"over the hole"))
        with pytest.raises(LostHistoryError):
            await store.append(appended(run, has, phase=Phase.RUNNABLE))
    assert await store.read("ns/r") == [b"one"]
    with pytest.raises(LostHistoryError):
        await store.read("ns/new")
    await assert_run(store, "ns/whole", [b"one"])
    await store.append(appended("ns/whole", 1, b"two"))


@pytest.fixture
async def marked(store, redis):
    """The store, after its run lost an event."""
    past = Past(redis)
    await store.append(appended("ns/r", 1, b"lost", timers={"t": 7}))
    past.come_back()
    await claim(store, await lost_partitions(store, 1))
    return store


async def test_every_server_knows_of_a_loss(marked, redis):
    await marked.leave()
    other = LoneRedisStore(f"{redis.url}?lease_ms=300")
    await other.open()

    with pytest.raises(LostHistoryError):
        await other.load("ns/r")
    with pytest.raises(LostHistoryError):
        await other.append(appended("ns/r", 1, b"two"))
    await other.close()


async def test_a_run_that_lost_events_goes_on_after_it_was_parked(marked):
    await marked.append(appended("ns/r", 1, phase=Phase.PAUSED, note=b"lost"))

    await assert_run(marked, "ns/r", [b"one"], phase=Phase.PAUSED, note=b"lost")
    await marked.append(appended("ns/r", 1, b"two"))
    await assert_run(marked, "ns/r", [b"one", b"two"])


async def test_a_run_of_which_nothing_is_left_cannot_be_parked(store, redis):
    """It would seem to be new then, and begin again."""
    past = Past(redis)
    await store.append(appended("ns/new", 0, b"lost"))
    past.come_back()
    await claim(store, await lost_partitions(store, 1))

    with pytest.raises(LostHistoryError):
        await store.append(appended("ns/new", 0, phase=Phase.PAUSED))


async def test_a_damaged_mark_is_a_mark(marked, redis):
    number = marked.partition_of("ns/r")
    key = f"{{sf:main:{number}}}:run:ns/r"
    value = redis.command("HGET", key, "lost")
    redis.command("HSET", key, "lost", value[:-1] + "9")

    with pytest.raises(CorruptError, match="the mark of its loss"):
        await marked.load("ns/r")
    with pytest.raises(CorruptError):
        await marked.append(appended("ns/r", 1, b"two"))


async def test_changes_of_an_index_that_are_lost_cost_no_history(store, redis):
    """What is known of the runs is read again, and no run is marked."""
    past = Past(redis)
    await store.append(appended("ns/r", 1, timers={"t": 7}, phase=Phase.CALLING))
    past.come_back()

    await claim(store, await lost_partitions(store, 1))

    await assert_run(store, "ns/r", [b"one"])
    await store.append(appended("ns/r", 1, b"two"))


async def test_when_too_much_is_lost_the_service_ends(store, redis, monkeypatch):
    monkeypatch.setattr(redis_history, "RUNS_MAX", 2)
    runs = [f"ns/{n}" for n in range(50)]
    of_one = [run for run in runs if store.partition_of(run) == 0][:3]
    past = Past(redis)
    for run in of_one:
        await store.append(appended(run, 0, b"lost"))
    past.come_back()

    loss = await loss_of(store)

    assert isinstance(loss, UnsafeError)
    assert "went back in time" in str(loss)
    with pytest.raises(UnsafeError):
        await store.append(appended("ns/r", 1, b"two"))


def test_it_is_known_what_is_missing():
    history = History(10, now=0.0)
    history.append(11, "a", 1)
    history.append(12, "b", 1)
    history.append(13, "a", 5)
    history.see(20)
    history.see(15)

    assert history.count == 20
    assert history.lost_after(20) == {}
    assert history.lost_after(13) == {}
    assert history.lost_after(12) == {"a": 5}
    assert history.lost_after(10) == {"a": 5, "b": 1}
    # Not since it was claimed.
    assert history.lost_after(9) is None
    # The claim itself is lost.
    assert history.lost_after(-1) == {"a": 5, "b": 1}


def test_of_the_runs_that_came_last_it_is_known(monkeypatch):
    monkeypatch.setattr(redis_history, "RUNS_MAX", 2)
    history = History(0, now=0.0)
    for count, run in enumerate("abcab", 1):
        history.append(count, run, count)

    assert history.lost_after(3) == {"a": 4, "b": 5}
    assert history.lost_after(2) is None


def test_what_was_long_ago_is_forgotten():
    history = History(0, now=0.0)
    history.append(1, "a", 1)
    history.append(2, "b", 1)
    # Not before its time, and not at once then.
    for now in (59.0, 60.0, 119.0):
        history.grow_old(now)
        assert history.lost_after(0) == {"a": 1, "b": 1}
    history.append(3, "b", 2)
    assert history.lost_after(0) == {"a": 1, "b": 2}

    history.grow_old(120.0)

    assert history.lost_after(2) == {"b": 2}
    assert history.lost_after(1) is None


@pytest.fixture
def pair():
    """A primary and its replica."""
    with (
        tempfile.TemporaryDirectory(prefix="sf-redis-") as first,
        tempfile.TemporaryDirectory(prefix="sf-redis-") as second,
    ):
        primary = RedisServer(Path(first), on_tcp=True, repl_diskless_sync_delay="0")
        replica = RedisServer(
            Path(second), on_tcp=True, replicaof=f"127.0.0.1 {primary.port}"
        )
        primary.start()
        replica.start()
        yield primary, replica
        replica.end()
        primary.end()


async def copied(primary, replica):
    """Wait until the replica has all that the primary has."""

    def offset(server, name):
        (line,) = [
            line
            for line in server.command("INFO", "replication").splitlines()
            if line.startswith(f"{name}:")
        ]
        return int(line.partition(":")[2])

    def is_copied():
        is_up = "master_link_status:up" in replica.command("INFO", "replication")
        name = "master_repl_offset"
        return is_up and offset(replica, name) == offset(primary, name)

    await until(is_copied, "the replica has everything")


async def test_a_promoted_replica_that_has_everything_is_used(pair):
    primary, replica = pair
    async with Proxy(primary) as proxy:
        store = LoneRedisStore(f"{proxy.url}?lease_ms=600000")
        await store.open()
        await store.append(appended("ns/r", 0, b"one"))
        await copied(primary, replica)
        replica.command("REPLICAOF", "NO", "ONE")
        proxy.redis = replica
        proxy.cut()

        await surely(store, appended("ns/r", 1, b"two"))
        await assert_run(store, "ns/r", [b"one", b"two"])
        await store.close()


@pytest.mark.parametrize("is_taken", [False, True])
async def test_a_promoted_replica_that_lags_costs_the_runs_it_lost(pair, is_taken):
    """Also if another server has taken the partition, and the run, meanwhile."""
    primary, replica = pair
    async with Proxy(primary) as proxy:
        store = LoneRedisStore(f"{proxy.url}?lease_ms=600000&partitions=2")
        await store.open()
        await store.append(appended("ns/r", 0, b"one"))
        await copied(primary, replica)
        replica.command("REPLICAOF", "NO", "ONE")
        await store.append(appended("ns/r", 1, b"lost"))
        number = store.partition_of("ns/r")
        other = RedisStore(f"{replica.url}?lease_ms=600000")
        await other.open()
        if is_taken:
            key = f"{{sf:main:{number}}}:partition"
            replica.command("HSET", key, "until_ms", "0")
            await claim(other, [number])
            await other.append(appended("ns/r", 1, b"another", b"and"))
        proxy.redis = replica
        proxy.cut()

        assert await lost_partitions(store, 1) == {number}

        if is_taken:
            with pytest.raises(LostHistoryError):
                await other.append(appended("ns/r", 3, b"more"))
        else:
            await claim(store, [number])
        for each in (store, other):
            with pytest.raises(LostHistoryError):
                await each.load("ns/r")
        # The other partition had lost nothing.
        assert store.owned >= {1 - number}
        await other.close()
        await store.close()


async def test_claims_that_were_lost_are_not_mistaken_for_others(pair):
    """Numbers of epochs begin again where Redis was, and mean another owner then."""
    primary, replica = pair
    async with Proxy(primary) as proxy:
        first = RedisStore(f"{proxy.url}?lease_ms=600000&partitions=1")
        await first.open()
        await copied(primary, replica)
        replica.command("REPLICAOF", "NO", "ONE")
        await claim(first, [0])
        await first.append(appended("ns/r", 0, b"lost"))
        second = RedisStore(replica.url)
        await second.open()
        await claim(second, [0])
        numbers = {(await each.partition_states())[0].epoch for each in (first, second)}
        assert len(numbers) == 1
        proxy.redis = replica
        proxy.cut()

        assert await lost_partitions(first, 1) == {0}
        assert second.owned == {0}
        with pytest.raises(LostHistoryError):
            await second.append(appended("ns/r", 0, b"one"))
        await second.append(appended("ns/other", 0, b"one"))
        await first.close()
        await second.close()


async def test_another_store_behind_the_address_is_not_written_to(pair):
    """Its epoch and its counts may be the same by chance."""
    first, second = pair
    second.command("REPLICAOF", "NO", "ONE")
    second.command("FLUSHALL")
    for redis in (second, first):
        async with Proxy(redis) as proxy:
            store = LoneRedisStore(f"{proxy.url}?lease_ms=600000")
            await store.open()
            await store.append(appended("ns/r", 0, b"one"))
            if redis is second:
                await store.close()
                continue
            proxy.redis = second
            proxy.cut()

            loss = await loss_of(store)

            assert isinstance(loss, UnsafeError)
            assert "is another store now" in str(loss)
            await store.close()
    # What it had, it has.
    other = LoneRedisStore(second.url)
    await other.open()
    await assert_run(other, "ns/r", [b"one"])
    await other.close()
