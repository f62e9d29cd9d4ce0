"""core.query: placeholders, what kind of statement a text is, and whether it stands alone."""

from __future__ import annotations

import collections
import pickle
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples

from howdah.core.query import MAX_REMEMBERED, read_query
from howdah.errors import DataError, ProgrammingError


@pytest.mark.parametrize(
    ("text", "sql", "names", "count"),
    [
        ("SELECT 1", "SELECT 1", None, 0),
        ("SELECT %s", "SELECT $1", None, 1),
        ("%s", "$1", None, 1),
        ("SELECT %s, %b, %t", "SELECT $1, $2, $3", None, 3),
        ("SELECT %s%s", "SELECT $1$2", None, 2),
        ("SELECT 5 %% %s", "SELECT 5 % $1", None, 1),
        ("SELECT %%s", "SELECT %s", None, 0),
        ("SELECT %%%s", "SELECT %$1", None, 1),
        ("LIKE 'a%%'", "LIKE 'a%'", None, 0),
        ("%(a)s %(b)s", "$1 $2", ["a", "b"], 2),
        ("%(b)s %(a)b %(b)t", "$1 $2 $1", ["b", "a"], 2),
        ("%(a b)s", "$1", ["a b"], 1),
        ("%(имя)s", "$1", ["имя"], 1),
        ("%()s", "$1", [""], 1),
        (" ".join(["%s"] * 12), " ".join(f"${i}" for i in range(1, 13)), None, 12),
        ("ü%sß", "ü$1ß", None, 1),
        ("line\n%s\nline", "line\n$1\nline", None, 1),
    ],
)
def test_placeholders(text: str, sql: str, names: list[str] | None, count: int) -> None:
    query = read_query(text, True)
    assert (query.sql.decode(), query.names, query.count) == (sql, names, count)


@pytest.mark.parametrize("text", ["SELECT 10 % 3", "SELECT %s", "SELECT %%", "%(", "100%"])
def test_without_parameters_the_text_goes_out_untouched(text: str) -> None:
    query = read_query(text, False)
    assert (query.sql.decode(), query.count) == (text, -1)


@pytest.mark.parametrize(
    ("text", "shown", "place"),
    [
        ("SELECT %d", "%d", 8),
        ("SELECT %", "%", 8),
        ("SELECT 10 % 3", "% ", 11),
        ("SELECT %(a)d", "%(a)d", 8),
        ("SELECT %(a", "%(", 8),
        ("SELECT %(a)", "%(", 8),
        ("SELECT %S", "%S", 8),
        ("%%%", "%", 3),
        ("%s %\n", "%\n", 4),
    ],
)
def test_what_is_no_placeholder_is_named_with_its_place(text: str, shown: str, place: int) -> None:
    with pytest.raises(ProgrammingError) as caught:
        read_query(text, True)
    assert f"{shown!r} at character {place} is no placeholder" in str(caught.value)
    assert "%%" in str(caught.value)


@pytest.mark.parametrize("text", ["%s %(a)s", "%(a)s %s", "%(a)s %(b)s %t"])
def test_positional_and_named_cannot_be_mixed(text: str) -> None:
    with pytest.raises(ProgrammingError, match="cannot be mixed"):
        read_query(text, True)


@examples(300)
@given(st.lists(st.sampled_from(["%s", "%%", "x", "'", " ", "%b", "\n", "$1", "ü"]), max_size=20))
def test_text_around_placeholders_is_kept(parts: list[str]) -> None:
    query = read_query("".join(parts), True)
    expected = ""
    number = 0
    for part in parts:
        if part in ("%s", "%b"):
            number += 1
            expected += f"${number}"
        else:
            expected += "%" if part == "%%" else part
    assert (query.sql.decode(), query.count) == (expected, number)


# -- the values


class Sequence:
    def __init__(self, *items: object) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> object:
        return self.items[index]


@pytest.mark.parametrize("params", [(1, 2), [1, 2], Sequence(1, 2), range(1, 3), collections.deque([1, 2])])
def test_sequences(params: Any) -> None:
    assert read_query("%s %s", True).values(params) == [1, 2]


