"""A query leaves nothing for the collector: cycles would keep its rows until the collector comes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

import howdah
from howdah.errors import DivisionByZero, QueryTimeout

QUERIES = 50


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_async_queries(dsn: str, no_collector: None) -> None:
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        cursor = conn.cursor()
        for number in range(3):
            await cursor.execute("select %s::int8, array[1, 2]", [number])
        gc.collect()
        for number in range(QUERIES):
            await cursor.execute("select %s::int8, array[1, 2]", [number])
            await cursor.fetchall()
        assert gc.collect() < QUERIES


async def test_async_failures(dsn: str, no_collector: None) -> None:
    """An exception and its traceback are a cycle of their own; what must not hang on it is the operation with its rows."""
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        for _ in range(5):
            with pytest.raises(DivisionByZero):
                await conn.execute("select 1 / %s", [0])
            with pytest.raises(QueryTimeout):
                await conn.execute("select pg_sleep(5)", timeout=0.01)
            task = asyncio.ensure_future(conn.execute("select pg_sleep(5)"))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        del task
        await asyncio.sleep(0)  # leaves the callback that has the last answer, and its operation, in hand
        gc.collect()
        left = [thing for thing in gc.get_objects() if type(thing).__name__ in ("Operation", "Waiter")]
        assert not left


def test_sync_queries(dsn: str, no_collector: None) -> None:
    with howdah.connect(dsn, autocommit=True) as conn:
        cursor = conn.cursor()
        for number in range(3):
            cursor.execute("select %s::int8, array[1, 2]", [number])
        gc.collect()
        for number in range(QUERIES):
            cursor.execute("select %s::int8, array[1, 2]", [number])
            cursor.fetchall()
        assert gc.collect() < QUERIES
