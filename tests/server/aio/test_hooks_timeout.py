# The sync twin of this file is generated from it by tools/unasync.py.
"""Hooks and requests that run out of time."""

from __future__ import annotations

from typing import Any

import pytest

import howdah
from howdah import AsyncConnection


class Log:
    def __init__(self) -> None:
        self.records: list[Any] = []

    def query_done(self, record: Any) -> None:
        self.records.append(record)


async def test_timed_out(pg18, no_leaks):
    log = Log()
    async with await AsyncConnection.connect(pg18.dsn, hooks=[log], autocommit=True) as conn:
        with pytest.raises(howdah.errors.QueryTimeout):
            await conn.execute("select pg_sleep(30), %s::int4", [1], timeout=0.3)
        [record] = log.records
        assert record.error is not None and record.rows is None and record.tag is None
        assert record.round_trips == 1 and record.status_after == "idle"
        assert 0.2 < record.duration_s < 20
        cursor = await conn.execute("select %s::int4", [1])
        assert await cursor.fetchall() == [(1,)]
        assert len(log.records) == 2 and log.records[1].error is None
