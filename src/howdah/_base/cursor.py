"""What sync and async cursors share: results, positions and rows; everything that waits for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from howdah._base.column import Column
from howdah._typing import Row
from howdah.errors import Error, InterfaceError, ProgrammingError
from howdah.rows import tuple_row
from howdah.wire.tags import rows_affected

if TYPE_CHECKING:
    from howdah._base.connection import BaseConnection, Message
    from howdah.core.operation import Operation
    from howdah.rows import RowFactory

_NO_ROWS: list[Any] = []

# The routines a name can mean, as the server reads the name: (quoted name, is a procedure, modes of its arguments).
FIND_ROUTINE = """
select pg_catalog.quote_ident(n.nspname) operator(pg_catalog.||) '.' operator(pg_catalog.||) pg_catalog.quote_ident(p.proname),
       p.prokind operator(pg_catalog.=) 'p', coalesce(p.proargmodes::pg_catalog.text[], '{}'), p.pronargs, p.pronargdefaults
from pg_catalog.parse_ident(%s::pg_catalog.text) as a(parts)
join pg_catalog.pg_proc p on p.proname::pg_catalog.text operator(pg_catalog.=) parts[pg_catalog.cardinality(parts)]
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) p.pronamespace
where case pg_catalog.cardinality(parts) when 1 then pg_catalog.pg_function_is_visible(p.oid)
           else n.nspname::pg_catalog.text operator(pg_catalog.=) parts[pg_catalog.cardinality(parts) operator(pg_catalog.-) 1]
             or parts[1] operator(pg_catalog.=) 'pg_temp' and n.oid operator(pg_catalog.=) pg_catalog.pg_my_temp_schema() end
order by p.prokind operator(pg_catalog.=) 'p', p.oid"""


class Routine(NamedTuple):
    """What callproc() calls: the statement, and the modes of a procedure's arguments."""

    sql: str
    modes: tuple[str, ...]

    def outcome(self, values: list[Any], cursor: BaseCursor[Any]) -> list[Any]:
        """The parameters as the call left them: a procedure's INOUT and OUT parameters are the columns of its row."""
        if cursor._rows and self.modes:
            row = iter(cursor._rows[0])
            return [next(row) if mode in ("b", "o") else value for mode, value in zip(self.modes, values)]
        return list(values)


