# The sync twin of this file is generated from it by tools/unasync.py.
"""Protocols 3.0 and 3.2 with real servers: 18 speaks both, 17 negotiates down."""

from __future__ import annotations

import pytest

import howdah
from howdah.errors import NotSupportedError


async def answer(conn):
    cur = await conn.execute("select %s + 1", [41])
    return (await cur.fetchone())[0]


async def test_3_0_is_asked_for_by_default(each_dsn, no_leaks):
    async with await howdah.AsyncConnection.connect(each_dsn) as conn:
        assert conn.info.full_protocol_version == 30000
        assert len(conn._session.backend_key) == 4
        assert await answer(conn) == 42


@pytest.mark.parametrize("newest", ["3.2", "latest"])
async def test_3_2_with_18(pg18, newest, no_leaks):
    async with await howdah.AsyncConnection.connect(pg18.dsn, max_protocol_version=newest) as conn:
        assert conn.info.full_protocol_version == 30002
        assert len(conn._session.backend_key) == 32
        assert await answer(conn) == 42


async def test_3_2_asked_of_17_becomes_3_0(pg17, no_leaks):
    async with await howdah.AsyncConnection.connect(pg17.dsn, max_protocol_version="3.2") as conn:
        assert conn.info.full_protocol_version == 30000
        assert len(conn._session.backend_key) == 4
        assert await answer(conn) == 42


async def test_3_2_demanded_of_17_is_refused(pg17, no_leaks):
    with pytest.raises(NotSupportedError, match=r"speaks protocol 3\.0 only"):
        await howdah.AsyncConnection.connect(pg17.dsn, min_protocol_version="3.2")


async def test_3_2_demanded_of_18(pg18):
    async with await howdah.AsyncConnection.connect(pg18.dsn, min_protocol_version="latest") as conn:
        assert conn.info.full_protocol_version == 30002


async def test_a_long_cancel_key_cancels(pg18, no_leaks):
    async with await howdah.AsyncConnection.connect(pg18.dsn, max_protocol_version="3.2", autocommit=True) as conn:
        # the server must take the request: only then is the connection usable afterwards
        with pytest.raises(howdah.Error):
            await conn.execute("select pg_sleep(60)", timeout=0.1)
        assert not conn.closed
        assert await answer(conn) == 42
