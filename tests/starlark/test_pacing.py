"""Long work is left in the middle, and goes on where it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import jsontext
from starflow_service.starlark.limits import Limits
from starflow_service.starlark.pacing import Paced

MEBIBYTE = 1 << 20
LIMITS = Limits()


def list_of(unit):
    """A text of a mebibyte, nearly."""
    return f"[{','.join([unit] * ((MEBIBYTE - 2) // (len(unit) + 1)))}]"


# Texts that the scanner of the standard library reads in 10 to 100 ms at one go.
LONG = {
    "empty lists": list_of("[]"),
    "empty dicts": list_of("{}"),
    "nested lists": list_of("[[[[]]]]"),
    "nested dicts": list_of('{"a":{}}'),
    "integers": list_of("1"),
    "pairs of surrogates": list_of('"\\ud83d\\ude00"'),
    "halves of pairs": list_of('"\\ud83d"'),
    "keys": "{" + ",".join(f'"{n:06x}":0' for n in range(90_000)) + "}",
    "faulty at the end": list_of("[]")[:-2] + "x]",
}


def done(paced):
    while not paced.advance():
        pass
    return paced


def outcome(check):
    try:
        check()
    except jsontext.JsonError as error:
        return error.message
    return None


@pytest.mark.parametrize("name", LONG)
def test_a_long_text_is_checked_in_many_slices(name):
    """Each as long as a few thousand rounds of a loop: counted, and not timed."""
    paced = done(Paced(lambda pacer: jsontext.check(LONG[name], LIMITS, pacer)))
    assert paced.pacer.slices >= 15


def test_what_is_done_between_slices_is_done_before_the_end():
    turns = []
    paced = Paced(lambda pacer: [pacer.work(30_000) or turns.append(n) for n in (1, 2)])
    assert not paced.advance()
    assert turns == []
    assert not paced.advance()
    assert turns == [1]
    assert paced.advance()
    assert turns == [1, 2]
    assert len(paced.result()) == 2


def test_an_error_comes_with_the_result():
    def fail(pacer):
        pacer.work(30_000)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        done(Paced(fail)).result()


def test_work_that_is_given_up_ends_where_it_is():
    ended = []

    def work(pacer):
        try:
            pacer.work(30_000)
            ended.append("went on")
        finally:
            ended.append("ended")

    paced = Paced(work)
    assert not paced.advance()
    paced.end()
    paced.end()
    assert ended == ["ended"]


def test_pieces_of_work_take_turns():
    order = []

    def work(name):
        def go_on(pacer):
            for n in range(3):
                order.append(f"{name}{n}")
                pacer.work(30_000)

        return go_on

    one, two = Paced(work("a")), Paced(work("b"))
    while not (one.advance() & two.advance()):
        pass
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab"), inner),
    max_leaves=12,
)


@given(VALUES, st.integers(1, 40), st.integers(0, 200_000), st.sampled_from('],}x1 "'))
def test_in_pieces_the_same_is_refused(value, size, place, character):
    """Whole or broken at any place: the words and the offset are the same."""
    unit = json.dumps(value)
    text = f"[{','.join([unit] * (40_000 // (len(unit) + 1) + size))}]"
    broken = text[: place % len(text)] + character + text[place % len(text) + 1 :]
    small = Limits(max_elements=30_000, max_string=20_000)
    for each in (text, broken):
        expected = outcome(lambda each=each: jsontext.check(each, small))
        paced = done(Paced(lambda pacer, each=each: jsontext.check(each, small, pacer)))
        found = outcome(paced.result)
        # What is too long and faulty may be refused for either.
        if expected != found:
            assert "more than" in f"{found}"
