"""TLS on a connected socket: contexts from the settings, the handshake, and the socket that the blocking driver uses.

Loaded when TLS is used, since ``ssl`` is. The request for TLS and its one-byte answer come before (net.attempt); here the
bytes are OpenSSL's. The asyncio driver takes the context and leaves the rest to the event loop.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from howdah.config.tls import PROTOCOLS, REQUIRE, VERIFY_CA, VERIFY_FULL
from howdah.errors import OperationalError
from howdah.net.attempt import SSL_REQUEST_MESSAGE, Attempt, check_nothing_follows
from howdah.net.dial import remaining

if TYPE_CHECKING:
    from howdah.config.conninfo import Target
    from howdah.config.tls import TlsSettings

# the application protocol that direct TLS is told by (PostgreSQL manual, "SSL Session Encryption")
ALPN = "postgresql"
# a write is handed to OpenSSL in pieces of one record, so that one that must wait is repeated with few bytes
RECORD_BYTES = 16 * 1024
VERSIONS = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


class TlsFacts:
    """What was agreed in a handshake, under libpq's names; ``certificate`` is the server's, in DER."""

    __slots__ = ("attributes", "certificate", "context", "direct", "server_name")

    def __init__(self, connection: Any, context: ssl.SSLContext, name: str | None, direct: bool) -> None:
        cipher = connection.cipher()
        self.certificate: bytes = connection.getpeercert(True) or b""
        self.context = context
        self.server_name = name
        self.direct = direct
        self.attributes = {
            "library": "OpenSSL",
            "protocol": connection.version() or "",
            "key_bits": str(cipher[2]) if cipher else "",
            "cipher": cipher[0] if cipher else "",
            "compression": "on" if connection.compression() else "off",
            "alpn": connection.selected_alpn_protocol() or "",
        }

    def check(self) -> None:
        """Raises OperationalError when a server that was spoken to in TLS at once did not agree to PostgreSQL's protocol."""
        if self.direct and self.attributes["alpn"] != ALPN:
            raise OperationalError(
                "the server did not agree to the application protocol postgresql, which sslnegotiation=direct demands "
                "(an ssl_context of your own must offer it: set_alpn_protocols)",
                sent=False,
            )


def make_context(settings: TlsSettings, mode: str) -> ssl.SSLContext:
    """The context of the settings under ``mode``, or the user's own. Raises OperationalError for files it cannot use."""
    if settings.context is not None:
        return settings.context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = VERSIONS[PROTOCOLS.index(settings.min_protocol)]
    if settings.max_protocol:
        context.maximum_version = VERSIONS[PROTOCOLS.index(settings.max_protocol)]
    context.check_hostname = mode == VERIFY_FULL
    verifies = mode in (VERIFY_CA, VERIFY_FULL) or (mode == REQUIRE and bool(settings.root_file))
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    if verifies and settings.root_file:
        _load("the root certificates", settings.root_file, lambda: context.load_verify_locations(settings.root_file))
    elif verifies:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.cert_file:
        _load_client_certificate(context, settings)
    context.set_alpn_protocols([ALPN])
    return context


def _load_client_certificate(context: ssl.SSLContext, settings: TlsSettings) -> None:
    asked = []

    def password() -> str:
        asked.append(True)
        return settings.key_password

    if settings.key_file:
        _check_key_file(settings.key_file)
    try:
        _load(
            "the client certificate or its key",
            settings.cert_file,
            lambda: context.load_cert_chain(settings.cert_file, settings.key_file or None, password),
        )
    except OperationalError as exc:
        if not asked:
            raise
        hint = "sslpassword is wrong" if settings.key_password else "it is encrypted: set sslpassword"
        raise OperationalError(f"the key {settings.key_file!r} cannot be used: {hint}", sent=False) from exc.__cause__


def _check_key_file(path: str) -> None:
    """libpq's rule: nobody but its owner may read a key; root's may be read by its group, for a shared service."""
    try:
        facts = os.stat(path)
    except OSError:
        return  # loading it says why
    forbidden = stat.S_IRWXG | stat.S_IRWXO
    if facts.st_uid == 0:
        forbidden = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
    if stat.S_ISREG(facts.st_mode) and facts.st_mode & forbidden:
        raise OperationalError(
            f"the key {path!r} may be read by others: set its permissions to u=rw (0600), or 0640 if root owns it",
            sent=False,
        )


def _load(what: str, path: str, load: Callable[[], Any]) -> None:
    try:
        load()
    except ssl.SSLError as exc:
        raise OperationalError(f"{what} in {path!r} cannot be used: {words_of(exc)}", sent=False) from exc
    except OSError as exc:
        raise OperationalError(
            f"{what} in {path!r} cannot be read: {(exc.strerror or str(exc)).lower()}", sent=False
        ) from exc


