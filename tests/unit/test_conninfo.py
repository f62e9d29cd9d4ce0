"""config.conninfo: URIs, key=value strings and keywords, and that no password is ever shown."""

from __future__ import annotations

import copy
import pickle
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples

from howdah.config import conninfo
from howdah.config.conninfo import DEFAULT_CONNECT_TIMEOUT_S, KEYS, Target, conninfo_to_dict, make_conninfo, target_of
from howdah.errors import Error, NotSupportedError, ProgrammingError

CANARY = "hunter2canary"

URIS = {
    "postgresql://": {},
    "postgres://": {},
    "postgresql://localhost": {"host": "localhost"},
    "postgresql://localhost:5433": {"host": "localhost", "port": "5433"},
    "postgresql://localhost/mydb": {"host": "localhost", "dbname": "mydb"},
    "postgresql://localhost/": {"host": "localhost"},
    "postgresql:///mydb": {"dbname": "mydb"},
    "postgresql://user@localhost": {"user": "user", "host": "localhost"},
    "postgresql://user:secret@localhost": {"user": "user", "password": "secret", "host": "localhost"},
    "postgresql://user:@localhost": {"user": "user", "password": "", "host": "localhost"},
    "postgresql://:secret@localhost": {"password": "secret", "host": "localhost"},
    "postgresql://user:se:cret@h": {"user": "user", "password": "se:cret", "host": "h"},
    "postgresql://user:se@cret@h": {"user": "user", "password": "se@cret", "host": "h"},
    "postgresql://u%40x:p%2F%3F%23%5B%5D%40%25@h/d%20b": {
        "user": "u@x",
        "password": "p/?#[]@%",
        "host": "h",
        "dbname": "d b",
    },
    "postgresql://%D0%B8%D0%BC%D1%8F@h": {"user": "имя", "host": "h"},
    "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp": {
        "user": "other",
        "host": "localhost",
        "dbname": "otherdb",
        "connect_timeout": "10",
        "application_name": "myapp",
    },
    "postgresql://h?user=a&password=b%26c": {"host": "h", "user": "a", "password": "b&c"},
    "postgresql://h/db?host=other": {"host": "other", "dbname": "db"},
    "postgresql://[2001:db8::1234]/database": {"host": "2001:db8::1234", "dbname": "database"},
    "postgresql://u@[::1]:5433/d": {"user": "u", "host": "::1", "port": "5433", "dbname": "d"},
    "postgresql://[::1]": {"host": "::1"},
    "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname": {"host": "/var/lib/postgresql", "dbname": "dbname"},
    "postgresql:///dbname?host=/var/lib/postgresql&port=5433": {
        "host": "/var/lib/postgresql",
        "dbname": "dbname",
        "port": "5433",
    },
    "postgresql://h?options=-c%20geqo%3Doff": {"host": "h", "options": "-c geqo=off"},
    "postgresql://h?application_name=": {"host": "h", "application_name": ""},
    "postgresql://h?application_name=a+b": {"host": "h", "application_name": "a+b"},
    "postgresql://h?application_name=a=b": {"host": "h", "application_name": "a=b"},
    "postgresql://h?username=u&database=d": {"host": "h", "user": "u", "dbname": "d"},
}
PAIRS = {
    "": {},
    "   ": {},
    "host=localhost": {"host": "localhost"},
    "host=localhost port=5433 dbname=mydb": {"host": "localhost", "port": "5433", "dbname": "mydb"},
    " host = localhost\n\tport=5433 ": {"host": "localhost", "port": "5433"},
    "password=''": {"password": ""},
    "password= host=h": {"password": "host=h"},
    "password='a b' user=u": {"password": "a b", "user": "u"},
    r"password='it\'s' user=u": {"password": "it's", "user": "u"},
    r"password='a\\b'": {"password": "a\\b"},
    r"password=a\ b": {"password": "a b"},
    r"password=a\'b": {"password": "a'b"},
    "password=a'b": {"password": "a'b"},
    "password='a=b'": {"password": "a=b"},
    "password=a=b": {"password": "a=b"},
    "user=имя": {"user": "имя"},
    "host=a host=b": {"host": "b"},
    "username=u database=d": {"user": "u", "dbname": "d"},
    "options='-c geqo=off'": {"options": "-c geqo=off"},
}


