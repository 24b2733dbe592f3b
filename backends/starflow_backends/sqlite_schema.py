"""The layout of the database file, and how a connection to it is made.

One append is one row of `log` that packs its events; `log_by_run` finds the rows of a
run.  `log` itself grows only at its end, so that a group of appends of many runs
dirties few pages: that, not the number of rows, is what a commit costs.

`head` is the one row of a run that every append rewrites.  It is apart from `run`
because it has no index to keep up: replacing its row touches one page.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from starflow_backends import sqlite_permits
from starflow_backends.store import LayoutError, UnavailableError

# "SFLW": how `file` and SQLite itself tell our files from those of other programs.
APPLICATION_ID = 0x53464C57
# One more with each change of the schema that an older release could not read.
LAYOUT = 2

_BUSY_SECONDS = 5.0
# Prepared statements kept by a connection: there is one for each number of rows.
_STATEMENTS_MAX = 256

# Every row that is not found by its contents alone carries `crc`: see `sqlite_rows`.
_SCHEMA = (
    """CREATE TABLE run (
        rid INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        finished INTEGER NOT NULL)""",
    # Holds the open runs only: a server that starts looks for them among all that
    # ever were.  A change between two open phases does not touch it.
    "CREATE INDEX open_run ON run (key) WHERE finished = 0",
    """CREATE TABLE head (
        rid INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        phase INTEGER NOT NULL,
        append_id TEXT NOT NULL,
        note BLOB NOT NULL,
        crc INTEGER NOT NULL)""",
    """CREATE TABLE log (
        id INTEGER PRIMARY KEY,
        rid INTEGER NOT NULL,
        first INTEGER NOT NULL,
        count INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        events BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX log_by_run ON log (rid, first)",
    """CREATE TABLE timer (
        rid INTEGER NOT NULL,
        name TEXT NOT NULL,
        due INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        PRIMARY KEY (rid, name)) WITHOUT ROWID""",
    "CREATE INDEX timer_by_due ON timer (due)",
    """CREATE TABLE attempt (
        rid INTEGER NOT NULL,
        version INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (rid, version)) WITHOUT ROWID""",
    # What runs are found by; `found` has a row for each of its terms.
    """CREATE TABLE entry (
        rid INTEGER PRIMARY KEY,
        terms TEXT NOT NULL,
        crc INTEGER NOT NULL,
        summary BLOB NOT NULL)""",
    """CREATE TABLE found (
        term INTEGER NOT NULL,
        time INTEGER NOT NULL,
        key TEXT NOT NULL,
        PRIMARY KEY (term, time, key)) WITHOUT ROWID""",
    # The keys of deleted runs, and until when they are refused.
    "CREATE TABLE tombstone (key TEXT PRIMARY KEY, until INTEGER NOT NULL)",
    "CREATE INDEX tombstone_by_end ON tombstone (until)",
    """CREATE TABLE record (
        id INTEGER PRIMARY KEY,
        space TEXT NOT NULL,
        key TEXT NOT NULL,
        crc INTEGER NOT NULL,
        value BLOB NOT NULL,
        UNIQUE (space, key))""",
    *sqlite_permits.SCHEMA,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {LAYOUT}",
)

_WRITER = (
    # An acknowledged append survives a power cut; `fullfsync` is what that takes on
    # macOS, and means nothing elsewhere.
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    # In KiB.  More is only of use to runs of long ago.
    "PRAGMA cache_size = -16384",
    # In pages.  Only the connection that commits takes checkpoints, so that two never
    # do at the same moment (releases of SQLite before 3.51.3 can damage the file then).
    "PRAGMA wal_autocheckpoint = 2000",
    # In bytes: what a burst may leave behind of the write-ahead log.
    "PRAGMA journal_size_limit = 67108864",
)

_READER = (
    "PRAGMA query_only = ON",
    "PRAGMA cache_size = -4096",
)


def open_writer(path: Path) -> sqlite3.Connection:
    """
    Open the database, making it if it is not there, for the one who writes.

    Raises:
        LayoutError: It is no database of ours, or that of a newer release.
        sqlite3.Error: It cannot be opened.
    """
    # The file holds the server's secret.  SQLite gives the files that it makes beside
    # this one the same mode.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = _connect(path)
    try:
        # Before anything is changed, for the file may be somebody else's.
        _check_layout(connection, path)
        _use_wal(connection, path)
        _execute_all(connection, _WRITER)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the database that `open_writer` has made, for reading only."""
    connection = _connect(path)
    _execute_all(connection, _READER)
    return connection


@contextlib.contextmanager
def transaction(
    connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE"
) -> Iterator[None]:
    """Commit what is done inside, or nothing of it."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself; and what fails here must
        # not hide what failed there.
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def snapshot(
    connection: sqlite3.Connection,
) -> contextlib.AbstractContextManager[None]:
    """Let all reads inside see the database at one moment."""
    return transaction(connection, "BEGIN")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        # Each is used by one thread at a time, but not by the thread that made it.
        check_same_thread=False,
        cached_statements=_STATEMENTS_MAX,
    )
    # Text that is damaged must come as far as its checksum.
    connection.text_factory = _decode
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _decode(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _execute_all(connection: sqlite3.Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        connection.execute(statement)


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    # Where it cannot, SQLite does not say so: it goes on with the mode it had.
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise UnavailableError(
            f"{path} is on a file system that SQLite cannot share memory on:"
            " put it on a local disk"
        )


def _check_layout(connection: sqlite3.Connection, path: Path) -> None:
    try:
        application_id = _number(connection, "PRAGMA application_id")
        layout = _number(connection, "PRAGMA user_version")
        objects = _number(connection, "SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_NOTADB:
            raise
        raise LayoutError(f"{path} is not a SQLite database") from error
    if not (application_id or layout or objects):
        with transaction(connection):
            _execute_all(connection, _SCHEMA)
    elif application_id != APPLICATION_ID:
        raise LayoutError(f"{path} is the database of another program")
    elif layout != LAYOUT:
        raise LayoutError(
            f"{path} has layout {layout}, and this release knows layout {LAYOUT}:"
            " use the release that wrote it, or a newer one"
        )


def _number(connection: sqlite3.Connection, query: str) -> int:
    (value,) = connection.execute(query).fetchone()
    return int(value)
