"""Where runs are kept: one protocol, and the stores that implement it."""

import re
import time
from collections.abc import Callable

from starflow_backends.memory import MemoryStore
from starflow_backends.sqlite import SqliteStore
from starflow_backends.store import (
    Append,
    ConflictError,
    CorruptError,
    DueTimer,
    DueTimers,
    Durability,
    FullError,
    LayoutError,
    LockedError,
    Phase,
    Store,
    StoredRun,
    StoreError,
    UnavailableError,
)

__all__ = [
    "Append",
    "ConflictError",
    "CorruptError",
    "DueTimer",
    "DueTimers",
    "Durability",
    "FullError",
    "LayoutError",
    "LockedError",
    "MemoryStore",
    "Phase",
    "SqliteStore",
    "Store",
    "StoreError",
    "StoredRun",
    "UnavailableError",
    "open_store",
]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)


def open_store(url: str, *, clock: Callable[[], int] = time.time_ns) -> Store:
    """
    Return the store that *url* names; its `Store.open` is still to be awaited.

    ``memory:`` forgets everything; ``sqlite:PATH``, or a plain path, is a file.
    *clock* tells a store that has no clock of its own the time, in nanoseconds since
    the epoch.

    Raises:
        ValueError: The URL names no store.
    """
    scheme, rest = _split(url)
    if scheme == "memory" and not rest:
        return MemoryStore(clock=clock)
    if scheme == "sqlite" and rest:
        return SqliteStore(rest, clock=clock)
    raise ValueError(
        f"{url!r} names no store; the known ones are memory: and sqlite:PATH"
        " (or just PATH)"
    )


def _split(url: str) -> tuple[str, str]:
    match = _SCHEME.fullmatch(url)
    if match is None:
        return "sqlite", url
    # Both sqlite:PATH and sqlite://PATH, as people know it from other programs.
    return match[1].lower(), match[2].removeprefix("//")
