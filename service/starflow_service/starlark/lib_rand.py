"""The module `rand`: numbers that are drawn once, and recorded."""

from typing import TYPE_CHECKING, Any

from starflow_service.starlark.arguments import INT64_MAX, mismatch
from starflow_service.starlark.calls import check_context
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.text import brief
from starflow_service.starlark.values import Builtin, Module

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter


def _int(m: "Meter", /, ctx: Any, max: Any) -> int:
    """Return a number from 0 to *max* - 1."""
    check_context("rand.int", ctx)
    if type(max) is not int:
        raise mismatch("rand.int", "max", max, "int")
    if not 1 <= max <= INT64_MAX:
        raise EvalError(
            f"rand.int: for parameter max: {brief(m, max)} out of range "
            "(want at least 1 and less than 2^63)"
        )
    return m.host.rand_int(m, max)


RAND = Module("rand", {"int": Builtin("rand.int", _int)})
