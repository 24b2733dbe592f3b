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

from starflow_backends import LockedError, Losable, Phase
from starflow_backends.redis import RedisStore
from starflow_backends.redis_owner import Owner
from starflow_backends.redis_wire import read_url
from starflow_backends.testing import appended, outcomes_of
from tests.backends.appending_child import RUNS, event_at
from tests.support.processes import PATIENCE_S

CHILD = Path(__file__).with_name("appending_child.py")
BACKENDS = Path(__file__).parents[2] / "backends"


@pytest.fixture
def url(shared_redis):
    """A place that nobody has used, with a short lease."""
    return f"{shared_redis.url}?prefix={uuid4().hex}&lease_ms=600"


@pytest.fixture
async def store(url):
    store = RedisStore(url)
    await store.open()
    yield store
    await store.close()


async def loss_of(store):
    async with asyncio.timeout(PATIENCE_S):
        return await store.wait_lost()


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
    with pytest.raises(LockedError, match=f"in use by process {os.getpid()} on "):
        await RedisStore(url).open()

    # The first has not noticed.
    await store.append(appended("ns/r", 0, b"one"))


async def test_an_owner_that_idles_keeps_the_store(store, url):
    """Its lease is renewed: nobody gets in, however long he tries."""
    for _ in range(3):
        with pytest.raises(LockedError):
            await RedisStore(url).open()
    await store.append(appended("ns/r", 0, b"one"))


async def test_a_closed_store_is_free_at_once(shared_redis):
    prefix = uuid4().hex
    key = f"{{sf:{prefix}:0}}:partition"
    for version in range(3):
        store = RedisStore(f"{shared_redis.url}?prefix={prefix}&lease_ms=600000")
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

    store = RedisStore(url)
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
    store._link._keeper.cancel()
    for number in range(16):
        key = f"{{sf:{store._link.keys.prefix}:{number}}}:partition"
        tomorrow_ms = int(shared_redis.command("HGET", key, "until_ms")) + 86_400_000
        shared_redis.command("HSET", key, "until_ms", tomorrow_ms)

    async with asyncio.timeout(PATIENCE_S):
        other = RedisStore(url)
        await other.open()
    await other.close()


@pytest.mark.system
async def test_an_owner_that_was_frozen_writes_nothing_when_it_wakes(child, url):
    child.send_signal(signal.SIGSTOP)
    store = RedisStore(url)
    async with asyncio.timeout(PATIENCE_S):
        await store.open()
    before = {run: await store.read(run) for run in RUNS}

    child.send_signal(signal.SIGCONT)
    _, said = await asyncio.to_thread(child.communicate, timeout=PATIENCE_S)

    assert child.returncode == 1
    assert f"was taken over by process {os.getpid()} on " in said.decode()
    assert {run: await store.read(run) for run in RUNS} == before
    for run, events in before.items():
        assert events == [event_at(run, at) for at in range(1, len(events) + 1)]
        await store.append(appended(run, len(events), b"mine"))
    await store.close()


async def test_who_lost_the_store_knows_it_and_says_so(store, shared_redis):
    """Somebody may take partitions although the lease has not ended."""
    prefix = store._link.keys.prefix
    for number in range(16):
        key = f"{{sf:{prefix}:{number}}}:partition"
        shared_redis.command("HINCRBY", key, "epoch", "1")
        shared_redis.command("HSET", key, "owner", "elsewhere 77 - x")

    outcomes = await outcomes_of(
        store, (appended(f"ns/{n}", 0, b"one") for n in range(20))
    )

    assert isinstance(store, Losable)
    loss = await loss_of(store)
    assert isinstance(loss, LockedError)
    assert "taken over by process 77 on elsewhere" in str(loss)
    assert {str(outcome) for outcome in outcomes} == {str(loss)}
    with pytest.raises(LockedError):
        await store.append(appended("ns/r", 0, b"one"))
    with pytest.raises(LockedError):
        await store.load("ns/r")
    with pytest.raises(LockedError):
        await store.clear_index()


async def test_an_idle_owner_learns_that_it_lost_the_store(store, shared_redis):
    key = f"{{sf:{store._link.keys.prefix}:5}}:partition"
    shared_redis.command("HINCRBY", key, "epoch", "1")
    shared_redis.command("HSET", key, "owner", "elsewhere 77 - x")

    assert "process 77 on elsewhere" in str(await loss_of(store))


async def test_many_servers_start_and_one_gets_the_store(url):
    stores = [RedisStore(url) for _ in range(5)]

    outcomes = await asyncio.gather(
        *(store.open() for store in stores), return_exceptions=True
    )

    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, LockedError) for outcome in outcomes) == 4
    for store in stores:
        await store.close()
