"""A Redis that cannot be trusted with runs is refused, with the way out of it."""

import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from starflow_backends import (
    CorruptError,
    Durability,
    FullError,
    LayoutError,
    StoreError,
    UnavailableError,
    UnsafeError,
)
from starflow_backends.redis_checks import Facts, check
from starflow_backends.redis_layout import LAYOUT
from starflow_backends.testing import appended
from tests.support.redis_server import SAFE, RedisServer, free_port
from tests.support.redis_stores import LoneRedisStore

TESTDATA = Path(__file__).with_name("testdata")


async def refusal(url, durability=Durability.DISK):
    """Open a store in vain; return the error."""
    store = LoneRedisStore(url, durability=durability)
    with pytest.raises(StoreError) as caught:
        await store.open()
    await store.close()
    return caught.value


async def is_accepted(url, durability=Durability.DISK):
    store = LoneRedisStore(url, durability=durability)
    await store.open()
    await store.append(appended("ns/r", 0, b"one"))
    await store.close()
    return True


@pytest.fixture
def url(shared_redis):
    """A place that nobody has used."""
    return f"{shared_redis.url}?prefix={uuid4().hex}"


@pytest.fixture
def start():
    """Starts a Redis with settings of its own."""
    servers = []

    def start_server(**settings):
        # The directory of a socket must have a short name.
        directory = tempfile.TemporaryDirectory(prefix="sf-redis-")
        server = RedisServer(Path(directory.name), **settings)
        servers.append((server, directory))
        server.start()
        return server

    yield start_server
    for server, directory in servers:
        server.end()
        directory.cleanup()


# Who is there.


async def test_nobody_there():
    error = await refusal(f"redis://127.0.0.1:{free_port()}")

    assert isinstance(error, UnavailableError)
    assert "cannot be reached" in str(error)


async def test_somebody_else_there(start):
    """A socket that is there, and no server behind it."""
    redis = start()
    redis.kill()

    assert "cannot be reached" in str(await refusal(redis.url))


async def test_a_password_is_needed_and_must_be_right(start):
    redis = start(on_tcp=True)
    redis.command("CONFIG", "SET", "requirepass", "s3cret")
    place = f"127.0.0.1:{redis.port}"

    for user in ("", ":wrong@", "nobody:s3cret@"):
        error = await refusal(f"redis://{user}{place}")
        assert isinstance(error, UnavailableError)
        assert "does not let us in" in str(error)
        assert "s3cret" not in str(error)
    assert await is_accepted(f"redis://:s3cret@{place}/3")
    assert await is_accepted(f"redis://default:s3cret@{place}/4")


@pytest.fixture
def tls(start):
    """A Redis that speaks TLS only; its URL lacks the authority that it trusts."""
    port = free_port()
    redis = start(
        tls_port=str(port),
        tls_cert_file=str(TESTDATA / "redis-cert.pem"),
        tls_key_file=str(TESTDATA / "redis-key.pem"),
        tls_auth_clients="no",
    )
    redis.command("CONFIG", "SET", "requirepass", "s3cret")
    return f"rediss://default:s3cret@127.0.0.1:{port}/1"


async def test_a_redis_is_reached_by_tls(tls):
    assert await is_accepted(f"{tls}?ssl_ca_certs={TESTDATA / 'redis-cert.pem'}")


async def test_a_redis_whose_certificate_nobody_vouches_for_is_refused(tls):
    error = await refusal(tls)

    assert isinstance(error, UnavailableError)
    assert "certificate" in str(error).lower()
    assert "s3cret" not in str(error)


async def test_a_wrong_option_of_tls_is_told(tls):
    error = await refusal(f"{tls}?ssl_ca_certs=/no/such/file")

    assert isinstance(error, UnavailableError)


async def test_tls_where_there_is_none(start):
    redis = start(on_tcp=True)

    # Redis waits for more of what it takes for a command.
    error = await refusal(f"rediss://127.0.0.1:{redis.port}?socket_connect_timeout=0.2")

    assert isinstance(error, UnavailableError)
    assert "Timeout" in str(error)


async def test_a_redis_with_too_many_clients_takes_no_other(start):
    redis = start()
    first = LoneRedisStore(redis.url)
    await first.open()
    redis.command("CONFIG", "SET", "maxclients", "1")

    # It says why, but closes the connection before we have listened.
    error = await refusal(f"{redis.url}?prefix=other")

    assert isinstance(error, UnavailableError)
    await first.append(appended("ns/r", 0, b"one"))
    await first.close()


async def test_a_redis_without_memory_is_no_place_to_write(start):
    redis = start(maxmemory="1")

    error = await refusal(redis.url)

    assert isinstance(error, FullError)
    assert "maxmemory" in str(error)


async def test_a_replica_is_no_place_to_write(start):
    redis = start(replicaof=f"127.0.0.1 {free_port()}")

    error = await refusal(redis.url)

    assert isinstance(error, UnavailableError)
    assert "is a replica" in str(error)


async def test_a_cluster_is_named_as_one(start):
    error = await refusal(start(cluster_enabled="yes", on_tcp=True).url)

    assert isinstance(error, LayoutError)
    assert "in cluster mode: give it a URL of redis+cluster://" in str(error)


@pytest.mark.parametrize("version", ["", "5.0.7", "6.0.16", "unknown"])
def test_old_releases_are_refused(version):
    facts = Facts(version, "standalone", "master", "id", SAFE)

    with pytest.raises(LayoutError, match=r"6\.2 is the oldest"):
        check(facts, "redis://host", Durability.DISK)


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "10.1.0"])
def test_newer_releases_are_not(version):
    facts = Facts(version, "standalone", "master", "id", SAFE)

    check(facts, "redis://host", Durability.DISK)


