"""Parses a script into a syntax tree.

A statement that cannot be parsed is skipped and the next one tried, so that one reading
finds several faults.
"""

from typing import Final

from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.expressions import ExpressionParser
from starflow_service.starlark.hints import reserved_hint
from starflow_service.starlark.scanner import scan
from starflow_service.starlark.shape import check_shape, too_deep
from starflow_service.starlark.stream import Fault
from starflow_service.starlark.syntax import (
    Assign,
    AugmentedAssign,
    Break,
    Continue,
    Def,
    Expr,
    ExprStmt,
    File,
    For,
    If,
    Load,
    LoadBinding,
    Name,
    Pass,
    Pos,
    Return,
    Stmt,
)
from starflow_service.starlark.tokens import RESERVED, Token, describe

_FINDINGS_MAX: Final = 20

_AUGMENTED: Final = frozenset(
    ["+=", "-=", "*=", "/=", "//=", "%=", "&=", "|=", "^=", "<<=", ">>="]
)
# What an `else` may belong to, here or in Python.
_WITH_ELSE: Final = frozenset(["elif", "for", "if", "while"])
_SIMPLE: Final[dict[str, type[Pass] | type[Break] | type[Continue]]] = {
    "pass": Pass,
    "break": Break,
    "continue": Continue,
}


def parse(source: str, filename: str) -> File:
    """
    Return the syntax tree of *source*.

    Raises:
        ScriptSyntaxError: It is not a program; its first 20 faults, in order.
    """
    parser = _Parser(scan(source, filename))
    try:
        file = File(filename, parser.file())
        findings = parser.findings
    except RecursionError:
        # The caller's own stack was nearly used up: the depth this parser allows fits
        # into Python's limit from any place where the service calls it.
        findings = [too_deep(Pos(1, 1))]
    if not findings:
        shape = check_shape(file)
        findings = [] if shape is None else [shape]
    if findings:
        raise ScriptSyntaxError(filename, findings)
    return file


