"""The asyncio driver's coroutines: resolving, dialling, connecting, closing, and leaving a request in the middle.

What runs for every request stands in net/aio_wire.py.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from howdah.core import recovery
from howdah.core.operation import Operation
from howdah.core.session import Session
from howdah.core.startup import Startup
from howdah.errors import ConnectionTimeout, OperationalError
from howdah.net.aio_wire import AioWire, Lock, Waiter
from howdah.net.attempt import SSL_REQUEST_MESSAGE, Attempt, check_nothing_follows
from howdah.net.blocking import MAX_ROUND_TRIP_S, connection_lost
from howdah.net.dial import (
    numeric_addresses,
    prepare_socket,
    refused,
    remaining,
    shown_address,
    timed_out,
    unknown_host,
)
from howdah.wire.frontend import cancel_request

if TYPE_CHECKING:
    from howdah.config.conninfo import Target


# what asyncio is told where connect_timeout=0: it knows no handshake without a limit
NO_HANDSHAKE_LIMIT_S = 86400.0


async def wait_for_turn(lock: Lock) -> None:
    """Waits for a lock that is taken."""
    turn = asyncio.get_running_loop().create_future()
    lock.waiting.append(turn)
    try:
        await turn
    except BaseException:
        if turn.done() and not turn.cancelled():
            # the lock was handed over in the same turn of the loop in which the wait was cancelled: pass it on
            lock.release()
        elif turn in lock.waiting:
            lock.waiting.remove(turn)
        raise


class AioDriver(AioWire, asyncio.BufferedProtocol):
    """One connection's driver. ``tls`` is what the handshake agreed (net.tls.TlsFacts), None in clear."""

    tls: Any = None

    async def leave(self, operation: Operation, exc: BaseException | None) -> None:
        """Its caller leaves an operation in the middle, by ``exc``, or its deadline has passed (None).

        Cancels, drains and fences, or drops: see core/recovery.py. Raises ``exc``, or QueryTimeout.
        """
        session = self.session
        late = recovery.timed_out(operation) if exc is None else None
        error = late or exc
        assert error is not None
        bound_s = recovery.CANCEL_TIMEOUT_S if late is None else recovery.grace_s(self.round_trip_s)
        try:
            await asyncio.wait_for(self.recover(operation), bound_s)
        except (OSError, asyncio.TimeoutError):
            pass  # what is left in the queue says that it did not go well
        finally:
            if session.head is not None:
                session.fail(recovery.dropped(error))
            if session.closed:
                self.drop()
                self.wake_all()
            if late is not None:
                recovery.say_how_it_ended(late, session, operation)
                operation.error = late
            operation.fail(error)
            self.finish(operation)
        raise error

    async def recover(self, operation: Operation) -> None:
        session = self.session
        operation.abandon()
        asked = await self.send_cancel()
        await self.settled(operation)
        if asked and not session.closed:
            await self.settled(recovery.fence(session))

    async def settled(self, operation: Operation) -> None:
        """Waits until all replies of an operation are read, whatever they say."""
        if not operation.done:
            waiter = Waiter(self, None)
            operation.waiter = waiter
            operation.sent = True
            self.send()
            await waiter

    async def send_cancel(self) -> bool:
        """CancelRequest on a connection of its own, until the server has closed that; False without a key. Raises OSError."""
        session = self.session
        sock = self.sock if self.transport is None else self.transport.get_extra_info("socket")
        if session.closed or not session.backend_key or sock is None:
            return False
        with socket.socket(sock.family, socket.SOCK_STREAM) as courier:
            courier.setblocking(False)
            await self.loop.sock_connect(courier, sock.getpeername())
            message = cancel_request(session.backend_pid, session.backend_key)
            if self.tls is not None:
                return await deliver_in_tls(self.loop, courier, self.tls, message)
            await self.loop.sock_sendall(courier, message)
            return await self.loop.sock_recv(courier, 64) == b""

    async def settle(self, operation: Operation, deadline: float) -> None:
        """Waits for the answer to a posted operation. When it does not come until ``deadline``, the connection is closed."""
        if not operation.done:
            waiter = Waiter(self, None)
            operation.waiter = waiter
            timer = self.loop.call_later(max(deadline - time.monotonic(), 0), waiter.wake)
            try:
                await waiter
            finally:
                timer.cancel()
                operation.waiter = None
            if not operation.done:
                self.session.fail(recovery.dropped(asyncio.TimeoutError()))
                self.drop()
                self.wake_all()
        self.finish(operation)

    async def close(self) -> None:
        """Says good-bye and closes; waits for nothing but, with a transport, the loop's next turn."""
        self.hang_up()
        await asyncio.shield(self.gone)

    def hang_up(self) -> None:
        """close(), without the loop's next turn."""
        session = self.session
        if not session.closed:
            session.terminate()
            self.send()
            session.receive_eof()
            if self.transport is None:
                self.drop()
            else:
                self.transport.close()
                if self.transport.get_write_buffer_size():
                    self.transport.abort()
                elif self.tls is not None:
                    # TLS's own good-bye would wait for the server's; once ours is out there is nothing to wait for
                    self.loop.call_soon(self.transport.abort)
            self.wake_all()


