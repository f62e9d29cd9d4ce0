"""Hooks and a request whose task is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from howdah import AsyncConnection


class Log:
    def __init__(self) -> None:
        self.records: list[Any] = []

    def query_done(self, record: Any) -> None:
        self.records.append(record)


async def test_cancelled(pg18, no_leaks):
    log = Log()
    async with await AsyncConnection.connect(pg18.dsn, hooks=[log], autocommit=True) as conn:
        task = asyncio.ensure_future(conn.execute("select pg_sleep(30), %s::int4", [1]))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [record] = log.records
        assert record.error == "CancelledError" or record.sqlstate == "57014"
        assert record.rows is None and record.done_s is not None and 0.2 < record.duration_s < 20
        cursor = await conn.execute("select %s::int4", [1])
        assert await cursor.fetchall() == [(1,)]
        assert len(log.records) == 2
