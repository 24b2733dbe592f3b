"""The operators of Starlark, on values, under a meter.

Each takes the meter first.  What an operator does to values that it does not know is
an `EvalError` in the words of the Go implementation; what would make a value over its
cap is a `LimitError`.

The names that compiled code uses are all here; some live in modules of their own.
"""

from collections.abc import Callable
from math import floor, fmod, isfinite
from typing import TYPE_CHECKING, Any, NoReturn

from starflow_service.starlark.access import (
    attr,
    index,
    set_attr,
    set_index,
    slice_,
)
from starflow_service.starlark.calls import (
    call,
    call_method,
    spread_args,
    spread_kwargs,
)
from starflow_service.starlark.caps import (
    ENTRY,
    SLOT,
    SMALL,
    TABLE,
    new_bits,
    new_elements,
    new_int,
    new_text,
    refuse_elements,
)
from starflow_service.starlark.compare import (
    DICTS,
    LISTS,
    NUMBERS,
    compare,
    dict_key,
    eq,
    ge,
    gt,
    le,
    lt,
    ne,
)
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.formatting import percent
from starflow_service.starlark.iteration import (
    begin_iteration,
    check_mutable,
    end_iteration,
    items_of,
    unpack,
)
from starflow_service.starlark.search import found
from starflow_service.starlark.text import brief, repr_, str_
from starflow_service.starlark.values import (
    MISSING,
    Dict,
    List,
    Value,
    freeze,
    type_name,
)

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

__all__ = [
    "add",
    "and_",
    "attr",
    "begin_iteration",
    "call",
    "call_method",
    "compare",
    "contains",
    "end_iteration",
    "eq",
    "floordiv",
    "freeze",
    "ge",
    "gt",
    "iadd",
    "index",
    "invert",
    "ior",
    "le",
    "lshift",
    "lt",
    "make_dict",
    "make_list",
    "mod",
    "mul",
    "ne",
    "neg",
    "not_contains",
    "or_",
    "pos",
    "repr_",
    "rshift",
    "set_attr",
    "set_index",
    "slice_",
    "spread_args",
    "spread_kwargs",
    "str_",
    "sub",
    "truediv",
    "truth",
    "type_name",
    "unpack",
    "xor",
]

# Go refuses to shift further, whatever the operand.
_SHIFT_MAX = 512


# Arithmetic


