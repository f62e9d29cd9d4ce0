"""A signal handler that raises in the middle of a query: its exception comes out as it is, and the query is cancelled.

Ctrl-C is in test_interrupt; this is about the exceptions of handlers that look like a socket's own errors, such as
TimeoutError, which is an OSError and what programs raise at SIGALRM.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

import howdah

ALARM_S = 0.3
RUNNING = "select count(*) from pg_stat_activity where pid = %s and state = 'active'"


class Mine(Exception):
    """An exception of the program's own."""


@pytest.fixture(params=[Mine, TimeoutError, ConnectionError, OSError])
def alarm(request: Any) -> Iterator[type[Exception]]:
    """In ALARM_S seconds, SIGALRM raises an exception of that class."""
    kind = request.param

    def handler(number: int, frame: Any) -> None:
        raise kind("the alarm rang")

    before = signal.signal(signal.SIGALRM, handler)
    yield kind
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_in_a_query(dsn, no_leaks, alarm):
    with howdah.connect(dsn, autocommit=True) as watcher:
        conn = howdah.connect(dsn, autocommit=True)
        pid = conn.info.backend_pid
        begin = time.monotonic()
        with pytest.raises(alarm, match="the alarm rang"):
            signal.setitimer(signal.ITIMER_REAL, ALARM_S)
            conn.execute("select pg_sleep(20)")
        assert time.monotonic() - begin < ALARM_S + 2.0
        assert not conn.closed
        assert conn.execute("select 7").fetchone() == (7,)
        deadline = time.monotonic() + 5.0
        while watcher.execute(RUNNING, (pid,)).fetchone() != (0,):
            assert time.monotonic() < deadline, "the query still runs on the server"
            time.sleep(0.01)
        conn.close()


def test_the_exception_is_never_swallowed_by_an_answer_that_comes_soon(dsn, no_leaks, alarm):
    conn = howdah.connect(dsn, autocommit=True)
    with pytest.raises(alarm, match="the alarm rang"):
        signal.setitimer(signal.ITIMER_REAL, ALARM_S)
        conn.execute("select pg_sleep(%s)", (ALARM_S + 0.3,))
    conn.close()


def test_a_handler_that_does_not_raise_disturbs_nothing(dsn, no_leaks):
    rang: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rang.append(number))
    try:
        with howdah.connect(dsn, autocommit=True) as conn:
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.01)
            for number in range(5):
                assert conn.execute("select %s::int4 from pg_sleep(0.1)", (number,)).fetchone() == (number,)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(rang) >= 5


def test_a_handler_that_uses_the_connection_is_told_that_it_is_busy(dsn, no_leaks):
    """Python runs handlers inside the wait for the answer: a second request there would take it away."""
    told: list[Any] = []

    def handler(number: int, frame: Any) -> None:
        try:
            told.append(conn.execute("select 'from the handler'").fetchone())
        except howdah.Error as exc:
            told.append(exc)

    conn = howdah.connect(dsn, autocommit=True)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, ALARM_S)
        assert conn.execute("select 7 from pg_sleep(1)").fetchone() == (7,)
        assert len(told) == 1 and isinstance(told[0], howdah.InterfaceError), told
        assert conn.execute("select 8").fetchone() == (8,)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        conn.close()
