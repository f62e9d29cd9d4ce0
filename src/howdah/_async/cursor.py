# The sync twin of this file is generated from it by tools/unasync.py.
"""AsyncCursor: runs statements and holds their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from howdah._base.cursor import FIND_ROUTINE, BaseCursor
from howdah._typing import Row
from howdah.core.execute import execute, execute_many, may_repeat
from howdah.errors import Error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from howdah._async.connection import AsyncConnection
    from howdah._async.stream import AsyncStream
    from howdah._typing import Query, Self

__all__ = ["AsyncCursor", "AsyncResults"]

AnyCursor = TypeVar("AnyCursor", bound=BaseCursor[Any])


class AsyncCursor(BaseCursor[Row]):
    """Runs statements on its connection and holds what they returned (PEP 249)."""

    _conn: AsyncConnection[Any]

    @property
    def connection(self) -> AsyncConnection[Any]:
        """The connection the cursor belongs to."""
        return self._conn

    async def close(self) -> None:
        """Closes the cursor and lets its rows go. Closing twice does no harm."""
        self._closed = True
        self._results = self._result = None
        self._rows = []
        self._messages = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def execute(
        self,
        query: Query,
        params: Any = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Runs ``query`` and waits for its result.

        ``params`` is a sequence for ``%s`` placeholders or a mapping for ``%(name)s``; they are sent apart from the text
        and can never become SQL. ``prepare``: True prepares the statement on the server now, False never; None by the
        connection's ``prepare_threshold``. ``binary``: results in binary format. ``timeout``: seconds the statement may take, by
        default the connection's ``timeout``.

        Raises the class of the SQLSTATE that the server reports (howdah.errors), QueryTimeout, and DataError or
        ProgrammingError for parameters that cannot be sent, before anything is.
        """
        conn = self._conn
        self._reset()
        async with conn._lock:
            try:
                operation = execute(conn._session, query, params, self._binary if binary is None else binary, prepare)
                if timeout is not None or conn._timeout is not None:
                    conn._limit(operation, timeout)
                try:
                    await conn._driver.run(operation)
                except Error:
                    if not may_repeat(conn._session, operation):
                        raise
                    refused = operation
                    operation = execute(conn._session, query, params, False, prepare)
                    operation.timeout_s, operation.deadline = refused.timeout_s, refused.deadline
                    await conn._driver.run(operation)
            except Error as error:
                self._hear(error)
                raise
        self._take(operation)
        return self

    async def executemany(self, query: Query, params_seq: Iterable[Any], *, timeout: float | None = None) -> None:
        """Runs ``query`` once with each of the parameters, in one pipeline: one round trip for all.

        ``rowcount`` is then the sum; rows that the statements return are not kept. The first error ends the run, and
        nothing of the batch stays (outside a transaction the batch is one). ``timeout``: seconds for all of it.
        """
        conn = self._conn
        self._reset()
        rows = list(params_seq)
        if not rows:
            self._rowcount = 0
            return
        async with conn._lock:
            try:
                operation = execute_many(conn._session, query, rows)
                if timeout is not None or conn._timeout is not None:
                    conn._limit(operation, timeout)
                await conn._driver.run(operation)
            except Error as error:
                self._hear(error)
                raise
        self._take_many(operation)

    def stream(
        self,
        query: Query,
        params: Any = None,
        *,
        binary: bool | None = None,
        size: int | None = None,
        timeout: float | None = None,
    ) -> AsyncStream[Row]:
        """The rows of ``query`` one by one, fetched in pieces as they are used: memory stays flat, the server waits.

        ``size``: how many rows a piece has; by default as many as fill a megabyte. A piece costs a round trip.
        ``timeout``: seconds a piece may take. Inside a transaction the rows are part of it; in autocommit the stream has a
        transaction of its own, committed with the last row and rolled back when it is left early. Any other use of the
        connection ends the stream. Raises as execute() does, when the first row is asked for.
        """
        from howdah._async.stream import AsyncStream

        return AsyncStream(self, query, params, self._binary if binary is None else binary, size, timeout)

    async def callproc(self, procname: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Calls a function (``SELECT * FROM``) or a procedure (``CALL``) and returns the parameters as it left them (PEP 249).

        ``procname`` is read as SQL reads a name: ``schema.name``, quotes for capitals. A function's result is there to be
        fetched; of a procedure the INOUT and OUT parameters, which are given as None, are also in the list returned.
        What the name stands for is asked of the server first: two round trips.
        """
        values = list(parameters)
        await self.execute(FIND_ROUTINE, (procname,), binary=False)
        found = self._routine(procname, len(values))
        await self.execute(found.sql, values)
        return found.outcome(values, self)

    async def scroll(self, value: int, mode: str = "relative") -> None:
        """Moves to another row of the result: ``value`` rows on ("relative") or to row ``value`` from 0 ("absolute").

        Raises IndexError, and stays, when there is no such row (PEP 249).
        """
        self._scroll(value, mode)

    async def set_result(self, index: int) -> Self:
        """Goes to the result ``index`` of a query with several statements; negative counts from the end."""
        self._set_result(index)
        return self

    def results(self) -> AsyncResults[Self]:
        """Goes over the results of a query with several statements, the present one first; each time gives the cursor."""
        return AsyncResults(self)

    async def fetchone(self) -> Row | None:
        """The next row, None behind the last one."""
        return self._fetchone()

    async def fetchmany(self, size: int = 0) -> list[Row]:
        """The next ``size`` rows, ``arraysize`` by default; fewer at the end."""
        return self._fetchmany(size)

    async def fetchall(self) -> list[Row]:
        """All rows not yet fetched."""
        return self._fetchall()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        row = self._fetchone()
        if row is None:
            raise StopAsyncIteration
        return row


class AsyncResults(Generic[AnyCursor]):
    """The results of a cursor, one after the other (``AsyncCursor.results()``)."""

    def __init__(self, cursor: AnyCursor) -> None:
        self._cursor = cursor
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnyCursor:
        cursor = self._cursor
        if not self._begun:
            self._begun = True
            if cursor._result is not None:
                return cursor
        elif cursor.nextset():
            return cursor
        raise StopAsyncIteration
