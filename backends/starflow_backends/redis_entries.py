"""What runs are found by, as Redis keeps it.

An entry is a field of its run's hash: a checksum, its terms as ``TERM TIME,TERM TIME``,
a line feed, and the summary.  Each of its terms is a member of the partition's set,
``TERM TIME RUN``: terms and times have 16 hexadecimal digits, so that the members of a
term are together and in the order of time.
"""

from collections.abc import Mapping

from starflow_backends.redis_layout import crc_of
from starflow_backends.store import CorruptError, Entry, Place

_CRC_WIDTH = 8
_TIME_WIDTH = 16


def hexadecimal(number: int) -> bytes:
    """Return a term or a time as it is stored."""
    return b"%016x" % number


def place_text(place: Place) -> bytes:
    """Return what a member has after its term."""
    time_ns, run = place
    return b"%016x %s" % (time_ns, run.encode())


def place_of(text: bytes) -> Place:
    """Return the place that `place_text` made *text* of."""
    run = text[_TIME_WIDTH + 1 :].decode(errors="replace")
    return int(text[:_TIME_WIDTH], 16), run


def entry_value(run: str, entry: Entry) -> bytes:
    """Return what the run's hash holds of an entry."""
    value = b"%s\n%s" % (_terms_text(entry.terms), entry.summary)
    return crc_of(f"entry\0{run}", value).encode() + value


def entry_of(run: str, stored: bytes) -> Entry:
    """
    Return an entry.

    Raises:
        CorruptError: It is damaged.
    """
    value = stored[_CRC_WIDTH:]
    if crc_of(f"entry\0{run}", value).encode() != stored[:_CRC_WIDTH]:
        raise CorruptError(run, 0, "its entry is damaged")
    terms, _, summary = value.partition(b"\n")
    pairs = (pair.split(b" ") for pair in terms.split(b",") if pair)
    return Entry({int(term, 16): int(time_ns, 16) for term, time_ns in pairs}, summary)


def _terms_text(terms: Mapping[int, int]) -> bytes:
    return b",".join(b"%016x %016x" % pair for pair in terms.items())
