"""The client: starts runs, waits for them, signals them, reads their logs."""

# ruff: noqa: ASYNC109  `timeout` here bounds what the service does, not the await

import asyncio
import logging
import math
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, cast, overload

import grpc
import grpc.aio

from starflow import _convert, _failure, _model, _status, _tracing
from starflow._bundle import Bundle
from starflow._connection import (
    MESSAGE_BYTES_MAX,
    Backoff,
    Connection,
    ForkGuard,
    default_address,
    default_namespace,
)
from starflow._failure import Failure
from starflow._lists import PAGE_SIZE_MAX, run_filter
from starflow._model import Event, RunInfo, ServerInfo, SignalOutcome, Validation
from starflow._operations import Operations
from starflow._run import Run, outcome
from starflow.errors import (
    RateLimited,
    RequestError,
    StarflowError,
    TooLarge,
    Unavailable,
)
from starflow.v1 import payload_pb2, run_pb2
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1 import workflow_service_pb2_grpc as pb_grpc

T = TypeVar("T")
ConflictPolicy = Literal["attach_same", "attach_any", "fail"]

_logger = logging.getLogger("starflow.client")
# How long one request may wait at the server; long waits are repeated.
_WAIT_SECONDS_MAX = 20.0
# What a call gets on top of its wait before it counts as unanswered.
_MARGIN_SECONDS_MIN = 5.0
_MARGIN_SECONDS_MAX = 10.0
# The service speaks every 15 s while it follows a log; two missed words mean that
# nobody is there any more.
_SILENCE_SECONDS_MAX = 40.0
_CONFLICT_POLICIES = {
    "attach_same": pb.RUN_ID_CONFLICT_POLICY_ATTACH_SAME,
    "attach_any": pb.RUN_ID_CONFLICT_POLICY_ATTACH_ANY,
    "fail": pb.RUN_ID_CONFLICT_POLICY_FAIL,
}


