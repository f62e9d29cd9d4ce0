"""A result in pieces: Execute with a row limit, and PortalSuspended in place of the rest.

The statement is bound to the unnamed portal, which lives as long as its transaction. Every request ends with a Sync, so
that an error, a deadline or a cancelled task in the middle is recovered from as for any statement: outside a transaction a
portal therefore gets a transaction of its own, begun in its first flush. The alternative, Flush in place of Sync, would
save nothing (the COMMIT is then the Sync) and leave the connection without a point to recover at.

A later statement of the session takes the unnamed portal, so the server drops the old one by itself.

How many rows a request asks for: as the caller says, or as many as fill FETCH_BYTES by the size of the rows seen so far.
The next piece is asked for when the last one is used up: the server waits, and no more than one piece is in memory.
"""

from __future__ import annotations

from howdah.core.execute import (
    choose_codecs,
    guess_formats,
    oids_of,
    write_begin,
    write_bind,
)
from howdah.core.operation import BIND, CLOSE, DESCRIBE, EXECUTE, PARSE, QUIET, SYNC, Operation
from howdah.core.query import read_query
from howdah.core.rows import choose_formats, make_plan
from howdah.core.session import RAW, STATUS_IDLE
from howdah.errors import ProgrammingError
from howdah.wire.frontend import (
    write_close_portal,
    write_describe_portal,
    write_execute,
    write_parse,
    write_sync,
)

FETCH_BYTES = 1024 * 1024
FIRST_ROWS = 16
# a piece has at most this many times the rows of the one before
GROWTH = 16
MAX_ROWS = 2**31 - 1

BEGIN_FIRST = bytes((PARSE, BIND, QUIET))
PARSE_AND_BIND = bytes((PARSE, BIND, DESCRIBE, EXECUTE, SYNC))
BIND_ALONE = bytes((BIND, DESCRIBE, EXECUTE, SYNC))
EXECUTE_ALONE = bytes((EXECUTE, SYNC))
CLOSE_ALONE = bytes((CLOSE, SYNC))


def open_portal(session, text, params, binary: bool, rows: int) -> Operation:
    """Begins a result and asks for its first ``rows`` rows. In autocommit the transaction is begun for it alone.

    Raises DataError or ProgrammingError before anything is queued.
    """
    session.check_usable()
    hook = session.hook
    if hook is not None:
        hook.begin()
    query = read_query(text, params is not None, session.backslashes)
    if not query.single:
        raise ProgrammingError("several statements in one query cannot be streamed: run them one by one")
    if not query.sql or query.kind == "COPY":
        raise ProgrammingError("an empty query or a COPY has no rows to stream")
    if query.client_bound:
        raise ProgrammingError(
            f"{query.kind} takes no parameters: execute() writes them into the text, stream() does not"
        )
    if params is None:
        params = query.bound
    values = [] if params is None else query.values(params)
    out = session.outbuf
    mark = out.pos
    session.writing = True
    try:
        codecs = choose_codecs(session.registry, values)
        oids = oids_of(codecs)
        steps = b""
        if session.transaction_status == STATUS_IDLE:
            write_begin(out, session.begin or b"BEGIN")
            steps = BEGIN_FIRST
        statement = session.statements.get(query.sql, oids) if query.preparable else None
        if statement is not None and statement.name and not statement.prepared:
            statement = None  # its Parse failed, or is not known to have succeeded
        formats = b"\1" if binary else b""
        remembered = False
        if statement is not None and not binary:
            if statement.described:
                remembered = True
                formats = choose_formats(statement.columns, session.registry.by_oid, False)
            elif session.memory is not None:
                formats = guess_formats(session, statement, query.kind)
                statement.guessed = False  # nothing is repeated here
                remembered = formats != b""
        name = b""
        if statement is not None and statement.prepared:
            name = statement.name
            remembered = True
            steps += BIND_ALONE
        else:
            write_parse(out, b"", query.sql, oids)
            steps += PARSE_AND_BIND
        write_bind(out, name, codecs, values, formats)
        write_describe_portal(out)
        write_execute(out, rows)
        write_sync(out)
    except BaseException:
        out.rewind(mark)
        raise
    finally:
        session.writing = False
    operation = Operation(steps)
    operation.statement = statement
    operation.query = query
    operation.formats = formats
    operation.binary = binary
    operation.remembered = remembered
    return submitted(session, operation, mark, oids, values, query.sql)


def fetch_portal(session, first: Operation, plan, rows: int) -> Operation:
    """Asks for the next ``rows`` rows of the portal that ``first`` began."""
    session.check_usable()
    if session.hook is not None:
        session.hook.begin()
    out = session.outbuf
    mark = out.pos
    write_execute(out, rows)
    write_sync(out)
    operation = Operation(EXECUTE_ALONE)
    operation.query = first.query
    if plan.registry is not session.registry:
        plan = make_plan(plan.columns, session.registry, RAW)
    operation.begin_result(plan)
    return submitted(session, operation, mark, (), None, first.query.sql)


def close_portal(session) -> Operation:
    """Closes the portal: what it holds on the server is free."""
    session.check_usable()
    if session.hook is not None:
        session.hook.begin()
    out = session.outbuf
    mark = out.pos
    write_close_portal(out)
    write_sync(out)
    return submitted(session, Operation(CLOSE_ALONE), mark, (), None, b"CLOSE")


def submitted(session, operation: Operation, mark: int, oids, values, sql: bytes) -> Operation:
    operation.bytes_out = session.outbuf.pos - mark
    session.submit(operation)
    if session.hook is not None:
        session.hook.written(operation, mark, oids, values, sql, None)
    return operation


def next_size(rows: int, received_bytes: int) -> int:
    """How many rows to ask for next, after ``rows`` rows came in ``received_bytes`` bytes."""
    if rows == 0:
        return FIRST_ROWS
    row_bytes = max(received_bytes // rows, 1)
    return max(1, min(FETCH_BYTES // row_bytes, rows * GROWTH, MAX_ROWS))
