# The sync twin of this file is generated from it by tools/unasync.py.
"""Hooks: what they are told of connects and requests, field by field, against a real server."""

from __future__ import annotations

import logging
import pickle
import time
from typing import Any

import pytest
from tests.kit.faultproxy import TO_CLIENT, FaultProxy

import howdah
from howdah import AsyncConnection
from howdah.core.record import ConnectRecord, QueryRecord


class Log:
    """A hook that keeps all it is told."""

    wants_call_site = True

    def __init__(self, *, wants_values: bool = False) -> None:
        self.wants_values = wants_values
        self.queries: list[QueryRecord] = []
        self.events: list[tuple[str, ConnectRecord]] = []

    def connect_begun(self, record: ConnectRecord) -> None:
        self.events.append(("begun", record))

    def connect_done(self, record: ConnectRecord) -> None:
        self.events.append(("done", record))

    def connect_failed(self, record: ConnectRecord) -> None:
        self.events.append(("failed", record))

    def connection_closed(self, record: ConnectRecord) -> None:
        self.events.append(("closed", record))

    def query_done(self, record: QueryRecord) -> None:
        self.queries.append(record)

    def taken(self) -> QueryRecord:
        """The one record since the last call."""
        assert len(self.queries) == 1, self.queries
        return self.queries.pop()


async def opened(server: Any, *hooks: Any, **options: Any) -> AsyncConnection[Any]:
    return await AsyncConnection.connect(server.dsn, hooks=hooks, **{"autocommit": True, **options})


def check_times(record: QueryRecord) -> None:
    """A request that was sent and answered."""
    assert abs(record.started_at - time.time()) < 60
    assert record.sent_s is not None and record.first_byte_s is not None and record.last_byte_s is not None
    assert record.done_s is not None
    assert record.started_s <= record.sent_s <= record.first_byte_s <= record.last_byte_s <= record.done_s
    assert 0 < record.decode_s <= record.duration_s < 60
    assert record.duration_s == record.done_s - record.started_s


async def test_first_second_and_third_use(pg18, no_leaks):
    log = Log()
    async with await opened(pg18, log, application_name="hook-test") as conn:
        seen = []
        for number in [1, 20, 300]:
            await conn.execute("select %s::int8, %s, generate_series(1, 3)", [number, "xyz"])
            record = log.taken()
            check_times(record)
            seen.append(record.prepared)
            assert record.sql == "select $1::int8, $2, generate_series(1, 3)" and record.kind == "SELECT"
            assert record.parameter_oids[0] == 21 and record.parameter_types[0] == "int2"
            assert record.parameter_bytes == (2, 3)
            assert (record.rows, record.results, record.tag, record.batch_size) == (3, 1, "SELECT 3", None)
            assert record.round_trips == 1 and record.attempt == 1 and not record.began
            assert record.status_before == record.status_after == "idle"
            assert record.bytes_out > 0 and record.bytes_in > 3 * 20
            assert record.error is record.sqlstate is record.message is record.parameters is None
            assert (record.dbname, record.user) == (conn.info.dbname, conn.info.user)
            assert record.backend_pid == conn.info.backend_pid
            assert record.application_name == "hook-test"
            assert record.address == f"{pg18.host}:{pg18.port}"
            assert record.call_site is not None and record.call_site[0] == __file__
        assert seen == ["unnamed", "now", "hit"]
        await conn.execute("select %s::int4", [None])
        record = log.taken()
        assert (record.parameter_oids, record.parameter_types, record.parameter_bytes) == ((0,), (None,), (0,))


async def test_simple_and_several_statements(pg18):
    log = Log()
    async with await opened(pg18, log) as conn:
        await conn.execute("select 1 as only_here_once")
        record = log.taken()
        assert (record.prepared, record.parameter_oids, record.rows, record.results) == ("simple", (), 1, 1)
        await conn.execute("create temp table several (a int); insert into several values (1), (2); select 7, 8")
        record = log.taken()
        assert (record.prepared, record.rows, record.results, record.tag) == ("simple", 3, 3, "SELECT 1")
        await conn.execute("set work_mem = '5MB'")
        record = log.taken()
        assert (record.kind, record.rows, record.tag) == ("SET", None, "SET")


async def test_executemany(pg18):
    log = Log()
    async with await opened(pg18, log) as conn:
        await conn.execute("create temp table batch (a int8, b text)")
        log.taken()
        cursor = conn.cursor()
        await cursor.executemany("insert into batch values (%s, %s)", [(1, "a"), (2**40, "bcd"), (3, None)])
        record = log.taken()
        check_times(record)
        assert (record.batch_size, record.results, record.rows, record.tag) == (3, 3, 3, "INSERT 0 1")
        assert (record.prepared, record.parameter_types[0], record.parameter_bytes) == ("unnamed", "int8", (24, 4))
        assert record.round_trips == 1 and record.kind == "INSERT"


