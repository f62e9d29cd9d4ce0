"""What differs between the async and the sync shell, written by hand on both sides; this is the async one."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from howdah.core.pool_state import Ticket as BaseTicket
from howdah.core.session import Session
from howdah.errors import InterfaceError
from howdah.net.aio import AioDriver, connect
from howdah.net.aio_wire import Lock

__all__ = [
    "OPENS_AT_ONCE",
    "Driver",
    "Lock",
    "Mutex",
    "Ret",
    "SettableProperties",
    "Ticket",
    "Timer",
    "call",
    "check_home",
    "current_name",
    "home",
    "join",
    "open_driver",
    "sleep",
    "spawn",
]

T = TypeVar("T")
# what a callback of the user returns: here it may be awaited
Ret = Awaitable[T]

Driver = AioDriver


open_driver = connect


class SettableProperties:
    """The sync connection sets autocommit and its like as properties; here ``set_autocommit`` and its like do."""

    _session: Session
    _driver: Any


# -- the pool's

# a pool is opened by its constructor only where that may start something in the background: here it may not
OPENS_AT_ONCE = False

# the books are changed between two awaits, so nothing else runs meanwhile
Mutex = nullcontext

_tasks: set[asyncio.Task[Any]] = set()


def spawn(work: Callable[..., Any], *args: Any) -> asyncio.Task[Any]:
    """Runs ``work(*args)`` beside."""
    task = asyncio.get_running_loop().create_task(work(*args))
    _tasks.add(task)  # the loop itself keeps only a weak reference
    task.add_done_callback(_tasks.discard)
    return task


async def join(workers: list[asyncio.Task[Any]], timeout_s: float) -> None:
    """Waits for what was spawned, at most ``timeout_s``."""
    others = [worker for worker in workers if worker is not asyncio.current_task()]
    if others:
        await asyncio.wait(others, timeout=timeout_s)


async def call(function: Callable[..., Any], *args: Any) -> Any:
    """Calls a function of the user; if it gives an awaitable, awaits it."""
    outcome = function(*args)
    return await outcome if inspect.isawaitable(outcome) else outcome


async def sleep(seconds: float) -> None:
    """Lets time pass."""
    await asyncio.sleep(seconds)


def home() -> asyncio.AbstractEventLoop:
    """Where a pool's connections live."""
    return asyncio.get_running_loop()


def check_home(loop: asyncio.AbstractEventLoop) -> None:
    """Raises InterfaceError when called on another event loop than ``loop``."""
    if asyncio.get_running_loop() is not loop:
        raise InterfaceError(
            "the pool was opened on another event loop: open one pool in each loop, or close and open it"
        )


def current_name() -> str:
    """The task's name, for people."""
    task = asyncio.current_task()
    return "no task" if task is None else task.get_name()


class Ticket(BaseTicket):
    """A task in the pool's queue."""

    __slots__ = ("_turn",)

    def __init__(self) -> None:
        super().__init__(self._wake)
        self._turn = asyncio.get_running_loop().create_future()

    def _wake(self) -> None:
        if not self._turn.done():
            self._turn.set_result(None)

    async def wait(self, timeout_s: float) -> None:
        """Until woken, at most ``timeout_s``; whether there is a slot or an error tells which."""
        timer = self._turn.get_loop().call_later(timeout_s, self._wake)
        try:
            await self._turn
        finally:
            timer.cancel()


class Timer:
    """Calls ``work`` now and then: it returns after how many seconds it wants to be called again."""

    def __init__(self, work: Callable[[], float], name: str) -> None:
        self._work = weakref.WeakMethod(work)  # a forgotten pool is not kept alive
        self._handle: asyncio.TimerHandle | None = None
        self._running = False

    def start(self) -> None:
        self._running = True
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(0, self._ring)

    def ring(self, delay_s: float) -> None:
        """Calls it after ``delay_s``, if not earlier anyway."""
        if not self._running:
            return
        if self._handle is not None:
            if self._handle.when() <= self._loop.time() + delay_s:
                return
            self._handle.cancel()
        self._handle = self._loop.call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._handle = None
        work = self._work()
        if work is not None and self._running:
            delay_s = work()
            self.ring(delay_s)

    def stop(self) -> None:
        self._running = False
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
