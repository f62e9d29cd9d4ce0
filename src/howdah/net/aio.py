"""The asyncio driver: a BufferedProtocol that reads straight into the session's buffer.

One waiter an operation; no task, timer or lock a query. The event loop reads while the transport still writes, so a
large request cannot dead-lock. Works on every loop that has ``create_connection(sock=...)``, uvloop included.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from howdah.core.operation import Operation
from howdah.core.session import Session
from howdah.core.startup import Startup
from howdah.errors import ConnectionTimeout, InterfaceError, OperationalError
from howdah.net.blocking import connection_lost
from howdah.net.cancel import CANCEL_TIMEOUT_S
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


class Waiter:
    """A future for one task, which goes on inside the callback that has its answer.

    asyncio's own Future wakes its task at the loop's next turn, which costs a handle and a system call a query. This one
    calls the task's wake-up itself (``wake``), in the task's context; that is allowed wherever the loop runs a callback
    and no task. From inside a task, and for a cancellation, it goes through ``call_soon`` as a Future does. It has the
    part of Future's interface that asyncio.Task uses of what it awaits.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_done", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Waiter], object] | None = None
        self._context: Any = None
        self._done = False
        self._cancelled = False

    def __await__(self) -> Generator[Waiter, None, None]:
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def done(self) -> bool:
        return self._done

    def cancelled(self) -> bool:
        return self._cancelled

    def result(self) -> None:
        if self._cancelled:
            raise asyncio.CancelledError
        if not self._done:
            raise asyncio.InvalidStateError("the operation is not done")

    def exception(self) -> BaseException | None:
        self.result()
        return None

    def add_done_callback(self, callback: Callable[[Waiter], object], *, context: Any = None) -> None:
        if self._done:
            self._loop.call_soon(callback, self, context=context)
        elif self._callback is not None:
            raise RuntimeError("an operation is awaited by one task")
        else:
            self._callback = callback
            self._context = context

    def remove_done_callback(self, callback: Callable[[Waiter], object]) -> int:
        if self._callback != callback:
            return 0
        self._callback = None
        return 1

    def cancel(self, msg: object = None) -> bool:
        if self._done:
            return False
        self._cancelled = True
        self.wake_soon()
        return True

    def wake(self) -> None:
        """Done: runs the waiting task now. Only from a callback of the loop."""
        if not self._done:
            self._done = True
            callback = self._callback
            if callback is not None:
                self._callback = None
                self._context.run(callback, self)

    def wake_soon(self) -> None:
        """Done: runs the waiting task at the loop's next turn."""
        if not self._done:
            self._done = True
            if self._callback is not None:
                self._loop.call_soon(self._callback, self, context=self._context)
                self._callback = None


