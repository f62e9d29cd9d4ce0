"""types._datetime: date, timestamp and timestamptz in both formats, to the ends of both calendars."""

from __future__ import annotations

import datetime as dt
import struct
import zoneinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples
from tests.unit.both_formats import BINARY, CODECS, TEXT, binary, both, encoded, round_trip, text

import howdah
from howdah.errors import DataError
from howdah.types._datetime import style_of
from howdah.types.registry import UTC, Registry, registry_for

EPOCH = dt.datetime(2000, 1, 1)


def microseconds(value: dt.datetime) -> bytes:
    return struct.pack("!q", (value - EPOCH) // dt.timedelta(microseconds=1))


def test_every_date_or_a_sample() -> None:
    step = 1 if howdah.compiled else 97
    for ordinal in [*range(1, dt.date.max.toordinal(), step), dt.date.max.toordinal()]:
        day = dt.date.fromordinal(ordinal)
        raw = struct.pack("!i", ordinal - dt.date(2000, 1, 1).toordinal())
        assert binary("date", raw) == day
    for day in (dt.date.min, dt.date(4, 2, 29), dt.date(1900, 2, 28), dt.date(2000, 2, 29), dt.date.max):
        both("date", day.isoformat(), struct.pack("!i", (day - dt.date(2000, 1, 1)).days), day)
        assert round_trip(day) == day


@examples(300)
@given(st.dates())
def test_date(day: dt.date) -> None:
    both("date", day.isoformat(), struct.pack("!i", (day - dt.date(2000, 1, 1)).days), day)
    assert round_trip(day) == day


def iso(value: dt.datetime) -> str:
    """As timestamp_out writes it: trailing zeros of the fraction are left out."""
    words = value.replace(tzinfo=None).isoformat(" ", "microseconds" if value.microsecond else "seconds")
    return words.rstrip("0") if value.microsecond else words


stamps = st.datetimes() | st.sampled_from(
    [dt.datetime.min, dt.datetime.max, EPOCH, dt.datetime(1999, 12, 31, 23, 59, 59, 999999)]
)


@examples(500)
@given(stamps)
def test_timestamp(value: dt.datetime) -> None:
    both("timestamp", iso(value), microseconds(value), value)
    assert encoded(CODECS["timestamp"], value) == microseconds(value)
    assert round_trip(value) == value


@examples(500)
@given(stamps)
def test_timestamptz_in_utc(value: dt.datetime) -> None:
    both("timestamptz", iso(value) + "+00", microseconds(value), value.replace(tzinfo=UTC))
    assert encoded(CODECS["timestamptz"], value.replace(tzinfo=UTC)) == microseconds(value)


ZONES = [
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Europe/Amsterdam",
    "Africa/Monrovia",
    "Pacific/Kiritimati",
]


def offset_words(value: dt.datetime) -> str:
    """As PostgreSQL writes an offset: hours, minutes where there are some, then seconds."""
    offset = value.utcoffset()
    assert offset is not None
    seconds = offset // dt.timedelta(seconds=1)
    hours, rest = divmod(abs(seconds), 3600)
    words = f"{'-' if seconds < 0 else '+'}{hours:02}"
    if rest:
        words += f":{rest // 60:02}"
    return words + (f":{rest % 60:02}" if rest % 60 else "")


@pytest.mark.parametrize("zone", ZONES)
@examples(200)
@given(
    value=st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1))
    | st.datetimes(dt.datetime(1965, 1, 1), dt.datetime(2030, 1, 1))
)
def test_timestamptz_in_the_sessions_zone(zone: str, value: dt.datetime) -> None:
    tz = zoneinfo.ZoneInfo(zone)
    codec = Registry(tz).by_name["timestamptz"]
    expected = value.replace(tzinfo=UTC).astimezone(tz)
    for found in (
        codec.decode_bytes((iso(expected) + offset_words(expected)).encode(), TEXT),
        codec.decode_bytes(microseconds(value), BINARY),
    ):
        assert found == expected and found.tzinfo is tz
        assert (found.replace(tzinfo=None), found.fold) == (expected.replace(tzinfo=None), expected.fold)


