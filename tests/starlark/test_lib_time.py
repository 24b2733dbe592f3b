from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starflow_service.starlark import civil, ops, zones
from starflow_service.starlark.errors import EvalError
from starflow_service.starlark.lib_time import TIME
from starflow_service.starlark.time_values import Duration, Time, duration_text
from tests.starlark.evaluate import end_of, evaluate, make_meter
from tests.starlark.scripted_host import ScriptedHost

NANOSECONDS = st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.datetimes(timezones=st.just(UTC))


def call(name: str, *args: object, **kwargs: object) -> object:
    return ops.call(make_meter(), TIME.members[name], args, kwargs)


def test_now_and_sleep_ask_the_host() -> None:
    host = ScriptedHost()
    body = "time.sleep(ctx, 90 * time.second)\nreturn time.now(ctx=ctx)"
    assert end_of(body, host) == "2026-11-20T13:00:00Z"
    assert host.asked == [("sleep", 90 * 10**9), ("now", None)]


def test_a_sleep_may_last_until_a_time() -> None:
    host = ScriptedHost()
    body = (
        "t = time.parse_time(time.now(ctx)) + 90 * time.minute\n"
        "time.sleep_until(ctx, t)\n"
        "time.sleep_until(t=t.in_location('Asia/Tokyo'), ctx=ctx)"
    )
    end_of(body, host)
    wake_ns = 1_795_185_000 * 10**9
    assert host.asked[1:] == [("sleep_until", wake_ns), ("sleep_until", wake_ns)]


def test_a_negative_sleep_is_none() -> None:
    host = ScriptedHost()
    end_of("time.sleep(ctx=ctx, duration=-5 * time.hour)", host)
    assert host.asked == [("sleep", 0)]


REFUSED = {
    "time.sleep(ctx, 5)": (
        "time.sleep: for parameter duration: got int, want time.duration, "
        "such as 5 * time.second"
    ),
    "time.sleep(ctx, '5s')": (
        "time.sleep: for parameter duration: got string, want time.duration, "
        "such as 5 * time.second"
    ),
    "time.sleep_until(ctx, time.now(ctx))": (
        "time.sleep_until: for parameter t: got string, want time.time, "
        "such as time.parse_time(time.now(ctx)) + time.hour"
    ),
    "time.sleep_until(time.from_timestamp(0))": (
        "time.sleep_until: missing argument for t"
    ),
    "time.sleep(time.second)": "time.sleep: missing argument for duration",
    "time.sleep(1, time.second)": (
        "time.sleep: for parameter ctx: got int, want context"
    ),
    "time.now()": "time.now: missing argument for ctx",
    "time.now({})": "time.now: for parameter ctx: got dict, want context",
    "time.sleep(ctx, (1 << 62) * 4 * time.hour)": (
        "int value out of range (want signed 64-bit value)"
    ),
    "time.sleep(ctx, (1 << 62) * time.hour)": (
        "time.duration out of range (want at most 292 years)"
    ),
}


@pytest.mark.parametrize("expression", REFUSED)
def test_a_refused_sleep_never_reaches_the_host(expression: str) -> None:
    host = ScriptedHost()
    assert end_of(expression, host) == f"error: {REFUSED[expression]}"
    assert [name for name, _ in host.asked if name.startswith("sleep")] == []


def test_a_load_of_time_is_the_function_and_the_module() -> None:
    expression = "[time(year=2020, month=1, day=2).year, type(time.hour), time.hour]"
    assert evaluate(expression) == '[2020, "time.duration", 1h0m0s]'


@given(NANOSECONDS)
def test_a_duration_reads_back(nanoseconds: int) -> None:
    text = duration_text(nanoseconds)
    parsed = call("parse_duration", text)
    assert isinstance(parsed, Duration)
    assert parsed.nanoseconds == nanoseconds


@given(NANOSECONDS, NANOSECONDS)
def test_durations_are_reckoned_exactly_or_not_at_all(x: int, y: int) -> None:
    m = make_meter()
    for operation, total in ((ops.add, x + y), (ops.sub, x - y)):
        if -(2**63) <= total < 2**63:
            assert operation(m, Duration(x), Duration(y)).nanoseconds == total
        else:
            with pytest.raises(EvalError, match=r"time\.duration out of range"):
                operation(m, Duration(x), Duration(y))
    assert ops.lt(m, Duration(x), Duration(y)) == (x < y)
    assert ops.eq(m, Duration(x), Duration(y)) == (x == y)


@given(st.text("-+.0123456789hmsnuµ ", max_size=12))
def test_what_is_no_duration_is_refused_in_words(text: str) -> None:
    end = evaluate(f"type(time.parse_duration({text!r}))")
    wanted = "error: parse_duration: for parameter 1: time: "
    assert end == '"time.duration"' or end.startswith(wanted)


