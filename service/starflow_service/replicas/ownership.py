"""The loop that takes partitions, gives them back, and notices what was lost."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog

from starflow_backends.shared import PartitionState, Replica, SharedStore
from starflow_backends.store import StoreError
from starflow_service.replicas.plan import make_plan
from starflow_service.runtime.runtime import Runtime

log = structlog.get_logger()

# How often to look who is there, if no news comes.
_LOOK_S: Final = 1.0


class Ownership:
    """What this server owns, kept in step with who else is there."""

    def __init__(
        self,
        store: SharedStore,
        runtime: Runtime,
        *,
        absent: Callable[[], Collection[str]],
        on_members: Callable[[Sequence[Replica]], None],
        on_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._runtime = runtime
        # Members that will not take anything: they leave, or cannot be reached.
        self._absent = absent
        self._on_members = on_members
        # This server serves other partitions than before.
        self._on_change = on_change
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closed = False

    async def open(self) -> None:
        """
        Take this server's share, and keep to it from now on.

        Raises:
            StoreError: The store cannot be used.
        """
        await self._look()
        self._tasks = [
            asyncio.create_task(self._run()),
            asyncio.create_task(self._notice_losses()),
        ]

    def look(self) -> None:
        """Look now: somebody came, left, or gave something back."""
        self._news.set()

    async def close(self) -> None:
        """Give everything back, and be a member no more; once is enough."""
        if self._is_closed:
            return
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        mine = self._runtime.partitions.open_ones
        await asyncio.gather(*(self._runtime.give_back(number) for number in mine))
        self._on_change()
        try:
            await self._store.leave()
        except StoreError as error:
            # Then the others have to wait for the end of the lease.
            log.warning("replicas.leave_failed", error=str(error))

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self._look()
            except StoreError as error:
                log.warning("replicas.look_failed", error=str(error))
            except Exception as error:
                # A defect; without the loop nothing would ever be taken over.
                log.error("replicas.look_failed", exc_info=error)

    async def _look(self) -> None:
        store = self._store
        members, states = await asyncio.gather(
            store.replicas(), store.partition_states()
        )
        self._on_members(members)
        me = store.replica_id
        absent = set(self._absent()) - {me}
        present = [member.id for member in members if member.id not in absent]
        if me not in present:
            # The lease of our membership is over; the store renews it when it can.
            return
        owned = store.owned
        owners = {state.number: _owner(state, me, owned) for state in states}
        plan = make_plan(me, present, owners)
        for number in plan.give_backs:
            await self._give_back(number)
        unserved = owned - self._runtime.partitions.served - set(plan.give_backs)
        takes = {*plan.claims, *unserved}
        taking = (self._take(number) for number in sorted(takes))
        # All of them end before somebody looks again.
        for error in await asyncio.gather(*taking, return_exceptions=True):
            if error is not None:
                raise error

    async def _take(self, number: int) -> None:
        if not await self._store.claim(number):
            return
        if number in self._runtime.partitions.open_ones:
            # What an earlier ownership left behind may be of the past.
            self._runtime.lose(number)
        await self._runtime.acquire(number)
        self._on_change()

    async def _give_back(self, number: int) -> None:
        await self._runtime.give_back(number)
        await self._store.release(number)
        log.info("replicas.gave_back", partition=number)
        self._on_change()

    async def _notice_losses(self) -> None:
        while True:
            lost = await self._store.wait_lost_partitions()
            for number in sorted(lost):
                self._runtime.lose(number)
            log.warning("replicas.lost", partitions=sorted(lost))
            self._on_change()
            self.look()


def _owner(state: PartitionState, me: str, owned: frozenset[int]) -> str | None:
    if state.number in owned:
        return me
    if state.owner == me or not state.lease_left_s:
        return None
    return state.owner
