import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import ops
from starflow_service.starlark.builtins import MODULES, UNIVERSE
from starflow_service.starlark.errors import EvalError, LimitError
from starflow_service.starlark.values import Dict, List
from tests.starlark.evaluate import end_of, evaluate, make_meter
from tests.starlark.scripted_host import ScriptedHost


def test_the_universe_is_that_of_the_dialect() -> None:
    names = (
        "None True False abs all any bool bytes chr dict dir enumerate fail float "
        "getattr hasattr hash int len list max min ord print range repr reversed "
        "sorted str tuple type zip"
    )
    assert sorted(UNIVERSE) == sorted(names.split())
    assert sorted(MODULES) == [
        "flow",
        "hashlib",
        "json",
        "math",
        "rand",
        "time",
        "uuid",
    ]


def call(name: str, *args: object, **kwargs: object) -> object:
    return ops.call(make_meter(), UNIVERSE[name], args, kwargs)


KEYS = st.one_of(
    st.lists(st.integers()),
    st.lists(st.integers(2**60, 2**70)),
    st.lists(st.text(max_size=3)),
    st.lists(st.floats(allow_nan=False)),
    st.lists(st.one_of(st.integers(), st.floats(allow_nan=False))),
    st.lists(st.tuples(st.integers(0, 3), st.text(max_size=2))),
    st.lists(st.tuples(st.integers(0, 3), st.floats(allow_nan=False))),
    st.lists(st.lists(st.integers(0, 3), max_size=3).map(tuple)),
)


@given(KEYS, st.booleans())
def test_sorting_is_pythons_where_order_is(keys: list[object], reverse: bool) -> None:
    assert call("sorted", List(keys), reverse=reverse) == sorted(
        keys,  # type: ignore[type-var]
        reverse=reverse,
    )
    if keys:
        assert call("min", List(keys)) == min(keys)  # type: ignore[type-var]
        assert call("max", *keys, *keys) == max(keys)  # type: ignore[type-var]


@given(st.lists(st.floats()))
def test_sorting_puts_nan_last(keys: list[float]) -> None:
    ordered = call("sorted", List(keys))
    assert isinstance(ordered, list)
    numbers = sum(x == x for x in keys)
    assert ordered[:numbers] == sorted(x for x in keys if x == x)
    assert all(x != x for x in ordered[numbers:])


def test_sorting_is_stable_in_both_directions() -> None:
    body = (
        "x = [(1, 'b'), (0, 'c'), (1, 'a')]\n"
        "def key(p):\n    return p[0]\n"
        "return repr([sorted(x, key=key), sorted(x, key=key, reverse=True)])"
    )
    assert end_of(body) == (
        '[[(0, "c"), (1, "b"), (1, "a")], [(1, "b"), (1, "a"), (0, "c")]]'
    )


@pytest.mark.parametrize("expression", ["sorted([1, 'a'])", "sorted([True, 1])"])
def test_sorting_refuses_what_has_no_order(expression: str) -> None:
    assert "not implemented" in evaluate(expression)


def test_printing_asks_the_host_until_the_run_has_printed_enough() -> None:
    host = ScriptedHost()
    assert end_of("print('a', 1, [2], sep='-')", host) == "None"
    assert host.printed == ["a-1-[2]"]
    end = end_of("for _ in range(10):\n    print('é' * 10)", max_print_bytes=100)
    assert end == "limit: script printed more than 100 bytes"


def test_failing_shows_its_arguments_up_to_a_length() -> None:
    assert end_of("fail('a', 1, sep=': ')") == "error: fail: a: 1"
    end = end_of("fail('x' * 100000)")
    assert len(end) < 5_000
    assert end.endswith("x...")


def test_a_long_failure_is_refused_before_it_is_joined() -> None:
    end = end_of("fail(*(['x' * 900000] * 1000))")
    assert end == "limit: string of more than 1000000 characters"


@given(st.text(max_size=30))
def test_hashes_are_javas(text: str) -> None:
    value = 0
    for character in text:
        value = value * 31 + ord(character)
    value %= 2**32
    assert call("hash", text) == (value if value < 2**31 else value - 2**32)


@given(st.integers(-(2**300), 2**300), st.sampled_from([2, 3, 8, 10, 16, 36]))
def test_integers_read_back_in_every_base(x: int, base: int) -> None:
    digits, rest = "", abs(x)
    while rest:
        rest, digit = divmod(rest, base)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    text = ("-" if x < 0 else "") + (digits or "0")
    assert call("int", text, base) == call("int", text.upper(), base) == x


@given(st.text("+-0123456789abxXoO_ .eE\u0663", max_size=8))
def test_no_text_is_a_number_that_only_python_reads(text: str) -> None:
    m = make_meter()
    for name in ("int", "float"):
        try:
            value = ops.call(m, UNIVERSE[name], (text,))
        except EvalError:
            continue
        assert not set(text) & set("_ \u0663")
        assert value == {"int": int, "float": float}[name](text)


def test_the_longest_integer_can_be_written_and_read() -> None:
    m = make_meter()
    longest = (1 << 65_536) - 1
    text = ops.str_(m, longest)
    assert ops.call(m, UNIVERSE["int"], (text,)) == longest
    with pytest.raises(LimitError):
        ops.call(m, UNIVERSE["int"], (text + "0",))


def test_a_range_that_python_could_not_measure_is_refused() -> None:
    assert (
        evaluate("range(-(1 << 63), (1 << 63) - 1)") == "error: range: too many numbers"
    )
    assert evaluate("len(range(0, (1 << 63) - 1))") == str(2**63 - 1)
    assert evaluate("len(range((1 << 63) - 1, 0))") == "0"
    assert evaluate("len(range((1 << 63) - 1, -(1 << 63), -3))") == str(2**64 // 3)


def test_a_long_range_is_walked_in_the_scripts_time() -> None:
    end = evaluate("all(range(1, 1 << 40))", max_steps=100_000)
    assert end == "limit: script took more than 100000 steps"
    assert evaluate("any(range(1 << 40))") == "True"


def test_what_dir_lists_getattr_finds() -> None:
    m = make_meter()
    for x in ("", b"", List(), Dict(), *MODULES.values()):
        names = ops.call(m, UNIVERSE["dir"], (x,))
        assert names == sorted(names)
        for name in names:
            assert ops.call(m, UNIVERSE["hasattr"], (x, name))
            found = ops.call(m, UNIVERSE["getattr"], (x, name))
            assert ops.eq(m, found, found)


def test_emptying_a_dict_from_the_front_is_not_quadratic() -> None:
    m = make_meter()
    d = Dict((i, i) for i in range(20_000))
    for i in range(20_000):
        assert ops.call_method(m, d, "popitem") == (i, i)
    spent = m.limits.max_steps - m.remaining - m.steps
    # All holes together would be 200 million entries walked over.
    assert spent < 400_000


def test_a_dict_keeps_its_order_when_it_is_rebuilt() -> None:
    m = make_meter()
    d = Dict((i, i) for i in range(100))
    for i in range(0, 100, 3):
        ops.call_method(m, d, "pop", (i,))
    for i in range(1, 100, 3):
        ops.call_method(m, d, "pop", (i,))
    ops.set_index(m, d, 0, 0)
    assert list(d) == [*range(2, 100, 3), 0]
