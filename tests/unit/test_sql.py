"""sql: composition, and the one formatter, judged by PostgreSQL's own parser."""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import random
import uuid
from types import SimpleNamespace
from typing import Any

import pglast
import pytest
from pglast import ast

from howdah import errors, sql
from howdah.core.binding import bind_on_client, mogrify
from howdah.core.literal import literal
from howdah.core.query import read_query, read_raw

PLAIN: Any = SimpleNamespace(backslashes=False, registry=None)
NASTY = [
    "'", "''", "\\", "\\'", "'; drop table canary; --", "--", "/*", "*/", "$$", "$1", "$tag$", "%s", "%", "%%", '"',
    "E'", "\n", "\r\n", "\t", "\x01", "\x7f", "é", "\u2019", "\uff07", "\U0001f600", "\ufeff", "\u202e", ";", "\\x41",
    "\\u0027", "U&'", "0x27", "?", ":a", "@", " ", "", "\\\\'", "'\\", "a'||'b", "1=1", "\\047", "' or '1'='1",
]  # fmt: skip


def corpus() -> list[str]:
    rand = random.Random(7)
    pieces = [*NASTY, "abc", "0"]
    return [*NASTY, *("".join(rand.choice(pieces) for _ in range(rand.randrange(2, 7))) for _ in range(400))]


def constant(text: str) -> Any:
    """The value of the only constant in the only statement of ``text``, a SELECT of one column."""
    (raw,) = pglast.parse_sql(text)
    (target,) = raw.stmt.targetList
    value = target.val
    while isinstance(value, ast.TypeCast):
        value = value.arg
    assert isinstance(value, ast.A_Const), text
    return value.val.sval if isinstance(value.val, ast.String) else value.val


TEXTS = [text for text in corpus() if text]
PLACES = ["select %s", "select %s -- c", "select /* ' */ %s", "select(%s)", "select %s::text", "select%s"]


def test_a_text_is_one_constant_of_its_value_wherever_it_stands() -> None:
    cells = 0
    for text, place in itertools.product(TEXTS, PLACES):
        if place == "select%s":
            with pytest.raises(errors.ProgrammingError, match="at the end of a name"):
                mogrify(PLAIN, place, (text,))
            continue
        assert constant(mogrify(PLAIN, place, (text,))) == text, (text, place)
        cells += 1
    assert cells == len(TEXTS) * 5


def test_a_literal_means_the_same_with_backslashes_in_plain_strings() -> None:
    for text in corpus():
        written = literal(text)
        assert ("\\" in text) == written.startswith(" E'"), text
        assert written.lstrip(" E").startswith("'") and written.endswith("'")
        if "\\" in text:
            assert "\\" not in written.replace("\\\\", "")


def test_an_identifier_is_one_name_of_its_value() -> None:
    for text in TEXTS:
        (raw,) = pglast.parse_sql("select 1 from " + sql.Identifier(text).as_string())
        (table,) = raw.stmt.fromClause
        assert table.relname == text and table.schemaname is None
    assert sql.Identifier("a.b", 'c"d').as_string() == '"a.b"."c""d"'


def test_a_negative_number_makes_no_comment() -> None:
    for value in (-1, -1.5, decimal.Decimal("-2.50")):
        for place in ("select 1-%s", "select 1 -%s"):
            (raw,) = pglast.parse_sql(mogrify(PLAIN, place, (value,)))
            assert isinstance(raw.stmt.targetList[0].val, ast.A_Expr)


