"""How one queue with limits talks with the store: one request at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from starflow_backends.store import PermitAnswer, QueueState, Store, StoreError
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.limited import LimitedQueue
from starflow_service.runtime.pending import PendingCall
from starflow_service.runtime.queues import QueueName

# How soon a queue at its limit is asked again, in seconds, if others hold permits of
# it, too, and if all of them are known here.
_AGAIN_S = 0.1
_AGAIN_ALONE_S = 1.0
_SOONEST_S = 0.002
# How long a call may have a permit that no worker takes.
_UNTAKEN_S = 1.0
_AFTER_ERROR_S = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ties:
    """What a talk needs of the server around it."""

    store: Store
    clock: Clock
    # How long a permit lasts, and how often it is put off.
    lasts_ms: int
    renew_s: float
    # How many calls of a function waiting workers would take.
    room: Callable[[QueueName], int]
    # Gives a call the token that it will be handed out with.
    mark: Callable[[PendingCall], None]
    # Lets workers take a call, or not any more.
    give: Callable[[PendingCall], None]
    take_back: Callable[[PendingCall], None]
    # Finds the right place for a call that lost its queue.
    offer: Callable[[PendingCall], None]
    # Told of permits that are given back because their leases have ended.
    ended: Callable[[str], None]


class Talk:
    """The talk about one queue, from when it got its limits until it loses them."""

    def __init__(self, queue: LimitedQueue, ties: Ties) -> None:
        self._queue = queue
        self._ties = ties
        self._news = asyncio.Event()
        # What polls that do not wait have room for.
        self._room: dict[QueueName, int] = {}
        self._askers: list[asyncio.Future[None]] = []
        self._renew_at = ties.clock.monotonic() + ties.renew_s
        # While a limit is known to be reached, what others want is no news.
        self._blocked_until = 0.0
        self._is_over = False
        self._is_failing = False
        self.task = asyncio.create_task(self._run())

    def nudge(self) -> None:
        """There is something to say to the store."""
        self._news.set()

    def begin_anew(self) -> None:
        """The limits are others: what was known of them is not true any more."""
        self._blocked_until = 0.0
        self._news.set()

    def look(self) -> None:
        """There may be somebody to ask for."""
        if self._ties.clock.monotonic() >= self._blocked_until:
            self._news.set()

    def want(self, name: QueueName, room: int) -> None:
        """A poll has room for so many calls of a function, at this moment."""
        self._room[name] = room
        self.look()

    def next_answer(self) -> asyncio.Future[None]:
        """Return what is done when the store has been asked for what is wanted now."""
        asker = asyncio.get_running_loop().create_future()
        self._askers.append(asker)
        self._news.set()
        return asker

    def end(self) -> None:
        """The queue has no limits any more."""
        self._is_over = True
        self._news.set()

    async def _run(self) -> None:
        while not self._is_over:
            self._news.clear()
            delay_s = await self._turn()
            try:
                async with asyncio.timeout(delay_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        for call in self._queue.withdraw():
            self._ties.offer(call)

    async def _turn(self) -> float:
        """Say and ask all there is; return the seconds until the next look."""
        askers, self._askers = self._askers, []
        self._look_at_time()
        chosen = self._choose()
        again_s = self._ties.renew_s
        if chosen or self._queue.has_news():
            again_s = await self._ask(chosen)
        for asker in askers:
            if not asker.done():
                asker.set_result(None)
        return min(again_s, self._next_change_s())

    def _look_at_time(self) -> None:
        now = self._ties.clock.monotonic()
        for holder in self._queue.end_faded(now):
            self._ties.ended(holder)
        if now >= self._renew_at:
            self._queue.keep_all()
            self._renew_at = now + self._ties.renew_s
        for call in self._queue.untaken(now - _UNTAKEN_S):
            if not call.is_offered:
                self._queue.drop(call)
            elif self._ties.room(call.queue):
                self._queue.spare(call, now)
            else:
                self._ties.take_back(call)
                self._queue.drop(call)
                self._queue.put(call)

    def _choose(self) -> list[PendingCall]:
        polls, self._room = self._room, {}
        room = self._ties.room
        free = {n: max(room(n), polls.get(n, 0)) for n in self._queue.names()}
        chosen = self._queue.choose(free, is_full=self._blocked_until > 0)
        for call in chosen:
            self._ties.mark(call)
        return chosen

    async def _ask(self, chosen: list[PendingCall]) -> float:
        request = self._queue.request(chosen, self._ties.lasts_ms)
        try:
            answer = await self._ties.store.permits(request)
        except StoreError as error:
            self._queue.failed(request, chosen)
            if not self._is_failing:
                log.warning("permits.failed", queue=request.queue, error=str(error))
            self._is_failing = True
            return _AFTER_ERROR_S
        except BaseException:
            self._queue.failed(request, chosen)
            raise
        self._is_failing = False
        now = self._ties.clock.monotonic()
        for call in self._queue.answered(request, answer, chosen, now):
            self._ties.give(call)
        again_s = self._again_s(answer, len(chosen))
        self._blocked_until = now + again_s if answer.granted < len(chosen) else 0.0
        return again_s

    def _again_s(self, answer: PermitAnswer, chosen: int) -> float:
        if answer.granted == chosen:
            # There may be more to say than one request holds.
            more = chosen or self._queue.has_news()
            return 0.0 if more else self._ties.renew_s
        state = answer.state
        if state is None or is_full(state):
            known = self._queue.held_count
            is_alone = state is not None and state.in_flight <= known
            return _AGAIN_ALONE_S if is_alone else _AGAIN_S
        return min(_AGAIN_ALONE_S, max(_SOONEST_S, token_wait_s(state)))

    def _next_change_s(self) -> float:
        """Return after how long time itself changes something."""
        now = self._ties.clock.monotonic()
        changes = [self._renew_at, *self._queue.changes(_UNTAKEN_S)]
        return max(0.0, min(changes) - now)

    async def say_last(self) -> None:
        """Say what is left to be said, as the server ends."""
        for call in self._queue.untaken(float("inf")):
            self._queue.drop(call)
        if self._queue.has_news():
            try:
                await self._ties.store.permits(
                    self._queue.request((), self._ties.lasts_ms)
                )
            except StoreError as error:
                log.warning("permits.failed", queue=self._queue.key, error=str(error))


def is_full(state: QueueState) -> bool:
    """Whether as many permits are given as may be."""
    bound = state.limits.max_in_flight
    return bound is not None and state.in_flight >= bound


def token_wait_s(state: QueueState) -> float:
    """Return how long it takes until there is a token; 0 without a rate."""
    rate = state.limits.rate
    if rate is None or state.tokens >= 1:
        return 0.0
    return (1 - state.tokens) * rate.period_us / rate.tokens / 1e6
