"""Payloads: Starlark values as JSON text and back, exactly.

What `encode` accepts, `decode` accepts, and gives back equal: integers of any size up
to one cap, floats bit for bit (a float always has a fraction or an exponent, so 1 and
1.0 stay apart), every Unicode text, the order of keys.  What JSON leaves open is
refused on both sides: NaN and infinities, numbers too large for a float, duplicate
keys, lone surrogates, and anything over the caps of `Limits`.

The standard library's scanner does the parsing.  It is given hooks for what it would
let pass, and its own messages never leave this module.
"""

import re
from collections.abc import Callable, Iterable
from json import JSONDecodeError, JSONDecoder
from json.encoder import encode_basestring as quote
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

from starflow_service.starlark.caps import SMALL, Payer, digits_work
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.jsonpieces import (
    PIECE,
    Pieces,
    decoded_bytes,
    depth,
    has_run_of_digits,
)
from starflow_service.starlark.limits import DEFAULT_LIMITS, Limits
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

_LISTS = frozenset({List, LockedList, FrozenList, tuple})
_DICTS = frozenset({Dict, LockedDict, FrozenDict})
# Elements of one container written between two chances to end the time slice.
_CHUNK = 1_000
# One that the scanner of the standard library need not read in pieces.
_LONG_TEXT = 4 * PIECE
# Digits of an integer whose text takes a time worth paying for.
_LONG_INTEGER = 500


class JsonError(EvalError):
    """A text is not JSON, or a value has no JSON text."""


class TooLargeError(JsonError):
    """A text is, or would be, larger than allowed."""


# Encoding


def encode(m: "Meter", value: Any, *, what: str = "value") -> str:
    """
    Return *value* as JSON text, without spaces; tuples and ranges become arrays.

    *what* names the value in messages.

    Raises:
        JsonError: it has no JSON text; the message names the place within the value.
    """
    limits = m.limits
    writer = Writer(m, limits.max_payload_bytes, limits.max_payload_depth)
    try:
        return writer.whole(value)
    except Refused as refused:
        error = TooLargeError if writer.is_full else JsonError
        raise error(f"{what}{refused.shown_path}: {refused.reason}") from None


