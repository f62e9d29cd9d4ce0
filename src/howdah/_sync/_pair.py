"""What differs between the async and the sync shell, written by hand on both sides; this is the sync one."""

from __future__ import annotations

import threading
from typing import Annotated, Any, TypeVar

from howdah.net.blocking import BlockingDriver, connect

__all__ = ["Driver", "Lock", "Ret", "SettableProperties", "open_driver"]

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
