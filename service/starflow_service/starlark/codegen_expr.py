"""Expressions of a script to expressions of Python."""

import ast
from collections.abc import Callable, Sequence
from typing import ClassVar, cast

from starflow_service.starlark import pysyntax as py
from starflow_service.starlark import syntax
from starflow_service.starlark.binding import (
    call_fits,
    python_signature,
    script_signature,
)
from starflow_service.starlark.codegen_ops import Operators, is_simple
from starflow_service.starlark.codegen_scope import CONSTANTS, Operand
from starflow_service.starlark.kinds import STR
from starflow_service.starlark.pysyntax import At, at
from starflow_service.starlark.syntax import Argument, Expr, Parameter, Pos
from starflow_service.starlark.trace import METER
from starflow_service.starlark.values import Builtin
from starflow_service.starlark.walk import walk

# What small objects cost in bytes, found by weighing what they keep alive.  A number
# costs nothing when it is made: the slot of the container that keeps it pays for it.
LAMBDA_BYTES = 900
TUPLE_BYTES = 64
SLOT_BYTES = 40
COMPREHENSION_BYTES = 120
METHOD_BYTES = 80
# What a call of a built-in may return: a short string, say.
RESULT_BYTES = 64

UNARY = {"+": "!pos", "~": "!invert"}


def variable(name: syntax.Name) -> str:
    """Return the Python variable that a name of the script lives in."""
    return f"{name.name}!" if name.scope == "global" else name.name


def may_run_code(node: Expr) -> bool:
    """Tell whether evaluating *node* may call something, and so have an effect."""
    return any(type(inner) is syntax.Call for inner in walk(node))


