"""Operators, inline where their operands are, or turn out to be, plain numbers.

The shape is always `fast if test else operation(m, x, y)`: the test looks at exact
types, and at the size of the result where integers could grow, so that what runs inline
can neither fail nor take time or memory that is worth counting.  The operation in the
other branch does the same and everything else, so a test may refuse too often.
"""

import ast
from collections.abc import Sequence
from typing import Any

from starflow_service.starlark import pysyntax as py
from starflow_service.starlark.codegen_scope import Emitter
from starflow_service.starlark.kinds import (
    ANY,
    FLOAT,
    NOTHING,
    PLAIN_BITS,
    Kind,
    result_bits,
)
from starflow_service.starlark.pysyntax import At, is_simple

SMALL = 2**62
# Integers up to here are the same as floats.
EXACT_BITS = 53
# Strings up to here compare in no time worth counting.
SHORT = 255

HELPERS = {
    "+": "!add",
    "-": "!sub",
    "*": "!mul",
    "/": "!truediv",
    "//": "!floordiv",
    "%": "!mod",
    "&": "!and",
    "|": "!or",
    "^": "!xor",
    "<<": "!lshift",
    ">>": "!rshift",
    "==": "!eq",
    "!=": "!ne",
    "<": "!lt",
    "<=": "!le",
    ">": "!gt",
    ">=": "!ge",
    "in": "!contains",
    "not in": "!not_contains",
}
ARITHMETIC: dict[str, type[ast.operator]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "//": ast.FloorDiv,
    "%": ast.Mod,
    "&": ast.BitAnd,
    "|": ast.BitOr,
    "^": ast.BitXor,
}
COMPARISONS: dict[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}


class Operators(Emitter):
    """Compiles operations on compiled operands of known or unknown kinds."""

    def operation(
        self,
        op: str,
        operands: Sequence[ast.expr],
        kinds: Sequence[Kind],
        place: At,
        helper: str | None = None,
    ) -> ast.expr:
        """Return `left op right`; *helper* is the operation that does all of it."""
        pair = _Pair(self, op, operands, kinds, place, helper or HELPERS[op])
        if op in COMPARISONS:
            return pair.comparison()
        if op in ARITHMETIC:
            return pair.arithmetic()
        if op in ("in", "not in"):
            return pair.membership()
        return pair.division() if op == "/" else pair.helped()

    def negation(self, operand: ast.expr, kind: Kind, place: At) -> ast.expr:
        """Return `-operand`."""
        plain = kind.tag == "int" and kind.bits <= PLAIN_BITS
        if plain or kind is FLOAT:
            return ast.UnaryOp(ast.USub(), operand, **place)
        helped = py.metered("!neg", [operand], place)
        if kind is not ANY or not isinstance(operand, ast.Name):
            return helped
        tests = [py.has_type(operand, "!int", place), _is_small(operand, place)]
        result = ast.UnaryOp(ast.USub(), operand, **place)
        return ast.IfExp(py.both(tests, place), result, helped, **place)


