"""Runs in memory: one round after the other, and nothing leaves before it is stored.

A round takes what waits in a run's inbox, applies one input after the other - turning
the script after each until it stands still - stores all new events and index changes in
one append, and only then answers the inputs and tells the rest of the runtime.

When the store fails, the round's run is dropped from memory with everything that it
decided: the log is the truth, and the next input reads it again.
"""

import asyncio
import contextvars
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import structlog

from starflow_backends import failpoints
from starflow_backends.store import (
    Append,
    ConflictError,
    CorruptError,
    DeletedError,
    LostHistoryError,
    NotOwnerError,
    Phase,
    Store,
    StoreError,
)
from starflow_service.engine.errors import LogCorruptError, SignalRefusal
from starflow_service.engine.events import Event
from starflow_service.engine.history import History
from starflow_service.engine.ledger import Ledger
from starflow_service.engine.machine import Machine, Turn
from starflow_service.runtime import pauses
from starflow_service.runtime.appends import append_surely
from starflow_service.runtime.attempts import encode_record
from starflow_service.runtime.burials import Burials
from starflow_service.runtime.codec import Codec
from starflow_service.runtime.errors import (
    DrainingError,
    LogCorruptedError,
    RateLimitedError,
    RunDeletedError,
    RunMovingError,
    RunNotFoundError,
    RuntimeRefusal,
    StoreDownError,
)
from starflow_service.runtime.index import adopt, changed_entry, index_changes
from starflow_service.runtime.live import RESTING, Input, LiveRun, Stored
from starflow_service.runtime.losses import park_lost
from starflow_service.runtime.notes import Pause
from starflow_service.runtime.options import Options
from starflow_service.runtime.partitions import Partitions
from starflow_service.runtime.printing import log_prints
from starflow_service.runtime.programs import Programs
from starflow_service.runtime.slices import Computing, Line
from starflow_service.runtime.strikes import STRIKES_MAX, Strikes, script_name
from starflow_service.runtime.types import NS, PauseReason
from starflow_service.runtime.watchdog import Watchdog
from starflow_service.runtime.world import World
from starflow_service.starlark.errors import Abort
from starflow_service.starlark.program import Program

T = TypeVar("T")

log = structlog.get_logger()

# After so many slices in a row, what the script has done so far is stored, so that
# whoever waits for an answer gets it.
_SLICES_BEFORE_STORE = 50
# How often an input is applied again after a conflict.
_TRIES = 3
# How long a run that has ended stays in memory: whoever waited for its end asks once
# more, and thousands that nobody asks for only make the garbage collector slow.
_ENDED_KEPT_S = 1.0


