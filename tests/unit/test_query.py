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
        ("--\n--\nWITH x AS (SELECT 1) SELECT * FROM x", "WITH", True),
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


def test_cannot_be_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(read_query("SELECT 1", False))
