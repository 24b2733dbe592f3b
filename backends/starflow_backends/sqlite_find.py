"""Finds runs by their entries, and deletes runs.

Each function looks at a bounded number of rows: it goes through the smallest of the
sets that a query names, in the order of the index, and asks the others by key.
"""

import heapq
import sqlite3
from collections.abc import Iterator, Sequence

from starflow_backends import sqlite_rows as rows
from starflow_backends.postings import end_of, time_in
from starflow_backends.sqlite_group import Many
from starflow_backends.sqlite_schema import snapshot
from starflow_backends.store import (
    ConflictError,
    CorruptError,
    Found,
    Page,
    Place,
    Query,
)

# Rows that one call looks at before it answers with what it has.
LOOKED_MAX = 2_000
# Rows up to which sets are counted, to find the smallest.
_COUNTED_MAX = 500

_COUNT = (
    "SELECT count(*) FROM (SELECT 1 FROM found"
    " WHERE term = ? AND time >= ? AND time < ? LIMIT ?)"
)
_COUNT_PREFIX = (
    "SELECT count(*) FROM (SELECT 1 FROM run WHERE key >= ? AND key < ? LIMIT ?)"
)
_SELECT_PLACES = (
    "SELECT time, key FROM found WHERE term = ? AND time >= ?"
    " AND (time, key) < (?, ?) ORDER BY time DESC, key DESC LIMIT ?"
)
_SELECT_PREFIX = (
    "SELECT r.key, e.terms FROM run r CROSS JOIN entry e USING (rid)"
    " WHERE r.key >= ? AND r.key < ? LIMIT ?"
)
_SELECT_FOUND = Many(
    "SELECT r.key, h.version, e.terms, e.summary, e.crc FROM run r"
    " CROSS JOIN head h USING (rid) CROSS JOIN entry e USING (rid) WHERE r.key IN (",
    "?",
    ")",
)
_SELECT_TOMBSTONES = Many("SELECT key, until FROM tombstone WHERE key IN (", "?", ")")
_SELECT_HEAD = (
    "SELECT r.rid, h.version, e.terms FROM run r LEFT JOIN head h USING (rid)"
    " LEFT JOIN entry e USING (rid) WHERE r.key = ?"
)
# Greater than whatever a key goes on with.
_LAST_CHARACTER = "\U0010ffff"


def find(connection: sqlite3.Connection, query: Query) -> Page:
    """Return the page that *query* asks for."""
    with snapshot(connection):
        search = _Search(connection, query)
        places = search.run()
        return Page(_found(connection, places), search.last)


