cimport cython

cdef Py_ssize_t MAX_IDLE_CAPACITY

@cython.final
cdef class InBuf:
    cdef readonly bytearray store
    cdef object view
    cdef public Py_ssize_t start
    cdef public Py_ssize_t end
    cdef public Py_ssize_t needed

    @cython.locals(capacity=Py_ssize_t, unread=Py_ssize_t, wanted=Py_ssize_t, fresh=bytearray)
    cpdef object get_buffer(self)
    cpdef object received(self, Py_ssize_t count)
