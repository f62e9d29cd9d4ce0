"""types._time and types._interval: both formats, to the ends of their ranges, and what has no Python value."""

from __future__ import annotations

import datetime as dt
import struct
import zoneinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples
from tests.unit.both_formats import CODECS, binary, both, encoded, round_trip, text

from howdah.errors import DataError
from howdah.types.registry import UTC, registry_for
from howdah.wire.outbuf import OutBuf

ZERO = dt.timedelta(0)


def microseconds(value: dt.time) -> int:
    return (dt.datetime.combine(dt.date.min, value.replace(tzinfo=None)) - dt.datetime.min) // dt.timedelta(
        microseconds=1
    )


def clock(value: dt.time) -> str:
    """As time_out writes it: trailing zeros of the fraction are left out."""
    words = value.replace(tzinfo=None).isoformat("microseconds" if value.microsecond else "seconds")
    return words.rstrip("0") if value.microsecond else words


def offset_words(seconds: int) -> str:
    hours, rest = divmod(abs(seconds), 3600)
    words = f"{'-' if seconds < 0 else '+'}{hours:02}"
    if rest:
        words += f":{rest // 60:02}"
    return words + (f":{rest % 60:02}" if rest % 60 else "")


times = st.times() | st.sampled_from(
    [dt.time.min, dt.time.max, dt.time(12), dt.time(0, 0, 0, 1), dt.time(23, 59, 59, 900000)]
)
offsets = st.integers(-57599, 57599) | st.sampled_from([0, 19800, -16200, 57599, -57599, 1, -1, 3600, 21208])


@examples(300)
@given(times)
def test_time(value: dt.time) -> None:
    both("time", clock(value), struct.pack("!q", microseconds(value)), value)
    assert encoded(CODECS["time"], value) == struct.pack("!q", microseconds(value))
    assert round_trip(value) == value
    codec: Any = registry_for(UTC).codec_for(value)
    assert codec.name == "time"


@examples(300)
@given(times, offsets)
def test_timetz(value: dt.time, east: int) -> None:
    aware = value.replace(tzinfo=dt.timezone(dt.timedelta(seconds=east)))
    raw = struct.pack("!qi", microseconds(value), -east)
    both("timetz", clock(value) + offset_words(east), raw, aware)
    for found in (text("timetz", clock(value) + offset_words(east)), binary("timetz", raw), round_trip(aware)):
        assert (found.replace(tzinfo=None), found.utcoffset()) == (value, dt.timedelta(seconds=east))
    codec: Any = registry_for(UTC).codec_for(aware)
    assert codec.name == "timetz" and encoded(codec, aware) == raw


def test_times_of_utc_have_the_one_utc() -> None:
    assert text("timetz", "01:02:03+00").tzinfo is binary("timetz", struct.pack("!qi", 1, 0)).tzinfo is UTC


DAY_US = 86400 * 10**6


@pytest.mark.parametrize(
    ("name", "words", "raw"),
    [
        ("time", "24:00:00", struct.pack("!q", DAY_US)),
        ("timetz", "24:00:00+01", struct.pack("!qi", DAY_US, -3600)),
        ("interval", "infinity", struct.pack("!qii", 2**63 - 1, 2**31 - 1, 2**31 - 1)),
        ("interval", "-infinity", struct.pack("!qii", -(2**63), -(2**31), -(2**31))),
        ("interval", "178000000 years", struct.pack("!qii", 0, 0, 12 * 178000000)),
        ("interval", "-178956970 years -8 mons", struct.pack("!qii", 0, 0, -(2**31))),
        ("interval", "2147483647 days", struct.pack("!qii", 0, 2**31 - 1, 0)),
        ("interval", "1000000000 days -00:00:00.000001", struct.pack("!qii", DAY_US, 10**9 - 1, 0)),
        ("interval", "-999999999 days -00:00:00.000001", struct.pack("!qii", -1, -(10**9) + 1, 0)),
    ],
)
def test_what_has_no_python_value(name: str, words: str, raw: bytes) -> None:
    if name != "interval" or "days -" not in words or not words.startswith("1000"):
        with pytest.raises(DataError, match="cast the column to text") as caught:
            text(name, words)
        assert words in str(caught.value)
    with pytest.raises(DataError, match="cast the column to text") as caught:
        binary(name, raw)
    if "infinity" in words:
        assert words in str(caught.value)


