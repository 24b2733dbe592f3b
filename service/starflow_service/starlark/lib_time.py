"""The module `time`: the recorded clock, durations, and times to reckon with."""

import re
from typing import TYPE_CHECKING, Any

from starflow_service.starlark import time_layout, time_parsing
from starflow_service.starlark.arguments import want_int, want_str
from starflow_service.starlark.calls import check_context
from starflow_service.starlark.civil import DAY_SECONDS, days_before
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.text import quote
from starflow_service.starlark.time_values import (
    HOUR,
    MICROSECOND,
    MILLISECOND,
    MINUTE,
    SECOND,
    Duration,
    Time,
)
from starflow_service.starlark.values import Builtin, Module, type_name
from starflow_service.starlark.zones import UTC, is_zone, zone_named

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_UNITS = {
    "ns": 1,
    "us": MICROSECOND,
    "µs": MICROSECOND,
    "μs": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
# A time with a zone that no other has.
_PARSED_BYTES = 1_024
_TERM = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^.0-9]*)")


# The recorded clock


def _now(m: "Meter", /, ctx: Any) -> str:
    check_context("time.now", ctx)
    return m.host.now(m)


def _sleep(m: "Meter", /, ctx: Any, duration: Any) -> None:
    check_context("time.sleep", ctx)
    if type(duration) is not Duration:
        raise EvalError(
            f"time.sleep: for parameter duration: got {type_name(duration)}, "
            "want time.duration, such as 5 * time.second"
        )
    m.host.sleep(m, max(duration.nanoseconds, 0))


def _sleep_until(m: "Meter", /, ctx: Any, t: Any) -> None:
    check_context("time.sleep_until", ctx)
    if type(t) is not Time:
        raise EvalError(
            f"time.sleep_until: for parameter t: got {type_name(t)}, "
            "want time.time, such as time.parse_time(time.now(ctx)) + time.hour"
        )
    m.host.sleep_until(m, t.unix_nano())


# Durations


def _parse_duration(m: "Meter", d: Any, /) -> Duration:
    if type(d) is Duration:
        return d
    if type(d) is not str:
        raise EvalError(
            f"parse_duration: for parameter 1: got {type_name(d)}, "
            "want a duration or string"
        )
    m.work(len(d) >> 4)
    return Duration(_nanoseconds(m, d))


def _nanoseconds(m: "Meter", text: str) -> int:
    """Return the length of a duration such as "1h15m30.918s"."""
    negative = text.startswith("-")
    place = 1 if text[:1] in ("+", "-") else 0
    if text[place:] == "0":
        return 0
    if place == len(text):
        raise _bad_duration(m, "invalid duration", text)
    total = 0
    while place < len(text):
        m.work(2)
        match = _TERM.match(text, place)
        assert match is not None, "every part of the pattern may be empty"
        total += _term(m, match, text)
        place = match.end()
        if total > 2**63 - (not negative):
            raise _bad_duration(m, "invalid duration", text)
    return -total if negative else total


def _term(m: "Meter", match: re.Match[str], text: str) -> int:
    """Return the nanoseconds of a number with its unit."""
    whole, fraction, name = match.groups()
    # More digits than these are too many for any unit.
    if not (whole or fraction) or len(whole.lstrip("0")) > 19:
        raise _bad_duration(m, "invalid duration", text)
    if not name:
        raise _bad_duration(m, "missing unit in duration", text)
    unit = _UNITS.get(name)
    if unit is None:
        shown = quote(m, name[:20])
        raise _bad_duration(m, f"unknown unit {shown} in duration", text)
    part = (fraction or "")[:18]
    nanoseconds: int = int(part or 0) * unit // 10 ** len(part)
    return int(whole[-19:] or 0) * unit + nanoseconds


def _bad_duration(m: "Meter", reason: str, text: str) -> EvalError:
    shown = quote(m, text[:80])
    return EvalError(f"parse_duration: for parameter 1: time: {reason} {shown}")


# Times


def _time(
    m: "Meter",
    /,
    *positional: Any,
    year: Any = 0,
    month: Any = 0,
    day: Any = 0,
    hour: Any = 0,
    minute: Any = 0,
    second: Any = 0,
    nanosecond: Any = 0,
    location: Any = "",
) -> Time:
    """A month or day that is not given is 0, the one before the first, as in Go."""
    m.work(8)
    if positional:
        raise EvalError("time: unexpected positional arguments")
    days = days_before(
        want_int(m, "time", "year", year),
        want_int(m, "time", "month", month),
        want_int(m, "time", "day", day),
    )
    seconds = (
        want_int(m, "time", "hour", hour) * 3600
        + want_int(m, "time", "minute", minute) * 60
        + want_int(m, "time", "second", second)
    )
    carry, rest = divmod(want_int(m, "time", "nanosecond", nanosecond), SECOND)
    zone = zone_named(want_str("time", "location", location))
    return Time(zone.unix_of(days * DAY_SECONDS + seconds + carry), rest, zone)


def _from_timestamp(m: "Meter", sec: Any, nsec: Any = 0, /) -> Time:
    seconds = want_int(m, "from_timestamp", 1, sec)
    return Time(seconds, want_int(m, "from_timestamp", 2, nsec), UTC)


def _parse_time(
    m: "Meter",
    /,
    x: Any,
    format: Any = time_layout.RFC3339,
    location: Any = "UTC",
) -> Time:
    text = want_str("parse_time", "x", x)
    layout = want_str("parse_time", "format", format)
    # It may have an offset of its own, and so a zone.
    m.charge(_PARSED_BYTES)
    zone = zone_named(want_str("parse_time", "location", location))
    return Time(*time_parsing.parse(m, text, layout, zone))


def _is_valid_timezone(m: "Meter", loc: Any, /) -> bool:
    return is_zone(want_str("is_valid_timezone", 1, loc))


_TIME = Builtin("time", _time)
_MEMBERS = {
    "from_timestamp": Builtin("from_timestamp", _from_timestamp),
    "hour": Duration(HOUR),
    "is_valid_timezone": Builtin("is_valid_timezone", _is_valid_timezone),
    "microsecond": Duration(MICROSECOND),
    "millisecond": Duration(MILLISECOND),
    "minute": Duration(MINUTE),
    "nanosecond": Duration(1),
    "now": Builtin("time.now", _now),
    "parse_duration": Builtin("parse_duration", _parse_duration),
    "parse_time": Builtin("parse_time", _parse_time),
    "second": Duration(SECOND),
    "sleep": Builtin("time.sleep", _sleep),
    "sleep_until": Builtin("time.sleep_until", _sleep_until),
    "time": _TIME,
}
# `load("time", "time")` may mean the function or the module.  It gets both.
_TIME.members = _MEMBERS
TIME = Module("time", _MEMBERS)
