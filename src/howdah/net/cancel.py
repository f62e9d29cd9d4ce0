"""CancelRequest: a connection of its own to the same address, one message, and the server closes it.

It asks the server to stop what a backend is running; nothing is answered, so success is not known here. The end of the
stream says that the server has passed the request on.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from howdah.wire.frontend import cancel_request

if TYPE_CHECKING:
    from howdah.core.session import Session


def send_cancel(sock: Any, session: Session, until: float) -> bool:
    """Asks the server that ``sock`` is connected to to cancel; waits until it has taken it, at most ``until``.

    Under TLS when the session is.

    False when the request could not be delivered, or the session has no key for one.
    """
    if session.closed or not session.backend_key:
        return False
    try:
        peer = sock.getpeername()
        with socket.socket(sock.family, socket.SOCK_STREAM) as courier:
            courier.settimeout(max(until - time.monotonic(), 0.001))
            courier.connect(peer)
            message = cancel_request(session.backend_pid, session.backend_key)
            tls = getattr(sock, "facts", None)
            if tls is not None:
                from howdah.net.tls import deliver_in_tls

                return deliver_in_tls(courier, tls, message, until)
            courier.sendall(message)
            courier.settimeout(max(until - time.monotonic(), 0.001))
            return courier.recv(64) == b""
    except OSError as exc:
        if exc.errno is None and not isinstance(exc, socket.timeout):
            raise  # a signal handler's
        return False
