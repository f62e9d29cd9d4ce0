"""The blocking driver: a plain socket, read straight into the session's buffer.

A small request is one ``send`` and its answer one ``recv_into``, with no selector in between. A deadline, or a request
larger than the kernel takes at once, goes through ``poll``: then it reads while it writes, so that a server which
answers while we still send never waits for us while we wait for it.

Signals. A signal handler may raise at any time (Ctrl-C does), and what must not happen is that bytes were taken from
the kernel, or given to it, and nobody knows how many. Compiled code sees an exception of ``recv_into`` or ``send`` only
when the call moved nothing: Python runs signal handlers inside the call when it was interrupted in its wait, and then
only between bytecodes, of which there are none here. The pure build has bytecodes everywhere; there the wait is
always ``poll``'s, and ``in_io`` is true from a read or write that cannot wait until its count is booked. An exception that
leaves while ``in_io`` is true closes the connection; any other lets it live on (core/recovery.py). Under TLS it is the same
in both builds: OpenSSL takes bytes and counts later.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython

    from howdah.config.conninfo import Target
else:
    from howdah import _cy as cython

from howdah.core import recovery
from howdah.core.operation import Operation
from howdah.core.session import Session
from howdah.core.startup import Startup
from howdah.errors import ConnectionTimeout, Error, InterfaceError, OperationalError
from howdah.net.attempt import Attempt
from howdah.net.cancel import send_cancel
from howdah.net.dial import dial, remaining, timed_out

MSG_DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)
SMALL_BYTES = 16 * 1024
NOTHING = memoryview(b"")
# a dial that took longer waited for more than the network
MAX_ROUND_TRIP_S = 1.0


class DeadlinePassed(Exception):
    """The deadline of an operation passed while its answer was waited for; never seen outside this file."""


class BlockingDriver:
    """Moves bytes between one socket and one session. Not thread-safe: the connection's lock is around it.

    ``round_trip_s`` is how far away the server is: how long the dial took, at most MAX_ROUND_TRIP_S. ``unsent`` is what of
    the requests written has not left yet. ``tls`` is what the handshake agreed (net.tls.TlsFacts), None in clear.
    """

    __slots__ = ("in_io", "news", "poller", "round_trip_s", "session", "sock", "tls", "unsent")

    def __init__(self, session: Session, sock: Any, news: Callable[[], None]) -> None:
        self.session = session
        self.sock = sock
        self.tls: Any = getattr(sock, "facts", None)
        self.news = news
        self.round_trip_s = 0.0
        self.poller: Any = None
        self.unsent = NOTHING
        self.in_io = False
        session.exclusive = True

    def __reduce__(self) -> Any:
        raise TypeError("a driver cannot be pickled")

    def run(self, operation: Operation) -> None:
        """Sends what the session has to send and reads until ``operation`` is done. Raises its error.

        An exception of a signal handler, or the operation's deadline, leaves it in the middle: see core/recovery.py.
        """
        session = self.session
        try:
            hook = session.hook
            data = session.data_to_send()
            if hook is not None:
                operation.sent_at = time.monotonic()
            if cython.compiled and operation.deadline is None and self.tls is None and len(data) <= SMALL_BYTES:
                self.unsent = data
                count = self.sock.send(data)
                operation.sent = True
                if count == len(data):
                    self.unsent = NOTHING
                    recv_into = self.sock.recv_into
                    while not operation.done:
                        count = recv_into(session.get_buffer())
                        if count:
                            session.received(count)
                            if hook is not None and operation.first_at == 0:
                                operation.first_at = time.monotonic()
                            if session.outbuf.pos:
                                self.exchange(operation)
                        else:
                            session.receive_eof()
                else:
                    self.unsent = memoryview(data)[count:]
                    self.exchange(operation)
            else:
                self.unsent = memoryview(data)
                self.exchange(operation)
        except DeadlinePassed:
            error = recovery.timed_out(operation)
            self.leave(operation, error, recovery.grace_s(self.round_trip_s))
            recovery.say_how_it_ended(error, session, operation)
            operation.error = error
        except OSError as exc:
            if exc.errno is None:  # not the socket's: a signal handler raised it, as TimeoutError at SIGALRM
                self.leave(operation, exc, recovery.CANCEL_TIMEOUT_S)
                raise
            operation.sent = True
            self.lost(exc)
        except BaseException as exc:
            self.leave(operation, exc, recovery.CANCEL_TIMEOUT_S)
            raise
        if session.closed:
            self.drop()
        self.finish(operation)
        if session.notices or session.notifications:
            self.news()
        if operation.error is not None:
            raise operation.error

    def finish(self, operation: Operation) -> None:
        """The operation is over: the hook gets it."""
        hook = self.session.hook
        if hook is not None:
            operation.done_at = time.monotonic()
            hook(operation)

    def exchange(self, operation: Operation, until: Callable[[], bool] | None = None) -> None:
        """Reads while it writes, with poll, until all is out and the operation is done (or ``until()`` says so)."""
        session = self.session
        while not session.closed:
            if session.outbuf.pos:
                self.unsent = memoryview(bytes(self.unsent) + session.data_to_send())
            if not self.unsent and (operation.done or (until is not None and until())):
                break
            readable, writable = self.wait(bool(self.unsent), operation.deadline)
            self.in_io = True
            try:
                if readable:
                    count = self.sock.recv_into(session.get_buffer(), 0, MSG_DONTWAIT)
                    if count:
                        session.received(count)
                        if session.hook is not None and operation.first_at == 0:
                            operation.first_at = time.monotonic()
                    else:
                        session.receive_eof()
                elif writable:
                    if self.tls is not None:
                        operation.sent = True  # a part of it may leave also where send() says: later
                    count = self.sock.send(self.unsent, MSG_DONTWAIT)
                    operation.sent = True
                    self.unsent = self.unsent[count:]
            except BlockingIOError:
                pass  # poll was wrong: somebody else's data, or none
            self.in_io = False

    def wait(self, want_write: bool, deadline: float | None) -> tuple[int, int]:
        """Waits for the socket, at most until ``deadline``. Raises DeadlinePassed."""
        if self.tls is not None and self.sock.pending():
            return select.POLLIN, 0  # decrypted already: poll knows nothing of it
        if self.poller is None:
            self.poller = select.poll()
        events = select.POLLIN | select.POLLOUT if want_write else select.POLLIN
        self.poller.register(self.sock, events)
        left_ms = None
        if deadline is not None:
            left_ms = max((deadline - time.monotonic()) * 1000, 0)
        ready = self.poller.poll(left_ms)
        if not ready:
            raise DeadlinePassed
        bits = ready[0][1]
        return bits & ~select.POLLOUT, bits & select.POLLOUT

    def lost(self, exc: OSError) -> None:
        """The socket failed. What the server said before that may still lie in the kernel: it knows why."""
        session = self.session
        deadline = time.monotonic() + 1.0
        try:
            while not session.closed:
                self.wait(False, deadline)
                count = self.sock.recv_into(session.get_buffer(), 0, MSG_DONTWAIT)
                if count:
                    session.received(count)
                else:
                    session.receive_eof()
        except (OSError, DeadlinePassed):
            pass  # nothing more can be read: the first error stands
        if not session.closed:
            session.fail(connection_lost(exc))

    def leave(self, operation: Operation, exc: BaseException, bound_s: float) -> None:
        """Its caller leaves an operation in the middle: cancel, drain and fence, within the bound; else drop."""
        session = self.session
        until = time.monotonic() + bound_s
        try:
            if not operation.sent and not self.in_io:
                self.unsent = NOTHING
                session.withdraw_unsent()
            elif not operation.done:
                asked = send_cancel(self.sock, session, until)
                if not self.in_io:
                    operation.abandon()
                    operation.deadline = until
                    self.exchange(operation)
                    if asked and not session.closed:
                        fence = recovery.fence(session)
                        fence.deadline = until
                        fence.sent = True
                        self.exchange(fence)
        except DeadlinePassed:
            pass  # the bound has passed: the operation, or the fence behind it, is still in the queue
        except OSError as lost:
            if lost.errno is None:
                raise
            self.lost(lost)
        finally:
            if self.in_io or session.head is not None:
                session.fail(recovery.dropped(exc))
            if session.closed:
                self.drop()
            operation.fail(exc)
            self.finish(operation)

    def drop(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads; close() alone would not
        except OSError:
            pass  # not connected any more
        self.sock.close()

    def post(self, operation: Operation) -> None:
        """Sends what the session has to send and does not wait for the answer; ``settle`` does."""
        session = self.session
        if session.hook is not None:
            operation.sent_at = time.monotonic()
        self.unsent = memoryview(bytes(self.unsent) + session.data_to_send())
        self.in_io = True
        try:
            operation.sent = True
            self.unsent = self.unsent[self.sock.send(self.unsent, MSG_DONTWAIT) :]
        except BlockingIOError:
            pass  # the rest goes with the next request
        except OSError as exc:
            self.lost(exc)
        self.in_io = False
        if session.closed:
            self.drop()

    def settle(self, operation: Operation, deadline: float) -> None:
        """Reads the answer to a posted operation. When it does not come until ``deadline``, the connection is closed."""
        session = self.session
        operation.deadline = deadline
        try:
            self.exchange(operation)
        except DeadlinePassed as exc:
            session.fail(recovery.dropped(exc))
        except OSError as exc:
            if exc.errno is None:
                raise
            self.lost(exc)
        finally:
            if session.closed or self.in_io:
                session.fail(
                    OperationalError("the connection was closed: it was interrupted in the middle of an answer")
                )
                self.drop()
        self.finish(operation)

    def look(self) -> None:
        """Reads what has arrived, and waits for nothing: the session then knows whether the connection still lives."""
        session = self.session
        if self.poller is None:
            self.poller = select.poll()
        self.poller.register(self.sock, select.POLLIN)
        try:
            while not session.closed and (self.poller.poll(0) or (self.tls is not None and self.sock.pending())):
                self.in_io = True
                try:
                    count = self.sock.recv_into(session.get_buffer(), 0, MSG_DONTWAIT)
                    if count:
                        session.received(count)
                    else:
                        session.receive_eof()
                except BlockingIOError:
                    pass  # half a record of TLS
                self.in_io = False
        except OSError as exc:
            if exc.errno is None:
                raise
            self.lost(exc)
        finally:
            if self.in_io and not session.closed:
                session.fail(OperationalError("the connection was closed: reading was interrupted"))
            if session.closed:
                self.drop()
        if session.notices or session.notifications:
            self.news()

    def close(self) -> None:
        """Says good-bye and closes; never waits."""
        self.hang_up()

    def hang_up(self) -> None:
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

    def leave_to_parent(self) -> None:
        """In a forked child: closes this process's descriptor, and no more; shutdown would end the parent's session."""
        self.sock.close()

    def close_now(self) -> None:
        """Drops the socket without a word: for a connection that was never closed."""
        self.session.fail(InterfaceError("the connection is closed"))
        self.drop()

    def fileno(self) -> int:
        """The socket's descriptor. Raises InterfaceError when it is closed."""
        if self.sock.fileno() < 0:
            raise InterfaceError("the connection is closed")
        return self.sock.fileno()


