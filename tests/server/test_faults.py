"""Faults with a real server: refused logins, killed backends, cut connections, a server that is stopped."""

from __future__ import annotations

import inspect
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.kit.faultproxy import TO_CLIENT, TO_SERVER, FaultProxy

import howdah
from howdah import errors

CONNECT = {"sync": howdah.connect, "async": howdah.AsyncConnection.connect}
SLACK_S = 2.0


@pytest.fixture(params=CONNECT)
def face(request: pytest.FixtureRequest) -> str:
    """Which of the two shells connects."""
    return str(request.param)


async def done(result: Any) -> Any:
    """The value of a call, awaited when it came from the async shell."""
    return await result if inspect.isawaitable(result) else result


async def value(conn: Any, sql: str, params: Any = None) -> Any:
    return (await done((await done(conn.execute(sql, params))).fetchone()))[0]


async def refused(face: str, dsn: str, **settings: Any) -> howdah.Error:
    began = time.monotonic()
    with pytest.raises(howdah.Error) as caught:
        await done(CONNECT[face](dsn, **settings))
    assert time.monotonic() - began < SLACK_S
    return caught.value


async def lost_in(conn: Any, sql: str, within_s: float = SLACK_S) -> howdah.Error:
    """The error of a statement that loses the connection, which then says so at each use."""
    began = time.monotonic()
    with pytest.raises(howdah.OperationalError) as caught:
        await done(conn.execute(sql))
    assert time.monotonic() - began < within_s
    assert conn.broken and conn.closed
    with pytest.raises(howdah.OperationalError, match="the connection is closed: it was lost earlier"):
        await done(conn.execute("select 1"))
    await done(conn.close())
    return caught.value


