"""What is changed in Redis by hand is noticed: never is a wrong event returned."""

from uuid import uuid4

import pytest

from starflow_backends import ConflictError, CorruptError, DueTimer, Phase
from starflow_backends.redis_layout import event_crc
from starflow_backends.testing import appended, assert_run
from tests.support.redis_stores import LoneRedisStore

RUN_A, RUN_B = "ns/a", "ns/b"


@pytest.fixture
async def store(shared_redis):
    """A store with two runs alike, and a record."""
    store = LoneRedisStore(f"{shared_redis.url}?prefix={uuid4().hex}&partitions=1")
    await store.open()
    for run in (RUN_A, RUN_B):
        await store.append(appended(run, 0, b"one", b"two", timers={"t": 7}))
        await store.append(appended(run, 2, b"three", attempts={1: b"x"}, note=b"n"))
        await store.append(appended(run, 3, b"four!", phase=Phase.CALLING))
    await store.put_record("space", "key", b"value")
    yield store
    await store.close()


@pytest.fixture
def change(store, shared_redis):
    """Carries out a command in which RUN, LOG and so on stand for the keys of run a."""
    tag = f"{{sf:{store._link.keys.prefix}:0}}"
    keys = {
        "RUN": f"{tag}:run:{RUN_A}",
        "LOG": f"{tag}:log:{RUN_A}",
        "RUN_OF_B": f"{tag}:run:{RUN_B}",
        "RUNS": f"{tag}:runs",
        "TIMERS": f"{tag}:timers",
        "RECORDS": f"{{sf:{store._link.keys.prefix}}}:record:space",
    }

    def change_by_hand(*words):
        return shared_redis.command(*(keys.get(word, word) for word in words))

    return change_by_hand


async def assert_b_is_whole(store):
    await assert_run(
        store,
        RUN_B,
        [b"one", b"two", b"three", b"four!"],
        phase=Phase.CALLING,
        timers={"t": 7},
        attempts={1: b"x"},
    )
    await store.append(appended(RUN_B, 4, b"five"))


@pytest.mark.parametrize(
    ("commands", "version"),
    [
        (["XDEL LOG 0-1"], 1),
        (["XDEL LOG 0-3"], 3),
        (["XTRIM LOG MAXLEN 2"], 1),
        (["XDEL LOG 0-4"], 4),
        (["DEL LOG"], 1),
        # What was there cannot be put back with another content, nor elsewhere.
        (["DEL LOG", "XADD LOG 0-1 crc 00000000 event one"], 1),
        (["DEL LOG", "XADD LOG 0-1 event one"], 1),
        (["DEL LOG", "XADD LOG 0-2 crc 00000000 event two"], 1),
    ],
)
async def test_a_damaged_log_is_reported(store, change, commands, version):
    for command in commands:
        change(*command.split())

    with pytest.raises(CorruptError) as caught:
        await store.read(RUN_A)

    assert (caught.value.run, caught.value.version) == (RUN_A, version)
    await assert_b_is_whole(store)


async def test_an_altered_event_is_reported(store, change):
    """The whole log is made again, with one letter changed and its old checksum."""
    crcs = [event_crc(RUN_A, n, event) for n, event in enumerate((b"one", b"two"), 1)]
    change("DEL", "LOG")
    change("XADD", "LOG", "0-1", "crc", crcs[0], "event", "one")
    change("XADD", "LOG", "0-2", "crc", crcs[1], "event", "twO")

    assert await store.read(RUN_A, limit=1) == [b"one"]
    with pytest.raises(CorruptError, match="event 2: its checksum does not match"):
        await store.read(RUN_A, limit=2)


async def test_what_is_not_damaged_can_be_read(store, change):
    change("XDEL", "LOG", "0-3")

    assert await store.read(RUN_A, limit=2) == [b"one", b"two"]
    assert await store.read(RUN_A, from_version=4) == [b"four!"]
    with pytest.raises(CorruptError):
        await store.read(RUN_A, from_version=2, limit=2)


@pytest.mark.parametrize("command", ["XDEL LOG 0-4", "XTRIM LOG MAXLEN 1", "DEL LOG"])
async def test_a_log_with_a_hole_is_not_continued(store, change, command):
    change(*command.split())

    with pytest.raises(CorruptError, match="events of its log are gone"):
        await store.append(appended(RUN_A, 4, b"five"))

    # But its run can be parked.
    await store.append(appended(RUN_A, 4, phase=Phase.PAUSED, note=b"why"))
    assert await store.runs_in([Phase.PAUSED]) == [RUN_A]


