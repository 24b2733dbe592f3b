"""Damage to the database is noticed: never is a wrong event returned."""

import random

import pytest

from starflow_backends import CorruptError, DueTimer, Phase, SqliteStore, StoreError
from starflow_backends.testing import appended, assert_run

FLIPS = 250


def change(store, statement, *values):
    """Change a row behind the store's back."""
    cursor = store._committer._connection.execute(statement, values)
    assert cursor.rowcount == 1


@pytest.fixture
async def store(store):
    """A store with two runs alike, and a record."""
    for run in ("ns/a", "ns/b"):
        await store.append(appended(run, 0, b"one", b"two", timers={"t": 7}))
        await store.append(appended(run, 2, b"three", attempts={1: b"x"}, note=b"n"))
        await store.append(appended(run, 3, b"four!", phase=Phase.CALLING))
    await store.put_record("space", "key", b"value")
    return store


async def assert_b_is_whole(store):
    events = [b"one", b"two", b"three", b"four!"]
    await assert_run(
        store,
        "ns/b",
        events,
        phase=Phase.CALLING,
        timers={"t": 7},
        attempts={1: b"x"},
    )
    await store.append(appended("ns/b", 4, b"five"))


@pytest.mark.parametrize(
    ("statement", "version"),
    [
        ("UPDATE log SET events = x'00' WHERE rid = 1 AND first = 3", 3),
        ("UPDATE log SET events = 'text' WHERE rid = 1 AND first = 3", 3),
        ("UPDATE log SET crc = crc + 1 WHERE rid = 1 AND first = 1", 1),
        ("UPDATE log SET count = 3 WHERE rid = 1 AND first = 1", 1),
        ("UPDATE log SET first = 2 WHERE rid = 1 AND first = 1", 1),
        ("DELETE FROM log WHERE rid = 1 AND first = 1", 1),
        ("DELETE FROM log WHERE rid = 1 AND first = 3", 3),
        ("DELETE FROM log WHERE rid = 1 AND first = 4", 4),
    ],
)
async def test_a_damaged_event_is_reported(store, statement, version):
    change(store, statement)

    with pytest.raises(CorruptError) as caught:
        await store.read("ns/a")

    assert caught.value.run == "ns/a"
    assert caught.value.version == version
    await assert_b_is_whole(store)


async def test_what_is_not_damaged_can_be_read(store):
    change(store, "UPDATE log SET crc = 0 WHERE rid = 1 AND first = 3")

    assert await store.read("ns/a", limit=2) == [b"one", b"two"]
    assert await store.read("ns/a", from_version=4) == [b"four!"]
    with pytest.raises(CorruptError):
        await store.read("ns/a", from_version=2, limit=2)


async def test_rows_that_changed_places_are_noticed(store):
    """Of one run, and of two runs that wrote the same."""
    swap = (
        "UPDATE log SET (crc, events) ="
        " (SELECT crc, events FROM log WHERE rid = ? AND first = ?)"
        " WHERE rid = 1 AND first = 3"
    )
    for rid, first in ((2, 3), (1, 4)):
        change(store, swap, rid, first)

        with pytest.raises(CorruptError) as caught:
            await store.read("ns/a")
        assert caught.value.version == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE head SET version = 3 WHERE rid = 1",
        "UPDATE head SET phase = 2 WHERE rid = 1",
        "UPDATE head SET append_id = 'other' WHERE rid = 1",
        "UPDATE head SET append_id = CAST(x'ff' AS TEXT) WHERE rid = 1",
        "UPDATE head SET note = x'00' WHERE rid = 1",
        "UPDATE head SET note = 7 WHERE rid = 1",
        "DELETE FROM head WHERE rid = 1",
        "UPDATE head SET (version, phase, append_id, note, crc) ="
        " (SELECT version, phase, append_id, note, crc FROM head WHERE rid = 2)"
        " WHERE rid = 1",
    ],
)
async def test_a_damaged_head_is_reported(store, path, statement):
    change(store, statement)
    await store.close()
    store = SqliteStore(path)
    await store.open()

    for answer in (
        store.load("ns/a"),
        store.read("ns/a"),
        store.append(appended("ns/a", 4, b"five")),
    ):
        with pytest.raises(CorruptError) as caught:
            await answer
        assert (caught.value.run, caught.value.version) == ("ns/a", 0)
    await assert_b_is_whole(store)
    await store.close()


