"""Time zones, from a table that is part of this package.

What a zone's clocks show decides what scripts do, and a replay must see the same.  So
the table is neither the machine's nor another package's, which differ by place and day:
it is code, and changes only with a release.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from starflow_service.starlark.civil import DAY_SECONDS, date_of, days_before
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.zone_data import ZONES


class Offset(NamedTuple):
    """What a zone's clocks show at some time."""

    seconds: int  # east of UTC
    name: str

    def abbreviation(self) -> str:
        """Return the name, or what stands for it."""
        if self.name:
            return self.name
        minutes = abs(self.seconds) // 60
        sign = "-" if self.seconds <= -60 else "+"
        return f"{sign}{minutes // 60:02d}{minutes % 60:02d}"


class Zone:
    """The offsets of a place, from the beginning of time to its end."""

    __slots__ = ("_after", "_offsets", "_times")

    def __init__(
        self,
        first: Offset,
        times: Sequence[int] = (),
        offsets: Sequence[Offset] = (),
        after: "_Rule | None" = None,
    ) -> None:
        self._times = times
        self._offsets = (first, *offsets)
        self._after = after

    def at(self, unix: int) -> Offset:
        """Return the offset *unix* seconds after 1970 in UTC."""
        place = bisect_right(self._times, unix)
        if place == len(self._times) and self._after is not None:
            return self._after.at(unix)
        return self._offsets[place]

    def unix_of(self, local: int) -> int:
        """
        Return when clocks show *local*, seconds after 1970 as if they were UTC.

        What clocks show twice, or skip, is taken by one of the two offsets around it.
        """
        guess = self.at(local).seconds
        return local - self.at(local - guess).seconds

    def offset_named(self, name: str, local: int) -> int | None:
        """Return the seconds of the offset *name* when clocks show *local*."""
        known = [offset for offset in self._all() if offset.name == name]
        for offset in known:
            # A name may have meant several offsets, of which one is in effect.
            if self.at(local - offset.seconds).name == name:
                return offset.seconds
        return known[0].seconds if known else None

    def _all(self) -> Sequence[Offset]:
        return (*self._offsets, *(self._after.offsets if self._after else ()))


def fixed(seconds: int, name: str) -> Zone:
    """Return a zone whose clocks always show the same."""
    return Zone(Offset(seconds, name))


class _Day(NamedTuple):
    """When offsets change: a day as `M3.5.0/2`, the last Sunday of March at 2."""

    month: int
    week: int  # the fifth is the last one
    weekday: int  # 0 is Sunday
    seconds: int  # after midnight; negative on the day before

    def local(self, year: int) -> int:
        first = days_before(year, self.month, 1)
        # 1970 began on a Thursday.
        day = first + (self.weekday - first - 4) % 7 + 7 * (self.week - 1)
        if day >= days_before(year, self.month + 1, 1):
            day -= 7
        return day * DAY_SECONDS + self.seconds


class _Rule(NamedTuple):
    """What repeats each year after the last change in the table."""

    offsets: tuple[Offset, ...]
    begin: _Day | None  # of the second offset
    end: _Day | None

    def at(self, unix: int) -> Offset:
        if self.begin is None or self.end is None:
            return self.offsets[0]
        normal, other = self.offsets
        year, _, _ = date_of((unix + normal.seconds) // DAY_SECONDS)
        begin = self.begin.local(year) - normal.seconds
        end = self.end.local(year) - other.seconds
        if begin < end:
            return other if begin <= unix < end else normal
        return normal if end <= unix < begin else other


# The parts of a POSIX rule: `EST5EDT,M3.2.0,M11.1.0/1`, `<+0530>-5:30`.
_NAME = "(?:<([^>]+)>|([A-Za-z]+))"
_TIME = "([+-]?[0-9]+(?::[0-9]+)*)"
_DAY = rf"M([0-9]+)\.([0-9])\.([0-9])(?:/{_TIME})?"
_RULE = re.compile(f"{_NAME}{_TIME}(?:{_NAME}{_TIME}?,{_DAY},{_DAY})?")
_CHANGE = re.compile("(-?[0-9a-z]+)([A-Z])")


def _seconds(text: str) -> int:
    """Return a time as `-5:30` in seconds."""
    total = 0
    for unit, part in zip((3600, 60, 1), text.lstrip("+-").split(":"), strict=False):
        total += unit * int(part)
    return -total if text.startswith("-") else total


def _rule(text: str) -> _Rule:
    match = _RULE.fullmatch(text)
    assert match is not None, text
    parts = match.groups()
    # POSIX counts to the west.
    normal = Offset(-_seconds(parts[2]), parts[0] or parts[1])
    name = parts[3] or parts[4]
    if not name:
        return _Rule((normal,), None, None)
    ahead = -_seconds(parts[5]) if parts[5] else normal.seconds + 3600
    other = Offset(ahead, name)
    return _Rule((normal, other), _day(parts[6:10]), _day(parts[10:14]))


def _day(parts: Sequence[str]) -> _Day:
    month, week, weekday, time = parts
    return _Day(int(month), int(week), int(weekday), _seconds(time or "2"))


# From each name to the line of its zone.
_LINES: Mapping[str, str] = {
    name: line
    for line in ZONES.splitlines()
    for name in line.partition("|")[0].split(" ")
}


@cache
def _zone(line: str) -> Zone:
    _, offsets, changes, rule = line.split("|")
    kinds = []
    for text in offsets.split(" "):
        seconds, _, name = text.partition(":")
        kinds.append(Offset(int(seconds), name))
    found = _CHANGE.findall(changes)
    times = tuple(accumulate(int(digits, 36) for digits, _ in found))
    following = tuple(kinds[ord(letter) - ord("A")] for _, letter in found)
    return Zone(kinds[0], times, following, _rule(rule))


UTC = _zone(_LINES["UTC"])


def is_zone(name: str) -> bool:
    """Return whether a zone of this name is known."""
    return not name or name in _LINES


def zone_named(name: str) -> Zone:
    """
    Return the zone of this name, as "Europe/Berlin"; that of no name is UTC.

    Raises:
        EvalError: none is known.
    """
    if not is_zone(name):
        raise EvalError(f"unknown time zone {name[:80]}")
    return _zone(_LINES[name or "UTC"])
