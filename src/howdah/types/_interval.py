"""interval as timedelta, months counted as 30 days and years as 365, as psycopg does.

Binary: microseconds, days and months, each with a sign of its own (src/backend/utils/adt/timestamp.c, interval_send).
Text, in the four styles of IntervalStyle: types/_intervalstyle.py. Both formats are whole numbers of microseconds, so
they give the same timedelta. What is beyond timedelta (infinity, a thousand million days) is a DataError.
"""

from __future__ import annotations

from datetime import timedelta

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import INTERVAL, INTERVAL_ARRAY
from howdah.errors import DataError
from howdah.types.codec import _Codec

if not cython.compiled:
    from howdah.wire.bytes import read_i32, read_i64, read_text

    def make_timedelta(days, us):
        """The timedelta of ``days`` and 0 <= ``us`` < a day; the caller has checked the range."""
        return timedelta(days, 0, us)

else:
    import_datetime()

US_PER_DAY = 86400 * 1000000
MAX_DAYS = 999999999  # timedelta.max.days, which is also -timedelta.min.days
NO_US_MIN, NO_US_MAX = -(2**63), 2**63 - 1
NO_DAYS_MIN, NO_DAYS_MAX = -(2**31), 2**31 - 1


class IntervalCodec(_Codec):
    """datetime.timedelta."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        from howdah.types._intervalstyle import parse_interval

        text = read_text(data, pos, size)
        try:
            months, days, us = parse_interval(text)
        except ValueError:
            if text == "infinity" or text == "-infinity":
                return self.beyond(repr(text))
            return self.wrong_text(text)
        if not (
            NO_DAYS_MIN <= months <= NO_DAYS_MAX and NO_DAYS_MIN <= days <= NO_DAYS_MAX and NO_US_MIN <= us <= NO_US_MAX
        ):
            return self.wrong_text(text, "it is beyond the type's range")
        return self.timedelta_of(months, days, us, text)

    def decode_binary(self, data, pos, size):
        if size != 16:
            return self.wrong_size(size)
        us = read_i64(data, pos)
        days = read_i32(data, pos + 8)
        months = read_i32(data, pos + 12)
        return self.timedelta_of(months, days, us, None)

    def timedelta_of(self, months, days, us, text):
        whole = days
        if months > 0:
            whole += 365 * (months // 12) + 30 * (months % 12)
        elif months < 0:
            whole -= 365 * (-months // 12) + 30 * (-months % 12)
        whole += us // US_PER_DAY
        if whole < -MAX_DAYS or whole > MAX_DAYS:
            if text is None:
                if us == NO_US_MAX and days == NO_DAYS_MAX and months == NO_DAYS_MAX:
                    return self.beyond("'infinity'")
                if us == NO_US_MIN and days == NO_DAYS_MIN and months == NO_DAYS_MIN:
                    return self.beyond("'-infinity'")
                text = f"of {months} months, {days} days and {us} microseconds"
            else:
                text = repr(text)
            return self.beyond(text)
        return make_timedelta(whole, us % US_PER_DAY)

    def beyond(self, shown: str) -> object:
        raise DataError(f"interval {shown} has no Python timedelta: cast the column to text to read it")

    def encode(self, out, value) -> None:
        out.put_i32(16)
        out.put_i64(value.seconds * 1000000 + value.microseconds)
        out.put_i32(value.days)
        out.put_i32(0)


CODECS = (IntervalCodec("interval", INTERVAL, INTERVAL_ARRAY),)
