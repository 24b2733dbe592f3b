"""`time.duration` and `time.time`, in integers: no clock and no calendar of Python's.

A duration is a count of nanoseconds in 64 bits; a result outside of them is an error
and never wraps around.  A time is a count of seconds since 1970 and of nanoseconds
within the second, seen from a zone.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from starflow_service.starlark import time_layout
from starflow_service.starlark.arguments import INT64_MAX, INT64_MIN, want_str
from starflow_service.starlark.civil import Civil, civil
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.values import MISSING, Builtin, Value
from starflow_service.starlark.zones import Zone, zone_named

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
# The first of January of year 1, which Go takes for no time at all.
_ZERO_UNIX = -62_135_596_800


class Duration(Value):
    """A span of time, in nanoseconds."""

    __slots__ = ("nanoseconds",)
    type_name: ClassVar[str] = "time.duration"

    def __init__(self, nanoseconds: int) -> None:
        if not INT64_MIN <= nanoseconds <= INT64_MAX:
            raise EvalError("time.duration out of range (want at most 292 years)")
        self.nanoseconds = nanoseconds

    def text(self, m: "Meter") -> str:
        return duration_text(self.nanoseconds)

    def truth(self) -> bool:
        return self.nanoseconds != 0

    def attr(self, m: "Meter", name: str) -> Any:
        unit = _UNITS.get(name)
        if unit is None:
            return MISSING
        if unit >= SECOND:
            # Whole units and the rest apart, as the Go original does, so that the
            # result is the same to the last bit.
            units, rest = _quotient_and_rest(self.nanoseconds, unit)
            return units + rest / unit
        return _quotient_and_rest(self.nanoseconds, unit)[0]

    def attr_names(self) -> Iterable[str]:
        return _UNITS

    def equals(self, other: Any) -> bool:
        return bool(self.nanoseconds == other.nanoseconds)

    def order(self, other: Any) -> int:
        return int(self.nanoseconds > other.nanoseconds) - int(
            self.nanoseconds < other.nanoseconds
        )

    def token(self) -> object:
        return (Duration, self.nanoseconds)

    def binary(self, m: "Meter", op: str, other: Any, *, swapped: bool) -> Any:
        kind = type(other)
        if op == "*" and kind is int:
            return Duration(self.nanoseconds * _int64(other))
        if swapped:
            return MISSING
        if op == "+" and kind is Time:
            return other.plus(self.nanoseconds)
        if kind is Duration:
            return self._with_duration(op, other.nanoseconds)
        if op == "/" and (kind is int or kind is float):
            return self._divided(other)
        return MISSING

    def _with_duration(self, op: str, other: int) -> Any:
        if op == "+":
            return Duration(self.nanoseconds + other)
        if op == "-":
            return Duration(self.nanoseconds - other)
        if op not in ("/", "//"):
            return MISSING
        if other == 0:
            raise EvalError("time.duration division by zero")
        if op == "//":
            return _quotient_and_rest(self.nanoseconds, other)[0]
        return float(self.nanoseconds) / float(other)

    def _divided(self, divisor: float) -> "Duration":
        if divisor == 0:
            raise EvalError("time.duration division by zero")
        if type(divisor) is int:
            return Duration(_quotient_and_rest(self.nanoseconds, divisor)[0])
        quotient = self.nanoseconds / divisor
        if not INT64_MIN <= quotient <= INT64_MAX:
            raise EvalError("time.duration out of range (want at most 292 years)")
        return Duration(int(quotient))


_UNITS = {
    "hours": HOUR,
    "microseconds": MICROSECOND,
    "milliseconds": MILLISECOND,
    "minutes": MINUTE,
    "nanoseconds": 1,
    "seconds": SECOND,
}


def _int64(x: int) -> int:
    if not INT64_MIN <= x <= INT64_MAX:
        raise EvalError("int value out of range (want signed 64-bit value)")
    return x


def _quotient_and_rest(x: int, y: int) -> tuple[int, int]:
    """Return `x / y` rounded towards zero, and what is left."""
    quotient = abs(x) // abs(y)
    if (x < 0) != (y < 0):
        quotient = -quotient
    return quotient, x - quotient * y


def duration_text(nanoseconds: int) -> str:
    """Return a duration as `1h2m3.5s`, with the smallest unit that is not zero."""
    sign = "-" if nanoseconds < 0 else ""
    rest = abs(nanoseconds)
    if rest < SECOND:
        for name, unit in (("ms", MILLISECOND), ("µs", MICROSECOND), ("ns", 1)):
            if rest >= unit:
                return f"{sign}{_decimal(rest, unit)}{name}"
        return "0s"
    hours, rest = divmod(rest, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds = f"{_decimal(rest, SECOND)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def _decimal(count: int, unit: int) -> str:
    """Return `count / unit` exactly; *unit* is a power of ten."""
    whole, rest = divmod(count, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(unit + rest)[1:].rstrip('0')}"


class Time(Value):
    """A moment, seen from a zone."""

    __slots__ = ("nanosecond", "unix", "zone")
    type_name: ClassVar[str] = "time.time"

    def __init__(self, unix: int, nanosecond: int, zone: Zone) -> None:
        carry, self.nanosecond = divmod(nanosecond, SECOND)
        self.unix = unix + carry
        self.zone = zone
        if not INT64_MIN <= self.unix <= INT64_MAX:
            raise EvalError("time.time out of range")

    def text(self, m: "Meter") -> str:
        return self.format(m, time_layout.SHOWN)

    def format(self, m: "Meter", layout: str) -> str:
        """Return the time as a layout of Go's wants it."""
        offset = self.zone.at(self.unix)
        shown = civil(self.unix + offset.seconds)
        return time_layout.write(m, shown, self.nanosecond, offset, layout)

    def truth(self) -> bool:
        return (self.unix, self.nanosecond) != (_ZERO_UNIX, 0)

    def attr(self, m: "Meter", name: str) -> Any:
        method = _METHODS.get(name)
        if method is not None:
            return Builtin(name, method, self)
        if name in ("nanosecond", "unix"):
            return getattr(self, name)
        if name == "unix_nano":
            return self.unix_nano()
        if name not in _CIVIL_NAMES:
            return MISSING
        m.work(4)
        return getattr(self._civil(), name)

    def attr_names(self) -> Iterable[str]:
        return [*_CIVIL_NAMES, *_METHODS, "nanosecond", "unix", "unix_nano"]

    def equals(self, other: Any) -> bool:
        return self.order(other) == 0

    def order(self, other: Any) -> int:
        mine = (self.unix, self.nanosecond)
        others = (other.unix, other.nanosecond)
        return int(mine > others) - int(mine < others)

    def token(self) -> object:
        return (Time, self.unix, self.nanosecond)

    def unix_nano(self) -> int:
        """Return the nanoseconds since 1970."""
        return self.unix * SECOND + self.nanosecond

    def _civil(self) -> Civil:
        return civil(self.unix + self.zone.at(self.unix).seconds)

    def plus(self, nanoseconds: int) -> "Time":
        """Return the time so much later."""
        return Time(self.unix, self.nanosecond + nanoseconds, self.zone)

    def binary(self, m: "Meter", op: str, other: Any, *, swapped: bool) -> Any:
        if swapped:
            return MISSING
        if type(other) is Duration and op in ("+", "-"):
            sign = 1 if op == "+" else -1
            return self.plus(sign * other.nanoseconds)
        if type(other) is Time and op == "-":
            seconds = self.unix - other.unix
            return Duration(seconds * SECOND + self.nanosecond - other.nanosecond)
        return MISSING


_CIVIL_NAMES = ("day", "hour", "minute", "month", "second", "year")


def _format(m: "Meter", t: Time, layout: Any, /) -> str:
    return t.format(m, want_str("format", 1, layout))


def _in_location(m: "Meter", t: Time, name: Any, /) -> Time:
    return Time(t.unix, t.nanosecond, zone_named(want_str("in_location", 1, name)))


_METHODS: Mapping[str, Callable[..., Any]] = {
    "format": _format,
    "in_location": _in_location,
}