class _Parser(ExpressionParser):
    """Parses statements off its tokens; what it cannot parse goes into `findings`."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.findings: list[Diagnostic] = []

    def file(self) -> list[Stmt]:
        """Parse everything."""
        body: list[Stmt] = []
        while self.kind != "end of file":
            self._statement(body)
        return body

    # Recovery

    def _statement(self, body: list[Stmt]) -> None:
        """Parse one line, or one block statement, into *body*."""
        depth, start = self.depth, self.token
        try:
            self._line_or_block(body)
        except Fault as fault:
            self.depth = depth
            self._report(fault.finding)
            self._skip(start)

    def _report(self, finding: Diagnostic) -> None:
        self.findings.append(finding)
        if len(self.findings) == _FINDINGS_MAX:
            self.stop()

    def _skip(self, start: Token) -> None:
        """Go to where the next statement begins: past this line and its blocks."""
        self._skip_line(start)
        if start.kind in _WITH_ELSE or start.kind in RESERVED:
            while self.kind in {"elif", "else"}:
                self._skip_line(self.token)

    def _skip_line(self, start: Token) -> None:
        if self.kind == "indent":
            self._skip_block()
            return
        if self.token is not start and self._at_line_start():
            return
        while self.kind not in {"newline", "end of file"}:
            self.advance()
        self.accept("newline")
        if self.kind == "indent":
            self._skip_block()

    def _at_line_start(self) -> bool:
        return self.previous.kind in {"newline", "outdent"}

    def _skip_block(self) -> None:
        level = 0
        while self.kind != "end of file":
            kind = self.advance().kind
            level += (kind == "indent") - (kind == "outdent")
            if level == 0:
                return

    # Statements

    def _line_or_block(self, body: list[Stmt]) -> None:
        match self.kind:
            case "newline":
                self.advance()
            case "def":
                body.append(self._def())
            case "if":
                body.append(self._if())
            case "for":
                body.append(self._for())
            case "while":
                self._while()
            case _:
                self._line(body)

    def _line(self, body: list[Stmt]) -> None:
        """Parse the simple statements of one line."""
        while True:
            body.append(self._simple())
            if not self.accept(";") or self.kind in {"newline", "end of file"}:
                break
        if self.kind != "end of file":
            self.expect("newline")

    def _simple(self) -> Stmt:
        pos = self.pos
        if self.kind == "return":
            self.advance()
            has_value = self.kind not in {"newline", ";", "end of file"}
            return Return(pos, pos, self.expression() if has_value else None)
        if self.kind in _SIMPLE:
            return _SIMPLE[self.advance().kind](pos, pos)
        if self.kind == "load":
            return self._load()
        if self.kind in RESERVED:
            raise self._reserved()
        return self._assignment_or_expression()

    def _reserved(self) -> Fault:
        word = self.kind
        hint = reserved_hint(word)
        return self.fault(
            f"{word} is not part of Starlark", hint=hint, code="NOT_STARLARK"
        )

    def _assignment_or_expression(self) -> Stmt:
        target = self.expression()
        pos = self.pos
        if self.accept("="):
            return Assign(target.start, pos, target, self.expression())
        if self.kind in _AUGMENTED:
            op = self.advance().kind[:-1]
            return AugmentedAssign(target.start, pos, target, op, self.expression())
        return ExprStmt(target.start, target.start, target)

    def _def(self) -> Def:
        pos = self.advance().pos
        name = self.identifier()
        self.expect("(")
        parameters = self.parameters(")")
        self.expect(")")
        return Def(pos, pos, name, parameters, self._suite())

    def _if(self) -> If:
        """Parse an `if` with its `elif`s, each of which becomes an If of its own."""
        arms: list[tuple[Pos, Expr, list[Stmt]]] = []
        while self.kind in {"if", "elif"}:
            pos = self.advance().pos
            test = self.test()
            arms.append((pos, test, self._suite()))
            if self.kind != "elif":
                break
        orelse: list[Stmt] = self._suite() if self.accept("else") else []
        while True:
            pos, test, body = arms.pop()
            statement = If(pos, pos, test, body, orelse)
            if not arms:
                return statement
            orelse = [statement]

    def _for(self) -> For:
        pos = self.advance().pos
        target = self.loop_target()
        self.expect("in")
        iterable = self.expression()
        return For(pos, pos, target, iterable, self._suite())

    def _while(self) -> None:
        """Report a `while`, and look into it for further faults."""
        finding = self.fault(
            "dialect does not support while loops",
            hint=reserved_hint("while"),
            code="NOT_STARLARK",
        ).finding
        self._report(finding)
        if self.kind == "while":
            self.advance()
            self.test()
            self._suite()

    def _suite(self) -> list[Stmt]:
        """Parse the colon and the block after it."""
        self.expect(":")
        body: list[Stmt] = []
        if self.kind != "newline":
            self._line(body)
            return body
        self.advance()
        self.expect("indent")
        self.enter()
        while self.kind not in {"outdent", "end of file"}:
            self._statement(body)
        self.depth -= 1
        self.accept("outdent")
        return body

    # Loads

    def _load(self) -> Load:
        pos = self.advance().pos
        self.expect("(")
        if self.kind != "string literal":
            message = "first operand of load statement must be a string literal"
            raise self.fault(message, code="BAD_LOAD")
        module_pos, module = self.pos, str(self.advance().value)
        bindings: list[LoadBinding] = []
        while self.kind not in {")", "end of file"}:
            self.expect(",")
            if self.kind == ")":
                break
            bindings.append(self._load_binding())
        self.expect(")")
        if not bindings:
            message = "load statement must import at least 1 symbol"
            hint = f'for the whole module write load("{module}", "{module}")'
            raise self.fault(message, pos=pos, hint=hint, code="BAD_LOAD")
        return Load(pos, pos, module, module_pos, bindings)

    def _load_binding(self) -> LoadBinding:
        token = self.token
        text, pos = str(token.value), token.pos
        if self.accept("string literal"):
            # The name begins after the quote.
            name_pos = Pos(pos.line, pos.column + 1)
            return LoadBinding(pos, pos, Name(name_pos, name_pos, text), text)
        if not self.accept("identifier"):
            raise self._bad_load_operand()
        self._expect_exported(token, text)
        exported = str(self.advance().value)
        return LoadBinding(pos, pos, Name(pos, pos, text), exported)

    def _bad_load_operand(self) -> Fault:
        if self.kind == "error":
            return self.unexpected("string literal")
        got = describe(self.kind)
        message = f'load operand must be "name" or localname="name" (got {got})'
        return self.fault(message, code="BAD_LOAD")

    def _expect_exported(self, token: Token, local: str) -> None:
        if not self.accept("="):
            message = f'load operand must be "{local}" or {local}="originalname"'
            raise self.fault(message, pos=token.pos, code="BAD_LOAD")
        if self.kind != "string literal":
            message = (
                f'original name of loaded symbol must be quoted: {local}="originalname"'
            )
            raise self.fault(message, code="BAD_LOAD")
