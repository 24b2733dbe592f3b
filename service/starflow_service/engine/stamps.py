"""Times as scripts see them."""

from starflow_service.starlark.civil import date_of

_NS = 1_000_000_000
_DAY_S = 86_400


def format_rfc3339(ns: int) -> str:
    """
    Return *ns*, nanoseconds since the epoch, as RFC 3339 in UTC.

    The fraction is as long as it need be, as Go's RFC3339Nano writes it.
    """
    seconds, nanoseconds = divmod(ns, _NS)
    days, second = divmod(seconds, _DAY_S)
    year, month, day = date_of(days)
    hour, second = divmod(second, 3600)
    minute, second = divmod(second, 60)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return (
        f"{year:04d}-{month:02d}-{day:02d}"
        f"T{hour:02d}:{minute:02d}:{second:02d}{fraction}Z"
    )
