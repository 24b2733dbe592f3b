"""Brings each call to the server that has its run, wherever it came in.

A run that nobody has at this moment is on its way from one server to another.  Its
calls wait here, for a bounded time, and the client sees nothing of it.  A call is sent
again after a broken link only because every method may be: that is a rule of the API.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import structlog
from google.rpc.status_pb2 import Status

from starflow.v1 import replica_service_pb2 as pb
from starflow.v1 import run_pb2
from starflow.v1 import workflow_service_pb2 as wf
from starflow_service.replicas.gather import drained, gathered
from starflow_service.replicas.link import (
    NOT_OWNER,
    OK,
    REFUSED,
    Link,
    LinkBrokenError,
    LinkFullError,
    Outcome,
)
from starflow_service.rpc.fields import DEFAULT_NAMESPACE
from starflow_service.rpc.routing import LogSource, Membership, Method, Serve
from starflow_service.rpc.status import ToldError, is_expected, status_of
from starflow_service.rpc.times import NS, get_ns, set_seconds
from starflow_service.rpc.workforce import MERGES
from starflow_service.runtime.errors import (
    FieldInvalidError,
    RateLimitedError,
    RunMovingError,
)
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import FINAL_STATES, RunState

T = TypeVar("T")

log = structlog.get_logger()

# How long a call looks for the owner of its run.
PATIENCE_S: Final = 5.0
# The same, once this server is about to end.
_DRAIN_S: Final = 1.0
# What the last step needs before the client's deadline.
_MARGIN_S: Final = 0.5
# Longer than any call waits that does not ask to.
_ANSWER_S: Final = 20.0
# How often to look whether somebody has the run, if no news of it comes.
_LOOK_S: Final = 0.25
_AGAIN_S: Final = 0.02
_NAMES_RUN: Final = frozenset(
    {"GetRun", "Signal", "CancelRun", "TerminateRun", "UnpauseRun", "DeleteRun"}
)
# Draws before a run is begun elsewhere: one in a million with 16 servers.
_DRAWS: Final = 200
_YIELDED: Final = (wf.WAIT_UNTIL_UNSPECIFIED, wf.WAIT_UNTIL_FINISHED_OR_YIELDED)

# Carries out what only servers ask each other.
Internal = Callable[[Link, bytes], Awaitable[bytes]]


class Router:
    """The calls of one server, and where they go."""

    def __init__(
        self,
        runtime: Runtime,
        links: Callable[[], Mapping[str, Link]],
        owned: Callable[[], frozenset[int]],
        membership: Callable[[], Any],
    ) -> None:
        self._runtime = runtime
        self._partitions = runtime.partitions
        self._links = links
        self._owned = owned
        self._membership = membership
        self._methods: Mapping[str, Method] = {}
        self.internal: dict[str, Internal] = {"ReadEvents": self._read_for_another}
        # Set, and replaced, when some server has other partitions than before.
        self._change = asyncio.Event()
        self._draining = asyncio.Event()
        self._drained_at = 0.0
        self._boot = secrets.token_hex(4)
        self._carried = 0

    def open(self, methods: Mapping[str, Method]) -> None:
        """Carry out *methods* for others from now on."""
        self._methods = methods

    def changed(self) -> None:
        """Somebody has other partitions than before: look again."""
        self._change.set()
        self._change = asyncio.Event()

    @property
    def is_draining(self) -> bool:
        """Whether this server is about to end."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Answer what waits for a run of another server: this one is about to end."""
        self._drained_at = time.monotonic()
        self._draining.set()

    def left_s(self, ends_at: float) -> float:
        """Return for how long an owner is still looked for, *ends_at* at the latest."""
        if self._draining.is_set():
            ends_at = min(ends_at, self._drained_at + _DRAIN_S)
        return ends_at - time.monotonic()

    async def unless_draining(self, asking: Coroutine[Any, Any, T]) -> T | None:
        """Return what *asking* does; None, and break it off, once this server ends."""
        ended = asyncio.create_task(self._draining.wait())
        asked = asyncio.create_task(asking)
        try:
            await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
            return asked.result() if asked.done() else None
        finally:
            for task in (asked, ended):
                task.cancel()

    # What `rpc` asks

    @property
    def logs(self) -> LogSource:
        """Where the log of a run is read; one for each who follows."""
        return _Logs(self, self._runtime)

    async def membership(self) -> Membership:
        """Return all servers."""
        found: Membership = await self._membership()
        return found

    def around(self, method: str, serve: Serve) -> Serve:
        """Return what carries out *method*, which *serve* does for runs of ours."""
        if method in _NAMES_RUN:
            return self._routed(method, serve)
        if method in MERGES:
            return gathered(
                method, serve, lambda: self._links().values(), self.ask_link
            )
        if method == "DrainWorker":
            return drained(serve, lambda: self._links().values(), self.ask_link)
        return self._routed_start(serve) if method == "Run" else serve

    def _routed(self, method: str, serve: Serve) -> Serve:
        async def carry_out(request: Any, context: Any) -> Any:
            run = _run_of(request)
            if self.is_here(run):
                with contextlib.suppress(RunMovingError):
                    return await serve(request, context)
            return await self._bring(method, serve, run, request, context)

        return carry_out

    def _routed_start(self, serve: Serve) -> Serve:
        async def start(request: Any, context: Any) -> Any:
            began_at = time.monotonic()
            is_ours = not request.run_id
            if is_ours:
                request.run_id = self._local_id(request.namespace)
            run = _run_of(request)
            response = None
            if self.is_here(run):
                with contextlib.suppress(RunMovingError):
                    response = await serve(request, context)
            if response is None:
                response = await self._bring("Run", serve, run, request, context)
            if not request.HasField("wait"):
                return response
            if isinstance(response, bytes):
                response = wf.RunResponse.FromString(response)
            response.created = response.created or is_ours
            return await self._wait_on(request, response, context, began_at)

        return start

    async def _wait_on(
        self,
        request: wf.RunRequest,
        response: wf.RunResponse,
        context: Any,
        since: float,
    ) -> wf.RunResponse:
        """Wait for a run whose server gave it away while the client waited."""
        ends_at = since + _wait_s(request, context, self._runtime.options.max_wait_s)
        get_run = self._methods["GetRun"].serve
        while not _holds(response.run, request.wait_until):
            left_s = ends_at - time.monotonic()
            if left_s < _MARGIN_S or self._draining.is_set():
                break
            asked = wf.GetRunRequest(
                namespace=request.namespace,
                run_id=request.run_id,
                wait_until=request.wait_until,
            )
            set_seconds(asked.wait, left_s)
            found = await self._routed("GetRun", get_run)(asked, context)
            if isinstance(found, bytes):
                found = wf.GetRunResponse.FromString(found)
            response.run.CopyFrom(found.run)
            await asyncio.sleep(_AGAIN_S)
        return response

    def _local_id(self, namespace: str) -> str:
        """Draw an id for a run that begins here, so that nothing has to be sent."""
        for _ in range(_DRAWS):
            run_id = secrets.token_hex(16)
            if self.is_here(f"{namespace or DEFAULT_NAMESPACE}/{run_id}"):
                break
        return run_id

    # Where a run is

    def is_here(self, run: str) -> bool:
        """Whether this server has *run*, by what it knows without asking."""
        partition = self._partitions.of(run)
        return partition in self._partitions.served and partition in self._owned()

    def link_to(self, run: str) -> Link | None:
        """Return the link to the server that has *run*, if there is one."""
        partition = self._partitions.of(run)
        for link in self._links().values():
            if partition in link.served:
                return link
        return None

    async def wait_changed(self, timeout_s: float) -> None:
        """Wait until some server has other partitions, or *timeout_s* is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._change.wait()

    # Calls of ours

    async def _bring(
        self, method: str, serve: Serve, run: str, request: Any, context: Any
    ) -> Any:
        """Carry out a call where its run is, as soon as somebody has it."""
        if method == "Signal" and request.name and not request.request_id:
            # It may have to be sent again.
            request.request_id = secrets.token_hex(16)
        began_at = time.monotonic()
        budget_s = _budget_s(request, context, self._runtime.options.max_wait_s)
        waits = "wait" in request.DESCRIPTOR.fields_by_name and request.HasField("wait")
        wait_s = get_ns(request.wait) / NS if waits else 0.0
        while True:
            if waits:
                left_s = max(0.0, wait_s - (time.monotonic() - began_at))
                waits = left_s > 0 and not self._draining.is_set()
                set_seconds(request.wait, left_s if waits else 0.0)
            if self.is_here(run):
                with contextlib.suppress(RunMovingError):
                    return await serve(request, context)
            else:
                asking = self.ask(run, method, request.SerializeToString(), context)
                data = await (self.unless_draining(asking) if waits else asking)
                if data is not None:
                    return data
                if waits and self._draining.is_set():
                    # Once more, without the wait.
                    continue
            left_s = self.left_s(began_at + budget_s)
            if left_s <= 0:
                raise RunMovingError(run)
            await self.wait_changed(min(left_s, _LOOK_S))

    async def ask(
        self, run: str, method: str, data: bytes, context: Any = None
    ) -> bytes | None:
        """
        Have the owner of *run* carry out *method*; None if that is nobody, or moves.

        Raises:
            ToldError: The owner refused.
            RateLimitedError: Too many calls wait for it.
        """
        link = self.link_to(run)
        if link is None:
            return None
        remaining_s = None if context is None else context.time_remaining()
        timeout_s = self._runtime.options.max_wait_s + _ANSWER_S
        if remaining_s is not None:
            timeout_s = max(0.001, min(timeout_s, remaining_s))
        return await self.ask_link(link, method, data, timeout_s)

    async def ask_link(
        self, link: Link, method: str, data: bytes, timeout_s: float
    ) -> bytes | None:
        """
        Have a server carry out *method*; None if that may have to be asked again.

        Raises:
            ToldError: It refused.
            RateLimitedError: Too many calls wait for it.
        """
        try:
            outcome, answer = await link.call(method, data, timeout_s)
        except (LinkBrokenError, TimeoutError):
            return None
        except LinkFullError as error:
            raise RateLimitedError(str(error)) from error
        if outcome == OK:
            return answer
        if outcome == REFUSED:
            raise ToldError(Status.FromString(answer))
        await asyncio.sleep(_AGAIN_S)
        return None

    # Calls of others

    async def carry_out(
        self, link: Link, method: str, data: bytes, remaining_s: float | None
    ) -> Outcome:
        """Carry out a call that came in elsewhere; it is never sent on."""
        try:
            if (internal := self.internal.get(method)) is not None:
                return OK, await internal(link, data)
            known = self._methods.get(method)
            if known is None:
                raise FieldInvalidError("method", f"there is no {method[:60]!a}")
            request = known.request.FromString(data)
            if hasattr(request, "run_id") and not self.is_here(_run_of(request)):
                return NOT_OWNER, b""
            response = await known.serve(request, _Elsewhere(remaining_s))
            return OK, response.SerializeToString()
        except RunMovingError:
            return NOT_OWNER, b""
        except Exception as error:
            self._carried += 1
            request_id = f"{self._boot}-link-{self._carried}"
            if not is_expected(error):
                log.error("replicas.failed", request_id=request_id, exc_info=error)
            return REFUSED, status_of(error, request_id).SerializeToString()

    async def _read_for_another(self, link: Link, data: bytes) -> bytes:
        request = pb.ReadEventsRequest.FromString(data)
        if not self.is_here(_run_of(request)):
            raise RunMovingError(_run_of(request))
        events, state, last = await self.read_here(request)
        response = pb.ReadEventsResponse(events=events, last_version=last)
        response.state = state.value
        return response.SerializeToString()

    async def read_here(
        self, request: pb.ReadEventsRequest
    ) -> tuple[list[bytes], RunState, int]:
        """Read a part of a log of ours, once there is one."""
        ends_at = time.monotonic() + request.wait_ms / 1000
        namespace, run_id = request.namespace, request.run_id
        async with self._runtime.watch(namespace, run_id) as watch:
            while True:
                found = await self._runtime.read_events(
                    namespace, run_id, request.from_version, request.limit
                )
                _, state, last = found
                left_s = ends_at - time.monotonic()
                is_news = last >= request.from_version or state in FINAL_STATES
                if is_news or not await watch.wait(left_s):
                    return found


class _Logs:
    """The log of a run, whoever has it."""

    def __init__(self, router: Router, runtime: Runtime) -> None:
        self._router = router
        self._runtime = runtime
        # The last version that was read.
        self.seen_version = 0

    @property
    def is_draining(self) -> bool:
        """Whether this server is about to end."""
        return self._router.is_draining

    async def read_events(
        self, namespace: str, run_id: str, from_version: int, limit: int
    ) -> tuple[list[bytes], RunState, int]:
        """Return stored events, the run's state, and the last version."""
        request = pb.ReadEventsRequest(
            namespace=namespace, run_id=run_id, from_version=from_version, limit=limit
        )
        found = await self.read(request, PATIENCE_S)
        self.seen_version = from_version - 1 + len(found[0])
        return found

    async def read(
        self, request: pb.ReadEventsRequest, patience_s: float
    ) -> tuple[list[bytes], RunState, int]:
        """Read where the run is, as soon as somebody has it."""
        run, ends_at = _run_of(request), time.monotonic() + patience_s
        while True:
            if self._router.is_here(run):
                with contextlib.suppress(RunMovingError):
                    return await self._router.read_here(request)
            elif data := await self._ask(run, request):
                found = pb.ReadEventsResponse.FromString(data)
                return list(found.events), RunState(found.state), found.last_version
            left_s = self._router.left_s(ends_at)
            if left_s <= 0 or (request.wait_ms and self.is_draining):
                raise RunMovingError(run)
            await self._router.wait_changed(min(left_s, _LOOK_S))

    async def _ask(self, run: str, request: pb.ReadEventsRequest) -> bytes | None:
        asking = self._router.ask(run, "ReadEvents", request.SerializeToString())
        if request.wait_ms:
            return await self._router.unless_draining(asking)
        return await asking

    @contextlib.asynccontextmanager
    async def watch(self, namespace: str, run_id: str) -> AsyncIterator["_Watching"]:
        """Watch a run for changes."""
        yield _Watching(self, namespace, run_id)


