"""Gives signals to runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starflow_backends import failpoints
from starflow_service.engine.errors import (
    AnsweredError,
    NotWaitingError,
    TooManySignalsError,
    UnknownSignalError,
)
from starflow_service.engine.events import Result
from starflow_service.engine.history import UNREAD_SIGNALS_MAX, SignalAnswer
from starflow_service.runtime.errors import (
    RunFinishedError,
    SignalConflictError,
    SignalNotExpectedError,
    SignalsFullError,
)
from starflow_service.runtime.live import LiveRun
from starflow_service.runtime.types import Disposition

_DISPOSITIONS = {
    SignalAnswer.RESUME: Disposition.RESUMED,
    SignalAnswer.KEEP: Disposition.KEPT,
    SignalAnswer.DUPLICATE: Disposition.DUPLICATE,
}

Delivery = Callable[[LiveRun], tuple[Disposition, int]]


def delivery(signal_id: str, result: Result, *, only_if_waiting: bool) -> Delivery:
    """
    Return the input that gives a run the signal for a call that yielded.

    Its answer is what became of the signal and the version of its RESUME, or 0.

    Raises, when it is applied:
        RunFinishedError: The run has finished without an answer to this id.
        SignalNotExpectedError: The run has no such id, or does not wait now.
        SignalConflictError: The id was answered before, differently.
    """

    def apply(run: LiveRun) -> tuple[Disposition, int]:
        if failpoints.armed:
            failpoints.reach("signal_received")
        history = run.history
        if history.finish is not None and signal_id not in history.answered:
            raise RunFinishedError(run.run_id)
        with _refusals(run, signal_id):
            answer, version = run.open_ledger.signal(
                signal_id, result, only_if_waiting=only_if_waiting
            )
        return _DISPOSITIONS[answer], version

    return apply


def delivery_by_name(
    name: str, request_id: str, result: Result, *, only_if_waiting: bool
) -> Delivery:
    """
    Return the input that gives a run the signal *name*.

    Its answer is what became of the signal and the version of its SIGNAL.

    Raises, when it is applied:
        RunFinishedError: The run has finished, and this request was not known before.
        SignalNotExpectedError: The run does not wait now, and must not keep it.
        SignalConflictError: The request came before, with another content.
        SignalsFullError: No more signals can be kept.
    """

    def apply(run: LiveRun) -> tuple[Disposition, int]:
        if failpoints.armed:
            failpoints.reach("signal_received")
        history = run.history
        if history.finish is not None and not history.knows_request(name, request_id):
            raise RunFinishedError(run.run_id)
        with _refusals(run, name):
            answer, version = run.open_ledger.signal_by_name(
                name, request_id, result, only_if_waiting=only_if_waiting
            )
        return _DISPOSITIONS[answer], version

    return apply


@contextmanager
def _refusals(run: LiveRun, signal: str) -> Iterator[None]:
    """Say what the engine refuses in the words of the runtime."""
    try:
        yield
    except UnknownSignalError:
        why = "the run has no such signal id; GetRun lists what it waits for"
        raise SignalNotExpectedError(run.run_id, signal, why) from None
    except NotWaitingError:
        why = "the run does not wait for it now"
        raise SignalNotExpectedError(run.run_id, signal, why) from None
    except AnsweredError:
        raise SignalConflictError(run.run_id, signal) from None
    except TooManySignalsError:
        raise SignalsFullError(run.run_id, UNREAD_SIGNALS_MAX) from None
