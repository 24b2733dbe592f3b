"""Calls: native where the function is known, through `ops.call` where it is not."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starflow_service.starlark import pysyntax as py
from starflow_service.starlark import syntax
from starflow_service.starlark.access import METHODS
from starflow_service.starlark.binding import (
    call_fits,
    python_signature,
    script_signature,
)
from starflow_service.starlark.caps import SLOT
from starflow_service.starlark.codegen_access import Elements
from starflow_service.starlark.codegen_ops import SHORT, key_tests
from starflow_service.starlark.pysyntax import At, at, is_simple
from starflow_service.starlark.syntax import Argument, Expr
from starflow_service.starlark.trace import METER
from starflow_service.starlark.values import Builtin, Dict, List
from starflow_service.starlark.walk import walk

# What a call of a built-in may return: a short string, say.
RESULT_BYTES = 64

# The classes whose methods are called directly, by the names of the classes.
DIRECT: Mapping[type, str] = {str: "!str", List: "!List", Dict: "!Dict"}
# The sets of all classes that have the same methods, by their names.
DIRECT_SET: Mapping[type, str] = {List: "!lists", Dict: "!dicts"}


# Methods that compare with what they are given, and so take no time for a short text.
AFFIXES = frozenset({"startswith", "endswith"})


def may_run_code(node: Expr) -> bool:
    """Tell whether evaluating *node* may call something, and so have an effect."""
    return any(type(inner) is syntax.Call for inner in walk(node))


def _has_comprehension(node: Expr) -> bool:
    return any(type(inner) is syntax.Comprehension for inner in walk(node))


def owner_of(method: str) -> type | None:
    """Return the only class that has a method of this name, None if others have too."""
    owners = [kind for kind in DIRECT if method in METHODS[kind]]
    return owners[0] if len(owners) == 1 else None


class Calls(Elements):
    """Compiles calls."""

    def call(self, node: syntax.Call, place: At) -> ast.expr:
        """Compile `f(...)`."""
        if self.unit.calls.runs_script(node):
            self.repeats = True
        if self.kinds.of(node).tag in ("any", "str"):
            self.cost.bytes += RESULT_BYTES
        kinds = {argument.kind for argument in node.arguments}
        if "star" in kinds or "starstar" in kinds:
            return self._open_call(node, place)
        native = self._native_call(node)
        values = [argument.value for argument in node.arguments]
        if native is not None:
            name, first = native
            arguments = self.operands(values)
            if name == "f!u!len":
                return self._length(arguments[0], place)
            return _native(name, first, node.arguments, arguments, place)
        if type(node.function) is syntax.Dot and self.unit.known(node.function) is None:
            return self._method_call(node, node.function, place)
        function, *arguments = self.operands([node.function, *values])
        packed = _pack(node.arguments, arguments, place)
        return py.metered("!call", [function, *packed], place)

    def _native_call(self, node: syntax.Call) -> tuple[str, list[str]] | None:
        """
        Return the Python function that a call surely fits, and its first arguments.

        None if it is not known, or the call does not fit.
        """
        function = node.function
        if type(function) is syntax.Name and function.scope == "global":
            target = self.unit.defs.get(function.name)
            if target is not None:
                fits = call_fits(script_signature(target.parameters), node)
                return (f"{function.name}!", []) if fits else None
        known = self.unit.known(function)
        if known is None or type(known[1]) is not Builtin:
            return None
        name, builtin = known
        if not call_fits(python_signature(builtin.fn, 1), node):
            return None
        return self.unit.inner(name, builtin.fn), [METER]

    def _length(self, value: ast.expr, place: At) -> ast.expr:
        """Return `len(value)`."""
        once, again = self.twice(value, place)
        test = py.has_type(once, "!List", place)
        direct = py.call("!len", [again], place)
        helped = py.metered("f!u!len", [again], place)
        return ast.IfExp(test, direct, helped, **place)

    # Methods

    def _method_call(
        self, node: syntax.Call, selection: syntax.Dot, place: At
    ) -> ast.expr:
        """
        Compile `x.name(...)`, without a bound method where nobody can tell.

        The attribute is looked up before the arguments have their effects, if any.
        """
        values = [argument.value for argument in node.arguments]
        effects = any(map(may_run_code, values))
        if effects and any(map(_has_comprehension, values)):
            function, *arguments = self.operands([selection, *values])
            packed = _pack(node.arguments, arguments, place)
            return py.metered("!call", [function, *packed], place)
        self.cost.nodes += 1
        owner, *arguments = self.operands([selection.operand, *values])
        # Nothing of it can fail, or be seen to be done before the look at the owner.
        plain = not effects and all(map(is_simple, arguments))
        kind = owner_of(selection.name)
        if kind is not None and not self.unit.lean:
            signature = python_signature(METHODS[kind][selection.name], 2)
            if call_fits(signature, node):
                method = _Method(node, selection, kind, arguments)
                # Where the general way below finds that there is no such method.
                found = place if plain else at(selection.pos)
                return self._likely_method(method, owner, place, found)
        packed = _pack(node.arguments, arguments, place)
        name = py.constant(selection.name, at(selection.pos))
        if plain:
            return py.metered("!call_method", [owner, name, *packed], place)
        function = py.metered("!attr", [owner, name], at(selection.pos))
        return py.metered("!call", [function, *packed], place)

    def _likely_method(
        self, method: "_Method", owner: ast.expr, place: At, found: At
    ) -> ast.expr:
        """
        Return a call of the one method of this name that there is, *found* at a place.

        It is `(function if the owner is of its class else bound)(arguments)`, so that
        the arguments are written once, and evaluated after the look at the owner.
        """
        once, again = self.twice(owner, place)
        name = method.selection.name
        tests = [py.has_type(once, DIRECT[method.kind], place)]
        function = self._own_of_python(method, again, tests, place)
        given = [again]
        if function is None:
            function = py.load(
                self.unit.inner(f".{name}", METHODS[method.kind][name]), place
            )
            given = [py.load(METER, place), again]
            if method.kind is not str:
                # Those that are frozen or locked have the same methods.
                others = DIRECT_SET[method.kind]
                tests = [py.either([*tests, py.is_among(again, others, place)], place)]
        skipped = py.constant(len(given), place)
        constant = py.constant(name, at(method.selection.pos))
        bound = py.metered("!bound", [again, constant, skipped], found)
        callee = ast.IfExp(py.both(tests, place), function, bound, **place)
        positional, keywords = _split(method.node.arguments, method.arguments, place)
        return ast.Call(callee, [*given, *positional], keywords, **place)

    def _own_of_python(
        self,
        method: "_Method",
        owner: ast.expr,
        tests: list[ast.expr],
        place: At,
    ) -> ast.expr | None:
        """
        Return one of the few methods that Python's own do as well, else None.

        *tests* already has the one for the owner's class, and gets what else is needed.
        """
        name, arguments = method.selection.name, method.arguments
        if name == "append":
            self.cost.bytes += SLOT
            length = py.call("!len", [owner], place)
            cap = py.load("!cap", place)
            tests.append(ast.Compare(length, [ast.Lt()], [cap], **place))
            return py.load("!append", place)
        if name in AFFIXES and len(arguments) == 1 and _is_short(arguments[0]):
            return py.load(f"!{name}", place)
        if name == "get" and is_simple(arguments[0]):
            key = arguments[0]
            kind = self.kinds.of(method.node.arguments[0].value)
            keyed = key_tests(key, key, kind, place)
            if keyed is not None:
                tests.extend(keyed)
                return py.load("!get", place)
        return None

    # Calls with * and **

    def _open_call(self, node: syntax.Call, place: At) -> ast.expr:
        """Compile a call with `*args` or `**kwargs`, which come last, as in Go."""
        plain = [a for a in node.arguments if a.kind in ("positional", "keyword")]
        opened = {a.kind: a.value for a in node.arguments if a not in plain}
        last = [opened[kind] for kind in ("star", "starstar") if kind in opened]
        values = [node.function, *(argument.value for argument in plain), *last]
        compiled = self.operands(values)
        function, arguments = compiled[0], compiled[1 : 1 + len(plain)]
        rest = iter(compiled[1 + len(plain) :])
        star, starstar = (
            next(rest) if kind in opened else py.load("!absent", place)
            for kind in ("star", "starstar")
        )
        packed = _pack(plain, arguments, place)
        return py.metered("!call_open", [function, *packed, star, starstar], place)


def _is_short(argument: ast.expr) -> bool:
    """Tell whether a compiled argument is the literal of a short string."""
    if not isinstance(argument, ast.Constant):
        return False
    return type(argument.value) is str and len(argument.value) <= SHORT


@dataclass(frozen=True, slots=True)
class _Method:
    """A call of a method that only values of one kind have."""

    node: syntax.Call
    selection: syntax.Dot
    kind: type
    arguments: Sequence[ast.expr]


def _native(
    name: str,
    first: list[str],
    arguments: Sequence[Argument],
    values: Sequence[ast.expr],
    place: At,
) -> ast.expr:
    """Return a call of a Python function that the arguments fit."""
    positional, keywords = _split(arguments, values, place)
    given = [py.load(argument, place) for argument in first]
    return ast.Call(py.load(name, place), [*given, *positional], keywords, **place)


def _split(
    arguments: Sequence[Argument], values: Sequence[ast.expr], place: At
) -> tuple[list[ast.expr], list[ast.keyword]]:
    """Return the positional arguments and the others, as Python writes them."""
    positional: list[ast.expr] = []
    keywords: list[ast.keyword] = []
    for argument, value in zip(arguments, values, strict=True):
        if argument.kind == "keyword":
            keywords.append(ast.keyword(argument.name, value, **place))
        else:
            positional.append(value)
    return positional, keywords


def _pack(
    arguments: Sequence[Argument], values: Sequence[ast.expr], place: At
) -> list[ast.expr]:
    """Return a tuple of the positional arguments and a dict of the others."""
    positional, keywords = _split(arguments, values, place)
    packed = py.tuple_of(positional, place)
    if not keywords:
        return [packed, py.load("!none", place)]
    names: list[ast.expr | None] = [
        py.constant(keyword.arg, place) for keyword in keywords
    ]
    return [packed, ast.Dict(names, [k.value for k in keywords], **place)]
