"""What a connect tries: TLS or clear, in the order that ``sslmode`` says, and when it tries the other one.

    disable                        clear
    allow                          clear; TLS when the server's answer is an error before it asked for a password
    prefer                         TLS; clear when the server says that it has none, or pg_hba.conf rejects TLS
    require verify-ca verify-full  TLS

A failed handshake is never followed by an attempt in clear, and neither is a failed login: whoever sits in the middle
could bring both about. Unix sockets have no TLS, whatever the mode.
"""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from howdah.config.auth import LOCAL, PRIVATE, PUBLIC, AuthPolicy
from howdah.config.tls import ALLOW, DISABLE, PREFER
from howdah.core.startup import Startup
from howdah.errors import InsecureConnectionWarning, OperationalError, ProtocolError
from howdah.wire.frontend import SSL_REQUEST

if TYPE_CHECKING:
    from howdah.config.conninfo import Target
    from howdah.core.session import Session
    from howdah.errors import Error

# SSLRequest: its length and its code
SSL_REQUEST_MESSAGE = (8).to_bytes(4, "big") + SSL_REQUEST.to_bytes(4, "big")
HBA_REJECTED = "28000"


class Attempt:
    """The state of one connect. ``meet`` a connected socket, then ``secure`` says whether to ask for TLS on it."""

    __slots__ = ("earlier", "mode", "reach", "secure", "startup", "target")

    def __init__(self, target: Target) -> None:
        self.target = target
        self.mode = ""
        self.secure = False
        self.reach = LOCAL
        self.startup: Startup | None = None
        self.earlier: Error | None = None

    def meet(self, sock: socket.socket) -> None:
        """The other end is known: who may listen, and with that the mode."""
        if self.target.is_unix:
            self.mode = DISABLE
        elif self.earlier is None:
            self.reach = reach_of(self.target.host, sock.getpeername()[0])
            self.mode = self.target.tls.mode_for(self.reach == PUBLIC)
            self.secure = self.mode not in (DISABLE, ALLOW)

    def accepts(self, answer: bytes) -> bool:
        """Reads the one byte that answers SSLRequest: True for TLS, False to go on in clear. Raises OperationalError."""
        if answer == b"S":
            return True
        if answer == b"N" and self.mode == PREFER:
            return False
        if answer == b"N":
            advice = "" if self.target.tls.mode else "; set sslmode=prefer to connect in clear all the same"
            raise OperationalError(
                f"the server at {self.target.address} does not offer TLS, and sslmode={self.mode} demands it{advice}",
                sent=False,
            )
        if answer == b"E":
            # what follows is not shown: anybody could have sent it
            raise OperationalError("the server answered the request for TLS with an error", sent=False)
        if not answer:
            raise OperationalError("the server closed the connection when it was asked for TLS", sent=False)
        raise ProtocolError(f"the server answered the request for TLS with the byte 0x{answer.hex()}")

    def policy(self, certificate: bytes | None) -> AuthPolicy:
        """The rules for authentication; ``certificate`` is the server's, None without TLS."""
        if certificate is None:
            return AuthPolicy(self.target.auth, reach=self.reach)
        return AuthPolicy(self.target.auth, tls=True, reach=self.reach, end_point=binding_of(certificate))

    def fall_back(self, error: Error, session: Session) -> None:
        """Prepares the other way to connect after ``error``, or raises the error where there is none."""
        startup = self.startup
        told = startup is not None and error.sqlstate and not startup.method and not session.authenticated
        if self.earlier is not None:
            if self.secure is False and error.sqlstate == HBA_REJECTED:
                raise self.earlier  # neither way is let in: why TLS was not is what the user can act on
            raise error from self.earlier
        if not told or self.mode not in (ALLOW, PREFER) or (self.mode == PREFER and not self.secure):
            raise error
        if self.mode == PREFER and error.sqlstate != HBA_REJECTED:
            raise error
        self.earlier = error
        self.secure = not self.secure
        self.startup = None
        session.restart()

    def warn(self, tls: Any) -> None:
        """Tells of a connection that protects less than it looks. Called when it is open."""
        insecure = self.startup.policy.insecure if self.startup is not None else ""
        if insecure:
            text = f"{insecure} was sent without TLS over a network"
        elif tls is None and self.reach == PRIVATE and self.target.tls.mode is None:
            text = (
                "a connection over a network has no TLS, which the server does not offer; sslmode=prefer accepts that"
            )
        else:
            return
        warnings.warn(text, InsecureConnectionWarning, stacklevel=4)


def reach_of(host: str, peer: str) -> str:
    """Who may listen on the way to ``peer``, the numeric address of ``host``. A name of one label is a private network's."""
    if peer.startswith("127.") or peer == "::1":
        return LOCAL
    import ipaddress

    address = ipaddress.ip_address(peer.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return LOCAL
    return PUBLIC if address.is_global and ("." in host or ":" in host) else PRIVATE


def binding_of(certificate: bytes) -> Callable[[], bytes | None]:
    def end_point() -> bytes | None:
        from howdah.auth.binding import server_end_point

        return server_end_point(certificate)

    return end_point


def check_nothing_follows(sock: socket.socket) -> None:
    """The server may say nothing between its S and our ClientHello; bytes there were put in by somebody (CVE-2021-23222).

    They are only looked at. What comes later is read as TLS, and fails as such. Needs a non-blocking socket.
    """
    try:
        extra = sock.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return
    if extra:
        raise ProtocolError(
            "bytes in clear follow the server's consent to TLS: somebody on the way may have put them there; refused"
        )
