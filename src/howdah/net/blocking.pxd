cimport cython
from howdah.core.operation cimport Operation
from howdah.core.session cimport Session

cdef Py_ssize_t SMALL_BYTES

@cython.final
cdef class BlockingDriver:
    cdef readonly Session session
    cdef public object sock
    cdef readonly object news
    cdef object poller
    @cython.locals(session=Session, data=bytes, count=Py_ssize_t)
    cpdef object run(self, Operation operation)
    @cython.locals(session=Session, count=Py_ssize_t)
    cpdef object exchange(self, bytes data, Operation operation, object until=*)
