"""Threads for plain functions."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """
    Up to *threads_max* threads that execute items, made when they are needed.

    A thread that takes an item wakes the next one only if more items lie there. So
    items that end at once are executed one after another by one thread, for no more
    than the wake-up of that one; and when a function blocks, a thread stands ready
    that takes the next item.
    """

    def __init__(self, execute: Callable[[T], None], threads_max: int) -> None:
        self._execute = execute
        self._threads_max = threads_max
        self._threads = 0
        self._idle = 0
        self._lock = threading.Lock()
        self._items: deque[T] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Whether a thread is on its way that has not looked at the items yet.
        self._is_woken = False
        self._is_closed = False

    def close(self) -> None:
        """Let the threads end, each when it has nothing to execute any more."""
        with self._lock:
            self._is_closed = True
            for _ in range(self._idle):
                self._wake.put(None)
            self._idle = 0

    def put(self, items: Sequence[T]) -> None:
        """Execute *items*, in this order but for the threads' own ways."""
        self._items.extend(items)
        self._wake_one()

    def _wake_one(self) -> None:
        with self._lock:
            if self._is_woken:
                return
            if self._idle:
                self._idle -= 1
                self._is_woken = True
                self._wake.put(None)
            elif self._threads < self._threads_max:
                self._threads += 1
                self._is_woken = True
                name = f"starflow-function-{self._threads}"
                # Daemons: a function that never ends must not keep the process alive
                # after its worker has given the task back.
                threading.Thread(target=self._loop, name=name, daemon=True).start()

    def _loop(self) -> None:
        while True:
            self._is_woken = False
            while True:
                try:
                    item = self._items.popleft()
                except IndexError:
                    break
                if self._items:
                    self._wake_one()
                self._execute(item)
            with self._lock:
                # An item that came since would find nobody idle: look again.
                if self._items:
                    continue
                if self._is_closed:
                    return
                self._idle += 1
            self._wake.get()
