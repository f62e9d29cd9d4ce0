"""The blocking driver: a plain socket, read straight into the session's buffer.

A small request is one ``send`` and its answer one ``recv_into``, with no selector in between. A deadline, or a request
larger than the kernel takes at once, goes through ``poll``: then it reads while it writes, so that a server which
answers while we still send never waits for us while we wait for it.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from howdah.core.operation import Operation
from howdah.core.session import Session
from howdah.core.startup import Startup
from howdah.errors import ConnectionTimeout, Error, InterfaceError, OperationalError
from howdah.net.cancel import send_cancel
from howdah.net.dial import dial, remaining, timed_out

if TYPE_CHECKING:
    from howdah.config.conninfo import Target

MSG_DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)
SMALL_BYTES = 16 * 1024


class BlockingDriver:
    """Moves bytes between one socket and one session. Not thread-safe: the connection's lock is around it."""

    __slots__ = ("news", "poller", "session", "sock")

    def __init__(self, session: Session, sock: socket.socket, news: Callable[[], None]) -> None:
        self.session = session
        self.sock = sock
        self.news = news
        self.poller: Any = None
        session.exclusive = True

    def __reduce__(self) -> Any:
        raise TypeError("a driver cannot be pickled")

    def run(self, operation: Operation) -> None:
        """Sends what the session has to send and reads until ``operation`` is done. Raises its error."""
        session = self.session
        try:
            data = session.data_to_send()
            operation.sent = True
            hook = session.hook
            if hook is not None:
                operation.sent_at = time.monotonic()
            count = 0
            if operation.deadline is None and len(data) <= SMALL_BYTES:
                count = self.sock.send(data)
            if count == len(data):
                recv_into = self.sock.recv_into
                while not operation.done:
                    count = recv_into(session.get_buffer())
                    if count:
                        session.received(count)
                        if hook is not None and operation.first_at == 0:
                            operation.first_at = time.monotonic()
                        if session.outbuf.pos:
                            self.exchange(session.data_to_send(), operation)
                    else:
                        session.receive_eof()
            else:
                self.exchange(data[count:], operation)
        except OSError as exc:
            if exc.errno is None:  # not the socket's: a signal handler raised it, as TimeoutError at SIGALRM
                self.abandon(operation, exc)
                raise
            self.lost(exc)
        except BaseException as exc:
            self.abandon(operation, exc)
            raise
        if session.closed:
            self.drop()
        if session.hook is not None:
            operation.done_at = time.monotonic()
            session.hook(operation)
        if session.notices or session.notifications:
            self.news()
        if operation.error is not None:
            raise operation.error

    def exchange(self, data: bytes, operation: Operation, until: Callable[[], bool] | None = None) -> None:
        """Reads while it writes, with poll, until ``data`` is out and the operation is done (or ``until()`` says so)."""
        session = self.session
        view = memoryview(data)
        while view or not (operation.done or (until is not None and until())):
            if session.closed:
                break
            readable, writable = self.wait(bool(view), operation.deadline)
            if readable:
                try:
                    count = self.sock.recv_into(session.get_buffer(), 0, MSG_DONTWAIT)
                except BlockingIOError:
                    continue
                if count:
                    session.received(count)
                    if session.hook is not None and operation.first_at == 0:
                        operation.first_at = time.monotonic()
                    if session.outbuf.pos:
                        view = memoryview(bytes(view) + session.data_to_send())
                else:
                    session.receive_eof()
            elif writable:
                try:
                    view = view[self.sock.send(view, MSG_DONTWAIT) :]
                except BlockingIOError:
                    continue

    def wait(self, want_write: bool, deadline: float | None) -> tuple[int, int]:
        """Waits for the socket, at most until ``deadline``. Raises ConnectionTimeout."""
        if self.poller is None:
            self.poller = select.poll()
        events = select.POLLIN | select.POLLOUT if want_write else select.POLLIN
        self.poller.register(self.sock, events)
        left = remaining(deadline)
        ready = self.poller.poll(None if left is None else left * 1000)
        if not ready:
            raise ConnectionTimeout("the server did not answer in time")
        bits = ready[0][1]
        return bits & ~select.POLLOUT, bits & select.POLLOUT

    def lost(self, exc: OSError) -> None:
        """The socket failed. What the server said before that may still lie in the kernel: it knows why."""
        session = self.session
        deadline = time.monotonic() + 1.0
        try:
            while not session.closed:
                poller = select.poll()
                poller.register(self.sock, select.POLLIN)
                if not poller.poll(max(deadline - time.monotonic(), 0) * 1000):
                    break
                count = self.sock.recv_into(session.get_buffer(), 0, MSG_DONTWAIT)
                if count:
                    session.received(count)
                else:
                    session.receive_eof()
        except OSError:
            pass  # nothing more can be read: the first error stands
        if not session.closed:
            session.fail(connection_lost(exc))

    def abandon(self, operation: Operation, exc: BaseException) -> None:
        """An operation was left in the middle: its answer must never meet another question, so the session ends."""
        session = self.session
        if not session.closed and not operation.done and session.backend_key:
            send_cancel(self.sock, session.backend_pid, session.backend_key)
        session.fail(OperationalError(f"the connection was closed: a request was interrupted ({type(exc).__name__})"))
        self.drop()

    def drop(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads; close() alone would not
        except OSError:
            pass  # not connected any more
        self.sock.close()

    def close(self) -> None:
        """Says good-bye and closes; never waits."""
        session = self.session
        if not session.closed:
            session.terminate()
            try:
                self.sock.send(session.data_to_send(), MSG_DONTWAIT)
            except OSError:
                pass  # the server is gone or does not read: closing the socket says the same
            session.receive_eof()
            self.drop()

    def close_now(self) -> None:
        """Drops the socket without a word: for a connection that was never closed."""
        self.session.fail(InterfaceError("the connection is closed"))
        self.drop()

    def fileno(self) -> int:
        """The socket's descriptor. Raises InterfaceError when it is closed."""
        if self.sock.fileno() < 0:
            raise InterfaceError("the connection is closed")
        return self.sock.fileno()


def connection_lost(exc: OSError) -> Error:
    error = OperationalError(f"the connection to the server was lost: {(exc.strerror or str(exc)).lower()}")
    error.__cause__ = exc
    return error


def connect(target: Target, session: Session, news: Callable[[], None]) -> BlockingDriver:
    """Dials ``target`` and starts ``session`` on it, all within the target's connect_timeout."""
    deadline = None
    if target.connect_timeout_s is not None:
        deadline = time.monotonic() + target.connect_timeout_s
    sock = dial(target, deadline)
    driver = BlockingDriver(session, sock, news)
    startup = Startup(target.parameters, target.password)
    startup.deadline = deadline
    try:
        startup.begin(session)
        startup.sent = True
        while not startup.done:
            driver.exchange(session.data_to_send(), startup, until=lambda: startup.work is not None)
            if startup.work is not None and not startup.done:
                startup.resume(session, startup.work())
            elif session.closed:
                break
        if startup.error is not None:
            raise startup.error
    except ConnectionTimeout as exc:
        driver.drop()
        raise timed_out(target, "waiting for the server's answer") from exc
    except OSError as exc:
        driver.lost(exc)
        driver.drop()
        raise startup.error or connection_lost(exc) from exc
    except BaseException:
        driver.drop()
        raise
    return driver
