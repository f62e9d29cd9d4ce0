"""From a query and its parameters to messages: which statement, which formats, what goes out in one flush.

    first use with parameters     Parse(unnamed) Bind Describe Execute Sync, text for columns not yet known
    later uses                    Close Parse(named) once, then Bind Execute Sync; binary columns as known
    first use without parameters  Query
    first of a transaction        Parse Bind Execute of BEGIN in the same Sync group: if it fails, nothing behind it runs

Nothing is left in the send buffer when a parameter cannot be encoded.
"""

from __future__ import annotations

from howdah.core.binding import bind_on_client
from howdah.core.operation import (
    BIND,
    CLOSE,
    DESCRIBE,
    EXECUTE,
    PARSE,
    QUIET,
    SIMPLE,
    SYNC,
    Operation,
)
from howdah.core.query import read_query
from howdah.core.rows import choose_formats
from howdah.core.session import STATUS_IDLE
from howdah.errors import Error, ProgrammingError
from howdah.wire.frontend import (
    put_count,
    write_close_statement,
    write_describe_portal,
    write_execute,
    write_parse,
    write_query,
    write_sync,
)

BEGIN_STEPS = bytes((PARSE, BIND, QUIET))
BIND_EXECUTE_SYNC = bytes((BIND, EXECUTE, SYNC))
BIND_DESCRIBE_EXECUTE_SYNC = bytes((BIND, DESCRIBE, EXECUTE, SYNC))
PARSE_STEP = bytes((PARSE,))
CLOSE_STEP = bytes((CLOSE,))
SIMPLE_STEP = bytes((SIMPLE,))
SIMPLE_THEN_SYNC = bytes((SIMPLE, SYNC))
BIND_EXECUTE = bytes((BIND, EXECUTE))
SYNC_STEP = bytes((SYNC,))

# kinds of statements that only read, functions aside
READING = frozenset({"SELECT", "VALUES", "TABLE"})
# a number of formats that is not the number of columns; a type with no binary output
REFUSED_FORMATS = frozenset({"08P01", "42883"})


def execute(session, text, params, binary, prepare) -> Operation:
    """Writes one statement and queues its operation.

    ``text`` is the query, ``params`` are its parameters or None. ``binary``: every result in binary format.
    ``prepare``: True now, False never, None by the session's threshold. Raises DataError or ProgrammingError before
    anything is queued.
    """
    session.check_usable()
    if session.hook is not None:
        session.hook.begin()
    query = read_query(text, params is not None, session.backslashes)
    begin = session.begin if session.transaction_status == STATUS_IDLE else None
    out = session.outbuf
    mark = out.pos
    session.writing = True
    try:
        if params is None:
            if query.bound is not None:
                params = query.bound
        if params is None:
            values = []
            codecs = []
            oids = ()
        elif query.client_bound:
            query = bind_on_client(session, query, query.values(params))
            params = None
            values = []
            codecs = []
            oids = ()
        else:
            values = query.values(params)
            codecs = choose_codecs(session.registry, values)
            oids = oids_of(codecs)
        operation = write_statement(session, out, query, values, codecs, oids, params is None, begin, binary, prepare)
    except BaseException:
        out.rewind(mark)
        raise
    finally:
        session.writing = False
    operation.query = query
    operation.bytes_out = out.pos - mark
    session.submit(operation)
    if session.hook is not None:
        session.hook.written(operation, mark, oids, values, query.sql, None)
    return operation


