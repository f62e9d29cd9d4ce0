"""Records: what hooks are told (howdah.hooks), and the recorder that makes them.

A recorder sits in ``session.hook`` while a connection has hooks. It is told when a request is begun and written
(core/execute.py), around each piece of the answer (``Session.received``), and by the driver when the request is over. It
has no clock of its own: it is given two. What it keeps until then hangs on the operation, as ``operation.note``.

No record holds a password. The text of a statement that sets one is left out, and a message that may quote values goes
only to hooks that ask for values.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from howdah import hooks as _hooks
from howdah.core.operation import CLOSE, PARSE, QUIET, SIMPLE
from howdah.errors import InterfaceError
from howdah.wire.tags import rows_affected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from howdah.core.operation import Operation
    from howdah.core.session import Session

STATUS_NAMES = {73: "idle", 84: "in transaction", 69: "failed transaction"}
# a frame of these packages is not the program's line
INNER_PACKAGES = frozenset({"howdah", "sqlalchemy"})
# SQLSTATE classes whose messages quote values: data exceptions, constraints, RAISE
QUOTING_CLASSES = ("22", "23", "P0")
WITHHELD = "-- text withheld: it may hold a password"
SETS_PASSWORD = re.compile(
    r"\b(?:create|alter)\b.*\b(?:role|user|group|subscription|server|mapping|database)\b", re.IGNORECASE | re.DOTALL
)
BIND_TYPE = 66


class _Slotted:
    """A repr of the fields that have a value and are no secret."""

    __slots__ = ()
    _quiet: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shown = [(name, getattr(self, name)) for name in self.__slots__ if name not in self._quiet]
        return f"<{type(self).__name__} {' '.join(f'{name}={value!r}' for name, value in shown if value is not None)}>"

    def as_dict(self) -> dict[str, Any]:
        """The fields as a dict."""
        return {name: getattr(self, name) for name in self.__slots__}


class ConnectRecord(_Slotted):
    """One attempt to connect, and then the connection's life. Times as in QueryRecord.

    ``address`` is the peer's ("10.0.0.1:5432"), or the socket's path. ``error``: the class of what went wrong, ``message`` its
    text. ``close_error``: why the connection was lost, None for a close() of its own.
    """

    __slots__ = (
        "address",
        "application_name",
        "attempt",
        "backend_pid",
        "close_error",
        "closed_s",
        "dbname",
        "done_s",
        "error",
        "host",
        "message",
        "port",
        "server_version",
        "sqlstate",
        "started_at",
        "started_s",
        "tls_version",
        "user",
    )

    def __init__(self, host: str, port: int, dbname: str, user: str, application_name: str | None) -> None:
        self.host = host
        self.port = port
        self.dbname = dbname
        self.user = user
        self.application_name = application_name
        self.attempt = 1
        self.started_at = 0.0
        self.started_s = 0.0
        self.done_s: float | None = None
        self.closed_s: float | None = None
        self.address: str | None = None
        self.backend_pid: int | None = None
        self.server_version: str | None = None
        self.tls_version: str | None = None
        self.error: str | None = None
        self.sqlstate: str | None = None
        self.message: str | None = None
        self.close_error: str | None = None

    @property
    def duration_s(self) -> float | None:
        """Seconds from the dial to the server's first ReadyForQuery, or to the failure."""
        return None if self.done_s is None else self.done_s - self.started_s


