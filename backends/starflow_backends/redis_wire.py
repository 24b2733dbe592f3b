"""One connection to Redis: commands go out together, answers come back in order.

What is sent in one turn of the event loop is written at once, and so Redis carries it
out at once and syncs its disk once for all of it.

The client library connects, authenticates and speaks the protocol.  Nothing is ever
sent twice by it: a connection that breaks stays broken, and whoever waits for an answer
learns that the outcome is unknown.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import exceptions
from redis.asyncio.connection import Connection, parse_url
from redis.crc import key_slot

from starflow_backends.store import UnavailableError

_CONNECT_S = 5.0
# What the library cuts off the errors that it knows.
_CODES: dict[type[Exception], str] = {
    exceptions.NoScriptError: "NOSCRIPT",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.MovedError: "MOVED",
    exceptions.AskError: "ASK",
}


def library_options(url: str) -> dict[str, Any]:
    """
    Return what the library makes connections of, as a URL of its own says.

    Raises:
        ValueError: An option cannot be what it is.
    """
    return dict(parse_url(url))


def slot_of(key: bytes) -> int:
    """Return the slot of a cluster that *key* is in."""
    return int(key_slot(key))


class ReplyError(Exception):
    """Redis answered with an error; *code* is its first word."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code


class LoadingError(UnavailableError):
    """Redis is reading its data, and will be there soon."""


class Pipe:
    """A connection with any number of commands under way."""

    def __init__(self, connection: Any, shown: str, answer_s: float) -> None:
        self._connection = connection
        self.shown = shown
        self._answer_s = answer_s
        # Packed, not written yet.
        self._unsent: list[bytes] = []
        self._has_work = asyncio.Event()
        # Oldest first.
        self._awaited: deque[asyncio.Future[Any]] = deque()
        # Why it is broken.
        self.error: UnavailableError | None = None
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Called when it breaks, before anybody can try to use it again.
        self.on_break: Callable[[UnavailableError], None] = _ignore
        self._answers = 0
        self._tasks = [
            asyncio.create_task(self._write()),
            asyncio.create_task(self._read()),
            asyncio.create_task(self._watch()),
        ]

    @classmethod
    async def connect(
        cls, options: Mapping[str, Any], shown: str, *, answer_s: float
    ) -> "Pipe":
        """
        Connect and authenticate; *shown* names the server, for people.

        Raises:
            LoadingError: Redis is there, but not ready yet.
            UnavailableError: Nobody is there, or we are not let in.
        """
        made_of = {"socket_connect_timeout": _CONNECT_S, **options}
        make = made_of.pop("connection_class", Connection)
        connection = None
        try:
            connection = make(
                **made_of, protocol=2, redis_connect_func=_once(), socket_timeout=None
            )
            await connection.connect()
        except exceptions.RedisError as error:
            raise _refusal(shown, error, "cannot be reached") from error
        except (TypeError, ValueError, OSError) as error:
            # Options of TLS are looked at when the connection is made.
            raise UnavailableError(f"{shown}: {error}") from error
        except asyncio.CancelledError:
            if connection is not None:
                await connection.disconnect(nowait=True)
            raise
        return cls(connection, shown, answer_s)

    def send(self, parts: Sequence[bytes]) -> asyncio.Future[Any]:
        """Send one command; the future gives its answer, or `ReplyError`."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.error is not None:
            future.set_exception(UnavailableError(str(self.error)))
            return future
        self._unsent.append(b"*%d\r\n" % len(parts))
        self._unsent += [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
        self._awaited.append(future)
        self._has_work.set()
        return future

    def give_up(self, reason: str) -> None:
        """Use the connection no more."""
        self._break(self._unavailable(reason))

    async def close(self) -> None:
        """Close the connection; whoever still waits does not learn the outcome."""
        self._break(UnavailableError(f"{self.shown}: the connection was closed"))
        with contextlib.suppress(exceptions.RedisError, OSError):
            await self._connection.disconnect(nowait=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            packed, self._unsent = b"".join(self._unsent), []
            try:
                await self._connection.send_packed_command(packed, check_health=False)
            except (exceptions.RedisError, OSError) as error:
                self._break(self._unavailable(error))
                return

    async def _read(self) -> None:
        read = self._connection.read_response
        awaited = self._awaited
        while True:
            answer: Any = None
            failure: ReplyError | None = None
            try:
                answer = await read(disable_decoding=True)
            except exceptions.ResponseError as error:
                failure = _reply_error(error)
            except (exceptions.RedisError, OSError) as error:
                self._break(self._unavailable(error))
                return
            self._answers += 1
            if not awaited:
                # Redis says so before it closes, and nobody has asked.
                self._break(self._unavailable(failure or "an answer to no question"))
                return
            future = awaited.popleft()
            if future.done():
                # Whoever waited has given up.
                continue
            if failure is None:
                future.set_result(answer)
            else:
                future.set_exception(failure)

    async def _watch(self) -> None:
        # A host that is gone closes no connection.
        while True:
            answers, oldest = self._answers, self._awaited and self._awaited[0]
            await asyncio.sleep(self._answer_s)
            is_stuck = self._awaited and self._awaited[0] is oldest
            if is_stuck and self._answers == answers:
                self._break(self._unavailable(f"no answer for {self._answer_s:g} s"))
                return

    def _unavailable(self, reason: object) -> UnavailableError:
        if isinstance(reason, exceptions.ConnectionError):
            return _refusal(self.shown, reason, "does not answer")
        return UnavailableError(f"{self.shown} does not answer: {reason}")

    def _break(self, error: UnavailableError) -> None:
        if self.error is not None:
            return
        self.error = error
        self.on_break(error)
        self._unsent.clear()
        for future in self._awaited:
            if not future.done():
                # To each its own: an error grows with everybody who raises it.
                future.set_exception(type(error)(str(error)))
        self._awaited.clear()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self.broken.set_result(None)


def _ignore(error: UnavailableError) -> None:
    pass


def _once() -> Any:
    # The library would connect anew by itself, to whoever is there now.
    is_connected = False

    async def set_up(connection: Any) -> None:
        nonlocal is_connected
        if is_connected:
            raise exceptions.ConnectionError("the connection is broken")
        is_connected = True
        await connection.on_connect()

    return set_up


def _refusal(shown: str, error: Exception, otherwise: str) -> UnavailableError:
    if isinstance(error, exceptions.BusyLoadingError):
        return LoadingError(f"{shown} is loading its data")
    if isinstance(error, exceptions.AuthenticationError):
        return UnavailableError(f"{shown} does not let us in: {error}")
    return UnavailableError(f"{shown} {otherwise}: {error}")


def _reply_error(error: Exception) -> ReplyError:
    code = _CODES.get(type(error))
    if code is None:
        code, _, text = str(error).partition(" ")
        return ReplyError(code, text)
    return ReplyError(code, str(error))
