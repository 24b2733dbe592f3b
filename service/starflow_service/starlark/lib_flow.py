"""The module `flow`: what a workflow needs beyond calls that follow each other."""

from typing import TYPE_CHECKING, Any, NoReturn

from starflow_service.starlark import jsontext, results
from starflow_service.starlark.arguments import mismatch, want_bool, want_str
from starflow_service.starlark.calls import call, check_context
from starflow_service.starlark.errors import EvalError, Restarting
from starflow_service.starlark.faults import caught
from starflow_service.starlark.flow_map import MAP
from starflow_service.starlark.flow_options import (
    call_options,
    want_callable,
    want_function,
    want_futures,
    want_signal_name,
    want_span,
)
from starflow_service.starlark.host import Future
from starflow_service.starlark.support import enter, leave
from starflow_service.starlark.text import brief
from starflow_service.starlark.time_values import SECOND, Time
from starflow_service.starlark.values import MISSING, Builtin, Dict, List, Module
from starflow_service.starlark.zones import UTC

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_STATUS_CHARACTERS = 1_000
_DEFERRED_BYTES = 300
_DUE = ("always", "failure", "success")


# Calls


def _call(
    m: "Meter",
    /,
    ctx: Any,
    fn: Any,
    req: Any = None,
    timeout: Any = None,
    attempt_timeout: Any = None,
    retry: Any = None,
    queue: Any = None,
) -> Any:
    """Call a worker's function, with options, and return its result."""
    check_context("flow.call", ctx)
    path = want_function("flow.call", fn)
    options = call_options(m, "flow.call", timeout, attempt_timeout, retry, queue)
    return m.host.call(m, path, req, options)


def _start(
    m: "Meter",
    /,
    ctx: Any,
    fn: Any,
    req: Any = None,
    timeout: Any = None,
    attempt_timeout: Any = None,
    retry: Any = None,
    queue: Any = None,
) -> Future:
    """Begin a call and return its future at once."""
    check_context("flow.start", ctx)
    path = want_function("flow.start", fn)
    options = call_options(m, "flow.start", timeout, attempt_timeout, retry, queue)
    return m.host.start(m, path, req, options)


def _wait(m: "Meter", /, ctx: Any, futures: Any, timeout: Any = None) -> Any:
    """Return the result of a future, or the list of the results of several."""
    check_context("flow.wait", ctx)
    span = want_span("flow.wait", "timeout", timeout)
    if type(futures) is Future:
        return m.host.wait(m, [futures], span)[0]
    # The host gets a list of its own: the script's could change while it waits.
    wanted = "a future, or a list of futures"
    them = want_futures(m, "flow.wait", futures, wanted)
    return List(m.host.wait(m, them, span))


def _first(
    m: "Meter", /, ctx: Any, futures: Any, cancel_rest: Any = True
) -> tuple[int, Any]:
    """Return the place and the result of the future that ends first."""
    check_context("flow.first", ctx)
    want_bool("flow.first", "cancel_rest", cancel_rest)
    them = want_futures(m, "flow.first", futures)
    if not them:
        raise EvalError("flow.first: for parameter futures: an empty list")
    place = m.host.first(m, them)
    if cancel_rest:
        winner = them[place].key
        m.host.drop(m, [future for future in them if future.key != winner])
    return place, m.host.value(m, them[place])


# Branches and errors


def _spawn(m: "Meter", ctx: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
    """Begin a branch that calls *fn*, and return its future."""
    check_context("flow.spawn", ctx)
    want_callable("flow.spawn", fn)
    return m.branches.begin(m, (fn, args, kwargs))


def _catch(m: "Meter", fn: Any, /, *args: Any, **kwargs: Any) -> results.Result:
    """Call *fn* and return what came of it, whether it returned or failed."""
    want_callable("flow.catch", fn)
    # A call of `catch` by `catch` by `catch` is no call of a function of the script.
    enter(m)
    try:
        value = call(m, fn, args, kwargs)
    except Exception as error:
        return results.failure(m, caught(m, error))
    finally:
        leave(m)
    return results.success(m, value)


def _defer(
    m: "Meter", ctx: Any, fn: Any, /, *args: Any, on: Any = "always", **kwargs: Any
) -> None:
    """Call *fn* once `main` has ended, the functions that came last first."""
    check_context("flow.defer", ctx)
    want_callable("flow.defer", fn)
    if want_str("flow.defer", "on", on) not in _DUE:
        raise EvalError(
            f"flow.defer: for parameter on: got {brief(m, on)}, "
            'want "always", "failure" or "success"'
        )
    m.charge(_DEFERRED_BYTES)
    m.branches.deferred.append(((fn, args, kwargs), on))


def _restart(m: "Meter", /, ctx: Any, input: Any) -> NoReturn:
    """End the script here and begin it again with *input*, in a new log."""
    check_context("flow.restart", ctx)
    branches = m.branches
    if branches.current is not branches.main or branches.is_ending:
        raise EvalError(
            "flow.restart: only main may begin again, and not a branch or a "
            "deferred function"
        )
    raise Restarting(jsontext.encode(m, input, what="input"))


# The world


def _wait_signal(
    m: "Meter", /, ctx: Any, name: Any, timeout: Any = None, default: Any = MISSING
) -> Any:
    """Return the value of the next signal *name*."""
    check_context("flow.wait_signal", ctx)
    text = want_signal_name(m, "flow.wait_signal", name)
    span = want_span("flow.wait_signal", "timeout", timeout)
    has_come, value = m.host.wait_signal(m, text, span)
    if has_come:
        return value
    if default is MISSING:
        raise m.host.timed_out(m, f"no signal {text} came in time")
    return default


def _set_status(
    m: "Meter", /, ctx: Any, text: Any, progress: Any = None, data: Any = None
) -> None:
    """Tell people how the run stands."""
    check_context("flow.set_status", ctx)
    if len(want_str("flow.set_status", "text", text)) > _STATUS_CHARACTERS:
        raise EvalError(
            "flow.set_status: for parameter text: more than "
            f"{_STATUS_CHARACTERS} characters"
        )
    status = Dict({"text": text})
    if progress is not None:
        status["progress"] = _share(m, progress)
    if data is not None:
        status["data"] = data
    m.host.set_status(m, jsontext.encode(m, status, what="status"))


def _share(m: "Meter", x: Any) -> float:
    if type(x) not in (int, float):
        raise mismatch("flow.set_status", "progress", x, "a number from 0 to 1")
    if not 0 <= x <= 1:
        raise EvalError(
            f"flow.set_status: for parameter progress: {brief(m, x)} out of range "
            "(want a number from 0 to 1)"
        )
    return float(x)


def _now(m: "Meter", /, ctx: Any) -> Time:
    """Return the time, recorded, as a value to reckon with."""
    check_context("flow.now", ctx)
    seconds, nanosecond = divmod(m.host.now_ns(m), SECOND)
    return Time(seconds, nanosecond, UTC)


FLOW = Module(
    "flow",
    {
        "call": Builtin("flow.call", _call),
        "catch": Builtin("flow.catch", _catch),
        "defer": Builtin("flow.defer", _defer),
        "first": Builtin("flow.first", _first),
        "map": MAP,
        "now": Builtin("flow.now", _now),
        "restart": Builtin("flow.restart", _restart),
        "set_status": Builtin("flow.set_status", _set_status),
        "spawn": Builtin("flow.spawn", _spawn),
        "start": Builtin("flow.start", _start),
        "wait": Builtin("flow.wait", _wait),
        "wait_signal": Builtin("flow.wait_signal", _wait_signal),
    },
)
