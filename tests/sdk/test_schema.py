"""JSON Schemas from annotations agree with what functions take and return."""

import dataclasses
import enum
import json
import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, NotRequired, TypedDict

import jsonschema
import pydantic
import pytest

import starflow
from starflow import _convert, _schema
from starflow.testing import TestServer


class Colour(enum.Enum):
    RED = "red"
    NONE = 0


@dataclasses.dataclass
class Node:
    value: int
    next: "Node | None" = None
    size: int = dataclasses.field(default=1, init=False)


class Address(TypedDict):
    street: str
    flat: NotRequired[int]


class Place(pydantic.BaseModel):
    street: str


class Parcel(pydantic.BaseModel):
    to: Place
    colour: Colour = Colour.RED
    within: "list[Parcel]" = []


ADDRESS = {"street": "High St", "flat": 3}


@pytest.mark.parametrize(
    ("annotation", "taken", "refused"),
    [
        (bool, [True], [0, "true", None]),
        (int, [1, 10**30], [1.5, "1"]),
        (float, [1, 1.5], ["1", None]),
        (str, ["", "é"], [1, None]),
        (None, [None], [0, ""]),
        (int | None, [1, None], ["1", 1.5]),
        (int | Any, [1, "1", None], []),
        (list, [[], [1, "a"]], [{}, "a"]),
        (list[int], [[], [1, 2]], [[1, "a"], {}]),
        (tuple[int, str], [[1, "a"]], [[1], [1, "a", 2], ["a", 1]]),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"]]),
        (tuple, [[], [1]], [{}, 1]),
        (dict, [{}, {"a": 1}], [[], 1]),
        (dict[str, int], [{"a": 1}], [{"a": "b"}]),
        (datetime, ["2030-01-01T00:00:00"], [1]),
        (date, ["2030-01-01"], [1]),
        (Decimal, ["1.10"], [1.1]),
        (uuid.UUID, [str(uuid.UUID(int=1))], [1]),
        (Colour, ["red", 0], ["green", 1]),
        (Literal["a", 1], ["a", 1], ["b", 2]),
        (
            Node,
            [{"value": 1}, {"value": 1, "next": {"value": 2}, "other": 3}],
            [{}, {"value": "1"}, {"value": 1, "next": {"value": None}}, []],
        ),
        (list[Node], [[{"value": 1}]], [[1]]),
        (Address, [ADDRESS, {"street": "", "x": 1}], [{}, {"street": "a", "flat": ""}]),
        (
            Parcel,
            [{"to": ADDRESS}, {"to": ADDRESS, "within": [{"to": ADDRESS}]}],
            [{}, {"to": {}}, {"to": ADDRESS, "within": [{}]}],
        ),
        (Node | Parcel | None, [{"value": 1}, {"to": ADDRESS}, None], [{}, 1]),
    ],
    ids=str,
)
def test_a_schema_takes_what_the_type_takes(annotation, taken, refused):
    schema = _schema.schema_of(annotation, "input")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    decode = _convert.decoder(annotation)

    for value in taken:
        _convert.convert(decode, value, "req")
        validator.validate(value)
    for value in refused:
        with pytest.raises(starflow.ConversionError):
            _convert.convert(decode, value, "req")
        assert not validator.is_valid(value), value


@pytest.mark.parametrize("annotation", [Any, object, set, "no type", list[Any] | Any])
def test_what_a_type_does_not_tell_is_left_open(annotation):
    assert _schema.schema_of(annotation, "input") == {}
    assert _schema.text_of({}) == ""


def test_what_a_function_returns_has_all_its_fields():
    taken = _schema.schema_of(Node, "input")
    returned = _schema.schema_of(Node, "output")

    assert taken["$defs"]["Node"]["required"] == ["value"]
    assert returned["$defs"]["Node"]["required"] == ["value", "next", "size"]
    value = json.loads(_convert.encode(Node(1, Node(2))))
    jsonschema.Draft202012Validator(returned).validate(value)


def test_two_types_of_one_name_are_told_apart():
    other = dataclasses.make_dataclass("Node", [("other", str)])
    both = _schema.schema_of(tuple[Node, other], "input")

    jsonschema.Draft202012Validator(both).validate([{"value": 1}, {"other": "a"}])
    assert not jsonschema.Draft202012Validator(both).is_valid([{"value": 1}] * 2)


def specs(module: starflow.Module) -> dict[str, tuple[Any, Any]]:
    def read(text: str) -> Any:
        return json.loads(text) if text else None

    each = [function.spec() for function in module]
    return {s.name: (read(s.input_schema), read(s.output_schema)) for s in each}


def test_the_signature_of_a_function_says_what_its_request_is(module):
    @module.function
    def several(ctx, name: str, count: int = 1, *, other=None) -> list[str]: ...

    @module.function
    async def whole(req: Address) -> starflow.WaitForSignal: ...

    @module.function
    def bare(days: int) -> int | starflow.WaitForSignal: ...

    @module.function
    def nothing(ctx): ...

    text, number = {"type": "string"}, {"type": "integer"}
    found = specs(module)
    assert found["m.several"] == (
        {
            "type": "object",
            "properties": {"name": text, "count": number, "other": {}},
            "required": ["name"],
        },
        {"type": "array", "items": text},
    )
    assert found["m.whole"][0]["$defs"]["Address"]["required"] == ["street"]
    # What it waits for may be anything.
    assert found["m.whole"][1] is None
    keyed = {"type": "object", "properties": {"days": number}, "required": ["days"]}
    assert found["m.bare"] == ({"anyOf": [number, keyed]}, None)
    assert found["m.nothing"] == (None, None)


def test_a_schema_that_is_too_large_is_left_out(module):
    large = enum.Enum("large", {f"x{n}": "y" * 100 + str(n) for n in range(1000)})

    @module.function
    def choose(which: large) -> int: ...

    assert specs(module)["m.choose"] == (None, {"type": "integer"})


async def test_the_service_warns_of_a_request_that_contradicts_the_types(module):
    @module.function
    def send(req: Address) -> None: ...

    script = "def main(ctx, input):\n    m.send(ctx, {'street': 7})\n"
    async with TestServer([module]) as server:
        found = await server.client.validate(script)

    (finding,) = found.diagnostics
    assert (finding.severity, finding.line) == ("WARNING", 2)
    assert "street" in finding.message


async def test_models_come_and_go_as_themselves(module):
    @module.function
    async def pack(ctx, req: Parcel) -> Parcel:
        assert isinstance(req.within[0].to, Place)
        return req.within[0].model_copy(update={"colour": Colour.NONE})

    script = "def main(ctx, input):\n    return m.pack(ctx, input)\n"
    inner = Parcel(to=Place(street="Low St"))
    outer = Parcel(to=Place(street="High St"), within=[inner])
    async with TestServer([module]) as server:
        back = await server.run(script, input=outer, result_type=Parcel)
        with pytest.raises(starflow.RunFailed, match="street"):
            await server.run(script, input={"to": {}})

    assert back == inner.model_copy(update={"colour": Colour.NONE})
