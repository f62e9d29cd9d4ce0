"""Where to connect and as whom: keyword arguments, ``key=value`` strings and URIs.

The forms are libpq's (PostgreSQL manual, section 34.1.1). Errors name keys and never quote the string, which may hold a
password; ``Target`` keeps the password where no repr, pickle or format reaches it.
"""

from __future__ import annotations

import os
from urllib.parse import unquote

from howdah.errors import NotSupportedError, ProgrammingError
from howdah.wire.frontend import PROTOCOL_3_0, PROTOCOL_3_2

DEFAULT_PORT = 5432
# seconds for the whole connect: name look-up, TCP and authentication together
DEFAULT_CONNECT_TIMEOUT_S = 10.0
SOCKET_FOLDERS = ("/var/run/postgresql", "/tmp")

# key -> what it means; the keys howdah acts on
KEYS = {
    "host": "name, address, or the folder of a Unix socket",
    "hostaddr": "numeric address, no name look-up",
    "port": "port number",
    "dbname": "database",
    "user": "role",
    "password": "password",
    "connect_timeout": "seconds for the whole connect, 0 for no limit",
    "application_name": "shown in pg_stat_activity",
    "fallback_application_name": "application_name where none is set",
    "client_encoding": "UTF8 only",
    "options": "command-line options for the session",
    "sslmode": "disable, allow or prefer (TLS is not built yet)",
    "min_protocol_version": "the oldest protocol to go on with: 3.0, 3.2 or latest",
    "max_protocol_version": "the protocol to ask for: 3.0 (the default, which every pooler knows), 3.2 or latest",
}
# C's isspace in ASCII, as libpq splits its strings
SPACES = " \t\n\r\v\f"
ALIASES = {"database": "dbname", "username": "user", "ssl": "sslmode"}
PLAIN_SSLMODES = ("disable", "allow", "prefer")
PROTOCOL_VERSIONS = {"3.0": PROTOCOL_3_0, "3.2": PROTOCOL_3_2, "latest": PROTOCOL_3_2}
TLS_SSLMODES = ("require", "verify-ca", "verify-full")


class Target:
    """Everything a dial needs. ``address`` is for messages; the password is in no repr."""

    __slots__ = (
        "_password",
        "connect_timeout_s",
        "dbname",
        "host",
        "hostaddr",
        "parameters",
        "port",
        "protocol_versions",
        "user",
    )

    def __init__(self, values: dict[str, str]) -> None:
        self._password = values.get("password") or None
        self.hostaddr = values.get("hostaddr") or None
        self.port = _port(values.get("port"))
        self.host = values.get("host") or self.hostaddr or _default_host(self.port)
        self.user = values.get("user") or _os_user()
        self.dbname = values.get("dbname") or self.user
        self.connect_timeout_s = _timeout(values.get("connect_timeout"))
        mode = values.get("sslmode") or "prefer"
        if mode in TLS_SSLMODES:
            raise NotSupportedError(f"sslmode={mode} needs TLS, which this version of howdah does not speak yet")
        if mode not in PLAIN_SSLMODES:
            raise ProgrammingError(f"sslmode must be one of {', '.join(PLAIN_SSLMODES + TLS_SSLMODES)}")
        self.protocol_versions = _protocol_versions(
            values.get("min_protocol_version"), values.get("max_protocol_version")
        )
        encoding = values.get("client_encoding")
        if encoding and encoding.upper().replace("-", "") not in ("UTF8", "UNICODE", "AUTO"):
            raise NotSupportedError("client_encoding is always UTF8: howdah encodes and decodes text itself")
        self.parameters = {"user": self.user, "database": self.dbname, "client_encoding": "UTF8"}
        name = values.get("application_name") or values.get("fallback_application_name")
        if name:
            self.parameters["application_name"] = name
        if values.get("options"):
            self.parameters["options"] = values["options"]

    def __reduce__(self) -> str:
        raise TypeError("a connection target cannot be pickled: it holds a password")

    def __repr__(self) -> str:
        return f"<Target {self.address} dbname={self.dbname!r} user={self.user!r}>"

    @property
    def password(self) -> str | None:
        return self._password

    @property
    def is_unix(self) -> bool:
        return self.hostaddr is None and self.host[:1] in ("/", "@")

    @property
    def socket_path(self) -> str:
        """The path of the Unix socket; ``@`` is Linux's abstract name space."""
        path = f"{self.host}/.s.PGSQL.{self.port}"
        return "\0" + path[1:] if self.host[0] == "@" else path

    @property
    def address(self) -> str:
        if self.is_unix:
            return f"socket {self.host}/.s.PGSQL.{self.port}"
        host = self.hostaddr or self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _port(value: str | None) -> int:
    if not value:
        return DEFAULT_PORT
    try:
        port = int(value)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise ProgrammingError("port must be a number between 1 and 65535")
    return port


def _timeout(value: str | None) -> float | None:
    if value is None or value == "":
        return DEFAULT_CONNECT_TIMEOUT_S
    try:
        seconds = float(value)
    except ValueError:
        raise ProgrammingError("connect_timeout must be a number of seconds") from None
    if seconds != seconds or seconds == float("inf"):
        raise ProgrammingError("connect_timeout must be a number of seconds")
    return seconds if seconds > 0 else None


def _protocol_versions(oldest: str | None, newest: str | None) -> tuple[int, int]:
    """The oldest version that will do and the one to ask for, with libpq 18's defaults."""
    for key, value in (("min_protocol_version", oldest), ("max_protocol_version", newest)):
        if value and value not in PROTOCOL_VERSIONS:
            raise ProgrammingError(f"{key} must be one of {', '.join(PROTOCOL_VERSIONS)}")
    low = PROTOCOL_VERSIONS[oldest] if oldest else PROTOCOL_3_0
    # poolers refuse what they do not know instead of negotiating: 3.2 is asked for only by who wants it
    high = PROTOCOL_VERSIONS[newest or ("latest" if low > PROTOCOL_3_0 else "3.0")]
    if low > high:
        raise ProgrammingError("min_protocol_version is newer than max_protocol_version")
    return low, high


