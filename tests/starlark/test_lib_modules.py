import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import ops, text
from starflow_service.starlark.builtins import MODULES
from starflow_service.starlark.errors import EvalError, LimitError
from starflow_service.starlark.host import Context, Future
from starflow_service.starlark.values import Dict, HostFunction, List
from tests.starlark.evaluate import end_of, evaluate, make_meter
from tests.starlark.scripted_host import ScriptedHost


def call(path: str, *args: Any, **kwargs: Any) -> Any:
    module, _, name = path.partition(".")
    return ops.call(make_meter(), MODULES[module].members[name], args, kwargs)


# math

SAME = "acos acosh asin asinh atan cos cosh exp fabs sin sinh sqrt tan tanh"


@pytest.mark.parametrize("name", SAME.split())
@given(x=st.floats() | st.integers(-(10**30), 10**30) | st.floats(-30, 30))
def test_a_function_of_math_is_pythons_where_that_has_a_value(
    name: str, x: float
) -> None:
    result = call(f"math.{name}", x)
    try:
        expected = getattr(math, name)(x)
    except ValueError:
        assert math.isnan(result)
    except OverflowError:
        assert math.isinf(result)
    else:
        # Python's is another one in the last bits here and there.
        assert same_but_for_bits(result, expected, 4)


@given(st.floats(-1e300, 1e300))
def test_angles_are_converted(x: float) -> None:
    assert same_but_for_bits(call("math.degrees", x), math.degrees(x), 4)
    assert same_but_for_bits(call("math.radians", x), math.radians(x), 4)


@given(x=st.floats(), y=st.floats() | st.integers(-50, 50))
def test_a_function_of_two_numbers_is_pythons(x: float, y: float) -> None:
    assert same_but_for_bits(call("math.atan2", x, y), math.atan2(x, y), 4)
    assert same_but_for_bits(call("math.hypot", x, y), math.hypot(x, y), 4)
    try:
        expected = math.pow(x, y)
    except (OverflowError, ValueError):
        assert not math.isfinite(call("math.pow", x, y))
    else:
        assert same_but_for_bits(call("math.pow", x, y), expected, 4)


@given(st.floats(-170, 171))
def test_gamma_is_pythons(x: float) -> None:
    result = call("math.gamma", x)
    try:
        expected = math.gamma(x)
    except OverflowError:
        assert math.isinf(result)
    except ValueError:
        assert not math.isfinite(result)
    else:
        assert same_but_for_bits(result, expected, 20)


def same_but_for_bits(x: float, y: float, units: int) -> bool:
    """Return whether *x* and *y* are neighbours, with the same sign."""
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.copysign(1, x) != math.copysign(1, y):
        return False
    if math.isinf(x) or math.isinf(y):
        return x == y
    return abs(x - y) <= units * math.ulp(max(abs(x), abs(y)))


@given(x=st.floats(), y=st.floats())
def test_functions_of_two_numbers_have_a_value_everywhere(x: float, y: float) -> None:
    for name in ("copysign", "mod", "remainder"):
        assert type(call(f"math.{name}", x, y)) is float
    for name in ("gamma", "log", "round"):
        assert type(call(f"math.{name}", x)) is float


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_rounding_to_integers_is_exact(x: float) -> None:
    assert call("math.ceil", x) == math.ceil(x)
    assert call("math.floor", x) == math.floor(x)
    rounded = call("math.round", x)
    assert type(rounded) is float
    assert abs(rounded - float(x)) <= 0.5 or abs(x) > 2**52


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("math.pow(-0.0, -3)", "-inf"),
        ("math.pow(0, -2)", "+inf"),
        ("math.pow(-10, 401)", "-inf"),
        ("math.pow(-8, 1 / 3)", "nan"),
        ("math.gamma(-0.0)", "-inf"),
        ("math.gamma(-1)", "nan"),
        ("math.gamma(171.7)", "+inf"),
        ("math.log(0)", "-inf"),
        ("math.atanh(-1)", "-inf"),
        ("math.sinh(-1000)", "-inf"),
        ("math.round(-0.5)", "-1.0"),
        ("math.round(0.49999999999999994)", "0.0"),
        (
            "math.sqrt(1 << 500 << 500 << 500)",
            "error: int too large to convert to float",
        ),
        (
            "math.sqrt('4')",
            "error: sqrt: for parameter 1: got string, want float or int",
        ),
        ("math.log(8, 1)", "error: division by zero"),
        ("math.floor(math.log(0))", "error: cannot convert float infinity to integer"),
    ],
)
def test_the_edges_of_math_are_gos(expression: str, value: str) -> None:
    assert evaluate(expression) == value


# rand and flow


def test_a_random_number_is_the_hosts() -> None:
    host = ScriptedHost()
    assert end_of("return rand.int(ctx=ctx, max=(1 << 63) - 1)", host) == str(2**63 - 2)
    assert host.asked == [("rand_int", 2**63 - 1)]


@pytest.mark.parametrize("limit", ["0", "-1", "1 << 63", "1.0", "True", "None"])
def test_a_bound_of_no_random_number_never_reaches_the_host(limit: str) -> None:
    host = ScriptedHost()
    assert end_of(f"rand.int(ctx, {limit})", host).startswith(
        "error: rand.int: for parameter max: "
    )
    assert host.asked == []


def test_calls_are_started_and_waited_for() -> None:
    host = ScriptedHost({"shop.price": lambda req: req})
    body = (
        "a = flow.start(ctx, shop.price, 1)\n"
        "b = flow.start(ctx=ctx, fn=shop.price, req={'x': 2})\n"
        "c = flow.start(ctx, shop.price)\n"
        "return repr([type(a), flow.wait(ctx, (b, a)), flow.wait(ctx, c)])"
    )
    assert end_of(body, host) == '["future", [{"x": 2}, 1], None]'


