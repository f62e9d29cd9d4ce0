# The sync twin of this file is generated from it by tools/unasync.py.
"""Connecting, by every way to say where, and closing."""

from __future__ import annotations

import gc
import re

import pytest

import howdah
from howdah import errors
from howdah.config.conninfo import make_conninfo

WHO = "select current_user::text, current_database()::text, inet_server_port()"


async def one(conn, query, params=None):
    cur = await conn.execute(query, params)
    return await cur.fetchone()


async def every(conn, query, params=None):
    cur = await conn.execute(query, params)
    return await cur.fetchall()


async def test_keyword_arguments(pg18, no_leaks):
    async with await howdah.AsyncConnection.connect(**pg18.params) as conn:
        cur = await conn.execute(WHO)
        assert await cur.fetchone() == (pg18.user, pg18.dbname, pg18.port)
    assert conn.closed and not conn.broken


async def test_key_value_string(pg18):
    text = make_conninfo(**pg18.params)
    async with await howdah.AsyncConnection.connect(text) as conn:
        assert await one(conn, WHO) == (pg18.user, pg18.dbname, pg18.port)


async def test_uri_over_tcp(pg18):
    assert "127.0.0.1" in pg18.dsn
    async with await howdah.AsyncConnection.connect(pg18.dsn) as conn:
        assert await one(conn, WHO) == (pg18.user, pg18.dbname, pg18.port)


async def test_uri_over_the_unix_socket(pg18):
    async with await howdah.AsyncConnection.connect(pg18.socket_dsn) as conn:
        assert await one(conn, WHO) == (pg18.user, pg18.dbname, None)
        assert conn.info.host == pg18.socket_dir and conn.info.port == pg18.port


async def test_unix_socket_by_keywords(pg18):
    settings = {**pg18.params, "host": pg18.socket_dir}
    async with await howdah.AsyncConnection.connect(**settings) as conn:
        assert await one(conn, "select inet_server_addr()") == (None,)


async def test_keywords_win_over_the_string(pg18):
    async with await howdah.AsyncConnection.connect(pg18.dsn, dbname="template1", application_name="kw") as conn:
        cur = await conn.execute("select current_database()::text, current_setting('application_name')")
        assert await cur.fetchone() == ("template1", "kw")


async def test_host_name_that_is_looked_up(pg18, no_leaks):
    async with await howdah.AsyncConnection.connect(**{**pg18.params, "host": "localhost"}) as conn:
        assert await one(conn, "select 1") == (1,)


async def test_hostaddr_needs_no_look_up(pg18):
    settings = {**pg18.params, "host": "no.such.host.invalid", "hostaddr": "127.0.0.1"}
    async with await howdah.AsyncConnection.connect(**settings) as conn:
        assert await one(conn, "select 1") == (1,)


async def test_options_reach_the_session(pg18):
    async with await howdah.AsyncConnection.connect(pg18.dsn, options="-c work_mem=5MB") as conn:
        assert await one(conn, "show work_mem") == ("5MB",)


async def test_info(pg18):
    async with await howdah.AsyncConnection.connect(pg18.dsn, autocommit=True) as conn:
        info = conn.info
        cur = await conn.execute("select pg_backend_pid(), current_setting('server_version_num')::int")
        assert await cur.fetchone() == (info.backend_pid, info.server_version)
        assert (info.host, info.port, info.user, info.dbname) == ("127.0.0.1", pg18.port, pg18.user, pg18.dbname)
        assert info.vendor == "PostgreSQL"
        assert info.full_protocol_version == 30000
        assert info.encoding == "utf-8"
        assert info.parameter_status("server_encoding") == "UTF8"
        assert info.parameter_status("no_such_setting") is None
        assert info.transaction_status.name == "IDLE"


async def test_the_password_shows_nowhere(pg18):
    async with await howdah.AsyncConnection.connect(pg18.dsn) as conn:
        cur = conn.cursor()
        for shown in (repr(conn), str(conn), repr(conn.info), conn.info.dsn, repr(cur), repr(conn._target)):
            assert pg18.password not in shown
        assert pg18.user in repr(conn) and pg18.dbname in repr(conn)


async def test_several_connections_are_separate(pg18, no_leaks):
    async with (
        await howdah.AsyncConnection.connect(pg18.dsn) as one,
        await howdah.AsyncConnection.connect(pg18.dsn) as two,
    ):
        await one.execute("create temp table mine (a int)")
        await one.execute("insert into mine values (1)")
        with pytest.raises(errors.UndefinedTable):
            await two.execute("select * from mine")
        await two.rollback()
        assert one.info.backend_pid != two.info.backend_pid
        assert await every(one, "select a from mine") == [(1,)]
        assert await every(two, "select 2") == [(2,)]


