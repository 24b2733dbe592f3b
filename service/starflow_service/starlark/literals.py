"""What the literals of a script stand for."""

import re
from typing import Final

from starflow_service.starlark.diagnostics import Diagnostic
from starflow_service.starlark.limits import DEFAULT_LIMITS
from starflow_service.starlark.syntax import Pos

# A literal of as many digits is always below the largest integer a script may hold,
# which has a digit more.
_BITS_MAX: Final = DEFAULT_LIMITS.max_int_bits
_DIGITS_MAX: Final = int(_BITS_MAX * 0.30103)

_ESCAPE: Final = re.compile(
    r"\\(?:[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL
)
_BASES: Final = {
    "x": (16, "invalid hex literal"),
    "o": (8, "invalid octal literal"),
    "b": (2, "invalid binary literal"),
}
_SIMPLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "\n": "",
}


class LiteralError(Exception):
    """A literal has no value; `offset` counts the characters from its start."""

    def __init__(self, message: str, *, hint: str = "", offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = offset

    def at(self, pos: Pos) -> Diagnostic:
        """Return the finding for a literal whose fault is at *pos*."""
        return Diagnostic("error", "SYNTAX", self.message, pos, self.hint)


def int_value(text: str) -> int:
    """
    Return the value of an integer literal.

    Raises:
        LiteralError: It has no digits, is octal of the old form, or is too large.
    """
    base, message = _BASES.get(text[1:2].lower(), (10, ""))
    if base != 10:
        return _based_int(text[2:], base, message)
    if text[0] == "0" and text.strip("0"):
        raise _old_octal(text)
    if len(text) > _DIGITS_MAX:
        raise _too_large()
    return int(text)


def _based_int(digits: str, base: int, message: str) -> int:
    if not digits:
        raise LiteralError(message)
    value = int(digits, base)
    if value.bit_length() > _BITS_MAX:
        raise _too_large()
    return value


def _old_octal(text: str) -> LiteralError:
    if set(text) <= set("01234567"):
        octal = f"0o{text.lstrip('0')[:40]}"
        return LiteralError(
            f"obsolete form of octal literal; use {octal}",
            hint=f"write {octal}, or leave out the leading zeros",
        )
    return LiteralError("invalid int literal", hint="leave out the leading zeros")


def _too_large() -> LiteralError:
    return LiteralError(f"int literal too large (limit is {_BITS_MAX} bits)")


def float_value(text: str) -> float:
    """
    Return the value of a float literal.

    Raises:
        LiteralError: The exponent has no digits, or the value is beyond any float.
    """
    try:
        value = float(text)
    except ValueError:
        raise LiteralError("invalid float literal") from None
    if value in (float("inf"), float("-inf")):
        raise LiteralError("floating-point literal too large")
    return value


def string_value(body: str, prefix_length: int) -> str:
    """
    Return *body*, the text between the quotes, with its escapes replaced.

    Raises:
        LiteralError: An escape is invalid.
    """
    if "\\" not in body:
        return body
    return _ESCAPE.sub(lambda m: _text_escape(m, prefix_length), body)


def bytes_value(body: str, prefix_length: int, *, raw: bool) -> bytes:
    """
    Return *body* as bytes: its text in UTF-8, its escapes as the bytes they name.

    Raises:
        LiteralError: An escape is invalid.
    """
    if raw or "\\" not in body:
        return body.encode()
    parts: list[bytes] = []
    end = 0
    for match in _ESCAPE.finditer(body):
        parts.append(body[end : match.start()].encode())
        parts.append(_bytes_escape(match, prefix_length))
        end = match.end()
    return b"".join([*parts, body[end:].encode()])


def _numeric(match: re.Match[str]) -> int | None:
    """Return the number of an octal or hex escape, None for any other escape."""
    code = match[0][1:]
    if code[:1] in tuple("01234567"):
        return int(code, 8)
    return int(code[1:], 16) if code[0] == "x" and len(code) == 3 else None


def _text_escape(match: re.Match[str], prefix_length: int) -> str:
    number = _numeric(match)
    if number is None:
        return _character(match, prefix_length)
    if number > 127:
        kind = "hex" if match[0][1] == "x" else "octal"
        raise LiteralError(
            f"non-ASCII {kind} escape {match[0]} "
            f"(use \\u{number:04X} for the character U+{number:04X})",
            offset=prefix_length + match.start(),
        )
    return chr(number)


def _bytes_escape(match: re.Match[str], prefix_length: int) -> bytes:
    number = _numeric(match)
    if number is None:
        return _character(match, prefix_length).encode()
    if number > 255:
        raise LiteralError(
            f"invalid escape sequence {match[0]}",
            offset=prefix_length + match.start(),
        )
    return bytes([number])


def _character(match: re.Match[str], prefix_length: int) -> str:
    code = match[0][1:]
    if code in _SIMPLE:
        return _SIMPLE[code]
    offset = prefix_length + match.start()
    if len(code) < 2:
        raise LiteralError(
            f"invalid escape sequence {match[0]}",
            hint="write \\\\ for a backslash, or use a raw string: r'...'",
            offset=offset,
        )
    number = int(code[1:], 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise LiteralError(f"invalid Unicode code point U+{number:04X}", offset=offset)
    return chr(number)