class QueryRecord(_Slotted):
    """One request.

    ``sql``: the text as it was sent (``$1`` for placeholders); ``kind``: its first keyword; ``batch_size``: how many rows of
    parameters an executemany() had, None for others. ``parameter_oids``, ``parameter_types`` (None: the server chooses, as
    for NULL) and ``parameter_bytes`` (over all rows of a batch) have one entry a parameter. ``parameters``: the values, None
    unless the hook asks for them.

    ``prepared``: "hit" (the server had the statement), "now" (it was prepared by this request), "unnamed" or "simple" (the
    simple protocol). ``began``: a BEGIN travelled with it. ``status_before``, ``status_after``: "idle", "in transaction",
    "failed transaction"; "closed" for a connection that was lost.

    ``rows``: as the command tags say, None where they say nothing; ``results``: how many statements answered; ``tag``: the last
    one's. ``bytes_in`` and ``bytes_out`` count protocol messages, before TLS. ``round_trips``: 0 for a request that was never
    sent. ``attempt``: 2 for the repetition of one that the server refused for the result formats it asked for.

    Times: ``started_at`` is the wall clock's (seconds since 1970). The others are seconds on one monotonic clock, None for
    what did not come to pass: ``started_s``, ``sent_s`` (the messages are written and go to the socket), ``first_byte_s``
    and ``last_byte_s`` of the answer, ``done_s``. ``decode_s``: how long howdah read the answer, rows and values included.

    ``error``: the class's name, ``sqlstate``: the server's code, ``message``: the text without DETAIL, None where it may quote
    values that the hook did not ask for. ``call_site``: ("file", line), None unless a hook asks for it.
    """

    __slots__ = (
        "address",
        "application_name",
        "attempt",
        "backend_pid",
        "batch_size",
        "began",
        "bytes_in",
        "bytes_out",
        "call_site",
        "dbname",
        "decode_s",
        "done_s",
        "error",
        "first_byte_s",
        "kind",
        "last_byte_s",
        "message",
        "parameter_bytes",
        "parameter_oids",
        "parameter_types",
        "parameters",
        "prepared",
        "results",
        "round_trips",
        "rows",
        "sent_s",
        "sql",
        "sqlstate",
        "started_at",
        "started_s",
        "status_after",
        "status_before",
        "tag",
        "user",
    )
    _quiet = ("message", "parameters")

    def __init__(self) -> None:
        self.sql = ""
        self.kind = ""
        self.batch_size: int | None = None
        self.parameter_oids: tuple[int, ...] = ()
        self.parameter_types: tuple[str | None, ...] = ()
        self.parameter_bytes: tuple[int, ...] = ()
        self.parameters: Any = None
        self.prepared = "simple"
        self.began = False
        self.status_before = ""
        self.status_after = ""
        self.rows: int | None = None
        self.results = 0
        self.tag: str | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.round_trips = 0
        self.attempt = 1
        self.started_at = 0.0
        self.started_s = 0.0
        self.sent_s: float | None = None
        self.first_byte_s: float | None = None
        self.last_byte_s: float | None = None
        self.done_s: float | None = None
        self.decode_s = 0.0
        self.error: str | None = None
        self.sqlstate: str | None = None
        self.message: str | None = None
        self.call_site: tuple[str, int] | None = None
        self.address: str | None = None
        self.dbname = ""
        self.user = ""
        self.application_name: str | None = None
        self.backend_pid: int | None = None

    @property
    def duration_s(self) -> float:
        """Seconds from the call to the end of the answer; the wait for the connection's lock is not in it."""
        return 0.0 if self.done_s is None else self.done_s - self.started_s

    def with_values(self, parameters: Any, message: str | None) -> QueryRecord:
        """A copy for a hook that asks for values."""
        copy = QueryRecord()
        for name in self.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.parameters = parameters
        copy.message = message
        return copy


class Note:
    """What is known of a request before its answer."""

    __slots__ = ("bytes_out", "first_at", "last_at", "oids", "record", "round_trips", "values")

    def __init__(self, record: QueryRecord, oids: Any, values: Any) -> None:
        self.record = record
        self.oids = oids
        self.values = values
        self.first_at = 0.0
        self.last_at = 0.0
        self.bytes_out = 0
        self.round_trips = 1


