# The sync twin of this file is generated from it by tools/unasync.py.
"""execute: placeholders, results, errors."""

from __future__ import annotations

import pickle

import pytest

import howdah
from howdah import errors


async def one(conn, query, params=None):
    cur = await conn.execute(query, params)
    return await cur.fetchone()


async def connect(dsn):
    return await howdah.AsyncConnection.connect(dsn, autocommit=True)


async def test_positional_parameters(dsn):
    async with await connect(dsn) as conn:
        for params in ((1, "two"), [1, "two"]):
            cur = await conn.execute("select %s + 1, %s::text", params)
            assert await cur.fetchall() == [(2, "two")]


async def test_named_parameters(dsn):
    async with await connect(dsn) as conn:
        cur = await conn.execute("select %(b)s::text, %(a)s + 1, %(b)s::text", {"a": 1, "b": "x", "unused": object()})
        assert await cur.fetchall() == [("x", 2, "x")]


async def test_percent_signs(dsn):
    async with await connect(dsn) as conn:
        assert await one(conn, "select 'abc' like 'a%', 5 % 3") == (True, 2)
        assert await one(conn, "select 'abc' like 'a%%', 5 %% %s", (3,)) == (True, 2)
        assert await one(conn, "select '%%', 5 %% 3", ()) == ("%", 2)
        assert await one(conn, "select '%%s'") == ("%%s",)


async def test_none_is_null(dsn):
    async with await connect(dsn) as conn:
        for _ in range(3):
            cur = await conn.execute("select %s::int, %s::text is null, coalesce(%s, 'x')", (None, None, None))
            assert await cur.fetchall() == [(None, True, "x")]
        cur = await conn.execute("select null, null::text[], array[null]::int[]")
        assert await cur.fetchall() == [(None, None, [None])]


async def test_none_and_a_value_in_one_place(dsn):
    async with await connect(dsn) as conn:
        for value in (None, 7, None, "7", None, 7, 70_000):
            cur = await conn.execute("select %s::int8", (value,))
            assert await cur.fetchone() == (None if value is None else int(value),)


async def test_parameters_never_become_sql(dsn):
    evil = "'; drop table elephants; -- \\ $1 %s \u00fc\U0001f418"
    async with await connect(dsn) as conn:
        for _ in range(3):
            cur = await conn.execute("select %s::text, length(%s)", (evil, evil))
            assert await cur.fetchone() == (evil, len(evil))


async def test_query_as_bytes(dsn):
    async with await connect(dsn) as conn:
        assert await one(conn, "select '\u00fc' || %s::text".encode(), ("x",)) == ("\u00fcx",)


