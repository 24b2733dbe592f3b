"""The runtime as `rpc` sees it: every request comes in here."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Container

import structlog

from starflow_backends.store import (
    CorruptError,
    DueTimer,
    LostHistoryError,
    Phase,
    Store,
    StoreError,
)
from starflow_service.engine.events import (
    Call,
    Drop,
    Finish,
    Restart,
    Result,
    Return,
    Yield,
)
from starflow_service.runtime import endings, live, signals
from starflow_service.runtime.calls import Calls
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.codec import Codec
from starflow_service.runtime.deletions import Deletions
from starflow_service.runtime.errors import (
    DrainingError,
    LogCorruptedError,
    RunNotFoundError,
    StoreDownError,
    VersionOutOfRangeError,
)
from starflow_service.runtime.garbage import Garbage
from starflow_service.runtime.listing import Listing
from starflow_service.runtime.live import RESTING, LiveRun, Stored
from starflow_service.runtime.notes import Note
from starflow_service.runtime.options import Options
from starflow_service.runtime.partitions import Partitions, only_one
from starflow_service.runtime.permits import Permits
from starflow_service.runtime.programs import Programs
from starflow_service.runtime.recovery import Recovery, make_pending
from starflow_service.runtime.registry import Registry
from starflow_service.runtime.reports import Reports
from starflow_service.runtime.retention import Namespaces, Retention
from starflow_service.runtime.runs import Runs
from starflow_service.runtime.starts import Starts
from starflow_service.runtime.strikes import Mark, Strikes
from starflow_service.runtime.timers import Timers
from starflow_service.runtime.tokens import Tokens
from starflow_service.runtime.types import (
    FINAL_STATES,
    Disposition,
    RunState,
    RunView,
    ScriptReport,
    StartRequest,
    Until,
)
from starflow_service.runtime.views import view_of
from starflow_service.runtime.watchdog import Watchdog
from starflow_service.runtime.watches import Watch, Watches
from starflow_service.runtime.workers import Workers
from starflow_service.runtime.world import World
from starflow_service.starlark.bundle import Source

log = structlog.get_logger()

# How long the rounds under way may take when a partition is given back.
_ROUNDS_S = 5.0


class Runtime:
    """Owns the runs of one store: drives them, and answers for them."""

    def __init__(
        self,
        store: Store,
        codec: Codec,
        options: Options,
        clock: Clock,
        *,
        mark: Mark | None = None,
        partition_of: Callable[[str], int] | None = None,
    ) -> None:
        """
        Take what the runtime works with.

        *partition_of* says which partition a run is of.  Without it there is one, which
        is acquired when the runtime is opened.
        """
        self.store = store
        self.options = options
        self._codec = codec
        self._clock = clock
        self.partitions = Partitions(partition_of or only_one)
        self._is_alone = partition_of is None
        self._watches = Watches()
        self._registry = Registry(store, codec)
        self._programs = Programs(
            store, options.limits, programs_max=options.programs_max
        )
        self._strikes = Strikes(store)
        self._garbage = Garbage(clock)
        self._watchdog = Watchdog(clock, mark, options.held_s)
        self._runs = Runs(
            store,
            codec,
            self._programs,
            World(clock, self._registry),
            options,
            self._strikes,
            self._watchdog,
            self.partitions,
            on_stored=self._on_stored,
            on_lost=self._on_lost,
        )
        namespaces = Namespaces(store)
        self._starts = Starts(
            self._runs, self._programs, self._registry, namespaces, clock, self._view
        )
        self.listing = Listing(store)
        self.deletions = Deletions(
            store, self._runs, self._watches, options.tombstone_s
        )
        self.retention = Retention(
            store,
            namespaces,
            self.deletions,
            self.partitions,
            clock,
            options.retention,
            options.retention_every_s,
        )
        self._timers = Timers(store, self._fire)
        self._is_draining = False
        self._sweeper: asyncio.Task[None] | None = None
        # Made by `open`, once the secret is known.
        self.workers: Workers
        self._tokens: Tokens
        self._calls: Calls
        self._reports: Reports
        self._recovery: Recovery

    # Life

    async def open(self) -> None:
        """
        Read the registry, start the timers, and recover the runs of a single server.

        The store is open already.
        """
        secret = await self.store.put_record(
            "server", "token_secret", secrets.token_bytes(32), replace=False
        )
        self._tokens = Tokens(secret, secrets.token_hex(4))
        self._calls = Calls(
            self.store,
            self.options,
            self._clock,
            self._tokens,
            self.partitions,
            spec_of=self._registry.spec,
            on_timeout=lambda call: self._reports.time_out(call),
            on_exhausted=lambda call: self._reports.give_up(call),
        )
        self._reports = Reports(
            self._runs, self._calls, self._tokens, self._clock, self.partitions
        )
        self.workers = Workers(
            self.options, self._clock, self._registry, self._calls, self._reports
        )
        self._recovery = Recovery(
            self.store,
            self._runs,
            self._calls,
            self._registry,
            self._clock,
            self._strikes,
            self.partitions,
            crash_grace_s=self.options.crash_grace_s,
        )
        await self._registry.open()
        await self._strikes.open(self._watchdog.mark)
        self._watchdog.open()
        await self._calls.permits.open()
        if self._is_alone:
            await self.acquire(0)
        log.info("runtime.open", store=self.store.kind)
        self._timers.open()
        self.retention.open()
        self._sweeper = asyncio.create_task(self._sweep())

    async def acquire(self, partition: int) -> None:
        """
        Work on the runs of *partition* from now on.

        Raises:
            StoreError: They cannot be recovered now; none of them is worked on.
        """
        self.partitions.open(partition)
        try:
            recovered = await self._recovery.recover(partition)
        except StoreError:
            self.lose(partition)
            raise
        self.partitions.serve(partition)
        self._timers.look()
        log.info("runtime.acquired", partition=partition, recovered_runs=recovered)

    async def give_back(self, partition: int) -> None:
        """Work on the runs of *partition* no more, once what was begun is stored."""
        self.partitions.close(partition)
        rounds = self._runs.drop(partition)
        if rounds:
            # What a store that is down keeps from its end is refused by it later.
            await asyncio.wait(rounds, timeout=_ROUNDS_S)
        self._forget(partition)

    def lose(self, partition: int) -> None:
        """Drop all that is known of the runs of *partition*: they are not ours."""
        self.partitions.close(partition)
        self._runs.drop(partition)
        self._forget(partition)

    def _forget(self, partition: int) -> None:
        def concerned(run: str) -> bool:
            return self.partitions.of(run) == partition

        self._calls.forget(concerned)
        self._watches.wake(concerned)

    async def drain(self) -> None:
        """Answer what waits, and take nothing new; what is held may be reported."""
        self._is_draining = True
        self._watches.close()
        self.workers.drain()

    async def close(self) -> None:
        """Finish what was begun.  The store stays open."""
        await self.drain()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self.retention.close()
        await self._recovery.close()
        await self._timers.close()
        await self._calls.permits.close()
        await self._reports.close()
        await self._runs.close()
        self._watchdog.close()
        with contextlib.suppress(StoreError):
            await self._strikes.forgive()

    # Workflows

    async def start_run(self, request: StartRequest) -> tuple[RunView, bool]:
        """
        Start a run; return it, and whether this request created it.

        Raises:
            ScriptInvalidError: The script is no program with main(ctx, input).
            ScriptNotFoundError: Nobody sent the script that the hash names.
            FunctionUnknownError: It calls what nobody ever registered.
            RunIdConflictError: The run id is taken, and the policy forbids to attach.
        """
        self._refuse_if_draining()
        return await self._starts.start(request)

    async def get_run(self, namespace: str, run_id: str) -> RunView:
        """
        Return a run as the store has it.

        Raises:
            RunNotFoundError: There is none.
        """
        key = f"{namespace}/{run_id}"
        try:
            return await self._runs.submit(key, self._view, needs_script=False)
        except LogCorruptedError as error:
            return await self._corrupt_view(key, namespace, run_id, error)

    async def wait_run(
        self, namespace: str, run_id: str, until: Until, wait_s: float
    ) -> RunView:
        """Return the run once *until* holds, or as it stands after *wait_s*."""
        ends_at = self._clock.monotonic() + min(wait_s, self.options.max_wait_s)
        key = f"{namespace}/{run_id}"
        with self._watches.watch(key, every_change=False) as watch:
            while True:
                view = await self.get_run(namespace, run_id)
                left = ends_at - self._clock.monotonic()
                if _holds(view, until) or not await watch.wait(left):
                    return view

    async def script(self, script_hash: str) -> Source:
        """Return the text or the files of a script that the store keeps."""
        return await self._programs.source(script_hash)

    async def signal(
        self,
        namespace: str,
        run_id: str,
        signal_id: str,
        result: Result,
        only_if_waiting: bool,
    ) -> tuple[Disposition, int]:
        """
        Give a run a signal; return what became of it and the version of its RESUME.

        Raises:
            RunNotFoundError: There is no such run.
            RunFinishedError: It has finished, and never had this signal answered.
            SignalNotExpectedError: It has no such signal id, or does not wait now.
            SignalConflictError: The id was answered before, differently.
        """
        self._refuse_if_draining()
        deliver = signals.delivery(signal_id, result, only_if_waiting=only_if_waiting)
        return await self._runs.submit(f"{namespace}/{run_id}", deliver)

    async def signal_by_name(
        self,
        namespace: str,
        run_id: str,
        name: str,
        request_id: str,
        result: Result,
        only_if_waiting: bool,
    ) -> tuple[Disposition, int]:
        """
        Give a run a signal by name; return what became of it and its SIGNAL's version.

        Raises:
            RunNotFoundError: There is no such run.
            RunFinishedError: It has finished, and did not have this request before.
            SignalNotExpectedError: It does not wait now, and must not keep it.
            SignalConflictError: The request id came before, with another content.
            SignalsFullError: It keeps as many signals as it may.
        """
        self._refuse_if_draining()
        deliver = signals.delivery_by_name(
            name, request_id, result, only_if_waiting=only_if_waiting
        )
        return await self._runs.submit(f"{namespace}/{run_id}", deliver)

    async def cancel_run(self, namespace: str, run_id: str, reason: str) -> RunView:
        """
        Ask a run to end; return it as it stands then.

        Raises:
            RunNotFoundError: There is no such run.
            RunFinishedError: It has ended, and was not cancelled.
        """
        self._refuse_if_draining()
        cancel = endings.cancellation(reason)
        await self._runs.submit(f"{namespace}/{run_id}", cancel)
        return await self.get_run(namespace, run_id)

    async def terminate_run(self, namespace: str, run_id: str, reason: str) -> RunView:
        """
        End a run without its script; return it.

        Raises:
            RunNotFoundError: There is no such run.
            RunFinishedError: It has ended, and was not cancelled.
        """
        self._refuse_if_draining()
        terminate = endings.termination(reason)
        key = f"{namespace}/{run_id}"
        await self._runs.submit(key, terminate, needs_script=False)
        return await self.get_run(namespace, run_id)

    async def delete_run(self, namespace: str, run_id: str) -> None:
        """
        Delete a run that has finished.

        Raises:
            RunNotFoundError: There is no such run.
            RunNotFinishedError: It has not finished.
        """
        self._refuse_if_draining()
        await self.deletions.delete(f"{namespace}/{run_id}")

    async def unpause_run(self, namespace: str, run_id: str) -> RunView:
        """
        Let a run that the service parked try again; return it as it stands then.

        Raises:
            RunNotFoundError: There is no such run.
        """
        self._refuse_if_draining()
        await self._recovery.unpause(f"{namespace}/{run_id}")
        return await self.get_run(namespace, run_id)

    async def read_events(
        self, namespace: str, run_id: str, from_version: int, limit: int
    ) -> tuple[list[bytes], RunState, int]:
        """
        Return stored events, the run's state, and the last version.

        Raises:
            VersionOutOfRangeError: *from_version* is more than one past the end.
        """
        view = await self.get_run(namespace, run_id)
        if from_version > view.version + 1:
            raise VersionOutOfRangeError(from_version, view.version)
        try:
            events = await self.store.read(
                f"{namespace}/{run_id}", from_version=max(1, from_version), limit=limit
            )
        except CorruptError as error:
            raise LogCorruptedError(run_id, str(error)) from error
        except StoreError as error:
            raise StoreDownError(str(error)) from error
        # An event that was stored after the look at the run belongs to the next look.
        return events[: view.version + 1 - from_version], view.state, view.version

    @contextlib.asynccontextmanager
    async def watch(self, namespace: str, run_id: str) -> AsyncIterator[Watch]:
        """Watch a run for changes; `Watch.wait` returns when there may be some."""
        with self._watches.watch(f"{namespace}/{run_id}") as watch:
            yield watch

    async def validate(self, namespace: str, script: Source) -> ScriptReport:
        """Check a script without running it."""
        return await self._starts.validate(namespace, script)

    @property
    def permits(self) -> Permits:
        """The queues with limits."""
        return self._calls.permits

    @property
    def live_runs(self) -> int:
        """How many runs are in memory."""
        return self._runs.live_count

    # For clocks that are moved, and servers that are killed, by hand

    def time_moved(self, seconds: float) -> None:
        """Note that the clock was moved on: see what is due, let attempts age."""
        self._calls.age(seconds)
        self._timers.look()

    def first_timeout_s(self) -> float | None:
        """Return after how many seconds the first attempt has taken too long."""
        return self._calls.first_timeout_s()

    def leased_tasks(self) -> set[str]:
        """Return the ids of the tasks that workers hold."""
        return self._calls.leased_ids()

    def end_grace(self, held: Container[str]) -> None:
        """Wait no longer for workers of an earlier server, but for the tasks *held*."""
        self._calls.end_grace(held)

    # What the parts tell each other

    def _view(self, run: LiveRun) -> RunView:
        return view_of(run, self._calls, self.workers.force)

    def _refuse_if_draining(self) -> None:
        if self._is_draining:
            raise DrainingError

    def _on_lost(self, key: str) -> None:
        self._recovery.recover_later(key)

    def _on_stored(self, stored: Stored) -> None:
        """Let out what a round decided, now that it is stored."""
        run = stored.run
        # The calls of a run that leaves are its next owner's.
        for event in () if run.is_leaving else stored.events:
            if type(event) is Return or type(event) is Yield:
                self._calls.close(run.key, event.call_version)
            elif type(event) is Call:
                if event.version in run.history.calls:
                    self._calls.add(make_pending(run, event.version, self._registry))
            elif type(event) is Drop:
                for version in event.dropped_versions:
                    self._calls.close(run.key, version, _why_dropped(run))
            elif type(event) is Finish or type(event) is Restart:
                # Calls of the next segment come after it in the log.
                self._calls.close_all_but(run.key, (), "the run has ended")
        if run.timers:
            self._timers.armed(min(run.timers.values()))
        is_at_rest = run.phase not in (Phase.RUNNABLE, Phase.CALLING)
        self._watches.notify(run.key, is_at_rest=is_at_rest)

    async def _fire(self, timer: DueTimer) -> None:
        """A timer is due; its round removes it from the store."""
        kind, _, version = timer.name.partition("/")
        if kind == live.WAKE:
            await self._runs.submit(timer.run, _waking(int(version)))
        elif kind == live.EXPIRE:
            await self._expire(timer)
        else:
            await self._retry(timer.run, int(version))

    async def _expire(self, timer: DueTimer) -> None:
        """End the calls of a run that have taken too long, each for itself."""
        now_ns = max(timer.due_ns, self._clock.now_ns())

        def due(run: LiveRun) -> list[int]:
            return [] if run.history.finish else run.expired_calls(now_ns)

        versions = await self._runs.submit(timer.run, due, needs_script=False)
        inputs = [self._expiring(version, now_ns) for version in versions]
        await asyncio.gather(*(self._runs.submit(timer.run, one) for one in inputs))

    def _expiring(self, version: int, now_ns: int) -> Callable[[LiveRun], None]:
        def apply(run: LiveRun) -> None:
            # What came before this in the same round may have ended it.
            if run.history.finish is None and run.has_expired(version, now_ns):
                call = self._calls.find(run.key, version)
                attempts = 0 if call is None else call.attempts_made
                run.open_ledger.expired(version, attempts=attempts)

        return apply

    async def _retry(self, key: str, version: int) -> None:
        def apply(run: LiveRun) -> None:
            run.retries.pop(version, None)

        await self._runs.submit(key, apply, needs_script=False)
        call = self._calls.find(key, version)
        if call is not None:
            self._calls.requeue(call)

    async def _sweep(self) -> None:
        options = self.options
        # What is kept for a part of a second must not wait a second more to be dropped.
        kept_s = max(0.1, options.idle_evict_s * RESTING)
        every_s = min(1.0, options.lease_s / 10, kept_s / 2)
        while True:
            await asyncio.sleep(every_s)
            self.workers.sweep()
            await self._runs.evict_idle()
            self._garbage.look(is_idle=self._runs.is_idle)

    async def _corrupt_view(
        self, key: str, namespace: str, run_id: str, error: LogCorruptedError
    ) -> RunView:
        """Say of a run whose log cannot be read what the index knows."""
        try:
            stored = await self.store.load(key)
        except LostHistoryError:
            # Nothing is left that could be shown.
            raise error from None
        if stored is None:
            raise RunNotFoundError(namespace, run_id)
        pause = Note.decode(stored.note).pause
        if pause is None:
            raise error
        return RunView(
            namespace=namespace,
            run_id=run_id,
            state=RunState.RUNNING,
            script_hash="",
            version=stored.version,
            create_ns=0,
            update_ns=0,
            finish_ns=None,
            waits=(),
            input="null",
            result=None,
            pause_reason=pause.reason,
            pause_message=pause.message,
        )


def _why_dropped(run: LiveRun) -> str:
    is_cancelled = run.history.cancel is not None
    return "the run was cancelled" if is_cancelled else "the script gave the call up"


def _waking(version: int) -> Callable[[LiveRun], None]:
    def apply(run: LiveRun) -> None:
        history = run.history
        if version in history.sleeps or version in history.signal_waits:
            run.open_ledger.woke(version)

    return apply


def _holds(view: RunView, until: Until) -> bool:
    if view.state in FINAL_STATES or view.pause_reason is not None:
        # A parked run gets no further while this server lives.
        return True
    return until is Until.FINISHED_OR_YIELDED and view.state is RunState.YIELDED
