import decimal
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from starflow_service.starlark import exact

TABLE = Path(__file__).parent / "testdata/exact.txt"
# Enough digits for any float's neighbours to be told apart.
MANY_DIGITS = decimal.Context(prec=60, Emax=10**6, Emin=-(10**6))


def rows() -> list[list[str]]:
    lines = TABLE.read_text().splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: " ".join(row[:-1]))
def test_a_result_is_the_nearest_float(row: list[str]) -> None:
    name, *arguments, expected = row
    numbers = [float.fromhex(argument) for argument in arguments]
    result = getattr(exact, name)(*numbers)
    assert result.hex() == expected


POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@given(st.floats(-746, 710) | st.floats(-1, 1))
@example(5e-324)
def test_exp_is_what_decimals_say(x: float) -> None:
    expected = float(MANY_DIGITS.exp(Decimal(x)))
    if expected == float("inf"):
        with pytest.raises(OverflowError):
            exact.exp(x)
    else:
        assert exact.exp(x) == expected


@given(POSITIVE | st.floats(0.5, 2))
def test_log_is_what_decimals_say(x: float) -> None:
    assert exact.log(x) == float(MANY_DIGITS.ln(Decimal(x)))


@given(st.integers(2, 2**53), st.integers(1, 12))
def test_a_power_that_is_exact_is_found(x: int, n: int) -> None:
    assert exact.power(float(x), float(n)) == float(Fraction(x) ** n)
    assert exact.power(float(x), -float(n)) == float(Fraction(1, x**n))
    assert exact.power(float(x * x), 0.5) == float(Fraction(float(x * x))) ** 0.5


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_length_is_nearest_to_its_square(x: float, y: float) -> None:
    try:
        length = exact.hypot(x, y)
    except OverflowError:
        assume(False)
    square = Fraction(x) ** 2 + Fraction(y) ** 2
    around = Fraction(length)
    half = Fraction(math.ulp(length)) / 2
    assert max(around - half, Fraction(0)) ** 2 <= square <= (around + half) ** 2


@pytest.mark.parametrize("name", ["exp", "gamma", "sinh", "cosh"])
def test_what_is_larger_than_any_float_overflows(name: str) -> None:
    for x in (712.5, 1e308):
        with pytest.raises(OverflowError):
            getattr(exact, name)(x)


def test_what_is_smaller_than_any_float_is_nothing() -> None:
    assert exact.exp(-1e308) == 0.0
    assert exact.gamma(-200.5) == 0.0
    assert exact.power(2.0, -1e308) == 0.0
    assert exact.power(1 + 2**-52, -1e300) == 0.0
    with pytest.raises(OverflowError):
        exact.power(1 + 2**-52, 1e300)
