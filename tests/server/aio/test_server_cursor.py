# The sync twin of this file is generated from it by tools/unasync.py.
"""Cursors with a name, and cursors that bind otherwise."""

from __future__ import annotations

import random

import pytest

import howdah
from howdah import errors, sql

TEN = "select generate_series(1, %s)"


async def connect(dsn, autocommit=False, **kwargs):
    return await howdah.AsyncConnection.connect(dsn, autocommit=autocommit, **kwargs)


async def names(conn):
    cur = await conn.execute("select name from pg_cursors where name <> '' order by 1")
    return [row[0] for row in await cur.fetchall()]


@pytest.mark.parametrize("binary", [True, False])
async def test_fetches(dsn, binary):
    async with await connect(dsn) as conn:
        async with conn.cursor('it\'s a "name"', binary=binary) as cur:
            assert isinstance(cur, howdah.AsyncServerCursor) and cur.name == 'it\'s a "name"'
            assert await cur.execute(TEN, (10,)) is cur
            assert [column.name for column in cur.description] == ["generate_series"]
            assert await names(conn) == [cur.name]
            assert await cur.fetchone() == (1,) and cur.rownumber == 1
            assert await cur.fetchmany(2) == [(2,), (3,)] and await cur.fetchmany() == [(4,)]
            cur.itersize = 3
            async for row in cur:
                if row == (5,):
                    break
            assert await cur.fetchmany(4) == [(6,), (7,), (8,), (9,)]
            assert cur.rownumber == 9 and cur.rowcount == -1
            assert await cur.fetchall() == [(10,)] and await cur.fetchone() is None
            await cur.execute("select %(a)s::text", {"a": "x"})
            assert await cur.fetchall() == [("x",)]
        assert await names(conn) == [] and cur.closed
        await cur.close()
        with pytest.raises(errors.InterfaceError):
            await cur.fetchone()


async def test_scroll(dsn):
    async with await connect(dsn) as conn:
        cur = conn.cursor("c", scrollable=True)
        await cur.execute(TEN, (10,))
        cur.itersize = 4
        async for row in cur:
            if row == (2,):
                break
        await cur.scroll(1)
        assert await cur.fetchone() == (4,)
        await cur.scroll(-3)
        assert await cur.fetchone() == (2,)
        await cur.scroll(8, "absolute")
        assert await cur.fetchall() == [(9,), (10,)]
        with pytest.raises(ValueError, match="mode"):
            await cur.scroll(1, "sideways")
        assert cur.scrollable is True and cur.withhold is False
        forward = conn.cursor("f", scrollable=False)
        await forward.execute(TEN, (3,))
        await forward.fetchmany(2)
        with pytest.raises(errors.ObjectNotInPrerequisiteState):
            await forward.scroll(-1)
        await conn.rollback()
        await forward.close()
        await cur.close()


async def test_lifetimes(dsn):
    async with await connect(dsn) as conn:
        held = conn.cursor("held", withhold=True)
        await held.execute(TEN, (3,))
        short = conn.cursor("short")
        await short.execute(TEN, (3,))
        await conn.commit()
        assert await held.fetchall() == [(1,), (2,), (3,)]
        with pytest.raises(errors.InvalidCursorName):
            await short.fetchone()
        await short.close()  # in a failed transaction: nothing is sent
        await conn.rollback()
        await held.close()
        assert await names(conn) == []
    async with await connect(dsn, autocommit=True) as conn:
        with pytest.raises(errors.NoActiveSqlTransaction):
            await conn.cursor("c").execute(TEN, (1,))
        async with conn.cursor("h", withhold=True) as cur:
            await cur.execute(TEN, (1,))
        assert await names(conn) == []


async def test_adoption(dsn):
    async with await connect(dsn) as conn:
        await conn.execute("do $$ declare c refcursor := 'mine'; begin open c for select generate_series(1, 5); end $$")
        cur = conn.cursor("mine", row_factory=howdah.rows.scalar_row)
        assert await cur.fetchone() == 1 and [x async for x in cur] == [2, 3, 4, 5]
        await cur.close()
        assert await names(conn) == []


async def test_what_it_cannot_do(dsn):
    async with await connect(dsn) as conn:
        cur = conn.cursor("c")
        with pytest.raises(errors.NotSupportedError):
            await cur.executemany(TEN, [(1,)])
        with pytest.raises(errors.NotSupportedError):
            cur.stream(TEN, (1,))
        with pytest.raises(errors.ProgrammingError, match="one statement"):
            await cur.execute("select 1; select 2")
        with pytest.raises(errors.ProgrammingError, match="name"):
            howdah.AsyncServerCursor(conn, "")
        raw = howdah.AsyncRawServerCursor(conn, "r")
        await raw.execute("select $2 || $1 || '%s'", ("a", "b"))
        assert await raw.fetchone() == ("ba%s",)