@examples(300)
@given(stamps, st.integers(-86399, 86399))
def test_an_aware_datetime_goes_out_as_its_instant(value: dt.datetime, offset: int) -> None:
    aware = value.replace(tzinfo=dt.timezone(dt.timedelta(seconds=offset)))
    codec: Any = registry_for(UTC).codec_for(aware)
    assert codec.name == "timestamptz"
    expected = (value - EPOCH) // dt.timedelta(microseconds=1) - offset * 1_000_000
    assert encoded(codec, aware) == struct.pack("!q", expected)


OUTSIDE = {
    "date": ["infinity", "-infinity", "0001-12-31 BC", "4713-01-01 BC", "10000-01-01", "5874897-12-31"],
    "timestamp": [
        "infinity",
        "-infinity",
        "0001-12-31 23:59:59 BC",
        "10000-01-01 00:00:00",
        "294276-12-31 23:59:59.999999",
    ],
    "timestamptz": [
        "infinity",
        "-infinity",
        "0001-12-31 23:59:59+00 BC",
        "0044-03-15 12:00:00-04:56:02 BC",
        "10000-01-01 00:00:00+00",
    ],
}
OUTSIDE_BINARY = {
    "date": [struct.pack("!i", days) for days in (-(2**31), 2**31 - 1, -730120, 2921940, -(2**31) + 1, 2**31 - 2)],
    "timestamp": [
        struct.pack("!q", us)
        for us in (-(2**63), 2**63 - 1, -63082281600000001, 252455616000000000, -(2**63) + 1, 2**63 - 2)
    ],
}
OUTSIDE_BINARY["timestamptz"] = OUTSIDE_BINARY["timestamp"]


@pytest.mark.parametrize(("name", "words"), [(name, words) for name, all in OUTSIDE.items() for words in all])
def test_what_python_has_no_date_for(name: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        text(name, words)
    assert words in str(caught.value) and "cast the column to text" in str(caught.value)


@pytest.mark.parametrize(("name", "raw"), [(name, raw) for name, all in OUTSIDE_BINARY.items() for raw in all])
def test_what_python_has_no_date_for_in_binary(name: str, raw: bytes) -> None:
    with pytest.raises(DataError) as caught:
        binary(name, raw)
    assert "cast the column to text" in str(caught.value)
    if raw in (struct.pack("!i", 2**31 - 1), struct.pack("!q", 2**63 - 1)):
        assert "'infinity'" in str(caught.value)
    if raw in (struct.pack("!i", -(2**31)), struct.pack("!q", -(2**63))):
        assert "'-infinity'" in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "value", "words"),
    [
        ("America/New_York", dt.datetime.max, "9999-12-31 18:59:59.999999-05"),
        ("America/New_York", dt.datetime.min, "0001-12-31 19:03:58-04:56:02 BC"),
        ("Asia/Kolkata", dt.datetime.min, "0001-01-01 05:53:28+05:53:28"),
        ("Asia/Kolkata", dt.datetime.max, "10000-01-01 05:29:59.999999+05:30"),
    ],
)
def test_the_ends_of_the_calendar_in_the_sessions_zone(zone: str, value: dt.datetime, words: str) -> None:
    codec = Registry(zoneinfo.ZoneInfo(zone)).by_name["timestamptz"]
    for data, form in ((words.encode(), TEXT), (microseconds(value), BINARY)):
        if words.endswith("BC") or words.startswith("10000"):
            with pytest.raises(DataError, match="cast the column to text"):
                codec.decode_bytes(data, form)
        else:
            assert codec.decode_bytes(data, form) == value.replace(tzinfo=UTC)


# -- the other DateStyles (manual, section 8.5.2): as EncodeDateOnly and EncodeDateTime write them

STYLES = [
    "SQL, DMY",
    "SQL, MDY",
    "SQL, YMD",
    "German, DMY",
    "German, MDY",
    "Postgres, DMY",
    "Postgres, MDY",
    "Postgres, YMD",
]
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def styled_date(day: dt.date, style: str) -> str:
    kind, order = style.split(", ")
    mark = {"SQL": "/", "German": ".", "Postgres": "-"}[kind]
    numbers = [day.day, day.month] if order == "DMY" or kind == "German" else [day.month, day.day]
    return mark.join(f"{number:02}" for number in numbers) + f"{mark}{day.year:04}"


