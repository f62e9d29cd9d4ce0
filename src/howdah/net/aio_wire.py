"""What an asyncio connection does for every request: the waiter, the socket's callbacks, the lock. Nothing here is a coroutine.

Connecting, closing and leaving a request in the middle are coroutines, and stand in net/aio.py.

A connection without TLS has no transport: the loop calls ``readable`` when there is something to read, and it goes straight
from the kernel into the session's buffer; a request goes straight into ``send``, and only what the kernel does not take at
once waits for ``writable``. With TLS, and on loops without ``add_reader``, asyncio's transport stands in between and calls the
methods of a BufferedProtocol, which end in the same places. Both read while they write, so a large request cannot dead-lock.

``run`` is no coroutine either, and neither is the lock's way in where nobody waits: they return awaitables that step in C.
What a request costs in Python is one frame, the shell's own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from howdah.core.operation import Operation
from howdah.core.session import Session
from howdah.errors import InterfaceError, OperationalError
from howdah.net.blocking import connection_lost

if TYPE_CHECKING:
    from howdah.core.startup import Startup

NOTHING = memoryview(b"")


class Waiter:
    """The awaitable of one request; its task goes on inside the callback that has the answer.

    asyncio's own Future wakes its task at the loop's next turn, which costs a handle and a system call a query. This one
    calls the task's wake-up itself (``wake``), in the task's context; that is allowed wherever the loop runs a callback
    and no task. From inside a task, and for a cancellation, it goes through ``call_soon`` as a Future does. It has the
    part of Future's interface that asyncio.Task uses of what it awaits, and is its own iterator: the first step yields the
    waiter to the task, the second gives the operation's outcome.

    When the task is cancelled, or the operation's deadline has passed, the steps are those of the driver's ``leave``
    coroutine from then on. Without an operation it only waits to be woken (the steps of a connect).
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "callback",
        "context",
        "driver",
        "inner",
        "operation",
        "timer",
        "was_cancelled",
        "woken",
    )

    def __init__(self, driver: Any, operation: Operation | None) -> None:
        self.driver = driver
        self.operation = operation
        self._asyncio_future_blocking = False
        self.callback: Callable[[Waiter], object] | None = None
        self.context: Any = None
        self.timer: asyncio.TimerHandle | None = None
        self.inner: Coroutine[Any, Any, None] | None = None
        self.woken = False
        self.was_cancelled = False

    def __reduce__(self) -> Any:
        raise TypeError("a waiter cannot be pickled")

    # -- await

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Waiter:
        return self

    def __next__(self) -> Any:
        if self.inner is not None:
            return self.inner.send(None)
        operation = self.operation
        if operation is None:
            if self.woken:
                raise StopIteration
        elif operation.done:
            self.driver.finish(operation)
            if self.timer is not None:
                self.timer.cancel()
            if operation.error is not None:
                raise operation.error
            raise StopIteration
        elif self.woken:  # and not done: the timer did it
            return self.leave(None)
        self._asyncio_future_blocking = True
        return self

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """The task is cancelled, or its coroutine was thrown an exception: the operation is left."""
        if self.inner is not None:
            return self.inner.throw(kind) if value is None else self.inner.throw(value)
        exc = kind if value is None else value
        if isinstance(exc, type):
            exc = exc()
        if self.timer is not None:
            self.timer.cancel()
        if self.operation is None:
            raise exc
        if self.operation.done:
            self.driver.finish(self.operation)
            raise exc
        return self.leave(exc)

    def close(self) -> None:
        """The coroutine is closed with nobody to go on with it: there is no time to clean up."""
        if self.inner is not None:
            self.inner.close()
        if self.timer is not None:
            self.timer.cancel()
        if self.operation is not None and not self.operation.done:
            self.driver.session.fail(OperationalError("the connection was closed: a request was abandoned"))
            self.driver.drop()

    def leave(self, exc: BaseException | None) -> Any:
        self.inner = self.driver.leave(self.operation, exc)
        return self.inner.send(None)

    # -- what asyncio.Task asks of a future

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self.driver.loop

    def done(self) -> bool:
        return self.woken

    def cancelled(self) -> bool:
        return self.was_cancelled

    def result(self) -> None:
        if self.was_cancelled:
            raise asyncio.CancelledError
        if not self.woken:
            raise asyncio.InvalidStateError("the operation is not done")

    def exception(self) -> BaseException | None:
        self.result()
        return None

    def add_done_callback(self, callback: Callable[[Waiter], object], *, context: Any = None) -> None:
        if self.woken:
            self.driver.loop.call_soon(callback, self, context=context)
        elif self.callback is not None:
            raise RuntimeError("an operation is awaited by one task")
        else:
            self.callback = callback
            self.context = context

    def remove_done_callback(self, callback: Callable[[Waiter], object]) -> int:
        if self.callback != callback:
            return 0
        self.callback = None
        return 1

    def cancel(self, msg: object = None) -> bool:
        if self.woken:
            return False
        self.was_cancelled = True
        self.wake_soon()
        return True

    # -- what ends the wait

    def wake(self) -> None:
        """Runs the waiting task now. Only from a callback of the loop."""
        if not self.woken:
            self.woken = True
            callback = self.callback
            if callback is not None:
                self.callback = None
                self.context.run(callback, self)

    def wake_soon(self) -> None:
        """Runs the waiting task at the loop's next turn."""
        if not self.woken:
            self.woken = True
            if self.callback is not None:
                self.driver.loop.call_soon(self.callback, self, context=self.context)
                self.callback = None


