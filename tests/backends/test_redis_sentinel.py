"""A store whose primary real Sentinels watch, and replace."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from starflow_backends import LayoutError, StoreError, UnavailableError
from starflow_backends.redis import RedisStore
from starflow_backends.testing import appended, assert_run
from tests.support.processes import until
from tests.support.redis_cluster import Sentinels, is_synced, wait_for
from tests.support.redis_server import RedisServer, free_port
from tests.support.redis_stores import LoneRedisStore, surely


class Watched:
    """A primary, its replica, and three Sentinels."""

    def __init__(self, stack, **settings):
        def place():
            directory = tempfile.TemporaryDirectory(prefix="sf-redis-")
            return Path(stack.enter_context(directory))

        self.primary = RedisServer(
            place(), on_tcp=True, repl_diskless_sync_delay="0", **settings
        )
        self.replica = RedisServer(
            place(),
            on_tcp=True,
            replicaof=f"127.0.0.1 {self.primary.port}",
            **settings,
        )
        for server in (self.primary, self.replica):
            stack.callback(server.end)
            server.start()


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def watched(stack):
    return Watched(stack)


@pytest.fixture
def sentinels(watched, stack):
    wait_for(lambda: is_synced(watched.replica), "the replica has synced")
    sentinels = Sentinels(watched.primary)
    stack.callback(sentinels.end)
    sentinels.start()
    return sentinels


@pytest.mark.system
async def test_a_primary_that_dies_is_replaced(watched, sentinels):
    said = []
    store = LoneRedisStore(f"{sentinels.url}?lease_ms=60000", tell=said.append)
    await store.open()
    await store.append(appended("ns/r", 0, b"one"))
    watched.primary.command("WAIT", 1, 5000)

    watched.primary.kill()
    await surely(store, appended("ns/r", 1, b"two"))

    assert "role:master" in watched.replica.command("INFO", "replication")
    await assert_run(store, "ns/r", [b"one", b"two"])
    assert store.owned == frozenset(range(16))
    await until(lambda: said and "answers again" in said[-1], "it is said to be back")
    await store.close()


@pytest.mark.system
async def test_a_primary_that_was_replaced_is_left_although_it_answers(
    watched, sentinels
):
    """What it would acknowledge now is lost when it learns that it is a replica."""
    store = LoneRedisStore(f"{sentinels.url}?lease_ms=600")
    await store.open()
    await store.append(appended("ns/r", 0, b"one"))
    watched.primary.command("WAIT", 1, 5000)
    sentinels.command(sentinels.ports[0], "SENTINEL", "FAILOVER", "mymaster")

    def is_replaced():
        words = sentinels.ask(
            sentinels.ports[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"
        )
        return words[1] == str(watched.replica.port)

    await until(is_replaced, "the replica is the primary")
    await until(lambda: ports_of(store) == [watched.replica.port], "it is used")
    await surely(store, appended("ns/r", 1, b"two"))

    await assert_run(store, "ns/r", [b"one", b"two"])
    await store.close()


def ports_of(store):
    return [node.port for node in store._link.ways.nodes._pipes]


async def refusal(url):
    with pytest.raises(StoreError) as caught:
        await RedisStore(url).open()
    return caught.value


async def test_sentinels_that_cannot_help_say_why(watched, sentinels):
    error = await refusal(f"redis+sentinel://{sentinels.hosts}/other")
    assert isinstance(error, UnavailableError)
    assert "knows no primary 'other'" in str(error)

    error = await refusal(f"redis+sentinel://127.0.0.1:{watched.primary.port}/mymaster")
    assert isinstance(error, LayoutError)
    assert "is no Sentinel" in str(error)

    error = await refusal(f"redis://127.0.0.1:{sentinels.ports[0]}")
    assert isinstance(error, LayoutError)
    assert "sentinel mode: give it a URL of redis+sentinel://" in str(error)

    # One that answers is enough.
    place = f"127.0.0.1:{free_port()},{sentinels.hosts}"
    store = LoneRedisStore(f"redis+sentinel://{place}/mymaster")
    await store.open()
    await store.close()


async def test_nobody_there():
    error = await refusal(f"redis+sentinel://127.0.0.1:{free_port()}/mymaster")

    assert isinstance(error, UnavailableError)
    assert "cannot be reached" in str(error)


async def test_passwords_of_both(stack):
    watched = Watched(stack, requirepass="s3cret", masterauth="s3cret")
    wait_for(lambda: is_synced(watched.replica), "the replica has synced")
    sentinels = Sentinels(
        watched.primary,
        password="s3cret",
        sentinel_password="s4cret",
    )
    stack.callback(sentinels.end)
    sentinels.start()

    url = f"redis+sentinel://:s3cret@{sentinels.hosts}/mymaster"
    store = LoneRedisStore(f"{url}?db=2&sentinel_password=s4cret")
    await store.open()
    await store.append(appended("ns/r", 0, b"one"))
    await store.close()
    for wrong in (url, f"{url}?sentinel_password=s3cret"):
        error = await refusal(wrong)
        assert isinstance(error, UnavailableError)
        assert "s3cret" not in str(error)
