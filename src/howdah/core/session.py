"""The session: bytes in, facts out. No socket, no clock, no asyncio.

A driver hands in what it reads (``get_buffer``, ``received``, ``receive_eof``) and sends what ``data_to_send`` gives.
Requests are operations (core.operation): building one writes its messages into the send buffer and puts it at the end
of the reply queue; the head of the queue owns every reply until its script is done. Notices, notifications and
ParameterStatus may come between any two messages and belong to the session; FATAL and the end of the stream are legal
at every point. What does not fit is a ProtocolError, and a closed session.

The way of one ``execute()``, from the method to the bytes and back (not counted: the leaves below, which are wire/ and
the codecs in types/):

    _sync/cursor.py      Cursor.execute
    _base/cursor.py      what sync and async cursors share: the results
    core/execute.py      execute: codecs, messages, the operation
    core/query.py        read_query, StatementCache.get: placeholders to $n, what is known of the statement
    net/blocking.py      BlockingDriver.run: send, receive (net/aio_wire.py: AsyncCursor)
    core/session.py      received: messages to the operation at the head of the queue
    core/operation.py    the script of replies, the results
    core/rows.py         TupleSink.receive: DataRow to tuple

Memory: the receive buffer is never moved while messages in it are read (wire/inbuf.py); user code that runs during
decoding and calls back into the session gets an InterfaceError.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import timedelta, timezone, tzinfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython

    from howdah.core.record import Recorder
    from howdah.core.rows import RowPlan
    from howdah.core.server_memory import ServerMemory
else:
    from howdah import _cy as cython

from howdah.core.operation import (
    ACTIONS,
    ADVANCE,
    BEGUN,
    COMPLETE,
    COPY_DONE,
    COPY_IN,
    COPY_OUT,
    CUSTOM,
    DESCRIBE,
    DESCRIBED,
    EMPTY,
    EXECUTE,
    NO_DATA,
    PARSE,
    PARSED,
    READY,
    ROW,
    SIMPLE,
    START_COPY_BOTH,
    START_COPY_IN,
    START_COPY_OUT,
    STARTUP,
    STEP_NAMES,
    SUSPENDED,
    SYNC,
    VIOLATION,
    Operation,
)
from howdah.core.query import StatementCache
from howdah.core.rows import choose_formats, make_plan
from howdah.errors import (
    DataError,
    Error,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    ProtocolError,
    error_from_fields,
)
from howdah.types._datetime import style_of
from howdah.types.codec import _Codec
from howdah.types.registry import UTC, registry_for
from howdah.wire import backend
from howdah.wire.frontend import PROTOCOL_3_0, write_copy_fail, write_sync, write_terminate
from howdah.wire.inbuf import InBuf
from howdah.wire.limits import (
    LONG_MESSAGES,
    MAX_KEPT_NOTICES,
    MAX_KEPT_NOTICES_PRE_AUTH,
    MAX_KEPT_PARAMETERS,
    MAX_NOTICE_FIELD_BYTES,
    MAX_PRE_AUTH_BYTES,
    MAX_SHORT_BYTES,
)
from howdah.wire.outbuf import OutBuf

if not cython.compiled:
    from howdah.wire.bytes import find_nul, read_bytes, read_i32, read_text

# ReadyForQuery's word for the transaction: idle, in one, in a failed one; 0 before the first.
STATUS_UNKNOWN = 0
STATUS_IDLE = 73  # I
STATUS_IN_TRANSACTION = 84  # T
STATUS_IN_ERROR = 69  # E

# Linux gives process IDs up to 4,194,304; poolers that make up their own go beyond.
MAX_PROCESS_ID = 4_194_304
# what an error means when it answers a statement we ran from memory: our memory of it is stale
STALE_STATEMENT = frozenset({"26000", "0A000", "08P01", "42883", "42P05"})

RAW = _Codec("unknown", 0, 0, False)


class Session:
    """The client's side of one PostgreSQL session.

    ``transaction_status`` is the last ReadyForQuery's byte. ``begin`` is the SQL that begins a transaction in front of a
    statement that finds none open, or None (autocommit). ``failure`` is why the session is closed. ``exclusive``: one
    request at a time, for a driver that waits for each. ``hook`` is called with each finished operation by the driver, and told
    of its way here (core.record.Recorder). ``memory`` is what is known of the server (core.server_memory).
    ``notices`` and ``notifications`` wait here until the shell hands them on.
    """

    __slots__ = (
        "authenticated",
        "backend_key",
        "backend_pid",
        "backslashes",
        "begin",
        "bytes_in",
        "closed",
        "decoding",
        "exclusive",
        "failure",
        "finished",
        "head",
        "hook",
        "inbuf",
        "max_message_bytes",
        "memory",
        "notices",
        "notifications",
        "outbuf",
        "parameters",
        "pooler_suspected",
        "prepare_threshold",
        "protocol_version",
        "queue",
        "registry",
        "statements",
        "terminated",
        "transaction_status",
        "writing",
    )

    def __init__(self) -> None:
        self.inbuf = InBuf()
        self.outbuf = OutBuf()
        self.queue = deque()
        self.head = None
        self.finished = []
        self.transaction_status = STATUS_UNKNOWN
        self.parameters: dict[str, str] = {}
        self.backend_pid = 0
        self.backslashes = False
        self.backend_key = b""
        self.protocol_version = PROTOCOL_3_0
        self.authenticated = False
        self.closed = False
        self.terminated = False
        self.failure = None
        self.decoding = False
        self.writing = False
        self.exclusive = False
        self.bytes_in = 0
        self.max_message_bytes = MAX_PRE_AUTH_BYTES
        self.notices = deque(maxlen=MAX_KEPT_NOTICES)
        self.notifications = deque(maxlen=MAX_KEPT_NOTICES)
        self.pooler_suspected = False
        self.prepare_threshold: int | None = 1
        self.registry = registry_for(UTC)
        self.statements = StatementCache()
        self.hook: Recorder | None = None
        self.memory: ServerMemory | None = None
        self.begin: bytes | None = None

    def __reduce__(self):
        raise TypeError("a session cannot be pickled")

    def restart(self) -> None:
        """Forgets a connect that failed, for the next attempt; what the program set stays. Not for a used session."""
        begin = self.begin
        prepare_threshold = self.prepare_threshold
        hook = self.hook
        memory = self.memory
        self.__init__()
        self.begin = begin
        self.prepare_threshold = prepare_threshold
        self.hook = hook
        self.memory = memory

    # -- what a driver calls

    def get_buffer(self, sizehint=-1):
        """A writable view for the next read; book what was read with ``received``. The hint is asyncio's, and not needed."""
        if self.decoding:
            raise InterfaceError("the session is reading a result; code called by it cannot use its connection")
        return self.inbuf.get_buffer()

    def received(self, count: int) -> int:
        """Handles ``count`` bytes read into the last buffer; returns how many operations with a waiter they finished."""
        if self.decoding:
            raise InterfaceError("the session is reading a result; code called by it cannot use its connection")
        inbuf = self.inbuf
        inbuf.received(count)
        self.bytes_in += count
        if self.head is not None:
            self.head.bytes_in += count
        before = len(self.finished)
        first = self.head
        if self.hook is not None:
            self.hook.entered()
        hold = inbuf.store
        base = hold
        pos = inbuf.start
        end = inbuf.end
        inbuf.needed = 0
        self.decoding = True
        try:
            while end - pos >= 5 and not self.closed:
                head = self.head
                if (
                    base[pos] == 68
                    and head is not None
                    and head.sink is not None
                    and (head.plan is not None or head.discard)
                    and (head.step == EXECUTE or head.step == SIMPLE)
                ):
                    after = head.sink.receive(head.plan, base, pos, end)
                    if after != pos:
                        pos = after
                        inbuf.start = pos
                        continue
                size = read_i32(base, pos + 1)
                if size < 4 or size > self.max_message_bytes:
                    raise ProtocolError(f"a message of type {shown(base[pos])} announces {size} bytes")
                if size > MAX_SHORT_BYTES and base[pos] not in LONG_MESSAGES:
                    raise ProtocolError(
                        f"a message of type {shown(base[pos])} announces {size} bytes: it is never so long"
                    )
                if size + 1 > end - pos:
                    inbuf.needed = size + 1
                    break
                self.on_message(base[pos], base, pos + 5, size - 4)
                pos += size + 1
                inbuf.start = pos
        except BaseException as exc:
            self.fail(exc if isinstance(exc, Error) else broken_by(exc))
            if not isinstance(exc, Exception):
                raise  # an interrupt, in the middle of a message
        finally:
            self.decoding = False
        if self.hook is not None:
            self.hook.left(first)
        return len(self.finished) - before

    def receive_eof(self) -> None:
        """The server closed the stream."""
        if self.terminated:
            self.fail(InterfaceError("the connection is closed"))
        else:
            self.fail(OperationalError("the server closed the connection unexpectedly"))

    def data_to_send(self) -> bytes:
        """All that is to be sent; the buffer is empty afterwards."""
        if self.writing:
            self.check_not_inside()
        return self.outbuf.take()

    def fail(self, exc: BaseException) -> None:
        """Closes the session: every operation still waiting fails, the first with ``exc`` itself."""
        first = not self.closed
        self.closed = True
        if first:
            self.failure = exc
        error = exc
        while self.queue:
            operation = self.queue.popleft()
            if operation.error is None:
                operation.error = with_facts(error, operation)
            operation.done = True
            if operation.waiter is not None:
                self.finished.append(operation)
            error = lost_with(exc)
        self.head = None

    def submit(self, operation: Operation) -> None:
        """Puts an operation whose messages are in the send buffer at the end of the reply queue."""
        self.queue.append(operation)
        if self.head is None:
            self.head = operation

    def check_usable(self) -> None:
        """Raises when no request can be made now."""
        if self.closed:
            raise closed_error(self.failure)
        self.check_not_inside()
        if self.head is not None:
            if self.exclusive and self.head.sent:
                raise InterfaceError("a request of this connection is under way; code called during it cannot use it")
            if not self.head.sent:
                self.withdraw_unsent()

    def withdraw_unsent(self) -> None:
        """Forgets the requests that were written but never sent: their caller was interrupted between the two."""
        self.outbuf.rewind(0)
        while self.queue:
            operation = self.queue.pop()
            if operation.sent:
                self.queue.append(operation)
                break
            operation.fail(InterfaceError("the request was interrupted before it was sent", sent=False))
            operation.done = True
        self.head = self.queue[0] if self.queue else None

    def check_not_inside(self) -> None:
        """Raises when called by code that runs inside the session: a codec, a user's dumps function."""
        if self.decoding:
            raise InterfaceError("the session is reading a result; code called by it cannot use its connection")
        if self.writing:
            raise InterfaceError("the session is writing a statement; code called by it cannot use its connection")

    def take_finished(self) -> list:
        """The operations with a waiter that finished since the last call."""
        finished = self.finished
        self.finished = []
        return finished

    def terminate(self) -> None:
        """Writes Terminate; the driver sends it and closes."""
        self.terminated = True
        if not self.closed:
            write_terminate(self.outbuf)

    # -- messages

    def on_message(self, kind, data, pos, size):
        head = self.head
        if head is not None and kind < 128:
            action = ACTIONS[head.step * 128 + kind]
            if action != VIOLATION:
                if action == ADVANCE:
                    self.check_empty(kind, size)
                    self.advance(head)
                elif action == BEGUN:
                    backend.read_command_tag(read_bytes(data, pos, size))
                    self.advance(head)
                elif action == COMPLETE:
                    if size < 1 or find_nul(data, pos, pos + size) != pos + size - 1:
                        raise ProtocolError("a CommandComplete whose tag does not end where its message does")
                    try:
                        tag = read_text(data, pos, size - 1)
                    except UnicodeDecodeError:
                        raise ProtocolError("a CommandComplete whose tag is no UTF-8") from None
                    self.on_complete(head, tag)
                elif action == READY:
                    self.on_ready(head, data, pos, size)
                elif action == DESCRIBED:
                    self.on_row_description(head, read_bytes(data, pos, size))
                elif action == PARSED:
                    self.check_empty(kind, size)
                    self.on_parsed(head)
                else:
                    self.on_rare(head, action, kind, read_bytes(data, pos, size))
                return None
        self.on_unowned(head, kind, read_bytes(data, pos, size))
        return None

    def advance(self, head):
        if head.advance():
            self.queue.popleft()
            self.head = self.queue[0] if self.queue else None
            if head.waiter is not None:
                self.finished.append(head)
        elif head.step == EXECUTE and head.result is None:
            if head.plan is not None and head.plan.registry is not self.registry:
                # a setting changed after the request was made and before its rows were
                head.plan = make_plan(head.plan.columns, self.registry, RAW)
            head.begin_result(head.plan)
        return None

    def on_ready(self, head, data, pos, size):
        if size != 1:
            raise ProtocolError(f"a ReadyForQuery of {size} bytes")
        status = data[pos]
        if status != STATUS_IDLE and status != STATUS_IN_TRANSACTION and status != STATUS_IN_ERROR:
            raise ProtocolError(f"ReadyForQuery names the transaction status {shown(status)}")
        self.transaction_status = status
        self.advance(head)
        return None

    def on_complete(self, head, tag):
        head.end_result(tag, False)
        if head.step == EXECUTE:
            self.advance(head)
        elif head.statement is not None and not head.statement.described:
            head.statement.set_columns(None)
        if tag == "DISCARD ALL" or tag == "DEALLOCATE ALL":
            self.statements.clear()
        return None

    def on_parsed(self, head):
        if head.statement is not None and head.statement.name and not head.statement.prepared:
            # the Parse of our own BEGIN comes first in the script and is not the statement's
            if head.script.rfind(bytes((PARSE,))) == head.at:
                head.statement.prepared = True
        self.advance(head)
        return None

    def on_row_description(self, head, body):
        columns = backend.read_row_description(body)
        registry = self.registry
        if head.step == SIMPLE and head.results is not None and changes_settings(head.results):
            # the statements in front may have changed DateStyle, which the server reports when the Query is over
            registry = registry_for(registry.timezone)
        plan = make_plan(columns, registry, RAW)
        if head.statement is not None:
            if self.memory is not None and types_differ(head.statement.columns, columns):
                self.memory.remember(head.statement.sql, head.statement.oids, columns)
            head.statement.set_columns(columns)
            if head.step == DESCRIBE:
                # together: the plan, and what was asked for when it was made
                head.statement.plan = plan
                head.statement.formats = head.formats
                head.statement.binary = head.binary
                head.statement.wanted = choose_formats(columns, registry.by_oid, head.binary)
        if head.step == DESCRIBE:
            head.plan = plan
            if head.remembered and not head.binary and not plan_equals_text(plan):
                self.refuse_formats(head)
            else:
                self.advance(head)
        else:
            head.begin_result(plan)
        return None

    def refuse_formats(self, head):
        """A column is now of a type whose binary form would be read as another value than its text."""
        head.discard = True
        self.forget_statement(head.statement)
        self.advance(head)
        # in the sink, so that an error of the server comes before it
        head.sink.error = DataError(
            "the types of this query's columns changed since it was last described, and its result came in a format that "
            "cannot be read: it did run; the next time it is read right"
        )
        return None

    def forget_statement(self, statement):
        self.statements.discard(statement)
        if self.memory is not None:
            self.memory.forget(statement.sql, statement.oids)
        return None

    def check_empty(self, kind, size):
        if size != 0:
            raise ProtocolError(f"{size} bytes in a message of type {shown(kind)}, which has none")
        return None

    def on_rare(self, head, action, kind, body):
        if action in (NO_DATA, EMPTY, SUSPENDED, COPY_DONE):
            self.check_empty(kind, len(body))
        elif action in (START_COPY_IN, START_COPY_OUT, START_COPY_BOTH):
            backend.read_copy_response(body)
        if action == NO_DATA:
            if head.statement is not None:
                head.statement.set_columns(None)
            head.plan = None
            self.advance(head)
        elif action == EMPTY:
            head.end_result(None, False)
            if head.step == EXECUTE:
                self.advance(head)
        elif action == SUSPENDED:
            head.end_result(None, True)
            self.advance(head)
        elif action == START_COPY_IN:
            head.fail(ProgrammingError("COPY FROM STDIN cannot run through execute(), which has no data to give it"))
            write_copy_fail(self.outbuf, b"the client ran COPY through execute()")
            if SYNC in head.script:
                # the Sync that went out behind the statement was swallowed by the COPY
                write_sync(self.outbuf)
            if head.step == EXECUTE:
                head.step = COPY_IN
        elif action == START_COPY_OUT:
            head.fail(ProgrammingError("COPY TO STDOUT cannot run through execute(), which returns rows"))
            head.step = COPY_OUT
        elif action == START_COPY_BOTH:
            raise NotSupportedError("the server started replication streaming, which execute() does not read")
        elif action == COPY_DONE:
            head.step = head.script[head.at]
        elif action == CUSTOM:
            if head.take(self, kind, body):
                self.advance(head)
        elif action == ROW:
            if len(body) < 2:  # too short for the row loop to look at
                raise ProtocolError(f"a DataRow of {len(body) + 4} bytes")
            raise ProtocolError("a row arrived that no RowDescription announced")
        return None

    def on_unowned(self, head, kind, body):
        """Messages that may come at any time once the session is authenticated, and those that may not come at all."""
        if not self.authenticated and kind != 69 and kind != 78:
            raise ProtocolError(f"the server sent a message of type {shown(kind)} before authentication was over")
        if kind == 83:  # ParameterStatus
            name, value = backend.read_parameter_status(body)
            self.on_parameter(name, value)
        elif kind == 78:  # NoticeResponse
            if len(body) > MAX_SHORT_BYTES:
                fields = backend.read_error_fields(body, MAX_NOTICE_FIELD_BYTES)
            else:
                fields = backend.read_error_fields(body)
            if self.authenticated or len(self.notices) < MAX_KEPT_NOTICES_PRE_AUTH:
                self.notices.append(fields)
        elif kind == 65:  # NotificationResponse
            self.notifications.append(backend.read_notification(body))
        elif kind == 69:  # ErrorResponse
            self.on_error(head, backend.read_error_fields(body))
        else:
            where = "no request is under way" if head is None else f"the request is at {STEP_NAMES[head.step]}"
            raise ProtocolError(f"the server sent a message of type {shown(kind)} while {where}")
        return None

    def on_error(self, head, fields):
        query = head.query.sql.decode("utf-8") if head is not None and head.query is not None else None
        if not self.authenticated and self.protocol_version > PROTOCOL_3_0 and "H" not in fields:
            # a pooler that does not know NegotiateProtocolVersion refuses in words of its own
            fields["H"] = "howdah asked for protocol 3.2; max_protocol_version=3.0 is known to every server and pooler"
        error = error_from_fields(
            fields, query=query, sent=None if head is None else head.sent, pre_auth=not self.authenticated
        )
        fatal = fields.get("V", fields.get("S", "")) in ("FATAL", "PANIC")
        if head is None:
            if not fatal:
                raise ProtocolError(f"an error arrived that answers no request: {error}")
        else:
            head.fail(error)
            statement = head.statement
            if statement is not None and head.remembered and error.sqlstate in STALE_STATEMENT:
                self.forget_statement(statement)
            if head.step != STARTUP:
                head.sink = None
                head.result = None
                head.skip_to_sync()
        if fatal or (head is not None and head.step == STARTUP):
            # the stream ends next: nothing behind this can be an answer
            self.fail(error)
        return None

    def on_parameter(self, name, value):
        if name not in self.parameters and len(self.parameters) >= MAX_KEPT_PARAMETERS:
            raise ProtocolError(f"the server reports more than {MAX_KEPT_PARAMETERS} settings")
        self.parameters[name] = value
        if name == "TimeZone" or name == "DateStyle":
            timezone = timezone_of(self.parameters.get("TimeZone", "UTC"))
            self.registry = registry_for(timezone, style_of(self.parameters.get("DateStyle", "ISO")))
        elif name == "standard_conforming_strings":
            self.backslashes = value == "off"
        elif name == "client_encoding" and value.upper().replace("-", "") not in (
            "UTF8",
            "UNICODE",
            "SQL_ASCII",
        ):
            raise InternalError(
                f"the session's client_encoding became {value!r}: howdah reads and writes UTF8 only, "
                "so the connection was closed; do not SET client_encoding"
            )
        return None


