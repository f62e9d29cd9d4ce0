# The sync twin of this file is generated from it by tools/unasync.py.
"""AsyncStream: the rows of a result as they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from howdah._typing import Row
from howdah.core.execute import run_sql
from howdah.core.portal import FIRST_ROWS, close_portal, fetch_portal, next_size, open_portal
from howdah.core.session import STATUS_IDLE
from howdah.errors import Error, InterfaceError, ProgrammingError

if TYPE_CHECKING:
    from types import TracebackType

    from howdah._async.cursor import AsyncCursor
    from howdah._typing import Query, Self

__all__ = ["AsyncStream"]

NOT_BEGUN, OPEN, OVER, TAKEN = range(4)


class AsyncStream(Generic[Row]):
    """The rows of one statement, fetched in pieces while they are iterated over; made by ``AsyncCursor.stream()``.

    No more than one piece is in memory. ``aclose()``, or the end of a ``with`` block, ends it early. While it is open it
    is ``conn._active``; any other use of the connection ends it first, and the stream then raises InterfaceError.
    """

    def __init__(
        self,
        cursor: AsyncCursor[Row],
        query: Query,
        params: Any,
        binary: bool,
        size: int | None,
        timeout: float | None,
    ) -> None:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ProgrammingError("size must be a number of rows, 1 or more, or None for as many as fill a megabyte")
        self._cursor = cursor
        self._conn: Any = cursor._conn
        self._request = (query, params, binary)
        self._size = size
        self._timeout = timeout
        self._state = NOT_BEGUN
        self._first: Any = None
        self._plan: Any = None
        self._rows: list[Any] = []
        self._position = 0
        self._next = size or FIRST_ROWS
        self._suspended = False
        self._own_transaction = False
        self._lock: Any = None
        self._busy = False

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __anext__(self) -> Row:
        if self._position == len(self._rows):
            await self._fill()
        row = self._rows[self._position]
        self._position += 1
        cursor = self._cursor
        return row if cursor._plain else cursor._make(row)  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Ends the stream; rows not yet read are never sent. In autocommit its statement is rolled back. Twice does no harm."""
        self._rows = []
        self._position = 0
        if self._state == OPEN:
            if not self._own_transaction:
                await self._close_portal()
            await self._end(b"ROLLBACK")
        elif self._state == NOT_BEGUN:
            self._state = OVER

    # -- the pieces

    async def _fill(self) -> None:
        """Fetches pieces until there is a row. Raises StopAsyncIteration at the end."""
        self._rows = []
        self._position = 0
        if self._state == NOT_BEGUN:
            await self._begin()
        while not self._rows:
            if self._state == TAKEN:
                raise InterfaceError("the stream was ended: its connection was used for something else")
            if self._state == OVER:
                raise StopAsyncIteration
            if self._suspended:
                await self._run(fetch_portal, self._first, self._plan, self._next)
            else:
                await self._end(b"COMMIT")

    async def _begin(self) -> None:
        conn = self._conn
        cursor = self._cursor
        cursor._reset()
        lock = conn._lock
        await lock.__aenter__()
        self._own_transaction = conn.autocommit and conn._session.transaction_status == STATUS_IDLE
        self._lock = lock
        self._state = OPEN
        conn._active = self
        conn._lock = AsyncActiveLock(self)
        if not self._own_transaction:
            await lock.__aexit__(None, None, None)
        query, params, binary = self._request
        self._request = ("", None, False)
        try:
            operation = await self._run(open_portal, query, params, binary, self._next)
            cursor._take(operation)
            cursor._rows = []
            if self._plan is None:
                raise ProgrammingError("the statement returns no rows to stream: use execute()")
        except BaseException:
            if self._state == OPEN:
                await self._end(b"ROLLBACK")
            raise

    async def _run(self, write: Any, *args: Any) -> Any:
        """One request: the next rows, and whether more are to come. An error ends the stream."""
        conn = self._conn
        if not self._own_transaction:
            await self._lock.__aenter__()
        self._busy = True
        try:
            operation = write(conn._session, *args)
            if self._timeout is not None or conn._timeout is not None:
                conn._limit(operation, self._timeout)
            await conn._driver.run(operation)
        except BaseException as error:
            self._busy = False
            if isinstance(error, Error):
                self._cursor._hear(error)
            if not self._own_transaction:
                await self._lock.__aexit__(None, None, None)
            await self._end(b"ROLLBACK")
            raise
        self._busy = False
        if not self._own_transaction:
            await self._lock.__aexit__(None, None, None)
        result = operation.results[-1]
        if self._first is None:
            self._first = operation
            self._plan = result.plan
        self._suspended = result.suspended
        self._rows = result.sink.taken()
        if self._size is None:
            self._next = next_size(len(self._rows), operation.bytes_in)
        return operation

    async def _close_portal(self) -> None:
        session = self._conn._session
        if session.closed or not self._suspended:
            return
        async with self._lock:
            await self._conn._driver.run(close_portal(session))

    async def _end(self, sql: bytes) -> None:
        """Gives the connection back, after the end of the stream's own transaction if it has one."""
        conn = self._conn
        if self._state != OPEN:
            return
        self._state = OVER
        conn._active = None
        conn._lock = self._lock
        if self._own_transaction:
            try:
                if not conn._session.closed and conn._session.transaction_status != STATUS_IDLE:
                    await conn._driver.run(run_sql(conn._session, sql))
            finally:
                await self._lock.__aexit__(None, None, None)

    async def _taken(self) -> None:
        """Somebody else uses the connection."""
        if self._busy:
            raise InterfaceError("a stream of this connection is fetching; code called during it cannot use it")
        self._rows = []
        self._position = 0
        await self._end(b"ROLLBACK")
        self._state = TAKEN


class AsyncActiveLock:
    """Stands in the connection's lock while a stream is open, so that whoever wants the connection ends the stream first."""

    def __init__(self, stream: AsyncStream[Any]) -> None:
        self._stream = stream
        self._lock = stream._lock

    async def __aenter__(self) -> None:
        stream = self._stream
        if not stream._busy and stream._conn._active is stream:
            await stream._taken()
        await self._lock.__aenter__()
        if not stream._busy and stream._conn._active is stream:
            await stream._taken()  # it was fetching when we came

    async def __aexit__(self, *exc: Any) -> None:
        await self._lock.__aexit__(*exc)