@pytest.mark.parametrize(
    "command",
    [
        "HSET RUN version 3",
        "HSET RUN version many",
        "HSET RUN phase 4",
        "HSET RUN append other",
        "HSET RUN note x",
        "HSET RUN crc 00000000",
        "HDEL RUN crc",
        "HSET RUN timer:t 00000000000000000009",
        "HSET RUN attempt:1 x",
        "HSET RUN attempt:one x",
    ],
)
async def test_a_damaged_index_is_reported(store, change, command):
    change(*command.split())

    with pytest.raises(CorruptError) as caught:
        await store.load(RUN_A)

    assert (caught.value.run, caught.value.version) == (RUN_A, 0)
    # It is found, and so somebody learns of it.
    assert await store.runs_in([Phase.CALLING]) == [RUN_A, RUN_B]
    await assert_b_is_whole(store)


@pytest.mark.parametrize("version", ["3", "5", "many"])
async def test_an_altered_version_lets_nobody_append(store, change, version):
    change("HSET", "RUN", "version", version)

    for expected in (3, 4, 5):
        with pytest.raises((CorruptError, ConflictError)):
            await store.append(appended(RUN_A, expected, b"event"))


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("commands", [["DEL RUN"], ["DEL RUN", "DEL LOG"]])
async def test_a_run_whose_keys_are_gone_does_not_begin_again(
    store, change, commands, phase
):
    await store.append(appended(RUN_A, 4, phase=phase))
    for command in commands:
        change(*command.split())

    for answer in (
        store.load(RUN_A),
        store.read(RUN_A),
        store.append(appended(RUN_A, 0, b"again")),
    ):
        with pytest.raises(CorruptError, match="gone") as caught:
            await answer
        assert caught.value.run == RUN_A
    await assert_b_is_whole(store)


@pytest.mark.parametrize("key", ["RUN", "LOG"])
async def test_a_key_of_another_program_is_left_alone(store, change, key):
    change("DEL", key)
    change("SET", key, "theirs")

    for answer in (store.read(RUN_A), store.append(appended(RUN_A, 4, b"five"))):
        with pytest.raises(CorruptError) as caught:
            await answer
        assert caught.value.run == RUN_A
    assert change("GET", key) == "theirs"
    await assert_b_is_whole(store)


@pytest.mark.parametrize("key", ["RUNS", "TIMERS"])
async def test_an_append_that_cannot_be_whole_writes_nothing(store, change, key):
    change("DEL", key)
    change("SET", key, "theirs")

    with pytest.raises(CorruptError):
        await store.append(
            appended(RUN_A, 4, b"five", phase=Phase.FINISHED, timers={"t": None})
        )

    change("DEL", key)
    assert await store.read(RUN_A) == [b"one", b"two", b"three", b"four!"]


async def test_a_damaged_timer_is_reported_and_clearing_helps(store, change):
    change("ZADD", "TIMERS", "0", "00000000000000000001 00000000 ns/a")

    await store.append(appended("ns/sound", 0, timers={"t": 8}))

    found = await store.timers_due()

    assert DueTimer("ns/sound", "t", 8) in found.due
    assert len(found.due) == 3
    (error,) = found.damaged
    assert "timer" in str(error)

    await store.clear_index()
    assert list((await store.timers_due()).due) == []
    await assert_run(store, RUN_A, [b"one", b"two", b"three", b"four!"])


async def test_clearing_hides_no_damage(store, change):
    change("HSET", "RUN", "version", "3")

    await store.clear_index()

    with pytest.raises(CorruptError):
        await store.load(RUN_A)


async def test_clearing_makes_the_set_of_runs_again(store, change):
    change("DEL", "RUNS")
    assert await store.runs_in(list(Phase)) == []

    await store.clear_index()

    assert await store.runs_in([Phase.RUNNABLE]) == [RUN_A, RUN_B]


@pytest.mark.parametrize("value", ["", "x", "00000000value"])
async def test_a_damaged_record_is_reported(store, change, value):
    change("HSET", "RECORDS", "key", value)

    for answer in (store.get_record("space", "key"), store.scan_records("space")):
        with pytest.raises(CorruptError, match="record key in space"):
            await answer
    await store.put_record("space", "key", b"new")
    assert await store.get_record("space", "key") == b"new"
