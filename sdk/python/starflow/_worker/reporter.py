"""Sends results to the service, as many at a time as have gathered."""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starflow._connection import Backoff
from starflow._worker import outcome
from starflow._worker.ledger import HeldTask, Ledger
from starflow._worker.link import Link, may_help_later
from starflow.errors import RequestError, WorkerNotRegistered
from starflow.v1 import worker_service_pb2 as pb

_logger = logging.getLogger("starflow.worker")
_BATCH_RESULTS_MAX = 1_000
_BATCH_BYTES_MAX = 1024 * 1024
_REJECTED = "RESULT_REJECTED"


@dataclass(frozen=True, slots=True)
class Report:
    """A result, and the task that it ends."""

    held: HeldTask
    result: pb.TaskResult


class Reporter:
    """
    The thread that reports results, and keeps on until the service has answered.

    It sends whatever there is as soon as the sending before is answered. So a lone
    result leaves at once, and the busier the worker, the larger the batches.
    """

    def __init__(self, link: Link, ledger: Ledger, beat: Callable[[], None]) -> None:
        self._link = link
        self._ledger = ledger
        self._beat = beat
        self._outbox: deque[Report] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Whether a wake-up is under way that will see everything put in before it.
        self._is_woken = False
        self._is_closing = False
        self._hurry = threading.Event()
        self._thread = threading.Thread(
            target=self._loop, name="starflow-reporter", daemon=True
        )

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def put(self, held: HeldTask, result: pb.TaskResult) -> None:
        """Report *result*, the outcome of *held*."""
        self._outbox.append(Report(held, result))
        # Looked at after the append, and cleared by the thread before it looks into
        # the outbox: so no result is left lying, and a busy thread is not woken.
        if not self._is_woken:
            self._is_woken = True
            self._wake.put(None)

    def close(self, timeout_seconds: float) -> int:
        """Report what is left; return how many results could not be in that time."""
        self._is_closing = True
        self._wake.put(None)
        self._thread.join(timeout_seconds)
        self._hurry.set()
        self._thread.join()
        return len(self._outbox)

    def _loop(self) -> None:
        while not self._hurry.is_set():
            self._wake.get()
            self._is_woken = False
            while self._outbox and not self._hurry.is_set():
                self._send(self._take())
            if self._is_closing:
                return

    def _take(self) -> list[Report]:
        batch: list[Report] = []
        size = 0
        while self._outbox and len(batch) < _BATCH_RESULTS_MAX:
            size += self._outbox[0].result.ByteSize()
            if batch and size > _BATCH_BYTES_MAX:
                break
            batch.append(self._outbox.popleft())
        return batch

    def _send(self, batch: list[Report]) -> None:
        backoff = Backoff(most_seconds=0.5)
        while True:
            try:
                completions = self._complete(batch)
            except RequestError as error:
                if not may_help_later(error):
                    self._send_apart(batch, error)
                    return
                pause = backoff.next_seconds(error.retry_after_seconds)
                if self._hurry.wait(pause):
                    self._outbox.extendleft(reversed(batch))
                    return
            else:
                self._answered(batch, completions)
                return

    def _complete(self, batch: Sequence[Report]) -> list[pb.Completion]:
        self._send_news(batch)
        results = [report.result for report in batch]
        try:
            return self._link.complete(results)
        except WorkerNotRegistered:
            self._link.register()
            return self._link.complete(results)

    def _send_news(self, batch: Sequence[Report]) -> None:
        # The next attempt is to see the progress of this one, which only a heartbeat
        # can carry, and only while the task is still held. One may not carry it all.
        while any(map(_has_news, batch)):
            self._beat()

    def _send_apart(self, batch: list[Report], error: RequestError) -> None:
        """Find the result for which a whole batch was refused, and give up on it."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._send(batch[:middle])
            self._send(batch[middle:])
            return
        task = batch[0].held.task
        _logger.error("the result of %s is lost: %s", task.task_id, error)
        self._ledger.answered([task.task_token])

    def _answered(
        self, batch: Sequence[Report], completions: Sequence[pb.Completion]
    ) -> None:
        done = []
        for report, completion in zip(batch, completions, strict=True):
            if completion.status == pb.COMPLETION_STATUS_REJECTED:
                if self._replaced(report, completion.rejection):
                    continue
            elif completion.status == pb.COMPLETION_STATUS_IGNORED:
                _logger.info("a result came too late: %s", report.held.task.task_id)
            done.append(completion.task_token)
        self._ledger.answered(done)

    def _replaced(self, report: Report, rejection: pb.Rejection) -> bool:
        """Report a failure in place of what the service cannot use."""
        task = report.held.task
        _logger.error("the result of %s: %s", task.task_id, rejection.message)
        if report.result.failure.code == _REJECTED:
            return False
        message = f"the service cannot use the result: {rejection.message}"
        replacement = outcome.permanent(task.task_token, _REJECTED, message)
        self.put(report.held, replacement)
        return True


def _has_news(report: Report) -> bool:
    may_be_tried_again = report.result.WhichOneof("outcome") in ("failure", "release")
    return may_be_tried_again and report.held.context.unsent_progress() is not None
