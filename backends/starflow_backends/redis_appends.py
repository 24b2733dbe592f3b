"""Appends under way: each is sent at once, and its answer is taken when it comes."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from starflow_backends import failpoints
from starflow_backends import redis_rows as rows
from starflow_backends import redis_script as script
from starflow_backends.redis_errors import is_elsewhere
from starflow_backends.redis_layout import lost_of, record_value
from starflow_backends.redis_leases import Leases
from starflow_backends.redis_link import Link
from starflow_backends.redis_wire import Pipe, ReplyError
from starflow_backends.store import (
    Append,
    ConflictError,
    CorruptError,
    DeletedError,
    LostHistoryError,
    StoreError,
    UnavailableError,
)


class Appends:
    """Sends appends, without waiting for those before."""

    def __init__(self, link: Link, leases: Leases) -> None:
        self._link = link
        self._leases = leases
        # What takes more than one answer.
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Finish what was begun."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def append(self, append: Append) -> asyncio.Future[None]:
        """Return a future that is done when *append* is durable."""
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if append.scripts and self._link.address.kind == "cluster":
            self._begin(self._put_scripts_first(append, outcome))
        else:
            self._send(append, outcome)
        return outcome

    def _send(self, append: Append, outcome: asyncio.Future[None]) -> None:
        link = self._link
        run = append.run.encode()
        number = link.keys.number_of(run)
        try:
            pipe = link.ways.pipe_now(number)
            self._leases.check(number)
        except StoreError as error:
            outcome.set_exception(error)
            return
        epoch = self._leases.epochs[number]
        command = rows.append_command(append, run, link.keys, number, epoch)
        if failpoints.armed:
            failpoints.reach("redis_before_append")
        taken = partial(self._taken, append, number, outcome)
        answered = partial(self._answered, pipe, command, number, taken)
        pipe.send(command).add_done_callback(answered)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put_scripts_first(
        self, append: Append, outcome: asyncio.Future[None]
    ) -> None:
        """Append after the scripts, which are on another node of a cluster perhaps."""
        place = self._link.keys.records("script")
        puts = (
            [b"HSETNX", place, key.encode(), record_value("script", key, text)]
            for key, text in append.scripts.items()
        )
        try:
            await asyncio.gather(*(self._link.ask(put, append.run) for put in puts))
        except StoreError as error:
            if not outcome.done():
                outcome.set_exception(error)
            return
        if not outcome.done():
            self._send(replace(append, scripts={}), outcome)

    def _answered(
        self,
        pipe: Pipe,
        command: list[bytes],
        number: int,
        taken: "partial[None]",
        answer: asyncio.Future[Any],
    ) -> None:
        error = answer.exception()
        if isinstance(error, ReplyError) and is_elsewhere(error):
            self._begin(self._send_elsewhere(number, command, taken, error))
        elif isinstance(error, ReplyError) and error.code == "NOSCRIPT":
            # Somebody has flushed the scripts; what follows it is sent again after it.
            again = self._link.send_anew(pipe, script.APPEND, command)
            again.add_done_callback(taken)
        else:
            taken(answer)

    async def _send_elsewhere(
        self,
        number: int,
        command: list[bytes],
        taken: "partial[None]",
        error: ReplyError,
    ) -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        run = taken.args[0].run
        try:
            found = await self._link.send_elsewhere(number, command, error, run)
        except StoreError as failure:
            answer.set_exception(failure)
        else:
            answer.set_result(found)
        taken(answer)

    def _taken(
        self,
        append: Append,
        number: int,
        outcome: asyncio.Future[None],
        answer: asyncio.Future[Any],
    ) -> None:
        failure: BaseException | None = answer.exception()
        if isinstance(failure, ReplyError):
            slot = self._link.ways.slots[number]
            failure = self._link.failure(failure, slot, append.run)
        elif failure is None:
            try:
                failure = self._failure(append, number, answer.result())
            except CorruptError as error:
                failure = error
        if failpoints.armed:
            failpoints.reach("redis_after_append")
        if outcome.done():
            # Whoever waited has given up.
            return
        if failure is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(failure)

    def _failure(self, append: Append, number: int, answer: Any) -> StoreError | None:
        if isinstance(answer, int):
            if append.events:
                version = append.expected_version + len(append.events)
                self._leases.acknowledged(number, answer, append.run, version)
            else:
                self._leases.seen(number, answer)
            return None
        if not isinstance(answer, list):
            return CorruptError("", 0, f"partition {number} has lost its count")
        kind, detail = answer[0], answer[1].decode(errors="replace")
        if kind == b"conflict":
            if not detail.isdigit():
                return CorruptError(append.run, 0, "its version is no number")
            return ConflictError(append.run, append.expected_version, int(detail))
        if kind == b"deleted":
            return DeletedError(append.run)
        if kind == b"corrupt":
            return CorruptError(append.run, 0, detail)
        if kind == b"owner":
            return self._leases.doubt(number, detail)
        if kind == b"gone":
            return self._link.is_gone()
        if kind == b"lost":
            return LostHistoryError(
                append.run, lost_of(append.run, answer[1]), int(answer[2])
            )
        return UnavailableError(f"an answer that is not known: {answer!r}")
