"""Tasks that are cancelled while they wait for a connection, hold one, or give it back: nothing is lost, doubled or stranded."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import Any

import pytest
from tests.unit.test_pool_state import check_books

import howdah
from howdah import errors

FULL = os.environ.get("HOWDAH_SCALE") == "full"
WANTED = {"direct": 20_000, "group": 20_000} if FULL else {"direct": 1_500, "group": 1_500}


async def sure_of(pool: Any, size: int) -> None:
    """The pool is at its size again, and every connection answers the question it was asked."""
    began = time.monotonic()
    while True:
        stats = pool.get_stats()
        if stats["pool_size"] == stats["pool_available"] == size and not stats["requests_waiting"]:
            break
        assert time.monotonic() - began < 3.0, stats
        await asyncio.sleep(0.005)
    conns = [await pool.getconn(timeout=3.0) for _ in range(size)]
    for number, conn in enumerate(conns):
        cursor = await conn.execute("select %s::int", [number])
        assert await cursor.fetchall() == [(number,)]
        await pool.putconn(conn)
    check_books(pool._state)


@pytest.mark.parametrize("way", ["direct", "group"])
@pytest.mark.parametrize("size", [4, 1])
async def test_cancelled_at_any_time(way: str, size: int, dsn: str, no_leaks: None) -> None:
    chance = random.Random(size)
    wrong = 0
    done = cancelled = 0

    async with howdah.AsyncConnectionPool(dsn, min_size=size, open=False) as pool:
        await pool.wait()

        async def ask(mark: int) -> None:
            nonlocal wrong, done
            async with pool.connection() as conn:
                cursor = await conn.execute("select %s::int, repeat('x', %s)", [mark, mark % 3000])
                row = await cursor.fetchone()
                wrong += row != (mark, "x" * (mark % 3000))
                done += 1

        async def victim(mark: int) -> None:
            nonlocal cancelled
            task = asyncio.ensure_future(ask(mark))
            await asyncio.sleep(chance.random() * (0.004 if way == "direct" else 0.02))
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cancelled += 1

        asked = 0
        width = 16 if way == "direct" else 400
        while asked < WANTED[way] // (1 if size == 4 else 2):
            await asyncio.gather(*(victim(asked + number) for number in range(width)))
            asked += width
        assert wrong == 0
        assert cancelled > asked // 20, "the storm was none"
        await sure_of(pool, size)


async def test_a_storm_that_wedged_another_pool(dsn: str, no_leaks: None) -> None:
    """2,000 tasks at once on a pool of 4, each cancelled after 0 to 4 ms."""
    for seed in range(3 if FULL else 1):
        chance = random.Random(seed)
        async with howdah.AsyncConnectionPool(dsn, min_size=4, open=False) as pool:
            await pool.wait()

            async def ask(pool: Any = pool) -> None:
                async with pool.connection() as conn:
                    await conn.execute("select pg_sleep(0.002)")

            tasks = [asyncio.ensure_future(ask()) for _ in range(2000)]
            loop = asyncio.get_running_loop()
            for task in tasks:
                loop.call_later(chance.random() * 0.004, task.cancel)
            outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
            strange = [each for each in outcomes if each is not None and not isinstance(each, asyncio.CancelledError)]
            assert strange == []
            await sure_of(pool, 4)


@pytest.mark.limit_s(180)
async def test_time_outs_and_killed_backends(dsn: str, no_leaks: None) -> None:
    """Callers give up, servers end sessions, and the pool still serves who is left."""
    chance = random.Random(7)
    lasts_s = 60.0 if FULL else 2.0
    counts = {"served": 0, "timed out": 0, "lost": 0}
    async with (
        howdah.AsyncConnectionPool(dsn, min_size=3, max_size=5, open=False) as pool,
        await howdah.AsyncConnection.connect(dsn, autocommit=True) as other,
    ):
        await pool.wait()
        end = time.monotonic() + lasts_s

        async def ask(mark: int) -> None:
            while time.monotonic() < end:
                try:
                    async with pool.connection(timeout=chance.random() * 0.05) as conn:
                        cursor = await conn.execute("select %s::int, pg_sleep(0.002)", [mark])
                        row = await cursor.fetchone()
                        assert row[0] == mark
                        counts["served"] += 1
                except errors.PoolTimeout:
                    counts["timed out"] += 1
                except errors.OperationalError:
                    counts["lost"] += 1

        async def kill() -> None:
            while time.monotonic() < end:
                await asyncio.sleep(0.05)
                await other.execute(
                    "select pg_terminate_backend(pid, 1000) from pg_stat_activity where pid = any(%s)",
                    [
                        [
                            slot.connection.info.backend_pid
                            for slot in list(pool._state.slots)
                            if slot.connection is not None
                        ][:1]
                    ],
                )

        await asyncio.gather(kill(), *(ask(number) for number in range(24)))
        assert counts["served"] > 50 and counts["timed out"] and counts["lost"], counts
        for _ in range(10):
            async with pool.connection(timeout=5.0) as conn:
                cursor = await conn.execute("select 7")
                assert await cursor.fetchone() == (7,)
        check_books(pool._state)


def test_another_event_loop(dsn: str, no_leaks: None) -> None:
    pool = howdah.AsyncConnectionPool(dsn, min_size=1, open=False)

    async def first() -> None:
        await pool.open(wait=True)

    async def second() -> None:
        with pytest.raises(howdah.InterfaceError, match="another event loop"):
            await pool.getconn()

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(first())
        asyncio.run(second())
        loop.run_until_complete(pool.close())
    finally:
        loop.close()
