"""Words for steps, and how a step of the script is compared with its event.

The engine compares values, never bytes: two texts of one value are the same call.
"""

from typing import TypeAlias, TypeVar

from starflow_service.engine.events import (
    Call,
    Drop,
    Event,
    Failure,
    FailureKind,
    Finish,
    Restart,
    Result,
    Retryability,
    RetryPolicy,
    Return,
    Wait,
)
from starflow_service.starlark import jsontext
from starflow_service.starlark.errors import Cancelled, EvalError, backtrace
from starflow_service.starlark.host import CallOptions, Fault, Retry

T = TypeVar("T")

_SCRIPT_ERROR = "STARFLOW_SCRIPT_ERROR"
# Failures that say nothing of the call itself.
_PASSING = (FailureKind.TIMEOUT, FailureKind.WORKER_LOST)
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
    if isinstance(event, Wait):
        return f"WAIT for signal {event.name}"
    if isinstance(event, Drop):
        return f"DROP of events {', '.join(map(str, event.dropped_versions))}"
    if isinstance(event, Restart):
        return f"RESTART {_cut(event.input)}"
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
        _SCRIPT_ERROR,
        error.message[:_MESSAGE_MAX],
        FailureKind.SCRIPT,
        stack_trace=trace,
    )


def cancellation(cancelled: Cancelled) -> Failure:
    """Return the failure of a run that ended because somebody asked it to."""
    return Failure(
        "STARFLOW_CANCELLED",
        cancelled.message or "the run was cancelled",
        FailureKind.CANCELLED,
        stack_trace=backtrace(cancelled.stack),
    )


def timeout(message: str) -> Failure:
    """Return what a wait ends with that took too long."""
    return Failure("STARFLOW_TIMEOUT", message, FailureKind.TIMEOUT)


def given_up(what: str) -> Failure:
    """Return what *what* ends with, because the script gave it up."""
    message = f"{what} was given up"
    return Failure("STARFLOW_DROPPED", message, FailureKind.CANCELLED)


def fault_of(error: EvalError) -> Fault:
    """Return what the script may know of its error."""
    cause = error.cause
    if not isinstance(cause, Failure):
        return Fault(_SCRIPT_ERROR, error.message[:_MESSAGE_MAX], None, False)
    retryable = cause.retryability is Retryability.RETRYABLE or (
        cause.retryability is Retryability.UNSPECIFIED and cause.kind in _PASSING
    )
    return Fault(cause.code, cause.message, cause.details, retryable)


_Terms: TypeAlias = tuple[int | None, int | None, RetryPolicy | None, str]
_NO_TERMS: _Terms = (None, None, None, "")


def call_terms(
    now_ns: int, options: CallOptions | None, call_timeout_ns: int | None
) -> _Terms:
    """
    Return a call's end, how long an attempt may take, its retries, its queue.

    *call_timeout_ns* is the function's own; it or the script's ends the call, whichever
    is over first.
    """
    if options is None:
        if call_timeout_ns is None:
            return _NO_TERMS
        return now_ns + call_timeout_ns, *_NO_TERMS[1:]
    bounds = (options.timeout_ns, call_timeout_ns)
    expire_ns = min((now_ns + b for b in bounds if b is not None), default=None)
    policy = _policy(options.retry)
    return expire_ns, options.attempt_timeout_ns, policy, options.queue or ""


def _policy(retry: Retry | None) -> RetryPolicy | None:
    if retry is None:
        return None
    usual = RetryPolicy()
    return RetryPolicy(
        _or(retry.initial_ns, usual.initial_ns),
        _or(retry.coefficient, usual.coefficient),
        retry.max_ns,
        _or(retry.max_attempts, usual.max_attempts),
        retry.non_retryable,
    )


def _or(value: T | None, usual: T) -> T:
    return usual if value is None else value


def _same_text(a: str, b: str) -> bool:
    return a == b or jsontext.equal(a, b)


def _shown(result: Result) -> str:
    if isinstance(result, Failure):
        return f"failure {result.code}: {_cut(result.message)}"
    return _cut(result)


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}..."
