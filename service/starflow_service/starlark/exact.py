"""Elementary functions of floats, rounded correctly: the same bits on every machine.

The functions of a C library are off by a bit now and then, and by different ones in
different libraries, releases and processors.  A run that is replayed elsewhere would
ask for something else than its log says.  So these are computed in integers, to more
bits than the result has.  When the error could still change how the result is rounded,
they are computed again to twice as many.

Within, a number is an integer in units of 2^-`unit`; the functions that compute return
such an integer and its unit.  Their error is less than 2^-bits of the result.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import comb, factorial, frexp, isqrt
from typing import TypeAlias

Scaled: TypeAlias = tuple[int, int]

# No function of a float needs as much as the third of them but where the result is
# exact, or halfway between two floats.
_BITS = (128, 256, 512, 1024)
# Bits that are lost on the way, and those that the largest cancellation takes.
_GUARD = 96
# The largest exponents of exp that are not yet infinite, or zero.
_EXP_MAX, _EXP_MIN = 710, -746
_GAMMA_MAX, _GAMMA_MIN = 172, -185


def _nearest(compute: Callable[[int], Scaled]) -> float:
    """
    Return the float that is nearest to what *compute* computes to so many bits.

    Raises:
        OverflowError: it is larger than any float.
    """
    number = unit = 0
    for bits in _BITS:
        number, unit = compute(bits)
        error = (abs(number) >> bits) + 1
        low, high = _float(number - error, unit), _float(number + error, unit)
        if low == high:
            return low
    # It has few bits, so all that is far behind them is error.
    surplus = number.bit_length() - 64
    return _float((number + (1 << surplus - 1)) >> surplus, unit - surplus)


def _float(number: int, unit: int) -> float:
    # Python rounds both correctly, also where floats have fewer bits.
    return number / (1 << unit) if unit > 0 else float(number << -unit)


def _fixed(x: float, unit: int) -> int:
    """Return *x* in units of 2^-*unit*, of which it must be a multiple."""
    number, divisor = x.as_integer_ratio()
    return (number << unit) // divisor


def _unit(x: float, bits: int) -> int:
    """Return a unit in which a number as small as *x* has *bits* bits, and guards."""
    return bits + _GUARD + max(0, -frexp(x)[1])


# Constants


def _pi(unit: int) -> int:
    return _pi_rounded_up(unit // 64 + 1) >> 64 - unit % 64


@cache
def _pi_rounded_up(words: int) -> int:
    unit = 64 * words + 16
    return (16 * _atan_inverse(5, unit) - 4 * _atan_inverse(239, unit)) >> 16


def _atan_inverse(n: int, unit: int) -> int:
    """Return the arc tangent of 1 / n."""
    power = total = (1 << unit) // n
    k, sign = 1, -1
    while power:
        power //= n * n
        k += 2
        total += sign * (power // k)
        sign = -sign
    return total


def _ln2(unit: int) -> int:
    return _ln2_rounded_up(unit // 64 + 1) >> 64 - unit % 64


@cache
def _ln2_rounded_up(words: int) -> int:
    # Twice the inverse hyperbolic tangent of 1/3.
    unit = 64 * words + 16
    power = (2 << unit) // 3
    total, k = power, 1
    while power:
        power //= 9
        k += 2
        total += power // k
    return total >> 16


# exp and log of scaled numbers


def _exp(x: int, unit: int) -> Scaled:
    twos = x // _ln2(unit)
    rest = x - (twos * _ln2(unit + 32) >> 32)
    # The 256th root needs few terms.
    rest >>= 8
    one = 1 << unit
    total, term, k = one + rest, rest, 2
    while term:
        term = term * rest // k >> unit
        total += term
        k += 1
    for _ in range(8):
        total = total * total >> unit
    return total, unit - twos


def _log(x: int, unit: int) -> int:
    one = 1 << unit
    twos = x.bit_length() - 1 - unit
    x = x >> twos if twos > 0 else x << -twos
    if x > 181 << unit - 7:
        # Nearer to 1 than to 2, by their ratios.
        x, twos = x >> 1, twos + 1
    for _ in range(6):
        x = isqrt(x << unit)
    z = (x - one << unit) // (x + one)
    return (_odd_series(z, z * z >> unit, unit) << 7) + twos * _ln2(unit)


def _odd_series(z: int, square: int, unit: int) -> int:
    """Return `z + z * square / 3 + z * square^2 / 5` and so on."""
    total, power, k = z, z, 1
    while power not in (0, -1):
        power = power * square >> unit
        k += 2
        total += power // k
    return total


def exp(x: float) -> float:
    """Return e to the power of *x*."""
    if not _EXP_MIN < x < _EXP_MAX:
        return _beyond(x > 0)

    def compute(bits: int) -> Scaled:
        unit = _unit(x, bits)
        return _exp(_fixed(x, unit), unit)

    return _nearest(compute)


def _beyond(is_large: bool) -> float:
    if is_large:
        raise OverflowError
    return 0.0


def log(x: float) -> float:
    """Return the natural logarithm of *x*, which is positive."""
    if x == 1:
        return 0.0

    def compute(bits: int) -> Scaled:
        unit = _unit(x, bits)
        return _log(_fixed(x, unit), unit), unit

    return _nearest(compute)


def power(x: float, y: float) -> float:
    """Return *x* to the power of *y*; *x* is positive and not 1, *y* not 0."""
    number, divisor = x.as_integer_ratio()
    # Coarse, and only to keep what follows within bounds.
    twos = (number.bit_length() - divisor.bit_length()) * Fraction(y)
    if abs(twos) > 2_300 + 2 * abs(Fraction(y)):
        return _beyond(twos > 0)
    size = max(0, frexp(y)[1])

    def compute(bits: int) -> Scaled:
        unit = _unit(x, bits) + size
        factor, below = y.as_integer_ratio()
        exponent = _log(_fixed(x, unit), unit) * factor // below
        if abs(exponent) >> unit > 2_000:
            # Far out of range, and not worth the digits.
            return (1, -4_000) if exponent > 0 else (1, 4_000)
        return _exp(exponent >> size, unit - size)

    return _nearest(compute)


# Angles


def _sin_cos(x: int, unit: int) -> tuple[int, int]:
    """Return sine and cosine of a number between -2 and 2."""
    square = x * x >> unit
    one = 1 << unit
    return _alternating(x, square, 2, unit), _alternating(one, square, 1, unit)


def _alternating(first: int, square: int, k: int, unit: int) -> int:
    """Return `first * (1 - square / k(k+1) + square^2 / k(k+1)(k+2)(k+3) ...)`."""
    total = term = first
    while term not in (0, -1):
        term = -term * square // (k * (k + 1)) >> unit
        total += term
        k += 2
    return total


def _quarters(x: float, bits: int) -> tuple[int, int, int, int]:
    """Return sine and cosine of *x* in the first quarter, their unit, the quarter."""
    unit = _unit(x, bits)
    size = max(0, frexp(x)[1]) + 8
    quarter = _pi(unit + size) >> 1
    turns, rest = divmod(_fixed(x, unit + size), quarter)
    if rest > quarter >> 1:
        turns, rest = turns + 1, rest - quarter
    return *_sin_cos(rest >> size, unit), unit, turns % 4


def sin(x: float) -> float:
    """Return the sine of *x*, which is not 0."""

    def compute(bits: int) -> Scaled:
        sine, cosine, unit, turns = _quarters(x, bits)
        return (sine, cosine, -sine, -cosine)[turns], unit

    return _nearest(compute)


def cos(x: float) -> float:
    """Return the cosine of *x*."""

    def compute(bits: int) -> Scaled:
        sine, cosine, unit, turns = _quarters(x, bits)
        return (cosine, -sine, -cosine, sine)[turns], unit

    return _nearest(compute)


def tan(x: float) -> float:
    """Return the tangent of *x*, which is not 0."""

    def compute(bits: int) -> Scaled:
        sine, cosine, unit, turns = _quarters(x, bits)
        if turns % 2:
            sine, cosine = -cosine, sine
        return (sine << unit) // cosine, unit

    return _nearest(compute)


def _atan(number: int, divisor: int, bits: int) -> Scaled:
    """Return the arc tangent of `number / divisor`, both positive."""
    unit = bits + _GUARD
    inverted = number > divisor
    if inverted:
        number, divisor = divisor, number
    else:
        unit += max(0, divisor.bit_length() - number.bit_length())
    x = (number << unit) // divisor
    for _ in range(4):
        # The tangent of half the angle.
        x = (x << unit) // ((1 << unit) + isqrt((1 << 2 * unit) + x * x))
    angle = _odd_series(x, -(x * x) >> unit, unit) << 4
    return (_pi(unit) >> 1) - angle if inverted else angle, unit


def _root(number: int, divisor: int, bits: int) -> tuple[int, int, int]:
    """Return `sqrt(divisor^2 - number^2)`, *number* and *divisor*, scaled alike."""
    root = isqrt(divisor * divisor - number * number << 2 * (bits + _GUARD))
    return root, number << bits + _GUARD, divisor << bits + _GUARD


def atan(x: float) -> float:
    """Return the arc tangent of *x*, which is not 0."""
    number, divisor = abs(x).as_integer_ratio()
    angle = _nearest(lambda bits: _atan(number, divisor, bits))
    return angle if x > 0 else -angle


def asin(x: float) -> float:
    """Return the arc sine of *x*, which is not 0, from -1 to 1."""
    number, divisor = abs(x).as_integer_ratio()

    def compute(bits: int) -> Scaled:
        root, side, _ = _root(number, divisor, bits)
        return _atan(side, root, bits) if root else _half_pi(bits)

    angle = _nearest(compute)
    return angle if x > 0 else -angle


def acos(x: float) -> float:
    """Return the arc cosine of *x*, from -1 to below 1."""
    number, divisor = abs(x).as_integer_ratio()

    def compute(bits: int) -> Scaled:
        root, side, _ = _root(number, divisor, bits)
        if not side:
            return _half_pi(bits)
        angle, unit = _atan(root, side, bits) if root else (0, bits)
        return angle if x > 0 else _pi(unit) - angle, unit

    return _nearest(compute)


def _half_pi(bits: int) -> Scaled:
    return _pi(bits + _GUARD), bits + _GUARD + 1


def atan2(y: float, x: float) -> float:
    """Return the angle of the point (*x*, *y*); neither is 0."""
    rise, below_rise = abs(y).as_integer_ratio()
    run, below_run = abs(x).as_integer_ratio()

    def compute(bits: int) -> Scaled:
        angle, unit = _atan(rise * below_run, run * below_rise, bits)
        return angle if x > 0 else _pi(unit) - angle, unit

    angle = _nearest(compute)
    return angle if y > 0 else -angle


def hypot(x: float, y: float) -> float:
    """Return the length of the vector (*x*, *y*)."""
    wide, below_wide = x.as_integer_ratio()
    high, below_high = y.as_integer_ratio()
    below = max(below_wide, below_high)
    square = (wide * below // below_wide) ** 2 + (high * below // below_high) ** 2
    root = isqrt(square << 128)
    # Whatever the root left out is less than its last bit, which says that it did.
    return _float(root << 1 | (root * root != square << 128), below.bit_length() + 64)


# Hyperbolic functions


def _exp_and_inverse(x: float, bits: int) -> tuple[int, int, int]:
    """Return e to the power of *x* and of -*x*, and their unit; *x* is positive."""
    unit = _unit(x, bits)
    number, scale = _exp(_fixed(x, unit), unit)
    up = number << unit - scale
    return up, (1 << 2 * unit) // up, unit


def sinh(x: float) -> float:
    """Return the hyperbolic sine of *x*, which is not 0."""
    if abs(x) > _EXP_MAX + 1:
        raise OverflowError

    def compute(bits: int) -> Scaled:
        up, down, unit = _exp_and_inverse(abs(x), bits)
        return up - down, unit + 1

    result = _nearest(compute)
    return result if x > 0 else -result


def cosh(x: float) -> float:
    """Return the hyperbolic cosine of *x*, which is not 0."""
    if abs(x) > _EXP_MAX + 1:
        raise OverflowError

    def compute(bits: int) -> Scaled:
        up, down, unit = _exp_and_inverse(abs(x), bits)
        return up + down, unit + 1

    return _nearest(compute)


def tanh(x: float) -> float:
    """Return the hyperbolic tangent of *x*, which is not 0."""

    def compute(bits: int) -> Scaled:
        up, down, unit = _exp_and_inverse(abs(x), bits)
        return (up - down << unit) // (up + down), unit

    # Beyond this it is 1 but for less than half of the last bit.
    result = _nearest(compute) if abs(x) < 30 else 1.0
    return result if x > 0 else -result


def asinh(x: float) -> float:
    """Return the inverse hyperbolic sine of *x*, which is not 0."""

    def compute(bits: int) -> Scaled:
        unit = _unit(x, bits)
        number = _fixed(abs(x), unit)
        return _log(number + isqrt(number * number + (1 << 2 * unit)), unit), unit

    result = _nearest(compute)
    return result if x > 0 else -result


def acosh(x: float) -> float:
    """Return the inverse hyperbolic cosine of *x*, which is above 1."""

    def compute(bits: int) -> Scaled:
        unit = _unit(x, bits)
        number = _fixed(x, unit)
        return _log(number + isqrt(number * number - (1 << 2 * unit)), unit), unit

    return _nearest(compute)


def atanh(x: float) -> float:
    """Return the inverse hyperbolic tangent of *x*, which is not 0, within -1 and 1."""

    def compute(bits: int) -> Scaled:
        unit = _unit(x, bits)
        one, number = 1 << unit, _fixed(abs(x), unit)
        return _log((one + number << unit) // (one - number), unit), unit + 1

    result = _nearest(compute)
    return result if x > 0 else -result


# gamma


def gamma(x: float) -> float:
    """Return the gamma function of *x*, which is neither 0 nor a negative integer."""
    if not _GAMMA_MIN < x < _GAMMA_MAX:
        return _beyond(x > 0)
    if x == int(x):
        return float(factorial(int(x) - 1))

    def compute(bits: int) -> Scaled:
        if x >= 0.5:
            return _gamma(_fixed(x, bits + _GUARD), bits)
        # By reflection; the sine is that of the fraction of x.
        unit = _unit(x, bits)
        number = _fixed(x, unit)
        mirrored = (1 << unit) - number >> unit - bits - _GUARD
        other, scale = _gamma(mirrored, bits)
        whole = number + (1 << unit - 1) >> unit
        angle = (number - (whole << unit)) * _pi(unit) >> unit
        sine, _ = _sin_cos(-angle if whole % 2 else angle, unit)
        finer = 2 * (bits + _GUARD)
        return (_pi(unit) << finer) // (sine * other), finer - scale

    return _nearest(compute)


def _gamma(x: int, bits: int) -> Scaled:
    """Return the gamma function of a number from 0.5 up, by Stirling's series."""
    unit = bits + _GUARD
    one = 1 << unit
    product = one
    # The further up, the more digits the series has.
    while x < (bits // 5 + 24) << unit:
        product = product * x >> unit
        x += one
    inverse = (one << unit) // x
    total = (x - (one >> 1)) * _log(x, unit) >> unit
    total += (_log(2 * _pi(unit), unit) >> 1) - x
    power, square, k = inverse, inverse * inverse >> unit, 1
    while power:
        factor = _bernoulli(2 * k) / (2 * k * (2 * k - 1))
        total += power * factor.numerator // factor.denominator
        power = power * square >> unit
        k += 1
    number, scale = _exp(total, unit)
    return (number << 2 * unit) // product, scale + unit


@cache
def _bernoulli(n: int) -> Fraction:
    if n == 0:
        return Fraction(1)
    if n > 1 and n % 2:
        return Fraction(0)
    total = sum(comb(n + 1, k) * _bernoulli(k) for k in range(n))
    return -Fraction(total) / (n + 1)
