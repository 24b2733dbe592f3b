"""`repr` and `str`: values as text, after the Go implementation."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.caps import (
    CHUNK,
    SMALL,
    digits_work,
    refuse_nesting,
    refuse_text,
)
from starflow_service.starlark.host import Context, Future
from starflow_service.starlark.values import (
    Dict,
    FrozenDict,
    FrozenList,
    Key,
    List,
    LockedDict,
    LockedList,
    Value,
    type_name,
)

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# How much of a value an error message shows.
_BRIEF = 200
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}
_SPECIAL = re.compile(r"[^ !#-\[\]-~]")
# What the decoder makes of each byte that belongs to no character.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


def str_(m: "Meter", x: Any) -> str:
    """Return *x* as `str(x)` does: a string is itself, everything else its `repr`."""
    kind = type(x)
    if kind is str:
        return x  # type: ignore[no-any-return]
    if kind is int and -SMALL < x < SMALL:
        return int.__repr__(x)
    if kind is bytes:
        m.charge(4 * len(x))
        text: str = x.decode("utf-8", "surrogateescape")
        if text.isascii():
            return text
        return "".join(_NOT_UTF8.sub("\ufffd", part) for part in _chunks(m, text))
    return repr_(m, x)


def repr_(m: "Meter", x: Any) -> str:
    """
    Return *x* as `repr(x)` does.

    Raises:
        LimitError: the text is too long, or *x* too deep.
    """
    room = m.limits.max_string
    writer = _Writer(m, room)
    writer.write(x)
    m.charge(4 * (room - writer.room))
    if writer.full:
        refuse_text(m)
    return "".join(writer.parts)


def brief(m: "Meter", x: Any) -> str:
    """Return the `repr` of *x* for an error message, cut off after 200 characters."""
    writer = _Writer(m, _BRIEF)
    writer.write(x)
    m.work(_BRIEF >> 3)
    text = "".join(writer.parts)
    return text[:_BRIEF] + "..." if writer.full else text


def quote(m: "Meter", text: str) -> str:
    """Return *text* as a literal, or a part of it long enough to show it too long."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{_escaped(m, text)}"'


def _escaped(m: "Meter", text: str) -> str:
    parts: list[str] = []
    room = m.limits.max_string
    for chunk in _chunks(m, text):
        part = _SPECIAL.sub(_escape, chunk)
        parts.append(part)
        room -= len(part)
        if room < 0:
            break
    return "".join(parts)


def _chunks(m: "Meter", text: str) -> Iterator[str]:
    """Give *text* in pieces, each paid for."""
    for start in range(0, len(text), CHUNK):
        m.work(CHUNK >> 2)
        yield text[start : start + CHUNK]


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    known = _ESCAPES.get(character)
    if known is not None:
        return known
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote_bytes(m: "Meter", data: bytes) -> str:
    """Return *data* as a literal: `b"..."`."""
    return f'b"{_escaped(m, data.decode("utf-8", "surrogateescape"))}"'


def float_text(x: float) -> str:
    """Return *x* as the shortest text that reads back, with a point or an exponent."""
    text = repr(x)
    if 1e-4 <= abs(x) < 1e6 or x == 0:
        return text
    if x != x:
        return "nan"
    if text.endswith("inf"):
        return "-inf" if x < 0 else "+inf"
    sign, digits, exponent = _decimal(text)
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{exponent:+03d}"


def _decimal(text: str) -> tuple[str, str, int]:
    """Take `-12.5e7` apart: its sign, significant digits, and power of the first."""
    sign = "-" if text[0] == "-" else ""
    mantissa, _, power = text.removeprefix("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    exponent = int(power or 0) + len(whole) - 1
    leading = len(digits) - len(digits.lstrip("0"))
    return sign, digits.strip("0"), exponent - leading


class _Writer:
    """The text of one value as it grows.  It stops, `full`, when there is no room."""

    __slots__ = ("full", "m", "open", "parts", "room")

    def __init__(self, m: "Meter", room: int) -> None:
        self.m = m
        self.room = room
        self.full = False
        self.parts: list[str] = []
        # The containers around the present place: one that holds itself is shown once.
        self.open: list[int] = []

    def write(self, x: Any) -> None:
        kind = type(x)
        if kind in _LISTS:
            self._container(x, "[", "]", self._items)
        elif kind is tuple:
            self._container(x, "(", ",)" if len(x) == 1 else ")", self._items)
        elif kind in _DICTS:
            self._container(x, "{", "}", self._entries)
        elif isinstance(x, Value) and (fields := x.fields()) is not None:
            self._container(x, f"{x.type_name}(", ")", lambda _: self._fields(fields))
        else:
            self._put(self._scalar(kind, x))

    def _put(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            self.full = True
        self.parts.append(text)

    def _scalar(self, kind: type, x: Any) -> str:
        if kind is str:
            # One that cannot fit is not worth escaping to its end.
            return quote(self.m, x if len(x) <= self.room else x[: self.room + 1])
        if kind is int:
            digits_work(self.m, x.bit_length())
            return int.__repr__(x)
        if kind is float:
            return float_text(x)
        if kind is bool or x is None:
            return str(x)
        if kind is bytes:
            return quote_bytes(self.m, x[: self.room + 1])
        return _other(self.m, x)

    def _container(self, x: Any, left: str, right: str, body: Any) -> None:
        if id(x) in self.open:
            self._put(f"{left}...{right}")
            return
        if len(self.open) >= self.m.limits.max_nesting:
            refuse_nesting(self.m)
        self.open.append(id(x))
        self._put(left)
        body(x)
        self._put(right)
        self.open.pop()

    def _items(self, items: Any) -> None:
        for count, item in enumerate(items):
            if self._stop(count):
                return
            self.write(item)

    def _entries(self, entries: Dict) -> None:
        for count, (key, value) in enumerate(entries.items()):
            if self._stop(count):
                return
            self.write(key.value if type(key) is Key else key)
            self._put(": ")
            self.write(value)

    def _fields(self, fields: Mapping[str, Any]) -> None:
        for count, (name, value) in enumerate(fields.items()):
            if self._stop(count):
                return
            self._put(f"{name} = ")
            self.write(value)

    def _stop(self, count: int) -> bool:
        """Begin the element after *count* others, unless the text is full already."""
        if count:
            self._put(", ")
        self.m.work(2)
        return self.full


_LISTS = frozenset({List, LockedList, FrozenList})
_DICTS = frozenset({Dict, LockedDict, FrozenDict})


def _other(m: "Meter", x: Any) -> str:
    """Return the text of what is neither a container nor a plain scalar."""
    if isinstance(x, Value):
        return x.text(m)
    if type(x) is range:
        return _range_text(x)
    if isinstance(x, Context | Future):
        return f"<{type_name(x)}>"
    return f"<function {function_name(x)}>"


def _range_text(x: range) -> str:
    if x.step != 1:
        return f"range({x.start}, {x.stop}, {x.step})"
    return f"range({x.start}, {x.stop})" if x.start else f"range({x.stop})"


def function_name(function: Any) -> str:
    """Return the name of a function of the script; the part after "!" is not its."""
    name: str = function.__code__.co_name
    return name.partition("!")[0]
