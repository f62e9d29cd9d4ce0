"""200 Ctrl-C at random moments: no answer meets another question; a connection is usable afterwards, or clearly closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import howdah

COUNT = 200

# An interrupt is what SIGINT's handler raises; an interval timer brings it at a random moment of the query.
PROGRAM = """
import json, os, random, signal, sys, time
import howdah

signal.signal(signal.SIGALRM, signal.default_int_handler)
chance = random.Random(200)
queries = [
    "select %s::int8",
    "select %s::int8 from pg_sleep(0.002)",
    "select %s::int8 from generate_series(1, 3000)",
    "select %s::int8, repeat('x', 200000)",
]
seen = {"interrupted": 0, "usable": 0, "closed": 0, "wrong": 0, "slowest_s": 0.0}
dsn = os.environ["TEST_DSN"]
conn = howdah.connect(dsn, autocommit=True)
number = 0
while seen["interrupted"] < int(sys.argv[1]):
    number += 1
    query = chance.choice(queries)
    began = time.monotonic()
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-6 + chance.random() * chance.choice([0.0005, 0.003]))
            rows = conn.execute(query, [number]).fetchall()
            if {row[0] for row in rows} != {number}:
                seen["wrong"] += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        seen["interrupted"] += 1
        seen["slowest_s"] = max(seen["slowest_s"], time.monotonic() - began)
        if conn.closed:
            seen["closed"] += 1
            try:
                conn.execute("select 1")
                seen["wrong"] += 1
            except howdah.OperationalError as error:
                assert "interrupted" in str(error) or "KeyboardInterrupt" in str(error), error
            conn.close()
            conn = howdah.connect(dsn, autocommit=True)
        else:
            seen["usable"] += 1
    if conn.execute("select %s::int8", [-number]).fetchall() != [(-number,)]:
        seen["wrong"] += 1
conn.close()
print(json.dumps(seen))
"""


@pytest.mark.heavy
def test_random_interrupts(dsn: str, no_leaks: None) -> None:
    package = os.path.dirname(os.path.dirname(howdah.__file__))
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(COUNT)],
        env={**os.environ, "TEST_DSN": dsn, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    print(seen)
    assert seen["wrong"] == 0
    assert seen["interrupted"] == COUNT
    assert seen["slowest_s"] < 3.0, seen
    # compiled, only an interrupt in the middle of decoding may close it
    assert seen["usable"] > (COUNT * 3 // 4 if howdah.compiled else COUNT // 4), seen
