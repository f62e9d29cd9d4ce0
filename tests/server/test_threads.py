"""One connection and several threads: served in turn; code that a statement calls cannot use its connection, and is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import howdah
from howdah.types.json import Jsonb

PATIENCE_S = 10.0


def outcome(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises, in a thread of its own: one that waits for itself must not stop the tests."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as exc:
            found.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), f"still waiting after {PATIENCE_S:g} s"
    return found[0]


def test_threads_take_turns(dsn, no_leaks):
    wrong: list[Any] = []

    def ask(conn: howdah.Connection, number: int) -> None:
        for i in range(100):
            value = number * 1000 + i
            rows = conn.execute("select %s::int8, %s::text", (value, str(value))).fetchall()
            if rows != [(value, str(value))]:
                wrong.append((value, rows))

    with howdah.connect(dsn, autocommit=True) as conn:
        threads = [threading.Thread(target=ask, args=(conn, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in threads) and wrong == []


def test_errors_stay_in_their_thread(dsn, no_leaks):
    counted = {"right": 0, "failed": 0}

    def ask(conn: howdah.Connection, divisor: int) -> None:
        for _ in range(50):
            try:
                assert conn.execute("select 6 / %s", (divisor,)).fetchone() == (3,)
                counted["right"] += 1
            except howdah.errors.DivisionByZero:
                counted["failed"] += 1

    with howdah.connect(dsn, autocommit=True) as conn:
        threads = [threading.Thread(target=ask, args=(conn, divisor)) for divisor in (0, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert counted == {"right": 50, "failed": 50}


def test_close_by_another_thread_ends_the_wait(dsn, no_leaks):
    """The thread that waits gets its error at once: nothing keeps it until the query would have ended."""
    caught: list[BaseException] = []

    def ask(conn: howdah.Connection) -> None:
        try:
            conn.execute("select pg_sleep(8)")
        except BaseException as exc:
            caught.append(exc)

    conn = howdah.connect(dsn, autocommit=True)
    thread = threading.Thread(target=ask, args=(conn,))
    thread.start()
    with howdah.connect(dsn, autocommit=True) as watcher:
        deadline = time.monotonic() + PATIENCE_S
        running = "select count(*) from pg_stat_activity where pid = %s and state = 'active'"
        while watcher.execute(running, (conn.info.backend_pid,)).fetchone() != (1,):
            assert time.monotonic() < deadline
    conn.close()
    thread.join(3.0)
    late = thread.is_alive()
    thread.join(PATIENCE_S)
    assert not late, "the waiting thread came back only when its query had ended"
    assert len(caught) == 1 and isinstance(caught[0], howdah.Error)
    assert "closed" in str(caught[0])


def test_a_dumps_function_cannot_use_the_connection_it_is_called_for(dsn):
    conn = howdah.connect(dsn, autocommit=True)

    def dumps(value: Any) -> str:
        return str(conn.execute("select 1").fetchone())

    error = outcome(lambda: conn.execute("select %s", [Jsonb({}, dumps=dumps)]))
    assert isinstance(error, howdah.InterfaceError), error
    assert conn.execute("select 1").fetchone() == (1,)
    conn.close()


def test_a_notice_handler_that_uses_its_connection_does_not_wait_for_itself(dsn):
    """It gets its answer, or an InterfaceError that says why not; never nothing."""
    conn = howdah.connect(dsn, autocommit=True)
    seen: list[Any] = []

    def handler(diag: Any) -> None:
        try:
            seen.append(conn.execute("select 1").fetchone())
        except howdah.Error as exc:
            seen.append(exc)

    conn.add_notice_handler(handler)
    outcome(lambda: conn.execute("do $$ begin raise notice 'now'; end $$"))
    assert seen == [(1,)] or isinstance(seen[0], howdah.InterfaceError), seen
    assert conn.execute("select 2").fetchone() == (2,)
    conn.close()


def test_a_row_factory_may_use_the_connection(dsn):
    """Rows are made at the fetch, when the connection is free again."""
    with howdah.connect(dsn, autocommit=True) as conn:

        def factory(cursor: Any) -> Callable[[Any], Any]:
            return lambda values: (values[0], conn.execute("select 10 * %s", values).fetchone()[0])

        cursor = conn.cursor(row_factory=factory)
        assert cursor.execute("select generate_series(1, 3)").fetchall() == [(1, 10), (2, 20), (3, 30)]


@pytest.mark.parametrize("autocommit", [True, False])
def test_parameters_may_be_made_by_the_same_connection(dsn, autocommit):
    with howdah.connect(dsn, autocommit=autocommit) as conn:
        conn.execute("create temp table t (a int)")
        rows = ((conn.execute("select %s + 1", (i,)).fetchone()[0],) for i in range(5))
        conn.cursor().executemany("insert into t values (%s)", rows)
        assert conn.execute("select sum(a) from t").fetchone() == (15,)
