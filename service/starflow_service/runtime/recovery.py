"""Brings back what a store holds: a partition's runs, or one after the store failed.

What a run needs is told by its phase.  Runs whose script stood still need no
interpreter: their open calls are offered to workers again, and everything else waits
for its timer or its signal.  Runs whose script could go on are turned.  Runs that the
service parked are tried again, once a start: the limit may have been raised, the defect
mended.  Not so those that took a process down too often.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from starflow_backends import failpoints
from starflow_backends.store import Phase, Store, StoreError
from starflow_service.runtime.calls import Calls
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.errors import RuntimeRefusal
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.partitions import Partitions
from starflow_service.runtime.pauses import crash_loop
from starflow_service.runtime.pending import PendingCall
from starflow_service.runtime.registry import Registry
from starflow_service.runtime.runs import Runs
from starflow_service.runtime.strikes import STRIKES_MAX, Strikes
from starflow_service.runtime.types import PauseReason

log = structlog.get_logger()

# A start does not try these again.
_FOR_A_PERSON = (PauseReason.CRASH_LOOP, PauseReason.LOST_HISTORY)
_PAGE = 500
_RETRY_S = 1.0
# How long a script may compute before nobody waits for it to stand still.
_COMPUTES_S = 0.5


class Recovery:
    """Recovers partitions, and single runs when their state is unknown."""

    def __init__(
        self,
        store: Store,
        runs: Runs,
        calls: Calls,
        registry: Registry,
        clock: Clock,
        strikes: Strikes,
        partitions: Partitions,
        *,
        crash_grace_s: float,
    ) -> None:
        self._store = store
        self._runs = runs
        self._calls = calls
        self._registry = registry
        self._clock = clock
        self._strikes = strikes
        self._partitions = partitions
        self._crash_grace_s = crash_grace_s
        self._lost: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def recover(self, partition: int) -> int:
        """
        Recover the runs of *partition* that a server has to act on; return how many.

        Raises:
            StoreError: The store cannot be used.
        """
        count, after = 0, ""
        phases = (Phase.RUNNABLE, Phase.CALLING, Phase.PAUSED)
        while keys := await self._store.runs_in(
            phases, after=after, limit=_PAGE, partitions=(partition,)
        ):
            if failpoints.armed:
                failpoints.reach("during_recovery")
            recoveries = (self._recover(key, self._bring_back_at_start) for key in keys)
            await asyncio.gather(*recoveries)
            count += len(keys)
            after = keys[-1]
        return count

    def recover_later(self, key: str) -> None:
        """Recover *key* as soon as the store answers."""
        if key not in self._lost:
            self._lost.add(key)
            self._start(self._recover_lost(key))

    def _start(self, recovery: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(recovery)
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
            if not self._partitions.is_open(key):
                # Its new owner recovers it.
                return
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
                await self._look_at(key)
        except RuntimeRefusal as refusal:
            log.warning("recovery.run_failed", run=key, error=str(refusal))

    async def unpause(self, key: str) -> None:
        """
        Let a run that the service parked try again.

        Raises:
            RunNotFoundError: There is no such run.
            RuntimeRefusal: The store failed, or the log cannot be read.
        """
        await self._strikes.pardon(key)

        def release(run: LiveRun) -> bool:
            run.pause = None
            return self._bring_back(run)

        if await self._runs.submit(key, release, needs_script=False):
            await self._look_at(key)

    def _bring_back(self, run: LiveRun) -> bool:
        """
        Offer the calls that the log leaves open.

        Return whether the script may be able to go on.
        """
        is_out = run.pause and run.pause.reason in _FOR_A_PERSON
        if run.phase is Phase.PAUSED and not is_out:
            run.pause = None
            run.phase = Phase.RUNNABLE
        for version in _wanted(run):
            call = self._calls.find(run.key, version)
            if call is None:
                self._offer(run, version)
            elif run.phase is Phase.RUNNABLE:
                self._offer_again(run, call)
        return run.phase is Phase.RUNNABLE

    def _bring_back_at_start(self, run: LiveRun) -> bool:
        """Bring back a run, but for one that took its process down too often."""
        strikes = self._strikes.count(run.key, run.version)
        if strikes >= STRIKES_MAX and run.phase is not Phase.PAUSED:
            run.pause = crash_loop(strikes)
            log.error("run.parked", run=run.key, reason=run.pause.reason.name)
        can_go_on = self._bring_back(run)
        if can_go_on and strikes == STRIKES_MAX - 1:
            self._start(self._recover_late(run.key))
            return False
        return can_go_on

    async def _recover_late(self, key: str) -> None:
        await asyncio.sleep(self._crash_grace_s)
        try:
            await self._look_at(key)
        except RuntimeRefusal as refusal:
            log.warning("recovery.run_failed", run=key, error=str(refusal))

    async def _look_at(self, key: str) -> None:
        """
        Have the script turned until it stands still, or has computed for a while.

        One that computes must not keep a server from serving.
        """
        look = self._runs.submit(key, _look, needs_script=True)
        look.add_done_callback(_retrieve)
        if (await asyncio.wait({look}, timeout=_COMPUTES_S))[0]:
            look.result()

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
    start = run.history.start
    record = run.records.get(version)
    return PendingCall(
        run.key,
        run.namespace,
        run.run_id,
        call,
        registry.spec(run.namespace, call.function),
        {} if start is None else start.headers,
        attempt=1 if record is None else record.next_attempt,
        record=record,
        progress=None if record is None else record.progress,
    )


def _wanted(run: LiveRun) -> list[int]:
    """Return the versions of the calls that workers have to execute."""
    if run.history.finish is not None:
        return []
    if run.pause is not None and run.pause.reason is PauseReason.LOST_HISTORY:
        # They may have ended, with results that were lost.
        return []
    return [v for v, call in run.history.calls.items() if call.yielded is None]


def _look(run: LiveRun) -> None:
    """Change nothing: what matters is that the run is brought into memory and saved."""


def _retrieve(look: asyncio.Future[None]) -> None:
    """Take the error of a look that nobody waits for any more; the run was dropped."""
    if not look.cancelled():
        look.exception()