async def test_a_redis_that_reads_its_data_is_waited_for(start):
    redis = start(key_load_delay="2000")
    # It looks at its connections after every two megabytes.
    for n in range(200):
        redis.command("SET", f"filler-{n}", f"{n}" * 10_000)
    redis.command("BGREWRITEAOF")
    while "aof_rewrite_in_progress:1" in redis.command("INFO", "persistence"):
        pass
    redis.kill()
    redis.launch()
    while not redis.answers("LOADING"):
        pass

    assert await is_accepted(redis.url)


# What it keeps.


@pytest.mark.parametrize(
    ("name", "value", "levels"),
    [
        ("appendonly", "no", [Durability.MEMORY]),
        ("appendfsync", "everysec", [Durability.MEMORY, Durability.PROCESS]),
        ("appendfsync", "no", [Durability.MEMORY, Durability.PROCESS]),
        (
            "no-appendfsync-on-rewrite",
            "yes",
            [Durability.MEMORY, Durability.PROCESS],
        ),
        ("maxmemory-policy", "allkeys-lru", [Durability.MEMORY]),
        ("maxmemory-policy", "volatile-ttl", [Durability.MEMORY]),
    ],
)
async def test_a_setting_that_loses_events_is_refused(start, name, value, levels):
    redis = start(**{name: value})

    for level in Durability:
        if level in levels:
            assert await is_accepted(f"{redis.url}?prefix={level.value}", level)
            continue
        error = await refusal(redis.url, level)
        assert isinstance(error, UnsafeError)
        assert f"{name} is {value}" in str(error)
        # What it says is what helps.
        assert f"CONFIG SET {name} {SAFE[name]}" in str(error)
    redis.command("CONFIG", "SET", name, SAFE[name])
    assert await is_accepted(redis.url)


async def test_where_settings_cannot_be_read_info_tells_most(start):
    redis = start(on_tcp=True)
    redis.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-config")
    url = f"redis://app:pw@127.0.0.1:{redis.port}"

    error = await refusal(url)
    assert isinstance(error, UnsafeError)
    assert "appendfsync is not to be read (allow CONFIG GET)" in str(error)
    assert "appendonly" not in str(error)
    assert await is_accepted(url, Durability.PROCESS)
    redis.command("CONFIG", "SET", "appendonly", "no")
    assert "appendonly is no" in str(await refusal(url, Durability.PROCESS))


async def test_a_user_who_may_not_run_scripts_is_told(start):
    redis = start(on_tcp=True)
    redis.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-evalsha")

    error = await refusal(f"redis://app:pw@127.0.0.1:{redis.port}")

    assert isinstance(error, UnavailableError)
    assert "evalsha" in str(error)


# What is in it.


async def test_a_store_of_a_newer_layout_is_left_alone(shared_redis, url):
    assert await is_accepted(url)
    key = f"{{sf:{url.partition('=')[2]}}}:store"
    shared_redis.command("HSET", key, "layout", "999")

    error = await refusal(url)

    assert isinstance(error, LayoutError)
    assert "layout 999" in str(error)
    shared_redis.command("HSET", key, "layout", str(LAYOUT))
    store = LoneRedisStore(url)
    await store.open()
    assert await store.read("ns/r") == [b"one"]
    await store.close()


async def test_the_number_of_partitions_is_chosen_once(url):
    assert await is_accepted(f"{url}&partitions=3")

    error = await refusal(f"{url}&partitions=4")
    assert isinstance(error, LayoutError)
    assert "has 3 partitions, not 4" in str(error)

    for same in (url, f"{url}&partitions=3"):
        store = LoneRedisStore(same)
        await store.open()
        assert await store.read("ns/r") == [b"one"]
        await store.close()


@pytest.mark.parametrize("name", ["store", "0:partition", "1:runs", "2:timers"])
async def test_a_key_of_another_program_is_left_alone(shared_redis, url, name):
    prefix = url.partition("=")[2]
    key = key_of(prefix, name)
    shared_redis.command("SET", key, "theirs")

    error = await refusal(url)

    assert isinstance(error, LayoutError)
    assert f"{key} is not ours" in str(error)
    assert "prefix=NAME" in str(error)
    assert shared_redis.command("GET", key) == "theirs"


@pytest.mark.parametrize("fields", [{"layout": "many"}, {"partitions": "3"}])
async def test_a_hash_of_another_program_is_left_alone(shared_redis, url, fields):
    key = key_of(url.partition("=")[2], "store")
    for name, value in fields.items():
        shared_redis.command("HSET", key, name, value)

    assert f"{key} is not ours" in str(await refusal(url))


@pytest.mark.parametrize("name", ["store", "0:partition", "0:runs"])
async def test_a_key_that_is_gone_is_noticed(shared_redis, url, name):
    assert await is_accepted(f"{url}&partitions=1")
    key = key_of(url.partition("=")[2], name)
    shared_redis.command("DEL", key)

    error = await refusal(url)

    assert isinstance(error, CorruptError)
    assert f"{key}, or a part of it, is gone" in str(error)


def key_of(prefix, name):
    partition, _, rest = name.rpartition(":")
    tag = f"{prefix}:{partition}" if partition else prefix
    return f"{{sf:{tag}}}:{rest}"
