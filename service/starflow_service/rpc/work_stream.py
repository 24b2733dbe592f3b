"""WorkStream: a worker gets tasks and reports on them over one stream.

Two parties work on a stream.  One reads what the worker sends and begins it; the other
says what has become of it, and what there is to do.  Whatever is ready when the latter
gets its turn leaves in one message, because a message costs more than what it carries.

Nothing grows without bound: tasks are leased only when the last message has left, what
waits to be acknowledged is limited by reading no further, and what is read is limited
by what gRPC takes.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import structlog

from starflow.v1 import worker_service_pb2 as pb
from starflow_service.rpc import fields, tasks
from starflow_service.rpc.interceptors import request_id
from starflow_service.rpc.payloads import Payloads
from starflow_service.rpc.status import is_expected, rejection_of
from starflow_service.rpc.times import set_seconds
from starflow_service.runtime.errors import FieldInvalidError
from starflow_service.runtime.options import Options
from starflow_service.runtime.streams import Stream
from starflow_service.runtime.types import Completion, CompletionStatus, TaskReport
from starflow_service.runtime.workers import Workers

Context = grpc.aio.ServicerContext[Any, Any]

# Requests that were read, and whose acknowledgement has not left.
_REQUESTS_MAX = 1_000

APPLIED, REJECTED = CompletionStatus.APPLIED, CompletionStatus.REJECTED

log = structlog.get_logger()


class WorkStream:
    """One stream of one worker."""

    def __init__(
        self, workers: Workers, payloads: Payloads, options: Options, context: Context
    ) -> None:
        self._workers = workers
        self._payloads = payloads
        self._options = options
        self._context = context
        # Set once the worker has said who it is.
        self._namespace = self._worker_id = ""
        self._stream: Stream
        self._reading: asyncio.Task[None]
        self._timer: asyncio.TimerHandle
        # Set when there may be something to say.
        self._news = asyncio.Event()
        # Set when a message has left.
        self._has_left = asyncio.Event()
        # Results on their way into the store, and what became of others.
        self._settling: set[asyncio.Task[None]] = set()
        self._settled: list[pb.Acknowledgement] = []
        self._said_drained = False
        # Whether nothing was said since the timer went off, and since it did before.
        self._is_quiet = self._is_overdue = False

    async def serve(self, requests: AsyncIterator[pb.WorkStreamRequest]) -> None:
        """
        Serve until the worker closes its side, or the server shuts down.

        Raises:
            RuntimeRefusal: The worker does not keep to the protocol.
        """
        first = await anext(requests, None)
        if first is None or not first.HasField("hello"):
            raise FieldInvalidError("hello", "is required in the first message")
        welcome = await self._register(first.hello)
        first.ClearField("hello")
        with self._workers.stream(
            self._namespace, self._worker_id, self._news.set
        ) as self._stream:
            self._keep_alive()
            self._reading = asyncio.create_task(self._read(first, requests))
            self._reading.add_done_callback(lambda _: self._news.set())
            try:
                await self._write(welcome)
            finally:
                self._timer.cancel()
                await _end({self._reading, *self._settling})

    async def _register(
        self, hello: pb.RegisterFunctionRequest
    ) -> pb.WorkStreamResponse:
        worker = fields.worker(hello.worker)
        self._namespace = fields.namespace(hello.namespace)
        self._worker_id = worker.worker_id
        replaced = await self._workers.register(
            self._namespace, worker, fields.specs(hello.functions)
        )
        response = pb.WorkStreamResponse()
        response.welcome.replaced_functions.extend(replaced)
        set_seconds(response.welcome.heartbeat_interval, self._options.heartbeat_s)
        set_seconds(response.welcome.lease, self._options.lease_s)
        return response

    # What the worker says

    async def _read(
        self, first: pb.WorkStreamRequest, requests: AsyncIterator[pb.WorkStreamRequest]
    ) -> None:
        await self._take(first)
        async for request in requests:
            await self._take(request)
            while len(self._settling) + len(self._settled) >= _REQUESTS_MAX:
                self._has_left.clear()
                await self._has_left.wait()

    async def _take(self, request: pb.WorkStreamRequest) -> None:
        if request.HasField("hello"):
            raise FieldInvalidError("hello", "comes once, in the first message")
        self._stream.heard()
        refusal: Exception | None = None
        if request.tasks:
            # Before the results: the next attempt is to see the progress of this one.
            beats, refusal = await self._payloads.read(
                request.ByteSize(), lambda p: tasks.beats_of(request.tasks, p)
            )
            await self._workers.renew(self._namespace, self._worker_id, beats)
        if request.results:
            await self._settle_later(request)
        if request.sequence and (refusal or not request.results):
            self._acknowledge(request.sequence, (), refusal)
        if request.credit:
            self._stream.grant(request.credit)
        if request.drain:
            await self._workers.drain_worker(self._namespace, self._worker_id)

    async def _settle_later(self, request: pb.WorkStreamRequest) -> None:
        reports, refused = await self._payloads.read(
            request.ByteSize(), lambda p: tasks.reports_of(request.results, p)
        )
        rejected = [
            Completion(request.results[index].task_token, REJECTED, error)
            for index, error in refused.items()
        ]
        settling = asyncio.create_task(
            self._settle(request.sequence, reports, rejected)
        )
        self._settling.add(settling)
        settling.add_done_callback(self._has_settled)

    async def _settle(
        self, sequence: int, reports: list[TaskReport], rejected: list[Completion]
    ) -> None:
        """Take the results of a request, and say so when they are stored."""
        try:
            judged = await self._workers.complete(
                self._namespace, self._worker_id, reports
            )
        except Exception as error:
            if not is_expected(error):
                log.error("rpc.results_failed", exc_info=error)
            self._acknowledge(sequence, (), error)
        else:
            others = [each for each in judged if each.status is not APPLIED]
            self._acknowledge(sequence, (*rejected, *others), None)

    def _has_settled(self, settling: asyncio.Task[None]) -> None:
        self._settling.discard(settling)
        # Why it ends, if it does, is not for a callback to find out.
        if self._reading.done() or self._workers.is_draining:
            self._news.set()

    def _acknowledge(
        self, sequence: int, exceptions: Iterable[Completion], error: Exception | None
    ) -> None:
        if not sequence:
            return
        acknowledgement = pb.Acknowledgement(sequence=sequence)
        for completion in exceptions:
            tasks.fill_completion(acknowledgement.exceptions.add(), completion)
        if error is not None:
            acknowledgement.error.CopyFrom(rejection_of(error, request_id()))
        self._settled.append(acknowledgement)
        self._news.set()

    # What the worker is told

    async def _write(self, response: pb.WorkStreamResponse) -> None:
        is_last = False
        while True:
            self._stream.is_sending = True
            await self._context.write(response)
            self._stream.is_sending = False
            self._is_quiet = self._is_overdue = False
            if is_last:
                return
            self._has_left.set()
            response, is_last = await self._next()

    async def _next(self) -> tuple[pb.WorkStreamResponse, bool]:
        """Return the next message when there is one, and whether it is the last."""
        while True:
            # One more is said at the end, even if it is empty: a worker that has died
            # looks like one that has closed its side, until something is sent to it.
            is_last = self._is_ending() and not self._settling
            response = pb.WorkStreamResponse()
            if self._fill(response) or self._is_overdue or is_last:
                return response, is_last
            self._news.clear()
            await self._news.wait()

    def _is_ending(self) -> bool:
        """
        Whether the worker has closed its side, or the server shuts down.

        Raises:
            RuntimeRefusal: The worker does not keep to the protocol.
        """
        if self._reading.done():
            self._reading.result()
            return True
        return self._workers.is_draining

    def _fill(self, response: pb.WorkStreamResponse) -> bool:
        """Say what there is to say; return whether there was something."""
        settled, self._settled = self._settled, []
        response.acknowledgements.extend(settled)
        is_ending = self._is_ending()
        leased = [] if is_ending else self._stream.take(tasks.INPUTS_MAX)
        tasks.fill_tasks(response, leased)
        directives = self._stream.take_directives()
        tasks.fill_directives(response, directives)
        response.draining = self._workers.is_draining
        if self._stream.is_drained and not self._said_drained:
            response.drained = self._said_drained = True
        return bool(settled or leased or directives or response.drained)

    def _keep_alive(self) -> None:
        """See to it that something is said once every heartbeat interval."""
        if self._is_quiet:
            self._is_overdue = True
            self._news.set()
        self._is_quiet = True
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._options.heartbeat_s / 2, self._keep_alive)


async def _end(begun: set[asyncio.Task[None]]) -> None:
    for each in begun:
        each.cancel()
    await asyncio.gather(*begun, return_exceptions=True)
