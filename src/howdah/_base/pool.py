"""What the sync and the async pool share: settings, books, reports; everything that waits for nothing."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from howdah.core.pool_state import TAKEN, PoolState, Slot
from howdah.core.session import STATUS_IDLE
from howdah.errors import Error, PoolTimeout, ProgrammingError

if TYPE_CHECKING:
    from howdah._base.connection import BaseConnection

AnyConnection = TypeVar("AnyConnection", bound="BaseConnection[Any]")

clock = time.monotonic

# a connection that was idle for longer is asked for a sign of life before it is given out: a dead NAT entry shows in no other way
CHECK_AFTER_S = 30.0
# how long that answer, or the one to a ROLLBACK sent at give-back, may take
CHECK_TIMEOUT_S = 5.0
# how often the pool looks for connections idle or open for too long
HOUSEKEEPING_S = 30.0

RLOCK = type(threading.RLock())
PACKAGE = str(Path(__file__).parent.parent)

# DISCARD ALL (PostgreSQL manual, DISCARD) but for the prepared statements, and allowed in one Query
RESET_ALL = (
    b"CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); "
    b"DISCARD SEQUENCES; DISCARD TEMP"
)

# what the server says where trying again will not help: wrong password, no such role, no such database
FINAL_SQLSTATES = ("28", "3D000")

_numbers = itertools.count(1)


def is_free(lock: Any) -> bool:
    """Whether nobody holds a connection's lock."""
    if isinstance(lock, RLOCK):
        if not lock.acquire(blocking=False):
            return False
        lock.release()
        return True
    return not lock.locked()


class Holder(NamedTuple):
    """Who has a connection: the thread or task, and the line of the program that took it."""

    name: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.name} at {self.file}:{self.line}"


