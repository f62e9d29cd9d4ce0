"""What sync and async connections share: everything that waits for nothing."""

from __future__ import annotations

import enum
import os
import sys
import time
import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from howdah import errors
from howdah._base.info import ConnectionInfo
from howdah._typing import Row
from howdah.core.execute import run_sql
from howdah.core.server_memory import MEMORIES
from howdah.core.session import STATUS_IDLE, Session
from howdah.errors import Diagnostic, InterfaceError, ProgrammingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from howdah.config.conninfo import Target
    from howdah.core.operation import Operation
    from howdah.core.record import Recorder
    from howdah.hooks import Hook
    from howdah.rows import RowFactory

NoticeHandler = Callable[[Diagnostic], None]

MAX_MESSAGES = 1000
Message = tuple[type[Exception], Exception]


class Notify(NamedTuple):
    """A notification (PostgreSQL manual, NOTIFY): its channel, its payload, and the process ID of who sent it."""

    channel: str
    payload: str
    pid: int


NotifyHandler = Callable[[Notify], None]


class IsolationLevel(enum.IntEnum):
    """Isolation levels of transactions (PostgreSQL manual, section 13.2); the numbers are psycopg's."""

    READ_UNCOMMITTED = 1
    READ_COMMITTED = 2
    REPEATABLE_READ = 3
    SERIALIZABLE = 4


def seconds(name: str, value: Any) -> float:
    """A number of seconds above 0. Raises ProgrammingError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ProgrammingError(f"{name} must be a number of seconds above 0, or None for no limit; it is {value!r}")
    return float(value)


# all open connections, for _leave_to_parent
_living: weakref.WeakSet[BaseConnection[Any]] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a child that was forked: the sessions are the parent's. Nothing may be sent on them from here, not even good-bye."""
    for connection in list(_living):
        session = connection._session
        if not session.closed:
            session.fail(
                InterfaceError("the connection belongs to the process that this one was forked from: open a new one")
            )
            driver = getattr(connection, "_driver", None)
            if driver is not None:
                driver.leave_to_parent()
    _living.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


