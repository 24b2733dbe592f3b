"""The module `math`: floats in, floats out; what has no value is NaN, as in Go."""

import math
from collections.abc import Callable
from math import copysign, inf, isfinite, nan
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.arguments import mismatch
from starflow_service.starlark.caps import new_int
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.numbers import whole
from starflow_service.starlark.ops import to_float
from starflow_service.starlark.values import MISSING, Builtin, Module, type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter


def _number(name: str, place: int, x: Any) -> float:
    if type(x) is not float and type(x) is not int:
        raise mismatch(name, place, x, "float or int")
    return to_float(x)


def _unary(name: str, fn: Callable[[float], float]) -> Builtin:
    def apply(m: "Meter", x: Any, /) -> float:
        return fn(_number(name, 1, x))

    return Builtin(name, apply)


def _binary(name: str, fn: Callable[[float, float], float]) -> Builtin:
    def apply(m: "Meter", x: Any, y: Any, /) -> float:
        return fn(_number(name, 1, x), _number(name, 2, y))

    return Builtin(name, apply)


def _defined(
    fn: Callable[..., float], overflow: Callable[..., float] = lambda *_: inf
) -> Callable[..., float]:
    """Return *fn* with NaN outside of its domain, and *overflow* beyond all floats."""

    def apply(*numbers: float) -> float:
        try:
            return fn(*numbers)
        except ValueError:
            return nan
        except OverflowError:
            return overflow(*numbers)

    return apply


def _ceil(m: "Meter", x: Any, /) -> int:
    if type(x) is int:
        return x
    return new_int(m, math.ceil(_finite(x)))


def _floor(m: "Meter", x: Any, /) -> int:
    if type(x) is int:
        return x
    return new_int(m, math.floor(_finite(x)))


def _finite(x: Any) -> float:
    if type(x) is not float:
        raise EvalError(f"got {type_name(x)}, want float or int")
    # For what it raises; the fraction is still to be rounded.
    whole("", x)
    return x


def _round(x: float) -> float:
    """Round halves away from zero."""
    if not isfinite(x):
        return x
    lower = float(math.floor(abs(x)))
    return copysign(lower + (abs(x) - lower >= 0.5), x)


def _pow(x: float, y: float) -> float:
    if x == 0 and y < 0:
        odd = y == math.floor(y) and y % 2 == 1
        return copysign(inf, x) if odd else inf
    return _defined(math.pow, _pow_overflow)(x, y)


def _pow_overflow(x: float, y: float) -> float:
    return -inf if x < 0 and y % 2 == 1 else inf


def _gamma(x: float) -> float:
    if x == 0:
        return copysign(inf, x)
    if x == -inf:
        return nan
    return _defined(math.gamma)(x)


def _atanh(x: float) -> float:
    return copysign(inf, x) if abs(x) == 1 else _defined(math.atanh)(x)


def _ln(x: float) -> float:
    return -inf if x == 0 else _defined(math.log)(x)


def _log(m: "Meter", x: Any, base: Any = MISSING, /) -> float:
    logarithm = _ln(_number("log", 1, x))
    if base is MISSING:
        return logarithm
    divisor = _ln(_number("log", 2, base))
    if divisor == 0:
        raise EvalError("division by zero")
    return logarithm / divisor


MATH = Module(
    "math",
    {
        "acos": _unary("acos", _defined(math.acos)),
        "acosh": _unary("acosh", _defined(math.acosh)),
        "asin": _unary("asin", _defined(math.asin)),
        "asinh": _unary("asinh", math.asinh),
        "atan": _unary("atan", math.atan),
        "atan2": _binary("atan2", math.atan2),
        "atanh": _unary("atanh", _atanh),
        "ceil": Builtin("ceil", _ceil),
        "copysign": _binary("copysign", copysign),
        "cos": _unary("cos", _defined(math.cos)),
        "cosh": _unary("cosh", _defined(math.cosh)),
        "degrees": _unary("degrees", math.degrees),
        "e": math.e,
        "exp": _unary("exp", _defined(math.exp)),
        "fabs": _unary("fabs", math.fabs),
        "floor": Builtin("floor", _floor),
        "gamma": _unary("gamma", _gamma),
        "hypot": _binary("hypot", math.hypot),
        "log": Builtin("log", _log),
        "mod": _binary("mod", _defined(math.fmod)),
        "pi": math.pi,
        "pow": _binary("pow", _pow),
        "radians": _unary("radians", math.radians),
        "remainder": _binary("remainder", _defined(math.remainder)),
        "round": _unary("round", _round),
        "sin": _unary("sin", _defined(math.sin)),
        "sinh": _unary("sinh", _defined(math.sinh, lambda x: copysign(inf, x))),
        "sqrt": _unary("sqrt", _defined(math.sqrt)),
        "tan": _unary("tan", _defined(math.tan)),
        "tanh": _unary("tanh", math.tanh),
    },
)
