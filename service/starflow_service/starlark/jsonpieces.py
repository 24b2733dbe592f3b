"""Reads long JSON texts piece by piece, with others having their turn between.

The scanner of the standard library reads a text of a megabyte in a tenth of a second,
and nothing can interrupt it.  So in a long text it gets the pieces: containers that are
short, and everything that is no container.  The long containers around them are read
here.  What is refused is refused as the scanner would, and at the same offset.
"""

import re
import sys
from collections.abc import Callable
from itertools import accumulate
from json import JSONDecodeError, JSONDecoder
from typing import Any, Protocol

from starflow_service.starlark.caps import CHUNK, Payer
from starflow_service.starlark.values import List

# The scanner reads this many characters in a millisecond or two, at the worst.
PIECE = 8_192
# Bounds of the memory that decoding takes, in bytes.  A short text is not counted.
_SHORT_TEXT = 256
_BYTES_PER_CHAR = 40
_LIST_BYTES, _DICT_BYTES, _ITEM_BYTES, _ENTRY_BYTES = 90, 160, 60, 120
_DIGITS = "0123456789"
# A run of elements that are no containers, each with its comma.
_SCALARS = re.compile(
    r'(?:[ \t\n\r]*(?:"[^"\\\x00-\x1f]*"|[-+0-9.a-zA-Z]+)[ \t\n\r]*,){8,1000}'
)
_SPACES = re.compile(r"[ \t\n\r]*")
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_QUOTED = re.compile(rb'"[^"]*"?')
_NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_STEP = {ord("["): 1, ord("]"): -1}
_BRACKETS_AT_ONCE = 20_000
# Levels of brackets that are taken off one after the other, innermost first.
_SHALLOW = 8


class Bounds(Protocol):
    """The limits on single values."""

    def refuse(self, value: Any) -> None:
        """Refuse *value*, if it is a string or list over its limit."""
        ...

    def refuse_count(self, count: int) -> None:
        """Refuse a list of *count* elements, if they are too many."""
        ...


class Pieces:
    """Reads one text; its nesting has been looked at before."""

    def __init__(
        self,
        m: Payer,
        decoder: JSONDecoder,
        pairs_hook: Callable[[list[tuple[str, Any]]], Any],
        to_list: Callable[[list[Any]], List],
        bounds: Bounds | None,
    ) -> None:
        self._m = m
        self._text = ""
        self._is_faulty = False
        # The part of a decoder that can begin anywhere; typeshed does not name it.
        self._scan_once = decoder.scan_once  # type: ignore[attr-defined]
        self._pairs_hook = pairs_hook
        self._to_list = to_list
        # None: the text is too short for any.
        self._bounds = bounds

    def read(self, text: str, at: int) -> tuple[Any, int]:
        """
        Return the value that begins at *at*, and where it ends.

        Raises:
            JSONDecodeError: There is none.
        """
        self._text = text
        return self._value(at)

    def _value(self, at: int) -> tuple[Any, int]:
        first = self._text[at : at + 1]
        if first not in ("[", "{") or not first:
            return self._scanned(self._text, at)
        piece = self._text[at : at + PIECE]
        try:
            value, end = self._scanned(piece, 0)
        except JSONDecodeError:
            # It does not end here, or it is none: whoever reads on will see.
            self._m.work(len(piece) >> 3)
            return self._list(at) if first == "[" else self._dict(at)
        self._m.work(end >> 3)
        return (self._to_list(value) if type(value) is list else value), at + end

    def _scanned(self, text: str, at: int) -> tuple[Any, int]:
        try:
            value, end = self._scan_once(text, at)
        except StopIteration as stop:
            raise JSONDecodeError("Expecting value", text, stop.value) from None
        return value, end

    def _list(self, at: int) -> tuple[Any, int]:
        text = self._text
        values: list[Any] = []
        at = self._after_spaces(at + 1)
        if text[at : at + 1] == "]":
            return self._to_list(values), at + 1
        while True:
            at = self._scalars(at, values)
            value, at = self._value(at)
            values.append(value)
            # A container that is empty costs as much as one that is not.
            self._m.work(8)
            if self._bounds is not None:
                # As soon as it is over: the rest of the text is not worth its time.
                self._bounds.refuse_count(len(values))
                if type(value) is str:
                    self._bounds.refuse(value)
            at = self._after_spaces(at)
            if text[at : at + 1] == "]":
                return self._to_list(values), at + 1
            at = self._after_comma(at)

    def _scalars(self, at: int, values: list[Any]) -> int:
        """Add the scalars from *at* on to *values*; return where they end."""
        while not self._is_faulty and (run := _SCALARS.match(self._text, at)):
            try:
                some, _ = self._scanned(f"[{run[0][:-1]}]", 0)
            except JSONDecodeError:
                # One of them is none.  From here on each is read by itself, so that it
                # is refused in its place.
                self._is_faulty = True
                break
            self._m.work(2 * len(some))
            if self._bounds is not None:
                self._bounds.refuse(some)
            values += some
            at = run.end()
        return self._after_spaces(at)

    def _dict(self, at: int) -> tuple[Any, int]:
        text = self._text
        pairs: list[tuple[str, Any]] = []
        at = self._after_spaces(at + 1)
        if text[at : at + 1] == "}":
            return self._pairs_hook(pairs), at + 1
        while True:
            if text[at : at + 1] != '"':
                name = "Expecting property name enclosed in double quotes"
                raise JSONDecodeError(name, text, at)
            key, at = self._scanned(text, at)
            at = self._after_spaces(at)
            if text[at : at + 1] != ":":
                raise JSONDecodeError("Expecting ':' delimiter", text, at)
            value, at = self._value(self._after_spaces(at + 1))
            pairs.append((key, value))
            if len(pairs) % CHUNK == 0:
                self._m.work(4 * CHUNK)
            at = self._after_spaces(at)
            if text[at : at + 1] == "}":
                return self._pairs_hook(pairs), at + 1
            at = self._after_comma(at)

    def _after_comma(self, at: int) -> int:
        if self._text[at : at + 1] != ",":
            raise JSONDecodeError("Expecting ',' delimiter", self._text, at)
        return self._after_spaces(at + 1)

    def _after_spaces(self, at: int) -> int:
        match = _SPACES.match(self._text, at)
        return at if match is None else match.end()


