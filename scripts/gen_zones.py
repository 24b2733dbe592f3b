"""Generate the service's table of time zones from the package `tzdata`.

Run it after a new release of `tzdata` was installed (the pin is in pyproject.toml).
The lines of the table are zones, so a diff shows which ones changed.
"""

import struct
from collections import defaultdict
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import tzdata

OUT = Path(__file__).parents[1] / "service/starflow_service/starlark/zone_data.py"
HEAD = '''\
"""The world's time zones by IANA's database; made by `scripts/gen_zones.py`.

Each line is a zone: its names; its offsets, as seconds east of UTC with an
abbreviation, the first of them from the beginning of time; its changes, each the
seconds since the one before (the first since 1970) in base 36 and a letter for the
offset that begins; what happens after the last change, as a POSIX rule.
"""

# ruff: noqa: E501
IANA_VERSION = "{version}"

ZONES = """\\
{lines}
"""
'''
_HEADER = struct.Struct(">4s16x6l")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class TimeZone(NamedTuple):
    """What a file of `tzdata` says."""

    offsets: list[tuple[int, str]]
    changes: list[tuple[int, int]]  # time, place in `offsets`
    rule: str


def read(data: bytes) -> TimeZone:
    """Read a file in the format TZif, version 2 or later."""
    _, _, leaps, times, types, characters = _HEADER.unpack_from(data)[1:]
    # The first part is for readers of version 1.
    skipped = _HEADER.size + times * 5 + types * 6 + characters + leaps * 8
    skipped += sum(_HEADER.unpack_from(data)[1:3])
    header = _HEADER.unpack_from(data, skipped)
    magic, utc_flags, std_flags, leaps, times, types, characters = header
    assert magic == b"TZif", magic
    assert not leaps, "UTC as scripts know it has no leap seconds"
    at = skipped + _HEADER.size
    moments = struct.unpack_from(f">{times}q", data, at)
    places = data[at + 8 * times : at + 9 * times]
    at += 9 * times
    kinds = [struct.unpack_from(">lBB", data, at + 6 * n) for n in range(types)]
    at += 6 * types
    names = data[at : at + characters]
    rule = data[at + characters + utc_flags + std_flags :].strip(b"\n")
    offsets = [(s, names[n : names.index(0, n)].decode()) for s, _, n in kinds]
    return TimeZone(offsets, list(zip(moments, places, strict=True)), rule.decode())


def base36(number: int) -> str:
    """Write a number as `int(text, 36)` reads it."""
    digits = ""
    rest = abs(number)
    while rest or not digits:
        rest, digit = divmod(rest, 36)
        digits = _DIGITS[digit] + digits
    return f"-{digits}" if number < 0 else digits


def line(names: list[str], zone: TimeZone) -> str:
    """Return the line of the table for one zone."""
    offsets = [f"{seconds}:{name}" for seconds, name in zone.offsets]
    moments = [0, *(moment for moment, _ in zone.changes)]
    changes = [
        base36(later - earlier) + chr(ord("A") + place)
        for (earlier, later), (_, place) in zip(
            pairwise(moments), zone.changes, strict=True
        )
    ]
    parts = (" ".join(names), " ".join(offsets), "".join(changes), zone.rule)
    return "|".join(parts)


def file_of(name: str) -> Traversable:
    """Return the file of the zone *name*."""
    return resources.files("tzdata") / "zoneinfo" / name


def render() -> str:
    """Return the text of the generated module."""
    listed = (resources.files("tzdata") / "zones").read_text()
    names_of: dict[bytes, list[str]] = defaultdict(list)
    for name in sorted(listed.split()):
        names_of[file_of(name).read_bytes()].append(name)
    lines = sorted(line(names, read(data)) for data, names in names_of.items())
    return HEAD.format(version=tzdata.IANA_VERSION, lines="\n".join(lines))


if __name__ == "__main__":
    OUT.write_text(render())