def styled_stamp(value: dt.datetime, style: str, zone: str = "") -> str:
    clock = iso(value)[11:]
    if not style.startswith("Postgres"):
        return f"{styled_date(value, style)} {clock}{zone}"
    day, month = f"{value.day:02}", MONTHS[value.month - 1]
    words = f"{day} {month}" if style.endswith("DMY") else f"{month} {day}"
    return f"{DAYS[value.weekday()]} {words} {clock} {value.year:04}{zone}"


def in_style(style: str, tz: dt.tzinfo | None = UTC) -> Any:
    return registry_for(tz, style_of(style)).by_name


@pytest.mark.parametrize("style", STYLES)
@examples(100)
@given(stamps)
def test_other_datestyles(style: str, value: dt.datetime) -> None:
    codecs = in_style(style)
    assert codecs["date"].decode_bytes(styled_date(value, style).encode(), TEXT) == value.date()
    assert codecs["timestamp"].decode_bytes(styled_stamp(value, style).encode(), TEXT) == value
    found = codecs["timestamptz"].decode_bytes(styled_stamp(value, style, " UTC").encode(), TEXT)
    assert found == value.replace(tzinfo=UTC) and found.tzinfo is UTC
    # and ISO, which a function or a multi-statement text may have switched to
    assert codecs["date"].decode_bytes(value.date().isoformat().encode(), TEXT) == value.date()
    assert codecs["timestamp"].decode_bytes(iso(value).encode(), TEXT) == value


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Europe/London"])
@examples(60)
@given(value=st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2100, 1, 1)))
def test_zones_by_their_abbreviation(style: str, zone: str, value: dt.datetime) -> None:
    tz = zoneinfo.ZoneInfo(zone)
    codec = in_style(style, tz)["timestamptz"]
    local = value.replace(tzinfo=UTC).astimezone(tz)
    found = codec.decode_bytes(styled_stamp(local.replace(tzinfo=None), style, f" {local.tzname()}").encode(), TEXT)
    assert found.astimezone(UTC) == value.replace(tzinfo=UTC)
    assert (found.replace(tzinfo=None), found.fold, found.tzinfo) == (local.replace(tzinfo=None), local.fold, tz)


NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


def test_the_hour_that_comes_twice_is_told_by_its_name() -> None:
    codec = in_style("SQL, MDY", NEW_YORK)["timestamptz"]
    for name, hour in (("EDT", 5), ("EST", 6)):
        found = codec.decode_bytes(f"11/03/2024 01:30:00 {name}".encode(), TEXT)
        assert found.astimezone(UTC) == dt.datetime(2024, 11, 3, hour, 30, tzinfo=UTC)
        assert found.fold == (name == "EST")


@pytest.mark.parametrize(
    ("style", "tz", "words"),
    [
        ("SQL, MDY", NEW_YORK, "07/01/2024 12:00:00 EST"),  # summer time then
        ("SQL, MDY", NEW_YORK, "03/10/2024 02:30:00 EST"),  # the hour left out
        ("SQL, MDY", NEW_YORK, "03/10/2024 02:30:00 EDT"),
        ("SQL, MDY", NEW_YORK, "07/01/2024 12:00:00 CET"),
        ("SQL, MDY", NEW_YORK, "07/01/2024 12:00:00"),
        ("SQL, MDY", NEW_YORK, "11/17/1883 12:00:00 LMT"),  # the server's zones may know another history
        ("SQL, MDY", UTC, "07/01/2024 12:00:00 EDT"),
        ("SQL, MDY", None, "07/01/2024 12:00:00 UTC"),  # a zone that Python does not know
        ("ISO, MDY", NEW_YORK, "07/01/2024 12:00:00 EDT"),
        ("ISO, MDY", NEW_YORK, "Mon Jul 01 12:00:00 2024 EDT"),
    ],
)
def test_no_offset_is_guessed(style: str, tz: Any, words: str) -> None:
    with pytest.raises(DataError, match="no certain value"):
        in_style(style, tz)["timestamptz"].decode_bytes(words.encode(), TEXT)


