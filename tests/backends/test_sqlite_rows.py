"""Packed events come back, and rows that are not as written are told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_backends import CorruptError
from starflow_backends import sqlite_rows as rows

EVENTS = st.lists(st.binary(max_size=40), min_size=1, max_size=5)


@given(EVENTS)
def test_packed_events_come_back(events):
    assert rows.unpack(len(events), rows.pack(events)) == events


@st.composite
def logs(draw):
    """Rows of a log, and the events in them."""
    events: list[bytes] = []
    packed = []
    for group in draw(st.lists(EVENTS, min_size=1, max_size=6)):
        data = rows.pack(group)
        first = len(events) + 1
        place = rows.log_place("ns/r", first, len(group))
        packed.append((first, len(group), rows.checksum(place, data), data))
        events += group
    return packed, events


@given(logs(), st.data())
def test_any_part_of_a_log_comes_back(log, data):
    packed, events = log
    start = data.draw(st.integers(1, len(events)))
    end = data.draw(st.integers(start, len(events)))
    needed = [row for row in packed if row[0] + row[1] > start and row[0] <= end]

    assert rows.unpack_log("ns/r", needed, start, end) == events[start - 1 : end]


@given(logs(), st.data())
def test_a_missing_row_is_noticed(log, data):
    packed, events = log
    gone = packed.pop(data.draw(st.integers(0, len(packed) - 1)))

    with pytest.raises(CorruptError, match="missing") as caught:
        rows.unpack_log("ns/r", packed, 1, len(events))

    assert caught.value.version == gone[0]


@given(logs(), st.data())
def test_a_changed_row_is_noticed(log, data):
    packed, events = log
    at = data.draw(st.integers(0, len(packed) - 1))
    first, count, crc, stored = packed[at]
    bit = data.draw(st.integers(0, 8 * len(stored) - 1))
    changed = bytearray(stored)
    changed[bit // 8] ^= 1 << bit % 8
    packed[at] = (first, count, crc, bytes(changed))

    with pytest.raises(CorruptError) as caught:
        rows.unpack_log("ns/r", packed, 1, len(events))

    assert (caught.value.run, caught.value.version) == ("ns/r", first)


@pytest.mark.parametrize("value", [None, 7, "text", 1.5])
def test_damage_may_change_the_type(value):
    assert not rows.is_intact(rows.checksum("place", b"value"), "place", value)
    assert not rows.is_intact(value, "place", b"value")


def test_the_place_is_part_of_the_checksum():
    crc = rows.checksum(rows.log_place("ns/r", 3, 1), b"value")

    assert rows.is_intact(crc, rows.log_place("ns/r", 3, 1), b"value")
    for place in (("ns/q", 3, 1), ("ns/r", 4, 1), ("ns/r", 3, 2)):
        assert not rows.is_intact(crc, rows.log_place(*place), b"value")
