"""The thread that writes, and how work reaches it.

What the event loop hands in while the thread is busy waits and is committed as one
group when the thread is free: one sync of the disk serves all of it.  Nothing is ever
held back in the hope of a larger group.

Work goes over once in a turn of the loop, and a group's answers come back as one call
into the loop: to wake a thread costs more than an append.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from starflow_backends.sqlite_commit import Alone, Committer, Request
from starflow_backends.store import Append

T = TypeVar("T")
_Work = tuple[Request, asyncio.Future[Any]]
_Done = list[tuple[asyncio.Future[Any], object]]


class Writer:
    """
    Carries out work on a `Committer` in a thread of its own.

    At most *work_max* pieces are with the thread, and so in one transaction; the others
    wait their turn on the loop's side.
    """

    def __init__(
        self, committer: Committer, loop: asyncio.AbstractEventLoop, work_max: int
    ) -> None:
        self._committer = committer
        self._loop = loop
        self._work_max = work_max
        # The loop's side.
        self._waiting: list[_Work] = []
        self._under_way = 0
        self._drained: asyncio.Future[None] | None = None
        # Between the two sides; an empty list is the end.
        self._inbox: SimpleQueue[list[_Work]] = SimpleQueue()
        # A server that ends without closing must not hang: what was not acknowledged
        # may be lost.
        self._thread = Thread(target=self._run, name="starflow-sqlite", daemon=True)
        self._thread.start()

    def append(self, append: Append) -> asyncio.Future[None]:
        """Return a future that is done when *append* is durable."""
        return self._submit(append)

    def operate(
        self, operation: Callable[[sqlite3.Connection], T]
    ) -> asyncio.Future[T]:
        """Return a future of what *operation* returns, once that is durable."""
        return self._submit(operation)

    def operate_alone(
        self, operation: Callable[[sqlite3.Connection], T]
    ) -> asyncio.Future[T]:
        """Do as `operate`, for what changes runs."""
        return self._submit(Alone(operation))

    async def close(self) -> None:
        """Finish all work, and end the thread."""
        while self._waiting or self._under_way:
            self._drained = self._loop.create_future()
            await self._drained
        self._inbox.put([])
        await asyncio.to_thread(self._thread.join)

    def _submit(self, request: Request) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self._waiting:
            self._loop.call_soon(self._hand_over)
        self._waiting.append((request, future))
        return future

    def _hand_over(self) -> None:
        works = self._waiting[: self._work_max - self._under_way]
        if works:
            del self._waiting[: len(works)]
            self._under_way += len(works)
            self._inbox.put(works)

    def _resolve(self, done: _Done) -> None:
        self._under_way -= len(done)
        for future, answer in done:
            if future.done():
                # Whoever waited has given up.
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        if self._waiting:
            self._hand_over()
        elif not self._under_way and self._drained:
            self._drained.set_result(None)
            self._drained = None

    # From here on the thread's side.

    def _run(self) -> None:
        while works := self._take():
            answers = self._committer.commit([request for request, _ in works])
            futures = [future for _, future in works]
            done = list(zip(futures, answers, strict=True))
            # A loop that is closed has nobody left who would want to know.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._resolve, done)

    def _take(self) -> list[_Work]:
        works = self._inbox.get()
        while works and not self._inbox.empty():
            works += self._inbox.get()
        return works
