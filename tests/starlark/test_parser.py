"""Which trees and faults a program gives, and how deep it may be."""

import inspect
import random
import sys
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from types import FrameType

import pytest

from starflow_service.starlark.check import check
from starflow_service.starlark.diagnostics import Diagnostic, ScriptSyntaxError
from starflow_service.starlark.parser import parse
from starflow_service.starlark.program import compile_program
from starflow_service.starlark.resolver import resolve
from starflow_service.starlark.shape import DEPTH_MAX, NODES_MAX, children
from starflow_service.starlark.syntax import Def, File, If, Node, Pos
from tests.starlark.chunks import TESTDATA, Chunk, mismatches, read_chunks
from tests.starlark.sexpr import sexpr


def faults(source: str) -> list[Diagnostic]:
    try:
        parse(source, "f.star")
    except ScriptSyntaxError as error:
        return error.diagnostics
    return []


def tree(source: str) -> str:
    (statement,) = parse(source, "f.star").body
    return sexpr(statement)


@pytest.mark.parametrize("chunk", read_chunks("parser.star"), ids=lambda c: c.title)
def test_programs_have_the_faults_they_announce(chunk: Chunk) -> None:
    assert mismatches(chunk, faults(chunk.source)) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a or b and not c == d | e ^ f & g << h + i * -j",
         "(or a (and b (not (== c (| d (^ e (& f (<< g (+ h (* i (- j)))))))))))"),
        ("-a * b + c << d & e ^ f | g == h and i or j",
         "(or (and (== (| (^ (& (<< (+ (* (- a) b) c) d) e) f) g) h) i) j)"),
        ("a - b - c", "(- (- a b) c)"),
        ("a / b // c % d", "(% (// (/ a b) c) d)"),
        ("a << b >> c", "(>> (<< a b) c)"),
        ("a or b or c", "(or (or a b) c)"),
        ("not not a", "(not (not a))"),
        ("not a in b", "(not (in a b))"),
        ("a not in b", "(not in a b)"),
        ("not a and b", "(and (not a) b)"),
        ("a and not b or c", "(or (and a (not b)) c)"),
        ("- + ~a.b", "(- (+ (~ (. a b))))"),
        ("-a[0](1)", "(- (call (index a 0) 1))"),
        ("-1 % 2", "(% (- 1) 2)"),
        ("a if b else c if d else e", "(if b a (if d c e))"),
        ("(a if b else c) if d else e", "(if d (paren (if b a c)) e)"),
        ("a if b or c else lambda: d if e else f",
         "(if (or b c) a (lambda (if e d f)))"),
        ("lambda a, b=1, *c, d, e=2, **f: a, b",
         "(tuple (lambda a b=1 *c d e=2 **f a) b)"),
        ("lambda *, a: a", "(lambda * a a)"),
        ("f(a, b=c, *d, **e)", "(call f a b=c *d **e)"),
        ("f((a))", "(call f (paren a))"),
        ("()", "(tuple)"),
        ("(a)", "(paren a)"),
        ("(a,)", "(tuple a)"),
        ("(a, b)", "(tuple a b)"),
        ("((a, b))", "(paren (tuple a b))"),
        ("a, b", "(tuple a b)"),
        ("[]", "(list)"),
        ("[a, (b, c),]", "(list a (tuple b c))"),
        ("{}", "(dict)"),
        ("{a: b, c: lambda: d}", "(dict (: a b) (: c (lambda d)))"),
        ("a[b]", "(index a b)"),
        ("a[b, c]", "(index a (tuple b c))"),
        ("a[:]", "(slice a _ _ _)"),
        ("a[b::c]", "(slice a b _ c)"),
        ("a[:b if c else d]", "(slice a _ (if c b d) _)"),
        ("[a for b, c in d if e if f for g in h]",
         "(list-of a (for (tuple b c) d) (if e) (if f) (for g h))"),
        ("{a: b for a[0], (b, c) in d}",
         "(dict-of (: a b) (for (tuple (index a 0) (tuple b c)) d))"),
        ("[a for b, in c]", "(list-of a (for (tuple b) c))"),
        ("a = b, c", "(= a (tuple b c))"),
        ("a, b = c", "(= (tuple a b) c)"),
        ("a[b] //= c, d", "(//= (index a b) (tuple c d))"),
        ("a.b <<= c", "(<<= (. a b) c)"),
        ("b'a' + 'a'", "(+ b'a' 'a')"),
    ],
)  # fmt: skip
def test_expressions_become_trees(source: str, expected: str) -> None:
    assert tree(source) == expected


