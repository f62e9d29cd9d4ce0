"""What differs between the async and the sync shell, written by hand on both sides; this is the async one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any, TypeVar

from howdah.core.session import Session
from howdah.net.aio import AioDriver, connect

__all__ = ["INTERRUPTS", "Driver", "Lock", "Ret", "SettableProperties", "open_driver"]

T = TypeVar("T")
# what a callback of the user returns: here it may be awaited
Ret = Awaitable[T]

Driver = AioDriver


class Lock:
    """A first-come, first-served lock for ``async with``: asyncio's own costs three coroutines where nobody waits."""

    __slots__ = ("_locked", "_waiting")

    def __init__(self) -> None:
        self._locked = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if not self._locked and not self._waiting:
            self._locked = True
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # the lock was handed over in the same turn of the loop in which the wait was cancelled: pass it on
                self._release()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    async def __aexit__(self, *exc: object) -> None:
        self._release()

    def _release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the lock stays locked: it is the next one's
                return
        self._locked = False

    def locked(self) -> bool:
        return self._locked


# what may end a wait from outside
INTERRUPTS = (asyncio.CancelledError, KeyboardInterrupt)

open_driver = connect


class SettableProperties:
    """The sync connection sets autocommit and its like as properties; here ``set_autocommit`` and its like do."""

    _session: Session
    _driver: Any
