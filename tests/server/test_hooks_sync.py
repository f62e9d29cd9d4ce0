"""Hooks: a hook that uses its own connection, requests that are interrupted, and what hooks that are off do not cost."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest

import howdah
from howdah.core.record import QueryRecord, Recorder


class Again:
    """A hook that uses the connection it is called for."""

    def __init__(self) -> None:
        self.conn: Any = None
        self.errors: list[Exception] = []
        self.records: list[QueryRecord] = []

    def query_done(self, record: QueryRecord) -> None:
        self.records.append(record)
        for use in (lambda: self.conn.execute("select 1"), lambda: self.conn.cursor().executemany("select %s", [[1]])):
            try:
                use()
            except howdah.InterfaceError as exc:
                self.errors.append(exc)
        if record.status_after != "idle":
            try:
                self.conn.commit()
            except howdah.InterfaceError as exc:
                self.errors.append(exc)


def test_a_hook_cannot_use_its_own_connection(pg18, no_leaks):
    hook = Again()
    with howdah.connect(pg18.dsn, hooks=[hook]) as conn:
        hook.conn = conn
        assert conn.execute("select %s::int4", [1]).fetchall() == [(1,)]
        assert len(hook.errors) == 3 and "a hook cannot use" in str(hook.errors[0])
        assert conn.execute("select %s::int4", [2]).fetchall() == [(2,)]
    assert [record.kind for record in hook.records] == ["SELECT", "SELECT", "COMMIT"]


class Kept:
    def __init__(self) -> None:
        self.records: list[QueryRecord] = []

    def query_done(self, record: QueryRecord) -> None:
        self.records.append(record)


def test_interrupted(pg18, no_leaks):
    hook = Kept()
    conn = howdah.connect(pg18.dsn, hooks=[hook], autocommit=True)
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        conn.execute("select pg_sleep(30), %s::int4", [1])
    timer.join()
    [record] = hook.records
    assert record.error == "KeyboardInterrupt" or record.sqlstate == "57014"
    assert record.sql.startswith("select pg_sleep") and record.done_s is not None
    assert 0.2 < record.duration_s < 20 and record.rows is None
    conn.close()


def test_off_sets_and_measures_nothing(pg18, monkeypatch):
    """Without hooks: no recorder, no mark on the operation, no clock read in core."""

    def never(*args: Any) -> None:
        raise AssertionError("called without hooks")

    for name in ("begin", "written", "entered", "left", "__call__"):
        monkeypatch.setattr(Recorder, name, never)
    finished = []
    with howdah.connect(pg18.dsn, autocommit=True) as conn:
        run = conn._driver.run
        assert conn._recorder is None and conn._session.hook is None

        class Driver:
            """The driver, with its operations kept."""

            def run(self, operation: Any) -> None:
                run(operation)
                finished.append(operation)

            def __getattr__(self, name: str) -> Any:
                return getattr(driver, name)

        driver, conn._driver = conn._driver, Driver()
        for number in range(3):
            assert conn.execute("select %s::int4", [number]).fetchall() == [(number,)]
        conn.cursor().executemany("select %s::int4", [[1], [2]])
        conn._driver = driver
    assert len(finished) == 4
    for operation in finished:
        assert getattr(operation, "note", None) is None
        assert operation.sent_at == operation.first_at == operation.done_at == 0.0


def test_off_reads_no_clock(pg18, monkeypatch):
    """With hooks the clock is read some times a request, without them not once by the session and the recorder."""
    reads = []

    def clock() -> float:
        reads.append(1)
        return time.perf_counter()

    with howdah.connect(pg18.dsn, autocommit=True, hooks=[Kept()]) as conn:
        conn._recorder.clock = clock
        conn.execute("select %s::int4", [1])
        with_hooks = len(reads)
        conn._session.hook = None
        conn.execute("select %s::int4", [1])
    assert with_hooks >= 3
    assert len(reads) == with_hooks + 1  # the one of connection_closed
