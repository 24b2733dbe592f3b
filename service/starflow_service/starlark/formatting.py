"""`"%s" % x` and `"{}".format(x)`; as in the Go original without width or precision."""

import re
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.caps import digits_work, new_text, refuse_text
from starflow_service.starlark.compare import DICTS
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.text import brief, float_text, repr_, str_
from starflow_service.starlark.values import MISSING, type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter


# Memory, and so time, of one part of a result.
_PART = 128


class _Output:
    """The parts of a result, which are counted before they are joined."""

    __slots__ = ("length", "m", "parts")

    def __init__(self, m: "Meter") -> None:
        self.m = m
        self.length = 0
        self.parts: list[str] = []

    def put(self, part: str) -> None:
        self.length += len(part)
        if self.length > self.m.limits.max_string:
            refuse_text(self.m)
        self.parts.append(part)

    def text(self) -> str:
        new_text(self.m, self.length, *self.parts)
        return "".join(self.parts)


# The % operator


def percent(m: "Meter", template: str, operand: Any) -> str:
    """
    Return `template % operand`.

    Raises:
        EvalError: the two do not fit.
    """
    if type(operand) in _PLAIN and _PLAIN_TEMPLATE.fullmatch(template):
        return _plain_percent(m, template, operand)
    output = _Output(m)
    arguments = _Arguments(m, operand)
    start = 0
    while (place := template.find("%", start)) >= 0:
        m.charge(_PART + 4 * (place - start))
        output.put(template[start:place])
        start = _directive(m, template, place + 1, arguments, output)
    output.put(template[start:])
    arguments.check_all_used()
    return output.text()


# Most templates are a short text with one "%s" or "%d" in it.
_PLAIN = frozenset({int, str})
_PLAIN_TEMPLATE = re.compile(r"[^%]{0,100}%[sd][^%]{0,100}")


