"""Times as text, by the layouts of Go: the reference time written as one wants it.

The reference time is Mon Jan 2 15:04:05 MST 2006.  Whatever of a layout is none of its
parts stands for itself.
"""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from starflow_service.starlark.caps import HEADER, refuse_text
from starflow_service.starlark.civil import Civil
from starflow_service.starlark.zones import Offset

if TYPE_CHECKING:
    from starflow_service.starlark.meter import Meter

RFC3339 = "2006-01-02T15:04:05Z07:00"
SHOWN = "2006-01-02 15:04:05.999999999 -0700 MST"

# Each begins with a plain character: so a search passes over all others at once.
_PART = re.compile(
    "January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST"
    "|2006|__2|_2(?!006)|002|0[1-6]|15|[1-5]|PM|pm"
    "|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07"
    r"|\.(?:0+|9+)(?![0-9])|,(?:0+|9+)(?![0-9])"
)
MONTHS = [
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
DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


def split_layout(m: "Meter", layout: str) -> Iterator[tuple[str, str]]:
    """Give a layout as literal text, each with the part after it; the last is ""."""
    start = 0
    for match in _PART.finditer(layout):
        m.work(2)
        yield layout[start : match.start()], match[0]
        start = match.end()
    yield layout[start:], ""


def is_fraction(part: str) -> bool:
    """Return whether a part of a layout stands for a fraction of a second."""
    return part[:1] in (".", ",")


def is_offset(part: str) -> bool:
    """Return whether a part of a layout stands for an offset from UTC."""
    return part[:1] in ("-", "Z")


def write(
    m: "Meter", civil: Civil, nanosecond: int, offset: Offset, layout: str
) -> str:
    """Return a time as *layout* wants it."""
    parts: list[str] = []
    length = 0
    for literal, part in split_layout(m, layout):
        written = _written(part, civil, nanosecond, offset) if part else ""
        parts += (literal, written)
        length += len(literal) + len(written)
        # Each literal and each part is an object of its own.
        m.charge(2 * HEADER + len(literal) + len(written))
        if length > m.limits.max_string:
            refuse_text(m)
    m.charge(4 * length)
    return "".join(parts)


def _written(part: str, civil: Civil, nanosecond: int, offset: Offset) -> str:
    if is_offset(part):
        return _offset(part, offset.seconds)
    if is_fraction(part):
        return _fraction(part, nanosecond)
    if part == "MST":
        return offset.abbreviation()
    return _WRITTEN[part](civil)


def _year(year: int) -> str:
    return f"{'-' if year < 0 else ''}{abs(year):04d}"


_WRITTEN: dict[str, Callable[[Civil], str]] = {
    "January": lambda c: MONTHS[c.month - 1],
    "Jan": lambda c: MONTHS[c.month - 1][:3],
    "1": lambda c: str(c.month),
    "01": lambda c: f"{c.month:02d}",
    "Monday": lambda c: DAYS[c.weekday],
    "Mon": lambda c: DAYS[c.weekday][:3],
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
    # Less than a minute is no sign in Go.
    sign = "-" if offset <= -60 else "+"
    return sign + (":" if ":" in part else "").join(shown)


def _fraction(part: str, nanosecond: int) -> str:
    digits = f"{nanosecond:09d}"[: len(part) - 1]
    if part[1] == "9":
        digits = digits.rstrip("0")
        return part[0] + digits if digits else ""
    return part[0] + digits
