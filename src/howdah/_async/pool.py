# The sync twin of this file is generated from it by tools/unasync.py.
"""AsyncConnectionPool and AsyncNullConnectionPool: few connections for many callers.

The books are kept in core/pool_state.py. What costs no wait: a check-out of a connection used lately (what the server has said
meanwhile is read, without asking it), and every give-back (an open transaction's ROLLBACK is sent, its answer read at the next
check-out). Connections are opened in the background, whoever waits for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, cast

from howdah._async._pair import OPENS_AT_ONCE, Mutex, Ticket, Timer, call, check_home, current_name, home, join, spawn
from howdah._async.connection import AsyncConnection
from howdah._base.pool import CHECK_AFTER_S, CHECK_TIMEOUT_S, BasePool, clock, find_holder
from howdah.core.recovery import fence
from howdah.core.session import STATUS_IDLE
from howdah.errors import Error, InterfaceError, PoolClosed, ProgrammingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from howdah._async._pair import Ret
    from howdah._typing import Self
    from howdah.core.pool_state import Slot

__all__ = ["AsyncConnectionPool", "AsyncNullConnectionPool"]

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from howdah.rows import TupleRow

    # the connections of a pool
    PooledConnection = TypeVar("PooledConnection", bound=AsyncConnection[Any], default=AsyncConnection[TupleRow])
else:
    from typing import TypeVar

    PooledConnection = TypeVar("PooledConnection")

ORDINARY: Any = AsyncConnection
UNLIMITED = 2**31


class AsyncConnectionPool(BasePool[PooledConnection]):
    """A pool of connections.

    ``conninfo`` and ``kwargs`` are those of ``connect()``; both may be functions, called for each new connection.
    ``min_size`` connections are kept open, up to ``max_size`` (None: as many as ``min_size``) are opened when callers wait.

    - ``timeout``: seconds a caller waits for a connection before PoolTimeout; ``max_waiting``: how many may wait (0: any number)
      before TooManyRequests.
    - ``max_lifetime``, ``max_idle``: seconds after which a connection is replaced, and a surplus one closed;
      ``max_uses``: after how many uses one is replaced.
    - ``configure``, ``reset``, ``check``: functions that take a connection: called when it is new, when it comes back, and before
      it is given out. ``reset="full"`` undoes all that SQL can leave in a session. What they raise costs the connection.
    - ``check_after``: a connection idle for longer than these seconds is asked for a sign of life before it is given out.
    - ``lifo``: give out the connection used last (True), or each in turn.
    - ``reconnect_failed``: called with the pool when the server could not be reached for ``reconnect_timeout`` seconds.
    - ``num_workers``: how many connections are opened at the same time.
    - ``leak_after``: a connection held for longer than these seconds is logged, with the line that took it.
    - ``close_returns``: ``close()`` of a connection gives it back.

    Raises ProgrammingError for settings that cannot be.
    """

    def __init__(
        self,
        conninfo: str | Callable[[], Any] = "",
        *,
        connection_class: type[PooledConnection] = ORDINARY,
        kwargs: dict[str, Any] | Callable[[], Any] | None = None,
        min_size: int = 4,
        max_size: int | None = None,
        open: bool | None = None,
        configure: Callable[[PooledConnection], Ret[None]] | None = None,
        check: Callable[[PooledConnection], Ret[None]] | None = None,
        reset: Callable[[PooledConnection], Ret[None]] | str | None = None,
        name: str | None = None,
        close_returns: bool = False,
        timeout: float = 30.0,
        max_waiting: int = 0,
        max_lifetime: float = 3600.0,
        max_idle: float = 600.0,
        max_uses: int | None = None,
        lifo: bool = True,
        check_after: float = CHECK_AFTER_S,
        reconnect_timeout: float = 300.0,
        reconnect_failed: Callable[[Any], Ret[None]] | None = None,
        num_workers: int = 3,
        leak_after: float | None = None,
    ) -> None:
        super().__init__(
            conninfo,
            connection_class,
            kwargs=kwargs,
            min_size=min_size,
            max_size=max_size,
            configure=configure,
            check=check,
            reset=reset,
            name=name,
            close_returns=close_returns,
            timeout=timeout,
            max_waiting=max_waiting,
            max_lifetime=max_lifetime,
            max_idle=max_idle,
            max_uses=max_uses,
            lifo=lifo,
            check_after=check_after,
            reconnect_timeout=reconnect_timeout,
            reconnect_failed=reconnect_failed,
            num_workers=num_workers,
            leak_after=leak_after,
            mutex=Mutex(),
        )
        self._workers: set[Any] = set()
        self._home: Any = None
        self._timer = Timer(self._house_call, f"howdah-{self.name}")
        if open or (open is None and OPENS_AT_ONCE):
            self._start()

    # -- the pool as a whole

    async def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Begins to open connections; a closed pool can be opened again. ``wait``: until ``min_size`` of them are there."""
        self._start()
        if wait:
            await self.wait(timeout)

    async def wait(self, timeout: float = 30.0) -> None:
        """Waits until ``min_size`` connections are open.

        Raises PoolTimeout after ``timeout`` seconds, and at once the error of a connect that waiting does not help.
        """
        ticket = Ticket()
        with self._mutex:
            if self._state.closed:
                raise PoolClosed("the pool is closed: open() it first, or use it in a with block")
            self._state.wait_until_full(ticket)
        try:
            await ticket.wait(timeout)
        finally:
            with self._mutex:
                self._state.leave_fullness(ticket)
        if ticket.error is not None:
            raise ticket.error
        if not self._state.is_full():
            raise self._timed_out(timeout)

    async def close(self, timeout: float = 5.0) -> None:
        """Closes the idle connections now, the others as they come back; who waits for one gets PoolClosed.

        Waits at most ``timeout`` seconds for attempts to connect that have begun. Closing twice does no harm.
        """
        with self._mutex:
            self._state.close(PoolClosed("the pool was closed while this caller waited for a connection"))
            workers = list(self._workers)
        self._timer.stop()
        self._carry_out()
        if timeout > 0:
            await join(workers, timeout)

    async def __aenter__(self) -> Self:
        if self._state.closed:
            await self.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Changes the sizes; surplus connections are closed when they are idle."""
        least, most = self._sizes(min_size, max_size)
        with self._mutex:
            self._state.resize(least, most, clock())
        self._carry_out()

    async def drain(self) -> None:
        """Replaces every connection that is open now: the idle ones at once, the others when they come back."""
        with self._mutex:
            self._state.drain(clock())
        self._carry_out()

    async def check(self) -> None:
        """Asks every idle connection for a sign of life, and replaces those that give none."""
        with self._mutex:
            slots = []
            while self._state.idle:
                slot = self._state.take(clock())
                if slot is not None:
                    slots.append(slot)
        try:
            while slots:
                slot = slots[-1]
                usable = await self._gives_sign_of_life(slot)
                slots.pop()
                self._put(slot, usable)
        finally:
            for slot in slots:
                self._put(slot, False)

    @staticmethod
    async def check_connection(connection: AsyncConnection[Any]) -> None:
        """A ``check`` for the pool: one round trip to the server. Raises the error of a connection that is lost."""
        async with connection._lock:
            operation = fence(connection._session)
            connection._limit(operation, CHECK_TIMEOUT_S)
            await connection._driver.run(operation)

    # -- connections

    def connection(self, timeout: float | None = None) -> AsyncLease[PooledConnection]:
        """A connection for a with block: committed when it ends well, rolled back when it raises, given back either way.

        ``timeout``: seconds to wait for it, by default the pool's. Raises PoolTimeout, TooManyRequests, PoolClosed.
        """
        return AsyncLease(self, timeout)

    async def getconn(self, timeout: float | None = None) -> PooledConnection:
        """A connection, to be given back with putconn(). Raises as connection() does."""
        if self._home is not None:
            check_home(self._home)
        began = clock()
        limit_s = self.timeout if timeout is None else timeout
        state = self._state
        with self._mutex:
            state.counts["requests_num"] += 1
            slot = state.take(began)
        while True:
            if slot is None:
                slot = await self._wait_in_line(began, limit_s)
            try:
                usable = await self._make_ready(slot)
            except BaseException:
                self._put(slot, False)
                raise
            if usable:
                break
            state.counts["connections_lost"] += 1
            self._put(slot, False)
            with self._mutex:
                slot = state.take(clock())
        slot.holder = find_holder(current_name())
        connection: PooledConnection = slot.connection
        return connection

    async def putconn(self, connection: PooledConnection) -> None:
        """Gives a connection back; waits for nothing. Raises ValueError for one that is not this pool's, or is there already."""
        slot = self._slot_of(connection)
        usable = self._let_go(slot)
        if usable and callable(self._reset) and not self._state.closed:
            slot.holder = None
            self._spawn(self._reset_and_put, slot)
        else:
            self._put(slot, usable)

    async def _wait_in_line(self, began: float, limit_s: float) -> Slot:
        if self._forked:
            self._forked = False
            self._home = home()
            self._timer.start()
        state = self._state
        ticket = Ticket()
        with self._mutex:
            slot = state.take(clock())  # it may have come back since
            if slot is not None:
                return slot
            state.queue(ticket, clock())
        self._carry_out()
        try:
            await ticket.wait(max(limit_s - (clock() - began), 0))
        except BaseException:
            with self._mutex:
                state.leave(ticket, clock())
            self._carry_out()
            raise
        with self._mutex:
            slot = ticket.slot
            if slot is None:
                state.leave(ticket, clock())
        if slot is not None:
            return slot
        if ticket.error is not None:
            raise ticket.error
        raise self._timed_out(limit_s)

    async def _make_ready(self, slot: Slot) -> bool:
        """Reads what the server said while the connection was idle; True when it can be given out."""
        connection = slot.connection
        driver = connection._driver
        if slot.pending is not None:
            operation, slot.pending = slot.pending, None
            await driver.settle(operation, clock() + CHECK_TIMEOUT_S)
            if operation.error is not None:
                return False
        driver.look()
        if connection._session.closed or connection._session.transaction_status != STATUS_IDLE:
            return False
        if clock() - slot.idle_since >= self.check_after and slot.uses and not await self._gives_sign_of_life(slot):
            return False
        if self._check is not None:
            try:
                await call(self._check, connection)
            except Exception as exc:
                self._log().warning("pool %r: a connection did not pass its check: %s", self.name, exc)
                return False
            return not connection.closed and connection._session.transaction_status == STATUS_IDLE
        return True

    async def _gives_sign_of_life(self, slot: Slot) -> bool:
        try:
            await self.check_connection(slot.connection)
        except Error:
            return False
        return True

    async def _reset_and_put(self, slot: Slot) -> None:
        """Runs the reset of a connection that came back, in the background."""
        connection = slot.connection
        usable = False
        try:
            if slot.pending is not None:
                operation, slot.pending = slot.pending, None
                await connection._driver.settle(operation, clock() + CHECK_TIMEOUT_S)
            await call(self._reset, connection)
            usable = not connection.closed and connection._session.transaction_status == STATUS_IDLE
            if not usable:
                self._log().warning("pool %r: the reset left a connection inside a transaction, or closed", self.name)
        except Exception as exc:
            self._log().warning("pool %r: the reset of a connection failed: %s", self.name, exc)
        finally:
            self._put(slot, usable)

    def _put(self, slot: Slot, usable: bool) -> None:
        with self._mutex:
            self._state.give_back(slot, clock(), usable)
        self._carry_out()

    # -- in the background

    def _begin_anew(self) -> None:
        """In a forked child, where neither the workers nor the parent's connections are."""
        state = self._state
        self._mutex = Mutex()  # another thread may have held it
        self._workers = set()
        self._openers = 0
        self._home = None
        self._timer = Timer(self._house_call, f"howdah-{self.name}")
        state.forget()
        self._forked = not state.closed  # a child that does not use the pool opens nothing

    def _start(self) -> None:
        with self._mutex:
            if self._state.closed:
                self._state.open(clock())
                self._home = home()
                self._timer.start()
        self._carry_out()

    def _carry_out(self) -> None:
        """Does what the books ordered: closes what is done with, has opened what is missing."""
        state = self._state
        while state.to_close:
            try:
                connection = state.to_close.pop()
            except IndexError:
                break  # another thread took it
            connection._hang_up()
        if state.to_open and self._openers < self.num_workers:
            with self._mutex:
                wanted = min(len(state.to_open), self.num_workers - self._openers)
                self._openers += max(wanted, 0)
            for _ in range(wanted):
                self._spawn(self._open_slots)
        if state.failures and not state.closed:
            self._timer.ring(max(state.retry_at - clock(), 0.0))

    def _spawn(self, work: Callable[..., Ret[None]], *args: Any) -> None:
        worker: Any = spawn(work, *args)
        with self._mutex:
            self._workers = {each for each in self._workers if not each.done()}
            self._workers.add(worker)

    async def _open_slots(self) -> None:
        """A worker: opens slots while there are any to be opened."""
        state = self._state
        at_work = True
        try:
            while True:
                with self._mutex:
                    if not state.to_open:
                        self._openers -= 1
                        at_work = False
                        return
                    slot = state.to_open.popleft()
                await self._open_slot(slot)
        finally:
            if at_work:
                with self._mutex:
                    self._openers -= 1

    async def _open_slot(self, slot: Slot) -> None:
        began = clock()
        booked = False
        gave_up = False
        try:
            connection = await self._open_connection(slot)
            with self._mutex:
                self._state.counts["connections_ms"] += int((clock() - began) * 1000)
                self._state.opened(slot, connection, clock())
            booked = True
        except Exception as exc:
            gave_up = self._failed_to_open(slot, exc, clock())
            booked = True
        finally:
            if not booked:
                with self._mutex:
                    self._state.opening_abandoned(slot, clock())
            self._carry_out()
        if gave_up and self._reconnect_failed is not None:
            try:
                await call(self._reconnect_failed, self)
            except Exception:
                self._log().exception("pool %r: reconnect_failed raised", self.name)

    async def _open_connection(self, slot: Slot) -> PooledConnection:
        conninfo: Any = self.conninfo
        kwargs: Any = self.kwargs
        if callable(conninfo):
            conninfo = await call(conninfo)
        if callable(kwargs):
            kwargs = await call(kwargs)
        connection: Any = await self.connection_class.connect(conninfo, **kwargs)
        try:
            if self._configure is not None:
                await call(self._configure, connection)
                if connection.closed or connection._session.transaction_status != STATUS_IDLE:
                    raise ProgrammingError(
                        f"configure left the connection {connection!r} closed or inside a transaction: end it with commit()"
                    )
        except BaseException:
            connection._hang_up()
            raise
        connection._pool = self
        connection._slot = slot
        slot.settings = connection._settings()
        return cast(PooledConnection, connection)

    def _house_call(self) -> float:
        due_s = self._house_work()
        self._carry_out()
        return due_s