class _Search:
    """One look for places; `last` tells how far it came, or that it came to the end."""

    def __init__(self, connection: sqlite3.Connection, query: Query) -> None:
        self.last: Place | None = None
        self._connection = connection
        self._query = query
        self._prefix_end = query.prefix + _LAST_CHARACTER
        self._end = end_of(query)

    def run(self) -> list[Place]:
        query = self._query
        if len(query.groups) == 1 and not query.prefix:
            return self._go_through(query.groups[0], ())
        counts = [self._count(group) for group in query.groups]
        least = min(counts)
        if query.prefix and self._count_prefix() < min(least, _COUNTED_MAX):
            return self._go_through_prefix()
        driving = counts.index(least)
        others = [group for n, group in enumerate(query.groups) if n != driving]
        return self._go_through(query.groups[driving], others)

    def _count(self, group: Sequence[int]) -> int:
        bounds = (self._query.since_ns, self._query.before_ns, _COUNTED_MAX)
        counts = (self._value(_COUNT, (term, *bounds)) for term in group)
        return sum(counts)

    def _count_prefix(self) -> int:
        bounds = (self._query.prefix, self._prefix_end, _COUNTED_MAX)
        return self._value(_COUNT_PREFIX, bounds)

    def _value(self, select: str, values: tuple[object, ...]) -> int:
        (value,) = self._connection.execute(select, values).fetchone()
        return int(value)

    def _go_through(
        self, driving: Sequence[int], others: Sequence[Sequence[int]]
    ) -> list[Place]:
        found: list[Place] = []
        before = None
        for looked, place in enumerate(self._places(driving)):
            if looked == LOOKED_MAX:
                self.last = before
                break
            is_again, before = place == before, place
            if is_again or not place[1].startswith(self._query.prefix):
                continue
            if not all(self._has_one(group, place) for group in others):
                continue
            if len(found) == self._query.limit:
                self.last = found[-1]
                break
            found.append(place)
        return found

    def _places(self, group: Sequence[int]) -> Iterator[Place]:
        bounds = (self._query.since_ns, *self._end, LOOKED_MAX + 1)
        parts = [
            self._connection.execute(_SELECT_PLACES, (term, *bounds)) for term in group
        ]
        return heapq.merge(*parts, reverse=True)

    def _has_one(self, group: Sequence[int], place: Place) -> bool:
        wanted = ", ".join("?" * len(group))
        select = (
            f"SELECT 1 FROM found WHERE term IN ({wanted}) AND time = ? AND key = ?"
        )
        row = self._connection.execute(select, (*group, *place)).fetchone()
        return row is not None

    def _go_through_prefix(self) -> list[Place]:
        bounds = (self._query.prefix, self._prefix_end, _COUNTED_MAX)
        selected = self._connection.execute(_SELECT_PREFIX, bounds)
        places = [
            (time_ns, key)
            for key, terms in selected
            if (time_ns := time_in(rows.terms_of(terms), self._query)) is not None
        ]
        places = sorted((place for place in places if place < self._end), reverse=True)
        if len(places) > self._query.limit:
            del places[self._query.limit :]
            self.last = places[-1]
        return places


def _found(connection: sqlite3.Connection, places: Sequence[Place]) -> list[Found]:
    stored = {
        run: (version, summary)
        for run, version, terms, summary, crc in _SELECT_FOUND.read(
            connection, [run for _, run in places]
        )
        if rows.is_intact(crc, rows.entry_place(run, terms), summary)
    }
    return [Found(run, time_ns, *stored.get(run, (0, b""))) for time_ns, run in places]


def delete(
    connection: sqlite3.Connection, run: str, expected_version: int, until_ns: int
) -> bool:
    """Remove *run* and refuse its key until *until_ns*; return whether it was there."""
    row = connection.execute(_SELECT_HEAD, (run,)).fetchone()
    if row is None:
        return False
    rid, version, terms = row
    if version is None:
        raise CorruptError(run, 0, "its head is gone")
    if version != expected_version:
        raise ConflictError(run, expected_version, version)
    for term, time_ns in rows.terms_of(terms or "").items():
        connection.execute(
            "DELETE FROM found WHERE term = ? AND time = ? AND key = ?",
            (term, time_ns, run),
        )
    for table in ("log", "timer", "attempt", "entry", "head", "run"):
        connection.execute(f"DELETE FROM {table} WHERE rid = ?", (rid,))
    connection.execute("REPLACE INTO tombstone VALUES (?, ?)", (run, until_ns))
    return True


def forget_tombstones(connection: sqlite3.Connection, now_ns: int) -> None:
    """Forget the tombstones whose time is over."""
    connection.execute("DELETE FROM tombstone WHERE until <= ?", (now_ns,))


def last_tombstone_ns(connection: sqlite3.Connection) -> int:
    """Return until when keys of deleted runs are refused."""
    (until_ns,) = connection.execute("SELECT max(until) FROM tombstone").fetchone()
    return until_ns or 0


def deleted(
    connection: sqlite3.Connection, runs: Sequence[str], now_ns: int
) -> set[str]:
    """Return those of *runs* whose keys are refused."""
    found = _SELECT_TOMBSTONES.read(connection, runs)
    return {run for run, until_ns in found if until_ns > now_ns}