@pytest.mark.parametrize(
    ("query", "params", "match"),
    [
        ("select %s", (), "1 placeholder but 0 parameters"),
        ("select %s", (1, 2), "1 placeholder but 2 parameters"),
        ("select %s", {"a": 1}, "positional placeholders"),
        ("select %(a)s", (1,), "named placeholders"),
        ("select %(a)s", {"b": 1}, "parameters are missing: a"),
        ("select %(a)s, %s", {"a": 1}, "cannot be mixed"),
        ("select %d", (1,), "is no placeholder"),
        ("select 100%", (), "is no placeholder"),
        ("select %s", "a", "must be a sequence or a mapping"),
        ("select %s", 1, "must be a sequence or a mapping"),
        ("select %s", (object(),), "cannot be sent"),
        ("select %s; select 2", (1,), "several statements"),
        (None, None, "a query is a str or bytes"),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_it_is(dsn, query, params, match):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        with pytest.raises(howdah.ProgrammingError, match=match):
            await conn.execute(query, params)
        assert conn.info.transaction_status.name == "IDLE"  # not even BEGIN went out
        assert await one(conn, "select 1") == (1,)


@pytest.mark.parametrize("value", ["a\0b", "\ud800", ["a\0b"], [[1], [2, 3]], [1, "a"]])
async def test_values_no_server_takes(dsn, value):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        with pytest.raises(howdah.DataError):
            await conn.execute("select %s", (value,))
        assert conn.info.transaction_status.name == "IDLE"
        assert await one(conn, "select 1") == (1,)


async def test_description(dsn):
    async with await connect(dsn) as conn:
        query = (
            "select 1 as int4, 'x'::varchar(7) as text, 1.5::numeric(9, 3) as num, now()::timestamptz(3) as at, "
            'null as "Two words"'
        )
        for _ in range(3):
            cur = await conn.execute(query)
            assert [column.name for column in cur.description] == ["int4", "text", "num", "at", "Two words"]
            assert all(len(column) == 7 for column in cur.description)
            assert tuple(cur.description[0]) == ("int4", 23, None, 4, None, None, None)
            assert tuple(cur.description[1]) == ("text", 1043, 7, None, None, None, None)
            assert tuple(cur.description[2]) == ("num", 1700, None, None, 9, 3, None)
            assert cur.description[3].precision == 3
            assert cur.description[0].type_code == howdah.NUMBER and cur.description[1].type_code == howdah.STRING


async def test_description_and_counts_without_rows(dsn):
    async with await connect(dsn) as conn:
        cur = conn.cursor()
        assert (cur.description, cur.rowcount, cur.statusmessage, cur.rownumber) == (None, -1, None, None)
        for _ in range(3):
            await cur.execute("create temp table if not exists t (a int)")
            assert (cur.description, cur.rowcount, cur.statusmessage) == (None, -1, "CREATE TABLE")
            with pytest.raises(howdah.ProgrammingError, match="CREATE TABLE"):
                await cur.fetchone()
        for count in (1, 2, 3):
            await cur.execute("insert into t select generate_series(1, 5)")
            assert (cur.description, cur.rowcount, cur.statusmessage) == (None, 5, "INSERT 0 5")
            await cur.execute("update t set a = a where a <= %s", (2,))
            assert (cur.rowcount, cur.statusmessage) == (2 * count, "UPDATE " + str(2 * count))
        await cur.execute("delete from t where a = 1 returning a")
        assert cur.rowcount == 3 and cur.statusmessage == "DELETE 3" and await cur.fetchall() == [(1,)] * 3
        await cur.execute("select a from t where false")
        assert cur.rowcount == 0 and cur.description is not None and await cur.fetchall() == []


async def test_no_columns(dsn):
    async with await connect(dsn) as conn:
        for _ in range(3):
            cur = await conn.execute("select from generate_series(1, 3)")
            assert cur.description == [] and cur.rowcount == 3
            assert await cur.fetchall() == [(), (), ()]


async def test_columns_of_one_name(dsn):
    async with await connect(dsn) as conn:
        assert await one(conn, "select 1 as a, 2 as a") == (1, 2)


async def test_empty_query(dsn):
    async with await connect(dsn) as conn:
        for query in (";", "  ", "-- nothing", "/* nothing */"):
            cur = await conn.execute(query)
            assert cur.description is None and cur.statusmessage is None and cur.rowcount == -1
            with pytest.raises(howdah.ProgrammingError):
                await cur.fetchone()
            assert await one(conn, "select 1") == (1,)


async def test_several_statements(dsn):
    async with await connect(dsn) as conn:
        for _ in range(3):
            cur = await conn.execute("select 1 as a; create temp table if not exists s (a int); select 'x', 'y' ; ")
            assert await cur.fetchall() == [(1,)] and cur.statusmessage == "SELECT 1"
            assert await cur.fetchall() == []
            assert cur.nextset() is True
            assert cur.statusmessage == "CREATE TABLE" and cur.description is None
            with pytest.raises(howdah.ProgrammingError):
                await cur.fetchall()
            assert cur.nextset() is True
            assert len(cur.description) == 2 and await cur.fetchone() == ("x", "y")
            assert cur.nextset() is None


async def test_error_in_the_second_of_several_statements(dsn):
    async with await connect(dsn) as conn:
        await conn.execute("create temp table s (a int)")
        cur = conn.cursor()
        with pytest.raises(errors.DivisionByZero):
            await cur.execute("insert into s values (1); select 1/0; insert into s values (2)")
        assert cur.description is None
        assert await one(conn, "select count(*) from s") == (0,)


async def test_several_statements_in_a_transaction(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        cur = await conn.execute("select 1; select 2")
        assert conn.info.transaction_status.name == "INTRANS"
        assert await cur.fetchall() == [(1,)] and cur.nextset() and await cur.fetchall() == [(2,)]
        await conn.rollback()
        cur = await conn.execute("select 1; commit; select 2")
        assert [cur.statusmessage, cur.nextset(), cur.statusmessage, cur.nextset(), cur.statusmessage] == [
            "SELECT 1", True, "COMMIT", True, "SELECT 1",
        ]  # fmt: skip
        assert conn.info.transaction_status.name == "IDLE"


async def test_rollback_and_begin_in_one_text(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.execute("create temp table s (a int); rollback; begin; create temp table s (a int)")
        assert conn.info.transaction_status.name == "INTRANS"
        assert await one(conn, "select count(*) from s") == (0,)


@pytest.mark.parametrize(
    ("query", "error_class", "sqlstate", "base"),
    [
        ("selct 1", errors.SyntaxError, "42601", howdah.ProgrammingError),
        ("select * from no_such_table", errors.UndefinedTable, "42P01", howdah.ProgrammingError),
        ("select no_such_column", errors.UndefinedColumn, "42703", howdah.ProgrammingError),
        ("select no_such_function()", errors.UndefinedFunction, "42883", howdah.ProgrammingError),
        ("select 1/0", errors.DivisionByZero, "22012", howdah.DataError),
        ("select 100000::int2", errors.NumericValueOutOfRange, "22003", howdah.DataError),
        ("select 'x'::int", errors.InvalidTextRepresentation, "22P02", howdah.DataError),
        ("insert into ec values (null, 1)", errors.NotNullViolation, "23502", howdah.IntegrityError),
        ("insert into ec values (1, 1), (1, 1)", errors.UniqueViolation, "23505", howdah.IntegrityError),
        ("insert into ec values (2, -1)", errors.CheckViolation, "23514", howdah.IntegrityError),
        ("create temp table ec (a int)", errors.DuplicateTable, "42P07", howdah.ProgrammingError),
        ("set statement_timeout = 20; select pg_sleep(5)", errors.QueryCanceled, "57014", howdah.OperationalError),
        ("do $$ begin raise exception 'mine' using errcode = 'P4242'; end $$", None, "P4242", howdah.ProgrammingError),
        ("do $$ begin raise exception 'mine'; end $$", errors.RaiseException, "P0001", howdah.ProgrammingError),
    ],
)
async def test_one_class_for_each_sqlstate(dsn, query, error_class, sqlstate, base):
    async with await connect(dsn) as conn:
        await conn.execute("create temp table ec (a int primary key, b int check (b > 0))")
        with pytest.raises(base) as caught:
            await conn.execute(query)
        error = caught.value
        if error_class is not None:
            assert type(error) is error_class
        assert error.sqlstate == error.diag.sqlstate == sqlstate and error.sent is True
        await conn.execute("set statement_timeout = 0")
        assert await one(conn, "select 1") == (1,)


async def test_facts_of_an_error(dsn):
    async with await connect(dsn) as conn:
        await conn.execute("create temp table users (id int, email text constraint one_email unique)")
        insert = "insert into users values (%s, %s)"
        await conn.execute(insert, (1, "ann@example.net"))
        with pytest.raises(errors.UniqueViolation) as caught:
            await conn.execute(insert, (2, "ann@example.net"))
        error = caught.value
        diag = error.diag
        assert diag.severity == diag.severity_nonlocalized == "ERROR"
        assert (diag.table_name, diag.constraint_name) == ("users", "one_email")
        assert diag.schema_name.startswith("pg_temp")
        assert diag.message_detail == "Key (email)=(ann@example.net) already exists."
        assert diag.source_file and diag.source_line and diag.source_function
        assert diag.column_name is None and diag.internal_query is None
        assert error.query == "insert into users values ($1, $2)"
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.sent) == (type(error), str(error), True)


async def test_the_caret_points_at_the_place(dsn):
    async with await connect(dsn) as conn:
        for params in (None, ()):
            with pytest.raises(errors.UndefinedColumn) as caught:
                await conn.execute("select '\u00fc\U0001f418',\n       nosuch", params)
            lines = str(caught.value).splitlines()
            assert lines[1] == "LINE 2:        nosuch"
            assert lines[2].index("^") == lines[1].index("nosuch")


async def test_the_caret_in_a_text_with_placeholders(dsn):
    async with await connect(dsn) as conn:
        for _ in range(3):
            with pytest.raises(errors.UndefinedColumn) as caught:
                await conn.execute("select %s::int4, %s::int4, nosuch", (1, 2))
            lines = str(caught.value).splitlines()
            assert lines[2].index("^") == lines[1].index("nosuch")


async def test_error_in_a_function(dsn):
    async with await connect(dsn) as conn:
        await conn.execute("create function pg_temp.f() returns int language plpgsql as 'begin return x / 0; end'")
        with pytest.raises(errors.UndefinedColumn) as caught:
            await conn.execute("select pg_temp.f()")
        assert caught.value.diag.internal_query == "x / 0"
        assert "PL/pgSQL function" in caught.value.diag.context
        assert "QUERY:  x / 0" in str(caught.value)


async def test_parameters_are_in_no_error_of_ours(dsn):
    async with await connect(dsn) as conn:
        for _ in range(3):
            with pytest.raises(errors.DivisionByZero) as caught:
                await conn.execute("select %s::text, 1/0 from generate_series(0, %s)", ("s3cret", 0))
            assert "s3cret" not in str(caught.value) + repr(caught.value)


async def test_the_cursor_is_usable_after_an_error(dsn):
    async with await connect(dsn) as conn:
        cur = conn.cursor()
        for _ in range(4):
            with pytest.raises(errors.DivisionByZero):
                await cur.execute("select 1/%s::int", (0,))
            assert cur.description is None and cur.rowcount == -1
            with pytest.raises(howdah.ProgrammingError, match="no result"):
                await cur.fetchone()
            await cur.execute("select 6/%s::int", (2,))
            assert await cur.fetchall() == [(3,)]
            with pytest.raises(howdah.ProgrammingError):
                await cur.execute("select %s", ())
            await cur.execute("select 4")
            assert await cur.fetchall() == [(4,)]


async def test_an_error_in_the_middle_of_the_rows(dsn):
    async with await connect(dsn) as conn:
        for _ in range(3):
            with pytest.raises(errors.DivisionByZero):
                await conn.execute("select 100/(%s - i) from generate_series(1, 5000) i", (4000,))
            assert await one(conn, "select 1") == (1,)


async def test_a_closed_cursor_is_refused(dsn):
    async with await connect(dsn) as conn:
        cur = await conn.execute("select 1")
        assert cur.connection is conn
        await cur.close()
        await cur.close()
        assert cur.closed
        for attempt in (cur.fetchone, cur.fetchmany, cur.fetchall):
            with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
                await attempt()
        with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
            await cur.execute("select 1")
        with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
            await cur.executemany("select %s", [(1,)])
        with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
            cur.nextset()
        async with conn.cursor() as other:
            await other.execute("select 2")
            assert await other.fetchone() == (2,)
        assert other.closed and not conn.closed


@pytest.mark.parametrize("params", [None, (), (1,)])
@pytest.mark.parametrize("autocommit", [True, False])
async def test_copy_is_refused_and_the_connection_stays_usable(dsn, params, autocommit):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=autocommit) as conn:
        await conn.execute("create temp table c (a int)")
        await conn.commit()
        for _ in range(3):
            for query, match in (
                ("copy c from stdin", "COPY FROM STDIN"),
                ("copy (select 1) to stdout", "COPY TO STDOUT"),
            ):
                if params:
                    with pytest.raises(howdah.Error):  # COPY takes no parameters: the server says it
                        await conn.execute(query + " /* %s */", params)
                else:
                    with pytest.raises(howdah.ProgrammingError, match=match):
                        await conn.execute(query, params)
                await conn.rollback()
                assert await one(conn, "select 1 + %s", (1,)) == (2,)
                assert await one(conn, "select count(*) from c") == (0,)
                await conn.commit()


@pytest.mark.parametrize("query", ["select 1; copy c from stdin; select 2", "select 1; copy c to stdout; select 2"])
@pytest.mark.parametrize("autocommit", [True, False])
async def test_copy_among_several_statements(dsn, query, autocommit):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=autocommit) as conn:
        await conn.execute("create temp table c (a int)")
        await conn.execute("insert into c select generate_series(1, 10000)")
        await conn.commit()
        for _ in range(2):
            with pytest.raises(howdah.ProgrammingError, match="COPY"):
                await conn.execute(query)
            await conn.rollback()
            assert await one(conn, "select count(*) from c") == (10000,)
            await conn.commit()


async def test_notices_go_to_the_handlers(dsn):
    seen = []
    raised = []

    def handler(diag):
        seen.append((diag.severity, diag.message_primary, diag.message_hint, diag.sqlstate))

    def bad_handler(diag):
        raised.append(diag)
        raise ValueError("a handler's own mistake")

    raise_two = "do $$ begin raise notice 'one' using hint = 'a hint'; raise warning 'two'; end $$"
    async with await connect(dsn) as conn:
        conn.add_notice_handler(bad_handler)
        conn.add_notice_handler(handler)
        await conn.execute(raise_two)
        assert seen == [("NOTICE", "one", "a hint", "00000"), ("WARNING", "two", None, "01000")]
        assert len(raised) == 2
        conn.remove_notice_handler(bad_handler)
        conn.remove_notice_handler(handler)
        await conn.execute(raise_two)
        assert len(seen) == 2
        with pytest.raises(ValueError):
            conn.remove_notice_handler(handler)


async def test_a_notice_in_the_middle_of_the_rows(dsn):
    seen = []
    async with await connect(dsn) as conn:
        conn.add_notice_handler(lambda diag: seen.append(diag.message_primary))
        await conn.execute(
            "create function pg_temp.loud(i int) returns int language plpgsql as "
            "$$begin if i % 100 = 0 then raise notice 'at %', i; end if; return i; end$$"
        )
        for _ in range(3):
            cur = await conn.execute("select pg_temp.loud(i) from generate_series(1, %s) i", (1000,))
            assert await cur.fetchall() == [(i,) for i in range(1, 1001)]
        assert seen == ["at " + str(i) for i in range(100, 1001, 100)] * 3
