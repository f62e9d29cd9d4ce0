"""time and timetz.

Binary: microseconds since midnight, and for timetz the seconds west of Greenwich (src/backend/utils/adt/date.c,
time_send, timetz_send). Text: ``04:05:06.789`` and ``04:05:06.789+05:30``, the same in every DateStyle. The server
knows the time 24:00:00; Python does not, so it is a DataError. A timetz has a fixed offset: Python's zones that need a
date to tell theirs cannot be sent.
"""

from __future__ import annotations

from datetime import time, timedelta, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import TIME, TIME_ARRAY, TIMETZ, TIMETZ_ARRAY
from howdah.errors import DataError
from howdah.types._datetime import parse_offset
from howdah.types.codec import _Codec

if not cython.compiled:
    from howdah.wire.bytes import read_i32, read_i64, read_text

    def make_time(us, tz):
        """The time ``us`` microseconds after midnight, with ``tz``; the caller has checked the range."""
        seconds, microsecond = divmod(us, 1000000)
        return time(seconds // 3600, seconds // 60 % 60, seconds % 60, microsecond, tz)

else:
    import_datetime()

US_PER_DAY = 86400 * 1000000
OFFSET_LIMIT_S = 16 * 3600  # TZDISP_LIMIT in src/include/datatype/timestamp.h
MAX_ZONES = 1000

_zones: dict[int, timezone] = {}


def fixed_zone(seconds: int) -> timezone:
    """The zone ``seconds`` east of Greenwich; each is made once."""
    zone = _zones.get(seconds)
    if zone is None:
        if len(_zones) >= MAX_ZONES:
            _zones.clear()
        zone = _zones[seconds] = timezone(timedelta(seconds=seconds))
    return zone


def parse_time(text: str) -> tuple:
    """Microseconds since midnight, and the seconds east of Greenwich or None. Raises ValueError."""
    if len(text) < 8 or text[2] != ":" or text[5] != ":":
        raise ValueError(text)
    hour, minute, second = int(text[:2]), int(text[3:5]), int(text[6:8])
    at = 8
    us = 0
    if text[8:9] == ".":
        at = 9
        while at < len(text) and text[at].isdigit():
            at += 1
        if not 10 <= at <= 15:
            raise ValueError(text)
        us = int(text[9:at].ljust(6, "0"))
    us += ((hour * 60 + minute) * 60 + second) * 1000000
    if hour < 0 or not 0 <= minute < 60 or not 0 <= second < 60 or us > US_PER_DAY:
        raise ValueError(text)
    if at == len(text):
        return us, None
    east = parse_offset(text[at:])
    if not -OFFSET_LIMIT_S < east < OFFSET_LIMIT_S:
        raise ValueError(text)
    return us, east


def since_midnight(value: time) -> int:
    """Microseconds."""
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1000000 + value.microsecond


class TimeCodec(_Codec):
    """datetime.time without a zone."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        text = read_text(data, pos, size)
        try:
            us, east = parse_time(text)
        except ValueError:
            return self.wrong_text(text)
        if east is not None:
            return self.wrong_text(text)
        if us == US_PER_DAY:
            return self.beyond(text)
        return make_time(us, None)

    def decode_binary(self, data, pos, size):
        if size != 8:
            return self.wrong_size(size)
        us = read_i64(data, pos)
        if us < 0 or us >= US_PER_DAY:
            return self.beyond("24:00:00" if us == US_PER_DAY else f"{us} microseconds after midnight")
        return make_time(us, None)

    def beyond(self, text: str) -> object:
        raise DataError(f"{self.name} {text!r} has no Python value: cast the column to text to read it")

    def encode(self, out, value) -> None:
        out.put_i32(8)
        out.put_i64(since_midnight(value))


class TimetzCodec(TimeCodec):
    """datetime.time with a zone of fixed offset."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        text = read_text(data, pos, size)
        try:
            us, east = parse_time(text)
        except ValueError:
            return self.wrong_text(text)
        if east is None:
            return self.wrong_text(text)
        if us == US_PER_DAY:
            return self.beyond(text)
        return make_time(us, fixed_zone(east))

    def decode_binary(self, data, pos, size):
        if size != 12:
            return self.wrong_size(size)
        us = read_i64(data, pos)
        west = read_i32(data, pos + 8)
        if west <= -OFFSET_LIMIT_S or west >= OFFSET_LIMIT_S:
            raise DataError(f"a timetz {west} seconds west of Greenwich is none of PostgreSQL's")
        if us < 0 or us >= US_PER_DAY:
            return self.beyond("24:00:00" if us == US_PER_DAY else f"{us} microseconds after midnight")
        return make_time(us, fixed_zone(-west))

    def encode(self, out, value) -> None:
        offset = value.utcoffset()
        if offset is None:
            raise DataError(
                f"the offset of {value.tzinfo} depends on the date: "
                "give the time a fixed one, datetime.timezone(datetime.timedelta(...))"
            )
        east = offset.days * 86400 + offset.seconds
        if offset.microseconds or not -OFFSET_LIMIT_S < east < OFFSET_LIMIT_S:
            raise DataError(f"a timetz has an offset of whole seconds below 16 hours; that of {value!r} is {offset}")
        out.put_i32(12)
        out.put_i64(since_midnight(value))
        out.put_i32(-east)


TIME_CODEC = TimeCodec("time", TIME, TIME_ARRAY)
TIMETZ_CODEC = TimetzCodec("timetz", TIMETZ, TIMETZ_ARRAY)


class PythonTimeCodec(_Codec):
    """A time goes out as timetz when it has a zone, as time when it has none."""

    __slots__ = ()

    def for_value(self, value):
        return TIME_CODEC if value.tzinfo is None else TIMETZ_CODEC


PYTHON_TIME = PythonTimeCodec("time", TIME, TIME_ARRAY)

CODECS = (TIME_CODEC, TIMETZ_CODEC)
