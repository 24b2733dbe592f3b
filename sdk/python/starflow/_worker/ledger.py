"""The tasks that a worker holds, and the slots that they take."""

import asyncio
import threading
from collections.abc import Callable, Iterable

from starflow._context import TaskContext
from starflow._function import Function
from starflow.v1 import worker_service_pb2 as pb


class HeldTask:
    """One task from its delivery until its result is answered."""

    __slots__ = (
        "asyncio_task",
        "context",
        "function",
        "has_ended",
        "settled",
        "task",
        "token",
    )

    def __init__(
        self, task: pb.Task, function: Function, beat_soon: Callable[[], None]
    ) -> None:
        self.task = task
        self.token = task.task_token
        self.function = function
        self.context = TaskContext(task, beat_soon)
        # Whether the outcome is decided; what the function does now changes nothing.
        self.settled = False
        # Whether the function is through, so that its slot is as good as free.
        self.has_ended = False
        # What executes it, if its function is async and has been started.
        self.asyncio_task: asyncio.Task[None] | None = None


class Ledger:
    """
    Who holds what: free slots, running functions, results on their way.

    A task occupies a slot until its function has ended. It is held, and named in
    heartbeats, until the service has answered its result. All methods may be called
    from any thread.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._changed = threading.Condition()
        self._running: set[HeldTask] = set()
        # How many of them have ended and are about to leave.
        self._ended = 0
        self._held: dict[str, HeldTask] = {}
        # How many tasks the service may send, and has not yet.
        self._granted = 0
        self._closed = False
        self._hurried = False
        self._waiters = 0

    def wait_for_slots(self) -> int:
        """Wait until a task may be taken; return how many, 0 once the ledger closes."""
        with self._changed:
            self._wait(lambda: self._closed or self._free() > 0)
            return 0 if self._closed else self._free()

    def grant(self, most: int, *, alone: bool) -> int:
        """
        Return how many tasks more the service may send, so that *most* are on the way.

        If nothing else is to be said, a few are not worth a message of their own.
        """
        with self._changed:
            if self._closed:
                return 0
            more = min(self._free(), most) - self._granted
            if more <= 0 or (alone and more < self._granted):
                return 0
            self._granted += more
            return more

    @property
    def is_starved(self) -> bool:
        """Whether the service has nothing left of what it was granted."""
        return self._granted == 0

    def forget_credit(self) -> None:
        """The service was granted nothing: a new stream begins."""
        with self._changed:
            self._granted = 0

    def admit(self, tasks: Iterable[HeldTask]) -> None:
        """Begin to hold *tasks*; each takes a slot."""
        with self._changed:
            for held in tasks:
                self._running.add(held)
                self._held[held.token] = held
                self._granted = max(0, self._granted - 1)

    def settle(self, held: HeldTask, *, has_ended: bool = False) -> bool:
        """Decide the outcome; return False if it was decided already."""
        with self._changed:
            if has_ended and not held.has_ended:
                held.has_ended = True
                self._ended += 1
            was_open = not held.settled
            held.settled = True
            return was_open

    def leave(self, held: HeldTask) -> None:
        """Give the slot back: the function has ended."""
        with self._changed:
            self._running.discard(held)
            if held.has_ended:
                held.has_ended = False
                self._ended -= 1
            if self._waiters:
                self._changed.notify_all()

    def answered(self, tokens: Iterable[str]) -> None:
        """Hold these tasks no longer: the service knows their results."""
        with self._changed:
            for token in tokens:
                self._held.pop(token, None)
            if self._waiters:
                self._changed.notify_all()

    def abandon(self, token: str) -> HeldTask | None:
        """Give a task up to whoever has it now; return it if its function may stop."""
        with self._changed:
            held = self._held.pop(token, None)
            if held is None or held.settled:
                return None
            held.settled = True
            return held

    def held(self) -> list[HeldTask]:
        """Return all tasks held now."""
        with self._changed:
            return list(self._held.values())

    def unsettled(self) -> list[HeldTask]:
        """Return the tasks whose outcome is open."""
        with self._changed:
            return [held for held in self._held.values() if not held.settled]

    def close(self) -> None:
        """Let nobody wait for a slot any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def hurry(self) -> None:
        """Let nobody wait for functions to end any more."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Wait until no function runs; False if some do when the time is up."""
        with self._changed:
            self._wait(lambda: self._hurried or not self._running, timeout_seconds)
            return not self._running

    def _free(self) -> int:
        # Results that cannot be sent must not pile up without end, either.
        executed = len(self._running) - self._ended
        return min(self._slots - executed, 2 * self._slots - len(self._held))

    def _wait(
        self, condition: Callable[[], bool], timeout_seconds: float | None = None
    ) -> None:
        self._waiters += 1
        try:
            self._changed.wait_for(condition, timeout_seconds)
        finally:
            self._waiters -= 1
