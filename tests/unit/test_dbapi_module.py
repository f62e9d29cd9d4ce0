"""PEP 249: the module's globals, type objects, constructors and exceptions."""

from __future__ import annotations

import datetime
import pickle
import subprocess
import sys

import pytest

import howdah
from howdah import _oids, dbapi


def test_globals() -> None:
    assert howdah.apilevel == "2.0"
    assert howdah.threadsafety == 2
    assert howdah.paramstyle == "pyformat"
    assert callable(howdah.connect)


def test_everything_named_is_there() -> None:
    for name in howdah.__all__:
        assert getattr(howdah, name) is not None, name
    for name in dbapi.__all__:
        assert name in howdah.__all__
        assert getattr(howdah, name) is getattr(dbapi, name)
    assert set(howdah.__all__) <= set(dir(howdah))
    with pytest.raises(AttributeError, match="nosuch"):
        howdah.nosuch  # noqa: B018


EXCEPTIONS = {
    "Warning": Exception,
    "Error": Exception,
    "InterfaceError": howdah.Error,
    "DatabaseError": howdah.Error,
    "DataError": howdah.DatabaseError,
    "OperationalError": howdah.DatabaseError,
    "IntegrityError": howdah.DatabaseError,
    "InternalError": howdah.DatabaseError,
    "ProgrammingError": howdah.DatabaseError,
    "NotSupportedError": howdah.DatabaseError,
}


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions(name: str) -> None:
    cls = getattr(howdah, name)
    assert issubclass(cls, EXCEPTIONS[name])
    if name != "Warning":
        assert getattr(howdah.Connection, name) is cls  # PEP 249's optional extension


TYPE_OBJECTS = {
    "STRING": [_oids.TEXT, _oids.VARCHAR, _oids.BPCHAR, _oids.NAME],
    "BINARY": [_oids.BYTEA],
    "NUMBER": [_oids.INT2, _oids.INT4, _oids.INT8, _oids.FLOAT4, _oids.FLOAT8, _oids.NUMERIC],
    "DATETIME": [_oids.DATE, _oids.TIME, _oids.TIMETZ, _oids.TIMESTAMP, _oids.TIMESTAMPTZ, _oids.INTERVAL],
    "ROWID": [_oids.OID],
}


@pytest.mark.parametrize("name", TYPE_OBJECTS)
def test_type_objects(name: str) -> None:
    kind = getattr(howdah, name)
    for other, oids in TYPE_OBJECTS.items():
        for oid in oids:
            assert (oid == kind) is (kind == oid) is (other == name)
        assert (kind == getattr(howdah, other)) is (other == name)
    assert kind != "x" and kind != 0
    assert repr(kind) == f"howdah.{name}"
    assert len({kind, kind}) == 1
    again = pickle.loads(pickle.dumps(kind))
    assert again == kind and hash(again) == hash(kind)


def test_constructors() -> None:
    assert howdah.Date(2000, 1, 31) == datetime.date(2000, 1, 31)
    assert howdah.Time(1, 2, 3) == datetime.time(1, 2, 3)
    assert howdah.Timestamp(2000, 1, 31, 1, 2, 3) == datetime.datetime(2000, 1, 31, 1, 2, 3)
    assert howdah.Binary(b"abc") == b"abc"
    utc = datetime.timezone.utc
    assert howdah.TimestampFromTicks(86400.5) == datetime.datetime(1970, 1, 2, 0, 0, 0, 500000, utc)
    assert howdah.DateFromTicks(86399) == datetime.date(1970, 1, 1)
    assert howdah.TimeFromTicks(3661) == datetime.time(1, 1, 1, tzinfo=utc)


def test_import_loads_little() -> None:
    """What costs import time stays away until it is used."""
    heavy = ("asyncio", "ssl", "logging", "dataclasses")
    script = f"import sys, howdah; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60, env=environment()
    )
    assert done.stdout.strip() == "[]"


def environment() -> dict[str, str]:
    """This run's environment, with the path on which the package was found."""
    import os
    from pathlib import Path

    return {**os.environ, "PYTHONPATH": str(Path(howdah.__file__).parents[1])}
