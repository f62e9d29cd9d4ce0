# The sync twin of this file is generated from it by tools/unasync.py.
"""Session settings that change how the server writes values: the value stays the same, or a clear DataError says why not."""

from __future__ import annotations

import datetime
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

import howdah

NOON = "timestamptz '2024-07-01 12:00:00+00'"


async def connect(server, **settings):
    return await howdah.AsyncConnection.connect(server.dsn, autocommit=True, **settings)


async def one(conn, query, params=None, **options):
    cur = conn.cursor()
    await cur.execute(query, params, **options)
    rows = await cur.fetchall()
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "UTC"])
async def test_time_zone_of_the_session(pg18, zone):
    async with await connect(pg18, options="-c TimeZone=" + zone) as conn:
        assert conn.info.timezone == (ZoneInfo(zone) if zone != "UTC" else datetime.timezone.utc)
        for _ in range(3):
            moment, naive = await one(conn, "select " + NOON + ", " + NOON + "::timestamp where %s", (True,))
            assert moment == datetime.datetime(2024, 7, 1, 12, tzinfo=datetime.timezone.utc)
            assert moment.tzinfo == conn.info.timezone and moment.replace(tzinfo=None) == naive


@pytest.mark.parametrize("zone", ["<+03>-03", "EST5EDT", "-5", "europe/berlin"])
async def test_time_zones_by_other_names(pg18, zone):
    """A zone that Python does not know gives the same instants, in UTC."""
    async with await connect(pg18) as conn:
        await one(conn, "select set_config('TimeZone', %s, false)", (zone,))
        for _ in range(3):
            (moment,) = await one(conn, "select " + NOON + " where %s", (True,))
            assert moment == datetime.datetime(2024, 7, 1, 12, tzinfo=datetime.timezone.utc)


async def test_time_zone_that_changes_inside_one_text(pg18):
    """The setting is reported before the next answer, not before the rows of the statement behind it: both are right."""
    async with await connect(pg18) as conn:
        cur = await conn.execute("select " + NOON + "; set timezone = 'Asia/Tokyo'; select " + NOON)
        first = (await cur.fetchone())[0]
        assert cur.nextset() and cur.nextset()
        second = (await cur.fetchone())[0]
        assert first == second == datetime.datetime(2024, 7, 1, 12, tzinfo=datetime.timezone.utc)
        (third,) = await one(conn, "select " + NOON)
        assert third == first and third.utcoffset() == timedelta(hours=9)


async def test_time_zone_that_is_rolled_back(pg18):
    async with await howdah.AsyncConnection.connect(pg18.dsn) as conn:
        await conn.execute("set timezone = 'UTC'")
        await conn.commit()
        await conn.execute("set timezone = 'Asia/Tokyo'")
        for _ in range(3):
            assert (await one(conn, "select " + NOON + " where %s", (True,)))[0].utcoffset() == timedelta(hours=9)
        await conn.rollback()
        for _ in range(3):
            assert (await one(conn, "select " + NOON + " where %s", (True,)))[0].utcoffset() == timedelta(0)


STYLES = [f"{style}, {order}" for style in ("ISO", "SQL", "German", "Postgres") for order in ("DMY", "MDY", "YMD")]
STYLED_ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Europe/London", "Pacific/Apia", "<+03>-03", "EST5"]
# around both changes of the clocks of New York in 2024, and the day that Apia left out
MOMENTS = """
    select m, m::timestamp, m::date, m::time, m::timetz, array[m], array[m::date, null]
    from (select generate_series(timestamptz '2024-11-03 03:30Z', '2024-11-03 08:00Z', '17 min 1.25 s')
          union all select generate_series(timestamptz '2024-03-10 05:30Z', '2024-03-10 08:00Z', '29 min')
          union all select generate_series(timestamptz '2011-12-29 00:30Z', '2011-12-31 23:00Z', '13 hours')
          union all select generate_series(timestamptz '1970-01-02 00:00Z', '2037-12-31 00:00Z', '23928 hours 1 us')) as s(m)
"""


async def rows_of(conn, query, **options):
    cur = conn.cursor()
    await cur.execute(query, **options)
    return await cur.fetchall()


