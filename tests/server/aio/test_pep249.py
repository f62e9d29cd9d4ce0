# The sync twin of this file is generated from it by tools/unasync.py.
"""PEP 249, sentence by sentence: each test's docstring is what the PEP says."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

import howdah
from howdah import errors


async def opened(dsn: str, **options: Any) -> howdah.AsyncConnection[Any]:
    return await howdah.AsyncConnection.connect(dsn, **options)


NOTICE = "do $$ begin raise notice 'one' using hint = 'a hint'; raise warning 'two'; end $$"


def told(messages: list[Any]) -> list[tuple[type, str]]:
    return [(kind, str(value).splitlines()[0]) for kind, value in messages]


# --- Connection objects


async def test_close_connection(dsn, no_leaks):
    """The connection will be unusable from this point forward; an Error (or subclass) exception will be raised if any
    operation is attempted with the connection. The same applies to all cursor objects trying to use the connection."""
    conn = await opened(dsn)
    cur = conn.cursor()
    await conn.close()
    for attempt in (conn.commit, conn.rollback):
        with pytest.raises(howdah.Error):
            await attempt()
    with pytest.raises(howdah.Error):
        conn.cursor()
    with pytest.raises(howdah.Error):
        await cur.execute("select 1")
    for refused in (lambda: cur.setinputsizes([]), lambda: cur.setoutputsize(1), cur.nextset):
        with pytest.raises(howdah.InterfaceError, match="the connection is closed"):
            refused()


async def test_close_without_commit(dsn):
    """Closing a connection without committing the changes first will cause an implicit rollback to be performed."""
    conn = await opened(dsn)
    await conn.execute("create table pep249_close (n int)")
    await conn.close()
    async with await opened(dsn) as other:
        cur = await other.execute("select to_regclass('pep249_close') is null")
        assert await cur.fetchone() == (True,)


async def test_autocommit_is_off(dsn):
    """If the database supports an auto-commit feature, this must be initially off."""
    async with await opened(dsn) as conn:
        assert conn.autocommit is False
        await conn.execute("create temp table t (n int)")
        await conn.rollback()
        with pytest.raises(howdah.ProgrammingError):
            await conn.execute("select * from t")


async def test_commit_and_rollback(dsn):
    """Commit any pending transaction to the database. / causes the database to roll back to the start of any pending
    transaction."""
    async with await opened(dsn) as conn:
        await conn.execute("create temp table t (n int)")
        await conn.commit()
        await conn.execute("insert into t values (1)")
        await conn.rollback()
        cur = await conn.execute("select count(*) from t")
        assert await cur.fetchone() == (0,)


async def test_cursors_are_not_isolated(dsn):
    """Cursors created from the same connection are not isolated, i.e., any changes done to the database by a cursor are
    immediately visible by the other cursors."""
    async with await opened(dsn) as conn:
        one, two = conn.cursor(), conn.cursor()
        await one.execute("create temp table t (n int)")
        await one.execute("insert into t values (7)")
        await two.execute("select n from t")
        assert await two.fetchall() == [(7,)]


# --- Cursor attributes


async def test_description(dsn):
    """This read-only attribute is a sequence of 7-item sequences (name, type_code, display_size, internal_size, precision,
    scale, null_ok). This attribute will be None for operations that do not return rows or if the cursor has not had an
    operation invoked via the .execute*() method yet."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        assert cur.description is None
        await cur.execute("create temp table t (a numeric(10, 2), b varchar(5))")
        assert cur.description is None
        await cur.execute("select a, b from t")
        assert [tuple(column) for column in cur.description] == [
            ("a", 1700, None, None, 10, 2, None),
            ("b", 1043, 5, None, None, None, None),
        ]
        assert [column.name for column in cur.description] == ["a", "b"]
        with pytest.raises(AttributeError):
            cur.description = None
        await cur.executemany("insert into t values (%s, %s)", [(1, "x")])
        assert cur.description is None