def types_differ(known: object, columns: tuple) -> bool:
    """Whether a statement returns other types than it did when it was last described, if it was."""
    return known is None or [column[3] for column in known] != [column[3] for column in columns]


def plan_equals_text(plan: RowPlan) -> bool:
    """Whether every column that came in binary has a codec whose two formats give equal values."""
    return all(not plan.formats[i] or plan.codecs[i].binary_equal for i in range(plan.width))


def shown(byte: int) -> str:
    """A message type for people."""
    return repr(chr(byte)) if 32 <= byte < 127 else f"0x{byte:02x}"


# POSIX's way to write a zone without summer time, <+03>-03 or EST5: west is positive. SET TimeZone = 3 becomes such a one.
DIGITS = tuple("0123456789")
OFFSET_ZONE = r"(?:<([^>]+)>|([A-Za-z]{3,}))?([+-]?)(\d{1,2})(?::(\d\d)(?::(\d\d))?)?"


def timezone_of(name: str) -> tzinfo | None:
    """The tzinfo of a TimeZone setting; None for one that Python does not know."""
    if name in ("UTC", "Etc/UTC", "GMT", "Etc/GMT", "Universal", "Zulu", "Etc/UCT", "UCT"):
        return UTC
    offset = re.fullmatch(OFFSET_ZONE, name, re.ASCII) if name.endswith(DIGITS) else None
    if offset is not None:
        west = timedelta(hours=int(offset[4]), minutes=int(offset[5] or 0), seconds=int(offset[6] or 0))
        return timezone(west if offset[3] == "-" else -west, offset[1] or offset[2] or name)
    if len(name) > 64 or name.count("/") > 3:
        return None  # no zone's name; zoneinfo would look for it as a package, a level for each slash
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


