"""Hooks: what a program may pass to ``connect(..., hooks=[...])`` to be told what its connections do.

A hook is any object that has the methods of one or more of the protocols below; it inherits nothing. Its methods are
called synchronously, by sync and async connections alike, with one record an event (howdah.core.record): plain values,
which can be pickled and kept. An exception of a hook is logged to ``howdah.hooks`` and goes no further. A hook must not
use the connection it is called for: that raises InterfaceError.

Two attributes of a hook ask for more, and cost more; both are False where they are missing:

    wants_call_site   the record says which line of the program made the request
    wants_values      the record that this hook gets has the parameters' values, and messages that may quote them
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from howdah.errors import ProgrammingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from howdah.core.record import ConnectRecord, QueryRecord

__all__ = ["CloseHook", "ConnectHook", "Hook", "QueryHook"]


class ConnectHook(Protocol):
    """Told of each attempt to connect; the three get the same record, which knows more each time."""

    def connect_begun(self, record: ConnectRecord) -> None:
        """Before anything is dialled."""

    def connect_done(self, record: ConnectRecord) -> None:
        """The connection can be used."""

    def connect_failed(self, record: ConnectRecord) -> None:
        """No connection was made; the record has the error."""


class CloseHook(Protocol):
    """Told of the end of a connection that was made."""

    def connection_closed(self, record: ConnectRecord) -> None:
        """Once: by ``close()``, or when a request found the connection lost; ``record.close_error`` tells."""


class QueryHook(Protocol):
    """Told of each request: a query, a batch, and the COMMIT and ROLLBACK that howdah sends."""

    def query_done(self, record: QueryRecord) -> None:
        """The request is over, well or not. One that was refused before it was written is none and has no record."""


Hook = ConnectHook | CloseHook | QueryHook

# method -> those that must come with it
EVENTS = {
    "connect_begun": ("connect_done", "connect_failed"),
    "connect_done": ("connect_begun", "connect_failed"),
    "connect_failed": ("connect_begun", "connect_done"),
    "connection_closed": (),
    "query_done": (),
}


def check_hooks(hooks: Sequence[Any]) -> None:
    """Raises ProgrammingError for what cannot be a hook."""
    for hook in hooks:
        offered = [name for name in EVENTS if callable(getattr(hook, name, None))]
        kind = type(hook).__name__
        if not offered or isinstance(hook, type):
            raise ProgrammingError(
                f"{kind} is no hook: it has none of the methods {', '.join(EVENTS)} (howdah.hooks); pass an instance"
            )
        for name in offered:
            missing = [other for other in EVENTS[name] if other not in offered]
            if missing:
                raise ProgrammingError(f"{kind} has {name}() and so needs {' and '.join(missing)}() too (howdah.hooks)")


def call(hook: Any, event: str, record: object) -> None:
    """Calls one method of a hook, if it has it; what it raises is logged and ends here."""
    method = getattr(hook, event, None)
    if method is None:
        return
    try:
        method(record)
    except Exception:
        import logging

        # the record's repr has no values in it
        logging.getLogger("howdah.hooks").exception("%s.%s raised at %r", type(hook).__name__, event, record)