@pytest.mark.parametrize(
    "params",
    [
        {"a": 1, "b": 2},
        collections.OrderedDict(b=2, a=1),
        collections.defaultdict(int, a=1, b=2),
        {"a": 1, "b": 2, "c": 3},
    ],
)
def test_mappings(params: Any) -> None:
    assert read_query("%(b)s %(a)s %(b)s", True).values(params) == [2, 1]


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("%s", (), "the query has 1 placeholder but 0 parameters were given"),
        ("%s %s", (1,), "the query has 2 placeholders but 1 parameter was given"),
        ("SELECT 1", [1], "the query has 0 placeholders but 1 parameter was given"),
        ("%s", "x", "(value,)"),
        ("%s", b"x", "(value,)"),
        ("%s", 7, "(value,)"),
        ("%s", iter([1]), "(value,)"),
        ("%s", {"a": 1}, "positional placeholders"),
        ("%(a)s", (1,), "mapping"),
        ("%(a)s", 7, "mapping"),
        ("%(b)s %(a)s %(c)s", {"c": 1}, "parameters are missing: a, b"),
    ],
)
def test_parameters_that_do_not_fit(text: str, params: Any, message: str) -> None:
    with pytest.raises(ProgrammingError) as caught:
        read_query(text, True).values(params)
    assert message in str(caught.value)


def test_values_are_not_in_the_error() -> None:
    with pytest.raises(ProgrammingError) as caught:
        read_query("%(a)s", True).values({"b": "canary"})
    assert "canary" not in str(caught.value)


def test_an_empty_mapping_for_no_placeholders() -> None:
    assert read_query("SELECT 1", True).values({}) == []


# -- the text


def test_bytes_and_subclasses_of_str() -> None:
    class Text(str):
        pass

    assert read_query(b"SELECT \xc3\xa9", False).sql == "SELECT é".encode()
    assert read_query(bytearray(b"SELECT %s"), True).sql == b"SELECT $1"
    assert read_query(Text("SELECT %s"), True).sql == b"SELECT $1"


@pytest.mark.parametrize("query", [None, 7, ["SELECT 1"], memoryview(b"SELECT 1")])
def test_other_types_are_refused(query: Any) -> None:
    with pytest.raises(ProgrammingError, match="a query is a str or bytes"):
        read_query(query, False)


def test_text_that_cannot_be_sent() -> None:
    with pytest.raises(ProgrammingError, match="the query holds a NUL"):
        read_query("SELECT '\0'", False)
    with pytest.raises(DataError, match="lone surrogate at position 8"):
        read_query("SELECT '\ud800'", False)
    with pytest.raises(DataError, match="at byte 7"):
        read_query(b"SELECT \xff", False)


def test_texts_are_remembered_within_bounds() -> None:
    first = read_query("SELECT remembered", False)
    assert read_query("SELECT remembered", False) is first
    assert read_query("SELECT remembered", True) is not first
    for i in range(3 * MAX_REMEMBERED):
        read_query(f"SELECT {i}", False)
    assert read_query("SELECT remembered", False) is not first
    long = "SELECT '" + "x" * 100_000 + "'"
    assert read_query(long, False) is not read_query(long, False)


# -- the kind of a statement


@pytest.mark.parametrize(
    ("text", "kind", "preparable"),
    [
        ("SELECT 1", "SELECT", True),
        ("  \t\r\n select 1", "SELECT", True),
        ("(SELECT 1) UNION (SELECT 2)", "SELECT", True),
        ("((( values (1))))", "VALUES", True),
        ("-- a comment\nTABLE t", "TABLE", True),
        ("--\n--\nWITH x AS (SELECT 1) SELECT * FROM x", "SELECT", True),
        ("WITH x AS (SELECT 1), y AS (DELETE FROM t RETURNING a) INSERT INTO u SELECT * FROM x", "INSERT", True),
        ("with recursive r(n) as (values (1) union all select n + 1 from r) update t set a = n from r", "UPDATE", True),
        ("WITH insert AS MATERIALIZED (SELECT 1), update AS (SELECT 2) TABLE insert", "TABLE", True),
        ("(WITH x AS (SELECT 1) SELECT * FROM x)", "SELECT", True),
        ("WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN MATCHED THEN DELETE", "MERGE", True),
        ("/* a /* nested */ comment */ SELECT 1", "SELECT", True),
        ("; SELECT 1", "SELECT", True),
        ("'SELECT'", "", False),
        ("größe 1", "GRÖSSE", False),
        ("/* one */ /* two **/INSERT INTO t VALUES (1)", "INSERT", True),
        ("/**/UPDATE t SET a = 1", "UPDATE", True),
        ("DELETE FROM t", "DELETE", True),
        ("MERGE INTO t USING s ON true WHEN MATCHED THEN DO NOTHING", "MERGE", True),
        ("FETCH 1 FROM c", "FETCH", False),
        ("EXECUTE p", "EXECUTE", False),
        ("SHOW timezone", "SHOW", False),
        ("EXPLAIN SELECT 1", "EXPLAIN", False),
        ("CALL p()", "CALL", False),
        ("CREATE TABLE t ()", "CREATE", False),
        ("COPY t FROM STDIN", "COPY", False),
        ("BEGIN", "BEGIN", False),
        ("", "", False),
        (";", "", False),
        ("-- nothing", "", False),
        ("/* not closed SELECT", "", False),
        ("SELECT 1;", "SELECT", True),
        ("SELECT 1; SELECT 2", "SELECT", False),
    ],
)
def test_kinds(text: str, kind: str, preparable: bool) -> None:
    query = read_query(text, False)
    assert (query.kind, query.preparable) == (kind, preparable)


