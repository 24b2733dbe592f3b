"""Who serves what, and what waits: for people who look at a service."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from starflow_service.engine.frozen import frozen
from starflow_service.runtime.calls import Calls
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.options import Options
from starflow_service.runtime.pending import PendingCall, Session
from starflow_service.runtime.registry import Registry, Sessions
from starflow_service.runtime.types import (
    NS,
    Connection,
    FunctionSpec,
    QueueView,
    WorkerInfo,
)

_WORKER_IDS_MAX = 100


@frozen
class FunctionView:
    """A function as it stands."""

    spec: FunctionSpec
    is_registered: bool
    # The first of those that are live and offer it.
    worker_ids: list[str]
    worker_count: int
    queued: int
    leased: int
    # When the oldest call that waits was recorded.
    oldest_ns: int | None


@frozen
class WorkerView:
    """A worker as it stands."""

    info: WorkerInfo
    functions: list[str]
    held: int
    seen_ns: int
    connection: Connection
    is_live: bool
    is_draining: bool


@dataclass(slots=True)
class _Backlog:
    """The calls that wait for one reason or another."""

    count: int = 0
    oldest_ns: int | None = None

    def add(self, call: PendingCall) -> None:
        time_ns = call.call.time_ns
        self.count += 1
        if self.oldest_ns is None or time_ns < self.oldest_ns:
            self.oldest_ns = time_ns


@dataclass(slots=True)
class _Backlogs:
    """By function, or by queue."""

    found: dict[str, _Backlog] = field(default_factory=dict)

    def add(self, name: str, call: PendingCall) -> None:
        self.found.setdefault(name, _Backlog()).add(call)

    def of(self, name: str) -> _Backlog:
        return self.found.get(name, _Backlog())


class Workforce:
    """The workers that this server has heard of, and the calls that it owns."""

    def __init__(
        self,
        options: Options,
        clock: Clock,
        registry: Registry,
        sessions: Sessions,
        calls: Calls,
    ) -> None:
        self._clock = clock
        self._registry = registry
        self._sessions = sessions
        self._calls = calls
        # A worker that says nothing for so long is not counted upon.
        self._live_s = options.lease_s

    def live_workers(self, namespace: str, function: str) -> list[Session]:
        """Return the workers that offer *function* and are probably there."""
        now = self._clock.monotonic()
        serving = self._sessions.serving(namespace, function)
        return [each for each in serving if self._takes(each, now)]

    def has_worker(self, namespace: str, function: str) -> bool:
        """Whether a call of *function* may be said to have a worker."""
        if self._calls.queues.is_awaited((namespace, function)):
            return True
        now = self._clock.monotonic()
        serving = self._sessions.serving(namespace, function)
        if any(self._takes(each, now) for each in serving):
            return True
        # A worker of another server has told this one no more than what it holds.
        return self._calls.has_leased(namespace, function)

    def _takes(self, session: Session, now: float) -> bool:
        return not session.is_drained and session.is_live(now, self._live_s)

    def functions(self, namespace: str) -> list[FunctionView]:
        """Return the functions that are registered or waited for, by name."""
        waiting = _Backlogs()
        for call in self._waiting(namespace):
            waiting.add(call.call.function, call)
        leased = self._calls.leased_counts(namespace)
        specs = {spec.name: spec for spec in self._registry.specs(namespace)}
        names = specs.keys() | waiting.found.keys() | leased.keys()
        views = []
        for name in sorted(names):
            ids = sorted(each.worker_id for each in self.live_workers(namespace, name))
            views.append(
                FunctionView(
                    spec=specs.get(name, FunctionSpec(name)),
                    is_registered=name in specs,
                    worker_ids=ids[:_WORKER_IDS_MAX],
                    worker_count=len(ids),
                    queued=waiting.of(name).count,
                    leased=leased[name],
                    oldest_ns=waiting.of(name).oldest_ns,
                )
            )
        return views

    def workers(self, namespace: str) -> list[WorkerView]:
        """Return the workers that showed themselves lately, by id."""
        now, now_ns = self._clock.monotonic(), self._clock.now_ns()
        sessions = sorted(self._sessions.of(namespace), key=_worker_id)
        return [self._worker_view(each, now, now_ns) for each in sessions]

    def _worker_view(self, session: Session, now: float, now_ns: int) -> WorkerView:
        connection = Connection.NONE
        if session.streams:
            connection = Connection.STREAM
        elif session.waiting_polls:
            connection = Connection.POLL
        return WorkerView(
            info=session.info or WorkerInfo(session.worker_id),
            functions=sorted(session.offers),
            held=len(session.held),
            seen_ns=now_ns - int((now - session.seen_at) * NS),
            connection=connection,
            is_live=session.is_live(now, self._live_s),
            is_draining=session.is_drained,
        )

    async def queues(self, namespace: str) -> list[QueueView]:
        """
        Return the queues with limits, by name.

        Raises:
            StoreDownError: The store failed.
        """
        states = await self._calls.permits.states(namespace)
        waiting = _Backlogs()
        for queue in self._calls.permits.of(namespace):
            for call in queue.waiting_calls():
                waiting.add(queue.name, call)
        return [
            QueueView(name, state, waiting.of(name).count, waiting.of(name).oldest_ns)
            for name, state in states.items()
        ]

    def _waiting(self, namespace: str) -> Iterable[PendingCall]:
        for call in self._calls.queues.waiting_calls():
            if call.namespace == namespace:
                yield call
        for queue in self._calls.permits.of(namespace):
            yield from queue.waiting_calls()


def _worker_id(session: Session) -> str:
    return session.worker_id
