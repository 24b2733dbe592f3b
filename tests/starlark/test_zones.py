import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tzdata
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import zone_data, zones
from starflow_service.starlark.errors import EvalError

ROOT = Path(__file__).parents[2]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = (resources.files("tzdata") / "zones").read_text().split()
# Python knows no years beyond these.
SECONDS = st.integers(-62_135_000_000, 253_402_000_000)


@cache
def pythons(name: str) -> ZoneInfo:
    path = resources.files("tzdata") / "zoneinfo" / name
    with path.open("rb") as file:
        return ZoneInfo.from_file(file, name)


def shown_by_python(name: str, unix: int) -> tuple[int, str | None]:
    there = (EPOCH + timedelta(seconds=unix)).astimezone(pythons(name))
    offset = there.utcoffset()
    assert offset is not None
    return int(offset.total_seconds()), there.tzname()


def test_the_table_is_that_of_the_package() -> None:
    assert zone_data.IANA_VERSION == tzdata.IANA_VERSION
    printed = subprocess.run(
        [sys.executable, "-c", "import gen_zones; print(gen_zones.render(), end='')"],
        cwd=ROOT / "scripts",
        capture_output=True,
        check=True,
        text=True,
    )
    generated = ROOT / "service/starflow_service/starlark/zone_data.py"
    assert printed.stdout == generated.read_text()


def test_the_names_are_those_of_the_package() -> None:
    assert [name for name in NAMES if not zones.is_zone(name)] == []
    for name in ("Local", "europe/berlin", "../UTC", "UTC ", "posixrules", "Europe"):
        assert not zones.is_zone(name)
        with pytest.raises(EvalError, match="unknown time zone"):
            zones.zone_named(name)


@given(st.sampled_from(NAMES), SECONDS | st.integers(-(2**32), 2**33))
def test_clocks_show_what_pythons_show(name: str, unix: int) -> None:
    assert tuple(zones.zone_named(name).at(unix)) == shown_by_python(name, unix)


@pytest.mark.parametrize("name", NAMES[::7])
def test_clocks_change_when_pythons_change(name: str) -> None:
    zone = zones.zone_named(name)
    # Years far beyond the table follow its rules.
    years = [365 * 86_400 * n + 86_400 * n // 4 for n in (-20, 0, 12, 40, 55, 56, 330)]
    for begin in years:
        for unix in range(begin, begin + 366 * 86_400, 7 * 86_400):
            earlier, later = unix, unix + 7 * 86_400
            if zone.at(earlier) == zone.at(later):
                continue
            while later - earlier > 1:
                middle = (earlier + later) // 2
                if zone.at(middle) == zone.at(earlier):
                    earlier = middle
                else:
                    later = middle
            assert tuple(zone.at(earlier)) == shown_by_python(name, earlier)
            assert tuple(zone.at(later)) == shown_by_python(name, later)


@given(st.sampled_from(NAMES), SECONDS)
def test_what_clocks_show_is_when_they_show_it(name: str, unix: int) -> None:
    zone = zones.zone_named(name)
    local = unix + zone.at(unix).seconds
    found = zone.unix_of(local)
    # What is shown twice may be either time.
    assert found + zone.at(found).seconds == local


def test_an_offset_without_a_name_is_shown_as_a_number() -> None:
    for seconds, shown in {19_800: "+0530", -30: "+0000", -60: "-0001"}.items():
        assert zones.Offset(seconds, "").abbreviation() == shown
