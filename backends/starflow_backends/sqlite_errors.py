"""What SQLite's errors mean to the user of a store."""

import contextlib
import sqlite3
from collections.abc import Iterator

from starflow_backends.store import (
    CorruptError,
    FullError,
    UnavailableError,
)

# An extended error code has the primary one in its lowest byte.
_PRIMARY = 0xFF
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    # A row is there that its run's head knows nothing of.
    sqlite3.SQLITE_CONSTRAINT,
}


# The store was asked for what cannot be, such as a value of another type.
_MISUSE = (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)


def store_error(error: Exception, run: str = "", version: int = 0) -> Exception:
    """Return what *error*, met while at *version* of *run*, means."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, _MISUSE):
        return error
    code = _primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        # Raised before the frame that would commit is in the write-ahead log.
        return FullError("the disk of the database is full")
    if code in _DAMAGED:
        return CorruptError(run, version, f"the database is damaged: {error}")
    return UnavailableError(f"the database does not answer: {error}")


@contextlib.contextmanager
def translated(run: str = "", version: int = 0) -> Iterator[None]:
    """Raise what SQLite's errors inside mean."""
    try:
        yield
    except sqlite3.Error as error:
        meaning = store_error(error, run, version)
        if meaning is error:
            raise
        raise meaning from error
    except UnicodeDecodeError as error:
        # SQLite complains with a piece of the schema, and that is what is damaged.
        raise CorruptError(run, version, "the database is damaged") from error


def is_of_all(error: Exception) -> bool:
    """
    Whether *error* would meet every append of the group, and not just the guilty one.

    A disk that is full may yet have room for the smaller ones.
    """
    return (
        isinstance(error, sqlite3.OperationalError)
        and _primary_code(error) != sqlite3.SQLITE_FULL
    )


def _primary_code(error: sqlite3.Error) -> int:
    # Errors that Python's module makes itself have no code.
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY
