"""howdah.errors: the tree, the classes of the SQLSTATEs, the facts an error carries, and how it is shown."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import unicodedata
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah import errors
from howdah._sqlstates import SQLSTATES
from howdah.errors import Diagnostic, Error, error_from_fields, lookup

PEP249 = {
    "InterfaceError": "Error",
    "DatabaseError": "Error",
    "DataError": "DatabaseError",
    "OperationalError": "DatabaseError",
    "IntegrityError": "DatabaseError",
    "InternalError": "DatabaseError",
    "ProgrammingError": "DatabaseError",
    "NotSupportedError": "DatabaseError",
    "ConnectionTimeout": "OperationalError",
    "CancellationTimeout": "OperationalError",
    "PipelineAborted": "OperationalError",
    "ProtocolError": "OperationalError",
}

# The letters of the manual's section "Error and Notice Message Fields", and psycopg's names for them.
FIELDS = {
    "S": "severity",
    "V": "severity_nonlocalized",
    "C": "sqlstate",
    "M": "message_primary",
    "D": "message_detail",
    "H": "message_hint",
    "P": "statement_position",
    "p": "internal_position",
    "q": "internal_query",
    "W": "context",
    "s": "schema_name",
    "t": "table_name",
    "c": "column_name",
    "d": "datatype_name",
    "n": "constraint_name",
    "F": "source_file",
    "L": "source_line",
    "R": "source_function",
}


def at(query: str, position: int, **fields: str) -> list[str]:
    """The lines that are shown below the message for an error at `position` of `query`."""
    error = error_from_fields({"C": "42601", "M": "message", "P": str(position), **fields}, query)
    return str(error).split("\n")[1:]


@pytest.mark.parametrize(("name", "base"), PEP249.items())
def test_tree(name: str, base: str) -> None:
    error_class = getattr(errors, name)
    assert error_class.__bases__ == (getattr(errors, base),)
    assert error_class.__doc__


def test_warning_is_one_of_pythons() -> None:
    assert issubclass(errors.Warning, Exception)
    assert not issubclass(errors.Warning, Error)
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.Warning)
        with pytest.raises(errors.InsecureConnectionWarning, match="no TLS"):
            warnings.warn("no TLS", errors.InsecureConnectionWarning, stacklevel=1)


@pytest.mark.parametrize(
    ("sqlstate", "name", "base"),
    [
        ("02000", "NoData", "DatabaseError"),
        ("08006", "ConnectionFailure", "OperationalError"),
        ("0A000", "FeatureNotSupported", "NotSupportedError"),
        ("22012", "DivisionByZero", "DataError"),
        ("23505", "UniqueViolation", "IntegrityError"),
        ("25P02", "InFailedSqlTransaction", "InternalError"),
        ("28P01", "InvalidPassword", "OperationalError"),
        ("3D000", "InvalidCatalogName", "ProgrammingError"),
        ("40001", "SerializationFailure", "OperationalError"),
        ("40P01", "DeadlockDetected", "OperationalError"),
        ("42P01", "UndefinedTable", "ProgrammingError"),
        ("53300", "TooManyConnections", "OperationalError"),
        ("55P03", "LockNotAvailable", "OperationalError"),
        ("57014", "QueryCanceled", "OperationalError"),
        ("58030", "IoError", "OperationalError"),
        ("72000", "SnapshotTooOld", "DatabaseError"),
        ("P0001", "RaiseException", "ProgrammingError"),
        ("XX000", "InternalError_", "InternalError"),
    ],
)
def test_lookup(sqlstate: str, name: str, base: str) -> None:
    found = lookup(sqlstate)
    assert found.__name__ == name
    assert found.__bases__ == (getattr(errors, base),)
    assert found.sqlstate == sqlstate
    assert getattr(errors, name) is found
    assert lookup(sqlstate.lower()) is found


def test_lookup_by_condition_name() -> None:
    assert lookup("unique_violation") is errors.UniqueViolation
    assert lookup("UNDEFINED_TABLE") is errors.UndefinedTable
    assert lookup("internal_error") is errors.InternalError_


@pytest.mark.parametrize("sqlstate", ["", "99999", "2350", "nonsense", "data_error", "Error"])
def test_lookup_of_nothing(sqlstate: str) -> None:
    with pytest.raises(KeyError):
        lookup(sqlstate)


def test_every_class() -> None:
    names = dir(errors)
    for name, sqlstate in SQLSTATES.items():
        error_class = getattr(errors, name)
        assert error_class is lookup(sqlstate)
        assert error_class.__module__ == "howdah.errors"
        assert sqlstate in error_class.__doc__
        assert name in names
        assert type(pickle.loads(pickle.dumps(error_class("text")))) is error_class
    assert len(SQLSTATES) > 250
    assert len(set(SQLSTATES.values())) == len(SQLSTATES)


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match=r"howdah\.errors.*NoSuchThing"):
        errors.NoSuchThing  # type: ignore[attr-defined]  # noqa: B018


def test_import_makes_no_class_and_loads_little() -> None:
    code = (
        "import sys; before = set(sys.modules); import importlib.util as u\n"
        "before = set(sys.modules)\n"
        f"spec = u.spec_from_file_location('errors', {errors.__file__!r})\n"
        "module = u.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "print(sorted(set(sys.modules) - before), 'UniqueViolation' in vars(module))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "['__future__'] False"


@pytest.mark.parametrize(
    ("sqlstate", "base"),
    [
        ("23999", "IntegrityError"),
        ("42ZZZ", "ProgrammingError"),
        ("HV999", "OperationalError"),
        ("99999", "DatabaseError"),
        ("", "DatabaseError"),
        ("nonsense", "DatabaseError"),
    ],
)
def test_unknown_sqlstate_gives_the_base_of_its_family(sqlstate: str, base: str) -> None:
    error = error_from_fields({"C": sqlstate, "M": "text"})
    assert type(error) is getattr(errors, base)
    assert error.sqlstate == sqlstate


def test_fields() -> None:
    fields = {letter: f"value of {name}" for letter, name in FIELDS.items()}
    diag = error_from_fields(fields).diag
    assert {name: getattr(diag, name) for name in FIELDS.values()} == {
        name: f"value of {name}" for name in FIELDS.values()
    }
    assert all(vars(Diagnostic)[name].__doc__ for name in FIELDS.values())
    with pytest.raises(AttributeError):
        diag.sqlstate = "23505"


def test_missing_fields_are_none() -> None:
    error = Error("text")
    assert [getattr(error.diag, name) for name in FIELDS.values()] == [None] * len(FIELDS)
    assert error.sqlstate is None
    assert error.query is None
    assert error.sent is None
    assert str(error) == "text"
    assert str(Error()) == ""
    assert "without a message" in str(error_from_fields({"C": "XX000"}))


def test_pickle_and_copy_keep_everything() -> None:
    fields = {"C": "42703", "M": 'column "x" does not exist', "P": "8", "D": "detail", "n": "constraint"}
    error = error_from_fields(fields, "select x", sent=True)
    error.__notes__ = ["a note"]
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is errors.UndefinedColumn
        assert str(twin) == str(error)
        assert (twin.args, twin.query, twin.sent, twin.sqlstate) == (error.args, "select x", True, "42703")
        assert twin.diag.constraint_name == "constraint"
        assert twin.diag.table_name is None
        assert twin.__notes__ == ["a note"]
    unknown = pickle.loads(pickle.dumps(error_from_fields({"C": "99999", "M": "text"})))
    assert (type(unknown), unknown.sqlstate) == (errors.DatabaseError, "99999")


def test_repr_of_diagnostic() -> None:
    diag = Diagnostic({"V": "ERROR", "C": "23505", "M": "twice\x1b[2J"})
    assert repr(diag) == r"<Diagnostic ERROR 23505: twice\x1b[2J>"


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (errors.OperationalError("cannot connect", sent=False), True),
        (errors.ConnectionTimeout("too late", sent=False), True),
        (errors.OperationalError("connection lost", sent=True), False),
        (errors.OperationalError("connection lost"), False),
        (errors.ProgrammingError("too few parameters", sent=False), False),
        (errors.InterfaceError("closed", sent=False), False),
        (error_from_fields({"C": "40001"}, sent=True), True),
        (error_from_fields({"C": "40P01"}, sent=True), True),
        (error_from_fields({"C": "55P03"}, sent=True), True),
        (error_from_fields({"C": "53300"}), True),
        (error_from_fields({"C": "57P03"}), True),
        (error_from_fields({"C": "40003"}, sent=True), False),
        (error_from_fields({"C": "57P01"}, sent=True), False),
        (error_from_fields({"C": "57P01"}, sent=False), True),
        (error_from_fields({"C": "08006"}, sent=False), True),
        (error_from_fields({"C": "08006"}, sent=True), False),
        (error_from_fields({"C": "28P01"}, sent=False), False),
        (error_from_fields({"C": "23505"}, sent=True), False),
        (error_from_fields({"C": "57014"}, sent=True), False),
    ],
)
def test_retryable(error: Error, retryable: bool) -> None:
    assert error.retryable is retryable


def test_detail_and_hint() -> None:
    error = error_from_fields({"C": "23505", "M": "twice", "D": "Key (a)=(1).", "H": "Take another.", "W": "secret"})
    assert str(error) == "twice\nDETAIL:  Key (a)=(1).\nHINT:  Take another."
    assert error.diag.context == "secret"


def test_caret() -> None:
    error = error_from_fields(
        {"C": "42P01", "M": 'relation "nosuch" does not exist', "P": "15", "H": "Make it."},
        "select * from nosuch",
    )
    assert str(error) == (
        'relation "nosuch" does not exist\nLINE 1: select * from nosuch\n                      ^\nHINT:  Make it.'
    )


@pytest.mark.parametrize("linebreak", ["\n", "\r\n", "\r"])
def test_caret_in_a_later_line(linebreak: str) -> None:
    query = linebreak.join(["select a,", "       nosuch", "  from t"])
    assert at(query, query.index("nosuch") + 1) == ["LINE 2:        nosuch", "               ^"]
    assert at(query, query.index("from") + 1) == ["LINE 3:   from t", "          ^"]
    assert at(query, 1) == ["LINE 1: select a,", "        ^"]


def test_caret_behind_the_end() -> None:
    assert at("select (", 9) == ["LINE 1: select (", "                ^"]
    assert at("", 1) == ["LINE 1:", "        ^"]
    assert at("select\n", 8) == ["LINE 2:", "        ^"]


@pytest.mark.parametrize("position", ["0", "-1", "10", "99999999999", "x", "", "١", "1 "])
def test_no_caret_for_a_senseless_position(position: str) -> None:
    assert str(error_from_fields({"C": "42601", "M": "message", "P": position}, "select 1")) == "message"


def test_no_caret_without_the_query() -> None:
    assert str(error_from_fields({"C": "42601", "M": "message", "P": "1"})) == "message"


def test_tabs_count_as_one_column() -> None:
    assert at("\tselect\tx", 9) == ["LINE 1:  select x", "                ^"]


def test_wide_and_combining_characters() -> None:
    assert at("'世界' x", 6) == ["LINE 1: '世界' x", "               ^"]
    assert at("'e\u0301e\u0301' x", 8) == ["LINE 1: 'e\u0301e\u0301' x", "             ^"]


def test_positions_count_characters_not_bytes_or_units() -> None:
    assert at("'🐘' x", 5) == ["LINE 1: '🐘' x", "             ^"]


def test_long_lines_are_cut_around_the_caret() -> None:
    query = "select " + "a" * 100 + " X " + "b" * 100
    shown, caret = at(query, query.index("X") + 1)
    assert shown.startswith("LINE 1: ...aaaa")
    assert shown.endswith("bbb...")
    assert shown[caret.index("^")] == "X"
    assert len(shown) == len("LINE 1: ") + 3 + 60 + 3
    left, caret = at(query, 1)
    assert left == "LINE 1: " + query[:60] + "..."
    assert caret == " " * 8 + "^"
    right, caret = at(query, len(query))
    assert right == "LINE 1: ..." + query[-60:]
    assert caret.index("^") == len(right) - 1


def test_internal_query() -> None:
    error = error_from_fields({"C": "42703", "M": "message", "q": "select nosuch", "p": "8"}, "select f()")
    assert str(error) == "message\nQUERY:  select nosuch\nLINE 1: select nosuch\n               ^"


def columns(text: str) -> int:
    """Columns that text takes on a terminal, told another way than the module does."""
    return sum(
        0 if unicodedata.category(char) in ("Mn", "Me", "Cf") else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


@given(
    st.text(alphabet=st.characters(exclude_characters="X", exclude_categories=("Cs",)), max_size=150),
    st.text(alphabet=st.characters(exclude_characters="X", exclude_categories=("Cs",)), max_size=150),
)
def test_caret_stands_under_its_character(before: str, after: str) -> None:
    shown, caret = at(before + "X" + after, len(before) + 1)
    assert columns(shown[: shown.index("X")]) == len(caret) - 1
    assert columns(shown) <= len(f"LINE {len(before) + 1}: ") + 3 + 60 + 3
    assert not any(unicodedata.category(char) == "Cc" for char in shown)


@given(st.text(max_size=40), st.integers(-5, 60))
def test_any_query_and_position(query: str, position: int) -> None:
    lines = at(query, position)
    assert len(lines) == (2 if 1 <= position <= len(query) + 1 else 0)
    "\n".join(lines).encode("utf-8")


def test_control_characters_are_escaped() -> None:
    error = error_from_fields({"C": "XX000", "M": "a\x1b[31mb\rc\x07\x9b\u202e\n\td", "D": "\x1b]0;x", "H": "\x00"})
    assert str(error) == "a\\x1b[31mb\\x0dc\\x07\\x9b\\u202e\n\td\nDETAIL:  \\x1b]0;x\nHINT:  \\x00"
    assert error.diag.message_primary == "a\x1b[31mb\rc\x07\x9b\u202e\n\td"


def test_lone_surrogates_can_be_printed() -> None:
    assert str(error_from_fields({"M": "a\udc80b"})).encode("utf-8") == b"a\\udc80b"
    "".join(at("select '\ud800' x", 12)).encode("utf-8")


def test_words_of_a_server_that_did_not_show_who_it_is() -> None:
    error = error_from_fields({"C": "28000", "M": "no\x1b[31m", "F": "a\x1b.c"}, pre_auth=True)
    assert str(error) == r"the server said before authentication: no\x1b[31m"
    assert type(error) is errors.InvalidAuthorizationSpecification
    assert error.diag.source_file == r"a\x1b.c"


@pytest.mark.parametrize("letters", ["M", "MDH", "CM", "SM", "Mq", "".join(FIELDS)])
@pytest.mark.parametrize("text", ["\x1b[31m" * 60000, "世" * 100000, "x" * 4096, "x" * 3990 + "é" * 30])
def test_unauthenticated_words_are_cut(letters: str, text: str) -> None:
    fields = dict.fromkeys(letters, text)
    error = error_from_fields(fields, pre_auth=True)
    assert len(str(error).encode("utf-8")) <= 4096
    assert sum(len((getattr(error.diag, name) or "").encode("utf-8")) for name in FIELDS.values()) <= 4096
    assert "\x1b" not in str(error)