def with_offsets(rows):
    """The rows, with what equality does not see."""
    return [[(v, v.utcoffset(), v.fold) if hasattr(v, "fold") else v for v in row] for row in rows]


@pytest.mark.parametrize("style", STYLES)
async def test_dates_and_times_in_every_style_and_zone(pg18, style):
    async with await connect(pg18) as conn:
        for zone in STYLED_ZONES:
            await one(
                conn, "select set_config('DateStyle', %s, false), set_config('TimeZone', %s, false)", (style, zone)
            )
            as_text = with_offsets(await rows_of(conn, MOMENTS, prepare=False))
            as_binary = with_offsets(await rows_of(conn, MOMENTS, binary=True))
            assert as_text == as_binary and len(as_text) > 40
            # the moments themselves are the same in every style and zone
            if zone == STYLED_ZONES[0]:
                moments = [row[0][0] for row in as_text]
            assert [row[0][0].astimezone(datetime.timezone.utc) for row in as_text] == moments


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York", "Europe/Amsterdam", "Africa/Monrovia"])
async def test_offsets_of_the_past_have_seconds(pg18, zone):
    query = "select generate_series(timestamptz '1800-01-01 00:00Z', '1975-01-01', '401 days 7 us'), timestamptz '0002-01-01Z'"
    async with await connect(pg18) as conn:
        await one(conn, "select set_config('TimeZone', %s, false)", (zone,))
        as_text = with_offsets(await rows_of(conn, query, prepare=False))
        assert as_text == with_offsets(await rows_of(conn, query, binary=True))
        assert any(row[0][1].seconds % 60 for row in as_text)
        # words have no offset, and the server's zones need not have the history of ours
        await conn.execute("set datestyle = 'SQL, DMY'")
        with pytest.raises(howdah.DataError, match="no certain value"):
            await rows_of(conn, query, prepare=False)
        assert as_text == with_offsets(await rows_of(conn, query, binary=True))


async def test_a_style_that_changes_while_statements_are_known(pg18):
    """Prepared, with text results: the plan of the last answer is of the last style."""
    day = date(2024, 2, 1)
    async with await connect(pg18) as conn:
        for style in [*STYLES, *reversed(STYLES)]:
            await conn.execute("set datestyle = '" + style + "'")
            for options in ({}, {"prepare": False}, {"prepare": True}):
                assert await one(
                    conn, "select date '2024-02-01', array[date '2024-02-01'] where %s", (True,), **options
                ) == (
                    day,
                    [day],
                )


async def test_a_style_that_changes_inside_one_text(pg18):
    """The server reports a setting when the whole text is done: what could mean two things is refused until then."""
    query = "select date '2024-02-01'"
    async with await connect(pg18) as conn:
        await conn.execute("set datestyle = 'SQL, DMY'")
        for change in (
            "set datestyle = 'SQL, MDY'",
            "set datestyle = 'Postgres, MDY'",
            "do $$ begin set datestyle = 'SQL, MDY'; end $$",
        ):
            with pytest.raises(howdah.DataError, match="no certain value"):
                await conn.execute(change + "; " + query)
            assert await one(conn, query, prepare=False) == (date(2024, 2, 1),)
            await conn.execute("set datestyle = 'SQL, DMY'")
        for change in ("set datestyle = 'ISO'", "set datestyle = 'German'", "reset datestyle"):
            cur = await conn.execute(change + "; " + query)
            assert cur.nextset() and await cur.fetchall() == [(date(2024, 2, 1),)]
            await conn.execute("set datestyle = 'SQL, DMY'")
        # nothing changed in front of it: read as reported
        cur = await conn.execute("select 1; " + query)
        assert cur.nextset() and await cur.fetchall() == [(date(2024, 2, 1),)]


async def test_parameters_have_no_style(pg18):
    day = date(2024, 11, 23)
    async with await connect(pg18) as conn:
        for style in STYLES:
            await conn.execute("set datestyle = '" + style + "'")
            assert await one(conn, "select %s = date '23 Nov 2024', %s = timestamp '23 Nov 2024'", (day, day)) == (
                True,
                True,
            )