def _plain_percent(m: "Meter", template: str, operand: Any) -> str:
    """Return what Python's own operator makes of a string or an integer."""
    if type(operand) is str:
        if "%d" in template:
            _integer(m, "d", operand)
        new_text(m, len(template) + len(operand), template, operand)
    else:
        bits = operand.bit_length()
        digits_work(m, bits)
        new_text(m, len(template) + bits // 3, template)
    text: str = template % operand
    return text


def _directive(
    m: "Meter", template: str, start: int, arguments: "_Arguments", output: _Output
) -> int:
    """Write what follows a "%" at *start* - 1, and return where it ends."""
    key = None
    if template.startswith("%", start):
        output.put("%")
        return start + 1
    if template.startswith("(", start):
        close = template.find(")", start)
        if close < 0:
            raise EvalError("incomplete format key")
        key = template[start + 1 : close]
        start = close + 1
    if start == len(template):
        raise EvalError("incomplete format")
    value = arguments.next() if key is None else arguments.named(key)
    convert = _CONVERSIONS.get(template[start])
    if convert is None:
        raise EvalError(f"unknown conversion %{template[start]}")
    output.put(convert(m, template[start], value))
    return start + 1


class _Arguments:
    """The right operand of "%": a tuple, a dict with names, or a single value."""

    __slots__ = ("m", "operand", "positional", "used")

    def __init__(self, m: "Meter", operand: Any) -> None:
        self.m = m
        self.operand = operand
        self.positional = operand if type(operand) is tuple else (operand,)
        self.used = 0

    def next(self) -> Any:
        if self.used == len(self.positional):
            raise EvalError("not enough arguments for format string")
        self.used += 1
        return self.positional[self.used - 1]

    def named(self, key: str) -> Any:
        if type(self.operand) not in DICTS:
            raise EvalError("format requires a mapping")
        value = self.operand.get(key, MISSING)
        if value is MISSING:
            raise EvalError(f"key not found: {key[:200]}")
        self.used += 1
        return value

    def check_all_used(self) -> None:
        if self.used < len(self.positional) and type(self.operand) not in DICTS:
            raise EvalError("too many arguments for format string")


def _str(m: "Meter", verb: str, x: Any) -> str:
    # Inside a format bytes are shown as a literal, unlike by `str`.
    return repr_(m, x) if type(x) is bytes else str_(m, x)


def _repr(m: "Meter", verb: str, x: Any) -> str:
    return repr_(m, x)


def _integer(m: "Meter", verb: str, x: Any) -> str:
    if type(x) is float:
        if not isfinite(x):
            shown = "NaN" if x != x else "infinity"
            raise EvalError(
                f"%{verb} format requires integer: "
                f"cannot convert float {shown} to integer"
            )
        x = int(x)
    if type(x) is not int:
        name = type_name(x)
        raise EvalError(
            f"%{verb} format requires integer: cannot convert {name} to int"
        )
    digits_work(m, x.bit_length())
    return format(x, "d" if verb == "i" else verb)


def _float(m: "Meter", verb: str, x: Any) -> str:
    if type(x) is not int and type(x) is not float:
        raise EvalError(f"%{verb} format requires float, not {type_name(x)}")
    try:
        number = float(x)
    except OverflowError:
        raise EvalError("int too large to convert to float") from None
    if verb in "gG" or not isfinite(number):
        text = float_text(number)
        return text.upper() if verb in "EG" and isfinite(number) else text
    return format(number, verb)


def _character(m: "Meter", verb: str, x: Any) -> str:
    if type(x) is str:
        if len(x) != 1:
            raise EvalError("%c format requires a single-character string")
        return x
    if type(x) is not int:
        name = type_name(x)
        raise EvalError(
            f"%c format requires int or single-character string, not {name}"
        )
    if not 0 <= x < 0x110000:
        raise EvalError(
            f"%c format requires a valid Unicode code point, got {brief(m, x)}"
        )
    return scalar(x)


def scalar(code: int) -> str:
    """Return the character *code*; half a surrogate pair is none and becomes U+FFFD."""
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


_CONVERSIONS: dict[str, Callable[["Meter", str, Any], str]] = {
    "s": _str,
    "r": _repr,
    **dict.fromkeys("dioxX", _integer),
    **dict.fromkeys("eEfFgG", _float),
    "c": _character,
}


# string.format

_BRACE = re.compile("[{}]")
# Longer numbers cannot be places of arguments; then the field is a name.
_PLACE = re.compile("[0-9]{1,18}")


def format_(
    m: "Meter", template: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str:
    """
    Return `template.format(*args, **kwargs)`.

    Raises:
        EvalError: the template is malformed, or wants an argument that is not there.
    """
    output = _Output(m)
    fields = _Fields(args, kwargs)
    for literal, field in _pieces(template):
        m.charge(_PART + 4 * len(literal))
        output.put(literal)
        if field is not None:
            name, conversion = _parse_field(field)
            value = fields.get(name)
            render = _repr if conversion == "r" else _str
            output.put(render(m, "", value))
    return output.text()


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    """Give the template as literal text, each with the replacement field after it."""
    start = 0
    while brace := _BRACE.search(template, start):
        place = brace.start()
        if template.startswith(brace[0], place + 1):
            yield template[start : place + 1], None
            start = place + 2
            continue
        if brace[0] == "}":
            raise EvalError("format: single '}' in format")
        close = template.find("}", place)
        if close < 0:
            raise EvalError("format: unmatched '{' in format")
        field = template[place + 1 : close]
        if "{" in field:
            raise EvalError("format: nested replacement fields not supported")
        yield template[start:place], field
        start = close + 1
    yield template[start:], None


def _parse_field(field: str) -> tuple[str, str]:
    """Return the name and the conversion of a replacement field."""
    head, _, spec = field.partition(":")
    name, mark, conversion = head.partition("!")
    if mark and conversion not in ("s", "r"):
        raise EvalError(f'format: unknown conversion "{conversion[:40]}"')
    if spec:
        raise EvalError(
            "format spec features not supported in replacement fields: " + spec[:40]
        )
    if "." in name:
        raise EvalError(
            "format: attribute syntax x.y is not supported in replacement fields: "
            + name[:40]
        )
    if "[" in name:
        raise EvalError(
            "format: element syntax a[i] is not supported in replacement fields: "
            + name[:40]
        )
    return name, conversion


class _Fields:
    """The arguments of `format`, taken by place, by name, or one after the other."""

    __slots__ = ("args", "automatic", "kwargs", "next")

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs
        self.next = 0
        self.automatic: bool | None = None

    def get(self, name: str) -> Any:
        if not name:
            self._number(automatic=True)
            self.next += 1
            return self._at(self.next - 1)
        if _PLACE.fullmatch(name):
            self._number(automatic=False)
            return self._at(int(name))
        if name not in self.kwargs:
            raise EvalError(f"format: keyword {name[:200]} not found")
        return self.kwargs[name]

    def _number(self, *, automatic: bool) -> None:
        if self.automatic is (not automatic):
            names = ("manual field specification", "automatic field numbering")
            raise EvalError(
                f"format: cannot switch from {names[self.automatic]} "
                f"to {names[automatic]}"
            )
        self.automatic = automatic

    def _at(self, place: int) -> Any:
        if place >= len(self.args):
            raise EvalError("format: tuple index out of range")
        return self.args[place]