def test_parentheses_of_tuples_are_kept() -> None:
    bare, parenthesised = parse("a, b\n(a, b)", "f.star").body
    assert (bare.value.parenthesised, parenthesised.value.parenthesised) == (
        False,
        True,
    )


@pytest.mark.parametrize(
    ("source", "start", "pos"),
    [
        ("  a", 1, 1),
        ("a + b", 1, 3),
        ("a.b + c", 1, 5),
        ("a not in b", 1, 3),
        ("-a", 1, 1),
        ("a.b(c)", 1, 4),
        ("a.b", 1, 2),
        ("a[b]", 1, 2),
        ("a[b:c]", 1, 2),
        ("(a)", 1, 1),
        ("(a, b)", 1, 1),
        ("a, b", 1, 1),
        ("a if b else c", 1, 1),
        ("lambda: a", 1, 1),
        ("[a for b in c]", 1, 1),
        ("{a: b}", 1, 1),
    ],
)
def test_expressions_know_their_positions(source: str, start: int, pos: int) -> None:
    (statement,) = parse(f"def f(): {source.strip()}", "f.star").body[0].body
    shift = len("def f(): ")
    node = statement.value
    assert (node.start, node.pos) == (Pos(1, shift + start), Pos(1, shift + pos))


def test_statements_and_parts_know_their_positions() -> None:
    source = 'x = y\nx += {a: b}\nload("m", "n", o="p")\ndef f(a, *b): pass'
    assign, augmented, load, function = parse(source, "f.star").body
    entry = augmented.value.entries[0]
    assert (assign.start, assign.pos) == (Pos(1, 1), Pos(1, 3))
    assert (augmented.start, augmented.pos) == (Pos(2, 1), Pos(2, 3))
    assert (entry.start, entry.pos) == (Pos(2, 7), Pos(2, 8))
    assert load.module_pos == Pos(3, 6)
    assert [b.pos for b in load.bindings] == [Pos(3, 11), Pos(3, 16)]
    assert load.bindings[0].local.pos == Pos(3, 12), "after the quote"
    assert function.name.pos == Pos(4, 5)
    assert [p.pos for p in function.parameters] == [Pos(4, 7), Pos(4, 10)]
    assert function.parameters[1].name.pos == Pos(4, 11)


def test_elif_is_an_if_in_the_else() -> None:
    source = "if a: pass\nelif b: return\nelse: break"
    (outer,) = parse(source, "f.star").body
    assert isinstance(outer, If)
    (inner,) = outer.orelse
    assert isinstance(inner, If)
    assert (inner.pos, len(inner.orelse)) == (Pos(2, 1), 1)


def test_loads_name_what_they_bind() -> None:
    (load,) = parse('load("m", "a", b="c")', "f.star").body
    assert load.module == "m"
    assert [(b.local.name, b.exported) for b in load.bindings] == [
        ("a", "a"),
        ("b", "c"),
    ]


def test_the_error_says_where_and_what() -> None:
    with pytest.raises(
        ScriptSyntaxError, match=r"^f\.star:2:5: got newline, want"
    ) as e:
        parse("x = 1\ny = \n", "f.star")
    assert e.value.filename == "f.star"
    assert {finding.severity for finding in e.value.diagnostics} == {"error"}


@pytest.mark.parametrize("line", ["x = = 1\n", "while x: pass\n", "x = 1_0\n"])
def test_no_more_than_a_hundred_faults_are_told(line: str) -> None:
    assert len(faults(line * 100)) == 100
    found = faults(line * 130)
    assert len(found) == 101
    assert (found[-1].code, found[-1].message) == ("MORE", "and 30 more findings")
    assert found[-1].pos.line == 101


# Depth.  A nest of each kind, as deep as wanted.

OPERATORS = "a or b and c == d | e ^ f & g << h + i * "


