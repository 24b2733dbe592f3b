"""A store that several servers use at the same time, and what it promises them.

Its runs are divided into a fixed number of **partitions**.  Each has at most one
**owner**, a **replica**: one life of a server.  Ownership is a lease by the store's
clock, renewed by the store itself in the background, and an epoch that is another for
every owner:

1. The lease decides when somebody else may have the partition.  Nothing but liveness
   depends on it.
2. The epoch is part of every append, and the store refuses what comes with another than
   the one in force.  So a server that was frozen writes nothing when it wakes, however
   long it takes until it knows.

What is asked of runs without naming one (`Store.runs_in`, `Store.timers_due`,
`Store.clear_index`) is asked of the partitions that are owned.  A run that is named can
be read (`Store.load`, `Store.read`) whoever owns it.

Records belong to no partition: all replicas share them, and whoever puts a record last
wins.  None of them needs an epoch, for what an old owner may still put there is as true
as it was: scripts are named by their hash, the secret is put once, and functions,
queues and strikes are of no owner.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from starflow_backends.store import LockedError, Store

_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Replica:
    """A server that is a member now, by the store's clock."""

    # New in each life of a process.
    id: str
    # Where its peers reach it.
    address: str
    version: str
    # By the store's clock, nanoseconds since the epoch.
    started_ns: int
    # How long it is a member, if it is not heard of any more.
    lease_left_s: float


@dataclass(frozen=True, slots=True)
class PartitionState:
    """Who has a partition now, by the store's clock."""

    number: int
    epoch: int
    # The id of a replica, and empty if nobody has it.  Its lease may be over.
    owner: str
    # 0 if it is over.
    lease_left_s: float
    # All that are stored, finished ones too.
    runs: int


@runtime_checkable
class SharedStore(Store, Protocol):
    """
    A `Store` that several servers have open; see the module's text for the rules.

    `Store.open` takes no partition.  `Store.append` to one that is not owned raises
    `NotOwnerError`, and nothing is written.
    """

    @property
    def partitions(self) -> int:
        """How many there are; they are numbered from 0."""
        ...

    @property
    def replica_id(self) -> str:
        """Who this server is, in this life."""
        ...

    @property
    def owned(self) -> frozenset[int]:
        """
        The partitions that are this server's.

        One whose lease has run out by this server's own clock is not among them, until
        the store has said that it still is; so nothing is asked of the store here.
        """
        ...

    def partition_of(self, run: str) -> int:
        """Return the partition that *run* belongs to, for ever."""
        ...

    async def join(self, address: str, version: str) -> None:
        """
        Become a member, whose peers reach it at *address*; the store renews it.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...

    async def leave(self) -> None:
        """Release all partitions, and be a member no more."""
        ...

    async def replicas(self) -> list[Replica]:
        """Return the members, by the time they started."""
        ...

    async def partition_states(self) -> list[PartitionState]:
        """Return the state of every partition, by number."""
        ...

    async def claim(self, partition: int) -> bool:
        """
        Take *partition*; return whether it is this server's now.

        It is not if somebody else has it: unless his lease is over, or he is known to
        be dead.
        """
        ...

    async def release(self, partition: int) -> None:
        """
        Give *partition* back, so that somebody else can have it at once.

        Appends to it are refused from the moment of the call on; those given before are
        carried out.
        """
        ...

    async def wait_lost_partitions(self) -> frozenset[int]:
        """
        Return partitions that were owned and turned out not to be any more.

        That is so when somebody else has taken them, and also when the store lost
        appends of theirs that it had acknowledged: then whatever is known of their
        runs is worth nothing, and may be read again once they are claimed again.
        """
        ...


async def claim_all(store: SharedStore) -> None:
    """
    Take every partition, for a server or a tool that is to have the store alone.

    Raises:
        LockedError: Somebody else has one, and renews his lease.
    """
    try:
        await _claim_all(store)
    except BaseException:
        await store.leave()
        raise


async def _claim_all(store: SharedStore) -> None:
    seen: dict[int, tuple[int, float]] = {}
    while True:
        numbers = range(store.partitions)
        are_taken = await asyncio.gather(*(store.claim(n) for n in numbers))
        missing = [n for n in numbers if not are_taken[n]]
        if not missing:
            return
        states = await store.partition_states()
        left_s = [_time_left_s(states[n], seen) for n in missing]
        await asyncio.sleep(max(0.001, min(_LOOK_S, *left_s)))


def _time_left_s(state: PartitionState, seen: dict[int, tuple[int, float]]) -> float:
    """Return how long the owner has it if he is dead, which he is not if he renews."""
    before = seen.get(state.number)
    if before is not None and before < (state.epoch, state.lease_left_s):
        raise LockedError(f"it is in use by {state.owner}")
    seen[state.number] = state.epoch, state.lease_left_s
    return state.lease_left_s
