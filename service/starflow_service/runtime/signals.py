"""Gives signals to runs."""

from collections.abc import Callable

from starflow_service.engine.errors import (
    AnsweredError,
    NotWaitingError,
    UnknownSignalError,
)
from starflow_service.engine.events import Result
from starflow_service.engine.history import SignalAnswer
from starflow_service.runtime.errors import (
    RunFinishedError,
    SignalConflictError,
    SignalNotExpectedError,
)
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.types import Disposition

_DISPOSITIONS = {
    SignalAnswer.RESUME: Disposition.RESUMED,
    SignalAnswer.KEEP: Disposition.KEPT,
    SignalAnswer.DUPLICATE: Disposition.DUPLICATE,
}


def delivery(
    signal_id: str, result: Result, *, only_if_waiting: bool
) -> Callable[[LiveRun], tuple[Disposition, int]]:
    """
    Return the input that gives a run the signal.

    Raises, when it is applied:
        RunFinishedError: The run has finished without an answer to this id.
        SignalNotExpectedError: The run has no such id, or does not wait now.
        SignalConflictError: The id was answered before, differently.
    """

    def apply(run: LiveRun) -> tuple[Disposition, int]:
        history = run.history
        if history.finish is not None and signal_id not in history.answered:
            raise RunFinishedError(run.run_id)
        try:
            answer, version = run.open_ledger.signal(
                signal_id, result, only_if_waiting=only_if_waiting
            )
        except UnknownSignalError:
            why = "the run has no such signal id; GetRun lists what it waits for"
            raise SignalNotExpectedError(run.run_id, signal_id, why) from None
        except NotWaitingError:
            why = "the run does not wait for it yet"
            raise SignalNotExpectedError(run.run_id, signal_id, why) from None
        except AnsweredError:
            raise SignalConflictError(run.run_id, signal_id) from None
        return _DISPOSITIONS[answer], version

    return apply
