import math
import operator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import ops
from starflow_service.starlark.compare import dict_key
from starflow_service.starlark.errors import EvalError, LimitError
from starflow_service.starlark.values import Builtin, Dict, FrozenList, Key, List
from tests.starlark.evaluate import end_of, evaluate, make_meter

INTS = st.one_of(
    st.integers(), st.integers(-(2**64), 2**64), st.integers(-(2**3000), 2**3000)
)
ARITHMETIC = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "and_": operator.and_,
    "or_": operator.or_,
    "xor": operator.xor,
}


def python(x: Any) -> Any:
    """Return a Starlark value as Python's: only for values without bools."""
    if isinstance(x, dict):
        return {k.value if type(k) is Key else k: python(v) for k, v in x.items()}
    if isinstance(x, list):
        return [python(item) for item in x]
    return tuple(map(python, x)) if isinstance(x, tuple) else x


# Values that Python compares as Starlark does: no bools, no NaN.
PLAIN = st.recursive(
    st.one_of(
        st.none(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(List),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=4).map(Dict),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", ARITHMETIC)
@given(x=INTS, y=INTS)
def test_integers_are_exact(name: str, x: int, y: int) -> None:
    if name in ("floordiv", "mod") and y == 0:
        return
    assert getattr(ops, name)(make_meter(), x, y) == ARITHMETIC[name](x, y)


@given(x=INTS, count=st.integers(0, 511))
def test_shifts_are_exact(x: int, count: int) -> None:
    m = make_meter()
    assert ops.lshift(m, x, count) == x << count
    assert ops.rshift(m, x, count) == x >> count


@given(x=st.floats(), y=st.floats())
def test_a_float_quotient_and_its_rest_belong_together(x: float, y: float) -> None:
    m = make_meter()
    if y == 0:
        return
    rest = ops.mod(m, x, y)
    assert math.isnan(rest) or rest == 0 or (rest < 0) == (y < 0)
    assert math.isnan(rest) or abs(rest) <= abs(y)


@given(x=PLAIN, y=PLAIN)
def test_equality_is_pythons_where_there_are_no_bools(x: Any, y: Any) -> None:
    m = make_meter()
    assert ops.eq(m, x, y) == (python(x) == python(y)) == (not ops.ne(m, x, y))


@given(x=PLAIN)
def test_a_value_equals_its_copy(x: Any) -> None:
    copied = List([x])[0] if not isinstance(x, list) else List(x)
    assert ops.eq(make_meter(), x, copied)


@given(x=st.lists(st.tuples(st.integers(0, 3), st.floats(), st.text(max_size=2))))
def test_order_is_total_also_with_nan(x: list[Any]) -> None:
    m = make_meter()
    for a, b in pairwise(x):
        signs = [ops.lt(m, a, b), ops.eq(m, a, b), ops.gt(m, a, b)]
        assert signs.count(True) == 1
        assert ops.le(m, a, b) == (not ops.gt(m, a, b))
        assert ops.ge(m, a, b) == (not ops.lt(m, a, b))


@given(
    x=st.one_of(st.text(), st.lists(st.integers()).map(List), st.binary()),
    lo=st.none() | st.integers(-9, 9),
    hi=st.none() | st.integers(-9, 9),
    step=st.none() | st.integers(-3, 3).filter(bool),
)
def test_slices_are_pythons(x: Any, lo: Any, hi: Any, step: Any) -> None:
    assert python(ops.slice_(make_meter(), x, lo, hi, step)) == python(x)[lo:hi:step]


KEYS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 2),
        st.integers(2**61 - 2, 2**61 + 2),
        st.integers(-(2**200), 2**200),
        st.floats(),
        st.sampled_from([float(2**61), float(2**100), math.inf, -0.0, math.nan]),
        st.text(max_size=2),
        st.binary(max_size=2),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


@given(x=KEYS, y=KEYS)
def test_two_keys_are_one_exactly_if_they_are_equal(x: Any, y: Any) -> None:
    m = make_meter()
    a, b = dict_key(m, x), dict_key(m, y)
    assert (a == b) == ops.eq(m, x, y)
    if a == b:
        assert hash(a) == hash(b)


@given(x=KEYS)
def test_an_entry_is_found_again(x: Any) -> None:
    m = make_meter()
    d = ops.make_dict(m, [(x, 1)])
    assert ops.index(m, d, x) == 1
    assert ops.contains(m, x, d)
    assert ops.contains(m, x, List([x]))


def test_no_value_forges_the_key_of_another() -> None:
    m = make_meter()
    tokens = [dict_key(m, x).token for x in (True, math.nan, 2**70, (True, 2**70))]
    assert len(set(map(repr, tokens))) == 4
    assert evaluate("{('bool', 1): 1, True: 2, 1: 3, (1,): 4, (True,): 5}") == (
        '{("bool", 1): 1, True: 2, 1: 3, (1,): 4, (True,): 5}'
    )


def test_integers_that_python_hashes_alike_do_not_collide() -> None:
    m = make_meter()
    keys = [dict_key(m, i * (2**61 - 1)) for i in range(1, 2000)]
    assert len({hash(key) for key in keys}) > 1990


def test_iteration_gives_what_a_loop_sees() -> None:
    m = make_meter()
    d = ops.make_dict(m, [(True, 1), ("a", 2)])
    assert list(ops.begin_iteration(m, d)) == [True, "a"]
    assert list(ops.begin_iteration(m, range(2))) == [0, 1]
    with pytest.raises(EvalError, match="string value is not iterable"):
        ops.begin_iteration(m, "ab")


def test_unpacking_counts() -> None:
    m = make_meter()
    assert list(ops.unpack(m, range(2), 2)) == [0, 1]
    assert list(ops.unpack(m, Dict(a=1), 1)) == ["a"]
    with pytest.raises(EvalError, match=r"too many values to unpack \(got 4611"):
        ops.unpack(m, range(2**62), 2)
    with pytest.raises(EvalError, match="got string in sequence assignment"):
        ops.unpack(m, "ab", 2)


def test_a_list_added_in_place_stays_the_same_list() -> None:
    m = make_meter()
    x = List([1])
    assert ops.iadd(m, x, x) is x
    assert x == [1, 1]
    assert ops.iadd(m, x, ops.make_dict(m, [(True, 2)])) == [1, 1, True]
    d = Dict(a=1)
    assert ops.ior(m, d, Dict(b=2)) is d
    assert d == {"a": 1, "b": 2}
    assert ops.iadd(m, (1,), (2,)) == (1, 2)
    assert ops.ior(m, 4, 1) == 5


def test_a_sum_is_a_new_list_that_may_change() -> None:
    total = ops.add(make_meter(), FrozenList([1]), FrozenList([2]))
    assert type(total) is List
    assert total == [1, 2]


TOO_LONG = "limit: string of more than 1000000 characters"
TOO_MANY = "limit: value of more than 100000 elements"


@pytest.mark.parametrize(
    ("expression", "end"),
    [
        ("'a' * 1000001", TOO_LONG),
        ("'a' * 600000 + 'a' * 600000", TOO_LONG),
        ("('a' * 600000).replace('a', 'bb')", TOO_LONG),
        ("('a' * 1000).join(['b'] * 2000)", TOO_LONG),
        ("'%s%s' % ('a' * 600000, 'a' * 600000)", TOO_LONG),
        ("'{0}{0}'.format('a' * 600000)", TOO_LONG),
        ("['a' * 600000] * 2", TOO_LONG),
        ("'\\x00' * 300000", TOO_LONG),  # each is shown with four characters
        ("[0] * 100001", TOO_MANY),
        ("[0] * 60000 + [0] * 60000", TOO_MANY),
        ("(0,) * 100001", TOO_MANY),
        ("list(range(1 << 40))", TOO_MANY),
        ("sorted(range(100001))", TOO_MANY),
        ("('a,' * 100001).split(',')", TOO_MANY),
        ("('a\\n' * 100001).splitlines()", TOO_MANY),
        ("zip(range(100001), range(100001))", TOO_MANY),
        ("dict(enumerate(range(100001)))", TOO_MANY),
        ("(lambda *args: 0)(*range(1 << 40))", TOO_MANY),
    ],
)
def test_a_value_over_its_cap_is_a_limit(expression: str, end: str) -> None:
    assert evaluate(expression) == end


def test_an_integer_over_its_cap_is_a_limit() -> None:
    body = "x = 1\nfor _ in range(200):\n    x = x << 500"
    assert end_of(body) == "limit: integer of more than 65536 bits"
    assert evaluate("int('f' * 20000, 16)") == "limit: integer of more than 65536 bits"


def test_an_append_over_the_cap_is_a_limit() -> None:
    for change in ("x.append(1)", "x.insert(0, 1)", "x.extend([1])", "x += [1]"):
        assert end_of(f"x = [0] * 100000\n{change}") == TOO_MANY
    for change in ("x[-1] = 1", "x.setdefault(-1)", "x.update(a=1)", "x |= {'a': 1}"):
        assert end_of(f"x = dict(enumerate(range(100000)))\n{change}") == TOO_MANY


def test_a_product_is_refused_before_it_is_made() -> None:
    m = make_meter()
    x = 1 << 40_000
    with pytest.raises(LimitError, match="integer of more than 65536 bits"):
        ops.mul(m, x, x)
    assert ops.mul(m, x, 0) == 0


def test_a_value_too_deep_is_a_limit_wherever_it_is_walked() -> None:
    m = make_meter()
    deep, twin = List(), List()
    pairs: tuple[Any, ...] = ()
    for _ in range(201):
        deep, twin, pairs = List([deep]), List([twin]), (pairs,)
    walks = [
        lambda: ops.eq(m, deep, twin),
        lambda: ops.lt(m, deep, twin),
        lambda: ops.repr_(m, deep),
        lambda: dict_key(m, pairs),
    ]
    for walk in walks:
        with pytest.raises(LimitError, match="value nested deeper than 200 levels"):
            walk()


def test_a_shared_structure_is_paid_for_as_often_as_it_is_walked() -> None:
    m = make_meter(max_steps=10_000)
    shared, twin = List([1]), List([1])
    for _ in range(60):
        shared, twin = List([shared, shared]), List([twin, twin])
    with pytest.raises(LimitError, match="more than 10000 steps"):
        ops.eq(m, shared, twin)


def test_a_shared_key_is_refused_for_its_size() -> None:
    m = make_meter()
    pair: tuple[Any, ...] = (1,)
    for _ in range(60):
        pair = (pair, pair)
    with pytest.raises(LimitError):
        dict_key(m, pair)


def test_an_error_shows_only_the_beginning_of_a_value() -> None:
    m = make_meter()
    with pytest.raises(EvalError) as caught:
        ops.index(m, Dict(), "x" * 100_000)
    assert len(caught.value.message) < 300
    with pytest.raises(EvalError) as caught:
        ops.index(m, Dict(), (("x" * 300,) * 100,) * 100)
    assert len(caught.value.message) < 300


def test_a_callable_is_called_with_what_it_takes() -> None:
    m = make_meter()
    assert ops.call_method(m, "a-b", "split", ("-",)) == ["a", "b"]
    assert ops.call(m, ops.attr(m, "a-b", "split"), ("-",)) == ["a", "b"]
    with pytest.raises(EvalError, match="split: got 3 arguments, want at most 2"):
        ops.call_method(m, "a-b", "split", (1, 2, 3))
    with pytest.raises(EvalError, match=r"string has no \.splat field or method"):
        ops.call_method(m, "a-b", "splat", ())


def test_a_bug_of_ours_is_not_taken_for_a_call_that_does_not_fit() -> None:
    def broken(m: Any) -> None:
        raise TypeError("ours")

    with pytest.raises(TypeError, match="ours"):
        ops.call(make_meter(), Builtin("broken", broken))


HOST_MISFITS = {
    "pay.now()": "pay.now: missing argument for ctx",
    "pay.now(1)": "pay.now: for parameter ctx: got int, want context",
    "pay.now(ctx, 1, 2)": "pay.now: got 3 arguments, want at most 2",
    "pay.now(ctx, ctx=ctx)": 'pay.now: got multiple values for parameter "ctx"',
    "pay.now(ctx, reg=1)": (
        'pay.now: unexpected keyword argument "reg" (did you mean req?)'
    ),
    "pay.now(req=1)": "pay.now: missing argument for ctx",
}


@pytest.mark.parametrize("expression", HOST_MISFITS)
def test_a_function_of_the_host_takes_ctx_and_req(expression: str) -> None:
    assert end_of(expression) == f"error: {HOST_MISFITS[expression]}"