class AsyncNullConnectionPool(AsyncConnectionPool[PooledConnection]):
    """A pool that keeps nothing: a connection is closed when it comes back, unless somebody waits for it.

    It limits how many there are at a time (``max_size``), for a server with a pooler of its own in front.
    """

    _keeps_idle = False

    def __init__(self, conninfo: str | Callable[[], Any] = "", *, min_size: int = 0, **kwargs: Any) -> None:
        if min_size:
            raise ProgrammingError("a null pool keeps no connections: its min_size is 0")
        if not kwargs.get("max_size"):
            kwargs["max_size"] = UNLIMITED
        super().__init__(conninfo, min_size=0, **kwargs)


class AsyncLease(Generic[PooledConnection]):
    """The with block of ``pool.connection()``."""

    __slots__ = ("_connection", "_pool", "_timeout")

    def __init__(self, pool: AsyncConnectionPool[PooledConnection], timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._connection: PooledConnection | None = None

    async def __aenter__(self) -> PooledConnection:
        if self._connection is not None:
            raise InterfaceError("this block has its connection already: call pool.connection() for each block")
        self._connection = await self._pool.getconn(self._timeout)
        return self._connection

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        try:
            if exc_type is None and not connection._closed:
                await connection.commit()
        finally:
            if connection._slot.state == "taken":  # the program may have given it back itself
                await self._pool.putconn(connection)