def server_name(target: Target, context: ssl.SSLContext) -> str | None:
    """The name for the handshake: to be checked, and sent to the server where it is no address (SNI)."""
    if context.check_hostname or target.tls.send_name:
        return target.host
    return None


def words_of(exc: BaseException) -> str:
    """What an error of TLS says, without the names of OpenSSL's sources."""
    message = getattr(exc, "verify_message", None)
    if message:
        return str(message).rstrip(".")
    reason = getattr(exc, "reason", None)
    if reason:
        return str(reason).replace("_", " ").lower()
    strerror = getattr(exc, "strerror", None)
    return str(strerror or exc or type(exc).__name__).lower()


def handshake_failed(target: Target, exc: BaseException) -> OperationalError:
    """The error of a handshake; nothing of ours had been sent but the request for TLS."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        hint = ""
        if "unable to get" in words_of(exc) or "self" in words_of(exc):
            hint = "; sslrootcert names the file with the authority that signed it"
        return OperationalError(f"the certificate of {target.address} was refused: {words_of(exc)}{hint}")
    if isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)):
        return OperationalError(f"{target.address} closed the connection during the TLS handshake")
    return OperationalError(f"the TLS handshake with {target.address} failed: {words_of(exc)}")


class TlsSocket:
    """An SSLSocket with the parts of a socket's interface that net.blocking uses; it never waits, whatever the flags.

    OpenSSL holds decrypted bytes that ``poll`` knows nothing of: look at ``pending`` before waiting.
    """

    __slots__ = ("facts", "inner")

    def __init__(self, inner: ssl.SSLSocket, facts: TlsFacts) -> None:
        self.inner = inner
        self.facts = facts

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As socket.recv_into with MSG_DONTWAIT; 0 at the end of the stream, with or without TLS's own good-bye."""
        try:
            return self.inner.read(nbytes or len(buffer), buffer)  # type: ignore[return-value]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError(errno.EAGAIN, "nothing to read now") from None
        except ValueError:
            raise OSError(errno.EBADF, "the connection is closed") from None

    def send(self, data: Any, flags: int = 0) -> int:
        """As socket.send with MSG_DONTWAIT. What raised BlockingIOError must be sent again, from the same byte on."""
        try:
            return self.inner.write(memoryview(data)[:RECORD_BYTES])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError(errno.EAGAIN, "cannot write now") from None
        except ValueError:
            raise OSError(errno.EBADF, "the connection is closed") from None

    def pending(self) -> int:
        """How many decrypted bytes wait in OpenSSL."""
        try:
            return self.inner.pending()
        except ValueError:
            return 0  # closed

    def fileno(self) -> int:
        return self.inner.fileno()

    @property
    def family(self) -> int:
        return self.inner.family

    def getpeername(self) -> Any:
        return self.inner.getpeername()

    def shutdown(self, how: int) -> None:
        # not SSLSocket's, which drops the TLS state under a thread that reads
        socket.socket.shutdown(self.inner, how)

    def close(self) -> None:
        self.inner.close()


def secure(sock: socket.socket, attempt: Attempt, deadline: float | None) -> Any:
    """Asks for TLS on a blocking socket and shakes hands; the socket itself where ``prefer`` goes on in clear.

    Raises OperationalError, or TimeoutError at the deadline. The caller closes ``sock`` then.
    """
    target = attempt.target
    context = make_context(target.tls, attempt.mode)
    if not target.tls.direct:
        sock.settimeout(remaining(deadline))
        sock.sendall(SSL_REQUEST_MESSAGE)
        if not attempt.accepts(sock.recv(1)):
            sock.settimeout(None)
            return sock
        sock.setblocking(False)
        check_nothing_follows(sock)
    name = server_name(target, context)
    sock.settimeout(remaining(deadline))
    inner = None
    try:
        inner = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        inner.do_handshake()
        facts = TlsFacts(inner, context, name, target.tls.direct)
        facts.check()
        inner.setblocking(False)
    except BaseException as exc:
        if inner is not None:
            inner.close()
        if isinstance(exc, TimeoutError) or not isinstance(exc, (OSError, ValueError)):
            raise
        raise handshake_failed(target, exc) from exc
    return TlsSocket(inner, facts)


def deliver_in_tls(courier: socket.socket, facts: TlsFacts, message: bytes, until: float) -> bool:
    """Sends ``message`` under the TLS that a session has, and waits for the end of the stream. Raises OSError."""
    if not facts.direct:
        courier.sendall(SSL_REQUEST_MESSAGE)
        if courier.recv(1) != b"S":
            return False  # never in clear
    courier.settimeout(max(until - time.monotonic(), 0.001))
    with facts.context.wrap_socket(courier, server_hostname=facts.server_name) as inner:
        inner.sendall(message)
        inner.settimeout(max(until - time.monotonic(), 0.001))
        return inner.recv(64) == b""
