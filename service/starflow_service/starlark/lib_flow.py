"""The module `flow`: calls that run at the same time."""

from typing import TYPE_CHECKING, Any

from starflow_service.starlark.calls import check_context
from starflow_service.starlark.caps import new_elements
from starflow_service.starlark.compare import LISTS
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.host import Future
from starflow_service.starlark.values import (
    Builtin,
    HostFunction,
    List,
    Module,
    type_name,
)

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter


def _start(m: "Meter", /, ctx: Any, fn: Any, req: Any = None) -> Future:
    """Begin a call and return its future at once."""
    check_context("flow.start", ctx)
    if type(fn) is not HostFunction:
        raise EvalError(
            f"flow.start: for parameter fn: got {type_name(fn)}, "
            "want the name of a worker's function, such as payments.charge"
        )
    return m.host.start(m, fn.path, req)


def _wait(m: "Meter", /, ctx: Any, futures: Any) -> Any:
    """Return the result of a future, or the list of the results of several."""
    check_context("flow.wait", ctx)
    if type(futures) is Future:
        return m.host.wait(m, [futures])[0]
    if type(futures) is not tuple and type(futures) not in LISTS:
        raise EvalError(
            f"flow.wait: for parameter futures: got {type_name(futures)}, "
            "want a future, or a list of futures"
        )
    for place, future in enumerate(futures):
        if type(future) is not Future:
            raise EvalError(
                f"flow.wait: at index {place}: got {type_name(future)}, want future"
            )
    new_elements(m, len(futures), 16)
    # The host gets a list of its own: the script's could change while it waits.
    return List(m.host.wait(m, list(futures)))


FLOW = Module(
    "flow",
    {
        "start": Builtin("flow.start", _start),
        "wait": Builtin("flow.wait", _wait),
    },
)
