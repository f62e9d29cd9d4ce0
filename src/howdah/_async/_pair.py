"""What differs between the async and the sync shell, written by hand on both sides; this is the async one."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from howdah.core.session import Session
from howdah.net.aio import AioDriver, connect
from howdah.net.aio_wire import Lock

__all__ = ["Driver", "Lock", "Ret", "SettableProperties", "open_driver"]

T = TypeVar("T")
# what a callback of the user returns: here it may be awaited
Ret = Awaitable[T]

Driver = AioDriver


open_driver = connect


class SettableProperties:
    """The sync connection sets autocommit and its like as properties; here ``set_autocommit`` and its like do."""

    _session: Session
    _driver: Any