def write_statement(session, out, query, values, codecs, oids, bare, begin, binary, prepare):
    statement = None
    if query.preparable and prepare is not False:
        statement = session.statements.get(query.sql, oids)
    named = statement is not None and (statement.prepared or may_prepare(session, statement, prepare))
    if statement is not None:
        statement.uses += 1
    steps = b""
    if begin is not None:
        write_begin(out, begin)
        steps = BEGIN_STEPS
    guess = b""
    if statement is not None and not statement.described and session.memory is not None and not binary:
        guess = guess_formats(session, statement, query.kind)
    if bare and not named and not binary and not guess:
        if not query.sql:
            raise ProgrammingError("the query is empty")
        write_query(out, query.sql)
        if begin is None:
            operation = Operation(SIMPLE_STEP)
        else:
            write_sync(out)
            operation = Operation(steps + SIMPLE_THEN_SYNC)
        operation.statement = statement
        return operation
    if not query.single:
        raise ProgrammingError(
            "several statements in one query take no parameters and no binary results: run them one by one"
        )
    name = b""
    formats = b"\1" if binary else b""
    describe = True
    remembered = False
    if statement is not None:
        if statement.described:
            remembered = True
            if named and statement.prepared and plan_fits(session, statement, binary):
                formats = statement.formats
                describe = False
            else:
                formats = choose_formats(statement.columns, session.registry.by_oid, binary)
        elif guess:
            remembered = True
            formats = guess
        if named:
            name = statement.make_name()
            remembered = remembered or statement.prepared
    if not (named and statement.prepared):
        if named:
            for dropped in session.statements.dropped:
                write_close_statement(out, dropped)
                steps += CLOSE_STEP
            # closing what is not there is no error; what is there, behind a pooler, may be another client's
            write_close_statement(out, name)
            steps += CLOSE_STEP
        write_parse(out, name, query.sql, oids)
        steps += PARSE_STEP
    write_bind(out, name, codecs, values, formats)
    if describe:
        write_describe_portal(out)
    write_execute(out, 0)
    write_sync(out)
    if CLOSE_STEP in steps:
        session.statements.dropped.clear()
    tail = BIND_DESCRIBE_EXECUTE_SYNC if describe else BIND_EXECUTE_SYNC
    operation = Operation(steps + tail if steps else tail)
    operation.statement = statement
    operation.remembered = remembered
    operation.formats = formats
    operation.binary = binary
    if not describe:
        operation.plan = statement.plan
    return operation


def guess_formats(session, statement, kind: str) -> bytes:
    """The result formats for a statement that is new here and was described on another connection; b"" when it was not.

    Only for statements that change nothing: should the memory be stale in a way that is found after the statement ran, one
    error is all that comes of it.
    """
    statement.guessed = False
    if kind not in READING:
        return b""
    columns = session.memory.columns_of(statement.sql, statement.oids)
    if columns is None:
        return b""
    formats = choose_formats(columns, session.registry.by_oid, False)
    statement.guessed = formats != b""
    return formats


def may_repeat(session, operation) -> bool:
    """Whether a request that failed may be sent once more: the server refused the formats that were guessed for it, at Bind or
    before its first row, and no transaction is open in which it would be missed."""
    statement = operation.statement
    if statement is None or not statement.guessed:
        return False
    statement.guessed = False
    if session.closed or session.transaction_status != STATUS_IDLE or operation.error.sqlstate not in REFUSED_FORMATS:
        return False
    if session.hook is not None:
        session.hook.repeat()
    return True


def write_bind(out, name: bytes, codecs: list, values, result_formats: bytes) -> None:
    """Bind the unnamed portal to the statement ``name``; values are encoded by their codecs, None is NULL."""
    at = out.begin(66)
    out.put_byte(0)
    out.put_cstring(name)
    count = len(codecs)
    put_count(out, count)
    for i in range(count):
        codec = codecs[i]
        out.put_i16(0 if codec is None else codec.encode_format)
    put_count(out, count)
    for i in range(count):
        codec = codecs[i]
        if codec is None:
            out.put_i32(-1)
        else:
            try:
                codec.encode(out, values[i])
            except Error as exc:
                raise type(exc)(f"parameter {i + 1}: {exc}") from exc.__cause__
    count = len(result_formats)
    put_count(out, count)
    for i in range(count):
        out.put_i16(result_formats[i])
    out.finish(at)


def plan_fits(session, statement, binary) -> bool:
    """Whether the plan of the last Describe is what would be asked for again."""
    if statement.columns is None:
        return True
    return (
        statement.plan is not None
        and statement.binary == binary
        and statement.formats == statement.wanted
        and statement.plan.registry is session.registry
    )


def may_prepare(session, statement, prepare) -> bool:
    if session.pooler_suspected:
        return False
    if prepare:
        return True
    threshold = session.prepare_threshold
    return threshold is not None and statement.uses >= threshold


def write_begin(out, begin: bytes) -> None:
    """BEGIN without a Sync of its own: if it fails, the server ignores the statement behind it."""
    write_parse(out, b"", begin, ())
    write_bind(out, b"", [], [], b"")
    write_execute(out, 0)


