# The sync twin of this file is generated from it by tools/unasync.py.
"""The pool with a real server: what callers, hooks and the server may do to it."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from tests.kit.faultproxy import FaultProxy

import howdah
from howdah import errors
from howdah._async._pair import join, sleep, spawn

PATIENCE_S = 5.0


async def opened(dsn: str, **settings: Any) -> howdah.AsyncConnectionPool:
    pool = howdah.AsyncConnectionPool(dsn, open=False, **settings)
    await pool.open(wait=True)
    return pool


async def one(conn: Any, sql: str) -> Any:
    cursor = await conn.execute(sql)
    row = await cursor.fetchone()
    return row[0]


async def pid_of(pool: Any) -> int:
    async with pool.connection() as conn:
        return int(conn.info.backend_pid)


async def until(condition: Any) -> None:
    """Waits until ``condition()`` is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        await sleep(0.01)


async def test_a_block_commits_or_rolls_back(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1) as pool:
        async with pool.connection() as conn:
            await conn.execute("create temp table kept (n int)")
            await conn.execute("insert into kept values (1)")
        with pytest.raises(errors.DivisionByZero):
            async with pool.connection() as conn:
                await conn.execute("insert into kept values (2)")
                await conn.execute("select 1/0")
        async with pool.connection() as conn:
            assert await one(conn, "select sum(n) from kept") == 1
        stats = pool.get_stats()
        assert stats["requests_num"] == 3 and stats["connections_num"] == 1 and stats["pool_available"] == 1
        assert stats["returns_bad"] == stats["connections_lost"] == stats["requests_errors"] == 0
    assert pool.closed


async def test_given_back_the_locks_are_free(dsn: str, no_leaks: None) -> None:
    """The ROLLBACK is sent at give-back, not at the next use: nobody uses the pool again here."""
    async with await opened(dsn, min_size=1) as pool:
        async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as other:
            conn = await pool.getconn()
            await conn.execute("select pg_advisory_xact_lock(4711)")
            await pool.putconn(conn)
            began = time.monotonic()
            await other.execute("select pg_advisory_lock(4711)", timeout=PATIENCE_S)
            assert time.monotonic() - began < 2.0
            await other.execute("select pg_advisory_unlock(4711)")
        # and the answer to it is read at the next check-out
        async with pool.connection() as conn:
            assert await one(conn, "select 7") == 7


async def test_settings_of_the_program_come_back(dsn: str, no_leaks: None) -> None:
    async def configure(conn: Any) -> None:
        await conn.set_autocommit(True)

    async with await opened(dsn, min_size=1, configure=configure) as pool:
        async with pool.connection() as conn:
            assert conn.autocommit
            await conn.set_autocommit(False)
            await conn.set_isolation_level(howdah.IsolationLevel.SERIALIZABLE)
            conn.row_factory = howdah.rows.dict_row
            conn.timeout = 3.0
        async with pool.connection() as conn:
            assert conn.autocommit and conn.isolation_level is None and conn.timeout is None
            assert await one(conn, "select 7") == 7


async def test_waiters_are_served_in_order(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1) as pool:
        conn = await pool.getconn()
        served: list[int] = []

        async def caller(number: int) -> None:
            async with pool.connection():
                served.append(number)

        workers = []
        for number in range(5):
            workers.append(spawn(caller, number))
            await until(lambda wanted=number + 1: pool.get_stats()["requests_waiting"] == wanted)
        await pool.putconn(conn)
        await join(workers, PATIENCE_S)
        assert served == [0, 1, 2, 3, 4]


async def test_the_pool_grows_for_waiters_and_shrinks(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1, max_size=3, max_idle=0.2) as pool:
        conns = [await pool.getconn() for _ in range(3)]
        assert len({conn.info.backend_pid for conn in conns}) == 3
        for conn in conns:
            await pool.putconn(conn)
        pool._timer.ring(0.3)
        await until(lambda: pool.get_stats()["pool_size"] == 1)


