cimport cython
from howdah.core.operation cimport Operation
from howdah.core.session cimport Session

cdef object Ready

cdef class Waiter:
    cdef readonly AioWire driver
    cdef readonly Operation operation
    cdef public bint _asyncio_future_blocking
    cdef object callback
    cdef object context
    cdef object timer
    cdef object inner
    cdef bint woken
    cdef bint was_cancelled
    cpdef object wake(self)
    cpdef object wake_soon(self)
    cdef object leave(self, object exc)

cdef class AioWire:
    cdef readonly Session session
    cdef readonly object loop
    cdef public object sock
    cdef public object transport
    cdef public object startup
    cdef public object gone
    cdef public double round_trip_s
    cdef readonly object news
    cdef object unsent
    @cython.locals(waiter=Waiter)
    cpdef object run(self, Operation operation)
    @cython.locals(data=bytes, count=Py_ssize_t)
    cpdef object send(self)
    cpdef object finish(self, Operation operation)
    @cython.locals(count=Py_ssize_t)
    cpdef object readable(self)
    cpdef object writable(self)
    @cython.locals(session=Session, head=Operation, operation=Operation, finished=Py_ssize_t, waiter=Waiter)
    cpdef object buffer_updated(self, Py_ssize_t nbytes)
    @cython.locals(waiter=Waiter, operation=Operation)
    cpdef object wake_all(self)
    cpdef object lost(self, object exc)
    cpdef object drop(self)

@cython.final
cdef class _Ready:
    pass

cdef class Lock:
    cdef bint is_locked
    cdef readonly object waiting
    cpdef object release(self)
