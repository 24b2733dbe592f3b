"""The module `time`: the recorded clock, durations, and times to reckon with.

Zones other than UTC are known by their offset only: a table of the world's zones would
have to be pinned with the interpreter, or a replay could read another one.
"""

import re
from typing import TYPE_CHECKING, Any

from starflow_service.starlark import time_layout
from starflow_service.starlark.arguments import want_int, want_str
from starflow_service.starlark.calls import check_context
from starflow_service.starlark.civil import UTC, is_zone, zone_named
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.time_values import (
    HOUR,
    MICROSECOND,
    MILLISECOND,
    MINUTE,
    SECOND,
    Duration,
    Time,
    moment,
)
from starflow_service.starlark.values import Builtin, Module, type_name

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

_SLEEP_MAX = 366 * 24 * HOUR
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
    if duration.nanoseconds > _SLEEP_MAX:
        raise EvalError("time.sleep: for parameter duration: more than a year")
    m.host.sleep(m, max(duration.nanoseconds, 0))


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
    return Duration(_nanoseconds(d))


def _nanoseconds(text: str) -> int:
    """Return the length of a duration such as "1h15m30.918s"."""
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise _bad_duration("invalid duration", text)
    total = 0
    while rest:
        count, rest = _term(rest, text)
        total += count
        if total > 2**63 - (not negative):
            raise _bad_duration("invalid duration", text)
    return -total if negative else total


def _term(rest: str, text: str) -> tuple[int, str]:
    """Return the nanoseconds of the first number with its unit, and what follows."""
    match = _TERM.match(rest)
    assert match is not None, "every part of the pattern may be empty"
    whole, fraction, name = match.groups()
    # More digits than these are too many for any unit.
    if not (whole or fraction) or len(whole) > 19:
        raise _bad_duration("invalid duration", text)
    if not name:
        raise _bad_duration("missing unit in duration", text)
    unit = _UNITS.get(name)
    if unit is None:
        raise _bad_duration(f'unknown unit "{name[:20]}" in duration', text)
    part = (fraction or "")[:18]
    count = int(whole or 0) * unit + int(part or 0) * unit // 10 ** len(part)
    return count, rest[match.end() :]


def _bad_duration(reason: str, text: str) -> EvalError:
    return EvalError(
        f'parse_duration: for parameter 1: time: {reason} "{text[:80]}"',
    )


# Times


def _time(
    m: "Meter",
    /,
    *,
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
    return moment(
        (
            want_int(m, "time", "year", year),
            want_int(m, "time", "month", month),
            want_int(m, "time", "day", day),
        ),
        (
            want_int(m, "time", "hour", hour),
            want_int(m, "time", "minute", minute),
            want_int(m, "time", "second", second),
        ),
        want_int(m, "time", "nanosecond", nanosecond),
        zone_named(want_str("time", "location", location)),
    )


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
    m.work(len(text) + len(layout) >> 2)
    zone = zone_named(want_str("parse_time", "location", location))
    date, clock, nanosecond, seen_from = time_layout.parse(text, layout, zone)
    return moment(date, clock, nanosecond, seen_from)


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
    "time": _TIME,
}
# `load("time", "time")` may mean the function or the module.  It gets both.
_TIME.members = _MEMBERS
TIME = Module("time", _MEMBERS)