def connection_lost(exc: Exception) -> Error:
    reason = getattr(exc, "reason", None)  # OpenSSL's word for an error of TLS
    why = "TLS: " + str(reason).replace("_", " ") if reason else getattr(exc, "strerror", None) or str(exc)
    error = OperationalError(f"the connection to the server was lost: {why.lower()}")
    error.__cause__ = exc
    return error


def connect(target: Target, session: Session, news: Callable[[], None]) -> BlockingDriver:
    """Dials ``target`` and starts ``session`` on it, all within the target's connect_timeout."""
    deadline = None
    if target.connect_timeout_s is not None:
        deadline = time.monotonic() + target.connect_timeout_s
    attempt = Attempt(target)
    while True:
        try:
            driver = open_session(attempt, session, news, deadline)
            break
        except OperationalError as exc:
            attempt.fall_back(exc, session)
    attempt.warn(driver.tls)
    return driver


def open_session(
    attempt: Attempt, session: Session, news: Callable[[], None], deadline: float | None
) -> BlockingDriver:
    """One attempt: dials, asks for TLS if the attempt says so, logs in."""
    target = attempt.target
    began = time.monotonic()
    sock: Any = dial(target, deadline)
    round_trip_s = min(time.monotonic() - began, MAX_ROUND_TRIP_S)
    try:
        attempt.meet(sock)
        if attempt.secure:
            from howdah.net.tls import secure

            sock = secure(sock, attempt, deadline)
    except (TimeoutError, ConnectionTimeout) as exc:
        sock.close()
        if deadline is None:  # the system's own limit
            raise connection_lost(exc) from exc
        raise timed_out(target, "starting TLS") from None
    except OSError as exc:
        sock.close()
        raise connection_lost(exc) from exc
    except BaseException:
        sock.close()
        raise
    driver = BlockingDriver(session, sock, news)
    driver.round_trip_s = round_trip_s
    tls = driver.tls
    startup = Startup(
        target.parameters, target.password, attempt.policy(tls and tls.certificate), target.protocol_versions
    )
    attempt.startup = startup
    startup.deadline = deadline
    try:
        startup.begin(session)
        startup.sent = True
        while not startup.done:
            driver.exchange(startup, until=lambda: startup.work is not None)
            if startup.work is not None and not startup.done:
                startup.resume(session, startup.work())
                remaining(deadline)
            elif session.closed:
                break
        if startup.error is not None:
            raise startup.error
    except (ConnectionTimeout, DeadlinePassed) as exc:
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