async def test_type_code(dsn):
    """The type_code must compare equal to one of Type Objects defined below."""
    kinds = {
        "STRING": ["'x'::text", "'x'::varchar", "'x'::char(3)", "'x'::name"],
        "BINARY": ["'x'::bytea"],
        "NUMBER": ["1::int2", "1::int4", "1::int8", "1::float4", "1::float8", "1::numeric"],
        "DATETIME": ["now()", "now()::timestamp", "current_date", "current_time", "localtime", "'1 day'::interval"],
        "ROWID": ["1::oid"],
    }
    async with await opened(dsn) as conn:
        for name, values in kinds.items():
            cur = await conn.execute("select " + ", ".join(values))
            for column in cur.description:
                equal = [other for other in kinds if column.type_code == getattr(howdah, other)]
                assert equal == [name]


async def test_rowcount(dsn):
    """the number of rows that the last .execute*() produced (for DQL statements like SELECT) or affected (for DML statements
    like UPDATE or INSERT). The attribute is -1 in case no .execute*() has been performed on the cursor or the rowcount of
    the last operation is cannot be determined by the interface."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        assert cur.rowcount == -1
        await cur.execute("create temp table t (n int)")
        assert cur.rowcount == -1
        await cur.execute("insert into t values (1), (2)")
        assert cur.rowcount == 2
        await cur.execute("select * from t")
        assert cur.rowcount == 2
        await cur.execute("update t set n = 3 where false")
        assert cur.rowcount == 0
        await cur.executemany("insert into t values (%s)", [(1,), (2,), (3,)])
        assert cur.rowcount == 3


# --- Cursor methods


async def test_callproc_leaves_input_untouched(dsn):
    """The result of the call is returned as modified copy of the input sequence. Input parameters are left untouched,
    output and input/output parameters replaced with possibly new values."""
    async with await opened(dsn) as conn:
        await conn.execute(
            "create procedure pg_temp.half(in a int, inout b int, inout c text default 'd') language plpgsql "
            "as $$ begin b := b / 2 + a; c := c || '!'; end $$"
        )
        given = [1, 10, "x"]
        cur = conn.cursor()
        assert await cur.callproc("pg_temp.half", given) == [1, 6, "x!"] and given == [1, 10, "x"]
        assert await cur.callproc("PG_TEMP.HALF", (2, 4)) == [2, 4]
        assert await cur.fetchall() == [(4, "d!")]
        plain = conn.cursor(row_factory=howdah.rows.dict_row)
        assert await plain.callproc("pg_temp.half", given) == [1, 6, "x!"]


async def test_callproc_result_set(dsn):
    """The procedure may also provide a result set as output. This must then be made available through the standard
    .fetch*() methods."""
    async with await opened(dsn) as conn:
        await conn.execute(
            'create function pg_temp."Odd %s"(n int) returns setof int language sql as '
            "'select i from generate_series(1, n) i where i % 2 = 1'"
        )
        cur = conn.cursor()
        assert await cur.callproc('pg_temp."Odd %s"', [6]) == [6]
        assert await cur.fetchall() == [(1,), (3,), (5,)]
        assert await cur.callproc("lower", ("ABC",)) == ["ABC"]
        assert await cur.fetchone() == ("abc",)
        assert await cur.callproc("pi") == [] and cur.rowcount == 1
        assert await cur.callproc("make_date", [2024, 2, 29]) == [2024, 2, 29]
        assert await cur.fetchone() == (datetime.date(2024, 2, 29),)
        with pytest.raises(howdah.ProgrammingError, match="no function or procedure no_such_routine"):
            await cur.callproc("no_such_routine", [1])
        assert conn.info.transaction_status.name == "INTRANS"
        with pytest.raises(howdah.DataError):
            await cur.callproc("lower('x'); drop table t; --")


async def test_close_cursor(dsn):
    """The cursor will be unusable from this point forward; an Error (or subclass) exception will be raised if any operation
    is attempted with the cursor."""
    async with await opened(dsn) as conn:
        cur = await conn.execute("select 1")
        await cur.close()
        await cur.close()
        for attempt in (cur.fetchone, cur.fetchmany, cur.fetchall):
            with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
                await attempt()
        with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
            await cur.execute("select 1")
        with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
            await cur.executemany("select %s", [(1,)])
        with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
            await cur.callproc("pi")
        with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
            await cur.scroll(1)
        with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
            await cur.set_result(0)
        for refused in (cur.nextset, lambda: cur.setinputsizes([]), lambda: cur.setoutputsize(1, 1)):
            with pytest.raises(howdah.InterfaceError, match="the cursor is closed"):
                refused()


async def test_parameters(dsn):
    """Parameters may be provided as sequence or mapping and will be bound to variables in the operation."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        for params in ([1, "x"], (1, "x")):
            await cur.execute("select %s::int, %s::text", params)
            assert await cur.fetchone() == (1, "x")
        await cur.execute("select %(a)s::int, %(a)s::int + %(b)s::int", {"a": 1, "b": 2, "unused": 3})
        assert await cur.fetchone() == (1, 3)


