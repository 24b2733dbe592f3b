"""The one interface a backend implements, and its contract.

A store keeps, for each run:

* the **log**: events, opaque bytes, versions 1, 2, 3 ... without a gap;
* the **index**: a phase, named timers, attempt records, a note, an entry in lists.  It
  tells a server that starts which runs need it and when, and people which there are.
  It is derived: whoever has the log can make it again (`Store.clear_index` throws it
  away, and a server that starts then rebuilds it).

Beside the runs it keeps **records**: small named values in named spaces (scripts,
registered functions, the server's own secret); and **queues**: limits with the permits
that were given under them, see `starflow_backends.permits`.

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
from typing import Protocol, TypeAlias, runtime_checkable


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


# When a run's term is from, and the run: the order of `Store.find`.
Place: TypeAlias = tuple[int, str]
TIME_MAX_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """What a run is found by among all others, and what lists show of it."""

    # Term to time.  A term is a number from 0 to 2**63 - 1 that stands for something
    # that runs have in common; the time, in nanoseconds since the epoch, is the run's
    # place among those that have it.
    terms: Mapping[int, int]
    # What is shown; opaque.
    summary: bytes = b""


@dataclass(frozen=True, slots=True)
class Query:
    """Which runs are looked for; see `Store.find`."""

    # A run is found if it has one at least of the terms of each group; its times of
    # them must be the same.
    groups: Sequence[Sequence[int]]
    # The time is at least this, and before that.
    since_ns: int = 0
    before_ns: int = TIME_MAX_NS
    # How the run's key begins.
    prefix: str = ""
    # `Page.last` of the page before.
    after: Place | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Found:
    """A run that was found."""

    run: str
    time_ns: int
    version: int
    # Empty if what is stored of the run is damaged: `Store.load` tells more.
    summary: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """What was found, and how far the store has looked."""

    # The newest first; of the same time, the last by key.
    found: Sequence[Found]
    # Where to go on; None: there are no more.
    last: Place | None


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
    # Scripts by hash, kept if they are not there yet.  Of an append that is refused a
    # store may keep them all the same: nobody asks for a script that no run names.
    scripts: Mapping[str, bytes] = field(default_factory=dict)
    # What the run is found by from now on; None: as before.
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The index of one run."""

    version: int
    phase: Phase
    timers: Mapping[str, int]
    attempts: Mapping[int, bytes]
    note: bytes
    # None: the run cannot be found.
    entry: Entry | None = None


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
    # What is wrong with timers that were met and are damaged: they fire no more.
    damaged: Sequence["CorruptError"] = ()


# The longest that a permit lasts without being put off, in milliseconds.
PERMIT_LASTS_MAX_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class QueueRate:
    """A bucket that *tokens* come into in each *period_us*, up to *burst*."""

    tokens: int
    period_us: int
    burst: int


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What bounds a queue; None sets no bound."""

    # The most permits at a time.
    max_in_flight: int | None = None
    # How many permits in a time.
    rate: QueueRate | None = None


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue at one moment."""

    limits: QueueLimits
    # The permits that have not ended.
    in_flight: int
    # In the bucket, with fractions; 0 without a rate.
    tokens: float


@dataclass(frozen=True, slots=True)
class PermitRequest:
    """
    One atomic change of the permits of one queue, carried out in the order below.

    A holder is a text of the caller's, at most 512 characters.  The same request again
    changes nothing but the ends of the permits, so that it can be repeated.
    """

    # The queue's key: namespace, slash, name.
    queue: str
    # How long `kept` and `wanted` last from now, at most `PERMIT_LASTS_MAX_MS`.
    lasts_ms: int
    # Those who have no permit any more.
    ended: Sequence[str] = ()
    # The same, and their token comes back: nothing was done with their permit.
    unused: Sequence[str] = ()
    # Those whose permit is put off.  One that has ended is there again, whatever the
    # limits say: somebody goes on with the task.
    kept: Sequence[str] = ()
    # Those who want one; they get it in this order until a limit is reached.
    wanted: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PermitAnswer:
    """What became of a `PermitRequest`."""

    # How many of `wanted` have a permit, from the first on.
    granted: int
    # The queue afterwards; None: it was never set, has no limits, and keeps no permits.
    state: QueueState | None


class StoreError(Exception):
    """
    The base of every error that a store raises on purpose.

    * StoreError
      x ConflictError      somebody else appended first
      x DeletedError       the run was deleted, and must not begin anew yet
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


class DeletedError(StoreError):
    """A run of this key was deleted, and its key is refused for a while."""

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run} was deleted, and its key is not free yet")
        self.run = run


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

    def __init__(self, run: str, acknowledged_version: int, version: int) -> None:
        super().__init__(
            f"run {run} had {acknowledged_version} events, and the store lost some:"
            f" it has {version}"
        )
        self.run = run
        self.acknowledged_version = acknowledged_version
        # What is left; 0 if it is nothing at all.
        self.version = version


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
            DeletedError: It would begin a run whose key is refused.
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

    async def find(self, query: Query) -> Page:
        """
        Return runs by their entries, at most `Query.limit`, the newest first.

        The store goes through the smallest of the sets that the query names, and looks
        at a bounded number of runs: a page may be short, or empty, with more to come.
        A run whose entry changes between two pages may be found in both or in none.
        """
        ...

    async def delete(
        self, run: str, *, expected_version: int, tombstone_ns: int
    ) -> bool:
        """
        Remove a run, its log and its index; return whether there was one.

        For *tombstone_ns* nanoseconds, by the store's clock, an append that would begin
        a run of this key is a `DeletedError`.  Atomic and durable, as an append is.

        Raises:
            ConflictError: The run is at another version.
            CorruptError: What is stored of it is damaged.
            UnavailableError: The outcome is unknown; it may be done again.
        """
        ...

    async def timers_due(self, *, limit: int = 1000) -> DueTimers:
        """
        Return the timers that are due by the store's clock, at most *limit*.

        A damaged one keeps no other from its time: it is named beside them, and `load`
        of its run tells of it.  `clear_index` is the way out.
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
        """Forget timers, attempts, notes and entries; make every run RUNNABLE."""
        ...

    async def set_queue(self, name: str, limits: QueueLimits | None) -> bool:
        """
        Set the limits of a queue, or forget it with its permits if there are none.

        Return whether it was there.  A new bucket is full; under another rate it keeps
        its tokens, as far as they fit.
        """
        ...

    async def permits(self, request: PermitRequest) -> PermitAnswer:
        """
        Carry out *request* by the store's clock; it is durable when this returns.

        Raises:
            CorruptError: The queue is damaged.  To set it again is the way out.
        """
        ...

    async def queues(self) -> "dict[str, QueueState | CorruptError]":
        """Return all queues that are set; for one that is damaged, what it is."""
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