@pytest.mark.parametrize(
    ("text", "values"), [*URIS.items(), *PAIRS.items()], ids=lambda value: value if isinstance(value, str) else ""
)
def test_reads(text: str, values: dict[str, str]) -> None:
    assert conninfo_to_dict(text) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("postgresql://h?nosuch=1", "no connection setting"),
        ("postgresql://h?hots=1", "did you mean 'host'"),
        ("postgresql://h?host", "lacks its ="),
        ("postgresql://h?user=1&", "lacks its ="),
        ("postgresql://a,b", "several hosts"),
        ("postgresql://[::1", "closing bracket"),
        ("postgresql://[::1]x", "closing bracket"),
        ("postgresql://a%", "hexadecimal"),
        ("postgresql://a%2", "hexadecimal"),
        ("postgresql://a%zz", "hexadecimal"),
        ("postgresql://a%-1", "hexadecimal"),
        ("postgresql://%ff", "UTF-8"),
        ("postgresql://%00", "NUL"),
        ("postgresql://h/%00", "NUL"),
        ("host", "= is missing"),
        ("host port=1", "= is missing"),
        ("localhost:5432", "= is missing"),
        ("=x", "no connection setting"),
        ("user='a", "closing quote"),
        ("user='a\\'", "closing quote"),
        ("passwrod=x", "did you mean 'password'"),
        ("db_name=x", "did you mean 'dbname'"),
        ("user=a\0b", "NUL"),
        ("mysql://h", "= is missing"),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises((ProgrammingError, NotSupportedError)) as caught:
        conninfo_to_dict(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [None, 7, b"host=h"])
def test_a_connection_string_is_a_str(value: Any) -> None:
    with pytest.raises(ProgrammingError, match="is a str"):
        conninfo_to_dict(value)


def test_keywords_stand_above_the_string() -> None:
    assert conninfo_to_dict("host=a port=1", host="b", dbname=None, connect_timeout=2.5) == {
        "host": "b",
        "port": "1",
        "connect_timeout": "2.5",
    }
    assert conninfo_to_dict("dbname=a", database="b") == {"dbname": "b"}
    with pytest.raises(ProgrammingError, match="did you mean 'user'"):
        conninfo_to_dict(usr="x")
    with pytest.raises(ProgrammingError, match="NUL"):
        conninfo_to_dict(user="a\0")


settings = st.dictionaries(
    st.sampled_from(sorted(KEYS)),
    st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20),
)


@examples(500)
@given(settings)
def test_make_conninfo_is_read_back(values: dict[str, str]) -> None:
    assert conninfo_to_dict(make_conninfo(**values)) == values


def test_make_conninfo() -> None:
    assert make_conninfo("host=a", port=5433, dbname="my db") == "host=a port=5433 dbname='my db'"
    assert make_conninfo(password="it's \\") == r"password='it\'s \\'"
    assert make_conninfo() == ""


@examples(500)
@given(st.text(alphabet="postgresql://user:pw@[]h?=&%20'\\ ,\n", max_size=30), st.booleans())
def test_any_text_is_read_or_refused(text: str, uri: bool) -> None:
    try:
        conninfo_to_dict("postgresql://" + text if uri else text)
    except (ProgrammingError, NotSupportedError):
        pass


# -- the target


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conninfo, "SOCKET_FOLDERS", ())
    monkeypatch.setattr(conninfo, "_os_user", lambda: "me")
    target = target_of("", {})
    assert (target.host, target.port, target.user, target.dbname, target.password) == (
        "localhost",
        5432,
        "me",
        "me",
        None,
    )
    assert target.connect_timeout_s == DEFAULT_CONNECT_TIMEOUT_S
    assert target.parameters == {"user": "me", "database": "me", "client_encoding": "UTF8"}
    assert target_of("user=other", {}).dbname == "other"


def test_a_socket_that_is_there_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/.s.PGSQL.5433")
        monkeypatch.setattr(conninfo, "SOCKET_FOLDERS", ("/nonexistent", str(tmp_path)))
        target = target_of("user=u port=5433", {})
        assert target.is_unix
        assert target.socket_path == f"{tmp_path}/.s.PGSQL.5433"
        assert target_of("user=u port=5434", {}).host == "localhost"


@pytest.mark.parametrize(
    ("text", "unix", "address"),
    [
        ("host=h", False, "h:5432"),
        ("host=::1 port=7", False, "[::1]:7"),
        ("host=/tmp", True, "socket /tmp/.s.PGSQL.5432"),
        ("host=@abstract", True, "socket @abstract/.s.PGSQL.5432"),
        ("host=h hostaddr=127.0.0.1", False, "127.0.0.1:5432"),
        ("hostaddr=::1", False, "[::1]:5432"),
        ("host=/tmp hostaddr=127.0.0.1", False, "127.0.0.1:5432"),
    ],
)
def test_addresses(text: str, unix: bool, address: str) -> None:
    target = target_of(text + " user=u", {})
    assert (target.is_unix, target.address) == (unix, address)


