"""The way to the keys: each command goes to the server that has its slot.

What a server refuses because the slot is elsewhere, or on its way, was not carried out;
it is sent to where the slot is, for a while.  `redis_ways` knows where that is.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from starflow_backends import redis_nodes as nodes
from starflow_backends import redis_script as script
from starflow_backends.redis_errors import is_demoted, is_elsewhere, store_error
from starflow_backends.redis_layout import LAYOUT, PARTITIONS, Keys, store_key
from starflow_backends.redis_script import Script
from starflow_backends.redis_url import Address
from starflow_backends.redis_ways import Ways
from starflow_backends.redis_wire import Pipe, ReplyError, slot_of
from starflow_backends.store import (
    CorruptError,
    Durability,
    LayoutError,
    StoreError,
    UnavailableError,
    UnsafeError,
)

# Between tries while a slot is on its way.
_MOVING_S = 0.02


class Link:
    """Connections to where the keys are, kept up until `close`."""

    def __init__(
        self, address: Address, demanded: Durability, tell: Callable[[str], None]
    ) -> None:
        self.address = address
        self.ways = Ways(address, demanded, tell)
        self._nodes = self.ways.nodes
        # Why the store is lost, if it is.
        self.loss: asyncio.Future[StoreError] | None = None
        # As they are once the store has said how many partitions it has.
        self.keys = Keys(address.prefix, address.partitions or PARTITIONS)
        self.store_id = b""

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
        self.ways.open(self._slots())

    async def close(self) -> None:
        """Finish what was begun, and disconnect."""
        await self.ways.close()

    @property
    def is_lost(self) -> bool:
        """Whether the store is lost as a whole."""
        return self.loss is not None and self.loss.done()

    def lose(self, error: StoreError) -> StoreError:
        """The store is lost as a whole; return *error*, which says why."""
        assert self.loss is not None, "the store is not open"
        if not self.loss.done():
            self.loss.set_result(error)
            self.ways.lose(error)
        return error

    # Use

    def groups(self, numbers: Collection[int]) -> list[list[int]]:
        """Return *numbers* of partitions, in lists that one script can reach."""
        if self.address.kind != "cluster":
            return [list(numbers)] if numbers else []
        by_slot: dict[int, list[int]] = {}
        for number in numbers:
            by_slot.setdefault(self.ways.slots[number], []).append(number)
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

        slot = self.ways.slots[number]
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
                    raise self.failure(refusal, slot, run) from refusal
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
                self.ways.moved(slot)
            await asyncio.sleep(_MOVING_S)
        return await self.ways.pipe_soon(slot)

    async def _asked(self, error: ReplyError) -> Pipe:
        """Return the connection to where a slot is going, for one command."""
        host, _, port = str(error).split(" ")[-1].rpartition(":")
        pipe = await self._nodes.pipe_at(host, int(port))
        pipe.send([b"ASKING"]).add_done_callback(_ignore)
        return pipe

    def failure(self, error: ReplyError, slot: int, run: str = "") -> StoreError:
        """Return what an error means that came from who has *slot*, and act on it."""
        meaning = store_error(error, run)
        if is_demoted(error):
            # The next connection looks at who is there now.
            self.ways.leave(slot, str(error))
        return meaning

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
        slots = self._slots()
        # Each by itself: in a cluster they are on several nodes.
        looks = (
            self._look_at_partition(n, slot, is_made) for n, slot in enumerate(slots)
        )
        await asyncio.gather(*looks)
        if not is_made:
            await pipe.send([b"HSET", key, b"made", b"1"])

    def _slots(self) -> list[int]:
        return [slot_of(each.partition) for each in self.keys.partitions]

    async def _look_at_partition(self, number: int, slot: int, is_made: bytes) -> None:
        keys = list(self.keys.partitions[number].sets)
        pipe = self._nodes.pipe_of(slot)
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
