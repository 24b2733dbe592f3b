"""Appends under way: each is sent at once, and its answer is taken when it comes."""

import asyncio
from functools import partial
from typing import Any

from starflow_backends import failpoints
from starflow_backends import redis_rows as rows
from starflow_backends import redis_script as script
from starflow_backends.redis_link import Link
from starflow_backends.redis_wire import Pipe, ReplyError
from starflow_backends.store import (
    Append,
    ConflictError,
    CorruptError,
    DeletedError,
    StoreError,
    UnavailableError,
)


class Appends:
    """Sends appends, without waiting for those before."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def append(self, append: Append) -> asyncio.Future[None]:
        """Return a future that is done when *append* is durable."""
        link = self._link
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            pipe = link.pipe
        except StoreError as error:
            outcome.set_exception(error)
            return outcome
        run = append.run.encode()
        number = link.keys.number_of(run)
        command = rows.append_command(
            append, run, link.keys, number, link.epochs[number]
        )
        if failpoints.armed:
            failpoints.reach("redis_before_append")
        taken = partial(self._taken, append, number, outcome)
        answered = partial(self._answered, pipe, command, taken)
        pipe.send(command).add_done_callback(answered)
        return outcome

    def _answered(
        self,
        pipe: Pipe,
        command: list[bytes],
        taken: "partial[None]",
        answer: asyncio.Future[Any],
    ) -> None:
        error = answer.exception()
        if isinstance(error, ReplyError) and error.code == "NOSCRIPT":
            # Somebody has flushed the scripts; what follows it is sent again after it.
            again = self._link.send_anew(pipe, script.APPEND, command)
            again.add_done_callback(taken)
        else:
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
            failure = self._link.failure(failure, append.run)
        elif failure is None:
            failure = self._failure(append, number, answer.result())
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
            self._link.acknowledged[number] = answer
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
            return self._link.lose(detail)
        return UnavailableError(f"an answer that is not known: {answer!r}")
