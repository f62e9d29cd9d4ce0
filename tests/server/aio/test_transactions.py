# The sync twin of this file is generated from it by tools/unasync.py.
"""Transactions: when they begin, how they end, what an error does to them."""

from __future__ import annotations

import pytest

import howdah
from howdah import IsolationLevel, errors


async def one(conn, query, params=None):
    cur = await conn.execute(query, params)
    return await cur.fetchone()


async def status(conn):
    return conn.info.transaction_status.name


async def make_table(dsn, name):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute("drop table if exists " + name)
        await conn.execute("create table " + name + " (a int)")


async def rows_of(dsn, name):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        cur = await conn.execute("select a from " + name + " order by a")
        return [row[0] for row in await cur.fetchall()]


async def test_the_first_statement_begins_a_transaction(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        assert conn.autocommit is False and await status(conn) == "IDLE"
        cur = await conn.execute("select now(), %s::int", (1,))
        now = (await cur.fetchone())[0]
        assert await status(conn) == "INTRANS"
        for _ in range(3):
            assert await one(conn, "select now()") == (now,)
        await conn.commit()
        assert await status(conn) == "IDLE"
        assert await one(conn, "select now() > %s", (now,)) == (True,)


async def test_commit_and_rollback(dsn):
    await make_table(dsn, "tx_commit")
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.execute("insert into tx_commit values (%s)", (1,))
        assert await rows_of(dsn, "tx_commit") == []
        await conn.commit()
        assert await rows_of(dsn, "tx_commit") == [1]
        await conn.execute("insert into tx_commit values (%s)", (2,))
        await conn.rollback()
        await conn.execute("insert into tx_commit values (3)")
        await conn.commit()
        await conn.commit()
        await conn.rollback()
        assert await rows_of(dsn, "tx_commit") == [1, 3]


async def test_close_rolls_back(dsn):
    await make_table(dsn, "tx_close")
    conn = await howdah.AsyncConnection.connect(dsn)
    await conn.execute("insert into tx_close values (1)")
    await conn.close()
    assert await rows_of(dsn, "tx_close") == []


async def test_the_block_commits(dsn):
    await make_table(dsn, "tx_block")
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.execute("insert into tx_block values (1)")
    assert conn.closed and await rows_of(dsn, "tx_block") == [1]
    with pytest.raises(ZeroDivisionError):
        async with await howdah.AsyncConnection.connect(dsn) as conn:
            await conn.execute("insert into tx_block values (2)")
            raise ZeroDivisionError
    assert conn.closed and await rows_of(dsn, "tx_block") == [1]


async def test_the_programs_own_error_is_not_hidden_by_a_lost_connection(dsn):
    """The block's rollback fails too, since the server ended the session; what the program raised comes out."""
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as other:
        with pytest.raises(ZeroDivisionError):
            async with await howdah.AsyncConnection.connect(dsn) as conn:
                await conn.execute("select 1")
                await other.execute("select pg_terminate_backend(%s, 5000)", (conn.info.backend_pid,))
                raise ZeroDivisionError
    assert conn.closed


async def test_the_block_can_be_closed_inside(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.execute("select 1")
        await conn.close()
    assert conn.closed


async def test_the_block_tells_of_a_commit_that_fails(dsn):
    with pytest.raises(errors.UniqueViolation):
        async with await howdah.AsyncConnection.connect(dsn) as conn:
            await conn.execute("create temp table d (a int unique deferrable initially deferred)")
            await conn.execute("insert into d values (1), (1)")
    assert conn.closed


async def test_a_commit_that_fails(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.execute("create temp table d (a int unique deferrable initially deferred)")
        await conn.commit()
        await conn.execute("insert into d values (%s), (%s)", (1, 1))
        with pytest.raises(errors.UniqueViolation):
            await conn.commit()
        assert await status(conn) == "IDLE"
        assert await one(conn, "select count(*) from d") == (0,)


async def test_autocommit(dsn):
    await make_table(dsn, "tx_auto")
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        assert conn.autocommit is True
        for i in range(3):
            await conn.execute("insert into tx_auto values (%s)", (i,))
            assert await status(conn) == "IDLE"
        assert await rows_of(dsn, "tx_auto") == [0, 1, 2]
        await conn.rollback()
        await conn.execute("vacuum tx_auto")
        await conn.execute("begin")
        assert await status(conn) == "INTRANS"
        await conn.execute("insert into tx_auto values (%s)", (9,))
        await conn.rollback()
    assert await rows_of(dsn, "tx_auto") == [0, 1, 2]


async def test_autocommit_can_change_outside_a_transaction_only(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.set_autocommit(True)
        await conn.execute("select 1")
        assert await status(conn) == "IDLE"
        await conn.set_autocommit(False)
        await conn.execute("select 1")
        for change in (conn.set_autocommit, conn.set_read_only, conn.set_deferrable):
            with pytest.raises(howdah.ProgrammingError, match="inside a transaction"):
                await change(True)
        with pytest.raises(howdah.ProgrammingError, match="inside a transaction"):
            await conn.set_isolation_level(IsolationLevel.SERIALIZABLE)
        await conn.rollback()
        await conn.set_autocommit(True)
        assert conn.autocommit


@pytest.mark.parametrize("level", list(IsolationLevel))
async def test_isolation_levels(dsn, level):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.set_isolation_level(level)
        assert conn.isolation_level is level
        wanted = level.name.lower().replace("_", " ")
        assert await one(conn, "show transaction_isolation") == (wanted,)
        await conn.rollback()
        await conn.set_isolation_level(None)
        assert await one(conn, "show transaction_isolation") == ("read committed",)


async def test_read_only_and_deferrable(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.set_isolation_level(IsolationLevel.SERIALIZABLE)
        await conn.set_read_only(True)
        await conn.set_deferrable(True)
        assert (conn.read_only, conn.deferrable) == (True, True)
        cur = await conn.execute(
            "select current_setting('transaction_read_only'), current_setting('transaction_deferrable')"
        )
        assert await cur.fetchone() == ("on", "on")
        with pytest.raises(errors.ReadOnlySqlTransaction):
            await conn.execute("create table never (a int)")
        await conn.rollback()
        await conn.execute("set default_transaction_read_only = on")
        await conn.commit()
        await conn.set_read_only(False)
        await conn.set_deferrable(None)
        cur = await conn.execute(
            "select current_setting('transaction_read_only'), current_setting('transaction_deferrable')"
        )
        assert await cur.fetchone() == ("off", "off")


async def test_settings_hold_for_autocommit_too_late(dsn):
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.set_read_only(True)
        assert conn.autocommit is True
        await conn.execute("create temp table t (a int)")
        await conn.set_autocommit(False)
        cur = await conn.execute("select current_setting('transaction_read_only')")
        assert await cur.fetchone() == ("on",)


@pytest.mark.parametrize("params", [None, (7,)])
async def test_behind_a_failed_begin_nothing_runs(dsn, params):
    """BEGIN and the statement are one Sync group: the server skips what stands behind an error."""
    await make_table(dsn, "tx_begin")
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        right = conn._session.begin
        insert = "insert into tx_begin values (" + ("7" if params is None else "%s") + ")"
        for _ in range(3):
            conn._session.begin = b"BEGIN ISOLATION LEVEL NONSENSE"
            with pytest.raises(errors.SyntaxError, match="NONSENSE"):
                await conn.execute(insert, params)
            with pytest.raises(errors.SyntaxError, match="NONSENSE"):
                await conn.cursor().executemany("insert into tx_begin values (%s)", [(1,), (2,)])
            assert await status(conn) == "IDLE"
            assert await rows_of(dsn, "tx_begin") == []
            conn._session.begin = right
            await conn.execute("insert into tx_begin values (1)")
            await conn.rollback()
        await conn.execute(insert, params)
        await conn.commit()
    assert await rows_of(dsn, "tx_begin") == [7]


async def test_the_server_ends_a_begin_by_its_timeout(dsn):
    """The statement in the Sync group of BEGIN may be the one that fails: then its transaction has failed."""
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        with pytest.raises(errors.DivisionByZero):
            await conn.execute("select 1/%s", (0,))
        assert await status(conn) == "INERROR"


async def test_a_failed_transaction_refuses_more(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.execute("create temp table t (a int)")
        with pytest.raises(errors.UndefinedTable):
            await conn.execute("select * from no_such_table")
        assert await status(conn) == "INERROR"
        for params in (None, (), (1,)):
            with pytest.raises(errors.InFailedSqlTransaction):
                await conn.execute("select 1" if not params else "select %s", params)
        with pytest.raises(errors.InFailedSqlTransaction):
            await conn.cursor().executemany("insert into t values (%s)", [(1,), (2,)])
        await conn.rollback()
        assert await status(conn) == "IDLE"
        assert await one(conn, "select 1 + %s", (1,)) == (2,)


async def test_commit_of_a_failed_transaction_is_a_rollback(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.execute("create temp table t (a int)")
        with pytest.raises(errors.DivisionByZero):
            await conn.execute("select 1/0")
        await conn.commit()
        assert await status(conn) == "IDLE"
        with pytest.raises(errors.UndefinedTable):
            await conn.execute("select * from t")


async def test_savepoints_by_hand(dsn):
    async with await howdah.AsyncConnection.connect(dsn) as conn:
        await conn.execute("create temp table t (a int)")
        for _ in range(3):
            await conn.execute("savepoint s")
            with pytest.raises(errors.DivisionByZero):
                await conn.execute("insert into t values (1 / %s)", (0,))
            await conn.execute("rollback to savepoint s")
            await conn.execute("insert into t values (1 / %s)", (1,))
        assert await one(conn, "select count(*) from t") == (3,)


async def test_a_procedure_that_commits(dsn):
    await make_table(dsn, "tx_proc")
    async with await howdah.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(
            "create or replace procedure tx_proc_fill(n int) language plpgsql as "
            "$$begin for i in 1..n loop insert into tx_proc values (i); commit; end loop; end$$"
        )
        await conn.execute("call tx_proc_fill(3)")
        await conn.execute("call tx_proc_fill(%s)", (2,))
    assert await rows_of(dsn, "tx_proc") == [1, 1, 2, 2, 3]
