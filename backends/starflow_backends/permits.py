"""Who may have a task of a queue: how permits and tokens are counted.

A **permit** says that a worker may have one task.  It has an end, which its server puts
off as long as the task is leased: the permits of a server that died end by themselves.
A **token** is what handing out a permit costs in a queue with a rate; tokens come
steadily, up to the burst.

What is decided here is decided in Redis by ``redis_permits.lua``, in the same order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from starflow_backends.store import (
    PERMIT_LASTS_MAX_MS,
    CorruptError,
    PermitAnswer,
    PermitRequest,
    QueueLimits,
    QueueRate,
    QueueState,
)

MS = 1_000  # microseconds in a millisecond


@dataclass(frozen=True, slots=True)
class Bucket:
    """The tokens of a queue at one moment, in microseconds since the epoch."""

    tokens: float
    at_us: int

    def filled(self, rate: QueueRate | None, now_us: int) -> "Bucket":
        """
        Return the bucket as it is at *now_us*.

        A clock that went back brings no tokens and takes none.
        """
        if rate is None:
            return Bucket(0.0, now_us)
        come = max(0.0, float(now_us - self.at_us)) * rate.tokens / rate.period_us
        return Bucket(min(float(rate.burst), self.tokens + come), now_us)

    def changed(self, before: QueueLimits, after: QueueLimits, now_us: int) -> "Bucket":
        """Return the bucket under other limits: full if there was no rate before."""
        if after.rate is None:
            return Bucket(0.0, now_us)
        burst = float(after.rate.burst)
        if before.rate is None:
            return Bucket(burst, now_us)
        return Bucket(min(burst, self.filled(before.rate, now_us).tokens), now_us)


def full_bucket(limits: QueueLimits, now_us: int) -> Bucket:
    """Return what a new queue begins with."""
    return Bucket(0.0, now_us).changed(QueueLimits(), limits, now_us)


class Book(Protocol):
    """The permits of one queue."""

    def end(self, now_us: int, longest_us: int) -> None:
        """
        Forget those whose end has come by *now_us*.

        None ends after *longest_us*: whatever does was stored by a clock that has gone
        back since, and nobody shall wait for it.
        """

    def count(self) -> int:
        """Return how many there are."""

    def holds(self, holder: str) -> bool:
        """Whether *holder* has one."""

    def put(self, holder: str, until_us: int) -> None:
        """Let *holder* have one until then."""

    def remove(self, holder: str) -> bool:
        """Take the permit of *holder* away; return whether it had one."""


def decide(
    request: PermitRequest,
    limits: QueueLimits,
    bucket: Bucket,
    book: Book,
    now_us: int,
) -> tuple[PermitAnswer, Bucket]:
    """Carry *request* out on *book*; return the answer and the bucket afterwards."""
    until_us = now_us + request.lasts_ms * MS
    book.end(now_us, now_us + PERMIT_LASTS_MAX_MS * MS)
    tokens = bucket.filled(limits.rate, now_us).tokens
    for holder in request.ended:
        book.remove(holder)
    for holder in request.unused:
        if book.remove(holder) and limits.rate is not None:
            tokens = min(float(limits.rate.burst), tokens + 1)
    for holder in request.kept:
        book.put(holder, until_us)
    in_flight = book.count()
    granted = 0
    for holder in request.wanted:
        if not book.holds(holder):
            if limits.max_in_flight is not None and in_flight >= limits.max_in_flight:
                break
            if limits.rate is not None:
                if tokens < 1:
                    break
                tokens -= 1
            in_flight += 1
        book.put(holder, until_us)
        granted += 1
    state = QueueState(limits, in_flight, tokens)
    return PermitAnswer(granted, state), Bucket(tokens, now_us)


class DictBook(dict[str, int]):
    """A `Book` in memory: holders, and when their permits end."""

    def end(self, now_us: int, longest_us: int) -> None:
        for holder, until_us in list(self.items()):
            if until_us <= now_us:
                del self[holder]
            elif until_us > longest_us:
                self[holder] = longest_us

    def count(self) -> int:
        return len(self)

    def holds(self, holder: str) -> bool:
        return holder in self

    def put(self, holder: str, until_us: int) -> None:
        self[holder] = until_us

    def remove(self, holder: str) -> bool:
        return self.pop(holder, None) is not None


@dataclass(slots=True)
class _Queue:
    limits: QueueLimits
    bucket: Bucket
    book: DictBook


class DictPermits:
    """All queues of a store, in memory."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    def set_queue(self, name: str, limits: QueueLimits | None, now_us: int) -> bool:
        """See `Store.set_queue`."""
        if limits is None:
            return self._queues.pop(name, None) is not None
        queue = self._queues.get(name)
        if queue is None:
            bucket = full_bucket(limits, now_us)
            self._queues[name] = _Queue(limits, bucket, DictBook())
            return False
        queue.bucket = queue.bucket.changed(queue.limits, limits, now_us)
        queue.limits = limits
        return True

    def permits(self, request: PermitRequest, now_us: int) -> PermitAnswer:
        """See `Store.permits`."""
        queue = self._queues.get(request.queue)
        if queue is None:
            return PermitAnswer(len(request.wanted), None)
        answer, queue.bucket = decide(
            request, queue.limits, queue.bucket, queue.book, now_us
        )
        return answer

    def queues(self, now_us: int) -> dict[str, QueueState | CorruptError]:
        """See `Store.queues`."""
        return {
            name: QueueState(
                queue.limits,
                alive(queue.book.values(), now_us),
                queue.bucket.filled(queue.limits.rate, now_us).tokens,
            )
            for name, queue in self._queues.items()
        }


def alive(ends_us: Iterable[int], now_us: int) -> int:
    """Return how many of the permits that end at *ends_us* have not ended."""
    return sum(until_us > now_us for until_us in ends_us)
