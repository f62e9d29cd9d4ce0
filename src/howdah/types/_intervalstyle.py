"""Intervals in the words of the four settings of IntervalStyle (manual, section 8.5.5; EncodeInterval in
src/backend/utils/adt/datetime.c). They can be told apart, so the setting need not be known:

    postgres           1 year 2 mons -3 days +04:05:06.7       words, then a time
    postgres_verbose   @ 1 year 2 mons 3 days 6.7 secs ago     words behind an @; "ago" turns all signs
    sql_standard       +1-2 -3 +4:05:06.7                      each with its sign, or
                       -3 4:05:06.7                            one sign for all
    iso_8601           P1Y2M-3DT4H5M6.7S

Loaded when the first interval arrives as text: to make its patterns takes longer than to import all of the types.
"""

from __future__ import annotations

import re
from typing import Any

TIME = r"(?P<sign>[+-]?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<fraction>\d{1,6}))?"
POSTGRES = re.compile(
    r"(?:(?P<years>[+-]?\d+) years?(?: |$))?(?:(?P<months>[+-]?\d+) mons?(?: |$))?(?:(?P<days>[+-]?\d+) days?(?: |$))?"
    rf"(?:{TIME})?",
    re.ASCII,
)
SQL_SIGNED = re.compile(
    rf"(?P<year_sign>[+-])(?P<years>\d+)-(?P<months>\d+) (?P<days>[+-]\d+) {TIME}",
    re.ASCII,
)
SQL_MONTHS = re.compile(r"(?P<sign>-?)(?P<years>\d+)-(?P<months>\d+)", re.ASCII)
SQL_DAYS = re.compile(rf"(?P<all>-?)(?P<days>\d+) (?=\d){TIME}", re.ASCII)
SECONDS = r"(?P<sign>-?)(?P<seconds>\d+)(?:\.(?P<fraction>\d{1,6}))?"
VERBOSE = re.compile(
    rf"@(?: (?P<years>-?\d+) years?)?(?: (?P<months>-?\d+) mons?)?(?: (?P<days>-?\d+) days?)?(?: (?P<hours>-?\d+) hours?)?"
    rf"(?: (?P<minutes>-?\d+) mins?)?(?: {SECONDS} secs?)?(?P<ago> ago)?",
    re.ASCII,
)
ISO = re.compile(
    r"P(?:(?P<years>-?\d+)Y)?(?:(?P<months>-?\d+)M)?(?:(?P<days>-?\d+)D)?"
    rf"(?:T(?:(?P<hours>-?\d+)H)?(?:(?P<minutes>-?\d+)M)?(?:{SECONDS}S)?)?",
    re.ASCII,
)


def parse_interval(text: str) -> tuple[int, int, int]:
    """Months, days and microseconds of an interval in any style. Raises ValueError."""
    if text[:1] == "P":
        fields = _fields(ISO, text)
        if text[-1] in "PT":
            raise ValueError(text)
        return _months(fields), _whole(fields["days"]), _clock(fields)
    if text[:1] == "@":
        if text == "@ 0":
            return 0, 0, 0
        fields = _fields(VERBOSE, text)
        if text == "@" or text == "@ ago":
            raise ValueError(text)
        turn = -1 if fields["ago"] else 1
        return turn * _months(fields), turn * _whole(fields["days"]), turn * _clock(fields)
    if text == "0":
        return 0, 0, 0
    match = POSTGRES.fullmatch(text)
    if match is not None:
        if not text or text[-1] == " ":
            raise ValueError(text)
        fields = match.groupdict()
        return _months(fields), _whole(fields["days"]), _signed_clock(fields)
    match = SQL_SIGNED.fullmatch(text)
    if match is not None:
        fields = match.groupdict()
        months = _months(fields)
        return -months if fields["year_sign"] == "-" else months, _whole(fields["days"]), _signed_clock(fields)
    match = SQL_DAYS.fullmatch(text)
    if match is not None:
        fields = match.groupdict()
        turn = -1 if fields["all"] else 1
        return 0, turn * _whole(fields["days"]), turn * _signed_clock(fields)
    fields = _fields(SQL_MONTHS, text)
    months = _months(fields)
    return -months if fields["sign"] else months, 0, 0


def _fields(pattern: re.Pattern[str], text: str) -> dict[str, Any]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return match.groupdict()


def _whole(number: str | None) -> int:
    return int(number) if number else 0


def _months(fields: dict[str, Any]) -> int:
    return 12 * _whole(fields["years"]) + _whole(fields["months"])


def _seconds(fields: dict[str, Any]) -> int:
    """The seconds, as microseconds and without their sign."""
    return _whole(fields["seconds"]) * 1000000 + int((fields["fraction"] or "").ljust(6, "0"))


def _clock(fields: dict[str, Any]) -> int:
    """Hours, minutes and seconds, each with a sign of its own, as microseconds."""
    seconds = _seconds(fields)
    return (_whole(fields["hours"]) * 60 + _whole(fields["minutes"])) * 60000000 + (
        -seconds if fields["sign"] == "-" else seconds
    )


def _signed_clock(fields: dict[str, Any]) -> int:
    """A time of day with one sign for all of it, as microseconds."""
    us = (_whole(fields["hours"]) * 60 + _whole(fields["minutes"])) * 60000000 + _seconds(fields)
    return -us if fields["sign"] == "-" else us
