# The sync twin of this file is generated from it by tools/unasync.py.
"""What the server itself says of a value we sent: its text is compared with one made here, not by howdah.

A column of each type is filled by executemany with hypothesis' values; then read as text (first use), in binary (second
and third use, binary=True), and as the server's ``::text``.
"""

from __future__ import annotations

import json
import math
import struct
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.kit.properties import scaled

import howdah
from howdah.types.json import Json, Jsonb

UTC = timezone.utc
COUNT = 300


def drawn(strategy):
    """What hypothesis makes of a strategy, edge cases among them; the same in each run."""
    found = []

    @settings(
        max_examples=scaled(COUNT),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(value):
        found.append(value)

    keep()
    return found


def texts(**limits):
    return st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), **limits)


def numeric_text(value):
    """As numeric_out writes it: no exponent, no -0, the scale kept."""
    if not value.is_finite():
        return "NaN" if value.is_nan() else "Infinity" if value > 0 else "-Infinity"
    text = format(value, "f")
    return text.lstrip("-") if value == 0 else text


def timestamp_text(value):
    text = value.replace(tzinfo=None).isoformat(" ")
    return text.rstrip("0") if value.microsecond else text


def array_of(items):
    return st.lists(st.none() | items, max_size=6)


def array_text(values, element):
    """Of elements that need no quotes."""
    return "{" + ",".join("NULL" if value is None else element(value) for value in values) + "}"


def quoted_array_text(values):
    return "{" + ",".join(
        "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values
    ) + "}"  # fmt: skip


def bytea_text(value):
    return "\\x" + value.hex()


decimals = st.decimals(allow_nan=True, allow_infinity=True).filter(
    lambda value: not value.is_snan() and (not value.is_finite() or abs(value.adjusted()) < 200)
)
naive = st.datetimes()
aware = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 30)).flatmap(
    lambda moment: st.integers(-14 * 60, 14 * 60).map(
        lambda minutes: moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    )
)

# type -> (values, the server's text of one, None where its form is the server's own affair)
TYPES = {
    "int2": (st.integers(-(2**15), 2**15 - 1), str),
    "int4": (st.integers(-(2**31), 2**31 - 1), str),
    "int8": (st.integers(-(2**63), 2**63 - 1), str),
    "oid": (st.integers(0, 2**32 - 1), str),
    "float8": (st.floats(), None),
    "text": (texts(), str),
    "varchar": (texts(), str),
    "varchar(300)": (texts(max_size=300), str),
    "name": (st.text("abcdefgh XYZ", max_size=60), str),
    "bool": (st.booleans(), lambda value: "true" if value else "false"),
    "bytea": (st.binary(), bytea_text),
    "timestamp": (naive, timestamp_text),
    "timestamptz": (aware, lambda value: timestamp_text(value.astimezone(UTC)) + "+00"),
    "numeric": (decimals, numeric_text),
    "uuid": (st.uuids(), str),
    "date": (st.dates(), lambda value: value.isoformat()),
    "json": (st.dictionaries(texts(), st.floats(allow_nan=False, allow_infinity=False)), json.dumps),
    "jsonb": (st.lists(texts() | st.none() | st.booleans()), None),
    "int2[]": (array_of(st.integers(-(2**15), 2**15 - 1)), lambda value: array_text(value, str)),
    "int8[]": (array_of(st.integers()).filter(lambda v: all(i is None or abs(i) < 2**63 for i in v)), None),
    "float8[]": (array_of(st.floats(allow_nan=False)), None),
    "bool[]": (array_of(st.booleans()), lambda value: array_text(value, lambda item: "t" if item else "f")),
    "uuid[]": (array_of(st.uuids()), lambda value: array_text(value, str)),
    "date[]": (array_of(st.dates()), lambda value: array_text(value, lambda item: item.isoformat())),
    "numeric[]": (
        array_of(decimals.filter(lambda value: value.is_finite())),
        lambda value: array_text(value, numeric_text),
    ),
    "timestamp[]": (array_of(naive), None),
    "timestamptz[]": (array_of(aware), None),
    "bytea[]": (array_of(st.binary(min_size=1)), lambda value: quoted_array_text([i and bytea_text(i) for i in value])),
    "text[]": (array_of(texts()), None),
    "text[][]": (st.lists(st.tuples(texts(), st.none() | texts()).map(list), min_size=1, max_size=3), None),
    "int4[][]": (st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=4), None),
}


def wrapped(name, value):
    if name in ("json", "jsonb"):
        return Json(value) if name == "json" else Jsonb(value)
    return value