def has_run_of_digits(text: str, longest: int) -> bool:
    """Return whether more than *longest* digits stand side by side, in a string too."""
    # Every longer run covers a multiple of its length, so only those are looked at.
    for probe in range(0, len(text), longest):
        if text[probe] in _DIGITS:
            before = text[max(0, probe - longest) : probe]
            after = text[probe : probe + longest + 1]
            run = len(before) - len(before.rstrip(_DIGITS))
            run += len(after) - len(after.lstrip(_DIGITS))
            if run > longest:
                return True
    return False


def decoded_bytes(text: str) -> int:
    """Return at least how much memory the decoded value takes."""
    if len(text) < _SHORT_TEXT:
        return _BYTES_PER_CHAR * len(text)
    return (
        len(text) * (1 if text.isascii() else 4)
        + _LIST_BYTES * text.count("[")
        + _DICT_BYTES * text.count("{")
        + _ITEM_BYTES * text.count(",")
        + _ENTRY_BYTES * text.count(":")
    )


def depth(text: str, m: Payer | None = None, enough: int = sys.maxsize) -> int:
    """
    Return how deep the brackets of a JSON text are nested, well-formed or not.

    Of one that is deeper than *enough*, it may say less, but not less than that.
    """
    data = text.encode(errors="replace")
    if b"\\" in data:
        data = _ESCAPE.sub(b"", data)
    # A pair of adjacent quotes is an empty string or the border of two: without it the
    # same brackets are quoted as before.
    brackets = data.translate(_AS_SQUARE, _NO_BRACKETS).replace(b'""', b"")
    if b'"' in brackets:
        brackets = _QUOTED.sub(b"", brackets)
    for level in range(_SHALLOW):
        if not brackets:
            return level
        if m is not None:
            m.work(len(brackets) >> 4)
        brackets = brackets.replace(b"[]", b"")
    return _SHALLOW + _steepest(brackets, m, enough)


def _steepest(brackets: bytes, m: Payer | None, enough: int) -> int:
    """Return how many more brackets are open than closed at most."""
    highest = height = 0
    for start in range(0, len(brackets), _BRACKETS_AT_ONCE):
        if m is not None:
            m.work(_BRACKETS_AT_ONCE)
        steps = map(_STEP.__getitem__, brackets[start : start + _BRACKETS_AT_ONCE])
        heights = [*accumulate(steps, initial=height)]
        height = heights[-1]
        highest = max(highest, *heights)
        if highest > enough:
            break
    return highest
