# The sync twin of this file is generated from it by tools/unasync.py.
"""Errors of the server: their classes, what they carry, and that the connection goes on."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import howdah
from howdah import AsyncConnection, errors


async def opened(server: Any) -> AsyncConnection[Any]:
    return await AsyncConnection.connect(server.dsn, autocommit=True)


CASES = [
    ("select * from nosuch", "UndefinedTable", "42P01", howdah.ProgrammingError),
    ("select nosuch", "UndefinedColumn", "42703", howdah.ProgrammingError),
    ("selec 1", "SyntaxError", "42601", howdah.ProgrammingError),
    ("select 1/0", "DivisionByZero", "22012", howdah.DataError),
    ("select 'x'::int4", "InvalidTextRepresentation", "22P02", howdah.DataError),
    ("select 100000::int2", "NumericValueOutOfRange", "22003", howdah.DataError),
    ("insert into constrained values (null)", "NotNullViolation", "23502", howdah.IntegrityError),
    ("insert into constrained values (1), (1)", "UniqueViolation", "23505", howdah.IntegrityError),
    ("insert into constrained values (-1)", "CheckViolation", "23514", howdah.IntegrityError),
    ("commit and chain", "NoActiveSqlTransaction", "25P01", howdah.InternalError),
    ("set statement_timeout = 20; select pg_sleep(9)", "QueryCanceled", "57014", howdah.OperationalError),
    ("do $$ begin raise 'own' using errcode = 'ZY123'; end $$", "DatabaseError", "ZY123", howdah.DatabaseError),
]


@pytest.mark.parametrize(("sql", "name", "sqlstate", "base"), CASES, ids=[case[2] for case in CASES])
async def test_classes(pg18, no_leaks, sql, name, sqlstate, base):
    async with await opened(pg18) as conn:
        await conn.execute("create temp table constrained (n int4 not null unique check (n > 0))")
        with pytest.raises(getattr(errors, name)) as caught:
            await conn.execute(sql)
        error = caught.value
        assert isinstance(error, base) and type(error).__name__ == name
        assert error.sqlstate == sqlstate == error.diag.sqlstate
        assert error.diag.severity_nonlocalized == "ERROR" and error.sent is True
        assert str(error).startswith(str(error.diag.message_primary))
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error) and str(copy) == str(error)
        await conn.execute("reset statement_timeout")
        cursor = await conn.execute("select %s::int4", [1])
        assert await cursor.fetchall() == [(1,)]


async def test_diag_names_what_is_concerned(pg18):
    async with await opened(pg18) as conn:
        await conn.execute("create temp table named (n int4)")
        await conn.execute("alter table named add constraint only_small check (n < 10)")
        with pytest.raises(errors.CheckViolation) as caught:
            await conn.execute("insert into named values (%s)", [4711])
        diag = caught.value.diag
        assert (diag.table_name, diag.constraint_name) == ("named", "only_small")
        assert diag.schema_name is not None and diag.schema_name.startswith("pg_temp")
        assert diag.message_detail == "Failing row contains (4711)."
        assert diag.source_file == "execMain.c" and diag.source_function == "ExecConstraints"
        assert "DETAIL:  Failing row contains (4711)." in str(caught.value)
        assert diag.statement_position is None


@pytest.mark.parametrize("params", [None, [1]])
async def test_caret(pg18, params):
    async with await opened(pg18) as conn:
        condition = "true" if params is None else "%s = 1"
        sql = f"select 1,\n  nosuch\nwhere {condition}"
        with pytest.raises(errors.UndefinedColumn) as caught:
            await conn.execute(sql, params)
        lines = str(caught.value).splitlines()
        assert lines == ['column "nosuch" does not exist', "LINE 2:   nosuch", " " * 10 + "^"]
        assert caught.value.diag.statement_position == "13"


async def test_hint(pg18):
    async with await opened(pg18) as conn:
        await conn.execute("create temp table hinted (colour int4)")
        with pytest.raises(errors.UndefinedColumn) as caught:
            await conn.execute("select colur from hinted")
        assert caught.value.diag.message_hint is not None
        assert "HINT:  " + caught.value.diag.message_hint in str(caught.value)


async def test_parameters_are_not_in_the_text(pg18):
    async with await opened(pg18) as conn:
        with pytest.raises(errors.DivisionByZero) as caught:
            await conn.execute("select %s::text, 1/%s", ["a secret word", 0])
        assert "a secret word" not in str(caught.value)


@pytest.mark.parametrize("uses", [0, 1, 2, 3])
async def test_error_then_right_values(pg18, no_leaks, uses):
    """An error at any stage of a statement's life leaves the statement usable."""
    async with await opened(pg18) as conn:
        for use in range(uses):
            cursor = await conn.execute("select 12 / %s::int4", [use + 1])
            assert await cursor.fetchall() == [(12 // (use + 1),)]
        with pytest.raises(errors.DivisionByZero):
            await conn.execute("select 12 / %s::int4", [0])
        for _ in range(3):
            cursor = await conn.execute("select 12 / %s::int4", [5])
            assert await cursor.fetchall() == [(2,)]


async def test_error_behind_rows(pg18, no_leaks):
    """Rows that came before the error are not handed out."""
    async with await opened(pg18) as conn:
        cursor = conn.cursor()
        for _ in range(3):
            with pytest.raises(errors.DivisionByZero):
                await cursor.execute("select 1 / (5000 - i) from generate_series(1, %s) i", [6000])
            with pytest.raises(howdah.ProgrammingError, match="no result"):
                await cursor.fetchone()
        await cursor.execute("select %s::int4", [1])
        assert await cursor.fetchall() == [(1,)]


async def test_value_that_python_cannot_hold(pg18):
    async with await opened(pg18) as conn:
        for _ in range(3):
            with pytest.raises(howdah.DataError, match="infinity"):
                await conn.execute("select 'infinity'::timestamptz where %s", [True])
            cursor = await conn.execute("select %s::int4", [1])
            assert await cursor.fetchall() == [(1,)]


async def test_connection_has_the_classes(pg18):
    async with await opened(pg18) as conn:
        with pytest.raises(conn.ProgrammingError):
            await conn.execute("select * from nosuch")
        assert conn.Error is howdah.Error and conn.IntegrityError is howdah.IntegrityError
