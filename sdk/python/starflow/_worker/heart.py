"""Renews the leases of all tasks held, and learns which of them to stop."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from starflow import _convert
from starflow._connection import Backoff
from starflow._worker.ledger import HeldTask, Ledger
from starflow._worker.link import Link, may_help_later
from starflow.errors import InvalidRequest, RequestError, WorkerNotRegistered
from starflow.v1 import worker_service_pb2 as pb

_logger = logging.getLogger("starflow.worker")
# All leases hang on one message, which must stay below gRPC's limit.
_NEWS_BYTES_MAX = 1024 * 1024


class Heart:
    """The thread that sends heartbeats, on time and on request."""

    def __init__(
        self, link: Link, ledger: Ledger, interrupt: Callable[[HeldTask, str], None]
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._interrupt = interrupt
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
            # First those whose results wait for it.
            news = _news(sorted(tasks, key=lambda held: not held.settled))
            try:
                response = self._link.beat(_reports(tasks, news))
            except InvalidRequest as error:
                if not news:
                    raise
                # Somebody's progress must not cost everybody's lease.
                _logger.error("the progress of tasks is lost: %s", error)
                response = self._link.beat(_reports(tasks, {}))
            for held in tasks:
                held.context.progress_sent(news.get(held.token))
        self.obey(response)

    def obey(self, response: pb.HeartbeatResponse) -> None:
        """Stop the tasks that the answer to a heartbeat names."""
        for directive in response.directives:
            if directive.action != pb.TASK_ACTION_UNSPECIFIED:
                self._stop(directive.task_token, directive.reason)

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
                pause = backoff.next_seconds(error.retry_after_seconds)
            else:
                backoff.reset()
                pause = self._link.heartbeat_seconds

    def _stop(self, token: str, reason: str) -> None:
        held = self._ledger.abandon(token)
        if held is not None:
            _logger.info("task %s is to stop: %s", held.task.task_id, reason)
            self._interrupt(held, reason or "the task is somebody else's now")


def _news(tasks: Sequence[HeldTask]) -> dict[str, str]:
    """Return progress yet to be told, by token, as much as one heartbeat can carry."""
    news: dict[str, str] = {}
    size = 0
    for held in tasks:
        text = held.context.unsent_progress()
        if text is not None:
            size += _convert.size_bytes(text)
            if news and size > _NEWS_BYTES_MAX:
                break
            news[held.token] = text
    return news


def _reports(
    tasks: Sequence[HeldTask], news: Mapping[str, str]
) -> list[pb.TaskHeartbeat]:
    reports = [pb.TaskHeartbeat(task_token=held.token) for held in tasks]
    for report in reports:
        if report.task_token in news:
            report.progress.json = news[report.task_token]
    return reports
