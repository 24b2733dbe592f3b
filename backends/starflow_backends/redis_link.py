"""The way to Redis: a connection that is made anew when it breaks, and the claim.

One server has a store at a time.  Its claim is a lease in each partition, renewed
often, and an epoch that every append names: the lease decides when another server may
take over, the epoch refuses whatever the one before still tries to write.

Redis counts the appends of each partition.  After the connection broke there may be
another process behind the address, with other contents: as long as it counts no less
than was acknowledged nothing is lost, and the service goes on.  Otherwise the store is
lost, for a log must not be continued where its end is missing.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starflow_backends import redis_checks as checks
from starflow_backends import redis_script as script
from starflow_backends.redis_errors import is_demoted, store_error
from starflow_backends.redis_layout import LAYOUT, PARTITIONS, Keys, store_key
from starflow_backends.redis_owner import Owner
from starflow_backends.redis_script import Script
from starflow_backends.redis_wire import Address, LoadingError, Pipe, ReplyError
from starflow_backends.store import (
    CorruptError,
    Durability,
    LayoutError,
    LockedError,
    StoreError,
    UnavailableError,
    UnsafeError,
)

# How long Redis may take for an answer, and a read for a connection.
_ANSWER_S = 5.0
# How long a server that starts waits for a Redis that reads its data.
_LOADING_S = 60.0
_LOOK_S = 0.1
_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)


class Link:
    """
    A connection and a claim, both kept up until `close`.
    """

    def __init__(
        self, address: Address, demanded: Durability, tell: Callable[[str], None]
    ) -> None:
        self.address = address
        self._tell = tell
        self._demanded = demanded
        self._owner = Owner.here()
        self._pipe: Pipe | None = None
        self._is_ready = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._problem: StoreError = UnavailableError("the store is not open")
        # Why the store is lost, if it is.
        self.loss: asyncio.Future[StoreError] | None = None
        # As they are once the store has said how many partitions it has.
        self.keys = Keys(address.prefix, address.partitions or PARTITIONS)
        # By partition: our epoch, and the highest count that was acknowledged.
        self.epochs: list[bytes] = []
        self.acknowledged: list[int] = []
        self._store_id = b""

    # Life

    async def open(self) -> None:
        """
        Connect, check everything, and claim the store.

        Raises:
            StoreError: It cannot be used; see `Store.open`.
        """
        self.loss = asyncio.get_running_loop().create_future()
        pipe = await self._connect_loaded()
        try:
            await self._prepare(pipe)
            await self._look_at_store(pipe)
            await self._claim(pipe)
        except ReplyError as error:
            await pipe.close()
            raise store_error(error) from error
        except BaseException:
            await pipe.close()
            raise
        self._use(pipe)
        self._keeper = asyncio.create_task(self._keep(pipe))

    async def close(self) -> None:
        """Finish what was begun, end the claim, and disconnect."""
        pipe = self._pipe
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        if pipe is not None:
            # Nothing new from here on.
            self._broke(UnavailableError("the store is not open"))
            await self._finish(pipe)
            await pipe.close()

    async def _finish(self, pipe: Pipe) -> None:
        """End the claim; answers come in order, so that all others are there then."""
        with contextlib.suppress(StoreError, ReplyError):
            if self.is_lost:
                await pipe.send([b"PING"])
            else:
                await self._run(pipe, script.RENEW, *self._lease(0))

    # Use

    @property
    def is_lost(self) -> bool:
        """Whether the store is lost."""
        return self.loss is not None and self.loss.done()

    @property
    def pipe(self) -> Pipe:
        """
        The connection as it is now.

        Raises:
            StoreError: There is none.
        """
        # Each time another error: one that is raised again and again grows.
        if self.loss is not None and self.loss.done():
            loss = self.loss.result()
            raise type(loss)(str(loss))
        if self._pipe is None:
            raise UnavailableError(str(self._problem))
        return self._pipe

    async def ask(self, command: list[bytes], run: str = "") -> Any:
        """
        Return the answer to what may be carried out twice.

        Raises:
            StoreError: There is none, or it is an error.
        """
        return await self._repeated(lambda pipe: pipe.send(command), run)

    async def run(
        self, which: Script, keys: list[bytes], arguments: list[bytes], run: str = ""
    ) -> Any:
        """Do as `ask`, with a script."""
        return await self._repeated(
            lambda pipe: self._run(pipe, which, keys, arguments), run
        )

    async def _repeated(self, send: Callable[[Pipe], Awaitable[Any]], run: str) -> Any:
        """Send something, and once more if the connection broke meanwhile."""
        pipe = await self._pipe_soon()
        try:
            return await send(pipe)
        except ReplyError as error:
            raise self.failure(error, run) from error
        except UnavailableError:
            pipe = await self._pipe_soon()
        try:
            return await send(pipe)
        except ReplyError as error:
            raise self.failure(error, run) from error

    def failure(self, error: ReplyError, run: str = "") -> StoreError:
        """Return what an error that Redis answered with means, and act on it."""
        meaning = store_error(error, run)
        if is_demoted(error) and self._pipe is not None:
            # The next connection looks at who is there now.
            self._pipe.give_up(str(error))
        return meaning

    def lose(self, owner: str) -> StoreError:
        """Somebody else has a partition; return what to tell those who wait."""
        if owner:
            error: StoreError = LockedError(
                f"{self.address.shown} was taken over by {Owner.read(owner).words}"
            )
        else:
            error = UnsafeError(f"{self.address.shown} has lost the store: it is gone")
        return self._lost(error)

    # Connecting

    def _use(self, pipe: Pipe) -> None:
        pipe.on_break = self._broke
        self._pipe = pipe
        self._is_ready.set()

    def _broke(self, error: UnavailableError) -> None:
        self._pipe, self._problem = None, error
        self._is_ready.clear()

    async def _pipe_soon(self) -> Pipe:
        if self._keeper is not None and not self.is_lost and self._pipe is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_S):
                    await self._is_ready.wait()
        return self.pipe

    async def _connect_loaded(self) -> Pipe:
        """Connect, and wait for a Redis that still reads its data."""
        ends_at = asyncio.get_running_loop().time() + _LOADING_S
        while True:
            try:
                return await self._connect()
            except LoadingError:
                if asyncio.get_running_loop().time() > ends_at:
                    raise
                await asyncio.sleep(_LOOK_S)

    async def _connect(self) -> Pipe:
        """Connect to a Redis that answers."""
        pipe = await Pipe.connect(self.address, answer_s=_ANSWER_S)
        try:
            await pipe.send([b"PING"])
        except ReplyError as error:
            await pipe.close()
            raise store_error(error) from error
        except BaseException:
            await pipe.close()
            raise
        return pipe

    async def _prepare(self, pipe: Pipe) -> None:
        facts = await checks.facts_of(pipe)
        checks.check(facts, self.address.shown, self._demanded)
        loads = [pipe.send([b"SCRIPT", b"LOAD", each.text]) for each in script.ALL]
        await asyncio.gather(*loads)

    async def _run(
        self, pipe: Pipe, which: Script, keys: list[bytes], arguments: Sequence[bytes]
    ) -> Any:
        command = which.call(keys, list(arguments))
        try:
            return await pipe.send(command)
        except ReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        return await self.send_anew(pipe, which, command)

    def send_anew(
        self, pipe: Pipe, which: Script, command: list[bytes]
    ) -> asyncio.Future[Any]:
        """Send a script's command again, after the script."""
        pipe.send([b"SCRIPT", b"LOAD", which.text]).add_done_callback(_ignore)
        return pipe.send(command)

    # The store

    async def _look_at_store(self, pipe: Pipe) -> None:
        address = self.address
        key = store_key(address.prefix)
        try:
            found = await pipe.send([b"HMGET", key, b"layout", b"partitions"])
        except ReplyError as error:
            if error.code == "WRONGTYPE":
                raise _foreign(key) from error
            raise
        stored = _stored_partitions(key, found)
        if stored is not None and address.partitions not in (None, stored):
            raise LayoutError(
                f"the store has {stored} partitions, not {address.partitions}:"
                " their number is chosen once, when a store is made"
            )
        self.keys = Keys(address.prefix, stored or address.partitions or PARTITIONS)
        await self._init(pipe)

    async def _init(self, pipe: Pipe) -> None:
        keys = [self.keys.store]
        for each in self.keys.partitions:
            keys += (each.partition, each.runs, each.timers, each.found)
        count = b"%d" % len(self.keys.partitions)
        new_id = secrets.token_hex(8).encode()
        arguments = [b"%d" % LAYOUT, count, new_id]
        answer = await self._run(pipe, script.INIT, keys, arguments)
        self._store_id = answer[0]
        if len(answer) == 2:
            kind, key = answer
            if kind == b"foreign":
                raise _foreign(key)
            if kind == b"raced":
                raise LayoutError("somebody else has just made the store: try again")
            raise CorruptError(
                "", 0, f"the store is damaged: {key.decode()}, or a part of it, is gone"
            )

    # The claim

    async def _claim(self, pipe: Pipe) -> None:
        """Take the store from whoever does not renew its lease."""
        keys = [each.partition for each in self.keys.partitions]
        lease = [str(self._owner).encode(), b"%d" % self.address.lease_ms]
        dead, seen = b"", None
        while True:
            owner, *rest = await self._run(pipe, script.CLAIM, keys, [*lease, dead])
            if not owner:
                self.epochs = [b"%d" % epoch for epoch in rest[::2]]
                self.acknowledged = rest[1::2]
                return
            if self._owner.knows_dead(Owner.read(owner.decode())):
                dead = owner
                continue
            until_ms, now_ms = rest
            if seen is not None and seen != (owner, until_ms):
                raise LockedError(
                    f"{self.address.shown} is in use by"
                    f" {Owner.read(owner.decode()).words}"
                )
            seen = owner, until_ms
            left_s = (int(until_ms) - int(now_ms)) / 1000
            await asyncio.sleep(max(0.001, min(_LOOK_S, left_s)))

    def _lease(self, length_ms: int) -> tuple[list[bytes], list[bytes]]:
        keys = [each.partition for each in self.keys.partitions]
        return keys, [b"%d" % length_ms, *self.epochs]

    async def _renew(self, pipe: Pipe) -> None:
        keys, arguments = self._lease(self.address.lease_ms)
        owner, *counts = await self._run(pipe, script.RENEW, keys, arguments)
        if len(counts) < len(keys):
            raise self.lose(owner.decode())
        for number, count in enumerate(counts):
            if count < self.acknowledged[number]:
                raise self._lost(
                    UnsafeError(
                        f"{self.address.shown} went back in time: partition {number} is"
                        f" at append {count}, and {self.acknowledged[number]} was"
                        " acknowledged"
                    )
                )

    async def _keep(self, pipe: Pipe) -> None:
        """Renew the lease and the connection, until the store is lost."""
        every_s = self.address.lease_ms / 3000
        while not self.is_lost:
            await asyncio.wait({pipe.broken}, timeout=every_s)
            if pipe.error is not None:
                self._tell(f"{pipe.error}; trying again")
                await pipe.close()
                pipe = await self._reconnect() or pipe
                continue
            with contextlib.suppress(StoreError):
                try:
                    await self._renew(pipe)
                except ReplyError as error:
                    self.failure(error)

    async def _reconnect(self) -> Pipe | None:
        """Connect again, however long it takes, unless the store turns out lost."""
        tries = 0
        while not self.is_lost:
            try:
                pipe = await self._connect()
            except StoreError as error:
                self._problem = error
            else:
                if await self._is_same_store(pipe):
                    self._use(pipe)
                    self._tell(f"{self.address.shown} answers again")
                    return pipe
                await pipe.close()
            await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])
            tries += 1
        return None

    async def _is_same_store(self, pipe: Pipe) -> bool:
        try:
            await self._prepare(pipe)
            found = await pipe.send([b"HGET", self.keys.store, b"id"])
            if found not in (None, self._store_id):
                raise UnsafeError(f"{self.address.shown} is another store now")
            await self._renew(pipe)
        except ReplyError as error:
            self._problem = store_error(error)
        except (UnsafeError, LayoutError) as error:
            self._lost(error)
        except StoreError as error:
            self._problem = error
        except BaseException:
            await pipe.close()
            raise
        else:
            return True
        return False

    def _lost(self, error: StoreError) -> StoreError:
        assert self.loss is not None
        if not self.loss.done():
            self.loss.set_result(error)
            # Nobody waits for a connection any more.
            self._is_ready.set()
        return error


def _stored_partitions(key: bytes, found: list[bytes | None]) -> int | None:
    layout, partitions = found
    if layout is None and partitions is None:
        return None
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