INTERVALS = """
    select make_interval(y, m, 0, d, 0, 0, s) as i, array[make_interval(y, m, 0, d, 0, 0, s), null]
    from (values (0), (1), (-1), (3)) a(y), (values (0), (2), (-2)) b(m), (values (0), (1), (-1), (45)) c(d),
         (values (0::float8), (1), (-1), (0.5), (-0.5), (3600), (-90061.000001), (59.999999), (360000000)) d(s)
"""


async def test_intervals_in_every_style(pg18):
    async with await connect(pg18) as conn:
        answers = []
        for style in ("postgres", "postgres_verbose", "sql_standard", "iso_8601"):
            await one(conn, "select set_config('IntervalStyle', %s, false)", (style,))
            as_text = await rows_of(conn, INTERVALS, prepare=False)
            as_binary = await rows_of(conn, INTERVALS, binary=True)
            assert as_text == as_binary and len(as_text) == 432
            answers.append(as_text)
            for _ in range(3):
                assert await one(conn, "select justify_hours('26 hours') where %s", (True,)) == (timedelta(1, 7200),)
        assert answers[0] == answers[1] == answers[2] == answers[3]
        assert await one(conn, "select interval '1 year 1 mon'", prepare=False) == (timedelta(395),)
        assert await one(conn, "select interval '-1 day'", prepare=False) == (timedelta(-1),)
        assert await one(conn, "select interval '0.5 s'", prepare=False) == (timedelta(0, 0, 500000),)


@pytest.mark.parametrize("data", [b"", bytes(range(256)), b"\\", b"\\x41", b"a\\\\b\0\xff'", b"\\000"])
async def test_bytea_in_the_escape_format(pg18, data):
    async with await connect(pg18) as conn:
        await conn.execute("set bytea_output = 'escape'")
        for _ in range(3):
            assert await one(conn, "select %s::bytea, array[%s::bytea, null]", (data, data)) == (data, [data, None])
        assert await one(conn, "select %s::bytea /* in binary */", (data,), binary=True) == (data,)


async def test_floats_with_few_digits(pg18):
    """The server rounds what it writes as text: a documented limit of the first use; in binary all is there."""
    async with await connect(pg18) as conn:
        await conn.execute("set extra_float_digits = 0")
        query = "select 0.1::float8 + 0.2::float8, array[1e300, 'NaN', '-Infinity']::float8[] where %s"
        third, array = await one(conn, query, (True,))
        assert third in (0.3, 0.1 + 0.2) and repr(array) == "[1e+300, nan, -inf]"
        for options in ({}, {"binary": True}):
            third, array = await one(conn, query, (True,), **options)
            assert third == 0.1 + 0.2 and repr(array) == "[1e+300, nan, -inf]"


async def test_backslashes_in_plain_strings(pg18):
    if pg18.version.startswith("19"):
        pytest.fail("standard_conforming_strings can no longer be off: remove this test")
    async with await connect(pg18) as conn:
        await conn.execute("set standard_conforming_strings = off; set escape_string_warning = off")
        assert await one(conn, "select 'a\\\\b' || %s", ("c\\",)) == ("a\\bc\\",)


async def test_values_python_does_not_have(pg18):
    cases = [
        ("date 'infinity'", "infinity"),
        ("date '-infinity'", "-infinity"),
        ("date '4713-01-01 BC'", "years 1 to 9999"),
        ("date '10000-01-01'", "years 1 to 9999"),
        ("timestamp 'infinity'", "infinity"),
        ("timestamp '294276-12-31'", "years 1 to 9999"),
        ("timestamptz '-infinity'", "-infinity"),
        ("timestamptz '0044-03-15 12:00 BC'", "years 1 to 9999"),
        ("array[date 'infinity']", "infinity"),
        ("time '24:00'", "24:00:00"),
        ("timetz '24:00+01'", "24:00:00"),
        ("interval 'infinity'", "infinity"),
        ("interval '100000000 years'", "timedelta"),
    ]
    async with await connect(pg18) as conn:
        for expression, match in cases:
            for options in ({}, {}, {}, {"binary": True}):
                with pytest.raises(howdah.DataError, match=match) as caught:
                    await one(conn, "select 1 as n, " + expression + " as bad where %s", (True,), **options)
                assert "column 2 ('bad')" in str(caught.value)
                assert await one(conn, "select 1 + %s", (1,)) == (2,)


