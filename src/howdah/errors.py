"""The exceptions of the driver: the PEP 249 tree, one class per SQLSTATE, and the facts an error carries.

    Warning
    Error
    |__ InterfaceError
    |__ DatabaseError
        |__ DataError  IntegrityError  InternalError  ProgrammingError  NotSupportedError
        |__ OperationalError
            |__ ConnectionTimeout  QueryTimeout  CancellationTimeout  PipelineAborted  ProtocolError
                PoolClosed  PoolTimeout  TooManyRequests

Below these stands one class per SQLSTATE, named after PostgreSQL's condition names (Appendix A, "PostgreSQL
Error Codes"): `unique_violation` (23505) is `UniqueViolation`, an IntegrityError. There are about 250, and a
program meets a handful, so a class is made when its name is first used; `dir()`, pickle and type checkers see
all of them.
"""

from __future__ import annotations

import builtins

TYPE_CHECKING = False  # type checkers take it as true; importing typing would cost more than all of this file
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ._sqlstates import *  # noqa: F403

__all__ = [
    "CancellationTimeout",
    "ConnectionTimeout",
    "DataError",
    "DatabaseError",
    "Diagnostic",
    "Error",
    "InsecureConnectionWarning",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "PipelineAborted",
    "PoolClosed",
    "PoolTimeout",
    "ProgrammingError",
    "ProtocolError",
    "QueryTimeout",
    "TooManyRequests",
    "Warning",
    "lookup",
]

# What the server said of these: the transaction was rolled back, or was never begun; nothing of it was kept.
_NOTHING_KEPT = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "53300",  # too_many_connections
        "55P03",  # lock_not_available
        "57P03",  # cannot_connect_now
    }
)
# The server ended the session; harmless when our request had not left.
_SESSION_ENDED = frozenset({"57P01", "57P02", "57P04", "57P05"})

_PRE_AUTH_PREFIX = "the server said before authentication: "
_PRE_AUTH_MAX_BYTES = 4096
_NO_MESSAGE = "the server sent an error without a message"

# psql shows at most this many columns of a line, with some text right of the caret.
_LINE_COLUMNS = 60
_COLUMNS_AFTER_CARET = 10

# Characters that could move a terminal's cursor, change its colours or reorder the text: C0 and C1 controls,
# line and paragraph separators, bidirectional overrides.
_UNSAFE = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _UNSAFE}
del _ESCAPES[0x0A], _ESCAPES[0x09]


def escape_controls(text: str) -> str:
    """`text` with control characters, but not newline and tab, written as `\\x1b`; so are lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_ESCAPES).encode("utf-8", "backslashreplace").decode("utf-8")


class _Field:
    """A read-only attribute of Diagnostic: the field of one letter, None when the server did not send it."""

    def __init__(self, letter: str, doc: str) -> None:
        self.letter = letter
        self.__doc__ = doc

    def __get__(self, diag: Any, owner: type | None = None) -> Any:
        return self if diag is None else diag._fields.get(self.letter)


class Diagnostic:
    """What the server reported in one ErrorResponse or NoticeResponse.

    Every attribute is a str, or None when the server did not send that field; positions are decimal strings
    counting characters from 1. Made from the raw fields, keyed by the letters of the manual's section "Error
    and Notice Message Fields". Can be pickled.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] | None = None) -> None:
        self._fields = dict(fields) if fields else {}

    if TYPE_CHECKING:
        severity: str | None
        severity_nonlocalized: str | None
        sqlstate: str | None
        message_primary: str | None
        message_detail: str | None
        message_hint: str | None
        statement_position: str | None
        internal_position: str | None
        internal_query: str | None
        context: str | None
        schema_name: str | None
        table_name: str | None
        column_name: str | None
        datatype_name: str | None
        constraint_name: str | None
        source_file: str | None
        source_line: str | None
        source_function: str | None
    else:
        severity = _Field("S", "ERROR, FATAL, PANIC, WARNING, NOTICE, DEBUG, INFO or LOG, in the server's language.")
        severity_nonlocalized = _Field("V", "The severity, never translated.")
        sqlstate = _Field("C", "The SQLSTATE, five characters.")
        message_primary = _Field("M", "The main message, usually one line.")
        message_detail = _Field("D", "A second message with more detail; may run over several lines.")
        message_hint = _Field("H", "A suggestion what to do.")
        statement_position = _Field("P", "Where in the statement, in characters from 1.")
        internal_position = _Field("p", "Where in internal_query, in characters from 1.")
        internal_query = _Field("q", "The failed command that the server made itself, as in a PL/pgSQL function.")
        context = _Field("W", "The call stack in the server, one entry per line, innermost first.")
        schema_name = _Field("s", "Schema of the object concerned.")
        table_name = _Field("t", "Table concerned.")
        column_name = _Field("c", "Column concerned.")
        datatype_name = _Field("d", "Data type concerned.")
        constraint_name = _Field("n", "Constraint concerned; indexes count as constraints.")
        source_file = _Field("F", "File of PostgreSQL's source that reported it.")
        source_line = _Field("L", "Line in that file.")
        source_function = _Field("R", "Function in that file.")

    def __reduce__(self) -> tuple[Any, ...]:
        return Diagnostic, (self._fields,)

    def __repr__(self) -> str:
        message = escape_controls(self.message_primary or "")
        return f"<Diagnostic {self.severity_nonlocalized or self.severity} {self.sqlstate}: {message}>"


