"""Queues and permits in SQLite: each function does one thing, on the thread's side.

What changes runs inside a transaction of the writing connection, with the appends of
its group: a permit costs no commit of its own while there are others.
"""

import sqlite3

from starflow_backends import sqlite_rows as rows
from starflow_backends.permits import Bucket, decide, full_bucket
from starflow_backends.store import (
    CorruptError,
    PermitAnswer,
    PermitRequest,
    QueueLimits,
    QueueRate,
    QueueState,
)

# `max` stands for no bound when it is NULL, and `tokens_per` for no rate.
SCHEMA = (
    """CREATE TABLE queue (
        qid INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        max INTEGER,
        tokens_per INTEGER,
        period_us INTEGER NOT NULL,
        burst INTEGER NOT NULL,
        tokens REAL NOT NULL,
        at_us INTEGER NOT NULL,
        crc INTEGER NOT NULL)""",
    # Without a checksum: a permit whose end is damaged ends early or late, and `end`
    # bounds how late.
    """CREATE TABLE permit (
        qid INTEGER NOT NULL,
        holder TEXT NOT NULL,
        until_us INTEGER NOT NULL,
        PRIMARY KEY (qid, holder)) WITHOUT ROWID""",
    "CREATE INDEX permit_by_end ON permit (qid, until_us)",
)

_SELECT = (
    "SELECT name, qid, max, tokens_per, period_us, burst, tokens, at_us, crc FROM queue"
)
_PUT = (
    "REPLACE INTO queue (qid, name, max, tokens_per, period_us, burst, tokens, at_us,"
    " crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_Row = tuple[str, int, int | None, int | None, int, int, float, int, int]


def set_queue(
    connection: sqlite3.Connection, name: str, limits: QueueLimits | None, now_us: int
) -> bool:
    """Set the limits of a queue, or forget it; return whether it was there."""
    row = connection.execute(f"{_SELECT} WHERE name = ?", (name,)).fetchone()
    if limits is None:
        if row is not None:
            connection.execute("DELETE FROM permit WHERE qid = ?", (row[1],))
            connection.execute("DELETE FROM queue WHERE qid = ?", (row[1],))
        return row is not None
    bucket = full_bucket(limits, now_us)
    if row is not None and _is_intact(row):
        before, kept = _read(row)
        bucket = kept.changed(before, limits, now_us)
    _put(connection, None if row is None else row[1], name, limits, bucket)
    return row is not None


def permits(
    connection: sqlite3.Connection, request: PermitRequest, now_us: int
) -> PermitAnswer:
    """Carry out *request*."""
    row = connection.execute(f"{_SELECT} WHERE name = ?", (request.queue,)).fetchone()
    if row is None:
        return PermitAnswer(len(request.wanted), None)
    limits, before = _read(row)
    book = _TableBook(connection, row[1])
    answer, bucket = decide(request, limits, before, book, now_us)
    # A bucket that only filled is not written: whoever reads it fills it again.
    if bucket.tokens != before.filled(limits.rate, now_us).tokens:
        _put(connection, row[1], request.queue, limits, bucket)
    return answer


def queues(
    connection: sqlite3.Connection, now_us: int
) -> dict[str, QueueState | CorruptError]:
    """Return all queues."""
    states: dict[str, QueueState | CorruptError] = {}
    for row in connection.execute(_SELECT).fetchall():
        try:
            limits, bucket = _read(row)
        except CorruptError as error:
            states[row[0]] = error
            continue
        (in_flight,) = connection.execute(
            "SELECT count(*) FROM permit WHERE qid = ? AND until_us > ?",
            (row[1], now_us),
        ).fetchone()
        tokens = bucket.filled(limits.rate, now_us).tokens
        states[row[0]] = QueueState(limits, in_flight, tokens)
    return states


def _put(
    connection: sqlite3.Connection,
    qid: int | None,
    name: str,
    limits: QueueLimits,
    bucket: Bucket,
) -> None:
    rate = limits.rate
    values = (
        limits.max_in_flight,
        None if rate is None else rate.tokens,
        0 if rate is None else rate.period_us,
        0 if rate is None else rate.burst,
        bucket.tokens,
        bucket.at_us,
    )
    crc = rows.checksum(rows.queue_place(name, *values))
    connection.execute(_PUT, (qid, name, *values, crc))


def _is_intact(row: _Row) -> bool:
    name, _, *values, crc = row
    return rows.checksum(rows.queue_place(name, *values)) == crc


def _read(row: _Row) -> tuple[QueueLimits, Bucket]:
    if not _is_intact(row):
        raise CorruptError("", 0, f"queue {row[0]} is damaged: set it again")
    _, _, bound, tokens_per, period_us, burst, tokens, at_us, _ = row
    rate = None if tokens_per is None else QueueRate(tokens_per, period_us, burst)
    return QueueLimits(bound, rate), Bucket(tokens, at_us)


class _TableBook:
    """A `Book` in the table of permits."""

    def __init__(self, connection: sqlite3.Connection, qid: int) -> None:
        self._execute = connection.execute
        self._qid = qid

    def end(self, now_us: int, longest_us: int) -> None:
        self._execute(
            "DELETE FROM permit WHERE qid = ? AND until_us <= ?", (self._qid, now_us)
        )
        self._execute(
            "UPDATE permit SET until_us = ? WHERE qid = ? AND until_us > ?",
            (longest_us, self._qid, longest_us),
        )

    def count(self) -> int:
        query = "SELECT count(*) FROM permit WHERE qid = ?"
        (number,) = self._execute(query, (self._qid,)).fetchone()
        return int(number)

    def holds(self, holder: str) -> bool:
        query = "SELECT 1 FROM permit WHERE qid = ? AND holder = ?"
        return self._execute(query, (self._qid, holder)).fetchone() is not None

    def put(self, holder: str, until_us: int) -> None:
        put = "REPLACE INTO permit (qid, holder, until_us) VALUES (?, ?, ?)"
        self._execute(put, (self._qid, holder, until_us))

    def remove(self, holder: str) -> bool:
        query = "DELETE FROM permit WHERE qid = ? AND holder = ?"
        return self._execute(query, (self._qid, holder)).rowcount > 0
