"""Warnings about attributes, operators, formats and keys that cannot work."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from starflow_service.starlark import syntax
from starflow_service.starlark.access import METHODS
from starflow_service.starlark.builtins import MODULES
from starflow_service.starlark.diagnostics import Diagnostic, warning
from starflow_service.starlark.facts import Facts, Function, Kind
from starflow_service.starlark.python_methods import PYTHON_MEMBERS, PYTHON_METHODS
from starflow_service.starlark.spelling import nearest
from starflow_service.starlark.syntax import Binary, Call, Dot, Expr, Name, Pos
from starflow_service.starlark.values import Dict, List

_ATTRIBUTES: Final[Mapping[Kind, frozenset[str]]] = {
    "string": frozenset(METHODS[str]),
    "bytes": frozenset(METHODS[bytes]),
    "list": frozenset(METHODS[List]),
    "dict": frozenset(METHODS[Dict]),
    "tuple": frozenset(),
    "int": frozenset(),
    "float": frozenset(),
    "bool": frozenset(),
    "ctx": frozenset(),
    "payload": frozenset({*METHODS[str], *METHODS[List], *METHODS[Dict]}),
}
_CTX_HINT: Final = (
    "it is only handed on, as in payments.charge(ctx, req), or in now(ctx) after "
    'load("time", "now")'
)
# The types that `+` joins with their like only.
_JOINED: Final = frozenset(["string", "bytes", "list", "tuple"])
_NUMBERS: Final = frozenset(["int", "float"])
_COMPARISONS: Final = frozenset(["==", "!=", "<", "<=", ">", ">="])

# A conversion with flags, a width or a precision, which Starlark's % has not.
# Bounded, so that a text of many openings takes time linear in its length.
_PERCENT: Final = re.compile(r"%(?:%|\([^()%]{0,100}\)|[-+ #0-9.*]{1,100}[a-zA-Z])")
_REPLACEMENT: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_TYPE_NAMES: Final = {
    "str": "string",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "list": "list",
    "dict": "dict",
    "tuple": "tuple",
    "bytes": "bytes",
}


def lint_values(facts: Facts) -> Iterator[Diagnostic]:
    """Yield what is suspicious about the values of a file."""
    for function in facts.functions:
        for part in function.expressions():
            match part:
                case Dot():
                    yield from _attribute(facts, function, part)
                case Binary():
                    yield from _binary(facts, function, part)
                case Call():
                    yield from _call(facts, function, part)
                case syntax.DictExpr():
                    yield from _duplicate_keys(part)


# Attributes


def _attribute(facts: Facts, function: Function, node: Dot) -> Iterator[Diagnostic]:
    name = node.name
    if facts.host_path(node):
        return
    module = facts.module(node.operand)
    if module:
        if name not in MODULES[module].members:
            known = sorted(MODULES[module].members)
            way = PYTHON_MEMBERS.get((module, name), "")
            hint = way or f"{module} has {', '.join(known)}"
            meant = "" if way else nearest(name, known)
            yield _unknown(f"{module} has no {name}", node.name_pos, meant, hint)
        return
    if isinstance(node.operand, Name) and node.operand.name in facts.loaded:
        # A variable with the name of what was loaded: that is said of the variable.
        return
    kind = facts.kind(node.operand, function)
    known_names = _ATTRIBUTES.get(kind) if kind is not None else None
    if known_names is None:
        if name in PYTHON_METHODS and not _is_of_unknown(node.operand):
            message = f"no value has .{name}"
            yield _unknown(message, node.name_pos, "", PYTHON_METHODS[name])
    elif name not in known_names:
        yield _no_attribute(kind, known_names, node)


def _is_of_unknown(node: Expr) -> bool:
    """Tell whether *node* is a name that only the host knows."""
    return isinstance(node, Name) and node.scope == "host"


def _no_attribute(kind: Kind | None, known: frozenset[str], node: Dot) -> Diagnostic:
    name = node.name
    if kind == "ctx":
        message = f"ctx has no .{name}"
        meant, hint = "", _CTX_HINT
    elif kind == "payload":
        message = f"values that come from outside have no .{name}"
        hint = PYTHON_METHODS.get(name, "")
        meant = "" if hint else nearest(name, known)
        if not meant:
            hint = hint or f'for the element of a dict write x["{name}"]'
    else:
        message = f"a value of type {kind} has no .{name}"
        hint = PYTHON_METHODS.get(name, "")
        meant = "" if hint else nearest(name, known)
        if kind == "dict" and not hint and not meant:
            hint = f'for an element write x["{name}"]'
    return _unknown(message, node.name_pos, meant, hint)


def _unknown(message: str, pos: Pos, meant: str, hint: str) -> Diagnostic:
    suggestion = f" (did you mean {meant}?)" if meant else ""
    return warning("UNKNOWN_ATTRIBUTE", message + suggestion, pos, hint)


# Operators


def _binary(facts: Facts, function: Function, node: Binary) -> Iterator[Diagnostic]:
    left = facts.kind(node.left, function)
    right = facts.kind(node.right, function)
    if node.op == "+" and left is not None and right is not None:
        yield from _sum(left, right, node)
    elif node.op == "%" and isinstance(node.left, syntax.Literal_):
        yield from _percent(node.left)
    elif node.op in _COMPARISONS:
        yield from _comparison(facts, node)
    elif node.op == ">>" and _is_builtin(node.left, "print"):
        hint = "print is a function: print(x)"
        message = "print cannot be shifted"
        yield warning("BAD_OPERANDS", message, node.pos, hint)


def _sum(left: Kind, right: Kind, node: Binary) -> Iterator[Diagnostic]:
    may_fit = left == right or "payload" in (left, right) or {left, right} <= _NUMBERS
    if may_fit and (left, right) != ("dict", "dict"):
        return
    hint = ""
    if left == "string":
        hint = "write a + str(b)"
    elif right == "string":
        hint = "write str(a) + b"
    elif left == "dict" and right == "dict":
        hint = "write a | b"
    elif left in _JOINED and right in _JOINED:
        hint = f"write a + {left}(b)"
    message = f"{left} + {right} is not possible"
    yield warning("BAD_OPERANDS", message, node.pos, hint)


def _comparison(facts: Facts, node: Binary) -> Iterator[Diagnostic]:
    left, right = node.left, node.right
    for one, other in ((left, right), (right, left)):
        if _is_type_call(one) and isinstance(other, Name):
            meant = _TYPE_NAMES.get(other.name)
            if other.scope == "universal" and meant is not None:
                message = "type(x) is a string, and never equal to a function"
                hint = f'write type(x) == "{meant}"'
                yield warning("CONSTANT_COMPARISON", message, node.pos, hint)
    both_literal = isinstance(left, syntax.Literal_) and isinstance(
        right, syntax.Literal_
    )
    same_name = (
        isinstance(left, Name) and isinstance(right, Name) and left.name == right.name
    )
    if both_literal or same_name:
        message = "this comparison gives always the same"
        yield warning("CONSTANT_COMPARISON", message, node.pos, "compare other values")


def _is_type_call(node: Expr) -> bool:
    return isinstance(node, Call) and _is_builtin(node.function, "type")


def _is_builtin(node: Expr, name: str) -> bool:
    return isinstance(node, Name) and (node.name, node.scope) == (name, "universal")


# Formats


def _percent(template: syntax.Literal_) -> Iterator[Diagnostic]:
    if not isinstance(template.value, str):
        return
    for match in _PERCENT.finditer(template.value):
        if match[0] != "%%" and not match[0].startswith("%("):
            message = f"the format {match[0]} has a width, a precision or a flag"
            yield warning("BAD_FORMAT", message, template.start, _rounded(match[0]))
            return


def _rounded(spec: str) -> str:
    if "." in spec:
        return 'round it: load("math", "round"), "%s" % (round(x * 100) / 100)'
    return 'pad it: " " * (n - len(text)) + text'


def _call(facts: Facts, function: Function, node: Call) -> Iterator[Diagnostic]:
    called = node.function
    match called:
        case Dot(name="format", operand=syntax.Literal_() as template):
            yield from _format(template)
    kind = facts.kind(called, function)
    if kind is not None:
        what = _CALLED.get(kind, f"a {kind}")
        name = called.name if isinstance(called, Name) else ""
        hint = f"{name} is a variable here" if name else "drop the parentheses"
        message = f"{what} cannot be called"
        yield warning("NOT_CALLABLE", message, node.pos, hint)


_CALLED: Final = {"payload": "a value that comes from outside", "ctx": "ctx"}


def _format(template: syntax.Literal_) -> Iterator[Diagnostic]:
    if not isinstance(template.value, str):
        return
    for match in _REPLACEMENT.finditer(template.value):
        name, colon, spec = (match[1] or "").partition(":")
        bare = name.partition("!")[0]
        if colon and spec:
            message = f"format has no specification such as :{spec}"
            yield warning("BAD_FORMAT", message, template.start, _rounded(spec))
            return
        if "." in bare or "[" in bare:
            message = f"format cannot look into a value: {{{bare}}}"
            hint = 'give it the element: .format(x["name"])'
            yield warning("BAD_FORMAT", message, template.start, hint)
            return


# Keys


def _duplicate_keys(node: syntax.DictExpr) -> Iterator[Diagnostic]:
    seen: set[tuple[bool, object]] = set()
    for entry in node.entries:
        if not isinstance(entry.key, syntax.Literal_):
            continue
        # 1 and 1.0 are one key, in Python as in Starlark.
        key = (isinstance(entry.key.value, bytes), entry.key.value)
        if key in seen:
            message = f"the key {_shown(entry.key.value)} is in this dict already"
            hint = "it is an error when the dict is made; leave one out"
            yield warning("DUPLICATE_KEY", message, entry.key.start, hint)
        seen.add(key)


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
