"""`starflow validate`, and `starflow run` of a script that is refused."""

import io
import json
import sys
from pathlib import Path

import grpc
import pytest

from starflow import Diagnostic
from starflow.cli import _exits, _findings
from starflow.cli._scripts import Given
from starflow.v1 import workflow_service_pb2 as pb
from tests.sdk.fake_service import FakeService, abort
from tests.sdk.terminal import Terminal

SCRIPT = "def main(ctx, input):\n\treturn input +\n"


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "order.star"
    path.write_text(SCRIPT)
    return str(path)


def error(line: int = 2, column: int = 16, hint: str = "") -> pb.Diagnostic:
    return pb.Diagnostic(
        severity=pb.SEVERITY_ERROR,
        code="SYNTAX",
        message="want an operand",
        line=line,
        column=column,
        hint=hint,
    )


WARNING = pb.Diagnostic(severity=pb.SEVERITY_WARNING, code="OTHER", message="hm")


def test_findings_show_the_line_and_the_place(
    service: FakeService, terminal: Terminal, script: str
) -> None:
    service.diagnostics = [error(hint="end the expression"), WARNING]

    assert terminal("validate", script) == (
        _exits.FAILED,
        f"{script}:2:16: error: want an operand [SYNTAX]\n"
        "    \treturn input +\n"
        "    \t              ^\n"
        "    end the expression\n"
        f"{script}: warning: hm [OTHER]\n"
        f"{script}: 1 error, 1 warning\n",
        "",
    )


def test_a_valid_script_says_what_it_calls(
    service: FakeService, terminal: Terminal, script: str
) -> None:
    assert terminal("validate", script) == (
        *(0, f"{script}: valid, calls shop.charge\n"),
        "",
    )
    service.diagnostics = [WARNING, WARNING]
    assert terminal("validate", script)[:2] == (
        0,
        f"{script}: warning: hm [OTHER]\n" * 2
        + f"{script}: valid, 2 warnings, calls shop.charge\n",
    )


def test_several_scripts_end_in_a_count(
    service: FakeService, terminal: Terminal, script: str
) -> None:
    said = f"{script}: valid, calls shop.charge\n"
    assert terminal("validate", script, script) == (
        *(0, f"{said}{said}2 of 2 scripts are valid\n"),
        "",
    )
    service.diagnostics = [error()]
    code, out, _ = terminal("validate", script, script)
    assert (code, out.splitlines()[-1]) == (_exits.FAILED, "0 of 2 scripts are valid")


def test_a_script_may_come_from_standard_input_once(
    service: FakeService, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(SCRIPT))
    service.diagnostics = [error()]

    code, out, _ = terminal("validate", "-")

    assert code == _exits.FAILED
    assert out.splitlines()[:2] == [
        "-:2:16: error: want an operand [SYNTAX]",
        "    \treturn input +",
    ]
    assert service.requests["ValidateScript"][0].script == SCRIPT
    code, _, err = terminal("validate", "-", "-")
    assert (code, err) == (
        _exits.USAGE,
        "starflow: standard input can be read only once\n",
    )


def test_json_is_one_document_with_all_findings(
    service: FakeService, terminal: Terminal, script: str
) -> None:
    service.diagnostics = [error(hint="h"), WARNING]

    code, out, _ = terminal("validate", script, script, "--json")

    document = json.loads(out)
    assert (code, document["valid"], len(document["diagnostics"])) == (1, False, 4)
    assert document["diagnostics"][0] == {
        "script": script,
        "severity": "ERROR",
        "code": "SYNTAX",
        "message": "want an operand",
        "line": 2,
        "column": 16,
        "hint": "h",
        "file": "",
    }
    assert document["scripts"][1] == {
        "name": script,
        "valid": False,
        "script_hash": "ab" * 32,
        "functions": ["shop.charge"],
    }


# run