def find_holder(name: str) -> Holder:
    """The caller as ``name``, with the line of the program that called the pool."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return Holder(name, frame.f_code.co_filename, frame.f_lineno)


# all pools, for _begin_anew
_pools: weakref.WeakSet[BasePool[Any]] = weakref.WeakSet()


def _begin_anew() -> None:
    """In a child that was forked: its pools are empty, and open connections of their own at the first use."""
    for pool in list(_pools):
        pool._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class BasePool(Generic[AnyConnection]):
    """Settings, books and reports of a pool."""

    _keeps_idle = True

    def __init__(
        self,
        conninfo: Any,
        connection_class: type[AnyConnection],
        *,
        kwargs: Any,
        min_size: int,
        max_size: int | None,
        configure: Any,
        check: Any,
        reset: Any,
        name: str | None,
        close_returns: bool,
        timeout: float,
        max_waiting: int,
        max_lifetime: float,
        max_idle: float,
        max_uses: int | None,
        lifo: bool,
        check_after: float,
        reconnect_timeout: float,
        reconnect_failed: Any,
        num_workers: int,
        leak_after: float | None,
        mutex: Any,
    ) -> None:
        self.conninfo = conninfo
        self.kwargs = kwargs if callable(kwargs) else dict(kwargs or {})
        self.connection_class = connection_class
        self.name = name if name is not None else f"pool-{next(_numbers)}"
        self.timeout = timeout
        self.check_after = check_after
        self.reconnect_timeout = reconnect_timeout
        self.num_workers = num_workers
        self.leak_after = leak_after
        self.close_returns = close_returns
        self._configure = configure
        self._check = check
        self._reset = reset
        self._reconnect_failed = reconnect_failed
        if reset is not None and reset != "full" and not callable(reset):
            raise ProgrammingError("reset must be None, 'full' or a function that takes a connection")
        for what, seconds in (
            ("timeout", timeout),
            ("max_lifetime", max_lifetime),
            ("max_idle", max_idle),
            ("check_after", check_after),
            ("reconnect_timeout", reconnect_timeout),
        ):
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
                raise ProgrammingError(f"{what} must be a number of seconds; it is {seconds!r}")
        for what, number, least in (("num_workers", num_workers, 1), ("max_waiting", max_waiting, 0)):
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise ProgrammingError(f"{what} must be a number, {least} or more; it is {number!r}")
        if max_uses is not None and (isinstance(max_uses, bool) or not isinstance(max_uses, int) or max_uses < 1):
            raise ProgrammingError(f"max_uses must be None or a number, 1 or more; it is {max_uses!r}")
        least, most = self._sizes(min_size, max_size)
        self._mutex = mutex
        self._state = PoolState(
            least,
            most,
            lifo=lifo,
            keeps_idle=self._keeps_idle,
            max_waiting=max_waiting,
            max_lifetime_s=max_lifetime,
            max_idle_s=max_idle,
            max_uses=max_uses,
        )
        self._openers = 0
        self._reported_outage = False
        self._leaks_told: set[Slot] = set()
        self._forked = False
        _pools.add(self)

    def __repr__(self) -> str:
        state = self._state
        word = "closed" if state.closed else f"{len(state.slots)} of {state.max_size}"
        return f"<howdah.{type(self).__qualname__} {self.name!r} [{word}]>"

    @property
    def closed(self) -> bool:
        """True before open() and after close()."""
        return self._state.closed

    @property
    def min_size(self) -> int:
        """How many connections the pool keeps open at least."""
        return self._state.min_size

    @property
    def max_size(self) -> int:
        """How many connections the pool opens at most."""
        return self._state.max_size

    def _sizes(self, min_size: int, max_size: int | None) -> tuple[int, int]:
        """The sizes, checked; ``max_size`` None means a pool of one size."""
        most = min_size if max_size is None else max_size
        for what, number in (("min_size", min_size), ("max_size", most)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise ProgrammingError(f"{what} must be a number of connections, 0 or more; it is {number!r}")
        if most < max(min_size, 1):
            raise ProgrammingError(f"max_size must be at least 1 and at least min_size ({min_size}); it is {most}")
        return min_size, most

    # -- looking in

    def get_stats(self) -> dict[str, int]:
        """Counters and gauges, under psycopg_pool's names: times in milliseconds, all since the pool was made or pop_stats()."""
        with self._mutex:
            return self._stats()

    def pop_stats(self) -> dict[str, int]:
        """get_stats(), and the counters begin anew."""
        with self._mutex:
            stats = self._stats()
            self._state.counts = dict.fromkeys(self._state.counts, 0)
            return stats

    def _stats(self) -> dict[str, int]:
        state = self._state
        return {
            "pool_min": state.min_size,
            "pool_max": state.max_size,
            "pool_size": len(state.slots),
            "pool_available": len(state.idle),
            "requests_waiting": len(state.waiting),
            **state.counts,
        }

    def report(self) -> str:
        """Who holds which connection, since when, and what its last statement was; who waits. For people."""
        now = clock()
        with self._mutex:
            state = self._state
            taken = [slot for slot in state.slots if slot.state == TAKEN]
            lines = [
                f"pool {self.name!r}: {len(state.slots)} connections (min {state.min_size}, max {state.max_size}), "
                f"{len(taken)} in use, {len(state.idle)} idle, {state.opening} being opened; {len(state.waiting)} callers wait"
            ]
            for slot in sorted(taken, key=lambda slot: slot.taken_at):
                session = slot.connection._session
                status = slot.connection.info.transaction_status.name if not session.closed else "LOST"
                who = slot.holder or "a caller that is being served"
                lines.append(f"  backend {session.backend_pid} [{status}]: {who}, for {now - slot.taken_at:.1f} s")
            if state.failure is not None:
                lines.append(f"  {state.failures} attempts to connect failed in a row; the last: {state.failure}")
        return "\n".join(lines)

    # -- for the shells

    def _timed_out(self, waited_s: float) -> PoolTimeout:
        """The error of a caller that waited for too long; it tells who holds the connections."""
        self._state.counts["requests_errors"] += 1
        error = PoolTimeout(f"no connection came free within {waited_s:g} s\n{self.report()}")
        error.__cause__ = self._state.failure
        return error

    def _failed_to_open(self, slot: Slot, exc: Exception, now: float) -> bool:
        """Books a failed opening. True when the outage has lasted for reconnect_timeout, once an outage."""
        sqlstate = getattr(exc, "sqlstate", None) or ""
        final = isinstance(exc, ProgrammingError) or sqlstate.startswith(FINAL_SQLSTATES) or not isinstance(exc, Error)
        with self._mutex:
            state = self._state
            state.opening_failed(slot, exc, now, final)
            if state.failures == 1:
                self._reported_outage = False
            report = not self._reported_outage and now - state.failing_since >= self.reconnect_timeout
            self._reported_outage = self._reported_outage or report
        self._log().warning("pool %r: connecting failed: %s", self.name, exc)
        return report

    def _house_work(self) -> float:
        """Housekeeping; returns how many seconds later it is due again."""
        now = clock()
        leaks = []
        with self._mutex:
            state = self._state
            state.keep_house(now)
            if self.leak_after is not None:
                taken = {slot for slot in state.slots if slot.state == TAKEN and slot.holder is not None}
                self._leaks_told &= taken
                for slot in taken - self._leaks_told:
                    if now - slot.taken_at >= self.leak_after:
                        leaks.append((slot.holder, now - slot.taken_at))
                        self._leaks_told.add(slot)
            due_s = max(state.next_at(now) - now, 0.0)
        for holder, seconds in leaks:
            self._log().warning("pool %r: %s has held a connection for %.1f s", self.name, holder, seconds)
        limits = [due_s, HOUSEKEEPING_S]
        if self.leak_after is not None:
            limits.append(max(self.leak_after / 4, 0.05))
        return min(limits)

    def _log(self) -> Any:
        import logging

        return logging.getLogger("howdah.pool")

    def _slot_of(self, connection: AnyConnection) -> Slot:
        """The slot of a connection that is given back. Raises ValueError for one that is not this pool's, or not taken."""
        slot: Slot | None = connection._slot
        if slot is None or connection._pool is not self:
            raise ValueError(f"{connection!r} is no connection of {self!r}")
        if slot.state != TAKEN:
            raise ValueError(f"{connection!r} was given back already")
        return slot

    def _takes_back(self, connection: AnyConnection) -> bool:
        """Whether close() of one of its connections gives it back."""
        return self.close_returns and connection._slot.state == TAKEN

    def _let_go(self, slot: Slot) -> bool:
        """A connection comes back: what is to be undone is sent, and not waited for. False: it cannot be kept."""
        connection = slot.connection
        session = connection._session
        if connection._closed or session.closed or session.head is not None:
            return False
        if connection._active is not None or not is_free(connection._lock):
            return False  # an answer is still to come, for whoever asks: no other caller may meet it
        connection._restore(slot.settings)
        sql = b"" if session.transaction_status == STATUS_IDLE else b"ROLLBACK"
        if self._reset == "full":
            sql = sql + b"; " + RESET_ALL if sql else RESET_ALL
        if sql:
            slot.pending = connection._post(sql)
        return not session.closed

    def _begin_anew(self) -> None:
        raise NotImplementedError("the sync and the async pool know how")

    def __del__(self) -> None:
        state = getattr(self, "_state", None)
        if state is not None and not state.closed and state.slots and not sys.is_finalizing():
            warnings.warn(
                f"{self!r} was deleted while still open: close it", ResourceWarning, stacklevel=2, source=self
            )
