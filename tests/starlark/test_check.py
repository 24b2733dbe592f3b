"""What there is to say about scripts as people and programs write them."""

import re
from pathlib import Path

import pytest

from starflow_service.starlark import (
    ScriptSyntaxError,
    compile_program,
    foreign,
    hints,
)
from starflow_service.starlark.builtins import MODULES
from starflow_service.starlark.bundle import Bundle
from starflow_service.starlark.check import check
from starflow_service.starlark.codes import CODES
from starflow_service.starlark.diagnostics import Diagnostic, bounded
from starflow_service.starlark.methods_dict import DICT_METHODS
from starflow_service.starlark.methods_list import LIST_METHODS
from starflow_service.starlark.methods_string import BYTES_METHODS, STRING_METHODS
from starflow_service.starlark.python_methods import PYTHON_MEMBERS, PYTHON_METHODS
from starflow_service.starlark.syntax import Pos
from starflow_service.starlark.time_values import Duration, Time
from starflow_service.starlark.values import Value
from starflow_service.starlark.zones import UTC
from tests.starlark.conformance import Chunk, chunks

TESTDATA = Path(__file__).parent / "testdata"
# Each line of these scripts names the codes of its findings after `###`.
MISTAKES = sorted((TESTDATA / "mistakes").glob("*.star"))
# Codes that only a look at the workers, or at the whole program, can give.
ELSEWHERE = {"UNKNOWN_FUNCTION", "BAD_REQUEST", "TOO_COMPLEX", "UNUSED_FILE", "MORE"}


def announced(text: str) -> list[tuple[int, str]]:
    return [
        (number, code)
        for number, line in enumerate(text.split("\n"), 1)
        for code in re.findall(r"### ([A-Z_]+)", line)
    ]


def found(text: str) -> list[tuple[int, str]]:
    return [(finding.pos.line, finding.code) for finding in check(text).findings]


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_each_mistake_is_found_at_its_line_with_a_way_to_mend_it(path: Path) -> None:
    text = path.read_text("utf-8")

    findings = check(text).findings

    assert found(text) == announced(text)
    assert announced(text), "a file here has mistakes"
    for finding in findings:
        assert finding.hint or "did you mean" in finding.message, finding


def test_there_are_mistakes_of_every_code() -> None:
    texts = [path.read_text("utf-8") for path in MISTAKES]
    codes = {code for text in texts for _, code in announced(text)}
    assert len(texts) >= 60
    assert codes | ELSEWHERE | {"LIMIT"} == {*CODES}


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_findings_have_the_severity_of_their_codes(path: Path) -> None:
    for finding in check(path.read_text("utf-8")).findings:
        assert finding.severity == CODES[finding.code].severity


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_a_script_with_errors_is_refused_and_one_with_warnings_is_not(
    path: Path,
) -> None:
    text = path.read_text("utf-8")
    errors = [f for f in check(text).findings if f.severity == "error"]
    if not errors:
        compile_program(text)
        return
    with pytest.raises(ScriptSyntaxError) as refused:
        compile_program(text)
    told = refused.value.diagnostics
    assert {(f.pos, f.code) for f in told} <= {(f.pos, f.code) for f in errors}


# These are about what does nothing, not about what goes wrong; and functions may call
# each other in a ring that is never closed.
HARMLESS = {
    *("CONSTANT_COMPARISON", "NO_EFFECT", "RECURSION"),
    *("UNUSED_LOAD", "UNUSED_VARIABLE"),
}
CHECKS = """
def eq(x, y): return [x, y]
def true(x): return x
def fails(f, *values): return [f, values]
def freeze(x): return x
def main(ctx, input): return None
"""
WORKING = [
    chunk
    for chunk in chunks()
    if chunk.error_line is None and "fails(" not in chunk.text
]


@pytest.mark.parametrize("chunk", WORKING, ids=lambda chunk: chunk.name)
def test_nothing_is_said_about_what_works(chunk: Chunk) -> None:
    lines = chunk.text.count("\n") + 1
    findings = [
        finding
        for finding in check(chunk.text + CHECKS).findings
        if finding.pos.line <= lines and finding.code not in HARMLESS
    ]
    assert findings == []


