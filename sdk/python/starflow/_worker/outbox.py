"""Results on their way to the service, until it has answered them."""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starflow import _convert
from starflow._worker import outcome
from starflow._worker.ledger import HeldTask, Ledger
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

    def news(self) -> str | None:
        """Return progress that the next attempt misses unless it is told first."""
        may_be_tried_again = self.result.WhichOneof("outcome") in ("failure", "release")
        return self.held.context.unsent_progress() if may_be_tried_again else None


class Outbox:
    """
    The results that wait to be sent.

    Functions put in, from any thread; whoever talks to the service takes out.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._reports: deque[Report] = deque()
        # Called after every result that is put in.
        self.on_put: Callable[[], None] = _nobody

    def __len__(self) -> int:
        return len(self._reports)

    def put(self, held: HeldTask, result: pb.TaskResult) -> None:
        """Take *result*, the outcome of *held*, to be sent."""
        self._reports.append(Report(held, result))
        self.on_put()

    def put_back(self, batch: Iterable[Report]) -> None:
        """Take back what was not answered; it is sent again before all else."""
        self._reports.extendleft(reversed(list(batch)))

    def take(self) -> list[Report]:
        """Take out the oldest results, as many as one message carries."""
        batch: list[Report] = []
        size = 0
        while self._reports and len(batch) < _BATCH_RESULTS_MAX:
            first = self._reports[0]
            size += first.result.ByteSize() + _convert.size_bytes(first.news() or "")
            if batch and size > _BATCH_BYTES_MAX:
                break
            batch.append(self._reports.popleft())
        return batch

    def applied(self, reports: Iterable[Report]) -> None:
        """The service has these results."""
        self._ledger.answered([report.held.token for report in reports])

    def judged(self, report: Report, completion: pb.Completion) -> None:
        """The service has said what became of one result."""
        if completion.status == pb.COMPLETION_STATUS_REJECTED:
            if self._replaced(report, completion.rejection):
                return
        elif completion.status == pb.COMPLETION_STATUS_IGNORED:
            _logger.info("a result came too late: %s", report.held.task.task_id)
        self.applied([report])

    def give_up(self, report: Report, error: object) -> None:
        """The service will never take this result."""
        _logger.error("the result of %s is lost: %s", report.held.task.task_id, error)
        self.applied([report])

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


def _nobody() -> None:
    """Nobody sends results yet; they wait."""
