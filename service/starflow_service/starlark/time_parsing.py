"""Text as times, by the layouts of Go (see `time_layout`)."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from starflow_service.starlark.civil import DAY_SECONDS, date_of, days_before
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.text import quote
from starflow_service.starlark.time_layout import (
    DAYS,
    MONTHS,
    is_fraction,
    is_offset,
    split_layout,
)
from starflow_service.starlark.zones import UTC, Zone, fixed

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

# Seconds since 1970, nanoseconds, and the zone that they are seen from.
Parsed: TypeAlias = tuple[int, int, Zone]

# How much of a text an error message shows.
_SHOWN_MAX = 80


def parse(m: "Meter", text: str, layout: str, zone: Zone) -> Parsed:
    """
    Return the time that *text* is by *layout*; one without an offset is in *zone*.

    Raises:
        EvalError: it is none.
    """
    # For the characters, which native code goes over; the parts are paid for apart.
    m.work(len(text) + len(layout) >> 4)
    read = _Read()
    scan = _Scan(m, text, layout)
    before = ""
    for literal, part in split_layout(m, layout):
        if before in ("5", "05") and not is_fraction(part):
            # A fraction of a second is read although the layout has none.
            _read_fraction(read, scan, ".9")
        scan.skip(literal)
        if not part:
            break
        scan.wanted = part
        _read_part(read, scan, part)
        before = part
        if read.out_of_range:
            raise scan.refused(f"{read.out_of_range} out of range")
    if scan.place < len(text):
        raise scan.refused(f"extra text: {scan.shown(text[scan.place :])}")
    return _assemble(read, scan, zone)


@dataclass(slots=True)
class _Read:
    """What has been read of a text; -1 and None are what was not there."""

    year: int = 0
    month: int = -1
    day: int = -1
    yearday: int = -1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    afternoon: bool | None = None
    is_utc: bool = False
    offset: int | None = None
    zone: str = ""
    out_of_range: str = ""


class _Scan:
    """A text and how far it has been read."""

    __slots__ = ("layout", "m", "place", "text", "wanted")

    def __init__(self, m: "Meter", text: str, layout: str) -> None:
        self.m = m
        self.text = text
        self.layout = layout
        self.place = 0
        self.wanted = ""  # the part of the layout that is being read

    def take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Read what *pattern* matches here, or refuse the text."""
        match = pattern.match(self.text, self.place)
        if match is None:
            raise self.mismatch(self.place, self.wanted)
        self.place = match.end()
        return match

    def skip(self, literal: str) -> None:
        """Read *literal*, in which a space stands for any number of them."""
        for run in _RUN.findall(literal):
            self.m.work(1)
            if run[0] != " ":
                self._skip_exactly(run, literal)
            elif self.place < len(self.text):
                match = _SPACES.match(self.text, self.place)
                if match is None:
                    raise self.mismatch(self.place, literal)
                self.place = match.end()

    def _skip_exactly(self, run: str, literal: str) -> None:
        if not self.text.startswith(run, self.place):
            same = _common(self.text[self.place : self.place + len(run)], run)
            raise self.mismatch(self.place + same, literal)
        self.place += len(run)

    def mismatch(self, place: int, wanted: str) -> EvalError:
        """Return the error of a text that does not go on at *place* as *wanted*."""
        parts = (self.text, self.layout, self.text[place:], wanted)
        text, layout, rest, shown = map(self.shown, parts)
        return EvalError(
            f"parsing time {text} as {layout}: cannot parse {rest} as {shown}"
        )

    def refused(self, reason: str) -> EvalError:
        """Return the error of a text that is no time for *reason*."""
        return EvalError(f"parsing time {self.shown(self.text)}: {reason}")

    def shown(self, text: str) -> str:
        """Return *text* for an error message."""
        return quote(self.m, text[:_SHOWN_MAX])


_RUN = re.compile(" +|[^ ]+")
_SPACES = re.compile(" +")


def _common(x: str, y: str) -> int:
    """Return how many characters two texts of which *x* is no longer begin alike."""
    low, high = 0, len(x)
    while low < high:
        middle = (low + high + 1) // 2
        if x[:middle] == y[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


# Parts


def _read_part(read: _Read, scan: _Scan, part: str) -> None:
    if is_offset(part):
        _read_offset(read, scan, part)
    elif is_fraction(part):
        _read_fraction(read, scan, part)
    elif part in _NUMBERS:
        _read_number(read, scan, part)
    elif part in ("PM", "pm"):
        half = scan.take(_HALVES[part])[0]
        read.afternoon = half in ("PM", "pm")
    elif part == "MST":
        _read_zone_name(read, scan)
    else:
        word = scan.take(_NAMES[part])[0].lower()
        if part[0] == "J":
            read.month = 1 + [name[:3].lower() for name in MONTHS].index(word[:3])


def _one_of(names: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(names), re.IGNORECASE | re.ASCII)


_NAMES = {
    "January": _one_of(MONTHS),
    "Jan": _one_of([name[:3] for name in MONTHS]),
    "Monday": _one_of(DAYS),
    "Mon": _one_of([name[:3] for name in DAYS]),
}
_HALVES = {"PM": re.compile("AM|PM"), "pm": re.compile("am|pm")}

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
    "__2": ("yearday", re.compile(" {0,2}([0-9]{1,3})"), 0, 999),
    "002": ("yearday", re.compile("([0-9]{3})"), 0, 999),
    "15": ("hour", _ONE_OR_TWO, 0, 23),
    "3": ("hour", _ONE_OR_TWO, 0, 12),
    "03": ("hour", _TWO, 0, 12),
    "4": ("minute", _ONE_OR_TWO, 0, 59),
    "04": ("minute", _TWO, 0, 59),
    "5": ("second", _ONE_OR_TWO, 0, 59),
    "05": ("second", _TWO, 0, 59),
}