def plain(value):
    """A form in which equal values are equal and different ones are not: NaN, -0.0, scale, instants, types."""
    if isinstance(value, list):
        return ["list", *map(plain, value)]
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("!d", value)
    if isinstance(value, Decimal):
        return numeric_text(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return ["at", value.astimezone(UTC).isoformat()]
    return [type(value).__name__, value]


@pytest.mark.parametrize("name", TYPES)
async def test_values(each_dsn, name):
    strategy, text_of = TYPES[name]
    values = drawn(strategy)
    async with await howdah.AsyncConnection.connect(each_dsn, autocommit=True) as conn:
        await conn.execute("set timezone = 'UTC'; create temp table v (i int, v " + name + ")")
        cur = conn.cursor()
        # a list of any int may be int2[], int4[] or int8[]: the column's type is named, as a program would do
        await cur.executemany(
            "insert into v values (%s, %s::" + name.partition("(")[0] + ")",
            [(i, wrapped(name, value)) for i, value in enumerate(values)],
        )
        wanted = [plain(value) for value in values]
        for options in ({}, {}, {}, {"binary": True}):
            await cur.execute("select v from v order by i", **options)
            got = [row[0] for row in await cur.fetchall()]
            wrong = [(value, back) for value, back in zip(values, got) if plain(value) != plain(back)]
            assert not wrong, wrong[:3]
            assert [plain(value) for value in got] == wanted
        await cur.execute("select v::text from v order by i")
        server = [row[0] for row in await cur.fetchall()]
        if text_of is not None:
            wrong = [(value, text) for value, text in zip(values, server) if text != text_of(value)]
            assert not wrong, wrong[:3]
        # the server's own text, sent as text, is the same value again
        await cur.executemany("update v set v = %s where i = %s", [(text, i) for i, text in enumerate(server)])
        assert cur.rowcount == len(values)
        await cur.execute("select v from v order by i")
        assert [plain(row[0]) for row in await cur.fetchall()] == wanted


@pytest.mark.parametrize("name", TYPES)
async def test_the_server_finds_a_parameter_equal_to_what_it_stores(each_dsn, name):
    """The server compares, in its own type: nothing of howdah's reading is involved."""
    if name == "json":
        name = "jsonb"  # json has no equality
    values = drawn(TYPES[name][0])[:40]
    async with await howdah.AsyncConnection.connect(each_dsn, autocommit=True) as conn:
        cur = conn.cursor()
        for value in values:
            kind = name.partition("(")[0]
            await cur.execute(
                "select %s::" + kind + " is not distinct from (%s::" + kind + ")::text::" + kind,
                (wrapped(name, value), wrapped(name, value)),
            )
            assert await cur.fetchone() == (True,), value


async def test_character_columns_are_padded_as_the_server_does(each_dsn):
    async with await howdah.AsyncConnection.connect(each_dsn, autocommit=True) as conn:
        for _ in range(3):
            cur = await conn.execute("select 'ab'::char(4), 'x'::\"char\", %s::char(3)", ("y",))
            assert await cur.fetchone() == ("ab  ", "x", "y  ")


async def test_arrays_whose_bounds_do_not_begin_at_one(each_dsn):
    async with await howdah.AsyncConnection.connect(each_dsn, autocommit=True) as conn:
        for _ in range(3):
            cur = await conn.execute(
                "select '[0:1]={1,2}'::int[], '[-1:0][2:3]={{a,b},{c,NULL}}'::text[] where %s", (True,)
            )
            assert await cur.fetchone() == ([1, 2], [["a", "b"], ["c", None]])


async def test_text_that_looks_like_an_arrays_syntax(each_dsn):
    words = [
        "",
        "NULL",
        "null",
        "{",
        "}",
        ",",
        '"',
        "\\",
        " a ",
        "a,b",
        "{}",
        "\t\n\v\f",
        "\u00a0",
        '\\"',
        "\U0001f418",
    ]
    async with await howdah.AsyncConnection.connect(each_dsn, autocommit=True) as conn:
        for _ in range(3):
            cur = await conn.execute("select %s::text[], %s::varchar[], array[%s::text[]]", (words, words, words))
            assert await cur.fetchone() == (words, words, [words])


async def test_uuid_from_every_form(each_dsn):
    wanted = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
    async with await howdah.AsyncConnection.connect(each_dsn, autocommit=True) as conn:
        cur = await conn.execute("select %s::uuid, %s = %s", (str(wanted).upper(), str(wanted), wanted))
        assert await cur.fetchone() == (wanted, True)


async def test_dates_at_the_ends_of_the_calendar(each_dsn):
    ends = [date.min, date.max, datetime.min, datetime.max]
    async with await howdah.AsyncConnection.connect(each_dsn, autocommit=True) as conn:
        for _ in range(3):
            cur = await conn.execute("select %s, %s, %s, %s", ends)
            assert list(await cur.fetchone()) == ends
        await conn.execute("set timezone = 'UTC'")
        for moment in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
            for _ in range(3):
                cur = await conn.execute("select %s", (moment,))
                assert await cur.fetchone() == (moment,)
