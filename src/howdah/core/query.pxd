cimport cython
from howdah.core.rows cimport RowPlan

@cython.final
cdef class Query:
    cdef readonly str text
    cdef readonly bytes sql
    cdef readonly object names
    cdef readonly Py_ssize_t count
    cdef readonly str kind
    cdef readonly bint single
    cdef readonly bint preparable
    @cython.locals(values=list)
    cpdef list values(self, object params)

cdef dict _bare
cdef dict _with_params

@cython.locals(memo=dict, found=Query)
cpdef Query read_query(object query, bint has_params)

@cython.final
cdef class Statement:
    cdef readonly bytes sql
    cdef readonly tuple oids
    cdef public bytes name
    cdef public Py_ssize_t uses
    cdef public bint prepared
    cdef public bint described
    cdef public bint guessed
    cdef readonly object columns
    cdef public bytes formats
    cdef public bytes wanted
    cdef public RowPlan plan
    cdef public bint binary
    cdef public long long last_use
    cpdef object set_columns(self, object columns)
    cpdef object forget(self)
    cpdef bytes make_name(self)

@cython.final
cdef class StatementCache:
    cdef readonly dict entries
    cdef readonly long long clock
    cdef readonly list dropped
    cdef public Py_ssize_t max_entries
    @cython.locals(entry=Statement)
    cpdef Statement get(self, bytes sql, tuple oids)
    cpdef object drop_oldest(self)
    cpdef object discard(self, Statement statement)
    @cython.locals(entry=Statement)
    cpdef object clear(self)