async def test_a_run_with_a_damaged_head_is_among_those_of_any_phase(store):
    """Nobody would come to know of it otherwise."""
    change(store, "UPDATE head SET phase = 2 WHERE rid = 1")

    assert await store.runs_in([Phase.PAUSED]) == ["ns/a"]
    assert await store.runs_in([Phase.CALLING]) == ["ns/a", "ns/b"]


async def test_a_cleared_index_does_not_hide_damage(store):
    change(store, "UPDATE head SET version = 3 WHERE rid = 1")

    await store.clear_index()

    with pytest.raises(CorruptError):
        await store.load("ns/a")
    assert (await store.load("ns/b")).phase is Phase.RUNNABLE


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE timer SET due = 6 WHERE rid = 1",
        "UPDATE timer SET due = 'soon', crc = 0 WHERE rid = 1",
        "UPDATE timer SET name = 'u' WHERE rid = 1",
        "UPDATE timer SET rid = 2, name = 'u' WHERE rid = 1",
        "UPDATE timer SET rid = 77 WHERE rid = 1",
    ],
)
async def test_a_damaged_timer_does_not_fire_and_others_do(store, statement):
    await store.append(appended("ns/sound", 0, timers={"t": 8}))
    now = (await store.timers_due()).now_ns
    await store.append(appended("ns/later", 0, timers={"t": now + 10**15}))
    change(store, statement)

    found = await store.timers_due()

    assert DueTimer("ns/sound", "t", 8) in found.due
    assert found.next_due_ns == now + 10**15
    # One that is not due by now is met when it comes first.
    assert len(found.damaged) == (0 if "soon" in statement else 1)
    assert len(found.due) == 2


async def test_a_damaged_index_is_reported_and_can_be_made_again(store):
    change(store, "UPDATE timer SET due = 6 WHERE rid = 1")
    change(store, "UPDATE attempt SET value = x'00' WHERE rid = 2")
    for run in ("ns/a", "ns/b"):
        with pytest.raises(CorruptError) as caught:
            await store.load(run)
        assert (caught.value.run, caught.value.version) == (run, 0)

    await store.clear_index()

    assert (await store.timers_due()).due == []
    for run in ("ns/a", "ns/b"):
        await assert_run(store, run, [b"one", b"two", b"three", b"four!"])


@pytest.mark.parametrize("name", ["value", "key", "space"])
async def test_a_damaged_record_is_reported(store, name):
    change(store, f"UPDATE record SET {name} = x'6f74686572'")
    change(store, f"UPDATE record SET {name} = CAST({name} AS TEXT)")
    space = "other" if name == "space" else "space"
    key = "other" if name == "key" else "key"

    with pytest.raises(CorruptError, match=f"record {key} in {space}"):
        await store.get_record(space, key)
    with pytest.raises(CorruptError):
        await store.scan_records(space)
    with pytest.raises(CorruptError):
        await store.put_record(space, key, b"new", replace=False)
    assert await store.put_record(space, key, b"new") == b"new"
    assert await store.get_record(space, key) == b"new"


async def test_flipped_bits_are_noticed(tmp_path):
    """
    One flipped bit anywhere in the file: every run reads as it was, or not at all.

    What may happen is that a run is not found any more, when the bit was in its name.
    """
    logs = {f"ns/{n}": [b"%d %d" % (n, m) * 9 for m in range(12)] for n in range(12)}
    whole = await written(tmp_path / "whole.db", logs)
    chance = random.Random(1)
    reports = hidden = 0
    for n in range(FLIPS):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path = tmp_path / f"{n}.db"
        path.write_bytes(damaged)
        try:
            found = await all_read(path, logs)
        except StoreError:
            reports += 1
            continue
        for run, events in found.items():
            reports += events is None
            hidden += events == []
            assert events in (logs[run], [], None)

    assert reports > FLIPS / 10
    assert hidden < FLIPS / 50


async def written(path, logs):
    """The bytes of a database that holds *logs*."""
    store = SqliteStore(path)
    await store.open()
    for run, events in logs.items():
        for version in range(0, len(events), 2):
            await store.append(appended(run, version, *events[version : version + 2]))
    await store.close()
    return path.read_bytes()


async def all_read(path, logs):
    """What the database says of each of *logs*: None if it says that it is damaged."""
    store = SqliteStore(path)
    await store.open()
    found = {}
    try:
        for run in logs:
            try:
                found[run] = await store.read(run)
            except StoreError:
                found[run] = None
    finally:
        await store.close()
    return found