class AioDriver(asyncio.BufferedProtocol):
    """Moves bytes between one transport and one session, on one event loop."""

    def __init__(self, session: Session, news: Callable[[], None]) -> None:
        self.session = session
        # what the loop calls for each read: the session's own, with no call in between
        self.get_buffer = session.get_buffer  # type: ignore[method-assign]
        self.news = news
        self.loop = asyncio.get_running_loop()
        self.transport: Any = None
        self.startup: Startup | None = None
        self.gone = self.loop.create_future()

    # -- the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def buffer_updated(self, nbytes: int) -> None:
        session = self.session
        head = session.head
        finished = session.received(nbytes)
        if session.hook is not None and head is not None and not head.first_at:
            head.first_at = time.monotonic()
        if session.outbuf.pos:
            self.transport.write(session.data_to_send())
        if session.closed:
            self.transport.abort()
        # last, since the tasks go on inside
        if finished:
            for operation in session.take_finished():
                operation.waiter.wake()
        elif self.startup is not None and self.startup.work is not None:
            self.startup.waiter.wake()

    def eof_received(self) -> bool:
        self.session.receive_eof()
        self.wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        session = self.session
        if not session.closed:
            if exc is None:
                session.receive_eof()
            else:
                session.fail(connection_lost(exc) if isinstance(exc, OSError) else OperationalError(str(exc)))
        self.wake()
        if not self.gone.done():
            self.gone.set_result(None)

    def wake(self) -> None:
        for operation in self.session.take_finished():
            operation.waiter.wake_soon()

    # -- the shell calls

    async def run(self, operation: Operation) -> None:
        """Sends what the session has to send and waits until ``operation`` is done. Raises its error."""
        session = self.session
        waiter = Waiter(self.loop)
        operation.waiter = waiter
        operation.sent = True
        hook = session.hook
        if hook is not None:
            operation.sent_at = time.monotonic()
        self.transport.write(session.data_to_send())
        timer = None
        try:
            if operation.deadline is not None:
                timer = self.loop.call_later(operation.deadline - time.monotonic(), self.expire, operation)
            await waiter
        except BaseException as exc:
            if not operation.done:
                await self.abandon(exc)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if hook is not None:
            operation.done_at = time.monotonic()
            hook(operation)
        if session.notices or session.notifications:
            self.news()
        if operation.error is not None:
            raise operation.error

    def expire(self, operation: Operation) -> None:
        if not operation.done:
            self.session.fail(ConnectionTimeout("the server did not answer in time"))
            self.drop()
            self.wake()

    async def abandon(self, exc: BaseException) -> None:
        """An operation was left in the middle: its answer must never meet another question, so the session ends."""
        session = self.session
        cancel = not session.closed and session.backend_key
        peer = self.transport.get_extra_info("socket")
        session.fail(OperationalError(f"the connection was closed: a request was interrupted ({type(exc).__name__})"))
        self.wake()
        try:
            if cancel and peer is not None:
                await send_cancel(self.loop, peer.family, peer.getpeername(), session.backend_pid, session.backend_key)
        except OSError:
            pass  # the server is gone: nothing runs there that could be cancelled
        finally:
            self.drop()

    def drop(self) -> None:
        if self.transport is not None and not self.loop.is_closed():
            self.transport.abort()

    async def close(self) -> None:
        """Says good-bye and closes; waits for the socket to be closed, which the loop does at its next turn."""
        session = self.session
        if not session.closed:
            session.terminate()
            self.transport.write(session.data_to_send())
            session.receive_eof()
            self.wake()
            self.transport.close()
            if self.transport.get_write_buffer_size():
                self.transport.abort()
        await asyncio.shield(self.gone)

    def close_now(self) -> None:
        """Drops the socket without waiting: for a connection that was never closed."""
        self.session.fail(InterfaceError("the connection is closed"))
        self.drop()

    def fileno(self) -> int:
        """The socket's descriptor. Raises InterfaceError when it is closed."""
        sock = self.transport.get_extra_info("socket")
        if sock is None or self.session.closed or sock.fileno() < 0:
            raise InterfaceError("the connection is closed")
        return int(sock.fileno())


async def send_cancel(loop: asyncio.AbstractEventLoop, family: int, peer: Any, pid: int, key: bytes) -> None:
    """CancelRequest on a connection of its own, at most two seconds. Raises OSError."""
    with socket.socket(family, socket.SOCK_STREAM) as courier:
        courier.setblocking(False)

        async def deliver() -> None:
            await loop.sock_connect(courier, peer)
            await loop.sock_sendall(courier, cancel_request(pid, key))
            while await loop.sock_recv(courier, 64):
                continue

        try:
            await asyncio.wait_for(deliver(), CANCEL_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise OSError("the cancel request was not taken in time") from None


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
            prepare_socket(sock)
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


async def connect(target: Target, session: Session, news: Callable[[], None]) -> AioDriver:
    """Dials ``target`` and starts ``session`` on it, all within the target's connect_timeout."""
    loop = asyncio.get_running_loop()
    deadline = None
    if target.connect_timeout_s is not None:
        deadline = time.monotonic() + target.connect_timeout_s
    sock = await dial(loop, target, deadline)
    driver = AioDriver(session, news)
    try:
        if target.is_unix:
            await loop.create_unix_connection(lambda: driver, sock=sock)
        else:
            await loop.create_connection(lambda: driver, sock=sock)
    except BaseException:
        sock.close()
        raise
    startup = Startup(target.parameters, target.password)
    driver.startup = startup
    try:
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


async def _start(driver: AioDriver, startup: Startup) -> None:
    session = driver.session
    startup.sent = True
    while not startup.done:
        waiter = Waiter(driver.loop)
        startup.waiter = waiter
        driver.transport.write(session.data_to_send())
        await waiter
        if startup.work is not None and not startup.done:
            salted = await driver.loop.run_in_executor(None, startup.work)
            if not startup.done:
                startup.resume(session, salted)
    if startup.error is not None:
        raise startup.error
