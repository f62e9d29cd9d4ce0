"""Cancelled tasks: the wait ends at once, the server's query too, and no answer meets another question."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest
from tests.kit.pgmock import PgMock, says_nothing

import howdah
from howdah._async._pair import Lock
from howdah.errors import ConnectionTimeout

PATIENCE_S = 2.0


async def opened(dsn: str, **settings: Any) -> howdah.AsyncConnection[Any]:
    return await howdah.AsyncConnection.connect(dsn, autocommit=True, **settings)


async def active(watcher: howdah.AsyncConnection[Any], pid: int) -> int:
    """1 while the backend runs a statement, else 0."""
    cursor = await watcher.execute("select count(*) from pg_stat_activity where pid = %s and state = 'active'", [pid])
    return int((await cursor.fetchone())[0])


async def until(watcher: howdah.AsyncConnection[Any], pid: int, wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while await active(watcher, pid) != wanted:
        assert time.monotonic() < deadline, f"backend {pid}: still not {wanted} active after {PATIENCE_S:g} s"
        await asyncio.sleep(0.01)


async def answer(conn: howdah.AsyncConnection[Any], number: int, sleep_s: float = 0.0) -> int:
    cursor = await conn.execute("select %s::int8, pg_sleep(%s)", [number, sleep_s])
    return int((await cursor.fetchone())[0])


@pytest.mark.parametrize("how", ["cancel", "wait_for"])
async def test_cancelled_in_a_query(server: Any, dsn: str, no_leaks: None, how: str) -> None:
    watcher = await opened(dsn)
    conn = await opened(dsn)
    pid = conn.info.backend_pid
    task = asyncio.ensure_future(conn.execute("select pg_sleep(60)"))
    await until(watcher, pid, 1)
    began = time.monotonic()
    if how == "cancel":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task, 0.05)
    assert time.monotonic() - began < PATIENCE_S
    await until(watcher, pid, 0)
    assert not conn.closed
    assert await answer(conn, 7) == 7
    await conn.close()
    await watcher.close()


async def test_cancelled_in_a_long_result(server: Any, dsn: str, no_leaks: None) -> None:
    watcher = await opened(dsn)
    conn = await opened(dsn)
    pid = conn.info.backend_pid
    task = asyncio.ensure_future(conn.execute("select n, repeat('x', 100) from generate_series(1, 20000000) n"))
    await until(watcher, pid, 1)
    task.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < PATIENCE_S
    await until(watcher, pid, 0)
    assert not conn.closed
    assert await answer(conn, 7) == 7
    await conn.close()
    await watcher.close()


async def test_cancelled_before_it_was_sent(server: Any, dsn: str, no_leaks: None) -> None:
    """A task that never ran has asked nothing: the connection stays whole."""
    async with await opened(dsn) as conn:
        task = asyncio.ensure_future(answer(conn, 1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not conn.closed
        assert await answer(conn, 2) == 2


@pytest.mark.heavy
async def test_random_cancellations(server: Any, dsn: str, no_leaks: None) -> None:
    """Fifty cancellations at any moment of a query: later answers belong to later questions."""
    chance = random.Random(20_240)
    conn = await opened(dsn)
    cancelled = number = 0
    while cancelled < 50:
        number += 1
        task = asyncio.ensure_future(answer(conn, number, chance.choice([0, 0, 0.001])))
        await asyncio.sleep(chance.choice([0, 0, chance.random() * 0.003]))
        task.cancel()
        try:
            assert await task == number
        except asyncio.CancelledError:
            cancelled += 1
        assert not conn.closed
        assert await answer(conn, -number) == -number
    await conn.close()


async def test_waiters_of_a_connection_that_was_cancelled(server: Any, dsn: str, no_leaks: None) -> None:
    """Tasks behind the cancelled one get their own answers, soon; none hangs, none gets the other's answer."""
    conn = await opened(dsn)
    first = asyncio.ensure_future(answer(conn, 1, 60))
    await asyncio.sleep(0.05)
    behind = [asyncio.ensure_future(answer(conn, number)) for number in range(2, 6)]
    await asyncio.sleep(0)
    first.cancel()
    results = await asyncio.wait_for(asyncio.gather(first, *behind, return_exceptions=True), PATIENCE_S)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [2, 3, 4, 5]
    await conn.close()


