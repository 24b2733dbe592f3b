"""Where runs are kept: one protocol, and the stores that implement it."""

import re
import time
from collections.abc import Callable

from starflow_backends.memory import MemoryStore
from starflow_backends.shared import (
    PartitionState,
    Replica,
    SharedStore,
    claim_all,
)
from starflow_backends.sqlite import SqliteStore
from starflow_backends.store import (
    Append,
    ConflictError,
    CorruptError,
    DeletedError,
    DueTimer,
    DueTimers,
    Durability,
    Entry,
    Found,
    FullError,
    LayoutError,
    LockedError,
    Losable,
    LostHistoryError,
    NotOwnerError,
    Page,
    PermitAnswer,
    PermitRequest,
    Phase,
    Query,
    QueueLimits,
    QueueRate,
    QueueState,
    Store,
    StoredRun,
    StoreError,
    UnavailableError,
    UnsafeError,
)
from starflow_backends.urls import shown_url

__all__ = [
    "Append",
    "ConflictError",
    "CorruptError",
    "DeletedError",
    "DueTimer",
    "DueTimers",
    "Durability",
    "Entry",
    "Found",
    "FullError",
    "LayoutError",
    "LockedError",
    "Losable",
    "LostHistoryError",
    "MemoryStore",
    "NotOwnerError",
    "Page",
    "PartitionState",
    "PermitAnswer",
    "PermitRequest",
    "Phase",
    "Query",
    "QueueLimits",
    "QueueRate",
    "QueueState",
    "Replica",
    "SharedStore",
    "SqliteStore",
    "Store",
    "StoreError",
    "StoredRun",
    "UnavailableError",
    "UnsafeError",
    "claim_all",
    "open_store",
    "shown_url",
]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_REDIS = re.compile(r"rediss?(\+\w+)?|unix")
# The highest first.
_LEVELS = (Durability.DISK, Durability.PROCESS, Durability.MEMORY)


def open_store(
    url: str,
    *,
    clock: Callable[[], int] = time.time_ns,
    durability: Durability | None = None,
    tell: Callable[[str], None] = lambda words: None,
) -> Store:
    """
    Return the store that *url* names; its `Store.open` is still to be awaited.

    ``memory:`` forgets everything; ``sqlite:PATH``, or a plain path, is a file;
    ``redis://HOST:PORT/DB``, ``rediss://`` and ``unix://PATH`` are a Redis.
    *clock* tells a store that has no clock of its own the time, in nanoseconds since
    the epoch.  *durability* is what the store has to promise at least; None stands for
    what is usual for its kind.  *tell* is told, for a person, when a store that is
    elsewhere cannot be reached, and when it is back.

    Raises:
        ValueError: The URL names no store, or one that promises less.
    """
    scheme, rest = _split(url)
    if _REDIS.fullmatch(scheme):
        return _open_redis(url, durability or Durability.DISK, tell)
    store: Store
    if scheme == "memory" and not rest:
        store = MemoryStore(clock=clock)
    elif scheme == "sqlite" and rest:
        store = SqliteStore(rest, clock=clock)
    else:
        raise ValueError(
            f"{shown_url(url)!r} names no store; the known ones are memory:,"
            " sqlite:PATH (or just PATH), and redis://HOST:PORT/DB"
        )
    if durability and _LEVELS.index(store.durability) > _LEVELS.index(durability):
        raise ValueError(
            f"{url!r} promises durability {store.durability.value},"
            f" not {durability.value}"
        )
    return store


def _open_redis(url: str, durability: Durability, tell: Callable[[str], None]) -> Store:
    # Whoever does without Redis needs not have its library.
    try:
        from starflow_backends.redis import RedisStore
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{shown_url(url)!r} needs the Python package {error.name}:"
            " pip install 'starflow-grpc[service]'"
        ) from error
    return RedisStore(url, durability=durability, tell=tell)


def _split(url: str) -> tuple[str, str]:
    match = _SCHEME.fullmatch(url)
    if match is None:
        return "sqlite", url
    # Both sqlite:PATH and sqlite://PATH, as people know it from other programs.
    return match[1].lower(), match[2].removeprefix("//")
