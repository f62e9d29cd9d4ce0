"""Ctrl-C in a blocking call: KeyboardInterrupt at once, the server's query gone, the connection usable."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from tests.kit.pgmock import PgMock, says_nothing

import howdah

PATIENCE_S = 2.0

# The program under test: it asks, is interrupted, tries again, and prints what it saw as one line of JSON.
PROGRAM = """
import json, os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import howdah
seen = {}
fds = set(os.listdir("/proc/self/fd"))
conn = None
try:
    if sys.argv[1] == "connect":
        print("ready", flush=True)
    conn = howdah.connect(os.environ["TEST_DSN"], autocommit=True)
    if sys.argv[1] != "connect":
        print("ready", flush=True)
        conn.execute(sys.argv[1])
    seen["end"] = "finished"
except KeyboardInterrupt:
    seen["end"] = "interrupted"
seen["at"] = time.time()
seen["fds"] = len(set(os.listdir("/proc/self/fd")) - fds)
if conn is not None:
    seen["broken"] = conn.broken
    try:
        seen["again"] = conn.execute("select 7").fetchone()[0]
    except howdah.Error as error:
        seen["again"] = f"{type(error).__name__}: {error}"
    conn.close()
print(json.dumps(seen), flush=True)
"""


def start(what: str, dsn: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(
        filter(None, [os.path.dirname(os.path.dirname(howdah.__file__)), os.environ.get("PYTHONPATH")])
    )
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, what],
        env={**os.environ, "TEST_DSN": dsn, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    return program


def interrupt(program: subprocess.Popen[str]) -> dict[str, Any]:
    """What the program saw; it must have been interrupted in time."""
    at = time.time()
    program.send_signal(signal.SIGINT)
    try:
        out, err = program.communicate(timeout=15)
    finally:
        if program.poll() is None:
            program.kill()
            program.communicate()
    assert program.returncode == 0, err
    seen: dict[str, Any] = json.loads(out)
    assert seen["end"] == "interrupted"
    assert seen["at"] - at < PATIENCE_S
    return seen


def running(watcher: howdah.Connection[Any], marker: str) -> int:
    """How many statements with this marker the server runs."""
    cursor = watcher.execute(
        "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
        " and query like '%' || %s || '%'".replace("'%'", "'%%'"),
        [marker],
    )
    return int(cursor.fetchone()[0])


def until(watcher: howdah.Connection[Any], marker: str, wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while running(watcher, marker) != wanted:
        assert time.monotonic() < deadline, f"still not {wanted} statements after {PATIENCE_S:g} s"
        time.sleep(0.01)


def check(dsn: str, sql: str, marker: str, delay_s: float) -> None:
    with howdah.connect(dsn, autocommit=True) as watcher:
        program = start(sql, dsn)
        until(watcher, marker, 1)
        time.sleep(delay_s)
        seen = interrupt(program)
        until(watcher, marker, 0)
    assert seen["fds"] == 1  # the connection's
    assert not seen["broken"]
    assert seen["again"] == 7


def test_in_a_query_that_waits(server: Any, dsn: str, no_leaks: None) -> None:
    check(dsn, "select pg_sleep(60) /* interrupt one */", "interrupt one", 0.05)


def test_in_several_statements(server: Any, dsn: str, no_leaks: None) -> None:
    check(dsn, "do $$ begin perform pg_sleep(30); perform pg_sleep(30); end $$ /* interrupt two */", "interrupt two", 0)


@pytest.mark.heavy
def test_in_the_middle_of_a_long_result(server: Any, dsn: str, no_leaks: None) -> None:
    """The rows come without a pause: the interrupt must be seen between two reads all the same."""
    check(dsn, "select n from generate_series(1, 20000000) n /* interrupt three */", "interrupt three", 0.3)


def test_in_a_connect(no_leaks: None) -> None:
    with PgMock(says_nothing()) as mock:
        program = start("connect", mock.dsn)
        deadline = time.monotonic() + PATIENCE_S
        while not (mock.sessions and mock.sessions[0].received):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        seen = interrupt(program)
    assert seen["fds"] == 0
    assert "broken" not in seen