SINGLE = [
    "SELECT 1",
    "SELECT 1;",
    "SELECT 1 ; ; \n;",
    "SELECT 1; -- done",
    "SELECT 1; /* done; really */ ",
    "SELECT ';'",
    "SELECT 'it''s; fine'",
    "SELECT ''';'",
    'SELECT ";" FROM t',
    'SELECT "a"";b"',
    r"SELECT E'\';'",
    r"SELECT e'\\'';'",
    r"SELECT E'\\', ';'",
    r"SELECT '\', ';'",
    "SELECT $$;$$",
    "SELECT $a$ $$ ; $b$ $a$",
    "SELECT $größe$;$größe$",
    "SELECT $_1$;$_1$",
    "-- a; comment\nSELECT 1",
    "/* a; comment */ SELECT 1",
    "/* a /* nested; */ comment; */ SELECT 1",
    "SELECT 1 /* /* ; */ */",
    "SELECT U&'\\0441;', B'1', x';'",
    "; SELECT 1",
    'SELECT U&"a;"";b" FROM t',
    "SELECT n'it''s; fine'",
    "SELECT E'a'\n 'b\\';'",
    "SELECT E'a' -- a comment\n 'b\\';'",
    "SELECT 1$a$;$a$",
    "SELECT 1e5, 0x1F, a[1:2], 7 %% 3 @> '{}'::jsonb;",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM u; DELETE FROM v)",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
    "create or replace procedure p() begin atomic delete from t; delete from u; end;",
    "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT CASE a WHEN 1 THEN 2 END; SELECT 3; END",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2'",
    "DO $do$ BEGIN EXECUTE 'a;b'; PERFORM $in$;$in$; END $do$",
    "SELECT 1 -- ;\n + 2",
    "SELECT '--', 1 -- ;",
    "SELECT '/*', 1 /* ; */",
    "",
    ";",
    " ; ",
]
SEVERAL = [
    "SELECT 1; SELECT 2",
    "SELECT 1;SELECT 2;",
    "SELECT ';'; SELECT 2",
    "SELECT 1; 'x'",
    'SELECT 1; "x"',
    "SELECT 1; $$x$$",
    "SELECT 1; -- and\nSELECT 2",
    "SELECT 1; /* and */ SELECT 2",
    "SELECT 1 /* ; */; SELECT 2",
    "SELECT E'\\''; SELECT 2",
    "SELECT '\\'; SELECT 2",
    "SELECT $a$ $a$; SELECT 2",
    "SELECT $1; SELECT 2",
    "SELECT '--'; SELECT 2",
    "SELECT '/*'; SELECT '*/'",
    "SELECT a$b$c; SELECT 2",
    "SELECT a$b$ + 1 AS c$b; SELECT 2",
    "SELECT type'x'; SELECT 2",
    "SELECT nameE'x\\'; SELECT 2",
    "SELECT E'a' 'b\\'; SELECT 2",
    "SELECT 'a'\n'b\\'; SELECT 2",
    "SELECT U&'\\'; SELECT 2",
    "BEGIN; SELECT 1; END",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SELECT 2",
    "CREATE TABLE t (begin int, atomic int); SELECT 2",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT 2",
    "SELECT 1; 5",
    "SELECT 1;;= 2",
]


@pytest.mark.parametrize("text", SINGLE)
def test_stands_alone(text: str) -> None:
    assert read_query(text, False).single


@pytest.mark.parametrize("text", SEVERAL)
def test_holds_several_statements(text: str) -> None:
    assert not read_query(text, False).single


