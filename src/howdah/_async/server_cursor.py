# The sync twin of this file is generated from it by tools/unasync.py.
"""AsyncServerCursor: a cursor that the server keeps (PostgreSQL manual, DECLARE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from howdah._async.cursor import AsyncCursor
from howdah._typing import Row
from howdah.core.execute import execute
from howdah.core.literal import quoted_name
from howdah.core.query import read_query, read_raw
from howdah.core.session import STATUS_IDLE, STATUS_IN_TRANSACTION
from howdah.errors import Error, NotSupportedError, ProgrammingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from howdah._async.connection import AsyncConnection
    from howdah._typing import Query, Self
    from howdah.rows import RowFactory

__all__ = ["AsyncRawServerCursor", "AsyncServerCursor"]

FIND = "SELECT 1 FROM pg_catalog.pg_cursors WHERE name operator(pg_catalog.=) %s::pg_catalog.text"


class AsyncServerCursor(AsyncCursor[Row]):
    """A cursor with a name, kept by the server: execute() declares it, the fetches bring the rows they ask for.

    ``scrollable``: True declares it SCROLL, False NO SCROLL, None leaves it to the server. ``withhold``: it outlives its
    transaction (WITH HOLD); without that it needs one. Iteration fetches ``itersize`` rows at a time. A cursor that the
    server has already, of a function that returns a refcursor, is fetched from without execute().
    """

    # rows that iteration fetches at a time
    itersize = 100

    def __init__(
        self,
        connection: AsyncConnection[Any],
        name: str,
        *,
        row_factory: RowFactory[Row] | None = None,
        scrollable: bool | None = None,
        withhold: bool = False,
    ) -> None:
        super().__init__(connection, row_factory=row_factory)
        if not isinstance(name, str) or not name:
            raise ProgrammingError("a server-side cursor needs a name")
        self._name = name
        self._quoted = quoted_name(name)
        self._scrollable = scrollable
        self._withhold = withhold
        self._declared = False
        self._number = 0

    @property
    def name(self) -> str:
        """The cursor's name on the server."""
        return self._name

    @property
    def scrollable(self) -> bool | None:
        """Whether it was asked to be scrollable; None leaves it to the server."""
        return self._scrollable

    @property
    def withhold(self) -> bool:
        """Whether it outlives its transaction."""
        return self._withhold

    @property
    def rownumber(self) -> int | None:
        """The index of the next row, None before the first result is known."""
        return None if self._result is None else self._number

    @property
    def rowcount(self) -> int:
        """-1: how many rows there are is not known before they are fetched."""
        return -1

    async def execute(
        self,
        query: Query,
        params: Any = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Declares the cursor for ``query``; one that it declared before is closed. Two round trips, no rows yet.

        Raises NoActiveSqlTransaction in autocommit, unless the cursor is ``withhold``; otherwise as AsyncCursor.execute().
        """
        self._check_open()
        if self._declared:
            await self._close_declared()
        if binary is not None:
            self._binary = binary
        words = "DECLARE " + self._quoted
        if self._scrollable is not None:
            words += " SCROLL" if self._scrollable else " NO SCROLL"
        words += " CURSOR WITH HOLD FOR " if self._withhold else " CURSOR FOR "
        text, values = self._declaration(query, params)
        self._forget_rows()
        await self._command(read_raw(words + text, self._session.backslashes), values, False, timeout)
        self._declared = True
        await self._fetch("FORWARD 0", timeout)
        self._rows = []
        self._number = 0
        return self

    def _declaration(self, query: Query, params: Any) -> tuple[str, list[Any] | None]:
        """The text with ``$n``, and its values."""
        read = read_query(query, params is not None, self._session.backslashes)
        if not read.single:
            raise ProgrammingError("a cursor is declared for one statement")
        if params is None:
            params = read.bound
        return read.sql.decode("utf-8"), None if params is None else read.values(params)

    async def executemany(self, query: Query, params_seq: Iterable[Any], *, timeout: float | None = None) -> None:
        """Raises NotSupportedError: a server-side cursor has one query."""
        raise NotSupportedError("a server-side cursor runs one query: use a cursor without a name")

    def stream(
        self,
        query: Query,
        params: Any = None,
        *,
        binary: bool | None = None,
        size: int | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Raises NotSupportedError: iterating over a server-side cursor streams already."""
        raise NotSupportedError(
            "a server-side cursor streams by itself: iterate over it, or use a cursor without a name"
        )

    async def fetchone(self) -> Row | None:
        """The next row, None when there is none."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int = 0) -> list[Row]:
        """The next ``size`` rows (0: ``arraysize``), fewer at the end."""
        self._check_open()
        if size < 0:
            raise ProgrammingError("fetchmany takes a number of rows, 0 or more")
        size = size or self.arraysize
        rows = self._rows[self._position : self._position + size]
        self._position += len(rows)
        if len(rows) < size:
            await self._fetch(f"FORWARD {size - len(rows)}", None)
            rows = rows + self._rows
            self._position = len(self._rows)
        self._number += len(rows)
        return rows if self._plain else [self._make(row) for row in rows]

    async def fetchall(self) -> list[Row]:
        """All rows that are left."""
        self._check_open()
        rows = self._rows[self._position :]
        await self._fetch("FORWARD ALL", None)
        rows = rows + self._rows
        self._position = len(self._rows)
        self._number += len(rows)
        return rows if self._plain else [self._make(row) for row in rows]

    async def __anext__(self) -> Row:
        if self._position == len(self._rows):
            self._check_open()
            await self._fetch(f"FORWARD {self.itersize}", None)
            if not self._rows:
                raise StopAsyncIteration
        row = self._rows[self._position]
        self._position += 1
        self._number += 1
        return row if self._plain else self._make(row)  # type: ignore[no-any-return]

    async def scroll(self, value: int, mode: str = "relative") -> None:
        """Moves the cursor on the server (MOVE): ``value`` rows on, or to row ``value`` from 0; backwards if scrollable.

        Where no row is, the cursor stands before the first or behind the last; that is no error, as in psycopg 3.
        """
        self._check_open()
        if mode == "relative":
            ahead = len(self._rows) - self._position
            target = f"RELATIVE {int(value) - ahead}"
            number = self._number + value
        elif mode == "absolute":
            target = f"ABSOLUTE {int(value)}"
            number = value
        else:
            raise ValueError(f"the mode of scroll() is 'relative' or 'absolute', not {mode!r}")
        self._rows = []
        self._position = 0
        await self._command(f"MOVE {target} FROM {self._quoted}", None, False, None)
        self._number = max(number, 0)

    async def close(self) -> None:
        """Closes the cursor here and, if it is still there, on the server. Closing twice does no harm."""
        if self._closed:
            return
        if not self._conn.closed:
            await self._close_declared()
        self._forget_rows()
        await super().close()

    # -- on the server

    async def _close_declared(self) -> None:
        """CLOSE, where it can be: a transaction that ended took the cursor with it, and an error in one would cost it."""
        status = self._session.transaction_status
        self._declared = False
        if status == STATUS_IN_TRANSACTION or (status == STATUS_IDLE and self._withhold):
            found = await self._command(FIND, (self._name,), False, None)
            if found.results[-1].sink.taken():
                await self._command("CLOSE " + self._quoted, None, False, None)

    def _forget_rows(self) -> None:
        self._reset()
        self._rows = []
        self._position = 0

    async def _fetch(self, what: str, timeout: float | None) -> None:
        """FETCH: its rows are the cursor's, from the first."""
        operation = await self._command(f"FETCH {what} FROM {self._quoted}", None, self._binary, timeout)
        self._take(operation)
        self._position = 0

    async def _command(self, query: Any, params: Any, binary: bool, timeout: float | None) -> Any:
        conn = self._conn
        async with conn._lock:
            try:
                operation = execute(conn._session, query, params, binary, False)
                if timeout is not None or conn._timeout is not None:
                    conn._limit(operation, timeout)
                await conn._driver.run(operation)
            except Error as error:
                self._hear(error)
                raise
        return operation


class AsyncRawServerCursor(AsyncServerCursor[Row]):
    """A server-side cursor whose placeholders are PostgreSQL's: ``$1``, ``$2``."""

    def _declaration(self, query: Query, params: Any) -> tuple[str, list[Any] | None]:
        read = read_raw(query, self._session.backslashes)
        if not read.single:
            raise ProgrammingError("a cursor is declared for one statement")
        return read.text, None if params is None else read.values(params)
