"""A service behind a real socket that does what a test tells it to.

It decides nothing by itself: tests put tasks and runs into it, take results out, and
break it. What the real service would do with them is the subject of other tests.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from starflow.v1 import event_pb2, failure_pb2, payload_pb2, run_pb2
from starflow.v1 import worker_service_pb2 as worker_pb2
from starflow.v1 import worker_service_pb2_grpc as worker_grpc
from starflow.v1 import workflow_service_pb2 as workflow_pb2
from starflow.v1 import workflow_service_pb2_grpc as workflow_grpc

# Nothing that a test waits for takes long; this only keeps a failing one from hanging.
PATIENCE_SECONDS = 20
# Short, so that a poll that nobody cancels does not outlive its test by much.
POLL_SECONDS_MAX = 2.0
APPLIED = worker_pb2.COMPLETION_STATUS_APPLIED
FINAL_STATES = frozenset(
    {
        run_pb2.RUN_STATE_SUCCEEDED,
        run_pb2.RUN_STATE_FAILED,
        run_pb2.RUN_STATE_CANCELLED,
    }
)


def abort(
    context: grpc.ServicerContext,
    code: grpc.StatusCode,
    reason: str = "",
    message: str = "as the test said",
    retry_after_seconds: float | None = None,
) -> None:
    """End a call as the service would: with a reason, unless the test wants none."""
    status = status_pb2.Status(code=code.value[0], message=message)
    if reason:
        info = error_details_pb2.ErrorInfo(domain="starflow.v1", reason=reason)
        status.details.add().Pack(info)
    if retry_after_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(retry_after_seconds * 1e9))
        status.details.add().Pack(retry)
    context.abort_with_status(rpc_status.to_status(status))


def unavailable(context: grpc.ServicerContext) -> None:
    abort(context, grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")


def internal(context: grpc.ServicerContext) -> None:
    abort(context, grpc.StatusCode.INTERNAL, "INTERNAL", "incident 4711")


def too_large(context: grpc.ServicerContext) -> None:
    abort(context, grpc.StatusCode.INVALID_ARGUMENT, "TOO_LARGE")


def not_registered(context: grpc.ServicerContext) -> None:
    abort(context, grpc.StatusCode.FAILED_PRECONDITION, "WORKER_NOT_REGISTERED")


class EndStream(Exception):
    """Raised by a fault: the stream ends, and gracefully."""


def end_stream(context: grpc.ServicerContext) -> None:
    raise EndStream


Fault = Callable[[grpc.ServicerContext], None]


class FakeService(
    worker_grpc.WorkerServiceServicer, workflow_grpc.WorkflowServiceServicer
):
    """Both services. Everything is guarded by one condition."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        # Every request so far, by method.
        self.requests: dict[str, list[Any]] = {}
        # The methods of all requests, in the order in which they came.
        self.order: list[str] = []
        # What goes wrong next, by method: each fault is used up by one call.
        self.faults: dict[str, deque[Fault]] = {}
        self.queue: deque[worker_pb2.Task] = deque()
        # What a poll leased, by its id, as if its answer might have been lost.
        self.polls: dict[str, list[worker_pb2.Task]] = {}
        self.lost_polls = 0
        self.results: dict[str, worker_pb2.TaskResult] = {}
        self.statuses: dict[str, Any] = {}
        self.abandoned: dict[str, str] = {}
        self.heartbeat_seconds = 60.0
        self.payload_bytes_max = 1024 * 1024
        self.is_draining = False
        # Whether workers are offered streams.
        self.has_streams = False
        # The most unused credit that a stream ever had.
        self.credit_max = 0
        # What the next messages of streams with results or progress are answered with.
        self.stream_errors: deque[worker_pb2.Rejection] = deque()
        # Whether streams are not answered, and whether workers are asked to end.
        self.is_mute = self.drained = False
        self.runs: dict[str, run_pb2.Run] = {}
        self.events: dict[str, list[event_pb2.Event]] = {}
        self.diagnostics: list[workflow_pb2.Diagnostic] = []
        self.disposition = workflow_pb2.SIGNAL_DISPOSITION_RESUMED
        self.address = ""
        self._server: grpc.Server | None = None
        self._port = 0
        self._tasks = 0

    # What tests do

    def start(self) -> None:
        """Serve, on the same port as before."""
        pool = futures.ThreadPoolExecutor(max_workers=16)
        # Without this a restarted server could share the port with its predecessor.
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        worker_grpc.add_WorkerServiceServicer_to_server(self, server)
        workflow_grpc.add_WorkflowServiceServicer_to_server(self, server)
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        self.address = f"127.0.0.1:{self._port}"
        server.start()
        self._server = server

    def stop(self) -> None:
        """Cut every connection, as a killed process would."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def fail(self, method: str, *faults: Fault) -> None:
        """Let the next calls of *method* end in these faults, one each."""
        with self.changed:
            self.faults.setdefault(method, deque()).extend(faults)

    def deliver(self, function: str, input: str = "null", **fields: Any) -> str:
        """Queue a task and return its token."""
        with self.changed:
            self._tasks += 1
            task = worker_pb2.Task(
                task_id=f"run/{self._tasks}",
                task_token=f"token-{self._tasks}",
                run_id="run",
                call_version=self._tasks,
                function=function,
                input=payload_pb2.Payload(json=input),
                attempt=1,
                signal_id=f"signal-{self._tasks}",
            )
            task.MergeFrom(worker_pb2.Task(**fields))
            self.queue.append(task)
            self.changed.notify_all()
            return task.task_token

    def result(self, token: str) -> worker_pb2.TaskResult:
        """Wait for the result of a task and return it."""
        return self.wait_for(lambda: self.results.get(token))

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """Wait until *condition* is truthy and return what it is."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_SECONDS), "nothing came"
            return condition()

    def wait_for_request(
        self,
        method: str,
        wanted: Callable[[Any], Any] = lambda _: True,
        *,
        after: int = 0,
    ) -> Any:
        """Wait for a request that is *wanted*, past the first *after* ones."""
        return self.wait_for(
            lambda: next(
                (r for r in self.requests.get(method, [])[after:] if wanted(r)), None
            )
        )

    def count(self, method: str) -> int:
        with self.changed:
            return len(self.requests.get(method, []))

    def put_run(self, run: run_pb2.Run) -> None:
        with self.changed:
            self.runs[run.run_id] = run
            self.changed.notify_all()

    def put_events(self, run_id: str, *events: event_pb2.Event) -> None:
        with self.changed:
            log = self.events.setdefault(run_id, [])
            for event in events:
                event.version = len(log) + 1
                log.append(event)
            self.runs[run_id].version = len(log)
            self.changed.notify_all()

    # What the service does

    def _note(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        fault = self._noted(method, request, context)
        if fault is not None:
            fault(context)

    def _noted(
        self, method: str, request: Any, context: grpc.ServicerContext
    ) -> Fault | None:
        """Note a request, and return what is to go wrong with it."""
        with self.changed:
            self.requests.setdefault(method, []).append(request)
            self.order.append(method)
            # Whoever waits for the condition must see that nobody waits for him.
            context.add_callback(self._wake)
            faults = self.faults.get(method)
            fault = faults.popleft() if faults else None
            self.changed.notify_all()
        return fault

    def _wake(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def RegisterFunction(self, request, context):
        self._note("RegisterFunction", request, context)
        interval = Duration()
        interval.FromNanoseconds(round(self.heartbeat_seconds * 1e9))
        return worker_pb2.RegisterFunctionResponse(
            heartbeat_interval=interval, lease=Duration(seconds=15)
        )

    def Poll(self, request, context):
        self._note("Poll", request, context)
        wait = min(request.wait.ToTimedelta().total_seconds(), POLL_SECONDS_MAX)
        with self.changed:
            if request.poll_id in self.polls:
                return worker_pb2.PollResponse(tasks=self.polls[request.poll_id])
            self.changed.wait_for(
                lambda: self.queue or not context.is_active() or self.is_draining, wait
            )
            if not context.is_active():
                return worker_pb2.PollResponse()
            count = min(len(self.queue), request.max_tasks)
            tasks = [self.queue.popleft() for _ in range(count)]
            if tasks:
                self.polls[request.poll_id] = tasks
            is_lost = bool(tasks) and self.lost_polls > 0
            self.lost_polls -= is_lost
        if is_lost:
            abort(context, grpc.StatusCode.UNAVAILABLE)
        return worker_pb2.PollResponse(tasks=tasks, draining=self.is_draining)

    def CompleteTasks(self, request, context):
        self._note("CompleteTasks", request, context)
        completions = self.completed(request.results)
        return worker_pb2.CompleteTasksResponse(completions=completions)

    def completed(
        self, results: Iterable[worker_pb2.TaskResult]
    ) -> list[worker_pb2.Completion]:
        with self.changed:
            for result in results:
                self.results[result.task_token] = result
            self.changed.notify_all()
            return [self._judge(result) for result in results]

    def WorkStream(self, requests, context):
        self._note("WorkStream", None, context)
        talk = StreamTalk(self, context)
        threading.Thread(target=talk.hear, args=(requests,), daemon=True).start()
        return talk.say()

    def _judge(self, result: worker_pb2.TaskResult) -> worker_pb2.Completion:
        waiting = self.statuses.get(result.task_token)
        if waiting:
            return waiting.popleft()
        return worker_pb2.Completion(
            task_token=result.task_token, status=worker_pb2.COMPLETION_STATUS_APPLIED
        )

    def Heartbeat(self, request, context):
        # One that may be held back tells of the worker's life, not of its tasks.  It is
        # answered at once all the same: threads are few here.
        may_be_held = request.HasField("wait")
        self._note("HeldHeartbeat" if may_be_held else "Heartbeat", request, context)
        return worker_pb2.HeartbeatResponse(
            lease=Duration(seconds=15), directives=self.directives(request.tasks)
        )

    def directives(
        self, tasks: Iterable[worker_pb2.TaskHeartbeat]
    ) -> list[worker_pb2.TaskDirective]:
        held = {task.task_token for task in tasks}
        return [
            worker_pb2.TaskDirective(
                task_token=token,
                action=worker_pb2.TASK_ACTION_ABANDON,
                reason=reason,
            )
            for token, reason in self.abandoned.items()
            if token in held
        ]

    def GetServerInfo(self, request, context):
        self._note("GetServerInfo", request, context)
        limits = workflow_pb2.Limits(
            max_payload_bytes=self.payload_bytes_max,
            max_poll_tasks=100,
            max_wait=Duration(seconds=60),
        )
        return workflow_pb2.GetServerInfoResponse(
            version="1.2.3",
            capabilities=["a", "b", *["worker-stream"] * self.has_streams],
            limits=limits,
            durability=workflow_pb2.DURABILITY_MEMORY,
            language_version=1,
            store="fake",
        )

    def Run(self, request, context):
        self._note("Run", request, context)
        with self.changed:
            created = request.run_id not in self.runs
            if created:
                self.runs[request.run_id] = run_pb2.Run(
                    namespace=request.namespace,
                    run_id=request.run_id,
                    state=run_pb2.RUN_STATE_PENDING,
                    input=request.input,
                )
            return workflow_pb2.RunResponse(
                run=self.runs[request.run_id], created=created
            )

    def GetRun(self, request, context):
        self._note("GetRun", request, context)
        final = set(FINAL_STATES)
        if request.wait_until != workflow_pb2.WAIT_UNTIL_FINISHED:
            final.add(run_pb2.RUN_STATE_YIELDED)
        seconds = request.wait.ToTimedelta().total_seconds()
        with self.changed:
            if request.run_id not in self.runs:
                abort(
                    context, grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND", "no such run"
                )
            self.changed.wait_for(
                lambda: (
                    self.runs[request.run_id].state in final or not context.is_active()
                ),
                seconds,
            )
            return workflow_pb2.GetRunResponse(run=self.runs[request.run_id])

    def Signal(self, request, context):
        self._note("Signal", request, context)
        return workflow_pb2.SignalResponse(
            disposition=self.disposition, resume_version=7
        )

    def CancelRun(self, request, context):
        self._note("CancelRun", request, context)
        return workflow_pb2.CancelRunResponse(run=self.runs[request.run_id])

    def TerminateRun(self, request, context):
        self._note("TerminateRun", request, context)
        return workflow_pb2.TerminateRunResponse(run=self.runs[request.run_id])

    def UnpauseRun(self, request, context):
        self._note("UnpauseRun", request, context)
        return workflow_pb2.UnpauseRunResponse(run=self.runs[request.run_id])

    def GetEvents(self, request, context) -> Iterator[workflow_pb2.GetEventsResponse]:
        self._note("GetEvents", request, context)
        version = max(request.from_version, 1)
        end = version + request.limit if request.limit else 1_000_000
        while version < end:
            batch = self._next_event(request, version, context)
            version += len(batch)
            yield workflow_pb2.GetEventsResponse(events=batch, next_version=version)
            if not batch:
                return
            try:
                self._note("batch", batch, context)
            except EndStream:
                return

    def _next_event(
        self, request: Any, version: int, context: grpc.ServicerContext
    ) -> list[event_pb2.Event]:
        # One event at a time, so that a test can break a stream between any two.
        log, run = self.events[request.run_id], self.runs[request.run_id]
        with self.changed:
            self.changed.wait_for(
                lambda: (
                    len(log) >= version
                    or not request.follow
                    or run.state in FINAL_STATES
                    or not context.is_active()
                )
            )
            return log[version - 1 : version]

    def ValidateScript(self, request, context):
        self._note("ValidateScript", request, context)
        errors = [
            d for d in self.diagnostics if d.severity == workflow_pb2.SEVERITY_ERROR
        ]
        return workflow_pb2.ValidateScriptResponse(
            valid=not errors,
            diagnostics=self.diagnostics,
            script_hash="ab" * 32,
            functions=["shop.charge"],
        )


class StreamTalk:
    """One stream of a worker: what it says is noted as if it came in requests."""

    def __init__(self, service: FakeService, context: grpc.ServicerContext) -> None:
        self._service = service
        self._context = context
        self._outgoing: deque[worker_pb2.WorkStreamResponse] = deque()
        self._credit = 0
        self._is_over = False
        self._fault: Fault | None = None

    def hear(self, requests: Iterator[worker_pb2.WorkStreamRequest]) -> None:
        with contextlib.suppress(grpc.RpcError):
            for request in requests:
                self._heard(request)
        with self._service.changed:
            self._is_over = True
            self._service.changed.notify_all()

    def _heard(self, request: worker_pb2.WorkStreamRequest) -> None:
        response = worker_pb2.WorkStreamResponse()
        if request.HasField("hello"):
            self._note("RegisterFunction", request.hello)
            response.welcome.heartbeat_interval.FromNanoseconds(
                round(self._service.heartbeat_seconds * 1e9)
            )
        if request.tasks:
            beat = worker_pb2.HeartbeatRequest(tasks=request.tasks)
            self._note("Heartbeat", beat)
            response.directives.extend(self._service.directives(request.tasks))
        errors = self._service.stream_errors
        if errors and (request.results or any(t.progress.json for t in request.tasks)):
            response.acknowledgements.add(
                sequence=request.sequence, error=errors.popleft()
            )
        elif request.results and not self._completed(request, response):
            return
        if request.sequence and not response.acknowledgements:
            response.acknowledgements.add(sequence=request.sequence)
        with self._service.changed:
            self._credit = 0 if request.drain else self._credit + request.credit
            self._service.credit_max = max(self._service.credit_max, self._credit)
            self._outgoing.append(response)
            self._service.changed.notify_all()
        if request.drain:
            self._note("Drain", request)

    def _completed(
        self,
        request: worker_pb2.WorkStreamRequest,
        response: worker_pb2.WorkStreamResponse,
    ) -> bool:
        complete = worker_pb2.CompleteTasksRequest(results=request.results)
        self._note("CompleteTasks", complete)
        if self._fault is not None:
            return False
        judged = self._service.completed(request.results)
        others = [each for each in judged if each.status != APPLIED]
        if others:
            response.acknowledgements.add(sequence=request.sequence, exceptions=others)
        return True

    def _note(self, method: str, request: Any) -> None:
        fault = self._service._noted(method, request, self._context)
        if fault is not None and fault not in (unavailable, internal, too_large):
            # It only waits for something, or looks at what came.
            fault(self._context)
        elif fault is not None:
            self._fault = fault
            self._service._wake()

    def say(self) -> Iterator[worker_pb2.WorkStreamResponse]:
        service, context = self._service, self._context
        while context.is_active():
            with service.changed:
                service.changed.wait_for(self._has_something)
                said = list(self._outgoing)
                self._outgoing.clear()
                tasks = self._taken()
            if self._fault is not None:
                self._fault(context)
            yield from said
            if tasks:
                yield worker_pb2.WorkStreamResponse(tasks=tasks)
            if service.drained:
                yield worker_pb2.WorkStreamResponse(drained=True)
                service.drained = False
            if service.is_draining:
                yield worker_pb2.WorkStreamResponse(draining=True)
                return
            if self._is_over and not self._outgoing:
                return

    def _taken(self) -> list[worker_pb2.Task]:
        count = min(len(self._service.queue), self._credit)
        self._credit -= count
        return [self._service.queue.popleft() for _ in range(count)]

    def _has_something(self) -> bool:
        service = self._service
        if service.is_mute:
            return self._is_over or not self._context.is_active()
        return bool(
            self._outgoing
            or service.drained
            or (self._credit and service.queue)
            or self._is_over
            or self._fault
            or service.is_draining
            or not self._context.is_active()
        )


def finished(run_id: str, output: str = "null") -> run_pb2.Run:
    """A run that succeeded."""
    return run_pb2.Run(
        run_id=run_id,
        namespace="default",
        state=run_pb2.RUN_STATE_SUCCEEDED,
        output=payload_pb2.Payload(json=output),
    )


def failed(run_id: str, code: str, message: str) -> run_pb2.Run:
    """A run that failed."""
    return run_pb2.Run(
        run_id=run_id,
        namespace="default",
        state=run_pb2.RUN_STATE_FAILED,
        failure=failure_pb2.Failure(code=code, message=message),
    )


def cancelled(run_id: str, reason: str) -> run_pb2.Run:
    """A run that somebody asked to end, and that has."""
    run = failed(run_id, "STARFLOW_CANCELLED", reason)
    run.state = run_pb2.RUN_STATE_CANCELLED
    run.cancel_requested, run.cancel_reason = True, reason
    return run


def paused(run_id: str, message: str) -> run_pb2.Run:
    """A run that the service holds back."""
    run = running(run_id)
    run.paused, run.pause_message = True, message
    run.pause_reason = run_pb2.PAUSE_REASON_LIMIT
    return run


def running(run_id: str) -> run_pb2.Run:
    """A run under way."""
    return run_pb2.Run(
        run_id=run_id, namespace="default", state=run_pb2.RUN_STATE_RUNNING
    )


def yielded(run_id: str, signal_id: str) -> run_pb2.Run:
    """A run that waits for a signal."""
    wait = run_pb2.SignalWait(signal_id=signal_id, function="shop.ask", yield_version=3)
    return run_pb2.Run(
        run_id=run_id,
        namespace="default",
        state=run_pb2.RUN_STATE_YIELDED,
        waits=[run_pb2.Wait(signal=wait)],
    )