@pytest.mark.parametrize(
    "text",
    [
        "/*" * 20_000,
        "--" * 20_000,
        "SELECT " + "(" * 20_000,
        " " * 50_000,
        "/*" + "*" * 50_000,
        "-- x\n" * 10_000,
        "SELECT $a$" + "$" * 20_000 + ";",
        "SELECT " + "e'\\" * 10_000 + ";x",
        "%" * 50_000,
    ],
    ids=lambda text: text[:12],
)
def test_long_texts_are_read_in_reasonable_time(text: str) -> None:
    begin = time.process_time()
    query = read_query(text, False)
    assert query.text == text
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    "unit",
    [
        "'x' ",
        "''",
        "E'\\'' ",
        '"a""b" ',
        "/*x*/",
        "-- x\n",
        "(1),",
        "a.b, ",
        "$a$ $a$ ",
        "$",
        "1e5 ",
        ";x ",
        " ",
        "%s ",
        "E'a'\n",
    ],
)
def test_a_megabyte_is_read_in_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text = "SELECT " + unit * (size // len(unit))
        begin = time.process_time()
        read_query(text, "%s" in unit)
        return time.process_time() - begin

    seconds(1000)
    small = min(seconds(125_000) for _ in range(3))
    assert seconds(1_000_000) < 8 * 6 * max(small, 0.001)


def test_backslashes_count_where_the_session_says_so() -> None:
    """PostgreSQL manual, 4.1.2.2: with standard_conforming_strings off, a plain string is read like an E'' string."""
    for text, standard, off in [
        ("SELECT '\\'; SELECT 2", False, True),
        ("SELECT 'a\\';'", False, True),
        ("SELECT n'\\';'", False, True),
        ("SELECT B'1\\'; SELECT 2", False, False),
        ("SELECT '\\'';'", True, False),
    ]:
        assert (read_query(text, False).single, read_query(text, False, True).single) == (standard, off), text
    assert read_query("SELECT '\\', %s", True).values([1]) == [1]
    with pytest.raises(ProgrammingError, match="inside a string"):
        read_query("SELECT '\\', %s", True, True).values([1])
    with pytest.raises(ProgrammingError, match="inside a string"):
        read_query("SELECT '\\' %s'", True, True).values([1])


# -- placeholders where no parameter can stand


@pytest.mark.parametrize(
    ("text", "params", "where"),
    [
        ("SELECT '%s'", [1], "inside a string"),
        ("SELECT 'it''s %s'", [1], "inside a string"),
        ("SELECT E'\\'%s'", [1], "inside a string"),
        ("SELECT n'%(a)s', %(a)s", {"a": 1}, "inside a string"),
        ("DO $$ BEGIN PERFORM %s; END $$", [1], "inside a string"),
        ("SELECT $q$ %s $q$", [1], "inside a string"),
        ('SELECT "%s"', [1], "inside a quoted name"),
        ('SELECT U&"a""%s"', [1], "inside a quoted name"),
        ("SELECT 1 -- %s", [1], "inside a comment"),
        ("SELECT 1 /* /* */ %(a)s */", {"a": 1}, "inside a comment"),
        ("SELECT a%s", [1], "at the end of a name"),
    ],
)
def test_a_placeholder_that_is_no_parameter_is_refused(text: str, params: Any, where: str) -> None:
    with pytest.raises(ProgrammingError) as caught:
        read_query(text, True).values(params)
    place = text.index("%")
    message, line, caret = str(caught.value).splitlines()
    assert f"at character {place + 1} stands {where}" in message
    assert line == f"LINE 1: {text}" and caret.index("^") == len("LINE 1: ") + place


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("SELECT %(a)s /* %(a)s */ -- %(a)s", 1),
        ("SELECT '100%%', %s", 1),
        ("SELECT 7 %% %s, '{}'::jsonb @> %s, a[%s:%s]", 4),
        ("SELECT $1::text || %s", 1),
        ("SELECT %s::int, :%s, 1e5%s", 3),
        ("SELECT '--', %s, '/*', %s", 2),
        ("SELECT 'a' -- it's\n , %s", 1),
        ("SELECT $a$ ' $a$, %s", 1),
        ("SELECT a$b, %s, c$", 1),
        ("SELECT '' '' \"\"\"\" %s", 1),
        ("select(%s)", 1),
    ],
)
def test_placeholders_beside_quotes_and_comments(text: str, count: int) -> None:
    query = read_query(text, True)
    params = dict.fromkeys(query.names, 7) if query.names else [7] * count
    assert query.values(params) == [7] * count


def test_the_caret_stands_under_a_placeholder_that_is_none() -> None:
    with pytest.raises(ProgrammingError) as caught:
        read_query("SELECT 1,\n  5 % 3", True)
    assert str(caught.value).splitlines()[1:] == ["LINE 2:   5 % 3", "            ^"]


def test_cannot_be_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(read_query("SELECT 1", False))
