"""What the names of a program mean, and which errors are found before it runs."""

from collections.abc import Iterator

import pytest

from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.parser import parse
from starflow_service.starlark.resolver import Resolution, resolve
from starflow_service.starlark.shape import children
from starflow_service.starlark.spelling import nearest
from starflow_service.starlark.syntax import (
    Comprehension,
    Def,
    File,
    FunctionInfo,
    Lambda,
    Name,
    Node,
    Pos,
)
from tests.starlark.chunks import Chunk, mismatches, read_chunks

UNIVERSE = ["None", "True", "False", "print", "len"]
MODULES = {"time": ["now", "sleep"], "math": ["pow"], "json": ["encode"]}


def resolved(source: str) -> tuple[File, Resolution]:
    file = parse(source, "resolver.star")
    return file, resolve(file, UNIVERSE, MODULES)


def faults(source: str) -> list[Diagnostic]:
    try:
        resolved(source)
    except ScriptSyntaxError as error:
        return error.diagnostics
    return []


def nodes(file: File) -> Iterator[Node]:
    pending: list[Node] = list(reversed(file.body))
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def scopes(source: str) -> dict[str, set[str]]:
    """Return the scopes of the occurrences of each name."""
    file, _ = resolved(source)
    found: dict[str, set[str]] = {}
    for node in nodes(file):
        if isinstance(node, Name):
            found.setdefault(node.name, set()).add(str(node.scope))
    return found


def infos(source: str) -> list[FunctionInfo | None]:
    file, _ = resolved(source)
    return [node.info for node in nodes(file) if isinstance(node, Def | Lambda)]


@pytest.mark.parametrize("chunk", read_chunks("resolver.star"), ids=lambda c: c.title)
def test_programs_have_the_errors_they_announce(chunk: Chunk) -> None:
    assert mismatches(chunk, faults(chunk.source)) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", {"x": {"global"}}),
        ("x = y\ny = 1", {"x": {"global"}, "y": {"global"}}),
        ("x = len", {"x": {"global"}, "len": {"universal"}}),
        ("len = 1\nx = len", {"x": {"global"}, "len": {"global"}}),
        ("x = a.b", {"x": {"global"}, "a": {"host"}}),
        ('load("time", "now")\nx = now', {"x": {"global"}, "now": {"global"}}),
        ("def f(a): return a", {"f": {"global"}, "a": {"local"}}),
        ("def f(a): return lambda: a", {"f": {"global"}, "a": {"cell", "free"}}),
        ("def f(len): return len", {"f": {"global"}, "len": {"local"}}),
        ("def f():\n  def g(): return g", {"f": {"global"}, "g": {"cell", "free"}}),
        ("x = [y for y in []]", {"x": {"global"}, "y!1": {"local"}}),
        ("x = [lambda: y for y in []]", {"x": {"global"}, "y!1": {"cell", "free"}}),
        ("def f(a): return lambda a: a", {"f": {"global"}, "a": {"local"}}),
        ("len, x = 1, len", {"len": {"global"}, "x": {"global"}}),
    ],
)  # fmt: skip
def test_names_have_scopes(source: str, expected: dict[str, set[str]]) -> None:
    assert scopes(source) == expected


def test_functions_know_their_variables() -> None:
    source = """
def f(a, *b, c=1, **d):
    e = [g for g in a]
    for h, (i, j[0]) in e: pass
    j = lambda k: lambda: [a, k, j, f, l]
l = 1
"""
    assert infos(source) == [
        FunctionInfo(
            ["a", "b", "c", "d", "g!1", "e", "h", "i", "j"], ["a", "j"], []
        ),
        FunctionInfo(["k"], ["k"], ["a", "j"]),
        FunctionInfo([], [], ["a", "k", "j"]),
    ]  # fmt: skip


def test_the_file_knows_the_variables_of_its_comprehensions() -> None:
    file, _ = resolved("x = [[y, z] for y in [] for z in [lambda: y]]")
    assert file.info == FunctionInfo(["y!1", "z!2"], ["y!1"], [])


def test_variables_of_comprehensions_are_renamed_apart() -> None:
    source = "def f(x):\n  return [x for x in [x for x in x] if [x for x in x]], x"
    file, _ = resolved(source)
    bound = [node.bound for node in nodes(file) if isinstance(node, Comprehension)]
    assert sorted(bound) == [["x!1"], ["x!2"], ["x!3"]]
    names = [node for node in nodes(file) if isinstance(node, Name)]
    by_place = sorted((name.pos, name.name) for name in names if name.pos.line == 2)
    assert [name for _, name in by_place] == [
        *["x!2", "x!2"],
        *["x!1", "x!1", "x"],
        *["x!3", "x!3", "x!2"],
        "x",
    ]