class Warning(builtins.Warning):
    """An important warning; PEP 249. Also one of Python's own, so that `warnings.warn` takes it.

    `diag`: the Diagnostic of the server's notice, where the warning is one (`Connection.messages`), else None.
    """

    diag: Diagnostic | None = None


class InsecureConnectionWarning(Warning):
    """The connection goes on, but its settings protect it less than it looks."""


class Error(Exception):
    """The base of all errors of the driver; PEP 249. Can be pickled, with everything below.

    `sqlstate`: the five characters of the server's code, None when the driver itself found the error.
    `diag`: the server's Diagnostic; one whose attributes are all None when the server said nothing.
    `query`: the SQL text that was sent, for the position mark; never the parameters.
    `sent`: False when no byte of the request had left, True when some had (the server may have run it), None
    when the question has no meaning here.
    """

    sqlstate: str | None = None

    def __init__(
        self,
        *args: object,
        diag: Diagnostic | None = None,
        query: str | None = None,
        sent: bool | None = None,
    ) -> None:
        super().__init__(*args)
        self.diag = diag if diag is not None else Diagnostic()
        self.query = query
        self.sent = sent
        if self.sqlstate is None and self.diag.sqlstate is not None:
            self.sqlstate = self.diag.sqlstate

    @property
    def retryable(self) -> bool:
        """Whether the same work, from the start of its transaction, may be done again and not happen twice.

        True when the connection failed and no byte of the request had left, and when the server says that it
        kept nothing for a reason that passes: serialization_failure, deadlock_detected, lock_not_available,
        too_many_connections, cannot_connect_now. A lost connection with a request under way is never
        retryable: the statement may have run.
        """
        if self.sqlstate is None:
            return self.sent is False and isinstance(self, OperationalError)
        if self.sqlstate in _NOTHING_KEPT:
            return True
        return self.sent is False and (self.sqlstate[:2] == "08" or self.sqlstate in _SESSION_ENDED)

    def __str__(self) -> str:
        """The message, the place in the SQL as psql shows it, then DETAIL and HINT.

        The server's CONTEXT is left out, because it can repeat parameters; `diag.context` has it.
        """
        diag = self.diag
        parts = [super().__str__()]
        if self.query is not None:
            parts += position_mark(self.query, diag.statement_position)
        if diag.message_detail:
            parts.append("DETAIL:  " + escape_controls(diag.message_detail))
        if diag.message_hint:
            parts.append("HINT:  " + escape_controls(diag.message_hint))
        if diag.internal_query:
            parts.append("QUERY:  " + escape_controls(diag.internal_query))
            parts += position_mark(diag.internal_query, diag.internal_position)
        return "\n".join(parts)


