"""What differs between the async and the sync shell, written by hand on both sides; this is the sync one."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from howdah.core.pool_state import Ticket as BaseTicket
from howdah.net.blocking import BlockingDriver, connect

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
# what a callback of the user returns: the value itself
Ret = Annotated[T, "sync"]

Driver = BlockingDriver
# re-entrant, so that code called during a request does not wait for itself: the session refuses it while it works
Lock = threading.RLock
open_driver = connect


class SettableProperties:
    """Setters for the properties that the async connection sets by coroutine (PEP 249 extension ``autocommit``)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("autocommit", "isolation_level", "read_only", "deferrable"):
            setter = cls.__dict__.get("set_" + name)
            if setter is not None:
                setattr(cls, name, getattr(cls, name).setter(setter))


# -- the pool's

# a pool is opened by its constructor only where that may start something in the background: here it may
OPENS_AT_ONCE = True

Mutex = threading.Lock


class Worker(threading.Thread):
    """A thread that ends with the process, and is asked as a task is."""

    def done(self) -> bool:
        return not self.is_alive()


def spawn(work: Callable[..., None], *args: Any) -> Worker:
    """Runs ``work(*args)`` beside."""
    worker = Worker(target=work, args=args, name="howdah-worker", daemon=True)
    worker.start()
    return worker


def join(workers: list[Worker], timeout_s: float) -> None:
    """Waits for what was spawned, at most ``timeout_s``."""
    until = time.monotonic() + timeout_s
    for worker in workers:
        if worker is not threading.current_thread():
            worker.join(max(until - time.monotonic(), 0))


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Calls a function of the user."""
    return function(*args)


def sleep(seconds: float) -> None:
    """Lets time pass."""
    time.sleep(seconds)


def home() -> Any:
    """Threads share a pool: its connections live nowhere in particular."""
    return None


def check_home(home: Any) -> None:
    """Nothing to check: any thread may use a pool."""


def current_name() -> str:
    """The thread's name, for people."""
    return threading.current_thread().name


class Ticket(BaseTicket):
    """A thread in the pool's queue."""

    __slots__ = ("_gate",)

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        super().__init__(self._gate.release)

    def wait(self, timeout_s: float) -> None:
        """Until woken, at most ``timeout_s``; whether there is a slot or an error tells which."""
        self._gate.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX))


class Timer:
    """Calls ``work`` now and then: it returns after how many seconds it wants to be called again."""

    def __init__(self, work: Callable[[], float], name: str) -> None:
        self._work = weakref.WeakMethod(work)  # a forgotten pool is not kept alive
        self._name = name
        self._bell = threading.Condition()
        self._due_at = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self._bell:
            self._due_at = time.monotonic()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def ring(self, delay_s: float) -> None:
        """Calls it after ``delay_s``, if not earlier anyway."""
        due_at = time.monotonic() + delay_s
        with self._bell:
            if due_at < self._due_at:
                self._due_at = due_at
                self._bell.notify()

    def _run(self) -> None:
        while True:
            with self._bell:
                while self._thread is threading.current_thread():
                    left_s = self._due_at - time.monotonic()
                    if left_s <= 0:
                        break
                    self._bell.wait(min(left_s, 60.0))
                    if self._work() is None:
                        return
                if self._thread is not threading.current_thread():
                    return
                self._due_at = float("inf")
            work = self._work()
            if work is None:
                return
            delay_s = work()
            del work
            self.ring(delay_s)

    def stop(self) -> None:
        with self._bell:
            thread, self._thread = self._thread, None
            self._bell.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)
