"""How many tasks of one function are executed at a time."""

import threading
from collections import deque
from collections.abc import Iterable

from starflow._worker.ledger import HeldTask


class Turnstile:
    """
    Lets tasks of a function with a limit pass while there are not too many inside.

    Tasks that have to wait are held like any others: their leases are renewed. All
    methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: dict[str, int] = {}
        self._waiting: dict[str, deque[HeldTask]] = {}

    def enter(self, tasks: Iterable[HeldTask]) -> list[HeldTask]:
        """Return those of *tasks* that may be executed now; the others wait."""
        return [held for held in tasks if self._passes(held)]

    def leave(self, held: HeldTask) -> HeldTask | None:
        """Note that *held* has ended; return the one that may be executed instead."""
        name = held.function.name
        if held.function.concurrency is None:
            return None
        with self._lock:
            if waiting := self._waiting.get(name):
                return waiting.popleft()
            self._inside[name] -= 1
            return None

    def clear(self) -> list[HeldTask]:
        """Let nobody wait any more; return who did."""
        with self._lock:
            waiting = [held for each in self._waiting.values() for held in each]
            self._waiting.clear()
            return waiting

    def _passes(self, held: HeldTask) -> bool:
        limit, name = held.function.concurrency, held.function.name
        if limit is None:
            return True
        with self._lock:
            if self._inside.get(name, 0) < limit:
                self._inside[name] = self._inside.get(name, 0) + 1
                return True
            self._waiting.setdefault(name, deque()).append(held)
            return False
