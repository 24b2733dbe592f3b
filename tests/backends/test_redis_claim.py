"""One server has a store: the others are refused, and take over when it is gone."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from starflow_backends import LockedError, NotOwnerError, Phase
from starflow_backends.redis_owner import Owner
from starflow_backends.redis_url import read_url
from starflow_backends.testing import appended, outcomes_of
from tests.backends.appending_child import RUNS, event_at
from tests.support.processes import PATIENCE_S
from tests.support.redis_stores import LoneRedisStore, lost_partitions

CHILD = Path(__file__).with_name("appending_child.py")
BACKENDS = Path(__file__).parents[2] / "backends"


@pytest.fixture
def url(shared_redis):
    """A place that nobody has used, with a short lease."""
    return f"{shared_redis.url}?prefix={uuid4().hex}&lease_ms=600"


@pytest.fixture
async def store(url):
    store = LoneRedisStore(url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def child(url):
    """A process that appends to the store as fast as it can."""
    with subprocess.Popen(
        [sys.executable, CHILD, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(BACKENDS)},
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


async def test_a_second_server_is_refused_by_name(store, url):
    with pytest.raises(LockedError, match=f"in use by .*-{os.getpid()}-"):
        await LoneRedisStore(url).open()

    # The first has not noticed.
    await store.append(appended("ns/r", 0, b"one"))


async def test_an_owner_that_idles_keeps_the_store(store, url):
    """Its lease is renewed: nobody gets in, however long he tries."""
    for _ in range(3):
        with pytest.raises(LockedError):
            await LoneRedisStore(url).open()
    await store.append(appended("ns/r", 0, b"one"))


async def test_a_closed_store_is_free_at_once(shared_redis):
    prefix = uuid4().hex
    key = f"{{sf:{prefix}:0}}:partition"
    for version in range(3):
        store = LoneRedisStore(f"{shared_redis.url}?prefix={prefix}&lease_ms=600000")
        await store.open()
        await store.append(appended("ns/r", version, b"event"))
        assert f" {os.getpid()} " in shared_redis.command("HGET", key, "owner")
        await store.close()
        assert shared_redis.command("HGET", key, "owner") == ""


@pytest.mark.system
@pytest.mark.parametrize("is_seen", [True, False])
async def test_who_dies_loses_the_store(child, url, shared_redis, is_seen):
    """At once if another process of the machine sees it, and when its lease ends."""
    child.kill()
    child.wait()
    prefix = read_url(url).prefix
    for number in range(16):
        key = f"{{sf:{prefix}:{number}}}:partition"
        if is_seen:
            # Nobody waits for that.
            shared_redis.command("HSET", key, "lease_ms", "600000")
            until_ms = int(shared_redis.command("HGET", key, "until_ms"))
            shared_redis.command("HSET", key, "until_ms", until_ms + 600_000)
        else:
            owner = Owner.read(shared_redis.command("HGET", key, "owner"))
            elsewhere = replace(owner, machine="another")
            shared_redis.command("HSET", key, "owner", str(elsewhere))

    store = LoneRedisStore(url)
    async with asyncio.timeout(PATIENCE_S):
        await store.open()

    found = await store.runs_in(list(Phase))
    assert set(found) <= set(RUNS)
    assert found
    await store.close()


@pytest.mark.parametrize(
    ("other", "is_dead"),
    [
        (lambda own: own, False),
        (lambda own: replace(own, pid="4194305"), True),
        (lambda own: replace(own, pid="4194305", machine="another"), False),
        (lambda own: replace(own, pid="4194305", machine=""), False),
        (lambda own: replace(own, pid="1"), False),
        (lambda own: Owner.read(""), False),
        (lambda own: Owner.read("what is this"), False),
    ],
)
def test_a_process_is_known_to_be_dead_only_on_its_own_machine(other, is_dead):
    own = Owner.here()

    assert own.knows_dead(other(own)) is is_dead
    assert Owner.read(str(own)) == own


async def test_nobody_waits_for_a_clock_that_went_back(store, url, shared_redis):
    """As if the owner had claimed the store tomorrow, and then died."""
    store._link.ways._keeper.cancel()
    for number in range(16):
        key = f"{{sf:{store._link.keys.prefix}:{number}}}:partition"
        tomorrow_ms = int(shared_redis.command("HGET", key, "until_ms")) + 86_400_000
        shared_redis.command("HSET", key, "until_ms", tomorrow_ms)

    async with asyncio.timeout(PATIENCE_S):
        other = LoneRedisStore(url)
        await other.open()
    await other.close()


@pytest.mark.system
async def test_an_owner_that_was_frozen_writes_nothing_when_it_wakes(child, url):
    child.send_signal(signal.SIGSTOP)
    store = LoneRedisStore(url)
    async with asyncio.timeout(PATIENCE_S):
        await store.open()
    before = {run: await store.read(run) for run in RUNS}

    child.send_signal(signal.SIGCONT)
    _, said = await asyncio.to_thread(child.communicate, timeout=PATIENCE_S)

    assert child.returncode == 1
    assert f"process {os.getpid()} on " in said.decode()
    assert {run: await store.read(run) for run in RUNS} == before
    for run, events in before.items():
        assert events == [event_at(run, at) for at in range(1, len(events) + 1)]
        await store.append(appended(run, len(events), b"mine"))
    await store.close()


def taken_by_another(redis, store, number):
    """Somebody takes a partition although its lease has not ended."""
    key = f"{{sf:{store._link.keys.prefix}:{number}}}:partition"
    redis.command("HSET", key, "owner", "elsewhere 77 - x", "epoch", "9-x")


async def test_who_lost_partitions_knows_it_and_writes_nothing(store, shared_redis):
    for number in range(16):
        taken_by_another(shared_redis, store, number)

    outcomes = await outcomes_of(
        store, (appended(f"ns/{n}", 0, b"one") for n in range(20))
    )

    for n, outcome in enumerate(outcomes):
        assert isinstance(outcome, NotOwnerError)
        assert outcome.partition == store.partition_of(f"ns/{n}")
        assert "process 77 on elsewhere has it" in str(outcome)
        assert await store.load(f"ns/{n}") is None
    assert await lost_partitions(store, 16) == set(range(16))
    assert store.owned == frozenset()
    with pytest.raises(NotOwnerError):
        await store.append(appended("ns/r", 0, b"one"))
    # What is another's is left alone.
    await store.clear_index()
    assert await store.runs_in(list(Phase)) == []


async def test_an_idle_owner_learns_that_it_lost_a_partition(store, shared_redis):
    taken_by_another(shared_redis, store, 5)

    assert await lost_partitions(store, 1) == {5}
    assert store.owned == frozenset(range(16)) - {5}


async def test_of_many_servers_that_start_at_most_one_gets_all(url):
    stores = [LoneRedisStore(url) for _ in range(5)]

    outcomes = await asyncio.gather(
        *(store.open() for store in stores), return_exceptions=True
    )

    assert sum(outcome is None for outcome in outcomes) <= 1
    assert sum(isinstance(outcome, LockedError) for outcome in outcomes) >= 4
    for store in stores:
        await store.close()
