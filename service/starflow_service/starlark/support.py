"""The operations that compiled code calls, by the names it calls them by."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

from starflow_service.starlark import ops
from starflow_service.starlark.caps import ENTRY, SLOT, TABLE, new_elements
from starflow_service.starlark.compare import DICTS, LISTS, dict_key, key_value
from starflow_service.starlark.errors import EvalError, LimitError
from starflow_service.starlark.iteration import items_of
from starflow_service.starlark.text import brief
from starflow_service.starlark.values import MISSING, Dict, List, type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# What a `**kwargs` parameter costs for each of its arguments, and a `*args` one.
KEYWORD_BYTES = 150
ARGUMENT_BYTES = 8


def begin(m: "Meter", x: Any, locks: list[Any]) -> Iterable[Any]:
    """Return what a loop over *x* goes through, and lock *x*."""
    elements = ops.begin_iteration(m, x)
    locks.append(x)
    return elements


def end(locks: list[Any]) -> None:
    """Unlock what the innermost loop of a function goes through."""
    ops.end_iteration(locks.pop())


def unlock(locks: list[Any]) -> None:
    """Unlock what the loops went through that a function has left."""
    while locks:
        ops.end_iteration(locks.pop())


def made(m: "Meter", items: List) -> List:
    """Return the list of a comprehension, unless it is too long."""
    limit = m.limits.max_elements
    if len(items) > limit:
        raise LimitError("max_elements", f"list of more than {limit} elements")
    return items


def new_dict(m: "Meter", count: int) -> Dict:
    """Return a new dict, paid for as one of *count* entries."""
    new_elements(m, count, ENTRY)
    m.bytes -= TABLE
    return Dict()


def put(m: "Meter", d: Dict, x: Any, value: Any) -> None:
    """
    Add an entry to a dict that `new_dict` made.

    Raises:
        EvalError: *x* is not hashable, or is there already.
    """
    key = dict_key(m, x)
    if key in d:
        raise EvalError(f"duplicate key: {brief(m, x)}")
    d[key] = value


def args(m: "Meter", items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Pay for the tuple of a `*args` parameter."""
    m.charge(ARGUMENT_BYTES * len(items))
    return items


def kwargs(m: "Meter", items: dict[str, Any]) -> Dict:
    """Return the dict of a `**kwargs` parameter."""
    m.charge(KEYWORD_BYTES * len(items))
    return ops.make_dict(m, list(items.items()))


def spread_args(m: "Meter", x: Any) -> Sequence[Any]:
    """Return what `*x` adds to the arguments of a call."""
    items = items_of(m, x)
    if items is None:
        raise EvalError(f"argument after * must be iterable, not {type_name(x)}")
    new_elements(m, len(items), SLOT if type(items) is range else ARGUMENT_BYTES)
    return items


def spread_kwargs(m: "Meter", x: Any) -> dict[str, Any]:
    """Return what `**x` adds to the arguments of a call."""
    if type(x) not in DICTS:
        raise EvalError(f"argument after ** must be a mapping, not {type_name(x)}")
    m.charge(KEYWORD_BYTES * len(x))
    for key in x:
        if type(key) is not str:
            kind = type_name(key_value(key))
            raise EvalError(f"keywords must be strings, not {kind}")
    return dict(x)


def call_open(
    m: "Meter",
    function: Any,
    positional: tuple[Any, ...],
    named: dict[str, Any],
    star: Any,
    starstar: Any,
) -> Any:
    """Call a function with `*star` and `**starstar`; an absent one is `MISSING`."""
    if star is not MISSING:
        positional = (*positional, *spread_args(m, star))
    if starstar is not MISSING:
        more = spread_kwargs(m, starstar)
        repeated = next((name for name in more if name in named), None)
        if repeated is not None:
            raise EvalError(
                f'got multiple values for keyword argument "{repeated[:80]}"'
            )
        named = {**named, **more}
    return ops.call(m, function, positional, named)


def bound(m: "Meter", x: Any, name: str, skipped: int) -> Callable[..., Any]:
    """
    Return what calls `x.name`, without the first *skipped* arguments.

    Those are for the method that compiled code thought it was.

    Raises:
        EvalError: there is no such attribute.
    """
    function = ops.attr(m, x, name)

    def call(*positional: Any, **named: Any) -> Any:
        return ops.call(m, function, positional[skipped:], named)

    return call


def recursive(name: str) -> NoReturn:
    """Refuse a recursive call."""
    raise EvalError(f"function {name} called recursively")


def enter(m: "Meter") -> None:
    """Count a call, in files with so many functions that calls could nest too deep."""
    limit = m.limits.max_call_depth
    if m.depth >= limit:
        raise LimitError("max_call_depth", f"calls nested more than {limit} deep")
    m.depth += 1


def leave(m: "Meter") -> None:
    """Count the end of a call."""
    m.depth -= 1


# Compiled code reads these through `__builtins__`; see `codegen_scope` for the names.
OPERATIONS: Mapping[str, Any] = {
    "!add": ops.add,
    "!sub": ops.sub,
    "!mul": ops.mul,
    "!truediv": ops.truediv,
    "!floordiv": ops.floordiv,
    "!mod": ops.mod,
    "!and": ops.and_,
    "!or": ops.or_,
    "!xor": ops.xor,
    "!lshift": ops.lshift,
    "!rshift": ops.rshift,
    "!eq": ops.eq,
    "!ne": ops.ne,
    "!lt": ops.lt,
    "!le": ops.le,
    "!gt": ops.gt,
    "!ge": ops.ge,
    "!contains": ops.contains,
    "!not_contains": ops.not_contains,
    "!neg": ops.neg,
    "!pos": ops.pos,
    "!invert": ops.invert,
    "!iadd": ops.iadd,
    "!ior": ops.ior,
    "!index": ops.index,
    "!set_index": ops.set_index,
    "!slice": ops.slice_,
    "!attr": ops.attr,
    "!set_attr": ops.set_attr,
    "!unpack": ops.unpack,
    "!make_list": ops.make_list,
    "!new_dict": new_dict,
    "!put": put,
    "!call": ops.call,
    "!call_method": ops.call_method,
    "!call_open": call_open,
    "!begin": begin,
    "!end": end,
    "!unlock": unlock,
    "!made": made,
    "!args": args,
    "!kwargs": kwargs,
    "!recursive": recursive,
    "!enter": enter,
    "!leave": leave,
    "!bound": bound,
    "!append": list.append,
    "!get": dict.get,
    "!startswith": str.startswith,
    "!endswith": str.endswith,
    "!none": {},
    "!absent": MISSING,
    "!type": type,
    "!len": len,
    "!int": int,
    "!float": float,
    "!str": str,
    "!bool": bool,
    "!tuple": tuple,
    "!lists": LISTS,
    "!dicts": DICTS,
    "!sequences": frozenset({*LISTS, tuple, str, range}),
    "!List": List,
    "!Dict": Dict,
    "!Function": FunctionType,
}