async def test_executemany(dsn):
    """Prepare a database operation (query or command) and then execute it against all parameter sequences or mappings found
    in the sequence seq_of_parameters."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        await cur.execute("create temp table t (n int)")
        await cur.executemany("insert into t values (%s)", [(1,), [2]])
        await cur.executemany("insert into t values (%(n)s)", [{"n": 3}])
        await cur.executemany("insert into t values (%s)", [])
        await cur.execute("select n from t order by n")
        assert await cur.fetchall() == [(1,), (2,), (3,)]


async def test_fetchone(dsn):
    """Fetch the next row of a query result set, returning a single sequence, or None when no more data is available. An
    Error (or subclass) exception is raised if the previous call to .execute*() did not produce any result set or no call was
    issued yet."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        for fetch in (cur.fetchone, cur.fetchmany, cur.fetchall):
            with pytest.raises(howdah.ProgrammingError, match="no result"):
                await fetch()
        await cur.execute("create temp table t (n int)")
        for fetch in (cur.fetchone, cur.fetchmany, cur.fetchall):
            with pytest.raises(howdah.ProgrammingError, match="returned no rows"):
                await fetch()
        await cur.execute("select 1")
        assert await cur.fetchone() == (1,) and await cur.fetchone() is None


async def test_fetchmany(dsn):
    """The number of rows to fetch per call is specified by the parameter. If it is not given, the cursor's arraysize
    determines the number of rows to be fetched. An empty sequence is returned when no more rows are available. [arraysize]
    defaults to 1."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        assert cur.arraysize == 1
        await cur.execute("select generate_series(1, 7)")
        assert await cur.fetchmany() == [(1,)]
        assert await cur.fetchmany(2) == [(2,), (3,)]
        cur.arraysize = 3
        assert await cur.fetchmany() == [(4,), (5,), (6,)]
        assert await cur.fetchmany(size=10) == [(7,)]
        assert await cur.fetchmany() == []


async def test_fetchall(dsn):
    """Fetch all (remaining) rows of a query result, returning them as a sequence of sequences."""
    async with await opened(dsn) as conn:
        cur = await conn.execute("select generate_series(1, 3)")
        await cur.fetchone()
        assert await cur.fetchall() == [(2,), (3,)] and await cur.fetchall() == []


async def test_nextset(dsn):
    """This method will make the cursor skip to the next available set, discarding any remaining rows from the current set. If
    there are no more sets, the method returns None. Otherwise, it returns a true value and subsequent calls to the .fetch*()
    methods will return rows from the next result set."""
    async with await opened(dsn) as conn:
        cur = await conn.execute("select generate_series(1, 3); select 'b'; select 'c'")
        assert await cur.fetchone() == (1,)
        assert cur.nextset() is True
        assert await cur.fetchall() == [("b",)]
        assert cur.nextset() is True and cur.nextset() is None
        assert await cur.fetchall() == [("c",)]


async def test_results_and_set_result(dsn):
    """psycopg 3: results() goes over all of them, set_result() to one by its index."""
    async with await opened(dsn) as conn:
        cur = await conn.execute("select 1; create temp table t (n int); select 2, 3")
        found = []
        async for result in cur.results():
            assert result is cur
            found.append(await cur.fetchall() if cur.description else cur.statusmessage)
        assert found == [[(1,)], "CREATE TABLE", [(2, 3)]]
        assert await cur.set_result(0) is cur
        assert await cur.fetchone() == (1,)
        await cur.set_result(-1)
        assert await cur.fetchone() == (2, 3)
        for index in (3, -4):
            with pytest.raises(IndexError):
                await cur.set_result(index)
        assert await cur.fetchone() is None
        assert [result async for result in conn.cursor().results()] == []
        with pytest.raises(IndexError):
            await conn.cursor().set_result(0)


async def test_sizes(dsn):
    """Implementations are free to have this method do nothing and users are free to not use it."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        cur.setinputsizes([howdah.NUMBER, 25])
        cur.setoutputsize(1000)
        cur.setoutputsize(1000, 2)
        await cur.execute("select %s::int", [1])
        assert await cur.fetchone() == (1,)


