"""The way to the keys: each command goes to the server that has its slot.

Connections break, primaries change, slots move.  A task, the keeper, mends what is
broken, and has the leases renewed over every connection before anything else uses it
(see `redis_leases`): behind an address may be another process than before, with other
contents.  What a server refuses because the slot is elsewhere, or on its way, was not
carried out; it is sent to where the slot is, for a while.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol

from starflow_backends import redis_nodes as nodes
from starflow_backends import redis_script as script
from starflow_backends.redis_errors import is_demoted, is_elsewhere, store_error
from starflow_backends.redis_layout import LAYOUT, PARTITIONS, Keys, store_key
from starflow_backends.redis_nodes import Nodes
from starflow_backends.redis_script import Script
from starflow_backends.redis_url import Address
from starflow_backends.redis_wire import Pipe, ReplyError, slot_of
from starflow_backends.store import (
    CorruptError,
    Durability,
    LayoutError,
    StoreError,
    UnavailableError,
    UnsafeError,
)

_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)
# Between tries while a slot is on its way.
_MOVING_S = 0.02


class Upkeep(Protocol):
    """What the keeper does besides connections."""

    async def renew(self, pipe: Pipe, numbers: Sequence[int]) -> None:
        """
        Renew the leases of those of *numbers* that are owned, over *pipe*.

        Raises:
            StoreError: It did not work; *pipe* is not used for them.
        """
        ...

    async def end_round(self) -> None:
        """Do what is to be done once a round, when all is well."""
        ...


class Link:
    """Connections to where the keys are, kept up until `close`."""

    def __init__(
        self, address: Address, demanded: Durability, tell: Callable[[str], None]
    ) -> None:
        self.address = address
        self.upkeep: Upkeep
        self._tell = tell
        self._nodes = Nodes(address, demanded, self._broke)
        # Why the store is lost, if it is.
        self.loss: asyncio.Future[StoreError] | None = None
        # As they are once the store has said how many partitions it has.
        self.keys = Keys(address.prefix, address.partitions or PARTITIONS)
        self.store_id = b""
        self._slots: list[int] = []
        self._number_of_slot: dict[int, int] = {}
        # By partition: the connection, once its lease was renewed over it.
        self._pipes: list[Pipe | None] = []
        self._keeper: asyncio.Task[None] | None = None
        # Something is broken, or has moved.
        self._trouble = asyncio.Event()
        # The keeper is wanted before its time.
        self._nudge = asyncio.Event()
        # Replaced whenever connections were found.
        self._changed = asyncio.Event()
        self._problem: StoreError = UnavailableError("the store is not open")
        # What was last told of a connection that broke; empty when all is well.
        self._told = ""

    # Life

    async def open(self) -> None:
        """
        Connect, and check everything.

        Raises:
            StoreError: It cannot be used; see `Store.open`.
        """
        self.loss = asyncio.get_running_loop().create_future()
        try:
            await self._nodes.open()
            await self._look_at_store()
        except ReplyError as error:
            await self._nodes.close()
            raise store_error(error) from error
        except BaseException:
            await self._nodes.close()
            raise
        self._pipes = [self._nodes.pipe_of(slot) for slot in self._slots]
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Finish what was begun, and disconnect."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        pipes = self._nodes.pipes()
        # Nothing new from here on.
        self._pipes = [None] * len(self._pipes)
        self._problem = UnavailableError("the store is not open")
        # Answers come in order: with these all others are there.
        pings = [pipe.send([b"PING"]) for pipe in pipes]
        await asyncio.gather(*pings, return_exceptions=True)
        await self._nodes.close()

    @property
    def is_lost(self) -> bool:
        """Whether the store is lost as a whole."""
        return self.loss is not None and self.loss.done()

    def lose(self, error: StoreError) -> StoreError:
        """The store is lost as a whole; return *error*, which says why."""
        assert self.loss is not None, "the store is not open"
        if not self.loss.done():
            self.loss.set_result(error)
            # Nobody waits for a connection any more.
            self._nudge.set()
            self._announce()
        return error

    # Use

    def pipe(self, number: int) -> Pipe:
        """
        Return the connection for appends to partition *number*.

        Raises:
            StoreError: There is none.
        """
        if not self._pipes:
            raise UnavailableError("the store is not open")
        pipe = self._pipes[number]
        if pipe is None or self.is_lost:
            raise self._refusal()
        return pipe

    def groups(self, numbers: Collection[int]) -> list[list[int]]:
        """Return *numbers* of partitions, in lists that one script can reach."""
        if self.address.kind != "cluster":
            return [list(numbers)] if numbers else []
        by_slot: dict[int, list[int]] = {}
        for number in numbers:
            by_slot.setdefault(self._slots[number], []).append(number)
        return list(by_slot.values())

    async def ask(
        self, command: list[bytes], run: str = "", *, at: bytes | None = None
    ) -> Any:
        """
        Return the answer to what may be carried out twice.

        *at* is the key that says where; None stands for the second word.

        Raises:
            StoreError: There is none, or it is an error.
        """
        slot = slot_of(command[1] if at is None else at)
        return await self._repeated(slot, lambda pipe: pipe.send(command), run)

    async def run(
        self, which: Script, keys: list[bytes], arguments: list[bytes], run: str = ""
    ) -> Any:
        """Do as `ask`, with a script."""
        return await self._repeated(
            slot_of(keys[0]),
            lambda pipe: self.run_over(pipe, which, keys, arguments),
            run,
        )

    async def run_over(
        self, pipe: Pipe, which: Script, keys: list[bytes], arguments: list[bytes]
    ) -> Any:
        """
        Carry out a script over *pipe*, once.

        Raises:
            ReplyError: Redis answered so.
            UnavailableError: It did not answer.
        """
        command = which.call(keys, arguments)
        try:
            return await pipe.send(command)
        except ReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        return await self.send_anew(pipe, which, command)

    async def run_following(
        self, pipe: Pipe, which: Script, keys: list[bytes], arguments: list[bytes]
    ) -> Any:
        """Do as `run_over`, also while the slot is on its way to another node."""
        try:
            return await self.run_over(pipe, which, keys, arguments)
        except ReplyError as error:
            if error.code != "ASK":
                raise
            pipe = await self._asked(error)
        return await self.run_over(pipe, which, keys, arguments)

    def send_anew(
        self, pipe: Pipe, which: Script, command: list[bytes]
    ) -> asyncio.Future[Any]:
        """Send a script's command again, after the script."""
        pipe.send([b"SCRIPT", b"LOAD", which.text]).add_done_callback(_ignore)
        return pipe.send(command)

    async def send_elsewhere(
        self, number: int, command: list[bytes], error: ReplyError, run: str
    ) -> Any:
        """
        Send what was refused with *error*, and so not carried out, to where it belongs.

        Raises:
            StoreError: There is no way there, or it was refused for another reason.
        """

        def send(pipe: Pipe) -> asyncio.Future[Any]:
            return pipe.send(command)

        slot = self._slots[number]
        return await self._repeated(slot, send, run, error, is_safe=False)

    async def _repeated(
        self,
        slot: int,
        send: Callable[[Pipe], Awaitable[Any]],
        run: str,
        error: ReplyError | None = None,
        *,
        is_safe: bool = True,
    ) -> Any:
        """
        Send something until it was carried out; *error* is the last refusal.

        What *is_safe* is sent once more if a connection broke.
        """
        ends_at = asyncio.get_running_loop().time() + nodes.ANSWER_S
        while True:
            pipe = await self._way(slot, error)
            try:
                return await send(pipe)
            except ReplyError as refusal:
                is_late = asyncio.get_running_loop().time() > ends_at
                if is_late or not is_elsewhere(refusal):
                    raise self.failure(refusal, run) from refusal
                error = refusal
            except UnavailableError:
                if not is_safe:
                    raise
                is_safe, error = False, None

    async def _way(self, slot: int, error: ReplyError | None) -> Pipe:
        """Return the connection to use next, after a refusal with *error*."""
        if error is not None and error.code == "ASK":
            return await self._asked(error)
        if error is not None:
            if error.code == "MOVED":
                self._moved(slot)
            await asyncio.sleep(_MOVING_S)
        return await self._pipe_soon(slot)

    async def _asked(self, error: ReplyError) -> Pipe:
        """Return the connection to where a slot is going, for one command."""
        host, _, port = str(error).split(" ")[-1].rpartition(":")
        pipe = await self._nodes.pipe_at(host, int(port))
        pipe.send([b"ASKING"]).add_done_callback(_ignore)
        return pipe

    def failure(self, error: ReplyError, run: str = "") -> StoreError:
        """Return what an error that Redis answered with means, and act on it."""
        meaning = store_error(error, run)
        if is_demoted(error):
            # The next connections look at who is there now.
            for pipe in self._nodes.pipes():
                pipe.give_up(str(error))
        return meaning

    def nudge(self) -> None:
        """Have the leases renewed now."""
        self._nudge.set()

    # Connecting

    def _broke(self, pipe: Pipe, error: UnavailableError) -> None:
        self._pipes = [None if each is pipe else each for each in self._pipes]
        self._problem = error
        self._trouble.set()
        self._nudge.set()
        if self._keeper is not None and not self._told:
            self._tell_once(f"{error}; trying again")

    def _tell_once(self, words: str) -> None:
        if words != self._told:
            self._told = words
            self._tell(words)

    def _moved(self, slot: int) -> None:
        """Use no connection for *slot* before it was looked for."""
        self._pipes = [
            None if self._slots[number] == slot else pipe
            for number, pipe in enumerate(self._pipes)
        ]
        self._trouble.set()
        self._nudge.set()

    def _pipe_of(self, slot: int) -> Pipe | None:
        if self._keeper is None:
            # Not open yet, or not any more.
            return None
        number = self._number_of_slot.get(slot)
        if number is not None:
            return self._pipes[number]
        try:
            return self._nodes.pipe_of(slot)
        except StoreError as error:
            self._problem = error
            return None

    async def _pipe_soon(self, slot: int) -> Pipe:
        """Return the connection for *slot*, when it is there."""
        pipe = self._pipe_of(slot)
        if pipe is None and self._keeper is not None and not self.is_lost:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(nodes.ANSWER_S):
                    while not self.is_lost and (pipe := self._pipe_of(slot)) is None:
                        await self._changed.wait()
        if pipe is None or self.is_lost:
            raise self._refusal()
        return pipe

    def _refusal(self) -> StoreError:
        # Each time another error: one that is raised again and again grows.
        if self.loss is not None and self.loss.done():
            loss = self.loss.result()
            return type(loss)(str(loss))
        return UnavailableError(str(self._problem))

    def _announce(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # The keeper

    async def _keep(self) -> None:
        """Renew leases and connections, until the store is lost."""
        tries = 0
        every_s = self.address.lease_ms / 3000
        while not self.is_lost:
            backoff_s = _BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)]
            if tries:
                await asyncio.sleep(backoff_s)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(every_s):
                        await self._nudge.wait()
            self._nudge.clear()
            tries = 0 if await self._is_well() else tries + 1

    async def _is_well(self) -> bool:
        """Mend and renew; return whether all is well afterwards."""
        try:
            if self._trouble.is_set() or self._nodes.can_change_unseen:
                self._trouble.clear()
                await self._nodes.mend()
            await self._renew_all()
            if None in self._pipes:
                self._trouble.set()
                return False
            await self.upkeep.end_round()
        except ReplyError as error:
            self._problem = store_error(error)
        except StoreError as error:
            self._problem = error
            self._trouble.set()
        else:
            if self._told:
                self._told = ""
                self._tell(f"{self.address.shown} answers again")
            return True
        return False

    def _note(self, error: StoreError) -> None:
        """Something does not work; tell what a person has to do about."""
        self._problem = error
        if isinstance(error, UnsafeError | LayoutError) and not self.is_lost:
            self._tell_once(f"{self.address.shown} is not used: {error}")

    async def _renew_all(self) -> None:
        by_pipe: dict[Pipe, list[int]] = {}
        for number, slot in enumerate(self._slots):
            try:
                by_pipe.setdefault(self._nodes.pipe_of(slot), []).append(number)
            except StoreError as error:
                self._note(error)
                self._pipes[number] = None
        renewals = [self._renew(pipe, numbers) for pipe, numbers in by_pipe.items()]
        await asyncio.gather(*renewals)

    async def _renew(self, pipe: Pipe, numbers: list[int]) -> None:
        try:
            await self.upkeep.renew(pipe, numbers)
        except ReplyError as error:
            self._problem = self.failure(error)
            if is_elsewhere(error):
                self._trouble.set()
            return
        except StoreError as error:
            self._problem = error
            return
        if pipe.error is None:
            for number in numbers:
                self._pipes[number] = pipe
            self._announce()

    # The store

    async def _look_at_store(self) -> None:
        key = store_key(self.address.prefix)
        new_id = secrets.token_hex(8).encode()
        count = self.address.partitions
        arguments = [b"%d" % LAYOUT, b"%d" % (count or PARTITIONS), new_id]
        pipe = self._nodes.pipe_of(slot_of(key))
        found = await self.run_over(pipe, script.STORE, [key], arguments)
        stored = _stored_partitions(key, found[:2])
        if count not in (None, stored):
            raise LayoutError(
                f"the store has {stored} partitions, not {count}:"
                " their number is chosen once, when a store is made"
            )
        self.store_id, is_made = found[2] or b"", found[3] or b""
        self.keys = Keys(self.address.prefix, stored)
        self._slots = [slot_of(each.partition) for each in self.keys.partitions]
        self._number_of_slot = {slot: n for n, slot in enumerate(self._slots)}
        for numbers in self.groups(range(stored)):
            await self._look_at_partitions(numbers, is_made)
        if not is_made:
            await pipe.send([b"HSET", key, b"made", b"1"])

    async def _look_at_partitions(self, numbers: list[int], is_made: bytes) -> None:
        keys: list[bytes] = []
        for number in numbers:
            keys += self.keys.partitions[number].sets
        pipe = self._nodes.pipe_of(self._slots[numbers[0]])
        answer = await self.run_over(pipe, script.INIT, keys, [self.store_id, is_made])
        if answer:
            kind, key = answer
            if kind == b"foreign":
                raise _foreign(key)
            if kind == b"another":
                key = self.keys.store
            raise CorruptError(
                "", 0, f"the store is damaged: {key.decode()}, or a part of it, is gone"
            )

    def is_another(self) -> StoreError:
        """There is another store now where this one was; the store is lost."""
        return self.lose(UnsafeError(f"{self.address.shown} is another store now"))

    def is_gone(self) -> StoreError:
        """A partition is not there any more; the store is lost."""
        return self.lose(
            UnsafeError(f"{self.address.shown} has lost the store: it is gone")
        )


def _stored_partitions(key: bytes, found: list[bytes | None]) -> int:
    layout, partitions = found
    if layout is None or not layout.isdigit():
        raise _foreign(key)
    if int(layout) != LAYOUT:
        raise LayoutError(
            f"the store has layout {int(layout)}, and this release knows layout"
            f" {LAYOUT}: use the release that wrote it, or a newer one"
        )
    if partitions is None or not partitions.isdigit():
        raise _foreign(key)
    return int(partitions)


def _foreign(key: bytes) -> LayoutError:
    return LayoutError(
        f"the key {key.decode()} is not ours: choose another prefix, as in"
        " redis://HOST/0?prefix=NAME, or another database"
    )


def _ignore(future: asyncio.Future[Any]) -> None:
    # What follows fails as well, and says why.
    future.exception()
