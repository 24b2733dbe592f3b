"""What a script writes down it can read back, and gets the same."""

import json
import math
import struct
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import (
    DEFAULT_LIMITS as LIMITS,
)
from starflow_service.starlark import (
    Program,
    Returned,
    Sliced,
    Thread,
    compile_program,
)
from starflow_service.starlark.values import Dict, Key, List
from tests.starlark.scripted_host import ScriptedHost
from tests.support.driver import Run

INTS = st.one_of(st.integers(), st.integers(-(2**2000), 2**2000))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(st.none(), st.booleans(), INTS, FLOATS, TEXTS, st.binary())
# Integers that Python's hashes of keys are safe for as they are.
KEYS = st.one_of(TEXTS, st.integers(-1000, 1000))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner).map(List),
        st.lists(inner).map(tuple),
        st.dictionaries(KEYS, inner).map(Dict),
    ),
    max_leaves=20,
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), INTS, FLOATS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner).map(List), st.dictionaries(TEXTS, inner).map(Dict)
    ),
    max_leaves=20,
)
LOADS = """\
load("json", "json")
load("time", "parse_duration", "parse_time", "from_timestamp", "nanosecond")
"""


@cache
def program(expression: str) -> Program:
    body = f"def main(ctx, input):\n    return {expression}\n"
    return compile_program(LOADS + body)


def value_of(compiled: Program, given: Any) -> Any:
    thread = Thread(compiled, ScriptedHost())
    outcome = thread.start(lambda m: given)
    while isinstance(outcome, Sliced):
        outcome = thread.resume()
    assert isinstance(outcome, Returned), outcome
    return outcome.value


def value(expression: str, given: Any) -> Any:
    """Return what *expression* makes of `input`."""
    return value_of(program(expression), given)


def in_order(x: Any) -> Any:
    """Return *x* with its keys in the order in which `json.encode` writes them."""
    if isinstance(x, Dict):
        return Dict({key: in_order(x[key]) for key in sorted(x)})
    return List(map(in_order, x)) if isinstance(x, List) else x


def same(x: Any, y: Any) -> bool:
    """Compare exactly: types, bits of floats, order of keys."""
    if type(x) is not type(y):
        return False
    match x:
        case float():
            return struct.pack("d", x) == struct.pack("d", y)
        case Dict():
            return same(List(x.items()), List(y.items()))
        case List() | tuple():
            return len(x) == len(y) and all(map(same, x, y))
        case Key():
            return same(x.value, y.value)
    return bool(x == y)


@given(VALUES)
def test_a_repr_is_the_value_as_it_is_written_in_a_script(x):
    text = value("repr(input)", x)

    assert same(value_of(compile_program(f"def main(c, i): return {text}"), None), x)


@given(JSON)
def test_what_json_encodes_it_decodes(x):
    x = in_order(x)
    assert same(value("json.decode(json.encode(input))", x), x)
    assert same(value("json.decode(json.indent(json.encode(input)))", x), x)


@given(JSON)
def test_what_json_encodes_is_encoded_the_same_again(x):
    assert value(
        "json.encode(json.decode(input)) == input", value("json.encode(input)", x)
    )


@given(INTS)
def test_integers_come_back_from_their_digits(n):
    assert value("int(str(input))", n) == n
    assert value("int('%d' % input)", n) == n
    assert value("int('%x' % input, 16)", n) == n
    assert value("int('%o' % input, 8)", n) == n
    assert value("int('{}'.format(input), 10)", n) == n


@given(FLOATS)
def test_floats_come_back_from_their_digits(x):
    assert same(value("float(str(input))", x), x)
    assert same(value("float(repr(input))", x), x)
    assert same(value("float('%r' % input)", x), x)


@given(st.floats(-(2.0**500), 2.0**500))
def test_floats_without_a_fraction_are_integers_and_back(x):
    whole = float(math.trunc(x))
    assert value("int(input)", whole) == math.trunc(x)
    assert value("float(int(input))", whole) == whole


# `str` decodes bytes, which formats do not.
@given(VALUES.filter(lambda x: not isinstance(x, bytes)))
def test_all_ways_to_write_a_value_agree(x):
    assert value("['%r' % (v,) for v in input] == [repr(v) for v in input]", List([x]))
    assert value("['%s' % (v,) for v in input] == [str(v) for v in input]", List([x]))
    assert value("['{}'.format(v) == str(v) for v in input]", List([x])) == [True]


@given(TEXTS)
def test_texts_are_put_together_from_their_parts(s):
    assert value("''.join(input.elems())", s) == s
    assert value("''.join(input.codepoints())", s) == s
    assert value("''.join([chr(n) for n in input.codepoint_ords()])", s) == s
    assert value("''.join(input.splitlines(True))", s) == s
    assert value("str(bytes(input))", s) == s


