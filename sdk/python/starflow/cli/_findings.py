"""The picture of what is wrong with a script: its line, and a caret under the place."""

import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import TextIO

from starflow._model import Diagnostic, Validation
from starflow.cli._scripts import Given

_BOLD, _RED, _YELLOW, _DIM, _RESET = (
    "\033[1m",
    "\033[31m",
    "\033[33m",
    "\033[2m",
    "\033[0m",
)
_COLOURS = {"ERROR": _RED, "WARNING": _YELLOW}
# Of a longer line only what is around the place is shown.
_LINE_MAX = 120
_MARGIN = 40


def show(
    given: Given, findings: Sequence[Diagnostic], stream: TextIO | None = None
) -> None:
    """Print *findings* about a script, each with its line and a caret."""
    stream = sys.stdout if stream is None else stream
    paint = _painter(stream)
    for each in findings:
        place = given.place(each.file)
        place += f":{each.line}:{each.column}" if each.line else ""
        severity = paint(f"{each.severity.lower()}:", _COLOURS.get(each.severity, ""))
        code = paint(f"[{each.code}]", _DIM)
        print(
            f"{paint(place + ':', _BOLD)} {severity} {each.message} {code}", file=stream
        )
        lines = given.lines(each.file)
        if 0 < each.line <= len(lines):
            line, blank = _excerpt(lines[each.line - 1], max(each.column, 1) - 1)
            caret = paint("^", _COLOURS.get(each.severity, ""))
            print(f"    {line}\n    {blank}{caret}", file=stream)
        if each.hint:
            print(f"    {each.hint}", file=stream)


def summary(given: Given, found: Validation) -> str:
    """Return what came out, in one line."""
    counts = counted(found.diagnostics)
    if not found.valid:
        return f"{given.name}: {counts or 'not valid'}"
    functions = ", ".join(found.functions) or "no functions"
    return f"{given.name}: valid, {f'{counts}, ' if counts else ''}calls {functions}"


def counted(findings: Sequence[Diagnostic]) -> str:
    """Return how many errors and warnings there are, in words; "" if there are none."""
    parts = []
    for severity in ("ERROR", "WARNING"):
        count = sum(each.severity == severity for each in findings)
        if count:
            word = severity.lower()
            parts.append(f"{count} {word}{'' if count == 1 else 's'}")
    return ", ".join(parts)


def _painter(stream: TextIO) -> "_Painter":
    # https://no-color.org: any value but an empty one asks for none.
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return _Painter(wanted and stream.isatty())


class _Painter:
    """Puts colours around words, if there is a terminal to show them."""

    def __init__(self, is_on: bool) -> None:
        self._is_on = is_on

    def __call__(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_RESET}" if self._is_on and colour else text


def _excerpt(line: str, column: int) -> tuple[str, str]:
    """Return *line* as a terminal may show it, and what puts a caret under *column*."""
    prefix = ""
    if len(line) > _LINE_MAX:
        start = max(0, column - _LINE_MAX + _MARGIN)
        end = start + _LINE_MAX
        prefix = "..." if start else ""
        line = line[start:end] + ("..." if end < len(line) else "")
        column -= start
    blank = "".join(_blank(character) for character in line[:column])
    return prefix + _harmless(line), " " * len(prefix) + blank


def _blank(character: str) -> str:
    # A tab stays a tab, so that the caret stands where the terminal puts the character.
    return "\t" if character == "\t" else " " * _width(character)


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _harmless(line: str) -> str:
    # A script may be anybody's, and terminals obey control characters.
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(c) == "Cc" and c != "\t"
        else c
        for c in line
    )
