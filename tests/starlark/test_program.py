import pytest

from starflow_service.starlark import Pos, ScriptSyntaxError, compile_program
from starflow_service.starlark.diagnostics import Diagnostic


def finding(source: str) -> Diagnostic:
    with pytest.raises(ScriptSyntaxError) as caught:
        compile_program(source)
    return caught.value.diagnostics[0]


def test_the_functions_of_the_host_are_listed_with_their_first_place() -> None:
    program = compile_program(
        "def main(ctx, input):\n"
        "    payments.charge(ctx)\n"
        "    x = a.b.c\n"
        "    payments.charge(ctx)\n"
        "    return input.get\n"
    )
    assert program.functions == {
        "payments.charge": ("", Pos(2, 5)),
        "a.b.c": ("", Pos(3, 9)),
    }


def test_a_script_without_main_is_refused() -> None:
    assert finding("x = 1").code == "NO_MAIN"
    assert finding("").code == "NO_MAIN"


@pytest.mark.parametrize(
    "parameters",
    ["", "ctx", "ctx, input, more", "ctx, *, input", "*, ctx, input", "**kwargs"],
)
def test_main_must_take_two_arguments(parameters: str) -> None:
    found = finding(f"def main({parameters}): pass")
    assert found.code == "MAIN_ARITY"
    assert found.pos == (1, 1)


@pytest.mark.parametrize(
    "parameters", ["ctx, input", "a, b", "*args", "ctx, input, more=1", "c, i, **kw"]
)
def test_main_may_take_more_by_default(parameters: str) -> None:
    assert compile_program(f"def main({parameters}): pass").functions == {}


def test_what_python_cannot_compile_is_too_complex() -> None:
    loops = "\n".join(f"{' ' * d}for x{d} in []:" for d in range(1, 31))
    source = f"def main(ctx, input):\n{loops}\n{' ' * 31}pass\n"
    found = finding(source)
    assert found.code == "TOO_COMPLEX"
    assert found.message == "script too complex: more than 16 loops inside each other"
    assert found.pos == (18, 18)


def test_sixteen_loops_inside_each_other_compile() -> None:
    loops = "\n".join(f"{' ' * d}for x{d} in []:" for d in range(1, 17))
    source = f"def main(ctx, input):\n{loops}\n{' ' * 17}[0 for y in []]\n"
    assert finding(source).pos == (18, 21)
    compile_program(source.replace("[0 for y in []]", "pass"))


def test_too_many_functions_are_refused_where_they_are_too_many() -> None:
    many = "def f(): pass\n" * 1_999
    named = "".join(
        line.replace("f()", f"f{number}()") + "\n"
        for number, line in enumerate(many.splitlines())
    )
    compile_program(named + "def main(ctx, input): pass\n")
    found = finding(named + "x = lambda: 0\ndef main(ctx, input): pass\n")
    assert found.message == "script too complex: more than 2000 functions"
    assert found.pos.line == 2_001


def test_the_file_name_is_in_errors() -> None:
    with pytest.raises(ScriptSyntaxError, match=r"^order\.star:1:5: "):
        compile_program("x = )", filename="order.star")


def test_the_same_text_compiles_to_the_same_program() -> None:
    source = "def main(ctx, input):\n    return [x for x in a.b(ctx)]\n"
    first, second = compile_program(source), compile_program(source)
    assert first.files[0].code == second.files[0].code
    assert first.functions == second.functions