async def test_transaction(pg18):
    log = Log()
    async with await opened(pg18, log, autocommit=False) as conn:
        await conn.execute("select %s::int4 as in_transaction", [1])
        first = log.taken()
        assert (first.began, first.status_before, first.status_after) == (True, "idle", "in transaction")
        assert first.prepared == "unnamed" and first.round_trips == 1
        await conn.execute("select %s::int4 as in_transaction", [1])
        assert not log.taken().began
        await conn.commit()
        commit = log.taken()
        assert (commit.sql, commit.kind, commit.tag, commit.results) == ("COMMIT", "COMMIT", "COMMIT", 1)
        assert (commit.status_before, commit.status_after, commit.prepared) == ("in transaction", "idle", "simple")
        assert commit.call_site is not None and commit.call_site[0] == __file__
        check_times(commit)
        with pytest.raises(howdah.errors.DivisionByZero):
            await conn.execute("select 1 / %s::int4", [0])
        failed = log.taken()
        assert (failed.error, failed.sqlstate) == ("DivisionByZero", "22012")
        assert (failed.began, failed.status_after, failed.rows, failed.results) == (True, "failed transaction", None, 0)
        await conn.rollback()
        assert log.taken().sql == "ROLLBACK"
        await conn.rollback()
        assert log.queries == []  # nothing was open, nothing was sent


async def test_error_messages_do_not_quote_values(pg18):
    log, full = Log(), Log(wants_values=True)
    async with await opened(pg18, log, full) as conn:
        with pytest.raises(howdah.DataError):
            await conn.execute("select %s::text::int4", ["canary-value"])
        record, told = log.taken(), full.taken()
        assert (record.sqlstate, record.message, record.parameters) == ("22P02", None, None)
        assert "canary" not in repr(record.as_dict())
        assert told.parameters == ["canary-value"] and told.message is not None and "canary-value" in told.message
        assert "canary" not in repr(told)
        with pytest.raises(howdah.errors.UndefinedTable):
            await conn.execute("select * from missing_table where 1 = %s", [1])
        assert log.taken().message == 'relation "missing_table" does not exist'
        cursor = conn.cursor()
        full.queries.clear()
        await cursor.executemany("select %s::int4", [[1], [2]])
        assert full.taken().parameters == [[1], [2]]


async def test_records_can_be_pickled(pg18):
    log = Log()
    async with await opened(pg18, log) as conn:
        await conn.execute("select %s::int4", [1])
    record = log.taken()
    again = pickle.loads(pickle.dumps(record))
    assert again.as_dict() == record.as_dict()
    connect = log.events[0][1]
    assert pickle.loads(pickle.dumps(connect)).as_dict() == connect.as_dict()


@pytest.mark.parametrize("sql", ["copy (select 1) to stdout", "copy refused from stdin"])
async def test_copy_refused(pg18, sql):
    log = Log()
    async with await opened(pg18, log) as conn:
        await conn.execute("create temp table refused (a int)")
        log.taken()
        with pytest.raises(howdah.ProgrammingError):
            await conn.execute(sql)
        record = log.taken()
        assert (record.error, record.sqlstate, record.kind) == ("ProgrammingError", None, "COPY")
        # CopyFail goes out in answer to the server's CopyInResponse, and is answered
        assert record.round_trips == (2 if "stdin" in sql else 1)
        assert record.status_after == "idle"


async def test_big_result(pg18):
    log = Log()
    async with await opened(pg18, log) as conn:
        cursor = await conn.execute("select generate_series(1, %s::int4), repeat('x', 100)", [20000])
        assert len(await cursor.fetchall()) == 20000
        record = log.taken()
        check_times(record)
        assert record.rows == 20000 and record.bytes_in > 20000 * 110
        assert record.first_byte_s is not None and record.last_byte_s is not None
        assert record.first_byte_s < record.last_byte_s
        value = "y" * 3_000_000
        await conn.execute("select length(%s)", [value])
        record = log.taken()
        assert record.parameter_bytes == (3_000_000,) and record.bytes_out > 3_000_000


async def test_lost_connection(pg18, no_leaks):
    log = Log()
    conn = await opened(pg18, log)
    with pytest.raises(howdah.OperationalError):
        await conn.execute("select pg_terminate_backend(pg_backend_pid())")
    record = log.taken()
    assert (record.sqlstate, record.status_after) == ("57P01", "closed")
    assert [name for name, _ in log.events] == ["begun", "done", "closed"]
    assert "terminating connection" in str(log.events[-1][1].close_error)
    await conn.close()
    assert len(log.events) == 3 and log.queries == []


