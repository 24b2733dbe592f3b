"""The stores keep what every store promises."""

import hashlib
from pathlib import Path

import pytest

from starflow_backends import MemoryStore, SharedStore, SqliteStore, Store
from starflow_backends.redis import RedisStore
from starflow_backends.testing import DurableStoreContract, StoreContract
from starflow_backends.testing_shared import SharedStoreContract


class TestMemoryStore(StoreContract):
    def new_store(self, place: Path) -> Store:
        return MemoryStore()


class TestSqliteStore(DurableStoreContract):
    def new_store(self, place: Path) -> Store:
        return SqliteStore(place / "starflow.db")


class TestSqliteStoreWithLittleRoom(DurableStoreContract):
    """The same when nearly everything has to wait for room in the queue."""

    def new_store(self, place: Path) -> Store:
        return SqliteStore(place / "starflow.db", work_max=2)


class TestRedisStore(DurableStoreContract):
    @pytest.fixture(autouse=True)
    def _on(self, shared_redis):
        self.url = shared_redis.url

    def new_store(self, place: Path) -> Store:
        prefix = hashlib.sha256(bytes(place)).hexdigest()[:16]
        return RedisStore(f"{self.url}?prefix={prefix}")


class TestRedisStoreOfOnePartition(TestRedisStore):
    """The same when all runs are in one slot."""

    def new_store(self, place: Path) -> Store:
        prefix = hashlib.sha256(bytes(place)).hexdigest()[:16]
        return RedisStore(f"{self.url}?prefix={prefix}&partitions=1")


class TestRedisClusterStore(DurableStoreContract):
    """The same in a cluster, where every partition is on one of three servers."""

    @pytest.fixture(autouse=True)
    def _on(self, redis_cluster):
        self.url = redis_cluster.url

    def new_store(self, place: Path) -> Store:
        prefix = hashlib.sha256(bytes(place)).hexdigest()[:16]
        return RedisStore(f"{self.url}?prefix={prefix}&partitions=6")


class TestSharedRedis(SharedStoreContract):
    """What servers that share a store can rely on."""

    @pytest.fixture(autouse=True, params=["one server", "cluster"])
    def _on(self, request):
        is_cluster = request.param == "cluster"
        redis = "redis_cluster" if is_cluster else "shared_redis"
        self.url = request.getfixturevalue(redis).url

    def new_store(self, place: Path) -> SharedStore:
        prefix = hashlib.sha256(bytes(place)).hexdigest()[:16]
        return RedisStore(f"{self.url}?prefix={prefix}&partitions=4")
