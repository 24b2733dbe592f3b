"""Expressions of a script to expressions of Python."""

import ast
from collections.abc import Callable, Sequence
from typing import ClassVar, cast

from starflow_service.starlark import pysyntax as py
from starflow_service.starlark import syntax
from starflow_service.starlark.caps import SLOT
from starflow_service.starlark.codegen_calls import Calls
from starflow_service.starlark.codegen_scope import CONSTANTS
from starflow_service.starlark.pysyntax import At, at
from starflow_service.starlark.syntax import Expr, Parameter, Pos

# What small objects cost in bytes, found by weighing what they keep alive.
LAMBDA_BYTES = 900
COMPREHENSION_BYTES = 120
METHOD_BYTES = 80

UNARY = {"+": "!pos", "~": "!invert"}


def variable(name: syntax.Name) -> str:
    """Return the Python variable that a name of the script lives in."""
    return f"{name.name}!" if name.scope == "global" else name.name


class Expressions(Calls):
    """
    Compiles expressions.

    Python's order of evaluation is the script's.  Where an expression needs statements,
    for a comprehension, what was evaluated before it is put into temporaries first.
    """

    def expr(self, node: Expr) -> ast.expr:
        """Return the Python expression for *node*; `out` gets what it needs before."""
        self.cost.nodes += 1
        return self._EXPRESSIONS[type(node)](self, node, at(node.pos))

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
        self, clause: syntax.ForClause, growing: str, compile_body: Callable[[], None]
    ) -> None:
        """Emit a loop of a comprehension, of a list that must not grow too long."""
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

    def _slice(self, node: syntax.Slice, place: At) -> ast.expr:
        parts = (node.lo, node.hi, node.step)
        given = [part for part in parts if part is not None]
        operand, *values = self.operands([node.operand, *given])
        rest = iter(values)
        bounds = [
            py.constant(None, place) if part is None else next(rest) for part in parts
        ]
        return py.metered("!slice", [operand, *bounds], place)

    # Functions and comprehensions

    def _lambda(self, node: syntax.Lambda, place: At) -> ast.expr:
        self.cost.bytes += LAMBDA_BYTES
        self.lambdas += 1
        name = f"lambda!{self.lambdas}"
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
            start = py.metered("!new_dict", [py.constant(0, place)], place)
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
            # A dict looks for itself whether it grows too large.
            growing = "" if type(node.body) is syntax.DictEntry else result
            self.comprehension_loop(clause, growing, rest)
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
        self.cost.bytes += SLOT
        value = self.expr(cast(Expr, body))
        self.emit(ast.Expr(py.method(target, "append", [value], place), **place))

    _EXPRESSIONS: ClassVar[dict[type, Callable[..., ast.expr]]] = {
        syntax.Name: _name,
        syntax.Literal_: _literal,
        syntax.ListExpr: Calls.list_display,
        syntax.TupleExpr: Calls.tuple_display,
        syntax.DictExpr: Calls.dict_display,
        syntax.Paren: _paren,
        syntax.Unary: _unary,
        syntax.Binary: _binary,
        syntax.Conditional: _conditional,
        syntax.Dot: _dot,
        syntax.Index: Calls.index,
        syntax.Slice: _slice,
        syntax.Call: Calls.call,
        syntax.Lambda: _lambda,
        syntax.Comprehension: _comprehension,
    }