async def resolve(loop: asyncio.AbstractEventLoop, target: Target, deadline: float | None) -> list[Any]:
    """getaddrinfo in a daemon thread, so that neither the loop nor its shutdown waits for a dead resolver."""
    addresses = numeric_addresses(target)
    if addresses is not None:
        return addresses
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(value: object) -> None:
        if not answer.done():
            answer.set_result(value)

    def look_up() -> None:
        try:
            value: object = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError as exc:
            value = exc
        except UnicodeError:
            value = OSError(0, "it is no valid host name")
        try:
            loop.call_soon_threadsafe(settle, value)
        except RuntimeError:
            pass  # the loop was closed meanwhile: nobody waits for the answer

    threading.Thread(target=look_up, name="howdah-resolve", daemon=True).start()
    try:
        value = await asyncio.wait_for(answer, remaining(deadline))
    except asyncio.TimeoutError:
        raise timed_out(target, "looking up the host name") from None
    if isinstance(value, OSError):
        raise unknown_host(target, value) from value
    return value


async def dial(loop: asyncio.AbstractEventLoop, target: Target, deadline: float | None) -> socket.socket:
    """A connected non-blocking socket; the twin of net.dial.dial."""
    errors: list[Any] = []
    if target.is_unix:
        candidates: list[Any] = [(socket.AF_UNIX, target.socket_path, target.address)]
    else:
        found = await resolve(loop, target, deadline)
        candidates = [(entry[0], entry[4], shown_address(entry[4])) for entry in found]
    for family, address, where in candidates:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await asyncio.wait_for(loop.sock_connect(sock, address), remaining(deadline))
            prepare_socket(sock, target)
            return sock
        except (ConnectionTimeout, asyncio.TimeoutError):
            sock.close()
            raise timed_out(target, "opening the connection") from None
        except OSError as exc:
            sock.close()
            errors.append((where, exc))
        except BaseException:
            sock.close()
            raise
    raise refused(target, errors)


