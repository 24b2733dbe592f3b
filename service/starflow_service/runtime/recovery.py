"""Brings back what a store holds: at the start, and after the store failed.

What a run needs is told by its phase.  Runs whose script stood still need no
interpreter: their open calls are offered to workers again, and everything else waits
for its timer or its signal.  Runs whose script could go on are turned.  Runs that the
service parked are tried again, once a start: the limit may have been raised, the defect
mended.
"""

import asyncio
from collections.abc import Callable

import structlog

from starflow_backends.store import Phase, Store, StoreError
from starflow_service.runtime.calls import Calls
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.errors import RuntimeRefusal
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.pending import PendingCall
from starflow_service.runtime.registry import Registry
from starflow_service.runtime.runs import Runs

log = structlog.get_logger()

_PAGE = 500
_RETRY_S = 1.0


class Recovery:
    """Recovers all runs at the start, and single ones when their state is unknown."""

    def __init__(
        self, store: Store, runs: Runs, calls: Calls, registry: Registry, clock: Clock
    ) -> None:
        self._store = store
        self._runs = runs
        self._calls = calls
        self._registry = registry
        self._clock = clock
        self._lost: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def recover_all(self) -> int:
        """Recover every run that a server has to act on; return how many."""
        count, after = 0, ""
        phases = (Phase.RUNNABLE, Phase.CALLING, Phase.PAUSED)
        while keys := await self._store.runs_in(phases, after=after, limit=_PAGE):
            recoveries = (self._recover(key, self._bring_back) for key in keys)
            await asyncio.gather(*recoveries)
            count += len(keys)
            after = keys[-1]
        return count

    def recover_later(self, key: str) -> None:
        """Recover *key* as soon as the store answers."""
        if key not in self._lost:
            self._lost.add(key)
            task = asyncio.create_task(self._recover_lost(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what was not recovered yet; the next start will."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _recover_lost(self, key: str) -> None:
        while True:
            await asyncio.sleep(_RETRY_S)
            self._lost.discard(key)
            try:
                if await self._store.load(key) is not None:
                    await self._recover(key, self._bring_back_lost)
            except StoreError as error:
                log.warning("recovery.store_failed", run=key, error=str(error))
                self._lost.add(key)
            else:
                return

    async def _recover(self, key: str, bring_back: Callable[[LiveRun], bool]) -> None:
        try:
            is_runnable = await self._runs.submit(key, bring_back, needs_script=False)
            if is_runnable:
                await self._runs.submit(key, _look, needs_script=True)
        except RuntimeRefusal as refusal:
            log.warning("recovery.run_failed", run=key, error=str(refusal))

    async def unpause(self, key: str) -> None:
        """
        Let a run that the service parked try again.

        Raises:
            RunNotFoundError: There is no such run.
            RuntimeRefusal: The store failed, or the log cannot be read.
        """
        if await self._runs.submit(key, self._bring_back, needs_script=False):
            await self._runs.submit(key, _look, needs_script=True)

    def _bring_back(self, run: LiveRun) -> bool:
        """
        Offer the calls that the log leaves open.

        Return whether the script may be able to go on.
        """
        if run.phase is Phase.PAUSED:
            run.pause = None
            run.phase = Phase.RUNNABLE
        for version in _wanted(run):
            call = self._calls.find(run.key, version)
            if call is None:
                self._offer(run, version)
            elif run.phase is Phase.RUNNABLE:
                self._offer_again(run, call)
        return run.phase is Phase.RUNNABLE

    def _offer_again(self, run: LiveRun, call: PendingCall) -> None:
        """Offer a call that backed off when the run was parked: its timer is gone."""
        record = call.record
        if record is not None and record.due_ns > self._clock.now_ns():
            run.retries[call.call.version] = record.due_ns
        else:
            self._calls.requeue(call)

    def _bring_back_lost(self, run: LiveRun) -> bool:
        """Bring back a run of whose calls some may be known here that have ended."""
        self._calls.close_all_but(run.key, _wanted(run))
        return self._bring_back(run)

    def _offer(self, run: LiveRun, version: int) -> None:
        call = make_pending(run, version, self._registry)
        if call.record is not None and call.record.due_ns > self._clock.now_ns():
            run.retries[version] = call.record.due_ns
            self._calls.add_backing_off(call)
        else:
            run.retries.pop(version, None)
            self._calls.add_recovered(call)


def make_pending(run: LiveRun, version: int, registry: Registry) -> PendingCall:
    """Return the open call *version* of *run*, to be offered to workers."""
    call = run.history.calls[version].call
    record = run.records.get(version)
    return PendingCall(
        run.key,
        run.namespace,
        run.run_id,
        call,
        registry.spec(run.namespace, call.function),
        attempt=1 if record is None else record.next_attempt,
        record=record,
        progress=None if record is None else record.progress,
    )


def _wanted(run: LiveRun) -> list[int]:
    """Return the versions of the calls that workers have to execute."""
    if run.history.finish is not None:
        return []
    return [v for v, call in run.history.calls.items() if call.yielded is None]


def _look(run: LiveRun) -> None:
    """Change nothing: what matters is that the run is brought into memory and saved."""