def add(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x + y`."""
    kind, other = type(x), type(y)
    if kind is int and other is int:
        total = x + y
        return total if -SMALL < total < SMALL else new_int(m, total)
    if kind is str and other is str:
        new_text(m, len(x) + len(y), x, y)
        return x + y
    if kind in NUMBERS and other in NUMBERS:
        return to_float(x) + to_float(y)
    if kind in LISTS and other in LISTS:
        new_elements(m, len(x) + len(y))
        return List([*x, *y])
    if kind is tuple and other is tuple:
        new_elements(m, len(x) + len(y))
        return x + y
    if kind is bytes and other is bytes:
        new_text(m, len(x) + len(y))
        return x + y
    return _other(m, "+", x, y)


def sub(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x - y`."""
    kind, other = type(x), type(y)
    if kind is int and other is int:
        difference = x - y
        return difference if -SMALL < difference < SMALL else new_int(m, difference)
    if kind in NUMBERS and other in NUMBERS:
        return to_float(x) - to_float(y)
    return _other(m, "-", x, y)


def mul(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x * y`; a sequence times an int repeats it."""
    kind, other = type(x), type(y)
    if kind is int and other is int:
        if not (-SMALL < x < SMALL and -SMALL < y < SMALL):
            _long_product(m, x, y)
        return new_int(m, x * y)
    if kind in NUMBERS and other in NUMBERS:
        return to_float(x) * to_float(y)
    if other is int and (kind in _REPEATED or kind in LISTS):
        return _repeat(m, x, y)
    if kind is int and (other in _REPEATED or other in LISTS):
        return _repeat(m, y, x)
    return _other(m, "*", x, y)


_REPEATED = frozenset({str, bytes, tuple})


def _repeat(m: "Meter", x: Any, times: int) -> Any:
    """Return *x* repeated; a count below 1 makes it empty."""
    times = max(times, 0)
    length = len(x) * times
    if not length:
        # Python refuses a long count even then.
        times = 0
    if type(x) in LISTS:
        new_elements(m, length)
        return List(list(x) * times)
    if type(x) is tuple:
        new_elements(m, length)
    else:
        new_text(m, length, x if type(x) is str else "")
    return x * times


def truediv(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x / y`, a float for numbers."""
    if type(x) in NUMBERS and type(y) in NUMBERS:
        divisor = to_float(y)
        if divisor == 0:
            raise EvalError("floating-point division by zero")
        return to_float(x) / divisor
    return _other(m, "/", x, y)


def floordiv(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x // y`, rounded down."""
    kind, other = type(x), type(y)
    if kind is int and other is int:
        if y == 0:
            raise EvalError("floored division by zero")
        if not -SMALL < x < SMALL:
            _long_division(m, x, y)
        return new_int(m, x // y)
    if kind in NUMBERS and other in NUMBERS:
        divisor = to_float(y)
        if divisor == 0:
            raise EvalError("floored division by zero")
        quotient = to_float(x) / divisor
        # A zero keeps its sign, which an integer has not.
        whole = isfinite(quotient) and quotient != 0
        return float(floor(quotient)) if whole else quotient
    return _other(m, "//", x, y)


def mod(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x % y`, with the sign of *y*; a string is formatted."""
    kind, other = type(x), type(y)
    if kind is int and other is int:
        if y == 0:
            raise EvalError("integer modulo by zero")
        if not -SMALL < x < SMALL:
            _long_division(m, x, y)
        return new_int(m, x % y)
    if kind is str:
        return percent(m, x, y)
    if kind in NUMBERS and other in NUMBERS:
        return _float_mod(to_float(x), to_float(y))
    return _other(m, "%", x, y)


def _float_mod(x: float, y: float) -> float:
    if y == 0:
        raise EvalError("floating-point modulo by zero")
    if not isfinite(x):
        return float("nan")
    rest = fmod(x, y)
    return rest + y if rest and (rest < 0) != (y < 0) else rest


def to_float(x: float) -> float:
    """
    Return a number as a float.

    Raises:
        EvalError: it is an integer that no float comes near to.
    """
    try:
        return float(x)
    except OverflowError:
        raise EvalError("int too large to convert to float") from None


def _long_product(m: "Meter", x: int, y: int) -> None:
    a, b = x.bit_length(), y.bit_length()
    new_bits(m, max(a + b - 1, 0) if a and b else 0)
    m.work((a >> 5) * (b >> 5) >> 7)


def _long_division(m: "Meter", x: int, y: int) -> None:
    m.work((x.bit_length() >> 5) * (y.bit_length() >> 5) >> 7)
    m.charge(x.bit_length() >> 3)


# Bits


def and_(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x & y`."""
    if type(x) is int and type(y) is int:
        return new_int(m, x & y)
    return _other(m, "&", x, y)


def or_(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x | y`; of two dicts a new one with the entries of both."""
    if type(x) is int and type(y) is int:
        return new_int(m, x | y)
    if type(x) in DICTS and type(y) in DICTS:
        m.charge(ENTRY * (len(x) + len(y)))
        union = Dict(x)
        union.update(y)
        if len(union) > m.limits.max_elements:
            refuse_elements(m)
        return union
    return _other(m, "|", x, y)


def xor(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x ^ y`."""
    if type(x) is int and type(y) is int:
        return new_int(m, x ^ y)
    return _other(m, "^", x, y)


def lshift(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x << y`."""
    if type(x) is int and type(y) is int:
        count = _shift_count(m, y)
        if count >= _SHIFT_MAX:
            raise EvalError(f"shift count too large: {count}")
        new_bits(m, x.bit_length() + count if x else 0)
        return x << count
    return _other(m, "<<", x, y)


def rshift(m: "Meter", x: Any, y: Any) -> Any:
    """Return `x >> y`."""
    if type(x) is int and type(y) is int:
        return new_int(m, x >> _shift_count(m, y))
    return _other(m, ">>", x, y)


def _shift_count(m: "Meter", count: int) -> int:
    if count < 0:
        raise EvalError(f"negative shift count: {brief(m, count)}")
    if count >= 2**31:
        raise EvalError(f"{brief(m, count)} out of range")
    return count


# One operand


def neg(m: "Meter", x: Any) -> Any:
    """Return `-x`."""
    if type(x) is int:
        return new_int(m, -x)
    if type(x) is float:
        return -x
    return _unary("-", x)


def pos(m: "Meter", x: Any) -> Any:
    """Return `+x`."""
    return x if type(x) in NUMBERS else _unary("+", x)


def invert(m: "Meter", x: Any) -> Any:
    """Return `~x`."""
    return new_int(m, ~x) if type(x) is int else _unary("~", x)


def _unary(op: str, x: Any) -> NoReturn:
    raise EvalError(f"unknown unary op: {op} {type_name(x)}")


def truth(x: Any) -> bool:
    """Return whether *x* counts as true."""
    if isinstance(x, Value):
        return x.truth()
    return bool(x)


def _other(m: "Meter", op: str, x: Any, y: Any) -> Any:
    """Return `x op y` of values that bring their own operators, or fail."""
    if isinstance(x, Value):
        result = x.binary(m, op, y, swapped=False)
        if result is not MISSING:
            return result
    if isinstance(y, Value):
        result = y.binary(m, op, x, swapped=True)
        if result is not MISSING:
            return result
    raise EvalError(f"unknown binary op: {type_name(x)} {op} {type_name(y)}")


# In place


def iadd(m: "Meter", x: Any, y: Any) -> Any:
    """Return what `x += y` leaves in x: a list is extended by any iterable."""
    if type(x) not in LISTS:
        return add(m, x, y)
    items = items_of(m, y)
    if items is None:
        return _other(m, "+", x, y)
    check_mutable(x, "cannot apply += to")
    new_elements(m, len(x) + len(items))
    list.extend(x, items)
    return x


def ior(m: "Meter", x: Any, y: Any) -> Any:
    """Return what `x |= y` leaves in x: a dict takes the entries of another."""
    if type(x) not in DICTS or type(y) not in DICTS:
        return or_(m, x, y)
    check_mutable(x, "cannot apply |= to")
    m.charge(ENTRY * len(y))
    x.update(y)
    if len(x) > m.limits.max_elements:
        refuse_elements(m)
    return x


# Membership


def contains(m: "Meter", x: Any, y: Any) -> bool:
    """Return `x in y`."""
    search = _MEMBERSHIP.get(type(y))
    if search is None:
        raise EvalError(f"unknown binary op: {type_name(x)} in {type_name(y)}")
    return search(m, x, y)


def not_contains(m: "Meter", x: Any, y: Any) -> bool:
    """Return `x not in y`."""
    return not contains(m, x, y)


def _in_items(m: "Meter", x: Any, items: Any) -> bool:
    for count, item in enumerate(items):
        if eq(m, x, item):
            m.work(count & 1023)
            return True
        if count & 1023 == 1023:
            m.work(1024)
    m.work(len(items) & 1023)
    return False


def _in_dict(m: "Meter", x: Any, entries: Dict) -> bool:
    try:
        return dict_key(m, x) in entries
    except EvalError:
        # What cannot be a key is in no dict.
        return False


def _in_str(m: "Meter", x: Any, text: str) -> bool:
    if type(x) is not str:
        name = type_name(x)
        raise EvalError(
            f"'in <string>' requires string as left operand, not {name}",
        )
    return found(m, text, x)


def _in_bytes(m: "Meter", x: Any, data: bytes) -> bool:
    if type(x) is int:
        if not 0 <= x < 256:
            raise EvalError(
                f"int in bytes: {brief(m, x)} out of range "
                "(want value in unsigned 8-bit range)"
            )
        m.work(len(data) >> 8)
        return x in data
    if type(x) is not bytes:
        name = type_name(x)
        raise EvalError(
            f"'in bytes' requires bytes or int as left operand, not {name}",
        )
    # Bytes are searched as text, which has the metered search.
    return found(m, data.decode("latin-1"), x.decode("latin-1"))


def _in_range(m: "Meter", x: Any, numbers: range) -> bool:
    if type(x) is float:
        return x.is_integer() and int(x) in numbers
    if type(x) is not int:
        name = type_name(x)
        raise EvalError(
            f"'in <range>' requires integer as left operand, not {name}",
        )
    return x in numbers


_MEMBERSHIP: dict[type, Callable[["Meter", Any, Any], bool]] = {
    **dict.fromkeys(LISTS, _in_items),
    **dict.fromkeys(DICTS, _in_dict),
    tuple: _in_items,
    str: _in_str,
    bytes: _in_bytes,
    range: _in_range,
}


# Displays


def make_list(m: "Meter", items: list[Any]) -> List:
    """Return a new list of *items*."""
    new_elements(m, len(items), SLOT)
    return List(items)


def make_dict(m: "Meter", pairs: list[tuple[Any, Any]]) -> Dict:
    """
    Return a new dict of *pairs*.

    Raises:
        EvalError: a key is not hashable, or is there twice.
    """
    new_elements(m, len(pairs), ENTRY)
    m.bytes -= TABLE
    made = Dict()
    for x, value in pairs:
        key = dict_key(m, x)
        if key in made:
            raise EvalError(f"duplicate key: {brief(m, x)}")
        made[key] = value
    return made
