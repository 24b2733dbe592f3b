import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from starflow_service.starlark import ops
from starflow_service.starlark.builtins import MODULES
from tests.starlark.evaluate import end_of, evaluate, make_meter

NAMES = ["md5", "sha1", "sha256", "sha512"]


def call(name: str, *args: Any) -> Any:
    return ops.call(make_meter(), MODULES["hashlib"].members[name], args)


@given(st.sampled_from(NAMES), st.binary())
@example("sha256", b"a" * 200_000)
def test_a_digest_of_bytes_is_hexadecimal_text(name: str, data: bytes) -> None:
    assert call(name, data) == hashlib.new(name, data).hexdigest()


@given(st.sampled_from(NAMES), st.text())
def test_a_digest_of_a_string_is_that_of_its_utf8(name: str, text: str) -> None:
    assert call(name, text) == call(name, text.encode())


@given(st.binary(max_size=200), st.text())
@example(b"k" * 64, "")
@example(b"k" * 65, "")
def test_a_code_shows_who_has_the_key(key: bytes, data: str) -> None:
    expected = hmac.new(key, data.encode(), "sha256").hexdigest()
    assert call("hmac_sha256", key, data) == expected


def test_a_digest_is_the_well_known_one() -> None:
    assert evaluate('hashlib.md5("hello world!")') == (
        '"fc3ff98e8c6a0d3087d515c0473f8677"'
    )
    assert evaluate('hashlib.sha1(data="x")') == (
        "error: hashlib.sha1: unexpected keyword arguments"
    )


@pytest.mark.parametrize("value", ["1", "None", "[1]", "{}", "1.5", "True"])
@pytest.mark.parametrize("name", NAMES)
def test_only_text_and_bytes_have_a_digest(name: str, value: str) -> None:
    message = end_of(f"hashlib.{name}({value})")
    assert message.startswith(f"error: hashlib.{name}: for parameter 1: got ")
    assert message.endswith(", want string or bytes")


def test_a_code_needs_a_key_and_data() -> None:
    assert end_of("hashlib.hmac_sha256('k')") == (
        "error: hashlib.hmac_sha256: missing argument for data"
    )
    assert end_of("hashlib.hmac_sha256(1, 'd')") == (
        "error: hashlib.hmac_sha256: for parameter key: got int, want string or bytes"
    )


def test_a_long_text_is_hashed_in_slices() -> None:
    m = make_meter()
    whole = m.remaining + m.steps
    ops.call(m, MODULES["hashlib"].members["sha256"], ("é" * 1_000_000,))
    assert whole - m.remaining - m.steps > 60_000