async def test_timeout_tells_who_holds_what(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1) as pool:
        conn = await pool.getconn()
        await conn.execute("select 1")
        began = time.monotonic()
        with pytest.raises(errors.PoolTimeout) as caught:
            await pool.getconn(timeout=0.2)
        assert 0.2 <= time.monotonic() - began < 2.2
        text = str(caught.value)
        assert "test_pool.py" in text and "INTRANS" in text and str(conn.info.backend_pid) in text
        assert isinstance(caught.value, howdah.OperationalError)
        assert pool.get_stats()["requests_errors"] == 1
        await pool.putconn(conn)
        # the one that gave up is in nobody's way
        async with pool.connection(timeout=1.0):
            assert pool.get_stats()["requests_waiting"] == 0


async def test_too_many_waiters(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1, max_waiting=1) as pool:
        conn = await pool.getconn()

        async def caller() -> None:
            async with pool.connection():
                pass

        worker = spawn(caller)
        await until(lambda: pool.get_stats()["requests_waiting"] == 1)
        with pytest.raises(errors.TooManyRequests, match="max_waiting"):
            await pool.getconn()
        await pool.putconn(conn)
        await join([worker], PATIENCE_S)


async def test_closing(dsn: str, no_leaks: None) -> None:
    pool = howdah.AsyncConnectionPool(dsn, min_size=1, open=False)
    with pytest.raises(errors.PoolClosed, match="open"):
        await pool.getconn()
    await pool.open(wait=True)
    conn = await pool.getconn()
    seen: list[BaseException] = []

    async def caller() -> None:
        try:
            await pool.getconn()
        except errors.PoolClosed as exc:
            seen.append(exc)

    worker = spawn(caller)
    await until(lambda: pool.get_stats()["requests_waiting"] == 1)
    await pool.close()
    await join([worker], PATIENCE_S)
    assert len(seen) == 1
    # what was in use can be used to its end, and is closed when it comes back
    assert await one(conn, "select 7") == 7
    await pool.putconn(conn)
    assert conn.closed
    await pool.close()
    # and it can be opened again
    async with pool:
        async with pool.connection() as again:
            assert await one(again, "select 8") == 8


async def test_what_does_not_belong(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1) as pool:
        async with await howdah.AsyncConnection.connect(dsn) as stranger:
            with pytest.raises(ValueError, match="no connection of"):
                await pool.putconn(stranger)
        conn = await pool.getconn()
        await pool.putconn(conn)
        with pytest.raises(ValueError, match="already"):
            await pool.putconn(conn)
    for settings in (
        {"min_size": -1},
        {"min_size": 3, "max_size": 2},
        {"min_size": 0, "max_size": 0},
        {"timeout": "soon"},
        {"reset": "some"},
        {"max_uses": 0},
        {"num_workers": 0},
    ):
        with pytest.raises(howdah.ProgrammingError):
            howdah.AsyncConnectionPool(dsn, **{"open": False, **settings})  # type: ignore[arg-type]


async def test_killed_backends_are_replaced(dsn: str, no_leaks: None) -> None:
    """All connections die together while idle: no caller sees it."""
    async with await opened(dsn, min_size=3) as pool:
        async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as other:
            conns = [await pool.getconn() for _ in range(3)]
            pids = [conn.info.backend_pid for conn in conns]
            for conn in conns:
                await pool.putconn(conn)
            await other.execute("select pg_terminate_backend(pid, 5000) from unnest(%s::int[]) as pid", [pids])
        for _ in range(5):
            async with pool.connection() as conn:
                assert await one(conn, "select 7") == 7
                assert conn.info.backend_pid not in pids
        await until(lambda: pool.get_stats()["pool_available"] == 3)
        assert pool.get_stats()["connections_lost"] >= 1


