cimport cython
from howdah.core.operation cimport Operation
from howdah.core.session cimport Session

cdef Py_ssize_t SMALL_BYTES

@cython.final
cdef class BlockingDriver:
    cdef readonly Session session
    cdef public object sock
    cdef readonly object news
    cdef readonly object tls
    cdef public double round_trip_s
    cdef object poller
    cdef object unsent
    cdef bint in_io
    @cython.locals(session=Session, data=bytes, count=Py_ssize_t)
    cpdef object run(self, Operation operation)
    @cython.locals(session=Session, count=Py_ssize_t)
    cpdef object exchange(self, Operation operation, object until=*)
    @cython.locals(session=Session)
    cpdef object finish(self, Operation operation)
    @cython.locals(session=Session, fence=Operation)
    cpdef object leave(self, Operation operation, object exc, double bound_s)