class Runs:
    """All runs that are in memory, and the way to get others there."""

    def __init__(
        self,
        store: Store,
        codec: Codec,
        programs: Programs,
        world: World,
        options: Options,
        strikes: Strikes,
        watchdog: Watchdog,
        partitions: Partitions,
        *,
        on_stored: Callable[[Stored], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._store = store
        self._codec = codec
        self._programs = programs
        self._world = world
        self._clock = clock = world.clock
        self._options = options
        # Told of everything that was stored, and of runs whose state in the store is
        # not known any more.
        self._on_stored = on_stored
        self._on_lost = on_lost
        self._line = Line(clock, options.slice_s)
        self._strikes = strikes
        self._watchdog = watchdog
        self._partitions = partitions
        self._runs: OrderedDict[str, LiveRun] = OrderedDict()
        # Those that have ended, once for each time that somebody looked at them.
        self._ended: deque[LiveRun] = deque()
        self._rounds: set[asyncio.Task[None]] = set()
        self._append_ids = itertools.count(1)
        self._boot = clock.nonce()
        self._is_closed = False
        # Rounds belong to their run and not to the request that woke it: what they log
        # must not carry the request's id.
        self._context = contextvars.Context()
        self._burials = Burials(self._line, self._context)

    # In and out

    def submit(
        self, key: str, apply: Callable[[LiveRun], T], *, needs_script: bool = True
    ) -> asyncio.Future[T]:
        """
        Apply *apply* to the run *key*; the future is done once all of it is stored.

        Raises, from the future:
            RunNotFoundError: There is no such run.
            RuntimeRefusal: What *apply* raised, or that the store failed.
        """
        run = self._runs.get(key) or self._enter(key)
        return self._put(run, apply, needs_script=needs_script, tries_left=_TRIES)

    def start(
        self,
        key: str,
        program: Program,
        script: tuple[str, bytes],
        payload: str,
        labels: Mapping[str, str],
        headers: Mapping[str, str],
        apply: Callable[[LiveRun], T],
    ) -> asyncio.Future[T]:
        """
        Begin a new run; the future gives what *apply* makes of it.

        Raises, from the future:
            ConflictError: The run exists.
        """
        run = self._enter(key)
        ledger = Ledger(History(), self._world.of(key))
        run.ledger = ledger
        run.machine = Machine(program, ledger, self._options.limits)
        run.machine.begin(script[0], payload, labels, headers)
        run.create_ns = ledger.history.last_ns
        run.script = script
        run.is_loaded = run.is_new = True
        # Not tried again after a conflict: then there is nothing left to begin.
        return self._put(run, apply, needs_script=False, tries_left=0)

    def _put(
        self,
        run: LiveRun,
        apply: Callable[[LiveRun], T],
        *,
        needs_script: bool,
        tries_left: int,
    ) -> asyncio.Future[T]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        run.inbox.append(Input(apply, answer, needs_script, tries_left))
        self._wake(run)
        return answer

    def is_live(self, key: str) -> bool:
        """Whether the run is in memory."""
        return key in self._runs

    async def evict_idle(self) -> None:
        """Drop runs that nothing came to for a while, and the idlest over the bound."""
        now = self._clock.monotonic()
        while self._ended and now - self._ended[0].used_at >= _ENDED_KEPT_S:
            ended = self._ended.popleft()
            if not ended.is_busy:
                self._drop(ended)
        idle_s = self._options.idle_evict_s
        over = len(self._runs) - self._options.live_runs_max
        for run in list(self._runs.values()):
            unused_s = now - run.used_at
            if over <= 0 and unused_s < idle_s * RESTING:
                break
            if not run.is_busy and (over > 0 or unused_s >= run.kept_s(idle_s)):
                self._drop(run)
                over -= 1

    def drop(self, partition: int) -> list[asyncio.Task[None]]:
        """
        Drop the runs of *partition*, which was closed.

        Return the rounds under way: each is the last of its run, and is stored if the
        partition is still this server's.
        """
        rounds = []
        of = self._partitions.of
        for run in [run for run in self._runs.values() if of(run.key) == partition]:
            run.is_leaving = True
            if run.is_busy and run.work is not None:
                rounds.append(run.work)
                del self._runs[run.key]
            else:
                self._drop(run)
        return rounds

    async def forget(self, key: str) -> None:
        """Drop a run that is not stored any more."""
        while (run := self._runs.get(key)) is not None:
            if run.work is not None:
                # Somebody still looks at it.
                await asyncio.wait({run.work})
            else:
                self._drop(run)

    async def close(self) -> None:
        """Finish the rounds under way and drop every interpreter."""
        self._is_closed = True
        while self._rounds:
            await asyncio.gather(*self._rounds, return_exceptions=True)
        await self._burials.close()
        for run in list(self._runs.values()):
            self._drop(run)

    @property
    def live_count(self) -> int:
        """How many runs are in memory."""
        return len(self._runs)

    @property
    def is_idle(self) -> bool:
        """Whether no run has anything to do at this moment."""
        return not self._rounds

    # Rounds

    def _enter(self, key: str) -> LiveRun:
        if self._is_closed:
            raise DrainingError
        if not self._partitions.is_open(key):
            raise RunMovingError(key)
        if len(self._rounds) >= self._options.busy_runs_max:
            raise RateLimitedError(f"{len(self._rounds)} runs are being worked on")
        namespace, _, run_id = key.partition("/")
        run = self._runs[key] = LiveRun(key, namespace, run_id, self._burials.bury)
        return run

    def _wake(self, run: LiveRun) -> None:
        if not run.is_busy:
            run.is_busy = True
            loop = asyncio.get_running_loop()
            run.work = loop.create_task(self._work(run), context=self._context)
            self._rounds.add(run.work)

    async def _work(self, run: LiveRun) -> None:
        work = run.work
        try:
            while run.inbox:
                await self._round(run)
            if run.is_leaving:
                self._drop(run)
        finally:
            # Not by a callback, which would be one more turn of the loop for each step.
            self._rounds.discard(work)
            run.is_busy, run.work = False, None
            run.used_at = self._clock.monotonic()
            if run.key in self._runs:
                self._runs.move_to_end(run.key)
            if run.phase is Phase.FINISHED:
                self._ended.append(run)

    async def _round(self, run: LiveRun) -> None:
        inputs = run.taken = list(run.inbox)
        run.inbox.clear()
        try:
            await self._play(run, inputs)
            await self._save(run, run.settled_phase())
        except ConflictError as error:
            self._conflict(run, inputs, error)
        except DeletedError:
            self._fail(run, inputs, RunDeletedError(run.run_id))
        except (LogCorruptError, CorruptError) as error:
            await self._park_corrupt(run, str(error))
            self._fail(run, inputs, LogCorruptedError(run.run_id, str(error)))
        except LostHistoryError as error:
            await self._park_lost(run, inputs, error)
        except NotOwnerError:
            self._fail(run, inputs, RunMovingError(run.key))
        except StoreError as error:
            self._fail(run, inputs, StoreDownError(str(error)))
            self._on_lost(run.key)
        except RuntimeRefusal as refusal:
            self._fail(run, inputs, refusal)
            if isinstance(refusal, StoreDownError):
                self._on_lost(run.key)
        except (Exception, Abort) as error:
            log.error("run.round_failed", run=run.key, exc_info=error)
            if isinstance(error, Abort):
                # Nobody held it back: a defect. Still nobody must wait for ever.
                error = AssertionError(f"the interpreter was ended by {error!r}")
            self._fail(run, inputs, error)

    async def _park_lost(
        self, run: LiveRun, inputs: list[Input], loss: LostHistoryError
    ) -> None:
        """Park the run, and apply the inputs to what it is then."""
        if await park_lost(self._store, loss, self._append_id()):
            self._conflict(run, inputs, LogCorruptedError(run.run_id, str(loss)))
            self._on_lost(run.key)
        else:
            self._fail(run, inputs, LogCorruptedError(run.run_id, str(loss)))

    def _append_id(self) -> str:
        return f"{self._boot}.{next(self._append_ids)}"

    def _conflict(
        self, run: LiveRun, inputs: list[Input], error: ConflictError | RuntimeRefusal
    ) -> None:
        """The log is another: apply the inputs to it as it is now."""
        again = [one for one in inputs if one.tries_left and not one.answer.done()]
        for one in again:
            one.tries_left -= 1
            one.is_applied = False
        self._fail(run, [one for one in inputs if one not in again], error)
        run.inbox.extendleft(reversed(again))
        if run.inbox and not run.is_leaving:
            self._runs[run.key] = run

    def _fail(self, run: LiveRun, inputs: Iterable[Input], error: Exception) -> None:
        """Give the round up: drop the run and tell whoever waited."""
        # First of all: nobody waits for ever, whatever is wrong with the run.
        run.unanswered.clear()
        for one in inputs:
            if not one.answer.done():
                one.answer.set_exception(error)
        self._drop(run)
        # What came in the meantime is applied to the log as it is read again.
        if run.inbox and not run.is_leaving:
            self._runs[run.key] = run

    async def _park_corrupt(self, run: LiveRun, problem: str) -> None:
        """Keep the run's timers from bringing it back again and again."""
        if run.phase is Phase.PAUSED or not run.is_loaded:
            return
        run.pause = Pause(PauseReason.LOG_CORRUPT, problem)
        log.error("run.log_corrupt", run=run.key, problem=problem)
        no_timers: dict[str, int | None] = dict.fromkeys(run.timers)
        try:
            await self._append(run, [], Phase.PAUSED, no_timers)
        except StoreError as error:
            log.warning("run.park_failed", run=run.key, error=str(error))

    def _drop(self, run: LiveRun) -> None:
        if self._runs.get(run.key) is run:
            del self._runs[run.key]
        run.forget_log()

    async def _play(self, run: LiveRun, inputs: list[Input]) -> None:
        if run.is_new:
            run.is_new = False
            if self._strikes.count(script_name(run.script), 0) >= STRIKES_MAX:
                run.pause = pauses.crash_loop(STRIKES_MAX)
                run.kill_script()
            await self._turn(run)
        for one in inputs:
            if one.is_applied:
                continue
            if run.machine is None:
                await self._prepare(run, needs_script=one.needs_script)
            _apply(run, one)
            for arrival in run.open_ledger.take_arrivals():
                # A paused run takes what comes into its log, and sees it later.
                if run.machine is not None:
                    run.machine.arrive(arrival)
                    await self._turn(run)

    async def _prepare(self, run: LiveRun, *, needs_script: bool) -> None:
        """Bring into memory what an input needs of a run without an interpreter."""
        if not run.is_loaded:
            await self._load_index(run)
        if run.ledger is not None:
            is_enough = not needs_script or run.pause or run.history.finish is not None
            if is_enough:
                return
            await self._save(run, run.settled_phase())
        await self._load_log(run, with_machine=needs_script and run.pause is None)

    async def _load_index(self, run: LiveRun) -> None:
        stored = await self._store.load(run.key)
        if stored is None or not stored.version:
            raise RunNotFoundError(run.namespace, run.run_id)
        adopt(run, stored, self._codec)
        run.is_loaded = True

    async def _load_log(self, run: LiveRun, *, with_machine: bool) -> None:
        base = run.segments.earlier
        events = await self.read(run.key, from_version=base + 1)
        history = History(base)
        for event in events:
            history.apply(event)
        if history.start is None:
            raise LogCorruptError(base + 1, "there is no START")
        if history.base != run.segments.present:
            run.segments = run.segments.after(events)
        run.restarts_before = run.segments.restarts - history.restarts
        run.create_ns = run.create_ns or events[0].time_ns
        run.lines_base = history.base
        run.ledger = Ledger(history, self._world.of(run.key))
        run.find_expiries()
        if with_machine and history.finish is None:
            await self._revive(run, events, history.start.script_hash)

    async def _revive(
        self, run: LiveRun, events: list[Event], script_hash: str
    ) -> None:
        """Make the interpreter from the log, up to where it ends."""
        program = await self._programs.load(script_hash)
        base = events[0].version - 1
        ledger = Ledger(History(base), self._world.of(run.key))
        machine = Machine(program, ledger, self._options.limits)
        # Without a note, whatever a script that stood still has printed was logged.
        is_known = run.lines or run.phase is Phase.RUNNABLE
        machine.load(events, printed=run.lines if is_known else None)
        if failpoints.armed:
            failpoints.reach("during_replay")
        complete, run.ledger, run.machine = run.ledger, ledger, machine
        await self._turn(run)
        if run.machine is None and run.history.version < run.version:
            # The replay left the log.  The log as such is whole, and goes on taking
            # what comes.
            run.ledger = complete

    async def read(
        self, key: str, *, from_version: int = 1, limit: int | None = None
    ) -> list[Event]:
        """
        Return the run's events, from *from_version* on, at most *limit*.

        Raises:
            LogCorruptError: One of them is no event.
        """
        decode = self._codec.decode
        events: list[Event] = []
        stored = await self._store.read(key, from_version=from_version, limit=limit)
        for data in stored:
            try:
                events.append(decode(data))
            except ValueError as error:
                version = from_version + len(events)
                raise LogCorruptError(version, "it is no event") from error
        return events

    async def _turn(self, run: LiveRun) -> None:
        """Turn the script until it stands still."""
        machine = run.machine
        if machine is None:
            return
        slices, computing, before = 0, None, 0
        # Few turns have a second slice, and to ask for CPU time is a system call: the
        # first is taken by the wall.
        start_s = self._clock.monotonic()
        while (turn := self._slice(run, machine)) is Turn.SLICED:
            slices += 1
            slice_ns = self._clock.cpu_ns() - before
            if slices == 1:
                slice_ns = int((self._clock.monotonic() - start_s) * NS)
            if self._is_closed:
                # It goes on where it was when a server starts.
                raise DrainingError
            if run.is_leaving:
                raise RunMovingError(run.key)
            if slices % _SLICES_BEFORE_STORE == 0 and not machine.is_replaying:
                run.take_prints(machine)
                _apply_readers(run)
                if run.machine is None:
                    # Somebody terminated it; the round stores that.
                    return
                await self._save(run, Phase.RUNNABLE)
            # Few turns need a second slice.
            computing = computing or Computing(self._line)
            await computing.between(machine, slice_ns)
            before = self._clock.cpu_ns()
        run.take_prints(machine)
        if turn is Turn.FINISHED:
            run.kill_script()
        elif turn is Turn.PARKED:
            self._park(run, machine)

    def _slice(self, run: LiveRun, machine: Machine) -> Turn:
        """Turn the script once, watched."""
        # A run that is not stored yet is known by its script.
        name = run.key if run.version else script_name(run.script)
        self._watchdog.enter(run.key, name, run.version)
        try:
            return machine.turn()
        finally:
            self._watchdog.leave()

    def _park(self, run: LiveRun, machine: Machine) -> None:
        run.pause = pauses.pause_of(machine.abort)
        self._watchdog.look_at(run.key, machine.abort)
        run.kill_script()
        log.warning(
            "run.parked",
            run=run.key,
            reason=run.pause.reason.name,
            message=run.pause.message,
            exc_info=machine.abort.__cause__ if machine.abort else None,
        )

    # Storing

    async def _save(self, run: LiveRun, phase: Phase) -> None:
        """Store what is new, then answer the inputs that brought it."""
        events = run.open_ledger.take()
        changes, timers = index_changes(run, events)
        if events or changes or run.changed_records or phase is not run.phase:
            await self._append(run, events, phase, changes)
            run.timers = timers
            self._on_stored(Stored(run, events))
        if run.prints:
            log_prints(run)
        for one, answer in run.unanswered:
            if one.answer.done():
                continue
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)
        run.unanswered.clear()

    async def _append(
        self,
        run: LiveRun,
        events: list[Event],
        phase: Phase,
        timers: dict[str, int | None],
    ) -> None:
        script = run.script
        is_new_script = script is not None and not self._programs.is_stored(script[0])
        encode = self._codec.encode
        append = Append(
            run.key,
            run.version,
            self._append_id(),
            [encode(event) for event in events],
            phase,
            timers,
            {
                version: encode_record(record, self._codec)
                if (record := run.records.get(version)) is not None
                else None
                for version in run.changed_records
            },
            run.encoded_note(),
            {script[0]: script[1]} if script and is_new_script else {},
            changed_entry(run),
        )
        await append_surely(self._store, append, events)
        if script is not None:
            self._programs.mark_stored(script[0])
            run.script = None
        run.version += len(events)
        run.phase = phase
        run.changed_records.clear()


def _apply(run: LiveRun, one: Input) -> None:
    one.is_applied = True
    try:
        answer = one.apply(run)
    except (RuntimeRefusal, SignalRefusal) as refusal:
        answer = refusal
    run.unanswered.append((one, answer))


def _apply_readers(run: LiveRun) -> None:
    """Apply what cannot move the script, so that a long computation hides nothing."""
    late = [one for one in run.inbox if not one.needs_script]
    for one in late:
        run.inbox.remove(one)
    run.taken += late
    for one in run.taken:
        if not one.is_applied and not one.needs_script:
            _apply(run, one)
