# The sync twin of this file is generated from it by tools/unasync.py.
"""A statement's life: text the first time, prepared and binary from the second; and what may change under it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import howdah
from howdah import AsyncConnection, AsyncCursor


async def opened(server: Any, **options: Any) -> AsyncConnection[Any]:
    return await AsyncConnection.connect(server.dsn, **{"autocommit": True, **options})


async def prepared(conn: AsyncConnection[Any]) -> list[str]:
    """The texts of the statements that the server keeps for us, this query's own text aside."""
    sql = "select statement from pg_prepared_statements where name like 'howdah%' order by prepare_time, name"
    cursor = await conn.execute(sql, prepare=False)
    return [row[0] for row in await cursor.fetchall()]


def formats(cursor: AsyncCursor[Any]) -> bytes:
    assert cursor._result is not None
    return bytes(cursor._result.plan.formats)


EVERY_KIND = (
    "select %s::int4, 2::int2, -3::int8, 1.5::float8, 1.50::numeric, 'text'::text, true, '\\x00ff'::bytea,"
    " '2024-02-29'::date, '2024-02-29 12:34:56.789'::timestamp, '2024-02-29 12:34:56.789+00'::timestamptz,"
    " '00000000-0000-0000-0000-00000000000f'::uuid, '{\"a\": [1, null]}'::jsonb, array[1, null, 3],"
    " array['a', 'b,c'], null::int4, '1 day'::interval, '10.0.0.1'::inet"
)


async def test_first_second_and_third_use(pg18, no_leaks):
    async with await opened(pg18) as conn:
        got = []
        seen = []
        for _ in range(4):
            cursor = await conn.execute(EVERY_KIND, [1])
            got.append(await cursor.fetchall())
            seen.append(formats(cursor))
        assert got[0] == got[1] == got[2] == got[3]
        assert [list(map(type, rows[0])) for rows in got[1:]] == [list(map(type, got[0][0]))] * 3
        assert set(seen[0]) == {0}
        # all but inet, which has no codec, are binary
        assert seen[1] == seen[2] == seen[3] == b"\1" * 17 + b"\0"
        assert got[0][0][0] == 1 and got[0][0][-2:] == (timedelta(1), "10.0.0.1")
        assert await prepared(conn) == [EVERY_KIND.replace("%s", "$1")]


async def test_uses_with_other_values(pg18):
    async with await opened(pg18) as conn:
        for number in [1, 2, None, 4, 30000, None]:
            cursor = await conn.execute("select %s::int8 + 1", [number])
            assert await cursor.fetchall() == [(None if number is None else number + 1,)]
        for number in [1, 40000, 2**40, 2, -(2**63)]:
            cursor = await conn.execute("select %s", [number])
            assert await cursor.fetchall() == [(number,)]


async def test_without_parameters(pg18):
    async with await opened(pg18) as conn:
        for _ in range(4):
            cursor = await conn.execute("select 1::int4, 'x'")
            assert await cursor.fetchall() == [(1, "x")]
        assert await prepared(conn) == ["select 1::int4, 'x'"]


async def test_prepare_true_and_false(pg18):
    async with await opened(pg18) as conn:
        for _ in range(3):
            await conn.execute("select %s::int4 + 1", [1], prepare=False)
        assert await prepared(conn) == []
        cursor = await conn.execute("select %s::int4 + 2", [1], prepare=True)
        assert await cursor.fetchall() == [(3,)]
        assert await prepared(conn) == ["select $1::int4 + 2"]


async def test_threshold_none_and_zero(pg18):
    async with await opened(pg18, prepare_threshold=None) as conn:
        assert conn.prepare_threshold is None
        for _ in range(4):
            cursor = await conn.execute("select %s::int4", [7])
            assert await cursor.fetchall() == [(7,)]
        assert await prepared(conn) == []
        conn.prepare_threshold = 0
        cursor = await conn.execute("select %s::int4 * 2", [7])
        assert await cursor.fetchall() == [(14,)]
        assert await prepared(conn) == ["select $1::int4 * 2"]
        with pytest.raises(howdah.ProgrammingError):
            conn.prepare_threshold = -1


async def test_threshold_of_two(pg18):
    async with await opened(pg18, prepare_threshold=2) as conn:
        for wanted in [[], [], ["select $1::int4"], ["select $1::int4"]]:
            cursor = await conn.execute("select %s::int4", [7])
            assert await cursor.fetchall() == [(7,)]
            assert await prepared(conn) == wanted