def test_free_variables_pass_through_the_functions_between() -> None:
    source = "def f(a):\n  def g():\n    def h():\n      return a\n"
    assert infos(source) == [
        FunctionInfo(["a", "g"], ["a"], []),
        FunctionInfo(["h"], [], ["a"]),
        FunctionInfo([], [], ["a"]),
    ]


def test_the_resolution_tells_what_the_host_must_know() -> None:
    source = """
load("time", t="now")
def main(ctx, input):
    a.b(ctx, a.c.d, [a.b(e.f) for g in input if g.x.y])
    return h.i(ctx).j.k + main.l + len.m + t.n
"""
    file, resolution = resolved(source)
    assert resolution.globals == ["t", "main"]
    assert resolution.host_names == {"a": Pos(4, 5), "e": Pos(4, 26), "h": Pos(5, 12)}
    assert list(resolution.functions.items()) == [
        ("a.b", Pos(4, 5)),
        ("a.c.d", Pos(4, 14)),
        ("e.f", Pos(4, 26)),
        ("h.i", Pos(5, 12)),
    ]
    assert resolution.loads == [file.body[0]]
    assert resolution.main is file.body[1]


@pytest.mark.parametrize("source", ["", "main = 1", "x = lambda main: main"])
def test_main_is_a_def_at_the_top_level(source: str) -> None:
    assert resolved(source)[1].main is None


def test_a_path_that_looks_like_a_slip_is_warned_about() -> None:
    source = "def f(response):\n  return respnse.get('x'), respnse.y, billing.get"
    _, resolution = resolved(source)
    (warning,) = resolution.warnings
    assert warning == Diagnostic(
        "warning",
        "SUSPICIOUS_NAME",
        "respnse.get is taken for a function of a worker",
        Pos(2, 10),
        "did you mean the variable response?",
    )


def test_no_more_than_twenty_slips_are_warned_about() -> None:
    source = "response = 1\ndef f():\n" + "".join(
        f"  response{letter}.x\n" for letter in "abcdefghijklmnopqrtuvwxyz"
    )
    assert len(resolved(source)[1].warnings) == 20


def test_errors_are_told_in_the_order_of_the_text() -> None:
    source = "print(a)\nx = 1\nx = 2\ndef f():\n  print(b)\n  break\n"
    found = faults(source)
    assert [finding.pos for finding in found] == sorted(f.pos for f in found)
    assert [finding.code for finding in found] == [
        "UNDEFINED_NAME",
        "REASSIGNED",
        "UNDEFINED_NAME",
        "MISPLACED",
    ]


def test_names_are_cut_and_escaped_in_messages() -> None:
    (finding,) = faults("print(" + "x" * 100_000 + ")")
    assert len(finding.message) == 500
    (finding,) = faults('load("a\\n\\x00é", "b")')
    assert finding.message == 'cannot load "a\\n\\x00é": unknown module'


def test_no_more_than_a_hundred_errors_are_told() -> None:
    found = faults("\n".join(f"print(undefined_{i})" for i in range(300)))
    assert len(found) == 101
    assert found[-1].message == "and 200 more findings"


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("lenght", ["length", "lens"], "length"),
        ("legnth", ["length"], "length"),
        ("Print", ["print"], "print"),
        ("x", ["y"], ""),
        ("x", ["X"], "X"),
        ("abc", ["abd", "abe"], "abd"),
        ("abc", ["xyz", "abcdefgh"], ""),
        ("abc", ["abc"], ""),
        ("a" * 31, ["a" * 30], ""),
        ("a" * 30, ["a" * 27], "a" * 27),
        ("abcdefghi", ["bcdefgh"], "bcdefgh"),
        ("abcdefghi", ["aXcdXfgh"], "aXcdXfgh"),
        ("abcdefghi", ["XbXdeXghX"], ""),
        ("badcfehg", ["abcdefgh"], ""),
        ("badcfegh", ["abcdefgh"], ""),
        ("badcefgh", ["abcdefgh"], "abcdefgh"),
        ("", ["a"], ""),
    ],
)
def test_slips_are_recognised(name: str, candidates: list[str], expected: str) -> None:
    assert nearest(name, candidates) == expected
