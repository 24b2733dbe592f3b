"""An event loop in a thread of its own, for programs that have none."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, TypeVar

from starflow._connection import ForkGuard
from starflow.errors import StarflowError

T = TypeVar("T")


class LoopThread:
    """
    Runs coroutines for threads that wait for them.

    It may be used by any number of threads.  The thread is a daemon, and begins with
    the first coroutine.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # A fork takes the loop along, and not the thread that runs it.
        self._guard = ForkGuard()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.is_closed = False

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """
        Run *coroutine* on the loop; return what it returns, or raise what it raises.

        Whoever is interrupted while it waits, by Ctrl-C, cancels the coroutine.

        Raises:
            ForkedError: This is a child of the process that made it.
            StarflowError: The thread is closed, or this is called on its own loop.
        """
        try:
            loop = self._running()
        except StarflowError:
            coroutine.close()
            raise
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """Yield what *items* yields, each when it is asked for."""
        end = object()

        async def take() -> Any:
            return await anext(items, end)

        try:
            while (item := self.call(take())) is not end:
                yield item
        finally:
            if not self.is_closed:
                self.call(_close(items))

    def close(self) -> None:
        """End the loop, with whatever runs on it, and wait for the thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self.is_closed, self._loop, self._thread = True, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        self._guard.check()
        with self._lock:
            if self.is_closed:
                raise StarflowError("this is closed: make a new one")
            if self._thread is threading.current_thread():
                raise StarflowError(
                    "this would wait for itself: an async function uses the async "
                    "client, and not the blocking one"
                )
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop


async def _close(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        # What still runs has to end before the loop does.
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
