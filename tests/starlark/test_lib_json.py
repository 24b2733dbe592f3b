"""What is no JSON, and how `json.decode` says so."""

import json
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import json_faults
from tests.starlark.evaluate import evaluate, make_meter

FAULTS = {
    "": "at offset 0, unexpected end of file",
    "[1, 2": "at offset 5, unexpected end of file",
    "[1, 2, ]": "at offset 7, unexpected character ']'",
    "[1, 2}": "at offset 5, got '}', want ',' or ']'",
    "{": "at offset 1, unexpected end of file",
    '{"one" 1': "at offset 7, after object key, got '1', want ':'",
    '{"one": 1 "two": 2': "at offset 10, in object, got '\"', want ',' or '}'",
    '{"one": 1, }': "at offset 11, unexpected character '}'",
    '{"one": 1, two: 2}': "at offset 11, got bool for object key, want string",
    '{"one": 1, one: 2}': "at offset 11, unexpected character 'o'",
    '{"one": 1, 2: 2}': "at offset 12, got int for object key, want string",
    '{"one": 1, 2.5: 2}': "at offset 14, got float for object key, want string",
    '{"one": 1, null: 2}': "at offset 11, got NoneType for object key, want string",
    "{[]: 2}": "at offset 1, got list for object key, want string",
    "{{}: 2}": "at offset 1, got dict for object key, want string",
    "truefalse": "at offset 4, unexpected character 'f' after value",
    '"abc': "at offset 0, unclosed string literal",
    '"ab\\gc"': "at offset 3, invalid escape in string: \\g",
    '"ab\\u12g4"': "at offset 3, invalid escape in string: \\u12",
    '"ab\\\nc"': "at offset 3, invalid escape in string: \\",
    '"a\tb"': "at offset 2, unexpected character U+0009 in string",
    "'abc'": "at offset 0, unexpected character '\\''",
    "\\": "at offset 0, unexpected character '\\\\'",
    "\ufeff1": "at offset 0, unexpected character U+FEFF",
    "é": "at offset 0, unexpected character 'é'",
    "1.2.3": "at offset 5, invalid number: 1.2.3",
    "+1": "at offset 0, unexpected character '+'",
    "-abc": "at offset 1, invalid number: -",
    "-00": "at offset 3, invalid number: -00",
    "1e1e1": "at offset 5, invalid number: 1e1e1",
    "0x123": "at offset 1, unexpected character 'x' after value",
    "[1e999]": "at offset 6, invalid number: 1e999",
    "[NaN]": "at offset 1, unexpected character 'N'",
    "[-Infinity]": "at offset 2, invalid number: -",
    "[nul]": "at offset 1, unexpected character 'n'",
    "1 2": "at offset 2, unexpected character '2' after value",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_named_with_its_place(text: str) -> None:
    assert json_faults.fault(make_meter(), text) == FAULTS[text]


def _refuse(token: str) -> NoReturn:
    raise ValueError(token)


def _is_json(text: str) -> bool:
    """Say whether Python takes *text* for JSON, but for what JSON does not have."""

    def finite(token: str) -> float:
        number = float(token)
        return number if abs(number) != float("inf") else _refuse(token)

    try:
        json.loads(text, parse_constant=_refuse, parse_float=finite)
    except ValueError:
        return False
    return True


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES, st.integers(0, 60), st.text('[]{},:"\\0123-+.eE u\n', max_size=2))
def test_what_has_no_fault_is_json(value: Any, place: int, instead: str) -> None:
    text = json.dumps(value)
    for broken in (
        text,
        text[:place] + instead + text[place:],
        text[:place] + instead + text[place + 1 :],
    ):
        fault = json_faults.fault(make_meter(), broken)
        assert (fault is None) is _is_json(broken), fault


@pytest.mark.parametrize(
    ("expression", "end"),
    [
        ("json.decode('[' * 900000)", "at offset 900000, unexpected end of file"),
        ("json.decode('[1,' * 90000)", "at offset 270000, unexpected end of file"),
        ("json.decode('\"' + 'a' * 900000)", "at offset 0, unclosed string literal"),
        ("json.decode('[' * 300 + ']' * 300)", "nested deeper than 200 levels"),
    ],
)
def test_a_long_text_is_refused_as_well(expression: str, end: str) -> None:
    assert end in evaluate(expression)


def test_halves_of_surrogate_pairs_are_replaced() -> None:
    escaped = r"json.decode('\"\\ud83d\\ude00 \\ud83d \\ude00\\ud83d \\\\ud800\"')"
    assert evaluate(escaped) == r'"😀 � �� \\ud800"'


def test_the_last_of_duplicate_keys_counts_at_the_place_of_the_first() -> None:
    expression = 'json.decode(\'{"a": [1], "b": 2, "a": {"c": [3]}}\')'
    assert evaluate(expression) == '{"a": {"c": [3]}, "b": 2}'
    expression = 'json.decode(\'{"a": 1, "a": [2]}\')'
    assert evaluate(expression) == '{"a": [2]}'
