# The sync twin of this file is generated from it by tools/unasync.py.
"""AsyncCursor: runs statements and holds their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from howdah._base.cursor import BaseCursor
from howdah._typing import Row
from howdah.core.execute import execute, execute_many, may_repeat
from howdah.errors import Error

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from howdah._async.connection import AsyncConnection
    from howdah._typing import Self

__all__ = ["AsyncCursor"]


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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def execute(
        self,
        query: str | bytes,
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
        self._take(operation)
        return self

    async def executemany(self, query: str | bytes, params_seq: Iterable[Any], *, timeout: float | None = None) -> None:
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
            operation = execute_many(conn._session, query, rows)
            if timeout is not None or conn._timeout is not None:
                conn._limit(operation, timeout)
            await conn._driver.run(operation)
        self._take_many(operation)

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
