"""What the document on operating says of Redis is true."""

import re
import subprocess
from pathlib import Path

import pytest

from starflow_backends import Durability, PermitRequest, Phase, QueueLimits
from starflow_backends.redis_layout import PARTITIONS
from starflow_backends.redis_url import LEASE_MS
from starflow_backends.testing import appended, outcomes_of
from tests.support.redis_server import RedisServer
from tests.support.redis_stores import LoneRedisStore

ROOT = Path(__file__).parents[2]
SECTION = (
    (ROOT / "docs/operating.md")
    .read_text()
    .partition("\n## Redis\n")[2]
    .partition("\n## ")[0]
)
COMMANDS = [
    command
    for fence in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    for command in fence.replace("\\\n", "").splitlines()
    if command.startswith("redis-cli")
]
RUN = "default/order-1"


def carried_out(redis: RedisServer, command: str) -> str:
    """Carry out a line of the document, on this Redis."""
    line = command.replace("redis-cli", f"redis-cli -s {redis.socket}")
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ERR" not in ended.stdout
    return ended.stdout


async def test_the_settings_that_it_says_are_enough(redis):
    redis.command("CONFIG", "SET", "appendonly", "no")
    redis.command("CONFIG", "SET", "appendfsync", "no")
    redis.command("CONFIG", "SET", "no-appendfsync-on-rewrite", "yes")
    redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

    for command in COMMANDS:
        if "CONFIG" in command:
            assert carried_out(redis, command) == "OK\n"

    store = LoneRedisStore(redis.url, durability=Durability.DISK)
    await store.open()
    await store.close()
    redis.kill()
    # For the next life, too.
    redis.start()
    store = LoneRedisStore(redis.url, durability=Durability.DISK)
    await store.open()
    await store.close()


async def test_a_run_is_read_by_its_commands(redis):
    store = LoneRedisStore(redis.url)
    await store.open()
    events = [b"one", b"two", b"three"]
    await store.append(
        appended(RUN, 0, *events, phase=Phase.CALLING, timers={"wake/2": 7})
    )

    said = [carried_out(redis, each) for each in COMMANDS if "CONFIG" not in each]

    scan, runs, log, event, index, owner = said
    assert scan == f"{{sf:main:10}}:log:{RUN}\n"
    assert runs == f"{int(Phase.CALLING)}:{RUN}\n"
    for version, each in enumerate(events, 1):
        assert f"0-{version}\ncrc\n" in log
        assert f"event\n{each.decode()}\n" in log
    assert event == "three\n"
    assert "version\n3\nphase\n1\n" in index
    assert "timer:wake/2\n00000000000000000007 " in index
    assert re.search(r"\n1-[0-9a-f]{8}\n$", owner)
    await store.close()


async def test_the_rights_that_it_names_are_enough(redis):
    (rights,) = re.findall(r"`ACL (SETUSER starflow [^`]*)`", SECTION)
    redis.command("ACL", *rights.replace("PASSWORD", "s3cret").split())
    redis.command("CONFIG", "SET", "requirepass", "other")

    store = LoneRedisStore(f"unix://starflow:s3cret@{redis.socket}?db=3")
    await store.open()
    outcomes = await outcomes_of(
        store,
        (
            appended(f"ns/{n}", 0, b"one", timers={"t": 1}, scripts={"h": b"text"})
            for n in range(20)
        ),
    )
    assert outcomes == [None] * 20
    assert len(await store.runs_in(list(Phase))) == 20
    assert len((await store.timers_due()).due) == 20
    assert await store.put_record("space", "key", b"v", replace=False) == b"v"
    assert await store.scan_records("script") == {"h": b"text"}
    await store.set_queue("ns/q", QueueLimits(max_in_flight=1))
    asked = PermitRequest("ns/q", 1_000, ended=["c"], unused=["b"], wanted=["a"])
    assert (await store.permits(asked)).granted == 1
    assert (await store.queues())["ns/q"].in_flight == 1
    assert await store.set_queue("ns/q", None)
    await store.clear_index()
    assert await store.read("ns/1") == [b"one"]
    assert await store.delete("ns/1", expected_version=1, tombstone_ns=10**9)
    await store.join("host:1", "0.1.0")
    assert [each.address for each in await store.replicas()] == ["host:1"]
    await store.close()


def test_the_defaults_are_those():
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", SECTION, re.MULTILINE))

    assert rows == {
        "prefix": "main",
        "partitions": str(PARTITIONS),
        "lease_ms": str(LEASE_MS),
    }


@pytest.mark.parametrize("phase", Phase)
def test_the_phases_are_those(phase):
    assert f"{int(phase)} {phase.name.lower()}" in SECTION
