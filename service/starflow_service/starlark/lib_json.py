"""The module `json`: JSON as text, in the hands of the script.

It keeps the rules of payloads with these exceptions.  A text may be as long, and a
value as deep, as values of the language may be.  What is written is the Go original's:
the keys of objects are in order, floats look as `str` shows them.  What is read may
come from anywhere, so it may have duplicate keys and halves of surrogate pairs.
"""

import re
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

from starflow_service.starlark import json_faults, jsontext
from starflow_service.starlark.arguments import want_str
from starflow_service.starlark.caps import CHUNK, HEADER, new_text, refuse_text
from starflow_service.starlark.compare import DICTS, sorted_by
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.text import float_text
from starflow_service.starlark.values import MISSING, Builtin, Module, Value, type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_INDENT_MAX = 64
# The tokens of a text that is known to be JSON; what lies between them is white space.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*"|[][{}:,]|[^][{}:,"\s]+', re.DOTALL)
# An escape; alone is the half of a surrogate pair without the other one.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<alone>u[dD][89a-fA-F]..)|.)",
    re.DOTALL,
)


# Writing


class _Writer(jsontext.Writer):
    """Writes, and refuses, as the Go original does."""

    __slots__ = ()

    def number(self, x: float) -> str:
        text = float_text(x)
        if not isfinite(x):
            raise jsontext.Refused(f"cannot encode non-finite float {text}")
        return text

    def other(self, x: Any, depth: int) -> None:
        items = x.elements(self.m) if isinstance(x, Value) else None
        if items is None:
            raise jsontext.Refused(f"cannot encode {type_name(x)} as JSON")
        self.m.charge(8 * len(items))
        self.write(tuple(items), depth)

    def entries(self, x: Any) -> Iterable[tuple[Any, Any]]:
        if any(type(key) is not str for key in x):
            # One of them is refused, whatever their order.
            return super().entries(x)
        self.m.charge(80 * len(x))
        keys = list(x)
        return ((key, x[key]) for key in sorted_by(self.m, keys, keys))

    def bad_key(self, x: Any, key: Any) -> str:
        return f"{type_name(x)} has {type_name(key)} key, want string"

    def step(self, x: Any, place: str) -> str:
        if not place.startswith('"'):
            return f"at {type_name(x)} index {place}: "
        if type(x) in DICTS:
            return f"in dict key {place}: "
        return f"in field .{place[1:-1]}: "


def _encode(m: "Meter", x: Any, /) -> str:
    return _encoded(m, "json.encode", x)


def _encoded(m: "Meter", name: str, x: Any) -> str:
    writer = _Writer(m, m.limits.max_string, m.limits.max_nesting)
    try:
        return writer.whole(x)
    except jsontext.Refused as refused:
        if writer.is_full:
            refuse_text(m)
        message = f"{name}: {refused.shown_path}{refused.reason}"
        raise EvalError(message) from None


# Reading


def _decode(m: "Meter", x: Any, /, default: Any = MISSING) -> Any:
    text = want_str("json.decode", "x", x)
    try:
        return _read(m, text)
    except jsontext.JsonError as error:
        if default is not MISSING:
            return default
        raise _refused(m, "json.decode", text, error) from None


def _read(m: "Meter", text: str) -> Any:
    limits = m.limits
    return jsontext.decode(
        m,
        _paired(m, text),
        bytes_max=4 * limits.max_string,
        depth_max=limits.max_nesting,
        last_counts=True,
    )


def _paired(m: "Meter", text: str) -> str:
    """Return *text* with U+FFFD in place of halves of surrogate pairs."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    m.charge(4 * len(text))
    parts: list[str] = []
    start = 0
    for match in _ESCAPE.finditer(text):
        m.work(2)
        if match["alone"] is not None:
            m.charge(2 * HEADER)
            parts += (text[start : match.start()], "\\ufffd")
            start = match.end()
    parts.append(text[start:])
    return "".join(parts)


def _refused(m: "Meter", name: str, text: str, error: jsontext.JsonError) -> EvalError:
    """Return the error in the words of the Go original, if it has any for it."""
    return EvalError(f"{name}: {json_faults.fault(m, text) or error.message}")


def _indent(m: "Meter", s: Any, /, *, prefix: Any = "", indent: Any = "\t") -> str:
    text = want_str("json.indent", 1, s)
    try:
        # Only to refuse what is not JSON.
        _read(m, text)
    except jsontext.JsonError as error:
        raise _refused(m, "json.indent", text, error) from None
    return _indented(m, "json.indent", text, prefix, indent)


def _encode_indent(
    m: "Meter", x: Any, /, *, prefix: Any = "", indent: Any = "\t"
) -> str:
    name = "json.encode_indent"
    return _indented(m, name, _encoded(m, name, x), prefix, indent)


# Laying out


def _indented(m: "Meter", name: str, text: str, prefix: Any, indent: Any) -> str:
    before = want_str(name, "prefix", prefix)
    step = want_str(name, "indent", indent)
    if len(before) + len(step) > _INDENT_MAX:
        raise EvalError(f"{name}: prefix and indent have more than 64 characters")
    joined: list[str] = []
    parts: list[str] = []
    length = 0
    for part in _laid_out(m, text, before, step):
        length += len(part)
        if length > m.limits.max_string:
            refuse_text(m)
        parts.append(part)
        if len(parts) == CHUNK:
            # Many parts take long to be joined and dropped.
            joined.append("".join(parts))
            parts.clear()
    # All parts are of these.
    new_text(m, length, text, before, step)
    return "".join([*joined, *parts])


def _laid_out(m: "Meter", text: str, prefix: str, indent: str) -> Iterator[str]:
    """Give the tokens of *text*, with the line breaks between them."""
    depth = 0
    opened = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        m.work(6 + (len(token) >> 7))
        if token in "}]":
            depth -= 1
            if not opened:
                yield f"\n{prefix}{indent * depth}"
        elif opened:
            yield f"\n{prefix}{indent * depth}"
        opened = token in "{["
        yield ": " if token == ":" else token
        if token == ",":
            yield f"\n{prefix}{indent * depth}"
        depth += opened


JSON = Module(
    "json",
    {
        "decode": Builtin("json.decode", _decode),
        "encode": Builtin("json.encode", _encode),
        "encode_indent": Builtin("json.encode_indent", _encode_indent),
        "indent": Builtin("json.indent", _indent),
    },
)