async def test_prepared_max(pg18, no_leaks):
    async with await opened(pg18) as conn:
        conn.prepared_max = 3
        for round_ in range(3):
            for number in range(6):
                for _ in range(2):
                    cursor = await conn.execute(f"select %s::int4 + {number}", [round_])
                    assert await cursor.fetchall() == [(round_ + number,)]
                assert len(await prepared(conn)) <= 3 + 1
        assert f"select $1::int4 + {number}" in await prepared(conn)
        with pytest.raises(howdah.ProgrammingError):
            conn.prepared_max = 0


async def right_after_one_error(conn: AsyncConnection[Any], sql: str, wanted: list[Any]) -> None:
    """The next uses give `wanted`; only the first may fail, with an error of the server."""
    try:
        cursor = await conn.execute(sql, [True])
        assert await cursor.fetchall() == wanted
    except howdah.DatabaseError as error:
        assert error.sqlstate is not None
    for _ in range(3):
        cursor = await conn.execute(sql, [True])
        assert await cursor.fetchall() == wanted


@pytest.mark.parametrize("uses", [1, 2, 3])
@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("alter table changing alter a type text", [("1", "x")]),
        ("alter table changing alter a type int8", [(1, "x")]),
        ("alter table changing add c date default '2024-02-29'", None),
        ("alter table changing drop b", [(1,)]),
        ("alter table changing rename a to z", [(1, "x")]),
    ],
)
async def test_alter_between_uses(pg18, no_leaks, uses, change, wanted):
    import datetime

    wanted = wanted or [(1, "x", datetime.date(2024, 2, 29))]
    sql = "select * from changing where %s"
    async with await opened(pg18) as conn:
        await conn.execute("create temp table changing (a int4, b text)")
        await conn.execute("insert into changing values (1, 'x')")
        for _ in range(uses):
            cursor = await conn.execute(sql, [True])
            assert await cursor.fetchall() == [(1, "x")]
        await conn.execute(change)
        await right_after_one_error(conn, sql, wanted)


@pytest.mark.parametrize("command", ["deallocate all", "discard all", "do $$ begin execute 'deallocate all'; end $$"])
async def test_deallocated_behind_our_back(pg18, command):
    async with await opened(pg18) as conn:
        for _ in range(3):
            await conn.execute("select 1 where %s", [True])
        await conn.execute(command)
        await right_after_one_error(conn, "select 1 where %s", [(1,)])


async def test_search_path_change(pg18):
    async with await opened(pg18) as conn:
        for schema, kind, word in [("sp_one", "int4", "1"), ("sp_two", "text", "'two'")]:
            await conn.execute(f"drop schema if exists {schema} cascade; create schema {schema}")
            await conn.execute(f"create table {schema}.t (v {kind}); insert into {schema}.t values ({word})")
        await conn.execute("set search_path to sp_one")
        for _ in range(3):
            cursor = await conn.execute("select v from t where %s", [True])
            assert await cursor.fetchall() == [(1,)]
        await conn.execute("set search_path to sp_two")
        await right_after_one_error(conn, "select v from t where %s", [("two",)])
        await conn.execute("drop schema sp_one cascade; drop schema sp_two cascade")


async def test_prepared_inside_a_transaction_rolled_back(pg18):
    async with await opened(pg18, autocommit=False) as conn:
        for _ in range(3):
            for _ in range(2):
                cursor = await conn.execute("select %s::int4 + 1", [1])
                assert await cursor.fetchall() == [(2,)]
            await conn.rollback()
        with pytest.raises(howdah.DataError):
            await conn.execute("select 1/%s", [0])
        await conn.rollback()
        cursor = await conn.execute("select %s::int4 + 1", [1])
        assert await cursor.fetchall() == [(2,)]


async def test_binary_cursor(pg18):
    async with await opened(pg18) as conn:
        cursor = conn.cursor(binary=True)
        for _ in range(3):
            await cursor.execute("select %s::int4, 'x'::text, inet '10.0.0.1'", [5])
            assert formats(cursor) == b"\1\1\1"
            row = await cursor.fetchone()
            assert row is not None and row[:2] == (5, "x")
            assert row[2] == b"\2\x20\0\4\x0a\0\0\1"
