"""What a registered JSON Schema says about requests as scripts write them."""

import json

import pytest

from starflow_service.runtime.schemas import UNKNOWN, RequestCheck, known_value
from starflow_service.starlark.check import check
from starflow_service.starlark.diagnostics import Diagnostic

ORDER = {
    "type": "object",
    "properties": {
        "sku": {"type": "string", "minLength": 2},
        "count": {"type": "integer", "minimum": 1},
        "kind": {"enum": ["gift", "sale"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "to": {"$ref": "#/$defs/address"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["sku"],
    "additionalProperties": False,
    "$defs": {"address": {"type": "object", "required": ["city"]}},
}


def found(request: str, schema: object) -> list[Diagnostic]:
    text = f"def main(ctx, input):\n    f.g(ctx, {request})\n"
    (asked,) = check(text).requests
    written = schema if isinstance(schema, str) else json.dumps(schema)
    return RequestCheck().contradictions("f.g", written, asked.value)


def said(request: str, schema: object = ORDER) -> list[str]:
    prefix = "f.g does not take this request: "
    return [finding.message.removeprefix(prefix) for finding in found(request, schema)]


@pytest.mark.parametrize(
    "request_text",
    [
        '{"sku": "ab"}',
        '{"sku": "ab", "count": 2, "kind": "gift", "tags": ["a"], "note": None}',
        '{"sku": input["sku"]}',
        '{"sku": "ab", "count": input["n"], "kind": input["k"], "note": input}',
        '{"sku": "ab", "tags": [x for x in input["xs"]], "to": {"city": input}}',
        '{input["k"]: 1}',
        "input",
        'dict(sku="ab")',
        '{"sku": "a" + "b", "count": 1.0}',
        '{"sku": "ab", "tags": ("a", "b")}',
    ],
)
def test_what_fits_or_may_fit_is_no_finding(request_text: str) -> None:
    assert said(request_text) == []


@pytest.mark.parametrize(
    ("request_text", "expected"),
    [
        ("{}", 'req has no "sku"'),
        ('{"sku": 5}', 'req["sku"] is an integer, want string'),
        ('{"sku": "a"}', 'req["sku"] does not satisfy minLength: 2'),
        ('{"sku": "ab", "count": 0}', 'req["count"] does not satisfy minimum: 1'),
        ('{"sku": "ab", "count": "1"}', 'req["count"] is a string, want integer'),
        ('{"sku": "ab", "count": True}', 'req["count"] is a boolean, want integer'),
        ('{"sku": "ab", "kind": "x"}',
         'req["kind"] is "x", want one of "gift", "sale"'),
        ('{"sku": "ab", "tags": ["a", 1]}',
         'req["tags"][1] is an integer, want string'),
        ('{"sku": "ab", "to": {}}', 'req["to"] has no "city"'),
        ('{"sku": "ab", "to": {"zip": input}}', 'req["to"] has no "city"'),
        ('{"sku": "ab", "note": 1.5}', 'req["note"] is a number, want string or null'),
        ('{"sku": "ab", "tags": [input, input, input]}',
         'req["tags"] does not satisfy maxItems: 2'),
        ("[1]", "req is an array, want object"),
        ("None", "req is null, want object"),
        ("-1", "req is an integer, want object"),
    ],
)  # fmt: skip
def test_what_surely_does_not_fit_is_named(request_text: str, expected: str) -> None:
    assert said(request_text) == [expected]


def test_a_property_that_does_not_exist_comes_with_the_nearest() -> None:
    (finding,) = found('{"sku": "ab", "cuont": input}', ORDER)
    assert finding.message.endswith('may not have "cuont" (did you mean count?)')
    assert finding.hint.startswith('it may have "sku", "count"')
    assert (finding.code, finding.severity) == ("BAD_REQUEST", "warning")


def test_findings_point_at_the_part_that_is_wrong() -> None:
    request = '{"sku": "ab",\n        "tags": ["a",\n            1]}'
    (finding,) = found(request, ORDER)
    assert finding.pos == (4, 13)


# Schemas are others' data


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        "[]",
        '"text"',
        '{"type": 5}',
        '{"type": "nothing"}',
        '{"$ref": "#/nowhere"}',
        '{"$ref": "https://example.org/schema.json"}',
        '{"$schema": "https://example.org/unknown", "type": "object"}',
        '{"$ref": "#"}',
        '{"properties": {"a": {"$ref": "#/properties/a"}}}',
        '{"minimum": "x"}',
        '{"required": 5}',
        "[" * 5_000,
    ],
)
def test_a_broken_schema_is_no_finding_of_the_script(schema: str) -> None:
    assert said('{"a": 1}', schema) == []


def test_regular_expressions_are_not_executed() -> None:
    evil = "(a+)+$"
    schema = {
        "patternProperties": {evil: {"type": "string"}},
        "additionalProperties": False,
        "properties": {
            "x": {"pattern": evil},
            "y": {"propertyNames": {"pattern": evil}},
        },
    }
    text = '"' + "a" * 60 + '!"'
    assert said(f'{{"x": {text}, {text}: 1, "y": {{{text}: 1}}}}', schema) == []


def test_a_schema_cannot_ask_for_endless_work() -> None:
    levels = {
        f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(60)
    }
    schema = {"$ref": "#/$defs/l0", "$defs": {**levels, "l60": {"type": "string"}}}
    requests = RequestCheck()
    (asked,) = check("def main(ctx, input):\n    f.g(ctx, 1)\n").requests
    assert requests.contradictions("f.g", json.dumps(schema), asked.value) == []
    assert requests._budget.steps < 0, "it was the budget that ended the work"


def test_the_budget_is_one_for_all_requests_of_a_script() -> None:
    requests = RequestCheck()
    requests._budget.steps = 3
    (asked,) = check("def main(ctx, input):\n    f.g(ctx, 5)\n").requests
    schema = '{"type": "string"}'
    told = [len(requests.contradictions("f.g", schema, asked.value)) for _ in range(4)]
    assert told == [1, 1, 1, 0]


def test_wide_values_are_not_compared_pair_by_pair() -> None:
    numbers = ", ".join(["1"] * 3_000)
    assert said(f"[{numbers}]", {"uniqueItems": True}) == []
    assert said("[1, 1]", {"uniqueItems": True}) == [
        "req does not satisfy uniqueItems: true"
    ]


def test_what_is_not_written_out_is_unknown() -> None:
    request = '{"a": [1, input], "b": b"x", "c": (None,)}'
    (asked,) = check(f"def main(ctx, input):\n    f.g(ctx, {request})\n").requests
    assert known_value(asked.value) == {"a": [1, UNKNOWN], "b": UNKNOWN, "c": [None]}
