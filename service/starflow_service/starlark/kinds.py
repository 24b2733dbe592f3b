"""What types the values of a function have, as far as its text shows.

A variable's kind is the join of everything that its function assigns to it, in whatever
order: that is sound because only the function itself can assign to it.  Parameters and
captured variables of other functions may be anything.  Integers carry a bound on their
bits, so that arithmetic that cannot grow needs no look at its results.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from starflow_service.starlark import syntax
from starflow_service.starlark.syntax import Expr, Stmt
from starflow_service.starlark.walk import expressions, walk

Tag: TypeAlias = Literal["nothing", "any", "int", "float", "bool", "str"]

# Arithmetic on integers of up to so many bits takes no time worth counting.
PLAIN_BITS = 256
# Longer than any list or string, and any element of a range.
LENGTH_BITS = 32
RANGE_BITS = 64
UNBOUNDED = 1 << 30
# Bounds that still grow after so many rounds are taken to be unbounded.
SETTLED_ROUNDS = 3
# A function that is not settled after so many may be anything: a chain of assignments
# against the order of the text needs a round for each.
ROUNDS_MAX = 10


@dataclass(frozen=True, slots=True)
class Kind:
    """A set of values: those of a type, all, or none (a variable never assigned)."""

    tag: Tag
    bits: int = 0  # of an int, at most

    def join(self, other: "Kind") -> "Kind":
        """Return what covers both."""
        if self == other or other is NOTHING:
            return self
        if self is NOTHING:
            return other
        if self.tag != other.tag:
            return ANY
        return Kind(self.tag, max(self.bits, other.bits))


NOTHING = Kind("nothing")
ANY = Kind("any")
FLOAT = Kind("float")
BOOL = Kind("bool")
STR = Kind("str")
LENGTH = Kind("int", LENGTH_BITS)
INT = Kind("int", UNBOUNDED)

Variables: TypeAlias = dict[str, Kind]

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "not in"})
_RESULTS: Mapping[str, Kind] = {
    "len": LENGTH,
    "str": STR,
    "repr": STR,
    "type": STR,
    "chr": STR,
    "ord": LENGTH,
    "int": INT,
    "float": FLOAT,
    "bool": BOOL,
    "all": BOOL,
    "any": BOOL,
    "hasattr": BOOL,
    "hash": LENGTH,
}


class Kinds:
    """
    The kinds of the variables of one function, or of the file.

    *known_globals* are those of the file, None if this is the file itself;
    *builtin_name* names the built-in that an expression surely is, else None.
    """

    def __init__(
        self,
        body: Sequence[Stmt],
        parameters: Sequence[str],
        known_globals: Variables | None,
        builtin_name: Callable[[Expr], str | None],
    ) -> None:
        self.variables: Variables = dict.fromkeys(parameters, ANY)
        self._globals = self.variables if known_globals is None else known_globals
        self._builtin_name = builtin_name
        self._memo: dict[int, Kind] = {}
        self._settle(list(_bindings(body)))

    def of(self, node: Expr) -> Kind:
        """Return the kind of an expression of the function."""
        known = self._memo.get(id(node))
        if known is None:
            known = self._memo[id(node)] = self._infer(node)
        return known

    def _settle(self, bindings: "list[_Binding]") -> None:
        rounds = 0
        changed = True
        while changed:
            changed = False
            rounds += 1
            self._memo.clear()
            if rounds > ROUNDS_MAX:
                self.variables.update(dict.fromkeys(self.variables, ANY))
                return
            for binding in bindings:
                before = self.variables.get(binding.name, NOTHING)
                after = before.join(self._bound(binding))
                if after != before:
                    if rounds > SETTLED_ROUNDS and after.tag == "int":
                        # Its bound depends on itself, and would grow for ever.
                        after = INT
                    self.variables[binding.name] = after
                    changed = True

    def _bound(self, binding: "_Binding") -> Kind:
        if binding.how == "value" and binding.value is not None:
            return self._infer(binding.value)
        if binding.how == "element" and binding.value is not None:
            return self._element(binding.value)
        if binding.how == "number" and binding.value is not None:
            return self._number(binding.value)
        return ANY

    def _number(self, node: Expr) -> Kind:
        """Return the kind of what numbers the elements of *node*."""
        if self._called(node) != "enumerate" or type(node) is not syntax.Call:
            return ANY
        plain = [a.kind for a in node.arguments] == ["positional"]
        return LENGTH if plain else INT

    def _element(self, node: Expr) -> Kind:
        """Return the kind of what a loop over *node* goes through."""
        if self._called(node) == "range":
            return Kind("int", RANGE_BITS)
        if type(node) in (syntax.ListExpr, syntax.TupleExpr):
            result = NOTHING
            for item in node.items:  # type: ignore[union-attr]
                result = result.join(self._infer(item))
            return result
        return ANY

    def _called(self, node: Expr) -> str | None:
        if type(node) is not syntax.Call:
            return None
        return self._builtin_name(node.function)

    def _infer(self, node: Expr) -> Kind:
        match node:
            case syntax.Literal_(value=value):
                return _literal(value)
            case syntax.Name():
                return self._name(node)
            case syntax.Paren(inner=inner):
                return self.of(inner)
            case syntax.Binary(op=op, left=left, right=right):
                return self._binary(op, left, right)
            case syntax.Unary(op="not"):
                return BOOL
            case syntax.Unary(op=op, operand=operand):
                return _unary(op, self.of(operand))
            case syntax.Conditional(yes=yes, no=no):
                return self.of(yes).join(self.of(no))
            case syntax.Index(operand=operand) | syntax.Slice(operand=operand):
                return STR if self.of(operand) is STR else ANY
            case syntax.Call():
                return _RESULTS.get(self._called(node) or "", ANY)
            case _:
                return ANY

    def _name(self, node: syntax.Name) -> Kind:
        if node.scope in ("local", "cell"):
            return self.variables.get(node.name, ANY)
        if node.scope == "global":
            return self._globals.get(node.name, ANY)
        if node.scope == "universal" and node.name in ("True", "False"):
            return BOOL
        return ANY

    def _binary(self, op: str, left: Expr, right: Expr) -> Kind:
        if op in _COMPARISONS:
            return BOOL
        x, y = self.of(left), self.of(right)
        if op in ("and", "or"):
            return x.join(y)
        if x is NOTHING or y is NOTHING:
            return NOTHING
        if x is STR and (op == "%" or (op == "+" and y is STR)):
            return STR
        if x.tag == "int" and y.tag == "int":
            return FLOAT if op == "/" else Kind("int", result_bits(op, x.bits, y.bits))
        numbers = ("int", "float")
        if x.tag in numbers and y.tag in numbers and op in ("+", "-", "*", "/"):
            return FLOAT
        return ANY


def _literal(value: object) -> Kind:
    if type(value) is int:
        return Kind("int", value.bit_length())
    if type(value) is float:
        return FLOAT
    return STR if type(value) is str else ANY


def _unary(op: str, operand: Kind) -> Kind:
    if operand.tag == "int":
        return Kind("int", min(operand.bits + 1, UNBOUNDED))
    return operand if operand is FLOAT and op != "~" else ANY


def result_bits(op: str, x: int, y: int) -> int:
    """Return a bound on the bits of an integer result, UNBOUNDED if it is not small."""
    match op:
        case "+" | "-":
            bits = max(x, y) + 1
        case "*":
            bits = x + y
        case "//" | ">>":
            bits = x + 1
        case "%":
            bits = y
        case "&" | "|" | "^":
            bits = max(x, y) + 1
        case _:
            bits = UNBOUNDED
    return bits if bits <= PLAIN_BITS else UNBOUNDED


@dataclass(frozen=True, slots=True)
class _Binding:
    """
    One assignment to a variable.

    `value` is what is assigned, what is gone through, or what numbers its elements.
    """

    name: str
    how: Literal["value", "element", "number", "unknown"]
    value: Expr | None = None


def _bindings(body: Sequence[Stmt]) -> Iterator[_Binding]:
    """Yield the assignments of a function, those of nested functions excluded."""
    for node in body:
        yield from _within(node)
        match node:
            case syntax.Assign(target=target, value=value):
                yield from _assigned(target, value)
            case syntax.AugmentedAssign(target=target, op=op, value=value):
                result = syntax.Binary(node.start, node.pos, op, target, value)
                yield from _assigned(target, result)
            case syntax.For(target=target, iterable=iterable, body=inner):
                yield from _gone_through(target, iterable)
                yield from _bindings(inner)
            case syntax.If(body=inner, orelse=orelse):
                yield from _bindings(inner)
                yield from _bindings(orelse)
            case syntax.Def(name=name):
                yield _Binding(name.name, "unknown")
            case _:
                pass


def _assigned(target: Expr, value: Expr) -> Iterator[_Binding]:
    match target:
        case syntax.Name(name=name):
            yield _Binding(name, "value", value)
        case syntax.Paren(inner=inner):
            yield from _assigned(inner, value)
        case syntax.TupleExpr(items=items) | syntax.ListExpr(items=items):
            parts: Sequence[Expr] = ()
            if type(value) in (syntax.TupleExpr, syntax.ListExpr):
                parts = value.items  # type: ignore[union-attr]
            for index, item in enumerate(items):
                if len(parts) == len(items):
                    yield from _assigned(item, parts[index])
                else:
                    yield from _unknown(item)
        case _:
            pass


def _gone_through(target: Expr, iterable: Expr) -> Iterator[_Binding]:
    match target:
        case syntax.Name(name=name):
            yield _Binding(name, "element", iterable)
        case syntax.Paren(inner=inner):
            yield from _gone_through(inner, iterable)
        case syntax.TupleExpr(items=[syntax.Name(name=name), second]):
            yield _Binding(name, "number", iterable)
            yield from _unknown(second)
        case _:
            yield from _unknown(target)


def _unknown(target: Expr) -> Iterator[_Binding]:
    match target:
        case syntax.Name(name=name):
            yield _Binding(name, "unknown")
        case syntax.Paren(inner=inner):
            yield from _unknown(inner)
        case syntax.TupleExpr(items=items) | syntax.ListExpr(items=items):
            for item in items:
                yield from _unknown(item)
        case _:
            pass


def _within(node: Stmt) -> Iterator[_Binding]:
    """Yield what the comprehensions in the expressions of a statement bind."""
    for expression in expressions(node):
        for inner in walk(expression):
            if type(inner) is syntax.Comprehension:
                for clause in inner.clauses:
                    if type(clause) is syntax.ForClause:
                        yield from _gone_through(clause.target, clause.iterable)
