cimport cython
from howdah.wire.outbuf cimport OutBuf

cdef Py_ssize_t MAX_PARAMETERS

cpdef bytes cstring(str text, str what)
@cython.locals(at=Py_ssize_t)
cpdef int write_startup(OutBuf out, int version, dict parameters) except -1
@cython.locals(at=Py_ssize_t)
cpdef int write_password(OutBuf out, bytes data) except -1
@cython.locals(at=Py_ssize_t)
cpdef int write_sasl_initial(OutBuf out, str mechanism, bytes data) except -1
@cython.locals(at=Py_ssize_t)
cpdef int write_query(OutBuf out, bytes sql) except -1
@cython.locals(at=Py_ssize_t)
cpdef int write_parse(OutBuf out, bytes name, bytes sql, tuple oids) except -1
cpdef int put_count(OutBuf out, Py_ssize_t count) except -1
cpdef int write_describe_portal(OutBuf out) except -1
cpdef int write_close_portal(OutBuf out) except -1
@cython.locals(at=Py_ssize_t)
cpdef int write_execute(OutBuf out, int max_rows) except -1
@cython.locals(at=Py_ssize_t)
cpdef int write_close_statement(OutBuf out, bytes name) except -1
cpdef int write_sync(OutBuf out) except -1
cpdef int write_terminate(OutBuf out) except -1
@cython.locals(at=Py_ssize_t)
cpdef int write_copy_fail(OutBuf out, bytes reason) except -1
