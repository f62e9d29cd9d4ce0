# The sync twin of this file is generated from it by tools/unasync.py.
"""AsyncConnection: one session with a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from howdah._async._pair import Driver, Lock, SettableProperties, open_driver
from howdah._async.cursor import AsyncCursor
from howdah._base.connection import BaseConnection, IsolationLevel
from howdah._typing import Row
from howdah.config.conninfo import target_of
from howdah.core.execute import run_sql
from howdah.core.session import STATUS_IDLE, Session
from howdah.errors import Error
from howdah.rows import TupleRow, tuple_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from howdah._async.server_cursor import AsyncServerCursor
    from howdah._typing import Query, Self
    from howdah.config.conninfo import Target
    from howdah.hooks import Hook
    from howdah.rows import RowFactory

__all__ = ["AsyncConnection"]

# the rows of one cursor, where they are not the connection's
CursorRow = TypeVar("CursorRow")


class AsyncConnection(BaseConnection[Row], SettableProperties):
    """A session with a PostgreSQL server.

    Made by ``await AsyncConnection.connect(...)``. As a context manager it commits when the block ends well, rolls back
    when it raises, and closes either way.
    """

    _driver: Driver
    cursor_factory: type[AsyncCursor[Any]]
    # what cursor(name) makes; None is AsyncServerCursor
    server_cursor_factory: type[AsyncServerCursor[Any]] | None = None

    def __init__(self, session: Session, target: Target, row_factory: RowFactory[Row]) -> None:
        super().__init__(session, target)
        self.row_factory = row_factory
        self.cursor_factory = AsyncCursor
        self._lock = Lock()

    @overload
    @classmethod
    async def connect(
        cls,
        conninfo: str = "",
        *,
        autocommit: bool = False,
        prepare_threshold: int | None = 1,
        timeout: float | None = None,
        hooks: Sequence[Hook] = (),
        row_factory: RowFactory[CursorRow],
        cursor_factory: type[AsyncCursor[Any]] | None = None,
        **kwargs: Any,
    ) -> AsyncConnection[CursorRow]: ...

    @overload
    @classmethod
    async def connect(
        cls,
        conninfo: str = "",
        *,
        autocommit: bool = False,
        prepare_threshold: int | None = 1,
        timeout: float | None = None,
        hooks: Sequence[Hook] = (),
        row_factory: None = None,
        cursor_factory: type[AsyncCursor[Any]] | None = None,
        **kwargs: Any,
    ) -> AsyncConnection[TupleRow]: ...

    @classmethod
    async def connect(
        cls,
        conninfo: str = "",
        *,
        autocommit: bool = False,
        prepare_threshold: int | None = 1,
        timeout: float | None = None,
        hooks: Sequence[Hook] = (),
        row_factory: RowFactory[Any] | None = None,
        cursor_factory: type[AsyncCursor[Any]] | None = None,
        **kwargs: Any,
    ) -> AsyncConnection[Any]:
        """Opens a connection.

        ``conninfo`` is a URI (``postgresql://user:password@host:port/dbname``) or ``key=value`` pairs; keyword arguments
        (host, port, dbname, user, password, connect_timeout, ...) come on top of it. ``connect_timeout`` is in seconds and
        covers name look-up, TCP and authentication together; 10 by default, 0 for no limit. ``timeout``: how long each
        statement may take, in seconds; None for no limit. ``hooks`` are told what the connection does
        (howdah.hooks).

        Raises ProgrammingError for settings that cannot be read, ConnectionTimeout, or OperationalError with the reason
        for each address that was tried; what the server said comes as the class of its SQLSTATE.
        """
        target = target_of(conninfo, kwargs)
        session = Session()
        self = cls(session, target, cast(Any, row_factory or tuple_row))
        self.prepare_threshold = prepare_threshold
        self.timeout = timeout
        if cursor_factory is not None:
            self.cursor_factory = cursor_factory
        self._compose_begin(bool(autocommit))
        if hooks:
            self._watch(hooks)
        try:
            self._driver = await open_driver(target, session, self._news())
        except BaseException as exc:
            self._connect_failed(exc)
            raise
        if self._recorder is not None:
            self._connect_done()
        return self

    async def close(self) -> None:
        """Closes the connection; an open transaction is rolled back by the server. Closing twice does no harm."""
        self._begin_call()
        if self._closed:
            return
        if self._pool is not None and self._pool._takes_back(self):
            await self._pool.putconn(self)
            return
        self._hang_up()
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._closed:
            return
        try:
            if exc_type is None:
                await self.commit()
            elif not self._session.closed:
                try:
                    await self.rollback()
                except Error:
                    pass  # the connection is lost, so nothing stays; the program's own error is what it has to hear
        finally:
            await self.close()

    @overload
    def cursor(
        self, name: str, *, binary: bool = False, scrollable: bool | None = None, withhold: bool = False
    ) -> AsyncServerCursor[Row]: ...

    @overload
    def cursor(
        self,
        name: str,
        *,
        binary: bool = False,
        row_factory: RowFactory[CursorRow],
        scrollable: bool | None = None,
        withhold: bool = False,
    ) -> AsyncServerCursor[CursorRow]: ...

    @overload
    def cursor(self, *, binary: bool = False) -> AsyncCursor[Row]: ...

    @overload
    def cursor(self, *, binary: bool = False, row_factory: RowFactory[CursorRow]) -> AsyncCursor[CursorRow]: ...

    def cursor(
        self,
        name: str = "",
        *,
        binary: bool = False,
        row_factory: RowFactory[Any] | None = None,
        scrollable: bool | None = None,
        withhold: bool = False,
    ) -> AsyncCursor[Any]:
        """A new cursor. ``binary``: results in binary format from the first use, of types howdah does not know as bytes.

        With a ``name`` it is one that the server keeps (AsyncServerCursor, or ``server_cursor_factory``): ``scrollable`` and
        ``withhold`` as DECLARE has them.
        """
        if self._closed or self._session.closed:
            self._check_open()
        if self._messages:
            self._begin_call()
        if name:
            return self._server_cursor(name, binary, row_factory, scrollable, withhold)
        # a keyword costs a dict for each cursor
        cursor = (
            self.cursor_factory(self) if row_factory is None else self.cursor_factory(self, row_factory=row_factory)
        )
        cursor._binary = binary
        return cursor

    def _server_cursor(
        self, name: str, binary: bool, row_factory: Any, scrollable: bool | None, withhold: bool
    ) -> AsyncServerCursor[Any]:
        factory = self.server_cursor_factory
        if factory is None:
            from howdah._async.server_cursor import AsyncServerCursor

            factory = AsyncServerCursor
        cursor: AsyncServerCursor[Any] = factory(
            self, name, row_factory=row_factory, scrollable=scrollable, withhold=withhold
        )
        cursor._binary = binary
        return cursor

    async def execute(
        self,
        query: Query,
        params: Any = None,
        *,
        prepare: bool | None = None,
        binary: bool = False,
        timeout: float | None = None,
    ) -> AsyncCursor[Row]:
        """Runs one statement on a new cursor, and returns the cursor."""
        cursor = self.cursor(binary=binary)
        return await cursor.execute(query, params, prepare=prepare, timeout=timeout)

    async def commit(self) -> None:
        """Commits the transaction, if one is open. Waits for the server's word."""
        await self._end_transaction(b"COMMIT")

    async def rollback(self) -> None:
        """Rolls the transaction back, if one is open."""
        await self._end_transaction(b"ROLLBACK")

    async def _end_transaction(self, sql: bytes) -> None:
        async with self._lock:
            self._begin_call()
            self._check_open()
            if self._session.transaction_status != STATUS_IDLE:
                operation = run_sql(self._session, sql)
                if self._timeout is not None:
                    self._limit(operation, None)
                try:
                    await self._driver.run(operation)
                except Error as error:
                    self._note_error(error)
                    raise
                finally:
                    if self._unclaimed:
                        self._unclaimed.clear()  # they are no cursor's

    async def set_autocommit(self, value: bool) -> None:
        """Sets ``autocommit``; only outside a transaction."""
        async with self._lock:
            self._set("autocommit", value)

    async def set_isolation_level(self, value: IsolationLevel | None) -> None:
        """Sets ``isolation_level``; only outside a transaction."""
        async with self._lock:
            self._set("isolation_level", value)

    async def set_read_only(self, value: bool | None) -> None:
        """Sets ``read_only``; only outside a transaction."""
        async with self._lock:
            self._set("read_only", value)

    async def set_deferrable(self, value: bool | None) -> None:
        """Sets ``deferrable``; only outside a transaction."""
        async with self._lock:
            self._set("deferrable", value)
