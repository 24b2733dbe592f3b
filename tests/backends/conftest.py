"""Stores for the tests of this directory."""

import pytest
from hypothesis import settings

from starflow_backends import SqliteStore

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
