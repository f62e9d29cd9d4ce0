"""The sync pool under threads, forks and Ctrl-C."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from tests.unit.test_pool_state import check_books

import howdah
from howdah import errors

FULL = os.environ.get("HOWDAH_SCALE") == "full"


@pytest.mark.limit_s(180)
def test_threads_killed_backends_and_time_outs(dsn: str, no_leaks: None) -> None:
    lasts_s = 60.0 if FULL else 2.0
    counts = dict.fromkeys(("served", "timed out", "lost", "wrong"), 0)
    guard = threading.Lock()
    with howdah.ConnectionPool(dsn, min_size=3, max_size=5) as pool, howdah.connect(dsn, autocommit=True) as other:
        pool.wait()
        end = time.monotonic() + lasts_s

        def ask(mark: int) -> None:
            chance = random.Random(mark)
            while time.monotonic() < end:
                outcome = "served"
                try:
                    with pool.connection(timeout=chance.random() * 0.05) as conn:
                        if conn.execute("select %s::int, pg_sleep(0.002)", [mark]).fetchone()[0] != mark:
                            outcome = "wrong"
                except errors.PoolTimeout:
                    outcome = "timed out"
                except errors.OperationalError:
                    outcome = "lost"
                with guard:
                    counts[outcome] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        while time.monotonic() < end:
            time.sleep(0.05)
            pids = [slot.connection.info.backend_pid for slot in list(pool._state.slots) if slot.connection is not None]
            other.execute(
                "select pg_terminate_backend(pid, 1000) from pg_stat_activity where pid = any(%s)", [pids[:1]]
            )
        for thread in threads:
            thread.join(10)
        assert counts["wrong"] == 0 and counts["served"] > 50 and counts["lost"] and counts["timed out"], counts
        for _ in range(10):
            with pool.connection(timeout=5.0) as conn:
                assert conn.execute("select 7").fetchone() == (7,)
        check_books(pool._state)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_pool_of_its_own(dsn: str, no_leaks: None) -> None:
    """It opens connections of its own, and neither its use nor its end touches the parent's."""
    with howdah.ConnectionPool(dsn, min_size=2) as pool:
        pool.wait()
        held = pool.getconn()
        pid = held.info.backend_pid
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            outcome = b"?"
            try:
                try:
                    held.execute("select 1")
                    outcome = b"the parent's connection was usable"
                except howdah.InterfaceError:
                    held.close()
                    with pool.connection(timeout=10) as conn:
                        row = conn.execute("select pg_backend_pid(), 7").fetchone()
                    outcome = b"good" if row[1] == 7 and row[0] != pid else b"bad"
                    pool.close()
            except BaseException as exc:
                outcome = repr(exc).encode()
            os.write(write, outcome)
            os._exit(0)
        os.close(write)
        try:
            assert os.read(read, 1000) == b"good"
        finally:
            os.close(read)
            os.waitpid(child, 0)
        assert held.execute("select pg_backend_pid()").fetchone() == (pid,)
        pool.putconn(held)
        for _ in range(4):
            with pool.connection() as conn:
                assert conn.execute("select 7").fetchone() == (7,)
        assert pool.get_stats()["connections_lost"] == 0


FORGOTTEN = """
import sys, howdah
pool = howdah.ConnectionPool(sys.argv[1], min_size=2)
pool.wait()
with pool.connection() as conn:
    print(conn.execute("select 7").fetchone())
"""


def test_a_program_that_ends_without_closing_its_pool(dsn: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", FORGOTTEN, dsn],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (0, "(7,)\n"), done.stderr
    assert "Traceback" not in done.stderr and "Fatal" not in done.stderr


def test_interrupted_while_it_waits(dsn: str, no_leaks: None) -> None:
    """Ctrl-C in the queue: the caller leaves it, and nobody else notices."""
    import signal

    with howdah.ConnectionPool(dsn, min_size=1) as pool:
        conn = pool.getconn()
        outcome: list[Any] = []
        timer = threading.Timer(0.2, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT))
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            outcome.append(pool.getconn(timeout=20))
        timer.join()
        assert outcome == [] and time.monotonic() - began < 2.2
        pool.putconn(conn)
        with pool.connection(timeout=2) as conn:
            assert conn.execute("select 7").fetchone() == (7,)
        check_books(pool._state)