class BaseCursor(Generic[Row]):
    """A cursor whose results are all here: rows arrive with the execute that asked for them."""

    # rows of a fetchmany() that names no number (PEP 249)
    arraysize = 1
    # PEP 249, optional: PostgreSQL's rows have no number of their own (RETURNING gives the keys of new rows)
    lastrowid: None = None

    def __init__(self, connection: BaseConnection[Any], *, row_factory: RowFactory[Row] | None = None) -> None:
        self._conn = connection
        self._session = connection._session
        self._row_factory: RowFactory[Any] = row_factory if row_factory is not None else connection.row_factory
        self._plain = self._row_factory is tuple_row
        self._binary = False
        self._closed = False
        self._results: list[Any] | None = None
        self._index = 0
        self._rows: list[Any] = _NO_ROWS
        self._position = 0
        self._result: Any = None
        self._make: Any = None
        self._rowcount = -1
        self._description: list[Column] | None = None
        self._messages: list[Message] | None = None

    def __repr__(self) -> str:
        state = "closed" if self.closed else "no result" if self._result is None else self.statusmessage
        return f"<howdah.{type(self).__qualname__} [{state}] of {self._conn!r}>"

    @property
    def closed(self) -> bool:
        """True when the cursor, or its connection, was closed."""
        return self._closed or self._conn.closed

    @property
    def description(self) -> list[Column] | None:
        """The columns of the result (PEP 249), None when it has no rows."""
        if self._result is None or self._result.plan is None:
            return None
        if self._description is None:
            self._description = [Column(facts) for facts in self._result.plan.columns]
        return self._description

    @property
    def rowcount(self) -> int:
        """How many rows the last statement returned or changed (PEP 249); -1 when that is not known."""
        if self._result is None:
            return self._rowcount
        tag = self._result.tag
        return -1 if tag is None else rows_affected(tag)

    @property
    def rownumber(self) -> int | None:
        """The index of the next row in the result, None when there is no result with rows."""
        return None if self.description is None else self._position

    @property
    def statusmessage(self) -> str | None:
        """The command tag of the last statement ("INSERT 0 1"), None when there is none."""
        return None if self._result is None else self._result.tag

    @property
    def row_factory(self) -> RowFactory[Row]:
        """What rows look like (howdah.rows); setting it changes the rows not yet fetched."""
        return self._row_factory

    @row_factory.setter
    def row_factory(self, value: RowFactory[Row]) -> None:
        self._row_factory = value
        self._plain = value is tuple_row
        self._set_maker()

    @property
    def messages(self) -> list[Message]:
        """What the server said beside the answer to the last call: (class, exception) of notices and errors (PEP 249).

        A notice is a ``Warning`` with the server's Diagnostic as ``diag``. All calls but the fetches begin with an empty list.
        """
        if self._messages is None:
            self._messages = []
        return self._messages

    def nextset(self) -> bool | None:
        """Goes to the next result of a query with several statements; None when there is none (PEP 249)."""
        self._check_open()
        self._begin_call()
        if self._results is None or self._index + 1 >= len(self._results):
            return None
        self._select(self._index + 1)
        return True

    def setinputsizes(self, sizes: Any) -> None:
        """Does nothing: PostgreSQL needs no sizes (PEP 249 allows that). Raises InterfaceError on a closed cursor."""
        self._check_open()
        self._begin_call()

    def setoutputsize(self, size: Any, column: Any = None) -> None:
        """Does nothing: PostgreSQL needs no sizes (PEP 249 allows that). Raises InterfaceError on a closed cursor."""
        self._check_open()
        self._begin_call()

    # -- for the shells

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        if self._conn._closed:
            raise InterfaceError("the connection is closed")

    def _reset(self) -> None:
        """Lets go of what the cursor held. Raises InterfaceError when it, or its connection, was closed."""
        if self._closed or self._conn._closed:
            self._check_open()
        self._results = self._result = None
        self._rows = _NO_ROWS
        self._rowcount = -1

    def _begin_call(self) -> None:
        """A method that is no fetch begins: the messages of the last one go (PEP 249)."""
        if self._messages:
            self._messages.clear()

    def _hear(self, error: Error | None = None) -> None:
        """Takes the messages that came with the call that has just ended, its own error with them."""
        self._begin_call()
        conn = self._conn
        if error is not None:
            conn._note_error(error)
        if conn._unclaimed:
            self.messages.extend(conn._unclaimed)
            conn._unclaimed.clear()

    def _take(self, operation: Operation) -> None:
        """Makes the first result of a finished operation the cursor's."""
        if self._conn._unclaimed is not None:
            self._hear()
        self._results = results = operation.results
        if results is None:
            return
        self._index = 0
        self._result = result = results[0]
        self._description = None
        self._position = 0
        self._rows = result.sink.taken()
        if not self._plain:
            self._set_maker()

    def _take_many(self, operation: Operation) -> None:
        """Keeps what many executions changed: a count, no rows."""
        if self._conn._unclaimed is not None:
            self._hear()
        count = 0
        for result in operation.results or ():
            affected = -1 if result.tag is None else rows_affected(result.tag)
            count = -1 if affected < 0 or count < 0 else count + affected
        self._rowcount = count

    def _select(self, index: int) -> None:
        self._index = index
        assert self._results is not None
        self._result = self._results[index]
        self._description = None
        self._position = 0
        self._rows = self._result.sink.taken()
        if not self._plain:
            self._set_maker()

    def _routine(self, name: str, count: int) -> Routine:
        """What callproc() calls, of the rows of FIND_ROUTINE."""
        fitting = []
        for quoted, is_procedure, modes, inputs, defaults in self._rows:
            most = len(modes) or inputs
            # which function it is, the server finds out; a procedure has to be known for its INOUT parameters
            if not is_procedure or most - defaults <= count <= most or "v" in modes:
                fitting.append((quoted, is_procedure, tuple(modes) if is_procedure else ()))
        if not fitting:
            raise ProgrammingError(f"there is no function or procedure {name} that takes {count} parameters")
        quoted, is_procedure, modes = fitting[0]
        call = f"{quoted.replace('%', '%%')}({', '.join(['%s'] * count)})"
        return Routine(("CALL " if is_procedure else "SELECT * FROM ") + call, modes)

    def _set_result(self, index: int) -> None:
        self._check_open()
        self._begin_call()
        count = 0 if self._results is None else len(self._results)
        if not -count <= index < count:
            raise IndexError(f"result {index} of {count}: the last call gave no such result")
        self._select(index if index >= 0 else count + index)

    def _scroll(self, value: int, mode: str) -> None:
        if self._closed or self._result is None or self._result.plan is None:
            self._no_rows()
        self._begin_call()
        if mode == "relative":
            position = self._position + value
        elif mode == "absolute":
            position = value
        else:
            raise ValueError(f"the mode of scroll() is 'relative' or 'absolute', not {mode!r}")
        if not 0 <= position < len(self._rows):
            raise IndexError(f"row {position} of {len(self._rows)}: scroll() stays within the result")
        self._position = position

    def _set_maker(self) -> None:
        self._make = None
        if not self._plain and self._result is not None and self._result.plan is not None:
            self._make = self._row_factory(self)

    def _no_rows(self) -> None:
        """Raises when there is nothing to fetch from."""
        self._check_open()
        if self._result is None:
            raise ProgrammingError("there is no result to fetch from: execute a query first")
        if self._result.plan is None:
            raise ProgrammingError(f"the last statement ({self._result.tag or 'empty'}) returned no rows to fetch")

    def _fetchone(self) -> Row | None:
        if self._closed or self._result is None or self._result.plan is None:
            self._no_rows()
        position = self._position
        if position >= len(self._rows):
            return None
        self._position = position + 1
        row = self._rows[position]
        return row if self._plain else self._make(row)  # type: ignore[no-any-return]

    def _fetchmany(self, size: int) -> list[Row]:
        if self._closed or self._result is None or self._result.plan is None:
            self._no_rows()
        if size < 0:
            raise ProgrammingError("fetchmany takes a number of rows, 0 or more")
        start = self._position
        rows = self._rows[start : start + (size or self.arraysize)]
        self._position = start + len(rows)
        return rows if self._plain else [self._make(row) for row in rows]

    def _fetchall(self) -> list[Row]:
        if self._closed or self._result is None or self._result.plan is None:
            self._no_rows()
        start = self._position
        rows = self._rows[start:] if start else self._rows
        self._position = len(self._rows)
        if not self._plain:
            return [self._make(row) for row in rows]
        return rows
