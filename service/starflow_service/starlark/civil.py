"""Dates and clock times, in integers."""

from dataclasses import dataclass

DAY_SECONDS = 86_400
_DAYS_OF_400_YEARS = 146_097
# Days from the first of March of year 0 to the first of January 1970.
_EPOCH_DAYS = 719_468


@dataclass(frozen=True, slots=True)
class Civil:
    """A time as clocks and calendars show it."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    weekday: int  # 0 is Sunday
    yearday: int  # 1 is the first of January


def civil(local: int) -> Civil:
    """Return what clocks and calendars show *local* seconds after their 1970 began."""
    days, seconds = divmod(local, DAY_SECONDS)
    year, month, day = date_of(days)
    return Civil(
        year,
        month,
        day,
        seconds // 3600,
        seconds // 60 % 60,
        seconds % 60,
        (days + 4) % 7,
        days - days_before(year, 1, 1) + 1,
    )


def date_of(days: int) -> tuple[int, int, int]:
    """Return year, month and day of the day so many days after 1970-01-01."""
    # Years are taken to begin in March, so that the leap day is the last one.
    era, day = divmod(days + _EPOCH_DAYS, _DAYS_OF_400_YEARS)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    month += 3 if month < 10 else -9
    return era * 400 + year + (month <= 2), month, day


def days_before(year: int, month: int, day: int) -> int:
    """Return how many days after 1970-01-01 a date is; months and days may overflow."""
    years, month = divmod(month - 1, 12)
    year += years
    month += 1
    if month <= 2:
        year -= 1
        month += 12
    era, year = divmod(year, 400)
    in_year = (153 * (month - 3) + 2) // 5 + day - 1
    in_era = 365 * year + year // 4 - year // 100 + in_year
    return era * _DAYS_OF_400_YEARS + in_era - _EPOCH_DAYS
