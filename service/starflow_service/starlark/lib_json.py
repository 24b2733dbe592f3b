"""The module `json`: JSON as text, in the hands of the script.

It keeps the rules of payloads, but for the caps: a text may be as long, and a value as
deep, as values of the language may be.  The keys of objects are written in order.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starflow_service.starlark import jsontext
from starflow_service.starlark.arguments import want_str
from starflow_service.starlark.caps import new_text, refuse_text
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.values import MISSING, Builtin, Module

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_INDENT_MAX = 64
# The tokens of a text that is known to be JSON; what lies between them is white space.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*"|[][{}:,]|[^][{}:,"\s]+', re.DOTALL)


def _encode(m: "Meter", x: Any, /) -> str:
    limits = m.limits
    try:
        return jsontext.encode(
            m,
            x,
            what="json.encode: value",
            bytes_max=limits.max_string,
            depth_max=limits.max_nesting,
            sort_keys=True,
        )
    except jsontext.TooLargeError:
        refuse_text(m)


def _decode(m: "Meter", /, x: Any, default: Any = MISSING) -> Any:
    text = want_str("json.decode", "x", x)
    try:
        return _read(m, text)
    except jsontext.JsonError as error:
        if default is not MISSING:
            return default
        raise EvalError(f"json.decode: {error.message}") from None


def _read(m: "Meter", text: str) -> Any:
    limits = m.limits
    return jsontext.decode(
        m, text, bytes_max=4 * limits.max_string, depth_max=limits.max_nesting
    )


def _indent(m: "Meter", s: Any, /, *, prefix: Any = "", indent: Any = "\t") -> str:
    text = want_str("json.indent", 1, s)
    try:
        # Only to refuse what is not JSON.
        _read(m, text)
    except jsontext.JsonError as error:
        raise EvalError(f"json.indent: {error.message}") from None
    return _indented(m, "json.indent", text, prefix, indent)


def _encode_indent(
    m: "Meter", x: Any, /, *, prefix: Any = "", indent: Any = "\t"
) -> str:
    return _indented(m, "json.encode_indent", _encode(m, x), prefix, indent)


def _indented(m: "Meter", name: str, text: str, prefix: Any, indent: Any) -> str:
    before = want_str(name, "prefix", prefix)
    step = want_str(name, "indent", indent)
    if len(before) + len(step) > _INDENT_MAX:
        raise EvalError(f"{name}: prefix and indent have more than 64 characters")
    parts: list[str] = []
    length = 0
    for part in _laid_out(m, text, before, step):
        length += len(part)
        if length > m.limits.max_string:
            refuse_text(m)
        parts.append(part)
    new_text(m, length, *parts)
    return "".join(parts)


def _laid_out(m: "Meter", text: str, prefix: str, indent: str) -> Iterator[str]:
    """Give the tokens of *text*, with the line breaks between them."""
    depth = 0
    opened = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        m.work(1 + (len(token) >> 7))
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
