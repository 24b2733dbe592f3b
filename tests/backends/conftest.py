"""Stores for the tests of this directory."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from starflow_backends import SqliteStore
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer

# `pytest --hypothesis-profile=long` is for the night before a release.
settings.register_profile("long", max_examples=20_000, deadline=None)


@pytest.fixture
def path(tmp_path):
    """Where a database may be made."""
    return tmp_path / "starflow.db"


@pytest.fixture
async def store(path):
    """An open SQLite store at *path*."""
    store = SqliteStore(path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture(scope="session")
def shared_redis():
    """A Redis for tests that do it no harm; each takes a prefix of its own."""
    # Not in `tmp_path`: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="sf-redis-") as place:
        server = RedisServer(Path(place))
        server.start()
        yield server
        server.end()


@pytest.fixture
def redis():
    """A Redis of the test's own, to be harmed."""
    with tempfile.TemporaryDirectory(prefix="sf-redis-") as place:
        server = RedisServer(Path(place))
        server.start()
        yield server
        server.end()


@pytest.fixture(scope="session")
def shared_redis_on_tcp():
    """The same as `shared_redis`, on a port."""
    with tempfile.TemporaryDirectory(prefix="sf-redis-") as place:
        server = RedisServer(Path(place), on_tcp=True)
        server.start()
        yield server
        server.end()


@pytest.fixture(scope="session")
def redis_cluster():
    """A cluster of three primaries for tests that do it no harm."""
    cluster = RedisCluster()
    cluster.start()
    yield cluster
    cluster.close()