def test_values_never_join_what_stands_beside_them() -> None:
    assert mogrify(PLAIN, "select 1%s", (5,)) == "select 1 5"
    assert mogrify(PLAIN, "select %sand", (5,)) == "select 5 and"
    for place in ("select 'a'%s", "select 'a'\n%s", "select %s%s", "select %s /* */ 'a'", "select $$a$$%s"):
        with pytest.raises(errors.ProgrammingError, match="beside a string"):
            mogrify(PLAIN, place, ("x",) * place.count("%s"))
    with pytest.raises(errors.ProgrammingError, match="inside a string"):
        mogrify(PLAIN, "select '%s'", ("x",))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "true"),
        (7, "7"),
        (-7, " -7"),
        (1.5, "1.5"),
        (float("-inf"), "'-inf'::float8"),
        (float("nan"), "'nan'::float8"),
        (decimal.Decimal("1.20"), "1.20"),
        (decimal.Decimal("sNaN"), "'NaN'::numeric"),
        (decimal.Decimal("-Infinity"), "'-Infinity'::numeric"),
        (b"a'\\", " E'\\\\x61275c'::bytea"),
        (memoryview(b"\0"), " E'\\\\x00'::bytea"),
        (uuid.UUID(int=1), "'00000000-0000-0000-0000-000000000001'::uuid"),
        (dt.date(2024, 2, 29), "'2024-02-29'::date"),
        (dt.datetime(2024, 2, 29, 1, 2, 3), "'2024-02-29 01:02:03'::timestamp"),
        (dt.datetime(2024, 2, 29, tzinfo=dt.timezone.utc), "'2024-02-29 00:00:00+00:00'::timestamptz"),
        (dt.time(1, 2), "'01:02:00'::time"),
        (dt.timedelta(-1, 3, 4), "'-1 d +3 s +4 us'::interval"),
        ([1, [2] and 2, None], "ARRAY[1, 2, NULL]"),
        ([["a", None], ['"', "\\"]], ' E\'{{"a",NULL},{"\\\\"","\\\\\\\\"}}\''),
        ([], "'{}'"),
    ],
)
def test_literals(value: object, text: str) -> None:
    assert sql.Literal(value).as_string() == text
    assert sql.quote(value) == text
    pglast.parse_sql("select " + text)


def test_what_has_no_text_is_refused() -> None:
    for value in ("a\0b", "\ud800"):
        with pytest.raises(errors.DataError):
            sql.quote(value)
        with pytest.raises(errors.DataError):
            sql.Identifier(value).as_string()
    with pytest.raises(errors.ProgrammingError, match="no codec"):
        sql.quote(object())


def test_composition() -> None:
    query = sql.SQL("select {} from {table} where {0}").format
    with pytest.raises(ValueError, match="not both"):
        query(1, table=2)
    fields = sql.SQL(", ").join([sql.Identifier("a"), sql.Identifier("b%s")])
    made = sql.SQL("insert into {t} ({f}) values ({v}, {l}, %s)").format(
        t=sql.Identifier("s", "t"), f=fields, v=sql.Placeholder("x"), l="50%"
    )
    assert made.as_string() == 'insert into "s"."t" ("a", "b%s") values (%(x)s, \'50%\', %s)'
    assert made._query_text(True) == 'insert into "s"."t" ("a", "b%%s") values (%(x)s, \'50%%\', %s)'
    assert sql.Placeholder().as_string() == "%s" and sql.Placeholder("n", "b").as_string() == "%(n)b"
    assert (sql.SQL("?") * 2).join(",").as_string() == "?,?"
    assert (sql.SQL("a") + sql.SQL("b") + sql.Composed([1])).as_bytes() == b"ab1"
    assert sql.SQL("a") == sql.SQL("a") != sql.Identifier("a") and hash(sql.SQL("a")) == hash(sql.SQL("a"))
    assert (
        repr(made._obj[1]) == "Identifier('s', 't')"
        and repr(sql.Placeholder("a", "t")) == "Placeholder('a', format='t')"
    )
    for call in (
        lambda: sql.SQL(1),  # type: ignore[arg-type]
        lambda: sql.Identifier(),
        lambda: sql.Identifier(1),  # type: ignore[arg-type]
        lambda: sql.Composed([]).join(1),  # type: ignore[arg-type]
        lambda: sql.SQL("a") + "b",
    ):
        with pytest.raises(TypeError):
            call()
    for text in ("{!r}", "{:>3}"):
        with pytest.raises(ValueError, match="is allowed"):
            sql.SQL(text).format(1)
    with pytest.raises(ValueError, match="parenthesis"):
        sql.Placeholder("a)b")