# --- Type objects and constructors


async def test_constructors(dsn):
    """[Date, Time, Timestamp, their FromTicks, Binary] construct an object holding a value; SQL NULL values are represented
    by the Python None singleton on input and output."""
    moment = 1_700_000_000
    utc = datetime.timezone.utc
    assert howdah.Time(23, 59, 58) == datetime.time(23, 59, 58)
    assert howdah.TimeFromTicks(moment) == datetime.time(22, 13, 20, tzinfo=utc)
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        for value, cast, expected in [
            (howdah.Date(2024, 2, 29), "date", datetime.date(2024, 2, 29)),
            (howdah.Timestamp(2024, 2, 29, 1, 2, 3), "timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3)),
            (howdah.DateFromTicks(moment), "date", datetime.date(2023, 11, 14)),
            (howdah.TimestampFromTicks(moment), "timestamptz", datetime.datetime.fromtimestamp(moment, utc)),
            (howdah.Binary(b"\0\xff'"), "bytea", b"\0\xff'"),
            (None, "int", None),
        ]:
            await cur.execute(f"select %s::{cast}", [value])
            assert await cur.fetchone() == (expected,)


# --- Optional extensions


async def test_rownumber(dsn):
    """This read-only attribute should provide the current 0-based index of the cursor in the result set or None if the index
    cannot be determined. The next fetch operation will fetch the row indexed by .rownumber in that sequence."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        assert cur.rownumber is None
        await cur.execute("select generate_series(10, 12)")
        for index in range(3):
            assert cur.rownumber == index
            assert await cur.fetchone() == (10 + index,)
        with pytest.raises(AttributeError):
            cur.rownumber = 0
        await cur.execute("create temp table t (n int)")
        assert cur.rownumber is None


async def test_exceptions_on_the_connection(dsn):
    """All exception classes defined by the DB API standard should be exposed on the Connection objects as attributes."""
    async with await opened(dsn) as conn:
        for name in [
            "Warning",
            "Error",
            "InterfaceError",
            "DatabaseError",
            "DataError",
            "OperationalError",
            "IntegrityError",
            "InternalError",
            "ProgrammingError",
            "NotSupportedError",
        ]:
            assert getattr(conn, name) is getattr(howdah, name) is getattr(errors, name)
        with pytest.raises(conn.DataError):
            await conn.execute("select 1/0")


async def test_cursor_connection(dsn):
    """This read-only attribute return a reference to the Connection object on which the cursor was created."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        assert cur.connection is conn
        with pytest.raises(AttributeError):
            cur.connection = None


async def test_scroll(dsn):
    """If mode is relative (default), value is taken as offset to the current position in the result set, if set to absolute,
    value states an absolute target position. An IndexError should be raised in case a scroll operation would leave the result
    set. In this case, the cursor position is left undefined (ideal would be to not move the cursor at all)."""
    async with await opened(dsn) as conn:
        cur = conn.cursor()
        with pytest.raises(howdah.ProgrammingError, match="no result"):
            await cur.scroll(1)
        await cur.execute("select generate_series(0, 9)")
        await cur.scroll(3)
        assert await cur.fetchone() == (3,)
        await cur.scroll(-4)
        assert await cur.fetchone() == (0,)
        await cur.scroll(9, mode="absolute")
        assert await cur.fetchone() == (9,)
        await cur.scroll(5, "absolute")
        for value, mode in [(10, "absolute"), (-1, "absolute"), (5, "relative"), (-6, "relative")]:
            with pytest.raises(IndexError):
                await cur.scroll(value, mode)
            assert cur.rownumber == 5
        with pytest.raises(ValueError, match="relative"):
            await cur.scroll(1, "sideways")
        assert await cur.fetchmany(9) == [(5,), (6,), (7,), (8,), (9,)]
        await cur.execute("create temp table t (n int)")
        with pytest.raises(howdah.ProgrammingError, match="returned no rows"):
            await cur.scroll(0)


async def test_messages_of_the_cursor(dsn):
    """a Python list object to which the interface appends tuples (exception class, exception value) for all messages which
    the interfaces receives from the underlying database for this cursor. The list is cleared by all standard cursor methods
    calls (prior to executing the call) except for the .fetch*() calls."""
    async with await opened(dsn, autocommit=True) as conn:
        cur, other = conn.cursor(), conn.cursor()
        assert cur.messages == [] and cur.messages is cur.messages
        await cur.execute(NOTICE)
        assert told(cur.messages) == [(howdah.Warning, "one"), (howdah.Warning, "two")]
        assert all(isinstance(value, kind) for kind, value in cur.messages)
        assert cur.messages[0][1].diag.message_hint == "a hint" and other.messages == []
        await other.execute("select 1")
        assert other.messages == [] and len(cur.messages) == 2
        kept = cur.messages
        await cur.execute("select 1")
        assert kept == [] and kept is cur.messages
        await cur.execute(NOTICE)
        await cur.execute(NOTICE)
        assert len(cur.messages) == 2
        del cur.messages[:]
        assert cur.messages == []
        calls = [
            cur.nextset,
            lambda: cur.setinputsizes([]),
            lambda: cur.setoutputsize(1),
        ]
        for call in calls:
            await cur.execute(f"{NOTICE}; select 1; select 2")
            await cur.set_result(1)
            await cur.execute(f"{NOTICE}; select 1; select 2")
            assert cur.nextset() and cur.messages == []
            await cur.execute(NOTICE)
            assert len(cur.messages) == 2
            call()
            assert cur.messages == []
        await cur.executemany("select %s", [(1,)])
        assert cur.messages == []
        await cur.execute("do $$ begin raise notice 'kept'; end $$; select 1")
        assert told(cur.messages) == [(howdah.Warning, "kept")]
        assert cur.nextset() and await cur.fetchone() == (1,)


async def test_errors_are_messages(dsn):
    """All error and warning messages generated by the database are placed into this list, so checking the list allows the
    user to verify correct operation of the method calls."""
    async with await opened(dsn, autocommit=True) as conn:
        cur = conn.cursor()
        with pytest.raises(errors.DivisionByZero):
            await cur.execute("do $$ begin raise notice 'before'; perform 1 / 0; end $$")
        assert told(cur.messages) == [(howdah.Warning, "before"), (errors.DivisionByZero, "division by zero")]
        assert cur.messages[1][1].sqlstate == "22012" and cur.messages[1][1].__traceback__ is None
        with pytest.raises(errors.UniqueViolation):
            await cur.execute("create temp table t (n int unique)")
            await cur.executemany("insert into t values (%s)", [(1,), (1,)])
        assert [kind for kind, _ in cur.messages] == [errors.UniqueViolation]
        with pytest.raises(howdah.ProgrammingError):
            await cur.execute("select %s", [])  # ours, not the database's
        assert cur.messages == []


async def test_messages_of_the_connection(dsn):
    """Same as Cursor.messages except that the messages in the list are connection oriented. The list is cleared
    automatically by all standard connection methods calls (prior to executing the call)."""
    async with await opened(dsn) as conn:
        assert conn.messages == []
        cur = conn.cursor()
        for call in (conn.commit, conn.rollback):
            await cur.execute(NOTICE)
            assert told(conn.messages) == [(howdah.Warning, "one"), (howdah.Warning, "two")]
            await call()
            assert conn.messages == []
        await cur.execute(NOTICE)
        assert len(conn.messages) == 2
        conn.cursor()
        assert conn.messages == []
        await cur.execute("create temp table t (n int unique deferrable initially deferred)")
        await cur.execute("insert into t values (1), (1)")
        with pytest.raises(errors.UniqueViolation):
            await conn.commit()
        assert [kind for kind, _ in conn.messages] == [errors.UniqueViolation]
        await cur.execute("select 1")
        assert cur.messages == []  # the commit's error is no cursor's
        for _ in range(3):
            await cur.execute("do $$ begin for i in 1..600 loop raise notice '%', i; end loop; end $$")
        assert len(conn.messages) == 1000 and len(cur.messages) == 600
        assert str(conn.messages[-1][1]) == "600"
        del conn.messages[:]
        assert conn.messages == []
        await cur.execute(NOTICE)
    assert conn.messages == []


async def test_iteration(dsn):
    """Return the cursor itself to make cursors compatible to the iteration protocol. / A StopIteration exception is raised
    when the result set is exhausted."""
    async with await opened(dsn) as conn:
        cur = await conn.execute("select generate_series(1, 3)")
        assert cur.__aiter__() is cur
        assert await cur.__anext__() == (1,)
        assert [row async for row in cur] == [(2,), (3,)]
        with pytest.raises(StopAsyncIteration):
            await cur.__anext__()


async def test_lastrowid(dsn):
    """If the operation does not set a rowid or if the database does not support rowids, this attribute should be set to
    None."""
    async with await opened(dsn) as conn:
        cur = await conn.execute("create temp table t (n int)")
        await cur.execute("insert into t values (1)")
        assert cur.lastrowid is None


async def test_context_managers(dsn, no_leaks):
    """(psycopg 3) A connection's block commits or rolls back, and closes; a cursor's block closes the cursor."""
    async with await opened(dsn) as conn:
        async with conn.cursor() as cur:
            assert await cur.execute("select 1") is cur
        assert cur.closed and not conn.closed
    assert conn.closed


# --- Handlers of notifications (psycopg 3)


async def test_notify_handlers(dsn, caplog):
    heard: list[Any] = []
    async with await opened(dsn, autocommit=True) as conn, await opened(dsn, autocommit=True) as other:
        conn.add_notify_handler(lambda notify: 1 // 0)
        conn.add_notify_handler(heard.append)
        await conn.execute("listen pep249")
        await conn.execute("notify pep249, 'mine'")
        await other.execute("select pg_notify(%s, %s)", ["pep249", "ü"])
        await conn.execute("select 1")
        pids = [conn.info.backend_pid, other.info.backend_pid]
        assert heard == [("pep249", "mine", pids[0]), ("pep249", "ü", pids[1])]
        assert heard[0].channel == "pep249" and heard[0].payload == "mine" and heard[0].pid == pids[0]
        conn.remove_notify_handler(heard.append)
        await conn.execute("notify pep249")
        assert len(heard) == 2
        with pytest.raises(ValueError):
            conn.remove_notify_handler(heard.append)
    assert caplog.text.count("a notify handler raised") == 3


# --- Connection.info (psycopg 3)


async def test_info(pg18):
    async with await opened(pg18.dsn, application_name="pep249", options="-c work_mem=5MB") as conn:
        info = conn.info
        assert (info.hostaddr, info.options) == ("127.0.0.1", "-c work_mem=5MB")
        assert info.get_parameters() == {
            "host": "127.0.0.1",
            "port": str(pg18.port),
            "dbname": pg18.dbname,
            "user": pg18.user,
            "application_name": "pep249",
            "options": "-c work_mem=5MB",
        }
        assert pg18.password not in info.dsn + repr(info) and not hasattr(info, "password")
        assert (info.status, info.status.name) == (0, "OK")
        assert (info.pipeline_status, info.pipeline_status.name) == (0, "OFF")
        assert info.error_message == ""
        async with await opened(info.dsn, password=pg18.password) as again:
            assert again.info.dsn == info.dsn
    assert (info.status.name, info.transaction_status.name, info.error_message) == ("BAD", "UNKNOWN", "")
    async with await howdah.AsyncConnection.connect(**{**pg18.params, "host": "localhost"}) as conn:
        assert conn.info.hostaddr in ("127.0.0.1", "::1") and conn.info.host == "localhost"
    with pytest.raises(howdah.InterfaceError, match="closed"):
        assert conn.info.hostaddr
    async with await opened(pg18.socket_dsn) as conn:
        assert conn.info.hostaddr == ""


async def test_info_of_a_lost_connection(dsn, no_leaks):
    conn = await opened(dsn)
    with pytest.raises(errors.AdminShutdown):
        await conn.execute("select pg_terminate_backend(pg_backend_pid())")
    assert conn.broken and conn.info.status.name == "BAD" and "terminating connection" in conn.info.error_message
    await conn.close()
