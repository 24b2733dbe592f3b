"""The language, chunk by chunk: `testdata/*.star`, written from its specification.

Chunks are separated by `---`.  Each is a script of its own; `eq` and `true` check.  A
line that ends in `### "regex"` is where the chunk must fail, in that line, with a
message that the regex finds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from starflow_service.starlark import (
    Failed,
    Outcome,
    Returned,
    ScriptSyntaxError,
    Sliced,
    Suspended,
    Thread,
    compile_program,
)
from starflow_service.starlark.codegen_scope import LEAN_CHARACTERS
from starflow_service.starlark.values import Dict
from tests.starlark.scripted_host import ScriptedHost

TESTDATA = Path(__file__).parent / "testdata"
EXPECTED = re.compile(r'### "((?:[^"\\]|\\.)*)"')

# Written in front of every chunk, and so taken off the lines that errors name.
PRELUDE = """\
def eq(x, y): x == y or fail("%r is not %r" % (x, y))
def true(x): x or fail("not true")
"""
MAIN = "\ndef main(ctx, input): pass\n"


@dataclass(frozen=True)
class Chunk:
    """One script, and the failure it asks for."""

    name: str
    source: str
    error_line: int | None
    error: str


def chunks() -> Iterator[Chunk]:
    for path in sorted(TESTDATA.glob("*.star")):
        line = 1
        for text in path.read_text(encoding="utf-8").split("\n---\n"):
            failing = [
                (number, match[1])
                for number, content in enumerate(text.split("\n"), 1)
                if (match := EXPECTED.search(content))
            ]
            assert len(failing) <= 1, f"{path.name}:{line}: one failure a chunk"
            where, error = failing[0] if failing else (None, "")
            yield Chunk(f"{path.stem}-{line}", text, where, error.replace('\\"', '"'))
            line += text.count("\n") + 2


def run(source: str, *, waits: bool) -> Outcome:
    table = {
        "test.PingPong": lambda req: Dict({"message": "pong"}),
        "deep.er.name": lambda req: req,
    }
    program = compile_program(source)
    thread = Thread(program, ScriptedHost(table, waits=waits))
    outcome = thread.start(lambda m: None)
    while isinstance(outcome, Suspended | Sliced):
        outcome = thread.resume()
    return outcome


def whole(chunk: Chunk) -> str:
    has_main = re.search(r"^def main\(", chunk.source, re.MULTILINE)
    return PRELUDE + chunk.source + ("" if has_main else MAIN)


def failure(source: str, *, waits: bool) -> tuple[int, str] | None:
    """Return the line in the chunk and the message of what went wrong, if anything."""
    try:
        outcome = run(source, waits=waits)
    except ScriptSyntaxError as error:
        finding = error.diagnostics[0]
        message = f"{finding.message} {finding.hint}"
        return finding.pos.line - PRELUDE.count("\n"), message
    if isinstance(outcome, Failed):
        lines = [
            frame.pos.line
            for frame in outcome.error.stack
            if frame.function not in ("eq", "true")
        ]
        return lines[-1] - PRELUDE.count("\n"), outcome.error.message
    assert isinstance(outcome, Returned), outcome
    return None


# A file that is longer than this is compiled without inline operations.
LONG = "\n#" + " " * LEAN_CHARACTERS


@pytest.mark.parametrize("mode", ["at once", "suspended", "long"])
@pytest.mark.parametrize("chunk", list(chunks()), ids=lambda chunk: chunk.name)
def test_chunk(chunk: Chunk, mode: str) -> None:
    source = whole(chunk) + (LONG if mode == "long" else "")
    failed = failure(source, waits=mode == "suspended")
    if chunk.error_line is None:
        assert failed is None
    else:
        assert failed is not None, "the chunk did not fail"
        line, message = failed
        assert line == chunk.error_line, message
        assert re.search(chunk.error, message)
