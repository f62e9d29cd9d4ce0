# The sync twin of this file is generated from it by tools/unasync.py.
"""executemany: one pipeline."""

from __future__ import annotations

from decimal import Decimal

import pytest

import howdah
from howdah import errors


async def one(conn, query, params=None):
    cur = await conn.execute(query, params)
    return await cur.fetchone()


async def connect(dsn, autocommit=True):
    return await howdah.AsyncConnection.connect(dsn, autocommit=autocommit)


async def make(conn, columns):
    await conn.execute("create temp table m (" + columns + ")")
    await conn.commit()
    return conn.cursor()


async def contents(conn, what="*"):
    cur = await conn.execute("select " + what + " from m order by 1")
    return await cur.fetchall()


@pytest.mark.parametrize("autocommit", [True, False])
async def test_rowcount_is_the_sum(dsn, autocommit):
    async with await connect(dsn, autocommit) as conn:
        cur = await make(conn, "a int, b text")
        await cur.executemany("insert into m values (%s, %s)", [(i, str(i)) for i in range(10)])
        assert cur.rowcount == 10 and cur.description is None
        assert await contents(conn) == [(i, str(i)) for i in range(10)]
        await cur.executemany("update m set b = %(b)s where a < %(a)s", [{"a": 3, "b": "x"}, {"a": 2, "b": "y"}])
        assert cur.rowcount == 5
        await cur.executemany("delete from m where a = %s", ([i] for i in (100, 0)))
        assert cur.rowcount == 1
        await conn.commit()


async def test_nothing_to_do(dsn):
    async with await connect(dsn, False) as conn:
        cur = conn.cursor()
        await cur.executemany("insert into nowhere values (%s)", [])
        assert cur.rowcount == 0 and conn.info.transaction_status.name == "IDLE"


@pytest.mark.parametrize("at", [0, 1, 500, 999])
async def test_an_error_in_the_middle_keeps_nothing(dsn, at):
    async with await connect(dsn) as conn:
        cur = await make(conn, "a int")
        rows = [(0 if i == at else 1,) for i in range(1000)]
        with pytest.raises(errors.DivisionByZero):
            await cur.executemany("insert into m values (1 / %s)", rows)
        assert cur.rowcount == -1
        assert await contents(conn) == []
        await cur.executemany("insert into m values (1 / %s)", [(1,)] * 3)
        assert await contents(conn) == [(1,)] * 3


async def test_an_error_in_a_transaction_leaves_it_failed(dsn):
    async with await connect(dsn, False) as conn:
        cur = await make(conn, "a int primary key")
        await cur.executemany("insert into m values (%s)", [(1,), (2,)])
        with pytest.raises(errors.UniqueViolation):
            await cur.executemany("insert into m values (%s)", [(3,), (2,), (4,)])
        assert conn.info.transaction_status.name == "INERROR"
        await conn.rollback()
        assert await contents(conn) == []


async def test_integers_of_all_widths(dsn):
    numbers = [1, -(2**15), 2**15, -(2**31), 2**31, -(2**63), 2**63 - 1, 0, 255]
    async with await connect(dsn) as conn:
        cur = await make(conn, "a int8, i int")
        await cur.executemany("insert into m values (%s, %s)", [(n, i) for i, n in enumerate(numbers)])
        assert await contents(conn) == sorted((n, i) for i, n in enumerate(numbers))
        await conn.execute("drop table m")
        cur = await make(conn, "a numeric")
        await cur.executemany("insert into m values (%s)", [(n,) for n in (1, 2**40, 2**200)])
        assert await contents(conn) == [(Decimal(1),), (Decimal(2**40),), (Decimal(2**200),)]


async def test_small_numbers_first_into_a_small_column(dsn):
    async with await connect(dsn) as conn:
        cur = await make(conn, "a int2")
        await cur.executemany("insert into m values (%s)", [(1,), (30000,), (-5,)])
        assert await contents(conn) == [(-5,), (1,), (30000,)]
        with pytest.raises(errors.NumericValueOutOfRange):
            await cur.executemany("insert into m values (%s)", [(1,), (40000,)])


async def test_nulls(dsn):
    rows = [(None, None), (1, "a"), (None, "b"), (2, None), (70000, "c"), (None, None)]
    async with await connect(dsn) as conn:
        cur = await make(conn, "i serial, a int, b text")
        await cur.executemany("insert into m (a, b) values (%s, %s)", rows)
        assert cur.rowcount == 6
        assert await contents(conn) == [(i + 1, *row) for i, row in enumerate(rows)]


async def test_types_that_change_from_row_to_row(dsn):
    rows = [(1,), ("2",), (3.0,), (Decimal("4"),), (None,), (5,), ("6",)]
    async with await connect(dsn) as conn:
        cur = await make(conn, "a numeric")
        await cur.executemany("insert into m values (%s)", rows)
        assert await contents(conn) == [(Decimal(i),) for i in range(1, 7)] + [(None,)]


async def test_returned_rows_are_counted_and_not_kept(dsn):
    async with await connect(dsn) as conn:
        cur = conn.cursor()
        await cur.executemany("select generate_series(1, %s)", [(3,), (4,)])
        assert cur.rowcount == 7
        with pytest.raises(howdah.ProgrammingError):
            await cur.fetchone()


async def test_what_cannot_be_sent_is_refused_before_it_is(dsn):
    async with await connect(dsn, False) as conn:
        cur = await make(conn, "a text")
        for rows, match in (
            ([("a",), ("b\0",)], "row 2"),
            ([("a",), ()], "row 2"),
            ([("a",), (object(),)], "row 2"),
        ):
            with pytest.raises(howdah.DatabaseError, match=match):
                await cur.executemany("insert into m values (%s)", rows)
            assert conn.info.transaction_status.name == "IDLE"
        with pytest.raises(howdah.ProgrammingError, match="several statements"):
            await cur.executemany("insert into m values (%s); select 1", [("a",)])
        with pytest.raises(ZeroDivisionError):
            await cur.executemany("insert into m values (%s)", ((str(1 // i),) for i in (1, 0)))
        assert await contents(conn) == []


async def test_copy_in_executemany_is_refused(dsn):
    async with await connect(dsn) as conn:
        cur = await make(conn, "a int")
        for query in ("copy m from stdin", "copy m to stdout"):
            with pytest.raises(howdah.ProgrammingError, match="COPY"):
                await cur.executemany(query, [(), (), ()])
            assert await contents(conn) == []


@pytest.mark.heavy
async def test_20000_rows_that_all_answer_much(dsn, no_leaks):
    """Much goes both ways at once: who only writes before it reads would wait for ever."""
    async with await connect(dsn) as conn:
        cur = conn.cursor()
        await cur.executemany("select %s, repeat('x', 2000)", [("y" * 500,) for _ in range(20_000)])
        assert cur.rowcount == 20_000
        assert await one(conn, "select 1") == (1,)


@pytest.mark.heavy
async def test_20000_rows_with_notices(dsn):
    seen = []
    async with await connect(dsn) as conn:
        conn.add_notice_handler(lambda diag: seen.append(len(diag.message_primary)))
        cur = await make(conn, "a int")
        await conn.execute(
            "create function pg_temp.loud(i int) returns int language plpgsql as "
            "$$begin if i % 20 = 0 then raise notice '%', repeat('n', 5000); end if; return i; end$$"
        )
        await cur.executemany("insert into m values (pg_temp.loud(%s::int))", [(i,) for i in range(20_000)])
        assert cur.rowcount == 20_000 and seen == [5000] * 1000