def part(value: object, spec: str = "", conversion: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(value=value, expression="x", format_spec=spec, conversion=conversion)


def template(*items: Any) -> Any:
    """What a t-string makes: its texts and its values, in turn."""
    return SimpleNamespace(strings=items[::2], interpolations=items[1::2])


def test_t_strings() -> None:
    inner = template("id = ", part(3), "")
    whole = template("select '100%', ", part("b'", "l"), " from ", part(("s", "t%"), "i"), " where ", part(inner), "")
    query = read_query(whole, False)
    assert query.sql == b"select '100%', 'b''' from \"s\".\"t%\" where id = $1" and query.bound == [3]
    assert sql.as_string(whole) == "select '100%', 'b''' from \"s\".\"t%\" where id = 3"
    assert sql.as_bytes(sql.NULL) == b"NULL" and sql.as_string("a") == "'a'"
    assert read_query(template("select ", part(sql.Identifier("%")), ""), False).sql == b'select "%"'
    for item in (part(1, "x"), part(1, "", "r"), part(1, "i"), part([], "i"), part(1, "q"), part(sql.SQL("%s"))):
        with pytest.raises(errors.ProgrammingError, match="x"):
            read_query(template("select ", item, ""), False)
    with pytest.raises(errors.ProgrammingError, match="brings its own"):
        read_query(inner, True)


def test_raw_placeholders() -> None:
    query = read_raw("select $2, '$9', $1 % 2 -- $7", False)
    assert query.count == 2 and query.sql == b"select $2, '$9', $1 % 2 -- $7"
    with pytest.raises(errors.ProgrammingError, match="2 placeholders but 1 parameter"):
        query.values((1,))


def bound(text: str, *values: object) -> str:
    query = read_query(text, True)
    assert query.client_bound
    return bind_on_client(PLAIN, query, query.values(values)).sql.decode()


def test_statements_that_take_no_parameters() -> None:
    assert bound("set x = %s", "a'b") == "set x = 'a''b'"
    assert bound("/* c */ notify %s, %s", sql.Identifier("C"), "p") == "/* c */ notify \"C\", 'p'"
    assert bound("alter system set a = %s", -1) == "alter system set a =  -1"
    for password in ("s3cret", "pä'ss"):
        text = bound("CREATE ROLE r LOGIN PASSWORD %s VALID UNTIL %s", password, "2030-01-01")
        assert password not in text and "PASSWORD 'SCRAM-SHA-256$4096:" in text and text.endswith("'2030-01-01'")
        pglast.parse_sql(text)
    ready = "SCRAM-SHA-256$4096:c2FsdA==$a:b"
    assert ready in bound("alter user r password %s", ready)
    for text in ("/* c */ Create /* */ User r password /* */ %s", "alter group g password -- c\n %s"):
        assert "s3cret" not in bound(text, "s3cret") + mogrify(PLAIN, text, ("s3cret",))
    assert "s3cret" in bound("create user mapping for r server s options (password %s)", "s3cret")
    with pytest.raises(errors.ProgrammingError, match="a role's password is a str or None"):
        bound("create role r password %s", sql.Literal("s3cret"))
    for text in ("create temp table t as select %s", "create table if not exists t (a) as (values (%s))"):
        assert not read_query(text, True).client_bound
    with pytest.raises(errors.ProgrammingError, match="parameter 1: a statement of this kind takes"):
        bound("set x = %s", 1.5)
    for text in ("do %s", "/* */ do %s", "create or replace function f() returns int as %s language sql"):
        with pytest.raises(errors.ProgrammingError, match="takes no parameters"):
            bound(text, "x")
