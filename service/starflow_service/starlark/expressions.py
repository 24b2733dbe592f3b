"""Parses expressions.

Operators are parsed with a stack of their own and chains in loops, so that Python
recurses only where brackets, lambdas or blocks nest; that nesting is counted in
`depth`, and the count times the Python frames of one level stays well below Python's
recursion limit (a test measures it).
"""

from collections.abc import Callable
from typing import Final, Literal

from starflow_service.starlark.diagnostics import Diagnostic
from starflow_service.starlark.shape import DEPTH_MAX, too_deep
from starflow_service.starlark.stream import Fault, TokenStream
from starflow_service.starlark.syntax import (
    Argument,
    Binary,
    Call,
    Comprehension,
    Conditional,
    DictEntry,
    DictExpr,
    Dot,
    Expr,
    ForClause,
    IfClause,
    Index,
    Lambda,
    ListExpr,
    Literal_,
    Name,
    Parameter,
    Paren,
    Pos,
    Slice,
    TupleExpr,
    Unary,
)
from starflow_service.starlark.tokens import KEYWORDS, RESERVED, Token, describe

_COMPARISON: Final = 3
_PRECEDENCE: Final = {
    "or": 0,
    "and": 1,
    # 2 is the prefix `not`
    "==": _COMPARISON,
    "!=": _COMPARISON,
    "<": _COMPARISON,
    ">": _COMPARISON,
    "<=": _COMPARISON,
    ">=": _COMPARISON,
    "in": _COMPARISON,
    "not in": _COMPARISON,
    "|": 4,
    "^": 5,
    "&": 6,
    "<<": 7,
    ">>": 7,
    "+": 8,
    "-": 8,
    "*": 9,
    "/": 9,
    "//": 9,
    "%": 9,
}
# What may stand between operands besides: `not in`, and operators that are not ours.
_INFIX_ALSO: Final = frozenset(["not", "is", "**", "@"])
_MORE_TO_SEE: Final = frozenset(["not", "is", "**", "@", "&", "|", "<", "==", "!="])
_MEANT_BY: Final = {
    "is": "==",
    "**": "*",
    "@": "*",
    "&&": "and",
    "||": "or",
    "<>": "!=",
    "===": "==",
    "!==": "!=",
}
_PREFIX_PRECEDENCE: Final = {"not": 2, "+": 10, "-": 10, "~": 10}

_LITERALS: Final = frozenset(
    ["int literal", "float literal", "string literal", "bytes literal"]
)
_BEGINS_OPERAND: Final = _LITERALS | {"identifier"}
# What may follow the trailing comma of a tuple.
_ENDS_LIST: Final = frozenset([")", "]", "}", "=", ";", "newline", "end of file"])


class _Operators:
    """The operands and operators of one expression that are not yet put together."""

    def __init__(self) -> None:
        self.operands: list[Expr] = []
        # operator, its position, its precedence, whether it is a prefix
        self.stack: list[tuple[str, Pos, int, bool]] = []

    @property
    def precedence(self) -> int:
        return self.stack[-1][2] if self.stack else -1

    def reduce(self, precedence: int) -> None:
        """Put together what binds at least as tightly as *precedence*."""
        while self.stack and self.stack[-1][2] >= precedence:
            op, pos, _, is_prefix = self.stack.pop()
            right = self.operands.pop()
            if is_prefix:
                self.operands.append(Unary(pos, pos, op, right))
            else:
                left = self.operands.pop()
                self.operands.append(Binary(left.start, pos, op, left, right))