async def test_client_and_raw_cursors(dsn):
    async with await connect(dsn, cursor_factory=howdah.AsyncClientCursor) as conn:
        cur = conn.cursor()
        assert cur.mogrify("select %s, %s", (-1, "a'")) == "select  -1, 'a'''"
        await cur.execute("select %s; select %s", (1, ["a", None]))
        assert await cur.fetchall() == [(1,)] and cur.nextset() and await cur.fetchall() == [('{"a",NULL}',)]
        await cur.execute("create temp table t (a int, b text default %s)", ("it's",))
        await cur.executemany("insert into t values (%s)", [(1,), (2,)])
        assert cur.rowcount == 2
        await cur.execute("select * from t")
        assert await cur.fetchall() == [(1, "it's"), (2, "it's")]
        raw = howdah.AsyncRawCursor(conn)
        await raw.execute("select $1::int % 4, '%s'", (7,))
        assert await raw.fetchone() == (3, "%s")
        await raw.executemany("insert into t values ($2, $1)", [("x", 3), ("y", 4)])
        assert raw.rowcount == 2


async def test_composed_queries_run(dsn):
    async with await connect(dsn) as conn:
        name = 'odd "%s" name'
        await conn.execute(
            sql.SQL("create temp table {} (a int, {} text)").format(sql.Identifier(name), sql.Identifier("%"))
        )
        insert = sql.SQL("insert into {} values (%s, {})").format(sql.Identifier(name), "100%'")
        await conn.cursor().executemany(insert, [(1,), (2,)])
        cur = await conn.execute(sql.SQL("select * from {} where a = %(a)s").format(sql.Identifier(name)), {"a": 2})
        assert await cur.fetchall() == [(2, "100%'")]


async def test_statements_without_parameters_on_the_server(dsn):
    heard = []
    async with await connect(dsn, autocommit=True) as conn:
        conn.add_notify_handler(heard.append)
        await conn.execute("listen c")
        for text in ("a'\\b", "", "ü%s"):
            await conn.execute("notify c, %s", (text,))
            await conn.execute("set application_name = %s", (text,))
            await conn.execute("select 1")
        assert [notify.payload for notify in heard] == ["a'\\b", "", "ü%s"]
        await conn.execute("begin")
        await conn.execute("create role stream_role login password %s", ("s3cret",))
        cur = await conn.execute("select rolpassword from pg_authid where rolname = 'stream_role'")
        stored = await cur.fetchone()
        assert stored[0].startswith("SCRAM-SHA-256$")
        await conn.execute("rollback")


@pytest.mark.parametrize("conforming", ["on", "off"])
async def test_the_corpus_comes_back_as_it_is(dsn, conforming):
    rand = random.Random(11)
    pieces = [
        "'",
        "\\",
        '"',
        "--",
        "/*",
        "$$",
        "%s",
        "%",
        ";",
        "\n",
        "a",
        "é",
        "E'",
        "drop table canary",
        "{",
        "}",
        ",",
        "$1",
    ]
    texts = ["".join(rand.choice(pieces) for _ in range(rand.randrange(1, 9))) for _ in range(300)]
    async with await connect(dsn, cursor_factory=howdah.AsyncClientCursor) as conn:
        await conn.execute("create temp table canary (a int)")
        await conn.execute("set standard_conforming_strings = " + conforming)
        await conn.execute("set escape_string_warning = off")
        cur = conn.cursor()
        await cur.execute("select " + ", ".join(["%s"] * len(texts)), texts)
        assert list(await cur.fetchone()) == texts
        await cur.execute("select %s::text[], %s::bytea[]", (texts, [text.encode() for text in texts]))
        assert await cur.fetchone() == (texts, [text.encode() for text in texts])
        for text in texts[:40]:
            await cur.execute("set application_name = %s", (text.replace("é", "e").replace("\n", "n"),))
            query = sql.SQL("select {l} as {n}, %s").format(l=text, n=sql.Identifier(text))
            await cur.execute(query, (text,))
            assert await cur.fetchone() == (text, text) and cur.description[0].name == text
            async with conn.cursor(text) as named:
                await named.execute("select %s", (text,))
                assert await named.fetchone() == (text,)
        await cur.execute("select count(*) from canary")
        assert await cur.fetchone() == (0,)
