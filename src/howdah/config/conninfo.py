"""Where to connect and as whom: keyword arguments, ``key=value`` strings and URIs.

The forms are libpq's (PostgreSQL manual, section 34.1.1). Errors name keys and never quote the string, which may hold a
password; ``Target`` keeps the password where no repr, pickle or format reaches it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from howdah.config.auth import AuthSettings
from howdah.config.environment import settings_of_environment, startup_parameters_of_environment
from howdah.config.pgpass import default_passfile, find_password
from howdah.config.tls import TlsSettings
from howdah.errors import NotSupportedError, ProgrammingError
from howdah.wire.frontend import PROTOCOL_3_0, PROTOCOL_3_2

if TYPE_CHECKING:
    import ssl

DEFAULT_PORT = 5432
# seconds for the whole connect: name look-up, TCP, TLS and authentication together
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
    "passfile": "file with passwords, ~/.pgpass by default",
    "connect_timeout": "seconds for the whole connect, 0 for no limit",
    "application_name": "shown in pg_stat_activity",
    "fallback_application_name": "application_name where none is set",
    "client_encoding": "UTF8 only",
    "options": "command-line options for the session",
    "sslmode": "disable, allow, prefer, require, verify-ca or verify-full",
    "sslnegotiation": "postgres, or direct: TLS from the first byte (PostgreSQL 17)",
    "sslrootcert": "file with the authorities to trust, or system for the system's",
    "sslcert": "file with the client's certificate",
    "sslkey": "file with its key",
    "sslpassword": "password of an encrypted key",
    "sslsni": "0: do not tell the server the host name in the handshake",
    "ssl_min_protocol_version": "TLSv1.2 by default",
    "ssl_max_protocol_version": "no limit by default",
    "channel_binding": "disable, prefer or require",
    "require_auth": "authentication methods that may be used",
    "keepalives": "0: no TCP keepalives",
    "keepalives_idle": "seconds of silence before the first one",
    "keepalives_interval": "seconds between them",
    "keepalives_count": "how many may be lost",
    "tcp_user_timeout": "milliseconds that sent data may stay unacknowledged",
    "min_protocol_version": "the oldest protocol to go on with: 3.0, 3.2 or latest",
    "max_protocol_version": "the protocol to ask for: 3.0 (the default, which every pooler knows), 3.2 or latest",
}
# settings that no text may show
SECRETS = frozenset(("password", "sslpassword"))
# C's isspace in ASCII, as libpq splits its strings
SPACES = " \t\n\r\v\f"
ALIASES = {"database": "dbname", "username": "user", "ssl": "sslmode"}
# the socket options of TCP, each a whole number; 0 or less is the system's default
KEEPALIVE_OPTIONS = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
}
PROTOCOL_VERSIONS = {"3.0": PROTOCOL_3_0, "3.2": PROTOCOL_3_2, "latest": PROTOCOL_3_2}


class Target:
    """Everything a dial needs. ``address`` is for messages; the password is in no repr.

    ``socket_options`` are numbers by the names that the module ``socket`` has for them.
    """

    __slots__ = (
        "_password",
        "auth",
        "connect_timeout_s",
        "dbname",
        "host",
        "hostaddr",
        "parameters",
        "port",
        "protocol_versions",
        "socket_options",
        "tls",
        "user",
    )

    def __init__(self, values: dict[str, str], ssl_context: ssl.SSLContext | None = None) -> None:
        self.hostaddr = values.get("hostaddr") or None
        self.port = _port(values.get("port"))
        self.host = values.get("host") or self.hostaddr or _default_host(self.port)
        self.user = values.get("user") or _os_user()
        self.dbname = values.get("dbname") or self.user
        self.connect_timeout_s = _timeout(values.get("connect_timeout"))
        self.tls = TlsSettings(values, ssl_context)
        self.auth = AuthSettings(values.get("require_auth"), values.get("channel_binding"))
        self.socket_options = _socket_options(values)
        self._password = values.get("password") or self._password_of_file(values.get("passfile"))
        for secret in (self._password, self.tls.key_password):
            if secret and not _is_text(secret):
                raise ProgrammingError("a password holds a NUL character or a lone surrogate: it cannot be sent")
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

    def _password_of_file(self, path: str | None) -> str | None:
        host = self.host
        # a line for localhost also means the default folders of the Unix socket, as in libpq
        names = (host, "localhost") if host in SOCKET_FOLDERS else (host,)
        named = bool(path) and path != os.environ.get("PGPASSFILE")
        return find_password(path or default_passfile(), named, names, self.port, self.dbname, self.user) or None

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


def _is_text(value: str) -> bool:
    try:
        return b"\0" not in value.encode("utf-8")
    except UnicodeEncodeError:
        return False


def _socket_options(values: dict[str, str]) -> dict[str, int]:
    options = {}
    if _whole_number(values, "keepalives", 1):
        options["SO_KEEPALIVE"] = 1
        for key, name in KEEPALIVE_OPTIONS.items():
            options[name] = _whole_number(values, key, 0)
    options["TCP_USER_TIMEOUT"] = _whole_number(values, "tcp_user_timeout", 0)
    return {name: value for name, value in options.items() if value > 0}


def _whole_number(values: dict[str, str], key: str, default: int) -> int:
    value = values.get(key)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        number = 1 << 31
    if not -(1 << 31) <= number < 1 << 31:
        raise ProgrammingError(f"{key} must be a whole number")
    return number


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
            if (key, value) == ("ssl", "true"):  # JDBC's way to say it, which libpq takes too
                key, value = "sslmode", "require"
            key = _known(_decode(key, "a key"))  # before it may be shown: it may be a piece of a password
            values[key] = _decode(value, key)
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
    """What ``connect`` was given, read and checked; the environment stands in for what was not."""
    context: Any = kwargs.pop("ssl_context", None)
    given = conninfo_to_dict(conninfo, **kwargs)
    values = {key: value for key, value in settings_of_environment().items() if key in KEYS}
    target = Target({**values, **given}, context)
    target.parameters.update(startup_parameters_of_environment())
    return target
