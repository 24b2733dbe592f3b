"""Tokens, and the caps on a script's text."""

from typing import Final, NamedTuple

from starflow_service.starlark.diagnostics import Diagnostic
from starflow_service.starlark.syntax import Pos

# Compiling is CPU that no meter sees, so the text is bounded before anything reads it.
SOURCE_BYTES_MAX: Final = 256 * 1024
TOKENS_MAX: Final = 200_000
INDENTS_MAX: Final = 100
BRACKETS_MAX: Final = 100

KEYWORDS: Final = frozenset(
    [
        "and",
        "break",
        "continue",
        "def",
        "elif",
        "else",
        "for",
        "if",
        "in",
        "lambda",
        "load",
        "not",
        "or",
        "pass",
        "return",
        "while",
    ]
)

# Words that Starlark keeps for itself without giving them a meaning.
RESERVED: Final = frozenset(
    [
        "as",
        "class",
        "del",
        "except",
        "finally",
        "from",
        "global",
        "import",
        "is",
        "nonlocal",
        "raise",
        "try",
        "with",
        "yield",
    ]
)

NAMED_KINDS: Final = frozenset(
    [
        "identifier",
        "int literal",
        "float literal",
        "string literal",
        "bytes literal",
        "newline",
        "indent",
        "outdent",
        "end of file",
        "error",
    ]
)


class Token(NamedTuple):
    """
    One token.

    `kind` is the text of an operator or keyword, or one of NAMED_KINDS.  `value` is the
    name of an identifier, the value of a literal, a Diagnostic, or None.
    """

    kind: str
    value: int | float | str | bytes | Diagnostic | None
    pos: Pos


def describe(kind: str) -> str:
    """Return the kind of a token as error messages show it."""
    if kind in NAMED_KINDS or kind in KEYWORDS or kind in RESERVED:
        return kind
    return f"'{kind}'"
