# The sync twin of this file is generated from it by tools/unasync.py.
"""Cursors: parameters, fetching, description, many rows, several results."""

from __future__ import annotations

from typing import Any

import pytest

import howdah
from howdah import AsyncConnection
from howdah.errors import UndefinedTable, UniqueViolation
from howdah.rows import dict_row


async def opened(server: Any, **options: Any) -> AsyncConnection[Any]:
    return await AsyncConnection.connect(server.dsn, **{"autocommit": True, **options})


async def rows(conn: AsyncConnection[Any], sql: str, params: Any = None) -> list[Any]:
    cursor = await conn.execute(sql, params)
    return await cursor.fetchall()


async def test_positional_parameters(pg18, no_leaks):
    async with await opened(pg18) as conn:
        for params in [(1, "two"), [1, "two"]]:
            assert await rows(conn, "select %s::int4, %s::text", params) == [(1, "two")]


async def test_named_parameters(pg18, no_leaks):
    async with await opened(pg18) as conn:
        sql = "select %(a)s::int4, %(b)s::text, %(a)s::int4 + 1"
        assert await rows(conn, sql, {"a": 1, "b": "two", "unused": object()}) == [(1, "two", 2)]


async def test_percent_signs(pg18):
    async with await opened(pg18) as conn:
        assert await rows(conn, "select 7 %% %s::int4, '100%%'", [4]) == [(3, "100%")]
        assert await rows(conn, "select 7 % 4, '100%%', '%s'") == [(3, "100%%", "%s")]
        assert await rows(conn, "select 7 %% 4", ()) == [(3,)]


async def test_none_is_null(pg18):
    async with await opened(pg18) as conn:
        for _ in range(3):
            assert await rows(conn, "select %s::int4, %s::text is null, %s::text is null", [None, None, "x"]) == [
                (None, True, False)
            ]


async def test_text_never_becomes_sql(pg18):
    evil = "'; drop table pg_class; -- \\ \" $1 %s \U0001f40d"
    async with await opened(pg18) as conn:
        for _ in range(3):
            assert await rows(conn, "select %s", [evil]) == [(evil,)]


@pytest.mark.parametrize(
    ("sql", "params", "words"),
    [
        ("select %s", [], "1 placeholder but 0 parameters"),
        ("select %s", [1, 2], "1 placeholder but 2 parameters"),
        ("select 1", [1], "0 placeholders but 1 parameter"),
        ("select %s", "x", "sequence or a mapping"),
        ("select %s", 1, "sequence or a mapping"),
        ("select %(a)s", {"b": 1}, "missing: a"),
        ("select %(a)s", [1], "mapping"),
        ("select %s", {"a": 1}, "positional"),
        ("select %s, %(a)s", {"a": 1}, "mixed"),
        ("select %d", [1], "no placeholder"),
        ("select %s; select 2", [1], "several statements"),
        ("select %s", [object()], "no codec"),
    ],
)
async def test_parameters_that_do_not_fit(pg18, sql, params, words):
    async with await opened(pg18, autocommit=False) as conn:
        with pytest.raises(howdah.ProgrammingError, match=words):
            await conn.execute(sql, params)
        assert conn.info.transaction_status.name == "IDLE"  # nothing was sent
        assert await rows(conn, "select %s::int4", [3]) == [(3,)]


async def test_fetching(pg18, no_leaks):
    async with await opened(pg18) as conn, conn.cursor() as cur:
        await cur.execute("select generate_series(1, 10)")
        assert cur.rowcount == 10 and cur.rownumber == 0
        assert await cur.fetchone() == (1,)
        assert await cur.fetchmany() == [(2,)]
        cur.arraysize = 2
        assert await cur.fetchmany() == [(3,), (4,)]
        assert await cur.fetchmany(3) == [(5,), (6,), (7,)]
        assert cur.rownumber == 7
        assert await cur.fetchall() == [(8,), (9,), (10,)]
        assert await cur.fetchone() is None
        assert await cur.fetchmany(5) == [] and await cur.fetchall() == []
        with pytest.raises(howdah.ProgrammingError):
            await cur.fetchmany(-1)


async def test_iteration(pg18, no_leaks):
    async with await opened(pg18) as conn:
        cursor = await conn.execute("select generate_series(1, %s)", [4])
        assert await cursor.fetchone() == (1,)
        assert [row[0] async for row in cursor] == [2, 3, 4]
        assert [row async for row in cursor] == []


async def test_nothing_to_fetch(pg18):
    async with await opened(pg18) as conn:
        cursor = conn.cursor()
        with pytest.raises(howdah.ProgrammingError, match="no result"):
            await cursor.fetchone()
        await cursor.execute("create temp table nothing_to_fetch (n int4)")
        assert cursor.description is None and cursor.rownumber is None
        for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall):
            with pytest.raises(howdah.ProgrammingError, match="returned no rows"):
                await fetch()
        await cursor.execute("select * from nothing_to_fetch")
        assert await cursor.fetchone() is None and await cursor.fetchall() == []


