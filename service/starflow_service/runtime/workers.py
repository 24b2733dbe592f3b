"""What workers may ask of the runtime: the whole of it, as `rpc` sees it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from starflow_backends.store import StoreError
from starflow_service.runtime.calls import Calls
from starflow_service.runtime.clock import Clock
from starflow_service.runtime.elsewhere import Elsewhere
from starflow_service.runtime.errors import (
    DrainingError,
    RateLimitedError,
    StoreDownError,
    WorkerNotRegisteredError,
)
from starflow_service.runtime.options import Options
from starflow_service.runtime.pending import Session
from starflow_service.runtime.queues import Queues
from starflow_service.runtime.registry import Registry, Sessions
from starflow_service.runtime.reports import Reports
from starflow_service.runtime.streams import Stream
from starflow_service.runtime.types import (
    Completion,
    Directive,
    FunctionSpec,
    PollRequest,
    Task,
    TaskBeat,
    TaskReport,
    WorkerInfo,
)
from starflow_service.runtime.workforce import Workforce

# A worker that was not heard of for so many intervals of heartbeats is quiet.
_HEARTBEATS = 1.5


class Workers:
    """The workers of one server, and what they do with the calls that it owns."""

    def __init__(
        self,
        options: Options,
        clock: Clock,
        registry: Registry,
        calls: Calls,
        reports: Reports,
    ) -> None:
        self._options = options
        self._clock = clock
        self._registry = registry
        self._calls = calls
        self._reports = reports
        self._sessions = Sessions()
        self.force = Workforce(options, clock, registry, self._sessions, calls)
        self._is_draining = False
        self._streams: set[Stream] = set()
        # Heartbeats that are held back.
        self._staying: set[asyncio.Event] = set()

    def drain(self) -> None:
        """Answer what waits, and hand out nothing more; reports are still taken."""
        self._is_draining = True
        for news in self._staying:
            news.set()
        for stream in self._streams:
            stream.wake()
        self._calls.queues.wake_all()

    def sweep(self) -> None:
        """Take back what silent workers hold, and forget those that hold nothing."""
        self._calls.sweep()
        self._sessions.forget_silent(self._clock.monotonic())

    async def register(
        self, namespace: str, worker: WorkerInfo, functions: Sequence[FunctionSpec]
    ) -> list[str]:
        """Take a worker and its functions; return the names whose spec changed."""
        self._refuse_if_draining()
        session = self._enter(namespace, worker.worker_id)
        try:
            changed = await self._registry.register(namespace, functions)
        except StoreError as error:
            raise StoreDownError(str(error)) from error
        if (elsewhere := self._calls.elsewhere) is not None:
            elsewhere.registered(namespace, [spec.name for spec in functions])
        session.info = worker
        self._sessions.offer(session, [spec.name for spec in functions])
        return changed

    @contextlib.contextmanager
    def stream(
        self, namespace: str, worker_id: str, on_news: Callable[[], None]
    ) -> Iterator[Stream]:
        """
        Open a stream to a worker that has just registered.

        *on_news* is called when there may be something to take from it. An exception
        that leaves the context is taken for the worker's death if it is a cancellation.

        Raises:
            RateLimitedError: Too many streams are open.
        """
        if len(self._streams) >= self._options.waiting_polls_max:
            raise RateLimitedError(f"{len(self._streams)} streams are open")
        session = self._enter(namespace, worker_id)
        stream = Stream(session, self._calls, self._clock, self._options, on_news)
        self._streams.add(stream)
        broke_off = False
        try:
            yield stream
        except asyncio.CancelledError:
            broke_off = True
            raise
        finally:
            self._streams.discard(stream)
            stream.close(broke_off=broke_off)
            if broke_off and not session.streams and self._calls.elsewhere is not None:
                self._calls.elsewhere.doubt(session)

    @property
    def is_draining(self) -> bool:
        """Whether this server is shutting down."""
        return self._is_draining

    async def poll(self, request: PollRequest) -> list[Task]:
        """
        Lease tasks to a worker, waiting for the first.

        Raises:
            WorkerNotRegisteredError: It names no functions and never registered any.
            RateLimitedError: Too many polls wait.
        """
        self._refuse_if_draining()
        session = self._sessions.find(request.namespace, request.worker_id)
        functions = request.functions or (session.functions if session else ())
        if not functions:
            raise WorkerNotRegisteredError(request.worker_id)
        if self._calls.queues.waiting_polls >= self._options.waiting_polls_max:
            raise RateLimitedError(f"{self._options.waiting_polls_max} polls wait")
        session = self._enter(request.namespace, request.worker_id)
        if not session.functions and session.polled != tuple(functions):
            self._sessions.offer(session, functions, by_poll=True)
        if session.is_drained:
            if session.knows_drained and request.wait_s > 0:
                # It did not listen, and would ask again and again.
                await self._stay(session, request.wait_s)
            session.knows_drained = True
            return []
        try:
            return await self._calls.poll(
                session,
                functions,
                poll_id=request.poll_id,
                tasks_max=min(request.max_tasks or 1, self._options.max_poll_tasks),
                bytes_max=request.max_bytes,
                wait_s=min(request.wait_s, self._options.max_wait_s),
            )
        except asyncio.CancelledError:
            self._doubt(session)
            raise

    async def complete(
        self, namespace: str, worker_id: str, reports: Sequence[TaskReport]
    ) -> list[Completion]:
        """Take reports on tasks; each is judged by itself."""
        session = self._enter(namespace, worker_id)
        if (elsewhere := self._calls.elsewhere) is not None:
            return await elsewhere.complete(session, reports)
        return await self._reports.complete(session, reports)

    async def renew(
        self, namespace: str, worker_id: str, beats: Sequence[TaskBeat]
    ) -> None:
        """Renew leases as `heartbeat` does, for a worker that hears by its stream."""
        await self._renew(self._enter(namespace, worker_id), beats)

    async def _renew(self, session: Session, beats: Sequence[TaskBeat]) -> None:
        if (elsewhere := self._calls.elsewhere) is not None:
            await elsewhere.renew(session, beats)
        else:
            self._calls.renew(session, beats)

    async def heartbeat(
        self,
        namespace: str,
        worker_id: str,
        beats: Sequence[TaskBeat],
        wait_s: float = 0.0,
    ) -> list[Directive]:
        """
        Renew the leases of the tasks that a worker holds; return those to stop.

        If there are none, the answer waits up to *wait_s* for one, or for the worker
        to be drained: a wait that is cancelled before is taken for the worker's death.

        Raises:
            WorkerNotRegisteredError: The worker is unknown and holds nothing.
            RateLimitedError: Too many heartbeats wait.
        """
        session = self._sessions.find(namespace, worker_id)
        if session is None:
            if not beats:
                raise WorkerNotRegisteredError(worker_id)
            session = self._enter(namespace, worker_id)
        session.heard_of(self._clock.monotonic())
        await self._renew(session, beats)
        if wait_s > 0 and not (session.directives or self._is_draining):
            await self._stay(session, wait_s)
        return session.take_directives()

    async def _stay(self, session: Session, wait_s: float) -> None:
        """Hold a heartbeat; whoever hangs up meanwhile may have died."""
        if len(self._staying) >= self._options.waiting_polls_max:
            raise RateLimitedError(f"{len(self._staying)} heartbeats wait")
        news = asyncio.Event()
        self._staying.add(news)
        session.listeners.add(news.set)
        try:
            async with asyncio.timeout(min(wait_s, self._options.max_wait_s)):
                await news.wait()
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self._doubt(session)
            raise
        finally:
            session.listeners.discard(news.set)
            self._staying.discard(news)

    async def drain_worker(self, namespace: str, worker_id: str) -> int:
        """
        Give a worker no more tasks; return how many it holds.

        Raises:
            WorkerNotRegisteredError: The worker is unknown.
        """
        session = self._sessions.find(namespace, worker_id)
        if session is None:
            raise WorkerNotRegisteredError(worker_id)
        session.is_drained = True
        session.wake()
        return len(session.held)

    def is_drained(self, namespace: str, worker_id: str) -> bool:
        """Whether somebody asked the worker to end."""
        session = self._sessions.find(namespace, worker_id)
        return session is not None and session.is_drained

    def _doubt(self, session: Session) -> None:
        """A call of the worker that waited broke off: it may have died."""
        self._calls.suspect(session)
        if (elsewhere := self._calls.elsewhere) is not None:
            elsewhere.doubt(session)

    # For the workers of other servers

    def share(self, elsewhere: Elsewhere) -> None:
        """Have *elsewhere* asked for what this server does not have."""
        self._calls.elsewhere = elsewhere
        self._registry.is_shared = True
        self._calls.queues.on_wait = elsewhere.wait

    @property
    def queues(self) -> Queues:
        """The calls of this server, and who waits for calls."""
        return self._calls.queues

    def session(self, namespace: str, worker_id: str) -> Session:
        """Return the session of a worker, whether or not it is heard of now."""
        return self._sessions.enter(namespace, worker_id)

    def heard_of(self, session: Session) -> None:
        """The worker showed life, here or at another server."""
        session.heard_of(self._clock.monotonic())

    def is_quiet(self, session: Session) -> bool:
        """Whether the worker has said nothing for longer than it should."""
        quiet_s = self._clock.monotonic() - session.seen_at
        return quiet_s > _HEARTBEATS * self._options.heartbeat_s

    def find(self, namespace: str, worker_id: str) -> Session | None:
        """Return the session of a worker, if it is known here."""
        return self._sessions.find(namespace, worker_id)

    def is_held(self, token: str) -> bool:
        """Whether a worker has the task, by what this server knows."""
        return self._calls.is_leased(token)

    async def take_here(self, request: PollRequest) -> list[Task]:
        """Lease calls of this server, without waiting."""
        if self._is_draining:
            return []
        return await self._calls.poll(
            self._enter(request.namespace, request.worker_id),
            request.functions,
            poll_id=request.poll_id,
            tasks_max=min(request.max_tasks, self._options.max_poll_tasks),
            bytes_max=request.max_bytes,
            wait_s=0.0,
            only_here=True,
        )

    async def complete_here(
        self, session: Session, reports: Sequence[TaskReport]
    ) -> list[Completion]:
        """Take reports on calls of this server; see `Reports.complete`."""
        session.heard_of(self._clock.monotonic())
        return await self._reports.complete(session, reports)

    def renew_here(self, session: Session, beats: Sequence[TaskBeat]) -> None:
        """Renew the leases of calls of this server; the session hears what it lost."""
        session.heard_of(self._clock.monotonic())
        self._calls.renew(session, beats)

    def doubt_here(self, session: Session, tokens: Iterable[str]) -> None:
        """A worker may have died that had *tokens* through another server."""
        self._calls.doubt(session, tokens)

    async def refresh(self, namespace: str, functions: Sequence[str]) -> None:
        """
        Read specifications that were registered with another server.

        Raises:
            StoreError: The store failed.
        """
        await self._registry.refresh(namespace, functions)

    def _enter(self, namespace: str, worker_id: str) -> Session:
        session = self._sessions.enter(namespace, worker_id)
        session.heard_of(self._clock.monotonic())
        return session

    def _refuse_if_draining(self) -> None:
        if self._is_draining:
            raise DrainingError