@given(TEXTS, TEXTS.filter(bool), st.integers(-5, 5))
def test_texts_are_put_together_from_where_they_were_split(s, sep, n):
    given_ = List([s, sep, n])
    assert value("input[1].join(input[0].split(input[1], input[2]))", given_) == s
    assert value("input[1].join(input[0].rsplit(input[1], input[2]))", given_) == s
    assert value("''.join(input[0].partition(input[1]))", given_) == s
    assert value("''.join(input[0].rpartition(input[1]))", given_) == s
    assert value("input[0][:input[2]] + input[0][input[2]:]", given_) == s


@given(st.integers(-(2**63), 2**63 - 1))
def test_durations_come_back_from_their_text(n):
    given_ = List([n])
    again = "parse_duration(str(input[0] * nanosecond))"
    assert value(f"{again} == input[0] * nanosecond", given_)


@given(st.integers(-62135596800, 253402300799), st.integers(0, 999_999_999))
def test_times_come_back_from_their_text(seconds, nanoseconds):
    moment = "from_timestamp(input[0], input[1])"
    layout = "'2006-01-02T15:04:05.999999999Z07:00'"
    written = f"parse_time({moment}.format({layout}))"

    given_ = List([seconds, nanoseconds])
    assert value(f"{written} == {moment}", given_)
    assert value(f"[{moment}.unix, {moment}.nanosecond]", given_) == given_


@given(st.lists(KEYS), st.lists(VALUES))
def test_dicts_are_made_of_their_items(keys, values):
    pairs = Dict(zip(keys, values, strict=False))
    assert same(value("dict(input.items())", pairs), pairs)
    assert value("zip(input.keys(), input.values()) == input.items()", pairs)


@given(st.one_of(st.lists(st.integers()), st.lists(TEXTS), st.lists(FLOATS)))
def test_sorting_only_puts_in_order(items):
    given_ = List(items)
    assert value("sorted(input)", given_) == sorted(items)
    ordered = "sorted(input, reverse=True)"
    assert value(f"{ordered} == reversed(sorted(reversed(input)))", given_)
    assert value("reversed(reversed(input)) == input", given_)


NUMBERS = st.one_of(
    st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, -0.0, 1.0, 2.5, 1e300])
)
HASHED = st.recursive(
    st.one_of(NUMBERS, st.none(), st.text(max_size=1), st.binary(max_size=1)),
    lambda inner: st.lists(inner, max_size=2).map(tuple),
    max_leaves=4,
)


@given(HASHED, HASHED)
def test_equal_values_are_one_key_and_others_are_two(x, y):
    given_ = List([x, y])
    keys = value("len({input[0]: 1} | {input[1]: 2})", given_)
    assert (keys == 1) == value("input[0] == input[1]", given_)
    assert value("input[0] in {input[0]: 1}", given_)


# Through the log: what the engine takes from a script, it gives back.


ECHO = """\
def main(ctx, input):
    got = test.echo(ctx, input)
    return [got == input, got]
"""


@given(JSON)
def test_values_pass_through_events_unchanged(x):
    run = Run(ECHO, {"test.echo": lambda req: req}, x).go_on()

    assert isinstance(run.result, str)
    equal, got = json.loads(run.result)
    assert equal
    # As texts, in which types and the order of keys show.
    assert json.dumps(got) == json.dumps(x)


BORDERS = {
    # What is made, and the largest n with which it may leave the script.
    "bytes": ("['x' * 500000, 'y' * (input - 500007)]", LIMITS.max_payload_bytes),
    "utf-8": ("['é' * 250000, 'y' * (input - 500007)]", LIMITS.max_payload_bytes),
    "digits": ("int('9' * input)", LIMITS.max_payload_digits),
    "depth": ("nested(input)", LIMITS.max_payload_depth),
    "elements": ("[0] * input", LIMITS.max_elements),
}
BORDER = """\
def nested(n):
    value = 0
    for _ in range(n):
        value = [value]
    return value

def main(ctx, input):
    made = {}
    test.take(ctx, made)
    return made
"""


@pytest.mark.parametrize("name", BORDERS)
@pytest.mark.parametrize("over", [-1, 0, 1, 2])
def test_what_passes_a_border_comes_back(name, over):
    """What the encoder accepts at its border, all that read the log accept."""
    expression, largest = BORDERS[name]
    script = BORDER.replace("{}", expression)
    run = Run(script, {"test.take": lambda req: None}, largest + over).go_on()

    passes = isinstance(run.result, str)
    assert passes == (over <= 0)
    if passes:
        run.reload()
        assert run.machine.abort is None
        assert run.ledger.take() == []
