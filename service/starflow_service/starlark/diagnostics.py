"""Findings about a script's text, made before it runs."""

from dataclasses import dataclass
from typing import Literal

from starflow_service.starlark.syntax import Pos


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: where, how bad, a stable code, a message, and how to mend it."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    pos: Pos
    hint: str = ""


class ScriptSyntaxError(Exception):
    """
    The text is not a program.

    `diagnostics` holds at least one error, in the order of the text.
    """

    def __init__(self, filename: str, diagnostics: list[Diagnostic]) -> None:
        first = diagnostics[0]
        line, column = first.pos
        super().__init__(f"{filename}:{line}:{column}: {first.message}")
        self.filename = filename
        self.diagnostics = diagnostics
