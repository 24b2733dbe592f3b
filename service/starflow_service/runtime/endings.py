"""Asks runs to end, and ends them."""

from collections.abc import Callable

from starflow_service.engine.events import Failure, FailureKind, Finish
from starflow_service.runtime.errors import RunFinishedError
from starflow_service.runtime.live import LiveRun

_TERMINATED = "STARFLOW_TERMINATED"


def cancellation(reason: str) -> Callable[[LiveRun], None]:
    """
    Return the input that asks a run to end.

    Raises, when it is applied:
        RunFinishedError: The run has ended, and was not cancelled.
    """

    def apply(run: LiveRun) -> None:
        if not _was_cancelled(run):
            run.open_ledger.cancel(reason)

    return apply


def termination(reason: str) -> Callable[[LiveRun], None]:
    """
    Return the input that ends a run, wherever its script is.

    Raises, when it is applied:
        RunFinishedError: The run has ended, and was not cancelled.
    """

    def apply(run: LiveRun) -> None:
        if _was_cancelled(run):
            return
        failure = Failure(_TERMINATED, reason, FailureKind.CANCELLED)
        ledger = run.open_ledger
        ledger.record(Finish(*ledger.next(), failure))
        run.kill_script()
        run.pause = None

    return apply


def _was_cancelled(run: LiveRun) -> bool:
    finish = run.history.finish
    if finish is None:
        return False
    if is_cancelled(finish):
        return True
    raise RunFinishedError(run.run_id)


def is_cancelled(finish: Finish) -> bool:
    """Whether *finish* is the end of a run that somebody asked to end."""
    result = finish.result
    return isinstance(result, Failure) and result.kind is FailureKind.CANCELLED
