# The sync twin of this file is generated from it by tools/unasync.py.
"""`timeout`: the statement is cancelled, the error says what became of it, and the connection goes on."""

from __future__ import annotations

import time

import pytest
from tests.kit.pgmock import PgMock, Silent, trust_login

import howdah
from howdah.errors import OperationalError, ProgrammingError, QueryCanceled, QueryTimeout

PATIENCE_S = 2.0


async def one(conn, query, params=None, **how):
    cur = await conn.execute(query, params, **how)
    return (await cur.fetchone())[0]


@pytest.mark.parametrize("prepare", [None, True, False])
async def test_a_statement_that_takes_too_long(dsn, no_leaks, prepare):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        begin = time.monotonic()
        with pytest.raises(
            QueryTimeout, match=r"took longer than timeout=0\.1 s: it was cancelled on the server"
        ) as caught:
            await conn.execute("select pg_sleep(%s)", [20], prepare=prepare, timeout=0.1)
        assert 0.1 <= time.monotonic() - begin < 0.1 + PATIENCE_S
        error = caught.value
        assert isinstance(error, OperationalError)
        assert error.cancelled and error.sent is True and not error.retryable
        assert error.query == "select pg_sleep($1)"
        assert not conn.closed
        assert await one(conn, "select %s::int", [7]) == 7


async def test_what_is_quick_enough_is_not_touched(dsn, no_leaks):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True, timeout=5) as conn:
        assert conn.timeout == 5.0
        for number in range(20):
            assert await one(conn, "select %s::int", [number]) == number
        cur = await conn.execute("select repeat('x', 1000) from generate_series(1, 5000)")
        rows = await cur.fetchall()
        assert len(rows) == 5000


async def test_the_connections_own(dsn, no_leaks):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True, timeout=0.1) as conn:
        with pytest.raises(QueryTimeout):
            await conn.execute("select pg_sleep(20)")
        assert await one(conn, "select 1 from pg_sleep(0.2)", timeout=5) == 1  # the statement's own comes first
        conn.timeout = None
        assert await one(conn, "select 2 from pg_sleep(0.2)") == 2
        conn.timeout = 0.05
        with pytest.raises(QueryTimeout):
            await conn.cursor().executemany("select pg_sleep(%s)", [[20], [20]])
        assert await one(conn, "select 3") == 3


async def test_in_a_transaction(dsn, no_leaks):
    """The server's transaction fails with the statement, as with any other error."""
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        with pytest.raises(QueryTimeout):
            await conn.execute("select pg_sleep(20)", timeout=0.1)
        assert conn.info.transaction_status.name == "INERROR"
        await conn.rollback()
        assert await one(conn, "select 1") == 1


async def test_in_the_middle_of_a_long_result(dsn, no_leaks):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        with pytest.raises(QueryTimeout, match="cancelled on the server"):
            await conn.execute("select n, repeat('x', 100) from generate_series(1, 20000000) n", timeout=0.2)
        assert await one(conn, "select 1") == 1


@pytest.mark.parametrize("bad", [0, -1, "1", float("nan"), True])
async def test_numbers_that_are_none(dsn, bad):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        with pytest.raises(ProgrammingError, match="timeout must be a number of seconds"):
            await conn.execute("select 1", timeout=bad)
        with pytest.raises(ProgrammingError, match="timeout must be a number of seconds"):
            conn.timeout = bad
        assert await one(conn, "select 2") == 2


async def test_the_server_says_nothing_at_all(no_leaks):
    """A cancel is tried, and does not help: the error comes in time, and the connection is closed."""
    with PgMock([*trust_login(), Silent()], [Silent()]) as mock:
        conn = await howdah.AsyncConnection.connect(mock.dsn, autocommit=True)
        begin = time.monotonic()
        with pytest.raises(QueryTimeout, match="the connection was closed") as caught:
            await conn.execute("select 1", timeout=0.2)
        assert time.monotonic() - begin < 0.2 + PATIENCE_S
        assert not caught.value.cancelled
        assert conn.closed and conn.broken
        with pytest.raises(OperationalError, match="its deadline passed"):
            await conn.execute("select 1")
        await conn.close()


async def test_a_cancel_by_somebody_else_is_no_timeout(dsn, no_leaks):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        with pytest.raises(QueryCanceled) as caught:
            await conn.execute("set statement_timeout = 50; select pg_sleep(20)", timeout=10)
        assert not isinstance(caught.value, QueryTimeout)


@pytest.mark.parametrize("rows", [1, 20_000])
async def test_a_batch(dsn, no_leaks, rows):
    """Also one whose messages are not all sent when the time is over."""
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute("create temp table slow (a int, b text)")
        params = [(number, "x" * 200) for number in range(rows)]
        with pytest.raises(QueryTimeout):
            await conn.cursor().executemany("insert into slow select %s, %s from pg_sleep(0.5)", params, timeout=0.1)
        if not conn.closed:
            assert await one(conn, "select count(*) from slow") == 0
