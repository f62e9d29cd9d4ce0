"""date, timestamp and timestamptz.

Binary: days, or microseconds, since 2000-01-01 (src/include/datatype/timestamp.h); the smallest and the largest
integer mean -infinity and infinity. Text: ISO here, what the other DateStyles write in types/_datestyle.py; what could
mean two things is refused, never guessed. A timestamptz is shown in the session's TimeZone, in both formats, as psql
and psycopg show it. What Python's datetime cannot hold (BC, years beyond 9999, infinity, 24:00) is a DataError.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import (
    DATE,
    DATE_ARRAY,
    TIMESTAMP,
    TIMESTAMP_ARRAY,
    TIMESTAMPTZ,
    TIMESTAMPTZ_ARRAY,
)
from howdah.errors import DataError
from howdah.types.codec import _Codec

if not cython.compiled:
    from howdah.wire.bytes import read_i32, read_i64, read_text

    def make_date(days):
        """The date ``days`` after 2000-01-01; the caller has checked the range."""
        return date.fromordinal(PG_EPOCH_ORDINAL + days)

    def make_datetime(us, tz):
        """The datetime ``us`` microseconds after 2000-01-01 00:00, labelled ``tz``; range checked."""
        return (PG_EPOCH + timedelta(microseconds=us)).replace(tzinfo=tz)

else:
    import_datetime()

UTC = timezone.utc
PG_EPOCH = datetime(2000, 1, 1)
PG_EPOCH_UTC = datetime(2000, 1, 1, tzinfo=UTC)
PG_EPOCH_ORDINAL = PG_EPOCH.toordinal()

# the days and microseconds of 0001-01-01 and 9999-12-31, the ends of Python's calendar
MIN_DAYS = 1 - PG_EPOCH_ORDINAL
MAX_DAYS = date.max.toordinal() - PG_EPOCH_ORDINAL
US_PER_DAY = 86400 * 1000000
MIN_US = MIN_DAYS * US_PER_DAY
MAX_US = (MAX_DAYS + 1) * US_PER_DAY - 1
NO_DAYS_MIN, NO_DAYS_MAX = -(2**31), 2**31 - 1
NO_US_MIN, NO_US_MAX = -(2**63), 2**63 - 1


# The styles, as settings are reduced to what reading depends on. ISO also stands for "not known now": only what says
# by itself what it means is read then.
ISO = "ISO"
GERMAN = "German"
SQL_DMY, SQL_MDY = "SQL, DMY", "SQL, MDY"
POSTGRES_DMY, POSTGRES_MDY = "Postgres, DMY", "Postgres, MDY"


def style_of(setting: str) -> str:
    """What a DateStyle setting, like ``SQL, YMD``, means for reading."""
    style, _, order = setting.partition(",")
    if style == "German":
        return GERMAN
    day_first = order.strip() == "DMY"
    if style == "SQL":
        return SQL_DMY if day_first else SQL_MDY
    if style == "Postgres":
        return POSTGRES_DMY if day_first else POSTGRES_MDY
    return ISO


def parse_date(text: str) -> date:
    """A date in ISO text. Raises ValueError."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        raise ValueError(text)
    return date(int(text[:4]), int(text[5:7]), int(text[8:]))


def parse_timestamp(text: str) -> datetime:
    """A timestamp in ISO text, with a zone offset or without. Raises ValueError."""
    if len(text) < 19 or text[4] != "-" or text[7] != "-" or text[10] != " " or text[13] != ":" or text[16] != ":":
        raise ValueError(text)
    at = 19
    us = 0
    if len(text) > 19 and text[19] == ".":
        at = 20
        while at < len(text) and text[at].isdigit():
            at += 1
        us = int(text[20:at].ljust(6, "0"))
    tz = None
    if at < len(text):
        tz = timezone(timedelta(seconds=parse_offset(text[at:])))
    return datetime(
        int(text[:4]),
        int(text[5:7]),
        int(text[8:10]),
        int(text[11:13]),
        int(text[14:16]),
        int(text[17:19]),
        us,
        tz,
    )


def parse_offset(text: str) -> int:
    """The seconds of a zone's offset: ``+01``, ``-03:30`` or ``+05:53:28``. Raises ValueError."""
    sign = text[0]
    parts = text[1:].split(":")
    if sign not in "+-" or not 1 <= len(parts) <= 3:
        raise ValueError(text)
    seconds = 0
    for index, part in enumerate(parts):
        if len(part) != 2:
            raise ValueError(text)
        seconds += int(part) * (3600, 60, 1)[index]
    return -seconds if sign == "-" else seconds


# an ISO date of a year that Python's calendar does not have
ISO_BEYOND = re.compile(r"\d{5,}-\d\d-\d\d|\d{4}-\d\d-\d\d.* BC$")


class _CalendarCodec(_Codec):
    """What date and the timestamps share: the session's DateStyle, the words for what Python's calendar cannot hold."""

    __slots__ = ("style",)

    def read_styled(self, text: str) -> object:
        """The value of a text that is not ISO. Raises ValueError."""
        raise ValueError(text)

    def other_style(self, text: str) -> object:
        """The value of a text that is not ISO, or what is wrong with it."""
        try:
            return self.read_styled(text)
        except (ValueError, OverflowError) as exc:
            return self.out_of_range(text, type(exc).__name__ == "OutsideCalendar")

    def out_of_range(self, text: str, beyond: bool = False) -> object:
        if text == "infinity" or text == "-infinity":
            raise DataError(f"{self.name} {text!r} has no Python value: cast the column to text to read it")
        if beyond or (len(text) <= 64 and ISO_BEYOND.match(text)):
            raise DataError(
                f"{self.name} {text!r} is outside Python's years 1 to 9999: cast the column to text to read it"
            )
        return self.wrong_text(
            text,
            f"with DateStyle {self.style}, the last one known for sure, it means no certain value: "
            "SET datestyle = 'ISO' in a request of its own, or read binary results",
        )


