cimport cython
from libc.string cimport memcpy

cdef extern from "Python.h":
    bytes PyBytes_FromStringAndSize(const char *source, Py_ssize_t size)

from howdah.wire.bytes cimport write_i16, write_i32, write_i64

cdef Py_ssize_t MAX_MESSAGE_BYTES

@cython.final
cdef class OutBuf:
    cdef readonly bytearray store
    cdef public Py_ssize_t pos
    cdef readonly Py_ssize_t message_at

    @cython.locals(need=Py_ssize_t, size=Py_ssize_t, fresh=bytearray)
    cpdef int reserve(self, Py_ssize_t count) except -1
    @cython.locals(out="unsigned char *")
    cpdef Py_ssize_t begin(self, unsigned char kind) except -1
    @cython.locals(size=Py_ssize_t, out="unsigned char *")
    cpdef int finish(self, Py_ssize_t at) except -1
    @cython.locals(out="unsigned char *")
    cpdef int put_i16(self, int value) except -1
    @cython.locals(out="unsigned char *")
    cpdef int put_i32(self, int value) except -1
    @cython.locals(out="unsigned char *")
    cpdef int put_i64(self, long long value) except -1
    @cython.locals(out="unsigned char *")
    cpdef int put_byte(self, unsigned char value) except -1
    @cython.locals(count=Py_ssize_t, target="unsigned char *", source="const unsigned char *")
    cpdef int put_bytes(self, bytes data) except -1
    @cython.locals(count=Py_ssize_t)
    cpdef int put_buffer(self, object data) except -1
    cpdef int put_cstring(self, bytes data) except -1
    cpdef int put_sized(self, bytes data) except -1
    @cython.locals(source="const char *")
    cpdef bytes take(self)
    cpdef object rewind(self, Py_ssize_t mark)