class _Watching:
    """Waits for the log of a run to grow, through whatever servers have it."""

    def __init__(self, logs: _Logs, namespace: str, run_id: str) -> None:
        self._logs = logs
        self._request = pb.ReadEventsRequest(namespace=namespace, run_id=run_id)

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there is more than was read; False when time is up."""
        ends_at = time.monotonic() + timeout_s
        seen_version = self._logs.seen_version
        while (left_s := ends_at - time.monotonic()) > 0:
            if self._logs.is_draining:
                return False
            self._request.from_version = seen_version + 1
            self._request.wait_ms = max(1, int(left_s * 1000))
            # A run that moves for long is no reason to end a stream: it has its signs
            # of life meanwhile.
            with contextlib.suppress(RunMovingError):
                _, state, last = await self._logs.read(self._request, left_s)
                if last > seen_version or state in FINAL_STATES:
                    return True
                await asyncio.sleep(_AGAIN_S)
        return False


class _Elsewhere:
    """What a servicer may ask of a call that came in at another server."""

    def __init__(self, remaining_s: float | None) -> None:
        self._ends_at = None if remaining_s is None else time.monotonic() + remaining_s

    def time_remaining(self) -> float | None:
        """Return for how many seconds the other server waits."""
        if self._ends_at is None:
            return None
        return max(0.0, self._ends_at - time.monotonic())


def _run_of(request: Any) -> str:
    return f"{request.namespace or DEFAULT_NAMESPACE}/{request.run_id}"


def _wait_s(request: Any, context: Any, longest_s: float) -> float:
    asked_s = min(get_ns(request.wait) / NS, longest_s)
    remaining_s = context.time_remaining()
    return asked_s if remaining_s is None else min(asked_s, remaining_s - _MARGIN_S)


def _budget_s(request: Any, context: Any, longest_s: float) -> float:
    """Return for how long the owner of a run may be looked for."""
    patience_s = PATIENCE_S
    if "wait" in request.DESCRIPTOR.fields_by_name and request.HasField("wait"):
        patience_s = max(patience_s, min(get_ns(request.wait) / NS, longest_s))
    remaining_s: float | None = context.time_remaining()
    if remaining_s is None:
        return patience_s
    return min(patience_s, remaining_s - _MARGIN_S)


def _holds(run: run_pb2.Run, until: int) -> bool:
    if RunState(int(run.state)) in FINAL_STATES or run.pause_reason:
        return True
    return run.state == run_pb2.RUN_STATE_YIELDED and until in _YIELDED
