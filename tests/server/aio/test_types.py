# The sync twin of this file is generated from it by tools/unasync.py.
"""Values there and back: what was sent comes back, equal in text and in binary, on both servers."""

from __future__ import annotations

import contextlib
import datetime
import math
import struct
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.kit.properties import scaled

from howdah import AsyncConnection
from howdah.errors import FeatureNotSupported
from howdah.types.json import Json, Jsonb
from howdah.types.numeric import Float4, Float8, Int2, Int4, Int8, IntNumeric, Oid

SERVERS = ("pg18", "pg17")
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Auckland", "Asia/Kolkata", "America/New_York")
VALUES = 100  # of one type, in one conversation


@pytest.fixture(params=SERVERS)
def target(request):
    return request.getfixturevalue(request.param)


async def opened(server: Any, **options: Any) -> AsyncConnection[Any]:
    return await AsyncConnection.connect(server.dsn, **{"autocommit": True, **options})


def samples(strategy: st.SearchStrategy[Any]) -> list[Any]:
    """Values of a strategy, the same ones each time in a short run: a server's answer cannot wait inside `given`."""
    found: list[Any] = []

    @settings(
        max_examples=scaled(VALUES),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


def decimals() -> st.SearchStrategy[Decimal]:
    finite = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: abs(d.adjusted()) < 300)
    return finite | st.sampled_from([Decimal(w) for w in ("0.00", "-0", "1E+20", "NaN", "1000000.0001", "9999.9999")])


def json_values() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts()
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts(), inner), max_leaves=8)


def arrays(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """One dimension with NULLs in it, or two."""
    flat = st.lists(st.none() | items, max_size=8)
    square = st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(items, min_size=width, max_size=width), min_size=1, max_size=3)
    )
    return flat | square


def fixed_zones() -> st.SearchStrategy[datetime.timezone]:
    """Offsets as timetz takes them: whole seconds below 16 hours."""
    return st.integers(-57599, 57599).map(lambda seconds: datetime.timezone(datetime.timedelta(seconds=seconds)))


def spans() -> st.SearchStrategy[datetime.timedelta]:
    return st.timedeltas() | st.timedeltas(datetime.timedelta(days=-2), datetime.timedelta(days=2))


def aware_times() -> st.SearchStrategy[datetime.time]:
    return st.builds(lambda value, zone: value.replace(tzinfo=zone), st.times(), fixed_zones())


def short_floats() -> st.SearchStrategy[Float4]:
    """What a float4 is read as: few digits, or all that it has."""
    few = st.builds(
        lambda number, power: Float4(f"{number}e{power}"), st.integers(-999999, 999999), st.integers(-30, 30)
    )
    return few | st.sampled_from([Float4(w) for w in ("inf", "-inf", "nan", "-0", "3.4028235e38", "1e-45", "16777216")])


TYPES = {
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "float8": st.floats(width=64),
    "float4": short_floats(),
    "oid": st.integers(0, 2**32 - 1).map(Oid),
    "text": texts(),
    "varchar": texts(),
    "bpchar": texts(),
    "name": st.text("abcXYZ 0_-é", max_size=20),
    '"char"': st.text("aZ0 ~", min_size=1, max_size=1),
    "bool": st.booleans(),
    "bytea": st.binary(),
    "timestamp": st.datetimes(),
    "numeric": decimals(),
    "uuid": st.uuids(),
    "date": st.dates(),
    "json": json_values(),
    "jsonb": json_values(),
    "time": st.times(),
    "timetz": aware_times(),
    "interval": spans(),
    "int2[]": arrays(st.integers(-(2**15), 2**15 - 1)),
    "float4[]": arrays(short_floats()),
    "float8[]": arrays(st.floats()),
    "oid[]": arrays(st.integers(0, 2**32 - 1).map(Oid)),
    "bool[]": arrays(st.booleans()),
    "bytea[]": arrays(st.binary()),
    "numeric[]": arrays(decimals()),
    "uuid[]": arrays(st.uuids()),
    "date[]": arrays(st.dates()),
    "time[]": arrays(st.times()),
    "timetz[]": arrays(aware_times()),
    "timestamp[]": arrays(st.datetimes()),
    "interval[]": arrays(spans()),
    "varchar[]": arrays(texts()),
    "bpchar[]": arrays(texts()),
    "name[]": arrays(st.text("abcXYZ 0_-é", max_size=20)),
    '"char"[]': arrays(st.text('aZ0{}," ', min_size=1, max_size=1)),
    "json[]": arrays(json_values().map(Json)),
    "jsonb[]": arrays(json_values().map(Jsonb)),
    "int4[]": arrays(st.integers(-(2**31), 2**31 - 1)),
    "int8[]": arrays(st.integers(-(2**63), 2**63 - 1)),
    "text[]": arrays(texts()),
}


