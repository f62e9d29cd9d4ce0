# The sync twin of this file is generated from it by tools/unasync.py.
"""stream(): rows in pieces."""

from __future__ import annotations

import resource

import pytest

import howdah
from howdah import errors

ROWS = "select i, repeat('x', 50) from generate_series(1, %s) i"


async def connect(dsn, autocommit=True, **kwargs):
    return await howdah.AsyncConnection.connect(dsn, autocommit=autocommit, **kwargs)


async def one(conn, query):
    cur = await conn.execute(query)
    return await cur.fetchone()


def status(conn):
    return conn.info.transaction_status.name


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("size", [None, 1, 3, 10, 11])
async def test_every_row_once_and_in_order(dsn, autocommit, size):
    async with await connect(dsn, autocommit) as conn:
        cur = conn.cursor(row_factory=howdah.rows.dict_row)
        for _ in range(2):
            seen = [row["i"] async for row in cur.stream(ROWS, (10,), size=size)]
            assert seen == list(range(1, 11))
        assert [column.name for column in cur.description] == ["i", "repeat"]
        assert status(conn) == ("IDLE" if autocommit else "INTRANS")
        assert [row async for row in cur.stream("select 1 where false", size=size)] == []


@pytest.mark.parametrize("binary", [True, False])
async def test_a_prepared_statement_streams_in_the_formats_known(dsn, binary):
    async with await connect(dsn) as conn:
        cur = conn.cursor()
        for _ in range(3):
            await cur.execute("select i, i::float8 from generate_series(1, 3) i", prepare=True)
        stream = cur.stream("select i, i::float8 from generate_series(1, 3) i", binary=binary, size=2)
        assert [row async for row in stream] == [(1, 1.0), (2, 2.0), (3, 3.0)]
        await cur.execute("select i, i::float8 from generate_series(1, 3) i")
        assert await cur.fetchone() == (1, 1.0)


async def test_memory_stays_flat(dsn):
    async with await connect(dsn) as conn:
        cur = conn.cursor()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        count = 0
        async for row in cur.stream("select i, repeat('x', 400) from generate_series(1, 100000) i"):
            count += row[0] > 0
        assert count == 100000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before <= 32 * 1024


@pytest.mark.parametrize("autocommit", [True, False])
async def test_leaving_early(dsn, autocommit):
    async with await connect(dsn, autocommit) as conn:
        cur = conn.cursor()
        after = "IDLE" if autocommit else "INTRANS"
        async with cur.stream(ROWS, (10,), size=2) as stream:
            assert (await stream.__anext__())[0] == 1
            assert conn._active is stream and status(conn) == "INTRANS"
        assert conn._active is None and status(conn) == after
        assert [row async for row in stream] == []
        with pytest.raises(ZeroDivisionError):
            async with cur.stream(ROWS, (10,), size=2) as stream:
                async for _ in stream:
                    raise ZeroDivisionError
        assert status(conn) == after
        async for row in cur.stream(ROWS, (10,), size=2):
            if row[0] == 3:
                break
        assert await one(conn, "select count(*) from pg_cursors where name = ''") == (0,)
        assert conn._active is None and status(conn) == after
        await cur.stream(ROWS, (10,)).aclose()  # never begun


@pytest.mark.parametrize("autocommit", [True, False])
async def test_other_use_of_the_connection_ends_the_stream(dsn, autocommit):
    async with await connect(dsn, autocommit) as conn:
        stream = conn.cursor().stream(ROWS, (10,), size=2)
        await stream.__anext__()
        assert await one(conn, "select 5") == (5,)
        with pytest.raises(errors.InterfaceError, match="used for something else"):
            await stream.__anext__()
        second = conn.cursor().stream(ROWS, (10,), size=2)
        await second.__anext__()
        assert [row[0] async for row in conn.cursor().stream(ROWS, (2,))] == [1, 2]
        with pytest.raises(errors.InterfaceError, match="used for something else"):
            await second.__anext__()
        await conn.commit()
        assert status(conn) == "IDLE"


async def test_in_autocommit_all_of_it_or_nothing(dsn):
    async with await connect(dsn) as conn:
        await conn.execute("create temp table t (a int)")
        insert = "insert into t select generate_series(1, 4) returning a"
        async for _ in conn.cursor().stream(insert, size=2):
            break
        assert await one(conn, "select count(*) from t") == (0,)
        assert [row async for row in conn.cursor().stream(insert, size=2)] == [(1,), (2,), (3,), (4,)]
        assert await one(conn, "select count(*) from t") == (4,)


@pytest.mark.parametrize("autocommit", [True, False])
async def test_errors(dsn, autocommit):
    async with await connect(dsn, autocommit) as conn:
        cur = conn.cursor()
        seen = []
        with pytest.raises(errors.DivisionByZero):
            async for row in cur.stream("select 1 / (4 - i) from generate_series(1, 9) i", size=2):
                seen.append(row)  # noqa: PERF401
        assert len(seen) == 2 and conn._active is None
        await conn.rollback()
        for query, params, error, words in (
            ("selec", None, errors.SyntaxError, "syntax"),
            ("create temp table u (a int)", None, errors.ProgrammingError, "returns no rows"),
            ("", None, errors.ProgrammingError, "empty"),
            ("copy t to stdout", None, errors.ProgrammingError, "COPY"),
            ("select 1; select 2", None, errors.ProgrammingError, "several"),
            ("select %s", (object(),), errors.ProgrammingError, "no codec"),
            ("set x = %s", (1,), errors.ProgrammingError, "execute"),
        ):
            with pytest.raises(error, match=words):
                await cur.stream(query, params).__anext__()
            await conn.rollback()
            assert await one(conn, "select 1") == (1,)
        with pytest.raises(errors.QueryTimeout):
            async for _ in cur.stream("select pg_sleep(30)", timeout=0.1):
                pass
        await conn.rollback()
        assert await one(conn, "select 1") == (1,)
        for size in (0, -1, True, "1"):
            with pytest.raises(errors.ProgrammingError, match="size"):
                cur.stream("select 1", size=size)
        stream = cur.stream(ROWS, (10,), size=2)
        await stream.__anext__()
    with pytest.raises(errors.InterfaceError):
        async for _ in stream:
            pass