async def test_no_columns(pg18):
    async with await opened(pg18) as conn:
        for _ in range(3):
            cursor = await conn.execute("select from generate_series(1, %s)", [3])
            assert cursor.description == [] and cursor.rowcount == 3
            assert await cursor.fetchall() == [(), (), ()]


async def test_description(pg18):
    async with await opened(pg18) as conn:
        await conn.execute("create temp table described (a varchar(7), b numeric(10, 2))")
        sql = "select a, b, 1::int4 as c, 'x'::text as \"D e\" from described where %s"
        for _ in range(3):
            cursor = await conn.execute(sql, [True])
            assert cursor.description is not None
            assert [tuple(column) for column in cursor.description] == [
                ("a", 1043, 7, None, None, None, None),
                ("b", 1700, None, None, 10, 2, None),
                ("c", 23, None, 4, None, None, None),
                ("D e", 25, None, None, None, None, None),
            ]
        assert [len(column) for column in cursor.description] == [7] * 4
        assert cursor.description[2].name == "c" and cursor.description[2].type_display == "int4"


@pytest.mark.parametrize("params", [None, ()])
async def test_rowcount_and_statusmessage(pg18, params):
    async with await opened(pg18) as conn:
        cur = conn.cursor()
        assert cur.rowcount == -1 and cur.statusmessage is None
        for sql, count, tag in [
            ("create temp table counted (n int4)", -1, "CREATE TABLE"),
            ("insert into counted select generate_series(1, 5)", 5, "INSERT 0 5"),
            ("update counted set n = n + 1 where n > 2", 3, "UPDATE 3"),
            ("select * from counted", 5, "SELECT 5"),
            ("delete from counted where n = 1", 1, "DELETE 1"),
            ("update counted set n = 0 where false", 0, "UPDATE 0"),
            ("insert into counted values (8) returning n", 1, "INSERT 0 1"),
        ]:
            await cur.execute(sql, params)
            assert (cur.rowcount, cur.statusmessage) == (count, tag)


async def test_several_results(pg18, no_leaks):
    async with await opened(pg18) as conn:
        cur = await conn.execute(
            "select 1; create temp table several (n int4); select 'two', 2 union all select 'x', 3"
        )
        assert await cur.fetchall() == [(1,)]
        assert cur.description is not None and len(cur.description) == 1
        assert cur.nextset() is True
        assert cur.description is None and cur.statusmessage == "CREATE TABLE"
        assert cur.nextset() is True
        assert cur.rowcount == 2 and cur.description is not None and len(cur.description) == 2
        assert await cur.fetchone() == ("two", 2)
        assert cur.nextset() is None
        assert await cur.fetchall() == [("x", 3)]  # the last result stays


async def test_error_in_several_statements(pg18):
    async with await opened(pg18) as conn:
        with pytest.raises(UndefinedTable):
            await conn.execute("create temp table half (n int4); select * from nosuch; select 3")
        with pytest.raises(UndefinedTable):  # several statements are one transaction
            await conn.execute("select * from half")
        assert await rows(conn, "select 4") == [(4,)]


@pytest.mark.parametrize("sql", ["", "  ", "-- nothing", ";"])
async def test_empty_query(pg18, sql):
    async with await opened(pg18) as conn:
        try:
            cursor = await conn.execute(sql)
        except howdah.ProgrammingError as error:
            assert "empty" in str(error)
        else:
            assert cursor.description is None and cursor.rowcount == -1 and cursor.statusmessage is None
        assert await rows(conn, "select 1") == [(1,)]


async def test_row_factory(pg18):
    async with await opened(pg18, row_factory=dict_row) as conn:
        cursor = await conn.execute("select 1 as a, 'x' as b")
        assert await cursor.fetchone() == {"a": 1, "b": "x"}
        plain = conn.cursor(row_factory=howdah.rows.tuple_row)
        await plain.execute("select 1 as a")
        assert await plain.fetchall() == [(1,)]


async def test_closed_cursor(pg18, no_leaks):
    async with await opened(pg18) as conn:
        async with conn.cursor() as cur:
            await cur.execute("select 1")
        await cur.close()
        assert cur.closed and not conn.closed
        for call in (cur.fetchone, cur.fetchmany, cur.fetchall):
            with pytest.raises(howdah.InterfaceError, match="cursor is closed"):
                await call()
        with pytest.raises(howdah.InterfaceError, match="cursor is closed"):
            await cur.execute("select 1")
        with pytest.raises(howdah.InterfaceError, match="cursor is closed"):
            await cur.executemany("select %s", [[1]])
        with pytest.raises(howdah.InterfaceError, match="cursor is closed"):
            cur.nextset()
        assert await rows(conn, "select 2") == [(2,)]


async def test_two_cursors_keep_their_rows(pg18):
    async with await opened(pg18) as conn:
        first = await conn.execute("select generate_series(1, 3)")
        second = await conn.execute("select generate_series(%s, 6)", [4])
        assert await first.fetchone() == (1,) and await second.fetchone() == (4,)
        assert await first.fetchall() == [(2,), (3,)] and await second.fetchall() == [(5,), (6,)]