async def test_wrong_password(pg18, no_leaks):
    with pytest.raises(errors.InvalidPassword) as caught:
        await howdah.AsyncConnection.connect(**{**pg18.params, "password": "not the password"})
    error = caught.value
    assert error.sqlstate == "28P01" and isinstance(error, howdah.OperationalError)
    assert pg18.user in str(error) and "not the password" not in str(error)
    assert not error.retryable


async def test_no_password_where_one_is_needed(pg18, no_leaks):
    with pytest.raises(howdah.OperationalError, match="password.*none was given"):
        await howdah.AsyncConnection.connect(**{**pg18.params, "password": None})


async def test_unknown_user(pg18, no_leaks):
    with pytest.raises(howdah.OperationalError) as caught:
        await howdah.AsyncConnection.connect(**{**pg18.params, "user": "nobody_of_that_name"})
    assert caught.value.sqlstate in ("28P01", "28000")
    assert "nobody_of_that_name" in str(caught.value)


async def test_unknown_database(pg18, no_leaks):
    with pytest.raises(errors.InvalidCatalogName) as caught:
        await howdah.AsyncConnection.connect(**{**pg18.params, "dbname": "no_such_database"})
    assert caught.value.sqlstate == "3D000" and "no_such_database" in str(caught.value)


async def test_refused_option(pg18, no_leaks):
    with pytest.raises(errors.UndefinedObject, match="no_such_parameter"):
        await howdah.AsyncConnection.connect(pg18.dsn, options="-c no_such_parameter=1")


async def test_misspelt_setting_connects_nowhere():
    with pytest.raises(howdah.ProgrammingError, match="did you mean 'password'"):
        await howdah.AsyncConnection.connect("host=127.0.0.1", pasword="secret")


async def test_closing_twice_does_no_harm(pg18, no_leaks):
    conn = await howdah.AsyncConnection.connect(pg18.dsn)
    await conn.close()
    await conn.close()
    assert conn.closed and not conn.broken
    with pytest.raises(howdah.InterfaceError, match="closed"):
        conn.fileno()
    assert "closed" in repr(conn)


async def test_the_server_sees_the_end(pg18):
    async with await howdah.AsyncConnection.connect(pg18.dsn, autocommit=True) as watcher:
        conn = await howdah.AsyncConnection.connect(pg18.dsn)
        pid = conn.info.backend_pid
        count = "select count(*) from pg_stat_activity where pid = %s"
        assert await one(watcher, count, (pid,)) == (1,)
        await conn.close()
        wait = """
            do $$ begin
              for i in 1..500 loop
                exit when not exists (select from pg_stat_activity where pid = {pid});
                perform pg_sleep(0.01), pg_stat_clear_snapshot();
              end loop;
            end $$"""
        await watcher.execute(wait.replace("{pid}", str(pid)))
        assert await one(watcher, count, (pid,)) == (0,)


async def test_everything_of_a_closed_connection_is_refused(pg18):
    conn = await howdah.AsyncConnection.connect(pg18.dsn)
    cur = conn.cursor()
    await cur.execute("select 1")
    await conn.close()
    for attempt in (conn.commit, conn.rollback):
        with pytest.raises(howdah.InterfaceError, match="the connection is closed"):
            await attempt()
    with pytest.raises(howdah.InterfaceError, match="the connection is closed"):
        conn.cursor()
    with pytest.raises(howdah.InterfaceError, match="the connection is closed"):
        await conn.execute("select 1")
    with pytest.raises(howdah.InterfaceError, match="the connection is closed"):
        await cur.execute("select 1")
    with pytest.raises(howdah.InterfaceError, match="the connection is closed"):
        await cur.executemany("select %s", [(1,)])
    with pytest.raises(howdah.InterfaceError, match="the connection is closed"):
        async with conn:
            await conn.execute("select 1")


async def test_the_rows_that_arrived_outlive_their_connection(pg18):
    """As with psycopg 3: fetching uses what is here, only a new statement needs the connection."""
    conn = await howdah.AsyncConnection.connect(pg18.dsn)
    cur = await conn.execute("select generate_series(1, 3)")
    await conn.close()
    assert cur.closed
    assert await cur.fetchone() == (1,)
    assert await cur.fetchall() == [(2,), (3,)]
    with pytest.raises(howdah.InterfaceError, match="the connection is closed"):
        await cur.execute("select 1")


async def test_a_forgotten_connection_warns_and_leaves_nothing(pg18, no_leaks):
    conn = await howdah.AsyncConnection.connect(pg18.dsn)
    with pytest.warns(ResourceWarning, match="was deleted while still open") as caught:
        del conn
        gc.collect()
    assert not any(re.search(re.escape(pg18.password), str(warning.message)) for warning in caught)