def later(delay_s: float, action: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(delay_s, action)
    timer.start()
    return timer


# --- Logins


async def test_wrong_password(face: str, server: Any, dsn: str, no_leaks: None) -> None:
    error = await refused(face, dsn, password="not-the-password")
    assert type(error) is errors.InvalidPassword
    assert error.sqlstate == "28P01"
    assert "not-the-password" not in f"{error} {error!r}"


async def test_unknown_user(face: str, server: Any, dsn: str, no_leaks: None) -> None:
    """The server does not tell whether the user or the password is wrong."""
    error = await refused(face, dsn, user="nobody_of_that_name")
    assert type(error) is errors.InvalidPassword
    assert "nobody_of_that_name" in str(error)


async def test_unknown_database(face: str, server: Any, dsn: str, no_leaks: None) -> None:
    error = await refused(face, dsn, dbname="no_such_database")
    assert type(error) is errors.InvalidCatalogName
    assert error.sqlstate == "3D000"
    assert "no_such_database" in str(error)


async def test_a_refused_setting(face: str, server: Any, dsn: str, no_leaks: None) -> None:
    error = await refused(face, dsn, options="-c no_such_setting=1")
    assert isinstance(error, howdah.DatabaseError)
    assert "no_such_setting" in str(error)


# --- Killed backends


async def test_backend_killed_in_a_query(face: str, server: Any, dsn: str, no_leaks: None) -> None:
    with howdah.connect(dsn, autocommit=True) as other:
        conn = await done(CONNECT[face](dsn, autocommit=True))
        pid = conn.info.backend_pid
        timer = later(0.2, lambda: other.execute("select pg_terminate_backend(%s)", [pid]))
        error = await lost_in(conn, "select pg_sleep(60)")
        timer.join()
    assert type(error) is errors.AdminShutdown
    assert error.sqlstate == "57P01"
    assert error.sent is True


async def test_backend_killed_in_a_transaction(face: str, server: Any, dsn: str, no_leaks: None) -> None:
    """Leaving the block after the loss raises the loss, and nothing else."""
    with howdah.connect(dsn, autocommit=True) as other, pytest.raises(errors.AdminShutdown):
        if face == "sync":
            with howdah.connect(dsn) as conn:
                conn.execute("select 1")
                other.execute("select pg_terminate_backend(%s, 2000)", [conn.info.backend_pid])
                conn.execute("select 2")
        else:
            async with await howdah.AsyncConnection.connect(dsn) as aconn:
                await aconn.execute("select 1")
                timer = later(0.1, lambda: other.execute("select pg_terminate_backend(%s)", [aconn.info.backend_pid]))
                try:
                    await aconn.execute("select pg_sleep(30)")
                finally:
                    timer.join()


async def test_backend_killed_while_idle(face: str, server: Any, dsn: str, no_leaks: None) -> None:
    with howdah.connect(dsn, autocommit=True) as other:
        conn = await done(CONNECT[face](dsn, autocommit=True))
        assert await value(conn, "select 1") == 1
        other.execute("select pg_terminate_backend(%s, 2000)", [conn.info.backend_pid])
        error = await lost_in(conn, "select 1")
    assert "terminating connection due to administrator command" in str(error)


async def test_query_cancelled_by_another_keeps_the_connection(
    face: str, server: Any, dsn: str, no_leaks: None
) -> None:
    with howdah.connect(dsn, autocommit=True) as other:
        conn = await done(CONNECT[face](dsn, autocommit=True))
        pid = conn.info.backend_pid
        timer = later(0.2, lambda: other.execute("select pg_cancel_backend(%s)", [pid]))
        with pytest.raises(errors.QueryCanceled):
            await done(conn.execute("select pg_sleep(60)"))
        timer.join()
        assert not conn.closed
        assert await value(conn, "select 7") == 7
        await done(conn.close())


# --- Cut connections


@pytest.mark.parametrize("action", ["fin", "rst"])
async def test_cut_in_the_middle_of_a_result(face: str, pg18: Any, no_leaks: None, action: str) -> None:
    with FaultProxy((pg18.host, pg18.port)) as proxy:
        conn = await done(CONNECT[face](pg18.dsn, host=proxy.host, port=proxy.port, autocommit=True))
        rule = proxy.cut_after(TO_CLIENT, 100_001, action)
        error = await lost_in(conn, "select n, repeat('x', 50) from generate_series(1, 200000) n")
        rule.wait()
    assert type(error) is errors.OperationalError
    assert "closed the connection" in str(error) or "connection to the server was lost" in str(error)
    assert error.sent is True


@pytest.mark.parametrize("action", ["fin", "rst"])
async def test_cut_before_the_question_arrives(face: str, pg18: Any, no_leaks: None, action: str) -> None:
    with FaultProxy((pg18.host, pg18.port)) as proxy:
        conn = await done(CONNECT[face](pg18.dsn, host=proxy.host, port=proxy.port, autocommit=True))
        proxy.cut_after(TO_SERVER, 5, action)
        error = await lost_in(conn, "select 1")
    assert type(error) is errors.OperationalError


@pytest.mark.heavy
async def test_cut_at_every_part_of_the_connect(face: str, pg18: Any, no_leaks: None) -> None:
    with FaultProxy((pg18.host, pg18.port)) as proxy:
        for action in ("fin", "rst"):
            for count in [*range(0, 120, 7), *range(120, 400, 40)]:
                proxy.cut_after(TO_CLIENT, count, action, every_connection=False)
                error = await refused(face, pg18.dsn, host=proxy.host, port=proxy.port, connect_timeout=5)
                assert type(error) is errors.OperationalError, f"{action} after {count} bytes: {error!r}"
                proxy.heal()


async def test_network_goes_dark_in_the_connect(face: str, pg18: Any, no_leaks: None) -> None:
    with FaultProxy((pg18.host, pg18.port)) as proxy:
        proxy.cut_after(TO_CLIENT, 40, "blackhole")
        error = await refused(face, pg18.dsn, host=proxy.host, port=proxy.port, connect_timeout=0.7)
    assert type(error) is errors.ConnectionTimeout


async def test_large_request_and_a_cut(face: str, pg18: Any, no_leaks: None) -> None:
    """The request is larger than any socket buffer, and the server goes while it is written."""
    with FaultProxy((pg18.host, pg18.port)) as proxy:
        for action in ("fin", "rst"):
            conn = await done(CONNECT[face](pg18.dsn, host=proxy.host, port=proxy.port, autocommit=True))
            proxy.cut_after(TO_SERVER, 1_000_000, action)
            began = time.monotonic()
            with pytest.raises(howdah.OperationalError):
                await done(conn.execute("select length(%s)", ["x" * 30_000_000]))
            assert time.monotonic() - began < 5
            assert conn.broken
            await done(conn.close())


# --- The server is stopped


@pytest.mark.heavy
@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT], ids=["immediate", "fast"])
async def test_server_stopped_in_a_query(
    face: str, clusters: Callable[..., Any], pg18: Any, no_leaks: None, how: signal.Signals
) -> None:
    with clusters("18") as own:
        conn = await done(CONNECT[face](own.dsn, autocommit=True))
        timer = later(0.3, lambda: os.kill(own.pid, how))
        error = await lost_in(conn, "select pg_sleep(60)", within_s=5)
        timer.join()
        assert isinstance(error, errors.OperationalError)
        if how == signal.SIGINT:
            assert type(error) is errors.AdminShutdown
        again = await refused(face, own.dsn, connect_timeout=1)
        assert isinstance(again, errors.OperationalError)


@pytest.mark.heavy
async def test_too_many_connections(face: str, clusters: Callable[..., Any], pg18: Any, no_leaks: None) -> None:
    settings = {"max_connections": 4, "superuser_reserved_connections": 0, "max_wal_senders": 0}
    with clusters("18", settings=settings) as own:
        held = [await done(CONNECT[face](own.dsn)) for _ in range(4)]
        error = await refused(face, own.dsn)
        assert type(error) is errors.TooManyConnections
        for conn in held:
            await done(conn.close())