@pytest.mark.parametrize("us", [-1, DAY_US + 1, 2**63 - 1, -(2**63)])
def test_times_of_no_day(us: int) -> None:
    for name, raw in (("time", struct.pack("!q", us)), ("timetz", struct.pack("!qi", us, 0))):
        with pytest.raises(DataError):
            binary(name, raw)


@pytest.mark.parametrize("west", [57600, -57600, 2**31 - 1, -(2**31)])
def test_offsets_no_server_has(west: int) -> None:
    with pytest.raises(DataError, match="Greenwich"):
        binary("timetz", struct.pack("!qi", 0, west))


@pytest.mark.parametrize(
    "zone",
    [
        zoneinfo.ZoneInfo("Europe/Berlin"),
        dt.timezone(dt.timedelta(hours=16)),
        dt.timezone(dt.timedelta(hours=-16)),
        dt.timezone(dt.timedelta(microseconds=1)),
    ],
)
def test_times_that_cannot_be_sent(zone: dt.tzinfo) -> None:
    value = dt.time(1, 2, 3, tzinfo=zone)
    codec: Any = registry_for(UTC).codec_for(value)
    with pytest.raises(DataError, match="offset"):
        codec.encode(OutBuf(), value)


WRONG = {
    "time": ["", "x", "1:02:03", "01:02", "01:02:60", "01:60:00", "25:00:00", "24:00:00.1", "01:02:03."],
    "timetz": ["", "01:02:03", "01:02:03+", "01:02:03+1", "01:02:03+16", "01:02:03*01", "01:02:03+01:02:03:04"],
    "interval": ["", "x", "@", "@ ago", "P", "PT", "P1YT", "1", "1 day ", " 1 day", "1 day 1 year", "1 days 2", "P1H"],
}
WRONG["time"] += ["01:02:03.1234567", "01:02:03+00", "01:02:03 ", "-1:02:03"]
WRONG["interval"] += [
    "@ 1 days 2 years",
    "1-2 3",
    "+1-2 +3",
    "1:2:3",
    "01:02:03.",
    "infinityx",
    "1 year2 mons",
    "99999999999 days",
    "3 -4:05:06",
]


@pytest.mark.parametrize(("name", "words"), [(name, words) for name, all in WRONG.items() for words in all])
def test_text_that_is_none(name: str, words: str) -> None:
    with pytest.raises(DataError, match=name):
        text(name, words)


# -- intervals


def span(months: int, days: int, us: int) -> dt.timedelta:
    """Years of 365 and months of 30 days, as psycopg counts them."""
    years, rest = divmod(abs(months), 12)
    counted = 365 * years + 30 * rest
    return dt.timedelta(days=days + (counted if months > 0 else -counted), microseconds=us)


def seconds_words(us: int, padded: bool) -> str:
    whole, rest = divmod(us, 10**6)
    return f"{whole:02}" * padded + f"{whole}" * (not padded) + (f".{rest:06}".rstrip("0") if rest else "")


