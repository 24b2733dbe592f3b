"""What is read, and what is changed outside of appends: each function does one thing.

They block, and are called off the event loop: the reads on a reading connection, the
rest inside a transaction of the writing one.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from starflow_backends import sqlite_rows as rows
from starflow_backends.sqlite_schema import snapshot
from starflow_backends.store import (
    CorruptError,
    DueTimer,
    DueTimers,
    Entry,
    Phase,
    StoredRun,
)

_SELECT_HEAD = (
    "SELECT r.rid, h.version, h.phase, h.append_id, h.note, h.crc"
    " FROM run r LEFT JOIN head h USING (rid) WHERE r.key = ?"
)
_SELECT_LOG = (
    "SELECT first, count, crc, events FROM log WHERE rid = :rid AND first <= :to"
    " AND first >= (SELECT max(first) FROM log WHERE rid = :rid AND first <= :from)"
    " ORDER BY first"
)
# CROSS JOIN makes SQLite keep to the order of the index, whatever it thinks of it.
_SELECT_OPEN = (
    "SELECT r.key, h.version, h.phase, h.append_id, h.note, h.crc"
    " FROM run r CROSS JOIN head h USING (rid)"
    " WHERE r.key > ? AND r.finished = 0 ORDER BY r.key"
)
_SELECT_ALL = _SELECT_OPEN.replace(" AND r.finished = 0", "")
_SELECT_DUE = (
    "SELECT r.key, t.name, t.due, t.crc FROM timer t LEFT JOIN run r USING (rid)"
    " WHERE t.due <= ? ORDER BY t.due LIMIT ?"
)
_SELECT_NOT_DUE = _SELECT_DUE.replace("<=", ">")
# Timers of which one that is not damaged is the next.
_NEXT = 5
# Heads that `clear_index` holds in memory at a time.
_HEADS_MAX = 1_000


class _Head(NamedTuple):
    rid: int
    version: int
    phase: int
    note: bytes


def load(connection: sqlite3.Connection, run: str) -> StoredRun | None:
    """Return the index of *run*, or None if there is no such run."""
    with snapshot(connection):
        head = _head(connection, run)
        if head is None:
            return None
        timers = connection.execute(
            "SELECT name, due, crc FROM timer WHERE rid = ?", (head.rid,)
        ).fetchall()
        attempts = connection.execute(
            "SELECT version, crc, value FROM attempt WHERE rid = ?", (head.rid,)
        ).fetchall()
        entry = connection.execute(
            "SELECT terms, crc, summary FROM entry WHERE rid = ?", (head.rid,)
        ).fetchone()
    for name, due, crc in timers:
        _check(run, crc, rows.timer_place(run, name, due), what="a timer")
    for version, crc, value in attempts:
        _check(run, crc, rows.attempt_place(run, version), value, what="an attempt")
    return StoredRun(
        version=head.version,
        phase=Phase(head.phase),
        timers={name: due for name, due, _ in timers},
        attempts={version: value for version, _, value in attempts},
        note=head.note,
        entry=entry and _entry(run, *entry),
    )


def read(
    connection: sqlite3.Connection, run: str, from_version: int, limit: int | None
) -> list[bytes]:
    """Return at most *limit* events from *from_version* on."""
    with snapshot(connection):
        head = _head(connection, run)
        to_version = head.version if head else 0
        if limit is not None:
            to_version = min(to_version, from_version + limit - 1)
        if head is None or to_version < from_version:
            return []
        log = connection.execute(
            _SELECT_LOG, {"rid": head.rid, "from": from_version, "to": to_version}
        ).fetchall()
    return rows.unpack_log(run, log, from_version, to_version)


def runs_in(
    connection: sqlite3.Connection, phases: Sequence[Phase], after: str, limit: int
) -> list[str]:
    """
    Return the keys of runs in one of *phases*, past *after*, at most *limit*.

    A run whose head is damaged is among them whatever the phases: nobody would come to
    know of it otherwise.
    """
    query = _SELECT_ALL if Phase.FINISHED in phases else _SELECT_OPEN
    wanted = {int(phase) for phase in phases}
    runs: list[str] = []
    cursor = connection.execute(query, (after,))
    while len(runs) < limit and (row := cursor.fetchone()):
        run, version, phase, append_id, note, crc = row
        place = rows.head_place(run, version, phase, append_id)
        if phase in wanted or not rows.is_intact(crc, place, note):
            runs.append(run)
    cursor.close()
    return runs


def timers_due(connection: sqlite3.Connection, now_ns: int, limit: int) -> DueTimers:
    """Return the timers that are due at *now_ns*, at most *limit*."""
    timers: list[DueTimer] = []
    damaged: list[CorruptError] = []

    def take(row: tuple[str, str, int, int]) -> bool:
        run, name, due_ns, crc = row
        if not rows.is_intact(crc, rows.timer_place(run, name, due_ns)):
            damaged.append(_damaged(run, "a timer"))
            return False
        timers.append(DueTimer(run, name, due_ns))
        return True

    with snapshot(connection):
        found = connection.execute(_SELECT_DUE, (now_ns, limit + 1)).fetchall()
        for row in found:
            take(row)
        if len(found) <= limit:
            others = connection.execute(_SELECT_NOT_DUE, (now_ns, 1)).fetchall()
            if others and not take(others[0]):
                others = connection.execute(_SELECT_NOT_DUE, (now_ns, _NEXT)).fetchall()
                any(take(row) for row in others[1:])
    due = [timer for timer in timers[:limit] if timer.due_ns <= now_ns]
    next_due_ns = timers[len(due)].due_ns if len(timers) > len(due) else None
    return DueTimers(now_ns, due, next_due_ns, damaged)


def clear_index(connection: sqlite3.Connection) -> None:
    """Forget timers, attempts, notes and entries; make every run RUNNABLE."""
    connection.execute("DELETE FROM timer")
    connection.execute("DELETE FROM attempt")
    connection.execute("DELETE FROM entry")
    connection.execute("DELETE FROM found")
    connection.execute("UPDATE run SET finished = 0 WHERE finished = 1")
    last_rid = 0
    while page := connection.execute(
        "SELECT h.rid, r.key, h.version, h.phase, h.append_id, h.note, h.crc"
        " FROM head h LEFT JOIN run r USING (rid)"
        " WHERE h.rid > ? ORDER BY h.rid LIMIT ?",
        (last_rid, _HEADS_MAX),
    ).fetchall():
        connection.executemany(
            "UPDATE head SET phase = ?, note = x'', crc = ? WHERE rid = ?",
            [cleared for row in page if (cleared := _cleared_head(*row))],
        )
        last_rid = page[-1][0]


def put_record(
    connection: sqlite3.Connection, space: str, key: str, value: bytes, replace: bool
) -> bytes:
    """Keep *value* under *key*, unless *replace* is false and one is there already."""
    if not replace:
        kept = get_record(connection, space, key)
        if kept is not None:
            return kept
    crc = rows.checksum(rows.record_place(space, key), value)
    connection.execute(
        "REPLACE INTO record (space, key, crc, value) VALUES (?, ?, ?, ?)",
        (space, key, crc, value),
    )
    return value


def get_record(connection: sqlite3.Connection, space: str, key: str) -> bytes | None:
    """Return the value of a record, or None."""
    row = connection.execute(
        "SELECT crc, value FROM record WHERE space = ? AND key = ?", (space, key)
    ).fetchone()
    if row is None:
        return None
    crc, value = row
    return _record(space, key, crc, value)


def scan_records(connection: sqlite3.Connection, space: str) -> dict[str, bytes]:
    """Return all records of *space*."""
    found = connection.execute(
        "SELECT key, crc, value FROM record WHERE space = ?", (space,)
    ).fetchall()
    return {key: _record(space, key, crc, value) for key, crc, value in found}


def _head(connection: sqlite3.Connection, run: str) -> _Head | None:
    row = connection.execute(_SELECT_HEAD, (run,)).fetchone()
    if row is None:
        return None
    rid, version, phase, append_id, note, crc = row
    place = rows.head_place(run, version, phase, append_id)
    _check(run, crc, place, note, what="its head")
    return _Head(rid, version, phase, note)


def _cleared_head(
    rid: int,
    run: str,
    version: int,
    phase: int,
    append_id: str,
    note: bytes,
    crc: int,
) -> tuple[int, int, int] | None:
    # A damaged head stays so: to give it a right checksum would hide the damage.
    if not rows.is_intact(crc, rows.head_place(run, version, phase, append_id), note):
        return None
    runnable = int(Phase.RUNNABLE)
    place = rows.head_place(run, version, runnable, append_id)
    return runnable, rows.checksum(place), rid


def _entry(run: str, terms: str, crc: int, summary: bytes) -> Entry:
    _check(run, crc, rows.entry_place(run, terms), summary, what="its entry")
    return Entry(rows.terms_of(terms), summary)


def _record(space: str, key: str, crc: int, value: bytes) -> bytes:
    if not rows.is_intact(crc, rows.record_place(space, key), value):
        raise CorruptError("", 0, f"record {key} in {space} is damaged")
    return value


def _check(
    run: str, crc: object, place: str, value: object = b"", *, what: str
) -> None:
    if not rows.is_intact(crc, place, value):
        raise _damaged(run, what)


def _damaged(run: str | None, what: str) -> CorruptError:
    return CorruptError(run or "", 0, f"the checksum of {what} does not match")