class AioWire:
    """Moves bytes between one socket, or transport, and one session, on one event loop.

    ``gone`` is a future that is done when the socket is closed. ``round_trip_s`` is how far away the server is, as the dial
    saw it. ``unsent`` is what the kernel did not take yet.
    """

    __slots__ = ("gone", "loop", "news", "round_trip_s", "session", "sock", "startup", "transport", "unsent")

    def __init__(self, session: Session, news: Callable[[], None]) -> None:
        self.session = session
        self.news = news
        self.loop = asyncio.get_running_loop()
        self.sock: Any = None
        self.transport: Any = None
        self.startup: Startup | None = None
        self.gone = self.loop.create_future()
        self.round_trip_s = 0.0
        self.unsent = NOTHING

    def __reduce__(self) -> Any:
        raise TypeError("a driver cannot be pickled")

    # -- the shell calls

    def run(self, operation: Operation) -> Waiter:
        """Sends what the session has to send; await what it returns for the operation's outcome, or its error."""
        waiter = Waiter(self, operation)
        operation.waiter = waiter
        if operation.deadline is not None:
            waiter.timer = self.loop.call_later(operation.deadline - time.monotonic(), waiter.wake)
        operation.sent = True
        if self.session.hook is not None:
            operation.sent_at = time.monotonic()
        self.send()
        return waiter

    def send(self) -> None:
        """Hands what the session has to send to the socket."""
        data = self.session.data_to_send()
        if self.transport is not None:
            self.transport.write(data)
            return
        if self.unsent:
            self.unsent = memoryview(bytes(self.unsent) + data)
            return
        try:
            count = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as exc:
            self.lost(exc)
            return
        if count < len(data):
            self.unsent = memoryview(data)[count:]
            self.loop.add_writer(self.sock, self.writable)

    def post(self, operation: Operation) -> None:
        """Sends what the session has to send and does not wait for the answer; the loop reads it."""
        operation.sent = True
        if self.session.hook is not None:
            operation.sent_at = time.monotonic()
        self.send()

    def look(self) -> None:
        """Reads what has arrived and the loop has not handed on yet."""
        if self.transport is None and not self.session.closed:
            self.readable()

    def finish(self, operation: Operation) -> None:
        """The operation is over: the hook gets it, the connection hands its news on."""
        session = self.session
        operation.waiter = None  # or the two would keep each other, and all rows, until the collector comes
        if session.hook is not None:
            operation.done_at = time.monotonic()
            session.hook(operation)
        if session.notices or session.notifications:
            self.news()

    # -- the event loop calls

    def readable(self) -> None:
        try:
            count = self.sock.recv_into(self.session.get_buffer())
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self.lost(exc)
            return
        if count:
            self.buffer_updated(count)
        else:
            self.eof_received()

    def writable(self) -> None:
        try:
            self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self.lost(exc)
            return
        if not self.unsent:
            self.loop.remove_writer(self.sock)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int = -1) -> Any:
        return self.session.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        session = self.session
        head = session.head
        finished = session.received(nbytes)
        if session.hook is not None and head is not None and not head.first_at:
            head.first_at = time.monotonic()
        if session.outbuf.pos:
            self.send()
        if session.closed:
            self.drop()
        # last, since the tasks go on inside
        if finished:
            for operation in session.take_finished():
                waiter = operation.waiter
                waiter.wake()
        elif self.startup is not None and self.startup.work is not None:
            self.startup.waiter.wake()

    def eof_received(self) -> bool:
        self.session.receive_eof()
        if self.transport is None:
            self.drop()
        self.wake_all()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        session = self.session
        if not session.closed:
            if exc is None:
                session.receive_eof()
            else:
                session.fail(connection_lost(exc) if isinstance(exc, OSError) else OperationalError(str(exc)))
        self.wake_all()
        if not self.gone.done():
            self.gone.set_result(None)

    # -- the end

    def wake_all(self) -> None:
        """Wakes who waits for an operation that the session gave up, at the loop's next turn."""
        for operation in self.session.take_finished():
            waiter = operation.waiter
            waiter.wake_soon()

    def lost(self, exc: OSError) -> None:
        """The socket failed. What the server said before that may still lie in the kernel: it knows why."""
        session = self.session
        try:
            while not session.closed:
                count = self.sock.recv_into(session.get_buffer())
                if count:
                    session.received(count)
                else:
                    session.receive_eof()
        except OSError:
            pass  # nothing more can be read: the first error stands
        if not session.closed:
            session.fail(connection_lost(exc))
        self.drop()
        self.wake_all()

    def drop(self) -> None:
        """Closes the socket at once; what was not sent is lost."""
        if self.transport is not None:
            if not self.loop.is_closed():
                self.transport.abort()
        elif self.sock is not None and self.sock.fileno() >= 0:
            if not self.loop.is_closed():
                self.loop.remove_reader(self.sock)
                self.loop.remove_writer(self.sock)
                if not self.gone.done():
                    self.gone.set_result(None)
            self.sock.close()

    def leave_to_parent(self) -> None:
        """In a forked child: closes this process's descriptor, and no more; the parent's loop watches the same socket."""
        if self.transport is None:
            self.sock.close()
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            # the transport will close this number one day: until then it means nothing
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, sock.fileno())
            os.close(null)

    def close_now(self) -> None:
        """Drops the socket without waiting: for a connection that was never closed."""
        self.session.fail(InterfaceError("the connection is closed"))
        self.drop()

    def fileno(self) -> int:
        """The socket's descriptor. Raises InterfaceError when it is closed."""
        sock = self.sock if self.transport is None else self.transport.get_extra_info("socket")
        if sock is None or self.session.closed or sock.fileno() < 0:
            raise InterfaceError("the connection is closed")
        return int(sock.fileno())


class _Ready:
    """An awaitable that is done: the lock was free."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        raise TypeError("it means something here only")

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> _Ready:
        return self

    def __next__(self) -> Any:
        raise StopIteration


Ready = _Ready()


class Lock:
    """A first-come, first-served lock for ``async with``: asyncio's own costs three coroutines where nobody waits."""

    __slots__ = ("is_locked", "waiting")

    def __init__(self) -> None:
        self.is_locked = False
        self.waiting: deque[asyncio.Future[None]] = deque()

    def __reduce__(self) -> Any:
        raise TypeError("a lock cannot be pickled")

    def __aenter__(self) -> Any:
        if not self.is_locked and not self.waiting:
            self.is_locked = True
            return Ready
        from howdah.net.aio import wait_for_turn

        return wait_for_turn(self)

    def __aexit__(self, *exc: object) -> Any:
        self.release()
        return Ready

    def release(self) -> None:
        """Hands the lock to the next one waiting, or leaves it free."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the lock stays locked: it is the next one's
                return
        self.is_locked = False

    def locked(self) -> bool:
        return self.is_locked