async def test_tasks_on_one_connection_are_served_in_order(server: Any, dsn: str, no_leaks: None) -> None:
    served = []

    async def ask(number: int) -> int:
        value = await answer(conn, number)
        served.append(number)
        return value

    async with await opened(dsn) as conn:
        assert await asyncio.gather(*(ask(number) for number in range(40))) == list(range(40))
    assert served == list(range(40))


async def test_cancelled_waiters_do_not_wedge(server: Any, dsn: str, no_leaks: None) -> None:
    chance = random.Random(7)
    async with await opened(dsn) as conn:
        first = asyncio.ensure_future(answer(conn, 0, 0.2))
        await asyncio.sleep(0.05)
        tasks = {number: asyncio.ensure_future(answer(conn, number)) for number in range(1, 41)}
        await asyncio.sleep(0)
        out = set(chance.sample(sorted(tasks), 20))
        for number in out:
            tasks[number].cancel()
        results = await asyncio.wait_for(asyncio.gather(*tasks.values(), return_exceptions=True), 5)
        assert await first == 0
        for number, result in zip(tasks, results, strict=True):
            assert isinstance(result, asyncio.CancelledError) if number in out else result == number
        assert not conn.closed
        assert await answer(conn, 99) == 99


async def test_connect_cancelled_at_any_moment(server: Any, dsn: str, no_leaks: None) -> None:
    chance = random.Random(3)
    cancelled = 0
    for _ in range(30):
        task = asyncio.ensure_future(opened(dsn))
        await asyncio.sleep(chance.choice([0, chance.random() * 0.03]))
        task.cancel()
        try:
            await (await task).close()
        except asyncio.CancelledError:
            cancelled += 1
    assert cancelled


async def test_connect_to_a_silent_server_cancelled(no_leaks: None) -> None:
    with PgMock(says_nothing()) as mock:
        task = asyncio.ensure_future(opened(mock.dsn))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 1


async def test_many_connects_time_out_together(no_leaks: None) -> None:
    with PgMock(says_nothing(), repeat=True) as mock:
        began = time.monotonic()
        tasks = [opened(mock.dsn, connect_timeout=0.4) for _ in range(20)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert time.monotonic() - began < PATIENCE_S
    assert [type(result) for result in results] == [ConnectionTimeout] * 20


# --- The lock itself


async def test_lock_cancelled_in_the_turn_it_is_handed_over(no_leaks: None) -> None:
    lock = Lock()
    got = []

    async def hold(name: str) -> None:
        async with lock:
            got.append(name)

    async with lock:
        tasks = [asyncio.ensure_future(hold(name)) for name in "abc"]
        await asyncio.sleep(0)
    tasks[0].cancel()  # the lock is already its own, and it has not run yet
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 1)
    assert isinstance(results[0], asyncio.CancelledError)
    assert got == ["b", "c"]
    assert not lock.locked()


async def test_lock_is_not_taken_past_those_who_wait(no_leaks: None) -> None:
    lock = Lock()
    got = []

    async def hold(name: str) -> None:
        async with lock:
            got.append(name)

    async with lock:
        waiting = asyncio.ensure_future(hold("waiting"))
        await asyncio.sleep(0)
    await hold("late")  # it comes in the very turn of the release
    await waiting
    assert got == ["waiting", "late"]


async def test_lock_under_random_cancellation(no_leaks: None) -> None:
    """Never two inside, never stuck, whoever leaves at whatever moment."""
    chance = random.Random(11)
    lock = Lock()
    inside = 0

    async def hold() -> None:
        nonlocal inside
        async with lock:
            inside += 1
            try:
                assert inside == 1
                for _ in range(chance.randrange(3)):
                    await asyncio.sleep(0)
            finally:
                inside -= 1

    tasks = []
    for _ in range(2000):
        tasks.append(asyncio.ensure_future(hold()))
        if chance.random() < 0.4:
            await asyncio.sleep(0)
        if chance.random() < 0.5:
            chance.choice(tasks[-6:]).cancel()
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    kinds = {type(result) for result in results}
    assert kinds == {type(None), asyncio.CancelledError}
    assert not lock.locked()
