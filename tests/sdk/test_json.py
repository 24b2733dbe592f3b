"""JSON text: what goes in comes out, and what would not is refused."""

import enum
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import starflow
from starflow import _convert, _json
from starflow.errors import ConversionError
from tests.sdk.models import Model

HUGE = 7 * 10**5_000 + 3

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Line:
    id: str
    cents: int = 0
    tags: list[str] = field(default_factory=list)


@dataclass
class Order:
    lines: list[Line]
    at: datetime


@given(VALUES)
def test_every_value_comes_back_with_its_type(value):
    text = _convert.encode(value)

    assert repr(_json.decode(text)) == repr(value)
    assert repr(_json.parse(text)) == repr(value)


@given(VALUES)
def test_the_slow_writer_writes_what_the_fast_one_does(value):
    assert _json.write(value, _convert._plain) == _convert.encode(value)


@pytest.mark.parametrize(
    "n",
    [
        *(0, -1, 2**53 + 1, 2**64, -(2**80)),
        # More digits than `str` gives out, so that pytest cannot name them either.
        pytest.param(HUGE, id="huge"),
        pytest.param(-HUGE, id="minus huge"),
    ],
)
def test_integers_are_exact_at_any_size(n):
    text = _convert.encode({"n": [n]})

    assert _json.decode(text) == {"n": [n]}
    assert _json.parse(text) == {"n": [n]}


def test_one_and_one_point_zero_are_different():
    assert _convert.encode([1, 1.0]) == "[1,1.0]"
    assert repr(_json.decode("[1,1.0,1e2]")) == "[1, 1.0, 100.0]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1, "a"), '[1,"a"]'),
        (Line("a", 1, ["x"]), '{"id":"a","cents":1,"tags":["x"]}'),
        (
            Order([Line("b")], datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
            '{"lines":[{"id":"b","cents":0,"tags":[]}],'
            '"at":"2026-01-02T03:04:05+00:00"}',
        ),
        (date(2026, 1, 2), '"2026-01-02"'),
        (Decimal("1.10"), '"1.10"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Colour.RED, '"red"'),
        (Level.HIGH, "3"),
        (Point(1, 2), "[1,2]"),
        (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        (Model(4), '{"n":4}'),
        (starflow.JsonText('{ "n": 1.0 }'), '{ "n": 1.0 }'),
        ([starflow.JsonText("1.0")], "[1.0]"),
        ("ß\u2028💥", '"ß\u2028💥"'),
    ],
)
def test_python_values_have_a_json_form(value, text):
    assert _convert.encode(value) == text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "the value: nan has no JSON form"),
        ({"a": [1, float("inf")]}, '["a"][1]: inf has no JSON form'),
        ({"a": {1: 2}}, '["a"]: the key 1 is not a string but int'),
        ({True: 2}, "the value: the key True is not a string but bool"),
        ([{None: 2}], "[0]: the key None is not a string but NoneType"),
        ({"a": {3}}, '["a"]: set has no JSON form'),
        (b"x", "the value: bytes has no JSON form"),
        ([object()], "[0]: object has no JSON form"),
        ({"a": "\ud800"}, '["a"]: holds a lone surrogate'),
        ({"\ud800": 1}, '["\\ud800"]: holds a lone surrogate'),
        (Line("a", {2: 3}), '["cents"]: the key 2 is not a string but int'),
        (MappingProxyType({1: 2}), "the value: the key 1 is not a string but int"),
        (Line, "the value: type has no JSON form"),
    ],
)
def test_what_has_no_json_form_is_refused_with_its_place(value, problem):
    with pytest.raises(ConversionError) as caught:
        _convert.encode(value)

    assert str(caught.value) == problem


def test_a_value_that_contains_itself_is_refused():
    value: list[Any] = []
    value.append(value)

    with pytest.raises(ConversionError, match="contains itself"):
        _convert.encode(value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not JSON: Expecting value at line 1, column 1"),
        ("{'a': 1}", "is not JSON: Expecting property name"),
        ("[1,\n 2,]", "at line 2, column "),
        ("NaN", "NaN has no JSON form"),
        ("[-Infinity]", "-Infinity has no JSON form"),
        ("1e999", "1e999 is no finite"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' occurs twice"),
        ('"\\ud800"', "lone surrogate"),
        ('"\ud800"', "lone surrogate"),
        ("[" * 100_000, "nested too deeply"),
        ("1 2", "is not JSON: Extra data"),
    ],
)
def test_text_that_the_service_would_refuse_is_refused(text, problem):
    with pytest.raises(ConversionError) as caught:
        _json.parse(text)

    assert problem in str(caught.value)


def test_sizes_are_bytes_on_the_wire():
    assert _convert.size_bytes("abc") == 3
    assert _convert.size_bytes("äb💥") == 7
