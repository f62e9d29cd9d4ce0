# The sync twin of this file is generated from it by tools/unasync.py.
"""Fetching: one, many, all, iteration; row factories."""

from __future__ import annotations

from typing import NamedTuple

import pytest

import howdah
from howdah.rows import args_row, class_row, dict_row, kwargs_row, namedtuple_row, scalar_row, tuple_row

FIVE = "select i, 'n' || i from generate_series(1, 5) i"


class Pair(NamedTuple):
    left: int
    right: str


async def one(conn, query, params=None):
    cur = await conn.execute(query, params)
    return await cur.fetchone()


async def connect(dsn, **settings):
    return await howdah.AsyncConnection.connect(dsn, autocommit=True, **settings)


async def test_fetchone(dsn):
    async with await connect(dsn) as conn:
        cur = await conn.execute(FIVE)
        assert cur.rownumber == 0
        for i in range(1, 6):
            assert await cur.fetchone() == (i, "n" + str(i))
            assert cur.rownumber == i
        assert await cur.fetchone() is None and await cur.fetchone() is None
        assert cur.rownumber == 5 and cur.rowcount == 5


async def test_fetchmany(dsn):
    async with await connect(dsn) as conn:
        cur = await conn.execute(FIVE)
        assert cur.arraysize == 1
        assert await cur.fetchmany() == [(1, "n1")]
        assert await cur.fetchmany(2) == [(2, "n2"), (3, "n3")]
        cur.arraysize = 10
        assert await cur.fetchmany() == [(4, "n4"), (5, "n5")]
        assert await cur.fetchmany() == [] and await cur.fetchmany(3) == []
        with pytest.raises(howdah.ProgrammingError):
            await cur.fetchmany(-1)


async def test_fetchall_takes_what_is_left(dsn):
    async with await connect(dsn) as conn:
        cur = await conn.execute(FIVE)
        await cur.fetchone()
        assert await cur.fetchall() == [(i, "n" + str(i)) for i in range(2, 6)]
        assert await cur.fetchall() == [] and await cur.fetchone() is None


async def test_iteration(dsn):
    async with await connect(dsn) as conn:
        cur = await conn.execute(FIVE)
        await cur.fetchone()
        assert [row[0] async for row in cur] == [2, 3, 4, 5]
        assert [row async for row in cur] == []


async def test_rows_belong_to_the_caller(dsn):
    async with await connect(dsn) as conn:
        cur = await conn.execute(FIVE)
        first = await cur.fetchall()
        await cur.execute("select 1")
        assert len(first) == 5 and await cur.fetchall() == [(1,)]


async def test_cursors_of_one_connection_keep_their_own_rows(dsn):
    async with await connect(dsn) as conn:
        one = await conn.execute("select generate_series(1, 3)")
        two = await conn.execute("select generate_series(11, 13)")
        assert await one.fetchone() == (1,)
        assert await two.fetchone() == (11,)
        assert await one.fetchall() == [(2,), (3,)] and await two.fetchall() == [(12,), (13,)]


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (tuple_row, (1, "x")),
        (dict_row, {"left": 1, "right": "x"}),
        (scalar_row, 1),
        (class_row(Pair), Pair(1, "x")),
        (kwargs_row(lambda left, right: [left, right]), [1, "x"]),
        (args_row(lambda left, right: {left: right}), {1: "x"}),
    ],
)
async def test_row_factories(dsn, factory, expected):
    query = "select 1 as left, 'x' as right"
    async with await connect(dsn, row_factory=factory) as conn:
        for _ in range(3):
            cur = await conn.execute(query)
            assert await cur.fetchone() == expected
            assert await cur.fetchone() is None
        cur = await conn.execute(query)
        assert await cur.fetchall() == [expected]
        cur = await conn.execute(query)
        assert await cur.fetchmany(2) == [expected]
        cur = await conn.execute(query)
        assert [row async for row in cur] == [expected]
    async with await connect(dsn) as conn:
        cur = conn.cursor(row_factory=factory)
        await cur.execute(query)
        assert await cur.fetchone() == expected


async def test_namedtuple_row(dsn):
    async with await connect(dsn, row_factory=namedtuple_row) as conn:
        row = await one(conn, 'select 1 as a, 2 as "b c", 3')
        assert row == (1, 2, 3) and row.a == 1 and row.b_c == 2


async def test_the_factory_can_change_between_rows(dsn):
    async with await connect(dsn) as conn:
        cur = await conn.execute(FIVE.replace("select i,", "select i as n,").replace("'n' || i", "i as m"))
        assert await cur.fetchone() == (1, 1)
        cur.row_factory = dict_row
        assert await cur.fetchone() == {"n": 2, "m": 2}
        cur.row_factory = tuple_row
        assert await cur.fetchone() == (3, 3)


async def test_the_factory_sees_each_result_of_several(dsn):
    async with await connect(dsn, row_factory=dict_row) as conn:
        cur = await conn.execute("select 1 as a; select 2 as b")
        assert await cur.fetchall() == [{"a": 1}]
        assert cur.nextset()
        assert await cur.fetchall() == [{"b": 2}]


async def test_a_factory_that_raises_harms_only_its_rows(dsn):
    def failing(cursor):
        raise ValueError("no rows today")

    async with await connect(dsn) as conn:
        cur = conn.cursor(row_factory=failing)
        with pytest.raises(ValueError, match="no rows today"):
            await cur.execute("select 1")
        assert await one(conn, "select 1") == (1,)
