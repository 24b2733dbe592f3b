"""The one interface a backend implements, and its contract.

A store keeps, for each run:

* the **log**: events, opaque bytes, versions 1, 2, 3 ... without a gap;
* the **index**: a phase, named timers, attempt records, a note.  It tells a server that
  starts which runs need it and when.  It is derived: whoever has the log can make it
  again (`Store.clear_index` throws it away, and a server that starts then rebuilds it).

Beside the runs it keeps **records**: small named values in named spaces (scripts,
registered functions, the server's own secret).

The rules that every implementation keeps, and `starflow_backends.testing` checks:

1. `append` is atomic: all its events and index changes are there, or none is.
2. `append` is durable to the store's `durability` when it returns.
3. Of writers that expect the same version one wins; the others get `ConflictError` and
   have written nothing.
4. An append whose `append_id` equals that of the last append of the run is a
   repetition: it succeeds and changes nothing.  A writer that never learnt what became
   of an append sends the same one again.
5. What was read once is a prefix of what is read later.
6. An error other than `UnavailableError` means that nothing was written.  After
   `UnavailableError` the outcome is unknown: repeat the append, or read.
7. A stored event that is damaged is reported by `CorruptError`, never returned.
"""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Protocol, runtime_checkable


class Durability(Enum):
    """What an acknowledged event survives."""

    MEMORY = "memory"  # nothing
    PROCESS = "process"  # the death of any process
    DISK = "disk"  # a power cut on the machine of the store


class Phase(IntEnum):
    """What a run needs from a server that has just started."""

    # The script can go on by itself; its next steps are not in the log yet.
    RUNNABLE = 0
    # Calls are open that a worker has to execute.
    CALLING = 1
    # Only a timer or a signal can move the run.
    DORMANT = 2
    # The service parked the run; the note says why.
    PAUSED = 3
    # The log is complete.
    FINISHED = 4


@dataclass(frozen=True, slots=True)
class Append:
    """One atomic change of one run; without events it changes the index only."""

    # The run's key: namespace, slash, run id.
    run: str
    # The number of events that the writer knows of.
    expected_version: int
    # Unique for each append, the same when it is repeated; at most 64 characters.
    append_id: str
    events: Sequence[bytes] = ()
    phase: Phase = Phase.RUNNABLE
    # Timer name to due time, in nanoseconds since the epoch; None removes the timer.
    timers: Mapping[str, int | None] = field(default_factory=dict)
    # Version of a CALL to what its next attempt must know; None removes the record.
    attempts: Mapping[int, bytes | None] = field(default_factory=dict)
    # Why the run is paused.  It replaces the one before: empty for none.
    note: bytes = b""
    # Scripts by hash, kept if they are not there yet.
    scripts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The index of one run."""

    version: int
    phase: Phase
    timers: Mapping[str, int]
    attempts: Mapping[int, bytes]
    note: bytes


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A timer whose time has come."""

    run: str
    name: str
    due_ns: int


@dataclass(frozen=True, slots=True)
class DueTimers:
    """The answer to `Store.timers_due`."""

    # By the store's clock, nanoseconds since the epoch.
    now_ns: int
    # Earliest first.
    due: Sequence[DueTimer]
    # When the earliest timer that is not in `due` is due; None if there is none.
    next_due_ns: int | None


class StoreError(Exception):
    """
    The base of every error that a store raises on purpose.

    * StoreError
      x ConflictError      somebody else appended first
      x UnavailableError   no answer: the outcome is unknown
      x FullError          no space; nothing was written
      x CorruptError       a stored event is damaged
      x LayoutError        written by a newer release, or by another program
      x LockedError        another server has the store
      x NotOwnerError      another server has the partition of the run
      x LostHistoryError   the end of a run's log, once acknowledged, is gone
      x UnsafeError        it would lose, or has lost, what it acknowledged
    """


class ConflictError(StoreError):
    """Somebody else appended first; nothing was written.  Read the log, decide anew."""

    def __init__(self, run: str, expected_version: int, actual_version: int) -> None:
        super().__init__(
            f"run {run} is at version {actual_version}, not {expected_version}"
        )
        self.run = run
        self.expected_version = expected_version
        self.actual_version = actual_version


class UnavailableError(StoreError):
    """The store did not answer; whether it wrote is unknown."""


class FullError(StoreError):
    """The store has no space left; nothing was written."""


class CorruptError(StoreError):
    """
    A stored event is damaged; version 0 stands for the run's index.

    An empty run stands for something that belongs to no run.
    """

    def __init__(self, run: str, version: int, reason: str) -> None:
        event = f", event {version}" if version else ""
        super().__init__(f"run {run}{event}: {reason}" if run else reason)
        self.run = run
        self.version = version


