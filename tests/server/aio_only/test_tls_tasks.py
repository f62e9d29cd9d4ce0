"""TLS with asyncio's own means: cancelled tasks, many at once, uvloop; and what a cancel looks like on the wire."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from typing import Any

import pytest
from tests.kit.tlsserver import settings_for
from tests.kit.wiretap import Wiretap

import howdah
from howdah import errors

PATIENCE_S = 5.0


async def opened(server: Any, **more: Any) -> howdah.AsyncConnection[Any]:
    settings = settings_for(server, "r_scram", sslmode="require", **more)
    return await howdah.AsyncConnection.connect(**settings, autocommit=True)


async def until_active(watcher: howdah.AsyncConnection[Any], pid: int, wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        cursor = await watcher.execute(
            "select count(*) from pg_stat_activity where pid = %s and state = 'active'", [pid]
        )
        if await cursor.fetchone() == (wanted,):
            return
        assert time.monotonic() < deadline, f"backend {pid}: still not {wanted} active"
        await asyncio.sleep(0.01)


async def test_cancelled_in_a_query(tls17: Any, no_leaks: None) -> None:
    watcher = await opened(tls17)
    conn = await opened(tls17)
    pid = conn.info.backend_pid
    task = asyncio.ensure_future(conn.execute("select pg_sleep(60)"))
    await until_active(watcher, pid, 1)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < PATIENCE_S
    await until_active(watcher, pid, 0)
    # cancelled and drained: the connection lives on
    cursor = await conn.execute("select 7")
    assert await cursor.fetchone() == (7,)
    await conn.close()
    await watcher.close()


async def test_cancelled_in_a_large_request(tls17: Any, no_leaks: None) -> None:
    """In the middle of TLS's own records: what was begun goes out, or the connection is closed; never a wrong answer."""
    cancelled = 0
    for delay_s in (0.0, 0.002, 0.01, 0.03):
        conn = await opened(tls17)
        task = asyncio.ensure_future(conn.execute("select length(%s::bytea)", [bytes(8 << 20)]))
        await asyncio.sleep(delay_s)
        task.cancel()
        try:
            cursor = await task  # the answer may be there before the cancellation
            assert await cursor.fetchone() == (8 << 20,)
        except asyncio.CancelledError:
            cancelled += 1
        if not conn.broken:
            cursor = await conn.execute("select 7")
            assert await cursor.fetchone() == (7,)
        await conn.close()
    assert cancelled


async def test_a_deadline_in_a_query(tls17: Any, no_leaks: None) -> None:
    conn = await opened(tls17)
    with pytest.raises(errors.QueryTimeout):
        await conn.execute("select pg_sleep(60)", timeout=0.1)
    cursor = await conn.execute("select 7")
    assert await cursor.fetchone() == (7,)
    await conn.close()


async def test_many_at_once(tls17: Any, no_leaks: None) -> None:
    async def one(number: int) -> None:
        conn = await opened(tls17)
        cursor = await conn.execute("select %s::int8, repeat('x', 50000)", [number])
        assert await cursor.fetchone() == (number, "x" * 50000)
        await conn.close()

    await asyncio.gather(*(one(number) for number in range(20)))


def test_uvloop(tls17: Any, certificates: Any) -> None:
    import uvloop

    async def main() -> None:
        more = {"sslrootcert": certificates.path("root.crt"), "channel_binding": "require"}
        for mode in ("require", "verify-full"):
            settings = settings_for(tls17, "r_scram", sslmode=mode, **more)
            async with await howdah.AsyncConnection.connect(**settings) as conn:
                assert conn.info.ssl_in_use
                data = bytes(4 << 20)
                cursor = await conn.execute("select %s::bytea", [data])
                assert await cursor.fetchone() == (data,)
        conn = await opened(tls17)
        with pytest.raises(errors.QueryTimeout):
            await conn.execute("select pg_sleep(60)", timeout=0.1)
        cursor = await conn.execute("select 7")
        assert await cursor.fetchone() == (7,)
        await conn.close()
        settings = settings_for(
            tls17, "r_scram", sslmode="verify-full", sslrootcert=certificates.path("other-root.crt")
        )
        with pytest.raises(errors.OperationalError, match="refused"):
            await howdah.AsyncConnection.connect(**settings)
        async with await howdah.AsyncConnection.connect(**settings_for(tls17, "only_clear", sslmode="prefer")) as conn:
            assert not conn.info.ssl_in_use

    uvloop.run(main())


def cancelled_through(tap: Wiretap, tls17: Any, negotiation: str) -> list[list[str]]:
    """Runs into a deadline behind the tap; the messages of each connection that can be read there."""
    where = {"hostaddr": tap.host, "port": tap.port, "sslmode": "require", "sslnegotiation": negotiation}
    conn = howdah.connect(**settings_for(tls17, "r_scram", **where), autocommit=True)
    with tap.watch() as seen:
        with pytest.raises(errors.QueryTimeout) as caught:
            conn.execute("select pg_sleep(60)", timeout=0.1)
        assert caught.value.cancelled
        assert conn.execute("select 7").fetchone() == (7,)
    conn.close()
    return [[message.type for message in seen.sent()]]


def test_the_cancel_is_encrypted_too(tls17: Any, no_leaks: None) -> None:
    with Wiretap((tls17.host, tls17.port)) as tap:
        (seen,) = cancelled_through(tap, tls17, "postgres")
    assert seen == ["<ssl>"], "the cancel's own request for TLS is all that can be read"


def test_ctrl_c(tls17: Any, no_leaks: None) -> None:
    """KeyboardInterrupt in a blocking query under TLS: at once, the server's query gone, the connection as good as new."""
    conn = howdah.connect(**settings_for(tls17, "r_scram", sslmode="require"), autocommit=True)
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        conn.execute("select pg_sleep(60)")
    assert time.monotonic() - began < PATIENCE_S
    timer.join()
    if not conn.broken:
        assert conn.execute("select 7").fetchone() == (7,)
    conn.close()


@pytest.mark.parametrize("size", [1 << 20, 8 << 20])
def test_a_deadline_in_a_large_request(tls17: Any, no_leaks: None, size: int) -> None:
    """The blocking driver is stopped in the middle of TLS's records and goes on from there, or closes."""
    for limit_s in (0.0005, 0.002, 0.005, 0.02):
        conn = howdah.connect(**settings_for(tls17, "r_scram", sslmode="require"), autocommit=True)
        try:
            assert conn.execute("select length(%s::bytea)", [bytes(size)], timeout=limit_s).fetchone() == (size,)
        except errors.QueryTimeout:
            pass
        if not conn.broken:
            assert conn.execute("select 7").fetchone() == (7,)
        conn.close()
