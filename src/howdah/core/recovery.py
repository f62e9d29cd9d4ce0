"""Leaving a request in the middle, so that its answer never meets another question.

A request is left when its caller goes (Ctrl-C, a cancelled task, an exception raised by a signal handler) or when its
deadline passes while the answer is still to come. The connection may be used again only when every reply of the request
has been read, and when no cancel request for it can still arrive. One machine, the same for both drivers, which bring the
sockets and the clock:

    abandon   the operation stays at the head of the reply queue; its rows are read and forgotten, not decoded
    cancel    a CancelRequest on a connection of its own, and the wait until the server has closed that one
    drain     what was not sent yet goes out, replies are read up to the operation's ReadyForQuery
    fence     a Sync and its ReadyForQuery: a cancel that comes late hits the fence, not the next statement

All of it within a bound. When the bound passes, when anything fails, or when the caller is interrupted once more, the
session fails and the socket is closed: *drop*. A request of which nothing was sent is taken back, and costs nothing. What
was interrupted in the middle of a read or a write, where bytes may be lost between the kernel and the session, is dropped
at once: draining would read from the middle of a message.

The bounds: a caller that goes waits at most CANCEL_TIMEOUT_S for a server that does not answer. A deadline has already
passed, so its caller waits DEADLINE_GRACE_S, and a few round trips to far servers, longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from howdah.core.operation import SYNC, Operation
from howdah.errors import InterfaceError, OperationalError, QueryTimeout
from howdah.wire.frontend import write_sync

if TYPE_CHECKING:
    from howdah.core.session import Session

CANCEL_TIMEOUT_S = 5.0
DEADLINE_GRACE_S = 0.2
# connect, cancel and its end, the rest of the answer, the fence
RECOVERY_ROUND_TRIPS = 4

QUERY_CANCELED = "57014"


def grace_s(round_trip_s: float) -> float:
    """How long the clean-up after a deadline may take."""
    return DEADLINE_GRACE_S + RECOVERY_ROUND_TRIPS * round_trip_s


def fence(session: Session) -> Operation:
    """A Sync of its own. An error in its answer is the late cancel's, and nobody's."""
    session.check_usable()
    mark = session.outbuf.pos
    write_sync(session.outbuf)
    operation = Operation(bytes((SYNC,)))
    operation.bytes_out = session.outbuf.pos - mark
    session.submit(operation)
    return operation


def dropped(exc: BaseException) -> OperationalError:
    """Why a session is closed whose request was left, as its next user reads it."""
    what = "its deadline passed" if isinstance(exc, QueryTimeout) else f"it was interrupted ({type(exc).__name__})"
    return OperationalError(
        f"the connection was closed in the middle of a request: {what}, and the rest of its answer could not be waited for"
    )


def unsent(exc: BaseException) -> InterfaceError:
    """The error of a request that was taken back."""
    return InterfaceError(f"the request was interrupted before it was sent ({type(exc).__name__})")


def timed_out(operation: Operation) -> QueryTimeout:
    """The error of a request whose deadline passed; ``say_how_it_ended`` completes it."""
    limit = f"timeout={operation.timeout_s:g} s" if operation.timeout_s else "its deadline"
    return QueryTimeout(
        f"the statement took longer than {limit}",
        query=None if operation.query is None else operation.query.sql.decode("utf-8"),
        sent=operation.sent,
    )


def say_how_it_ended(error: QueryTimeout, session: Session, operation: Operation) -> None:
    """What became of the statement and of the connection, in the error's text and facts."""
    verdict = operation.error
    if session.closed:
        how = "the server did not confirm a cancel in time, so the connection was closed"
    elif getattr(verdict, "sqlstate", None) == QUERY_CANCELED:
        how = "it was cancelled on the server"
        error.cancelled = True
    elif not operation.sent:
        how = "it was not sent"
        error.cancelled = True
    elif verdict is not None:
        how = f"it had failed when the cancel arrived ({verdict})"
    else:
        how = "it had ended when the cancel arrived, so what it did stands"
    error.args = (f"{error.args[0]}: {how}", *error.args[1:])
