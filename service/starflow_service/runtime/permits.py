"""Queues with limits: permits are asked of the store before calls are handed out.

Calls that belong to no queue with limits never come here, and cost nothing.

For each queue one task talks with the store: one request at a time, that says all that
there is to say.  It asks for as many permits as workers have room for, oldest call
first.  When a limit is reached it asks again as soon as a permit is given back here,
and otherwise after a moment, for one may have been given back elsewhere.

The limits themselves are the store's; a server only has to know which queues have some,
and looks for those that others have set every `_LOOK_S`.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

import structlog

from starflow_backends.store import (
    CorruptError,
    QueueLimits,
    QueueState,
    Store,
    StoreError,
)
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.errors import StoreDownError, TooLargeError
from starflow_service.runtime.limited import LimitedQueue
from starflow_service.runtime.options import Options
from starflow_service.runtime.pending import PendingCall
from starflow_service.runtime.permit_talk import Talk, Ties, is_full, token_wait_s
from starflow_service.runtime.queues import QueueName, Queues
from starflow_service.runtime.tokens import Token, Tokens

# How often a server looks for queues that another one has set, in seconds; and so much
# more seldom with many, because each of them is looked at.
_LOOK_S = 1.0
_LOOK_EACH_S = 0.01
# Queues with limits in a store: each is a task here, and a question at every look.
QUEUES_MAX = 1_000
# How long a poll that does not wait waits for the store all the same.
_SETTLE_S = 1.0
_UNKNOWN = QueueState(QueueLimits(), 0, 0.0)

log = structlog.get_logger()


class Permits:
    """The queues with limits, of all namespaces."""

    def __init__(
        self,
        store: Store,
        options: Options,
        clock: Clock,
        tokens: Tokens,
        queues: Queues,
        *,
        offer: Callable[[PendingCall], None],
        on_limits: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._queues = queues
        # Told when a queue got limits: calls of it may be anywhere.
        self._on_limits = on_limits

        def mark(call: PendingCall) -> None:
            call.permit = call.permit or tokens.make(
                call.run, call.call.version, call.attempt
            )

        renew_s = options.lease_s / 3
        self._ties = Ties(
            store=store,
            clock=clock,
            # A permit outlasts every lease that is renewed before it is put off again.
            lasts_ms=int((options.lease_s + renew_s + 1.0) * 1000),
            renew_s=renew_s,
            room=queues.room,
            mark=mark,
            give=queues.put,
            take_back=queues.remove,
            offer=offer,
            ended=self._forget_holder,
        )
        self._limited: dict[tuple[str, str], LimitedQueue] = {}
        self._talks: dict[LimitedQueue, Talk] = {}
        # Where calls of a function may wait, and where a task's permit is.
        self._by_function: dict[QueueName, dict[LimitedQueue, None]] = {}
        self._by_holder: dict[str, LimitedQueue] = {}
        self._looker: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read which queues have limits, and begin to look for others."""
        self._adopt(await self._store.queues())
        self._looker = asyncio.create_task(self._look())

    async def close(self) -> None:
        """Say what is left to be said; what workers hold stays theirs."""
        talks = list(self._talks.values())
        tasks = [talk.task for talk in talks]
        if self._looker is not None:
            tasks.append(self._looker)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(talk.say_last() for talk in talks))

    # Limits

    @property
    def is_used(self) -> bool:
        """Whether any queue has limits."""
        return bool(self._limited)

    async def set_queue(
        self, namespace: str, name: str, limits: QueueLimits | None
    ) -> bool:
        """
        Set the limits of a queue, or take them away; return whether it had some.

        Raises:
            TooLargeError: There are as many queues as there may be.
            StoreDownError: The store failed.
        """
        is_new = (namespace, name) not in self._limited
        if limits and is_new and len(self._limited) >= QUEUES_MAX:
            raise TooLargeError("queues", QUEUES_MAX + 1, QUEUES_MAX, "queues")
        try:
            was_there = await self._store.set_queue(f"{namespace}/{name}", limits)
            self._adopt(await self._store.queues())
        except StoreError as error:
            raise StoreDownError(str(error)) from error
        return was_there

    async def states(self, namespace: str) -> dict[str, QueueState]:
        """
        Return the queues of *namespace* with limits, as the store has them.

        One that is damaged there is shown without any.

        Raises:
            StoreDownError: The store failed.
        """
        try:
            found = await self._store.queues()
        except StoreError as error:
            raise StoreDownError(str(error)) from error
        names = {key.partition("/")[::2]: state for key, state in found.items()}
        return {
            name: state if isinstance(state, QueueState) else _UNKNOWN
            for (of, name), state in sorted(names.items())
            if of == namespace
        }

    def problem(self, call: PendingCall) -> str:
        """Say which limit *call* waits for; empty if it does not wait for any."""
        queue = call.limited
        if queue is None or queue.has_granted(call):
            return ""
        return queue.problem(self._clock.monotonic())

    def of(self, namespace: str) -> list[LimitedQueue]:
        """Return what this server has of the queues of *namespace* with limits."""
        return [queue for (of, _), queue in self._limited.items() if of == namespace]

    def find(self, namespace: str, name: str) -> LimitedQueue | None:
        """Return what this server has of a queue with limits."""
        return self._limited.get((namespace, name))

    def _adopt(self, states: dict[str, QueueState | CorruptError]) -> None:
        """Have exactly the queues that the store has."""
        found = {key.partition("/")[::2]: state for key, state in states.items()}
        for key in self._limited.keys() - found.keys():
            self._talks.pop(self._limited.pop(key)).end()
        fresh = found.keys() - self._limited.keys()
        for key in fresh:
            queue = self._limited[key] = LimitedQueue(*key)
            self._talks[queue] = Talk(queue, self._ties)
        for key, state in found.items():
            queue = self._limited[key]
            if isinstance(state, CorruptError):
                if not queue.damage:
                    log.error("permits.damaged", queue=queue.key, error=str(state))
                queue.damage = str(state)
                continue
            queue.damage = ""
            if queue.state is not None and queue.state.limits != state.limits:
                # It may have been forgotten, with its permits, and set anew.
                queue.keep_all()
                self._talks[queue].begin_anew()
            queue.state, queue.state_at = state, self._clock.monotonic()
        self._queues.on_room = self._has_room if found else None
        if fresh:
            self._on_limits()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S + _LOOK_EACH_S * len(self._limited))
            try:
                self._adopt(await self._store.queues())
            except StoreError as error:
                log.warning("permits.look_failed", error=str(error))

    # Calls wait

    def place(self, call: PendingCall) -> LimitedQueue | None:
        """Return the queue with limits that *call* belongs to, and note it there."""
        call.limited = self._limited.get((call.namespace, call.queue_name))
        return call.limited

    def put(self, queue: LimitedQueue, call: PendingCall) -> None:
        """Let *call* wait for its turn in *queue*."""
        self._queues.number(call)
        queue.put(call)
        self._by_function.setdefault(call.queue, {})[queue] = None
        if self._queues.room(call.queue):
            self._talks[queue].look()

    def want(self, names: Sequence[QueueName], room: int) -> None:
        """A worker asks for calls of *names* now, and has room for so many."""
        for name in names:
            for queue in self._holding_back(name):
                self._talks[queue].want(name, room)

    async def settle(self, names: Sequence[QueueName]) -> bool:
        """Wait for the answer of the store; return whether anything waits for it."""
        queues = {queue for name in names for queue in self._holding_back(name)}
        if queues:
            answers = [self._talks[queue].next_answer() for queue in queues]
            await asyncio.wait(answers, timeout=_SETTLE_S)
        return bool(queues)

    async def ask_again(self) -> None:
        """Ask the store for all that waits: its clock was moved by hand."""
        answers = [talk.next_answer() for talk in self._talks.values()]
        if answers:
            await asyncio.wait(answers, timeout=_SETTLE_S)

    def first_token_s(self) -> float | None:
        """Return after how long a call gets a token that waits for one; None: never."""
        states = (queue.state for queue in self._talks if queue.names())
        waits = [token_wait_s(s) for s in states if s is not None and not is_full(s)]
        return min(waits, default=None)

    def drop(self, call: PendingCall) -> None:
        """The call has ended: nobody takes it."""
        if call.limited is not None and call.permit is not None:
            call.limited.drop(call)
            self._nudge(call.limited)

    def forget(self, call: PendingCall) -> None:
        """Another server has the run now, and cares for the permits of its tasks."""
        queue = call.limited
        if queue is not None:
            queue.drop(call)
            holders = queue.faded(call)
            if call.lease is not None:
                holders.append(call.lease.permit)
            queue.forget(holders)
            for holder in holders:
                self._forget_holder(holder)

    def _holding_back(self, name: QueueName) -> Iterator[LimitedQueue]:
        """Yield the queues in which calls of a function wait."""
        queues = self._by_function.get(name, {})
        for queue in list(queues):
            if queue in self._talks and queue.has(name):
                yield queue
            else:
                del queues[queue]
                if not queues:
                    del self._by_function[name]

    def _has_room(self, names: Iterable[QueueName]) -> None:
        for name in names:
            for queue in self._holding_back(name):
                self._talks[queue].look()

    def _nudge(self, queue: LimitedQueue) -> None:
        talk = self._talks.get(queue)
        if talk is not None:
            talk.nudge()

    # Permits of tasks

    def lease_began(self, call: PendingCall, delivery: str) -> str:
        """A worker has the task; return the holder of its permit, or nothing."""
        queue = call.limited or self.place(call)
        if queue is None:
            return ""
        holder = queue.lease_began(call, delivery)
        self._by_holder[holder] = queue
        if queue.has_news():
            self._nudge(queue)
        return holder

    def lease_ended(self, holder: str, ends_at: float) -> None:
        """Nobody renews the lease any more; the worker may believe in it until then."""
        queue = self._by_holder.get(holder)
        if queue is not None:
            queue.lease_ended(holder, ends_at)
            self._nudge(queue)

    def done(self, token: Token) -> None:
        """The worker is done with the task, or gave it back."""
        holder = f"{token.run}/{token.call_version}/{token.delivery}"
        queue = self._by_holder.pop(holder, None)
        if queue is not None:
            queue.done(holder)
            self._nudge(queue)

    def _forget_holder(self, holder: str) -> None:
        self._by_holder.pop(holder, None)
