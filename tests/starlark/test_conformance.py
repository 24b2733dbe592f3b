"""Every chunk of the conformance files behaves as it says, and could fail to."""

import pytest

from starflow_service.starlark.codegen_scope import LEAN_CHARACTERS
from tests.starlark.conformance import Checks, Chunk, chunks, failure, fault

CHUNKS = list(chunks())
CHECKING = [chunk for chunk in CHUNKS if chunk.error_line is None]

# A file that is longer than this is compiled without inline operations.
LONG = "\n#" + " " * LEAN_CHARACTERS


def by_name(chunk: Chunk) -> str:
    return chunk.name


@pytest.mark.parametrize("mode", ["at once", "suspended", "long"])
@pytest.mark.parametrize("chunk", CHUNKS, ids=by_name)
def test_chunk(chunk: Chunk, mode: str) -> None:
    source = chunk.source + (LONG if mode == "long" else "")
    assert fault(chunk, source, waits=mode == "suspended") is None


@pytest.mark.parametrize("chunk", CHECKING, ids=by_name)
def test_every_check_of_a_chunk_is_made(chunk: Chunk) -> None:
    checks = Checks()
    assert failure(chunk.source, checks, waits=False) is None
    assert checks.lines == set(chunk.check_lines())


@pytest.mark.parametrize("chunk", CHECKING, ids=by_name)
def test_a_chunk_whose_checks_are_negated_fails(chunk: Chunk) -> None:
    if not chunk.check_lines():
        # That it compiles is what it shows: it fails when what it loads is gone.
        broken = failure(chunk.source.replace('load("', 'load("no_'), Checks())
        assert broken is not None
        return
    failed = failure(chunk.source, Checks(negated=True))
    assert failed is not None
    assert failed[1].startswith("the check holds")


@pytest.mark.parametrize("chunk", CHUNKS, ids=by_name)
def test_every_chunk_names_its_rule(chunk: Chunk) -> None:
    if not chunk.area.startswith("modules"):  # these are no part of the specification
        assert chunk.text.startswith("### spec: ")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("eq(1, 2)", "1 is not 2"),
        ("eq(1, 1.0)", "1 is not 1.0"),
        ("eq([1], (1,))", "[1] is not (1,)"),
        ("true(0)", "0 is not true"),
        ('fails(lambda: 1, "")', "fails: None"),
        ('fails(lambda: [][0], "another")', "index 0 out of range: empty list"),
    ],
)
def test_a_check_that_does_not_hold_fails(check: str, message: str) -> None:
    source = f"{check}\ndef main(ctx, input): pass\n"
    failed = failure(source, Checks())
    assert failed is not None
    assert message in failed[1]


@pytest.mark.parametrize(
    "text",
    [
        'x = 1 ### "never fails"',
        'x = [][0] ### "another message"',
        'x = [][0]\ny = 1 ### "index 0 out of range"',
    ],
)
def test_a_failure_that_is_not_as_announced_is_a_fault(text: str) -> None:
    lines = text.split("\n")
    line = next(n for n, content in enumerate(lines, 1) if "###" in content)
    chunk = Chunk("sample", 1, text, line, text.split('"')[1])
    assert fault(chunk, chunk.source, waits=False) is not None
