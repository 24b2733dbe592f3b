"""Calls that wait for a worker, and workers that wait for a call.

One first-in-first-out queue a function.  A poll that finds nothing waits on all the
queues it names, and a worker's stream does as long as it has credit.  When calls come,
they are woken at the end of the loop's turn and not at once: what one commit of the
store sets free then leaves in one answer.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Protocol

from starflow_service.runtime.pending import PendingCall, Session
from starflow_service.runtime.types import Task

QueueName = tuple[str, str]  # namespace, function

# Room for more than so many calls is as good as room for any number.
_ROOM_MAX = 1_000


class Waiter(Protocol):
    """Who waits for calls."""

    @property
    def names(self) -> Sequence[QueueName]:
        """The queues that it waits for."""
        ...

    @property
    def takes(self) -> bool:
        """Whether it would take a call now; if not, another one is woken."""
        ...

    @property
    def room(self) -> int:
        """How many calls it would take now."""
        ...

    def wake(self) -> None:
        """One of the queues may hold something: look."""
        ...

    @property
    def session(self) -> Session | None:
        """The worker that waits; None: it is one of another server."""
        ...

    def begin_fetch(self) -> int:
        """Set room aside for tasks that another server has; return for how many."""
        ...

    def end_fetch(self, room: int, tasks: list[Task]) -> bool:
        """Take what was fetched for *room*; False if the waiter is not there now."""
        ...


class PollWaiter:
    """A poll that waits."""

    __slots__ = ("_is_fetching", "_room", "future", "given", "names", "session")

    def __init__(self, session: Session, names: Sequence[QueueName], room: int) -> None:
        self.session = session
        self.names = names
        # What another server had for it.
        self.given: list[Task] = []
        self._room = room
        self._is_fetching = False
        self.future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def takes(self) -> bool:
        """Whether it has not been woken yet."""
        return not (self.future.done() or self._is_fetching)

    @property
    def room(self) -> int:
        """How many calls it would take."""
        return self._room if self.takes else 0

    def wake(self) -> None:
        """Let the poll look at the queues."""
        self.resolve(True)

    def begin_fetch(self) -> int:
        """Set the whole poll aside."""
        room = self.room
        self._is_fetching = True
        return room

    def end_fetch(self, room: int, tasks: list[Task]) -> bool:
        """Answer the poll with *tasks*, if there are any."""
        self._is_fetching = False
        if self.future.done():
            return False
        self.given = tasks
        if tasks:
            self.resolve(True)
        return True

    def resolve(self, is_fresh: bool) -> None:
        """End the wait, unless it has ended: look again, or leave."""
        if not self.future.done():
            self.future.set_result(is_fresh)


class Queues:
    """The queues of all functions."""

    def __init__(self) -> None:
        self._queues: defaultdict[QueueName, deque[PendingCall]] = defaultdict(deque)
        # Dicts for their order: the longest waiting poll is served first.
        self._waiters: defaultdict[QueueName, dict[Waiter, None]] = defaultdict(dict)
        # Those of them that are polls.
        self._polls: set[PollWaiter] = set()
        self._fresh: set[QueueName] = set()
        self._orders = 0
        # Told which queues somebody waits for, as he begins to; None: nobody cares.
        self.on_room: Callable[[Sequence[QueueName]], None] | None = None
        # Told who has room, when he begins to; None: there are no other servers.
        self.on_wait: Callable[[Waiter], None] | None = None

    @property
    def waiting_polls(self) -> int:
        """How many polls wait."""
        return len(self._polls)

    def put(self, call: PendingCall) -> None:
        """Queue *call*; a call keeps its place in time when it comes back."""
        queue = self._queues[call.queue]
        if call.order == 0:
            self.number(call)
            queue.append(call)
        elif queue and queue[-1].order < call.order:
            queue.append(call)
        else:
            queue.appendleft(call)
        call.is_queued = True
        self._announce(call.queue)

    def number(self, call: PendingCall) -> None:
        """Give *call* its place in time, unless it has one."""
        if call.order == 0:
            self._orders += 1
            call.order = self._orders

    def remove(self, call: PendingCall) -> None:
        """Take one call out of its queue, wherever it stands there."""
        queue = self._queues.get(call.queue)
        if queue is not None and call in queue:
            queue.remove(call)
            call.is_queued = False

    def withdraw(self) -> list[PendingCall]:
        """Return all calls, oldest first; they are queued no more."""
        calls = [call for queue in self._queues.values() for call in queue]
        self._queues.clear()
        for call in calls:
            call.is_queued = False
        return sorted((call for call in calls if call.is_offered), key=_order)

    def waiting_calls(self) -> Iterator[PendingCall]:
        """Yield the calls that wait, those of one function oldest first."""
        for queue in self._queues.values():
            yield from (call for call in queue if call.is_offered)

    def is_awaited(self, name: QueueName) -> bool:
        """Whether anybody waits for calls of a function."""
        return name in self._waiters

    def room(self, name: QueueName) -> int:
        """Return how many calls those who wait would take, as far as it matters."""
        room = 0
        for waiter in self._waiters.get(name, ()):
            room += waiter.room
            if room >= _ROOM_MAX:
                break
        return room

    def take(
        self, names: Sequence[QueueName], *, calls_max: int, bytes_max: int
    ) -> list[PendingCall]:
        """Return the oldest calls of the named queues, within the bounds."""
        taken: list[PendingCall] = []
        size = 0
        for call in self._oldest(names):
            size += len(call.call.input)
            if taken and size > bytes_max:
                break
            self._queues[call.queue].popleft()
            call.is_queued = False
            taken.append(call)
            if len(taken) == calls_max:
                break
        for name in names:
            # Whoever waits behind this poll may have what it left.
            if self._queues.get(name) and name in self._waiters:
                self._announce(name)
        return taken

    async def wait(self, waiter: PollWaiter, timeout_s: float) -> bool:
        """Wait until one of the queues may hold something; False when time is up."""
        self.enter(waiter)
        self._polls.add(waiter)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(timeout_s, waiter.resolve, False)
        try:
            return await waiter.future
        finally:
            timer.cancel()
            self._polls.discard(waiter)
            self.leave(waiter)

    def enter(self, waiter: Waiter) -> None:
        """Wake *waiter* for calls of its queues, after all who wait already."""
        for name in waiter.names:
            waiters = self._waiters[name]
            waiters.pop(waiter, None)
            waiters[waiter] = None
        self.has_room(waiter)

    def has_room(self, waiter: Waiter) -> None:
        """*waiter*, who entered before, would take calls now."""
        if self.on_room is not None:
            self.on_room(waiter.names)
        if self.on_wait is not None:
            self.on_wait(waiter)

    def waiters(self, name: QueueName) -> Sequence[Waiter]:
        """Return those who wait for calls of a function, the longest waiting first."""
        return tuple(self._waiters.get(name, ()))

    def leave(self, waiter: Waiter) -> None:
        """Wake *waiter* no more, but whoever waits behind it for what it leaves."""
        for name in waiter.names:
            waiters = self._waiters[name]
            waiters.pop(waiter, None)
            if not waiters:
                del self._waiters[name]
        self.pass_on(waiter)

    def pass_on(self, waiter: Waiter) -> None:
        """*waiter* will not take what it may have been woken for."""
        for name in waiter.names:
            if self._queues.get(name) and name in self._waiters:
                self._announce(name)

    def wake_all(self) -> None:
        """Let every waiting poll answer now."""
        for waiter in self._polls:
            waiter.resolve(False)

    def _oldest(self, names: Sequence[QueueName]) -> Iterator[PendingCall]:
        """Yield the calls of the queues, oldest first; closed ones are dropped."""
        while heads := {n: head for n in names if (head := self._head(n)) is not None}:
            # Nothing is queued meanwhile, so what is empty stays empty.
            names = list(heads)
            yield min(heads.values(), key=_order)
            if len(names) == 1:
                while (head := self._head(names[0])) is not None:
                    yield head

    def _head(self, name: QueueName) -> PendingCall | None:
        queue = self._queues.get(name)
        if queue is None:
            return None
        while queue and not queue[0].is_offered:
            queue.popleft().is_queued = False
        if queue:
            return queue[0]
        del self._queues[name]
        return None

    def _announce(self, name: QueueName) -> None:
        if not self._fresh:
            asyncio.get_running_loop().call_soon(self._wake)
        self._fresh.add(name)

    def _wake(self) -> None:
        fresh, self._fresh = self._fresh, set()
        for name in fresh:
            for waiter in self._waiters.get(name, ()):
                if waiter.takes:
                    waiter.wake()
                    break


_order = attrgetter("order")
