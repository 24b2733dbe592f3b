"""From JSON to the types that people write."""

import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
    Union,
)

import pytest

from starflow._convert import convert, decoder
from starflow.errors import ConversionError
from tests.sdk.models import Model

T = TypeVar("T")
Cents = NewType("Cents", int)


class Colour(enum.Enum):
    RED = "red"
    NONE = 0


@dataclass
class Line:
    sku: str
    cents: Cents
    weight: float = 1.0


@dataclass
class Order:
    id: str
    lines: list[Line] = field(default_factory=list)
    note: str | None = None
    total: int = field(init=False, default=0)


@dataclass
class Tree:
    value: int
    children: "list[Tree]" = field(default_factory=list)


@dataclass
class Page(Generic[T]):
    items: list[T]


class Address(TypedDict):
    city: str
    lines: list[Line]
    zip: NotRequired[str]


def decoded(annotation: Any, value: Any) -> Any:
    return convert(decoder(annotation), value, "req")


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Any, {"a": [1]}, {"a": [1]}),
        (object, 1, 1),
        (None, None, None),
        (bool, True, True),
        (int, 2**80, 2**80),
        (float, 1.5, 1.5),
        (float, 3, 3.0),
        (str, "x", "x"),
        (list, [1, "a"], [1, "a"]),
        (list[int], [1, 2], [1, 2]),
        (Sequence[float], [1, 2.5], [1.0, 2.5]),
        (tuple, [1], (1,)),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[Any, str], [None, "a"], (None, "a")),
        (dict, {"a": 1}, {"a": 1}),
        (dict[str, Any], {"a": 1}, {"a": 1}),
        (Mapping[str, list[int]], {"a": [1]}, {"a": [1]}),
        (Optional[int], None, None),  # noqa: UP045
        (Union[int, str], "a", "a"),  # noqa: UP007
        (int | None, 5, 5),
        (Literal["a", 1], 1, 1),
        (Annotated[int, "cents"], 5, 5),
        (Cents, 5, 5),
        (Colour, "red", Colour.RED),
        (Colour, 0, Colour.NONE),
        (datetime, "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (date, "2026-01-02", date(2026, 1, 2)),
        (Decimal, "1.10", Decimal("1.10")),
        (uuid.UUID, str(uuid.UUID(int=5)), uuid.UUID(int=5)),
        (Line, {"sku": "a", "cents": 1}, Line("a", Cents(1))),
        (Line, {"sku": "a", "cents": 1, "weight": 2}, Line("a", Cents(1), 2.0)),
        (Line, {"sku": "a", "cents": 1, "new": True}, Line("a", Cents(1))),
        (
            Order,
            {"id": "o", "lines": [{"sku": "a", "cents": 1}], "note": "n"},
            Order("o", [Line("a", Cents(1))], "n"),
        ),
        (Tree, {"value": 1, "children": [{"value": 2}]}, Tree(1, [Tree(2)])),
        (Page[int], {"items": [1]}, Page([1])),
        (
            Address,
            {"city": "c", "lines": [{"sku": "a", "cents": 1}], "more": 1},
            {"city": "c", "lines": [Line("a", Cents(1))], "more": 1},
        ),
        (Line | dict[str, int], {"b": 1}, {"b": 1}),
    ],
)
def test_a_value_becomes_its_type(annotation, value, expected):
    result = decoded(annotation, value)

    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        (int, True, "req: expected an integer, got true"),
        (int, 1.0, "req: expected an integer, got 1.0"),
        (int, "1", 'req: expected an integer, got "1"'),
        (bool, 1, "req: expected true or false, got 1"),
        (float, True, "got true"),
        (float, 2**53 + 1, "req: expected a number that a 64-bit float can hold"),
        (float, 10**400, "req: expected a number that a 64-bit float can hold"),
        (str, None, "req: expected a string, got null"),
        (None, 0, "req: expected null, got 0"),
        (list[int], [1, None], "req[1]: expected an integer, got null"),
        (list[int], {}, "req: expected an array, got an object"),
        (tuple[int, str], [1], "req: expected an array of 2, got an array"),
        (tuple[int, str], [1, 2], "req[1]: expected a string, got 2"),
        (dict[str, int], {"a b": "x"}, 'req["a b"]: expected an integer, got "x"'),
        (int | None, "x", 'req: expected an integer or null, got "x"'),
        (Literal["a", 1], "b", "req: expected one of 'a', 1, got \"b\""),
        (Literal[1], True, "req: expected one of 1, got true"),
        (Literal[1], [1], "req: expected one of 1, got an array"),
        (Colour, False, "req: expected one of 'red', 0, got false"),
        (datetime, "yesterday", 'req: expected a datetime as text, got "yesterday"'),
        (Decimal, "x", 'req: expected a Decimal as text, got "x"'),
        (Line, [], "req: expected an object, got an array"),
        (Line, {"sku": "a"}, "req: expected the key 'cents', got an object"),
        (Line, {"sku": "a", "cents": 1.5}, "req.cents: expected an integer, got 1.5"),
        (
            Order,
            {"id": "o", "lines": [{"sku": "a", "cents": "1"}]},
            'req.lines[0].cents: expected an integer, got "1"',
        ),
        (Tree, {"value": 1, "children": [{"value": None}]}, "req.children[0].value"),
        (Address, {"city": "c"}, "req: expected the key 'lines', got an object"),
        (Line | int, {"sku": 5, "cents": 1}, "req.sku: expected a string, got 5"),
        (Model, {}, "req: expected Model (no n), got an object"),
        pytest.param(str, 10**5_000, "got 1000000000", id="huge"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(annotation, value, problem):
    with pytest.raises(ConversionError) as caught:
        decoded(annotation, value)

    assert problem in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_model_makes_itself():
    assert decoded(Model, {"n": 5}).n == 5


@pytest.mark.parametrize("annotation", [Any, object, dict[str, Any] | Any, T])
def test_an_annotation_that_says_nothing_costs_nothing(annotation):
    assert decoder(annotation) is None


@pytest.mark.parametrize(
    "annotation", [set, bytes, set[int], dict[int, str], complex, list[set[int]]]
)
def test_a_type_that_no_json_can_become_is_refused_at_once(annotation):
    with pytest.raises(TypeError, match=r"no JSON value|keys of a JSON object"):
        decoder(annotation)
