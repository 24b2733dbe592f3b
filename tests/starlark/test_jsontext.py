import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import jsonpieces, jsontext, ops
from starflow_service.starlark.errors import LimitError
from starflow_service.starlark.host import Context, Future
from starflow_service.starlark.jsontext import JsonError, TooLargeError
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.meter import Meter
from starflow_service.starlark.values import (
    Builtin,
    Dict,
    FrozenDict,
    FrozenList,
    HostFunction,
    List,
)
from tests.starlark.evaluate import make_meter
from tests.starlark.scripted_host import ScriptedHost

PAYLOAD = Limits()
LONGEST = 10**PAYLOAD.max_payload_digits - 1

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.integers(-(10**900), 10**900),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner).map(List), st.dictionaries(st.text(), inner).map(Dict)
    ),
    max_leaves=30,
)


def same(x: Any, y: Any) -> bool:
    """Compare exactly: types, bits of floats, order of keys."""
    if type(x) is not type(y):
        return False
    if isinstance(x, float):
        return struct.pack("d", x) == struct.pack("d", y)
    if isinstance(x, Dict):
        return list(x) == list(y) and all(same(x[key], y[key]) for key in x)
    if isinstance(x, List):
        return len(x) == len(y) and all(map(same, x, y))
    return bool(x == y)


def there_and_back(value: Any, m: Meter | None = None) -> Any:
    m = m or make_meter()
    text = jsontext.encode(m, value)
    jsontext.check(text)
    return jsontext.decode(m, text)


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert same(there_and_back(value), value)


@given(VALUES)
def test_the_text_is_json_without_spaces(value: Any) -> None:
    text = jsontext.encode(make_meter(), value)
    assert text == json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_by_its_bits_and_is_no_integer(x: float) -> None:
    text = jsontext.encode(make_meter(), x)
    assert set(text) & set(".e")
    assert same(there_and_back(x), x)


def test_every_character_comes_back() -> None:
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), 100_000):
        text = "".join(map(chr, codes[start : start + 100_000]))
        assert there_and_back(text) == text
        assert there_and_back(Dict({text: 1})) == {text: 1}


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = List([value]) if level % 2 else Dict(a=value)
    return value


