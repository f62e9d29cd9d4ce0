"""PG... variables stand in for what was not given, and only for that."""

from __future__ import annotations

import os

import pytest

from howdah.config.conninfo import KEYS, conninfo_to_dict, target_of
from howdah.config.environment import VARIABLES
from howdah.errors import Error, NotSupportedError, ProgrammingError

CANARY = "hunter2canary"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_every_variable_has_a_setting() -> None:
    protocol = {"min_protocol_version", "max_protocol_version"}
    assert set(VARIABLES.values()) - set(KEYS) <= protocol


def test_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOST": "db.example.net",
        "PGHOSTADDR": "192.0.2.7",
        "PGPORT": "6543",
        "PGDATABASE": "shop",
        "PGUSER": "alice",
        "PGPASSWORD": CANARY,
        "PGOPTIONS": "-c work_mem=5MB",
        "PGAPPNAME": "billing",
        "PGCONNECT_TIMEOUT": "3",
        "PGCLIENTENCODING": "utf-8",
        "PGSSLMODE": "verify-ca",
        "PGSSLROOTCERT": "/r",
        "PGSSLCERT": "/c",
        "PGSSLKEY": "/k",
        "PGSSLSNI": "0",
        "PGSSLNEGOTIATION": "direct",
        "PGSSLMINPROTOCOLVERSION": "TLSv1.2",
        "PGSSLMAXPROTOCOLVERSION": "TLSv1.3",
        "PGCHANNELBINDING": "require",
        "PGREQUIREAUTH": "scram-sha-256",
        "PGTZ": "Europe/Paris",
        "PGDATESTYLE": "ISO, DMY",
        "PGGEQO": "off",
    }.items():
        monkeypatch.setenv(name, value)
    target = target_of("", {})
    assert (target.host, target.hostaddr, target.port) == ("db.example.net", "192.0.2.7", 6543)
    assert (target.user, target.dbname, target.password) == ("alice", "shop", CANARY)
    assert target.connect_timeout_s == 3
    assert target.parameters == {
        "user": "alice",
        "database": "shop",
        "client_encoding": "UTF8",
        "application_name": "billing",
        "options": "-c work_mem=5MB",
        "timezone": "Europe/Paris",
        "datestyle": "ISO, DMY",
        "geqo": "off",
    }
    tls = target.tls
    assert (tls.mode, tls.root_file, tls.cert_file, tls.key_file) == ("verify-ca", "/r", "/c", "/k")
    assert (tls.send_name, tls.direct, tls.min_protocol, tls.max_protocol) == (False, True, "TLSv1.2", "TLSv1.3")
    assert target.auth.channel_binding == "require"
    assert target.auth.allowed == {"scram-sha-256"}
    assert CANARY not in repr(target)


def test_what_was_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGUSER", "PGPASSWORD", "PGDATABASE"):
        monkeypatch.setenv(name, "environment")
    monkeypatch.setenv("PGPORT", "1")
    target = target_of("host=string user=string port=2", {"user": "keyword"})
    assert (target.host, target.user, target.port, target.dbname) == ("string", "keyword", 2, "environment")
    assert conninfo_to_dict("host=string") == {"host": "string"}


def test_default_leaves_it_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGTZ", "default")
    monkeypatch.setenv("PGDATESTYLE", "")
    assert set(target_of("user=u", {}).parameters) == {"user", "database", "client_encoding"}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("PGPORT", "x", ProgrammingError),
        ("PGCLIENTENCODING", "LATIN1", NotSupportedError),
        ("PGSSLMODE", "yes", ProgrammingError),
        ("PGCONNECT_TIMEOUT", "soon", ProgrammingError),
        ("PGCHANNELBINDING", "on", ProgrammingError),
        ("PGREQUIREAUTH", "kerberos", ProgrammingError),
        ("PGSSLSNI", "maybe", ProgrammingError),
        ("PGSSLMINPROTOCOLVERSION", "SSLv3", ProgrammingError),
    ],
)
def test_what_cannot_be_used(monkeypatch: pytest.MonkeyPatch, name: str, value: str, error: type[Error]) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGPASSWORD", CANARY)
    with pytest.raises(error) as caught:
        target_of("user=u", {})
    assert CANARY not in str(caught.value)


def test_a_password_that_is_not_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", os.fsdecode(b"hunter\xff"))
    with pytest.raises(ProgrammingError, match="surrogate") as caught:
        target_of("user=u", {})
    assert "hunter" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