class LayoutError(StoreError):
    """The store cannot be used by this release; the message says why."""


class LockedError(StoreError):
    """Another server has the store open."""


class NotOwnerError(StoreError):
    """
    The partition of the run is not, or no longer, this server's; nothing was written.

    Only a store that several servers share raises it.
    """

    def __init__(self, partition: int, owner: str = "") -> None:
        has_it = f"{owner} has it" if owner else "this server does not have it"
        super().__init__(f"partition {partition}: {has_it}")
        self.partition = partition


class LostHistoryError(StoreError):
    """
    The store has lost events of the run that it had acknowledged; nothing was written.

    Events can only be appended again after an append without events that makes the run
    PAUSED: its note has to keep the run from going on by itself.
    """

    def __init__(self, run: str, acknowledged_version: int) -> None:
        super().__init__(
            f"run {run} had {acknowledged_version} events, and the store has lost some"
        )
        self.run = run
        self.acknowledged_version = acknowledged_version


class UnsafeError(StoreError):
    """The store would lose what it acknowledged, or has lost it; the message says."""


class Store(Protocol):
    """See the module's text for the rules."""

    @property
    def kind(self) -> str:
        """The kind of store, such as ``sqlite``."""
        ...

    @property
    def durability(self) -> Durability:
        """What an acknowledged append survives."""
        ...

    async def open(self) -> None:
        """
        Make the store ready.

        Raises:
            LayoutError: It was written by a newer release, or is something else.
            LockedError: Another server has it.
            UnsafeError: It would not keep what it acknowledges.
            FullError: There is no space even to look at it.
            CorruptError: It is damaged as a whole.
            UnavailableError: It cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of everything."""
        ...

    def append(self, append: Append) -> Awaitable[None]:
        """
        Carry out *append*; it is durable when the awaitable is done.

        Appends of different runs may be given without awaiting each other: the store
        commits what comes together as one group.  The call itself never blocks.

        Raises:
            ConflictError: The run is at another version.
            FullError: There is no space.
            CorruptError: What is stored of the run is damaged.
            NotOwnerError: The run is another server's.
            LostHistoryError: The end of its log is gone.
            UnavailableError: The outcome is unknown.
        """
        ...

    async def load(self, run: str) -> StoredRun | None:
        """
        Return the run's index, or None if there is no such run.

        Raises:
            CorruptError: It is damaged.
            LostHistoryError: The end of its log is gone, and it is not parked for that.
        """
        ...

    async def read(
        self, run: str, *, from_version: int = 1, limit: int | None = None
    ) -> list[bytes]:
        """
        Return the events from *from_version* on, oldest first, at most *limit*.

        Raises:
            CorruptError: One of them is damaged.
        """
        ...

    async def runs_in(
        self,
        phases: Sequence[Phase],
        *,
        after: str = "",
        limit: int = 1000,
        partitions: Collection[int] | None = None,
    ) -> list[str]:
        """
        Return the keys of runs in one of *phases*, by key, from past *after* on.

        *partitions* are those to look in; None stands for all that are this server's.
        Of a store that is not shared all is in partition 0.

        A run whose phase is damaged is among them whatever the phases: `load` reports
        the damage, and nobody would ask it otherwise.
        """
        ...

    async def timers_due(self, *, limit: int = 1000) -> DueTimers:
        """
        Return the timers that are due by the store's clock, at most *limit*.

        Raises:
            CorruptError: One of them is damaged.  `clear_index` is the way out.
        """
        ...

    async def put_record(
        self, space: str, key: str, value: bytes, *, replace: bool = True
    ) -> bytes:
        """
        Keep *value* under *key* and return what is kept now.

        With ``replace=False`` a value that is already there stays and is returned.
        """
        ...

    async def get_record(self, space: str, key: str) -> bytes | None:
        """
        Return the value, or None.  Scripts given to `append` are in ``script``.

        Raises:
            CorruptError: It is damaged.
        """
        ...

    async def scan_records(self, space: str) -> dict[str, bytes]:
        """Return all records of *space*."""
        ...

    async def clear_index(self) -> None:
        """Forget timers, attempts and notes, and make every run RUNNABLE."""
        ...


@runtime_checkable
class Losable(Protocol):
    """A store that a server can lose while it uses it; see `Store` for the rest."""

    async def wait_lost(self) -> StoreError:
        """
        Return why, once the store is lost for good: nothing can be written any more.

        What was acknowledged before is stored, unless the error is `UnsafeError`.
        """
        ...
