"""One link between two servers: calls, answers and news, many in one message.

A message of gRPC costs much more than what most calls carry.  So whatever is said in
one turn of the loop, or while the message before it is still being sent, travels in one
frame.  Both sides call and answer on the same link.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import structlog

from starflow.v1 import replica_service_pb2 as pb

log = structlog.get_logger()

# A frame takes nothing more once it has so many bytes.
_FRAME_BYTES: Final = 1 << 20
# So long a frame waits for more to be said if one was sent just before.
_PACE_S: Final = 0.001
# Calls of one side that wait for an answer.
CALLS_MAX: Final = 20_000

OK: Final = pb.LINK_OUTCOME_OK
REFUSED: Final = pb.LINK_OUTCOME_REFUSED
NOT_OWNER: Final = pb.LINK_OUTCOME_NOT_OWNER

# How a call ended, and what goes with it.
Outcome = tuple[pb.LinkOutcome, bytes]
# Carries out a method; the number is for how many seconds the caller waits.
CarryOut = Callable[["Link", str, bytes, float | None], Awaitable[Outcome]]


class LinkBrokenError(Exception):
    """The link ended; whether what was under way was carried out is unknown."""


class LinkFullError(Exception):
    """Too many calls wait for an answer on this link."""


class Stream(Protocol):
    """Either side of a stream of gRPC; a message is a LinkRequest or a LinkResponse."""

    async def read(self) -> Any:
        """Return the next message, or `grpc.aio.EOF`."""
        ...

    async def write(self, message: Any) -> None:
        """Send *message*, once there is room for it."""
        ...


class Link:
    """
    A link to the server *peer*, open until `run` returns.

    *message* makes what this side writes; *on_news* gets each frame, for all that is
    neither call nor answer.
    """

    def __init__(
        self,
        peer: str,
        stream: Stream,
        message: Callable[[], Any],
        *,
        carry_out: CarryOut,
        on_news: Callable[["Link", pb.Frame], None],
    ) -> None:
        self.peer = peer
        # What this link has been told, and what it has said, of who owns what.
        self.served: frozenset[int] = frozenset()
        self.is_leaving = False
        self._stream = stream
        self._message = message
        self._carry_out = carry_out
        self._on_news = on_news
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        self._carried: dict[int, asyncio.Task[None]] = {}
        self._is_broken = False
        self._closing = asyncio.Event()
        # Messages to be written, with the bytes that the last has about.
        self._outbox: deque[Any] = deque()
        self._last_bytes = 0
        self._has_mail = asyncio.Event()

    async def run(self) -> None:
        """Read and write until the link ends; then everything that waits fails."""
        parts = (self._write(), self._read(), self._closing.wait())
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_broken = True
            ends = [*tasks, *self._carried.values()]
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(LinkBrokenError(self.peer))
            self._waiting.clear()

    def close(self) -> None:
        """End the link: the store says that the peer is no more."""
        self._closing.set()

    async def call(self, method: str, request: bytes, timeout_s: float) -> Outcome:
        """
        Have the peer carry out *method*.

        Raises:
            LinkBrokenError: The link ended before the answer.
            LinkFullError: Too many calls wait.
            TimeoutError: There was no answer in time; the peer was told to stop.
        """
        if self._is_broken:
            raise LinkBrokenError(self.peer)
        if len(self._waiting) >= CALLS_MAX:
            raise LinkFullError(f"{CALLS_MAX} calls wait for {self.peer}")
        number = next(self._ids)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        call = self.frame(len(request)).calls.add(
            id=number, method=method, request=request
        )
        call.remaining_ms = max(1, int(timeout_s * 1000))
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except (TimeoutError, asyncio.CancelledError):
            if not self._is_broken:
                self.frame().cancels.append(number)
            raise
        finally:
            self._waiting.pop(number, None)

    def frame(self, more_bytes: int = 0) -> pb.Frame:
        """Return the frame that is sent next, to add some *more_bytes* to it."""
        if not self._outbox or self._last_bytes + more_bytes > _FRAME_BYTES:
            self._outbox.append(self._message())
            self._last_bytes = 0
        self._last_bytes += more_bytes + 32
        self._has_mail.set()
        frame: pb.Frame = self._outbox[-1].frame
        return frame

    async def _write(self) -> None:
        now = asyncio.get_running_loop().time
        wrote_at = 0.0
        while True:
            await self._has_mail.wait()
            if (early_s := wrote_at + _PACE_S - now()) > 0:
                await asyncio.sleep(early_s)
            wrote_at = now()
            while self._outbox:
                await self._stream.write(self._outbox.popleft())
            self._has_mail.clear()

    async def _read(self) -> None:
        while True:
            message = await self._stream.read()
            frame = getattr(message, "frame", None)
            if frame is None:
                # The end of the stream is no message.
                return
            self._take(frame)

    def _take(self, frame: pb.Frame) -> None:
        for answer in frame.answers:
            future = self._waiting.get(answer.id)
            if future is not None and not future.done():
                future.set_result((answer.outcome, answer.data))
        for call in frame.calls:
            task = asyncio.create_task(self._answer(call))
            self._carried[call.id] = task
        for number in frame.cancels:
            if (carried := self._carried.get(number)) is not None:
                carried.cancel()
        self._on_news(self, frame)

    async def _answer(self, call: pb.LinkCall) -> None:
        remaining_s = call.remaining_ms / 1000 if call.remaining_ms else None
        try:
            outcome, data = await self._carry_out(
                self, call.method, call.request, remaining_s
            )
        finally:
            self._carried.pop(call.id, None)
        if not self._is_broken:
            answers = self.frame(len(data)).answers
            answers.add(id=call.id, outcome=outcome, data=data)