def test_a_refused_run_shows_the_same_picture_on_standard_error(
    service: FakeService, terminal: Terminal, script: str
) -> None:
    status = grpc.StatusCode.INVALID_ARGUMENT
    service.fail("Run", lambda c: abort(c, status, "SCRIPT_INVALID"))
    service.diagnostics = [error(), WARNING]

    assert terminal("run", script) == (
        _exits.USAGE,
        "",
        f"{script}:2:16: error: want an operand [SYNTAX]\n"
        "    \treturn input +\n"
        "    \t              ^\n"
        f"starflow: {script} was not run: 1 error\n",
    )


def test_a_run_of_an_unknown_function_shows_where_it_is_called(
    service: FakeService, terminal: Terminal, script: str
) -> None:
    status = grpc.StatusCode.INVALID_ARGUMENT
    service.fail("Run", lambda c: abort(c, status, "FUNCTION_UNKNOWN"))
    service.diagnostics = [error()]

    code, _, err = terminal("run", script)

    assert code == _exits.USAGE
    assert err.splitlines()[-1] == (
        f"starflow: {script} was not run: 1 error (by --allow-unregistered)"
    )


def test_what_a_look_does_not_find_is_said_as_the_service_said_it(
    service: FakeService, terminal: Terminal, script: str
) -> None:
    status = grpc.StatusCode.INVALID_ARGUMENT
    service.fail("Run", lambda c: abort(c, status, "SCRIPT_INVALID"))

    _, _, err = terminal("run", script)

    assert err.count("\n") == 1
    assert "as the test said" in err


# Pictures


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def picture(line: str, column: int, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    finding = Diagnostic("ERROR", "C", "m", 1, column, "")
    _findings.show(Given("f", line), [finding], stream)
    return stream.getvalue()


def caret(line: str, column: int) -> tuple[str, int]:
    """Return the line as it is shown, and what stands over the caret."""
    _, shown, below = picture(line, column).split("\n")[:3]
    return shown[4:], below.index("^") - 4


@pytest.mark.parametrize(
    ("line", "column", "cells"),
    [
        ("abc", 2, 1),
        ("世界 = x", 6, 7),
        ("\u30e6\u30fc\u30b6\u30fc", 3, 4),
        ("e\u0301 = x", 5, 3),
        ("a\u200bb", 3, 1),
        ("\t\tx", 3, 2),
        ("abc", 4, 3),
    ],
    ids=["ascii", "wide", "kana", "combining", "no width", "tabs", "behind the end"],
)
def test_the_caret_stands_under_the_column(line: str, column: int, cells: int) -> None:
    assert caret(line, column) == (line, cells)


def test_of_a_long_line_the_part_around_the_place_is_shown() -> None:
    line = "".join(chr(ord("a") + n % 26) for n in range(1_000))
    for column in (1, 60, 130, 500, 1_000):
        shown, cells = caret(line, column)
        assert len(shown) <= 130
        assert shown[cells] == line[column - 1]


def test_control_characters_do_not_reach_the_terminal() -> None:
    shown, cells = caret("a\x1b[31mb\x07c", 9)
    assert shown == "a\ufffd[31mb\ufffdc"
    assert shown[cells] == "c"


def test_lines_are_counted_as_the_service_counts_them() -> None:
    stream = io.StringIO()
    text = "a\x0cb\u2028c\r\nd\re"
    finding = Diagnostic("ERROR", "C", "m", 3, 1, "")
    _findings.show(Given("f", text), [finding], stream)
    assert stream.getvalue().split("\n")[1] == "    e"


def test_only_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    plain = picture("abc", 2)
    coloured = picture("abc", 2, Screen())
    assert "\033" not in plain
    assert "\033[31m" in coloured

    monkeypatch.setenv("NO_COLOR", "1")
    assert picture("abc", 2, Screen()) == plain
    monkeypatch.setenv("NO_COLOR", "")
    assert picture("abc", 2, Screen()) == coloured
    monkeypatch.setenv("TERM", "dumb")
    assert picture("abc", 2, Screen()) == plain