def same(left: Any, right: Any) -> bool:
    """Equal, with the same type; numbers bit by bit or digit by digit, offsets too."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or struct.pack("!d", left) == struct.pack("!d", right)
    if isinstance(left, Decimal):
        return str(left) == str(right)
    if isinstance(left, (datetime.datetime, datetime.time)) and left.utcoffset() != right.utcoffset():
        return False
    return bool(left == right)


def expected(value: Any, kind: str) -> Any:
    """What the server gives back for a value: numeric has no -0 and no exponent, bpchar is compared without its blanks."""
    if isinstance(value, list):
        return [expected(item, kind) for item in value]
    if isinstance(value, Decimal) and value.is_finite():
        text = f"{value:f}"
        return Decimal(text[1:] if value == 0 and text.startswith("-") else text)
    if isinstance(value, Float4):
        return float(value)
    if isinstance(value, Oid):
        return int(value)
    return value.obj if isinstance(value, Json) else value


def sent(kind: str, value: Any) -> Any:
    return {"json": Json, "jsonb": Jsonb}.get(kind, lambda plain: plain)(value)


@pytest.mark.parametrize("kind", TYPES)
async def test_there_and_back(target, kind):
    sql = f"select %s::{kind}"
    async with await opened(target, prepare_threshold=None) as conn:
        cursor = conn.cursor()
        for value in samples(TYPES[kind]):
            await cursor.execute(sql, [sent(kind, value)], prepare=False)
            as_text = (await cursor.fetchall())[0][0]
            assert bytes(cursor._result.plan.formats) == b"\0" and cursor._result.plan.codecs[0].binary_equal
            await cursor.execute(sql, [sent(kind, value)], binary=True)
            as_binary = (await cursor.fetchall())[0][0]
            assert bytes(cursor._result.plan.formats) == b"\1"
            assert same(as_text, as_binary), f"text {as_text!r}, binary {as_binary!r}"
            assert same(as_text, expected(value, kind)), f"sent {value!r}, got {as_text!r}"


async def test_timestamptz_in_several_zones(target):
    moments = samples(
        st.datetimes(
            datetime.datetime(2, 1, 1),
            datetime.datetime(9998, 12, 30),
            timezones=st.sampled_from([ZoneInfo(zone) for zone in ZONES]),
        )
    )
    # the hour that comes twice, the hour that does not come
    for fold in (0, 1):
        moments.append(datetime.datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Berlin")))
        moments.append(datetime.datetime(2024, 3, 31, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Berlin")))
    utc = datetime.timezone.utc
    async with await opened(target) as conn:
        for zone in ZONES:
            await conn.execute("select set_config('TimeZone', %s, false)", [zone])
            for value in moments:
                cursor = await conn.execute("select %s", [value], prepare=False)
                as_text = (await cursor.fetchall())[0][0]
                cursor = await conn.execute("select %s", [value], binary=True)
                as_binary = (await cursor.fetchall())[0][0]
                assert as_text.astimezone(utc) == as_binary.astimezone(utc) == value.astimezone(utc)
                assert as_text.replace(tzinfo=None) == as_binary.replace(tzinfo=None)
                shown = value.astimezone(utc).astimezone(ZoneInfo(zone))
                assert as_text.utcoffset() == as_binary.utcoffset() == shown.utcoffset()


# what the server makes itself: values that no Python value was sent for
MADE = [
    ("generate_series(timestamptz '1880-01-01', '2040-01-01', '171 days 5:43:21.001')", "timestamptz"),
    ("generate_series(timestamptz '2024-11-03 04:00+00', '2024-11-03 08:00+00', '10 min')", "timestamptz"),
    ("generate_series(timestamp '0001-01-01', '9999-12-31 23:59:59.999999', '61 years 1.000001 sec')", "timestamp"),
    ("generate_series(date '0001-01-01', date '9999-12-31', '53 years 3 days')::date", "date"),
    ("time '0:00' + generate_series(0, 86399, 331) * interval '1.000001 sec'", "time"),
    ("(timetz '0:00+05:30' at time zone (i * 431 || ' s')::interval) from generate_series(-100, 100) i", "timetz"),
    (
        "make_interval(i % 7, i % 13, 0, i % 31, i % 25, i % 61, i / 7.0) * (-1) ^ i from generate_series(-90, 90) i",
        "interval",
    ),
    ("make_interval(0, i % 5, 0, - i % 4, 0, i % 3, 0.5 * (i % 2)) from generate_series(-60, 60) i", "interval"),
    ("(i * 0.1)::float4 from generate_series(-200, 200) i", "float4"),
    ("(2::float8 ^ i)::float4 from generate_series(-149, 127) i", "float4"),
    ("(1 / i::float8)::float4 from generate_series(1, 200) i", "float4"),
    ('chr(i)::"char" from generate_series(1, 300) i', '"char"'),
    ("(i::int8 * 21474836)::oid from generate_series(0, 199) i", "oid"),
    ("array[i * interval '-1 day 1 mon', null] from generate_series(-20, 20) i", "interval[]"),
    ("array[[i * 0.1, i], [null, -i]]::float4[] from generate_series(-20, 20) i", "float4[]"),
]


@pytest.mark.parametrize(("expression", "kind"), MADE)
async def test_what_the_server_makes(target, expression, kind):
    """Text and binary are equal, and what is sent back is what the server had."""
    async with await opened(target) as conn:
        for zone in ("Asia/Kolkata", "America/New_York"):
            await conn.execute("select set_config('TimeZone', %s, false)", [zone])
            source = expression if " from " in expression else expression + " from (values (1)) one"
            cursor = await conn.execute(f"select {source}", prepare=False)
            as_text = [row[0] for row in await cursor.fetchall()]
            cursor = await conn.execute(f"select {source}", binary=True)
            as_binary = [row[0] for row in await cursor.fetchall()]
            assert len(as_text) > 20 and same(as_text, as_binary)
            folds = [[getattr(value, "fold", 0) for value in values] for values in (as_text, as_binary)]
            assert folds[0] == folds[1]
            if kind in ("interval", "interval[]"):
                continue  # months came as days
            value = f"unnest(%s::{kind}[])" if not kind.endswith("[]") else "%s::" + kind
            lists = [as_binary] if not kind.endswith("[]") else as_binary
            for items in lists:
                given = [Oid(item) for item in items] if kind == "oid" else items
                cursor = await conn.execute(f"select {value}", [given], binary=True)
                back = [row[0] for row in await cursor.fetchall()]
                assert same(back, [items] if kind.endswith("[]") else items)


async def test_python_types_find_their_postgres_types(target):
    cases = [
        (1, "smallint"),
        (40000, "integer"),
        (2**40, "bigint"),
        (2**80, "numeric"),
        (1.5, "double precision"),
        (True, "boolean"),
        (b"x", "bytea"),
        (bytearray(b"x"), "bytea"),
        (memoryview(b"x"), "bytea"),
        (Decimal("1.5"), "numeric"),
        (uuid.UUID(int=1), "uuid"),
        (datetime.date(2024, 2, 29), "date"),
        (datetime.datetime(2024, 2, 29), "timestamp without time zone"),
        (datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc), "timestamp with time zone"),
        (Json([1]), "json"),
        (Jsonb([1]), "jsonb"),
        (datetime.time(1, 2), "time without time zone"),
        (datetime.time(1, 2, tzinfo=datetime.timezone.utc), "time with time zone"),
        (datetime.timedelta(1), "interval"),
        (Int2(1), "smallint"),
        (Int4(1), "integer"),
        (Int8(1), "bigint"),
        (IntNumeric(1), "numeric"),
        (Oid(1), "oid"),
        (Float4(1), "real"),
        (Float8(1), "double precision"),
        ([Int8(1), None], "bigint[]"),
        ([datetime.timedelta(1)], "interval[]"),
        ([1, 2], "smallint[]"),
        (["a"], "text[]"),
    ]
    async with await opened(target) as conn:
        for value, name in cases:
            cursor = await conn.execute("select pg_typeof(%s)::text", [value])
            assert await cursor.fetchall() == [(name,)], value


async def test_a_str_takes_the_type_of_its_place(target):
    async with await opened(target) as conn:
        cursor = await conn.execute(
            "select %s::int4, %s::date, %s = any(array[1, 2]), %s::interval",
            ["17", "2024-02-29", "2", "90 min"],
        )
        assert await cursor.fetchall() == [(17, datetime.date(2024, 2, 29), True, datetime.timedelta(minutes=90))]


async def test_lists_in_any(target):
    async with await opened(target) as conn:
        for _ in range(3):
            cursor = await conn.execute("select i from generate_series(1, 5) i where i = any(%s)", [[5, 2, 9]])
            assert await cursor.fetchall() == [(2,), (5,)]
            cursor = await conn.execute("select %s::int4[], %s::text[]", [[], [None]])
            assert await cursor.fetchall() == [([], [None])]


OTHERS = [
    ("inet '10.0.0.1/8'", "10.0.0.1/8"),
    ("cidr '10.0.0.0/8'", "10.0.0.0/8"),
    ("macaddr '08:00:2b:01:02:03'", "08:00:2b:01:02:03"),
    ("point '(1,2)'", "(1,2)"),
    ("box '(1,1),(0,0)'", "(1,1),(0,0)"),
    ("'12.34'::float8::numeric::money", "$12.34"),
    ("int4range '[1,5)'", "[1,5)"),
    ("int4multirange '{[1,3),[5,7)}'", "{[1,3),[5,7)}"),
    ("bit '101'", "101"),
    ("varbit '1011'", "1011"),
    ("'a b'::tsvector", "'a' 'b'"),
    ("'0/16B3748'::pg_lsn", "0/16B3748"),
    ("'pg_class'::regclass", "pg_class"),
    ("row(1, 'x', null)", "(1,x,)"),
    ("(1, 'x y')::others_composite", '(1,"x y")'),
    ("'happy'::others_enum", "happy"),
    ("5::others_domain", 5),
    ("array['10.0.0.1', '10.0.0.2']::inet[]", "{10.0.0.1,10.0.0.2}"),
]


async def xml_case(conn: AsyncConnection[Any]) -> list[tuple[str, str]]:
    """xml, where the server was built with libxml."""
    case = ("xmlcomment('x')", "<!--x-->")
    with contextlib.suppress(FeatureNotSupported):
        await conn.execute("select " + case[0])
        return [case]
    return []


async def test_other_types_are_str_beside_known_ones(target):
    async with await opened(target) as conn:
        await conn.execute("set lc_monetary to 'C'")
        await conn.execute(
            "drop schema if exists others cascade; create schema others; set search_path to others, public;"
            " create type others_composite as (a int4, b text);"
            " create type others_enum as enum ('sad', 'happy');"
            " create domain others_domain as int4 check (value > 0)"
        )
        cases = [*OTHERS, *await xml_case(conn)]
        for expression, wanted in cases:
            for _ in range(3):
                cursor = await conn.execute(f"select %s::int4, {expression}, 2.5::float8, null::inet", [1])
                got = await cursor.fetchall()
                if expression.startswith("'12.34'"):
                    got = [(got[0][0], "$" + got[0][1].lstrip("$"), *got[0][2:])]
                assert got == [(1, wanted, 2.5, None)], expression
        await conn.execute("drop schema others cascade")