def stairs(line: str, n: int, first: int) -> str:
    lines = [" " * (first + level) + line for level in range(n)]
    return "\n".join([*lines, " " * (first + n) + "pass"])


NESTS: dict[str, Callable[[int], str]] = {
    "parentheses": lambda n: "(" * n + "a" + ")" * n,
    "lists": lambda n: "[" * n + "a" + "]" * n,
    "dicts": lambda n: "{1: " * n + "a" + "}" * n,
    "calls": lambda n: "f(" * n + "a" + ")" * n,
    "keyword arguments": lambda n: "f(x = " * n + "a" + ")" * n,
    "indexes": lambda n: "a[" * n + "a" + "]" * n,
    "slices": lambda n: "a[1:" * n + "a" + "]" * n,
    "comprehensions": lambda n: "[a for a in " * n + "a" + "]" * n,
    "bodies": lambda n: "[" * n + "a" + " for a in b]" * n,
    "lambdas": lambda n: "lambda: " * n + "a",
    "defaults": lambda n: "lambda a = " * n + "a" + ": a" * n,
    "sums": lambda n: "a" + " + a" * n,
    "signs": lambda n: "-" * n + "a",
    "negations": lambda n: "not " * n + "a",
    "dots": lambda n: "a" + ".a" * n,
    "chained calls": lambda n: "a" + "()" * n,
    "chained indexes": lambda n: "a" + "[0]" * n,
    "conditionals": lambda n: "a if b else " * n + "a",
    "mixed": lambda n: "f(a or -b * [{1: " * n + "a" + "}])" * n,
    "all operators": lambda n: f"f({OPERATORS}" * n + "a" + ")" * n,
    "ifs": lambda n: "def f():\n" + stairs("if a:", n, 1),
    "elifs": lambda n: "if a: pass\n" + "elif a: pass\n" * n,
    "functions": lambda n: stairs("def f():", n, 0),
    "tuple targets": lambda n: "(" * n + "a" + ",)" * n + " = 1",
}  # fmt: skip


@cache
def deepest(kind: str) -> int:
    """Return how often a nest can be repeated before it is refused."""
    return (
        bisect_left(range(400), 1, lo=1, key=lambda n: len(faults(nest(kind, n)))) - 1
    )


def nest(kind: str, n: int) -> str:
    return "first = 1\n" + NESTS[kind](n)


@pytest.mark.parametrize("kind", NESTS)
def test_nests_are_refused_at_their_limit_with_a_position(kind: str) -> None:
    assert deepest(kind) >= (14 if kind in {"mixed", "all operators"} else 45)
    for n in (deepest(kind) + 1, 500):
        finding = faults(nest(kind, n))[0]
        assert finding.message == "script too deeply nested"
        assert finding.pos.line > 1


@pytest.mark.parametrize("kind", sorted(set(NESTS) - {"ifs", "functions"}))
def test_endless_nests_are_refused_as_well(kind: str) -> None:
    assert faults(nest(kind, 5_000))[0].message == "script too deeply nested"


@pytest.mark.parametrize("kind", NESTS)
def test_the_deepest_trees_leave_a_third_of_the_stack(kind: str) -> None:
    source = nest(kind, deepest(kind))
    around = len(inspect.stack(0))
    assert _frames_used(lambda: parse(source, "f.star")) - around < 650
    file = parse(source, "f.star")
    used = _frames_used(lambda: _resolve_anything(file))
    assert used - around < 650


def _resolve_anything(file: File) -> None:
    resolve(file, ["a", "b", "c", "d", "e", "f", "g", "h", "i"], {})


def _frames_used(action: Callable[[], object]) -> int:
    """Return how deep Python's stack is at the deepest place of *action*."""
    depth = deepest = len(inspect.stack(0))

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal depth, deepest
        depth += (event == "call") - (event == "return")
        deepest = max(deepest, depth)

    sys.setprofile(count)
    try:
        action()
    except ScriptSyntaxError:
        pass
    finally:
        sys.setprofile(None)
    return deepest


def test_a_caller_without_stack_left_gets_the_same_error() -> None:
    source = nest("calls", deepest("calls"))

    def dig(levels: int) -> list[Diagnostic]:
        return dig(levels - 1) if levels else faults(source)

    room = sys.getrecursionlimit() - len(inspect.stack(0))
    assert dig(room - 650) == []
    assert dig(room - 200)[0].message == "script too deeply nested"


