"""What differs between the async and the sync shell, written by hand on both sides; this is the async one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from howdah.core.session import Session
from howdah.net.aio import AioDriver, connect

__all__ = ["INTERRUPTS", "Driver", "Lock", "Ret", "SettableProperties", "open_driver"]

T = TypeVar("T")
# what a callback of the user returns: here it may be awaited
Ret = Awaitable[T]

Driver = AioDriver
Lock = asyncio.Lock
# what may end a wait from outside
INTERRUPTS = (asyncio.CancelledError, KeyboardInterrupt)

open_driver = connect


class SettableProperties:
    """The sync connection sets autocommit and its like as properties; here ``set_autocommit`` and its like do."""

    _session: Session
    _driver: Any
