"""Which store a URL names."""

import pytest

from starflow_backends import MemoryStore, SqliteStore, open_store


def test_memory_is_a_scheme_without_a_place():
    assert isinstance(open_store("memory:"), MemoryStore)


@pytest.mark.parametrize(
    "url", ["{}/x.db", "sqlite:{}/x.db", "sqlite://{}/x.db", "SQLite:{}/x.db"]
)
async def test_a_path_is_a_sqlite_database(tmp_path, url):
    store = open_store(url.format(tmp_path))
    await store.open()
    await store.close()

    assert isinstance(store, SqliteStore)
    assert (tmp_path / "x.db").exists()


async def test_a_plain_name_is_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("starflow.db")
    await store.open()
    await store.close()

    assert (tmp_path / "starflow.db").exists()


@pytest.mark.parametrize(
    "url", ["", "sqlite:", "sqlite://", "memory:x", "oracle://host/x", "x:y"]
)
def test_another_name_is_refused_with_the_known_ones(url):
    with pytest.raises(ValueError, match=r"memory: and sqlite:PATH") as caught:
        open_store(url)

    assert repr(url) in str(caught.value)


@pytest.mark.parametrize("url", ["memory:", "{}/x.db"])
async def test_the_clock_is_given(tmp_path, url):
    store = open_store(url.format(tmp_path), clock=lambda: 12_345)
    await store.open()
    try:
        assert (await store.timers_due()).now_ns == 12_345
    finally:
        await store.close()
