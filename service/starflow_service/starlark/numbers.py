"""Numbers out of text, read as strictly as the Go original reads them."""

import re
from math import isfinite
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.caps import digits_work, new_bits, new_int
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.values import type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# Python's own parsers take spaces, underscores and every script's digits.
_INTEGER = re.compile("([+-]?)(0[bB]|0[oO]|0[xX])?([0-9a-zA-Z]+)")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SPECIAL = re.compile("[+-]?(?:inf|infinity|nan)", re.IGNORECASE | re.ASCII)
_PREFIXES = {"0b": 2, "0o": 8, "0x": 16}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# Bits that a digit is worth at least, in tenths: log2 of 10 is 3.3.
_TENTHS_OF_BITS = {2: 10, 8: 30, 10: 33, 16: 40}


def parse_int(m: "Meter", text: str, base: Any) -> int:
    """
    Return the integer that *text* is in *base*, as `int(text, base)` does.

    Raises:
        EvalError: it is none, or there is no such base.
    """
    if type(base) is not int:
        raise EvalError(f"int: for base, got {type_name(base)}, want int")
    if base != 0 and not 2 <= base <= 36:
        raise EvalError("int: base must be an integer >= 2 && <= 36")
    m.work(len(text) >> 5)
    match = _INTEGER.fullmatch(text)
    parts = None if match is None else _digits(match, base)
    if parts is None:
        raise EvalError(f"int: invalid literal with base {base}: {text[:80]}")
    sign, digits, radix = parts
    return -_value(m, digits, radix) if sign == "-" else _value(m, digits, radix)


def _digits(match: re.Match[str], base: int) -> tuple[str, str, int] | None:
    """Return the sign, the digits and their base, or None if they do not fit."""
    sign, prefix, digits = match.groups()
    radix = base or 10
    if prefix:
        prefixed = _PREFIXES[prefix.lower()]
        if base in (0, prefixed):
            radix = prefixed
        else:
            # In base 16, 0b1 is a number without a prefix.
            digits = prefix + digits
    elif base == 0 and digits[0] == "0" and digits.strip("0"):
        return None
    known = set(_DIGITS[:radix])
    return (sign, digits, radix) if known.issuperset(digits.lower()) else None


def _value(m: "Meter", digits: str, radix: int) -> int:
    digits = digits.lstrip("0") or "0"
    bits = (len(digits) - 1) * _TENTHS_OF_BITS.get(radix, 10) // 10
    new_bits(m, bits)
    digits_work(m, bits if radix not in (2, 8, 16) else 0)
    return new_int(m, int(digits, radix))


def parse_float(m: "Meter", text: str) -> float:
    """
    Return the float that *text* is, as `float(text)` does.

    Raises:
        EvalError: it is none, or too large to be one.
    """
    m.work(len(text) >> 5)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not isfinite(number):
            raise EvalError("floating-point number too large")
        return number
    if _SPECIAL.fullmatch(text):
        return float(text)
    if not text:
        raise EvalError("float: empty string")
    raise EvalError(f"invalid float literal: {text[:80]}")


def whole(prefix: str, x: float) -> int:
    """
    Return *x* without its fraction.

    Raises:
        EvalError: it is not finite.
    """
    if not isfinite(x):
        shown = "NaN" if x != x else "infinity"
        raise EvalError(f"{prefix}cannot convert float {shown} to integer")
    return int(x)
