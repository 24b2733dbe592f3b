"""Asks the service for tasks, as many as there are free slots."""

import itertools
import logging
import threading
import uuid

from starflow._connection import Backoff
from starflow._worker.executor import Executor
from starflow._worker.heart import Heart
from starflow._worker.ledger import Ledger
from starflow._worker.link import Link, may_help_later
from starflow._worker.registration import Registration
from starflow._worker.signs import Signs
from starflow.errors import RequestError, WorkerNotRegistered
from starflow.v1 import worker_service_pb2 as pb

_logger = logging.getLogger("starflow.worker")
_WAIT_SECONDS = 20.0


class Poller:
    """The thread that polls until it is stopped."""

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        executor: Executor,
        heart: Heart,
        registration: Registration,
        signs: Signs,
        tasks_max: int,
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._executor = executor
        self._heart = heart
        self._registration = registration
        self._signs = signs
        self._tasks_max = tasks_max
        self._backoff = Backoff(most_seconds=0.5)
        self._stopping = threading.Event()
        self._ids = (f"{uuid.uuid4().hex[:16]}-{n}" for n in itertools.count(1))
        # A poll whose answer has not come: its id and how many tasks it asked for.
        self._open: tuple[str, int] | None = None
        self._thread = threading.Thread(
            target=self._loop, name="starflow-poller", daemon=True
        )

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling; what a poll under way brings is given back."""
        self._stopping.set()
        self._registration.stop()
        self._ledger.close()
        self._link.stop_polling()
        self._thread.join()

    def _loop(self) -> None:
        while slots := self._ledger.wait_for_slots():
            self._poll(min(slots, self._tasks_max))
        self._give_back()

    def _poll(self, slots: int) -> None:
        if self._open is None:
            self._open = next(self._ids), slots
        try:
            response = self._link.poll(*self._open, _WAIT_SECONDS)
        except WorkerNotRegistered:
            self._register()
        except RequestError as error:
            if self._stopping.is_set():
                return
            if not may_help_later(error):
                _logger.error("a poll was refused: %s", error)
            # Whoever holds tasks must say so now: a server takes a poll that broke off
            # for its worker's death, and one that was restarted waits only so long.
            self._heart.beat_soon()
            self._pause(error)
        else:
            self._answered(response)

    def _register(self) -> None:
        try:
            self._registration.run()
        except RequestError as error:
            _logger.error("the worker is refused: %s", error)
            self._pause(error)
        self._heart.beat_soon()

    def _answered(self, response: pb.PollResponse) -> None:
        self._open = None
        if response.tasks:
            self._executor.start(response.tasks)
        self._signs.drained(response.drained)
        if response.draining or response.drained:
            self._pause()
        else:
            self._backoff.reset()

    def _give_back(self) -> None:
        """Give back what the poll has brought whose answer was not waited for."""
        if self._open is None:
            return
        try:
            response = self._link.poll_again(*self._open)
        except RequestError as error:
            _logger.info("tasks of the last poll may wait for their lease: %s", error)
        else:
            self._executor.release(response.tasks, "the worker shuts down")

    def _pause(self, error: RequestError | None = None) -> None:
        at_least = error.retry_after_seconds if error is not None else None
        self._stopping.wait(self._backoff.next_seconds(at_least))