async def test_one_bad_value_among_many_rows(pg18):
    async with await connect(pg18) as conn:
        query = "select i, case when i = %s then date 'infinity' else date '2024-01-01' + i end from generate_series(1, 5000) i"
        for at in (1, 2500, 5000, 0):
            cur = conn.cursor()
            if at:
                with pytest.raises(howdah.DataError, match="infinity"):
                    await cur.execute(query, (at,))
                assert cur.description is None
            else:
                await cur.execute(query, (at,))
                assert len(await cur.fetchall()) == 5000


@pytest.fixture
def ascii_database(pg18):
    """A database without an encoding: its text may be any bytes."""
    with howdah.connect(pg18.dsn, autocommit=True) as conn:
        conn.execute("create database bytes_in_text encoding 'SQL_ASCII' locale 'C' template template0")
    yield "bytes_in_text"
    with howdah.connect(pg18.dsn, autocommit=True) as conn:
        conn.execute("drop database bytes_in_text with (force)")


LATIN = "convert_from('\\xe9'::bytea, 'SQL_ASCII')"  # an e acute in Latin-1


async def test_database_without_an_encoding(pg18, ascii_database):
    """The server checks what goes to a client that asked for UTF8: its error, and a usable connection."""
    async with await connect(pg18, dbname=ascii_database) as conn:
        assert conn.info.parameter_status("server_encoding") == "SQL_ASCII"
        for _ in range(3):
            assert await one(conn, "select %s::text, 'plain'", ("\u00fc\U0001f418",)) == ("\u00fc\U0001f418", "plain")
            with pytest.raises(howdah.errors.CharacterNotInRepertoire, match="0xe9"):
                await one(conn, "select %s::int4 as a, " + LATIN + " as name", (1,))


async def test_client_without_an_encoding(pg18, ascii_database):
    """Told not to check, the server sends the bytes as they are: a DataError names the column."""
    async with await connect(pg18, dbname=ascii_database) as conn:
        await conn.execute("set client_encoding = 'SQL_ASCII'")
        for _ in range(3):
            assert await one(conn, "select %s::text", ("\u00fc\U0001f418",)) == ("\u00fc\U0001f418",)
            with pytest.raises(howdah.DataError, match=r"column 2 \('name'\).*not UTF-8.*SQL_ASCII"):
                await one(conn, "select %s::int4 as a, " + LATIN + " as name", (1,))
            with pytest.raises(howdah.DataError, match=r"column 1 \('names'\).*UTF-8"):
                await one(conn, "select array[" + LATIN + "] as names where %s", (True,))
            assert await one(conn, "select '\\xe9'::bytea where %s", (True,)) == (b"\xe9",)


async def test_names_and_messages_that_are_not_utf8(pg18, ascii_database):
    """Names of columns, messages and notices can be such bytes too: shown as well as can be, and nothing breaks."""
    seen = []
    async with await connect(pg18, dbname=ascii_database) as conn:
        conn.add_notice_handler(lambda diag: seen.append(diag.message_primary))
        await conn.execute("set client_encoding = 'SQL_ASCII'")
        with pytest.raises(howdah.errors.RaiseException, match="caf"):
            await conn.execute("do $$ begin raise exception using message = 'caf' || " + LATIN + "; end $$")
        await conn.execute("do $$ begin raise notice using message = 'caf' || " + LATIN + "; end $$")
        assert len(seen) == 1 and seen[0].startswith("caf")
        await conn.execute(
            "do $$ begin execute format('create temp table t as select 1 as %I', 'c' || " + LATIN + "); end $$"
        )
        for _ in range(3):
            cur = await conn.execute("select * from t where %s", (True,))
            assert await cur.fetchall() == [(1,)] and cur.description[0].name.startswith("c")


async def test_decimal_point_of_the_server(pg18):
    async with await connect(pg18) as conn:
        await conn.execute("set lc_numeric = 'C'")
        assert await one(conn, "select %s::numeric + 0.1", (Decimal("1.2"),)) == (Decimal("1.3"),)
