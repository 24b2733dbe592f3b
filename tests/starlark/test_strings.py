import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import casing, ops, search
from starflow_service.starlark.text import float_text
from tests.starlark.evaluate import evaluate, make_meter

# Long enough, of few letters, so that every way to search is taken.
HAYSTACKS = st.builds(
    lambda part, times, rest: part * times + rest,
    st.text("ab", max_size=20),
    st.integers(0, 2_000),
    st.text("ab", max_size=20),
)
NEEDLES = st.builds(
    lambda part, times, rest: part * times + rest,
    st.text("ab", max_size=10),
    st.integers(0, 600),
    st.text("ab", max_size=10),
)


@given(text=HAYSTACKS, needle=NEEDLES, start=st.integers(0, 50), cut=st.integers(0, 50))
def test_a_search_finds_what_python_finds(
    text: str, needle: str, start: int, cut: int
) -> None:
    m = make_meter()
    end = max(start, len(text) - cut)
    if end > len(text):
        return
    assert search.find(m, text, needle, start, end) == text.find(needle, start, end)
    assert search.rfind(m, text, needle, start, end) == text.rfind(needle, start, end)
    assert search.found(m, text, needle) == (needle in text)
    assert search.count(m, text, needle, start, end) == text.count(needle, start, end)
    assert search.replace(m, text, needle, "c", 3) == text.replace(needle, "c", 3)
    if needle:
        assert search.split(m, text, needle, -1) == text.split(needle)
        assert search.split(m, text, needle, 2) == text.split(needle, 2)


def test_a_search_that_would_be_quadratic_is_padded() -> None:
    m = make_meter()
    text = "a" * 5_000 + "b" + "a" * 3_000
    needle = "a" * 3_000 + "b"
    assert search.find(m, text, needle, 0, len(text)) == 2_000
    assert search.find(m, text, needle, 2_001, len(text)) == -1
    assert search.rfind(m, text, needle, 0, len(text)) == 2_000
    assert search.count(m, text, needle, 0, len(text)) == 1
    assert search.split(m, text, needle, -1) == ["a" * 2_000, "a" * 3_000]
    assert search.replace(m, text, needle, "-", -1) == "a" * 2_000 + "-" + "a" * 3_000


def test_a_needle_of_nulls_is_not_found_in_the_padding() -> None:
    m = make_meter()
    text = "a" * 4_000 + "\0" * 4_000
    for needle in ("\0" * 4_001, "a" + "\0" * 4_001, "a" * 10 + "\0" * 4_010):
        assert search.find(m, text, needle, 0, len(text)) == -1
        assert search.count(m, text, needle, 0, len(text)) == 0
        assert search.split(m, text, needle, -1) == [text]


