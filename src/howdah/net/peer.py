"""The address at the other end of a socket, for records."""

from __future__ import annotations

import os
import socket

from howdah.net.dial import shown_address


def peer_address(fileno: int) -> str | None:
    """Address and port of the peer of the socket with this descriptor; None when it is gone."""
    try:
        with socket.socket(fileno=os.dup(fileno)) as twin:
            return shown_address(twin.getpeername())
    except OSError:
        return None