def _read_number(read: _Read, scan: _Scan, part: str) -> None:
    name, pattern, least, most = _NUMBERS[part]
    value = int(scan.take(pattern)[1])
    if part == "06":
        value += 1900 if value >= 69 else 2000
    elif not least <= value <= most:
        read.out_of_range = name
    setattr(read, name, value)


_FRACTION = re.compile("[.,]([0-9]+)")


def _read_fraction(read: _Read, scan: _Scan, part: str) -> None:
    count = len(part) - 1
    if part[1] == "9":
        match = _FRACTION.match(scan.text, scan.place)
        if match is None:
            # A fraction of nines may be absent.
            return
        end = match.end()
    else:
        end = scan.place + 1 + count
        match = _FRACTION.match(scan.text, scan.place, end)
        if match is None or match.end() != end:
            raise scan.mismatch(scan.place, scan.wanted)
    read.nanosecond = int(match[1][:9].ljust(9, "0"))
    scan.place = end


_OFFSETS = {
    "07": re.compile("([+-])([0-9]{2})"),
    "0700": re.compile("([+-])([0-9]{2})([0-9]{2})"),
    "07:00": re.compile("([+-])([0-9]{2}):([0-9]{2})"),
    "070000": re.compile("([+-])([0-9]{2})([0-9]{2})([0-9]{2})"),
    "07:00:00": re.compile("([+-])([0-9]{2}):([0-9]{2}):([0-9]{2})"),
}
# As some people write offsets of 24 hours or 60 minutes, they are let pass.
_OFFSET_BOUNDS = (("hour", 24, 3600), ("minute", 60, 60), ("second", 60, 1))


def _read_offset(read: _Read, scan: _Scan, part: str) -> None:
    if part[0] == "Z" and scan.text.startswith("Z", scan.place):
        scan.place += 1
        read.is_utc = True
        return
    sign, *numbers = scan.take(_OFFSETS[part[1:]]).groups()
    total = 0
    for number, (name, most, unit) in zip(numbers, _OFFSET_BOUNDS, strict=False):
        if int(number) > most:
            read.out_of_range = f"time zone offset {name}"
        total += int(number) * unit
    read.offset = -total if sign == "-" else total


# GMT may have an offset of its own; some zones have no name but a number.
_ZONE_NAME = re.compile(
    r"""(?=.{3}) (?: UTC | ChST | MeST
    | GMT (?: [+-] 0{0,9}(?:2[0-3]|1?[0-9])(?![0-9]) )?
    | [+-] 0{0,9}(?:2[0-3]|1?[0-9])(?![0-9])
    | (?: [A-Z]{4}T | [A-Z]{3}T | WITA | [A-Z]{3} ) (?![A-Z]) )
    """,
    re.VERBOSE | re.DOTALL,
)


def _read_zone_name(read: _Read, scan: _Scan) -> None:
    name = scan.take(_ZONE_NAME)[0]
    if name == "UTC":
        read.is_utc = True
    else:
        read.zone = name


# The whole


def _assemble(read: _Read, scan: _Scan, zone: Zone) -> Parsed:
    hour = read.hour
    if read.afternoon and hour < 12:
        hour += 12
    elif read.afternoon is False and hour == 12:
        hour = 0
    month, day = _month_and_day(read, scan)
    local = days_before(read.year, month, day) * DAY_SECONDS
    local += hour * 3600 + read.minute * 60 + read.second
    unix, seen_from = _seen(read, local, zone)
    return unix, read.nanosecond, seen_from


def _month_and_day(read: _Read, scan: _Scan) -> tuple[int, int]:
    month = read.month if read.month > 0 else 1
    day = read.day if read.day >= 0 else 1
    first = days_before(read.year, 1, 1)
    if read.yearday >= 0:
        if not 1 <= read.yearday <= days_before(read.year + 1, 1, 1) - first:
            raise scan.refused("day-of-year out of range")
        _, month, day = date_of(first + read.yearday - 1)
        if read.month not in (-1, month):
            raise scan.refused("day-of-year does not match month")
        if read.day not in (-1, day):
            raise scan.refused("day-of-year does not match day")
    longest = days_before(read.year, month + 1, 1) - days_before(read.year, month, 1)
    if not 1 <= day <= longest:
        raise scan.refused("day out of range")
    return month, day


def _seen(read: _Read, local: int, zone: Zone) -> tuple[int, Zone]:
    """Return when clocks show *local*, and the zone they are in by what was read."""
    if read.is_utc:
        return local, UTC
    if read.offset is not None:
        unix = local - read.offset
        there = zone.at(unix)
        if there.seconds == read.offset and read.zone in ("", there.name):
            return unix, zone
        return unix, fixed(read.offset, read.zone)
    if not read.zone:
        return zone.unix_of(local), zone
    offset = zone.offset_named(read.zone, local)
    if offset is not None:
        return local - offset, zone
    # Nobody knows what it means, so it is taken for UTC.  Go takes GMT+3 for UTC as
    # well, and shows it with its offset nevertheless.
    shown = int(read.zone[3:] or 0) * 3600 if read.zone.startswith("GMT") else 0
    return local, fixed(shown, read.zone)
