"""Whatever a built-in is given, it returns a value, or an error in our own words."""

import random
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from starflow_service.starlark import EvalError, LimitError, Limits, Meter, ops
from starflow_service.starlark.access import METHODS
from starflow_service.starlark.builtins import MODULES, UNIVERSE
from starflow_service.starlark.host import Context, Future
from starflow_service.starlark.values import (
    Builtin,
    Dict,
    HostFunction,
    List,
    LockedDict,
    LockedList,
    freeze,
    type_name,
)
from tests.starlark.python_words import PYTHON
from tests.starlark.scripted_host import ScriptedHost

# Small, so that what takes long is refused soon.
LIMITS = Limits(max_steps=20_000, max_allocated_bytes=2_000_000)


def locked(value: Any, kind: type) -> Any:
    value.__class__ = kind
    value.locks = 1
    return value


def frozen(value: Any) -> Any:
    freeze(value)
    return value


def cyclic() -> List:
    value = List([1])
    value.append(value)
    return value


# Plain values, and the ones at which something of Python's own would give up.
VALUES: list[Callable[[], Any]] = [
    *(
        lambda value=value: value
        for value in (
            *(None, True, 0, 1, -1, 7, 36, 2**31, 2**63 - 1, -(2**63), 2**64, -(2**70)),
            *(1 << 300, 0.0, -0.0, 1.5, -2.5, 1e18, 1e300, 5e-324),
            *(float("nan"), float("inf"), float("-inf")),
            *("", "a", "abc", " a b ", "A-b", "1", "-7", "0x1f", "1e5", "nan", "\x00"),
            *("%s", "%d %s", "%(a)s", "%", "{}", "{a}", "{0!r}", "{", "x" * 300, "\n"),
            *("é世😀", "\u0130nf", "\u212a", "\u0661", "\ufb01", "\u01c6", "\u2028"),
            *("1h", "-1.5s", "UTC", "Europe/Berlin", "2026-11-20T13:00:00Z", "[1]"),
            *(b"", b"a", b"\xff\x00", (), (1,), ("a", "b"), (1, 2, 3), ((1, 2),)),
            *(range(0), range(3), range(5, -5, -2), range(10**12)),
            *(Context(), Future(1, "f"), HostFunction("a.b")),
        )
    ),
    List,
    lambda: List([1]),
    lambda: List(["b", "a"]),
    lambda: List([1, "a", None]),
    lambda: List([List([1, 2])]),
    lambda: List([(1, 2), ("a", 3)]),
    lambda: List([0.5, float("nan"), 2]),
    lambda: frozen(List([1, 2])),
    lambda: locked(List([1, 2]), LockedList),
    cyclic,
    Dict,
    lambda: Dict({"a": 1}),
    lambda: Dict({1: "x", "b": None}),
    lambda: frozen(Dict({"a": 1})),
    lambda: locked(Dict({"a": 1}), LockedDict),
    lambda: UNIVERSE["len"],
    lambda: Builtin("upper", METHODS[str]["upper"], "abc"),
    lambda: METHODS[str]["elems"](Meter(ScriptedHost(), LIMITS), "abc"),
    lambda: METHODS[bytes]["elems"](Meter(ScriptedHost(), LIMITS), b"abc"),
]


def callables() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what can be called: a name, and what makes it."""
    for name, value in UNIVERSE.items():
        if type(value) is Builtin:
            yield name, lambda value=value: value  # type: ignore[misc]
    for module in MODULES.values():
        for name, value in module.members.items():
            # Those of flow that wait need a script to come back to.
            if type(value) is Builtin and module.name != "flow":
                yield f"{module.name}.{name}", lambda value=value: value  # type: ignore[misc]
    for make in VALUES:
        for name, fn in METHODS.get(type(make()), {}).items():
            yield (
                f"{type(make()).__name__}.{name}",
                lambda name=name, fn=fn, make=make: Builtin(name, fn, make()),  # type: ignore[misc]
            )


def call(make: Callable[[], Any], args: list[Any], **named: Any) -> None:
    """Call it; a value that is none of the language's is no result."""
    m = Meter(ScriptedHost(), LIMITS)
    try:
        type_name(ops.call(m, make(), args, named))
        return
    except LimitError as error:
        message = error.message
    except EvalError as error:
        message = error.message
    assert not PYTHON.search(message.replace("0!r", "")), message
    assert len(message) < 4_000


GROUPS: dict[str, list[Callable[[], Any]]] = {}
for callable_name, callable_make in callables():
    GROUPS.setdefault(callable_name, []).append(callable_make)


@pytest.mark.parametrize("name", GROUPS)
def test_a_function_takes_anything_or_refuses_it(name: str) -> None:
    chosen = random.Random(name)
    makes = GROUPS[name]
    for make in makes:
        call(make, [])
        for first in VALUES:
            call(make, [first()])
    pairs = list(product(VALUES, VALUES))
    for first, second in chosen.sample(pairs, 400):
        call(chosen.choice(makes), [first(), second()])
    for _ in range(400):
        args = [chosen.choice(VALUES)() for _ in range(chosen.randint(3, 4))]
        call(chosen.choice(makes), args)
    for _ in range(200):
        key = chosen.choice(["key", "reverse", "base", "sep", "x", "prefix", "default"])
        args = [chosen.choice(VALUES)() for _ in range(chosen.randint(0, 2))]
        call(chosen.choice(makes), args, **{key: chosen.choice(VALUES)()})