def test_what_is_written_at_a_border_can_be_read() -> None:
    """Each value is the largest of its kind that `encode` takes."""
    m = make_meter(max_allocated_bytes=10**10, max_steps=10**9)
    largest = "é" * ((PAYLOAD.max_payload_bytes - 2) // 2)
    for value in (
        LONGEST,
        -LONGEST,
        nested(PAYLOAD.max_payload_depth),
        largest,
        "\x00" * ((PAYLOAD.max_payload_bytes - 2) // 6),
        "a" * PAYLOAD.max_string,
        List([1] * PAYLOAD.max_elements),
        Dict((str(i), i) for i in range(60_000)),
        List([LONGEST] * 55),
        1.7976931348623157e308,
        5e-324,
    ):
        assert same(there_and_back(value, m), value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (LONGEST + 1, "integer has more than 19000 digits"),
        (1 << 65_535, "integer has more than 19000 digits"),
        (nested(101), "nested deeper than 100 levels"),
        ("é" * 524_288, "JSON text is larger than 1048576 bytes"),
        ("\x00" * 175_000, "JSON text is larger than 1048576 bytes"),
        (range(100_001), "more than 100000 elements"),
        (math.nan, "only finite numbers have a JSON form"),
        (-math.inf, "only finite numbers have a JSON form"),
        (b"x", "bytes has no JSON form"),
        (Context(), "context has no JSON form"),
        (Future(1, "a.b"), "future has no JSON form"),
        (HostFunction("a.b"), "function has no JSON form"),
        (lambda: None, "function has no JSON form"),
        (Builtin("len", len), "builtin_function_or_method has no JSON form"),
        (Dict({1: 2}), "keys must be strings in JSON, not int"),
        (Dict({None: 2}), "keys must be strings in JSON, not NoneType"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_what_has_no_json_form_is_refused(value: Any, reason: str) -> None:
    m = make_meter()
    with pytest.raises(JsonError, match=reason):
        jsontext.encode(m, value)
    with pytest.raises(JsonError, match=reason):
        jsontext.encode(m, List([Dict(a=value)]))


def test_a_refusal_names_the_place() -> None:
    m = make_meter()
    value = Dict({"a": List([1, (2, Dict({'"b': len}))])})
    value["a"][1][1]['"b'] = HostFunction("x.y")
    with pytest.raises(JsonError) as caught:
        jsontext.encode(m, value, what="result")
    message = 'result["a"][1][1]["\\"b"]: function has no JSON form'
    assert caught.value.message == message


def test_a_bool_is_no_key_of_json() -> None:
    m = make_meter()
    value = ops.make_dict(m, [(True, 1)])
    with pytest.raises(JsonError, match="keys must be strings in JSON, not bool"):
        jsontext.encode(m, value)


def test_a_value_that_holds_itself_is_too_deep() -> None:
    value = List([1])
    value.append(value)
    with pytest.raises(JsonError) as caught:
        jsontext.encode(make_meter(), value, what="req")
    assert caught.value.message.startswith("req[1][1][1]")
    assert len(caught.value.message) < 300


def test_a_shared_value_is_written_until_there_is_no_room() -> None:
    m = make_meter()
    value = List()
    for _ in range(90):
        value = List([value, value])
    with pytest.raises(TooLargeError):
        jsontext.encode(m, value)


def test_tuples_ranges_and_frozen_values_are_written_like_others() -> None:
    m = make_meter()
    value = (FrozenList([1]), FrozenDict(a=2), range(3), ())
    assert jsontext.encode(m, value) == '[[1],{"a":2},[0,1,2],[]]'


def test_decoded_values_may_change() -> None:
    value = jsontext.decode(make_meter(), '{"a":[[{}]]}')
    assert type(value) is Dict
    assert type(value["a"]) is type(value["a"][0]) is List
    assert type(value["a"][0][0]) is Dict


REFUSED = {
    "": "at offset 0, unexpected end of JSON text",
    "  ": "at offset 2, unexpected end of JSON text",
    "[": "at offset 1, unexpected end of JSON text",
    "{": "at offset 1, unexpected end of JSON text",
    "x": "at offset 0, unexpected character 'x'",
    "[1,]": "at offset 3, unexpected character ']'",
    "[1 2]": "at offset 3, unexpected character '2'",
    '{"a":1,}': None,
    '{"a" 1}': "at offset 5, unexpected character '1'",
    "{a:1}": "at offset 1, unexpected character 'a'",
    "1 2": "at offset 2, unexpected character '2'",
    "[1]\x00": "at offset 3, unexpected character U+0000",
    "01": "at offset 1, unexpected character '1'",
    "1.": "at offset 1, unexpected character '.'",
    "+1": "at offset 0, unexpected character '+'",
    ".5": "at offset 0, unexpected character '.'",
    "1\u0663": "at offset 1, unexpected character '\u0663'",
    "\ufeff1": "at offset 0, unexpected character U+FEFF",
    "\u00a01": "at offset 0, unexpected character U+00A0",
    '"\n"': "at offset 1, unexpected character U+000A",
    '"abc': None,
    '"\\x41"': None,
    '"\\u12"': None,
    "'a'": "at offset 0, unexpected character '''",
    "nul": "at offset 0, unexpected character 'n'",
    "True": "at offset 0, unexpected character 'T'",
    "NaN": "NaN is not JSON",
    "Infinity": "Infinity is not JSON",
    "[-Infinity]": "-Infinity is not JSON",
    "1e999": "number 1e999 is too large for a float",
    "-1e400": "number -1e400 is too large for a float",
    '{"a":1,"b":2,"a":3}': 'duplicate key "a"',
    '{"a":{"\\u0061":1,"a":3}}': 'duplicate key "a"',
    '"\\ud800"': "text holds a lone surrogate",
    '"\\uDC00"': "text holds a lone surrogate",
    '"\\ud800\\u0041"': "text holds a lone surrogate",
    '"\\udc00\\ud800"': "text holds a lone surrogate",
    '"\\ud83d\\ude00\\ud83d"': "text holds a lone surrogate",
    '{"\\udfff":1}': "text holds a lone surrogate",
    "\ud800": "text holds a lone surrogate",
    "[" * 101 + "]" * 101: "JSON text is nested deeper than 100 levels",
    "[" * 1_000_000: "JSON text is nested deeper than 100 levels",
    '{"a":' * 101 + "1" + "}" * 101: "JSON text is nested deeper than 100 levels",
    "9" * 19_001: "integer has more than 19000 digits",
    "[" + "9" * 100_000 + "]": "integer has more than 19000 digits",
    "[" + "1," * 100_000 + "1]": "more than 100000 elements",
    '{"a":[[' + "1," * 100_000 + "1]]}": "more than 100000 elements",
    '["' + "a" * 1_000_001 + '"]': "string has more than 1000000 characters",
    " " * 1_048_577: "JSON text is larger than 1048576 bytes",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:20]))
def test_what_decode_refuses_check_refuses_with_the_same_words(text: str) -> None:
    messages = set()
    for read in (jsontext.check, lambda text: jsontext.decode(make_meter(), text)):
        with pytest.raises(JsonError) as caught:
            read(text)
        messages.add(caught.value.message)
    assert len(messages) == 1
    expected = REFUSED[text]
    if expected is not None:
        assert messages == {expected}
    assert not any("Expecting" in m or "delimiter" in m for m in messages)


ACCEPTED = {
    " [ 1 , 2 ] \r\n": List([1, 2]),
    "-0": 0,
    "1E2": 100.0,
    "-0.0": -0.0,
    '"\\ud83d\\ude00"': "\U0001f600",
    '"\\\\ud800"': "\\ud800",
    '"\\\\\\ud83d\\uDE00"': "\\\U0001f600",
    '"\\\\\\\\ud800 \\u00e9"': "\\\\ud800 \u00e9",
    '{"[[[": "]{\\"{"}': Dict({"[[[": ']{"{'}),
    '"' + "9" * 30_000 + '"': "9" * 30_000,
    '"' + "[" * 200 + '"': "[" * 200,
    '["' + '","'.join(['\\"['] * 150) + '"]': List(['"['] * 150),
    "9" * 19_000: LONGEST,
    "0." + "9" * 30_000: 1.0,
}


@pytest.mark.parametrize("text", ACCEPTED, ids=lambda text: repr(text[:20]))
def test_what_is_json_is_read(text: str) -> None:
    jsontext.check(text)
    assert same(jsontext.decode(make_meter(), text), ACCEPTED[text])


@given(st.text('[]{},:"\\u d8c01eE.-truefalsn', max_size=25))
def test_check_and_decode_agree_with_each_other_and_with_json(text: str) -> None:
    answers = []
    for read in (jsontext.check, lambda text: jsontext.decode(make_meter(), text)):
        try:
            answers.append(read(text))
        except JsonError as error:
            answers.append(error.message)
    if answers[0] is None:
        assert answers[1] == json.loads(text)
    else:
        assert answers[0] == answers[1]


@given(st.text('[]{}"\\a,', max_size=30))
def test_depth_counts_the_brackets_outside_of_strings(text: str) -> None:
    depth = deepest = 0
    quoted = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif not quoted:
            depth += (character in "[{") - (character in "]}")
            deepest = max(deepest, depth)
    if depth == 0 and not quoted:
        balanced = _is_balanced(text)
        assert jsonpieces.depth(text) == deepest or not balanced
    assert jsonpieces.depth("[" * 20 + text + "]" * 20) >= min(20, deepest)


def _is_balanced(text: str) -> bool:
    try:
        jsontext.check(text)
    except JsonError:
        return False
    return True


@given(st.integers(0, 60), st.integers(0, 60))
def test_depth_is_that_of_the_deepest_place(a: int, b: int) -> None:
    text = "[" + "[" * a + "]" * a + "," + '{"[":' * b + "1" + "}" * b + "]"
    assert jsonpieces.depth(text) == 1 + max(a, b)


@given(VALUES, st.randoms(use_true_random=False))
def test_texts_of_equal_values_are_equal(value: Any, chance: Any) -> None:
    m = make_meter()
    text = jsontext.encode(m, value)

    def shuffled(x: Any) -> Any:
        if isinstance(x, Dict):
            entries = [(key, shuffled(item)) for key, item in x.items()]
            chance.shuffle(entries)
            return Dict(entries)
        return List(map(shuffled, x)) if isinstance(x, List) else x

    other = json.dumps(shuffled(value), indent=1, ensure_ascii=True)
    assert jsontext.equal(text, other)
    assert jsontext.equal(text, text)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("1", "1.0"),
        ("1", "true"),
        ("0", "false"),
        ("0.0", "-0.0"),
        ("0", "null"),
        ("1", '"1"'),
        ("[1]", "[1,1]"),
        ("[1]", '["1"]'),
        ('{"a":1}', '{"a":1.0}'),
        ('{"a":1}', '{"b":1}'),
        ("[]", "{}"),
        ("9007199254740993", "9007199254740992"),
        ("1" * 19_000, "1" * 18_999 + "2"),
    ],
)
def test_texts_of_different_values_are_different(a: str, b: str) -> None:
    assert not jsontext.equal(a, b)
    assert not jsontext.equal(b, a)


