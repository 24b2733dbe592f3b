"""Scripts of several files: their names, their one form, and what loads mean."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import (
    Aborted,
    Bundle,
    Diagnostic,
    Failed,
    LimitError,
    Limits,
    Returned,
    ScriptSyntaxError,
    Sliced,
    Thread,
    compile_bundle,
    compile_program,
)
from starflow_service.starlark import bundle as bundles
from starflow_service.starlark.loading import Sources
from tests.starlark.scripted_host import ScriptedHost
from tests.support.driver import Run

Files = Mapping[str, str]


def run(files: Files, entry: str = "main.star", **limits: int) -> Any:
    """Return the outcome of a bundle, and what it printed."""
    host = ScriptedHost({"test.echo": lambda req: req})
    thread = Thread(compile_bundle(Bundle(files, entry)), host, Limits(**limits))
    outcome = thread.start(lambda m: None)
    while isinstance(outcome, Sliced):
        outcome = thread.resume()
    return outcome, host.printed


def value(files: Files, entry: str = "main.star") -> Any:
    outcome, _ = run(files, entry)
    assert isinstance(outcome, Returned), outcome
    return outcome.value


def error(files: Files) -> tuple[str, list[str]]:
    """Return the error that a bundle ends with, and its stack."""
    outcome, _ = run(files)
    assert isinstance(outcome, Failed), outcome
    return outcome.error.message, [str(frame) for frame in outcome.error.stack]


def findings(files: Files, entry: str = "main.star") -> list[Diagnostic]:
    with pytest.raises(ScriptSyntaxError) as caught:
        compile_bundle(Bundle(files, entry))
    return caught.value.diagnostics


def finding(files: Files) -> str:
    """Return the one finding of a bundle: its file, place and message."""
    (found,) = findings(files)
    return f"{found.file}:{found.pos.line}:{found.pos.column}: {found.message}"


def main(body: str, loads: str = "") -> str:
    return f"{loads}\ndef main(ctx, input):\n    {body}\n"


# Paths


@pytest.mark.parametrize(
    "path", ["main.star", "a/b/c.star", "A-1_b.c/x.star", ".star", "x" * 123 + ".star"]
)
def test_a_path(path: str) -> None:
    assert bundles.is_path(path)


@pytest.mark.parametrize(
    "path",
    [
        *("", "main", "main.py", "/main.star", "a//b.star", "./a.star", "a/../b.star"),
        *("../a.star", "a b.star", "a\\b.star", "ä.star", "a.star\n", "a/", "a.star/"),
        *("x" * 124 + ".star", "../.star", "a/./.star"),
    ],
)
def test_no_path(path: str) -> None:
    assert not bundles.is_path(path)


@pytest.mark.parametrize(
    ("module", "loader", "path"),
    [
        ("x.star", "main.star", "x.star"),
        ("x.star", "lib/a.star", "lib/x.star"),
        ("./x.star", "lib/a.star", "lib/x.star"),
        ("../x.star", "lib/a.star", "x.star"),
        ("../../x.star", "a/b/c.star", "x.star"),
        ("//x.star", "lib/a.star", "x.star"),
        ("//lib/./b/../x.star", "main.star", "lib/x.star"),
        ("sub/x.star", "lib/a.star", "lib/sub/x.star"),
    ],
)
def test_what_a_load_names(module: str, loader: str, path: str) -> None:
    assert bundles.loaded_path(module, loader) == path


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("../x.star", "leaves the root"),
        ("//../x.star", "leaves the root"),
        ("lib/../../x.star", "leaves the root"),
        ("/x.star", 'begins with "//"'),
        ("lib//x.star", "it is not a path"),
        ("///x.star", "it is not a path"),
        ("a b.star", "it is not a path"),
    ],
)
def test_what_names_no_file(module: str, reason: str) -> None:
    with pytest.raises(bundles.PathError, match=reason):
        bundles.loaded_path(module, "main.star")


# The one form


PATHS = st.from_regex(r"([a-z_.-]{1,3}/){0,2}[A-Za-z0-9_.-]{0,4}\.star", fullmatch=True)


@given(st.dictionaries(PATHS.filter(bundles.is_path), st.text(), min_size=1))
def test_a_bundle_comes_back_from_its_form(sources: dict[str, str]) -> None:
    for entry in sources:
        bundle = Bundle(sources, entry)
        assert bundles.from_bytes(bundles.to_bytes(bundle)) == bundle


@given(st.text())
def test_no_text_is_taken_for_a_bundle(text: str) -> None:
    assert bundles.from_bytes(text.encode()) is None


def test_the_form_is_what_the_protocol_says() -> None:
    bundle = Bundle({"main.star": "x\n", "lib.star": "é"}, "lib.star")
    assert bundles.to_bytes(bundle) == (
        b"\xffstarflow-bundle-1\nlib.star\nlib.star 2\n\xc3\xa9\nmain.star 2\nx\n\n"
    )


# What loads mean


def test_functions_and_values_come_from_other_files() -> None:
    files = {
        "main.star": main(
            "return [tax(100), RATES, more]",
            'load("lib/tax.star", "tax", "RATES", more="extra")',
        ),
        "lib/tax.star": (
            'load("rates.star", "rate")\nload("math", "floor")\n'
            "RATES = {'de': rate}\nextra = [1, (2, 3)]\n"
            "def tax(cents): return floor(cents * rate)\n"
        ),
        "lib/rates.star": "rate = 0.19\n",
    }
    assert value(files) == [19, {"de": 0.19}, [1, (2, 3)]]


def test_each_file_is_executed_once_after_those_it_loads() -> None:
    files = {
        "main.star": 'print("main")\nload("a.star", "a")\nload("b.star", "b")\n'
        + main("return a + b"),
        "a.star": 'load("c.star", "c")\nprint("a")\na = c',
        "b.star": 'load("c.star", "c")\nload("d.star", "d")\nprint("b")\nb = c + d',
        "c.star": 'print("c")\nc = [1]',
        "d.star": 'print("d")\nd = [2]',
    }
    outcome, printed = run(files)
    assert outcome.value == [1, 1, 2]
    assert printed == ["c", "a", "d", "b", "main"]


def test_what_is_loaded_is_the_same_value_everywhere() -> None:
    files = {
        "main.star": main(
            "return [a == b, a([1]) == b([1])]",
            'load("a.star", "a")\nload("b.star", "b")',
        ),
        "a.star": 'load("c.star", "c")\na = c',
        "b.star": 'load("c.star", "c")\nb = c',
        "c.star": "def c(x): return x",
    }
    assert value(files) == [True, True]


def test_what_is_loaded_is_frozen() -> None:
    files = {
        "main.star": main("add(1)", 'load("a.star", "add")'),
        "a.star": "seen = []\ndef add(x):\n    seen.append(x)\n",
    }
    message, stack = error(files)
    assert message == "append: cannot append to frozen list"
    assert stack == ["main.star:3:8: in main", "a.star:3:16: in add"]


def test_a_file_is_frozen_before_the_next_begins() -> None:
    files = {
        "main.star": main("pass", 'load("a.star", "seen")\nx = seen.append(1)'),
        "a.star": "seen = []\nseen.append(0)\n",
    }
    message, stack = error(files)
    assert message == "append: cannot append to frozen list"
    assert stack == ["main.star:2:16: in <toplevel>"]


def test_files_have_globals_of_their_own() -> None:
    files = {
        "main.star": main("return [x, get()]", 'load("a.star", "get")\nx = "main"'),
        "a.star": 'x = "a"\n_hidden = x + "!"\ndef get(): return [x, _hidden]\n',
    }
    assert value(files) == ["main", ["a", "a!"]]


def test_a_loaded_name_is_bound_by_its_load() -> None:
    files = {
        "main.star": 'y = f\nload("a.star", "f")\n' + main("pass"),
        "a.star": "f = 1",
    }
    message, _ = error(files)
    assert message == "global variable f referenced before assignment"


def test_the_entry_may_be_any_file() -> None:
    files = {
        "flows/order.star": main("return x", 'load("../lib.star", "x")'),
        "lib.star": "x = 7",
    }
    assert value(files, "flows/order.star") == 7


def test_a_bundle_of_one_file_is_a_program() -> None:
    assert value({"main.star": main("return 3")}) == 3


def test_functions_of_workers_are_found_in_all_files() -> None:
    program = compile_bundle(
        Bundle(
            {
                "main.star": main("return pay(ctx)", 'load("a.star", "pay")'),
                "a.star": "def pay(ctx): return bank.pay(ctx, 1)\n",
            }
        )
    )
    assert program.functions == {"bank.pay": ("a.star", (1, 22))}


# What goes wrong at run time


def test_errors_name_their_files() -> None:
    files = {
        "main.star": main("return f({})", 'load("lib/a.star", "f")'),
        "lib/a.star": 'load("b.star", "g")\ndef f(x): return g(x)\n',
        "lib/b.star": "\n\ndef g(x):\n    return x['a']\n",
    }
    message, stack = error(files)
    assert message == 'key "a" not in dict'
    assert stack == [
        "main.star:3:13: in main",
        "lib/a.star:2:19: in f",
        "lib/b.star:4:13: in g",
    ]


def test_an_inline_access_is_explained_in_its_own_file() -> None:
    """Both files index at the same place, and only one of them with a bad index."""
    body = "    x = [1, 2]\n    return x[{}]\n"
    call = "def main(ctx, input):\n    return f() + h()\n"
    files = {
        "main.star": f'load("a.star", "f")\n{call}def h():\n{body.format(1)}',
        "a.star": f"\n\n\ndef f():\n{body.format(5)}",
    }
    message, stack = error(files)
    assert message == "list index 5 out of range [-2:1]"
    assert stack[-1] == "a.star:6:13: in f"


def test_a_file_that_fails_ends_the_run() -> None:
    files = {
        "main.star": main("pass", 'load("a.star", "x")'),
        "a.star": 'x = fail("no")',
    }
    assert error(files) == ("fail: no", ["a.star:1:9: in <toplevel>"])


@pytest.mark.parametrize(
    ("library", "body"),
    [
        ("def f(g): return g(g)", "return f(f)"),
        ("def f(g): return g()", "return back()"),
        ("def f(g, h): return g(h, g)", "return f(f, f)"),
        ("def f(x): return x[0](x)", "return f([f])"),
        ("def f(x): return sorted([1], key=lambda y: x(x))", "return f(f)"),
    ],
)
def test_recursion_is_found_across_files(library: str, body: str) -> None:
    files = {
        "main.star": f'load("a.star", "f")\ndef back(): return f(back)\n{main(body)}',
        "a.star": library,
    }
    message, _ = error(files)
    assert message.endswith("called recursively")


def test_branches_in_one_function_of_a_library_are_no_recursion() -> None:
    files = {
        "main.star": 'load("flow", "spawn", "wait")\nload("a.star", "work")\n'
        "def step(ctx): return test.echo(ctx, 5)\n"
        + main("return wait(ctx, [spawn(ctx, work, ctx, step) for _ in range(3)])"),
        "a.star": "def work(ctx, f): return [test.echo(ctx, 1), f(ctx)]\n",
    }
    run = Run(Bundle(files), {"test.echo": lambda req: req}).go_on()
    assert run.result == "[[1,5],[1,5],[1,5]]"


def test_calls_across_many_files_do_not_nest_too_deep() -> None:
    """No file has so many functions that its own calls would have to be counted."""
    files = {"main.star": main("return f0_0()", 'load("f0.star", "f0_0")')}
    for number in range(20):
        last = f"f{number + 1}_0()" if number < 19 else "1"
        load = f'load("f{number + 1}.star", "f{number + 1}_0")\n' if number < 19 else ""
        calls = [f"f{number}_{n + 1}()" for n in range(39)] + [last]
        files[f"f{number}.star"] = load + "".join(
            f"def f{number}_{n}(): return {call}\n" for n, call in enumerate(calls)
        )
    outcome, _ = run(files)
    assert isinstance(outcome, Aborted)
    assert isinstance(outcome.abort, LimitError)
    assert outcome.abort.limit == "max_call_depth"


def test_all_files_draw_on_one_budget() -> None:
    work = "x = [y for y in range(1000)]\n"
    files = {
        "main.star": main("pass", 'load("a.star", "x")\nload("b.star", z="x")'),
        "a.star": work,
        "b.star": work,
    }
    outcome, _ = run(files, max_steps=1_500)
    assert isinstance(outcome, Aborted)
    assert isinstance(outcome.abort, LimitError)
    assert [frame.filename for frame in outcome.abort.stack] == ["b.star"]
    assert isinstance(run(files, max_steps=5_000)[0], Returned)


# What is wrong before it runs


def test_a_missing_file() -> None:
    files = {
        "main.star": main("pass", 'load("lib/taxs.star", "f")'),
        "lib/tax.star": "f = 1",
    }
    assert finding(files) == (
        'main.star:1:6: cannot load "lib/taxs.star": no file lib/taxs.star in the'
        " bundle (did you mean lib/tax.star?)"
    )
    assert findings(files)[0].hint == "the bundle has lib/tax.star, main.star"


def test_a_missing_name() -> None:
    files = {
        "main.star": main("pass", 'load("lib/a.star", "chrage")'),
        "lib/a.star": 'load("b.star", "other")\ndef charge(): pass\n_private = 1',
        "lib/b.star": "other = 1",
    }
    assert finding(files) == (
        "main.star:1:20: load: name chrage not found in module lib/a.star"
        " (did you mean charge?)"
    )
    # Neither what it loads itself, nor what it keeps to itself.
    assert findings(files)[0].hint == "lib/a.star has charge"


def test_a_name_that_is_loaded_is_not_exported() -> None:
    files = {
        "main.star": main("pass", 'load("a.star", "x")'),
        "a.star": 'load("b.star", "x")',
        "b.star": "x = 1",
    }
    assert finding(files) == ("main.star:1:16: load: name x not found in module a.star")
    assert findings(files)[0].hint == "a.star has nothing that can be loaded"


def test_a_private_name() -> None:
    files = {"main.star": main("pass", 'load("a.star", x="_x")'), "a.star": "_x = 1"}
    assert finding(files).endswith(
        "load: names with leading underscores are not exported: _x"
    )


def test_a_cycle_is_shown() -> None:
    files = {
        "main.star": main("pass", 'load("a.star", "a")'),
        "a.star": 'load("lib/b.star", "b")\na = b',
        "lib/b.star": '\nload("c.star", "c")\nb = c',
        "lib/c.star": 'load("../a.star", "a")\nc = a',
    }
    assert finding(files) == (
        'lib/c.star:1:6: cannot load "../a.star": cycle of loads: a.star -> lib/b.star'
        " -> lib/c.star -> a.star"
    )


def test_a_file_that_loads_itself_is_a_cycle() -> None:
    files = {"main.star": main("pass", 'load("main.star", "x")')}
    assert "cycle of loads: main.star -> main.star" in finding(files)


def test_a_path_outside() -> None:
    files = {"main.star": main("pass", 'load("../a.star", "a")')}
    assert finding(files) == (
        'main.star:1:6: cannot load "../a.star": the path leaves the root of the bundle'
    )


def test_all_files_are_checked_and_the_entry_comes_first() -> None:
    files = {
        "b.star": "x = = 1\n",
        "a.star": "y = undefined_a\nz = undefined_b\n",
        "main.star": main("return nothing", 'load("a.star", "q")\nload("b.star", "x")'),
    }
    assert [(f.file, f.pos.line, f.code) for f in findings(files)] == [
        ("main.star", 4, "UNDEFINED_NAME"),
        ("a.star", 1, "UNDEFINED_NAME"),
        ("a.star", 2, "UNDEFINED_NAME"),
        ("b.star", 1, "SYNTAX"),
    ]


def test_main_belongs_into_the_entry() -> None:
    files = {
        "main.star": 'load("a.star", "main")',
        "a.star": "def main(ctx, input): pass",
    }
    assert finding(files) == "main.star:1:1: script has no function main"


def test_a_file_that_nobody_loads_is_a_warning() -> None:
    files = {
        "main.star": main("pass"),
        "old/unused.star": "this is = not even a program",
    }
    program = compile_bundle(Bundle(files))
    (warning,) = program.warnings
    assert (warning.severity, warning.code) == ("warning", "UNUSED_FILE")
    assert (warning.file, warning.message) == (
        "old/unused.star",
        "old/unused.star is never loaded",
    )


def test_what_is_too_complex_says_in_which_file() -> None:
    loops = "\n".join(f"{' ' * d}for x{d} in []:" for d in range(1, 31))
    files = {
        "main.star": main("pass", 'load("a.star", "f")'),
        "a.star": f"def f():\n{loops}\n{' ' * 31}pass\n",
    }
    (found,) = findings(files)
    assert (found.file, found.code) == ("a.star", "TOO_COMPLEX")


def test_all_files_together_are_bounded() -> None:
    """Each of them may be as long as a script may, but not all of them."""
    long = "x = [" + "0, " * 45_000 + "]\n"
    files = {f"f{n}.star": long for n in range(3)}
    loads = "".join(f'load("{path}", x{path[1]}="x")\n' for path in files)

    assert finding({"main.star": main("pass", loads), **files}) == (
        "f2.star:1:1: bundle too long: more than 100000 syntax nodes in all"
    )
    del files["f2.star"]
    loads = "".join(f'load("{path}", x{path[1]}="x")\n' for path in files)
    assert not Sources(Bundle({"main.star": main("pass", loads), **files})).errors


def test_a_single_script_cannot_load_files() -> None:
    with pytest.raises(ScriptSyntaxError) as caught:
        compile_program(main("pass", 'load("a.star", "x")'))
    (found,) = caught.value.diagnostics
    assert found.message == 'cannot load "a.star": the script is a single file'
    assert "bundle" in found.hint


def test_the_same_bundle_compiles_to_the_same_program() -> None:
    files = {
        "main.star": main("return [y for y in f.g(ctx)]", 'load("a.star", "x")'),
        "a.star": "x = 1",
    }
    first, second = (
        compile_bundle(Bundle(sources))
        for sources in (files, dict(reversed(files.items())))
    )
    assert [f.path for f in first.files] == ["a.star", "main.star"]
    assert [f.code for f in first.files] == [f.code for f in second.files]


def test_findings_that_are_left_out_are_counted():
    wrong = "".join(f"x{n} = y{n}\n" for n in range(60))
    files = {"main.star": f'load("b.star", "x0")\n{wrong}', "b.star": wrong}

    with pytest.raises(ScriptSyntaxError) as refused:
        compile_bundle(Bundle(files))

    assert refused.value.diagnostics[-1].code == "MORE"
