"""What other servers have for the workers of this one.

No server is asked for more than one of our workers waits for at this moment, so nothing
is leased to somebody who cannot take it.  Each server knows which functions are wanted
here, says once when it has calls of them, and is then asked for as many as fit.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Final

import structlog

from starflow.v1 import replica_service_pb2 as pb
from starflow.v1 import worker_service_pb2 as wk
from starflow_backends.store import StoreError
from starflow_service.replicas import wire
from starflow_service.replicas.link import (
    OK,
    Link,
    LinkBrokenError,
    LinkFullError,
    Outcome,
)
from starflow_service.replicas.router import PATIENCE_S, Router
from starflow_service.rpc.tasks import INPUTS_MAX
from starflow_service.runtime.errors import RunMovingError
from starflow_service.runtime.pending import Session
from starflow_service.runtime.queues import QueueName, Waiter
from starflow_service.runtime.types import (
    Completion,
    ReleaseResult,
    Task,
    TaskBeat,
    TaskReport,
)
from starflow_service.runtime.workers import Workers

log = structlog.get_logger()

# Another server has a second to lease tasks; later they go back.
_TAKE_S: Final = 1.0
_RENEW_S: Final = 1.5
_COMPLETE_S: Final = 10.0
_LOOK_S: Final = 0.25
# A function that nobody waits for is wanted for so long, because somebody will again.
_WANTED_S: Final = 10.0
_SWEEP_S: Final = 2.0
_POLLS_KEPT: Final = 10_000


class Supply:
    """See `runtime.elsewhere.Elsewhere`."""

    def __init__(
        self,
        workers: Workers,
        router: Router,
        links: Callable[[], Mapping[str, Link]],
        on_shown: Callable[[Sequence[str]], None],
    ) -> None:
        # Told of tasks of this server that a worker shows here.
        self._on_shown = on_shown
        self._workers = workers
        self._router = router
        self._links = links
        # Functions wanted here, and when a worker waited for them last.
        self._wanted: dict[QueueName, float] = {}
        # Who has calls of a function, the longest known first.
        self._offers: dict[QueueName, dict[Link, None]] = {}
        self._is_their_turn = False
        # Polls that were answered by another server, for those that come again.
        self._polls: OrderedDict[tuple[str, str, str], Link] = OrderedDict()
        self._fetches: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to forget what nobody waits for any more."""
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Fetch nothing more."""
        tasks = list(self._fetches)
        if self._sweeper is not None:
            tasks.append(self._sweeper)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # What links say

    def greet(self, link: Link) -> None:
        """Tell a server that has just come what is wanted here."""
        link.frame().wanted.extend(map(_text_of, self._wanted))

    def forget(self, link: Link) -> None:
        """A server is gone, and what it offered with it."""
        for name in list(self._offers):
            self._withdraw(name, link)
        for key in [key for key, known in self._polls.items() if known is link]:
            del self._polls[key]

    def note(self, link: Link, frame: pb.Frame) -> None:
        """Take what *frame* says of calls, functions, and tasks of ours."""
        for text in frame.offered:
            namespace, _, function = text.partition("/")
            self._offer((namespace, function), link)
        for each in frame.directives:
            session = self._workers.find(each.namespace, each.worker_id)
            if session is None:
                continue
            for told in wire.directives_of([each.directive]):
                session.tell(told.token, told.action, told.reason)
        if frame.registered:
            self._start(self._refresh(list(frame.registered)))

    async def _refresh(self, registered: Iterable[str]) -> None:
        for text in registered:
            namespace, _, function = text.partition("/")
            try:
                await self._workers.refresh(namespace, [function])
            except StoreError as error:
                # Whoever needs it looks again.
                log.warning("replicas.refresh_failed", error=str(error))

    # What is wanted

    def wait(self, waiter: Waiter) -> None:
        """*waiter* has room: tell who does not know, and fetch what is known."""
        if waiter.session is None:
            return
        now = time.monotonic()
        fresh = [name for name in waiter.names if name not in self._wanted]
        for name in waiter.names:
            self._wanted[name] = now
        if fresh:
            texts = [_text_of(name) for name in fresh]
            for link in self._links().values():
                link.frame().wanted.extend(texts)
        if self._offers:
            self._fetch_for(waiter)

    def has_turn(self, functions: Sequence[QueueName]) -> bool:
        """Whether another server should be asked first: every other time."""
        if not self._offers or not any(name in self._offers for name in functions):
            return False
        self._is_their_turn = not self._is_their_turn
        return self._is_their_turn

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            for name in list(self._wanted):
                if self._waiters(name):
                    self._wanted[name] = time.monotonic()
                elif time.monotonic() - self._wanted[name] > _WANTED_S:
                    del self._wanted[name]
                    self._unwant(name)

    def _unwant(self, name: QueueName) -> None:
        for link in self._links().values():
            link.frame().unwanted.append(_text_of(name))

    def _waiters(self, name: QueueName) -> list[Waiter]:
        waiters = self._workers.queues.waiters(name)
        return [waiter for waiter in waiters if waiter.session is not None]

    # Fetching

    def _offer(self, name: QueueName, link: Link) -> None:
        self._offers.setdefault(name, {})[link] = None
        waiters = self._waiters(name)
        for waiter in waiters:
            if waiter.room:
                self._fetch_for(waiter)
                break
        else:
            if not waiters and name not in self._wanted:
                self._withdraw(name, link)
                link.frame().unwanted.append(_text_of(name))

    def _withdraw(self, name: QueueName, link: Link) -> None:
        links = self._offers.get(name, {})
        links.pop(link, None)
        if not links:
            self._offers.pop(name, None)

    def _known(self, names: Sequence[QueueName]) -> tuple[Link, list[QueueName]] | None:
        """Return a server that has calls of *names*, and of which, and forget it."""
        first = next((name for name in names if name in self._offers), None)
        if first is None:
            return None
        link = next(iter(self._offers[first]))
        offered = [name for name in names if link in self._offers.get(name, ())]
        for name in offered:
            self._withdraw(name, link)
        return link, offered

    def _fetch_for(self, waiter: Waiter) -> None:
        if not waiter.room or (known := self._known(waiter.names)) is None:
            return
        room = waiter.begin_fetch()
        self._start(self._fetch(waiter, room, *known))

    async def _fetch(
        self, waiter: Waiter, room: int, link: Link, names: Sequence[QueueName]
    ) -> None:
        session = waiter.session
        assert session is not None, "only workers of this server fetch"
        tasks: list[Task] = []
        try:
            tasks = await self._take_from(
                link,
                session,
                names,
                tasks_max=room,
                waited=self._workers.is_quiet(session),
            )
        finally:
            if not waiter.end_fetch(room, tasks) and tasks:
                self._start(self._release(session, tasks))
        if session.is_silent:
            # It is not there: whoever waits behind it is next.
            waiter.wake()
        elif waiter.room:
            # Calls may have come here meanwhile, or to a third.
            self._workers.queues.pass_on(waiter)
            self._fetch_for(waiter)

    async def take(
        self,
        session: Session,
        functions: Sequence[QueueName],
        *,
        poll_id: str,
        tasks_max: int,
        bytes_max: int,
    ) -> list[Task]:
        """Return tasks for a worker that does not wait: ask all, one by one."""
        key = session.namespace, session.worker_id, poll_id
        known = self._known(functions)
        first = [self._polls.get(key), known[0] if known else None]
        links = dict.fromkeys([*filter(None, first), *self._links().values()])
        for link in links:
            tasks = await self._take_from(
                link,
                session,
                functions,
                tasks_max=tasks_max,
                bytes_max=bytes_max,
                poll_id=poll_id,
            )
            if tasks:
                self._keep_poll(key, link)
                return tasks
        return []

    def _keep_poll(self, key: tuple[str, str, str], link: Link) -> None:
        if key[2]:
            self._polls[key] = link
            if len(self._polls) > _POLLS_KEPT:
                self._polls.popitem(last=False)

    async def _take_from(
        self,
        link: Link,
        session: Session,
        names: Sequence[QueueName],
        *,
        tasks_max: int,
        bytes_max: int = INPUTS_MAX,
        poll_id: str = "",
        waited: bool = False,
    ) -> list[Task]:
        request = pb.TakeRequest(waited=waited, bytes_max=bytes_max)
        poll = request.poll
        poll.namespace, poll.worker_id = session.namespace, session.worker_id
        poll.poll_id, poll.max_tasks = poll_id, tasks_max
        poll.functions.extend(function for _, function in names)
        taking = asyncio.ensure_future(
            link.call("Take", request.SerializeToString(), _COMPLETE_S)
        )
        try:
            async with asyncio.timeout(_TAKE_S):
                outcome, data = await asyncio.shield(taking)
        except (LinkBrokenError, LinkFullError):
            return []
        except (TimeoutError, asyncio.CancelledError) as error:
            # Nobody waits for them any more.
            self._start(self._release_late(session, taking))
            if isinstance(error, TimeoutError):
                return []
            raise
        if outcome != OK:
            return []
        response = pb.TakeResponse.FromString(data)
        if response.silent:
            session.is_silent = True
        return [wire.task_of(task) for task in response.tasks]

    async def _release_late(
        self, session: Session, taking: "asyncio.Future[Outcome]"
    ) -> None:
        with contextlib.suppress(LinkBrokenError, LinkFullError, TimeoutError):
            outcome, data = await taking
            if outcome == OK:
                response = pb.TakeResponse.FromString(data)
                await self._release(session, list(map(wire.task_of, response.tasks)))

    async def _release(self, session: Session, tasks: Sequence[Task]) -> None:
        """Give tasks back that came too late for whoever waited."""
        release = ReleaseResult("nobody waits for it any more")
        reports = [TaskReport(task.token, release) for task in tasks]
        if reports:
            # Whatever goes wrong, their leases end.
            with contextlib.suppress(Exception):
                await self.complete(session, reports)

    # Reports and leases

    async def complete(
        self, session: Session, reports: Sequence[TaskReport]
    ) -> list[Completion]:
        """Take reports where their runs are; the answers are in order."""
        is_here = self._router.is_here
        if all(is_here(_run_of(report.token)) for report in reports):
            with contextlib.suppress(RunMovingError):
                return await self._workers.complete_here(session, reports)
        return await self._complete_all(session, reports)

    async def _complete_all(
        self, session: Session, reports: Sequence[TaskReport]
    ) -> list[Completion]:
        answers: dict[int, Completion] = {}
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            missing = [n for n in range(len(reports)) if n not in answers]
            if not missing:
                return [answers[n] for n in range(len(reports))]
            groups = self._by_place(missing, [report.token for report in reports])
            found = await asyncio.gather(
                *(
                    self._complete_at(link, session, [reports[n] for n in numbers])
                    for link, numbers in groups.items()
                )
            )
            for numbers, completions in zip(groups.values(), found, strict=True):
                answers.update(zip(numbers, completions, strict=False))
            if len(answers) == len(reports):
                continue
            left_s = self._router.left_s(ends_at)
            if left_s <= 0:
                raise RunMovingError(_run_of(reports[missing[0]].token))
            await self._router.wait_changed(min(left_s, _LOOK_S))

    def _by_place(
        self, numbers: Iterable[int], tokens: Sequence[str]
    ) -> dict[Link | None, list[int]]:
        """Group tasks by who has their runs; None is this server."""
        groups: dict[Link | None, list[int]] = {}
        for number in numbers:
            run = _run_of(tokens[number])
            if self._router.is_here(run):
                groups.setdefault(None, []).append(number)
            elif (link := self._router.link_to(run)) is not None:
                groups.setdefault(link, []).append(number)
        return groups

    async def _complete_at(
        self, link: Link | None, session: Session, reports: Sequence[TaskReport]
    ) -> list[Completion]:
        """Return what became of *reports*; nothing if it is to be tried again."""
        if link is None:
            with contextlib.suppress(RunMovingError):
                return await self._workers.complete_here(session, reports)
            return []
        request = wk.CompleteTasksRequest(
            namespace=session.namespace, worker_id=session.worker_id
        )
        wire.fill_results(request, reports)
        data = await self._router.ask_link(
            link, "Complete", request.SerializeToString(), _COMPLETE_S
        )
        if data is None:
            return []
        return wire.completions_of(wk.CompleteTasksResponse.FromString(data))

    async def renew(self, session: Session, beats: Sequence[TaskBeat]) -> None:
        """Renew leases where their runs are; what moves keeps its lease meanwhile."""
        tokens = [beat.token for beat in beats]
        groups = self._by_place(range(len(beats)), tokens)
        here = groups.pop(None, None)
        if here is not None or not beats:
            self._on_shown([tokens[n] for n in here or ()])
            self._workers.renew_here(session, [beats[n] for n in here or ()])
        await asyncio.gather(
            *(
                self._renew_at(link, session, [beats[n] for n in numbers])
                for link, numbers in groups.items()
                if link is not None
            )
        )

    async def _renew_at(
        self, link: Link, session: Session, beats: Sequence[TaskBeat]
    ) -> None:
        request = wk.HeartbeatRequest(
            namespace=session.namespace, worker_id=session.worker_id
        )
        wire.fill_beats(request, beats)
        data = await self._router.ask_link(
            link, "Renew", request.SerializeToString(), _RENEW_S
        )
        if data is not None:
            response = wk.HeartbeatResponse.FromString(data)
            for told in wire.directives_of(response.directives):
                session.tell(told.token, told.action, told.reason)

    def doubt(self, session: Session) -> None:
        """Tell everybody that a worker may have died."""
        for link in self._links().values():
            link.frame().doubted.append(f"{session.namespace}/{session.worker_id}")

    def registered(self, namespace: str, functions: Sequence[str]) -> None:
        """Tell everybody of new functions."""
        texts = [f"{namespace}/{function}" for function in functions]
        for link in self._links().values():
            link.frame().registered.extend(texts)

    def _start(self, fetch: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(fetch)
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)


def _text_of(name: QueueName) -> str:
    return "/".join(name)


def _run_of(token: str) -> str:
    """Return the run of a task; anything for what is no token."""
    return token.rsplit("/", 4)[0]