async def ask_for_tls(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    """The server's answer to SSLRequest, one byte and no more.

    On the socket itself, before there is a transport, which would read whatever is there.
    """
    await loop.sock_sendall(sock, SSL_REQUEST_MESSAGE)
    return await loop.sock_recv(sock, 1)


async def deliver_in_tls(loop: asyncio.AbstractEventLoop, courier: socket.socket, tls: Any, message: bytes) -> bool:
    """Sends ``message`` under the TLS that a session has, and waits for the end of the stream. Raises OSError."""
    if not tls.direct and await ask_for_tls(loop, courier) != b"S":
        return False  # never in clear
    reader, writer = await asyncio.open_connection(sock=courier, ssl=tls.context, server_hostname=tls.server_name or "")
    try:
        writer.write(message)
        return await reader.read(64) == b""
    finally:
        writer.transport.abort()


async def open_transport(driver: AioDriver, sock: socket.socket, attempt: Attempt, deadline: float | None) -> None:
    """Has the loop watch ``sock`` for ``driver``, after a TLS handshake if the attempt says so and the server agrees."""
    loop = driver.loop
    target = attempt.target
    if not attempt.secure:
        await _attach(driver, sock)
        return
    from howdah.net.tls import TlsFacts, handshake_failed, make_context, server_name

    context = make_context(target.tls, attempt.mode)
    if not target.tls.direct:
        if not attempt.accepts(await ask_for_tls(loop, sock)):
            await _attach(driver, sock)
            return
        check_nothing_follows(sock)
    name = server_name(target, context)
    try:
        await loop.create_connection(
            lambda: driver,
            sock=sock,
            ssl=context,
            server_hostname=name or "",
            ssl_handshake_timeout=remaining(deadline) or NO_HANDSHAKE_LIMIT_S,
        )
    except (OSError, ValueError) as exc:
        remaining(deadline)  # over: then it was that
        raise handshake_failed(target, exc) from exc
    driver.tls = TlsFacts(driver.transport.get_extra_info("ssl_object"), context, name, target.tls.direct)
    driver.tls.check()


async def connect(target: Target, session: Session, news: Callable[[], None]) -> AioDriver:
    """Dials ``target`` and starts ``session`` on it, all within the target's connect_timeout."""
    deadline = None
    if target.connect_timeout_s is not None:
        deadline = time.monotonic() + target.connect_timeout_s
    attempt = Attempt(target)
    while True:
        try:
            driver = await open_session(attempt, session, news, deadline)
            break
        except OperationalError as exc:
            attempt.fall_back(exc, session)
    attempt.warn(driver.tls)
    return driver


async def open_session(
    attempt: Attempt, session: Session, news: Callable[[], None], deadline: float | None
) -> AioDriver:
    """One attempt: dials, asks for TLS if the attempt says so, logs in; the twin of net.blocking.open_session."""
    target = attempt.target
    began = time.monotonic()
    sock = await dial(asyncio.get_running_loop(), target, deadline)
    driver = AioDriver(session, news)
    driver.round_trip_s = min(time.monotonic() - began, MAX_ROUND_TRIP_S)
    try:
        attempt.meet(sock)
        await asyncio.wait_for(open_transport(driver, sock, attempt, deadline), remaining(deadline))
    except (asyncio.TimeoutError, TimeoutError, ConnectionTimeout) as exc:
        sock.close()
        if deadline is None:  # the system's own limit
            raise connection_lost(exc) from exc
        raise timed_out(target, "starting TLS") from None
    except OSError as exc:
        sock.close()
        raise connection_lost(exc) from exc
    except BaseException:
        driver.drop()
        sock.close()
        raise
    tls = driver.tls
    startup = Startup(
        target.parameters, target.password, attempt.policy(tls and tls.certificate), target.protocol_versions
    )
    attempt.startup = startup
    driver.startup = startup
    try:
        if session.closed:
            raise cast(BaseException, session.failure)  # the server spoke, or went, before it was asked anything
        startup.begin(session)
        await asyncio.wait_for(_start(driver, startup), remaining(deadline))
    except asyncio.TimeoutError:
        session.fail(ConnectionTimeout("the connect took too long"))
        driver.drop()
        await driver.gone
        raise timed_out(target, "waiting for the server's answer") from None
    except BaseException as exc:
        session.fail(OperationalError(f"the connect was interrupted ({type(exc).__name__})"))
        driver.drop()
        await driver.gone
        raise
    finally:
        driver.startup = None
    return driver


async def _attach(driver: AioDriver, sock: socket.socket) -> None:
    """The loop watches the socket itself; a loop that cannot (Windows' default) gets a transport."""
    try:
        driver.loop.add_reader(sock, driver.readable)
        driver.sock = sock
    except NotImplementedError:
        await driver.loop.create_connection(lambda: driver, sock=sock)


async def _start(driver: AioDriver, startup: Startup) -> None:
    session = driver.session
    startup.sent = True
    while not startup.done:
        waiter = Waiter(driver, None)
        startup.waiter = waiter
        driver.send()
        await waiter
        if startup.work is not None and not startup.done:
            salted = await driver.loop.run_in_executor(None, startup.work)
            if not startup.done:
                startup.resume(session, salted)
    if startup.error is not None:
        raise startup.error
