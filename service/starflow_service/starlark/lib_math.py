"""The module `math`: floats in, floats out; what has no value is NaN, as in Go.

Results are the nearest floats there are (see `exact`), except that `log` with a base is
a quotient of two of them, and `degrees` and `radians` are computed as Go does.
"""

import math
from collections.abc import Callable
from math import copysign, inf, isfinite, nan
from typing import TYPE_CHECKING, Any

from starflow_service.starlark import exact
from starflow_service.starlark.arguments import mismatch
from starflow_service.starlark.caps import new_int
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.numbers import whole
from starflow_service.starlark.ops import to_float
from starflow_service.starlark.values import MISSING, Builtin, Module, type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# What a function costs that is computed in integers, in steps.
_WORK = 60
_GAMMA_WORK = 300


def _work(*numbers: float) -> int:
    """Return the steps of a function of *numbers*: small ones have many digits."""
    return _WORK - sum(min(0, math.frexp(x)[1]) for x in numbers) // 8


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


def _defined(fn: Callable[..., float]) -> Callable[..., float]:
    """Return *fn* with NaN outside of its domain."""

    def apply(*numbers: float) -> float:
        try:
            return fn(*numbers)
        except ValueError:
            return nan

    return apply


def _exact(
    name: str,
    fn: Callable[[float], float],
    native: Callable[[float], float],
    domain: tuple[float, float] = (-inf, inf),
) -> Builtin:
    """
    Return a function that is *fn* within *domain*, and NaN outside.

    *native* knows what it is at 0, at the infinities and at the ends of the domain:
    there every machine's is the same.
    """
    lowest, highest = domain

    def apply(m: "Meter", x: Any, /) -> float:
        number = _number(name, 1, x)
        if not lowest < number < highest or number == 0:
            return _defined(native)(number)
        m.work(_work(number))
        try:
            return fn(number)
        except OverflowError:
            return copysign(inf, number) if name == "sinh" else inf

    return Builtin(name, apply)


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


def _pow(m: "Meter", x: Any, y: Any, /) -> float:
    base, exponent = _number("pow", 1, x), _number("pow", 2, y)
    m.work(_work(base, exponent))
    is_odd = exponent % 2 == 1
    if base == 0 and exponent < 0:
        return copysign(inf, base) if is_odd else inf
    if not (isfinite(base) and isfinite(exponent) and base and exponent):
        return math.pow(base, exponent)
    if base < 0 and exponent % 1:
        return nan
    sign = -1.0 if base < 0 and is_odd else 1.0
    if abs(base) == 1:
        return sign
    try:
        return sign * exact.power(abs(base), exponent)
    except OverflowError:
        return sign * inf


def _gamma(m: "Meter", x: Any, /) -> float:
    number = _number("gamma", 1, x)
    if number == 0:
        return copysign(inf, number)
    if not isfinite(number):
        return number if number > 0 else nan
    if number < 0 and number % 1 == 0:
        return nan
    m.work(_GAMMA_WORK + _work(number))
    try:
        return exact.gamma(number)
    except OverflowError:
        return -inf if number < 0 and number % 2 > 1 else inf


def _atanh(x: float) -> float:
    return copysign(inf, x) if abs(x) == 1 else _defined(math.atanh)(x)


def _atan2(m: "Meter", y: Any, x: Any, /) -> float:
    rise, run = _number("atan2", 1, y), _number("atan2", 2, x)
    if math.isinf(rise) and math.isinf(run):
        rise, run = copysign(1, rise), copysign(1, run)
    if not (isfinite(rise) and isfinite(run) and rise and run):
        return math.atan2(rise, run)
    m.work(_work(rise, run))
    return exact.atan2(rise, run)


def _hypot(m: "Meter", x: Any, y: Any, /) -> float:
    wide, high = _number("hypot", 1, x), _number("hypot", 2, y)
    if not (isfinite(wide) and isfinite(high)):
        return math.hypot(wide, high)
    m.work(_work(wide, high))
    try:
        return exact.hypot(wide, high)
    except OverflowError:
        return inf


def _ln(m: "Meter", x: float) -> float:
    if x == 0:
        return -inf
    if not 0 < x < inf:
        return _defined(math.log)(x)
    m.work(_work(x))
    return exact.log(x)


def _log(m: "Meter", x: Any, base: Any = MISSING, /) -> float:
    logarithm = _ln(m, _number("log", 1, x))
    if base is MISSING:
        return logarithm
    divisor = _ln(m, _number("log", 2, base))
    if divisor == 0:
        raise EvalError("division by zero")
    return logarithm / divisor


def _degrees(x: float) -> float:
    return 360 * x / (2 * math.pi)


def _radians(x: float) -> float:
    return 2 * math.pi * x / 360


MATH = Module(
    "math",
    {
        "acos": _exact("acos", exact.acos, math.acos, (-1, 1)),
        "acosh": _exact("acosh", exact.acosh, math.acosh, (1, inf)),
        "asin": _exact("asin", exact.asin, math.asin, (-1, 1)),
        "asinh": _exact("asinh", exact.asinh, math.asinh),
        "atan": _exact("atan", exact.atan, math.atan),
        "atan2": Builtin("atan2", _atan2),
        "atanh": _exact("atanh", exact.atanh, _atanh, (-1, 1)),
        "ceil": Builtin("ceil", _ceil),
        "copysign": _binary("copysign", copysign),
        "cos": _exact("cos", exact.cos, math.cos),
        "cosh": _exact("cosh", exact.cosh, math.cosh),
        "degrees": _unary("degrees", _degrees),
        "e": math.e,
        "exp": _exact("exp", exact.exp, math.exp),
        "fabs": _unary("fabs", math.fabs),
        "floor": Builtin("floor", _floor),
        "gamma": Builtin("gamma", _gamma),
        "hypot": Builtin("hypot", _hypot),
        "log": Builtin("log", _log),
        "mod": _binary("mod", _defined(math.fmod)),
        "pi": math.pi,
        "pow": Builtin("pow", _pow),
        "radians": _unary("radians", _radians),
        "remainder": _binary("remainder", _defined(math.remainder)),
        "round": _unary("round", _round),
        "sin": _exact("sin", exact.sin, math.sin),
        "sinh": _exact("sinh", exact.sinh, math.sinh),
        "sqrt": _unary("sqrt", _defined(math.sqrt)),
        "tan": _exact("tan", exact.tan, math.tan),
        "tanh": _exact("tanh", exact.tanh, math.tanh),
    },
)
