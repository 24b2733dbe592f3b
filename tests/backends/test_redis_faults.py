"""Redis fails, forgets, changes: nothing that a store acknowledged is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError

from starflow_backends import (
    ConflictError,
    Durability,
    FullError,
    StoreError,
    UnavailableError,
    redis_nodes,
)
from starflow_backends.redis_url import read_url
from starflow_backends.redis_wire import Pipe
from starflow_backends.testing import appended, assert_run, outcomes_of
from tests.backends.appending_child import RUNS, event_at, timer_at
from tests.support.processes import PATIENCE_S, until
from tests.support.redis_proxy import Proxy
from tests.support.redis_server import free_port
from tests.support.redis_stores import LoneRedisStore, surely

CHILD = Path(__file__).with_name("appending_child.py")
BACKENDS = Path(__file__).parents[2] / "backends"
# After how many acknowledgements; what Redis then does is chance.
KILLED_AFTER = (1, 300, 2_000)


@pytest.fixture
async def store(redis):
    """A store with one run in a Redis of its own."""
    store = LoneRedisStore(f"{redis.url}?lease_ms=300")
    await store.open()
    await store.append(appended("ns/r", 0, b"one"))
    yield store
    await store.close()


# Scripts and connections.


async def test_scripts_that_are_flushed_are_loaded_again(store, redis):
    for version in range(1, 4):
        redis.command("SCRIPT", "FLUSH")
        outcomes = await outcomes_of(
            store, (appended(f"ns/{n}", version - 1, b"event") for n in range(300))
        )
        assert outcomes == [None] * 300
        redis.command("SCRIPT", "FLUSH")
        assert await store.read("ns/r") == [b"one"]


async def test_appends_of_one_run_stay_in_order_without_scripts(store, redis):
    redis.command("SCRIPT", "FLUSH")

    outcomes = await outcomes_of(
        store, (appended("ns/x", version, b"event") for version in range(5))
    )

    assert outcomes == [None] * 5


async def test_a_cut_connection_is_made_again(store, redis):
    for version in range(1, 6):
        append = appended("ns/r", version, b"event")
        outcome = store.append(append)
        redis.command("CLIENT", "KILL", "TYPE", "normal")
        try:
            await outcome
        except UnavailableError:
            await surely(store, append)
        # A read waits for the connection.
        assert len(await store.read("ns/r")) == version + 1


async def test_somebody_is_told_of_every_connection(redis):
    said = []
    store = LoneRedisStore(redis.url, tell=said.append)
    await store.open()
    assert said == []

    for _ in range(2):
        redis.command("CLIENT", "KILL", "TYPE", "normal")
        await until(lambda: len(said) == 2, "it is back")
        lost, back = said
        assert lost.startswith(f"{redis.url} does not answer: ")
        assert back == f"{redis.url} answers again"
        said.clear()
    await store.close()
    assert said == []


async def test_an_append_whose_answer_was_lost_counts_once(redis):
    async with Proxy(redis) as proxy:
        store = LoneRedisStore(f"{proxy.url}?lease_ms=60000")
        await store.open()
        for version in range(3):
            append = appended("ns/r", version, b"event", timers={"t": version})
            proxy.swallows = True
            with pytest.raises(UnavailableError):
                await store.append(append)
            proxy.swallows = False
            # It is there: this is the repetition of what nobody was told.
            await surely(store, append)
            await assert_run(
                store, "ns/r", [b"event"] * (version + 1), timers={"t": version}
            )
            with pytest.raises(ConflictError):
                await store.append(appended("ns/r", version, b"late"))
        await store.close()


async def test_appends_of_a_broken_connection_are_whole_or_not_there(store, redis):
    """Whatever is cut when: each is repeated until it is acknowledged, and is once."""

    async def append_ten(run):
        for version in range(0, 20, 2):
            await surely(store, appended(run, version, b"%d" % version, b"x"))

    runs = [f"ns/{n}" for n in range(50)]
    async with asyncio.TaskGroup() as tasks:
        for run in runs:
            tasks.create_task(append_ten(run))
        for _ in range(20):
            await asyncio.to_thread(
                redis.command, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"
            )

    for run in runs:
        events = await store.read(run)
        assert events[::2] == [b"%d" % version for version in range(0, 20, 2)]
        assert events[1::2] == [b"x"] * 10


async def test_a_redis_that_does_not_answer_is_given_up(redis, monkeypatch):
    monkeypatch.setattr(redis_nodes, "ANSWER_S", 1.0)
    store = LoneRedisStore(redis.url)
    await store.open()
    append = appended("ns/r", 0, b"one")

    redis.send(signal.SIGSTOP)
    with pytest.raises(UnavailableError, match=r"no answer for 1 s"):
        await store.append(append)
    with pytest.raises(UnavailableError):
        await store.read("ns/r")
    redis.send(signal.SIGCONT)

    await surely(store, append)
    await assert_run(store, "ns/r", [b"one"])
    await store.close()


# Memory, and the role.


async def test_when_memory_is_full_nothing_is_written_and_reads_go_on(store, redis):
    redis.command("CONFIG", "SET", "maxmemory", "1")

    for append in (
        appended("ns/r", 1, b"two", timers={"t": 1}),
        appended("ns/r", 1, timers={"t": 1}),
        appended("ns/new", 0, b"one"),
    ):
        with pytest.raises(FullError, match="maxmemory"):
            await store.append(append)
    await assert_run(store, "ns/r", [b"one"])
    assert await store.load("ns/new") is None

    redis.command("CONFIG", "SET", "maxmemory", "0")
    await store.append(appended("ns/r", 1, b"two"))


async def test_a_primary_that_becomes_a_replica_is_left(redis):
    """There may be another primary behind the address, so it connects again."""
    said = []
    store = LoneRedisStore(redis.url, tell=said.append)
    await store.open()
    append = appended("ns/r", 0, b"one")
    redis.command("REPLICAOF", "127.0.0.1", str(free_port()))

    with pytest.raises(UnavailableError):
        await store.append(append)
    assert await until(lambda: said, "the connection is given up")
    assert "READONLY" in said[0]
    with pytest.raises(UnavailableError):
        await store.append(append)

    redis.command("REPLICAOF", "NO", "ONE")
    await surely(store, append)
    await assert_run(store, "ns/r", [b"one"])
    await store.close()


async def test_the_library_connects_to_nobody_by_itself(redis):
    """Whoever is there then was not looked at."""
    address = read_url(redis.url)
    pipe = await Pipe.connect(
        address.options(address.seeds[0]), redis.url, answer_s=PATIENCE_S
    )
    assert await pipe.send([b"PING"]) == b"PONG"

    connection = pipe._connection
    await connection.disconnect()
    with pytest.raises(ConnectionError):
        await connection.send_packed_command(b"*1\r\n$4\r\nPING\r\n")
    await pipe.close()


async def test_nothing_is_accepted_while_settings_are_worse(redis, monkeypatch):
    """Somebody is told the setting to change, once; then everything goes on."""
    monkeypatch.setattr(redis_nodes, "ANSWER_S", 1.0)
    said = []
    store = LoneRedisStore(f"{redis.url}?lease_ms=300", tell=said.append)
    await store.open()
    redis.command("CONFIG", "SET", "appendfsync", "everysec")
    redis.command("CLIENT", "KILL", "TYPE", "normal")

    append = appended("ns/r", 0, b"one")
    await until(lambda: len(said) == 2, "it says why it does not connect")
    assert "CONFIG SET appendfsync always" in said[1]
    with pytest.raises(UnavailableError, match="CONFIG SET appendfsync always"):
        await store.append(append)
    with pytest.raises(UnavailableError):
        await store.read("ns/r")
    redis.command("CONFIG", "SET", "appendfsync", "always")

    await surely(store, append)
    await assert_run(store, "ns/r", [b"one"])
    assert [words for words in said if "CONFIG SET" in words] == said[1:2]
    await store.close()


async def test_events_that_were_not_acknowledged_may_be_lost(redis):
    """Then the service goes on: that is what `UnavailableError` says."""
    store = LoneRedisStore(f"{redis.url}?lease_ms=300", durability=Durability.DISK)
    await store.open()
    begun = [store.append(appended(f"ns/{n}", 0, b"one")) for n in range(2_000)]
    await asyncio.sleep(0)
    redis.kill()
    outcomes = await asyncio.gather(*begun, return_exceptions=True)
    redis.start()

    for n, outcome in enumerate(outcomes):
        assert outcome is None or isinstance(outcome, UnavailableError)
        events = await store.read(f"ns/{n}")
        assert events == [b"one"] or (outcome is not None and events == [])
    await store.close()


@pytest.mark.system
async def test_what_was_acknowledged_survives_a_kill_of_redis(redis):
    for after in KILLED_AFTER:
        acknowledged = await asyncio.to_thread(killed, redis, after)
        assert acknowledged
        store = LoneRedisStore(f"{redis.url}?lease_ms=300")
        await store.open()
        for run in RUNS:
            events = await store.read(run)
            version = len(events)
            assert version >= acknowledged.get(run, 0)
            assert version % 2 == 0
            assert events == [event_at(run, at) for at in range(1, version + 1)]
            found = await store.load(run)
            assert (found.timers if found else {}) == (
                {"t": timer_at(version)} if found else {}
            )
        await store.close()


def killed(redis, after):
    """Kill Redis under a child that appends; return all that was acknowledged."""
    with subprocess.Popen(
        [sys.executable, CHILD, f"{redis.url}?lease_ms=300"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(BACKENDS)},
    ) as child:
        lines = [child.stdout.readline() for _ in range(after)]
        redis.kill()
        lines += child.stdout
    redis.start()
    acknowledged = {}
    for line in lines:
        if line.endswith(b"\n"):
            run, version = line.decode().split()
            acknowledged[run] = int(version)
    return acknowledged


async def test_a_store_that_is_not_open_says_so(redis):
    store = LoneRedisStore(redis.url)
    with pytest.raises(UnavailableError, match="not open"):
        await store.append(appended("ns/r", 0, b"one"))
    with pytest.raises(UnavailableError, match="not open"):
        await store.read("ns/r")
    await store.open()
    await store.close()
    with pytest.raises(StoreError):
        await store.append(appended("ns/r", 0, b"one"))
