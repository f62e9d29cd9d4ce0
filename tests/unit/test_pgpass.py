"""The password file: which line counts, and which file is not used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from howdah.config.conninfo import target_of
from howdah.config.pgpass import find_password, split_line
from howdah.errors import InsecureConnectionWarning, OperationalError, ProgrammingError

CANARY = "hunter2canary"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path: Path, *lines: str, mode: int = 0o600) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.chmod(path, mode)
    return str(path)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("h:1:d:u:p", ["h", "1", "d", "u", "p"]),
        ("", [""]),
        ("::::", ["", "", "", "", ""]),
        (r"a\:b:c", [r"a\:b", "c"]),
        (r"a\\:c", [r"a\\", "c"]),
        ("a\\", ["a\\"]),
    ],
)
def test_fields(line: str, fields: list[str]) -> None:
    assert split_line(line) == fields


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("h:5432:d:u:secret", "secret"),
        ("*:*:*:*:secret", "secret"),
        ("h:*:d:u:secret\r", "secret"),
        ("other:5432:d:u:secret", None),
        ("h:5433:d:u:secret", None),
        ("h:5432:other:u:secret", None),
        ("h:5432:d:other:secret", None),
        ("#h:5432:d:u:secret", None),
        ("h:5432:d:u", None),
        ("", None),
        (r"h:5432:d:u:a\:b\\c", r"a:b\c"),
        ("h:5432:d:u:first:second", "first"),
        (r"\h:5432:d:u:secret", "secret"),
        (r"\*:5432:d:u:secret", None),
        ("h:5432:d:u:pässwörd", "pässwörd"),
        ("h:5432:d:u: spaces stay ", " spaces stay "),
        ("h*:5432:d:u:secret", None),
    ],
)
def test_lines(home: Path, line: str, password: str | None) -> None:
    path = write(home / "file", line)
    assert find_password(path, True, ("h",), 5432, "d", "u") == password


def test_the_first_line_that_matches_counts(home: Path) -> None:
    path = write(home / "file", "# comment", "h:1:d:u:other port", "h:*:d:u:first", "*:*:*:*:second")
    assert find_password(path, True, ("h",), 5432, "d", "u") == "first"
    assert find_password(path, True, ("elsewhere",), 5432, "d", "u") == "second"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_read_is_not_used(home: Path, mode: int) -> None:
    path = write(home / "file", f"*:*:*:*:{CANARY}", mode=mode)
    with pytest.warns(InsecureConnectionWarning, match="0600") as caught:
        assert find_password(path, True, ("h",), 1, "d", "u") is None
    assert CANARY not in str(caught[0].message)


def test_what_is_no_file(home: Path) -> None:
    with pytest.warns(InsecureConnectionWarning, match="plain file"):
        assert find_password(str(home), True, ("h",), 1, "d", "u") is None
    os.mkfifo(home / "pipe", 0o600)  # must not be waited for
    with pytest.warns(InsecureConnectionWarning, match="plain file"):
        assert find_password(str(home / "pipe"), True, ("h",), 1, "d", "u") is None


def test_a_file_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = str(home / "missing")
    assert find_password(missing, False, ("h",), 1, "d", "u") is None
    with pytest.raises(OperationalError, match="missing") as caught:
        target_of("host=h user=u", {"passfile": missing})
    assert caught.value.sent is False
    # the environment's, and the default one, are used where they are
    monkeypatch.setenv("PGPASSFILE", missing)
    assert target_of("host=h user=u", {}).password is None


def test_where_the_file_is_looked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".pgpass", "h:5432:d:u:home", "*:*:*:other:else")
    named = write(home / "named", "h:5432:d:u:named")
    environment = write(home / "environment", "h:5432:d:u:environment")
    assert target_of("host=h user=u dbname=d", {}).password == "home"
    assert target_of("host=h user=other", {}).password == "else"
    monkeypatch.setenv("PGPASSFILE", environment)
    assert target_of("host=h user=u dbname=d", {}).password == "environment"
    assert target_of("host=h user=u dbname=d", {"passfile": named}).password == "named"
    assert target_of("host=h user=u dbname=d password=given", {}).password == "given"
    monkeypatch.setenv("PGPASSWORD", "variable")
    assert target_of("host=h user=u dbname=d", {}).password == "variable"


def test_names_of_a_host(home: Path) -> None:
    write(home / ".pgpass", "localhost:*:*:*:local", "192.0.2.1:*:*:*:address", "db:*:*:*:name", "/srv:*:*:*:socket")
    assert target_of("host=/tmp user=u", {}).password == "local"
    assert target_of("host=localhost user=u", {}).password == "local"
    assert target_of("hostaddr=192.0.2.1 user=u", {}).password == "address"
    assert target_of("host=db hostaddr=192.0.2.1 user=u", {}).password == "name"
    assert target_of("host=/srv user=u", {}).password == "socket"


def test_bytes_that_are_not_text(home: Path) -> None:
    (home / ".pgpass").write_bytes(b"h:*:*:*:\xff\xfe\nx:*:*:*:a\0b\n")
    os.chmod(home / ".pgpass", 0o600)
    for host in ("h", "x"):
        with pytest.raises(ProgrammingError, match="surrogate"):
            target_of(f"host={host} user=u", {})


def test_the_password_shows_nowhere(home: Path) -> None:
    write(home / ".pgpass", f"*:*:*:*:{CANARY}")
    target = target_of("host=h user=u", {})
    assert target.password == CANARY
    assert CANARY not in f"{target!r} {target} {target.parameters} {target.tls!r}"
