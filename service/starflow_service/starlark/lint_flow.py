"""Warnings about the order of things: code never reached, recursion, lost values."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from starflow_service.starlark import syntax
from starflow_service.starlark.diagnostics import Diagnostic, warning
from starflow_service.starlark.facts import Facts, Function
from starflow_service.starlark.syntax import Call, Def, Dot, Expr, Name, Stmt
from starflow_service.starlark.walk import walk

_ENDS: Final = (syntax.Return, syntax.Break, syntax.Continue)


def lint_flow(facts: Facts) -> Iterator[Diagnostic]:
    """Yield what is suspicious about the order of execution."""
    for function in facts.functions:
        yield from _unreachable(facts, function.body)
        for statement in function.statements:
            if isinstance(statement, syntax.If | syntax.For):
                yield from _unreachable(facts, statement.body)
            if isinstance(statement, syntax.If):
                yield from _unreachable(facts, statement.orelse)
            elif isinstance(statement, syntax.ExprStmt):
                yield from _without_effect(facts, statement.value)
    yield from _recursions(facts)


# Statements that are never executed


def _unreachable(facts: Facts, body: Sequence[Stmt]) -> Iterator[Diagnostic]:
    for before, statement in pairwise(body):
        if _ends(facts, before):
            message = f"this is never executed: {_why(before)}"
            yield warning("UNREACHABLE", message, statement.start, "delete it")
            return


def _ends(facts: Facts, statement: Stmt) -> bool:
    """Tell whether nothing after *statement* in its block is ever executed."""
    match statement:
        case syntax.If(body=body, orelse=orelse):
            if not body or not orelse:
                return False
            return _ends(facts, body[-1]) and _ends(facts, orelse[-1])
        case syntax.ExprStmt(value=Call(function=called)):
            if isinstance(called, Name) and called.scope == "universal":
                return called.name == "fail"
            return facts.member(called) == ("flow", "restart")
    return isinstance(statement, _ENDS)


def _why(statement: Stmt) -> str:
    words = {
        syntax.Return: "a return comes before it",
        syntax.Break: "a break comes before it",
        syntax.Continue: "a continue comes before it",
        syntax.ExprStmt: "the call before it does not return",
    }
    return words.get(type(statement), "every branch before it leaves")


# Values that are dropped


def _without_effect(facts: Facts, value: Expr) -> Iterator[Diagnostic]:
    parts = list(walk(value))
    if isinstance(value, syntax.Literal_ | syntax.Conditional):
        # A docstring; and a conditional is a way to write a statement in an expression.
        return
    if any(isinstance(part, Call | syntax.Comprehension) for part in parts):
        return
    hint = ""
    if isinstance(value, syntax.Binary) and value.op == "==":
        hint = "to assign write ="
    elif isinstance(value, Name | Dot):
        context = "ctx" if facts.host_path(value) else ""
        hint = f"to call it write {_dotted(value)}({context})"
    message = "this value is computed and dropped"
    yield warning("NO_EFFECT", message, value.start, hint or "delete it, or use it")


def _dotted(node: Expr) -> str:
    if isinstance(node, Dot):
        return f"{_dotted(node.operand)}.{node.name}"
    return node.name if isinstance(node, Name) else "..."


# Recursion


def _recursions(facts: Facts) -> Iterator[Diagnostic]:
    """Yield one warning for each ring of functions that call each other by name."""
    calls = {
        id(function.node): _calls(facts, function)
        for function in facts.functions
        if isinstance(function.node, Def)
    }
    told: set[int] = set()
    in_rings = _in_rings(calls)
    for function in facts.functions:
        node = function.node
        if not isinstance(node, Def) or id(node) in told or id(node) not in in_rings:
            continue
        ring = _ring(node, calls)
        if ring and not any(id(each) in told for each, _ in ring):
            told.update(id(each) for each, _ in ring)
            yield _recursion(node, ring)


def _recursion(node: Def, ring: list[tuple[Def, Call]]) -> Diagnostic:
    name = node.name.name
    way = ", which calls ".join(each.name.name for each, _ in ring)
    message = f"{name} calls itself"
    if len(ring) > 1:
        message = f"{name} calls {way}"
    hint = "recursion is not allowed: keep a list of what is still to be done, and loop"
    return warning("RECURSION", message, ring[0][1].start, hint)


def _calls(facts: Facts, function: Function) -> list[tuple[Def, Call]]:
    """Return the functions that *function* calls by name, each with a call."""
    node = function.node
    found: list[tuple[Def, Call]] = []
    for part in function.expressions():
        if not isinstance(part, Call):
            continue
        called = facts.definition(part.function)
        if called is None and isinstance(node, Def) and _is_itself(node, part.function):
            called = node
        if called is not None:
            found.append((called, part))
    return found


def _is_itself(node: Def, called: Expr) -> bool:
    if not isinstance(called, Name) or called.scope != "free":
        return False
    return called.name == node.name.name and node.name.scope == "cell"


def _in_rings(calls: dict[int, list[tuple[Def, Call]]]) -> set[int]:
    """Return the functions that lie on a ring, or lead to one."""
    callers: dict[int, list[int]] = {}
    open_ends: dict[int, int] = {}
    for node, found in calls.items():
        called = {id(each) for each, _ in found} & calls.keys()
        open_ends[node] = len(called)
        for each in called:
            callers.setdefault(each, []).append(node)
    gone = [node for node, count in open_ends.items() if not count]
    for node in gone:
        for caller in callers.get(node, ()):
            open_ends[caller] -= 1
            if not open_ends[caller]:
                gone.append(caller)
    return calls.keys() - set(gone)


def _ring(
    node: Def, calls: dict[int, list[tuple[Def, Call]]]
) -> list[tuple[Def, Call]]:
    """Return the calls that lead from *node* back to it, or nothing."""
    pending: list[list[tuple[Def, Call]]] = [[call] for call in calls[id(node)]]
    seen: set[int] = set()
    for path in pending:
        last = path[-1][0]
        if last is node:
            return path
        if id(last) in seen:
            continue
        seen.add(id(last))
        pending.extend([*path, call] for call in calls.get(id(last), []))
    return []
