"""Dialling: from a target to a connected socket, all addresses of a name in turn, inside one deadline.

Deadlines are times on ``time.monotonic``; None means no limit.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from howdah.errors import ConnectionTimeout, OperationalError

if TYPE_CHECKING:
    from howdah.config.conninfo import Target


def remaining(deadline: float | None) -> float | None:
    """Seconds left, at least a millisecond while there are any; raises ConnectionTimeout when there are none."""
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise ConnectionTimeout("the time for the connect is over", sent=False)
    return max(left, 0.001)


def timed_out(target: Target, stage: str) -> ConnectionTimeout:
    return ConnectionTimeout(
        f"connecting to {target.address} took longer than connect_timeout={target.connect_timeout_s:g} s ({stage})",
        sent=False,
    )


def refused(target: Target, errors: list[Any]) -> OperationalError:
    """The error of a dial in which every address failed."""
    if len(errors) == 1:
        where, exc = errors[0]
        return OperationalError(f"cannot connect to {where}: {reason_of(exc)}", sent=False)
    listed = "".join(f"\n  {where}: {reason_of(exc)}" for where, exc in errors)
    return OperationalError(f"cannot connect to {target.address}:{listed}", sent=False)


def reason_of(exc: OSError) -> str:
    hints = {
        errno.ECONNREFUSED: "connection refused (no server listens there)",
        errno.ENOENT: "no such socket (no server listens there)",
        errno.EACCES: "permission denied",
        errno.EHOSTUNREACH: "no route to the host",
        errno.ENETUNREACH: "the network is unreachable",
        errno.ETIMEDOUT: "the network timed out",
    }
    if isinstance(exc, socket.timeout):
        return "no answer in time"
    # asyncio puts its own words into strerror
    known = os.strerror(exc.errno) if exc.errno else ""
    return hints.get(exc.errno or 0) or (known or exc.strerror or str(exc) or type(exc).__name__).lower()


def unknown_host(target: Target, exc: OSError) -> OperationalError:
    what = exc.strerror or str(exc)
    return OperationalError(f"the host name {target.host!r} cannot be resolved: {what.lower()}", sent=False)


def numeric_addresses(target: Target) -> list[Any] | None:
    """The addresses of a target that needs no name look-up, else None."""
    host = target.hostaddr or target.host
    try:
        return socket.getaddrinfo(
            host, target.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except (socket.gaierror, UnicodeError) as exc:
        if target.hostaddr is not None:
            raise OperationalError(f"hostaddr {host!r} is no numeric address", sent=False) from exc
        return None


def resolve(target: Target, deadline: float | None) -> list[Any]:
    """getaddrinfo inside the deadline: in a thread of its own, since the resolver takes no timeout."""
    addresses = numeric_addresses(target)
    if addresses is not None:
        return addresses
    if deadline is None:
        try:
            return socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as exc:
            raise unknown_host(target, _as_os_error(exc)) from exc
    outcome: list[Any] = []

    def look_up() -> None:
        try:
            outcome.append(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as exc:
            outcome.append(_as_os_error(exc))

    thread = threading.Thread(target=look_up, name="howdah-resolve", daemon=True)
    thread.start()
    thread.join(remaining(deadline))
    if not outcome:
        raise timed_out(target, "looking up the host name")
    if isinstance(outcome[0], OSError):
        raise unknown_host(target, outcome[0]) from outcome[0]
    return outcome[0]


def _as_os_error(exc: Exception) -> OSError:
    if isinstance(exc, OSError):
        return exc
    return OSError(0, "it is no valid host name")  # IDNA refuses it: a UnicodeError


def shown_address(sockaddr: tuple[Any, ...]) -> str:
    host, port = sockaddr[0], sockaddr[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def prepare_socket(sock: socket.socket, target: Target) -> None:
    """Options of every TCP connection: no delay for small messages, and keepalives as the settings have them."""
    if target.is_unix:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in target.socket_options.items():
        option = getattr(socket, name, None)  # a system without it goes without, as libpq does
        if option is not None:
            sock.setsockopt(socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP, option, value)


def dial(target: Target, deadline: float | None) -> socket.socket:
    """A connected blocking socket. Raises OperationalError with every attempt listed, or ConnectionTimeout."""
    errors: list[Any] = []
    if target.is_unix:
        candidates = [(socket.AF_UNIX, target.socket_path, target.address)]
    else:
        candidates = [(entry[0], entry[4], shown_address(entry[4])) for entry in resolve(target, deadline)]
    for family, address, where in candidates:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(remaining(deadline))
            sock.connect(address)
            prepare_socket(sock, target)
            sock.settimeout(None)
            return sock
        except ConnectionTimeout:
            sock.close()
            raise timed_out(target, "opening the connection") from None
        except OSError as exc:
            sock.close()
            errors.append((where, exc))
            if deadline is not None and time.monotonic() >= deadline:
                raise timed_out(target, "opening the connection") from exc
        except BaseException:
            sock.close()
            raise
    raise refused(target, errors)
