"""Wakes runs when their time has come, by the store's clock.

The store's index of timers is the truth; what is here only decides when to look.  A
timer is never early, because the store itself says what is due.  It is late by the time
that a look takes, or by as long as no server ran.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from starflow_backends import failpoints
from starflow_backends.store import CorruptError, DueTimer, Store, StoreError
from starflow_service.runtime.errors import RunMovingError

_BATCH = 1000
# Look at least this often, in seconds: the store's clock may have jumped.
_LOOK_S = 30.0
_AFTER_ERROR_S = 1.0

log = structlog.get_logger()

Fire = Callable[[DueTimer], Awaitable[None]]


class Timers:
    """Fires what is due; a fired timer stays until its run clears it."""

    def __init__(self, store: Store, fire: Fire) -> None:
        self._store = store
        self._fire = fire
        self._firing: set[tuple[str, str]] = set()
        # Runs of which a timer is damaged.
        self._told: set[str] = set()
        self._nudge = asyncio.Event()
        # When the next look is planned, in nanoseconds since the epoch.
        self._planned_ns: int = 0
        self._task: asyncio.Task[None] | None = None
        self._fires: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop looking; what was fired goes on to its end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._fires, return_exceptions=True)

    def armed(self, due_ns: int) -> None:
        """A timer was stored; look earlier if it is due before the next look."""
        if due_ns < self._planned_ns:
            self._planned_ns = due_ns
            self._nudge.set()

    def look(self) -> None:
        """Look now: the store's clock was moved."""
        self._planned_ns = 0
        self._nudge.set()

    async def _run(self) -> None:
        while True:
            try:
                delay_s = await self._look()
            except StoreError as error:
                log.warning("timers.look_failed", error=str(error))
                delay_s = _AFTER_ERROR_S
            if not self._nudge.is_set():
                await self._sleep(delay_s)
            self._nudge.clear()

    async def _sleep(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._nudge.wait()
        except TimeoutError:
            pass

    async def _look(self) -> float:
        """Fire what is due; return the seconds until the next look."""
        # While the store answers, every timer that is stored counts as news.
        self._planned_ns = 1 << 63
        answer = await self._store.timers_due(limit=_BATCH + len(self._firing))
        for error in answer.damaged:
            self._tell(error)
        for timer in answer.due:
            key = (timer.run, timer.name)
            if key not in self._firing:
                self._firing.add(key)
                task = asyncio.create_task(self._fire_one(key, timer))
                self._fires.add(task)
                task.add_done_callback(self._fires.discard)
        next_ns = answer.next_due_ns
        look_ns = answer.now_ns + int(_LOOK_S * 1e9)
        if next_ns is not None:
            look_ns = min(look_ns, max(next_ns, answer.now_ns))
        self._planned_ns = min(self._planned_ns, look_ns)
        return max(0.0, (look_ns - answer.now_ns) / 1e9)

    def _tell(self, error: CorruptError) -> None:
        """Say once of each run that it will not wake."""
        if error.run not in self._told:
            self._told.add(error.run)
            log.error("timers.damaged", run=error.run, error=str(error))

    async def _fire_one(self, key: tuple[str, str], timer: DueTimer) -> None:
        if failpoints.armed:
            failpoints.reach("timer_due")
        try:
            await self._fire(timer)
        except Exception as error:
            # Whoever has the run next fires what is due of it.
            say = log.debug if isinstance(error, RunMovingError) else log.warning
            say("timers.fire_failed", run=timer.run, timer=timer.name, error=str(error))
            # The timer is still in the index; do not come back to it at once.
            await asyncio.sleep(_AFTER_ERROR_S)
            self._planned_ns = 0
            self._nudge.set()
        finally:
            self._firing.discard(key)
