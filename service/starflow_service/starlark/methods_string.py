"""The methods of strings.  Each takes the meter and the string first."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from starflow_service.starlark import casing
from starflow_service.starlark.arguments import (
    bad_index,
    want_bool,
    want_int,
    want_iterable,
    want_str,
    window,
)
from starflow_service.starlark.caps import (
    CHEAP,
    CHUNK,
    HEADER,
    new_elements,
    new_text,
    text_bytes,
)
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.formatting import format_
from starflow_service.starlark.search import count as count_places
from starflow_service.starlark.search import find as find_first
from starflow_service.starlark.search import replace as replace_places
from starflow_service.starlark.search import rfind as find_last
from starflow_service.starlark.search import split as split_at
from starflow_service.starlark.text import quote, quote_bytes
from starflow_service.starlark.values import MISSING, List, Value, type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# What Unicode calls white space.  Python adds four control characters.
_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_PYTHON_ONLY_SPACES = re.compile("[\x1c-\x1f]")
_WORD = re.compile(f"[^{_SPACES}]+")
# Strings up to here are handled in no time worth counting.
_SHORT = 255
# Memory of one piece of a split string, beside its characters.
_PIECE = 64
# Memory, and so time, of finding one word of a text.
_SPAN = 200


class Elems(Value):
    """
    The characters of a string as `elems` and its kin give them: only to iterate over.

    A string is a sequence of code points, so its elements and its code points are the
    same.
    """

    __slots__ = ("name", "ordinals", "source")
    type_name: ClassVar[str] = "string.elems"

    def __init__(self, source: str, name: str, *, ordinals: bool) -> None:
        self.source = source
        self.name = name
        self.ordinals = ordinals

    def text(self, m: "Meter") -> str:
        return f"{quote(m, self.source)}.{self.name}()"

    def elements(self, m: "Meter") -> list[Any]:
        new_elements(m, len(self.source), 60)
        return [ord(c) for c in self.source] if self.ordinals else list(self.source)

    def size(self) -> int:
        return len(self.source)

    def index(self, m: "Meter", i: Any) -> Any:
        length = len(self.source)
        if type(i) is not int or not -length <= i < length:
            raise EvalError(bad_index(m, self.type_name, i, length))
        return ord(self.source[i]) if self.ordinals else self.source[i]

    def equals(self, other: Any) -> bool:
        return self.name == other.name and bool(self.source == other.source)


class Codepoints(Elems):
    """The same under the name that Go gives them."""

    __slots__ = ()
    type_name: ClassVar[str] = "string.codepoints"


class ByteElems(Value):
    """The numbers of a bytes value, as its `elems` gives them."""

    __slots__ = ("source",)
    type_name: ClassVar[str] = "bytes.elems"

    def __init__(self, source: bytes) -> None:
        self.source = source

    def text(self, m: "Meter") -> str:
        return f"{quote_bytes(m, self.source)}.elems()"

    def elements(self, m: "Meter") -> list[int]:
        new_elements(m, len(self.source))
        return list(self.source)

    def size(self) -> int:
        return len(self.source)

    def equals(self, other: Any) -> bool:
        return bool(self.source == other.source)


def _elems(m: "Meter", s: str, /) -> Elems:
    return Elems(s, "elems", ordinals=False)


def _elem_ords(m: "Meter", s: str, /) -> Elems:
    return Elems(s, "elem_ords", ordinals=True)


def _codepoints(m: "Meter", s: str, /) -> Elems:
    return Codepoints(s, "codepoints", ordinals=False)


def _codepoint_ords(m: "Meter", s: str, /) -> Elems:
    return Codepoints(s, "codepoint_ords", ordinals=True)


def _byte_elems(m: "Meter", s: bytes, /) -> ByteElems:
    return ByteElems(s)


# Case


def _upper(m: "Meter", s: str, /) -> str:
    if len(s) <= CHEAP and s.isascii():
        m.bytes -= HEADER + len(s)
        return s.upper()
    _pay_for_case(m, s)
    return casing.upper(m, s)


def _lower(m: "Meter", s: str, /) -> str:
    if len(s) <= CHEAP and s.isascii():
        m.bytes -= HEADER + len(s)
        return s.lower()
    _pay_for_case(m, s)
    return casing.lower(m, s)


def _title(m: "Meter", s: str, /) -> str:
    _pay_for_case(m, s)
    return casing.title(m, s)


def _capitalize(m: "Meter", s: str, /) -> str:
    _pay_for_case(m, s)
    return casing.capitalize(m, s)


def _islower(m: "Meter", s: str, /) -> bool:
    _pay_for_case(m, s)
    return casing.is_lower(m, s)


def _isupper(m: "Meter", s: str, /) -> bool:
    _pay_for_case(m, s)
    return casing.is_upper(m, s)


def _istitle(m: "Meter", s: str, /) -> bool:
    _pay_for_case(m, s)
    return casing.is_title(m, s)


def _pay_for_case(m: "Meter", s: str) -> None:
    # CPython maps through a buffer of three times four bytes a character.
    m.charge(12 * len(s) if s.isascii() else 24 * len(s))


# Kinds of characters


def _isalpha(m: "Meter", s: str, /) -> bool:
    m.work(len(s) >> 6)
    return s.isalpha()


def _isdigit(m: "Meter", s: str, /) -> bool:
    m.work(len(s) >> 6)
    return s.isdecimal()


def _isalnum(m: "Meter", s: str, /) -> bool:
    m.work(len(s) >> 6)
    if s.isascii() or not s.isalnum():
        return s.isalnum()
    # Python takes fractions and Roman numerals for alphanumeric too.
    for place, character in enumerate(s):
        if place % CHUNK == CHUNK - 1:
            m.work(CHUNK)
        if not (character.isalpha() or character.isdecimal()):
            return False
    return True


def _isspace(m: "Meter", s: str, /) -> bool:
    m.work(len(s) >> 6)
    return s.isspace() and not _PYTHON_ONLY_SPACES.search(s)


# Searching


def _find(m: "Meter", s: str, sub: Any, start: Any = None, end: Any = None, /) -> int:
    wanted = want_str("find", 1, sub)
    low, high = window(m, "find", start, end, len(s))
    return find_first(m, s, wanted, low, high)


def _rfind(m: "Meter", s: str, sub: Any, start: Any = None, end: Any = None, /) -> int:
    wanted = want_str("rfind", 1, sub)
    low, high = window(m, "rfind", start, end, len(s))
    return find_last(m, s, wanted, low, high)


def _index(m: "Meter", s: str, sub: Any, start: Any = None, end: Any = None, /) -> int:
    wanted = want_str("index", 1, sub)
    low, high = window(m, "index", start, end, len(s))
    place = find_first(m, s, wanted, low, high)
    if place < 0:
        raise EvalError("index: substring not found")
    return place


def _rindex(m: "Meter", s: str, sub: Any, start: Any = None, end: Any = None, /) -> int:
    wanted = want_str("rindex", 1, sub)
    low, high = window(m, "rindex", start, end, len(s))
    place = find_last(m, s, wanted, low, high)
    if place < 0:
        raise EvalError("rindex: substring not found")
    return place


def _count(m: "Meter", s: str, sub: Any, start: Any = None, end: Any = None, /) -> int:
    wanted = want_str("count", 1, sub)
    low, high = window(m, "count", start, end, len(s))
    return count_places(m, s, wanted, low, high)


def _startswith(
    m: "Meter", s: str, prefix: Any, start: Any = None, end: Any = None, /
) -> bool:
    low, high = window(m, "startswith", start, end, len(s))
    return s.startswith(_affixes(m, "startswith", prefix), low, high)


def _endswith(
    m: "Meter", s: str, suffix: Any, start: Any = None, end: Any = None, /
) -> bool:
    low, high = window(m, "endswith", start, end, len(s))
    return s.endswith(_affixes(m, "endswith", suffix), low, high)


def _affixes(m: "Meter", name: str, x: Any) -> str | tuple[str, ...]:
    if type(x) is str:
        m.work(len(x) >> 8)
        return x
    if type(x) is not tuple:
        raise EvalError(f"{name}: got {type_name(x)}, want string or tuple of string")
    for place, item in enumerate(x):
        if type(item) is not str:
            raise EvalError(
                f"{name}: want string, got {type_name(item)}, for element {place}"
            )
        m.work(1 + (len(item) >> 8))
    return x


# Cutting


def _strip(m: "Meter", s: str, chars: Any = MISSING, /) -> str:
    cutset = _cutset("strip", chars)
    if len(s) <= CHEAP and len(cutset) <= CHEAP:
        m.bytes -= HEADER + len(s)
        return s.strip(cutset)
    start = _leading(m, s, cutset)
    end = len(s) - _trailing(m, s, cutset) if start < len(s) else start
    return _cut(m, s, start, end)


def _lstrip(m: "Meter", s: str, chars: Any = MISSING, /) -> str:
    return _cut(m, s, _leading(m, s, _cutset("lstrip", chars)), len(s))


def _rstrip(m: "Meter", s: str, chars: Any = MISSING, /) -> str:
    return _cut(m, s, 0, len(s) - _trailing(m, s, _cutset("rstrip", chars)))


def _cutset(name: str, chars: Any) -> str:
    """Return the characters to strip, each once; none stand for white space."""
    if chars is MISSING or chars == "":
        return _SPACES
    if type(chars) is str and len(chars) < 3:
        return chars
    return "".join(dict.fromkeys(want_str(name, 1, chars)))


def _leading(m: "Meter", s: str, chars: str) -> int:
    """Return how many of the first characters are among *chars*."""
    # What is stripped costs a comparison with every one of them, so it goes by pieces.
    m.work(len(chars) >> 5)
    for start in range(0, len(s), CHUNK):
        piece = s[start : start + CHUNK]
        rest = len(piece.lstrip(chars))
        m.work(1 + ((len(piece) - rest) * len(chars) >> 7))
        if rest:
            return start + len(piece) - rest
    return len(s)


def _trailing(m: "Meter", s: str, chars: str) -> int:
    """Return how many of the last characters are among *chars*."""
    m.work(len(chars) >> 5)
    for end in range(len(s), 0, -CHUNK):
        piece = s[max(0, end - CHUNK) : end]
        rest = len(piece.rstrip(chars))
        m.work(1 + ((len(piece) - rest) * len(chars) >> 7))
        if rest:
            return len(s) - end + len(piece) - rest
    return len(s)


def _cut(m: "Meter", s: str, start: int, end: int) -> str:
    new_text(m, end - start, s)
    return s[start:end]


def _removeprefix(m: "Meter", s: str, prefix: Any, /) -> str:
    new_text(m, len(s), s)
    return s.removeprefix(want_str("removeprefix", 1, prefix))


def _removesuffix(m: "Meter", s: str, suffix: Any, /) -> str:
    new_text(m, len(s), s)
    return s.removesuffix(want_str("removesuffix", 1, suffix))


def _partition(m: "Meter", s: str, sep: Any, /) -> tuple[str, str, str]:
    separator = _separator("partition", sep)
    new_text(m, len(s), s)
    place = find_first(m, s, separator, 0, len(s))
    if place < 0:
        return s, "", ""
    return s[:place], separator, s[place + len(separator) :]


def _rpartition(m: "Meter", s: str, sep: Any, /) -> tuple[str, str, str]:
    separator = _separator("rpartition", sep)
    new_text(m, len(s), s)
    place = find_last(m, s, separator, 0, len(s))
    if place < 0:
        return "", "", s
    return s[:place], separator, s[place + len(separator) :]


def _separator(name: str, sep: Any) -> str:
    separator = want_str(name, 1, sep)
    if not separator:
        raise EvalError(f"{name}: empty separator")
    return separator


def _split(m: "Meter", s: str, sep: Any = None, maxsplit: Any = -1, /) -> List:
    most = want_int(m, "split", 2, maxsplit)
    if sep is None:
        return List(_words(m, s, most, from_left=True))
    return List(_pieces(m, "split", s, sep, most))


def _rsplit(m: "Meter", s: str, sep: Any = None, maxsplit: Any = -1, /) -> List:
    most = want_int(m, "rsplit", 2, maxsplit)
    if sep is None:
        return List(_words(m, s, most, from_left=False))
    pieces = _pieces(m, "rsplit", s, sep, -1)
    surplus = len(pieces) - 1 - most
    if most < 0 or surplus <= 0:
        return List(pieces)
    return List([sep.join(pieces[: surplus + 1]), *pieces[surplus + 1 :]])


def _pieces(m: "Meter", name: str, s: str, sep: Any, most: int) -> list[str]:
    if type(sep) is not str:
        raise EvalError(f"{name}: got {type_name(sep)} for separator, want string")
    if not sep:
        raise EvalError(f"{name}: empty separator")
    if len(s) <= _SHORT:
        pieces = s.split(sep, max(most, -1))
        m.bytes -= HEADER + _PIECE * len(pieces) + 4 * len(s)
        return pieces
    places = count_places(m, s, sep, 0, len(s))
    places = places if most < 0 else min(places, most)
    new_elements(m, places + 1, _PIECE)
    m.charge(text_bytes(s))
    return split_at(m, s, sep, max(most, -1))


def _words(m: "Meter", s: str, most: int, *, from_left: bool) -> list[str]:
    # At most every second character begins a word.
    m.charge(text_bytes(s) + _PIECE * (len(s) // 2))
    if _PYTHON_ONLY_SPACES.search(s):
        words = _unicode_words(m, s, most, from_left=from_left)
    elif from_left:
        words = s.split(None, max(most, -1))
    else:
        words = s.rsplit(None, max(most, -1))
    new_elements(m, len(words))
    return words


def _unicode_words(m: "Meter", s: str, most: int, *, from_left: bool) -> list[str]:
    """Split at white space in a text that has what only Python calls white space."""
    spans: list[tuple[int, int]] = []
    for match in _WORD.finditer(s):
        spans.append(match.span())
        m.charge(_SPAN)
    if most < 0 or len(spans) <= most:
        return [s[start:end] for start, end in spans]
    if from_left:
        parts = [s[start:end] for start, end in spans[:most]]
        return [*parts, s[spans[most][0] :]]
    parts = [s[start:end] for start, end in spans[len(spans) - most :]]
    return [s[: spans[len(spans) - most - 1][1]], *parts]


def _splitlines(m: "Meter", s: str, keepends: Any = False, /) -> List:
    keep = want_bool("splitlines", 1, keepends)
    new_elements(m, s.count("\n") + 1, _PIECE)
    m.charge(text_bytes(s))
    lines = s.split("\n")
    unended = lines.pop()
    if keep:
        lines = [line + "\n" for line in lines]
    return List([*lines, unended] if unended else lines)


# Joining


def _join(m: "Meter", s: str, iterable: Any, /) -> str:
    items = want_iterable(m, "join", 1, iterable)
    length = 0
    parts: list[str] = []
    for place, item in enumerate(items):
        if type(item) is not str:
            name = type_name(item)
            raise EvalError(f"join: in list, want string, got {name}")
        length += len(item)
        parts.append(item)
        if place & 1023 == 1023:
            m.charge(8 * 1024)
            m.work(256)
    length += len(s) * max(len(parts) - 1, 0)
    new_text(m, length, s, *parts)
    return s.join(parts)


def _replace(m: "Meter", s: str, old: Any, new: Any, count: Any = -1, /) -> str:
    before = want_str("replace", 1, old)
    after = want_str("replace", 2, new)
    most = max(want_int(m, "replace", 3, count), -1)
    if len(s) <= CHEAP and len(after) <= CHEAP:
        replaced = s.replace(before, after, most)
        new_text(m, len(replaced), s, after)
        return replaced
    places = count_places(m, s, before, 0, len(s))
    places = places if most < 0 else min(places, most)
    new_text(m, len(s) + places * (len(after) - len(before)), s, after)
    m.work(places >> 3)
    return replace_places(m, s, before, after, most)


def _format(m: "Meter", s: str, /, *args: Any, **kwargs: Any) -> str:
    return format_(m, s, args, kwargs)


STRING_METHODS: Mapping[str, Callable[..., Any]] = {
    "capitalize": _capitalize,
    "codepoint_ords": _codepoint_ords,
    "codepoints": _codepoints,
    "count": _count,
    "elem_ords": _elem_ords,
    "elems": _elems,
    "endswith": _endswith,
    "find": _find,
    "format": _format,
    "index": _index,
    "isalnum": _isalnum,
    "isalpha": _isalpha,
    "isdigit": _isdigit,
    "islower": _islower,
    "isspace": _isspace,
    "istitle": _istitle,
    "isupper": _isupper,
    "join": _join,
    "lower": _lower,
    "lstrip": _lstrip,
    "partition": _partition,
    "removeprefix": _removeprefix,
    "removesuffix": _removesuffix,
    "replace": _replace,
    "rfind": _rfind,
    "rindex": _rindex,
    "rpartition": _rpartition,
    "rsplit": _rsplit,
    "rstrip": _rstrip,
    "split": _split,
    "splitlines": _splitlines,
    "startswith": _startswith,
    "strip": _strip,
    "title": _title,
    "upper": _upper,
}
BYTES_METHODS: Mapping[str, Callable[..., Any]] = {"elems": _byte_elems}
