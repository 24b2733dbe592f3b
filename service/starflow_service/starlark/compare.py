"""Equality, order, and the keys of dicts.

Python's own `==`, `<` and `hash` are right for scalars only: they take True for 1,
recurse without a bound, and cannot be interrupted in a large or shared structure.
"""

from collections.abc import Callable
from functools import cmp_to_key
from types import FunctionType
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.caps import CHUNK, refuse_elements, refuse_nesting
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.values import (
    MISSING,
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

LISTS = frozenset({List, LockedList, FrozenList})
DICTS = frozenset({Dict, LockedDict, FrozenDict})
NUMBERS = frozenset({int, float})
# Types whose values Python compares as Starlark does, and in no time worth counting.
_PLAIN = frozenset({int, bool, type(None), range})
_ORDERED = frozenset({int, bool})
# Integers from here on are hashed by their digits: Python reduces them modulo 2^61 - 1,
# so that a script could make as many collide as it wants.
_HASHED_AS_IS = 2**61 - 1
# Strings and bytes up to here compare and hash in no time worth counting.
_SHORT = 255

# Elements that are sorted without a chance for others to have a turn.
_SORTED_AT_ONCE = 8_192

# Tokens must not be values that a script can make, or it could forge a key.
TRUE_KEY = Key(True, object())
FALSE_KEY = Key(False, object())
_NAN = object()
_LONG = object()


# Equality


def eq(m: "Meter", x: Any, y: Any) -> bool:
    """Return `x == y`."""
    if type(x) is type(y) and type(x) in _PLAIN:
        return bool(x == y)
    return x is y or _equal(m, x, y, m.limits.max_nesting)


def ne(m: "Meter", x: Any, y: Any) -> bool:
    """Return `x != y`."""
    return not (x is y or _equal(m, x, y, m.limits.max_nesting))


def _equal(m: "Meter", x: Any, y: Any, depth: int) -> bool:
    kind, other = type(x), type(y)
    if kind is other:
        if kind in _PLAIN:
            return bool(x == y)
        if kind is str or kind is bytes:
            if len(x) > _SHORT and len(x) == len(y):
                m.work(len(x) >> 8)
            return bool(x == y)
        if kind is tuple:
            return _equal_items(m, x, y, depth)
    if kind in NUMBERS:
        # NaN equals itself in Starlark.
        return other in NUMBERS and bool(x == y or (x != x and y != y))
    if kind in LISTS:
        return other in LISTS and _equal_items(m, x, y, depth)
    if kind in DICTS:
        return other in DICTS and _equal_entries(m, x, y, depth)
    if not isinstance(x, Value) or kind is not other:
        return False
    fields, others = x.fields(), y.fields()
    if fields is None or others is None:
        return x.equals(y)
    return _equal_items(m, [*fields.values()], [*others.values()], depth)


def _equal_items(m: "Meter", x: Any, y: Any, depth: int) -> bool:
    if len(x) != len(y):
        return False
    if depth == 0:
        refuse_nesting(m)
    m.work(1)
    for count, (a, b) in enumerate(zip(x, y, strict=True)):
        if a is not b and not _equal(m, a, b, depth - 1):
            m.work(count % CHUNK)
            return False
        if count % CHUNK == CHUNK - 1:
            m.work(CHUNK)
    m.work(len(x) % CHUNK)
    return True


def _equal_entries(m: "Meter", x: Dict, y: Dict, depth: int) -> bool:
    if len(x) != len(y):
        return False
    if depth == 0:
        refuse_nesting(m)
    m.work(1)
    for count, (key, a) in enumerate(x.items()):
        if count % CHUNK == CHUNK - 1:
            m.work(2 * CHUNK)
        b = y.get(key, MISSING)
        if b is MISSING:
            m.work(count % CHUNK)
            return False
        if a is not b and not _equal(m, a, b, depth - 1):
            m.work(count % CHUNK)
            return False
    m.work(len(x) % CHUNK)
    return True


# Order


def lt(m: "Meter", x: Any, y: Any) -> bool:
    """Return `x < y`."""
    if type(x) is type(y) and type(x) in _ORDERED:
        return bool(x < y)
    return compare(m, x, y, "<") < 0


def le(m: "Meter", x: Any, y: Any) -> bool:
    """Return `x <= y`."""
    if type(x) is type(y) and type(x) in _ORDERED:
        return bool(x <= y)
    return compare(m, x, y, "<=") <= 0


def gt(m: "Meter", x: Any, y: Any) -> bool:
    """Return `x > y`."""
    if type(x) is type(y) and type(x) in _ORDERED:
        return bool(x > y)
    return compare(m, x, y, ">") > 0


def ge(m: "Meter", x: Any, y: Any) -> bool:
    """Return `x >= y`."""
    if type(x) is type(y) and type(x) in _ORDERED:
        return bool(x >= y)
    return compare(m, x, y, ">=") >= 0


def compare(m: "Meter", x: Any, y: Any, op: str = "<") -> int:
    """
    Return a number below, at or above 0, as *x* stands to *y*.

    Raises:
        EvalError: the two have no order; *op* is for its message.
    """
    return _compare(m, x, y, op, m.limits.max_nesting)


def _compare(m: "Meter", x: Any, y: Any, op: str, depth: int) -> int:
    kind, other = type(x), type(y)
    if kind in NUMBERS and other in NUMBERS:
        return _compare_numbers(x, y)
    if kind in LISTS and other in LISTS:
        return _compare_items(m, x, y, op, depth)
    if kind is other:
        if kind is str or kind is bytes:
            m.work(min(len(x), len(y)) >> 8)
            return int(x > y) - int(x < y)
        if kind is bool:
            return int(x) - int(y)
        if kind is tuple:
            return _compare_items(m, x, y, op, depth)
        if isinstance(x, Value):
            order = x.order(y)
            if order is not None:
                return order
    raise EvalError(f"{type_name(x)} {op} {type_name(y)} not implemented")


def _compare_numbers(x: float, y: float) -> int:
    if x != x or y != y:
        # NaN is above every other number, and equal to itself.
        return int(x != x) - int(y != y)
    return int(x > y) - int(x < y)


def _compare_items(m: "Meter", x: Any, y: Any, op: str, depth: int) -> int:
    if depth == 0:
        refuse_nesting(m)
    m.work(1)
    for count, (a, b) in enumerate(zip(x, y, strict=False)):
        if a is not b and not _equal(m, a, b, depth - 1):
            m.work(count % CHUNK)
            return _compare(m, a, b, op, depth - 1)
        if count % CHUNK == CHUNK - 1:
            m.work(CHUNK)
    m.work(min(len(x), len(y)) % CHUNK)
    return len(x) - len(y)


# Sorting


def sorted_by(
    m: "Meter", items: list[Any], keys: list[Any], *, reverse: bool = False
) -> list[Any]:
    """
    Return *items* in the order of their *keys*, stably.

    Raises:
        EvalError: two keys have no order.
    """
    if not items:
        return items
    orderly = _orderly(m, keys)
    if keys is items and orderly is items:
        return _in_order(m, items, None, reverse=reverse)
    m.charge(48 * len(items))
    places = list(range(len(items)))
    order = _in_order(m, places, orderly.__getitem__, reverse=reverse)
    return [items[place] for place in order]


def _in_order(
    m: "Meter",
    items: list[Any],
    key: Callable[[Any], Any] | None,
    *,
    reverse: bool,
) -> list[Any]:
    """
    Sort *items* as Python does, but in parts between which others may have a turn.

    Two sorted parts, one behind the other, are merged by sorting them in one pass.
    """
    parts = []
    for start in range(0, len(items), _SORTED_AT_ONCE):
        part = items[start : start + _SORTED_AT_ONCE]
        m.work(len(part) * len(part).bit_length() >> 3)
        parts.append(sorted(part, key=key, reverse=reverse))
    while len(parts) > 1:
        pairs = [parts[at : at + 2] for at in range(0, len(parts), 2)]
        parts = []
        for pair in pairs:
            both = [item for part in pair for item in part]
            m.work(len(both) >> 1)
            both.sort(key=key, reverse=reverse)
            parts.append(both)
    return parts[0]


def _orderly(m: "Meter", keys: list[Any]) -> list[Any]:
    """Return *keys*, or what stands for them, so that Python orders them rightly."""
    rounds = len(keys).bit_length()
    m.charge(16 * len(keys))
    kinds = set(map(type, keys))
    if _ordered_natively(kinds, keys):
        for kind in kinds:
            m.work(_long_work(kind, keys, rounds))
        return keys

    def order(x: Any, y: Any) -> int:
        m.work(4)
        return compare(m, x, y)

    m.charge(64 * len(keys))
    return list(map(cmp_to_key(order), keys))


def _ordered_natively(kinds: set[type], keys: list[Any]) -> bool:
    """Return whether Python orders *keys*, which are of *kinds*, as Starlark does."""
    if kinds == {str} or kinds == {int}:
        return True
    if kinds <= NUMBERS:
        return not any(x != x for x in keys)
    if kinds == {tuple} and len(set(map(len, keys))) == 1:
        columns = [set(map(type, column)) for column in zip(*keys, strict=True)]
        return all(column in ({str}, {int}) for column in columns)
    return False


def _long_work(kind: type, keys: list[Any], rounds: int) -> int:
    """Return the steps that comparing long values takes, *rounds* times each."""
    if kind is str:
        return sum(map(len, keys)) * rounds >> 8
    if kind is int:
        longest = max(max(keys), -min(keys))
        bits = longest.bit_length() if type(longest) is int else 1_024
        return len(keys) * rounds * bits >> 14
    if kind is tuple:
        columns = zip(*keys, strict=True)
        return sum(
            len(keys) + _long_work(type(column[0]), list(column), rounds)
            for column in columns
        )
    return 0


# Keys of dicts


def dict_key(m: "Meter", x: Any) -> Any:
    """
    Return what stands for *x* among the keys of a `Dict`.

    It is *x* itself wherever Python hashes and compares as Starlark does, else a `Key`.

    Raises:
        EvalError: *x* is not hashable.
    """
    kind = type(x)
    if kind is str:
        if len(x) > _SHORT:
            m.work(len(x) >> 7)
        return x
    if kind is int:
        if -_HASHED_AS_IS < x < _HASHED_AS_IS:
            return x
        return Key(x, _token(m, x))
    if x is None:
        return x
    if kind is bool:
        return TRUE_KEY if x else FALSE_KEY
    if kind is float and abs(x) < _HASHED_AS_IS:
        return x
    return Key(x, _token(m, x))


def key_value(key: Any) -> Any:
    """Return the value that a key of a `Dict` stands for."""
    return key.value if type(key) is Key else key


def keys(d: Dict) -> list[Any]:
    """Return the keys of a dict as values, in order."""
    return [key.value if type(key) is Key else key for key in d]


def _token(m: "Meter", x: Any) -> object:
    room = [m.limits.max_elements]
    token = _part(m, x, room, m.limits.max_nesting)
    m.charge(64 * (m.limits.max_elements - room[0]) + 64)
    return token


def _part(m: "Meter", x: Any, room: list[int], depth: int) -> object:
    """
    Return a Python value that hashes and compares as *x* should.

    A shared part is copied wherever it occurs, because that is what Python's `hash` is
    going to walk over; *room* bounds it.
    """
    kind = type(x)
    if kind is str:
        m.work(len(x) >> 7)
        return x
    if x is None:
        return x
    if kind is bool:
        return TRUE_KEY if x else FALSE_KEY
    if kind is int or kind is float:
        return _number(m, x)
    if kind is tuple:
        return _tuple(m, x, room, depth)
    if kind is FunctionType:
        return x
    if kind is bytes:
        m.work(len(x) >> 7)
        return x
    if isinstance(x, Value):
        fields = x.fields()
        if fields is None:
            return x.token()
        return (type(x), *_tuple(m, tuple(fields.values()), room, depth))
    if kind is range:
        raise EvalError("unhashable: range")
    raise EvalError(f"unhashable type: {type_name(x)}")


def _tuple(
    m: "Meter", x: tuple[Any, ...], room: list[int], depth: int
) -> tuple[Any, ...]:
    room[0] -= len(x) + 1
    if room[0] < 0:
        refuse_elements(m)
    if depth == 0:
        refuse_nesting(m)
    m.work(len(x))
    return tuple([_part(m, item, room, depth - 1) for item in x])


def _number(m: "Meter", x: float) -> object:
    if x != x:
        return _NAN
    if abs(x) < _HASHED_AS_IS or x in (_INFINITY, -_INFINITY):
        return x
    # Floats of this size are whole, and equal to an integer.
    whole = int(x)
    bits = whole.bit_length()
    m.work(bits >> 6)
    return (_LONG, whole.to_bytes((bits >> 3) + 1, "little", signed=True))


_INFINITY = float("inf")