class DateCodec(_CalendarCodec):
    """datetime.date."""

    __slots__ = ()

    def __init__(self, style: str = ISO) -> None:
        self.name = "date"
        self.oid = DATE
        self.array_oid = DATE_ARRAY
        self.binary_equal = True
        self.atomic = True
        self.encode_format = 1
        self.style = style

    def decode_text(self, data, pos, size):
        text = read_text(data, pos, size)
        try:
            return parse_date(text)
        except ValueError:
            return self.other_style(text)

    def read_styled(self, text: str) -> object:
        from howdah.types._datestyle import read_date

        return read_date(text, self.style)

    def decode_binary(self, data, pos, size):
        if size != 4:
            return self.wrong_size(size)
        days = read_i32(data, pos)
        if days < MIN_DAYS or days > MAX_DAYS:
            return self.beyond(days)
        return make_date(days)

    def beyond(self, days: int) -> object:
        if days == NO_DAYS_MAX:
            return self.out_of_range("infinity")
        if days == NO_DAYS_MIN:
            return self.out_of_range("-infinity")
        raise DataError(
            f"a date {days} days from 2000-01-01 is outside Python's years 1 to 9999: cast the column to text to read it"
        )

    def encode(self, out, value) -> None:
        out.put_i32(4)
        out.put_i32(value.toordinal() - PG_EPOCH_ORDINAL)


class TimestampCodec(_CalendarCodec):
    """datetime.datetime: naive for timestamp, in the session's zone (``tz``) for timestamptz."""

    __slots__ = ("tz", "utc", "zoned")

    def __init__(self, zoned: bool, tz: object = None, style: str = ISO) -> None:
        self.name = "timestamptz" if zoned else "timestamp"
        self.oid = TIMESTAMPTZ if zoned else TIMESTAMP
        self.array_oid = TIMESTAMPTZ_ARRAY if zoned else TIMESTAMP_ARRAY
        self.binary_equal = True
        self.atomic = True
        self.encode_format = 1
        self.style = style
        self.zoned = zoned
        self.tz = tz
        self.utc = tz is UTC

    def decode_text(self, data, pos, size):
        text = read_text(data, pos, size)
        try:
            value = parse_timestamp(text)
            if self.zoned == (value.tzinfo is not None):
                return value.astimezone(self.tz) if self.zoned else value
        except (ValueError, OverflowError):
            pass
        return self.other_style(text)

    def read_styled(self, text: str) -> object:
        from howdah.types._datestyle import read_timestamp, read_timestamptz

        return read_timestamptz(text, self.style, self.tz) if self.zoned else read_timestamp(text, self.style)

    def decode_binary(self, data, pos, size):
        if size != 8:
            return self.wrong_size(size)
        us = read_i64(data, pos)
        if us < MIN_US or us > MAX_US:
            return self.beyond(us)
        if not self.zoned:
            return make_datetime(us, None)
        if self.utc:
            return make_datetime(us, UTC)
        return self.localise(make_datetime(us, self.tz), us)

    def localise(self, value: datetime, us: int) -> object:
        """``value`` is UTC wall time labelled with the session's zone: what tzinfo.fromutc takes."""
        try:
            return self.tz.fromutc(value)
        except OverflowError:
            return self.beyond(us)

    def beyond(self, us: int) -> object:
        if us == NO_US_MAX:
            return self.out_of_range("infinity")
        if us == NO_US_MIN:
            return self.out_of_range("-infinity")
        raise DataError(
            f"a {self.name} {us} microseconds from 2000-01-01 is outside Python's years 1 to 9999: "
            "cast the column to text to read it"
        )

    def encode(self, out, value) -> None:
        if self.zoned:
            delta = value - PG_EPOCH_UTC
        else:
            delta = value - PG_EPOCH
        out.put_i32(8)
        out.put_i64((delta.days * 86400 + delta.seconds) * 1000000 + delta.microseconds)


TIMESTAMP_CODEC = TimestampCodec(False)
TIMESTAMPTZ_UTC = TimestampCodec(True, UTC)


def session_codecs(tz: object, style: str) -> tuple:
    """The codecs of a session whose TimeZone is ``tz`` (None: one that Python does not know) and DateStyle ``style``."""
    if tz is None:
        # the same instants, labelled UTC; where no offset is written there is no way to read them
        zoned = TimestampCodec(True, UTC)
    else:
        zoned = TimestampCodec(True, tz, style)
    return (DateCodec(style), TimestampCodec(False, None, style), zoned)


class PythonDatetimeCodec(_Codec):
    """A datetime goes out as timestamptz when it knows its offset, as timestamp when it does not."""

    __slots__ = ()

    def for_value(self, value):
        if value.tzinfo is None or value.utcoffset() is None:
            return TIMESTAMP_CODEC
        return TIMESTAMPTZ_UTC


PYTHON_DATETIME = PythonDatetimeCodec("datetime", TIMESTAMPTZ, TIMESTAMPTZ_ARRAY)

CODECS = (DateCodec(), TIMESTAMP_CODEC, TIMESTAMPTZ_UTC)
