"""The stores keep what every store promises."""

from pathlib import Path

from starflow_backends import MemoryStore, SqliteStore, Store
from starflow_backends.testing import DurableStoreContract, StoreContract


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
