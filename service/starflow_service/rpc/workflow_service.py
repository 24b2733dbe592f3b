"""WorkflowService: how clients start runs, signal them, and look at them."""

import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from starflow.v1 import run_pb2
from starflow.v1 import workflow_service_pb2 as pb
from starflow.v1.workflow_service_pb2_grpc import WorkflowServiceServicer
from starflow_service import __version__
from starflow_service.engine.events import Result
from starflow_service.engine.machine import LANGUAGE_VERSION
from starflow_service.rpc import fields, lists, scripts
from starflow_service.rpc.event_stream import EventStream, Selection
from starflow_service.rpc.payloads import Payloads
from starflow_service.rpc.routing import Route
from starflow_service.rpc.runs import fill_run
from starflow_service.rpc.times import set_ns, set_seconds
from starflow_service.rpc.waiting import wait_budget_s
from starflow_service.runtime.errors import FieldInvalidError, RunMovingError
from starflow_service.runtime.options import Options
from starflow_service.runtime.runtime import Runtime
from starflow_service.runtime.types import (
    ConflictPolicy,
    Disposition,
    StartRequest,
    Until,
)
from starflow_service.starlark.bundle import Source

T = TypeVar("T")

Context = grpc.aio.ServicerContext[Any, Any]
_Signalled = Coroutine[Any, Any, tuple[Disposition, int]]

KEEPALIVE_S = 15.0
# What a client may ask for before it relies on it.
CAPABILITIES = (
    "branches",
    "bundles",
    "call-options",
    "cancel-run",
    "delete-run",
    "held-heartbeats",
    "list-runs",
    "list-workers",
    "named-signals",
    "queues",
    "replicas",
    "restarts",
    "unpause-run",
    "worker-stream",
)