class ExpressionParser(TokenStream):
    """Parses expressions off its tokens."""

    def __init__(self, tokens: list[Token], findings: list[Diagnostic]) -> None:
        super().__init__(tokens, findings)
        self.depth = 0
        # Names that something may bind that was not understood.
        self.lost: set[str] = set()
        self._annotates = False
        self._brackets: dict[str, Callable[[], Expr]] = {
            "(": self._parenthesised,
            "[": self._list,
            "{": self._dict,
        }

    def enter(self) -> None:
        """
        Go one level deeper.

        Raises:
            Fault: That is too deep.
        """
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise Fault(too_deep(self.pos))

    # Levels

    def expression(self, *, in_brackets: bool = False) -> Expr:
        """Parse a test, or a tuple without parentheses."""
        first = self.test()
        if self.kind != ",":
            return first
        items = self._rest_of_tuple([first], in_brackets=in_brackets)
        return TupleExpr(first.start, first.start, items, parenthesised=False)

    def _rest_of_tuple(self, items: list[Expr], *, in_brackets: bool) -> list[Expr]:
        while self.kind == ",":
            comma = self.advance()
            if self.kind in _ENDS_LIST:
                if not in_brackets:
                    message = "unparenthesized tuple with trailing comma"
                    hint = "put the tuple in parentheses, or drop the comma"
                    raise self.fault(message, pos=comma.pos, hint=hint)
                break
            items.append(self.test())
        return items

    def test(self, *, conditional: bool = True) -> Expr:
        """Parse an expression; with *conditional*, one that may have an `if`."""
        self.enter()
        if self.kind == "lambda":
            result = self._lambda(conditional=conditional)
        else:
            result = self.operation()
            if conditional and self.kind == "if":
                result = self._conditional(result)
            elif self.kind == ":" and self.at_pair(":", "="):
                result = self._walrus(result)
        self.depth -= 1
        return result

    def _walrus(self, target: Expr) -> Expr:
        self.report_foreign(":=", self.pos)
        self.advance()
        self.advance()
        if isinstance(target, Name):
            self.lost.add(target.name)
        return self.test()

    def _conditional(self, yes: Expr) -> Expr:
        branches = []
        no = yes
        while self.kind == "if":
            self.advance()
            test = self.operation()
            if self.kind != "else":
                message = "conditional expression without else clause"
                hint = "write: a if condition else b"
                self.report(Diagnostic("error", "SYNTAX", message, self.pos, hint))
                break
            self.advance()
            branches.append((no, test))
            no = self.test() if self.kind == "lambda" else self.operation()
        for branch, test in reversed(branches):
            no = Conditional(branch.start, branch.start, test, branch, no)
        return no

    def operation(self) -> Expr:
        """Parse an expression of operators, without `if` and `lambda`."""
        pending = _Operators()
        while True:
            self._prefixes(pending)
            pending.operands.append(self.operand())
            if self.kind not in _PRECEDENCE and self.kind not in _INFIX_ALSO:
                break
            self._infix(pending)
        pending.reduce(0)
        return pending.operands[0]

    def _prefixes(self, pending: _Operators) -> None:
        while self.kind in _PREFIX_PRECEDENCE:
            precedence = _PREFIX_PRECEDENCE[self.kind]
            if pending.precedence > precedence:
                break
            token = self.advance()
            pending.stack.append((token.kind, token.pos, precedence, True))

    def _infix(self, pending: _Operators) -> None:
        op, pos = self.kind, self.pos
        self.advance()
        if op in _MORE_TO_SEE:
            op = self._whole_operator(op, pos)
        precedence = _PRECEDENCE[op]
        pending.reduce(precedence + 1)
        if precedence == _COMPARISON == pending.precedence:
            self._chained(pending, op, pos)
            return
        pending.reduce(precedence)
        pending.stack.append((op, pos, precedence, False))

    def _whole_operator(self, op: str, pos: Pos) -> str:
        """Return what to take *op* for, which may be half or none of an operator."""
        if op == "not":
            self.expect("in")
            return "not in"
        if op in _MEANT_BY:
            negated = op == "is" and self.accept("not")
            self.report_foreign(op, pos, hint="write !=" if negated else "")
            return "!=" if negated else _MEANT_BY[op]
        written = op + self.kind
        if written in _MEANT_BY and self.pos == (pos.line, pos.column + len(op)):
            self.advance()
            self.report_foreign(written, pos)
            return _MEANT_BY[written]
        return op

    def _chained(self, pending: _Operators, op: str, pos: Pos) -> None:
        """Report `a < b < c`, and take it for `a < b and b < c`."""
        first = pending.stack[-1][0]
        message = f"{first} does not associate with {op} (use parens)"
        hint = f"write: a {first} b and b {op} c"
        self.report(Diagnostic("error", "NOT_STARLARK", message, pos, hint))
        pending.reduce(_COMPARISON)
        pending.stack.append(("and", pos, _PRECEDENCE["and"], False))
        # In place of the operand in the middle: no node stands twice in a tree.
        pending.operands.append(Literal_(pos, pos, ""))
        pending.stack.append((op, pos, _COMPARISON, False))

    # Operands

    def operand(self) -> Expr:
        """Parse a name, a literal or something in brackets, and what hangs on it."""
        kind = self.kind
        if kind == "identifier":
            token = self.advance()
            result: Expr = Name(token.pos, token.pos, str(token.value))
            if token.value == "await" and self.kind in _BEGINS_OPERAND:
                self.report_foreign("await", token.pos)
                return self.operand()
        elif kind in _LITERALS:
            result = self._literal()
        elif kind in self._brackets:
            result = self._brackets[kind]()
        else:
            result = self._foreign_operand()
        while True:
            if self.kind == ".":
                result = self._dot(result)
            elif self.kind == "(":
                result = self._call(result)
            elif self.kind == "[":
                result = self._index(result)
            else:
                return result

    def _foreign_operand(self) -> Expr:
        """Parse what stands for a value in other languages."""
        pos = self.pos
        if self.kind in {"newline", ";"} and self.is_doubled({"+", "-"}):
            self.report_foreign(self.previous.kind * 2, self.previous.pos)
            return TupleExpr(pos, pos, [], parenthesised=True)
        if self.kind == "!":
            self.advance()
            self.report_foreign("!", pos)
            return self.operand()
        if self.kind in {"*", "**"}:
            self.advance()
            self.report_foreign("unpacking", pos)
            return self.operand()
        if self.kind == "yield":
            self.advance()
            self.report_foreign("yield", pos)
            if self.kind in _ENDS_LIST:
                return TupleExpr(pos, pos, [], parenthesised=True)
            return self.test()
        if self.at_pair(".", "."):
            while self.accept("."):
                pass
            self.report_foreign("...", pos)
            return TupleExpr(pos, pos, [], parenthesised=True)
        raise self.unexpected("primary expression")

    def _literal(self) -> Expr:
        token = self.advance()
        value = token.value
        assert isinstance(value, int | float | str | bytes)
        if self.kind == token.kind and isinstance(value, str | bytes):
            self.report_foreign("implicit concatenation", self.pos)
            while self.kind == token.kind:
                self.advance()
        return Literal_(token.pos, token.pos, value)

    def identifier(self) -> Name:
        """
        Parse a name that is being bound, or that follows a dot.

        Raises:
            Fault: A keyword stands there, or no word at all.
        """
        if self.kind != "identifier":
            raise self._not_an_identifier()
        token = self.advance()
        return Name(token.pos, token.pos, str(token.value))

    def _not_an_identifier(self) -> Fault:
        if self.kind == "error":
            return self.unexpected("identifier")
        hint = f"got {describe(self.kind)}"
        if self.kind in KEYWORDS or self.kind in RESERVED:
            hint = f"{self.kind} is a reserved word"
        return self.fault("not an identifier", hint=hint)

    def _dot(self, operand: Expr) -> Expr:
        dot = self.advance()
        name = self.identifier()
        return Dot(operand.start, dot.pos, operand, name.name, name.pos)

    def _parenthesised(self) -> Expr:
        start = self.advance().pos
        if self.accept(")"):
            return TupleExpr(start, start, [], parenthesised=True)
        inner = self.expression(in_brackets=True)
        if self.kind == "for":
            self.report_foreign("generator", start)
            return self._comprehension(start, inner, ")")
        self.expect(")")
        if isinstance(inner, TupleExpr) and not inner.parenthesised:
            return TupleExpr(start, start, inner.items, parenthesised=True)
        return Paren(start, start, inner)

    def _list(self) -> Expr:
        start = self.advance().pos
        if self.accept("]"):
            return ListExpr(start, start, [])
        first = self.test()
        if self.kind == "for":
            return self._comprehension(start, first, "]")
        items = self._rest_of_tuple([first], in_brackets=True)
        self.expect("]")
        return ListExpr(start, start, items)

    def _dict(self) -> Expr:
        start = self.advance().pos
        entries: list[DictEntry] = []
        is_set = False
        while self.kind != "}":
            if self.kind == "**":
                self.report_foreign("dict unpacking", self.advance().pos)
                self.test()
            else:
                key = self.test()
                # Said once: a set has more than one element.
                is_set = self._is_set(start, is_said=is_set, is_first=not entries)
                entries.append(self._entry(key, is_set=is_set))
                if len(entries) == 1 and self.kind == "for":
                    return self._comprehension(start, entries[0], "}")
            if not self.accept(","):
                break
        self.expect("}")
        return DictExpr(start, start, entries)

    def _is_set(self, start: Pos, *, is_said: bool, is_first: bool) -> bool:
        if self.kind not in {",", "}", "for"} or not (is_said or is_first):
            return False
        if not is_said:
            kind = "set comprehension" if self.kind == "for" else "set"
            self.report_foreign(kind, start)
        return True

    def _entry(self, key: Expr, *, is_set: bool) -> DictEntry:
        if is_set:
            return DictEntry(
                key.start, key.start, key, Literal_(key.start, key.start, "")
            )
        colon = self.expect(":")
        return DictEntry(key.start, colon.pos, key, self.test())

    def _comprehension(self, start: Pos, body: Expr | DictEntry, close: str) -> Expr:
        clauses = self._clauses(close)
        self.expect(close)
        return Comprehension(start, start, body, clauses, close == "}", [])

    def _clauses(self, close: str) -> list[ForClause | IfClause]:
        """Parse the clauses of a comprehension up to *close*, which stays."""
        clauses: list[ForClause | IfClause] = []
        while self.kind != close:
            pos = self.pos
            if self.accept("for"):
                target = self.loop_target()
                self.expect("in")
                clauses.append(ForClause(pos, pos, target, self.operation()))
            elif self.accept("if"):
                clauses.append(IfClause(pos, pos, self.test(conditional=False)))
            else:
                raise self.unexpected(f"'{close}', for, or if")
        return clauses

    def loop_target(self) -> Expr:
        """Parse what stands between `for` and `in`: no operators, `in` is one."""
        first = self.operand()
        if self.kind != ",":
            return first
        items = [first]
        while self.accept(","):
            if self.kind == "in":
                break
            items.append(self.operand())
        return TupleExpr(first.start, first.start, items, parenthesised=False)

    # Suffixes

    def _index(self, operand: Expr) -> Expr:
        start, pos = operand.start, self.advance().pos
        lo = None if self.kind == ":" else self.expression()
        if self.accept("]"):
            assert lo is not None
            return Index(start, pos, operand, lo)
        self.expect(":")
        hi = None if self.kind in {":", "]"} else self.test()
        step = None
        if self.accept(":"):
            step = None if self.kind == "]" else self.test()
        self.expect("]")
        return Slice(start, pos, operand, lo, hi, step)

    def _call(self, function: Expr) -> Expr:
        pos = self.advance().pos
        arguments: list[Argument] = []
        while self.kind != ")":
            arguments.append(self._argument())
            if self.kind in {")", "end of file"}:
                break
            self.expect(",")
        self.expect(")")
        return Call(function.start, pos, function, arguments)

    def _argument(self) -> Argument:
        start = self.pos
        if self.accept("*"):
            return Argument(start, start, "star", self.test())
        if self.accept("**"):
            return Argument(start, start, "starstar", self.test())
        value = self.test()
        if self.kind == "for":
            self.report_foreign("generator", start)
            clauses = self._clauses(")")
            value = Comprehension(start, start, value, clauses, False, [])
        if self.kind != "=":
            return Argument(start, start, "positional", value)
        if not isinstance(value, Name):
            hint = "to compare write =="
            raise self.fault("keyword argument must have form name=expr", hint=hint)
        self.advance()
        return Argument(start, start, "keyword", self.test(), value.name)

    # Functions

    def _lambda(self, *, conditional: bool) -> Expr:
        start = self.advance().pos
        parameters = self.parameters(":")
        self.expect(":")
        body = self.test(conditional=conditional)
        return Lambda(start, start, parameters, body)

    def parameters(self, close: str) -> list[Parameter]:
        """Parse parameters up to *close*, which stays."""
        found: list[Parameter] = []
        # The colon of a lambda ends its parameters.
        around, self._annotates = self._annotates, close == ")"
        while self.kind != close:
            if self.kind == "/":
                self.report_foreign("positional-only", self.advance().pos)
            else:
                found.append(self._parameter())
            if self.kind == close:
                break
            self.expect(",")
        self._annotates = around
        return found

    def _parameter(self) -> Parameter:
        start = self.pos
        if self.accept("*"):
            if self.kind in {",", ")", ":"}:
                return Parameter(start, start, "bare_star", None)
            return Parameter(start, start, "star", self._parameter_name())
        if self.accept("**"):
            return Parameter(start, start, "starstar", self._parameter_name())
        name = self._parameter_name()
        kind: Literal["plain", "default"] = "plain"
        default = None
        if self.accept("="):
            kind, default = "default", self.test()
        return Parameter(start, start, kind, name, default)

    def _parameter_name(self) -> Name:
        name = self.identifier()
        if self.kind == ":" and self._annotates:
            self.annotation()
        return name

    def annotation(self) -> None:
        """Report the type behind the colon or arrow that stands here."""
        self.report_foreign("annotation", self.pos)
        self.advance()
        self.accept(">")
        self.test()
