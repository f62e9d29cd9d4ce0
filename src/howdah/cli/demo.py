"""``howdah demo``: the driver's main work on a real server, told as it goes.

Whatever is shown was asked of the server or of the connection in this run. A step whose outcome is not what
it is meant to show raises Failed, so a demo that ends well has proved what it says.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import textwrap
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import howdah
from howdah.cli import Failed, version_line
from howdah.cli.screen import Screen, duration
from howdah.embedded import Server
from howdah.errors import Error, InvalidPassword, NotNullViolation, SyntaxError, UniqueViolation
from howdah.types.json import Jsonb

APPLICATION = "howdah-demo"
MANY = 1_000
LARGE = 100_000
ASYNC_CONNECTIONS = 4
NAP_S = 0.25


def run(screen: Screen) -> None:
    """Shows everything; raises Failed, or the driver's own error, at the first step that goes wrong."""
    begun = time.perf_counter()
    screen.title(f"{version_line()}: the driver at work")
    server = start_server(screen)
    try:
        with connect(screen, server) as conn:
            introduce(screen, conn)
            fill_a_table(screen, conn)
            ask_with_parameters(screen, conn)
            roll_back(screen, conn)
            give_a_wrong_password(screen, server)
            meet_errors(screen, conn)
            fetch_many(screen, conn)
            look_from_the_server(screen, server, conn)
        asyncio.run(wait_together(screen, server))
    finally:
        data_dir = server.data_dir
        stopping = time.perf_counter()
        server.stop()
    if os.path.exists(data_dir):
        raise Failed(f"the server's data folder {data_dir} is still there")
    screen.step(
        "The end",
        f"The server stopped in {duration(time.perf_counter() - stopping)}, {data_dir} is removed. "
        f"All took {duration(time.perf_counter() - begun)}.",
    )


def start_server(screen: Screen) -> Server:
    screen.step("A PostgreSQL server", "A private one: a free port, a random password, temporary data.")
    screen.code("server = howdah.embedded.Server()\nserver.start()")
    server = Server()
    started = time.perf_counter()
    with screen.waiting("starting PostgreSQL"):
        server.start()
    screen.took(f"PostgreSQL {server.version} at {server.host}:{server.port}", time.perf_counter() - started)
    return server


def connect(screen: Screen, server: Server) -> howdah.Connection[Any]:
    screen.step("Connect", "SCRAM: the server gets proof that we know the password, and must prove it too.")
    screen.code(f'conn = howdah.connect(server.dsn, application_name="{APPLICATION}")')
    started = time.perf_counter()
    conn = howdah.connect(server.dsn, application_name=APPLICATION)
    info = conn.info
    screen.took(f"connected: {info.user} at {info.host}:{info.port}, {info.dbname}", time.perf_counter() - started)
    screen.line()
    return conn


def introduce(screen: Screen, conn: howdah.Connection[Any]) -> None:
    show(
        screen,
        conn,
        """
        SELECT current_user, rule.auth_method, tls.ssl AS tls, version() AS server
        FROM pg_stat_ssl AS tls, pg_hba_file_rules AS rule
        WHERE tls.pid = pg_backend_pid() AND rule.type = 'host' AND rule.database = '{all}'
        """,
    )


def fill_a_table(screen: Screen, conn: howdah.Connection[Any]) -> None:
    screen.step("Write", "Parameters travel apart from the SQL: no value can become SQL, whatever it holds.")
    show(
        screen,
        conn,
        """
        CREATE TABLE elephants (
            id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name      text NOT NULL UNIQUE,
            born      date,
            weight_kg numeric(6,1),
            likes     text[],
            notes     jsonb
        )
        """,
    )
    insert = "INSERT INTO elephants (name, born, weight_kg, likes, notes)\nVALUES (%s, %s, %s, %s, %s)"
    show(
        screen,
        conn,
        insert,
        ("Hathi", datetime.date(1987, 5, 1), Decimal("4120.5"), ["mud", "mango"], Jsonb({"tusks": 2})),
    )
    show(
        screen,
        conn,
        "INSERT INTO elephants (name, likes) VALUES (%(name)s, %(likes)s) RETURNING id, name, born",
        {"name": "Bobby'); DROP TABLE elephants; --", "likes": ["quotes"]},
    )
    calves = [
        (f"Calf {n}", datetime.date(2020, 1, 1) + datetime.timedelta(n), Decimal(90 + n % 30), ["milk"], None)
        for n in range(1, MANY + 1)
    ]
    screen.say(f"executemany sends all {MANY:,} rows at once and waits once: one round trip.")
    screen.code("cur.executemany(insert, calves)")
    with conn.cursor() as cur:
        started = time.perf_counter()
        cur.executemany(insert, calves)
        seconds = time.perf_counter() - started
        screen.took(f"{cur.rowcount:,} rows, {cur.rowcount / seconds:,.0f} rows/s", seconds)
        if cur.rowcount != MANY:
            raise Failed(f"executemany wrote {cur.rowcount} rows of {MANY}")
    timed(screen, "conn.commit()", conn.commit)