_POLICIES = {
    pb.RUN_ID_CONFLICT_POLICY_UNSPECIFIED: ConflictPolicy.ATTACH_SAME,
    pb.RUN_ID_CONFLICT_POLICY_ATTACH_SAME: ConflictPolicy.ATTACH_SAME,
    pb.RUN_ID_CONFLICT_POLICY_ATTACH_ANY: ConflictPolicy.ATTACH_ANY,
    pb.RUN_ID_CONFLICT_POLICY_FAIL: ConflictPolicy.FAIL,
}
_UNTILS = {
    pb.WAIT_UNTIL_UNSPECIFIED: Until.FINISHED_OR_YIELDED,
    pb.WAIT_UNTIL_FINISHED_OR_YIELDED: Until.FINISHED_OR_YIELDED,
    pb.WAIT_UNTIL_FINISHED: Until.FINISHED,
}
_SEVERITIES = {"error": pb.SEVERITY_ERROR, "warning": pb.SEVERITY_WARNING}
_DURABILITIES = {
    "memory": pb.DURABILITY_MEMORY,
    "process": pb.DURABILITY_PROCESS,
    "disk": pb.DURABILITY_DISK,
}


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What GetServerInfo tells of the store."""

    kind: str
    # The value of a `starflow_backends.store.Durability`.
    durability: str


class WorkflowService(WorkflowServiceServicer):
    """Translates for clients; see ``workflow_service.proto``."""

    def __init__(
        self,
        runtime: Runtime,
        store: StoreFacts,
        route: Route,
        *,
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        self._runtime = runtime
        self._options = runtime.options
        self._payloads = Payloads(runtime.options.limits)
        self._store = store
        self._route = route
        self._keepalive_s = keepalive_s
        # Set by the server when it begins to stop.
        self.is_draining = False

    async def Run(self, request: pb.RunRequest, context: Context) -> pb.RunResponse:
        """Start a run, and wait for it if asked to."""
        until = _chosen("wait_until", request.wait_until, _UNTILS)
        # Read twice: what is malformed is refused before a run is started for it.
        fields.wait_s(request.wait)
        start = await self._payloads.read(
            request.input.ByteSize(), lambda p: self._start(request, p)
        )
        view, is_created = await self._runtime.start_run(start)
        wait_s = self._wait_budget_s(context, request)
        if wait_s:
            # A run that moves away is waited for where it is then.
            with contextlib.suppress(RunMovingError):
                view = await self._runtime.wait_run(
                    view.namespace, view.run_id, until, wait_s
                )
        response = pb.RunResponse(created=is_created)
        fill_run(response.run, view, is_full=True)
        return response

    async def GetRun(
        self, request: pb.GetRunRequest, context: Context
    ) -> pb.GetRunResponse:
        """Return a run, and wait for it first if asked to."""
        namespace = fields.namespace(request.namespace)
        run_id = fields.run_id(request.run_id)
        until = _chosen("wait_until", request.wait_until, _UNTILS)
        wait_s = self._wait_budget_s(context, request)
        if wait_s:
            view = await self._runtime.wait_run(namespace, run_id, until, wait_s)
        else:
            view = await self._runtime.get_run(namespace, run_id)
        response = pb.GetRunResponse()
        is_full = request.view != run_pb2.RUN_VIEW_BASIC
        fill_run(response.run, view, is_full=is_full)
        # A run whose START cannot be read has no script to show.
        if request.view == run_pb2.RUN_VIEW_WITH_SCRIPT and view.script_hash:
            script = await self._runtime.script(view.script_hash)
            scripts.fill_script(response.run, script)
        return response

    async def ListRuns(
        self, request: pb.ListRunsRequest, context: Context
    ) -> pb.ListRunsResponse:
        """Return a page of runs."""
        return await lists.list_runs(self._runtime, request)

    async def Signal(
        self, request: pb.SignalRequest, context: Context
    ) -> pb.SignalResponse:
        """Deliver a value to a run."""
        result = await self._payloads.read(
            request.ByteSize(), lambda p: self._result(request, p)
        )
        if request.WhichOneof("target") == "name":
            signal = self._signal_by_name(request, result)
        else:
            signal = self._signal_by_id(request, result)
        disposition, version = await signal
        response = pb.SignalResponse(resume_version=version)
        response.disposition = disposition.value  # type: ignore[assignment]
        return response

    async def CancelRun(
        self, request: pb.CancelRunRequest, context: Context
    ) -> pb.CancelRunResponse:
        """Ask a run to end."""
        view = await self._runtime.cancel_run(
            fields.namespace(request.namespace),
            fields.run_id(request.run_id),
            fields.reason(request.reason),
        )
        response = pb.CancelRunResponse()
        fill_run(response.run, view, is_full=True)
        return response

    async def TerminateRun(
        self, request: pb.TerminateRunRequest, context: Context
    ) -> pb.TerminateRunResponse:
        """End a run without its script."""
        view = await self._runtime.terminate_run(
            fields.namespace(request.namespace),
            fields.run_id(request.run_id),
            fields.reason(request.reason),
        )
        response = pb.TerminateRunResponse()
        fill_run(response.run, view, is_full=True)
        return response

    async def DeleteRun(
        self, request: pb.DeleteRunRequest, context: Context
    ) -> pb.DeleteRunResponse:
        """Remove a finished run."""
        return await lists.delete_run(self._runtime, request)

    async def UnpauseRun(
        self, request: pb.UnpauseRunRequest, context: Context
    ) -> pb.UnpauseRunResponse:
        """Let a parked run try again."""
        view = await self._runtime.unpause_run(
            fields.namespace(request.namespace), fields.run_id(request.run_id)
        )
        response = pb.UnpauseRunResponse()
        fill_run(response.run, view, is_full=True)
        return response

    async def GetEvents(
        self, request: pb.GetEventsRequest, context: Context
    ) -> AsyncIterator[pb.GetEventsResponse]:
        """Stream a run's log."""
        stream = EventStream(
            self._route.logs,
            Selection.of(request),
            keepalive_s=self._keepalive_s,
            is_draining=lambda: self.is_draining,
        )
        async for batch in stream.batches():
            yield batch

    async def ValidateScript(
        self, request: pb.ValidateScriptRequest, context: Context
    ) -> pb.ValidateScriptResponse:
        """Check a script without running it."""
        namespace = fields.namespace(request.namespace)
        report = await self._runtime.validate(namespace, self._script(request))
        response = pb.ValidateScriptResponse(
            valid=report.valid,
            script_hash=report.script_hash,
            functions=report.functions,
        )
        for found in report.diagnostics:
            line, column = found.pos
            response.diagnostics.add(
                severity=_SEVERITIES[found.severity],
                code=found.code,
                message=found.message,
                line=line,
                column=column,
                hint=found.hint,
                file=found.file,
            )
        return response

    async def GetServerInfo(
        self, request: pb.GetServerInfoRequest, context: Context
    ) -> pb.GetServerInfoResponse:
        """Tell version, capabilities and limits."""
        response = pb.GetServerInfoResponse(
            version=__version__,
            durability=_DURABILITIES[self._store.durability],
            language_version=LANGUAGE_VERSION,
            store=self._store.kind,
            capabilities=CAPABILITIES,
        )
        _fill_limits(response.limits, self._options)
        return response

    async def ListReplicas(
        self, request: pb.ListReplicasRequest, context: Context
    ) -> pb.ListReplicasResponse:
        """Return the servers of the store."""
        found = await self._route.membership()
        response = pb.ListReplicasResponse(
            partitions=found.partitions, unowned_partitions=found.unowned
        )
        for each in found.replicas:
            replica = response.replicas.add(
                id=each.id,
                address=each.address,
                version=each.version,
                partitions=each.partitions,
                runs=each.runs,
                answers=each.answers,
            )
            set_ns(replica.start_time, each.start_ns)
            set_seconds(replica.lease_left, each.lease_left_s)
        return response

    def _start(self, request: pb.RunRequest, payloads: Payloads) -> StartRequest:
        source = request.WhichOneof("script_source")
        if source is None:
            raise FieldInvalidError("script", "is required, or bundle or script_hash")
        if source == "script_hash":
            fields.SCRIPT_HASH.check("script_hash", request.script_hash)
        return StartRequest(
            namespace=fields.namespace(request.namespace),
            run_id=fields.run_id(request.run_id) if request.run_id else "",
            script=self._script(request),
            script_hash=request.script_hash,
            input=payloads.text(request.input, "input"),
            policy=_chosen("conflict_policy", request.conflict_policy, _POLICIES),
            allow_unregistered=request.allow_unregistered,
            labels=fields.labels("labels", request.labels),
            headers=fields.headers(request.headers),
        )

    def _script(self, request: pb.RunRequest | pb.ValidateScriptRequest) -> Source:
        limits = self._options.limits
        if not request.HasField("bundle"):
            return scripts.text(request.script, limits)
        if request.script:
            raise FieldInvalidError(
                "bundle", "is there beside script: send one of them"
            )
        return scripts.bundle(request.bundle, limits)

    def _signal_by_id(self, request: pb.SignalRequest, result: Result) -> _Signalled:
        if request.request_id:
            problem = "is for signals by name: a signal_id takes one value anyway"
            raise FieldInvalidError("request_id", problem)
        return self._runtime.signal(
            fields.namespace(request.namespace),
            fields.run_id(request.run_id),
            fields.SIGNAL_ID.check("signal_id", request.signal_id),
            result,
            request.only_if_waiting,
        )

    def _signal_by_name(self, request: pb.SignalRequest, result: Result) -> _Signalled:
        return self._runtime.signal_by_name(
            fields.namespace(request.namespace),
            fields.run_id(request.run_id),
            fields.SIGNAL_NAME.check("name", request.name),
            fields.request_id(request.request_id),
            result,
            request.only_if_waiting,
        )

    def _result(self, request: pb.SignalRequest, payloads: Payloads) -> Result:
        if request.WhichOneof("result") != "failure":
            return payloads.text(request.output, "output")
        failure = request.failure
        details = None
        if failure.HasField("details"):
            details = payloads.text(failure.details, "failure.details")
        return fields.failure(failure, details)

    def _wait_budget_s(
        self, context: Context, request: pb.RunRequest | pb.GetRunRequest
    ) -> float:
        return wait_budget_s(context, request.wait, longest_s=self._options.max_wait_s)


def _chosen(field: str, number: int, choices: dict[Any, T]) -> T:
    """Return what the enum value *number* stands for."""
    if number not in choices:
        raise FieldInvalidError(field, f"has no value {number}")
    return choices[number]


def _fill_limits(message: pb.Limits, options: Options) -> None:
    limits = options.limits
    message.max_payload_bytes = limits.max_payload_bytes
    message.max_script_bytes = limits.max_source_bytes
    set_seconds(message.max_wait, options.max_wait_s)
    message.max_poll_tasks = options.max_poll_tasks
    message.max_payload_depth = limits.max_payload_depth
    message.max_integer_digits = limits.max_payload_digits
    message.max_steps = limits.max_steps
    message.max_allocated_bytes = limits.max_allocated_bytes
    message.max_events_per_run = limits.max_events
    message.max_open_calls = limits.max_open_calls
    set_ns(message.max_sleep, limits.max_sleep_ns)
    message.by_name.update(limits.by_name())