def _default_host(port: int) -> str:
    for folder in SOCKET_FOLDERS:
        if os.path.exists(f"{folder}/.s.PGSQL.{port}"):
            return folder
    return "localhost"


def _os_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise ProgrammingError("no user was given and the operating system knows none: set user=") from None


def conninfo_to_dict(conninfo: str = "", **kwargs: object) -> dict[str, str]:
    """The settings of a ``key=value`` string or URI, keyword arguments on top; None among them means not given.

    Raises ProgrammingError for a string that cannot be read and for a key that howdah does not know.
    """
    values = _parse(conninfo)
    for key, value in kwargs.items():
        if value is not None:
            values[_known(key, True)] = str(value)
    for key, value in values.items():
        if "\0" in value:
            raise ProgrammingError(f"the connection setting {key!r} holds a NUL character")
    return values


def make_conninfo(conninfo: str = "", **kwargs: object) -> str:
    """A ``key=value`` string of the settings of ``conninfo`` and the keyword arguments on top of them."""
    parts = []
    for key, value in conninfo_to_dict(conninfo, **kwargs).items():
        if not value or any(char in value for char in SPACES + "'\\="):
            value = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        parts.append(f"{key}={value}")
    return " ".join(parts)


def _known(key: str, show: bool = False) -> str:
    """The key under its one name. Unknown ones are shown only when they are keyword arguments: in a string they may be a
    piece of a password that was not quoted."""
    key = ALIASES.get(key, key)
    if key in KEYS:
        return key
    from difflib import get_close_matches

    close = get_close_matches(key, KEYS, 1)
    hint = f"; did you mean {close[0]!r}?" if close else f"; the keys are {', '.join(KEYS)}"
    shown = repr(key) if show else "of one of the names in the string"
    raise ProgrammingError(f"there is no connection setting {shown}{hint}")


def _parse(conninfo: str) -> dict[str, str]:
    if not isinstance(conninfo, str):
        raise ProgrammingError(f"a connection string is a str, not {type(conninfo).__name__}")
    if conninfo.startswith(("postgresql://", "postgres://")):
        return _parse_uri(conninfo)
    return _parse_pairs(conninfo)


def _parse_pairs(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    at = 0
    end = len(text)
    while True:
        while at < end and text[at] in SPACES:
            at += 1
        if at == end:
            return values
        start = at
        while at < end and text[at] != "=" and text[at] not in SPACES:
            at += 1
        key = text[start:at]
        while at < end and text[at] in SPACES:
            at += 1
        if at == end or text[at] != "=":
            raise ProgrammingError(
                'a connection string is a URI (postgresql://...) or "key=value" pairs: an = is missing'
            )
        at += 1
        while at < end and text[at] in SPACES:
            at += 1
        key = _known(key)
        value = []
        if at < end and text[at] == "'":
            at += 1
            while at < end and text[at] != "'":
                if text[at] == "\\" and at + 1 < end:
                    at += 1
                value.append(text[at])
                at += 1
            if at == end:
                raise ProgrammingError(f"the connection string's value of {key!r} lacks its closing quote")
            at += 1
        else:
            while at < end and text[at] not in SPACES:
                if text[at] == "\\" and at + 1 < end:
                    at += 1
                value.append(text[at])
                at += 1
        values[key] = "".join(value)


def _parse_uri(uri: str) -> dict[str, str]:
    values: dict[str, str] = {}
    rest = uri.split("://", 1)[1]
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    if slash and path:
        values["dbname"] = _decode(path, "dbname")
    userinfo, at_sign, hostport = authority.rpartition("@")
    if at_sign:
        user, colon, password = userinfo.partition(":")
        if user:
            values["user"] = _decode(user, "user")
        if colon:
            values["password"] = _decode(password, "password")
    if "," in hostport:
        raise NotSupportedError("several hosts in one connection string are not supported yet")
    if hostport.startswith("["):
        host, bracket, port = hostport[1:].partition("]")
        if not bracket or (port and port[0] != ":"):
            raise ProgrammingError(
                "the URI's IPv6 address lacks its closing bracket or is followed by something else than a port"
            )
        port = port[1:]
    else:
        host, _, port = hostport.partition(":")
    if host:
        values["host"] = _decode(host, "host")
    if port:
        values["port"] = port
    if query:
        for pair in query.split("&"):
            key, equals, value = pair.partition("=")
            if not equals:
                raise ProgrammingError("a setting behind the URI's ? lacks its =")
            values[_known(_decode(key, "a key"))] = _decode(value, key)
    return values


def _decode(text: str, what: str) -> str:
    """Percent-decoding, strict: a stray % is an error and so are bytes that are not UTF-8."""
    at = text.find("%")
    while at >= 0:
        if len(text) < at + 3 or any(char not in "0123456789abcdefABCDEF" for char in text[at + 1 : at + 3]):
            raise ProgrammingError(
                f"the URI's {what} has a % that two hexadecimal digits do not follow; write %25 for a percent sign"
            )
        at = text.find("%", at + 1)
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ProgrammingError(f"the URI's {what} is not UTF-8 behind its percent signs") from None


def target_of(conninfo: str, kwargs: dict[str, object]) -> Target:
    """What ``connect`` was given, read and checked."""
    return Target(conninfo_to_dict(conninfo, **kwargs))