@pytest.mark.parametrize(
    ("a", "b"), [("-0", "0"), ("1.50", "1.5"), ("1e2", "100.0"), ('"\\u0041"', '"A"')]
)
def test_one_value_may_have_several_texts(a: str, b: str) -> None:
    assert jsontext.equal(a, b)


def test_reading_is_paid_for_before_it_is_done() -> None:
    m = make_meter(max_allocated_bytes=1_000_000)
    with pytest.raises(LimitError, match="allocated more memory"):
        jsontext.decode(m, "[" + "{}," * 20_000 + "1]")


def test_long_integers_are_paid_for_by_the_square() -> None:
    costs = []
    for digits in (4_000, 16_000):
        m = make_meter()
        before = m.remaining + m.steps
        jsontext.decode(m, "9" * digits)
        costs.append(before - m.remaining - m.steps)
    assert costs[1] > 10 * costs[0]


def test_a_large_value_is_written_in_the_scripts_time() -> None:
    m = Meter(ScriptedHost(), Limits(max_steps=10_000))
    with pytest.raises(LimitError, match="took more than 10000 steps"):
        jsontext.encode(m, List(range(100_000)))


def test_of_a_text_that_is_deep_enough_the_rest_is_not_counted() -> None:
    text = "[" * 300_000 + "]" * 300_000
    assert 100 < jsonpieces.depth(text, enough=100) < 100_000
    assert jsonpieces.depth(text) == 300_000