# Parts


def codes(text: str) -> list[str]:
    return [finding.code for finding in check(text).findings]


MAIN = "def main(ctx, input):\n"


def in_main(line: str) -> list[str]:
    return codes(f"{MAIN}    {line}\n    return x\nx = 1\n")


@pytest.mark.parametrize(
    "line",
    [
        "x = shop.buy(ctx, {'a': 1})",
        "x = [shop.buy(ctx, y) for y in input['xs']]",
        "x = input.get('a', {}).get('b')",
        "x = input['a']['b'][0].upper()",
        "x = {'a': 1}.get('a') or shop.buy(ctx)",
        "x = '%s %d %%' % (1, 2) + '{} {{}} {a}'.format(1, a=2)",
        "x = sorted(input['xs'], key=lambda y: y['n'], reverse=True)",
        "x = max([1, 2], key=lambda y: -y) + len('abc')",
        "x = 'a' if type(input) == 'dict' else str(5) + 'b'",
        "x = shop.buy(*[ctx, 1]) or shop.buy(**{'ctx': ctx})",
        "x = (lambda ctx: shop.buy(ctx, 1))(ctx)",
        "x = 1.5 + 2 - len([1]) * 3 // 2",
    ],
)
def test_nothing_is_said_about_plain_code(line: str) -> None:
    assert in_main(line) == []


def test_what_is_lost_to_a_fault_is_not_missed_elsewhere() -> None:
    text = "import a.b as c\nd e = 1\ndef main(ctx, input):\n    return c.f(d, e)\n"
    assert codes(text) == ["NOT_STARLARK", "SYNTAX"]


def test_the_body_of_a_bad_head_is_looked_at() -> None:
    text = "def f(x y):\n    return x is y\n\ndef main(ctx, input) {\n    z = \n}\n"
    assert [(f.pos.line, f.code) for f in check(text).findings] == [
        (1, "SYNTAX"),
        (2, "NOT_STARLARK"),
        (4, "NOT_STARLARK"),
        (5, "SYNTAX"),
    ]


def test_more_than_a_hundred_findings_are_counted() -> None:
    text = MAIN + "    x = 1 is 1\n" * 150
    with pytest.raises(ScriptSyntaxError) as refused:
        compile_program(text)
    (*_, last) = refused.value.diagnostics
    assert (len(refused.value.diagnostics), last.code) == (101, "MORE")
    assert last.message == "and 50 more findings"


def test_errors_are_kept_before_warnings() -> None:
    warnings = [Diagnostic("warning", "NO_EFFECT", "w", Pos(n, 1)) for n in range(150)]
    errors = [Diagnostic("error", "SYNTAX", "e", Pos(200, 1))]
    kept = bounded([*warnings, *errors])
    assert (len(kept), kept[-2].code) == (101, "SYNTAX")
    assert (kept[-1].code, kept[-1].severity) == ("MORE", "warning")


def test_the_files_of_a_bundle_are_looked_at_each() -> None:
    checked = check(
        Bundle(
            {
                "main.star": 'load("lib.star", "f", "g")\n'
                + MAIN
                + "    return f(1)\n",
                "lib.star": "def f(x):\n    while x:\n        pass\n",
                "spare.star": "x = 1\n",
                "other.star": "x = = 1\n",
            }
        )
    )
    assert [(f.file, f.pos.line, f.code) for f in checked.findings] == [
        ("main.star", 1, "UNUSED_LOAD"),
        ("lib.star", 2, "NOT_STARLARK"),
        ("other.star", 1, "UNUSED_FILE"),
        ("spare.star", 1, "UNUSED_FILE"),
    ]


def test_a_load_of_what_a_file_has_not_is_found() -> None:
    main = 'load("lib.star", "ff")\n' + MAIN + "    return ff(1)\n"
    checked = check(Bundle({"main.star": main, "lib.star": "def f(x): return x\n"}))
    (finding,) = checked.findings
    assert (finding.code, finding.file) == ("BAD_LOAD", "main.star")
    assert "did you mean f?" in finding.message


