"""The threads of one worker, from the first poll to the last result."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from starflow._connection import Connection
from starflow._function import Function
from starflow._worker.executor import Executor
from starflow._worker.heart import Heart
from starflow._worker.ledger import HeldTask, Ledger
from starflow._worker.link import Link
from starflow._worker.poller import Poller
from starflow._worker.presence import Presence
from starflow._worker.reporter import Reporter
from starflow.v1 import worker_service_pb2 as pb

_logger = logging.getLogger("starflow.worker")
# What cancelled functions get for their clean-up, and the last results for their way.
_CLEAN_UP_SECONDS = 1.0
_FLUSH_SECONDS = 5.0


class Session:
    """Everything that lives between the start and the end of `Worker.run`."""

    def __init__(
        self,
        connection: Connection,
        worker: pb.WorkerInfo,
        functions: Mapping[str, Function],
        loop: asyncio.AbstractEventLoop,
        on_registered: Callable[[BaseException | None], None],
        *,
        processes: int,
    ) -> None:
        slots = worker.max_concurrency
        specs = [function.spec() for function in functions.values()]
        self._ledger = Ledger(slots)
        self._link = Link(connection, worker, specs)
        self._heart = Heart(self._link, self._ledger, self._interrupt)
        self._presence = Presence(self._link, self._ledger, self._heart.obey)
        self._reporter = Reporter(self._link, self._ledger, self._heart.beat)
        self._executor = Executor(
            functions,
            loop,
            self._ledger,
            self._reporter.put,
            self._heart.beat_soon,
            slots=slots,
            processes=processes,
        )

        def registered(error: BaseException | None) -> None:
            # Before that, the service refuses a heartbeat, and nothing can be held yet.
            if error is None:
                self._presence.start()
            on_registered(error)

        self._poller = Poller(
            self._link, self._ledger, self._executor, self._heart, registered
        )

    def start(self) -> None:
        """Register, and begin to take tasks."""
        self._reporter.start()
        self._poller.start()
        self._link.on_lost(self._heart.beat_soon)

    def drain(self, grace_seconds: float) -> None:
        """
        Take no more tasks, let those under way end, report, and close.

        What has not ended after *grace_seconds* is given back, and told to stop. This
        blocks; it must not be called on the event loop that executes functions.
        """
        self._poller.stop()
        # A poll that breaks off may be its worker's death.  What is still under way
        # must not be given to somebody else because of that.
        self._heart.beat_soon()
        self._executor.give_back_waiting("the worker shuts down")
        if not self._ledger.wait_until_idle(grace_seconds):
            self._give_back_rest()
        lost = self._reporter.close(_FLUSH_SECONDS)
        if lost:
            _logger.error("%d results could not be reported", lost)
        self._executor.close()
        self._presence.stop()
        self._heart.stop()
        self._link.close()

    def hurry(self) -> None:
        """End the grace now."""
        self._ledger.hurry()

    def _interrupt(self, held: HeldTask, reason: str) -> None:
        self._executor.interrupt(held, reason)

    def _give_back_rest(self) -> None:
        for held in self._ledger.unsettled():
            _logger.info("task %s is given back", held.task.task_id)
            self._executor.give_back(held, "the worker shuts down")
            self._executor.interrupt(held, "the worker shuts down")
        self._ledger.wait_until_idle(_CLEAN_UP_SECONDS)