def ask_with_parameters(screen: Screen, conn: howdah.Connection[Any]) -> None:
    screen.step("Ask", "Values arrive as the Python objects their types stand for.")
    show(
        screen,
        conn,
        """
        SELECT name, born, weight_kg, likes, notes FROM elephants
        WHERE weight_kg >= %(heavy)s OR likes && %(likes)s ORDER BY id LIMIT 4
        """,
        {"heavy": 119, "likes": ["mango", "quotes"]},
    )
    values = {
        "whole": 42,
        "exact": Decimal("12345678901234567890.000000001"),
        "float": 0.1,
        "truth": True,
        "text": "Zo\u00eb",
        "bytes": b"\x00\xff",
        "day": datetime.date(2024, 2, 29),
        "moment": datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc),
        "id": uuid.uuid4(),
        "list": [1, None, 3],
    }
    sql = "SELECT " + ", ".join(f'%({name})s AS "{name}"' for name in values)
    sql += ", %(doc)s AS doc, %(none)s AS none"
    params = {**values, "doc": Jsonb({"a": [1, 2.5, None]}), "none": None}
    screen.say(f"{len(params)} parameters of as many types, there and back:")
    started = time.perf_counter()
    cur = conn.execute(sql, params)
    row = cur.fetchone()
    seconds = time.perf_counter() - started
    description = cur.description
    if row is None or description is None or list(row[: len(values)]) != list(values.values()):
        raise Failed("a value came back changed")
    screen.table(
        ("column", "PostgreSQL type", "Python type", "value"),
        [
            (column.name, column.type_display, type(value).__name__, repr(value))
            for column, value in zip(description, row)
        ],
    )
    screen.took("1 row", seconds)
    conn.commit()


def roll_back(screen: Screen, conn: howdah.Connection[Any]) -> None:
    screen.step("Change your mind", "The first statement begins a transaction; rollback() undoes all of it.")
    count = "SELECT count(*) FROM elephants"

    def state(when: str) -> tuple[str, str, int]:
        status = conn.info.transaction_status.name
        row = conn.execute(count).fetchone()
        return when, status, row[0] if row else -1

    states = [state("before")]
    show(screen, conn, "DELETE FROM elephants")
    states.append(state("after DELETE"))
    timed(screen, "conn.rollback()", conn.rollback)
    states.append(state("after rollback()"))
    conn.commit()
    screen.line()
    screen.table(("when", "conn.info.transaction_status", "elephants"), states)
    if [rows for _, _, rows in states] != [MANY + 2, 0, MANY + 2]:
        raise Failed("the rollback did not bring the rows back")


def give_a_wrong_password(screen: Screen, server: Server) -> None:
    screen.step("A wrong password", "Errors are classes, by SQLSTATE. No error ever quotes a password.")
    screen.code('howdah.connect(server.dsn, password="wrong")')
    met = expect(screen, InvalidPassword, lambda: howdah.connect(server.dsn, password="wrong").close())
    screen.took(f"sqlstate {met.error.sqlstate}, retryable {met.error.retryable}", met.seconds)


def meet_errors(screen: Screen, conn: howdah.Connection[Any]) -> None:
    screen.step("Errors carry facts", "What a program needs is in fields; what a person needs is in str().")
    statements: list[tuple[type[Error], str, Any]] = [
        (UniqueViolation, "INSERT INTO elephants (name) VALUES (%s)", ("Hathi",)),
        (NotNullViolation, "INSERT INTO elephants (name) VALUES (%s)", (None,)),
    ]
    met = []
    for kind, sql, params in statements:
        screen.sql(sql, params)
        met.append(expect(screen, kind, partial(conn.execute, sql, params)))
        screen.took("", met[-1].seconds)
        screen.line()
        conn.rollback()
    screen.table(
        ("class", "sqlstate", "table_name", "constraint_name", "column_name"),
        [
            (
                type(error).__name__,
                error.sqlstate,
                error.diag.table_name,
                error.diag.constraint_name,
                error.diag.column_name,
            )
            for error in [each.error for each in met]
        ],
    )
    screen.line()
    misspelt = "SELECT name, weight_kg\nFORM elephants\nWHERE weight_kg > 4000"
    screen.sql(misspelt)
    screen.took("", expect(screen, SyntaxError, partial(conn.execute, misspelt)).seconds)
    conn.rollback()


