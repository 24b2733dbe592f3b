"""What compiled code does inline is what the operations do."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from starflow_service.starlark import (
    Aborted,
    EvalError,
    Failed,
    LimitError,
    Limits,
    Meter,
    Program,
    Returned,
    Sliced,
    Thread,
    compile_program,
    ops,
)
from starflow_service.starlark.values import (
    Dict,
    FrozenDict,
    FrozenList,
    List,
    LockedList,
    freeze,
)
from tests.starlark.scripted_host import ScriptedHost

Make = Callable[[], Any]


def frozen(value: Any) -> Any:
    freeze(value)
    return value


def locked() -> List:
    value = List([1, 2])
    value.__class__ = LockedList
    value.locks = 1
    return value


# One of every kind, and the numbers at which inline arithmetic gives up.
VALUES: list[Make] = [
    lambda: None,
    lambda: True,
    lambda: False,
    lambda: 0,
    lambda: 1,
    lambda: 2,
    lambda: -3,
    lambda: 2**62 - 1,
    lambda: -(2**62),
    lambda: 2**64,
    lambda: 1 << 300,
    lambda: 0.0,
    lambda: 1.0,
    lambda: -2.5,
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: "",
    lambda: "a",
    lambda: "key",
    lambda: b"a",
    tuple,
    lambda: (1, 2),
    List,
    lambda: List([1, 2, 3]),
    lambda: frozen(List([1, 2])),
    locked,
    Dict,
    lambda: Dict({"a": 1, "key": 2}),
    lambda: Dict({1: "one", 2: "two"}),
    lambda: frozen(Dict({"a": 1})),
    lambda: range(3),
]

BINARY: dict[str, Callable[..., Any]] = {
    "+": ops.add,
    "-": ops.sub,
    "*": ops.mul,
    "/": ops.truediv,
    "//": ops.floordiv,
    "%": ops.mod,
    "&": ops.and_,
    "|": ops.or_,
    "^": ops.xor,
    "<<": ops.lshift,
    ">>": ops.rshift,
    "==": ops.eq,
    "!=": ops.ne,
    "<": ops.lt,
    "<=": ops.le,
    ">": ops.gt,
    ">=": ops.ge,
    "in": ops.contains,
    "not in": ops.not_contains,
}
CONSTANTS = ["0", "1", "2", "-3", "0.5", "''", "'a'", "None", "True", "False"]

# The operand as it comes, and as something that has to be evaluated first.
FORMS = ["x {op} y", "f(x) {op} y", "x {op} f(y)", "f(x) {op} f(y)"]


def program(expressions: list[str]) -> Program:
    """Return a program whose main evaluates the expression that its input numbers."""
    functions = "\n".join(
        f"def e{number}(x, y): return {expression}"
        for number, expression in enumerate(expressions)
    )
    names = ", ".join(f"e{number}" for number in range(len(expressions)))
    return compile_program(
        f"def f(x): return x\n{functions}\nall_of_them = [{names}]\n"
        "def main(ctx, input): return all_of_them[input[0]](input[1], input[2])\n"
    )


def evaluate(compiled: Program, number: int, x: Any, y: Any) -> Any:
    outcome = Thread(compiled, ScriptedHost()).start(lambda m: (number, x, y))
    if isinstance(outcome, Failed):
        return outcome.error.message
    if isinstance(outcome, Aborted):
        return outcome.abort.message
    assert isinstance(outcome, Returned), outcome
    return shown(outcome.value)


def expected(operation: Callable[..., Any], *operands: Any) -> Any:
    m = Meter(ScriptedHost(), Limits())
    try:
        return shown(operation(m, *operands))
    except (EvalError, LimitError) as error:
        return error.message


def shown(value: Any) -> tuple[type, str]:
    return type(value), ops.repr_(Meter(ScriptedHost(), Limits()), value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("op", BINARY)
def test_a_binary_operator_does_what_its_operation_does(op: str, form: str) -> None:
    compiled = program([form.format(op=op)])
    for left in VALUES:
        for right in VALUES:
            got = evaluate(compiled, 0, left(), right())
            assert got == expected(BINARY[op], left(), right()), (left(), right())


@pytest.mark.parametrize("op", BINARY)
def test_so_it_does_with_a_literal_on_one_side(op: str) -> None:
    forms = [f"x {op} {c}" for c in CONSTANTS] + [f"{c} {op} x" for c in CONSTANTS]
    compiled = program(forms)
    for make in VALUES:
        for number, text in enumerate(CONSTANTS):
            constant = eval(text)
            right = evaluate(compiled, number, make(), None)
            assert right == expected(BINARY[op], make(), constant), (make(), text)
            left = evaluate(compiled, number + len(CONSTANTS), make(), None)
            assert left == expected(BINARY[op], constant, make()), (text, make())


# Variables whose kind is known from what is assigned to them.
KNOWN = {
    "small": (5, "for v in range(5, 6): pass"),
    "growing": (1 << 70, "v = 1\n    for i in range(70): v = v + v"),
    "float": (0.5, "v = 1 / 2"),
    "nan": (float("nan"), 'v = float("nan")'),
    "string": ("key", 'v = "k" + "ey"'),
    "bool": (True, "v = 1 < 2"),
    "length": (3, 'v = len("abc")'),
    "either": (7, 'v = "s"\n    v = 7'),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("op", BINARY)
def test_an_operand_of_known_kind_changes_nothing(op: str, name: str) -> None:
    value, statements = KNOWN[name]
    compiled = compile_program(
        f"def known(x):\n    {statements}\n    return v {op} x\n"
        f"def knows(x):\n    {statements}\n    return x {op} v\n"
        f"def both(x):\n    {statements}\n    return v {op} v\n"
        "def main(ctx, input): return [known, knows, both][input[0]](input[1])\n"
    )
    for make in VALUES:
        left = evaluate(compiled, 0, make(), None)
        assert left == expected(BINARY[op], value, make()), (value, make())
        right = evaluate(compiled, 1, make(), None)
        assert right == expected(BINARY[op], make(), value), (make(), value)
    both = evaluate(compiled, 2, None, None)
    assert both == expected(BINARY[op], value, value)


@pytest.mark.parametrize("op", ["-", "+", "~"])
def test_a_unary_operator_does_what_its_operation_does(op: str) -> None:
    operation = {"-": ops.neg, "+": ops.pos, "~": ops.invert}[op]
    compiled = program([f"{op}x", f"{op}f(x)"])
    for make in VALUES:
        for number in range(2):
            got = evaluate(compiled, number, make(), None)
            assert got == expected(operation, make()), make()


INDEXED = ["x[y]", "f(x)[y]", "x[f(y)]", "f(x)[f(y)]"]


@pytest.mark.parametrize("form", INDEXED)
def test_an_element_is_what_the_operation_finds(form: str) -> None:
    compiled = program([form])
    for owner in VALUES:
        for index in VALUES:
            got = evaluate(compiled, 0, owner(), index())
            assert got == expected(ops.index, owner(), index()), (owner(), index())


@pytest.mark.parametrize(
    "index", ["0", "-1", "-4", "7", '"a"', '"zz"', "1 + 1", "True"]
)
def test_so_is_an_element_at_a_literal_index(index: str) -> None:
    compiled = program([f"x[{index}]", f"f(x)[{index}]"])
    for owner in VALUES:
        for number in range(2):
            got = evaluate(compiled, number, owner(), None)
            assert got == expected(ops.index, owner(), eval(index)), owner()


STORES = {
    "x[y] = 9": None,
    "f(x)[f(y)] = 9": None,
    "x[y] += 9": ops.iadd,
    "f(x)[f(y)] *= 9": ops.mul,
}


@pytest.mark.parametrize("statement", STORES)
def test_an_element_is_stored_as_the_operation_does_it(statement: str) -> None:
    compiled = compile_program(
        f"def f(x): return x\ndef main(ctx, input):\n    x, y = input[1], input[2]\n"
        f"    {statement}\n    return x\n"
    )

    def reference(m: Meter, x: Any, y: Any) -> Any:
        update = STORES[statement]
        new = 9 if update is None else update(m, ops.index(m, x, y), 9)
        ops.set_index(m, x, y, new)
        return x

    for owner in VALUES:
        for index in VALUES:
            got = evaluate(compiled, 0, owner(), index())
            assert got == expected(reference, owner(), index()), (owner(), index())


METHODS = [
    ("append", 1),
    ("append", 2),
    ("get", 1),
    ("get", 2),
    ("get", 0),
    ("pop", 0),
    ("pop", 1),
    ("keys", 0),
    ("upper", 0),
    ("startswith", 1),
    ("clear", 0),
    ("nothing", 0),
]


@pytest.mark.parametrize(("name", "count"), METHODS)
def test_a_method_is_called_as_the_operation_does_it(name: str, count: int) -> None:
    arguments = ["y", "f(y)"]
    expressions = [
        f"(x.{name}({', '.join([argument] * count)}), x)[0]" for argument in arguments
    ] + [f"(f(x).{name}({', '.join(['y'] * count)}), x)[0]"]
    compiled = program(expressions)

    def reference(m: Meter, x: Any, y: Any) -> Any:
        return ops.call_method(m, x, name, (y,) * count, {})

    for owner in VALUES:
        for argument in VALUES:
            wanted = expected(reference, owner(), argument())
            for number in range(len(expressions)):
                got = evaluate(compiled, number, owner(), argument())
                assert got == wanted, (owner(), argument())


def test_frozen_values_are_of_their_own_classes() -> None:
    # The guards of compiled code rely on it.
    assert type(frozen(List())) is FrozenList
    assert type(frozen(Dict())) is FrozenDict


def run(source: str, **limits: int) -> tuple[Any, Meter]:
    thread = Thread(compile_program(source), ScriptedHost(), Limits(**limits))
    outcome = thread.start(lambda m: None)
    while isinstance(outcome, Sliced):
        outcome = thread.resume()
    assert isinstance(outcome, Returned), outcome
    return outcome.value, thread.meter


def spent(body: str) -> tuple[int, int]:
    """Return the steps and bytes that a body of main takes."""
    text = "".join(f"\n    {line}" for line in body.split("\n"))
    _, m = run(f"def main(ctx, input):{text}\n")
    limits = m.limits
    return (
        limits.max_steps - m.remaining - m.steps,
        limits.max_allocated_bytes - m.bytes,
    )


@pytest.mark.parametrize(
    "body",
    [
        "for i in range({n}): pass",
        "for i in range({n}): x = [i]",
        "[0 for i in range({n})]",
        "for i in range({n}): (lambda: 0)()",
        "x = 0\nfor i in range({n}): x += i",
    ],
)
def test_every_round_takes_a_step(body: str) -> None:
    few, _ = spent(body.format(n=10))
    many, _ = spent(body.format(n=1010))
    assert many - few >= 1000


@pytest.mark.parametrize(
    ("body", "weight"),
    [
        ("x.append(0)", 8),
        ("x.append((i, i))", 64),
        ("x.append([])", 64),
        ("x.append({})", 64),
        ('x.append({"a": 1})', 300),
        ("x.append(lambda: i)", 300),
        ("x.append(x.append)", 100),
        ("x.append(str(i))", 56),
        ("x = (x, i)", 64),
        ("d[i] = i", 100),
        ('d["k" + str(i)] = i', 150),
        ("x += [i]", 8),
        ("x.insert(0, i)", 8),
        ("x.extend([i, i])", 16),
    ],
)
def test_what_is_kept_is_paid_for(body: str, weight: int) -> None:
    loop = "x = []\nd = {}\nfor i in range(ROUNDS):\n    " + body
    _, few = spent(loop.replace("ROUNDS", "10"))
    _, many = spent(loop.replace("ROUNDS", "1010"))
    assert many - few >= 1000 * weight


def test_a_list_cannot_grow_over_its_limit_by_appending() -> None:
    source = (
        "def main(ctx, input):\n    x = []\n"
        "    for i in range(input): x.append(i)\n    return len(x)\n"
    )
    program = compile_program(source)
    limits = Limits(max_elements=100)
    outcome = Thread(program, ScriptedHost(), limits).start(lambda m: 100)
    assert isinstance(outcome, Returned)
    outcome = Thread(program, ScriptedHost(), limits).start(lambda m: 101)
    assert not isinstance(outcome, Returned)


def test_compiling_warns_of_nothing() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compile_program(
            "def main(ctx, input):\n"
            "    x = 'a' == None or 5 == True or None == None\n"
            "    x = (1,) == None, (1 + 2) != True, None == -5, () == None\n"
            "    y = [1][0] if False else 'a'[0]\n"
            "    z = (1, 2)[0], {'a': 1}['a'], 'a'.upper(), None[0], 1['a'], 2[x]\n"
            "    1[0] = 2\n"
            "    'a'['a'] += 2\n"
            "    5()\n"
            "    [1].append(2)\n"
        )
    assert caught == []


PYTHON_NAMES = [
    "assert",
    "async",
    "await",
    "exec",
    "match",
    "self",
    "__class__",
    "__builtins__",
    "__name__",
    "__import__",
    "print",
    "type",
    "int",
    "M",
    "_",
]


@pytest.mark.parametrize("name", PYTHON_NAMES)
def test_names_that_python_knows_are_ordinary(name: str) -> None:
    value, _ = run(
        f"{name} = 1\n"
        f"def local():\n    {name} = 2\n    return {name}\n"
        f"def parameter({name}, *, other=3): return {name} + other\n"
        f"def inner():\n    def {name}(): return 4\n    return {name}()\n"
        f"def loop():\n    for {name} in [5]: pass\n    return {name}\n"
        "def main(ctx, input):\n"
        f"    return [{name}, local(), parameter({name}=1), inner(), loop(),\n"
        f"        [{name} for {name} in [6]], (lambda {name}: {name})(7)]\n"
    )
    assert value == [1, 2, 4, 4, 5, [6], 7]


def test_a_file_of_many_functions_counts_how_deep_they_call() -> None:
    functions = "\n".join(f"def f{n}(x): return f{n + 1}(x)" for n in range(300))
    source = f"{functions}\ndef f300(x): return x\ndef main(ctx, i): return f0(1)\n"
    thread = Thread(compile_program(source), ScriptedHost())
    outcome = thread.start(lambda m: None)
    assert type(outcome).__name__ == "Aborted"
    assert outcome.abort.limit == "max_call_depth"
    shallow = source.replace("return f0(1)", "return f150(1)")
    assert run(shallow)[0] == 1