class Client(Operations):
    """
    A connection to the service, for one event loop.

    The address is HOST:PORT. What is not given comes from STARFLOW_ADDRESS and
    STARFLOW_NAMESPACE, or is 127.0.0.1:7233 and "default".

    Every request is safe to send again, and is, while the service cannot be reached:
    for *patience* seconds before `Unavailable` is raised. `result` is as patient as
    its own timeout.

    Use it as `async with Client() as client`, or call `close` at the end.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        namespace: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        patience: float = 10.0,
    ) -> None:
        self.connection = Connection(
            address or default_address(), namespace or default_namespace(), credentials
        )
        self.patience = patience
        self._guard = ForkGuard()
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: pb_grpc.WorkflowServiceAsyncStub | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. What was started goes on."""
        channel, self._channel, self._opened = self._channel, None, None
        if channel is not None:
            await channel.close()

    async def start(
        self,
        script: str | Bundle | None = None,
        *,
        input: Any = None,
        run_id: str | None = None,
        script_hash: str | None = None,
        labels: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        conflict: ConflictPolicy = "attach_same",
        allow_unregistered: bool = False,
        wait: float = 0.0,
    ) -> Run:
        """
        Start a run of *script*, or of a stored script named by *script_hash*.

        A script is one text or, as a `Bundle`, several files.

        With a *run_id* of your own this is idempotent: the same id, script and input
        find the run that exists (*conflict* says what else may be found). Without one
        an id is made up, so that a repetition by the network starts nothing twice.
        *labels* are what `list` finds the run by. *headers* are handed to its functions
        as `ctx.headers`; in a program with OpenTelemetry they carry the trace, too.
        *wait* is how many seconds to stay for the run to finish or yield.

        Raises:
            ConversionError: *input* has no JSON form.
            ScriptInvalid: The script would not run.
            FunctionUnknown: It calls what no worker ever registered.
            RunIdConflict: The id is taken.
            RunDeleted: The id is that of a run that was deleted.
        """
        if (script is None) == (script_hash is None):
            raise TypeError("give either script or script_hash")
        request = pb.RunRequest(
            namespace=self.connection.namespace,
            run_id=run_id or uuid.uuid4().hex,
            conflict_policy=_CONFLICT_POLICIES[conflict],
            allow_unregistered=allow_unregistered,
            labels=labels,
            headers={**_tracing.outgoing(), **(headers or {})},
        )
        if script is not None:
            _fill_script(request, script)
        elif script_hash is not None:
            request.script_hash = script_hash
        if input is not None:
            request.input.json = _convert.encode(input)
        if wait > 0:
            request.wait.CopyFrom(_failure.duration(wait))
        response = await self._call("Run", request, wait=wait)
        return Run(self, _model.run_info(response.run), created=response.created)

    def run(self, run_id: str) -> Run:
        """Return a handle to the run *run_id*, without asking whether there is one."""
        return Run(self, RunInfo(run_id, self.connection.namespace, "UNKNOWN", 0))

    async def get(self, run_id: str, *, with_script: bool = False) -> RunInfo:
        """
        Return the run as it stands.

        Raises:
            RunNotFound: There is no such run.
        """
        view = run_pb2.RUN_VIEW_WITH_SCRIPT if with_script else run_pb2.RUN_VIEW_FULL
        request = pb.GetRunRequest(
            namespace=self.connection.namespace, run_id=run_id, view=view
        )
        return _model.run_info((await self._call("GetRun", request)).run)

    @overload
    async def result(
        self, run_id: str, *, timeout: float | None = ..., through_yields: bool = ...
    ) -> Any: ...
    @overload
    async def result(
        self,
        run_id: str,
        *,
        timeout: float | None = ...,
        through_yields: bool = ...,
        result_type: type[T],
    ) -> T: ...
    async def result(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        through_yields: bool = False,
        result_type: Any = None,
    ) -> Any:
        """
        Wait for the run and return its output, as *result_type* if given.

        Waits up to *timeout* seconds, or for ever, and keeps trying while the service
        is away. *through_yields* goes on waiting when the run needs a signal.

        Raises:
            RunFailed: It failed.
            RunCancelled: Somebody asked it to end; also a RunFailed.
            RunYielded: It waits for a signal.
            RunPaused: The service holds it back.
            ResultTimeout: It has not finished in time.
            RunNotFound: There is no such run.
            ConversionError: The output is not a *result_type*.
        """
        info = await self.wait(run_id, timeout=timeout, through_yields=through_yields)
        return outcome(info, timeout, result_type)

    async def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        through_yields: bool = False,
    ) -> RunInfo:
        """
        Wait until the run is finished, yields or is paused; return it as it stands.

        When *timeout* seconds have passed, it is returned as it stands then.

        Raises:
            RunNotFound: There is no such run.
            Unavailable: The service is away when the time is up.
        """
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        until = pb.WAIT_UNTIL_FINISHED if through_yields else pb.WAIT_UNTIL_UNSPECIFIED
        request = pb.GetRunRequest(
            namespace=self.connection.namespace, run_id=run_id, wait_until=until
        )
        while True:
            left = max(deadline - loop.time(), 0.0)
            seconds = min(left, _WAIT_SECONDS_MAX)
            request.wait.CopyFrom(_failure.duration(seconds))
            response = await self._call("GetRun", request, wait=seconds, patience=left)
            info = _model.run_info(response.run)
            has_yielded = info.state == "YIELDED" and not through_yields
            if info.finished or info.paused or has_yielded or loop.time() >= deadline:
                return info

    async def list(
        self,
        *,
        states: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        paused: bool | None = None,
        script_hash: str = "",
        prefix: str = "",
    ) -> AsyncGenerator[RunInfo, None]:
        """
        Yield the runs that are what is given, the newest first.

        One of *states*, with all of *labels*, begun since a time and *before* another,
        of the script *script_hash*, with an id that begins with *prefix*; only those
        that are *paused*, or that are not. Without any of it, all runs. They come
        without inputs, outputs and waits, which `get` returns.

        Raises:
            ValueError: There is no such state, or a time has no zone.
        """
        wanted = run_filter(
            states=states,
            labels=labels,
            since=since,
            before=before,
            paused=paused,
            script_hash=script_hash,
            prefix=prefix,
        )
        request = pb.ListRunsRequest(
            namespace=self.connection.namespace, filter=wanted, page_size=PAGE_SIZE_MAX
        )
        while True:
            response = await self._call("ListRuns", request)
            for run in response.runs:
                yield _model.run_info(run)
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    async def delete(self, run_id: str, *, missing_ok: bool = False) -> bool:
        """
        Delete a run that has finished, for good; return whether there was one.

        Its id stays refused for a day, unless the server is set otherwise, so that a
        late repetition of `start` does not start it anew.

        Raises:
            RunNotFinished: The run goes on; cancel or terminate it first.
            RunNotFound: There is no such run, and that is not *missing_ok*.
        """
        request = pb.DeleteRunRequest(
            namespace=self.connection.namespace, run_id=run_id, allow_missing=missing_ok
        )
        response: pb.DeleteRunResponse = await self._call("DeleteRun", request)
        return response.deleted

    async def signal(
        self,
        run_id: str,
        signal_id: str | None = None,
        output: Any = None,
        *,
        name: str | None = None,
        failure: Failure | None = None,
        only_if_waiting: bool = False,
        request_id: str | None = None,
    ) -> SignalOutcome:
        """
        Deliver *output*, or *failure*, to the call or the script that waits for it.

        A call that yielded waits for a *signal_id*, a script for a *name*. A signal
        that comes before the run waits for it is kept, unless *only_if_waiting*.

        Safe to repeat: a signal id takes one content, once. Signals by name are told
        apart by *request_id*; one is made up, so that a repetition by the network
        signals nothing twice. Give your own to repeat the request yourself.

        Raises:
            RunNotFound: There is no such run.
            SignalNotExpected: The run never had this signal id.
            SignalConflict: The signal came before, with another content.
            SignalsFull: The run holds too many signals that it has not taken.
            RunFinished: The run has finished.
        """
        if (signal_id is None) == (name is None):
            raise TypeError("give either signal_id or name")
        request = pb.SignalRequest(
            namespace=self.connection.namespace,
            run_id=run_id,
            only_if_waiting=only_if_waiting,
        )
        if name is not None:
            request.name = name
            request.request_id = request_id or uuid.uuid4().hex
        elif request_id is not None:
            raise TypeError("request_id is for signals by name")
        else:
            request.signal_id = signal_id or ""
        if failure is not None:
            request.failure.CopyFrom(_failure.to_pb(failure))
        else:
            request.output.CopyFrom(payload_pb2.Payload(json=_convert.encode(output)))
        return _model.signal_outcome(await self._call("Signal", request))

    async def cancel(self, run_id: str, reason: str = "") -> RunInfo:
        """
        Ask the run to end, because of *reason*; return it as it stands then.

        What it waits for is given up, and its deferred functions run. `wait` tells when
        it has ended. A run that was asked before is returned as it is.

        Raises:
            RunNotFound: There is no such run.
            RunFinished: The run has ended otherwise.
        """
        request = pb.CancelRunRequest(
            namespace=self.connection.namespace, run_id=run_id, reason=reason
        )
        return _model.run_info((await self._call("CancelRun", request)).run)

    async def terminate(self, run_id: str, reason: str = "") -> RunInfo:
        """
        End the run at once, without any more of its script; return it.

        For runs that `cancel` cannot end: those that are paused, or whose deferred
        functions hang.

        Raises:
            RunNotFound: There is no such run.
            RunFinished: The run has ended otherwise.
        """
        request = pb.TerminateRunRequest(
            namespace=self.connection.namespace, run_id=run_id, reason=reason
        )
        return _model.run_info((await self._call("TerminateRun", request)).run)

    async def unpause(self, run_id: str) -> RunInfo:
        """
        Let a run that the service paused try again; return it as it stands then.

        A run that is not paused is returned as it is.

        Raises:
            RunNotFound: There is no such run.
        """
        request = pb.UnpauseRunRequest(
            namespace=self.connection.namespace, run_id=run_id
        )
        return _model.run_info((await self._call("UnpauseRun", request)).run)

    async def events(
        self,
        run_id: str,
        *,
        from_version: int = 1,
        limit: int = 0,
        follow: bool = False,
        types: Iterable[str] = (),
        omit_payloads: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """
        Yield the events of the run's log, from *from_version* on.

        With *follow* it goes on with every new event until the run has finished, over
        broken connections and restarts of the service, without a gap or a repetition.

        Raises:
            RunNotFound: There is no such run.
            VersionOutOfRange: *from_version* lies beyond the log's end plus one.
            Unavailable: The service was away for longer than the client's patience.
        """
        request = pb.GetEventsRequest(
            namespace=self.connection.namespace,
            run_id=run_id,
            from_version=from_version,
            limit=limit,
            follow=follow,
            types=(f"EVENT_TYPE_{name}" for name in types),
            omit_payloads=omit_payloads,
        )
        # Whoever stops in the middle must not leave the server streaming.
        async with aclosing(self._batches(request)) as batches:
            async for batch in batches:
                for message in batch.events:
                    yield _model.event(message)

    async def validate(self, script: str | Bundle) -> Validation:
        """Check *script* without running it. A bad script is no error but an answer."""
        request = pb.ValidateScriptRequest(namespace=self.connection.namespace)
        _fill_script(request, script)
        return _model.validation(await self._call("ValidateScript", request))

    async def server_info(self) -> ServerInfo:
        """Return the server's version, capabilities and limits."""
        response = await self._call("GetServerInfo", pb.GetServerInfoRequest())
        return _model.server_info(response)

    @property
    def _stub(self) -> "pb_grpc.WorkflowServiceAsyncStub":
        self._guard.check()
        loop = asyncio.get_running_loop()
        if self._opened is None:
            # Not in __init__: a channel belongs to the loop that runs when it is made.
            self._loop = loop
            self._channel = self.connection.open()
            stub = pb_grpc.WorkflowServiceStub(self._channel)
            self._opened = cast("pb_grpc.WorkflowServiceAsyncStub", stub)
        elif self._loop is not loop:
            raise StarflowError(
                "this client belongs to another event loop: make one for each loop"
            )
        return self._opened

    async def _call(
        self,
        method: str,
        request: Any,
        *,
        wait: float = 0.0,
        patience: float | None = None,
        service: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Send *request* until it is answered or *patience* seconds have passed."""
        size = request.ByteSize()
        if size > MESSAGE_BYTES_MAX:
            problem = f"the request has {size} bytes, more than {MESSAGE_BYTES_MAX}"
            raise TooLarge(problem, status="INVALID_ARGUMENT", reason="TOO_LARGE")
        # The channel is there once it was asked for.
        stub: Any = self._stub
        if service is not None:
            stub = service(self._channel)
        send: Callable[..., Awaitable[Any]] = getattr(stub, method)
        patience = self.patience if patience is None else patience
        margin = min(max(patience, _MARGIN_SECONDS_MIN), _MARGIN_SECONDS_MAX)
        trial = _Trial(patience)
        while True:
            try:
                return await send(request, timeout=wait + margin)
            except grpc.aio.AioRpcError as error:
                await trial.pause(_status.request_error(error, self._address))

    async def _batches(
        self, request: pb.GetEventsRequest
    ) -> AsyncGenerator[pb.GetEventsResponse, None]:
        trial = _Trial(self.patience)
        limit = request.limit
        while True:
            try:
                async with aclosing(self._stream(request)) as batches:
                    async for batch in batches:
                        trial.succeeded()
                        request.from_version = batch.next_version
                        request.limit -= len(batch.events) if limit else 0
                        yield batch
                        if limit and request.limit <= 0:
                            return
            except grpc.aio.AioRpcError as error:
                await trial.pause(_status.request_error(error, self._address))
            except TimeoutError:
                silence = f"{self._address} has fallen silent"
                await trial.pause(Unavailable(silence, status="DEADLINE_EXCEEDED"))
            else:
                # A server that goes away ends its streams; only the run's end ends a
                # log that is followed.
                if not request.follow or await self._is_read(request):
                    return
                await trial.pause(Unavailable("the stream ended", status="UNAVAILABLE"))

    async def _is_read(self, request: pb.GetEventsRequest) -> bool:
        info = await self.get(request.run_id)
        return info.finished and info.version < request.from_version

    async def _stream(
        self, request: pb.GetEventsRequest
    ) -> AsyncGenerator[pb.GetEventsResponse, None]:
        call = self._stub.GetEvents(request)
        batches = aiter(call)
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS_MAX):
                    batch = await anext(batches, None)
                if batch is None:
                    return
                yield batch
        finally:
            call.cancel()

    @property
    def _address(self) -> str:
        return self.connection.address


def _fill_script(
    request: pb.RunRequest | pb.ValidateScriptRequest, script: str | Bundle
) -> None:
    if isinstance(script, Bundle):
        request.bundle.sources.update(script.sources)
        request.bundle.entry = script.entry
    else:
        request.script = script


class _Trial:
    """One request's way through an outage: pauses, and the end of patience."""

    def __init__(self, patience_seconds: float) -> None:
        self._backoff = Backoff()
        self._patience = patience_seconds
        self._since: float | None = None

    def succeeded(self) -> None:
        """Forget the outage: the service answered."""
        self._since = None
        self._backoff.reset()

    async def pause(self, error: RequestError) -> None:
        """Wait before another attempt, or raise *error* if that is of no use."""
        if not isinstance(error, Unavailable | RateLimited):
            raise error from None
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
            _logger.info("trying again: %s", error)
        seconds = self._backoff.next_seconds(error.retry_after_seconds)
        if now + seconds - self._since > self._patience:
            raise error from None
        await asyncio.sleep(seconds)