class InterfaceError(Error):
    """The driver was used in a way that cannot work, as a closed cursor; PEP 249."""


class DatabaseError(Error):
    """An error of the database; PEP 249."""


class DataError(DatabaseError):
    """The data cannot be processed: division by zero, a number out of range, ...; PEP 249."""


class OperationalError(DatabaseError):
    """Trouble in the database's operation, not in the program: a lost connection, no memory, ...; PEP 249."""


class IntegrityError(DatabaseError):
    """The relations of the data would break: a duplicate key, a missing foreign key, ...; PEP 249."""


class InternalError(DatabaseError):
    """The database met a state it should not be in: an invalid cursor, a broken transaction, ...; PEP 249."""


class ProgrammingError(DatabaseError):
    """The program asked for something wrong: a syntax error, a table that does not exist, ...; PEP 249."""


class NotSupportedError(DatabaseError):
    """The database or the driver does not support what was asked; PEP 249."""


class ConnectionTimeout(OperationalError):
    """No connection was made within `connect_timeout`."""


class QueryTimeout(OperationalError):
    """A request did not end within its `timeout`. The text says what became of it and of the connection.

    `cancelled`: True when the server confirmed that it stopped the statement, or the statement was never sent: then
    nothing of it was done. False: it may have run.
    """

    cancelled = False


class CancellationTimeout(OperationalError):
    """The server did not take a cancel request within the time given."""


class PipelineAborted(OperationalError):
    """The statement was not run, because one before it in the same pipeline failed."""


class PoolClosed(OperationalError):
    """The pool is closed, or was closed while a caller waited for one of its connections."""


class PoolTimeout(OperationalError):
    """No connection of the pool became free in time. The text tells who holds them."""


class TooManyRequests(OperationalError):
    """As many callers as ``max_waiting`` allows wait for a connection already."""


class ProtocolError(OperationalError):
    """The server sent something that the protocol does not allow; the connection is closed."""


def lookup(sqlstate: str) -> type[Error]:
    """The class of a SQLSTATE ("23505") or of a condition name ("unique_violation"), in any case.

    Raises KeyError when PostgreSQL has no such SQLSTATE or condition.
    """
    from ._sqlstates import SQLSTATES

    key = sqlstate.upper()
    name = _names_by_sqlstate().get(key)
    if name is None:
        camel = "".join(word.capitalize() for word in key.split("_"))
        # "internal_error" would be PEP 249's InternalError, so its own class has an underscore behind.
        name = next((candidate for candidate in (camel, camel + "_") if candidate in SQLSTATES), None)
        if name is None:
            raise KeyError(sqlstate)
    return _class_named(name)


def base_class(sqlstate: str) -> type[Error]:
    """The PEP 249 class for a SQLSTATE, known or not, by its first two characters."""
    from ._sqlstates import BASES

    name = BASES.get(sqlstate[:2]) or BASES.get(sqlstate[:1]) or "DatabaseError"
    base: type[Error] = globals()[name]
    return base


def error_from_fields(
    fields: Mapping[str, str],
    query: str | None = None,
    sent: bool | None = None,
    *,
    pre_auth: bool = False,
) -> Error:
    """The exception for an ErrorResponse with these fields, keyed by their letters.

    An unknown SQLSTATE gives the PEP 249 class of its family. `pre_auth`: the server has not shown who it is,
    so its words are marked, escaped and cut to 4 KiB in all, in `diag` as well.
    """
    if pre_auth:
        fields = _distrusted(fields)
    sqlstate = fields.get("C", "")
    try:
        error_class = lookup(sqlstate) if len(sqlstate) == 5 else base_class(sqlstate)
    except KeyError:
        error_class = base_class(sqlstate)
    message = escape_controls(fields.get("M") or _NO_MESSAGE)
    if pre_auth:
        message = _PRE_AUTH_PREFIX + message
    return error_class(message, diag=Diagnostic(fields), query=query, sent=sent)


