"""Words for steps, and how a step of the script is compared with its event.

The engine compares values, never bytes: two texts of one value are the same call.
"""

from starflow_service.engine.events import (
    Call,
    Event,
    Failure,
    FailureKind,
    Finish,
    Result,
    Return,
)
from starflow_service.starlark import jsontext
from starflow_service.starlark.errors import EvalError

_TEXT_MAX = 200
_MESSAGE_MAX = 4096


def describe(event: Event) -> str:
    """Return *event* in a few words."""
    if isinstance(event, Call):
        return f"CALL {event.function}({_cut(event.input)})"
    if isinstance(event, Return):
        return f"RETURN of call {event.call_version}"
    if isinstance(event, Finish):
        return f"FINISH {_shown(event.result)}"
    return event.NAME


def call_difference(recorded: Call, function: str, text: str) -> str:
    """Return how a call differs from its event; empty if it does not."""
    if recorded.function == function and _same_text(recorded.input, text):
        return ""
    return f"calls {function}({_cut(text)})"


def finish_difference(recorded: Finish, result: Result) -> str:
    """Return how a result differs from its event; empty if it does not."""
    was = recorded.result
    if isinstance(was, Failure) or isinstance(result, Failure):
        same = (
            isinstance(was, Failure)
            and isinstance(result, Failure)
            and (was.code, was.message) == (result.code, result.message)
        )
    else:
        same = _same_text(was, result)
    return "" if same else f"ends with {_shown(result)}"


def failure_of(error: EvalError) -> Failure:
    """Return the failure of a run whose script failed with *error*."""
    trace = f"{error.backtrace()}\nError: {error.message}"
    cause = error.cause
    if isinstance(cause, Failure):
        # The function's own words; the position in the script is added.
        return Failure(
            cause.code,
            cause.message,
            cause.kind,
            details=cause.details,
            stack_trace=trace,
        )
    return Failure(
        "STARFLOW_SCRIPT_ERROR",
        error.message[:_MESSAGE_MAX],
        FailureKind.SCRIPT,
        stack_trace=trace,
    )


def _same_text(a: str, b: str) -> bool:
    return a == b or jsontext.equal(a, b)


def _shown(result: Result) -> str:
    if isinstance(result, Failure):
        return f"failure {result.code}: {_cut(result.message)}"
    return _cut(result)


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}..."
