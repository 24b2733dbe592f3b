"""Open calls on their way to workers: queued, leased, renewed, lost, handed out again.

States of a call, and what moves it:

    queued  --poll-->             leased
    leased  --report-->           settling (its result is being stored)
    leased  --lease ends-->       queued, next attempt
    leased  --attempt too long--> a failure, as if the worker had reported it
    settling --RETURN stored-->   closed
    settling --failure stored, to be tried again--> backing off --timer--> queued
    settling --store fails-->     leased again: the worker will report again

A lease is short and renewed by heartbeats.  It says nothing about how long the function
may take, only how long its worker may be silent.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence

from starflow_backends import failpoints
from starflow_backends.store import Store
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.elsewhere import Elsewhere
from starflow_service.runtime.options import Options
from starflow_service.runtime.partitions import Partitions
from starflow_service.runtime.pending import Lease, PendingCall, Session
from starflow_service.runtime.permits import Permits
from starflow_service.runtime.queues import PollWaiter, QueueName, Queues
from starflow_service.runtime.tokens import Token, Tokens
from starflow_service.runtime.types import (
    NS,
    FunctionSpec,
    Task,
    TaskAction,
    TaskBeat,
)

# Repeated polls are recognised among this many last ones of a worker.
_POLLS_KEPT = 16
_ENDED = "the call has ended"
_LOST = "the task is no longer this worker's"


class Calls:
    """All open calls of the runs that this server owns."""

    def __init__(
        self,
        store: Store,
        options: Options,
        clock: Clock,
        tokens: Tokens,
        partitions: Partitions,
        *,
        spec_of: Callable[[str, str], FunctionSpec | None],
        on_timeout: Callable[[PendingCall], None],
        on_exhausted: Callable[[PendingCall], None],
    ) -> None:
        self.queues = Queues()
        self.permits = Permits(
            store,
            options,
            clock,
            tokens,
            self.queues,
            offer=self._offer,
            on_limits=self._place_all,
        )
        # None: this server has its store alone.
        self.elsewhere: Elsewhere | None = None
        self._options = options
        self._clock = clock
        self._tokens = tokens
        self._partitions = partitions
        self._spec_of = spec_of
        # What to do with an attempt that took too long, and with a call whose workers
        # were lost too often.
        self._on_timeout = on_timeout
        self._on_exhausted = on_exhausted
        # By run, then by the version of the CALL.
        self._calls: dict[str, dict[int, PendingCall]] = {}
        # Tokens by the end of their lease: all leases last equally long, so the order
        # of renewal is the order of ending.
        self._leased: dict[str, PendingCall] = {}

    # Calls come and go

    def has_leased(self, namespace: str, function: str) -> bool:
        """Whether a worker holds a task of *function*."""
        name = (namespace, function)
        return any(call.queue == name for call in self._leased.values())

    def leased_counts(self, namespace: str) -> Counter[str]:
        """Return how many tasks workers hold, by function."""
        return Counter(
            call.call.function
            for call in self._leased.values()
            if call.namespace == namespace
        )

    def is_leased(self, token: str) -> bool:
        """Whether a worker has the task."""
        return token in self._leased

    def find(self, run: str, call_version: int) -> PendingCall | None:
        """Return the open call, or None."""
        return self._calls.get(run, {}).get(call_version)

    def add(self, call: PendingCall) -> None:
        """Take a call whose CALL is stored and offer it to workers."""
        self._enter(call)
        self._offer(call)
        if failpoints.armed:
            failpoints.reach("after_enqueue")

    def add_recovered(self, call: PendingCall) -> None:
        """
        Take a call that an earlier server may have handed out.

        Workers get a little time to show that they hold it, so that a restart of the
        server does not repeat what they are doing.
        """
        call.is_recovered = True
        self._enter(call)
        asyncio.get_running_loop().call_later(
            self._options.recovery_grace_s, self.requeue, call
        )

    def add_backing_off(self, call: PendingCall) -> None:
        """Take a call whose next attempt is not due yet."""
        self._enter(call)

    def _enter(self, call: PendingCall) -> None:
        self._calls.setdefault(call.run, {})[call.call.version] = call

    def close(self, run: str, call_version: int, why: str = _ENDED) -> None:
        """
        The call has ended, or yielded, or nobody waits for it any more.

        Whoever holds its task is told *why*.
        """
        calls = self._calls.get(run, {})
        call = calls.pop(call_version, None)
        if call is not None:
            if not calls:
                del self._calls[run]
            call.is_closed = True
            if call.permit is not None:
                self.permits.drop(call)
            if call.lease is not None:
                holder, token = call.lease.session, call.lease.task.token
                self._end_lease(call)
                holder.tell(token, TaskAction.CANCEL, why)

    def close_all_but(
        self, run: str, versions: Container[int], why: str = _ENDED
    ) -> None:
        """Close those calls of the run that are not among *versions*."""
        ended = [v for v in self._calls.get(run, ()) if v not in versions]
        for version in ended:
            self.close(run, version, why)

    def forget(self, concerned: Callable[[str], bool]) -> None:
        """Drop the calls of runs that are *concerned*; who holds one may go on."""
        for run in [run for run in self._calls if concerned(run)]:
            for call in self._calls.pop(run).values():
                call.is_closed = True
                self.permits.forget(call)
                self._end_lease(call)

    def requeue(self, call: PendingCall) -> None:
        """Offer *call* again, unless somebody has it or it is closed."""
        if call.is_closed or call.is_queued or call.is_settling or call.lease:
            return
        self._offer(call)

    def _offer(self, call: PendingCall) -> None:
        """Let workers take *call*: now, or when its turn in a queue has come."""
        queue = self.permits.place(call) if self.permits.is_used else None
        if queue is None:
            self.queues.put(call)
        else:
            self.permits.put(queue, call)

    def _place_all(self) -> None:
        """Some queue got limits: its calls wait there, and its tasks are counted."""
        for call in self.queues.withdraw():
            if call.permit is None:
                self._offer(call)
            else:
                self.queues.put(call)
        for call in self._leased.values():
            if call.lease is not None and not call.lease.permit:
                call.lease.permit = self.permits.lease_began(call, call.delivery)

    # Handing out

    async def poll(
        self,
        session: Session,
        functions: Sequence[str],
        *,
        poll_id: str,
        tasks_max: int,
        bytes_max: int,
        wait_s: float,
        only_here: bool = False,
    ) -> list[Task]:
        """
        Lease the oldest calls of *functions*, waiting for the first if need be.

        With *only_here* those of other servers are left out.
        """
        repeated = self._repeated(session, poll_id)
        if repeated:
            return repeated
        names = [(session.namespace, function) for function in functions]
        ends_at = self._clock.monotonic() + wait_s
        elsewhere = None if only_here else self.elsewhere
        if elsewhere is not None and elsewhere.has_turn(names):
            tasks = await elsewhere.take(
                session,
                names,
                poll_id=poll_id,
                tasks_max=tasks_max,
                bytes_max=bytes_max,
            )
            if tasks:
                return tasks
        while True:
            if self.permits.is_used:
                self.permits.want(names, tasks_max)
            taken = self.queues.take(names, calls_max=tasks_max, bytes_max=bytes_max)
            if taken:
                return self._hand_out(session, taken, poll_id)
            left = ends_at - self._clock.monotonic()
            if left <= 0:
                break
            waiter = PollWaiter(session, names, tasks_max)
            is_fresh = await self._wait(session, waiter, left)
            if waiter.given:
                return waiter.given
            if not is_fresh or session.is_silent:
                # Whoever waits behind it is woken for what it leaves.
                return []
        if elsewhere is not None and wait_s <= 0:
            tasks = await elsewhere.take(
                session,
                names,
                poll_id=poll_id,
                tasks_max=tasks_max,
                bytes_max=bytes_max,
            )
            if tasks:
                return tasks
        # A poll that does not wait gets at least an answer of the store.
        if not (wait_s <= 0 and await self.permits.settle(names)):
            return []
        taken = self.queues.take(names, calls_max=tasks_max, bytes_max=bytes_max)
        return self._hand_out(session, taken, poll_id)

    async def _wait(
        self, session: Session, waiter: PollWaiter, timeout_s: float
    ) -> bool:
        def leave_if_drained() -> None:
            if session.is_drained:
                waiter.resolve(False)

        session.listeners.add(leave_if_drained)
        session.waiting_polls += 1
        try:
            return await self.queues.wait(waiter, timeout_s)
        finally:
            session.waiting_polls -= 1
            session.listeners.discard(leave_if_drained)

    def take(
        self,
        session: Session,
        names: Sequence[QueueName],
        *,
        tasks_max: int,
        bytes_max: int,
    ) -> list[Task]:
        """Lease the oldest calls of the queues *names*, as far as there are any."""
        if self.permits.is_used:
            self.permits.want(names, tasks_max)
        taken = self.queues.take(names, calls_max=tasks_max, bytes_max=bytes_max)
        return self._hand_out(session, taken, "") if taken else []

    def _repeated(self, session: Session, poll_id: str) -> list[Task]:
        tokens = session.polls.get(poll_id, ()) if poll_id else ()
        held = [session.held[token] for token in tokens if token in session.held]
        return [call.lease.task for call in held if call.lease is not None]

    def _hand_out(
        self, session: Session, taken: list[PendingCall], poll_id: str
    ) -> list[Task]:
        if failpoints.armed:
            failpoints.reach("before_lease")
        tasks = [self._lease(session, call) for call in taken]
        if failpoints.armed:
            failpoints.reach("after_lease")
        if poll_id:
            session.polls[poll_id] = [task.token for task in tasks]
            while len(session.polls) > _POLLS_KEPT:
                del session.polls[next(iter(session.polls))]
        return tasks

    def _lease(self, session: Session, call: PendingCall) -> Task:
        if call.spec is None:
            # It was recorded before anybody had registered the function.
            call.spec = self._spec_of(*call.queue)
        token, delivery = call.permit or self._tokens.make(
            call.run, call.call.version, call.attempt
        )
        task = self._task(call, token)
        self._begin_lease(session, call, task, delivery)
        return task

    def _begin_lease(
        self, session: Session, call: PendingCall, task: Task, delivery: str
    ) -> None:
        now = self._clock.monotonic()
        call.delivery = delivery
        call.is_recovered = False
        times_out_at = now + task.attempt_timeout_ns / NS
        call.lease = Lease(
            task,
            session,
            ends_at=now + self._options.lease_s,
            times_out_at=times_out_at,
            start_ns=self._clock.now_ns(),
        )
        session.held[task.token] = call
        self._leased[task.token] = call
        if self.permits.is_used:
            call.lease.permit = self.permits.lease_began(call, delivery)
        self._watch_timeout(call, call.lease)

    def _task(self, call: PendingCall, token: str) -> Task:
        timeout_ns = call.attempt_timeout_ns
        if timeout_ns is None:
            timeout_ns = int(self._options.attempt_timeout_s * NS)
        return Task(
            task_id=f"{call.run}/{call.call.version}",
            token=token,
            run_id=call.run_id,
            call_version=call.call.version,
            function=call.call.function,
            input=call.call.input,
            attempt=call.attempt,
            lease_s=self._options.lease_s,
            attempt_timeout_ns=timeout_ns,
            signal_id=call.call.signal_id,
            call_ns=call.call.time_ns,
            last_progress=call.progress,
            last_failure=None if call.record is None else call.record.failure,
            headers=call.headers,
        )

    # Holding

    def claim(self, token: str, parts: Token, session: Session) -> PendingCall | None:
        """
        Return the call that *token* stands for if its holder's word counts now.

        None means that the token was superseded, or that its call has ended.
        """
        call = self.find(parts.run, parts.call_version)
        if call is None:
            return None
        if call.delivery == parts.delivery:
            return call
        if call.is_recovered and parts.attempt >= call.attempt:
            self._begin_lease(session, call, self._task(call, token), parts.delivery)
            return call
        return None

    def renew(self, session: Session, beats: Sequence[TaskBeat]) -> None:
        """Renew the leases of the tasks that a worker holds; it hears what it lost."""
        for beat in beats:
            parts = self._tokens.parse(beat.token)
            call = None if parts is None else self.claim(beat.token, parts, session)
            if call is None:
                if parts is not None and not self._partitions.serves(parts.run):
                    # Its run moves: whoever has it then will say.
                    continue
                if beat.token not in session.directives:
                    session.tell(beat.token, TaskAction.ABANDON, _LOST)
                continue
            self._renew(session, beat.token, call)
            if beat.progress is not None:
                call.progress = beat.progress

    def _renew(self, session: Session, token: str, call: PendingCall) -> None:
        lease = call.lease
        if lease is None:
            if not call.is_settling:
                # The lease had ended, but nobody else has the task yet.
                task = self._task(call, token)
                self._begin_lease(session, call, task, call.delivery)
            return
        del self._leased[token]
        lease.ends_at = self._clock.monotonic() + self._options.lease_s
        self._leased[token] = call
        self._watch_timeout(call, lease)

    def _watch_timeout(self, call: PendingCall, lease: Lease) -> None:
        """Arm a timer if the attempt's time ends within this lease: few ever do."""
        if lease.timer is None and lease.times_out_at <= lease.ends_at:
            delay = max(0.0, lease.times_out_at - self._clock.monotonic())
            loop = asyncio.get_running_loop()
            lease.timer = loop.call_later(delay, self._on_timeout, call)

    def age(self, seconds: float) -> None:
        """Let attempts be *seconds* older, and no lease: somebody moved the clock."""
        for call in list(self._leased.values()):
            if (lease := call.lease) is not None:
                lease.times_out_at -= seconds
                if lease.timer is not None:
                    lease.timer.cancel()
                    lease.timer = None
                self._watch_timeout(call, lease)

    def first_timeout_s(self) -> float | None:
        """Return after how many seconds the first attempt has taken too long."""
        leases = (call.lease for call in self._leased.values())
        ends = [lease.times_out_at for lease in leases if lease is not None]
        return min(ends) - self._clock.monotonic() if ends else None

    def leased_ids(self) -> set[str]:
        """Return the ids of the tasks that workers hold."""
        leases = (call.lease for call in self._leased.values())
        return {lease.task.task_id for lease in leases if lease is not None}

    def end_grace(self, held: Container[str]) -> None:
        """Offer what an earlier server may have handed out, but for the ids *held*."""
        for call in [c for calls in self._calls.values() for c in calls.values()]:
            if call.is_recovered and f"{call.run}/{call.call.version}" not in held:
                self.requeue(call)

    def begin_settling(self, call: PendingCall) -> None:
        """A report on *call* is on its way into the store."""
        call.is_settling = True
        self._end_lease(call)

    def end_settling(self, call: PendingCall, *, is_stored: bool) -> None:
        """The report is stored, or could not be: then the worker sends it again."""
        call.is_settling = False
        if not is_stored and not call.is_closed:
            asyncio.get_running_loop().call_later(
                self._options.lease_s, self._lose_unheld, call, call.delivery
            )

    def _lose_unheld(self, call: PendingCall, delivery: str) -> None:
        if call.delivery == delivery:
            self.requeue(call)

    def release(self, call: PendingCall) -> None:
        """A worker gave the task back unexecuted."""
        self._end_lease(call)
        call.delivery = ""
        self.requeue(call)

    def suspect(self, session: Session) -> None:
        """
        Doubt a worker whose waiting call broke off.

        It may have died, or only lost its connection: what it does not renew within
        `suspect_s` is handed out again.
        """
        # Another call of it may still wait, and must not take what nobody would get.
        session.is_silent = True
        self.doubt(session, list(session.held))

    def doubt(self, session: Session, tokens: Iterable[str]) -> None:
        """Hand out again what of *tokens* a worker does not renew in `suspect_s`."""
        calls = ((token, session.held.get(token)) for token in tokens)
        leases = {token: call.lease for token, call in calls if call is not None}
        ends = {token: lease.ends_at for token, lease in leases.items() if lease}
        if ends:
            asyncio.get_running_loop().call_later(
                self._options.suspect_s, self._lose_unrenewed, session, ends
            )

    def _lose_unrenewed(self, session: Session, ends: dict[str, float]) -> None:
        for token, ends_at in ends.items():
            call = session.held.get(token)
            if call is not None and call.lease and call.lease.ends_at == ends_at:
                self.lose(call)

    def lose(self, call: PendingCall) -> None:
        """The worker that had the task is lost: the next attempt."""
        self._end_lease(call)
        if call.attempt >= self._options.attempts_max:
            self._on_exhausted(call)
            return
        call.attempt += 1
        self.requeue(call)

    def sweep(self) -> None:
        """Take back the tasks whose lease has ended."""
        now = self._clock.monotonic()
        ended = []
        for call in self._leased.values():
            if call.lease is None or call.lease.ends_at > now:
                break
            call.lease.session.is_silent = True
            ended.append(call)
        for call in ended:
            self.lose(call)

    def _end_lease(self, call: PendingCall) -> None:
        lease, call.lease = call.lease, None
        if lease is not None:
            if lease.timer is not None:
                lease.timer.cancel()
            token = lease.task.token
            lease.session.held.pop(token, None)
            self._leased.pop(token, None)
            if lease.permit:
                self.permits.lease_ended(lease.permit, lease.ends_at)
