"""Queues and permits in Redis: what goes to the scripts, and what comes back."""

import asyncio
import math
from collections.abc import Sequence

from starflow_backends import redis_script as script
from starflow_backends.permits import MS
from starflow_backends.redis_layout import crc_of
from starflow_backends.redis_link import Link
from starflow_backends.store import (
    PERMIT_LASTS_MAX_MS,
    CorruptError,
    PermitAnswer,
    PermitRequest,
    QueueLimits,
    QueueRate,
    QueueState,
)

_NO_BOUND = b""


class RedisPermits:
    """The queues of one store."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def set_queue(self, name: str, limits: QueueLimits | None) -> bool:
        """See `Store.set_queue`."""
        keys = self._link.keys.of_queue(name)
        if limits is None:
            was_there = await self._link.run(script.QUEUE, keys, [])
            await self._link.ask([b"ZREM", self._link.keys.queues, name.encode()])
            return bool(was_there)
        # The name first: without limits it means nothing.
        await self._link.ask([b"ZADD", self._link.keys.queues, b"0", name.encode()])
        values = _values(limits)
        arguments = [*values, _crc(name, values)]
        return bool(await self._link.run(script.QUEUE, keys, arguments))

    async def permits(self, request: PermitRequest) -> PermitAnswer:
        """See `Store.permits`."""
        answer = await self._run(request)
        if not answer:
            return PermitAnswer(len(request.wanted), None)
        return PermitAnswer(int(answer[0]), _state(request.queue, answer[1:]))

    async def queues(self) -> dict[str, QueueState | CorruptError]:
        """See `Store.queues`."""
        found = await self._link.ask([b"ZRANGE", self._link.keys.queues, b"0", b"-1"])
        names = sorted(name.decode(errors="replace") for name in found)
        states = await asyncio.gather(*(self._state(name) for name in names))
        pairs = zip(names, states, strict=True)
        return {name: state for name, state in pairs if state is not None}

    async def _state(self, name: str) -> QueueState | CorruptError | None:
        try:
            # Nobody wants anything: only what has ended goes.
            state = (await self.permits(PermitRequest(name, 1))).state
        except CorruptError as error:
            return error
        if state is None and await self._is_named(name):
            return CorruptError("", 0, f"queue {name} is gone: set it again")
        return state

    async def _is_named(self, name: str) -> bool:
        """Whether the queue is still there by name, and not deleted meanwhile."""
        place = self._link.keys.queues
        return await self._link.ask([b"ZSCORE", place, name.encode()]) is not None

    async def _run(self, request: PermitRequest) -> list[bytes]:
        arguments = [
            b"%d" % (request.lasts_ms * MS),
            b"%d" % (PERMIT_LASTS_MAX_MS * MS),
        ]
        for holders in (request.ended, request.unused, request.kept, request.wanted):
            arguments.append(b"%d" % len(holders))
            arguments += [holder.encode() for holder in holders]
        keys = self._link.keys.of_queue(request.queue)
        answer: list[bytes] = await self._link.run(script.PERMITS, keys, arguments)
        return answer


def _values(limits: QueueLimits) -> list[bytes]:
    rate = limits.rate
    bound = limits.max_in_flight
    return [
        _NO_BOUND if bound is None else b"%d" % bound,
        _NO_BOUND if rate is None else b"%d" % rate.tokens,
        b"0" if rate is None else b"%d" % rate.period_us,
        b"0" if rate is None else b"%d" % rate.burst,
    ]


def _crc(name: str, values: Sequence[bytes]) -> bytes:
    return crc_of(f"queue\0{name}", b"\0".join(values)).encode()


def _state(name: str, answer: Sequence[bytes]) -> QueueState:
    in_flight, *values, crc, tokens = answer
    # What is gone comes as None.
    if None in values or _crc(name, values) != crc or not _is_number(tokens):
        raise CorruptError("", 0, f"queue {name} is damaged: set it again")
    bound, tokens_per, period_us, burst = values
    rate = None
    if tokens_per != _NO_BOUND:
        rate = QueueRate(int(tokens_per), int(period_us), int(burst))
    limits = QueueLimits(None if bound == _NO_BOUND else int(bound), rate)
    return QueueState(limits, int(in_flight), float(tokens))


def _is_number(text: bytes) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
