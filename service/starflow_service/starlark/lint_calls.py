"""Warnings about calls whose arguments do not fit."""

from collections.abc import Iterator, Sequence
from typing import Final

from starflow_service.starlark.binding import (
    Signature,
    python_signature,
    script_signature,
)
from starflow_service.starlark.builtins import MODULES, UNIVERSE
from starflow_service.starlark.diagnostics import Diagnostic, warning
from starflow_service.starlark.facts import Facts, Function
from starflow_service.starlark.spelling import nearest
from starflow_service.starlark.syntax import Binary, Call, Expr, Name
from starflow_service.starlark.values import Builtin

_CTX: Final = "ctx"
# Members whose second argument is a duration, which a number is not.
# Where functions of flow take the function that they call.
_FUNCTION_PLACES: Final = {
    ("flow", "call"): 1,
    ("flow", "catch"): 0,
    ("flow", "defer"): 1,
    ("flow", "map"): 1,
    ("flow", "spawn"): 1,
    ("flow", "start"): 1,
}
_DURATIONS: Final = frozenset([("time", "sleep")])


def lint_calls(facts: Facts) -> Iterator[Diagnostic]:
    """Yield what is suspicious about the calls of a file."""
    for function in facts.functions:
        for part in function.expressions():
            if isinstance(part, Call):
                yield from _call(facts, function, part)


def _call(facts: Facts, function: Function, node: Call) -> Iterator[Diagnostic]:
    if any(argument.kind in {"star", "starstar"} for argument in node.arguments):
        return
    path = facts.host_path(node.function)
    if path:
        if _lacks_ctx(facts, function, node):
            yield _no_ctx(path, node, "req=...")
        return
    name, signature = _signature(facts, node.function)
    if signature is None:
        return
    is_recorded = signature.names[:1] == (_CTX,) and not facts.definition(node.function)
    if is_recorded and _lacks_ctx(facts, function, node):
        yield _no_ctx(name, node, "...")
        return
    finding = _misfit(name, signature, node)
    if finding is not None:
        yield finding
        return
    member = facts.member(node.function)
    if member in _DURATIONS:
        yield from _duration(facts, function, name, node)
    elif member in _FUNCTION_PLACES:
        yield from _no_function(facts, function, name, node, _FUNCTION_PLACES[member])


def _lacks_ctx(facts: Facts, function: Function, node: Call) -> bool:
    """Tell whether surely no argument of a call is the context."""
    for argument in node.arguments:
        if argument.kind == "keyword":
            if argument.name == _CTX:
                return False
        elif argument is node.arguments[0]:
            return _is_no_ctx(facts, function, argument.value)
    return True


def _is_no_ctx(facts: Facts, function: Function, node: Expr) -> bool:
    if isinstance(node, Binary):
        return node.op not in {"and", "or"}
    return facts.kind(node, function) not in {None, "ctx"}


def _no_ctx(name: str, node: Call, rest: str) -> Diagnostic:
    message = f"{name} is recorded, and so needs ctx"
    arguments = f"ctx, {rest}" if node.arguments else "ctx"
    hint = f"write {name}({arguments}); ctx is the first parameter of main"
    return warning("MISSING_CTX", message, node.function.start, hint)


def _signature(facts: Facts, node: Expr) -> tuple[str, Signature | None]:
    """Return the name and the signature of the function that *node* surely is."""
    definition = facts.definition(node)
    if definition is not None:
        return definition.name.name, script_signature(definition.parameters)
    builtin: object = None
    if isinstance(node, Name) and node.scope == "universal":
        builtin = UNIVERSE.get(node.name)
    elif member := facts.member(node):
        module = MODULES.get(member[0])
        builtin = module.members.get(member[1]) if module is not None else None
    if type(builtin) is not Builtin:
        return "", None
    return builtin.name, python_signature(builtin.fn, 1)


def _misfit(name: str, signature: Signature, node: Call) -> Diagnostic | None:
    positional = sum(argument.kind == "positional" for argument in node.arguments)
    keywords = [a.name for a in node.arguments if a.kind == "keyword"]
    if signature.accepts(positional, keywords):
        return None
    known = [*signature.names, *sorted(signature.keyword_only)]
    if not signature.any_keyword:
        for argument in node.arguments:
            if argument.kind == "keyword" and argument.name not in known:
                message = f"{name} has no parameter {argument.name}"
                meant = nearest(argument.name, known)
                message += f" (did you mean {meant}?)" if meant else ""
                hint = _taken(name, signature)
                return warning("BAD_ARGUMENTS", message, argument.start, hint)
    message = f"{name} is given {_counted(positional, keywords)}"
    return warning("BAD_ARGUMENTS", message, node.pos, _taken(name, signature))


def _counted(positional: int, keywords: Sequence[str]) -> str:
    named = f" and {', '.join(keywords)}" if keywords else ""
    return f"{positional} argument{'' if positional == 1 else 's'}{named}"


def _taken(name: str, signature: Signature) -> str:
    """Return in words what a function takes."""
    required = max(0, signature.required - signature.positional_only)
    parts = ["value"] * min(signature.required, signature.positional_only)
    if len(parts) < signature.positional_only:
        parts.append("...")
    for place, each in enumerate(signature.names):
        parts.append(each if place < required else f"{each}=...")
    parts += ["*values"] * signature.any_positional
    for each in sorted(signature.keyword_only):
        parts.append(each if each in signature.keyword_required else f"{each}=...")
    parts += ["**named"] * signature.any_keyword
    return f"it takes {name}({', '.join(parts)})"


def _no_function(
    facts: Facts, function: Function, name: str, node: Call, place: int
) -> Iterator[Diagnostic]:
    """Yield a warning if what *name* should call is surely no function."""
    for argument in node.arguments[place : place + 1]:
        kind = facts.kind(argument.value, function)
        if argument.kind != "positional" or kind is None:
            continue
        message = f"{name} takes a function, and calls it by itself"
        hint = "write it without parentheses and without quotes: payments.charge"
        if kind == "payload" and isinstance(argument.value, Call):
            hint = "give the function and its arguments apart: payments.charge, req"
        yield warning("BAD_ARGUMENTS", message, argument.start, hint)


def _duration(
    facts: Facts, function: Function, name: str, node: Call
) -> Iterator[Diagnostic]:
    values = [a.value for a in node.arguments if a.name in {"", "duration"}]
    value = values[-1]
    if facts.kind(value, function) in {"int", "float", "string"}:
        message = f"{name} takes a duration"
        hint = 'write 5 * second, after load("time", "second")'
        if facts.kind(value, function) == "string":
            hint = 'write parse_duration("5s"), after load("time", "parse_duration")'
        yield warning("BAD_ARGUMENTS", message, value.start, hint)