def fetch_many(screen: Screen, conn: howdah.Connection[Any]) -> None:
    screen.step(f"Fetch {LARGE:,} rows", "Integers, texts, floats and moments in time, the same query twice.")
    sql = """
        SELECT i AS id, 'row ' || i AS label, i * 0.5::float8 AS amount,
               TIMESTAMPTZ '2024-01-01 00:00Z' + make_interval(mins => i) AS moment
        FROM generate_series(1, %s) AS i
        """
    sql = textwrap.dedent(sql).strip()
    screen.sql(sql, (LARGE,))
    rows: list[Any] = []
    for which in ("first use", "second use"):
        started = time.perf_counter()
        rows = conn.execute(sql, (LARGE,)).fetchall()
        seconds = time.perf_counter() - started
        screen.took(f"{which}: {len(rows):,} rows, {len(rows) / seconds:,.0f} rows/s", seconds)
    screen.table(("id", "label", "amount", "moment"), [rows[0], rows[-1]])
    if len(rows) != LARGE or sum(row[0] for row in rows) != LARGE * (LARGE + 1) // 2:
        raise Failed("rows are missing")


def look_from_the_server(screen: Screen, server: Server, conn: howdah.Connection[Any]) -> None:
    screen.step("What the server sees", "Its list of sessions, and what our driver knows without asking.")
    with howdah.connect(server.dsn, application_name=APPLICATION + "-watcher") as watcher:
        rows = show(
            screen,
            watcher,
            r"""
            SELECT pid, state, application_name, regexp_replace(query, '\s+', ' ', 'g') AS query
            FROM pg_stat_activity WHERE application_name LIKE %s ORDER BY backend_start
            """,
            (APPLICATION + "%",),
        )
    info = conn.info
    if info.backend_pid not in [row[0] for row in rows]:
        raise Failed(f"the server lists no session with our process ID {info.backend_pid}")
    transaction = info.transaction_status.name
    prepared = conn.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
    screen.table(
        ("what the driver knows", "value"),
        [
            ("conn.info.backend_pid", str(info.backend_pid)),
            ("conn.info.server_version", str(info.server_version)),
            ("conn.info.transaction_status", transaction),
            ("conn.info.timezone", str(info.timezone)),
            ("howdah.compiled", str(howdah.compiled)),
        ],
    )
    screen.line()
    screen.say(f"The server keeps {prepared[0] if prepared else 0} statements prepared for this session.")


async def wait_together(screen: Screen, server: Server) -> None:
    screen.step(
        "The same with await",
        f"{ASYNC_CONNECTIONS} connections on one event loop, a query of {NAP_S:g} s on each.",
    )
    screen.code(
        "conns = await asyncio.gather(*[AsyncConnection.connect(dsn) for _ in range(4)])\n"
        "await asyncio.gather(*[nap(conn) for conn in conns])"
    )
    sql = "SELECT pg_backend_pid() AS pid, clock_timestamp() AS woke FROM pg_sleep(%s)"
    screen.sql(sql, (NAP_S,))

    async def nap(conn: howdah.AsyncConnection[Any]) -> tuple[Any, ...]:
        started = time.perf_counter()
        cur = await conn.execute(sql, (NAP_S,))
        rows = [row async for row in cur]
        return (*rows[0], duration(time.perf_counter() - started))

    conns: list[howdah.AsyncConnection[Any]] = []

    async def connect() -> None:
        conns.append(await howdah.AsyncConnection.connect(server.dsn, application_name=APPLICATION))

    try:
        await asyncio.gather(*[connect() for _ in range(ASYNC_CONNECTIONS)])
        started = time.perf_counter()
        results = await asyncio.gather(*[nap(conn) for conn in conns])
        seconds = time.perf_counter() - started
    finally:
        for conn in conns:
            await conn.close()
    screen.table(("pid", "woke", "took"), results)
    screen.took(f"all {len(results)} together", seconds)
    if seconds > ASYNC_CONNECTIONS * NAP_S:
        raise Failed(f"{ASYNC_CONNECTIONS} queries took {duration(seconds)}: they waited for one another")


# -- what the steps share


def show(screen: Screen, conn: howdah.Connection[Any], sql: str, params: Any = None) -> list[Any]:
    """Shows a statement, runs it, shows its rows and the time from the call until the last row was there."""
    sql = textwrap.dedent(sql).strip()
    screen.sql(sql, params)
    started = time.perf_counter()
    cur = conn.execute(sql, params)
    rows = cur.fetchall() if cur.description is not None else []
    seconds = time.perf_counter() - started
    if cur.description is not None:
        screen.table([column.name for column in cur.description], rows)
    screen.took(cur.statusmessage or "", seconds)
    screen.line()
    return rows


def timed(screen: Screen, code: str, call: Callable[[], None]) -> None:
    """Shows a call and how long it took."""
    screen.code(code)
    started = time.perf_counter()
    call()
    screen.took("", time.perf_counter() - started)


class Met(NamedTuple):
    """An error that was provoked, and the seconds until it was there."""

    error: Error
    seconds: float


def expect(screen: Screen, kind: type[Error], call: Callable[[], object]) -> Met:
    """Calls what must raise ``kind``, and shows the error."""
    started = time.perf_counter()
    try:
        call()
    except kind as exc:
        seconds = time.perf_counter() - started
        screen.error(exc)
        return Met(exc, seconds)
    raise Failed(f"no {kind.__name__} was raised")