def test_nodes_are_counted() -> None:
    # A statement, a list, and its items.
    assert faults("[" + "a," * (NODES_MAX - 2) + "]") == []
    finding = faults("[" + "a," * (NODES_MAX - 1) + "]")[0]
    assert finding.message == "script too long: more than 50000 syntax nodes"


def test_depth_counts_expressions_and_statements_but_not_their_parts() -> None:
    # An expression statement, the operators, and a name at the bottom.
    assert faults("-" * (DEPTH_MAX - 2) + "a") == []
    assert faults("-" * (DEPTH_MAX - 1) + "a") != []


def test_children_are_the_nodes_right_below() -> None:
    (function,) = parse("def f(a, b=1): return [a for b in c]", "f.star").body
    assert isinstance(function, Def)
    names = [type(child).__name__ for child in children(function)]
    assert names == ["Name", "Parameter", "Parameter", "Return"]
    assert children(parse("pass", "f.star").body[0]) == []


# Fuzz.  Programs are cut up and put together again at random; whatever comes out, the
# front end answers with a tree or with findings that point into the text.

_PIECES = [
    *"()[]{},:;.=+-*/%&|^~<>!@$\\'\"\n\t #0aéª²",
    " ", "\n    ", "\n  ", "    ", "\n", "not ", " in ", " if ", " else ", "for ",
    "lambda ", "def f(", "load(", "return ", "while ", "try:", "**", "//", "==", "0x",
    "1e", "'''", '"""', "\\x", "\\u12", "b'", "rb'", "x.y", "None", "__debug__", "\r",
    "\0", "\ud800", "\ufeff", "\u2028", "9" * 50, "(" * 60, "-" * 100, "[x for x in ",
]  # fmt: skip


def _mutant(texts: list[str], rng: random.Random) -> str:
    text = rng.choice(texts)
    for _ in range(rng.randint(1, 6)):
        at, to = sorted(rng.randint(0, len(text)) for _ in range(2))
        match rng.randint(0, 3):
            case 0:
                text = text[:at] + rng.choice(_PIECES) + text[at:]
            case 1:
                text = text[:at] + text[min(to, at + 8) :]
            case 2:
                other = rng.choice(texts)
                cut = rng.randint(0, len(other))
                text = text[:at] + other[cut : cut + 40] + text[at:]
            case 3:
                text = text[:at] + text[at:to] * 2 + text[to:]
    return text


def _points_into(finding: Diagnostic, text: str) -> bool:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    line, column = finding.pos
    return 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1


@pytest.mark.parametrize("seed", range(8))
def test_mutated_programs_raise_nothing_but_syntax_errors(seed: int) -> None:
    rng = random.Random(seed)
    paths = [*TESTDATA.glob("*.star"), *(TESTDATA.parent / "mistakes").glob("*.star")]
    texts = [path.read_text("utf-8") for path in sorted(paths)]
    texts = [chunk for text in texts for chunk in text.split("---\n")]
    for _ in range(150):
        text = _mutant(texts, rng)
        for finding in _everything_wrong_with(text):
            assert _points_into(finding, text), (finding, text)
            assert 0 < len(finding.message) <= 500
            assert "!" not in finding.message.replace("!=", "").replace("'!'", "") or (
                "!" in text
            ), "names of ours stay inside"
            assert len(finding.hint) <= 500


def _everything_wrong_with(text: str) -> list[Diagnostic]:
    findings = check(text).findings
    try:
        compile_program(text)
    except ScriptSyntaxError as error:
        # What keeps a script from being run is among what there is to say about it.
        assert any(each.severity == "error" for each in findings)
        return [*findings, *error.diagnostics]
    assert not any(each.severity == "error" for each in findings)
    return findings


def test_every_node_is_reachable_once() -> None:
    chunk = read_chunks("parser.star")[0]
    pending: list[Node] = list(parse(chunk.source, "f.star").body)
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        assert id(node) not in seen
        seen.add(id(node))
        pending.extend(children(node))
    assert len(seen) > 250
