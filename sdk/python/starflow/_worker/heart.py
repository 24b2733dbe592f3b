"""Renews the leases of all tasks held, and learns which of them to stop."""

import logging
import threading

from starflow._connection import Backoff
from starflow._worker.beats import beats_of, news_of
from starflow._worker.ledger import Ledger
from starflow._worker.link import Link, may_help_later
from starflow._worker.outage import Outage
from starflow._worker.signs import Signs
from starflow.errors import InvalidRequest, RequestError, WorkerNotRegistered

_logger = logging.getLogger("starflow.worker")


class Heart:
    """The thread that sends heartbeats, on time and on request."""

    def __init__(
        self, link: Link, ledger: Ledger, signs: Signs, outage: Outage
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._signs = signs
        self._outage = outage
        # One beat at a time: the progress that one sends, another must not send again.
        self._beating = threading.Lock()
        self._due = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(
            target=self._loop, name="starflow-heart", daemon=True
        )

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating; the leases then end by themselves."""
        self._stopped = True
        self._due.set()
        if self._thread.ident is not None:
            self._thread.join()

    def beat_soon(self) -> None:
        """Beat now, and not at the end of the interval."""
        self._due.set()

    def beat(self) -> None:
        """
        Send one heartbeat with all tasks held and their news.

        Registers the worker if the service does not know it any more.

        Raises:
            RequestError: The service did not answer it.
        """
        try:
            self._beat()
        except WorkerNotRegistered:
            self._link.register()
            self._beat()

    def _beat(self) -> None:
        with self._beating:
            tasks = self._ledger.held()
            news = news_of(tasks)
            try:
                response = self._link.beat(beats_of(tasks, news))
            except InvalidRequest as error:
                if not news:
                    raise
                # Somebody's progress must not cost everybody's lease.
                _logger.error("the progress of tasks is lost: %s", error)
                response = self._link.beat(beats_of(tasks, {}))
            for held in tasks:
                held.context.progress_sent(news.get(held.token))
        self._signs.obey(response.directives)
        self._signs.drained(response.drained)

    def _loop(self) -> None:
        backoff = Backoff(most_seconds=0.5)
        pause = self._link.heartbeat_seconds
        while True:
            self._due.wait(pause)
            self._due.clear()
            if self._stopped:
                return
            try:
                self.beat()
            except RequestError as error:
                if not may_help_later(error):
                    _logger.error("a heartbeat was refused: %s", error)
                self._outage.failed(error)
                pause = backoff.next_seconds(error.retry_after_seconds)
            else:
                self._outage.answered()
                backoff.reset()
                pause = self._link.heartbeat_seconds
