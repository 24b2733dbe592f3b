"""Short ways to write Python syntax trees that carry places of the script."""

import ast
from collections.abc import Sequence
from itertools import islice
from typing import Any, TypeAlias, TypedDict, TypeGuard

from starflow_service.starlark.syntax import Pos
from starflow_service.starlark.trace import METER

_LOAD = ast.Load()
_STORE = ast.Store()


class At(TypedDict):
    """A place as Python's trees want it: columns from 0, and an end."""

    lineno: int
    end_lineno: int
    col_offset: int
    end_col_offset: int


# What a compiled operand can be when it is used twice: a literal or a variable.
Operand: TypeAlias = ast.Name | ast.Constant

# Expressions up to so many nodes may be written twice, in branches that exclude each
# other.  A branch within a branch would otherwise double the code again and again.
COPIED_NODES_MAX = 48


def is_simple(node: ast.expr) -> TypeGuard[Operand]:
    """Tell whether evaluating a compiled operand twice is as good as once."""
    return isinstance(node, ast.Name | ast.Constant)


def is_small(node: ast.expr) -> bool:
    """Tell whether a compiled operand may be written twice."""
    return sum(1 for _ in islice(ast.walk(node), COPIED_NODES_MAX)) < COPIED_NODES_MAX


def at(pos: Pos) -> At:
    """Return the place of everything that is made for the node at *pos*."""
    line, column = pos
    return {
        "lineno": line,
        "end_lineno": line,
        "col_offset": column - 1,
        "end_col_offset": column - 1,
    }


def load(name: str, place: At) -> ast.Name:
    """Return the value of a variable."""
    return ast.Name(name, _LOAD, **place)


def store(name: str, place: At) -> ast.Name:
    """Return a variable as a target."""
    return ast.Name(name, _STORE, **place)


def constant(value: Any, place: At) -> ast.Constant:
    """Return a literal."""
    return ast.Constant(value, **place)


def assign(name: str, value: ast.expr, place: At) -> ast.stmt:
    """Return `name = value`."""
    return ast.Assign([store(name, place)], value, **place)


def walrus(name: str, value: ast.expr, place: At) -> ast.expr:
    """Return `(name := value)`."""
    return ast.NamedExpr(store(name, place), value, **place)


def call(function: str, arguments: Sequence[ast.expr], place: At) -> ast.expr:
    """Return `function(arguments)`."""
    return ast.Call(load(function, place), list(arguments), [], **place)


def metered(function: str, arguments: Sequence[ast.expr], place: At) -> ast.expr:
    """Return `function(meter, arguments)`."""
    return call(function, [load(METER, place), *arguments], place)


def method(
    value: ast.expr, name: str, arguments: Sequence[ast.expr], place: At
) -> ast.expr:
    """Return `value.name(arguments)`: for our own objects, never the script's."""
    bound = ast.Attribute(value, name, _LOAD, **place)
    return ast.Call(bound, list(arguments), [], **place)


def tuple_of(items: Sequence[ast.expr], place: At) -> ast.expr:
    """Return `(items)`."""
    return ast.Tuple(list(items), _LOAD, **place)


def list_of(items: Sequence[ast.expr], place: At) -> ast.expr:
    """Return `[items]`."""
    return ast.List(list(items), _LOAD, **place)


def subscript(value: ast.expr, index: ast.expr, place: At) -> ast.expr:
    """Return `value[index]`."""
    return ast.Subscript(value, index, _LOAD, **place)


def has_type(value: ast.expr, name: str, place: At) -> ast.expr:
    """Return `type(value) is name`."""
    test = call("!type", [value], place)
    return ast.Compare(test, [ast.Is()], [load(name, place)], **place)


def is_among(value: ast.expr, names: str, place: At) -> ast.expr:
    """Return `type(value) in names`."""
    test = call("!type", [value], place)
    return ast.Compare(test, [ast.In()], [load(names, place)], **place)


def both(tests: Sequence[ast.expr], place: At) -> ast.expr:
    """Return the conjunction of *tests*, which are not none."""
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), [*tests], **place)


def either(tests: Sequence[ast.expr], place: At) -> ast.expr:
    """Return the disjunction of *tests*, which are not none."""
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), [*tests], **place)


def spend(counter: str, amount: ast.Constant, place: At) -> ast.stmt:
    """Return `meter.counter -= amount`."""
    target = ast.Attribute(load(METER, place), counter, _STORE, **place)
    return ast.AugAssign(target, ast.Sub(), amount, **place)


def tick_when_spent(place: At) -> ast.stmt:
    """Return `if meter.steps < 0: meter.tick()`."""
    steps = ast.Attribute(load(METER, place), "steps", _LOAD, **place)
    test = ast.Compare(steps, [ast.Lt()], [constant(0, place)], **place)
    tick = method(load(METER, place), "tick", [], place)
    return ast.If(test, [ast.Expr(tick, **place)], [], **place)