# --- executemany


async def test_executemany(pg18, no_leaks):
    async with await opened(pg18, autocommit=False) as conn:
        await conn.execute("create temp table many (a int8, b text)")
        cur = conn.cursor()
        await cur.executemany("insert into many values (%s, %s)", [(i, f"row {i}") for i in range(1000)])
        assert cur.rowcount == 1000 and cur.description is None
        await cur.executemany("insert into many values (%(a)s, %(b)s)", ({"a": i, "b": None} for i in range(3)))
        assert cur.rowcount == 3
        await conn.commit()
        assert await rows(conn, "select count(*), count(b), max(a) from many") == [(1003, 1000, 999)]
        await cur.executemany("update many set b = %s where a < %s", [("x", 2), ("y", 1), ("z", 0)])
        assert cur.rowcount == 4 + 2 + 0


async def test_executemany_of_nothing(pg18):
    async with await opened(pg18, autocommit=False) as conn:
        cur = conn.cursor()
        await cur.executemany("insert into nosuch values (%s)", [])
        assert cur.rowcount == 0
        assert conn.info.transaction_status.name == "IDLE"


async def test_executemany_nulls_and_widths(pg18):
    numbers = [None, 1, 40000, None, 2**31, -(2**63), 2**63 - 1, 0, None]
    async with await opened(pg18) as conn:
        for kind in ("int8", "numeric", "text"):
            await conn.execute(f"create temp table widths_{kind} (at int4, n {kind})")
            cur = conn.cursor()
            value = "%s::int8" if kind == "text" else "%s"
            await cur.executemany(f"insert into widths_{kind} values (%s, {value})", list(enumerate(numbers)))
            got = await rows(conn, f"select n::int8 from widths_{kind} order by at")
            assert [row[0] for row in got] == numbers


async def test_executemany_mixed_types(pg18):
    async with await opened(pg18) as conn:
        await conn.execute("create temp table mixed (at int4, n numeric)")
        values = [1, 2.5, None, 3, "4.25", 2**80]
        await conn.cursor().executemany("insert into mixed values (%s, %s)", list(enumerate(values)))
        got = await rows(conn, "select n::text from mixed order by at")
        assert [row[0] for row in got] == ["1", "2.5", None, "3", "4.25", str(2**80)]


@pytest.mark.parametrize("autocommit", [False, True])
async def test_error_in_executemany_keeps_nothing(pg18, no_leaks, autocommit):
    async with await opened(pg18, autocommit=autocommit) as conn:
        await conn.execute("create temp table unique_many (n int4 unique)")
        await conn.commit()
        cur = conn.cursor()
        with pytest.raises(UniqueViolation):
            await cur.executemany("insert into unique_many values (%s)", [(1,), (2,), (1,), (3,)])
        await conn.rollback()
        assert await rows(conn, "select count(*) from unique_many") == [(0,)]
        await cur.executemany("insert into unique_many values (%s)", [(1,), (2,)])
        assert cur.rowcount == 2


async def test_executemany_names_the_row(pg18):
    async with await opened(pg18, autocommit=False) as conn:
        cur = conn.cursor()
        with pytest.raises(howdah.ProgrammingError, match=r"row 2: .*2 parameters"):
            await cur.executemany("select %s", [(1,), (1, 2)])
        with pytest.raises(howdah.DataError, match=r"row 2: parameter 1: .*NUL"):
            await cur.executemany("select %s", [("a",), ("\0",)])
        assert conn.info.transaction_status.name == "IDLE"
        assert await rows(conn, "select 1") == [(1,)]


# --- large


@pytest.mark.heavy
async def test_many_rows(pg18, no_leaks):
    async with await opened(pg18) as conn:
        for _ in range(2):
            got = await rows(conn, "select i, i::text from generate_series(1, %s) i", [300_000])
            assert len(got) == 300_000 and got[0] == (1, "1") and got[-1] == (300_000, "300000")
            assert sum(row[0] for row in got) == 300_000 * 300_001 // 2


@pytest.mark.heavy
async def test_large_value_both_ways(pg18, no_leaks):
    data = bytes(range(256)) * (64 * 1024 * 1024 // 256)
    async with await opened(pg18) as conn:
        cursor = await conn.execute("select %s::bytea", [data], binary=True)
        row = await cursor.fetchone()
        assert row is not None and row[0] == data
        assert await rows(conn, "select length(%s::bytea), 1", [data]) == [(len(data), 1)]


@pytest.mark.heavy
async def test_executemany_that_returns_much(pg18, no_leaks):
    """Both directions fill up: a driver that only writes would wait for a server that waits for the driver."""
    async with await opened(pg18) as conn:
        cur = conn.cursor()
        await cur.executemany("select repeat('x', 2000), %s::text", [("y" * 1000,) for _ in range(20_000)])
        assert cur.rowcount == 20_000
        assert await rows(conn, "select 1") == [(1,)]