@pytest.mark.parametrize(
    ("style", "name", "words"),
    [
        ("ISO, DMY", "date", "12/11/1999"),
        ("ISO, DMY", "date", "12-11-1999"),
        ("German, DMY", "date", "12/11/1999"),
        ("SQL, DMY", "date", "12-11-1999"),
        ("Postgres, DMY", "date", "12/11/1999"),
        ("Postgres, DMY", "timestamp", "12/11/1999 01:02:03"),
        ("Postgres, DMY", "timestamp", "12-11-1999 01:02:03"),
        ("ISO, MDY", "timestamp", "12/11/1999 01:02:03"),
        ("SQL, DMY", "date", "31/13/1999"),
        ("SQL, MDY", "date", "31/12/1999"),
        ("SQL, DMY", "date", "31/12/1999 00:00:00"),
        ("SQL, DMY", "timestamp", "31/12/1999"),
        ("SQL, DMY", "timestamp", "31/12/1999 23:59:59 CET"),
        ("SQL, DMY", "timestamp", "31/12/1999 24:00:00"),
        ("SQL, DMY", "timestamp", "31/12/1999 23:59:59.1234567"),
        ("Postgres, MDY", "timestamp", "Fri Foo 31 23:59:59 1999"),
        ("Postgres, MDY", "timestamp", "Fri Dec 23:59:59 1999"),
        ("Postgres, MDY", "timestamp", "Fri 31 Dec 31 23:59:59 1999"),
        ("ISO, MDY", "timestamptz", "1999-12-31 23:59:59"),
    ],
)
def test_what_could_mean_two_things_is_refused(style: str, name: str, words: str) -> None:
    with pytest.raises(DataError, match=r"DateStyle .* no certain value.*SET datestyle = 'ISO'"):
        in_style(style)[name].decode_bytes(words.encode(), TEXT)


@pytest.mark.parametrize("style", ["ISO, MDY", *STYLES])
def test_what_says_by_itself_what_it_means_is_read_in_every_style(style: str) -> None:
    codecs = in_style(style)
    assert codecs["date"].decode_bytes(b"01.02.2003", TEXT) == dt.date(2003, 2, 1)
    for words in (b"01.02.2003 04:05:06", b"Sat Feb 01 04:05:06 2003", b"Sat 01 Feb 04:05:06 2003"):
        assert codecs["timestamp"].decode_bytes(words, TEXT) == dt.datetime(2003, 2, 1, 4, 5, 6)


@pytest.mark.parametrize(
    ("style", "name", "words"),
    [
        ("SQL, DMY", "date", "31/12/0044 BC"),
        ("SQL, DMY", "date", "31/12/10000"),
        ("German, DMY", "timestamp", "31.12.0001 23:59:59 BC"),
        ("German, DMY", "timestamptz", "31.12.0001 23:59:59 UTC BC"),
        ("Postgres, MDY", "timestamp", "Fri Dec 31 23:59:59 294276"),
        ("Postgres, MDY", "timestamptz", "Fri Dec 31 23:59:59 0044 UTC BC"),
        ("SQL, MDY", "timestamptz", "infinity"),
        ("German, DMY", "date", "-infinity"),
    ],
)
def test_what_python_has_no_date_for_in_other_styles(style: str, name: str, words: str) -> None:
    with pytest.raises(DataError, match="cast the column to text") as caught:
        in_style(style)[name].decode_bytes(words.encode(), TEXT)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "words", [styled_stamp(dt.datetime(1999, 12, 31, 1, 2, 3, 50), style, " UTC") for style in STYLES]
)
def test_every_truncation_of_a_styled_timestamp(words: str) -> None:
    codecs = in_style("SQL, DMY")
    for cut in range(len(words)):
        with pytest.raises(DataError):
            codecs["timestamptz"].decode_bytes(words[:cut].encode(), TEXT)
        if cut < 10:
            with pytest.raises(DataError):
                codecs["date"].decode_bytes(words[:cut].encode(), TEXT)
