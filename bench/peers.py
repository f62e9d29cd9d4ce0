"""The drivers, each behind the same few methods, and the child process that runs exactly one of them.

Every driver keeps one autocommit connection over TCP without TLS, uses its fastest documented path
(prepared statements, binary results), and returns the same Python values; ``canonical`` lists the few
spellings that differ. Child and parent talk in pickles over the child's standard input and output, so the DSN
is in no argument list.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import pickle
import sys
import time
import uuid
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any, TypeVar
from urllib.parse import quote

from cases import CASES_BY_NAME, Case
from floor import FloorDriver

T = TypeVar("T")

Params = dict[str, Any]  # host, port, user, password, dbname
CONNECT_TIMEOUT_S = 10


class SyncDriver:
    """PEP 249: one connection, one cursor, execute and fetchall."""

    name = ""

    def __init__(self, params: Params) -> None:
        self._connection: Any = None
        self._cursor: Any = None
        self._sql = ""
        self._params: tuple[int, ...] | None = None
        self.connect(params)

    def connect(self, params: Params) -> None:
        raise NotImplementedError

    def prepare(self, case: Case) -> None:
        self._sql = case.format_sql
        self._params = case.params or None

    def rows(self) -> list[Any]:
        self._cursor.execute(self._sql, self._params)
        return list(self._cursor.fetchall())

    def batch(self, count: int) -> tuple[float, float]:
        """Run the query ``count`` times; return CPU seconds (user and system) and wall seconds."""
        sql, params = self._sql, self._params
        execute, fetchall = self._cursor.execute, self._cursor.fetchall
        wall = time.perf_counter()
        cpu = time.process_time()
        for _ in range(count):
            execute(sql, params)
            fetchall()
        return time.process_time() - cpu, time.perf_counter() - wall

    def close(self) -> None:
        self._connection.close()


class Psycopg3(SyncDriver):
    name = "psycopg3"

    def connect(self, params: Params) -> None:
        import psycopg

        if psycopg.pq.__impl__ == "python":
            raise RuntimeError("psycopg runs its pure Python implementation: pip install 'psycopg[binary]'")
        self._connection = psycopg.connect(**_libpq(params), autocommit=True, prepare_threshold=0)
        self._cursor = self._connection.cursor(binary=True)

    def versions(self) -> str:
        import psycopg

        return f"psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), binary=True, prepare_threshold=0"


class Psycopg2(SyncDriver):
    name = "psycopg2"

    def connect(self, params: Params) -> None:
        import psycopg2
        import psycopg2.extras

        self._connection = psycopg2.connect(**_libpq(params))
        self._connection.autocommit = True
        psycopg2.extras.register_uuid(conn_or_curs=self._connection)
        self._cursor = self._connection.cursor()

    def versions(self) -> str:
        import psycopg2

        return f"psycopg2 {psycopg2.__version__.split()[0]}, register_uuid"


class Howdah(SyncDriver):
    name = "howdah"
    compiled = True

    def connect(self, params: Params) -> None:
        import howdah

        _require_build(howdah, self.compiled)
        self._connection = howdah.connect(_url(params), autocommit=True)
        self._cursor = self._connection.cursor()

    def versions(self) -> str:
        return _howdah_version("")


class HowdahPure(Howdah):
    name = "howdah-pure"
    compiled = False


class AsyncDriver:
    """One event loop, one connection; a whole batch is one coroutine."""

    name = ""

    def __init__(self, params: Params) -> None:
        self._loop = self.new_loop()
        self._connection: Any = None
        self._sql = ""
        self._params: tuple[int, ...] = ()
        self._run(self.connect(params))

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    async def connect(self, params: Params) -> None:
        raise NotImplementedError

    async def fetch(self) -> list[Any]:
        raise NotImplementedError

    async def fetch_many_times(self, count: int) -> tuple[float, float]:
        raise NotImplementedError

    def rows(self) -> list[Any]:
        return self._run(self.fetch())

    def batch(self, count: int) -> tuple[float, float]:
        return self._run(self.fetch_many_times(count))

    def close(self) -> None:
        self._run(self._connection.close())
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(coroutine)


class Asyncpg(AsyncDriver):
    name = "asyncpg"

    def new_loop(self) -> asyncio.AbstractEventLoop:
        import uvloop

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop

    async def connect(self, params: Params) -> None:
        import asyncpg

        self._connection = await asyncpg.connect(
            host=params["host"],
            port=params["port"],
            user=params["user"],
            password=params["password"],
            database=params["dbname"],
            ssl=False,
            timeout=CONNECT_TIMEOUT_S,
        )
        for json_type in ("json", "jsonb"):
            await self._connection.set_type_codec(
                json_type, schema="pg_catalog", encoder=json.dumps, decoder=json.loads, format="text"
            )

    def prepare(self, case: Case) -> None:
        self._sql, self._params = case.sql, case.params

    async def fetch(self) -> list[Any]:
        return list(await self._connection.fetch(self._sql, *self._params))

    async def fetch_many_times(self, count: int) -> tuple[float, float]:
        sql, params, fetch = self._sql, self._params, self._connection.fetch
        wall = time.perf_counter()
        cpu = time.process_time()
        for _ in range(count):
            await fetch(sql, *params)
        return time.process_time() - cpu, time.perf_counter() - wall

    def versions(self) -> str:
        asyncpg, uvloop = version("asyncpg"), version("uvloop")
        return f"asyncpg {asyncpg} on uvloop {uvloop}, json and jsonb by json.loads"


class HowdahAsync(AsyncDriver):
    name = "howdah-async"

    async def connect(self, params: Params) -> None:
        import howdah

        _require_build(howdah, True)
        self._connection = await howdah.AsyncConnection.connect(_url(params), autocommit=True)
        self._cursor = self._connection.cursor()

    def prepare(self, case: Case) -> None:
        self._sql, self._params = case.format_sql, case.params

    async def fetch(self) -> list[Any]:
        await self._cursor.execute(self._sql, self._params or None)
        return list(await self._cursor.fetchall())

    async def fetch_many_times(self, count: int) -> tuple[float, float]:
        sql, params = self._sql, self._params or None
        execute, fetchall = self._cursor.execute, self._cursor.fetchall
        wall = time.perf_counter()
        cpu = time.process_time()
        for _ in range(count):
            await execute(sql, params)
            await fetchall()
        return time.process_time() - cpu, time.perf_counter() - wall

    def versions(self) -> str:
        return _howdah_version(" on plain asyncio")


DRIVERS: dict[str, Callable[[Params], Any]] = {
    driver.name: driver for driver in (Psycopg3, Psycopg2, Asyncpg, Howdah, HowdahAsync, HowdahPure, FloorDriver)
}
PEERS = (Psycopg3.name, Psycopg2.name, Asyncpg.name)


def canonical(rows: list[Any], char_columns: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """Rows as plain tuples of plain values: what must be equal between drivers, type for type.

    Four spellings of one value are allowed: Record for tuple, memoryview for bytes (psycopg2), a UUID
    subclass and bytes for type "char" (asyncpg). Timestamps with time zone are compared as instants.
    """

    def plain(value: Any, is_char: bool) -> Any:
        if isinstance(value, memoryview):
            return bytes(value)
        if isinstance(value, uuid.UUID):
            return uuid.UUID(int=value.int)
        if isinstance(value, datetime.datetime) and value.tzinfo is not None:
            return value.astimezone(datetime.timezone.utc)
        if is_char and isinstance(value, bytes):
            return value.decode("ascii")
        return value

    return [tuple(plain(value, at in char_columns) for at, value in enumerate(row)) for row in rows]


def _libpq(params: Params) -> Params:
    return {**params, "sslmode": "disable", "gssencmode": "disable", "connect_timeout": CONNECT_TIMEOUT_S}


def _url(params: Params) -> str:
    """The connection string for howdah."""
    password = ":" + quote(params["password"], safe="") if params["password"] else ""
    user, database = quote(params["user"], safe=""), quote(params["dbname"], safe="")
    options = f"sslmode=disable&connect_timeout={CONNECT_TIMEOUT_S}"
    return f"postgresql://{user}{password}@{params['host']}:{params['port']}/{database}?{options}"


def _require_build(howdah: Any, compiled: bool) -> None:
    if bool(howdah.compiled) is not compiled:
        wanted, found = ("compiled", "pure Python") if compiled else ("pure Python", "compiled")
        raise RuntimeError(
            f"this measures the {wanted} howdah, but {os.path.dirname(howdah.__file__)} is {found}: "
            "build it with HOWDAH_BUILD=require, or choose the driver howdah-pure for the other build"
        )


def _howdah_version(suffix: str) -> str:
    import howdah

    return f"howdah {howdah.__version__} ({'compiled' if howdah.compiled else 'pure Python'}){suffix}"


def serve() -> None:
    """The child: take (method, argument) pickles until standard input ends; answer (succeeded, result)."""
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not land between two replies
    child = _Child()
    while True:
        try:
            method, argument = pickle.load(requests)
        except EOFError:
            break
        try:
            reply = pickle.dumps((True, getattr(child, method)(argument)))
        except Exception as error:
            reply = pickle.dumps((False, f"{type(error).__name__}: {error}"))
        replies.write(reply)
        replies.flush()
    child.close()


class _Child:
    """What the parent may ask for, by method name."""

    def __init__(self) -> None:
        self._driver: Any = None

    def open(self, argument: tuple[str, Params]) -> str:
        name, params = argument
        self._driver = DRIVERS[name](params)
        return str(self._driver.versions())

    def answer(self, case_name: str) -> list[tuple[Any, ...]] | int:
        """The rows of a case, to be compared; from the floor, which decodes nothing, how many there are."""
        case = CASES_BY_NAME[case_name]
        self._driver.prepare(case)
        if isinstance(self._driver, FloorDriver):
            return self._driver.count_rows()
        return canonical(self._driver.rows(), case.char_columns)

    def select(self, case_name: str) -> None:
        """Make a case the current one, and run it once unmeasured."""
        self._driver.prepare(CASES_BY_NAME[case_name])
        self._driver.batch(1)

    def batch(self, count: int) -> tuple[float, float]:
        cpu_s, wall_s = self._driver.batch(count)
        return cpu_s, wall_s

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()


if __name__ == "__main__":
    serve()
