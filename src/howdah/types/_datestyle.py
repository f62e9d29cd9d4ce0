"""Dates in the words of DateStyle SQL, German and Postgres (manual, section 8.5.2; src/backend/utils/adt/datetime.c).

    style      date         timestamp                          timestamptz
    SQL        12/31/1999   12/31/1999 23:59:59.5              ... 23:59:59.5 CET
    German     31.12.1999   31.12.1999 23:59:59.5              ... 23:59:59.5 CET
    Postgres   12-31-1999   Fri Dec 31 23:59:59.5 1999         ... 1999 CET

SQL and Postgres write the day first when the setting's second word is DMY. The server reports a change of DateStyle when
a request is over, so rows may arrive in a style that is not the reported one. What says by itself what it means (ISO,
German, the name of a month) is read at any time; a date whose order cannot be seen, or a zone's abbreviation, only in
the style that was reported. The rest is a DataError: nothing is guessed.

A timestamptz in these styles has the wall time of the session's TimeZone and an abbreviation, no offset. The offset is
looked up in Python's zone database; the abbreviation tells the two passes through the hour that comes twice apart, and
has to be the one that Python's database gives. The server has a database of its own, and the two need not tell the same
of times before 1970 (Europe/Amsterdam has the history of Brussels in some), so those are refused too.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timezone, tzinfo

from howdah.types._datetime import ISO, POSTGRES_DMY, POSTGRES_MDY, SQL_DMY, SQL_MDY

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UTC_NAMES = ("UTC", "GMT", "UCT")
ABBREVIATION_LENGTH = 10  # MAXTZLEN in src/include/pgtime.h: longer ones are cut

MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}

TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?"
END = r"(?P<zone> (?!BC)\S+)?(?P<era> BC)?"
NUMBERS = re.compile(
    rf"(?P<first>\d\d)(?P<mark>[-/.])(?P<second_number>\d\d)(?P=mark)(?P<year>\d{{4,}})(?: {TIME})?{END}", re.ASCII
)
WORDS = re.compile(
    rf"[A-Z][a-z][a-z] (?:(?P<day>\d\d) )?(?P<month>[A-Z][a-z][a-z])(?: (?P<day_behind>\d\d))? {TIME} (?P<year>\d{{4,}}){END}",
    re.ASCII,
)


class OutsideCalendar(ValueError):
    """A date that is well written, and not one of Python's years 1 to 9999."""


def read_date(text: str, style: str) -> date:
    """A date in a style that is not ISO. Raises ValueError; OutsideCalendar for another year than Python's."""
    match = NUMBERS.fullmatch(text)
    if match is None or match["hour"] or match["zone"]:
        raise ValueError(text)
    return date(*_numbers(match, style, False))


def read_timestamp(text: str, style: str) -> datetime:
    """A timestamp in a style that is not ISO. Raises as read_date."""
    value, zone = _timestamp(text, style)
    if zone is not None:
        raise ValueError(text)
    return value


def read_timestamptz(text: str, style: str, tz: tzinfo) -> datetime:
    """A timestamptz in a style that is not ISO, in the session's zone ``tz``. Raises as read_date."""
    value, zone = _timestamp(text, style)
    if zone is None or style == ISO:
        raise ValueError(text)
    return _instant(value, zone, tz)


def _timestamp(text: str, style: str) -> tuple[datetime, str | None]:
    match = NUMBERS.fullmatch(text)
    if match is not None:
        if not match["hour"]:
            raise ValueError(text)
        year, month, day = _numbers(match, style, True)
    else:
        match = WORDS.fullmatch(text)
        if match is None or (match["day"] is None) == (match["day_behind"] is None):
            raise ValueError(text)
        year = _year(match)
        month = MONTHS.get(match["month"], 0)
        day = int(match["day"] or match["day_behind"])
    microsecond = int((match["fraction"] or "").ljust(6, "0"))
    value = datetime(year, month, day, int(match["hour"]), int(match["minute"]), int(match["second"]), microsecond)
    return value, match["zone"] and match["zone"][1:]


def _numbers(match: re.Match[str], style: str, has_time: bool) -> tuple[int, int, int]:
    """Year, month and day of a date in numbers."""
    first, second = int(match["first"]), int(match["second_number"])
    mark = match["mark"]
    if mark == ".":
        day_first = True
    elif mark == "/" and style in (SQL_DMY, SQL_MDY):
        day_first = style == SQL_DMY
    elif mark == "-" and not has_time and style in (POSTGRES_DMY, POSTGRES_MDY):
        day_first = style == POSTGRES_DMY
    else:
        raise ValueError(match[0])
    return (_year(match), second, first) if day_first else (_year(match), first, second)


def _year(match: re.Match[str]) -> int:
    if match["era"] or len(match["year"]) > 4:
        raise OutsideCalendar(match[0])
    return int(match["year"])


def _instant(value: datetime, zone: str, tz: tzinfo) -> datetime:
    """The instant at which the clocks of ``tz`` showed ``value`` and called their time ``zone``."""
    instants: list[datetime] = []
    for fold in (0, 1):
        local = value.replace(tzinfo=tz, fold=fold)
        names = UTC_NAMES if tz is UTC else ((local.tzname() or "")[:ABBREVIATION_LENGTH],)
        try:
            instant = local.astimezone(UTC)
            shown = instant.astimezone(tz).replace(tzinfo=None, fold=0)
        except OverflowError:
            raise OutsideCalendar(value.isoformat(" ")) from None
        # an hour that is left out has no instant; of one that comes twice each pass has its name
        if zone in names and shown == value and instant not in instants:
            instants.append(instant)
    fixed = isinstance(tz, timezone)
    if len(instants) != 1 or (not fixed and instants[0] < EPOCH):
        raise ValueError(f"{value.isoformat(' ')} {zone} is no single time in {tz}")
    return instants[0].astimezone(tz)
