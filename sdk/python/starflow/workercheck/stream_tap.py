"""Notes what a stream carries as if it came in requests and answers.

So every row asks the same of a worker, whichever way it talks.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from google.protobuf.duration_pb2 import Duration

from starflow.v1 import worker_service_pb2 as pb
from starflow.workercheck.record import Exchange, Record


class Loss(Enum):
    """What is lost of an exchange; either way the worker sees UNAVAILABLE."""

    # The server never sees it.
    REQUEST = auto()
    # The server has done what was asked.
    RESPONSE = auto()


# Says whether to lose something, when the request comes and when its answer does.
Fault = Callable[[Exchange, Any], Loss | None]

# A stream waits for tasks as long as it lives.
_FOR_EVER = Duration(seconds=3600)


class Broken(Exception):
    """Something is lost, and the stream with it."""


class StreamTap:
    """One stream of a worker."""

    def __init__(self, record: Record, loses: Fault) -> None:
        self._record = record
        self._loses = loses
        self._hello: Exchange | None = None
        # Exchanges that wait for the acknowledgement of a message.
        self._open: dict[int, list[Exchange]] = {}

    def said(self, request: pb.WorkStreamRequest) -> None:
        """
        Note what the worker says, and take out what is lost of it.

        Raises:
            Broken: All of it is lost.
        """
        begun = []
        if request.HasField("hello"):
            self._hello = self._begin("RegisterFunction", request.hello)
        if request.tasks:
            beat = pb.HeartbeatRequest(tasks=request.tasks, wait=_FOR_EVER)
            exchange = self._record.begin("Heartbeat", beat)
            if self._loses(exchange, None) is Loss.REQUEST:
                # Only this: the worker is to be heard otherwise.
                request.ClearField("tasks")
                self._record.end(exchange)
            else:
                begun.append(exchange)
        elif not (request.results or request.credit or self._hello):
            # It has nothing, and says so.
            begun.append(self._begin("Heartbeat", pb.HeartbeatRequest()))
        if request.results:
            complete = pb.CompleteTasksRequest(results=request.results)
            begun.append(self._begin("CompleteTasks", complete))
        if request.credit:
            poll = pb.PollRequest(max_tasks=request.credit, wait=_FOR_EVER)
            self._record.end(self._begin("Poll", poll))
        self._open[request.sequence] = begun

    def came(self, response: pb.WorkStreamResponse) -> None:
        """
        Note what the service says.

        Raises:
            Broken: It is lost.
        """
        if response.HasField("welcome") and self._hello is not None:
            self._end(self._hello, response.welcome)
            self._hello = None
        for each in response.acknowledgements:
            for exchange in self._open.pop(each.sequence, ()):
                self._end(exchange, _answer(exchange, each))
        if response.tasks:
            poll = self._record.begin("Poll", pb.PollRequest(wait=_FOR_EVER))
            self._end(poll, pb.PollResponse(tasks=response.tasks))
        if response.directives:
            beat = self._record.begin("Heartbeat", pb.HeartbeatRequest())
            answer = pb.HeartbeatResponse(directives=response.directives)
            self._end(beat, answer)

    def close(self) -> None:
        """Note that what was not answered will not be."""
        for exchange in [e for begun in self._open.values() for e in begun]:
            self._record.end(exchange)
        if self._hello is not None:
            self._record.end(self._hello)

    def _begin(self, method: str, request: Any) -> Exchange:
        exchange = self._record.begin(method, request)
        if self._loses(exchange, None) is Loss.REQUEST:
            self._record.end(exchange)
            raise Broken
        return exchange

    def _end(self, exchange: Exchange, response: Any) -> None:
        is_lost = self._loses(exchange, response) is Loss.RESPONSE
        if is_lost:
            exchange.lost = response
        else:
            exchange.response = response
        self._record.end(exchange)
        if is_lost:
            raise Broken


def _answer(exchange: Exchange, acknowledgement: pb.Acknowledgement) -> Any:
    if exchange.method == "Heartbeat":
        return pb.HeartbeatResponse()
    response = pb.CompleteTasksResponse()
    others = {each.task_token: each for each in acknowledgement.exceptions}
    for result in exchange.request.results:
        token = result.task_token
        if token in others:
            response.completions.append(others[token])
        else:
            response.completions.add(
                task_token=token, status=pb.COMPLETION_STATUS_APPLIED
            )
    return response
