cimport cython
from howdah.core.query cimport Query, Statement
from howdah.core.rows cimport RowPlan, Sink, TupleSink

@cython.final
cdef class Result:
    cdef readonly RowPlan plan
    cdef readonly Sink sink
    cdef public object tag
    cdef public bint suspended

cdef class Operation:
    cdef public bytes script
    cdef public Py_ssize_t at
    cdef public int step
    cdef public Statement statement
    cdef public Query query
    cdef public RowPlan plan
    cdef public Sink sink
    cdef public Result result
    cdef public list results
    cdef public bint discard
    cdef public bint remembered
    cdef public bytes formats
    cdef public bint binary
    cdef public object error
    cdef public bint done
    cdef public bint sent
    cdef public Py_ssize_t bytes_out
    cdef public Py_ssize_t bytes_in
    cdef public object deadline
    cdef public double timeout_s
    cdef public double sent_at
    cdef public double first_at
    cdef public double done_at
    cdef public object waiter
    cdef public object note

    cpdef bint advance(self) except -1
    cpdef object skip_to_sync(self)
    cpdef object begin_result(self, RowPlan plan)
    cpdef object end_result(self, object tag, bint suspended)
    cpdef object abandon(self)
    cpdef object fail(self, object error)
    cpdef bint take(self, object session, int kind, bytes body) except -1
