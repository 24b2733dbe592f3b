"""Which tokens, values and faults a text gives."""

import pytest

from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.parser import parse
from starflow_service.starlark.scanner import scan
from starflow_service.starlark.syntax import Pos
from starflow_service.starlark.tokens import (
    BRACKETS_MAX,
    INDENTS_MAX,
    SOURCE_BYTES_MAX,
    TOKENS_MAX,
)
from tests.starlark.chunks import Chunk, mismatches, read_chunks

N = "int literal"


def kinds(source: str) -> list[str]:
    return [token.kind for token in scan(source, "f.star").tokens][:-1]


def value(literal: str) -> object:
    token, end = scan(literal, "f.star").tokens
    assert end.kind == "end of file"
    return token.value


def fault(source: str) -> Diagnostic:
    with pytest.raises(ScriptSyntaxError) as caught:
        parse(source, "f.star")
    return caught.value.diagnostics[0]


@pytest.mark.parametrize("chunk", read_chunks("scanner.star"), ids=lambda c: c.title)
def test_texts_have_the_faults_they_announce(chunk: Chunk) -> None:
    found: list[Diagnostic] = []
    try:
        parse(chunk.source, "f.star")
    except ScriptSyntaxError as error:
        found = error.diagnostics
    assert mismatches(chunk, found) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a//=b", ["identifier", "//=", "identifier"]),
        ("1>>=2>>3>=4", [N, ">>=", N, ">>", N, ">=", N]),
        ("**a", ["**", "identifier"]),
        ("a!=-1", ["identifier", "!=", "-", "int literal"]),
        ("notx not x", ["identifier", "not", "identifier"]),
        ("x.1", ["identifier", "float literal"]),
        ("x.y", ["identifier", ".", "identifier"]),
        ("1.x", ["float literal", "identifier"]),
        ("rb'' br''", ["bytes literal", "bytes literal"]),
        ("f'{a['b']}' c", ["string literal", "identifier"]),
        ("x in'a'", ["identifier", "in", "string literal"]),
        ("''''''", ["string literal"]),
        ("'' ''", ["string literal", "string literal"]),
        ("# only a comment", []),
        ("\n\n  # deep\n\n", []),
        ("a\n\n\nb", ["identifier", "newline", "identifier"]),
        ("1:\n 2\n", [N, ":", "newline", "indent", N, "newline", "outdent"]),
        ("1:\n 2", [N, ":", "newline", "indent", N, "newline", "outdent"]),
        ("(a\n  b\n)", ["(", "identifier", "identifier", ")"]),
        ("a\\\nb", ["identifier", "identifier"]),
        ("ª_1 ñ", ["identifier", "identifier"]),
    ],
)  # fmt: skip
def test_texts_are_cut_into_tokens(source: str, expected: list[str]) -> None:
    assert kinds(source) == expected


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("0", 0),
        ("00", 0),
        ("12345678901234567890", 12345678901234567890),
        ("0X1f", 31),
        ("0O17", 15),
        ("0B101", 5),
        ("1.", 1.0),
        (".5e1", 5.0),
        ("1E-2", 0.01),
        (r'"\a\b\f\n\r\t\v\\\'\""', "\a\b\f\n\r\t\v\\'\""),
        (r'"\0\101\x41\u00e9\U0001F600"', "\0AAé😀"),
        ('"a\\\nb"', "ab"),
        (r'r"\n\""', r"\n\""),
        ('"""a\n"b""c"""', 'a\n"b""c'),
        ("'''\\''''", "'"),
        (r'b"\xff\377é\u00e9\n"', b"\xff\xff\xc3\xa9\xc3\xa9\n"),
        (r'rb"\xff"', rb"\xff"),
    ],
)
def test_literals_have_values(literal: str, expected: object) -> None:
    got = value(literal)
    assert (type(got), got) == (type(expected), expected)


def test_integers_are_exact_up_to_the_limit_of_the_language() -> None:
    assert value("9" * 19_728) == 10**19_728 - 1
    assert value("0x" + "f" * 16_384) == 2**65_536 - 1
    assert "int literal too large" in fault("x = " + "9" * 19_729).message
    assert "int literal too large" in fault("x = 0x1" + "0" * 16_384).message


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_counts_as_one(line_end: str) -> None:
    source = line_end.join(["x = '''a", "b'''", "y = $"])
    assert fault(source).pos == Pos(3, 5)
    assert scan(source, "f.star").tokens[2].value == "a\nb"


def test_columns_are_code_points() -> None:
    assert fault('x = "é😀" $').pos == Pos(1, 10)


def test_the_position_of_a_bad_escape_is_the_escape() -> None:
    assert fault(r'x = "abc\d"').pos == Pos(1, 9)
    assert fault('x = """abc\n12\\d"""').pos == Pos(2, 3)


@pytest.mark.parametrize(
    ("source", "message", "pos"),
    [
        ("\ufeffx = 1", "byte order mark", Pos(1, 1)),
        ("x = 1\ny = '\0'", "NUL", Pos(2, 6)),
        ("x = 1\ry\r\n\0", "NUL", Pos(3, 1)),
        ("x = '\ud800'", "lone surrogate (U+D800)", Pos(1, 6)),
        ("#" * (SOURCE_BYTES_MAX + 1), "more than 262144 bytes", Pos(1, 1)),
        ("#" + "é" * (SOURCE_BYTES_MAX // 2), "more than 262144 bytes", Pos(1, 1)),
    ],
    ids=["bom", "nul", "nul after line ends", "surrogate", "long", "long in bytes"],
)
def test_what_is_no_text_file_is_refused(source: str, message: str, pos: Pos) -> None:
    finding = fault(source)
    assert message in finding.message
    assert finding.pos == pos


def test_the_longest_text_is_read() -> None:
    assert kinds("#" * SOURCE_BYTES_MAX) == []


def test_tokens_are_counted() -> None:
    assert len(scan(";" * (TOKENS_MAX - 1), "f.star").tokens) == TOKENS_MAX
    assert "tokens" in fault(";" * TOKENS_MAX).message


def test_brackets_and_indentation_nest_up_to_a_limit() -> None:
    assert "error" not in kinds("(" * BRACKETS_MAX + ")" * BRACKETS_MAX)
    assert "error" in kinds("(" * (BRACKETS_MAX + 1) + ")" * BRACKETS_MAX)
    assert "error" not in kinds(_staircase(INDENTS_MAX))
    assert "error" in kinds(_staircase(INDENTS_MAX + 1))


def _staircase(levels: int) -> str:
    return "\n".join(" " * level + "x" for level in range(levels + 1))