class BaseConnection(Generic[Row]):
    """State of a connection: its session, its transaction settings, its handlers."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    row_factory: RowFactory[Row]
    cursor_factory: Any
    _driver: Any
    # what arrived since a cursor last took its messages; None until the first one, so that quiet connections pay a test
    _unclaimed: list[Message] | None = None
    # the stream that is open, if one is
    _active: Any = None
    # of a connection that belongs to a pool: the pool, and its place there
    _pool: Any = None
    _slot: Any = None
    _lock: Any

    def __init__(self, session: Session, target: Target) -> None:
        self._session = session
        self._target = target
        self._isolation_level: IsolationLevel | None = None
        self._read_only: bool | None = None
        self._deferrable: bool | None = None
        self._timeout: float | None = None
        self._closed = False
        self._recorder: Recorder | None = None
        session.memory = MEMORIES.of(target)
        _living.add(self)
        self._notice_handlers: list[NoticeHandler] = []
        self._notify_handlers: list[NotifyHandler] = []
        self._messages: list[Message] = []

    def __repr__(self) -> str:
        target = self._target
        state = "closed" if self.closed else self.info.transaction_status.name
        where = f"{target.user}@{target.address} database={target.dbname}"
        return f"<howdah.{type(self).__qualname__} [{state}] ({where})>"

    @property
    def closed(self) -> bool:
        """True when the connection cannot be used any more, whoever closed it."""
        return self._closed or self._session.closed

    @property
    def broken(self) -> bool:
        """True when the connection was lost, and not closed by close()."""
        return self._session.closed and not self._closed

    @property
    def info(self) -> ConnectionInfo:
        """Facts of the connection."""
        return ConnectionInfo(self)

    @property
    def autocommit(self) -> bool:
        """True: each statement is its own transaction. False, the default: the first statement begins one (PEP 249)."""
        return self._session.begin is None

    @property
    def isolation_level(self) -> IsolationLevel | None:
        """The isolation level of the transactions begun here; None is the server's default."""
        return self._isolation_level

    @property
    def read_only(self) -> bool | None:
        """Whether the transactions begun here are read only; None is the server's default."""
        return self._read_only

    @property
    def deferrable(self) -> bool | None:
        """Whether the transactions begun here are deferrable; None is the server's default."""
        return self._deferrable

    @property
    def timeout(self) -> float | None:
        """How long a statement may take, in seconds; None, the default: as long as it takes.

        It counts from the moment the connection is free for the statement. When it has passed, the statement is cancelled
        on the server and QueryTimeout raised; the connection can be used again, unless the server does not answer at all:
        then it is closed. A `timeout` given to execute() or executemany() comes before it.
        """
        return self._timeout

    @timeout.setter
    def timeout(self, value: float | None) -> None:
        self._timeout = None if value is None else seconds("timeout", value)

    @property
    def prepare_threshold(self) -> int | None:
        """How often a statement runs before it is prepared on the server; None: never. The default is 1."""
        return self._session.prepare_threshold

    @prepare_threshold.setter
    def prepare_threshold(self, value: int | None) -> None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise ProgrammingError("prepare_threshold must be None or a number of uses, 0 or more")
        self._session.prepare_threshold = value

    @property
    def prepared_max(self) -> int:
        """How many statements are kept prepared on the server, the least recently used going first."""
        return self._session.statements.max_entries

    @prepared_max.setter
    def prepared_max(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ProgrammingError("prepared_max must be a number of statements, 1 or more")
        self._session.statements.max_entries = value

    def add_notice_handler(self, callback: NoticeHandler) -> None:
        """Calls ``callback`` with the Diagnostic of each notice the server sends."""
        self._notice_handlers.append(callback)

    def remove_notice_handler(self, callback: NoticeHandler) -> None:
        """Stops calling ``callback``. Raises ValueError when it is not registered."""
        self._notice_handlers.remove(callback)

    def add_notify_handler(self, callback: NotifyHandler) -> None:
        """Calls ``callback`` with the Notify of each notification that arrives, which is with the answer to a statement."""
        self._notify_handlers.append(callback)

    def remove_notify_handler(self, callback: NotifyHandler) -> None:
        """Stops calling ``callback``. Raises ValueError when it is not registered."""
        self._notify_handlers.remove(callback)

    @property
    def messages(self) -> list[Message]:
        """What the server said beside its answers: notices and errors, as (class, exception) (PEP 249, optional).

        A notice is a ``Warning`` with the server's Diagnostic as ``diag``. close(), commit(), rollback() and cursor() begin
        with an empty list, and ``del conn.messages[:]`` empties it; of the latest it keeps 1000.
        """
        return self._messages

    def _note(self, message: Message) -> None:
        """Keeps a message for the connection, and for the cursor whose statement it came with."""
        if self._unclaimed is None:
            self._unclaimed = []
        for kept in (self._messages, self._unclaimed):
            if len(kept) >= MAX_MESSAGES:
                del kept[0]
            kept.append(message)

    def _note_error(self, error: errors.Error) -> None:
        """Keeps an error that the server sent; a copy, as the traceback of the one raised would keep all of its frames."""
        if error.sqlstate is not None:
            from copy import copy

            self._note((type(error), copy(error)))

    def _begin_call(self) -> None:
        """A standard method of the connection begins: the messages of the last one go (PEP 249)."""
        if self._messages:
            self._messages.clear()
        if self._unclaimed:
            self._unclaimed.clear()

    def _news(self) -> Callable[[], None]:
        """What a driver calls when notices wait. It does not keep the connection alive: a forgotten one must close."""
        this = weakref.ref(self)

        def news() -> None:
            connection = this()
            if connection is not None:
                connection._on_news()

        return news

    def _on_news(self) -> None:
        """Hands on the notices and notifications of the last answer; a handler's error is logged, not raised."""
        notices = self._session.notices
        while notices:
            diag = Diagnostic(notices.popleft())
            warning = errors.Warning(diag.message_primary or "")
            warning.diag = diag
            self._note((errors.Warning, warning))
            for handler in tuple(self._notice_handlers):
                self._call(handler, diag, "a notice handler raised")
        notifications = self._session.notifications
        while notifications:
            pid, channel, payload = notifications.popleft()
            for notify_handler in tuple(self._notify_handlers):
                self._call(notify_handler, Notify(channel, payload, pid), "a notify handler raised")

    def _call(self, handler: Callable[[Any], None], news: Any, complaint: str) -> None:
        try:
            handler(news)
        except Exception:
            import logging

            logging.getLogger("howdah.connection").exception(complaint)

    def _limit(self, operation: Operation, timeout: float | None) -> None:
        """Gives an operation that is about to be sent its deadline."""
        timeout_s = self._timeout if timeout is None else seconds("timeout", timeout)
        if timeout_s is not None:
            operation.timeout_s = timeout_s
            operation.deadline = time.monotonic() + timeout_s

    def _watch(self, hooks: Sequence[Hook]) -> None:
        """Puts a recorder in the session, which tells the hooks."""
        from howdah.core.record import ConnectRecord, Recorder

        target = self._target
        name = target.parameters.get("application_name")
        record = ConnectRecord(target.host, target.port, target.dbname, target.user, name)
        self._recorder = Recorder(hooks, self._session, record, time.monotonic, time.time)
        self._recorder.connect_begun()

    def _connect_failed(self, exc: BaseException) -> None:
        if self._recorder is not None:
            self._recorder.connect_failed(exc)

    def _connect_done(self) -> None:
        """Tells the hooks, and has the requests recorded from here on."""
        from howdah.net.peer import peer_address

        recorder = self._recorder
        assert recorder is not None
        driver: Any = self._driver
        address = self._target.address if self._target.is_unix else peer_address(driver.fileno())
        recorder.connect_done(address, None if driver.tls is None else driver.tls.attributes["protocol"])
        self._session.hook = recorder

    def _hang_up(self) -> None:
        """Closes the connection and waits for nothing."""
        if self._closed:
            return
        self._closed = True
        lost = self._session.failure
        try:
            self._driver.hang_up()
        finally:
            if self._recorder is not None:
                self._recorder.connection_closed(lost)

    def _settings(self) -> tuple[Any, ...]:
        """What a program may set on the connection, for a pool to bring back."""
        return (
            self._session.begin,
            self._isolation_level,
            self._read_only,
            self._deferrable,
            self._timeout,
            self.row_factory,
            self.cursor_factory,
            self._session.prepare_threshold,
        )

    def _restore(self, settings: tuple[Any, ...]) -> None:
        if settings != self._settings():
            (
                self._session.begin,
                self._isolation_level,
                self._read_only,
                self._deferrable,
                self._timeout,
                self.row_factory,
                self.cursor_factory,
                self._session.prepare_threshold,
            ) = settings

    def _post(self, sql: bytes) -> Operation:
        """Sends a statement of our own; its answer is read later (the driver's ``settle``)."""
        operation = run_sql(self._session, sql)
        self._driver.post(operation)
        return operation

    def fileno(self) -> int:
        """The socket's file descriptor. Raises InterfaceError when the connection is closed."""
        if self.closed:
            raise InterfaceError("the connection is closed")
        number: int = self._driver.fileno()
        return number

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the connection is closed")
        self._session.check_usable()

    def _check_idle(self, setting: str) -> None:
        self._check_open()
        if self._session.transaction_status != STATUS_IDLE:
            raise ProgrammingError(f"{setting} cannot change inside a transaction: commit() or rollback() first")

    def _compose_begin(self, autocommit: bool) -> None:
        """Tells the session what begins a transaction: nothing in autocommit."""
        if autocommit:
            self._session.begin = None
            return
        words = ["BEGIN"]
        if self._isolation_level is not None:
            words.append("ISOLATION LEVEL " + self._isolation_level.name.replace("_", " "))
        if self._read_only is not None:
            words.append("READ ONLY" if self._read_only else "READ WRITE")
        if self._deferrable is not None:
            words.append("DEFERRABLE" if self._deferrable else "NOT DEFERRABLE")
        self._session.begin = " ".join(words).encode("ascii")

    def _set(self, name: str, value: Any) -> None:
        self._check_idle(name)
        if name == "autocommit":
            self._compose_begin(bool(value))
            return
        if value is not None:
            value = IsolationLevel(value) if name == "isolation_level" else bool(value)
        setattr(self, "_" + name, value)
        self._compose_begin(self.autocommit)

    def __del__(self) -> None:
        driver = getattr(self, "_driver", None)
        if driver is None or self._closed or self._session.closed:
            return
        if not sys.is_finalizing():
            warnings.warn(
                f"{self!r} was deleted while still open: close it, or use it in a with block",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
        driver.close_now()
        if self._recorder is not None and not sys.is_finalizing():
            self._recorder.connection_closed(None)
