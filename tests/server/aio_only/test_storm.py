"""Cancellations and timeouts at random moments: an answer always belongs to its question, and the connection lives on.

HOWDAH_SCALE=full tries 20,000.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from tests.kit.properties import scaled

import howdah
from howdah.errors import QueryTimeout

STORM = scaled(1000)
QUERIES = (
    "select %s::int8",
    "select %s::int8 from pg_sleep(0.001)",
    "select %s::int8 from generate_series(1, 2000)",
    "select %s::int8, repeat('x', 100000)",
)


async def ask(conn: howdah.AsyncConnection[Any], query: str, number: int, **how: Any) -> int:
    rows = await (await conn.execute(query, [number], **how)).fetchall()
    values = {row[0] for row in rows}
    assert len(values) == 1
    return int(values.pop())


@pytest.mark.heavy
@pytest.mark.parametrize("autocommit", [True, False])
async def test_random_cancellations_and_timeouts(dsn: str, no_leaks: None, autocommit: bool) -> None:
    chance = random.Random(autocommit)
    left = {"answered": 0, "cancelled": 0, "timed out": 0, "lost": 0}
    conn = await howdah.AsyncConnection.connect(dsn, autocommit=autocommit)
    for number in range(1, STORM // 2 + 1):
        query = chance.choice(QUERIES)
        delay_s = chance.choice([0.0, chance.random() * 0.001, chance.random() * 0.004])
        try:
            how = chance.randrange(3)
            if how == 0:
                task = asyncio.ensure_future(ask(conn, query, number))
                await asyncio.sleep(delay_s)
                task.cancel()
                assert await task == number
            elif how == 1:
                assert await asyncio.wait_for(ask(conn, query, number), delay_s + 1e-6) == number
            else:
                assert await ask(conn, query, number, timeout=delay_s + 1e-6) == number
            left["answered"] += 1
        except asyncio.CancelledError:
            left["cancelled"] += 1
        except QueryTimeout:
            left["timed out"] += 1
        except asyncio.TimeoutError:
            left["timed out"] += 1
        if conn.closed:
            # a clean-up after a deadline may take longer than its grace on a busy machine: then it is closed, and says so
            left["lost"] += 1
            await conn.close()
            conn = await howdah.AsyncConnection.connect(dsn, autocommit=autocommit)
        elif not autocommit:
            await conn.rollback()
        assert await ask(conn, QUERIES[0], -number) == -number
        if not autocommit:
            await conn.commit()
    await conn.close()
    assert left["cancelled"] and left["timed out"], left
    assert left["lost"] <= STORM // 50, left


@pytest.mark.heavy
async def test_many_tasks_on_one_connection(dsn: str, no_leaks: None) -> None:
    """Sixteen tasks take turns; each is cancelled now and then, waiting or served."""
    chance = random.Random(16)
    counted = {"answered": 0, "cancelled": 0}
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:

        async def client(name: int) -> None:
            for number in range(STORM // 32):
                value = name * 1_000_000 + number
                task = asyncio.ensure_future(ask(conn, chance.choice(QUERIES[:3]), value))
                if chance.random() < 0.5:
                    asyncio.get_running_loop().call_later(chance.random() * 0.02, task.cancel)
                try:
                    assert await task == value
                    counted["answered"] += 1
                except asyncio.CancelledError:
                    counted["cancelled"] += 1

        await asyncio.gather(*(client(name) for name in range(16)))
        assert not conn.closed
        assert await ask(conn, QUERIES[0], 5) == 5
    assert counted["answered"] and counted["cancelled"], counted
