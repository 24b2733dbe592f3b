"""Errors of compiled code, in the words of the language."""

import pytest

from starflow_service.starlark import Failed, Thread, compile_program
from tests.starlark.scripted_host import ScriptedHost

# CPython runs code differently once it has run a few times: it joins instructions.
RUNS = 30


def errors_of(source: str) -> set[tuple[str, str]]:
    """Return what a program fails with, and where, in many runs of the same code."""
    program = compile_program(source)
    found = set()
    for _ in range(RUNS):
        outcome = Thread(program, ScriptedHost()).start(lambda m: None)
        assert isinstance(outcome, Failed)
        found.add((outcome.error.message, str(outcome.error.stack[-1])))
    return found


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("return unset", "5:12"),
        ("b = n\n    return unset", "6:12"),
        ("b = [n, unset]", "5:13"),
        ("b = n; c = unset", "5:16"),
        ("b = 7; c = unset", "5:16"),
        ("b = [1,\n         unset]", "6:10"),
        ("b = n\n    [1, n, b, unset, n]", "6:15"),
        ("n = n\n    unset += n", "6:5"),
        ("n = 1\n    return n + unset", "6:16"),
        ("[unset for i in [1]]", "5:6"),
    ],
)
def test_an_unset_variable_is_named_however_often_its_code_has_run(body, place):
    source = (
        "def f(n):\n    b, c = 1, 2\n    if n > 99:\n        unset = 1\n"
        f"    {body}\n"
        "def main(ctx, input):\n"
        "    for n in range(130, 90, -1):\n        f(n)\n"
    )
    message = "local variable unset referenced before assignment"

    assert errors_of(source) == {(message, f"script.star:{place}: in f")}


def test_a_captured_variable_that_is_unset_is_named():
    source = (
        "def main(ctx, input):\n    b = 1\n    f = lambda: [b, unset]\n"
        "    f()\n    unset = 1\n"
    )
    message = "local variable unset referenced before assignment"

    assert errors_of(source) == {(message, "script.star:3:21: in lambda")}


def test_a_global_variable_that_is_unset_is_named():
    source = "x = [1, unset]\nunset = 1\ndef main(ctx, input): pass\n"
    message = "global variable unset referenced before assignment"

    assert errors_of(source) == {(message, "script.star:1:9: in <toplevel>")}


def test_a_bad_index_is_told_at_one_place_however_often_its_code_has_run():
    source = (
        "def f(x, i):\n    b = i\n    return [b, x[i]]\n"
        "def main(ctx, input):\n    for i in range(40):\n        f([0] * 20, i)\n"
    )
    message = "list index 20 out of range [-20:19]"

    assert errors_of(source) == {(message, "script.star:3:17: in f")}