def test_an_abstract_socket_begins_with_nul() -> None:
    assert target_of("host=@abstract user=u", {}).socket_path == "\0abstract/.s.PGSQL.5432"


@pytest.mark.parametrize(("text", "port"), [("", 5432), ("port=1", 1), ("port=65535", 65535), ("port=''", 5432)])
def test_ports(text: str, port: int) -> None:
    assert target_of(text + " user=u", {}).port == port


@pytest.mark.parametrize("port", ["0", "-1", "65536", "x", "5432x", "99999999999"])
def test_bad_ports(port: str) -> None:
    with pytest.raises(ProgrammingError, match="port must be"):
        target_of("user=u", {"port": port})


@pytest.mark.parametrize(
    ("value", "seconds"), [("3", 3.0), ("2.5", 2.5), ("0", None), ("-1", None), (None, 10.0), ("", 10.0)]
)
def test_timeouts(value: Any, seconds: float | None) -> None:
    assert target_of("user=u", {"connect_timeout": value}).connect_timeout_s == seconds


@pytest.mark.parametrize("value", ["x", "nan", "inf", "1s"])
def test_bad_timeouts(value: str) -> None:
    with pytest.raises(ProgrammingError, match="number of seconds"):
        target_of("user=u", {"connect_timeout": value})


def test_settings_become_startup_parameters() -> None:
    target = target_of("user=u dbname=d application_name=a options='-c x=y' client_encoding=utf-8", {})
    assert target.parameters == {
        "user": "u",
        "database": "d",
        "client_encoding": "UTF8",
        "application_name": "a",
        "options": "-c x=y",
    }
    assert target_of("user=u fallback_application_name=f", {}).parameters["application_name"] == "f"
    assert target_of("user=u fallback_application_name=f application_name=a", {}).parameters["application_name"] == "a"


def test_jdbc_s_word_for_tls() -> None:
    assert conninfo_to_dict("postgresql://h/d?ssl=true")["sslmode"] == "require"


def test_what_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="sslmode must be"):
        target_of("user=u sslmode=on", {})
    with pytest.raises(NotSupportedError, match="UTF8"):
        target_of("user=u client_encoding=latin1", {})


# -- secrets


def shown_by(target: Target) -> str:
    return " ".join(
        [
            repr(target),
            str(target),
            f"{target}",
            target.address,
            repr(target.parameters),
            repr(vars(type(target)).keys()),
        ]
    )


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://u:{CANARY}@h/d",
        f"postgresql://h/d?user=u&password={CANARY}",
        f"user=u host=h password={CANARY}",
        f"user=u host=h password='{CANARY}'",
    ],
)
def test_a_target_does_not_show_its_password(text: str) -> None:
    target = target_of(text, {})
    assert target.password == CANARY
    assert CANARY not in shown_by(target)
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            way(target)
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://u:{CANARY}%@h",
        f"postgresql://u:{CANARY}%ff@h",
        f"postgresql://u:{CANARY}%00@h",
        f"postgresql://u:{CANARY}@h:port",
        f"postgresql://u:{CANARY}@[::1",
        f"postgresql://u:{CANARY}@a,b",
        f"postgresql://u:{CANARY}@h?nosuch=1",
        f"postgresql://u:{CANARY}@h?x",
        f"postgresql://u:{CANARY}@h?sslmode=on",
        f"postgresql://u:{CANARY}@h?connect_timeout=x",
        f"postgresql://u:{CANARY}/x@h",  # a slash that should have been %2F
        f"postgresql://u:{CANARY}?x@h",
        f"postgresql://u:x?{CANARY}@h",
        f"postgresql://u:x?{CANARY}=y@h",
        f"postgresql://u:[{CANARY}@h?x",
        f"postgresql://h?password={CANARY}%",
        f"postgresql://h?password={CANARY}&x",
        f"postgres:/u:{CANARY}@h",
        f"u:{CANARY}@h",
        f"password='{CANARY}",
        f"password={CANARY} host",
        f"password={CANARY} nosuch=1",
        f"password={CANARY}\0",
        f"password='x' {CANARY}",
        f"password=x {CANARY}",
        f"password=x {CANARY}=y",
        f"password = x {CANARY} = y host=h",
    ],
)
def test_errors_never_show_the_password(text: str) -> None:
    with pytest.raises(Error) as caught:
        target_of(text, {})
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in str(error) and CANARY not in repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_keyword_errors_never_show_values() -> None:
    for keywords in ({"password": CANARY, "nosuch": 1}, {"password": CANARY + "\0"}, {"password": CANARY, "port": "x"}):
        with pytest.raises(ProgrammingError) as caught:
            target_of("user=u", keywords)
        assert CANARY not in str(caught.value)
