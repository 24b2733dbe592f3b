"""The worker's requests to the service, as blocking calls."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc

from starflow import _failure, _model, _status
from starflow._connection import Connection
from starflow._model import ServerInfo
from starflow.errors import RateLimited, RequestError, Unavailable
from starflow.v1 import worker_service_pb2 as pb
from starflow.v1 import worker_service_pb2_grpc as pb_grpc
from starflow.v1 import workflow_service_pb2, workflow_service_pb2_grpc

_logger = logging.getLogger("starflow.worker")
_LOST = (
    grpc.ChannelConnectivity.IDLE,
    grpc.ChannelConnectivity.TRANSIENT_FAILURE,
)
_ANSWER_SECONDS_MAX = 10.0
# A heartbeat that takes longer has missed its purpose; the next one may do better.
_BEAT_SECONDS_MAX = 4.0


class Link:
    """
    One worker's side of the protocol, for its threads.

    All methods raise `RequestError` and nothing else.
    """

    def __init__(
        self,
        connection: Connection,
        worker: pb.WorkerInfo,
        functions: Sequence[pb.FunctionSpec],
    ) -> None:
        self.heartbeat_seconds = 5.0
        self._address = connection.address
        self._namespace = connection.namespace
        self._worker = worker
        self._functions = functions
        # A channel of their own, because closing it is what ends a waiting poll.
        self._polls = connection.open_blocking()
        self._reports = connection.open_blocking()
        self._polling = pb_grpc.WorkerServiceStub(self._polls)
        self._reporting = pb_grpc.WorkerServiceStub(self._reports)
        self._stream: Any = None
        # Whether it was broken off by this side.
        self._is_cut = False
        self._watch: Callable[[grpc.ChannelConnectivity], None] | None = None

    @property
    def hello(self) -> pb.RegisterFunctionRequest:
        """What makes the worker and its functions known."""
        return pb.RegisterFunctionRequest(
            namespace=self._namespace, worker=self._worker, functions=self._functions
        )

    def server_info(self) -> ServerInfo:
        """Return what the server is, can, and enforces."""
        stub = workflow_service_pb2_grpc.WorkflowServiceStub(self._reports)
        request = workflow_service_pb2.GetServerInfoRequest()
        response = self._send(stub.GetServerInfo, request, _ANSWER_SECONDS_MAX)
        return _model.server_info(response)

    def register(self) -> None:
        """Announce the worker and its functions."""
        method = self._reporting.RegisterFunction
        response = self._send(method, self.hello, _ANSWER_SECONDS_MAX)
        interval = response.heartbeat_interval.ToTimedelta().total_seconds()
        self.heartbeat_seconds = interval or self.heartbeat_seconds
        if response.replaced_functions:
            names = ", ".join(response.replaced_functions)
            _logger.warning("replaced the specification of another worker: %s", names)

    def stream(
        self, messages: Iterator[pb.WorkStreamRequest]
    ) -> Iterator[pb.WorkStreamResponse]:
        """Open a stream that says *messages*, and yield what comes."""
        self._is_cut = False
        try:
            self._stream = self._polling.WorkStream(messages)
            yield from self._stream
        except grpc.RpcError as error:
            if self._is_cut:
                problem = f"{self._address} says nothing any more"
                raise Unavailable(problem, status="CANCELLED") from None
            raise _status.request_error(error, self._address) from None
        except ValueError as error:
            raise Unavailable(str(error), status="CANCELLED") from None

    def cut_stream(self) -> None:
        """Break the stream off: the service says nothing any more."""
        if self._stream is not None:
            self._is_cut = True
            self._stream.cancel()

    def poll(
        self, poll_id: str, max_tasks: int, wait_seconds: float
    ) -> pb.PollResponse:
        """Ask for tasks, and wait for the first."""
        request = self._poll_request(poll_id, max_tasks, wait_seconds)
        timeout = wait_seconds + _ANSWER_SECONDS_MAX
        response: pb.PollResponse = self._send(self._polling.Poll, request, timeout)
        return response

    def poll_again(self, poll_id: str, max_tasks: int) -> pb.PollResponse:
        """Ask once more, after polling ended, what an unanswered poll has brought."""
        request = self._poll_request(poll_id, max_tasks, 0.0)
        response: pb.PollResponse = self._send(
            self._reporting.Poll, request, _BEAT_SECONDS_MAX
        )
        return response

    def complete(self, results: Sequence[pb.TaskResult]) -> list[pb.Completion]:
        """Report results; the answers come in the same order."""
        request = pb.CompleteTasksRequest(
            namespace=self._namespace, worker_id=self._worker.worker_id, results=results
        )
        method = self._reporting.CompleteTasks
        return list(self._send(method, request, _ANSWER_SECONDS_MAX).completions)

    def beat(self, tasks: Sequence[pb.TaskHeartbeat]) -> pb.HeartbeatResponse:
        """Renew the worker's registration and the leases of *tasks*."""
        request = pb.HeartbeatRequest(
            namespace=self._namespace, worker_id=self._worker.worker_id, tasks=tasks
        )
        response: pb.HeartbeatResponse = self._send(
            self._reporting.Heartbeat, request, _BEAT_SECONDS_MAX
        )
        return response

    def stay(
        self, tasks: Sequence[pb.TaskHeartbeat], wait_seconds: float
    ) -> "grpc.Future[pb.HeartbeatResponse]":
        """Begin a heartbeat whose answer the service holds back, as a future."""
        request = pb.HeartbeatRequest(
            namespace=self._namespace,
            worker_id=self._worker.worker_id,
            tasks=tasks,
            wait=_failure.duration(wait_seconds),
        )
        call: grpc.Future[pb.HeartbeatResponse] = self._reporting.Heartbeat.future(
            request, timeout=wait_seconds + _ANSWER_SECONDS_MAX
        )
        return call

    def on_lost(self, callback: Callable[[], None]) -> None:
        """
        Call *callback* whenever the connection is lost.

        A server that is started again holds tasks back for those who had them, and
        only for a second: who has any must say so at once, and not at the next
        heartbeat or when a slot is free.
        """

        was_ready = False

        def changed(state: grpc.ChannelConnectivity) -> None:
            nonlocal was_ready
            if was_ready and state in _LOST:
                callback()
            was_ready = state is grpc.ChannelConnectivity.READY

        self._watch = changed
        self._reports.subscribe(changed)

    def stop_polling(self) -> None:
        """End a waiting poll at once, and refuse further ones."""
        self._polls.close()

    def close(self) -> None:
        """Close the connection; nothing else may be called any more."""
        self._polls.close()
        if self._watch is not None:
            self._reports.unsubscribe(self._watch)
        # Dropped and not closed: the thread in which gRPC watches the connection goes
        # on for a fifth of a second, and would die of an exception on a closed channel.
        del self._reports, self._reporting

    def _poll_request(
        self, poll_id: str, max_tasks: int, wait_seconds: float
    ) -> pb.PollRequest:
        return pb.PollRequest(
            namespace=self._namespace,
            worker_id=self._worker.worker_id,
            poll_id=poll_id,
            max_tasks=max_tasks,
            wait=_failure.duration(wait_seconds),
        )

    def _send(
        self, method: Callable[..., Any], request: Any, timeout_seconds: float
    ) -> Any:
        try:
            return method(request, timeout=timeout_seconds)
        except grpc.RpcError as error:
            raise _status.request_error(error, self._address) from None
        except ValueError as error:
            # How gRPC says that the channel was closed.
            raise Unavailable(str(error), status="CANCELLED") from None


def may_help_later(error: RequestError) -> bool:
    """Return whether the same request may be answered another time."""
    return isinstance(error, Unavailable | RateLimited)
