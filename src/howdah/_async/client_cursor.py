# The sync twin of this file is generated from it by tools/unasync.py.
"""Cursors that bind otherwise: on the client, or with PostgreSQL's own placeholders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from howdah._async.cursor import AsyncCursor
from howdah._typing import Row
from howdah.core.binding import mogrify
from howdah.core.query import read_raw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from howdah._typing import Query, Self

__all__ = ["AsyncClientCursor", "AsyncRawCursor"]


class AsyncClientCursor(AsyncCursor[Row]):
    """A cursor that writes the parameters into the text, for what the server takes no parameters for.

    Values are written as ``sql.Literal`` writes them. Several statements in one text may then have parameters.
    """

    def mogrify(self, query: Query, params: Any = None) -> str:
        """The text that execute() would send. Raises DataError or ProgrammingError for what cannot be written."""
        return mogrify(self._session, query, params)

    async def execute(
        self,
        query: Query,
        params: Any = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Runs ``query`` with its parameters written into it; otherwise as AsyncCursor.execute()."""
        text = mogrify(self._session, query, params)
        return await super().execute(text, None, prepare=prepare, binary=binary, timeout=timeout)

    async def executemany(self, query: Query, params_seq: Iterable[Any], *, timeout: float | None = None) -> None:
        """Runs ``query`` with each of the parameters written into it, one after the other; ``rowcount`` is the sum."""
        count = 0
        for params in params_seq:
            await self.execute(query, params, timeout=timeout)
            count = -1 if count < 0 or self.rowcount < 0 else count + self.rowcount
        self._reset()
        self._rowcount = count


class AsyncRawCursor(AsyncCursor[Row]):
    """A cursor whose placeholders are PostgreSQL's: ``$1``, ``$2``; a percent sign is just that."""

    async def execute(
        self,
        query: Query,
        params: Any = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Runs ``query``; ``params`` is a sequence for ``$1`` and so on. Otherwise as AsyncCursor.execute()."""
        read: Any = query if params is None else read_raw(query, self._session.backslashes)
        return await super().execute(read, params, prepare=prepare, binary=binary, timeout=timeout)

    async def executemany(self, query: Query, params_seq: Iterable[Any], *, timeout: float | None = None) -> None:
        """Runs ``query`` once with each of the sequences, in one pipeline, as AsyncCursor.executemany()."""
        read: Any = read_raw(query, self._session.backslashes)
        await super().executemany(read, params_seq, timeout=timeout)