def test_functions_and_requests_are_listed() -> None:
    text = MAIN + "    a.b(ctx, {'n': 1})\n    c.d(ctx=ctx, req=input)\n    a.b(ctx)\n"
    checked = check(text)
    assert list(checked.functions) == ["a.b", "c.d"]
    assert [
        (request.function, request.value.start) for request in checked.requests
    ] == [
        ("a.b", Pos(2, 14)),
        ("c.d", Pos(3, 22)),
    ]


def test_a_text_that_is_none_is_one_finding() -> None:
    assert codes("\0") == ["SYNTAX"]
    assert codes("(" * 300) == ["NO_MAIN", "LIMIT"]
    assert codes("-" * 5_000 + "a") == ["LIMIT"]


@pytest.mark.parametrize(
    "name", sorted({*STRING_METHODS, *LIST_METHODS, *DICT_METHODS, *BYTES_METHODS})
)
def test_no_method_of_ours_is_called_foreign(name: str) -> None:
    assert name not in PYTHON_METHODS


@pytest.mark.parametrize("value", [Duration(1), Time(1, 2, UTC)])
def test_no_attribute_of_a_time_is_called_foreign(value: Value) -> None:
    assert not {*value.attr_names()} & {*PYTHON_METHODS}


def test_a_module_that_was_not_loaded_is_the_only_finding_about_its_use() -> None:
    text = MAIN + "    r = flow.catch(shop.buy, ctx, 1)\n    return [r.ok, time.x(1)]\n"
    assert codes(text) == ["UNDEFINED_NAME", "UNDEFINED_NAME"]


WAYS = [
    *(advice for _, advice in foreign._FOREIGN.values()),
    *foreign._MODULES.values(),
    *hints._UNDEFINED.values(),
    *PYTHON_METHODS.values(),
    *PYTHON_MEMBERS.values(),
]


def test_what_hints_load_exists() -> None:
    loads = [load for way in WAYS for load in re.findall(r'load\(("[^)]*)\)', way)]
    assert len(loads) > 10
    for load in loads:
        module, *names = re.findall(r'"(\w+)"', load)
        for name in names:
            assert name == module or name in MODULES[module].members, load


def test_what_hints_name_of_modules_exists() -> None:
    pattern = re.compile(rf"\b({'|'.join(MODULES)})\.(\w+)\(")
    named = [found for way in WAYS for found in pattern.findall(way)]
    assert len(named) > 5
    for module, name in named:
        assert name in MODULES[module].members, (module, name)


# Texts that ask for work out of proportion.  There is no clock here: a way to take time
# with the square of a text's length takes minutes.

N = 20_000
BOMBS = {
    "f-strings that never close": 'x = f"{\n' * N,
    "f-strings within each other": 'x = f"""{""" ' * N,
    "formats that never close": MAIN + f'    return "{"%(" * N}" % input is 1\n',
    "replacements": MAIN + f'    return "{"{" * 2 * N}".format(1) is 1\n',
    "words in a row": "a b\n" * N,
    "brackets": "x = (\n" * N,
    "colons": f"x = (1\nif {':' * N}\n",
    "attributes": MAIN + "    x = input.foo.bar\n" * 4_000,
    "loaded names": "load('time'" + "".join(f", 'nw{n}'" for n in range(8_000)) + ")\n",
    "unbound in loops": MAIN
    + "".join(
        f"    for a in b:\n        if a: c = x{n}\n    x{n} = 1\n" for n in range(3_000)
    ),
    "functions that call each other": "".join(
        f"def f{n}(x): return f{n * 7 % 3_000}(x) + f{(n * 13 + 5) % 3_000}(x)\n"
        for n in range(3_000)
    ),
    "functions that call the next": "".join(
        f"def f{n}(x): return f{n + 1}(x)\n" for n in range(4_000)
    ),
    "keys": MAIN + f"    return {{{', '.join(f'{n % 99}: 1' for n in range(N))}}}\n",
    "comparisons": f"x = {'1 is ' * N}1\n",
    "blocks of other languages": "try:\n  x\n" * N,
    "decorators": "@x\n" * N,
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_text_asks_for_work_out_of_proportion(name: str) -> None:
    assert check(BOMBS[name][: 256 * 1024]).findings
