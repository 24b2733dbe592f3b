"""JSON text, exactly: integers of any size, floats that stay floats, nothing guessed.

What Python's own module bends is refused here: NaN and infinities, keys that are not
strings, lone surrogates and, in text that people give, duplicate keys.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from starflow.errors import ConversionError

# `int` and `str` refuse more digits than this (sys.set_int_max_str_digits), a limit
# that belongs to the process and not to us. Decimal converts exactly without one.
_DIGITS_PLAIN = 4_300
_DIGITS_PLAIN_BITS = 14_000
_SCALARS = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, slots=True)
class JsonText:
    """A value given as JSON text, which is sent as it stands."""

    text: str


def decode(text: str) -> Any:
    """Return the value of JSON *text* that the service sent."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConversionError(f"is not JSON: {error}") from None
    except ValueError:
        return json.loads(text, parse_int=_parse_int)


def parse(text: str) -> Any:
    """
    Return the value of JSON *text* that a person wrote, as strictly as the service.

    Raises:
        ConversionError: *text* is not JSON, or not what the service accepts.
    """
    try:
        value = json.loads(
            text,
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
        text.encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConversionError(f"is not JSON: {error.msg} at {where}") from None
    except UnicodeEncodeError:
        raise ConversionError("holds a lone surrogate") from None
    except RecursionError:
        raise ConversionError("is nested too deeply") from None
    # An escaped surrogate is plain ASCII in the text and only shows in the value.
    write(value, _no_default)
    return value


def write(value: Any, default: Callable[[Any], Any], path: str = "") -> str:
    """
    Return *value* as JSON text, slowly, and say where it cannot be written.

    *default* turns an object that JSON does not know into one that it does, or raises
    TypeError.

    Raises:
        ConversionError: Something in *value* has no JSON form; the path leads to it.
    """
    try:
        return _write(value, default, path)
    except RecursionError:
        raise ConversionError("is nested too deeply, or contains itself") from None


def _write(value: Any, default: Callable[[Any], Any], path: str) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, str):
        return _write_string(value, path)
    if isinstance(value, int):
        return int_text(value)
    if isinstance(value, float):
        return _write_float(value, path)
    if isinstance(value, dict):
        return _write_object(value, default, path)
    if isinstance(value, list | tuple):
        items = (_write(v, default, f"{path}[{i}]") for i, v in enumerate(value))
        return f"[{','.join(items)}]"
    if isinstance(value, JsonText):
        return value.text
    try:
        plain = default(value)
    except TypeError as error:
        raise ConversionError(str(error), path) from None
    return _write(plain, default, path)


def _write_string(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConversionError("holds a lone surrogate", path) from None
    return json.dumps(value, ensure_ascii=False)


def _write_float(value: float, path: str) -> str:
    if value - value != 0.0:  # NaN and the infinities alone
        raise ConversionError(f"{value!r} has no JSON form", path)
    return float.__repr__(value)


def _write_object(
    value: dict[Any, Any], default: Callable[[Any], Any], path: str
) -> str:
    parts = []
    for key, item in value.items():
        if not isinstance(key, str):
            problem = f"the key {key!r} is not a string but {type(key).__name__}"
            raise ConversionError(problem, path)
        where = f"{path}[{json.dumps(key)}]"
        parts.append(f"{_write_string(key, where)}:{_write(item, default, where)}")
    return f"{{{','.join(parts)}}}"


def check_keys(value: Any) -> None:
    """
    Raise TypeError if a dictionary in *value* has a key that is not a string.

    `json` would turn 1, True and None into the keys "1", "true" and "null". Objects
    that JSON does not know are passed by: whoever turns them into plain values checks
    those.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(key)
            if type(item) not in _SCALARS:
                check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) not in _SCALARS:
                check_keys(item)


def int_text(value: int) -> str:
    """Return the decimal digits of *value*, however many."""
    if value.bit_length() < _DIGITS_PLAIN_BITS:
        return int.__repr__(value)
    return str(Decimal(int(value)))


def _parse_int(digits: str) -> int:
    return int(digits) if len(digits) <= _DIGITS_PLAIN else int(Decimal(digits))


def _parse_float(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ConversionError(f"{text} is no finite 64-bit number")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ConversionError(f"{name} has no JSON form")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ConversionError(f"the key {twice!r} occurs twice in one object")
    return value


def _no_default(value: Any) -> NoReturn:
    raise TypeError(f"{type(value).__name__} has no JSON form")