class Expressions(Operators):
    """
    Compiles expressions.

    Python's order of evaluation is the script's.  Where an expression needs statements,
    for a comprehension, what was evaluated before it is put into temporaries first.
    """

    def expr(self, node: Expr) -> ast.expr:
        """Return the Python expression for *node*; `out` gets what it needs before."""
        self.cost.nodes += 1
        return self._EXPRESSIONS[type(node)](self, node, at(node.pos))

    def operands(
        self, nodes: Sequence[Expr], before: Sequence[ast.expr] = ()
    ) -> list[ast.expr]:
        """Return *before* and the expressions for *nodes*, to be evaluated in order."""
        done = list(before)
        for node in nodes:
            mark, ordered = len(self.out), self.ordered
            value = self.expr(node)
            if done and self.ordered > ordered:
                needed = self.out[mark:]
                del self.out[mark:]
                done = [self.spill(earlier, at(node.start)) for earlier in done]
                self.out.extend(needed)
            done.append(value)
        return done

    def function(
        self,
        name: str,
        node: syntax.Def | syntax.Lambda,
        parameters: Sequence[Parameter],
        body: Sequence[syntax.Stmt],
        pos: Pos,
    ) -> ast.stmt:
        """Return the definition of a nested function."""
        raise NotImplementedError

    def comprehension_loop(
        self, clause: syntax.ForClause, compile_body: Callable[[], None]
    ) -> None:
        """Emit a loop of a comprehension."""
        raise NotImplementedError

    # Names and literals

    def _name(self, node: syntax.Name, place: At) -> ast.expr:
        if node.scope != "universal":
            return py.load(variable(node), place)
        if node.name in CONSTANTS:
            return py.constant(CONSTANTS[node.name], place)
        value = self.unit.universe[node.name]
        return py.load(self.unit.constant(f"u!{node.name}", value), place)

    def _literal(self, node: syntax.Literal_, place: At) -> ast.expr:
        return py.constant(node.value, place)

    def _list(self, node: syntax.ListExpr, place: At) -> ast.expr:
        items = self.operands(node.items)
        return py.metered("!make_list", [py.list_of(items, place)], place)

    def _tuple(self, node: syntax.TupleExpr, place: At) -> ast.expr:
        self.cost.bytes += TUPLE_BYTES + SLOT_BYTES * len(node.items)
        return py.tuple_of(self.operands(node.items), place)

    def _dict(self, node: syntax.DictExpr, place: At) -> ast.expr:
        parts = self.operands([p for e in node.entries for p in (e.key, e.value)])
        pairs = [py.tuple_of(parts[i : i + 2], place) for i in range(0, len(parts), 2)]
        return py.metered("!make_dict", [py.list_of(pairs, place)], place)

    def _paren(self, node: syntax.Paren, place: At) -> ast.expr:
        return self.expr(node.inner)

    # Operators

    def _unary(self, node: syntax.Unary, place: At) -> ast.expr:
        operand = self.expr(node.operand)
        if node.op == "not":
            return ast.UnaryOp(ast.Not(), operand, **place)
        if isinstance(operand, ast.Constant) and type(operand.value) in (int, float):
            value = cast(int, operand.value)
            if node.op != "~":
                return py.constant(-value if node.op == "-" else value, place)
        if node.op == "-":
            return self.negation(operand, self.kinds.of(node.operand), place)
        return py.metered(UNARY[node.op], [operand], place)

    def _binary(self, node: syntax.Binary, place: At) -> ast.expr:
        if node.op in ("and", "or"):
            return self._logical(node, place)
        operands = self.operands([node.left, node.right])
        kinds = (self.kinds.of(node.left), self.kinds.of(node.right))
        return self.operation(node.op, operands, kinds, place)

    def _logical(self, node: syntax.Binary, place: At) -> ast.expr:
        left = self.expr(node.left)
        right, needed = self._branch(node.right)
        operator = ast.And() if node.op == "and" else ast.Or()
        if not needed:
            return ast.BoolOp(operator, [left, right], **place)
        result = self.temporary()
        self.emit(py.assign(result, left, place))
        test: ast.expr = py.load(result, place)
        if node.op == "or":
            test = ast.UnaryOp(ast.Not(), test, **place)
        body = [*needed, py.assign(result, right, place)]
        self.emit(ast.If(test, body, [], **place))
        return py.load(result, place)

    def _conditional(self, node: syntax.Conditional, place: At) -> ast.expr:
        test = self.expr(node.test)
        yes, yes_needs = self._branch(node.yes)
        no, no_needs = self._branch(node.no)
        if not yes_needs and not no_needs:
            return ast.IfExp(test, yes, no, **place)
        result = self.temporary()
        body = [*yes_needs, py.assign(result, yes, place)]
        orelse = [*no_needs, py.assign(result, no, place)]
        self.emit(ast.If(test, body, orelse, **place))
        return py.load(result, place)

    def _branch(self, node: Expr) -> tuple[ast.expr, list[ast.stmt]]:
        """Compile what may not be evaluated; return it and the statements it needs."""
        ordered = self.ordered
        with self.buffer() as needed:
            value = self.expr(node)
        if self.ordered == ordered:
            # Definitions of lambdas only: they can be made whether needed or not.
            self.out.extend(needed)
            return value, []
        return value, needed

    # Selection

    def _dot(self, node: syntax.Dot, place: At) -> ast.expr:
        constant = self.unit.known(node)
        if constant is not None:
            return py.load(constant[0], place)
        self.cost.bytes += METHOD_BYTES
        operand = self.expr(node.operand)
        return py.metered("!attr", [operand, py.constant(node.name, place)], place)

    def _index(self, node: syntax.Index, place: At) -> ast.expr:
        owner, index = self.operands([node.operand, node.index])
        return self.element(owner, index, node, place)

    def element(
        self, owner: ast.expr, index: ast.expr, node: syntax.Index, place: At
    ) -> ast.expr:
        """
        Return `owner[index]`, inline if the owner is an ordinary list or dict.

        Neither needs a look at the index first: when it is not there, the thread
        does the operation once more, for its words.
        """
        kind = self.kinds.of(node.index)
        keyed = kind is STR
        if not keyed and kind.tag != "int":
            return self._element_of_either(owner, index, node, place)
        if not is_simple(index):
            # It would be evaluated in both branches, so it would be written twice.
            return py.metered("!index", [owner, index], place)
        once = again = owner
        if not is_simple(owner):
            name = self.temporary()
            once, again = py.walrus(name, owner, place), py.load(name, place)
        self.unit.reads[node.pos] = (cast(Operand, again), cast(Operand, index))
        test = py.same_type(once, ["!Dict" if keyed else "!List"], place)
        helped = py.metered("!index", [again, index], place)
        return ast.IfExp(test, py.subscript(again, index, place), helped, **place)

    def _element_of_either(
        self, owner: ast.expr, index: ast.expr, node: syntax.Index, place: At
    ) -> ast.expr:
        """Return `owner[index]` for an index that may be a number or a string."""
        if not is_simple(owner) or not is_simple(index):
            return py.metered("!index", [owner, index], place)
        self.unit.reads[node.pos] = (cast(Operand, owner), cast(Operand, index))
        tests: list[ast.expr] = [
            ast.BoolOp(
                ast.And(),
                [
                    py.same_type(owner, [container], place),
                    py.same_type(index, [kind], place),
                ],
                **place,
            )
            for container, kind in (("!List", "!int"), ("!Dict", "!str"))
        ]
        test = ast.BoolOp(ast.Or(), tests, **place)
        helped = py.metered("!index", [owner, index], place)
        return ast.IfExp(test, py.subscript(owner, index, place), helped, **place)

    def _slice(self, node: syntax.Slice, place: At) -> ast.expr:
        parts = (node.lo, node.hi, node.step)
        given = [part for part in parts if part is not None]
        operand, *values = self.operands([node.operand, *given])
        rest = iter(values)
        bounds = [
            py.constant(None, place) if part is None else next(rest) for part in parts
        ]
        return py.metered("!slice", [operand, *bounds], place)

    # Calls

    def _call(self, node: syntax.Call, place: At) -> ast.expr:
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
            return _native(name, first, node.arguments, self.operands(values), place)
        if type(node.function) is syntax.Dot and self.unit.known(node.function) is None:
            return self._method_call(node, node.function, place)
        function, *arguments = self.operands([node.function, *values])
        packed = _pack(node.arguments, arguments, place)
        return py.metered("!call", [function, *packed], place)

    def _native_call(self, node: syntax.Call) -> tuple[str, list[str]] | None:
        """Return the Python function that a call surely fits, and its first arguments.

        None if it is not known, or the call does not fit.
        """
        function = node.function
        if type(function) is syntax.Name and function.scope == "global":
            target = self.unit.defs.get(function.name)
            if target is not None:
                fits = call_fits(script_signature(target.parameters), node)
                return (variable(function), []) if fits else None
        known = self.unit.known(function)
        if known is None or type(known[1]) is not Builtin:
            return None
        name, builtin = known
        if not call_fits(python_signature(builtin.fn, 1), node):
            return None
        return self.unit.inner(name, builtin), [METER]

    def _method_call(
        self, node: syntax.Call, selection: syntax.Dot, place: At
    ) -> ast.expr:
        """Compile `x.name(...)`, without a bound method where nobody can tell."""
        values = [argument.value for argument in node.arguments]
        dot = at(selection.pos)
        if any(may_run_code(value) for value in values):
            # The attribute must be looked up before the arguments have their effects.
            function, *arguments = self.operands([selection, *values])
            packed = _pack(node.arguments, arguments, place)
            return py.metered("!call", [function, *packed], place)
        self.cost.nodes += 1
        owner, *arguments = self.operands([selection.operand, *values])
        packed = _pack(node.arguments, arguments, place)
        name = py.constant(selection.name, dot)
        return py.metered("!call_method", [owner, name, *packed], place)

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

    # Functions and comprehensions

    def _lambda(self, node: syntax.Lambda, place: At) -> ast.expr:
        self.cost.bytes += LAMBDA_BYTES
        self.unit.functions += 1
        name = f"lambda!{self.unit.functions}"
        result = syntax.Return(node.body.start, node.body.start, node.body)
        ordered = self.ordered
        definition = self.function(name, node, node.parameters, [result], node.start)
        if any(p.default is not None for p in node.parameters):
            self.emit(definition)
        else:
            # Nobody can tell when it is made, so it forces no order on the rest.
            self.out.append(definition)
            assert self.ordered == ordered
        return py.load(name, place)

    def _comprehension(self, node: syntax.Comprehension, place: At) -> ast.expr:
        self.cost.bytes += COMPREHENSION_BYTES
        result = self.temporary()
        kind = "!Dict" if node.is_dict else "!List"
        start = py.call(kind, [], place)
        if node.is_dict:
            start = py.metered("!make_dict", [py.list_of([], place)], place)
        self.emit(py.assign(result, start, place))
        self._clauses(node, 0, result)
        if node.is_dict:
            return py.load(result, place)
        return py.metered("!made", [py.load(result, place)], place)

    def _clauses(self, node: syntax.Comprehension, index: int, result: str) -> None:
        if index == len(node.clauses):
            self._keep(node, result)
            return
        clause = node.clauses[index]

        def rest() -> None:
            self._clauses(node, index + 1, result)

        if type(clause) is syntax.ForClause:
            self.comprehension_loop(clause, rest)
            return
        place = at(clause.pos)
        test = self.expr(cast(syntax.IfClause, clause).test)
        with self.buffer() as body:
            rest()
        self.emit(ast.If(test, body, [], **place))

    def _keep(self, node: syntax.Comprehension, result: str) -> None:
        """Emit what puts one element into the result of a comprehension."""
        body = node.body
        place = at(body.pos)
        target = py.load(result, place)
        if type(body) is syntax.DictEntry:
            pair = self.operands([body.key, body.value])
            self.emit(
                ast.Expr(py.metered("!set_index", [target, *pair], place), **place)
            )
            return
        self.cost.bytes += SLOT_BYTES
        value = self.expr(cast(Expr, body))
        self.emit(ast.Expr(py.method(target, "append", [value], place), **place))

    _EXPRESSIONS: ClassVar[dict[type, Callable[..., ast.expr]]] = {
        syntax.Name: _name,
        syntax.Literal_: _literal,
        syntax.ListExpr: _list,
        syntax.TupleExpr: _tuple,
        syntax.DictExpr: _dict,
        syntax.Paren: _paren,
        syntax.Unary: _unary,
        syntax.Binary: _binary,
        syntax.Conditional: _conditional,
        syntax.Dot: _dot,
        syntax.Index: _index,
        syntax.Slice: _slice,
        syntax.Call: _call,
        syntax.Lambda: _lambda,
        syntax.Comprehension: _comprehension,
    }


def _native(
    name: str,
    first: list[str],
    arguments: Sequence[Argument],
    values: Sequence[ast.expr],
    place: At,
) -> ast.expr:
    """Return a call of a Python function that the arguments fit."""
    positional: list[ast.expr] = [py.load(argument, place) for argument in first]
    keywords: list[ast.keyword] = []
    for argument, value in zip(arguments, values, strict=True):
        if argument.kind == "keyword":
            keywords.append(ast.keyword(argument.name, value, **place))
        else:
            positional.append(value)
    return ast.Call(py.load(name, place), positional, keywords, **place)


def _pack(
    arguments: Sequence[Argument], values: Sequence[ast.expr], place: At
) -> list[ast.expr]:
    """Return a tuple of the positional arguments and a dict of the others."""
    positional: list[ast.expr] = []
    names: list[ast.expr | None] = []
    named: list[ast.expr] = []
    for argument, value in zip(arguments, values, strict=True):
        if argument.kind == "keyword":
            names.append(py.constant(argument.name, place))
            named.append(value)
        else:
            positional.append(value)
    keywords = ast.Dict(names, named, **place) if names else py.load("!none", place)
    return [py.tuple_of(positional, place), keywords]