# the first words of the tags of statements that may change settings, or bring earlier ones back
SETTING_TAGS = frozenset({"SET", "RESET", "DISCARD", "DO", "CALL", "COMMIT", "ROLLBACK"})


def changes_settings(results: list) -> bool:
    """Whether a statement of the same request, before this one, may have changed DateStyle."""
    return any(result.tag is not None and result.tag.split(" ")[0] in SETTING_TAGS for result in results)


def closed_error(failure: object) -> Error:
    """Why a closed session cannot be used."""
    if failure is None or isinstance(failure, InterfaceError):
        return InterfaceError("the connection is closed")
    return OperationalError(f"the connection is closed: it was lost earlier ({failure})", sent=False)


def broken_by(exc: BaseException) -> Error:
    """The error of a session that met an exception nobody foresaw: it cannot go on from the middle of a message."""
    error = InternalError(f"reading the server's answer failed: {type(exc).__name__}: {exc}")
    error.__cause__ = exc
    return error


def lost_with(exc: BaseException) -> Error:
    """The error of a request that was in flight behind the one that failed with ``exc``."""
    return OperationalError(f"the connection was lost with a request before this one: {exc}")


def with_facts(error: object, operation: Operation) -> object:
    """``error`` with what is known of the operation that it ends."""
    if isinstance(error, Error) and error.sent is None:
        error.sent = operation.sent
    return error