async def test_cut_in_the_middle(pg18, no_leaks):
    log = Log()
    with FaultProxy((pg18.host, pg18.port)) as proxy:
        where = {"host": proxy.host, "port": proxy.port}
        conn = await AsyncConnection.connect(pg18.dsn, **where, hooks=[log], autocommit=True)
        proxy.on_message(TO_CLIENT, "D", 3, "rst")
        with pytest.raises(howdah.OperationalError):
            await conn.execute("select generate_series(1, %s::int4)", [10])
        record = log.taken()
        assert record.error == "OperationalError" and record.sqlstate is None and record.status_after == "closed"
        assert record.round_trips == 1 and record.tag is None and record.rows is None
        assert record.address == f"{proxy.host}:{proxy.port}"
        await conn.close()


async def test_connect_events(pg18, no_leaks):
    log = Log()
    conn = await opened(pg18, log, application_name="hook-test")
    await conn.close()
    await conn.close()
    assert [name for name, _ in log.events] == ["begun", "done", "closed"]
    record = log.events[0][1]
    assert all(other is record for _, other in log.events)
    assert (record.host, record.port) == (pg18.host, pg18.port)
    assert record.address == f"{pg18.host}:{pg18.port}" and record.application_name == "hook-test"
    assert record.server_version is not None and record.server_version.startswith("18.")
    assert record.backend_pid and record.tls_version is None and record.attempt == 1
    assert record.error is record.close_error is None
    assert record.duration_s is not None and 0 < record.duration_s < 60
    assert record.closed_s is not None and record.done_s is not None and record.closed_s >= record.done_s


async def test_connect_failed(pg18, no_leaks):
    log = Log()
    with pytest.raises(howdah.OperationalError):
        await AsyncConnection.connect(pg18.dsn, password="wrong-canary", hooks=[log])
    assert [name for name, _ in log.events] == ["begun", "failed"]
    record = log.events[-1][1]
    assert (record.error, record.sqlstate) == ("InvalidPassword", "28P01")
    assert record.done_s is not None
    with pytest.raises(howdah.OperationalError):
        await AsyncConnection.connect(pg18.dsn, port=1, hooks=[log])
    record = log.events[-1][1]
    assert record.sqlstate is None and "refused" in str(record.message)


async def test_no_password_in_any_record(pg18):
    log = Log(wants_values=True)
    password = pg18.params["password"]
    async with await opened(pg18, log) as conn:
        await conn.execute("create role hooked login password 'canary-password'")
        await conn.execute("alter role hooked password 'canary-password'")
        with pytest.raises(howdah.DatabaseError):
            await conn.execute("alter role missing_role password 'canary-password'")
        await conn.execute("drop role hooked")
    records = [record.as_dict() for record in log.queries] + [record.as_dict() for _, record in log.events]
    assert len(log.queries) == 4
    for text in [*map(repr, records), *map(str, log.queries)]:
        assert "canary" not in text and password not in text
    assert [record.kind for record in log.queries] == ["CREATE", "ALTER", "ALTER", "DROP"]
    assert all("withheld" in record.sql for record in log.queries[:3])


async def test_a_hook_that_raises(pg18, caplog):
    class Broken:
        def query_done(self, record: QueryRecord) -> None:
            raise ValueError("the hook is broken")

        def connection_closed(self, record: ConnectRecord) -> None:
            raise ValueError("the hook is broken")

    log = Log()
    with caplog.at_level(logging.ERROR, "howdah.hooks"):
        async with await opened(pg18, Broken(), log) as conn:
            cursor = await conn.execute("select %s::int4", [7])
            assert await cursor.fetchall() == [(7,)]
            with pytest.raises(howdah.errors.DivisionByZero):
                await conn.execute("select 1 / 0")
    assert [entry.name for entry in caplog.records] == ["howdah.hooks"] * 3
    assert "Broken.query_done raised" in caplog.text and "the hook is broken" in caplog.text
    assert len(log.queries) == 2


@pytest.mark.parametrize("wrong", [object(), Log, "log", type("Half", (), {"connect_done": print})()])
async def test_no_hook(pg18, wrong):
    with pytest.raises(howdah.ProgrammingError, match="is no hook|needs connect_begun"):
        await AsyncConnection.connect(pg18.dsn, hooks=[wrong])


async def test_tls_version(tls17, no_leaks):
    log = Log()
    conn = await AsyncConnection.connect(tls17.dsn, sslmode="require", hooks=[log])
    await conn.close()
    assert str(log.events[0][1].tls_version).startswith("TLSv1.")
