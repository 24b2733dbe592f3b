"""Where a text stops being JSON, in the words of the Go original."""

import re
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_SPACES = re.compile("[ \t\n\r]*")
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BAD_IN_STRING = re.compile(
    r"(?P<control>[\x00-\x1f])"
    r'|\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})(?P<escape>u[0-9a-fA-F]{0,3}|[ -~]?)'
    r"|\\(?:u....|.)",
    re.DOTALL,
)
_NUMBER = re.compile("-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER_LIKE = re.compile("[-0-9][-+0-9.eE]*")
_IN_FLOAT = re.compile("[.eE]")
_WORD = re.compile("null|true|false")
# What each kind of value is called where only a string may stand.
_TYPES = {"n": "NoneType", "t": "bool", "f": "bool", "[": "list", "{": "dict"}
_SHOWN_MAX = 80


def fault(m: "Meter", text: str) -> str | None:
    """Return what is wrong with *text*, after the place; None: its form is JSON's."""
    reader = _Reader(m, text)
    try:
        reader.read()
    except _Fault as found:
        return f"at offset {reader.place}, {found.reason}"
    return None


class _Fault(Exception):
    """The text is not JSON from the reader's place on."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Reader:
    """Goes through a text once, without making its values."""

    __slots__ = ("m", "place", "text")

    def __init__(self, m: "Meter", text: str) -> None:
        self.m = m
        self.text = text
        self.place = 0

    def read(self) -> None:
        """Go to the end, or to the first fault."""
        # The brackets that are open, innermost last.
        within: list[str] = []
        self._value(within)
        while within:
            self._next(within)
        self._skip()
        if self.place < len(self.text):
            raise _Fault(f"unexpected character {self._shown()} after value")

    def _value(self, within: list[str]) -> None:
        """Read a value, of lists and dicts only the beginning."""
        self.m.work(2)
        first = self._peek()
        while first in "[{":
            self.place += 1
            if self._peek() == ("]" if first == "[" else "}"):
                self.place += 1
                return
            self.m.work(4)
            self.m.charge(8)
            within.append(first)
            if first == "{":
                self._key()
            first = self._peek()
        if first == '"':
            self._string()
        elif (word := _WORD.match(self.text, self.place)) is not None:
            self.place = word.end()
        else:
            self._number()

    def _next(self, within: list[str]) -> None:
        """Read what follows a value in a list or dict."""
        self.m.work(4)
        in_dict = within[-1] == "{"
        close = "}" if in_dict else "]"
        found = self._peek()
        if found == close:
            within.pop()
            self.place += 1
        elif found == ",":
            self.place += 1
            if in_dict:
                self._key()
            self._value(within)
        else:
            where = "in object, " if in_dict else ""
            raise _Fault(f"{where}got {self._shown()}, want ',' or '{close}'")

    def _key(self) -> None:
        self.m.work(2)
        first = self._peek()
        if first == '"':
            self._string()
        elif first in _TYPES:
            raise _Fault(f"got {_TYPES[first]} for object key, want string")
        else:
            raise _Fault(f"got {self._number()} for object key, want string")
        if self._peek() != ":":
            raise _Fault(f"after object key, got {self._shown()}, want ':'")
        self.place += 1

    def _string(self) -> None:
        match = _STRING.match(self.text, self.place)
        if match is None:
            raise _Fault("unclosed string literal")
        for bad in _BAD_IN_STRING.finditer(self.text, self.place, match.end() - 1):
            self.m.work(2)
            if bad["control"] is not None:
                self.place = bad.start()
                raise _Fault(f"unexpected character {self._shown()} in string")
            if bad["escape"] is not None:
                self.place = bad.start()
                raise _Fault(f"invalid escape in string: {bad[0][:1]}{bad['escape']}")
        self.place = match.end()

    def _number(self) -> str:
        """Read a number, and return its type."""
        match = _NUMBER_LIKE.match(self.text, self.place)
        if match is None:
            raise _Fault(f"unexpected character {self._shown()}")
        self.place = match.end()
        digits = match[0]
        self.m.work(len(digits) >> 5)
        if not _NUMBER.fullmatch(digits) or not _is_finite(digits):
            raise _Fault(f"invalid number: {digits[:_SHOWN_MAX]}")
        return "float" if _IN_FLOAT.search(digits) else "int"

    def _skip(self) -> None:
        match = _SPACES.match(self.text, self.place)
        assert match is not None, "it matches nothing as well"
        self.place = match.end()

    def _peek(self) -> str:
        """Return the next character that is no space."""
        self._skip()
        if self.place == len(self.text):
            raise _Fault("unexpected end of file")
        return self.text[self.place]

    def _shown(self) -> str:
        """Return the character here in quotes, or its number if it is none to show."""
        character = self.text[self.place]
        if not character.isprintable():
            return f"U+{ord(character):04X}"
        return f"'\\{character}'" if character in "\\'" else f"'{character}'"


def _is_finite(digits: str) -> bool:
    # A long integer is not a float's business, and takes long to become one.
    return not _IN_FLOAT.search(digits) or isfinite(float(digits))
