"""Warnings about names: unused ones, and variables that are read too early."""

from collections.abc import Iterator
from typing import Final

from starflow_service.starlark.diagnostics import Diagnostic, warning
from starflow_service.starlark.facts import Binding, Facts, Function
from starflow_service.starlark.syntax import Call, Name

# A variable with one of these bindings may be there for the sake of its neighbours.
_TOLERATED: Final = frozenset(["unpack", "loop", "parameter", "augment"])


def lint_names(facts: Facts) -> Iterator[Diagnostic]:
    """Yield what is suspicious about the names of a file."""
    yield from _unused_loads(facts)
    captured = _captured(facts)
    for function in facts.functions[1:]:
        yield from _unused_variables(function, captured)
        yield from _unbound_variables(facts, function)


def _unused_loads(facts: Facts) -> Iterator[Diagnostic]:
    read = {
        name.name
        for function in facts.functions
        for how, name, _ in function.events
        if how == "read" and name.scope == "global"
    }
    for name in facts.load_names:
        if name.name not in read and not name.name.startswith("_"):
            message = f"{name.name} is loaded and never used"
            yield warning("UNUSED_LOAD", message, name.pos, "leave it out of the load")


def _captured(facts: Facts) -> set[str]:
    """Return the names that some function reads of another one around it."""
    return {
        name.name
        for function in facts.functions
        for how, name, _ in function.events
        if how == "read" and name.scope == "free"
    }


def _unused_variables(function: Function, captured: set[str]) -> Iterator[Diagnostic]:
    read = {event.name.name for event in function.events if event.how == "read"}
    for name, bindings in function.bindings.items():
        if name in read or name in captured or name.startswith("_"):
            continue
        if not any(binding.how in _TOLERATED for binding in bindings):
            yield _unused(bindings[0])


def _unused(binding: Binding) -> Diagnostic:
    name = binding.name
    what = "defined" if binding.how == "def" else "assigned"
    hint = "leave it out, or let its name begin with _"
    if isinstance(binding.value, Call):
        hint = "write the call alone, or let the name begin with _"
    return warning(
        "UNUSED_VARIABLE", f"{name.name} is {what} and never read", name.pos, hint
    )


def _unbound_variables(facts: Facts, function: Function) -> Iterator[Diagnostic]:
    """Yield the variables whose first use, whatever way is taken, is a reading."""
    seen: set[str] = set()
    for how, name, is_late in function.events:
        if name.name in seen or name.scope not in {"local", "cell"}:
            continue
        seen.add(name.name)
        if how == "bind" or name.name not in function.bindings:
            continue
        if not is_late:
            yield _unbound(facts, name)


def _unbound(facts: Facts, name: Name) -> Diagnostic:
    known = name.name in facts.top.bindings or name.name in facts.loaded
    message = f"{name.name} is read before it is assigned"
    hint = "assign it before"
    if known:
        hint = (
            f"because this function assigns {name.name}, it is a variable of its own; "
            "give it another name"
        )
    return warning("UNBOUND_VARIABLE", message, name.pos, hint)