async def test_killed_in_use(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1) as pool:
        async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as other:
            with pytest.raises(errors.OperationalError, match="terminating connection"):
                async with pool.connection() as conn:
                    await conn.execute("select 1")
                    await other.execute("select pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])
                    await conn.execute("select 2")
        async with pool.connection() as conn:
            assert await one(conn, "select 7") == 7
        assert pool.get_stats()["returns_bad"] == 1


async def test_the_server_goes_and_comes_back(server: Any, caplog: pytest.LogCaptureFixture, no_leaks: None) -> None:
    with (
        FaultProxy((server.params["host"], server.params["port"])) as proxy,
        caplog.at_level(logging.WARNING, "howdah.pool"),
    ):
        told: list[Any] = []
        settings: dict[str, Any] = {
            "min_size": 2,
            "timeout": 0.5,
            "reconnect_timeout": 0.2,
            "reconnect_failed": told.append,
        }
        async with await opened(proxy_dsn(server, proxy), **settings) as pool:
            proxy.go_down()
            proxy.drop_all("rst")
            began = time.monotonic()
            with pytest.raises(errors.PoolTimeout) as caught:
                await pool.getconn()
            assert time.monotonic() - began < 2.5
            assert "failed in a row" in str(caught.value) and caught.value.__cause__ is not None
            await until(lambda: told == [pool])
            attempts = pool.get_stats()["connections_num"]
            proxy.come_up()
            async with pool.connection(timeout=PATIENCE_S) as conn:
                assert await one(conn, "select 7") == 7
            # one probe at a time, at growing distances
            assert attempts < 12
            await until(lambda: pool.get_stats()["pool_available"] == 2)


def proxy_dsn(server: Any, proxy: FaultProxy) -> str:
    params = server.params
    return f"postgresql://{params['user']}:{params['password']}@{proxy.host}:{proxy.port}/{params['dbname']}"


async def test_what_waiting_does_not_help(server: Any, no_leaks: None) -> None:
    """A wrong password is said at once, not after the time-out."""
    pool = howdah.AsyncConnectionPool(server.dsn, kwargs={"password": "wrong"}, min_size=1, open=False)
    await pool.open()
    began = time.monotonic()
    with pytest.raises(errors.InvalidPassword):
        await pool.wait(timeout=20)
    with pytest.raises(errors.InvalidPassword):
        await pool.getconn(timeout=20)
    assert time.monotonic() - began < 10
    await pool.close()


async def test_hooks_of_the_program(dsn: str, no_leaks: None) -> None:
    calls: list[str] = []

    async def configure(conn: Any) -> None:
        calls.append("configure")
        await conn.execute("set application_name = 'configured'")
        await conn.commit()

    async def reset(conn: Any) -> None:
        calls.append("reset")

    async def check(conn: Any) -> None:
        calls.append("check")
        await howdah.AsyncConnectionPool.check_connection(conn)

    settings = {"configure": configure, "reset": reset, "check": check}
    async with await opened(dsn, min_size=1, **settings) as pool:
        for _ in range(2):
            async with pool.connection() as conn:
                assert await one(conn, "show application_name") == "configured"
            await until(lambda: pool.get_stats()["pool_available"] == 1)
        assert calls == ["configure", "check", "reset", "check", "reset"]


async def test_hooks_that_fail_cost_the_connection(dsn: str, no_leaks: None) -> None:
    fail: set[str] = set()

    async def check(conn: Any) -> None:
        if "check" in fail:
            fail.discard("check")
            raise ValueError("check")

    async def reset(conn: Any) -> None:
        if "reset" in fail:
            fail.discard("reset")
            await conn.execute("select 1")  # and leaves the transaction open

    async with await opened(dsn, min_size=1, check=check, reset=reset) as pool:
        first = await pid_of(pool)
        await until(lambda: pool.get_stats()["pool_available"] == 1)
        fail.add("check")
        second = await pid_of(pool)
        await until(lambda: pool.get_stats()["pool_available"] == 1)
        fail.add("reset")
        third = await pid_of(pool)
        fourth = await pid_of(pool)
        assert first != second == third != fourth


async def test_a_full_reset(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1, reset="full", kwargs={"autocommit": True}) as pool:
        async with pool.connection() as conn:
            pid = conn.info.backend_pid
            await conn.execute("set work_mem = '1234kB'")
            await conn.execute("create temp table gone ()")
            await conn.execute("listen somewhere")
            await conn.execute("select pg_advisory_lock(4712)")
        async with pool.connection() as conn:
            assert conn.info.backend_pid == pid
            assert await one(conn, "show work_mem") != "1234kB"
            assert await one(conn, "select to_regclass('pg_temp.gone')") is None
            assert await one(conn, "select count(*) from pg_listening_channels()") == 0
            assert (
                await one(conn, "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
                == 0
            )


async def test_worn_out_connections_are_replaced(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1, max_uses=2) as pool:
        pids = [await pid_of(pool) for _ in range(4)]
        assert pids[0] == pids[1] != pids[2] == pids[3]
    async with await opened(dsn, min_size=1, max_lifetime=0.1) as pool:
        first = await pid_of(pool)
        await sleep(0.15)
        assert await pid_of(pool) != first


async def test_resize_and_drain(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=2) as pool:
        held = await pool.getconn()
        await pool.resize(3, 4)
        await until(lambda: pool.get_stats()["pool_size"] == 3)
        await pool.drain()
        assert await one(held, "select 7") == 7
        await held.commit()
        await pool.putconn(held)
        assert held.closed
        await until(lambda: pool.get_stats()["pool_available"] == 3)
        await pool.resize(1, 1)
        await until(lambda: pool.get_stats()["pool_size"] == 1)
        await pool.check()
        assert pool.get_stats()["pool_available"] == 1
        with pytest.raises(howdah.ProgrammingError):
            await pool.resize(2, 1)


async def test_a_null_pool_keeps_nothing(dsn: str, no_leaks: None) -> None:
    async with howdah.AsyncNullConnectionPool(dsn, max_size=1, open=False) as pool:
        first = await pid_of(pool)
        assert pool.get_stats()["pool_size"] == 0
        conn = await pool.getconn()
        assert conn.info.backend_pid != first
        seen: list[int] = []

        async def caller() -> None:
            seen.append(await pid_of(pool))

        worker = spawn(caller)
        await until(lambda: pool.get_stats()["requests_waiting"] == 1)
        await pool.putconn(conn)
        await join([worker], PATIENCE_S)
        assert seen == [conn.info.backend_pid], "handed on while somebody waits"
    with pytest.raises(howdah.ProgrammingError):
        howdah.AsyncNullConnectionPool(dsn, min_size=1)


async def test_close_returns(dsn: str, no_leaks: None) -> None:
    async with await opened(dsn, min_size=1, close_returns=True) as pool:
        conn = await pool.getconn()
        await conn.close()
        assert not conn.closed and pool.get_stats()["pool_available"] == 1
    assert conn.closed


async def test_conninfo_from_functions(server: Any, no_leaks: None) -> None:
    calls: list[str] = []

    async def conninfo() -> str:
        calls.append("conninfo")
        return str(server.dsn)

    def kwargs() -> dict[str, Any]:
        calls.append("kwargs")
        return {"application_name": f"number-{len(calls)}"}

    pool = howdah.AsyncConnectionPool(conninfo, kwargs=kwargs, min_size=1, open=False)
    async with pool:
        async with pool.connection() as conn:
            assert await one(conn, "show application_name") == "number-2"
        await pool.drain()
        async with pool.connection() as conn:
            assert await one(conn, "show application_name") == "number-4"


async def test_a_leak_is_told(dsn: str, caplog: pytest.LogCaptureFixture, no_leaks: None) -> None:
    with caplog.at_level(logging.WARNING, "howdah.pool"):
        async with await opened(dsn, min_size=1, leak_after=0.1) as pool:
            conn = await pool.getconn()
            await until(lambda: any("has held a connection" in record.getMessage() for record in caplog.records))
            assert "test_pool.py" in caplog.text
            await pool.putconn(conn)


async def test_stale_connections_are_asked_first(server: Any, no_leaks: None) -> None:
    """A connection whose peer vanished without a word shows no sign: it is asked when it was idle for long."""
    with FaultProxy((server.params["host"], server.params["port"])) as proxy:
        async with await opened(proxy_dsn(server, proxy), min_size=1, check_after=0.05) as pool:
            first = await pid_of(pool)
            await sleep(0.1)
            assert await pid_of(pool) == first
            await sleep(0.1)
            proxy.drop_all("rst")
            assert await pid_of(pool) != first
