"""The universe: what every script may use without a `load`, and the library modules."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from starflow_service.starlark.access import attr, attr_names, find_attr
from starflow_service.starlark.arguments import (
    INT64_MAX,
    mismatch,
    want_bool,
    want_int,
    want_iterable,
    want_str,
)
from starflow_service.starlark.calls import call, is_callable
from starflow_service.starlark.caps import (
    CHUNK,
    SMALL,
    new_elements,
    new_int,
    new_text,
    refuse_text,
)
from starflow_service.starlark.compare import compare, sorted_by
from starflow_service.starlark.errors import EvalError, LimitError
from starflow_service.starlark.formatting import scalar
from starflow_service.starlark.iteration import (
    begin_iteration,
    copied,
    end_iteration,
    gathered,
    items_of,
)
from starflow_service.starlark.lib_flow import FLOW
from starflow_service.starlark.lib_hashlib import HASHLIB
from starflow_service.starlark.lib_json import JSON
from starflow_service.starlark.lib_math import MATH
from starflow_service.starlark.lib_rand import RAND
from starflow_service.starlark.lib_time import TIME
from starflow_service.starlark.lib_uuid import UUID
from starflow_service.starlark.methods_dict import update
from starflow_service.starlark.numbers import parse_float, parse_int, whole
from starflow_service.starlark.ops import to_float, truth
from starflow_service.starlark.text import brief, repr_, str_
from starflow_service.starlark.values import (
    MISSING,
    Builtin,
    Dict,
    List,
    Module,
    Value,
    type_name,
)

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_HASH_PRIME, _HASH_START = 16777619, 2166136261


# Conversions


def _bool(m: "Meter", x: Any = False, /) -> bool:
    return truth(x)


def _int(m: "Meter", /, x: Any, base: Any = MISSING) -> int:
    if type(x) is str:
        return parse_int(m, x, 10 if base is MISSING else base)
    if base is not MISSING:
        raise EvalError("int: can't convert non-string with explicit base")
    if type(x) is int:
        return x
    if type(x) is bool:
        return int(x)
    if type(x) is float:
        return whole("int: ", x)
    raise EvalError(f"int: cannot convert {type_name(x)} to int")


def _float(m: "Meter", x: Any = 0.0, /) -> float:
    if type(x) is str:
        return parse_float(m, x)
    if type(x) is int or type(x) is float or type(x) is bool:
        return to_float(x)
    raise EvalError(f"float got {type_name(x)}, want number or string")


def _str(m: "Meter", x: Any, /) -> str:
    return str_(m, x)


def _repr(m: "Meter", x: Any, /) -> str:
    return repr_(m, x)


def _bytes(m: "Meter", x: Any, /) -> bytes:
    if type(x) is bytes:
        return x
    if type(x) is str:
        m.charge(4 * len(x))
        data = x.encode()
        new_text(m, len(data))
        return data
    items = items_of(m, x)
    if items is None:
        raise EvalError(
            f"bytes: got {type_name(x)}, want string, bytes, or iterable of ints"
        )
    new_elements(m, len(items), 1)
    m.work(len(items) >> 3)
    return bytes(_byte(m, place, item) for place, item in enumerate(items))


def _byte(m: "Meter", place: int, x: Any) -> int:
    if type(x) is not int:
        raise EvalError(f"bytes: at index {place}, got {type_name(x)}, want int")
    if not 0 <= x < 256:
        raise EvalError(
            f"bytes: at index {place}, {brief(m, x)} out of range "
            "(want value in unsigned 8-bit range)"
        )
    return x


def _list(m: "Meter", iterable: Any = (), /) -> List:
    return List(copied(m, want_iterable(m, "list", 1, iterable)))


def _tuple(m: "Meter", iterable: Any = (), /) -> tuple[Any, ...]:
    if type(iterable) is tuple:
        return iterable
    return tuple(copied(m, want_iterable(m, "tuple", 1, iterable)))


def _dict(m: "Meter", pairs: Any = MISSING, /, **kwargs: Any) -> Dict:
    made = Dict()
    update(m, "dict", made, pairs, kwargs)
    return made


def _chr(m: "Meter", i: Any, /) -> str:
    if type(i) is not int:
        raise EvalError(f"chr: got {type_name(i)}, want int")
    if i < 0:
        raise EvalError(f"chr: Unicode code point {brief(m, i)} out of range (<0)")
    if i > 0x10FFFF:
        shown = f"U+{i:X}" if i < SMALL else brief(m, i)
        raise EvalError(f"chr: Unicode code point {shown} out of range (>0x10FFFF)")
    return scalar(i)


def _ord(m: "Meter", s: Any, /) -> int:
    if type(s) is str:
        if len(s) != 1:
            raise EvalError(f"ord: string encodes {len(s)} Unicode code points, want 1")
        return ord(s)
    if type(s) is bytes:
        if len(s) != 1:
            raise EvalError(f"ord: bytes has length {len(s)}, want 1")
        return s[0]
    raise EvalError(f"ord: got {type_name(s)}, want string or bytes")


def _abs(m: "Meter", x: Any, /) -> float:
    if type(x) is int:
        return new_int(m, abs(x))
    if type(x) is float:
        return abs(x)
    raise EvalError(f"abs: got {type_name(x)}, want int or float")


# Sequences


def _len(m: "Meter", x: Any, /) -> int:
    size = x.size() if isinstance(x, Value) else None
    if size is None:
        try:
            return len(x)
        except TypeError:
            raise EvalError(f"len: value of type {type_name(x)} has no len") from None
    return size


def _range(m: "Meter", start: Any, stop: Any = MISSING, step: Any = 1, /) -> range:
    first = want_int(m, "range", 1, start)
    if stop is MISSING:
        first, last = 0, first
    else:
        last = want_int(m, "range", 2, stop)
    stride = want_int(m, "range", 3, step)
    if stride == 0:
        raise EvalError("range: step argument must not be zero")
    # A range whose length Python cannot say would fail wherever it is used.
    if (last - first - (1 if stride > 0 else -1)) // stride >= INT64_MAX:
        raise EvalError("range: too many numbers")
    return range(first, last, stride)


def _enumerate(m: "Meter", iterable: Any, start: Any = 0, /) -> List:
    items = want_iterable(m, "enumerate", 1, iterable)
    first = want_int(m, "enumerate", 2, start)
    new_elements(m, len(items), 104)
    return gathered(m, enumerate(items, first), len(items))


def _reversed(m: "Meter", iterable: Any, /) -> List:
    items = copied(m, want_iterable(m, "reversed", 1, iterable))
    items.reverse()
    return List(items)


def _zip(m: "Meter", /, *iterables: Any) -> List:
    columns = []
    for place, x in enumerate(iterables, 1):
        items = items_of(m, x)
        if items is None:
            raise EvalError(f"zip: argument #{place} is not iterable: {type_name(x)}")
        columns.append(items)
    rows = min(map(len, columns), default=0)
    new_elements(m, rows, 56 + 40 * len(columns))
    return gathered(m, zip(*columns, strict=False), rows)


def _any(m: "Meter", iterable: Any, /) -> bool:
    return _first(m, "any", iterable, wanted=True)


def _all(m: "Meter", iterable: Any, /) -> bool:
    return not _first(m, "all", iterable, wanted=False)


def _first(m: "Meter", name: str, iterable: Any, *, wanted: bool) -> bool:
    """Return whether an element counts as *wanted*."""
    items = want_iterable(m, name, 1, iterable)
    for place, item in enumerate(items):
        if truth(item) is wanted:
            return True
        if place % CHUNK == CHUNK - 1:
            m.work(CHUNK)
    return False


def _sorted(
    m: "Meter", /, iterable: Any, key: Any = MISSING, reverse: Any = False
) -> List:
    items = copied(m, want_iterable(m, "sorted", "iterable", iterable))
    _check_key("sorted", key)
    backwards = want_bool("sorted", "reverse", reverse)
    keys = items
    if key is not MISSING:
        begin_iteration(m, iterable)
        try:
            keys = [_key_of(m, key, item) for item in items]
        finally:
            end_iteration(iterable)
    return List(sorted_by(m, items, keys, reverse=backwards))


def _min(m: "Meter", /, *args: Any, key: Any = MISSING) -> Any:
    return _extreme(m, "min", "<", args, key)


def _max(m: "Meter", /, *args: Any, key: Any = MISSING) -> Any:
    return _extreme(m, "max", ">", args, key)


def _extreme(m: "Meter", name: str, op: str, args: tuple[Any, ...], key: Any) -> Any:
    """Return the first element that no other one is *op*."""
    _check_key(name, key)
    if not args:
        raise EvalError(f"{name} requires at least one positional argument")
    values = args[0] if len(args) == 1 else args
    try:
        items = begin_iteration(m, values)
    except EvalError as error:
        raise EvalError(f"{name}: {error.message}") from None
    try:
        best = best_key = MISSING
        for item in items:
            m.work(2)
            item_key = item if key is MISSING else call(m, key, (item,))
            if best is MISSING or _beats(m, name, op, item_key, best_key):
                best, best_key = item, item_key
    finally:
        end_iteration(values)
    if best is MISSING:
        raise EvalError(f"{name}: argument is an empty sequence")
    return best


def _beats(m: "Meter", name: str, op: str, x: Any, y: Any) -> bool:
    try:
        order = compare(m, x, y, op)
    except EvalError as error:
        raise EvalError(f"{name}: {error.message}") from None
    return order < 0 if op == "<" else order > 0


def _key_of(m: "Meter", key: Any, item: Any) -> Any:
    # A built-in as the key function would never give the others a turn.
    m.work(2)
    return call(m, key, (item,))


def _check_key(name: str, key: Any) -> None:
    if key is not MISSING and not is_callable(key):
        raise mismatch(name, "key", key, "callable")


# Looking at values


def _type(m: "Meter", x: Any, /) -> str:
    return type_name(x)


def _dir(m: "Meter", x: Any, /) -> List:
    names = attr_names(x)
    new_elements(m, len(names))
    return List(names)


def _getattr(m: "Meter", x: Any, name: Any, default: Any = MISSING, /) -> Any:
    wanted = want_str("getattr", 2, name)
    if default is not MISSING:
        value = find_attr(m, x, wanted)
        return default if value is MISSING else value
    try:
        return attr(m, x, wanted)
    except EvalError as error:
        raise EvalError(f"getattr: {error.message}") from None


def _hasattr(m: "Meter", x: Any, name: Any, /) -> bool:
    return find_attr(m, x, want_str("hasattr", 2, name)) is not MISSING


def _hash(m: "Meter", x: Any, /) -> int:
    """Hash as the Go original: Java's way for strings, FNV-1a for bytes."""
    value = 0
    if type(x) is str:
        for place, character in enumerate(x):
            value = (value * 31 + ord(character)) & 0xFFFFFFFF
            if place % CHUNK == CHUNK - 1:
                m.work(CHUNK >> 1)
        return value - 2**32 if value >= 2**31 else value
    if type(x) is bytes:
        value = _HASH_START
        for place, byte in enumerate(x):
            value = ((value ^ byte) * _HASH_PRIME) & 0xFFFFFFFF
            if place % CHUNK == CHUNK - 1:
                m.work(CHUNK >> 1)
        return value
    raise EvalError(f"hash: got {type_name(x)}, want string or bytes")


