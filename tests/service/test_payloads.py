"""Payloads as they come in: kept byte for byte, or refused."""

import asyncio
import json
import math

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from starflow.v1.payload_pb2 import Payload
from starflow_service.rpc.payloads import Payloads
from starflow_service.runtime.errors import PayloadInvalidError, TooLargeError
from starflow_service.runtime.options import Options

payloads = Payloads(Options().limits)
LIMIT = Options().limits.max_payload_bytes


def written(value):
    """A payload as grpcurl makes it of an inline value."""
    return json_format.ParseDict({"value": value}, Payload())


@pytest.mark.parametrize(
    "text",
    [
        "null",
        ' { "b" : 1.0, "a": [1, 1e2, -0.0] } ',
        '"\\u00e4\\ud83d\\ude00"',
        '"\N{GRINNING FACE}"',
        "9" * 19_000,
        "[" * 40 + "]" * 40,
        '"' + "x" * 500_000 + '"',
    ],
    ids=lambda text: text[:20],
)
def test_json_text_is_taken_byte_for_byte(text):
    assert payloads.text(Payload(json=text), "input") == text


def test_an_unset_payload_is_null():
    assert payloads.text(Payload(), "input") == "null"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (" ", "unexpected end"),
        ("{", "unexpected end"),
        ("[1, 2", "unexpected"),
        ("'a'", "unexpected character"),
        ("NaN", "NaN"),
        ("[1, -Infinity]", "Infinity"),
        ("1e999", "too large for a float"),
        ('{"a": 1, "a": 1}', 'duplicate key "a"'),
        ('{"a": {"b": 1, "b": 2}}', 'duplicate key "b"'),
        ('"\\ud800"', "lone surrogate"),
        ("9" * 19_001, "more than 19000 digits"),
        ("[" * 101 + "]" * 101, "nested deeper than 100 levels"),
        ("[1] x", "unexpected character 'x'"),
        ("\x00", "unexpected character U+0000"),
    ],
)
def test_what_is_not_json_as_the_api_defines_it_is_refused(text, problem):
    with pytest.raises(PayloadInvalidError) as caught:
        payloads.text(Payload(json=text), "input")

    assert problem in str(caught.value)
    assert caught.value.field.startswith("input")


@pytest.mark.parametrize(
    "text", ['"' + "x" * LIMIT + '"', '"' + "\N{EURO SIGN}" * (LIMIT // 3) + '"']
)
def test_what_is_over_the_limit_in_bytes_is_too_large(text):
    with pytest.raises(TooLargeError, match=f"the limit is {LIMIT}"):
        payloads.text(Payload(json=text), "input")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (1e-7, "1e-07"),
        (2**53 - 1, "9007199254740991"),
        (-(2**53) + 1, "-9007199254740991"),
        ('a\n"\N{EURO SIGN}\x7f', '"a\\n\\"\N{EURO SIGN}\x7f"'),
        ([], "[]"),
        ([1, [2.5]], "[1,[2.5]]"),
        ({"b": 1, "a": {}}, '{"a":{},"b":1}'),
    ],
)
def test_an_inline_value_becomes_text(value, text):
    assert payloads.text(written(value), "input") == text


@pytest.mark.parametrize("number", [2**53, -(2**53), 1e300])
def test_a_number_that_may_have_been_rounded_is_refused(number):
    with pytest.raises(PayloadInvalidError, match="send it as `json`"):
        payloads.text(written([number]), "input")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_an_inline_number_that_is_none_is_refused(number):
    payload = Payload()
    payload.value.number_value = number

    with pytest.raises(PayloadInvalidError, match="not JSON"):
        payloads.text(payload, "input")


def test_an_inline_value_without_a_kind_is_refused():
    payload = Payload()
    payload.value.list_value.values.add()

    with pytest.raises(PayloadInvalidError, match="without a kind"):
        payloads.text(payload, "input")


def test_an_inline_value_is_bound_by_the_same_limits():
    with pytest.raises(TooLargeError):
        payloads.text(written("x" * LIMIT), "input")


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e6, 1e6).map(lambda x: x + 0.5).filter(lambda x: x % 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=20,
)


@given(plain)
def test_an_inline_value_keeps_its_meaning(value):
    assert json.loads(payloads.text(written(value), "input")) == value


# What is long


def nested(size):
    return f"[{','.join(['[[]]'] * (size // 5))}]"


class Turns:
    """Counts the turns of the loop in which something else could be done."""

    def __init__(self):
        self.count = 0

    async def __aenter__(self):
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error):
        self._task.cancel()

    async def _run(self):
        while True:
            self.count += 1
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("name", "least"), [("a long text", 15), ("a long value", 50), ("many texts", 10)]
)
async def test_others_have_their_turn_while_payloads_are_read(name, least):
    long = {
        "a long text": [Payload(json=nested(480_000))],
        "a long value": [
            json_format.ParseDict({"value": [[[]] for _ in range(30_000)]}, Payload())
        ],
        "many texts": [Payload(json=nested(3_000)) for _ in range(300)],
    }[name]
    size = sum(each.ByteSize() for each in long)

    async with Turns() as turns:
        texts = await payloads.read(size, lambda p: [p.text(x, "x") for x in long])

    assert texts == [payloads.text(each, "x") for each in long]
    assert turns.count >= least


async def test_what_is_short_is_read_at_once():
    async with Turns() as turns:
        text = await payloads.read(9, lambda p: p.text(Payload(json="[1, 2]"), "x"))
    assert (text, turns.count) == ("[1, 2]", 0)


async def test_who_gives_up_waiting_leaves_nothing_behind():
    left = []

    def read(p):
        try:
            return p.text(Payload(json=nested(480_000)), "x")
        finally:
            left.append("ended")

    reading = asyncio.create_task(payloads.read(480_000, read))
    for _ in range(3):
        await asyncio.sleep(0)
    assert left == []
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert left == ["ended"]


async def test_what_is_wrong_with_a_long_text_is_said():
    broken = Payload(json=nested(480_000)[:-1] + ",]")
    with pytest.raises(PayloadInvalidError, match="unexpected character"):
        await payloads.read(480_000, lambda p: p.text(broken, "input"))
