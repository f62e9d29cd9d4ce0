"""CancelRequest: a connection of its own to the same address, one message, and the server closes it.

It asks the server to stop what a backend is running; nothing is answered, so success is not known here.
"""

from __future__ import annotations

import socket
import time

from howdah.wire.frontend import cancel_request

CANCEL_TIMEOUT_S = 2.0


def send_cancel(sock: socket.socket, pid: int, key: bytes) -> bool:
    """Asks the server that ``sock`` is connected to to cancel; waits until it has taken it, at most two seconds.

    False when the request could not be delivered: the session is being closed either way.
    """
    deadline = time.monotonic() + CANCEL_TIMEOUT_S
    try:
        peer = sock.getpeername()
        with socket.socket(sock.family, socket.SOCK_STREAM) as courier:
            courier.settimeout(CANCEL_TIMEOUT_S)
            courier.connect(peer)
            courier.sendall(cancel_request(pid, key))
            while courier.recv(64):
                if time.monotonic() > deadline:
                    return False
        return True
    except OSError:
        return False
