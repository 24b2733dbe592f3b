"""Reads files of small scripts that say themselves which errors they have.

Chunks are divided by lines of `---` and begin with a comment, their title.  A line that
ends in `### "message"` has an error with that message there.  An error on a line of
which nothing is left for a comment is announced by `###+ "message"` on the line before,
by `###+2 "message"` two lines before.  `-> "hint"` may follow.  Of messages and hints
any part will do.
"""

import re
from pathlib import Path
from typing import NamedTuple

from starflow_service.starlark.diagnostics import Diagnostic

TESTDATA = Path(__file__).parent / "testdata" / "static"

_EXPECTATION = re.compile(
    r"""\#\#\#(?P<offset>\+\d*)?\ (?P<quote>["`])(?P<message>.*?)(?P=quote)
    (?:\ ->\ (?P<quote2>["`])(?P<hint>.*?)(?P=quote2))?""",
    re.VERBOSE,
)


class Expected(NamedTuple):
    """One error that a chunk announces."""

    line: int
    message: str
    hint: str


class Chunk(NamedTuple):
    """One small script."""

    title: str
    source: str
    expected: list[Expected]


def read_chunks(name: str) -> list[Chunk]:
    """Return the chunks of the file *name* in testdata/static."""
    text = (TESTDATA / name).read_text("utf-8")
    return [_chunk(source) for source in re.split(r"(?m)^---\n", text)]


def _chunk(source: str) -> Chunk:
    title, _, _ = source.partition("\n")
    assert title.startswith("# "), f"a chunk begins with its title, not {title!r}"
    expected: list[Expected] = []
    for number, line in enumerate(source.split("\n"), 1):
        for match in _EXPECTATION.finditer(line):
            offset = match["offset"] or "+0"
            below = int(offset[1:] or "1")
            message, hint = match["message"], match["hint"] or ""
            expected.append(Expected(number + below, message, hint))
    return Chunk(title[2:], source, sorted(expected))


def mismatches(chunk: Chunk, found: list[Diagnostic]) -> list[str]:
    """Return in words how *found* differs from what *chunk* announces."""
    missing = list(chunk.expected)
    wrong: list[str] = []
    for finding in found:
        for expected in missing:
            if _fits(expected, finding):
                missing.remove(expected)
                break
        else:
            line, column = finding.pos
            text = f"{finding.message!r} -> {finding.hint!r}"
            wrong.append(f"not announced at {line}:{column}: {text}")
    return wrong + [f"not found: {expected}" for expected in missing]


def _fits(expected: Expected, finding: Diagnostic) -> bool:
    return (
        finding.pos.line == expected.line
        and expected.message in finding.message
        and expected.hint in finding.hint
    )
