"""What a row holds: packed events, and a checksum against rot and misplaced rows.

SQLite does not check the contents of its pages.  So each row carries a CRC-32 of its
value that starts from the CRC-32 of its *place*, the names under which it is found: a
row that turns up in another's place is as wrong as one with a flipped bit.

What the checksums cannot see is a row that SQLite does not find any more.  For events
the run's head tells how many there must be.  A run whose own name is lost is just gone.
"""

import struct
from collections.abc import Mapping, Sequence
from zlib import crc32

from starflow_backends.store import CorruptError


def checksum(place: str, value: bytes = b"") -> int:
    """Return the checksum of *value* as the contents of *place*."""
    return crc32(value, crc32(place.encode()))


def head_place(run: str, version: object, phase: object, append_id: object) -> str:
    """Return what the checksum of a run's head covers, beside its note."""
    return f"head\0{run}\0{version}\0{phase}\0{append_id}"


def log_place(run: str, first: object, count: object) -> str:
    """Return the place of *count* events from version *first* on."""
    return f"log\0{run}\0{first}\0{count}"


def timer_place(run: str, name: object, due: object) -> str:
    """Return what the checksum of a timer covers."""
    return f"timer\0{run}\0{name}\0{due}"


def attempt_place(run: str, version: object) -> str:
    """Return the place of an attempt record."""
    return f"attempt\0{run}\0{version}"


def entry_place(run: str, terms: object) -> str:
    """Return what the checksum of an entry covers, beside its summary."""
    return f"entry\0{run}\0{terms}"


def terms_text(terms: Mapping[int, int]) -> str:
    """Return the terms of an entry as they are stored."""
    return " ".join(f"{term}:{time_ns}" for term, time_ns in terms.items())


def terms_of(text: str) -> dict[int, int]:
    """Return the terms that `terms_text` made *text* of."""
    pairs = (pair.partition(":") for pair in text.split())
    return {int(term): int(time_ns) for term, _, time_ns in pairs}


def record_place(space: str, key: object) -> str:
    """Return the place of a record."""
    return f"record\0{space}\0{key}"


def queue_place(name: str, *values: object) -> str:
    """Return what the checksum of a queue covers."""
    return "\0".join(("queue", name, *map(repr, values)))


def is_intact(crc: object, place: str, value: object = b"") -> bool:
    """Whether *value*, whose type damage can change too, is what was stored."""
    return isinstance(value, bytes) and checksum(place, value) == crc


def pack(events: Sequence[bytes]) -> bytes:
    """Return one value that holds *events*."""
    lengths = struct.pack(f"<{len(events)}I", *map(len, events))
    return b"".join((lengths, *events))


def unpack(count: int, packed: bytes) -> list[bytes]:
    """Return the events that `pack` made *packed* of."""
    events = []
    end = 4 * count
    for length in struct.unpack_from(f"<{count}I", packed):
        start, end = end, end + length
        events.append(packed[start:end])
    return events


def unpack_log(
    run: str,
    rows: Sequence[tuple[int, int, int, bytes]],
    from_version: int,
    to_version: int,
) -> list[bytes]:
    """
    Return the events from *from_version* to *to_version*, both included, out of *rows*.

    Raises:
        CorruptError: A row is damaged, or missing.
    """
    events: list[bytes] = []
    start = reached = from_version
    for first, count, crc, packed in rows:
        if not is_intact(crc, log_place(run, first, count), packed):
            raise CorruptError(run, reached, "its checksum does not match")
        if not events:
            # The row that holds the first event may begin before it.
            start = reached = min(first, from_version)
        if first != reached:
            break
        events += unpack(count, packed)
        reached += count
    if reached <= to_version:
        raise CorruptError(run, reached, "it is missing")
    return events[from_version - start : to_version + 1 - start]
