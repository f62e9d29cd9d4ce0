"""Row factories as a type checker sees them: mypy --strict gives each fetch the row its factory makes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
from __future__ import annotations

import howdah
from howdah import rows


class Person:
    def __init__(self, name: str) -> None: ...


def sync(dsn: str) -> None:
    conn = howdah.connect(dsn)
    reveal_type(conn)  # Connection[tuple[Any, ...]]
    reveal_type(conn.execute("x").fetchone())  # tuple[Any, ...] | None
    reveal_type(conn.cursor().execute("x").fetchall())  # list[tuple[Any, ...]]
    reveal_type(conn.cursor(row_factory=rows.dict_row).fetchone())  # dict[str, Any] | None
    reveal_type(conn.cursor(row_factory=rows.class_row(Person)).fetchmany())  # list[Person]
    reveal_type(conn.cursor(row_factory=rows.args_row(Person)).fetchone())  # Person | None
    reveal_type(conn.cursor(row_factory=rows.kwargs_row(Person)).fetchone())  # Person | None
    reveal_type(conn.cursor(row_factory=rows.namedtuple_row).fetchone())  # NamedTuple | None
    reveal_type(conn.cursor(row_factory=rows.scalar_row).fetchone())  # Any | None
    with howdah.Connection.connect(dsn, row_factory=rows.class_row(Person)) as people:
        reveal_type(people)  # Connection[Person]
        for row in people.execute("x"):
            reveal_type(row)  # Person
        for cursor in people.execute("x").results():
            reveal_type(cursor.fetchone())  # Person | None
        with people.cursor(row_factory=rows.tuple_row) as cur:
            reveal_type(cur.execute("x").fetchone())  # tuple[Any, ...] | None
    reveal_type(howdah.connect(dsn, row_factory=rows.dict_row).execute("x").fetchall())  # list[dict[str, Any]]


def bare(conn: howdah.Connection, cur: howdah.Cursor) -> None:
    reveal_type(conn.cursor().fetchone())  # tuple[Any, ...] | None
    reveal_type(cur.fetchone())  # tuple[Any, ...] | None


async def waiting(dsn: str) -> None:
    async with await howdah.AsyncConnection.connect(dsn, row_factory=rows.dict_row) as conn:
        reveal_type(await (await conn.execute("x")).fetchone())  # dict[str, Any] | None
        async for row in conn.cursor(row_factory=rows.class_row(Person)):
            reveal_type(row)  # Person
        async for cursor in (await conn.execute("x")).results():
            reveal_type(await cursor.fetchmany(2))  # list[dict[str, Any]]
    reveal_type(await (await (await howdah.AsyncConnection.connect(dsn)).execute("x")).fetchall())  # list[tuple[Any, ...]]
"""


def test_rows_have_the_type_that_their_factory_makes(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    # of a file that is in its cache, mypy repeats no note
    program.write_text(f"{PROGRAM}# {time.time_ns()}\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--strict", str(program)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "stubs")])},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for line in done.stdout.splitlines():
        if "Revealed type is" in line and line.startswith(str(program)):
            shown = line.split('"')[1]
            for prefix in ("howdah._sync.connection.", "program.", "builtins.", "typing."):
                shown = shown.replace(prefix, "")
            found[int(line[len(str(program)) :].split(":")[1])] = shown
    wanted = {
        number: line.split("  # ")[1] for number, line in enumerate(PROGRAM.splitlines(), 1) if "reveal_type(" in line
    }
    assert len(wanted) == 20 and found == wanted
