"""The language, chunk by chunk: `testdata/*.star`, written from its specification.

A file is an area.  Its chunks are separated by `---`; each is a script of its own and
names its rule in a comment, `### spec: section: rule`.  Three built-ins check:

    eq(x, y)                both are equal, and of the same type
    true(x)                 x is true
    fails(f, "text")        f() fails with a message that contains the text

A line that ends in `### "regex"` is where the chunk itself must fail, with a message
that the regex finds.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starflow_service.starlark import (
    EvalError,
    Failed,
    Meter,
    Outcome,
    Returned,
    ScriptSyntaxError,
    Sliced,
    Suspended,
    Thread,
    compile_program,
    ops,
)
from starflow_service.starlark import program as programs
from starflow_service.starlark.builtins import UNIVERSE
from starflow_service.starlark.faults import script_error
from starflow_service.starlark.values import Builtin, Dict, freeze, type_name
from tests.starlark.scripted_host import ScriptedHost

TESTDATA = Path(__file__).parent / "testdata"
EXPECTED = re.compile(r'### "((?:[^"\\]|\\.)*)"')
CHECK = re.compile(r"(?<![\w.\"])(eq|true|fails)\(")
MAIN = "\ndef main(ctx, input): pass\n"


@dataclass(frozen=True)
class Chunk:
    """One script, and the failure it asks for."""

    area: str
    line: int
    text: str
    error_line: int | None
    error: str

    @property
    def name(self) -> str:
        return f"{self.area}-{self.line}"

    @property
    def source(self) -> str:
        has_main = re.search(r"^def main\(", self.text, re.MULTILINE)
        return self.text if has_main else self.text + MAIN

    def check_lines(self) -> list[int]:
        """Return the lines that check something."""
        lines = enumerate(self.text.split("\n"), 1)
        return [n for n, line in lines if CHECK.search(line.partition("#")[0])]


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
            yield Chunk(path.stem, line, text, where, error.replace('\\"', '"'))
            line += text.count("\n") + 2


@dataclass
class Checks:
    """
    The built-ins that chunks check with.

    With *negated*, each fails where it would hold.  `lines` are where they were called,
    and `messages` are those of the failures that were asked for.
    """

    negated: bool = False
    lines: set[int] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)

    def universe(self) -> dict[str, Any]:
        return {
            **UNIVERSE,
            "eq": Builtin("eq", self._eq),
            "true": Builtin("true", self._true),
            "fails": Builtin("flow.fails", self._fails),
            "freeze": Builtin("freeze", _freeze),
        }

    def _eq(self, m: Meter, x: Any, y: Any, /) -> None:
        same = type_name(x) == type_name(y) and ops.eq(m, x, y)
        self._checked(m, same, f"{ops.repr_(m, x)} is not {ops.repr_(m, y)}")

    def _true(self, m: Meter, x: Any, /) -> None:
        self._checked(m, ops.truth(x), f"{ops.repr_(m, x)} is not true")

    def _fails(self, m: Meter, f: Any, text: str, /, *args: Any) -> None:
        message = self._message(m, f, args)
        self.messages.add(message or "")
        self._checked(m, message is not None and text in message, f"fails: {message!r}")

    def _message(self, m: Meter, f: Any, args: tuple[Any, ...]) -> str | None:
        """Return how a call fails, None if it does not."""
        try:
            ops.call(m, f, args)
        except Exception as error:
            # Compiled code reads elements and variables as Python does.
            return script_error(m, error).message
        return None

    def _checked(self, m: Meter, holds: bool, otherwise: str) -> None:
        self.lines.add(m.stack()[-1].pos.line)
        if holds is self.negated:
            raise EvalError(f"the check holds: {otherwise}" if holds else otherwise)


def _freeze(m: Meter, x: Any, /) -> Any:
    freeze(x)
    return x


@contextmanager
def offering(universe: dict[str, Any]) -> Iterator[None]:
    """Let scripts that are compiled meanwhile use the built-ins of *universe*."""
    names = vars(programs)
    usual = names["UNIVERSE"]
    names["UNIVERSE"] = universe
    try:
        yield
    finally:
        names["UNIVERSE"] = usual


def run(source: str, checks: Checks, *, waits: bool) -> Outcome:
    table = {
        "test.PingPong": lambda req: Dict({"message": "pong"}),
        "deep.er.name": lambda req: req,
    }
    with offering(checks.universe()):
        program = compile_program(source)
    started = Thread(program, ScriptedHost(table, waits=waits))
    outcome = started.start(lambda m: None)
    while isinstance(outcome, Suspended | Sliced):
        outcome = started.resume()
    return outcome


def failure(
    source: str, checks: Checks, *, waits: bool = False
) -> tuple[int, str] | None:
    """Return the line and the message of what went wrong, if anything."""
    try:
        outcome = run(source, checks, waits=waits)
    except ScriptSyntaxError as error:
        finding = error.diagnostics[0]
        return finding.pos.line, f"{finding.message} {finding.hint}"
    if isinstance(outcome, Failed):
        return outcome.error.stack[-1].pos.line, outcome.error.message
    assert isinstance(outcome, Returned), outcome
    return None


def fault(chunk: Chunk, source: str, *, waits: bool) -> str | None:
    """Return how *chunk* differs from what it says, if it does."""
    failed = failure(source, Checks(), waits=waits)
    if failed is None:
        return None if chunk.error_line is None else "the chunk did not fail"
    line, message = failed
    if line == chunk.error_line and re.search(chunk.error, message):
        return None
    return f"line {chunk.line + line - 1}: {message}"
