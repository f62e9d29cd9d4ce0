"""PEP 249's module globals, type objects and constructors."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from howdah import _oids

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Date",
    "DateFromTicks",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "apilevel",
    "paramstyle",
    "threadsafety",
]

apilevel = "2.0"
# threads may share the module and connections, not cursors
threadsafety = 2
paramstyle = "pyformat"


class DBAPITypeObject:
    """Equal to the OIDs of a kind of types: ``column.type_code == howdah.NUMBER``."""

    __slots__ = ("_name", "_oids")

    def __init__(self, name: str, oids: Iterable[int]) -> None:
        self._name = name
        self._oids = frozenset(oids)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int):
            return other in self._oids
        return isinstance(other, DBAPITypeObject) and self._oids == other._oids

    def __hash__(self) -> int:
        return hash(self._oids)

    def __repr__(self) -> str:
        return f"howdah.{self._name}"


BINARY = DBAPITypeObject("BINARY", (_oids.BYTEA,))
DATETIME = DBAPITypeObject(
    "DATETIME", (_oids.DATE, _oids.TIME, _oids.TIMETZ, _oids.TIMESTAMP, _oids.TIMESTAMPTZ, _oids.INTERVAL)
)
NUMBER = DBAPITypeObject("NUMBER", (_oids.INT2, _oids.INT4, _oids.INT8, _oids.FLOAT4, _oids.FLOAT8, _oids.NUMERIC))
ROWID = DBAPITypeObject("ROWID", (_oids.OID,))
STRING = DBAPITypeObject("STRING", (_oids.TEXT, _oids.VARCHAR, _oids.BPCHAR, _oids.NAME))

Binary = bytes
Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime


def DateFromTicks(ticks: float) -> datetime.date:
    """The date, in UTC, of a time in seconds since 1970."""
    return TimestampFromTicks(ticks).date()


def TimeFromTicks(ticks: float) -> datetime.time:
    """The time of day, in UTC, of a time in seconds since 1970."""
    return TimestampFromTicks(ticks).timetz()


def TimestampFromTicks(ticks: float) -> datetime.datetime:
    """The moment, in UTC, of a time in seconds since 1970."""
    return datetime.datetime.fromtimestamp(ticks, datetime.timezone.utc)
