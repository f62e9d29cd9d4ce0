# Not @final: Cython refuses overridden methods in final classes; the vtable call is the same.

cimport cython
from howdah.wire.bytes cimport read_bytes, read_text
from howdah.wire.outbuf cimport OutBuf

cdef int BINARY

cdef class _Codec:
    cdef readonly str name
    cdef readonly unsigned int oid
    cdef readonly unsigned int array_oid
    cdef readonly bint binary_equal
    cdef readonly bint atomic
    cdef readonly int encode_format

    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(base="const unsigned char *")
    cpdef object decode_bytes(self, bytes data, int format)
    cpdef int encode(self, OutBuf out, object value) except -1
    cpdef _Codec for_value(self, object value)
    cpdef object wrong_size(self, Py_ssize_t size)
    cpdef object wrong_text(self, str text, str why=*)
