"""The methods of dicts.  Each takes the meter and the dict first."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starflow_service.starlark.caps import CHUNK, ENTRY, new_elements, refuse_elements
from starflow_service.starlark.compare import DICTS, dict_key, key_value, keys
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.iteration import check_mutable, gathered, items_of
from starflow_service.starlark.values import (
    MISSING,
    Dict,
    List,
    type_name,
)

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# A dict with fewer deleted entries is not worth rebuilding.
_FEW_HOLES = 16


def _key(m: "Meter", name: str, x: Any) -> Any:
    if type(x) is str:
        return dict_key(m, x)
    try:
        return dict_key(m, x)
    except EvalError as error:
        raise EvalError(f"{name}: {error.message}") from None


def insert(m: "Meter", d: Dict, key: Any, value: Any) -> None:
    """
    Set an entry of a dict that may change.

    Raises:
        LimitError: it would have too many.
    """
    if key not in d:
        if len(d) >= m.limits.max_elements:
            refuse_elements(m)
        m.charge(ENTRY)
    d[key] = value


def _clear(m: "Meter", d: Dict, /) -> None:
    check_mutable(d, "clear: cannot clear")
    m.work(len(d) >> 4)
    dict.clear(d)


def _get(m: "Meter", d: Dict, key: Any, default: Any = None, /) -> Any:
    return dict.get(d, _key(m, "get", key), default)


def _items(m: "Meter", d: Dict, /) -> List:
    new_elements(m, len(d), 72)
    if len(d) <= CHUNK:
        m.work(len(d) >> 3)
        return List([(key_value(key), value) for key, value in dict.items(d)])
    pairs = ((key_value(key), value) for key, value in dict.items(d))
    return gathered(m, pairs, len(d))


def _keys(m: "Meter", d: Dict, /) -> List:
    new_elements(m, len(d))
    m.work(len(d) >> 4)
    return List(keys(d))


def _values(m: "Meter", d: Dict, /) -> List:
    new_elements(m, len(d))
    return List(dict.values(d))


def _pop(m: "Meter", d: Dict, key: Any, default: Any = MISSING, /) -> Any:
    found = _key(m, "pop", key)
    check_mutable(d, "pop: cannot delete from")
    value = dict.pop(d, found, MISSING)
    if value is not MISSING:
        _note_hole(m, d)
        return value
    if default is MISSING:
        raise EvalError("pop: missing key")
    return default


def _popitem(m: "Meter", d: Dict, /) -> tuple[Any, Any]:
    if not d:
        raise EvalError("popitem: empty dict")
    check_mutable(d, "popitem: cannot delete from")
    # CPython looks for the first entry from the first hole on.
    m.work(getattr(d, "holes", 0) >> 9)
    key = next(iter(d))
    value = dict.pop(d, key)
    _note_hole(m, d)
    return key_value(key), value


def _note_hole(m: "Meter", d: Dict) -> None:
    """
    Rebuild a dict that consists mostly of deleted entries.

    CPython walks over those to find the first live one, so that emptying a dict from
    the front would be quadratic.
    """
    try:
        d.holes += 1
    except AttributeError:
        d.holes = 1
    if d.holes > max(len(d), _FEW_HOLES):
        m.charge(ENTRY * len(d))
        # A copy has no holes, and a copy of that is made in one piece.
        entries = dict(d)
        dict.clear(d)
        dict.update(d, entries)
        d.holes = 0


def _setdefault(m: "Meter", d: Dict, key: Any, default: Any = None, /) -> Any:
    found = _key(m, "setdefault", key)
    value = dict.get(d, found, MISSING)
    if value is not MISSING:
        return value
    check_mutable(d, "setdefault: cannot insert into")
    insert(m, d, found, default)
    return default


def _update(m: "Meter", d: Dict, pairs: Any = MISSING, /, **kwargs: Any) -> None:
    update(m, "update", d, pairs, kwargs)


def update(
    m: "Meter", name: str, d: Dict, pairs: Any, kwargs: Mapping[str, Any]
) -> None:
    """
    Set entries from a dict or an iterable of pairs, and then from *kwargs*.

    Raises:
        EvalError: the pairs are none, a key is not hashable, or *d* must not change.
    """
    entries = _entries(m, name, pairs) if pairs is not MISSING else ()
    if entries or kwargs:
        check_mutable(d, f"{name}: cannot insert into")
    m.charge(ENTRY * (len(entries) + len(kwargs)))
    dict.update(d, entries, **kwargs)
    if len(d) > m.limits.max_elements:
        refuse_elements(m)


def _entries(
    m: "Meter", name: str, pairs: Any
) -> dict[Any, Any] | list[tuple[Any, Any]]:
    """Return *pairs* with their keys as a dict wants them."""
    if type(pairs) in DICTS:
        return dict(pairs)
    items = items_of(m, pairs)
    if items is None:
        raise EvalError(f"{name}: got {type_name(pairs)}, want iterable")
    new_elements(m, len(items), 72)
    return [_entry(m, name, place, pair) for place, pair in enumerate(items)]


def _entry(m: "Meter", name: str, place: int, pair: Any) -> tuple[Any, Any]:
    m.work(2)
    parts = items_of(m, pair)
    where = f"{name}: dictionary update sequence element #{place}"
    if parts is None:
        raise EvalError(f"{where} is not iterable ({type_name(pair)})")
    if len(parts) != 2:
        raise EvalError(f"{where} has length {len(parts)}, want 2")
    return _key(m, name, parts[0]), parts[1]


DICT_METHODS: Mapping[str, Callable[..., Any]] = {
    "clear": _clear,
    "get": _get,
    "items": _items,
    "keys": _keys,
    "pop": _pop,
    "popitem": _popitem,
    "setdefault": _setdefault,
    "update": _update,
    "values": _values,
}