def choose_codecs(registry, values: list) -> list:
    """The codec of each parameter, None for NULL. An error names the parameter."""
    codecs = []
    by_type = registry.by_type
    i = 0
    for value in values:
        i += 1
        if value is None:
            codecs.append(None)
            continue
        codec = by_type.get(type(value))
        if codec is None:
            try:
                codec = registry.codec_for(value)
            except Error as exc:
                raise type(exc)(f"parameter {i}: {exc}") from exc.__cause__
        else:
            codec = codec.for_value(value)
        codecs.append(codec)
    return codecs


def oids_of(codecs: list) -> tuple:
    """The parameter types a statement is parsed with; 0 lets the server choose."""
    oids = []
    for item in codecs:
        codec = item
        oids.append(0 if codec is None else codec.oid)
    return tuple(oids)


def run_sql(session, sql: bytes) -> Operation:
    """A statement of our own (COMMIT, ROLLBACK) in the simple protocol."""
    session.check_usable()
    if session.hook is not None:
        session.hook.begin()
    out = session.outbuf
    mark = out.pos
    write_query(out, sql)
    operation = Operation(SIMPLE_STEP)
    operation.bytes_out = out.pos - mark
    session.submit(operation)
    if session.hook is not None:
        session.hook.written(operation, mark, (), None, sql, None)
    return operation


def execute_many(session, text, rows: list) -> Operation:
    """Writes one statement with many rows of parameters as one pipeline in one Sync group.

    Integer parameters take the widest type of their column, so that the statement is parsed once where it can be.
    Rows that a RETURNING gives are counted, not kept.
    """
    session.check_usable()
    if session.hook is not None:
        session.hook.begin()
    query = read_query(text, True, session.backslashes)
    begin = session.begin if session.transaction_status == STATUS_IDLE else None
    if not query.single:
        raise ProgrammingError("several statements in one query cannot be run with many rows: run them one by one")
    if query.kind == "COPY":
        # the server would take the messages behind it for data
        raise ProgrammingError("COPY cannot run through executemany()")
    out = session.outbuf
    mark = out.pos
    session.writing = True
    i = 0
    try:
        batch = []
        plans = []
        for row in rows:
            i += 1
            values = query.values(row)
            batch.append(values)
            plans.append(choose_codecs(session.registry, values))
        widen(plans)
        steps = bytearray()
        if begin is not None:
            write_begin(out, begin)
            steps += BEGIN_STEPS
        current = None
        i = 0
        for values in batch:
            codecs = plans[i]
            i += 1
            if current is None or not same_types(current, codecs):
                current = oids_of(codecs)
                write_parse(out, b"", query.sql, current)
                steps += PARSE_STEP
            write_bind(out, b"", codecs, values, b"")
            write_execute(out, 0)
            steps += BIND_EXECUTE
        write_sync(out)
        steps += SYNC_STEP
    except Error as exc:
        out.rewind(mark)
        raise type(exc)(f"row {i}: {exc}") from exc.__cause__
    except BaseException:
        out.rewind(mark)
        raise
    finally:
        session.writing = False
    operation = Operation(bytes(steps))
    operation.discard = True
    operation.query = query
    operation.bytes_out = out.pos - mark
    session.submit(operation)
    if session.hook is not None:
        session.hook.written(operation, mark, current, batch, query.sql, len(batch))
    return operation


def same_types(parsed: tuple, codecs: list) -> bool:
    """Whether a row of these codecs fits a statement parsed for the types ``parsed``; NULL fits every type."""
    for i in range(len(parsed)):
        codec = codecs[i]
        if codec is not None and codec.oid != parsed[i]:
            return False
    return True


def widen(plans: list) -> None:
    """Gives every integer column the widest integer codec that one of its rows needs."""
    if not plans:
        return
    for i in range(len(plans[0])):
        widest = None
        mixed = False
        for codecs in plans:
            codec = codecs[i]
            if codec is None:
                continue
            if codec.name not in WIDTHS:
                mixed = True
                break
            if widest is None or WIDTHS[codec.name] > WIDTHS[widest.name]:
                widest = codec
        if widest is None or mixed:
            continue
        for codecs in plans:
            if codecs[i] is not None:
                codecs[i] = widest


WIDTHS = {"int2": 0, "int4": 1, "int8": 2, "numeric": 3}
