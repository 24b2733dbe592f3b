"""What the functions of `flow` check about their arguments."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.arguments import mismatch, want_int, want_str
from starflow_service.starlark.calls import is_callable
from starflow_service.starlark.caps import new_elements
from starflow_service.starlark.compare import DICTS, LISTS, key_value
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.host import CallOptions, Future, Retry
from starflow_service.starlark.spelling import nearest
from starflow_service.starlark.text import brief
from starflow_service.starlark.time_values import Duration
from starflow_service.starlark.values import HostFunction, type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_RETRY = ("max_attempts", "initial", "max", "coefficient", "non_retryable")
_ATTEMPTS_MAX = 1_000
_COEFFICIENT_MAX = 1_000.0
_CODES_MAX = 100
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,62}", re.ASCII)
_QUEUE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_SIGNAL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,127}", re.ASCII)


def want_function(name: str, x: Any) -> str:
    """Return the dotted name of a worker's function."""
    if type(x) is not HostFunction:
        wanted = "the name of a worker's function, such as payments.charge"
        raise mismatch(name, "fn", x, wanted)
    return x.path


def want_callable(name: str, x: Any) -> Any:
    """Return *x* if it can be called."""
    if not is_callable(x):
        raise mismatch(name, "fn", x, "a function")
    return x


def want_span(name: str, place: str, x: Any) -> int | None:
    """Return the nanoseconds of a duration of more than nothing, or None."""
    if x is None:
        return None
    if type(x) is not Duration:
        raise mismatch(name, place, x, "time.duration, such as 5 * time.second")
    if x.nanoseconds <= 0:
        raise EvalError(f"{name}: for parameter {place}: want more than no time")
    return x.nanoseconds


def want_futures(
    m: "Meter", name: str, x: Any, wanted: str = "a list of futures"
) -> Sequence[Future]:
    """Return a list of futures as the host may keep it."""
    if type(x) is not tuple and type(x) not in LISTS:
        raise mismatch(name, "futures", x, wanted)
    for place, future in enumerate(x):
        if type(future) is not Future:
            kind = type_name(future)
            raise EvalError(f"{name}: at index {place}: got {kind}, want future")
    # A branch that waits is in a table for each of them.
    new_elements(m, len(x), 256)
    m.work(2 * len(x))
    return list(x)


def want_signal_name(m: "Meter", name: str, x: Any) -> str:
    """Return the name of a signal."""
    text = want_str(name, "name", x)
    if _SIGNAL_NAME.fullmatch(text) is None:
        raise EvalError(
            f"{name}: for parameter name: {brief(m, text)} is no name of a signal "
            "(want letters, digits and any of ._:- after the first, at most 128)"
        )
    return text


def call_options(
    m: "Meter", name: str, timeout: Any, attempt_timeout: Any, retry: Any, queue: Any
) -> CallOptions | None:
    """Return the options of one call; None: all as usual."""
    if timeout is None and attempt_timeout is None and retry is None and queue is None:
        return None
    return CallOptions(
        want_span(name, "timeout", timeout),
        want_span(name, "attempt_timeout", attempt_timeout),
        None if retry is None else _retry(m, name, retry),
        None if queue is None else _queue_name(m, name, queue),
    )


def _queue_name(m: "Meter", name: str, x: Any) -> str:
    text = want_str(name, "queue", x)
    if _QUEUE_NAME.fullmatch(text) is None:
        raise EvalError(
            f"{name}: for parameter queue: {brief(m, text)} is no name of a queue "
            "(want letters, digits and any of _.- after a letter or _, at most 128)"
        )
    return text


def _retry(m: "Meter", name: str, x: Any) -> Retry:
    if type(x) not in DICTS:
        raise mismatch(name, "retry", x, f"a dict of {', '.join(_RETRY)}")
    _check_names(m, name, x)
    what = f"{name}: for parameter retry"
    initial = want_span(name, "retry: initial", x.get("initial"))
    longest = want_span(name, "retry: max", x.get("max"))
    if longest is not None and longest < (initial or 0):
        raise EvalError(f"{what}: max is shorter than initial")
    return Retry(
        _attempts(m, name, x),
        initial,
        longest,
        _coefficient(m, what, x.get("coefficient")),
        _codes(m, what, x.get("non_retryable", ())),
    )


def _check_names(m: "Meter", name: str, x: Mapping[Any, Any]) -> None:
    for key in x:
        if key not in _RETRY:
            near = nearest(key, _RETRY) if type(key) is str else None
            advice = f"did you mean {near}?" if near else f"want {', '.join(_RETRY)}"
            shown = brief(m, key) if type(key) is str else type_name(key_value(key))
            raise EvalError(f"{name}: for parameter retry: {shown} ({advice})")


def _attempts(m: "Meter", name: str, x: Mapping[Any, Any]) -> int | None:
    attempts = x.get("max_attempts")
    if attempts is None:
        return None
    count = want_int(m, name, "retry: max_attempts", attempts)
    if not 1 <= count <= _ATTEMPTS_MAX:
        raise EvalError(
            f"{name}: for parameter retry: max_attempts must be from 1 to "
            f"{_ATTEMPTS_MAX}"
        )
    return count


def _coefficient(m: "Meter", what: str, x: Any) -> float | None:
    if x is None:
        return None
    if type(x) not in (int, float) or not 1 <= x <= _COEFFICIENT_MAX:
        raise EvalError(
            f"{what}: coefficient must be a number from 1 to {_COEFFICIENT_MAX:g}, "
            f"not {brief(m, x)}"
        )
    return float(x)


def _codes(m: "Meter", what: str, x: Any) -> tuple[str, ...]:
    if type(x) is not tuple and type(x) not in LISTS:
        kind = type_name(x)
        raise EvalError(f"{what}: non_retryable: got {kind}, want a list of codes")
    if len(x) > _CODES_MAX:
        raise EvalError(f"{what}: non_retryable: more than {_CODES_MAX} codes")
    for code in x:
        if type(code) is not str or _CODE.fullmatch(code) is None:
            raise EvalError(
                f"{what}: non_retryable: {brief(m, code)} is no code "
                'such as "CARD_DECLINED"'
            )
    return tuple(x)
