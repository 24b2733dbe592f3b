"""Parses a script into a syntax tree.

A statement that cannot be parsed is skipped and the next one tried; of a block with a
bad head the lines are parsed all the same.  So one reading finds most of the faults.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starflow_service.starlark.diagnostics import (
    Diagnostic,
    ScriptSyntaxError,
    bounded,
)
from starflow_service.starlark.expressions import ExpressionParser
from starflow_service.starlark.foreign import LOADABLE, module_hint
from starflow_service.starlark.scanner import Scan, scan
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
    Literal_,
    Load,
    LoadBinding,
    Name,
    Pass,
    Pos,
    Return,
    Stmt,
)
from starflow_service.starlark.tokens import RESERVED, Token, describe

_AUGMENTED: Final = frozenset(
    ["+=", "-=", "*=", "/=", "//=", "%=", "&=", "|=", "^=", "<<=", ">>="]
)
# Blocks of other languages, and what may go on with each.
_FOREIGN_BLOCKS: Final[dict[str, frozenset[str]]] = {
    "try": frozenset(["except", "else", "finally"]),
    "except": frozenset(["except", "else", "finally"]),
    "finally": frozenset(),
    "with": frozenset(),
    "class": frozenset(),
    "while": frozenset(["else"]),
    "match": frozenset(),
    "case": frozenset(["case"]),
    "switch": frozenset(),
    "elsif": frozenset(["else"]),
    "foreach": frozenset(),
    "unless": frozenset(["else"]),
    "until": frozenset(),
}
# Words that are names to Starlark, and begin statements or blocks elsewhere if a value
# or a name follows.
_FOREIGN_WORDS: Final = frozenset(
    [
        *("assert", "async", "await", "case", "const", "exec", "fn", "func"),
        *("elsif", "foreach", "function", "goto", "let", "match", "print"),
        *("switch", "type", "unless", "until", "var"),
    ]
)
_FOREIGN_LINES: Final = frozenset(
    [
        *("del", "exec", "from", "global", "goto", "import", "nonlocal", "raise"),
        "type",
    ]
)
_BEGINS_VALUE: Final = frozenset(
    [
        *("identifier", "int literal", "float literal", "string literal"),
        *("bytes literal", "not", "lambda"),
    ]
)
_LOAD_FORM: Final = 'write load("module", "name", local="other")'
_SIMPLE: Final[dict[str, type[Pass] | type[Break] | type[Continue]]] = {
    "pass": Pass,
    "break": Break,
    "continue": Continue,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What could be read of a text.

    `findings` are in the order of the text.  `lost` are names that may be bound in what
    was not understood.
    """

    file: File
    findings: list[Diagnostic]
    lost: frozenset[str]

    @property
    def errors(self) -> list[Diagnostic]:
        """The findings because of which it is no program."""
        return [found for found in self.findings if found.severity == "error"]


def parse(source: str, filename: str) -> File:
    """
    Return the syntax tree of *source*.

    Raises:
        ScriptSyntaxError: It is not a program; all its faults that could be found.
    """
    reading = read(source, filename)
    if errors := reading.errors:
        raise ScriptSyntaxError(filename, bounded(errors))
    return reading.file


def read(source: str, filename: str) -> Reading:
    """
    Return what can be read of *source*, as a tree without what cannot.

    Raises:
        ScriptSyntaxError: It is too large, or not a text at all.
    """
    parser = _Parser(scan(source, filename))
    try:
        file = File(filename, parser.file())
    except RecursionError:
        # The caller's own stack was nearly used up: the depth this parser allows fits
        # into Python's limit from any place where the service calls it.
        raise ScriptSyntaxError(filename, [too_deep(Pos(1, 1))]) from None
    findings = parser.findings
    if not findings or all(found.severity == "warning" for found in findings):
        shape = check_shape(file)
        if shape is not None:
            raise ScriptSyntaxError(filename, [shape])
    wrong = {found.pos.line for found in findings if found.severity == "error"}
    told = [f for f in findings if f.severity == "error" or f.pos.line not in wrong]
    told.sort(key=lambda found: found.pos)
    return Reading(file, told, frozenset(parser.lost))


