"""A long text is read in pieces, and means what it would mean in one."""

import json
import random
from typing import Any

import pytest

from starflow_service.starlark import jsontext
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.values import Dict, List
from tests.starlark.evaluate import make_meter

SCALARS = [1, -0.5, None, True, False, 'a"\u00e9\n', 10**30, "", "x" * 300]


def value(chance: random.Random, depth: int) -> Any:
    shape = chance.random()
    if not depth or shape < 0.4:
        return chance.choice(SCALARS)
    if shape < 0.7:
        return [value(chance, depth - 1) for _ in range(chance.randrange(20))]
    return {f"k{i}": value(chance, depth - 1) for i in range(chance.randrange(20))}


def long_text(seed: int) -> str:
    chance = random.Random(seed)
    indent = chance.choice([None, 1])
    values = [value(chance, 3) for _ in range(16)]
    return json.dumps([values, {"again": values}, list(range(5_000))], indent=indent)


def decoded(text: str) -> Any:
    return jsontext.decode(make_meter(max_steps=10**9), text)


def words(text: str) -> str:
    with pytest.raises(EvalError) as caught:
        decoded(text)
    return caught.value.message


@pytest.mark.parametrize("seed", range(3))
def test_a_long_text_means_what_it_says(seed: int) -> None:
    text = long_text(seed)
    assert len(text) > jsontext._LONG_TEXT
    assert jsontext.encode(make_meter(), decoded(text)) == json.dumps(
        json.loads(text), separators=(",", ":"), ensure_ascii=False
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_fault_is_found_where_it_would_be_found_in_one(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, text = random.Random(seed), long_text(seed)
    wrong = []
    for bad in ["", ",", "]", "}", '"', "x", "1", "\x01", "NaN", "[", '{"a":1,"a":2}']:
        at = chance.randrange(len(text))
        wrong.append(text[:at] + bad + text[at + 1 :])
    pieces = [outcome(each) for each in wrong]
    monkeypatch.setattr(jsontext, "_LONG_TEXT", 1 << 30)
    assert pieces == [outcome(each) for each in wrong]


def outcome(text: str) -> Any:
    try:
        return decoded(text)
    except EvalError as error:
        return error.message


def test_all_lists_are_lists_of_the_language() -> None:
    got = decoded("[" + '[[1], {"a": [2]}],' * 5_000 + "[]]")
    assert type(got) is type(got[0]) is type(got[0][0]) is List
    assert type(got[0][1]) is Dict
    assert type(got[0][1]["a"]) is List


def test_limits_hold_in_pieces() -> None:
    assert words("[" + "1," * 100_000 + "1]") == "more than 100000 elements"
    assert words("[[" + "[]," * 100_000 + "1]]") == "more than 100000 elements"
    assert words("[" * 101 + '"' + "a" * 50_000) == (
        "JSON text is nested deeper than 100 levels"
    )


def test_reading_lets_others_have_their_turn() -> None:
    m = make_meter(max_steps=10**9)
    jsontext.decode(m, "[" + "[1]," * 50_000 + "[]]")
    assert 10**9 - m.remaining - m.steps > 50_000
