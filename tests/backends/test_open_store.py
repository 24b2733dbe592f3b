"""Which store a URL names."""

import pytest

from starflow_backends import (
    Durability,
    MemoryStore,
    SqliteStore,
    open_store,
    shown_url,
)
from starflow_backends.redis import RedisStore


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
    with pytest.raises(ValueError, match=r"memory:, sqlite:PATH .* redis://") as caught:
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


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:secret@host:7000/3?prefix=a.b_c-1",
        "rediss://user:secret@[::1]:7000/0?ssl_cert_reqs=none&partitions=7",
        "unix:///run/redis.sock?db=3&lease_ms=1000",
        "redis+sentinel://user:secret@a:1,b,[::1]:2/name?db=3&sentinel_password=x",
        "rediss+sentinel://a/name?sentinel_username=u&ssl_cert_reqs=none",
        "redis+cluster://user:secret@a,b:7000",
        "rediss+cluster://a?prefix=x&partitions=64",
    ],
)
def test_redis_has_the_url_that_its_users_know(url):
    assert isinstance(open_store(url), RedisStore)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis:", "the host is missing"),
        ("redis://", "the host is missing"),
        ("redis://host:port", "Port could not be cast"),
        ("redis://host:70000", "Port out of range"),
        ("redis://host/first", "is not the number of a database"),
        ("redis://host/0?prefix={x}", "prefix is 1 to 64"),
        ("redis://host/0?prefix", "bad query field"),
        ("redis://host/0?partitions=0", "partitions is a number from 1 to 1024"),
        ("redis://host/0?lease_ms=fast", "lease_ms is a number from 200"),
        ("redis://host/0?retry_on_timeout=1", "there is no option retry_on_timeout"),
        ("unix://", "the path of its socket is missing"),
        ("redis+sentinel://host", "the name of the primary is missing"),
        ("redis+sentinel://host/a/b", "the name of the primary is missing"),
        ("redis+sentinel:///name", "the host is missing"),
        ("redis+sentinel://a,,b/name", "the host is missing"),
        ("redis+sentinel://host/name?db=first", "db"),
        ("redis+cluster://", "the host is missing"),
        ("redis+cluster://a,b:port", "Port could not be cast"),
        ("redis+cluster://host/1", "a cluster has no databases but 0"),
        ("redis+cluster://host?db=1", "a cluster has no databases but 0"),
        ("redis+cluster://host?sentinel_username=x", "are for redis+sentinel://"),
        ("redis://a,b", "several hosts need redis+sentinel:// or redis+cluster://"),
        ("redis+other://host", "redis or rediss with +sentinel or +cluster"),
    ],
)
def test_a_wrong_url_of_redis_is_refused(url, problem):
    with pytest.raises(ValueError, match="names no Redis") as caught:
        open_store(url)

    assert problem in str(caught.value)
    assert url in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:s3@cret@host", "redis://:***@host"),
        ("rediss://user:s3cret@host:1/0", "rediss://user:***@host:1/0"),
        ("redis://host?password=s3cret&db=1", "redis://host?password=***&db=1"),
        ("redis://host:1/0", "redis://host:1/0"),
        ("sqlite:me@home.db", "sqlite:me@home.db"),
    ],
)
def test_passwords_are_not_shown(url, shown):
    assert shown_url(url) == shown


def test_a_password_is_not_in_the_error():
    with pytest.raises(ValueError, match="names no Redis") as caught:
        open_store("redis://:s3cret@host/0?unknown=1")

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "durability", "promised"),
    [
        ("memory:", None, Durability.MEMORY),
        ("memory:", Durability.MEMORY, Durability.MEMORY),
        ("x.db", None, Durability.DISK),
        ("x.db", Durability.PROCESS, Durability.DISK),
        ("redis://host", None, Durability.DISK),
        ("redis://host", Durability.PROCESS, Durability.PROCESS),
    ],
)
def test_a_store_promises_what_is_demanded_or_more(url, durability, promised):
    assert open_store(url, durability=durability).durability is promised


@pytest.mark.parametrize("durability", [Durability.PROCESS, Durability.DISK])
def test_a_store_that_promises_less_is_refused(durability):
    with pytest.raises(ValueError, match="promises durability memory"):
        open_store("memory:", durability=durability)