class Recorder:
    """Makes the records of one connection and hands them to its hooks.

    ``clock`` and ``wall`` are time.monotonic and time.time. Used by one thread at a time: the connection's lock is around it.
    """

    def __init__(
        self,
        hooks: Sequence[Any],
        session: Session,
        connect: ConnectRecord,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.hooks = tuple(hooks)
        _hooks.check_hooks(self.hooks)
        self.session = session
        self.connect = connect
        self.clock = clock
        self.wall = wall
        self.busy = False
        self.closed = False
        self.started_at = 0.0
        self.started_s = 0.0
        self.entered_at = 0.0
        self.attempt = 1
        self.wants_values = any(getattr(hook, "wants_values", False) for hook in self.hooks)
        self.wants_call_site = any(getattr(hook, "wants_call_site", False) for hook in self.hooks)

    # -- the connection calls

    def connect_begun(self) -> None:
        self.connect.started_at = self.wall()
        self.connect.started_s = self.clock()
        self.tell("connect_begun", self.connect)

    def connect_failed(self, exc: BaseException) -> None:
        self.connect.done_s = self.clock()
        self.connect.error = type(exc).__name__
        self.connect.sqlstate = getattr(exc, "sqlstate", None)
        self.connect.message = plain_message(exc)
        self.closed = True
        self.tell("connect_failed", self.connect)

    def connect_done(self, address: str | None, tls_version: str | None) -> None:
        record = self.connect
        session = self.session
        record.done_s = self.clock()
        record.address = address
        record.tls_version = tls_version
        record.backend_pid = session.backend_pid
        record.server_version = session.parameters.get("server_version")
        self.tell("connect_done", record)

    def connection_closed(self, failure: BaseException | None) -> None:
        """The connection is closed; ``failure`` tells why if that was not asked for."""
        if self.closed:
            return
        self.closed = True
        self.connect.closed_s = self.clock()
        if failure is not None and not isinstance(failure, InterfaceError):
            self.connect.close_error = plain_message(failure)
        self.tell("connection_closed", self.connect)

    # -- core/execute.py calls

    def begin(self) -> None:
        """A request is about to be made. Raises InterfaceError when a hook makes it."""
        if self.busy:
            raise InterfaceError("a hook cannot use the connection it is called for")
        self.started_at = self.wall()
        self.started_s = self.clock()

    def repeat(self) -> None:
        """The next request is the last one, once more."""
        self.attempt = 2

    def written(self, operation: Operation, mark: int, oids: Any, values: Any, sql: bytes, batch: int | None) -> None:
        """A request lies in the send buffer from ``mark`` on; ``values`` are one row's, or those of a batch's rows."""
        session = self.session
        record = QueryRecord()
        record.started_at = self.started_at
        record.started_s = self.started_s
        record.attempt = self.attempt
        self.attempt = 1
        record.status_before = STATUS_NAMES.get(session.transaction_status, "unknown")
        record.batch_size = batch
        text = sql.decode("utf-8")
        record.sql = WITHHELD if sets_password(text) else text
        record.kind = operation.query.kind if operation.query is not None else text
        script = operation.script
        record.began = QUIET in script
        record.prepared = how_prepared(script)
        if oids:
            record.parameter_bytes = tuple(parameter_sizes(session.outbuf.store, mark, session.outbuf.pos, len(oids)))
        if self.wants_call_site:
            record.call_site = call_site()
        operation.note = Note(record, oids, values if self.wants_values else None)

    # -- Session.received calls

    def entered(self) -> None:
        """Bytes have arrived and are about to be read."""
        self.entered_at = self.clock()

    def left(self, head: Operation | None) -> None:
        """The bytes were read; ``head`` was at the head of the queue when they came."""
        note = getattr(head, "note", None)
        if note is None:
            return
        if not note.first_at:
            note.first_at = self.entered_at
        note.last_at = self.entered_at
        note.record.decode_s += self.clock() - self.entered_at
        unsent = self.session.outbuf.pos
        if unsent:
            # what the answer asked for goes out now and is answered in its turn
            note.round_trips += 1
            note.bytes_out += unsent

    # -- the driver calls

    def __call__(self, operation: Operation) -> None:
        """The operation is over. Once for each: a second call, or one for an operation of the driver's own, is ignored."""
        note = getattr(operation, "note", None)
        if note is None:
            return
        operation.note = None
        record = note.record
        self.complete(operation, note, record)
        message = record.message
        if record.sql is WITHHELD or (record.parameter_oids and (record.sqlstate or "").startswith(QUOTING_CLASSES)):
            record.message = None
        full = record.with_values(note.values, message) if self.wants_values else record
        self.busy = True
        try:
            for hook in self.hooks:
                _hooks.call(hook, "query_done", full if getattr(hook, "wants_values", False) else record)
        finally:
            self.busy = False
        if self.session.closed:
            self.connection_closed(self.session.failure)

    def complete(self, operation: Operation, note: Note, record: QueryRecord) -> None:
        session = self.session
        by_oid = session.registry.by_oid
        record.parameter_oids = tuple(note.oids)
        record.parameter_types = tuple(type_name(by_oid, oid) for oid in note.oids)
        results = operation.results or ()
        record.results = len(results)
        if results:
            record.tag = results[-1].tag
            record.rows = count_rows(results)
        record.bytes_in = operation.bytes_in
        record.bytes_out = operation.bytes_out + note.bytes_out if operation.sent else 0
        record.round_trips = note.round_trips if operation.sent else 0
        record.sent_s = operation.sent_at if operation.sent and operation.sent_at else None
        record.first_byte_s = note.first_at or None
        record.last_byte_s = note.last_at or None
        record.done_s = operation.done_at or self.clock()
        error = operation.error
        if error is not None:
            record.error = type(error).__name__
            record.sqlstate = getattr(error, "sqlstate", None)
            record.message = plain_message(error)
        record.status_after = "closed" if session.closed else STATUS_NAMES.get(session.transaction_status, "unknown")
        connect = self.connect
        record.address = connect.address
        record.dbname = connect.dbname
        record.user = connect.user
        record.application_name = session.parameters.get("application_name") or connect.application_name
        record.backend_pid = session.backend_pid

    def tell(self, event: str, record: object) -> None:
        self.busy = True
        try:
            for hook in self.hooks:
                _hooks.call(hook, event, record)
        finally:
            self.busy = False


def sets_password(sql: str) -> bool:
    """Whether a statement's text may hold a password. Errs on the side of silence."""
    return "password" in sql.lower() and SETS_PASSWORD.search(sql) is not None


def plain_message(exc: BaseException) -> str:
    """The first line of an error, without the SQL text, DETAIL and HINT that str() adds."""
    primary = getattr(getattr(exc, "diag", None), "message_primary", None)
    return str(primary if primary is not None else (exc.args[0] if exc.args else ""))


def how_prepared(script: bytes) -> str:
    if SIMPLE in script:
        return "simple"
    if CLOSE in script:
        return "now"  # a named Parse has a Close of its name before it
    own = script[script.index(QUIET) + 1 :] if QUIET in script else script
    return "unnamed" if PARSE in own else "hit"


def parameter_sizes(store: bytes | bytearray, at: int, end: int, count: int) -> list[int]:
    """The encoded size of each of ``count`` parameters, summed over the Bind messages in ``store[at:end]``."""
    sizes = [0] * count
    while at < end:
        following = at + 1 + int.from_bytes(store[at + 1 : at + 5], "big")
        if store[at] == BIND_TYPE:
            here = store.index(0, at + 5) + 1  # behind the portal's name
            here = store.index(0, here) + 1  # and the statement's
            here += 2 + 2 * int.from_bytes(store[here : here + 2], "big")
            if int.from_bytes(store[here : here + 2], "big") == count:
                here += 2
                for index in range(count):
                    size = int.from_bytes(store[here : here + 4], "big", signed=True)
                    here += 4
                    if size > 0:
                        sizes[index] += size
                        here += size
        at = following
    return sizes


def type_name(by_oid: dict[int, Any], oid: int) -> str | None:
    if oid == 0:
        return None
    codec = by_oid.get(oid)
    return str(oid) if codec is None else str(codec.name)


def count_rows(results: Sequence[Any]) -> int | None:
    counts = [rows_affected(result.tag) for result in results if result.tag is not None]
    counts = [count for count in counts if count >= 0]
    return sum(counts) if counts else None


def call_site() -> tuple[str, int] | None:
    """File and line of the innermost frame that is neither ours nor SQLAlchemy's."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in INNER_PACKAGES:
            return (frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None