class Refused(Exception):
    """Part of a value has no JSON text; *path* leads to it, innermost step first."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str] = []

    @property
    def shown_path(self) -> str:
        """The path for a message, outermost step first."""
        return "".join(reversed(self.path))[:200]


class Writer:
    """
    The text of one value, as it grows; `room` is how many bytes more it may grow.

    The methods without an underscore are what a derived class may do in another way.
    """

    __slots__ = ("bytes_max", "depth_max", "done", "m", "parts", "room")

    def __init__(self, m: "Meter", bytes_max: int, depth_max: int) -> None:
        self.m = m
        self.bytes_max = bytes_max
        self.depth_max = depth_max
        self.done: list[str] = []
        self.parts: list[str] = []
        self.room = bytes_max

    @property
    def is_full(self) -> bool:
        """Whether the text was refused for its length."""
        return self.room < 0

    def whole(self, value: Any) -> str:
        """
        Return the text of *value*; a writer is used once.

        Raises:
            Refused: it has none.
        """
        try:
            self.write(value, self.depth_max)
            return "".join([*self.done, *self.parts])
        finally:
            self.m.charge(2 * (self.bytes_max - self.room) + 64)

    def _rest(self) -> None:
        """After a thousand elements, pay for them and let others have a turn."""
        self.m.work(2 * _CHUNK)
        # A part takes more memory than its text, and there may be many.
        self.done.append("".join(self.parts))
        self.parts.clear()

    def write(self, x: Any, depth: int) -> None:
        """Write *x*, which may hold *depth* more levels of containers."""
        kind = type(x)
        if kind is str:
            self._string(x)
        elif kind is int:
            self._put(str(x) if -SMALL < x < SMALL else self._long(x))
        elif x is None:
            self._put("null")
        elif kind is bool:
            self._put("true" if x else "false")
        elif kind in _DICTS:
            self._dict(x, depth)
        elif kind in _LISTS or kind is range:
            self._list(x, depth)
        elif kind is float:
            self._put(self.number(x))
        elif isinstance(x, Value) and (fields := x.fields()) is not None:
            self._dict(fields, depth)
        else:
            self.other(x, depth)

    def number(self, x: float) -> str:
        """Return the text of a float."""
        if not isfinite(x):
            raise Refused("only finite numbers have a JSON form")
        return repr(x)

    def other(self, x: Any, depth: int) -> None:
        """Write what is of no type that JSON has."""
        raise Refused(f"{type_name(x)} has no JSON form")

    def entries(self, x: Any) -> Iterable[tuple[Any, Any]]:
        """Return the keys and values of a dict, in the order they are written."""
        return x.items()  # type: ignore[no-any-return]

    def bad_key(self, x: Any, key: Any) -> str:
        """Say that *key* of the dict *x* is no string."""
        return f"keys must be strings in JSON, not {type_name(key)}"

    def step(self, x: Any, place: str) -> str:
        """Return the step to the element of *x* at *place*, an index or a key."""
        return f"[{place}]"

    def _put(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            raise Refused(_too_large(self.bytes_max))
        self.parts.append(text)

    def _string(self, x: str) -> None:
        text = quote(x)
        if not text.isascii():
            # Everything else is ASCII, so this is the only place where bytes and
            # characters differ.
            self.room -= utf8_size(text) - len(text)
        self._put(text)

    def _long(self, x: int) -> str:
        limits = self.m.limits
        bits = x.bit_length()
        digits_work(self.m, bits)
        text = str(x) if bits <= limits.max_int_bits else ""
        if not text or len(text.lstrip("-")) > limits.max_payload_digits:
            raise Refused(_too_many_digits(limits))
        return text

    def _list(self, x: Any, depth: int) -> None:
        self._enter(x, depth)
        self._put("[")
        index = 0
        try:
            for index in range(len(x)):
                if index:
                    # Whatever follows looks whether there was room for it.
                    self.room -= 1
                    self.parts.append(",")
                    if index % _CHUNK == 0:
                        self._rest()
                self.write(x[index], depth - 1)
        except Refused as refused:
            refused.path.append(self.step(x, str(index)))
            raise
        self._put("]")

    def _dict(self, x: Any, depth: int) -> None:
        self._enter(x, depth)
        self._put("{")
        key: Any = None
        try:
            for count, (key, value) in enumerate(self.entries(x)):
                if count and count % _CHUNK == 0:
                    self._rest()
                if type(key) is not str:
                    raise Refused(
                        self.bad_key(x, key.value if type(key) is Key else key)
                    )
                head = f",{quote(key)}:" if count else f"{quote(key)}:"
                self.room -= utf8_size(head)
                self.parts.append(head)
                self.write(value, depth - 1)
        except Refused as refused:
            if type(key) is str:
                refused.path.append(self.step(x, quote(key[:40])))
            raise
        self._put("}")

    def _enter(self, x: Any, depth: int) -> None:
        """Refuse a container that is too deep or, as its length shows, too large."""
        if depth == 0:
            raise Refused(f"nested deeper than {self.depth_max} levels")
        if len(x) > self.m.limits.max_elements:
            raise Refused(_too_wide(self.m.limits))
        m = self.m
        m.steps -= 4
        if m.steps < 0:
            m.tick()


def _too_large(bytes_max: int) -> str:
    return f"JSON text is larger than {bytes_max} bytes"


def _too_many_digits(limits: Limits) -> str:
    return f"integer has more than {limits.max_payload_digits} digits"


def _too_wide(limits: Limits) -> str:
    return f"more than {limits.max_elements} elements"


# Decoding


def decode(
    m: "Meter",
    text: str,
    *,
    bytes_max: int | None = None,
    depth_max: int | None = None,
    last_counts: bool = False,
) -> Any:
    """
    Return the value that JSON *text* stands for.

    The caps are those of payloads unless given.  With *last_counts*, the last value of
    a duplicate key is that of the key.

    Raises:
        JsonError: the text is not JSON, or breaks one of the rules of this module.
    """
    limits = m.limits
    m.charge(decoded_bytes(text))
    value = _scan(
        text,
        limits,
        bytes_max or limits.max_payload_bytes,
        depth_max or limits.max_payload_depth,
        _LAST_VALUES if last_counts else _VALUES,
        m,
    )
    made = _to_list(value) if type(value) is list else value
    if len(text) > _LONG_TEXT:
        m.held.hold(made)
    return made


def check(
    text: str, limits: Limits = DEFAULT_LIMITS, payer: Payer | None = None
) -> None:
    """
    Refuse what `decode` would refuse, without making the value.

    A long text is read in pieces if there is a *payer*, who counts them.

    Raises:
        JsonError: the text is not JSON, or breaks one of the rules of this module.
    """
    bytes_max, depth_max = limits.max_payload_bytes, limits.max_payload_depth
    _scan(text, limits, bytes_max, depth_max, _NOTHING, payer)


def equal(a_text: str, b_text: str) -> bool:
    """
    Return whether two texts that `check` accepts stand for the same value.

    The order of keys does not matter; 1, 1.0 and true are different, and so are 0.0
    and -0.0, because a script can tell them apart.
    """
    return a_text == b_text or bool(
        _run(_EXACT.raw_decode, a_text) == _run(_EXACT.raw_decode, b_text)
    )


def utf8_size(text: str) -> int:
    """
    Return the length of *text* in UTF-8.

    Raises:
        JsonError: it holds a lone surrogate, which UTF-8 cannot carry.
    """
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise JsonError("text holds a lone surrogate") from None


_SPACES = " \t\n\r"
# A surrogate pair, or any other escape but half a pair.  Outside of strings JSON has no
# backslash, so the text need not be taken apart first.
_PAIRED = re.compile(
    r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|[^u]|u(?![dD][89a-fA-F]))", re.DOTALL
)


def _scan(
    text: str,
    limits: Limits,
    bytes_max: int,
    depth_max: int,
    making: "_Making",
    m: Payer | None = None,
) -> Any:
    """Return what *making* makes of *text*, once nothing in it is refused."""
    if utf8_size(text) > bytes_max:
        raise TooLargeError(_too_large(bytes_max))
    if (
        text.count("[") + text.count("{") > depth_max
        and depth(text, m, depth_max) > depth_max
    ):
        raise JsonError(f"JSON text is nested deeper than {depth_max} levels")
    if _is_long(text, limits) and (bounds := _Bounds(limits, m)).are_near(text):
        value = _run(_reader(making.bounded(bounds), text, m, bounds), text)
        bounds.refuse(value)
    else:
        value = _run(_reader(making, text, m, None), text)
    if ("\\ud" in text or "\\uD" in text) and "\\u" in _PAIRED.sub("", text):
        raise JsonError("text holds a lone surrogate")
    return value


def _is_long(text: str, limits: Limits) -> bool:
    """Return whether *text* could hold a value over its limit at all."""
    length = len(text)
    return (
        length > _LONG_INTEGER
        or length > limits.max_payload_digits
        or length > limits.max_elements
        or length > limits.max_string
    )


def _reader(
    making: "_Making", text: str, m: Payer | None, bounds: "_Bounds | None"
) -> Callable[[str, int], tuple[Any, int]]:
    """Return what reads the value that begins at an offset of *text*."""
    if m is None or len(text) <= _LONG_TEXT:
        return making.decoder.raw_decode
    return Pieces(m, making.decoder, making.pairs_hook, _to_list, bounds).read


def _run(read: Callable[[str, int], tuple[Any, int]], text: str) -> Any:
    start = 0
    if text[:1] in _SPACES:
        start = len(text) - len(text.lstrip(_SPACES))
    try:
        value, end = read(text, start)
    except JSONDecodeError as error:
        _refuse(text, _fault_of(text, error))
    if end != len(text):
        rest = text[end:].lstrip(_SPACES)
        if rest:
            _refuse(text, len(text) - len(rest))
    return value


def _fault_of(text: str, error: JSONDecodeError) -> int:
    """Return where the fault is, for every release of Python at the same place."""
    if not error.msg.startswith("Illegal trailing comma"):
        return error.pos
    # From 3.13 on it is the comma; before, it was what stood in place of a value.
    return len(text) - len(text[error.pos + 1 :].lstrip(_SPACES))


def _refuse(text: str, offset: int) -> NoReturn:
    """Say what is wrong at *offset*, in words of our own."""
    if offset >= len(text):
        raise JsonError(f"at offset {offset}, unexpected end of JSON text")
    character = text[offset]
    shown = f"'{character}'" if character.isprintable() else f"U+{ord(character):04X}"
    raise JsonError(f"at offset {offset}, unexpected character {shown}")


class _Making:
    """A way to build values from JSON: what becomes of an object, and of an integer."""

    def __init__(
        self,
        pairs_hook: Callable[[list[tuple[str, Any]]], Any],
        parse_int: Callable[[str], Any],
    ) -> None:
        self.pairs_hook = pairs_hook
        self.parse_int = parse_int
        self.decoder = _decoder(pairs_hook, parse_int)

    def bounded(self, bounds: "_Bounds") -> "_Making":
        """Return a way that looks at everything, for texts that need it."""

        def pairs_hook(pairs: list[tuple[str, Any]]) -> Any:
            bounds.refuse(pairs)
            return self.pairs_hook(pairs)

        def parse_int(digits: str) -> Any:
            bounds.refuse_digits(digits)
            return self.parse_int(digits)

        return _Making(pairs_hook, parse_int)


class _Bounds:
    """
    The limits on single values within a text, which only a long text can break.

    With a meter, long integers are also paid for: they take time in their square.
    """

    __slots__ = ("digits", "limits", "m")

    def __init__(self, limits: Limits, m: Payer | None) -> None:
        self.limits = limits
        self.m = m
        longest = limits.max_payload_digits
        self.digits = longest if m is None else min(longest, _LONG_INTEGER)

    def are_near(self, text: str) -> bool:
        """Return whether something in *text* may be over a limit, or long to read."""
        return (
            len(text) > self.limits.max_string
            or text.count(",") >= self.limits.max_elements
            or has_run_of_digits(text, self.digits)
        )

    def refuse_digits(self, digits: str) -> None:
        if len(digits.lstrip("-")) > self.limits.max_payload_digits:
            raise JsonError(_too_many_digits(self.limits))
        if self.m is not None:
            digits_work(self.m, 10 * len(digits) // 3)

    def refuse(self, value: Any) -> None:
        """Refuse a string or list over its limit, at any depth of plain lists."""
        kind = type(value)
        if kind is str and len(value) > self.limits.max_string:
            raise JsonError(f"string has more than {self.limits.max_string} characters")
        if kind is list or kind is tuple:
            self.refuse_count(len(value))
            for item in value:
                self.refuse(item)

    def refuse_count(self, count: int) -> None:
        """Refuse a list of *count* elements, if they are too many."""
        if count > self.limits.max_elements:
            raise JsonError(_too_wide(self.limits))


def _decoder(
    pairs_hook: Callable[[list[tuple[str, Any]]], Any], parse_int: Callable[[str], Any]
) -> JSONDecoder:
    return JSONDecoder(
        object_pairs_hook=pairs_hook,
        parse_constant=_refuse_constant,
        parse_float=_finite,
        parse_int=parse_int,
    )


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise JsonError(f"number {digits[:40]} is too large for a float")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is not JSON")


def _to_dict(pairs: list[tuple[str, Any]]) -> Dict:
    made = _to_last_dict(pairs)
    if len(made) != len(pairs):
        _refuse_duplicate(pairs)
    return made


def _to_last_dict(pairs: list[tuple[str, Any]]) -> Dict:
    made = Dict(pairs)
    for key, value in made.items():
        if type(value) is list:
            made[key] = _to_list(value)
    return made


def _to_list(values: list[Any]) -> List:
    # The scanner makes plain lists.  Objects below have been through `_to_dict`.
    return List([_to_list(v) if type(v) is list else v for v in values])


def _to_nothing(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        _refuse_duplicate(pairs)


def _refuse_duplicate(pairs: list[tuple[str, Any]]) -> NoReturn:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise JsonError(f"duplicate key {quote(key[:40])}")
        seen.add(key)
    raise AssertionError("no key is there twice")


def _exact_int(digits: str) -> tuple[str]:
    """Return an integer so that it equals no float and no bool."""
    return ("0" if digits == "-0" else digits,)


def _exact_float(digits: str) -> tuple[str]:
    return (repr(float(digits)),)


_VALUES = _Making(_to_dict, int)
_LAST_VALUES = _Making(_to_last_dict, int)
# The length stands for the number: any callable will do, and this one takes no time.
_NOTHING = _Making(_to_nothing, len)
_EXACT = JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_exact_float, parse_int=_exact_int
)
