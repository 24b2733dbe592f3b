"""The methods of lists.  Each takes the meter and the list first."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.arguments import (
    out_of_range,
    want_int,
    want_iterable,
    window,
)
from starflow_service.starlark.caps import CHUNK, SLOT, new_elements, refuse_elements
from starflow_service.starlark.compare import eq
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.iteration import check_mutable
from starflow_service.starlark.values import List

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter


def _append(m: "Meter", x: List, item: Any, /) -> None:
    if type(x) is not List:
        check_mutable(x, "append: cannot append to")
    if len(x) >= m.limits.max_elements:
        refuse_elements(m)
    m.bytes -= SLOT
    list.append(x, item)


def _clear(m: "Meter", x: List, /) -> None:
    check_mutable(x, "clear: cannot clear")
    m.work(len(x) >> 5)
    list.clear(x)


def _extend(m: "Meter", x: List, iterable: Any, /) -> None:
    check_mutable(x, "extend: cannot extend")
    items = want_iterable(m, "extend", 1, iterable)
    new_elements(m, len(x) + len(items), 0)
    m.charge(len(items) * (40 if type(items) is range else 8))
    list.extend(x, items)


def _index(
    m: "Meter", x: List, item: Any, start: Any = None, end: Any = None, /
) -> int:
    low, high = window(m, "index", start, end, len(x))
    place = _place(m, x, item, low, high)
    if place < 0:
        raise EvalError("index: value not in list")
    return place


def _insert(m: "Meter", x: List, place: Any, item: Any, /) -> None:
    check_mutable(x, "insert: cannot insert into")
    at = want_int(m, "insert", 1, place)
    if len(x) >= m.limits.max_elements:
        refuse_elements(m)
    m.bytes -= SLOT
    m.work(len(x) >> 8)
    list.insert(x, at, item)


def _pop(m: "Meter", x: List, place: Any = -1, /) -> Any:
    at = want_int(m, "pop", 1, place)
    if not -len(x) <= at < len(x):
        raise EvalError(f"pop: {out_of_range(m, 'list', at, len(x))}")
    check_mutable(x, "pop: cannot pop from")
    m.work(len(x) >> 8)
    return list.pop(x, at)


def _remove(m: "Meter", x: List, item: Any, /) -> None:
    check_mutable(x, "remove: cannot remove from")
    place = _place(m, x, item, 0, len(x))
    if place < 0:
        raise EvalError("remove: element not found")
    list.pop(x, place)


def _place(m: "Meter", x: List, item: Any, low: int, high: int) -> int:
    for place in range(low, high):
        if place % CHUNK == CHUNK - 1:
            m.work(CHUNK)
        if eq(m, x[place], item):
            return place
    m.work((high - low) % CHUNK)
    return -1


LIST_METHODS: Mapping[str, Callable[..., Any]] = {
    "append": _append,
    "clear": _clear,
    "extend": _extend,
    "index": _index,
    "insert": _insert,
    "pop": _pop,
    "remove": _remove,
}
