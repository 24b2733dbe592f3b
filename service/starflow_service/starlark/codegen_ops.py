"""Operators, inline where their operands are, or turn out to be, plain numbers.

The shape is always `fast if test else operation(m, x, y)`: the test looks at exact
types, and at the size of the result where integers could grow, so that what runs inline
can neither fail nor take time or memory that is worth counting.  The operation in the
other branch does the same and everything else, so a test may refuse too often.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
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
        if self.unit.lean:
            return pair.helped()
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
        if self.op in ("//", "%") and "float" not in tags:
            return self._divided()
        return self._of_unknown() if self.op in ("+", "-", "*") else self.helped()

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
        if self.op in ("//", "%"):
            return self._divided()
        if result_bits(self.op, left.bits, right.bits) <= PLAIN_BITS:
            return self._native(*self.operands)
        return self._of_unknown() if self.op in ("+", "-", "*") else self.helped()

    def _divided(self) -> ast.expr:
        """Return `//` or `%` of integers, of which the first has to be small."""
        tested = self._tested()
        tests = tested.are("!int", self.place)
        left, right = tested.operands
        if not (self.kinds[0].tag == "int" and self.kinds[0].bits <= PLAIN_BITS):
            tests.append(_is_small(left, self.place))
        if not _is_nonzero(right):
            tests.append(right)
        return self._choose(tests, self._native(left, right), left, right)

    def _of_unknown(self) -> ast.expr:
        """Return `+`, `-` or `*` of numbers of one type, if that is what they are."""
        tested = self._tested()
        left, right = tested.operands
        result = self._native(left, right)
        if FLOAT in self.kinds:
            small = [
                py.both(
                    [py.has_type(x, "!int", self.place), _is_small(x, self.place)],
                    self.place,
                )
                for x in tested.unknown
            ]
            either = [py.both(tested.are("!float", self.place), self.place), *small]
            test = py.either(either, self.place)
            return self._choose([test], result, left, right)
        name = self.emitter.temporary()
        kept = py.walrus(name, result, self.place)
        tests = [*tested.are("!int", self.place), _is_small(kept, self.place)]
        exact = all(k is ANY or k.bits <= EXACT_BITS for k in self.kinds)
        if tested.unknown and exact:
            # Floats need no look at the result, and comparing them with integers of
            # this size is slow.
            floats = _chain(tested.unknown, "!float", self.place)
            none = py.constant(None, self.place)
            made = ast.Compare(kept, [ast.IsNot()], [none], **self.place)
            either = [py.both(part, self.place) for part in (tests, [floats, made])]
            tests = [py.either(either, self.place)]
        return self._choose(tests, py.load(name, self.place), left, right)

    def division(self) -> ast.expr:
        """Return `left / right` of two numbers, else the operation."""
        exact = all(
            kind is FLOAT or (kind.tag == "int" and kind.bits <= EXACT_BITS)
            for kind in self.kinds
        )
        if not exact:
            return self._divided_floats()
        left, right = self.operands
        if _is_nonzero(right):
            return ast.BinOp(left, ast.Div(), right, **self.place)
        if not is_simple(right) or not is_simple(left):
            return self.helped()
        result = ast.BinOp(left, ast.Div(), right, **self.place)
        return self._choose([right], result, left, right)

    def _divided_floats(self) -> ast.expr:
        """Return `left / right` if what is not known to be a number is a float."""
        if not all(k in (ANY, FLOAT) or self._is_exact(k) for k in self.kinds):
            return self.helped()
        tested = self._tested()
        left, right = tested.operands
        if len(tested.once) > len(tested.unknown):
            return self.helped()
        tests = tested.are("!float", self.place)
        if not _is_nonzero(right):
            tests.append(right)
        result = ast.BinOp(left, ast.Div(), right, **self.place)
        return self._choose(tests, result, left, right)

    def _is_exact(self, kind: Kind) -> bool:
        """Tell whether a kind of integers is that of the same floats."""
        return kind.tag == "int" and kind.bits <= EXACT_BITS

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
        if FLOAT in self.kinds:
            return self.helped()
        tested = self._tested()
        x, y = tested.operands
        tests = tested.are("!int", self.place)
        if tested.unknown:
            more = self._equal_strings if self.op in ("==", "!=") else self._no_nans
            tests = [py.either([*tests, more(tested.unknown)], self.place)]
        return self._choose(tests, self._compared(x, y), x, y)

    def _no_nans(self, unknown: list[ast.expr]) -> ast.expr:
        """Return a test for floats that Python compares as Starlark does."""
        floats = _chain(unknown, "!float", self.place)
        numbers = [ast.Compare(x, [ast.Eq()], [x], **self.place) for x in unknown]
        return py.both([floats, *numbers], self.place)

    def _equal_strings(self, unknown: list[ast.expr]) -> ast.expr:
        """Return a test for strings that are compared in no time worth counting."""
        strings = _chain(unknown, "!str", self.place)
        return py.both([strings, _is_short(unknown[0], self.place)], self.place)

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

    def _tested(self) -> "_Tested":
        once: list[ast.expr] = []
        unknown: list[ast.expr] = []
        again: list[ast.expr] = []
        for operand, kind in zip(self.operands, self.kinds, strict=True):
            first = behind = operand
            if not is_simple(operand):
                name = self.emitter.temporary()
                first = py.walrus(name, operand, self.place)
                behind = py.load(name, self.place)
            again.append(behind)
            if kind is ANY or first is not behind:
                once.append(first)
            if kind is ANY:
                unknown.append(behind)
        return _Tested(once, unknown, again)

    def _choose(
        self,
        tests: list[ast.expr],
        result: ast.expr,
        left: ast.expr,
        right: ast.expr,
    ) -> ast.expr:
        if not tests:
            return result
        helped = py.metered(self.helper, [left, right], self.place)
        return ast.IfExp(py.both(tests, self.place), result, helped, **self.place)


@dataclass(frozen=True, slots=True)
class _Tested:
    """
    Operands whose types have to be looked at.

    `once` are those that the first test has to evaluate; `unknown` are those whose
    type is not known, and `operands` all of them, as they are used from then on.
    """

    once: list[ast.expr]
    unknown: list[ast.expr]
    operands: list[ast.expr]

    def are(self, name: str, place: At) -> list[ast.expr]:
        """Return the first test: that what is not known is of a type."""
        return [_chain(self.once, name, place)] if self.once else []


def _chain(values: Sequence[ast.expr], name: str, place: At) -> ast.expr:
    """Return `type(a) is type(b) is name`, which evaluates all before it decides."""
    first, *rest = (py.call("!type", [value], place) for value in values)
    chain = [*rest, py.load(name, place)]
    operators: list[ast.cmpop] = [ast.Is() for _ in chain]
    return ast.Compare(first, operators, chain, **place)


def _is_short(value: ast.expr, place: At) -> ast.expr:
    """Return `len(value) <= SHORT`."""
    length = py.call("!len", [value], place)
    return ast.Compare(length, [ast.LtE()], [py.constant(SHORT, place)], **place)


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
    return [*typed, _is_short(again if typed else once, place)]


def _is_small(value: ast.expr, place: At) -> ast.expr:
    """Return `-2**62 < value < 2**62`."""
    low, high = (py.constant(bound, place) for bound in (-SMALL, SMALL))
    return ast.Compare(low, [ast.Lt(), ast.Lt()], [value, high], **place)


def _is_nonzero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and bool(node.value)