class _Pair:
    """The two operands of an operator."""

    def __init__(
        self,
        emitter: Emitter,
        op: str,
        operands: Sequence[ast.expr],
        kinds: Sequence[Kind],
        place: At,
        helper: str,
    ) -> None:
        self.emitter = emitter
        self.op = op
        self.operands = operands
        self.kinds = tuple(ANY if kind is NOTHING else kind for kind in kinds)
        self.place = place
        self.helper = helper

    def helped(self) -> ast.expr:
        """Return the operation that does all of it."""
        return py.metered(self.helper, self.operands, self.place)

    # Arithmetic

    def arithmetic(self) -> ast.expr:
        tags = {kind.tag for kind in self.kinds}
        if "str" in tags or "bool" in tags:
            return self.helped()
        if tags <= {"int", "float"}:
            return self._of_floats() if "float" in tags else self._of_ints()
        if "float" in tags:
            return self._guarded("!float") if self.op in "+-*" else self.helped()
        return self._guarded("!int") if self.op in "+-*//%" else self.helped()

    def _native(self, left: ast.expr, right: ast.expr) -> ast.expr:
        return ast.BinOp(left, ARITHMETIC[self.op](), right, **self.place)

    def _of_floats(self) -> ast.expr:
        """Return the operation on two numbers, at least one of them a float."""
        plain = all(k is FLOAT or k.bits <= PLAIN_BITS for k in self.kinds)
        if plain and self.op in "+-*":
            return self._native(*self.operands)
        return self.helped()

    def _of_ints(self) -> ast.expr:
        left, right = self.kinds
        bits = result_bits(self.op, left.bits, right.bits)
        if self.op in "//%":
            # What is divided must be small: long division takes long.
            divisor = self.operands[1]
            if left.bits <= PLAIN_BITS and _is_nonzero(divisor):
                return self._native(*self.operands)
            return self._guarded("!int")
        if bits <= PLAIN_BITS:
            return self._native(*self.operands)
        return self._guarded("!int") if self.op in "+-*" else self.helped()

    def _guarded(self, wanted: str) -> ast.expr:
        """Return the operation inline if both operands are of the *wanted* type."""
        tests, left, right = self._typed(wanted)
        result = self._native(left, right)
        if wanted == "!int" and self.op in "//%":
            if not (self.kinds[0].tag == "int" and self.kinds[0].bits <= PLAIN_BITS):
                tests.append(_is_small(left, self.place))
            if not _is_nonzero(right):
                tests.append(right)
        elif wanted == "!int":
            name = self.emitter.temporary()
            tests.append(_is_small(py.walrus(name, result, self.place), self.place))
            result = py.load(name, self.place)
        return self._choose(tests, result, left, right)

    def division(self) -> ast.expr:
        """Return `left / right` of two numbers, else the operation."""
        exact = all(
            kind is FLOAT or (kind.tag == "int" and kind.bits <= EXACT_BITS)
            for kind in self.kinds
        )
        if not exact:
            return self.helped()
        left, right = self.operands
        if _is_nonzero(right):
            return ast.BinOp(left, ast.Div(), right, **self.place)
        if not is_simple(right) or not is_simple(left):
            return self.helped()
        result = ast.BinOp(left, ast.Div(), right, **self.place)
        return self._choose([right], result, left, right)

    # Comparisons

    def comparison(self) -> ast.expr:
        if self.op in ("==", "!="):
            constant = self._with_constant()
            if constant is not None:
                return constant
        left, right = self.kinds
        if left.tag == right.tag == "int":
            return self._compared(*self.operands)
        if {left.tag, right.tag} <= {"int", "float"}:
            return self._of_numbers()
        if "str" in (left.tag, right.tag) or "bool" in (left.tag, right.tag):
            return self.helped()
        wanted = "!float" if FLOAT in self.kinds else "!int"
        if wanted == "!float":
            return self.helped()
        tests, x, y = self._typed(wanted)
        return self._choose(tests, self._compared(x, y), x, y)

    def membership(self) -> ast.expr:
        """Return `left in right`, inline if it is a string among a dict's keys."""
        left, right = self.operands
        if not is_simple(left) or not is_simple(right):
            return self.helped()
        keyed = key_tests(left, left, self.kinds[0], self.place)
        if keyed is None:
            return self.helped()
        tests = [py.has_type(right, "!Dict", self.place), *keyed]
        operator = ast.In() if self.op == "in" else ast.NotIn()
        result = ast.Compare(left, [operator], [right], **self.place)
        return self._choose(tests, result, left, right)

    def _compared(self, left: ast.expr, right: ast.expr) -> ast.expr:
        return ast.Compare(left, [COMPARISONS[self.op]()], [right], **self.place)

    def _of_numbers(self) -> ast.expr:
        """Return the comparison of numbers that are not NaN, else the operation."""
        if not all(map(is_simple, self.operands)):
            return self.helped()
        tests = [
            ast.Compare(x, [ast.Eq()], [x], **self.place)
            for x, kind in zip(self.operands, self.kinds, strict=True)
            if kind is FLOAT and not isinstance(x, ast.Constant)
        ]
        result = self._compared(*self.operands)
        return self._choose([*tests], result, *self.operands)

    def _with_constant(self) -> ast.expr | None:
        """Return an equality that Python decides as Starlark does, if it is one."""
        for constant, other, kind in (
            (self.operands[1], self.operands[0], self.kinds[0]),
            (self.operands[0], self.operands[1], self.kinds[1]),
        ):
            if isinstance(constant, ast.Constant):
                return self._equals_constant(constant, other, kind)
        return None

    def _equals_constant(
        self, constant: ast.Constant, other: ast.expr, kind: Kind
    ) -> ast.expr | None:
        value: Any = constant.value
        if value is None or type(value) is bool:
            if not isinstance(other, ast.Name):
                # Python warns of `is` beside a literal, and folds many into one.
                other = py.walrus(self.emitter.temporary(), other, self.place)
            operator = ast.Is() if self.op == "==" else ast.IsNot()
            return ast.Compare(other, [operator], [constant], **self.place)
        plain = (type(value) is str and len(value) <= SHORT) or (
            type(value) is int
            # False and True are equal to these for Python.
            and (value not in (0, 1) or kind.tag in ("int", "float"))
            and value.bit_length() <= PLAIN_BITS
        )
        return self._compared(other, constant) if plain else None

    # Tests

    def _typed(self, wanted: str) -> tuple[list[ast.expr], ast.expr, ast.expr]:
        """Return a test for the types of both, and what stands for them behind it."""
        tag = wanted.removeprefix("!")
        tested: list[ast.expr] = []
        behind: list[ast.expr] = []
        for operand, kind in zip(self.operands, self.kinds, strict=True):
            once = operand
            if not is_simple(operand):
                name = self.emitter.temporary()
                once = py.walrus(name, operand, self.place)
                behind.append(py.load(name, self.place))
            else:
                behind.append(operand)
            if kind.tag != tag or not is_simple(operand):
                tested.append(once)
        tests: list[ast.expr] = []
        if tested:
            # A chain looks at both operands before it decides anything.
            first, *rest = (py.call("!type", [x], self.place) for x in tested)
            chain = [*rest, py.load(wanted, self.place)]
            operators: list[ast.cmpop] = [ast.Is() for _ in chain]
            tests.append(ast.Compare(first, operators, chain, **self.place))
        return tests, behind[0], behind[1]

    def _choose(
        self,
        tests: list[ast.expr],
        result: ast.expr,
        left: ast.expr,
        right: ast.expr,
    ) -> ast.expr:
        if not tests:
            return result
        test = (
            tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests, **self.place)
        )
        helped = py.metered(self.helper, [left, right], self.place)
        return ast.IfExp(test, result, helped, **self.place)


def key_tests(
    once: ast.expr, again: ast.expr, kind: Kind, place: At
) -> list[ast.expr] | None:
    """
    Return what tells whether a key is a short string; None if it surely is not.

    The key is evaluated in *once*, first of all, and is *again* from then on.  Looking
    up a long string takes time that has to be paid for.
    """
    if isinstance(again, ast.Constant):
        value: Any = again.value
        return [] if type(value) is str and len(value) <= SHORT else None
    if kind.tag not in ("any", "nothing", "str"):
        return None
    typed = [] if kind.tag == "str" else [py.has_type(once, "!str", place)]
    length = py.call("!len", [again if typed else once], place)
    bound = py.constant(SHORT, place)
    return [*typed, ast.Compare(length, [ast.LtE()], [bound], **place)]


def _is_small(value: ast.expr, place: At) -> ast.expr:
    """Return `-2**62 < value < 2**62`."""
    low, high = (py.constant(bound, place) for bound in (-SMALL, SMALL))
    return ast.Compare(low, [ast.Lt(), ast.Lt()], [value, high], **place)


def _is_nonzero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and bool(node.value)