def test_the_host_waits_on_a_list_of_its_own() -> None:
    seen: list[Any] = []

    class Host(ScriptedHost):
        def wait(self, m: Any, futures: Any, timeout_ns: int | None = None) -> Any:
            seen.append(futures)
            return [1]

    m = make_meter()
    m.host = Host()
    futures = List([Future(1, "a.b")])
    result = ops.call(m, MODULES["flow"].members["wait"], (Context(), futures))
    assert seen[0] is not futures
    assert type(seen[0]) is list
    assert type(result) is List


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "flow.start(ctx, len)",
            "flow.start: for parameter fn: got builtin_function_or_method, "
            "want the name of a worker's function, such as payments.charge",
        ),
        (
            "flow.start(ctx, lambda: 1)",
            "flow.start: for parameter fn: got function, "
            "want the name of a worker's function, such as payments.charge",
        ),
        ("flow.start(1, a.b)", "flow.start: for parameter ctx: got int, want context"),
        (
            "flow.wait(ctx, 1)",
            "flow.wait: for parameter futures: got int, "
            "want a future, or a list of futures",
        ),
        ("flow.wait(ctx, [1])", "flow.wait: at index 0: got int, want future"),
        ("flow.wait([])", "flow.wait: missing argument for futures"),
    ],
)
def test_flow_says_what_it_wants(expression: str, message: str) -> None:
    assert end_of(expression) == f"error: {message}"


def test_a_future_is_opaque() -> None:
    host = ScriptedHost({"a.b": lambda req: req})
    body = "f = flow.start(ctx, a.b)\nreturn repr([f, f == f, dir(f), bool(f)])"
    assert end_of(body, host) == "[<future>, True, [], True]"
    assert end_of("return repr(ctx)") == "<context>"
    for change in ("ctx.x", "{ctx: 1}", "ctx + 1", "ctx < ctx", "ctx()"):
        assert end_of(f"return {change}").startswith("error: ")


def test_a_host_function_is_a_value_of_its_path() -> None:
    body = "f = a.b.c\nreturn repr([f, type(f), f == a.b.c, f == a.b, {f: 1}[a.b.c]])"
    assert end_of(body) == '[<function a.b.c>, "function", True, False, 1]'


# json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


# A string, or a number that is a float.
NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?')


def shown_float(token: str) -> str:
    is_float = token[0] != '"' and set(token) & set(".e")
    return text.float_text(float(token)) if is_float else token


@given(JSON)
def test_json_is_sorted_and_reads_back(value: Any) -> None:
    decoded = call("json.decode", json.dumps(value))
    encoded = call("json.encode", decoded)
    assert call("json.decode", encoded) == value
    assert encoded == NUMBER.sub(
        lambda found: shown_float(found[0]),
        json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
    )


@given(JSON)
def test_indented_json_is_pythons(value: Any) -> None:
    given_text = json.dumps(value)
    assert call("json.indent", given_text, indent="  ") == json.dumps(
        json.loads(given_text), indent=2, separators=(",", ": ")
    )
    indented = call("json.encode_indent", call("json.decode", given_text), prefix="> ")
    assert json.loads(indented.replace("\n> ", "\n")) == value


def test_json_that_cannot_be_read_may_have_a_default() -> None:
    assert evaluate("json.decode('[1', default='x')") == '"x"'
    assert evaluate("json.decode('[1', None)") == "None"
    assert evaluate("json.decode('[1')") == (
        "error: json.decode: at offset 2, unexpected end of file"
    )
    assert evaluate("json.decode('{\"a\": NaN}', 7)") == "7"


def test_no_default_hides_a_limit() -> None:
    end = evaluate(
        "json.decode('[' + '{},' * 90000 + '1]', None)", max_allocated_bytes=1_000_000
    )
    assert end.startswith("limit: ")


def test_json_in_the_scripts_hands_may_be_larger_than_a_payload() -> None:
    m = make_meter(max_allocated_bytes=10**10)
    value: Any = 1
    for _ in range(200):
        value = List([value])
    encoded = ops.call(m, MODULES["json"].members["encode"], (value,))
    decoded = ops.call(m, MODULES["json"].members["decode"], (encoded,))
    assert ops.eq(m, decoded, value)
    with pytest.raises(EvalError, match="nested deeper than 200 levels"):
        ops.call(m, MODULES["json"].members["encode"], (List([value]),))
    with pytest.raises(LimitError, match="string of more than 1000000 characters"):
        ops.call(m, MODULES["json"].members["encode"], ("a" * 999_999,))
    with pytest.raises(LimitError, match="string of more than 1000000 characters"):
        ops.call(
            m,
            MODULES["json"].members["indent"],
            ("[" + "1," * 90_000 + "1]",),
            {"indent": " " * 60},
        )


def test_an_indent_has_a_length() -> None:
    expression = "json.indent('[]', prefix='x' * 60, indent='y' * 5)"
    message = "json.indent: prefix and indent have more than 64 characters"
    assert evaluate(expression) == f"error: {message}"


def test_json_refuses_with_the_place() -> None:
    m = make_meter()
    value = List([Dict(a=HostFunction("x.y"))])
    with pytest.raises(EvalError) as caught:
        ops.call(m, MODULES["json"].members["encode"], (value,))
    message = (
        'json.encode: at list index 0: in dict key "a": cannot encode function as JSON'
    )
    assert caught.value.message == message
