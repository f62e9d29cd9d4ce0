"""howdah: the PostgreSQL driver for servers that are remote. PEP 249, sync and async.

    with howdah.connect("postgresql://dbuser@db.example.net/mydb") as conn:
        with conn.cursor() as cur:
            cur.execute("SELECT * FROM accounts WHERE username = %s", ("alice",))
            print(cur.fetchall())

``AsyncConnection`` is the same with ``await``; it, and whatever needs asyncio, is loaded when it is first used.
"""

from __future__ import annotations

from howdah import _build

_build.prepare(__path__[0])

from typing import TYPE_CHECKING, Any

from howdah import errors as errors
from howdah._base.column import Column
from howdah._base.connection import BaseConnection, IsolationLevel
from howdah._base.info import ConnectionInfo
from howdah._sync.connection import Connection
from howdah._sync.cursor import Cursor
from howdah.dbapi import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    apilevel,
    paramstyle,
    threadsafety,
)
from howdah.errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)

if TYPE_CHECKING:
    from howdah._async.client_cursor import AsyncClientCursor, AsyncRawCursor
    from howdah._async.connection import AsyncConnection
    from howdah._async.cursor import AsyncCursor
    from howdah._async.pool import AsyncConnectionPool, AsyncNullConnectionPool
    from howdah._async.server_cursor import AsyncRawServerCursor, AsyncServerCursor
    from howdah._sync.client_cursor import ClientCursor, RawCursor
    from howdah._sync.pool import ConnectionPool, NullConnectionPool
    from howdah._sync.server_cursor import RawServerCursor, ServerCursor

__version__ = "0.1.0"

compiled: bool = _build.compiled_state()
"""True when the modules with a ``.pxd`` are running compiled, False when they run as Python."""

connect = Connection.connect

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "AsyncConnection",
    "AsyncConnectionPool",
    "AsyncCursor",
    "AsyncNullConnectionPool",
    "BaseConnection",
    "Binary",
    "Column",
    "Connection",
    "ConnectionInfo",
    "ConnectionPool",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "IsolationLevel",
    "NotSupportedError",
    "NullConnectionPool",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "ClientCursor",
    "AsyncClientCursor",
    "RawCursor",
    "AsyncRawCursor",
    "ServerCursor",
    "AsyncServerCursor",
    "RawServerCursor",
    "AsyncRawServerCursor",
    "apilevel",
    "compiled",
    "connect",
    "errors",
    "paramstyle",
    "threadsafety",
]

_LAZY = {
    "AsyncConnection": "howdah._async.connection",
    "AsyncConnectionPool": "howdah._async.pool",
    "AsyncCursor": "howdah._async.cursor",
    "AsyncClientCursor": "howdah._async.client_cursor",
    "ClientCursor": "howdah._sync.client_cursor",
    "AsyncRawCursor": "howdah._async.client_cursor",
    "RawCursor": "howdah._sync.client_cursor",
    "AsyncServerCursor": "howdah._async.server_cursor",
    "ServerCursor": "howdah._sync.server_cursor",
    "AsyncRawServerCursor": "howdah._async.server_cursor",
    "RawServerCursor": "howdah._sync.server_cursor",
    "AsyncNullConnectionPool": "howdah._async.pool",
    "ConnectionPool": "howdah._sync.pool",
    "NullConnectionPool": "howdah._sync.pool",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    if name in ("embedded", "hooks", "rows", "sql"):
        from importlib import import_module

        return import_module("howdah." + name)
    raise AttributeError(f"module 'howdah' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
