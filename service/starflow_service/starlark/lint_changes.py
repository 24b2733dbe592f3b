"""Warnings about changes of values that nobody may change, and about loops."""

from collections.abc import Iterator, Sequence
from typing import Final

from starflow_service.starlark import syntax
from starflow_service.starlark.diagnostics import Diagnostic, warning
from starflow_service.starlark.facts import Facts, Function
from starflow_service.starlark.syntax import Call, Dot, Expr, Name, Pos, Stmt
from starflow_service.starlark.walk import walk

_CHANGES: Final = frozenset(
    [
        *("append", "clear", "extend", "insert", "pop", "popitem", "remove"),
        *("setdefault", "update"),
    ]
)


def lint_changes(facts: Facts) -> Iterator[Diagnostic]:
    """Yield what is suspicious about loops and about changes of values."""
    # Until the end of the top level nothing is frozen, whoever is called from there.
    may_change = _top_level_calls(facts)
    for function in facts.functions:
        if function.node is not None and not may_change:
            yield from _frozen(facts, function)
        for statement in function.statements:
            if isinstance(statement, syntax.For):
                yield from _iterable(facts, function, statement.iterable)
                yield from _changed_in_loop(statement)
        for part in function.expressions():
            if isinstance(part, syntax.Comprehension):
                for clause in part.clauses:
                    if isinstance(clause, syntax.ForClause):
                        yield from _iterable(facts, function, clause.iterable)


def _top_level_calls(facts: Facts) -> bool:
    return any(
        isinstance(part, Call) and facts.definition(part.function) is not None
        for part in facts.top.expressions()
    )


def _iterable(facts: Facts, function: Function, node: Expr) -> Iterator[Diagnostic]:
    kind = facts.kind(node, function)
    if kind == "string":
        hint = "write x.elems() for the characters, x.split(...) for words"
    elif kind in {"int", "float"}:
        hint = "write range(n)"
    elif kind == "bool":
        hint = "loop over a list, dict, tuple or range"
    else:
        return
    message = f"a value of type {kind} cannot be looped over"
    yield warning("NOT_ITERABLE", message, node.start, hint)


def _frozen(facts: Facts, function: Function) -> Iterator[Diagnostic]:
    told: set[str] = set()
    for name, pos in _changed(function.statements):
        if name.scope != "global" or name.name in told:
            continue
        if facts.kind(name, function) in {"list", "dict"}:
            told.add(name.name)
            message = f"{name.name} cannot be changed here: the top level is frozen"
            hint = "make it in main, and pass it to the functions that change it"
            yield warning("FROZEN_VALUE", message, pos, hint)


def _changed_in_loop(loop: syntax.For) -> Iterator[Diagnostic]:
    node = loop.iterable
    if isinstance(node, Call) and isinstance(node.function, Dot):
        # The methods of a dict return lists of their own.
        return
    if not isinstance(node, Name) or node.name in _assigned(loop.body):
        return
    for name, pos in _changed(_all(loop.body)):
        if (name.name, name.scope) == (node.name, node.scope):
            message = f"{name.name} cannot be changed while it is looped over"
            hint = f"loop over a copy: list({name.name.partition('!')[0]})"
            yield warning("LOOP_MUTATION", message, pos, hint)
            return


def _all(body: Sequence[Stmt]) -> Iterator[Stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, syntax.If):
            yield from _all(statement.body)
            yield from _all(statement.orelse)
        elif isinstance(statement, syntax.For):
            yield from _all(statement.body)


def _assigned(body: Sequence[Stmt]) -> set[str]:
    """Return the names that *body* assigns."""
    targets: list[Expr] = []
    for statement in _all(body):
        if isinstance(statement, syntax.Assign | syntax.AugmentedAssign | syntax.For):
            targets.append(statement.target)
    return {
        part.name for target in targets for part in walk(target) if type(part) is Name
    }


def _changed(statements: Sequence[Stmt] | Iterator[Stmt]) -> Iterator[tuple[Name, Pos]]:
    """Yield the variables whose values *statements* change, and where."""
    for statement in statements:
        if isinstance(statement, syntax.Assign | syntax.AugmentedAssign):
            target = statement.target
            if isinstance(target, syntax.Index) and isinstance(target.operand, Name):
                yield target.operand, target.start
        elif isinstance(statement, syntax.ExprStmt):
            value = statement.value
            called = value.function if isinstance(value, Call) else None
            if not isinstance(called, Dot) or called.name not in _CHANGES:
                continue
            if isinstance(called.operand, Name):
                yield called.operand, called.start
