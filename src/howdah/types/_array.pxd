cimport cython
from cpython.ref cimport Py_INCREF
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_bytes, read_i32, read_i64, read_u32
from howdah.wire.outbuf cimport OutBuf

cdef extern from "Python.h":
    list PyList_New(Py_ssize_t size)
    void PyList_SET_ITEM(object items, Py_ssize_t i, object value)

cdef int MAX_DIMENSIONS
cdef unsigned int INT4, INT8

cdef class ArrayCodec(_Codec):
    cdef readonly _Codec element
    cdef int delimiter
    cdef unsigned int kind

    @cython.locals(end=Py_ssize_t, at=Py_ssize_t, dimensions=int, count=Py_ssize_t, length=Py_ssize_t, element=_Codec, items=list, kind="unsigned int", i=Py_ssize_t)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(end=Py_ssize_t, at=Py_ssize_t, length=Py_ssize_t, total=Py_ssize_t, index=Py_ssize_t)
    cdef object decode_nested(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size, int dimensions)
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(at=Py_ssize_t, end=Py_ssize_t, start=Py_ssize_t, char=int, delimiter=int, escaped=bint)
    cpdef list parse(self, bytes text)
    @cython.locals(at=Py_ssize_t, flags=Py_ssize_t, end=Py_ssize_t)
    cpdef int encode(self, OutBuf out, object value) except -1
    cpdef list measure(self, object value)
    cpdef bint encode_level(self, OutBuf out, list value, Py_ssize_t depth, list lengths) except -1
