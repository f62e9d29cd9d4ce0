"""The way of one execute() through the sources is short, and it is the one written at the top of core/session.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SESSION = ROOT / "src/howdah/core/session.py"
MAX_FILES = 8
MAX_DEPTH = 10

PROGRAM = """
import json, sys
import howdah

folder = howdah.__path__[0] + "/"
assert not howdah.compiled
conn = howdah.connect(sys.argv[1], autocommit=True)
cursor = conn.cursor()
sql = "select %s::int4, 'x'"
cursor.execute(sql, [1])
cursor.fetchall()
calls = []
depth = 0

def profile(frame, event, _):
    global depth
    path = frame.f_code.co_filename
    if not path.startswith(folder):
        return
    if event == "call":
        depth += 1
        calls.append((depth, path[len(folder):], frame.f_code.co_name))
    elif event == "return":
        depth -= 1

sys.setprofile(profile)
cursor.execute(sql, [2])
sys.setprofile(None)
assert cursor.fetchall() == [(2, "x")]
conn.close()
print(json.dumps(calls))
"""


def is_leaf(path: str) -> bool:
    return path.startswith(("wire/", "types/")) or path in ("errors.py", "rows.py")


def listed() -> set[str]:
    """The files in the list at the top of core/session.py."""
    docstring = SESSION.read_text(encoding="utf-8").split('"""')[1]
    return set(re.findall(r"^    (\w+/\w+\.py) ", docstring, re.MULTILINE))


def test_way_of_a_second_execute(pg18):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, pg18.dsn],
        env={**os.environ, "HOWDAH_PURE": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    calls = [(depth, path, name) for depth, path, name in json.loads(run.stdout)]
    assert calls[0] == (1, "_sync/cursor.py", "execute")
    files = {path for _, path, _ in calls if not is_leaf(path)}
    assert len(files) <= MAX_FILES, sorted(files)
    assert files == listed(), "core/session.py's docstring lists other files"
    deepest = max(calls)
    assert deepest[0] <= MAX_DEPTH, f"{deepest[2]} in {deepest[1]} is {deepest[0]} calls deep"
