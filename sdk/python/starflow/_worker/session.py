"""The threads of one worker, from its registration to the last result."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping

from starflow._connection import Connection
from starflow._function import Function
from starflow._model import ServerInfo
from starflow._worker.executor import Executor
from starflow._worker.ledger import HeldTask, Ledger
from starflow._worker.link import Link
from starflow._worker.outage import Outage
from starflow._worker.outbox import Outbox
from starflow._worker.registration import Registration
from starflow._worker.signs import Signs
from starflow._worker.stream import Stream
from starflow._worker.unary import Line, Unary
from starflow._worker.wire import Desk
from starflow.v1 import worker_service_pb2 as pb

_logger = logging.getLogger("starflow.worker")
# What cancelled functions get for their clean-up, and the last results for their way.
_CLEAN_UP_SECONDS = 1.0
_FLUSH_SECONDS = 5.0
_TASKS_MAX = 1_000


class Session:
    """Everything that lives between the start and the end of `Worker.run`."""

    def __init__(
        self,
        connection: Connection,
        worker: pb.WorkerInfo,
        functions: Mapping[str, Function],
        loop: asyncio.AbstractEventLoop,
        on_registered: Callable[[BaseException | None], None],
        on_drained: Callable[[], None],
        *,
        processes: int,
    ) -> None:
        slots = worker.max_concurrency
        specs = [function.spec() for function in functions.values()]
        self._ledger = Ledger(slots)
        self._link = Link(connection, worker, specs)
        self._outbox = Outbox(self._ledger)
        self._signs = Signs(self._ledger, self._interrupt, on_drained)
        self._outage = Outage()
        self._registration = Registration(self._link)
        # Called once: with None, or with why the worker cannot be registered.
        self._on_registered = on_registered
        self._executor = Executor(
            functions,
            loop,
            self._ledger,
            self._outbox.put,
            self._beat_soon,
            slots=slots,
            processes=processes,
        )

        self._lock = threading.Lock()
        # How the service is talked to; None until the worker is registered.
        self._line: Line | None = None
        self._is_draining = False
        self._tasks_max = _TASKS_MAX
        self._thread = threading.Thread(
            target=self._register, name="starflow-registration", daemon=True
        )

    def start(self) -> None:
        """Register, and begin to take tasks."""
        self._thread.start()

    def drain(self, grace_seconds: float) -> None:
        """
        Take no more tasks, let those under way end, report, and close.

        What has not ended after *grace_seconds* is given back, and told to stop. This
        blocks; it must not be called on the event loop that executes functions.
        """
        self._registration.stop()
        self._thread.join()
        with self._lock:
            self._is_draining = True
            if self._line is not None:
                self._line.drain()
        self._executor.give_back_waiting("the worker shuts down")
        if not self._ledger.wait_until_idle(grace_seconds):
            self._give_back_rest()
        if self._line is not None:
            self._line.close(_FLUSH_SECONDS)
        if self._outbox:
            _logger.error("%d results could not be reported", len(self._outbox))
        self._executor.close()
        self._link.close()

    def hurry(self) -> None:
        """End the grace now."""
        self._ledger.hurry()

    def _register(self) -> None:
        try:
            info = self._registration.run()
        except BaseException as error:
            self._on_registered(error)
            return
        if info is not None:
            self._executor.output_bytes_max = info.limits.max_payload_bytes
            self._tasks_max = info.limits.max_poll_tasks or _TASKS_MAX
            self._open(self._line_to(info))
            self._on_registered(None)

    def _line_to(self, info: ServerInfo) -> Line:
        if "worker-stream" not in info.capabilities:
            return self._unary()
        desk = Desk(
            self._ledger,
            self._outbox,
            self._executor,
            self._signs,
            self._link.hello,
            self._tasks_max,
        )
        return Stream(self._link, desk, self._outage, lambda: self._open(self._unary()))

    def _unary(self) -> Line:
        return Unary(
            self._link,
            self._ledger,
            self._outbox,
            self._executor,
            self._registration,
            self._signs,
            self._outage,
            tasks_max=self._tasks_max,
        )

    def _open(self, line: Line) -> None:
        with self._lock:
            self._line = line
            line.start()
            if self._is_draining:
                line.drain()

    def _beat_soon(self) -> None:
        if self._line is not None:
            self._line.beat_soon()

    def _interrupt(self, held: HeldTask, reason: str) -> None:
        self._executor.interrupt(held, reason)

    def _give_back_rest(self) -> None:
        for held in self._ledger.unsettled():
            _logger.info("task %s is given back", held.task.task_id)
            self._executor.give_back(held, "the worker shuts down")
            self._executor.interrupt(held, "the worker shuts down")
        self._ledger.wait_until_idle(_CLEAN_UP_SECONDS)
