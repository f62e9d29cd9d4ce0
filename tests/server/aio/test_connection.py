# The sync twin of this file is generated from it by tools/unasync.py.
"""Connections: ways to say where, transactions, context managers, what a connection tells of itself."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

import howdah
from howdah import AsyncConnection, IsolationLevel
from howdah.errors import (
    ActiveSqlTransaction,
    InFailedSqlTransaction,
    InternalError,
    InvalidCatalogName,
    InvalidPassword,
    OperationalError,
    ReadOnlySqlTransaction,
)


async def value(conn: AsyncConnection[Any], sql: str, params: Any = None) -> Any:
    cursor = await conn.execute(sql, params)
    row = await cursor.fetchone()
    assert row is not None and await cursor.fetchone() is None
    return row[0]


async def fresh_table(conn: AsyncConnection[Any]) -> str:
    """A committed table of one integer, with a name of its own."""
    name = "t_" + uuid.uuid4().hex
    await conn.execute(f"create table {name} (n int4)")
    await conn.commit()
    return name


async def test_by_keywords(pg18, no_leaks):
    async with await AsyncConnection.connect(**pg18.params) as conn:
        assert await value(conn, "select current_database()") == pg18.params["dbname"]
        assert conn.info.host == pg18.host and conn.info.port == pg18.port
        assert conn.info.dbname == pg18.params["dbname"] and conn.info.user == pg18.params["user"]
        assert conn.info.server_version // 10000 == 18
        assert await value(conn, "select pg_backend_pid()") == conn.info.backend_pid
    assert conn.closed and not conn.broken


async def test_by_key_value_pairs(pg18, no_leaks):
    text = " ".join(f"{key}={word}" for key, word in pg18.params.items())
    async with await AsyncConnection.connect(text, application_name="pairs and keywords") as conn:
        assert await value(conn, "select current_setting('application_name')") == "pairs and keywords"


async def test_by_uri(pg18, no_leaks):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        assert await value(conn, "select host(inet_server_addr())") == "127.0.0.1"


async def test_by_unix_socket(pg18, no_leaks):
    async with await AsyncConnection.connect(pg18.socket_dsn) as conn:
        assert await value(conn, "select inet_server_addr() is null") is True
        assert conn.info.host == pg18.socket_dir


async def test_wrong_password(pg18, no_leaks):
    with pytest.raises(InvalidPassword) as caught:
        await AsyncConnection.connect(**{**pg18.params, "password": "not the secret"})
    assert isinstance(caught.value, OperationalError) and caught.value.sqlstate == "28P01"
    assert "not the secret" not in str(caught.value)


async def test_no_such_database(pg18, no_leaks):
    with pytest.raises(InvalidCatalogName, match="nosuchdb"):
        await AsyncConnection.connect(**{**pg18.params, "dbname": "nosuchdb"})


async def test_password_is_in_no_repr(pg18):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        shown = repr(conn) + repr(conn.info) + conn.info.dsn + repr(conn.cursor())
        assert pg18.password not in shown
        assert pg18.params["user"] in repr(conn)


async def test_commit_keeps_and_rollback_does_not(pg18, no_leaks):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        table = await fresh_table(conn)
        await conn.execute(f"insert into {table} values (1)")
        assert conn.info.transaction_status.name == "INTRANS"
        await conn.commit()
        assert conn.info.transaction_status.name == "IDLE"
        await conn.execute(f"insert into {table} values (%s)", [2])
        await conn.rollback()
        assert await value(conn, f"select array_agg(n) from {table}") == [1]
        await conn.rollback()
        await conn.rollback()  # nothing is open: no harm
        await conn.commit()
        await conn.execute(f"drop table {table}")


async def test_nobody_sees_it_before_the_commit(pg18, no_leaks):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        table = await fresh_table(conn)
        async with await AsyncConnection.connect(pg18.dsn, autocommit=True) as other:
            await conn.execute(f"insert into {table} values (%s)", [1])
            assert await value(other, f"select count(*) from {table}") == 0
            await conn.commit()
            assert await value(other, f"select count(*) from {table}") == 1
            await other.execute(f"drop table {table}")


async def test_autocommit(pg18, no_leaks):
    async with await AsyncConnection.connect(pg18.dsn, autocommit=True) as conn:
        assert conn.autocommit is True
        await conn.execute("select %s", [1])
        assert conn.info.transaction_status.name == "IDLE"
        await conn.set_autocommit(False)
        assert conn.autocommit is False
        await conn.execute("select %s", [1])
        assert conn.info.transaction_status.name == "INTRANS"
        with pytest.raises(howdah.ProgrammingError, match="autocommit"):
            await conn.set_autocommit(True)
        await conn.rollback()
        await conn.set_autocommit(True)
        await conn.execute("vacuum pg_catalog.pg_description")  # refuses to run inside a transaction


async def test_vacuum_needs_autocommit(pg18):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        with pytest.raises(ActiveSqlTransaction):
            await conn.execute("vacuum pg_catalog.pg_description")
        await conn.rollback()
        assert await value(conn, "select 1") == 1


async def test_transaction_settings(pg18):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        await conn.set_isolation_level(IsolationLevel.SERIALIZABLE)
        await conn.set_read_only(True)
        await conn.set_deferrable(True)
        for name, wanted in [
            ("transaction_isolation", "serializable"),
            ("transaction_read_only", "on"),
            ("transaction_deferrable", "on"),
        ]:
            assert await value(conn, "select current_setting(%s)", [name]) == wanted
        with pytest.raises(ReadOnlySqlTransaction):
            await conn.execute("create table never (n int)")
        await conn.rollback()
        await conn.set_isolation_level(None)
        await conn.set_read_only(None)
        await conn.set_deferrable(None)
        assert await value(conn, "show transaction_isolation") == "read committed"


async def test_failed_transaction_until_rollback(pg18, no_leaks):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        with pytest.raises(howdah.DataError):
            await conn.execute("select 1/%s", [0])
        assert conn.info.transaction_status.name == "INERROR"
        with pytest.raises(InFailedSqlTransaction):
            await conn.execute("select 1")
        await conn.rollback()
        assert await value(conn, "select %s::int4", [5]) == 5


async def test_context_manager_commits(pg18, no_leaks):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        table = await fresh_table(conn)
        await conn.execute(f"insert into {table} values (7)")
    assert conn.closed
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        assert await value(conn, f"select n from {table}") == 7
        await conn.execute(f"drop table {table}")


async def test_context_manager_rolls_back(pg18, no_leaks):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        table = await fresh_table(conn)
    with pytest.raises(ZeroDivisionError):
        async with await AsyncConnection.connect(pg18.dsn) as conn:
            await conn.execute(f"insert into {table} values (7)")
            raise ZeroDivisionError
    assert conn.closed
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        assert await value(conn, f"select count(*) from {table}") == 0
        await conn.execute(f"drop table {table}")


async def test_closed_connection(pg18, no_leaks):
    conn = await AsyncConnection.connect(pg18.dsn)
    cursor = conn.cursor()
    await conn.close()
    await conn.close()
    assert conn.closed and cursor.closed and not conn.broken
    with pytest.raises(howdah.InterfaceError, match="closed"):
        conn.cursor()
    with pytest.raises(howdah.InterfaceError, match="closed"):
        await conn.execute("select 1")
    with pytest.raises(howdah.InterfaceError, match="closed"):
        await cursor.execute("select 1")
    with pytest.raises(howdah.InterfaceError, match="closed"):
        await conn.commit()
    with pytest.raises(howdah.InterfaceError, match="closed"):
        await conn.rollback()
    with pytest.raises(howdah.InterfaceError, match="closed"):
        conn.fileno()


async def test_connection_lost(pg18, no_leaks):
    conn = await AsyncConnection.connect(pg18.dsn, autocommit=True)
    with pytest.raises(OperationalError) as caught:
        await conn.execute("select pg_terminate_backend(pg_backend_pid())")
    assert caught.value.sqlstate == "57P01"
    assert conn.closed and conn.broken
    with pytest.raises(OperationalError, match="lost earlier") as later:
        await conn.execute("select 1")
    assert later.value.sent is False
    await conn.close()


async def test_notices(pg18):
    heard = []
    async with await AsyncConnection.connect(pg18.dsn, autocommit=True) as conn:
        conn.add_notice_handler(heard.append)
        await conn.execute("do $$ begin raise notice 'one %', 1; raise warning 'two'; end $$")
        assert [(diag.severity_nonlocalized, diag.message_primary) for diag in heard] == [
            ("NOTICE", "one 1"),
            ("WARNING", "two"),
        ]
        conn.remove_notice_handler(heard.append)
        await conn.execute("do $$ begin raise notice 'three'; end $$")
        assert len(heard) == 2
        with pytest.raises(ValueError):
            conn.remove_notice_handler(heard.append)


async def test_notice_handler_that_raises(pg18, caplog):
    async with await AsyncConnection.connect(pg18.dsn, autocommit=True) as conn:
        conn.add_notice_handler(lambda diag: 1 // 0)
        await conn.execute("do $$ begin raise notice 'one'; end $$")
        assert await value(conn, "select 1") == 1
    assert "a notice handler raised" in caplog.text


async def test_time_zone_change(pg18):
    async with await AsyncConnection.connect(pg18.dsn, autocommit=True) as conn:
        sql = "select timestamptz '2024-07-01 12:00:00+00' where %s"
        for zone, hours in [("UTC", 0), ("Europe/Berlin", 2), ("America/New_York", -4), ("Asia/Kolkata", 5.5)]:
            await conn.execute("select set_config('TimeZone', %s, false)", [zone])
            assert conn.info.parameter_status("TimeZone") == zone
            for _ in range(3):
                moment = await value(conn, sql, [True])
                assert moment.utcoffset().total_seconds() == hours * 3600
                assert moment.timestamp() == 1719835200


async def test_other_client_encoding_closes(pg18, no_leaks):
    conn = await AsyncConnection.connect(pg18.dsn, autocommit=True)
    with pytest.raises(InternalError, match="client_encoding became 'LATIN1'"):
        await conn.execute("set client_encoding to 'latin1'")
    assert conn.closed and conn.broken
    with pytest.raises(OperationalError, match="client_encoding"):
        await conn.execute("select 1")
    await conn.close()


async def test_copy_through_execute(pg18, no_leaks):
    async with await AsyncConnection.connect(pg18.dsn) as conn:
        table = await fresh_table(conn)
        for sql in [f"copy {table} to stdout", f"copy {table} from stdin", "copy (select 1) to stdout (format binary)"]:
            for prepare in (None, True):
                with pytest.raises(howdah.ProgrammingError, match="COPY"):
                    await conn.execute(sql, prepare=prepare)
                await conn.rollback()
                assert await value(conn, f"select count(*) from {table}") == 0
            with pytest.raises(howdah.ProgrammingError, match="COPY"):
                await conn.execute(sql, ())
            await conn.rollback()
            assert await value(conn, f"select count(*) from {table} where %s", [True]) == 0
            await conn.rollback()
        await conn.execute(f"drop table {table}")
