"""Which connection leads to a slot, and the keeper, who sees to it that there is one.

The keeper renews the leases over every connection, each in its own time: one that is
stuck must not cost others their leases.  A connection that is new is used for
partitions only after that: behind an address may be another process than before, with
other contents (see `redis_leases`).  What is broken is mended meanwhile.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from starflow_backends import redis_nodes as nodes
from starflow_backends.redis_errors import is_elsewhere, store_error
from starflow_backends.redis_nodes import Nodes
from starflow_backends.redis_url import Address
from starflow_backends.redis_wire import Pipe, ReplyError
from starflow_backends.store import (
    Durability,
    LayoutError,
    StoreError,
    UnavailableError,
    UnsafeError,
)

_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)


class Upkeep(Protocol):
    """What the keeper does besides connections."""

    async def renew(self, pipe: Pipe, numbers: Sequence[int]) -> None:
        """
        Renew the leases of those of *numbers* that are owned, over *pipe*.

        Raises:
            StoreError: It did not work; *pipe* is not used for them.
            ReplyError: Redis answered so.
        """
        ...

    async def stay_member(self) -> None:
        """
        Renew the membership, if there is one.

        Raises:
            StoreError: It did not work.
        """
        ...


class Ways:
    """The ways to all slots, kept up from `open` to `close`."""

    def __init__(
        self, address: Address, demanded: Durability, tell: Callable[[str], None]
    ) -> None:
        self._address = address
        self._tell = tell
        self.upkeep: Upkeep
        self.nodes = Nodes(address, demanded, self._broke, self.nudge)
        # By partition: its slot, and the connection once its lease was renewed over it.
        self.slots: list[int] = []
        self._number_of_slot: dict[int, int] = {}
        self._pipes: list[Pipe | None] = []
        self._keeper: asyncio.Task[None] | None = None
        # What goes on beside the keeper, by what it is for.
        self._tasks: dict[object, asyncio.Task[None]] = {}
        # Something is broken, or has moved.
        self._is_trouble = False
        # The keeper is wanted before its time.
        self._nudge = asyncio.Event()
        # Replaced whenever ways were found.
        self._changed = asyncio.Event()
        self._problem: StoreError = UnavailableError("the store is not open")
        # What was last told of a connection that broke; empty when all is well.
        self._told = ""
        self._loss: StoreError | None = None

    def open(self, slots: list[int]) -> None:
        """Begin to keep the ways to partitions that have *slots*."""
        self.slots = slots
        self._number_of_slot = {slot: number for number, slot in enumerate(slots)}
        self._pipes = [self.nodes.pipe_of(slot) for slot in slots]
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Finish what was begun, and disconnect."""
        tasks = list(self._tasks.values())
        if self._keeper is not None:
            tasks.append(self._keeper)
            self._keeper = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        pipes = self.nodes.pipes()
        # Nothing new from here on.
        self._pipes = [None] * len(self._pipes)
        self._problem = UnavailableError("the store is not open")
        # Answers come in order: with these all others are there.
        pings = [pipe.send([b"PING"]) for pipe in pipes]
        await asyncio.gather(*pings, return_exceptions=True)
        await self.nodes.close()

    def lose(self, loss: StoreError) -> None:
        """Lead nowhere any more, because of *loss*."""
        self._loss = loss
        self._nudge.set()
        self._announce()

    # Use

    def pipe_now(self, number: int) -> Pipe:
        """
        Return the connection to partition *number*.

        Raises:
            StoreError: There is none.
        """
        pipe = self._pipes[number] if self._pipes else None
        if pipe is None or self._loss is not None:
            raise self._refusal()
        return pipe

    async def pipe_soon(self, slot: int) -> Pipe:
        """
        Return the connection to *slot*, when it is there.

        Raises:
            StoreError: There was none for a while.
        """
        pipe = self._pipe_of(slot)
        if pipe is None and self._keeper is not None and self._loss is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(nodes.ANSWER_S):
                    while self._loss is None and (pipe := self._pipe_of(slot)) is None:
                        await self._changed.wait()
        if pipe is None or self._loss is not None:
            raise self._refusal()
        return pipe

    def moved(self, slot: int) -> None:
        """Use no connection for *slot* before it was looked for."""
        self._pipes = [
            None if self.slots[number] == slot else pipe
            for number, pipe in enumerate(self._pipes)
        ]
        self._is_trouble = True
        self.nudge()

    def leave(self, slot: int, reason: str) -> None:
        """Use the connection to *slot* no more: it leads to no primary."""
        with contextlib.suppress(StoreError):
            self.nodes.pipe_of(slot).give_up(reason)

    def nudge(self) -> None:
        """Have the leases renewed now."""
        self._nudge.set()

    def _pipe_of(self, slot: int) -> Pipe | None:
        if self._keeper is None:
            # Not open yet, or not any more.
            return None
        number = self._number_of_slot.get(slot)
        if number is not None:
            return self._pipes[number]
        try:
            return self.nodes.pipe_of(slot)
        except StoreError as error:
            self._problem = error
            return None

    def _refusal(self) -> StoreError:
        # Each time another error: one that is raised again and again grows.
        if self._loss is not None:
            return type(self._loss)(str(self._loss))
        return UnavailableError(str(self._problem))

    def _announce(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _broke(self, pipe: Pipe, error: UnavailableError) -> None:
        self._pipes = [None if each is pipe else each for each in self._pipes]
        self._problem = error
        self._is_trouble = True
        self.nudge()
        if self._keeper is not None and not self._told:
            self._tell_once(f"{error}; trying again")

    def _tell_once(self, words: str) -> None:
        if words != self._told:
            self._told = words
            self._tell(words)

    # The keeper

    async def _keep(self) -> None:
        every_s = self._address.lease_ms / 3000
        while self._loss is None:
            if self._is_trouble or self.nodes.can_change_unseen:
                self._begin(Nodes, self._mend())
            for pipe, numbers in self._numbers_by_pipe().items():
                self._begin(pipe, self._renew(pipe, numbers))
            self._begin(Upkeep, self._stay_member())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await self._nudge.wait()
            self._nudge.clear()

    def _begin(self, what: object, work: Coroutine[Any, Any, None]) -> None:
        """Do *work*, unless the same is being done."""
        if what in self._tasks:
            work.close()
            return
        task = self._tasks[what] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._tasks.pop(what, None))

    async def _mend(self) -> None:
        """Make the connections that are missing, however long it takes."""
        tries = 0
        while self._loss is None:
            self._is_trouble = False
            try:
                await self.nodes.mend()
            except StoreError as error:
                self._note(error)
                self._is_trouble = True
            if not self._is_trouble and not self.nodes.problems:
                return
            for problem in self.nodes.problems:
                self._note(problem)
            await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])
            tries += 1

    def _note(self, error: StoreError) -> None:
        """Something does not work; tell what a person has to do about."""
        self._problem = error
        if isinstance(error, UnsafeError | LayoutError):
            self._tell_once(f"{self._address.shown} is not used: {error}")

    def _numbers_by_pipe(self) -> dict[Pipe, list[int]]:
        by_pipe: dict[Pipe, list[int]] = {}
        for number, slot in enumerate(self.slots):
            try:
                by_pipe.setdefault(self.nodes.pipe_of(slot), []).append(number)
            except StoreError as error:
                self._problem = error
                self._pipes[number] = None
        return by_pipe

    async def _renew(self, pipe: Pipe, numbers: list[int]) -> None:
        try:
            await self.upkeep.renew(pipe, numbers)
        except ReplyError as error:
            self._problem = store_error(error)
            if is_elsewhere(error):
                self._is_trouble = True
            asyncio.get_running_loop().call_later(_BACKOFF_S[1], self.nudge)
        except StoreError as error:
            self._problem = error
        else:
            self._use(pipe, numbers)

    def _use(self, pipe: Pipe, numbers: list[int]) -> None:
        if pipe.error is not None:
            return
        for number in numbers:
            self._pipes[number] = pipe
        self._announce()
        if self._told and None not in self._pipes:
            self._told = ""
            self._tell(f"{self._address.shown} answers again")

    async def _stay_member(self) -> None:
        try:
            await self.upkeep.stay_member()
        except StoreError as error:
            self._problem = error
