"""Findings about a script's text, made before it runs."""

from dataclasses import dataclass
from typing import Final, Literal

from starflow_service.starlark.syntax import Pos

_TEXT_MAX: Final = 500
FINDINGS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """
    One finding: where, how bad, a stable code, a message, and how to mend it.

    Message and hint may quote the script: they are cut at 500 characters, and what
    would not print is escaped.
    """

    severity: Literal["error", "warning"]
    code: str
    message: str
    pos: Pos
    hint: str = ""
    # Of a script of several files: the path of the one it is about.
    file: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", _printable(self.message))
        object.__setattr__(self, "hint", _printable(self.hint))


def warning(code: str, message: str, pos: Pos, hint: str = "") -> Diagnostic:
    """Return a finding that does not keep the script from being run."""
    return Diagnostic("warning", code, message, pos, hint)


def _printable(text: str) -> str:
    if len(text) > _TEXT_MAX:
        text = f"{text[: _TEXT_MAX - 3]}..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class ScriptSyntaxError(Exception):
    """
    The text is not a program.

    `diagnostics` holds at least one error, in the order of the text.
    """

    def __init__(self, filename: str, diagnostics: list[Diagnostic]) -> None:
        first = diagnostics[0]
        line, column = first.pos
        place = f"{first.file or filename}:{line}:{column}"
        super().__init__(f"{place}: {first.message}")
        self.filename = filename
        self.diagnostics = diagnostics


def bounded(findings: list[Diagnostic]) -> list[Diagnostic]:
    """
    Return the first 100 of *findings*, and one more that counts the others.

    Errors are kept before warnings, and the order stays.
    """
    if len(findings) <= FINDINGS_MAX:
        return findings
    # A stable sort by severity: "error" comes before "warning".
    places = sorted(range(len(findings)), key=lambda i: findings[i].severity)
    kept = [findings[i] for i in sorted(places[:FINDINGS_MAX])]
    left = findings[sorted(places[FINDINGS_MAX:])[0]]
    message = f"and {len(findings) - FINDINGS_MAX} more findings"
    kept.append(Diagnostic(left.severity, "MORE", message, left.pos, file=left.file))
    return kept
