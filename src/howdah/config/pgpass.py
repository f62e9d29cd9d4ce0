"""The password file (PostgreSQL manual, "The Password File"): lines of ``host:port:database:user:password``.

``*`` alone matches anything; ``\\`` makes the next character plain, so that ``\\:`` is a colon and ``\\\\`` a backslash. The
first line that matches counts. As in libpq, a file that others than its owner may read is not used, and says so.
"""

from __future__ import annotations

import os
import stat
import warnings

from howdah.errors import InsecureConnectionWarning, OperationalError


def default_passfile() -> str:
    return os.path.join(os.path.expanduser("~"), ".pgpass")


def find_password(path: str, named: bool, hosts: tuple[str, ...], port: int, dbname: str, user: str) -> str | None:
    """The password of the first line that matches, one of ``hosts`` being the server's name.

    None when the file is missing (an error where ``named``: the user said that it is there) or has no such line.
    """
    try:
        mode, content = _read(path)
    except OSError as exc:
        if named:
            raise OperationalError(
                f"the passfile {path!r} cannot be read: {(exc.strerror or str(exc)).lower()}", sent=False
            ) from None
        return None
    if not stat.S_ISREG(mode):
        _warn(path, "is not a plain file")
        return None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        _warn(path, "may be read or written by others: set its permissions to u=rw (0600) or less")
        return None
    wanted = (hosts, (str(port),), (dbname,), (user,))
    for line in content.decode("utf-8", "surrogateescape").split("\n"):
        line = line.rstrip("\r")
        if line and line[0] != "#":
            fields = split_line(line)
            if len(fields) >= 5 and all(_matches(field, names) for field, names in zip(fields, wanted)):
                return _plain(fields[4])
    return None


def _read(path: str) -> tuple[int, bytes]:
    """The mode of a file, and its content if it is a plain one. A pipe is not waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            return mode, b""
        with open(fd, "rb", closefd=False) as file:
            return mode, file.read()
    finally:
        os.close(fd)


def split_line(line: str) -> list[str]:
    """The fields of a line, still with their backslashes."""
    fields = []
    start = at = 0
    while at < len(line):
        if line[at] == "\\":
            at += 1
        elif line[at] == ":":
            fields.append(line[start:at])
            start = at + 1
        at += 1
    fields.append(line[start:])
    return fields


def _matches(field: str, names: tuple[str, ...]) -> bool:
    return field == "*" or _plain(field) in names


def _plain(field: str) -> str:
    """``field`` without its backslashes; one at the very end stays."""
    if "\\" not in field:
        return field
    out = []
    at = 0
    while at < len(field):
        if field[at] == "\\" and at + 1 < len(field):
            at += 1
        out.append(field[at])
        at += 1
    return "".join(out)


def _warn(path: str, what: str) -> None:
    warnings.warn(f"the password file {path!r} {what}; it is not used", InsecureConnectionWarning, stacklevel=7)