# Saying something

# What a line is beside its text: it is written with the run, the time and the place.
_LINE_BYTES = 64
# To find out where it is printed.
_PRINT_STEPS = 20


def _print(m: "Meter", /, *args: Any, sep: Any = " ") -> None:
    text = _joined(m, "print", args, sep)
    m.work(_PRINT_STEPS)
    m.printed += len(text.encode()) + _LINE_BYTES
    if m.printed > m.limits.max_print_bytes:
        limit = m.limits.max_print_bytes
        raise LimitError("max_print_bytes", f"script printed more than {limit} bytes")
    m.host.print(m, text)


def _fail(m: "Meter", /, *args: Any, sep: Any = " ") -> NoReturn:
    text = _joined(m, "fail", args, sep)
    longest = m.limits.max_message
    if len(text) > longest:
        text = f"{text[:longest]}..."
    raise EvalError(f"fail: {text}")


def _joined(m: "Meter", name: str, args: tuple[Any, ...], sep: Any) -> str:
    separator = want_str(name, "sep", sep)
    length = len(separator) * max(len(args) - 1, 0)
    parts = []
    for x in args:
        m.charge(128)
        part = str_(m, x)
        length += len(part)
        if length > m.limits.max_string:
            refuse_text(m)
        parts.append(part)
    new_text(m, length, separator, *parts)
    return separator.join(parts)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": _abs,
    "all": _all,
    "any": _any,
    "bool": _bool,
    "bytes": _bytes,
    "chr": _chr,
    "dict": _dict,
    "dir": _dir,
    "enumerate": _enumerate,
    "fail": _fail,
    "float": _float,
    "getattr": _getattr,
    "hasattr": _hasattr,
    "hash": _hash,
    "int": _int,
    "len": _len,
    "list": _list,
    "max": _max,
    "min": _min,
    "ord": _ord,
    "print": _print,
    "range": _range,
    "repr": _repr,
    "reversed": _reversed,
    "sorted": _sorted,
    "str": _str,
    "tuple": _tuple,
    "type": _type,
    "zip": _zip,
}

UNIVERSE: Mapping[str, Any] = {
    "None": None,
    "True": True,
    "False": False,
    **{name: Builtin(name, fn) for name, fn in _FUNCTIONS.items()},
}

MODULES: Mapping[str, Module] = {
    module.name: module for module in (TIME, RAND, MATH, JSON, FLOW, UUID, HASHLIB)
}
