"""The tokens of a script as its parser consumes them."""

from collections.abc import Container, Iterator
from typing import Final

from starflow_service.starlark.diagnostics import Diagnostic
from starflow_service.starlark.foreign import foreign
from starflow_service.starlark.hints import hint_for
from starflow_service.starlark.syntax import Pos
from starflow_service.starlark.tokens import Token, describe

# More are not collected, however many a text has.
_FINDINGS_MAX: Final = 1_000


class Fault(Exception):
    """The statement being parsed cannot be; the parser goes on with another one."""

    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(finding.message)
        self.finding = finding


class TokenStream:
    """
    A list of tokens and a place in it.

    `kind` is the kind of the token at that place, kept apart because it is read far
    more often than the place changes.
    """

    def __init__(self, tokens: list[Token], findings: list[Diagnostic]) -> None:
        self._tokens = tokens
        self._next = 0
        self.kind = tokens[0].kind
        self.findings = findings
        self._errors: dict[int, list[Pos]] = {}
        for finding in findings:
            self._note(finding)

    def report(self, finding: Diagnostic) -> None:
        """Note a fault, after which parsing goes on where it is."""
        self.findings.append(finding)
        self._note(finding)
        if len(self.findings) >= _FINDINGS_MAX:
            self.stop()

    def _note(self, finding: Diagnostic) -> None:
        if finding.severity == "error":
            self._errors.setdefault(finding.pos.line, []).append(finding.pos)

    def is_told(self, first: Pos, last: Pos) -> bool:
        """Tell whether there is an error in the line of *last*, from *first* on."""
        places = self._errors.get(last.line, ())
        return any(first <= place <= last for place in places)

    def report_foreign(self, what: str, pos: Pos, *, hint: str = "") -> None:
        """Note something that Starlark has not, by its key in the table of these."""
        self.report(foreign(what, pos, hint=hint))

    @property
    def token(self) -> Token:
        """The token at this place; the last one is "end of file" for ever."""
        return self._tokens[self._next]

    @property
    def previous(self) -> Token:
        """The token before this place, or the first one."""
        return self._tokens[max(0, self._next - 1)]

    @property
    def pos(self) -> Pos:
        """Where the token at this place stands."""
        return self._tokens[self._next].pos

    @property
    def place(self) -> int:
        """The number of this place, for `names_since`."""
        return self._next

    @property
    def following(self) -> Token:
        """The token after this place."""
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)]

    def names_since(self, place: int) -> Iterator[str]:
        """Yield the identifiers from *place* up to this one."""
        for token in self._tokens[place : self._next]:
            if token.kind == "identifier":
                yield str(token.value)

    def at_pair(self, first: str, second: str) -> bool:
        """Tell whether two tokens stand here without a space between them."""
        if self.kind != first:
            return False
        token, following = self.token, self.following
        line, column = token.pos
        return following.kind == second and following.pos == (line, column + len(first))

    def is_doubled(self, kinds: Container[str]) -> bool:
        """Tell whether the two tokens before this place are of the same of *kinds*."""
        before = self._tokens[max(0, self._next - 2) : self._next]
        return len({token.kind for token in before}) == 1 and before[0].kind in kinds

    def advance(self) -> Token:
        """Return the token at this place and go to the next."""
        token = self._tokens[self._next]
        if self._next < len(self._tokens) - 1:
            self._next += 1
        self.kind = self._tokens[self._next].kind
        return token

    def stop(self) -> None:
        """Go to the end: nothing more is worth reading."""
        self._next = len(self._tokens) - 1
        self.kind = "end of file"

    def accept(self, kind: str) -> bool:
        """Go to the next token if this one is of *kind*, and tell whether."""
        if self.kind != kind:
            return False
        self.advance()
        return True

    def expect(self, kind: str) -> Token:
        """
        Return the token at this place and go to the next.

        Raises:
            Fault: It is not of *kind*.
        """
        if self.kind != kind:
            raise self.unexpected(describe(kind))
        return self.advance()

    def unexpected(self, want: str) -> Fault:
        """Return the fault of a token that stands where *want* should."""
        token = self.token
        if isinstance(token.value, Diagnostic):
            return Fault(token.value)
        message = f"got {describe(token.kind)}, want {want}"
        hint = hint_for(self._tokens, self._next, want)
        return self.fault(message, hint=hint)

    def fault(
        self, message: str, *, pos: Pos | None = None, hint: str = "", code: str = ""
    ) -> Fault:
        """Return a fault at *pos*, or at this place."""
        at = self.pos if pos is None else pos
        return Fault(Diagnostic("error", code or "SYNTAX", message, at, hint))

    def foreign_fault(self, what: str) -> Fault:
        """Return the fault of something here that Starlark has not, by its key."""
        return Fault(foreign(what, self.pos))
