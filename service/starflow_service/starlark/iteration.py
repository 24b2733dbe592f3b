"""Walking over values: loops, unpacking, and built-ins that take an iterable.

A loop locks what it walks over.  A built-in that runs no code of the script needs no
lock, because nothing can come between.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.caps import CHUNK, new_elements
from starflow_service.starlark.compare import DICTS, LISTS, keys
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.values import (
    Dict,
    FrozenDict,
    FrozenList,
    List,
    LockedDict,
    LockedList,
    Value,
    type_name,
)

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_SEQUENCES = frozenset({*LISTS, tuple, range})


def begin_iteration(m: "Meter", x: Any) -> Sequence[Any]:
    """
    Return what a loop over *x* goes through, and lock *x* until `end_iteration`.

    Raises:
        EvalError: *x* is not iterable; then nothing is locked.
    """
    items = items_of(m, x)
    if items is None:
        raise EvalError(f"{type_name(x)} value is not iterable")
    _lock(x)
    return items


def end_iteration(x: Any) -> None:
    """Undo one `begin_iteration`."""
    kind = type(x)
    if kind is LockedList or kind is LockedDict:
        x.locks -= 1
        if not x.locks:
            x.__class__ = List if kind is LockedList else Dict


def _lock(x: Any) -> None:
    kind = type(x)
    if kind is List or kind is Dict:
        x.__class__ = LockedList if kind is List else LockedDict
        x.locks = 1
    elif kind is LockedList or kind is LockedDict:
        x.locks += 1


def items_of(m: "Meter", x: Any) -> Sequence[Any] | None:
    """
    Return the elements of *x*, which may be *x* itself, or None if it has none.

    They are good until the script runs on.
    """
    kind = type(x)
    if kind in _SEQUENCES:
        return x  # type: ignore[no-any-return]
    if kind in DICTS:
        m.charge(8 * len(x))
        m.work(len(x) >> 4)
        return keys(x)
    return x.elements(m) if isinstance(x, Value) else None


def copied(m: "Meter", items: Sequence[Any]) -> list[Any]:
    """
    Return the elements in a new list.

    Raises:
        LimitError: they are too many.
    """
    # A range makes its numbers only now.
    new_elements(m, len(items), 40 if type(items) is range else 8)
    return list(items)


def gathered(m: "Meter", elements: Iterable[Any], count: int) -> List:
    """Return the list of *count* elements that are new and paid for but for steps."""
    if count <= CHUNK:
        m.work(count >> 3)
        return List(elements)
    made = List()
    rest = iter(elements)
    while some := list(islice(rest, CHUNK)):
        m.work(len(some))
        made += some
    return made


def unpack(m: "Meter", x: Any, n: int) -> Sequence[Any]:
    """
    Return the elements of *x*, which must be *n*.

    Raises:
        EvalError: *x* has another number of elements, or is not iterable.
    """
    items = x if type(x) is tuple else items_of(m, x)
    if items is None:
        raise EvalError(f"got {type_name(x)} in sequence assignment")
    if len(items) == n:
        return items
    few = "few" if len(items) < n else "many"
    raise EvalError(f"too {few} values to unpack (got {len(items)}, want {n})")


def check_mutable(x: Any, verb: str) -> None:
    """
    Refuse to change a list or dict that is frozen or being iterated over.

    *verb* begins the message, such as "append: cannot append to".

    Raises:
        EvalError: it must not change now.
    """
    kind = type(x)
    if kind is List or kind is Dict:
        return
    noun = "list" if kind in LISTS else "hash table"
    if kind is FrozenList or kind is FrozenDict:
        raise EvalError(f"{verb} frozen {noun}")
    raise EvalError(f"{verb} {noun} during iteration")
