"""What the service tells a worker besides tasks, whichever way it comes."""

import logging
from collections.abc import Callable, Iterable

from starflow._worker.ledger import HeldTask, Ledger
from starflow.v1 import worker_service_pb2 as pb

_logger = logging.getLogger("starflow.worker")


class Signs:
    """Passes on which tasks are to stop, and that the worker is to end."""

    def __init__(
        self,
        ledger: Ledger,
        interrupt: Callable[[HeldTask, str], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._interrupt = interrupt
        self._on_drained = on_drained
        self._was_drained = False

    def obey(self, directives: Iterable[pb.TaskDirective]) -> None:
        """Stop the tasks that *directives* name."""
        for directive in directives:
            if directive.action != pb.TASK_ACTION_UNSPECIFIED:
                self._stop(directive.task_token, directive.reason)

    def drained(self, is_drained: bool) -> None:
        """Let the worker end, if somebody asked it to; once is enough."""
        if is_drained and not self._was_drained:
            self._was_drained = True
            _logger.info("the service asks this worker to end")
            self._on_drained()

    def _stop(self, token: str, reason: str) -> None:
        held = self._ledger.abandon(token)
        if held is not None:
            _logger.info("task %s is to stop: %s", held.task.task_id, reason)
            self._interrupt(held, reason or "the task is somebody else's now")
