"""``Connection.info``: what is known of the session, without asking the server."""

from __future__ import annotations

import enum
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from howdah._base.connection import BaseConnection


class TransactionStatus(enum.IntEnum):
    """Where the session stands in a transaction; the numbers are libpq's."""

    IDLE = 0
    ACTIVE = 1
    INTRANS = 2
    INERROR = 3
    UNKNOWN = 4


class ConnStatus(enum.IntEnum):
    """Whether the connection can be used; the numbers are libpq's."""

    OK = 0
    BAD = 1


class PipelineStatus(enum.IntEnum):
    """Whether the connection is in pipeline mode; the numbers are libpq's."""

    OFF = 0
    ON = 1
    ABORTED = 2


_STATUS = {73: TransactionStatus.IDLE, 84: TransactionStatus.INTRANS, 69: TransactionStatus.INERROR}


class ConnectionInfo:
    """Facts of one connection. There is no password among them, on purpose."""

    __slots__ = ("_connection",)

    def __init__(self, connection: BaseConnection[Any]) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"<ConnectionInfo {self.dsn}>"

    @property
    def vendor(self) -> str:
        return "PostgreSQL"

    @property
    def host(self) -> str:
        """The host's name or address, or the folder of the Unix socket."""
        return self._connection._target.host

    @property
    def hostaddr(self) -> str:
        """The server's IP address, "" on a Unix socket. Raises InterfaceError when the connection is closed."""
        connection = self._connection
        target = connection._target
        if target.is_unix:
            return ""
        if target.hostaddr is not None:
            return target.hostaddr
        import os
        import socket

        with socket.socket(fileno=os.dup(connection.fileno())) as peer:
            return str(peer.getpeername()[0])

    @property
    def port(self) -> int:
        return self._connection._target.port

    @property
    def dbname(self) -> str:
        return self._connection._target.dbname

    @property
    def user(self) -> str:
        return self._connection._target.user

    @property
    def dsn(self) -> str:
        """A ``key=value`` string of the connection, without its password."""
        from howdah.config.conninfo import make_conninfo

        return make_conninfo(**self.get_parameters())

    @property
    def options(self) -> str:
        """The command-line options given for the session, "" when there were none."""
        return self._connection._target.parameters.get("options", "")

    def get_parameters(self) -> dict[str, str]:
        """The settings that the connection was made with, without the password and what was left at its default."""
        target = self._connection._target
        found = {"host": self.host, "port": str(self.port), "dbname": self.dbname, "user": self.user}
        if target.hostaddr is not None:
            found["hostaddr"] = target.hostaddr
        for name in ("application_name", "options"):
            if name in target.parameters:
                found[name] = target.parameters[name]
        return found

    @property
    def status(self) -> ConnStatus:
        """OK until the connection is closed or lost."""
        return ConnStatus.BAD if self._connection.closed else ConnStatus.OK

    @property
    def pipeline_status(self) -> PipelineStatus:
        """OFF: statements wait for their results."""
        return PipelineStatus.OFF

    @property
    def error_message(self) -> str:
        """Why the connection was lost, "" when it was not."""
        failure = self._connection._session.failure
        return "" if failure is None or not self._connection.broken else str(failure)

    @property
    def backend_pid(self) -> int:
        """The process ID of the server's side; a pooler may have made it up."""
        return self._connection._session.backend_pid

    @property
    def transaction_status(self) -> TransactionStatus:
        session = self._connection._session
        if session.closed:
            return TransactionStatus.UNKNOWN
        if session.head is not None:
            return TransactionStatus.ACTIVE
        return _STATUS.get(session.transaction_status, TransactionStatus.UNKNOWN)

    @property
    def ssl_in_use(self) -> bool:
        """Whether the connection is under TLS."""
        return self._connection._driver.tls is not None

    @property
    def ssl_attribute_names(self) -> list[str]:
        """The names that ``ssl_attribute`` knows; none without TLS."""
        tls = self._connection._driver.tls
        return [] if tls is None else list(tls.attributes)

    def ssl_attribute(self, name: str) -> str | None:
        """A fact of the TLS session, as libpq's PQsslAttribute: library, protocol, key_bits, cipher, compression, alpn.

        None without TLS and for other names.
        """
        tls = self._connection._driver.tls
        fact: str | None = None if tls is None else tls.attributes.get(name)
        return fact

    def parameter_status(self, name: str) -> str | None:
        """A setting the server reports (manual, "Asynchronous Operations"), None when it reports no such one."""
        return self._connection._session.parameters.get(name)

    @property
    def server_version(self) -> int:
        """As libpq counts: 180006 for 18.6, 90624 for 9.6.24; 0 when the server did not say."""
        text = (self.parameter_status("server_version") or "").split(" ")[0]
        digits = ["".join(char for char in part if char in "0123456789")[:6] for part in text.split(".")]
        if not digits[0]:
            return 0
        numbers = [int(part or 0) for part in digits] + [0, 0]
        if numbers[0] >= 10:
            return numbers[0] * 10000 + numbers[1]
        return numbers[0] * 10000 + numbers[1] * 100 + numbers[2]

    @property
    def full_protocol_version(self) -> int:
        """30000 for protocol 3.0, 30002 for 3.2 (manual, "PQfullProtocolVersion")."""
        version = self._connection._session.protocol_version
        return (version >> 16) * 10000 + (version & 0xFFFF)

    @property
    def timezone(self) -> tzinfo:
        """The session's TimeZone; UTC where Python does not know it."""
        zone: tzinfo = self._connection._session.registry.timezone
        return zone

    @property
    def encoding(self) -> str:
        """The Python codec of the session's text."""
        return "utf-8"