def split(months: int, us: int) -> tuple[int, int, int, int, int]:
    """Years, months, hours, minutes and microseconds, each with the sign of its whole (C's division)."""
    sign, turn = (-1 if months < 0 else 1), (-1 if us < 0 else 1)
    minutes, rest = divmod(abs(us), 60 * 10**6)
    return (
        sign * (abs(months) // 12),
        sign * (abs(months) % 12),
        turn * (minutes // 60),
        turn * (minutes % 60),
        turn * rest,
    )


def postgres(months: int, days: int, us: int) -> str:
    years, months, hours, minutes, rest = split(months, us)
    words: list[str] = []
    before = False
    for number, unit in ((years, "year"), (months, "mon"), (days, "day")):
        if number:
            words.append(f"{'+' if before and number > 0 else ''}{number} {unit}{'' if number == 1 else 's'}")
            before = number < 0
    if us or not words:
        sign = "-" if us < 0 else "+" if before else ""
        words.append(f"{sign}{abs(hours):02}:{abs(minutes):02}:{seconds_words(abs(rest), True)}")
    return " ".join(words)


def verbose(months: int, days: int, us: int) -> str:
    years, months, hours, minutes, rest = split(months, us)
    numbers = [(years, "year"), (months, "mon"), (days, "day"), (hours, "hour"), (minutes, "min")]
    first = next((number for number, _ in numbers if number), rest)
    turn = -1 if first < 0 else 1
    words = "@"
    for number, unit in numbers:
        if number:
            words += f" {turn * number} {unit}{'' if turn * number == 1 else 's'}"
    if rest:
        words += (
            f" {'-' if turn * rest < 0 else ''}{seconds_words(abs(rest), False)} sec{'' if abs(rest) == 10**6 else 's'}"
        )
    return (words if words != "@" else "@ 0") + (" ago" if turn < 0 else "")


def sql_standard(months: int, days: int, us: int) -> str:
    years, rest_months, hours, minutes, rest = split(months, us)
    time = f"{abs(hours)}:{abs(minutes):02}:{seconds_words(abs(rest), True)}"
    if not (months or days or us):
        return "0"
    negative, positive = min(months, days, us) < 0, max(months, days, us) > 0
    if (negative and positive) or (months and (days or us)):
        signs = ["-" if number < 0 else "+" for number in (months, days, us)]
        return f"{signs[0]}{abs(years)}-{abs(rest_months)} {signs[1]}{abs(days)} {signs[2]}{time}"
    words = f"{abs(years)}-{abs(rest_months)}" if months else f"{abs(days)} {time}" if days else time
    return ("-" if negative else "") + words


def iso_8601(months: int, days: int, us: int) -> str:
    years, rest_months, hours, minutes, rest = split(months, us)
    words = "P" + "".join(f"{n}{unit}" for n, unit in ((years, "Y"), (rest_months, "M"), (days, "D")) if n)
    if us:
        words += "T" + "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
        words += f"{'-' if rest < 0 else ''}{seconds_words(abs(rest), False)}S" if rest else ""
    return words if words != "P" else "PT0S"


parts = st.tuples(
    st.integers(-24, 24) | st.integers(-(10**6), 10**6),
    st.integers(-40, 40) | st.integers(-(10**7), 10**7),
    st.sampled_from([0, 1, -1, 10**6, -(10**6), 500000, -500000, 3600 * 10**6, 2**63 - 1, -(2**63)])
    | st.integers(-(10**11), 10**11)
    | st.integers(-(2**63), 2**63 - 1),
)


@examples(600)
@given(parts)
def test_interval_in_every_style(part: tuple[int, int, int]) -> None:
    months, days, us = part
    raw = struct.pack("!qii", us, days, months)
    for style in (postgres, verbose, sql_standard, iso_8601):
        both("interval", style(*part), raw, span(months, days, us))


@examples(300)
@given(
    st.timedeltas()
    | st.sampled_from([ZERO, dt.timedelta.min, dt.timedelta.max, dt.timedelta.resolution, -dt.timedelta.resolution])
)
def test_a_timedelta_goes_out_as_an_interval(value: dt.timedelta) -> None:
    codec: Any = registry_for(UTC).codec_for(value)
    assert codec.name == "interval"
    assert encoded(codec, value) == struct.pack("!qii", value.seconds * 10**6 + value.microseconds, value.days, 0)
    assert round_trip(value) == value


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("1 year 2 mons 3 days 04:05:06.789", span(14, 3, 14706789000)),
        ("-1 years -2 mons +3 days -04:05:06", span(-14, 3, -14706000000)),
        ("@ 1 year 2 mons -3 days 4 hours 5 mins 6.5 secs ago", span(-14, 3, -14706500000)),
        ("+1-2 -3 +4:05:06", span(14, -3, 14706000000)),
        ("-3 4:05:06", span(0, -3, -14706000000)),
        ("-1-2", span(-14, 0, 0)),
        ("P-1Y-2M3DT-4H-5M-6.5S", span(-14, 3, -14706500000)),
        ("-00:00:00.000001", dt.timedelta(microseconds=-1)),
    ],
)
def test_intervals_of_the_manual(words: str, value: dt.timedelta) -> None:
    assert text("interval", words) == value


@pytest.mark.parametrize(
    "words", ["1 year 2 mons 3 days 04:05:06.789", "@ 1 year 2 mons ago", "P1Y2M3DT4H5M6.7S", "+1-2 +3 +4:05:06.7"]
)
def test_every_truncation_is_another_interval_or_refused(words: str) -> None:
    for cut in range(len(words)):
        try:
            assert text("interval", words[:cut]) != text("interval", words)
        except DataError:
            pass