@given(st.integers(-4_000_000, 4_000_000))
def test_days_and_dates_are_each_others_inverse(days: int) -> None:
    year, month, day = civil.date_of(days)
    assert civil.days_before(year, month, day) == days
    if 1 <= year <= 9999:
        assert date(year, month, day) == date(1970, 1, 1) + timedelta(days)


@given(MOMENTS)
def test_a_time_has_the_parts_of_the_calendar(moment: datetime) -> None:
    m = make_meter()
    seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))
    t = Time(seconds, moment.microsecond * 1000, zones.UTC)
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=t.unix)
    for name in ("year", "month", "day", "hour", "minute", "second"):
        assert ops.attr(m, t, name) == getattr(whole, name)
    assert t.format(m, "Monday 002") == whole.strftime("%A %j")


LAYOUTS = (
    "2006-01-02T15:04:05.999999999Z07:00",
    "Mon Jan _2 15:04:05.000000 2006",
    "02 January 2006 03:04:05.000000000 PM",
    "2006-002 3:4:5.999999999pm",
    "20060102 150405.000000",
)


@given(MOMENTS, st.sampled_from(LAYOUTS))
def test_what_is_written_by_a_layout_is_read_by_it(
    moment: datetime, layout: str
) -> None:
    m = make_meter()
    t = call(
        "time",
        year=moment.year,
        month=moment.month,
        day=moment.day,
        hour=moment.hour,
        minute=moment.minute,
        second=moment.second,
        nanosecond=moment.microsecond * 1000,
    )
    text = ops.call_method(m, t, "format", (layout,))
    assert ops.eq(m, call("parse_time", text, layout), t)


@given(st.integers(-86_400, 86_400).map(lambda n: n // 60 * 60))
def test_an_offset_is_kept(offset: int) -> None:
    m = make_meter()
    t = Time(1_600_000_000, 0, zones.fixed(offset, ""))
    text = t.format(m, "2006-01-02T15:04:05-07:00")
    assert ops.eq(m, call("parse_time", text, "2006-01-02T15:04:05-07:00"), t)


@given(st.text("0123456789-:TZ+. Jan", max_size=30), st.sampled_from(LAYOUTS))
def test_what_is_no_time_is_refused_in_words(text: str, layout: str) -> None:
    end = evaluate(f"type(time.parse_time({text!r}, {layout!r}))")
    assert end == '"time.time"' or end.startswith("error: parsing time ")


@given(
    st.integers(-(2**35), 2**37),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]),
    st.sampled_from(LAYOUTS[:2]),
)
def test_what_a_zones_clocks_show_is_read_with_its_offset(
    unix: int, name: str, layout: str
) -> None:
    m = make_meter()
    t = Time(unix, 0, zones.zone_named(name))
    layout += " -07:00:00"
    text = t.format(m, layout)
    assert ops.eq(m, call("parse_time", text, layout, name), t)


def test_reading_and_writing_times_never_hold_the_loop_for_long() -> None:
    # Each of these once took time in the square of its length.
    long = "'0s' * 200000"
    assert evaluate(f"time.parse_duration({long})") == "0s"
    seconds = "'05' * 250000, '05' * 250000"
    assert evaluate(f"time.parse_time({seconds}).unix") == "-62167219195"
    spaces = "'a ' * 250000"
    assert evaluate(f"time.parse_time({spaces}, {spaces}).unix") == "-62167219200"
    end = evaluate("len(time.from_timestamp(0).format('.000000000 ' * 90000))")
    assert end == "990000"


def test_a_written_time_has_a_length() -> None:
    december = "time.time(year=1, month=12, day=1)"
    assert evaluate(f"len({december}.format('1_' * 300000))") == "900000"
    end = evaluate(f"{december}.format('1_' * 400000)")
    assert end == "limit: string of more than 1000000 characters"


def test_equal_moments_are_equal_wherever_they_are_seen_from() -> None:
    east = "time.parse_time('2020-01-01T02:00:00+02:00')"
    west = "time.parse_time('2019-12-31T23:30:00-00:30')"
    assert evaluate(f"[{east} == {west}, {{{east}: 1}}[{west}]]") == "[True, 1]"


def test_a_time_out_of_range_is_refused() -> None:
    for expression in (
        "time.time(year=1 << 40)",
        "time.from_timestamp((1 << 63) - 1, (1 << 63) - 1)",
        "time.from_timestamp((1 << 63) - 1) + time.hour",
    ):
        assert evaluate(expression) == "error: time.time out of range"