def every_character() -> str:
    codes = (code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    return "".join(map(chr, codes))


def test_a_change_of_case_keeps_every_character_one() -> None:
    m = make_meter(max_steps=10**9)
    text = every_character()
    assert len(casing.upper(m, text)) == len(casing.lower(m, text)) == len(text)
    assert len(casing.title(m, text)) == len(text)
    # Where Python has one character for it, it is that one.
    for changed, python in (
        (casing.upper(m, text), str.upper),
        (casing.lower(m, text), str.lower),
    ):
        for before, after in zip(text, changed, strict=True):
            wanted = python(before)
            assert after == wanted or len(wanted) > 1


def test_a_sigma_and_a_sharp_s_do_not_look_at_their_neighbours() -> None:
    assert evaluate('"ΔΣ ß İ ŉ ᾳ".lower()') == '"δ\u03c3 ß i ŉ ᾳ"'
    assert evaluate('"δς ß ŉ ᾳ ﬁ".upper()') == '"ΔΣ ß ŉ ᾼ ﬁ"'
    assert (
        evaluate('"ǆa ßx".title(), "ǆa".capitalize()'.join("[]")) == '["ǅa ßx", "ǅa"]'
    )


@given(st.text("aAbB1_ éÉΣǅ世"))
def test_titles_are_told_by_themselves(text: str) -> None:
    m = make_meter()
    titled = casing.title(m, text)
    cased = any(c.lower() != c.upper() for c in text)
    assert casing.is_title(m, titled) == cased
    assert casing.is_title(m, text) == (cased and titled == text)


def test_letters_digits_and_spaces_are_unicodes() -> None:
    m = make_meter(max_steps=10**9)
    for character in every_character()[:0x3000]:
        category = unicodedata.category(character)
        answers = {
            "isalpha": category[0] == "L",
            "isdigit": category == "Nd",
            "isalnum": category[0] == "L" or category == "Nd",
            "isspace": category == "Zs" or character in "\t\n\v\f\r\x85\u2028\u2029",
        }
        for name, expected in answers.items():
            got = ops.call_method(m, character, name)
            assert got == expected, (name, hex(ord(character)))


@given(
    text=st.text(" \t\x1c\u00a0ab", max_size=30),
    most=st.integers(-1, 4),
)
def test_words_are_split_at_unicodes_spaces_only(text: str, most: int) -> None:
    m = make_meter()
    # "\x1c" is a space to Python and to nobody else.
    masked = text.replace("\x1c", "c")
    for name in ("split", "rsplit"):
        words = ops.call_method(m, text, name, (None, most))
        masked_words = getattr(masked, name)(None, most)
        assert [word.replace("\x1c", "c") for word in words] == masked_words
    assert ops.call_method(m, text, "strip").replace("\x1c", "c") == masked.strip()


@given(
    text=st.builds(
        lambda a, n, b: a * n + b + a * n,
        *[st.text("abcé"), st.integers(0, 900), st.text("abcé")],
    ),
    chars=st.text("abé", max_size=3),
)
def test_stripping_is_pythons(text: str, chars: str) -> None:
    m = make_meter()
    for name in ("strip", "lstrip", "rstrip"):
        assert ops.call_method(m, text, name, (chars,)) == getattr(text, name)(chars)


@given(text=st.text("a\n\r", max_size=12))
def test_lines_end_with_newlines(text: str) -> None:
    m = make_meter()
    kept = ops.call_method(m, text, "splitlines", (True,))
    assert "".join(kept) == text
    assert all(line.endswith("\n") for line in kept[:-1])
    bare = ops.call_method(m, text, "splitlines")
    assert [line.removesuffix("\n") for line in kept] == bare


@given(st.text(max_size=40), st.text(max_size=3))
def test_what_is_partitioned_is_put_together_again(text: str, separator: str) -> None:
    if not separator:
        return
    m = make_meter()
    for name in ("partition", "rpartition"):
        parts = ops.call_method(m, text, name, (separator,))
        assert "".join(parts) == text
        assert (parts[1] == separator) == (separator in text)


@given(st.text())
def test_a_literal_reads_back(text: str) -> None:
    literal = ops.repr_(make_meter(), text)
    assert evaluate(f"{literal} == {literal}") == "True"
    assert evaluate(literal) == literal
    assert literal.isprintable()


@given(st.binary())
def test_a_literal_of_bytes_reads_back(data: bytes) -> None:
    literal = ops.repr_(make_meter(), data)
    assert evaluate(f"list({literal}.elems())") == str(list(data))


@given(st.floats())
def test_a_float_is_shown_so_that_it_reads_back(x: float) -> None:
    text = float_text(x)
    assert float(text) == x or x != x
    assert not text.lstrip("-").isdigit()


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (1e6, "1e+06"),
        (999999.5, "999999.5"),
        (1234567.0, "1.234567e+06"),
        (1e-4, "0.0001"),
        (1.5e-5, "1.5e-05"),
        (1e100, "1e+100"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (-0.0, "-0.0"),
        (float("inf"), "+inf"),
        (-float("inf"), "-inf"),
    ],
)
def test_floats_are_shown_as_go_shows_them(x: float, text: str) -> None:
    assert float_text(x) == text


@given(st.lists(st.text("{}!:.%[0a", max_size=6), max_size=4))
def test_no_template_lets_python_in(parts: list[str]) -> None:
    template = "".join(parts)
    m = make_meter()
    for end in (
        evaluate(f"{ops.repr_(m, template)}.format(1, a=2)"),
        evaluate(f"{ops.repr_(m, template)} % (1, 2)"),
    ):
        assert end[0] == '"' or end.startswith("error: ")
        assert "object" not in end
        assert "index out of range" not in end or "tuple index" in end
