"""What the workers of other servers want of the calls that this one owns.

Another server that has a worker for a function stands in the queue of that function
like a worker of our own.  When its turn comes it is told once, and then it takes; if it
does not within a moment, whoever waits behind it gets his turn.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from starflow.v1 import replica_service_pb2 as pb
from starflow.v1 import worker_service_pb2 as wk
from starflow_service.replicas import wire
from starflow_service.replicas.link import Link
from starflow_service.rpc.tasks import fill_completion, fill_directives, fill_tasks
from starflow_service.runtime.pending import Session
from starflow_service.runtime.queues import QueueName
from starflow_service.runtime.types import PollRequest, Task
from starflow_service.runtime.workers import Workers

# How long calls wait for a server that was told of them while others would take them.
_PATIENCE_S: Final = 0.05
# Tasks that may be known before those are forgotten that have ended.
_THROUGH_MIN: Final = 10_000


class Demand:
    """Everything that other servers want for their workers."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._waiting: dict[tuple[Link, QueueName], RemoteWaiter] = {}
        # Workers of other servers that have been given tasks, with what ends that.
        self._guests: dict[Link, dict[Session, Callable[[], None]]] = {}
        # Through which server a worker last said that it has a task, or got it.
        self._through: dict[str, Link] = {}
        self._through_max = _THROUGH_MIN

    def note(self, link: Link, frame: pb.Frame) -> None:
        """Take what *frame* says of wishes."""
        for text in frame.wanted:
            key = link, _name_of(text)
            if key not in self._waiting:
                self._waiting[key] = RemoteWaiter(self._workers, link, text)
            self._waiting[key].enter()
        for text in frame.unwanted:
            waiter = self._waiting.pop((link, _name_of(text)), None)
            if waiter is not None:
                waiter.close()
        for text in frame.doubted:
            session = self._workers.find(*_name_of(text))
            if session is not None:
                self._doubt(link, session)

    def forget(self, link: Link) -> None:
        """The server at the other end is gone, and its workers with it, perhaps."""
        for key in [key for key in self._waiting if key[0] is link]:
            self._waiting.pop(key).close()
        for session, leave in self._guests.pop(link, {}).items():
            leave()
            self._doubt(link, session)
        for token in [t for t, through in self._through.items() if through is link]:
            del self._through[token]

    def _doubt(self, link: Link, session: Session) -> None:
        """A worker may have died; what it showed elsewhere since is not concerned."""
        through = self._through
        tokens = [token for token in session.held if through.get(token) is link]
        self._workers.doubt_here(session, tokens)

    def shown(self, tokens: Iterable[str], link: Link | None) -> None:
        """Workers have *tokens*, and said so through *link*, or here."""
        for token in tokens:
            if link is None:
                self._through.pop(token, None)
            else:
                self._through[token] = link
        if len(self._through) > self._through_max:
            # Most of them have ended.
            self._through = {
                token: link
                for token, link in self._through.items()
                if self._workers.is_held(token)
            }
            self._through_max = max(_THROUGH_MIN, 2 * len(self._through))

    async def take(self, link: Link, data: bytes) -> bytes:
        """Lease tasks to a worker of another server."""
        request = pb.TakeRequest.FromString(data)
        poll = request.poll
        session = self._workers.session(poll.namespace, poll.worker_id)
        response = pb.TakeResponse()
        names = [(poll.namespace, function) for function in poll.functions]
        waiters = [self._waiting.get((link, name)) for name in names]
        if request.waited and session.is_silent:
            response.silent = True
            for waiter in filter(None, waiters):
                waiter.took()
                waiter.pass_on()
            return response.SerializeToString()
        if not request.waited:
            # Here it may have been missed: its stream to this server broke off, say.
            self._workers.heard_of(session)
        self._welcome(link, session)
        for waiter in filter(None, waiters):
            # What this leaves is offered anew, to whoever waits longest.
            waiter.took()
        tasks = await self._workers.take_here(
            PollRequest(
                namespace=poll.namespace,
                worker_id=poll.worker_id,
                poll_id=poll.poll_id,
                functions=poll.functions,
                max_tasks=poll.max_tasks,
                wait_s=0.0,
                max_bytes=request.bytes_max,
            )
        )
        self.shown([task.token for task in tasks], link)
        fill_tasks(response, tasks)
        return response.SerializeToString()

    async def complete(self, link: Link, data: bytes) -> bytes:
        """Take reports of a worker of another server."""
        request = wk.CompleteTasksRequest.FromString(data)
        session = self._workers.session(request.namespace, request.worker_id)
        reports = wire.reports_of(request)
        completions = await self._workers.complete_here(session, reports)
        response = wk.CompleteTasksResponse()
        for completion in completions:
            fill_completion(response.completions.add(), completion)
        return response.SerializeToString()

    async def renew(self, link: Link, data: bytes) -> bytes:
        """Renew leases of a worker of another server."""
        request = wk.HeartbeatRequest.FromString(data)
        session = self._workers.session(request.namespace, request.worker_id)
        self._welcome(link, session)
        beats = wire.beats_of(request)
        self.shown([beat.token for beat in beats], link)
        self._workers.renew_here(session, beats)
        response = wk.HeartbeatResponse()
        fill_directives(response, session.take_directives())
        return response.SerializeToString()

    def _welcome(self, link: Link, session: Session) -> None:
        """Let a worker of another server hear of its tasks through that server."""
        guests = self._guests.setdefault(link, {})
        if session in guests:
            return

        def tell() -> None:
            for each in session.take_directives():
                told = link.frame().directives.add(
                    namespace=session.namespace, worker_id=session.worker_id
                )
                told.directive.task_token = each.token
                told.directive.action = each.action.value  # type: ignore[assignment]
                told.directive.reason = each.reason

        session.listeners.add(tell)
        guests[session] = lambda: session.listeners.discard(tell)


class RemoteWaiter:
    """Another server in the queue of a function."""

    session = None

    def __init__(self, workers: Workers, link: Link, text: str) -> None:
        self.names: Sequence[QueueName] = (_name_of(text),)
        self._text = text
        self._workers = workers
        self._link = link
        self._is_told = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def takes(self) -> bool:
        """Whether it has not been told of calls that it did not take yet."""
        return not self._is_told

    @property
    def room(self) -> int:
        """How many calls it would take: one at least."""
        return 1

    def enter(self) -> None:
        """Stand in the queue; there may be calls already."""
        self._workers.queues.enter(self)
        self.pass_on()

    def wake(self) -> None:
        """Tell it that there are calls."""
        self._is_told = True
        self._link.frame().offered.append(self._text)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_PATIENCE_S, self.pass_on)

    def pass_on(self) -> None:
        """Let others have what it does not take; it still may."""
        self._workers.queues.pass_on(self)

    def took(self) -> None:
        """It takes now, and stands behind all others then."""
        self._is_told = False
        if self._timer is not None:
            self._timer.cancel()
        self._workers.queues.enter(self)

    def close(self) -> None:
        """It has no worker any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._is_told = True
        self._workers.queues.leave(self)

    def begin_fetch(self) -> int:
        """Fetch nothing: what it wants is here."""
        return 0

    def end_fetch(self, room: int, tasks: list[Task]) -> bool:
        """Nothing was fetched."""
        return not tasks


def _name_of(text: str) -> QueueName:
    namespace, _, function = text.partition("/")
    return namespace, function