class _Parser(ExpressionParser):
    """Parses statements off its tokens; what is wrong goes into `findings`."""

    def __init__(self, text: Scan) -> None:
        super().__init__(text.tokens, text.findings)
        self._matches = 0

    def file(self) -> list[Stmt]:
        """Parse everything."""
        body: list[Stmt] = []
        while self.kind != "end of file":
            self._statement(body)
        return body

    # Recovery

    def _statement(
        self, body: list[Stmt], parse: Callable[[list[Stmt]], None] | None = None
    ) -> None:
        """Parse one line, or one block statement, into *body*, perhaps by *parse*."""
        depth, start, place = self.depth, self.token, self.place
        try:
            (parse or self._line_or_block)(body)
        except Fault as fault:
            self.depth = depth
            self._report_fault(fault.finding, start)
            self._recover(start, place, body)

    def _report_fault(self, finding: Diagnostic, start: Token) -> None:
        """Report what ended a statement, unless it only follows from another fault."""
        if not self.is_told(start.pos, finding.pos):
            self.report(finding)

    def _recover(self, start: Token, place: int, body: list[Stmt]) -> None:
        """Go on behind the line of a fault; parse the block that it should begin."""
        if self.kind != "indent" and not (self.place > place and self._at_line_start()):
            self._skip_to_line_end()
        self.lost.update(self.names_since(place))
        if self.kind == "indent":
            inner: list[Stmt] = []
            self._block(inner)
            body.append(self._stand_in(start.kind, start.pos, inner))
        if start.kind in {"if", "elif", "for"} and self.kind in {"elif", "else"}:
            self._statement(body, self._rest_of_if)

    def _rest_of_if(self, body: list[Stmt]) -> None:
        """Parse what follows the block of an `if` whose head was not understood."""
        pos = self.pos
        if self.kind == "elif":
            body.append(self._if())
        elif self.accept("else"):
            body.append(self._stand_in("if", pos, self._suite()))

    def _skip_block_head(self, body: list[Stmt]) -> None:
        start, place = self.token, self.place
        self._skip_to_line_end()
        self.lost.update(self.names_since(place))
        if self.kind == "indent":
            inner: list[Stmt] = []
            self._block(inner)
            body.append(self._stand_in(start.kind, start.pos, inner))

    def _stand_in(self, kind: str, pos: Pos, body: list[Stmt]) -> Stmt:
        """Return a statement around *body* in which it means what it would have."""
        if kind == "def":
            return Def(pos, pos, Name(pos, pos, "_"), [], body)
        if kind in {"for", "while"}:
            return For(pos, pos, Name(pos, pos, "_"), Literal_(pos, pos, ""), body)
        return If(pos, pos, Literal_(pos, pos, ""), body, [])

    def _skip_to_line_end(self) -> None:
        while self.kind not in {"newline", "end of file"}:
            self.advance()
        self.accept("newline")

    def _at_line_start(self) -> bool:
        return self.previous.kind in {"newline", "outdent"}

    def _block(self, body: list[Stmt]) -> None:
        """Parse the lines from an indent to its outdent into *body*."""
        self.advance()
        self.enter()
        while self.kind not in {"outdent", "end of file"}:
            self._statement(body)
        self.depth -= 1
        self.accept("outdent")

    # What other languages have

    def _foreign(self, body: list[Stmt]) -> bool:
        """Parse a statement of another language if one stands here."""
        word = self.kind
        if word == "identifier":
            word = str(self.token.value)
            if word not in _FOREIGN_WORDS or not self._is_foreign_here(word):
                return False
        elif self.following.kind == "=" and word in RESERVED:
            hint = "choose another name"
            raise self.fault(f"{word} is a reserved word", hint=hint)
        if word in _FOREIGN_BLOCKS:
            if word != "case" or not self._matches:
                self.report_foreign(word, self.pos)
            self._foreign_block(word, body)
        elif word in _FOREIGN_LINES:
            self._foreign_line(word, body)
        elif word in {"function", "func", "fn"}:
            self.report_foreign(word, self.pos)
            body.append(self._def())
        else:
            return self._foreign_prefix(word, body)
        return True

    def _is_foreign_here(self, word: str) -> bool:
        following = self.following.kind
        if word == "case" and self._matches:
            return True
        if word == "async":
            return following in {"def", "for", "with"}
        return following in _BEGINS_VALUE or (word == "match" and following == "(")

    def _foreign_prefix(self, word: str, body: list[Stmt]) -> bool:
        """Report a word in front of what is a statement without it."""
        if word not in _FOREIGN_WORDS or word == "await":
            return False
        self.report_foreign(word, self.advance().pos)
        if word in {"assert", "print"}:
            pos = self.pos
            body.append(ExprStmt(pos, pos, self.expression()))
            self._end_of_line()
        else:
            self._line_or_block(body)
        return True

    def _foreign_line(self, word: str, body: list[Stmt]) -> None:
        pos, place = self.pos, self.place
        self._skip_to_line_end()
        names = list(self.names_since(place))
        if word == "import" and set(names) <= LOADABLE:
            # Its uses are looked at as if it had been loaded.
            for name in names:
                binding = LoadBinding(pos, pos, Name(pos, pos, name), name)
                body.append(Load(pos, pos, name, pos, [binding]))
        elif word in {"import", "from", "global", "nonlocal"}:
            self.lost.update(names)
        is_load = word in {"import", "from"} and bool(names)
        self.report_foreign(word, pos, hint=module_hint(names[0]) if is_load else "")

    def _foreign_block(self, word: str, body: list[Stmt]) -> None:
        """Parse the lines of a block, and of those that belong to it."""
        place = self.place
        self._matches += word in {"match", "switch"}
        self._skip_block_head(body)
        while self.kind in _FOREIGN_BLOCKS[word]:
            self._skip_block_head(body)
        self._matches -= word in {"match", "switch"}
        if self.depth == 0:
            # Names are bound once at the top level, but perhaps in two such blocks.
            self.lost.update(self.names_since(place))

    def _decorators(self) -> None:
        self.report_foreign("decorator", self.pos)
        while self.kind == "@":
            self._skip_to_line_end()

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
            case "@":
                self._decorators()
            case "indent":
                hint = "no line before it opened a block"
                self.report(self.fault("unexpected indent", hint=hint).finding)
                self._block(body)
            case _:
                if not self._foreign(body):
                    self._line(body)

    def _line(self, body: list[Stmt]) -> None:
        """Parse the simple statements of one line."""
        while True:
            body.append(self._simple())
            if not self.accept(";") or self.kind in {"newline", "end of file"}:
                break
        self._end_of_line()

    def _end_of_line(self) -> None:
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
        return self._assignment_or_expression()

    def _assignment_or_expression(self) -> Stmt:
        target = self.expression()
        if self.kind == ":" and self.following.kind in _BEGINS_VALUE:
            self.annotation()
            if isinstance(target, Name):
                self.lost.add(target.name)
        pos = self.pos
        if self.accept("="):
            return self._assignment(target, pos)
        if self.kind in _AUGMENTED:
            op = self.advance().kind[:-1]
            return AugmentedAssign(target.start, pos, target, op, self.expression())
        return ExprStmt(target.start, target.start, target)

    def _assignment(self, target: Expr, pos: Pos) -> Assign:
        value = self.expression()
        while self.kind == "=":
            if self.following.kind == ">":
                raise self.foreign_fault("=>")
            self.report_foreign("chained assignment", self.pos)
            self.advance()
            if isinstance(value, Name):
                self.lost.add(value.name)
            value = self.expression()
        return Assign(target.start, pos, target, value)

    def _def(self) -> Def:
        pos = self.advance().pos
        name = self.identifier()
        self.expect("(")
        parameters = self.parameters(")")
        self.expect(")")
        if self.at_pair("-", ">"):
            self.annotation()
        return Def(pos, pos, name, parameters, self._suite())

    def _if(self) -> If:
        """Parse an `if` with its `elif`s, each of which becomes an If of its own."""
        arms: list[tuple[Pos, Expr, list[Stmt]]] = []
        while self.kind in {"if", "elif"}:
            pos = self.advance().pos
            arms.append((pos, self._condition(), self._suite()))
            if self.kind == "else" and self.following.kind == "if":
                self.report(self.fault("got if, want ':'", hint="write elif").finding)
                self.advance()
            elif self.kind != "elif":
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
        loop = For(pos, pos, target, iterable, self._suite())
        if self.kind == "else":
            self.report_foreign("for-else", self.advance().pos)
            loop.body += self._suite()
        return loop

    def _condition(self) -> Expr:
        test = self.test()
        if self.kind == "=":
            hint = "to compare write =="
            self.report(self.fault("got '=', want ':'", hint=hint).finding)
            self.advance()
            self.test()
        return test

    def _suite(self) -> list[Stmt]:
        """Parse the colon and the block after it."""
        self.expect(":")
        body: list[Stmt] = []
        if self.kind != "newline":
            self._line(body)
            return body
        self.advance()
        if self.kind != "indent":
            raise self.unexpected("indent")
        self._block(body)
        return body

    # Loads

    def _load(self) -> Load:
        pos = self.advance().pos
        self.expect("(")
        if self.kind != "string literal":
            message = "first operand of load statement must be a string literal"
            raise self.fault(message, hint=_LOAD_FORM, code="BAD_LOAD")
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
        return self.fault(message, hint=_LOAD_FORM, code="BAD_LOAD")

    def _expect_exported(self, token: Token, local: str) -> None:
        if not self.accept("="):
            message = f'load operand must be "{local}" or {local}="originalname"'
            hint = "put quotes around the names that are loaded"
            raise self.fault(message, pos=token.pos, hint=hint, code="BAD_LOAD")
        if self.kind != "string literal":
            message = (
                f'original name of loaded symbol must be quoted: {local}="originalname"'
            )
            raise self.fault(message, hint=_LOAD_FORM, code="BAD_LOAD")
