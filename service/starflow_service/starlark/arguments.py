"""What the built-ins check about their arguments, in the words of the Go original."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.iteration import items_of
from starflow_service.starlark.text import brief
from starflow_service.starlark.values import type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def mismatch(name: str, place: int | str, x: Any, wanted: str) -> EvalError:
    """Return the error of an argument of the wrong type; *place* is number or name."""
    return EvalError(
        f"{name}: for parameter {place}: got {type_name(x)}, want {wanted}"
    )


def want_str(name: str, place: int | str, x: Any) -> str:
    """Return *x* if it is a string."""
    if type(x) is not str:
        raise mismatch(name, place, x, "string")
    return x


def want_bool(name: str, place: int | str, x: Any) -> bool:
    """Return *x* if it is a bool."""
    if type(x) is not bool:
        raise mismatch(name, place, x, "bool")
    return x


def want_int(m: "Meter", name: str, place: int | str, x: Any) -> int:
    """Return *x* if it is an integer of at most 64 bits."""
    if type(x) is not int:
        raise mismatch(name, place, x, "int")
    if not INT64_MIN <= x <= INT64_MAX:
        raise EvalError(
            f"{name}: for parameter {place}: {brief(m, x)} out of range "
            "(want value in signed 64-bit range)"
        )
    return x


def want_iterable(m: "Meter", name: str, place: int | str, x: Any) -> Sequence[Any]:
    """Return the elements of *x*; they are good until the script runs on."""
    items = items_of(m, x)
    if items is None:
        raise mismatch(name, place, x, "iterable")
    return items


def check_place(m: "Meter", what: str, x: Any) -> None:
    """
    Refuse what is neither None nor an integer of at most 64 bits.

    Raises:
        EvalError: it begins with *what*.
    """
    if x is None:
        return
    if type(x) is not int:
        raise EvalError(f"{what}: got {type_name(x)}, want int")
    if not INT64_MIN <= x <= INT64_MAX:
        raise EvalError(f"{what}: {brief(m, x)} out of range")


def _place(m: "Meter", what: str, x: Any, length: int, absent: int) -> int:
    check_place(m, what, x)
    if x is None:
        return absent
    place: int = x
    return max(0, place + length) if place < 0 else min(place, length)


def window(m: "Meter", name: str, start: Any, end: Any, length: int) -> tuple[int, int]:
    """Return the part of a sequence that `start` and `end` arguments select."""
    if start is None and end is None:
        return 0, length
    low = _place(m, f"{name}: invalid start index", start, length, 0)
    high = _place(m, f"{name}: invalid end index", end, length, length)
    return low, max(low, high)


def out_of_range(m: "Meter", kind: str, at: int, length: int) -> str:
    """Return what is wrong with index *at* of a sequence of *length*."""
    if not length:
        return f"index {brief(m, at)} out of range: empty {kind}"
    return f"{kind} index {brief(m, at)} out of range [-{length}:{length - 1}]"


def bad_index(m: "Meter", kind: str, i: Any, length: int) -> str:
    """Return what is wrong with `x[i]`, *x* being a *kind* of *length*."""
    if type(i) is not int:
        return f"{kind} index: got {type_name(i)}, want int"
    if not INT64_MIN <= i <= INT64_MAX:
        return f"{kind} index: {brief(m, i)} out of range"
    return out_of_range(m, kind, i, length)
