"""Appends that are committed together: planned in memory, written in few statements.

Whether an append conflicts is decided before anything is written, against the heads of
the runs as they will be when the appends before it are done.  So one that conflicts
leaves nothing to undo, and the others never notice.

All rows of a table go to SQLite in as few statements as can be.  Python's module lets
go of the interpreter's lock in each statement, and a thread that gives that lock up
while the event loop is busy may wait milliseconds to have it back: with one statement
an append a group would take longest exactly when the service is loaded.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from starflow_backends import sqlite_rows as rows
from starflow_backends.store import (
    Append,
    ConflictError,
    CorruptError,
    DeletedError,
    Entry,
    Phase,
)

_ROWS_MAX = 64
# A `FINISHED` that SQLite's module takes as it is: it asks about each enum anew.
_FINISHED = int(Phase.FINISHED)


class Many:
    """One statement for any number of rows, given as one flat list of values."""

    def __init__(
        self, begin: str, row: str, end: str = "", *, between: str = ", "
    ) -> None:
        self._width = row.count("?")
        self._text = cache(lambda count: begin + between.join([row] * count) + end)

    def execute(
        self, connection: sqlite3.Connection, values: Sequence[Any]
    ) -> Iterator[sqlite3.Cursor]:
        """Yield the cursor of each statement that it takes."""
        start, left = 0, len(values) // self._width
        while left:
            # Powers of two only, so that a connection keeps all of them prepared.
            count = min(_ROWS_MAX, 1 << (left.bit_length() - 1))
            end = start + count * self._width
            yield connection.execute(self._text(count), values[start:end])
            start, left = end, left - count

    def write(self, connection: sqlite3.Connection, values: Sequence[Any]) -> None:
        """Execute it for its effect."""
        for _ in self.execute(connection, values):
            pass

    def read(
        self, connection: sqlite3.Connection, values: Sequence[Any]
    ) -> Iterator[tuple[Any, ...]]:
        """Execute it for its rows."""
        for cursor in self.execute(connection, values):
            yield from cursor.fetchall()


_SELECT_HEADS = Many(
    "SELECT r.key, r.rid, h.version, h.phase, h.append_id, h.note, h.crc,"
    " e.terms, e.summary, e.crc FROM run r LEFT JOIN head h USING (rid)"
    " LEFT JOIN entry e USING (rid) WHERE r.key IN (",
    "?",
    ")",
)
_INSERT_RUNS = Many("INSERT INTO run (rid, key, finished) VALUES ", "(?, ?, 0)")
_FINISH_RUNS = Many("UPDATE run SET finished = 1 WHERE rid IN (", "?", ")")
_REOPEN_RUNS = Many("UPDATE run SET finished = 0 WHERE rid IN (", "?", ")")
_PUT_HEADS = Many(
    "REPLACE INTO head (rid, version, phase, append_id, note, crc) VALUES ",
    "(?, ?, ?, ?, ?, ?)",
)
_INSERT_LOG = Many(
    "INSERT INTO log (rid, first, count, crc, events) VALUES ", "(?, ?, ?, ?, ?)"
)
_PUT_TIMERS = Many("REPLACE INTO timer (rid, name, due, crc) VALUES ", "(?, ?, ?, ?)")
# Not `(rid, name) IN (VALUES ...)`, for which SQLite reads the whole table.
_DELETE_TIMERS = Many(
    "DELETE FROM timer WHERE ", "(rid = ? AND name = ?)", between=" OR "
)
_PUT_ATTEMPTS = Many(
    "REPLACE INTO attempt (rid, version, crc, value) VALUES ", "(?, ?, ?, ?)"
)
_DELETE_ATTEMPTS = Many(
    "DELETE FROM attempt WHERE ", "(rid = ? AND version = ?)", between=" OR "
)
_INSERT_SCRIPTS = Many(
    "INSERT OR IGNORE INTO record (space, key, crc, value) VALUES ",
    "('script', ?, ?, ?)",
)


_PUT_ENTRIES = Many(
    "REPLACE INTO entry (rid, terms, crc, summary) VALUES ", "(?, ?, ?, ?)"
)
_PUT_PLACES = Many("INSERT OR IGNORE INTO found (term, time, key) VALUES ", "(?, ?, ?)")
_DELETE_PLACES = Many(
    "DELETE FROM found WHERE ", "(term = ? AND time = ? AND key = ?)", between=" OR "
)

_NO_TERMS: Mapping[int, int] = {}


class Head(NamedTuple):
    """What has to be known of a run to append to it."""

    rid: int
    version: int
    append_id: str | None
    is_finished: bool
    # Those of its entry.
    terms: Mapping[int, int] = _NO_TERMS


def load_heads(
    connection: sqlite3.Connection, runs: Sequence[str]
) -> Iterator[tuple[str, Head | CorruptError]]:
    """Yield the heads of those of *runs* that are stored."""
    for run, rid, version, phase, append_id, note, crc, *entry in _SELECT_HEADS.read(
        connection, runs
    ):
        terms, summary, entry_crc = entry
        if not rows.is_intact(
            crc, rows.head_place(run, version, phase, append_id), note
        ):
            yield run, CorruptError(run, 0, "the checksum of its head does not match")
        elif entry_crc is None:
            yield run, Head(rid, version, append_id, phase == _FINISHED)
        elif not rows.is_intact(entry_crc, rows.entry_place(run, terms), summary):
            yield run, CorruptError(run, 0, "the checksum of its entry does not match")
        else:
            found_by = rows.terms_of(terms)
            yield run, Head(rid, version, append_id, phase == _FINISHED, found_by)


class Group:
    """Appends that are committed together."""

    def __init__(
        self,
        heads: dict[str, Head | CorruptError],
        next_rid: int,
        known_scripts: Iterable[str],
        deleted: Collection[str] = (),
    ) -> None:
        # Of every run that is stored, as they are after what is planned so far.
        self.heads = heads
        # The rid of the next run that is new.
        self.next_rid = next_rid
        self.scripts: dict[str, bytes] = {}
        self._known_scripts = known_scripts
        # Keys that must not begin a run.
        self._deleted = deleted
        # By rid, and so on: a run that comes twice is written once.
        self._runs: dict[int, str] = {}
        self._finished: dict[int, bool] = {}
        self._head_rows: dict[int, tuple[int, int, int, str, bytes, int]] = {}
        self._log: list[int | bytes] = []
        self._timers: dict[tuple[int, str], tuple[int, int] | None] = {}
        self._attempts: dict[tuple[int, int], tuple[int, bytes] | None] = {}
        self._entries: dict[int, tuple[int, str, int, bytes]] = {}
        # Whether runs are to be found by a term, by term, time and run.
        self._places: dict[tuple[int, int, str], tuple[()] | None] = {}

    def plan(self, append: Append) -> None:
        """
        Make *append* part of the group.

        The errors named here leave the group as it was; others, of values that have the
        wrong type, make it useless.

        Raises:
            ConflictError: The run is at another version.
            DeletedError: It was deleted, and its key is refused.
            CorruptError: The run's head is damaged.
        """
        run = append.run
        head = self.heads.get(run)
        if head is None:
            head = Head(self.next_rid, 0, None, is_finished=False)
        elif isinstance(head, CorruptError):
            raise head
        if head.append_id == append.append_id:
            return
        if head.version != append.expected_version:
            raise ConflictError(run, append.expected_version, head.version)
        if run in self._deleted:
            raise DeletedError(run)
        self._plan_rows(append, head)

    def _plan_rows(self, append: Append, head: Head) -> None:
        run, rid = append.run, head.rid
        phase = int(append.phase)
        events = append.events
        version = head.version + len(events)
        crc = rows.checksum(
            rows.head_place(run, version, phase, append.append_id), append.note
        )
        if events:
            packed = rows.pack(events)
            first = head.version + 1
            place = rows.log_place(run, first, len(events))
            self._log += (rid, first, len(events), rows.checksum(place, packed), packed)
        if rid == self.next_rid:
            self.next_rid += 1
            self._runs[rid] = run
        is_finished = phase == _FINISHED
        if is_finished != head.is_finished:
            self._finished[rid] = is_finished
        self._head_rows[rid] = (rid, version, phase, append.append_id, append.note, crc)
        terms = head.terms
        if append.entry is not None:
            self._plan_entry(append, append.entry, rid, terms)
            terms = append.entry.terms
        self.heads[run] = Head(rid, version, append.append_id, is_finished, terms)
        if append.timers:
            self._plan_timers(append, rid)
        if append.attempts:
            self._plan_attempts(append, rid)
        for script, text in append.scripts.items():
            if script not in self._known_scripts:
                self.scripts.setdefault(script, text)

    def _plan_entry(
        self, append: Append, entry: Entry, rid: int, before: Mapping[int, int]
    ) -> None:
        run = append.run
        text = rows.terms_text(entry.terms)
        crc = rows.checksum(rows.entry_place(run, text), entry.summary)
        self._entries[rid] = (rid, text, crc, entry.summary)
        for term, time_ns in before.items():
            if entry.terms.get(term) != time_ns:
                self._places[term, time_ns, run] = None
        for term, time_ns in entry.terms.items():
            if before.get(term) != time_ns:
                self._places[term, time_ns, run] = ()

    def _plan_timers(self, append: Append, rid: int) -> None:
        for name, due in append.timers.items():
            if due is None:
                self._timers[rid, name] = None
            else:
                place = rows.timer_place(append.run, name, due)
                self._timers[rid, name] = (due, rows.checksum(place))

    def _plan_attempts(self, append: Append, rid: int) -> None:
        for version, value in append.attempts.items():
            if value is None:
                self._attempts[rid, version] = None
            else:
                place = rows.attempt_place(append.run, version)
                self._attempts[rid, version] = (rows.checksum(place, value), value)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what was planned, inside a transaction of the caller."""
        if not self._head_rows:
            return
        runs = [value for run in self._runs.items() for value in run]
        _INSERT_RUNS.write(connection, runs)
        _INSERT_LOG.write(connection, self._log)
        heads = [value for row in self._head_rows.values() for value in row]
        _PUT_HEADS.write(connection, heads)
        finished = self._finished.items()
        _FINISH_RUNS.write(connection, [rid for rid, is_so in finished if is_so])
        _REOPEN_RUNS.write(connection, [rid for rid, is_so in finished if not is_so])
        _write_changes(connection, self._timers, _PUT_TIMERS, _DELETE_TIMERS)
        _write_changes(connection, self._attempts, _PUT_ATTEMPTS, _DELETE_ATTEMPTS)
        entries = [value for row in self._entries.values() for value in row]
        _PUT_ENTRIES.write(connection, entries)
        _write_changes(connection, self._places, _PUT_PLACES, _DELETE_PLACES)
        _INSERT_SCRIPTS.write(connection, self._script_values())

    def _script_values(self) -> list[str | int | bytes]:
        values: list[str | int | bytes] = []
        for key, text in self.scripts.items():
            values += (key, rows.checksum(rows.record_place("script", key), text), text)
        return values


def _write_changes(
    connection: sqlite3.Connection,
    changes: Mapping[Any, tuple[Any, ...] | None],
    put: Many,
    delete: Many,
) -> None:
    puts: list[Any] = []
    deletes: list[Any] = []
    for key, row in changes.items():
        if row is None:
            deletes += key
        else:
            puts += key + row
    put.write(connection, puts)
    delete.write(connection, deletes)
