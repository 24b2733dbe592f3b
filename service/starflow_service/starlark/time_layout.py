"""Times as text, by the layouts of Go: the reference time written as one wants it.

The reference time is Mon Jan 2 15:04:05 MST 2006.  Whatever of a layout is none of its
parts stands for itself.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from starflow_service.starlark.civil import UTC, Civil, Zone
from starflow_service.starlark.errors import EvalError

RFC3339 = "2006-01-02T15:04:05Z07:00"
SHOWN = "2006-01-02 15:04:05.999999999 -0700 MST"
_SHOWN_MAX = 80

_PART = re.compile(
    "January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST"
    "|2006|__2|_2(?!006)|002|0[1-6]|15|[1-5]|PM|pm"
    "|[-Z]07:00:00|[-Z]070000|[-Z]07:00|[-Z]0700|[-Z]07"
    "|[.,](?:0+|9+)(?![0-9])"
)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


def split_layout(layout: str) -> Iterator[tuple[str, str]]:
    """Give a layout as literal text, each with the part after it; the last is ""."""
    start = 0
    for match in _PART.finditer(layout):
        yield layout[start : match.start()], match[0]
        start = match.end()
    yield layout[start:], ""


# Writing


def write(civil: Civil, nanosecond: int, zone: Zone, layout: str) -> str:
    """Return a time as *layout* wants it."""
    parts: list[str] = []
    for literal, part in split_layout(layout):
        parts.append(literal)
        if not part:
            continue
        if part[0] in "-Z":
            parts.append(_offset(part, zone.offset))
        elif part[0] in ".,":
            parts.append(_fraction(part, nanosecond))
        elif part == "MST":
            parts.append(zone.abbreviation())
        else:
            parts.append(_WRITTEN[part](civil))
    return "".join(parts)


def _year(year: int) -> str:
    return f"{'-' if year < 0 else ''}{abs(year):04d}"


_WRITTEN: dict[str, Callable[[Civil], str]] = {
    "January": lambda c: _MONTHS[c.month - 1],
    "Jan": lambda c: _MONTHS[c.month - 1][:3],
    "1": lambda c: str(c.month),
    "01": lambda c: f"{c.month:02d}",
    "Monday": lambda c: _DAYS[c.weekday],
    "Mon": lambda c: _DAYS[c.weekday][:3],
    "2": lambda c: str(c.day),
    "_2": lambda c: f"{c.day:2d}",
    "02": lambda c: f"{c.day:02d}",
    "__2": lambda c: f"{c.yearday:3d}",
    "002": lambda c: f"{c.yearday:03d}",
    "15": lambda c: f"{c.hour:02d}",
    "3": lambda c: str((c.hour + 11) % 12 + 1),
    "03": lambda c: f"{(c.hour + 11) % 12 + 1:02d}",
    "4": lambda c: str(c.minute),
    "04": lambda c: f"{c.minute:02d}",
    "5": lambda c: str(c.second),
    "05": lambda c: f"{c.second:02d}",
    "2006": lambda c: _year(c.year),
    "06": lambda c: f"{abs(c.year) % 100:02d}",
    "PM": lambda c: "PM" if c.hour >= 12 else "AM",
    "pm": lambda c: "pm" if c.hour >= 12 else "am",
}


def _offset(part: str, offset: int) -> str:
    if part[0] == "Z" and not offset:
        return "Z"
    seconds = abs(offset)
    shown = [f"{seconds // 3600:02d}"]
    if len(part) > 3:
        shown.append(f"{seconds // 60 % 60:02d}")
    if len(part) > 6:
        shown.append(f"{seconds % 60:02d}")
    sign = "-" if offset < 0 else "+"
    return sign + (":" if ":" in part else "").join(shown)


def _fraction(part: str, nanosecond: int) -> str:
    digits = f"{nanosecond:09d}"[: len(part) - 1].ljust(len(part) - 1, "0")
    if part[1] == "9":
        digits = digits.rstrip("0")
        return part[0] + digits if digits else ""
    return part[0] + digits


# Reading


@dataclass(slots=True)
class _Read:
    """What has been read of a text; None is what was not there."""

    year: int = 0
    month: int = -1
    day: int = -1
    yearday: int = -1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    afternoon: bool | None = None
    offset: int | None = None
    zone: str = ""
    out_of_range: str = ""


# Date, clock time, nanosecond and zone; a day may lie in a later month.
Parsed: TypeAlias = tuple[tuple[int, int, int], tuple[int, int, int], int, Zone]


class _NoMatchError(Exception):
    """The text does not go on as the layout does."""


def parse(text: str, layout: str, zone: Zone) -> Parsed:
    """
    Return the time that *text* is by *layout*; one without an offset is in *zone*.

    Raises:
        EvalError: it is none.
    """
    read = _Read()
    rest = text
    following = [*split_layout(layout)]
    for place, (literal, part) in enumerate(following):
        try:
            rest = _skip(rest, literal)
        except _NoMatchError:
            raise _mismatch(text, layout, rest, literal) from None
        if not part:
            break
        fraction_follows = part in ("5", "05") and _fraction_next(following, place)
        try:
            rest = _read_part(read, part, rest, plain=fraction_follows)
        except _NoMatchError:
            raise _mismatch(text, layout, rest, part) from None
        if read.out_of_range:
            raise _refused(text, f"{read.out_of_range} out of range")
    if rest:
        raise _refused(text, f'extra text: "{rest[:_SHOWN_MAX]}"')
    return _assemble(read, text, zone)


def _fraction_next(parts: list[tuple[str, str]], place: int) -> bool:
    literal, part = parts[place + 1]
    return not literal and part[:1] in (".", ",")


def _mismatch(text: str, layout: str, rest: str, wanted: str) -> EvalError:
    shown = [x[:_SHOWN_MAX] for x in (text, layout, rest, wanted)]
    return EvalError(
        'parsing time "{}" as "{}": cannot parse "{}" as "{}"'.format(*shown)
    )


def _refused(text: str, reason: str) -> EvalError:
    return EvalError(f'parsing time "{text[:_SHOWN_MAX]}": {reason}')


def _skip(text: str, literal: str) -> str:
    """Return *text* after *literal*, in which a space stands for any number of them."""
    while literal:
        if literal[0] == " ":
            if text and text[0] != " ":
                raise _NoMatchError
            literal = literal.lstrip(" ")
            text = text.lstrip(" ")
            continue
        if text[:1] != literal[0]:
            raise _NoMatchError
        literal, text = literal[1:], text[1:]
    return text


def _read_part(read: _Read, part: str, text: str, *, plain: bool) -> str:
    """Read one part off *text*, and return what is left."""
    if part[0] in "-Z":
        return _read_offset(read, part, text)
    if part[0] in ".,":
        return _read_fraction(read, part, text)
    number = _NUMBERS.get(part)
    if number is None:
        return _read_word(read, part, text)
    name, pattern, least, most = number
    match = pattern.match(text)
    if match is None:
        raise _NoMatchError
    value = int(match[1])
    if part == "06":
        value += 1900 if value >= 69 else 2000
    elif not least <= value <= most:
        read.out_of_range = name
    setattr(read, name, value)
    rest = text[match.end() :]
    # A fraction of a second is read although the layout has none.
    if name == "second" and not plain and re.match("[.,][0-9]", rest):
        rest = _read_fraction(read, ".9", rest)
    return rest


_TWO = re.compile("([0-9]{2})")
_ONE_OR_TWO = re.compile("([0-9]{1,2})")
_NUMBERS: dict[str, tuple[str, re.Pattern[str], int, int]] = {
    "2006": ("year", re.compile("([0-9]{4})"), 0, 9999),
    "06": ("year", _TWO, 0, 9999),
    "1": ("month", _ONE_OR_TWO, 1, 12),
    "01": ("month", _TWO, 1, 12),
    # Whether the month has such a day is seen when the month is known.
    "2": ("day", _ONE_OR_TWO, 0, 99),
    "_2": ("day", re.compile(" ?([0-9]{1,2})"), 0, 99),
    "02": ("day", _TWO, 0, 99),
    "__2": ("yearday", re.compile("(?: {0,2})([0-9]{1,3})"), 0, 999),
    "002": ("yearday", re.compile("([0-9]{3})"), 0, 999),
    "15": ("hour", _ONE_OR_TWO, 0, 23),
    "3": ("hour", _ONE_OR_TWO, 0, 12),
    "03": ("hour", _TWO, 0, 12),
    "4": ("minute", _ONE_OR_TWO, 0, 59),
    "04": ("minute", _TWO, 0, 59),
    "5": ("second", _ONE_OR_TWO, 0, 59),
    "05": ("second", _TWO, 0, 59),
}


def _read_word(read: _Read, part: str, text: str) -> str:
    if part in ("PM", "pm"):
        halves = ("AM", "PM") if part == "PM" else ("am", "pm")
        if text[:2] not in halves:
            raise _NoMatchError
        read.afternoon = text[:2] == halves[1]
        return text[2:]
    if part == "MST":
        return _read_zone_name(read, text)
    names = _MONTHS if part[0] == "J" else _DAYS
    short = len(part) == 3
    for place, name in enumerate(names):
        wanted = name[:3] if short else name
        if text[: len(wanted)].lower() == wanted.lower():
            if part[0] == "J":
                read.month = place + 1
            return text[len(wanted) :]
    raise _NoMatchError


_ZONE_NAME = re.compile("GMT[+-][0-9]{1,2}|[A-Z]{3,4}T?|[+-][0-9]{2}(?:[0-9]{2})?")


def _read_zone_name(read: _Read, text: str) -> str:
    match = _ZONE_NAME.match(text)
    if match is None:
        raise _NoMatchError
    read.zone = match[0]
    return text[match.end() :]


def _read_offset(read: _Read, part: str, text: str) -> str:
    if part[0] == "Z" and text[:1] == "Z":
        read.offset = 0
        return text[1:]
    colon = ":" if ":" in part else ""
    pattern = "([+-])([0-9]{2})"
    pattern += f"{colon}([0-9]{{2}})" if len(part) > 3 else "()"
    pattern += f"{colon}([0-9]{{2}})" if len(part) > 6 else "()"
    match = re.match(pattern, text)
    if match is None:
        raise _NoMatchError
    sign, hours, minutes, seconds = match.groups()
    if int(hours) > 24:
        read.out_of_range = "time zone offset hour"
    if int(minutes or 0) > 60:
        read.out_of_range = "time zone offset minute"
    if int(seconds or 0) > 60:
        read.out_of_range = "time zone offset second"
    offset = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    read.offset = -offset if sign == "-" else offset
    return text[match.end() :]


def _read_fraction(read: _Read, part: str, text: str) -> str:
    if part[1] == "9":
        match = re.match("[.,]([0-9]+)", text)
        if match is None:
            # A fraction of nines may be absent.
            return text
    else:
        match = re.match(f"\\{part[0]}([0-9]{{{len(part) - 1}}})", text)
        if match is None:
            raise _NoMatchError
    read.nanosecond = int(match[1][:9].ljust(9, "0"))
    return text[match.end() :]


def _assemble(read: _Read, text: str, zone: Zone) -> Parsed:
    hour = read.hour
    if read.afternoon is not None:
        hour = hour % 12 + (12 if read.afternoon else 0)
    month, day = _month_and_day(read, text)
    seen_from = _zone(read, zone)
    clock = (hour, read.minute, read.second)
    return (read.year, month, day), clock, read.nanosecond, seen_from


def _month_and_day(read: _Read, text: str) -> tuple[int, int]:
    leap = read.year % 4 == 0 and (read.year % 100 != 0 or read.year % 400 == 0)
    if read.yearday >= 0:
        if not 1 <= read.yearday <= 365 + leap:
            raise _refused(text, "day-of-year out of range")
        return 1, read.yearday
    month = read.month if read.month > 0 else 1
    day = read.day if read.day >= 0 else 1
    longest = 30 + (month + month // 8) % 2 if month != 2 else 28 + leap
    if not 1 <= day <= longest:
        raise _refused(text, "day out of range")
    return month, day


def _zone(read: _Read, zone: Zone) -> Zone:
    if read.offset is not None:
        if not read.offset and read.zone in ("", "UTC"):
            return UTC
        return Zone(read.offset, read.zone)
    if not read.zone:
        return zone
    return UTC if read.zone == "UTC" else Zone(0, read.zone)
