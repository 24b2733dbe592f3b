"""`x[i]`, `x[lo:hi]` and `x.name`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.arguments import bad_index, check_place
from starflow_service.starlark.caps import new_elements, new_text
from starflow_service.starlark.compare import DICTS, LISTS, dict_key
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.iteration import check_mutable
from starflow_service.starlark.methods_dict import DICT_METHODS, insert
from starflow_service.starlark.methods_list import LIST_METHODS
from starflow_service.starlark.methods_string import BYTES_METHODS, STRING_METHODS
from starflow_service.starlark.spelling import nearest
from starflow_service.starlark.text import brief
from starflow_service.starlark.values import (
    MISSING,
    Builtin,
    Dict,
    List,
    Value,
    type_name,
)

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_INDEXED = frozenset({*LISTS, tuple, str, bytes, range})

# The methods of every type that has some; each takes the meter and the receiver first.
METHODS: Mapping[type, Mapping[str, Callable[..., Any]]] = {
    str: STRING_METHODS,
    bytes: BYTES_METHODS,
    **dict.fromkeys(LISTS, LIST_METHODS),
    **dict.fromkeys(DICTS, DICT_METHODS),
}


# Elements


def index(m: "Meter", x: Any, i: Any) -> Any:
    """Return `x[i]`."""
    kind = type(x)
    if kind in DICTS:
        plain = type(i) is str and len(i) < 256
        value = dict.get(x, i if plain else dict_key(m, i), MISSING)
        if value is MISSING:
            raise EvalError(f"key {brief(m, i)} not in dict")
        return value
    if kind in _INDEXED:
        if type(i) is not int or not -len(x) <= i < len(x):
            raise EvalError(bad_index(m, type_name(x), i, len(x)))
        return x[i : i + 1 or None] if kind is bytes else x[i]
    if isinstance(x, Value):
        value = x.index(m, i)
        if value is not MISSING:
            return value
    raise EvalError(f"unhandled index operation {type_name(x)}[{type_name(i)}]")


def set_index(m: "Meter", x: Any, i: Any, value: Any) -> None:
    """Do `x[i] = value`."""
    kind = type(x)
    if kind in DICTS:
        key = dict_key(m, i)
        if kind is not Dict:
            check_mutable(x, "cannot insert into")
        insert(m, x, key, value)
        return
    if kind not in LISTS:
        raise EvalError(f"{type_name(x)} value does not support item assignment")
    if kind is not List:
        check_mutable(x, "cannot assign to element of")
    if type(i) is not int:
        raise EvalError(f"got {type_name(i)}, want int")
    if not -len(x) <= i < len(x):
        raise EvalError(bad_index(m, type_name(x), i, len(x)))
    list.__setitem__(x, i, value)


def slice_(m: "Meter", x: Any, lo: Any = None, hi: Any = None, step: Any = None) -> Any:
    """Return `x[lo:hi:step]`; None is an absent part."""
    kind = type(x)
    if kind not in _INDEXED:
        raise EvalError(f"invalid slice operand {type_name(x)}")
    if step is None and kind is List and type(lo) in _PLAIN and type(hi) in _PLAIN:
        return _plain_slice(m, x, lo, hi)
    cut = _slice(m, lo, hi, step)
    length = len(range(len(x))[cut])
    if kind is str:
        new_text(m, length, x)
    elif kind is not range:
        new_elements(m, length, 1 if kind is bytes else 8)
    return List(list.__getitem__(x, cut)) if kind in LISTS else x[cut]


# What Python takes for a bound as Starlark does, in the range of indexes.
_PLAIN = frozenset({int, type(None)})


def _plain_slice(m: "Meter", x: List, lo: int | None, hi: int | None) -> List:
    """Return `x[lo:hi]`; the copy is no longer than the list may be."""
    cut = _slice(m, lo, hi, None)
    items = list.__getitem__(x, cut)
    new_elements(m, len(items))
    return List(items)


def _slice(m: "Meter", lo: Any, hi: Any, step: Any) -> slice:
    check_place(m, "invalid slice step", step)
    if step == 0:
        raise EvalError("zero is not a valid slice step")
    check_place(m, "invalid start index", lo)
    check_place(m, "invalid end index", hi)
    return slice(lo, hi, step)


# Attributes


def attr(m: "Meter", x: Any, name: str) -> Any:
    """
    Return `x.name`.

    Raises:
        EvalError: *x* has no such attribute.
    """
    value = find_attr(m, x, name)
    if value is MISSING:
        near = nearest(name, attr_names(x))
        advice = f" (did you mean .{near}?)" if near else ""
        raise EvalError(
            f"{type_name(x)} has no .{name[:80]} field or method{advice}",
        )
    return value


def find_attr(m: "Meter", x: Any, name: str) -> Any:
    """Return `x.name`, or MISSING."""
    methods = METHODS.get(type(x))
    if methods is not None:
        fn = methods.get(name)
        return MISSING if fn is None else Builtin(name, fn, x)
    return x.attr(m, name) if isinstance(x, Value) else MISSING


def attr_names(x: Any) -> list[str]:
    """Return the names of the attributes of *x*, sorted."""
    methods = METHODS.get(type(x))
    if methods is not None:
        return sorted(methods)
    return sorted(x.attr_names()) if isinstance(x, Value) else []


def set_attr(m: "Meter", x: Any, name: str, value: Any) -> None:
    """
    Do `x.name = value`, which no value allows.

    Raises:
        EvalError: always.
    """
    raise EvalError(f"can't assign to .{name[:80]} field of {type_name(x)}")
