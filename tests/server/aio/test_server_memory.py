# The sync twin of this file is generated from it by tools/unasync.py.
"""What connections to one server share: result formats and SCRAM keys; and what happens when it is stale."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.kit.wiretap import Wiretap

import howdah
from howdah import AsyncConnection, AsyncCursor
from howdah.core.server_memory import MEMORIES, ServerMemory


async def opened(server: Any, **options: Any) -> AsyncConnection[Any]:
    return await AsyncConnection.connect(server.dsn, **{"autocommit": True, **options})


def formats(cursor: AsyncCursor[Any]) -> bytes:
    assert cursor._result is not None
    return bytes(cursor._result.plan.formats)


class Log:
    def __init__(self) -> None:
        self.records: list[Any] = []

    def query_done(self, record: Any) -> None:
        self.records.append(record)


@pytest.mark.parametrize(
    ("sql", "params"), [("select %s::int8, 'x', 2.5::float8", [7]), ("select 7::int8, 'x', 2.5::float8", None)]
)
async def test_second_connection_starts_with_binary(pg18, no_leaks, sql, params):
    async with await opened(pg18) as one, await opened(pg18) as two:
        first = await one.execute(sql, params)
        assert formats(first) == b"\0\0\0"
        second = await two.execute(sql, params)
        assert formats(second) == b"\1\1\1"
        assert await first.fetchall() == await second.fetchall() == [(7, "x", 2.5)]
    MEMORIES.clear()
    async with await opened(pg18) as three:
        assert formats(await three.execute(sql, params)) == b"\0\0\0"


async def test_one_flush_on_the_wire(pg18):
    sql = "select %s::int8 as on_the_wire"
    with Wiretap((pg18.host, pg18.port)) as tap:
        where = {"host": tap.host, "port": tap.port}
        async with await opened(pg18, **where) as one, await opened(pg18, **where) as two:
            await one.execute(sql, [1])
            with tap.watch() as seen:
                await two.execute(sql, [1])
    # it still describes: what is remembered chooses the formats and nothing else
    assert seen.bursts == ["PBDES"] and seen.flips == 1
    [row] = [record.message for record in seen.records if record.type == "D" and record.direction == "<"]
    assert row.body.endswith((1).to_bytes(8, "big"))


async def test_other_users_and_databases_share_nothing(pg18):
    async with await opened(pg18) as conn:
        await conn.execute("create role memory_user login password 'memory-password'")
        try:
            assert formats(await conn.execute("select %s::int4 as apart", [1])) == b"\0"
            other = {"user": "memory_user", "password": "memory-password"}
            async with await opened(pg18, **other) as theirs:
                assert formats(await theirs.execute("select %s::int4 as apart", [1])) == b"\0"
            async with await opened(pg18, dbname="template1") as elsewhere:
                assert formats(await elsewhere.execute("select %s::int4 as apart", [1])) == b"\0"
        finally:
            await conn.execute("drop role memory_user")


CHANGES = [
    ("alter table remembered add c int", [(1, 2, None)], 1),
    ("alter table remembered drop b", [(1,)], 1),
    ("alter table remembered alter a type text", [("1", 2)], 1),
    ("alter table remembered alter a type numeric", [(1, 2)], 1),
    # a type with no binary output
    ("alter table remembered alter a type aclitem using null", [(None, 2)], 2),
]


@pytest.mark.parametrize(("change", "wanted", "attempts"), CHANGES)
@pytest.mark.parametrize("width", ["all binary", "some binary"])
async def test_table_altered_in_between(pg18, no_leaks, change, wanted, attempts, width):
    """A fresh connection asks for formats that do not fit any more, and heals before anybody sees it."""
    log = Log()
    also = ", inet '10.0.0.1' as i" if width == "some binary" else ""
    sql = f"select *{also} from remembered where %s"
    wanted = [row + (("10.0.0.1",) if also else ()) for row in wanted]
    async with await opened(pg18) as one:
        await one.execute("drop table if exists remembered; create table remembered (a int, b int)")
        await one.execute("insert into remembered values (1, 2)")
        await one.execute(sql, [True])
        await one.execute(change)
        async with await opened(pg18, hooks=[log]) as two:
            for _ in range(3):
                cursor = await two.execute(sql, [True])
                assert await cursor.fetchall() == wanted
            if "add" in change or "drop" in change:
                attempts = 2 if also else 1  # one format for all fits any number of columns
            assert [record.attempt for record in log.records] == ([1, 1, 1] if attempts == 1 else [1, 2, 1, 1])
        await one.execute("drop table remembered")


async def test_type_that_cannot_be_read_in_binary(pg18):
    """The server gives such a type in binary: one error, never another value, and the next time it is right."""
    sql = "select * from remembered_too where %s"
    async with await opened(pg18) as one:
        await one.execute("create table remembered_too (a int)")
        try:
            await one.execute("insert into remembered_too values (1)")
            await one.execute(sql, [True])
            await one.execute("alter table remembered_too alter a type inet using inet '10.0.0.1'")
            async with await opened(pg18) as two:
                with pytest.raises(howdah.DataError, match="changed since it was last described"):
                    await two.execute(sql, [True])
                for _ in range(3):
                    cursor = await two.execute(sql, [True])
                    assert await cursor.fetchall() == [("10.0.0.1",)]
        finally:
            await one.execute("drop table remembered_too")


async def test_stale_in_a_transaction_is_one_error(pg18):
    sql = "select *, inet '10.0.0.1' as i from remembered_tx where %s"
    async with await opened(pg18) as one:
        await one.execute("create table remembered_tx (a int)")
        try:
            await one.execute(sql, [True])
            await one.execute("alter table remembered_tx add b int")
            async with await opened(pg18, autocommit=False) as two:
                with pytest.raises(howdah.DatabaseError) as caught:
                    await two.execute(sql, [True])
                assert caught.value.sqlstate == "08P01"
                await two.rollback()
                cursor = await two.execute(sql, [True])
                assert await cursor.fetchall() == []
        finally:
            await one.execute("drop table remembered_tx")


async def test_statements_that_write_are_not_guessed(pg18):
    sql = "insert into guess_write values (%s) returning a"
    async with await opened(pg18) as one, await opened(pg18) as two:
        await one.execute("create table guess_write (a int8)")
        try:
            assert formats(await one.execute(sql, [1])) == b"\0"
            assert formats(await two.execute(sql, [1])) == b"\0"
            assert formats(await two.execute(sql, [1])) == b"\1"
        finally:
            await one.execute("drop table guess_write")


@pytest.fixture
def hashes(monkeypatch) -> list[int]:
    """Iterations of each slow hash that is computed from here on."""
    real = hashlib.pbkdf2_hmac
    computed: list[int] = []

    def counted(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        computed.append(iterations)
        return real(name, password, salt, iterations)

    monkeypatch.setattr("hashlib.pbkdf2_hmac", counted)
    return computed


async def connects(server: Any, **options: Any) -> None:
    conn = await opened(server, **options)
    await conn.close()


async def test_second_connect_computes_no_hash(pg18, hashes, no_leaks):
    await connects(pg18)
    assert hashes == [4096]
    for _ in range(3):
        await connects(pg18)
    assert hashes == [4096]
    MEMORIES.clear()
    await connects(pg18)
    assert hashes == [4096, 4096]


async def test_wrong_password_after_a_good_login(pg18, hashes):
    await connects(pg18)
    for _ in range(2):
        with pytest.raises(howdah.OperationalError) as caught:
            await connects(pg18, password="wrong")
        assert caught.value.sqlstate == "28P01"
    assert len(hashes) == 3  # what failed was not kept
    await connects(pg18)
    assert len(hashes) == 3  # and what is right was not lost for it


async def test_password_changed_on_the_server(pg18, hashes):
    async with await opened(pg18) as admin:
        await admin.execute("create role changing login password 'before'")
        try:
            await connects(pg18, user="changing", password="before")
            await connects(pg18, user="changing", password="before")
            assert len(hashes) == 2  # the administrator's and this one
            await admin.execute("alter role changing password 'after'")
            with pytest.raises(howdah.OperationalError) as caught:
                await connects(pg18, user="changing", password="before")
            assert caught.value.sqlstate == "28P01"
            await connects(pg18, user="changing", password="after")
            await connects(pg18, user="changing", password="after")
            assert len(hashes) == 4
        finally:
            await admin.execute("drop role changing")


async def test_two_users_with_one_password(pg18, hashes):
    async with await opened(pg18) as admin:
        await admin.execute("create role twin_a login password 'same'; create role twin_b login password 'same'")
        try:
            hashes.clear()
            for _ in range(2):
                await connects(pg18, user="twin_a", password="same")
                await connects(pg18, user="twin_b", password="same")
            assert len(hashes) == 2
        finally:
            await admin.execute("drop role twin_a; drop role twin_b")


async def test_pooler_and_version_are_shared(pg18):
    async with await opened(pg18) as one:
        memory = one._session.memory
        assert isinstance(memory, ServerMemory)
        assert memory.server_version == one.info.parameter_status("server_version")
        assert not memory.pooler_suspected
        memory.pooler_suspected = True
        async with await opened(pg18) as two:
            assert two._session.memory is memory and two._session.pooler_suspected
            for _ in range(3):
                await two.execute("select %s::int4", [1])
            cursor = await two.execute("select count(*) from pg_prepared_statements")
            assert await cursor.fetchone() == (0,)
