cimport cython
from howdah.core.operation cimport Operation
from howdah.core.query cimport Query, Statement, read_query
from howdah.core.rows cimport choose_formats
from howdah.core.session cimport Session

from howdah.types.codec cimport _Codec
from howdah.wire.frontend cimport (
    put_count, write_close_statement, write_describe_portal, write_execute, write_parse, write_query, write_sync,
)
from howdah.wire.outbuf cimport OutBuf

cdef bytes BEGIN_STEPS, BIND_EXECUTE_SYNC, BIND_DESCRIBE_EXECUTE_SYNC, PARSE_STEP, CLOSE_STEP, SIMPLE_STEP
cdef bytes SIMPLE_THEN_SYNC, BIND_EXECUTE, SYNC_STEP
cdef dict WIDTHS
cdef int STATUS_IDLE

@cython.locals(query=Query, begin=bytes, out=OutBuf, mark=Py_ssize_t, values=list, codecs=list, oids=tuple, operation=Operation)
cpdef Operation execute(Session session, object text, object params, bint binary, object prepare)
@cython.locals(statement=Statement, named=bint, steps=bytes, name=bytes, formats=bytes, describe=bint, remembered=bint,
               operation=Operation, tail=bytes, guess=bytes)
cdef Operation write_statement(Session session, OutBuf out, Query query, list values, list codecs, tuple oids, bint bare,
                               object begin, bint binary, object prepare)
cpdef bytes guess_formats(Session session, Statement statement, str kind)
@cython.locals(statement=Statement)
cpdef bint may_repeat(Session session, Operation operation) except -1
cdef bint plan_fits(Session session, Statement statement, bint binary) except -1
cdef bint may_prepare(Session session, Statement statement, object prepare) except -1
cpdef int write_begin(OutBuf out, bytes begin) except -1
@cython.locals(codecs=list, by_type=dict, i=Py_ssize_t, codec=_Codec)
cpdef list choose_codecs(object registry, list values)
@cython.locals(oids=list, codec=_Codec)
cpdef tuple oids_of(list codecs)
@cython.locals(out=OutBuf, mark=Py_ssize_t, operation=Operation)
cpdef Operation run_sql(Session session, bytes sql)
@cython.locals(query=Query, begin=bytes, out=OutBuf, mark=Py_ssize_t, i=Py_ssize_t, batch=list, plans=list, values=list, codecs=list,
               operation=Operation)
cpdef Operation execute_many(Session session, object text, list rows)
@cython.locals(i=Py_ssize_t, codec=_Codec)
cpdef bint same_types(tuple parsed, list codecs) except -1
cpdef object widen(list plans)
@cython.locals(at=Py_ssize_t, count=Py_ssize_t, i=Py_ssize_t, codec=_Codec)
cpdef int write_bind(OutBuf out, bytes name, list codecs, list values, bytes result_formats) except -1