def _distrusted(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields escaped and cut, so that str() of the error keeps to _PRE_AUTH_MAX_BYTES."""
    left = _PRE_AUTH_MAX_BYTES - len(_PRE_AUTH_PREFIX + "\nDETAIL:  \nHINT:  ")
    kept = {}
    # No query was sent yet, so there is no internal one (p, q) either.
    for letter in (*"CVSMDH", *(letter for letter in fields if letter not in "CVSMDHpq")):
        value = fields.get(letter)
        if value is None:
            continue
        text = escape_controls(value[:left]).encode("utf-8")
        if len(text) > left or len(value) > left:
            text = text[: max(left - 3, 0)].decode("utf-8", "ignore").encode("utf-8") + b"..."
        if len(text) > left:
            break
        left -= len(text)
        kept[letter] = text.decode("utf-8")
    return kept


_known_names: dict[str, str] = {}


def _names_by_sqlstate() -> dict[str, str]:
    """Class name by SQLSTATE; made on first use."""
    if not _known_names:
        from ._sqlstates import SQLSTATES

        _known_names.update({code: name for name, code in SQLSTATES.items()})
    return _known_names


def _class_named(name: str) -> type[Error]:
    """The class of a SQLSTATE by its name, made and kept in the module on first use, or KeyError."""
    from ._sqlstates import SQLSTATES

    made = globals().get(name)
    if made is None:
        sqlstate = SQLSTATES[name]
        namespace = {
            "__module__": __name__,
            "__doc__": f'SQLSTATE {sqlstate} of PostgreSQL\'s Appendix A, "PostgreSQL Error Codes".',
            "sqlstate": sqlstate,
        }
        # setdefault: of two threads that make the same class, both get the one that was kept.
        made = globals().setdefault(name, type(name, (base_class(sqlstate),), namespace))
    found: type[Error] = made
    return found


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        from ._sqlstates import SQLSTATES

        if name in SQLSTATES:
            return _class_named(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        from ._sqlstates import SQLSTATES

        return sorted({*globals(), *SQLSTATES})


def position_mark(query: str, position: str | None) -> list[str]:
    """psql's two lines: `LINE 2: select nosuch` and a caret under the character at `position`; or none."""
    if position is None or not position.isascii() or not position.isdigit() or len(position) > 10:
        return []
    offset = int(position) - 1
    if not 0 <= offset <= len(query):
        return []
    # One code point per line break, so that offsets stay true.
    breaks = query.replace("\r\n", "\0\n").replace("\r", "\n")
    number = breaks.count("\n", 0, offset) + 1
    start = breaks.rfind("\n", 0, offset) + 1
    end = breaks.find("\n", offset)
    line = breaks[start : len(breaks) if end < 0 else end]
    caret = offset - start
    # A tab, or anything that would move a terminal's cursor, is shown as one space: the caret stays under its
    # column.
    line = line.translate(dict.fromkeys(_UNSAFE, " ")).encode("utf-8", "replace").decode("utf-8").rstrip()
    line += " " * (caret - len(line))
    widths = _widths(line)

    first, last = 0, len(line)
    before, after = "", ""
    if sum(widths) > _LINE_COLUMNS:
        # Cut on the right first, but leave some text behind the caret; what is still too long is cut on the
        # left.
        last = caret
        columns = sum(widths[:caret])
        room = max(_LINE_COLUMNS, columns + _COLUMNS_AFTER_CARET)
        while last < len(line) and columns + widths[last] <= room:
            columns += widths[last]
            last += 1
        while columns > _LINE_COLUMNS and first < caret:
            columns -= widths[first]
            first += 1
        before = "..." if first > 0 else ""
        after = "..." if last < len(line) else ""
    label = f"LINE {number}: {before}"
    indent = len(label) + sum(widths[first:caret])
    return [f"{label}{line[first:last]}{after}".rstrip(), " " * indent + "^"]


def _widths(line: str) -> list[int]:
    """Columns that each character takes on a terminal: 2 for wide East Asian ones, 0 for combining ones."""
    if line.isascii():
        return [1] * len(line)
    import unicodedata

    def width(char: str) -> int:
        if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
            return 0
        return 2 if unicodedata.east_asian_width(char) in "WF" else 1

    return [width(char) for char in line]
