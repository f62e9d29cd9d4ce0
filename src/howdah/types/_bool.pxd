cimport cython
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_text
from howdah.wire.outbuf cimport OutBuf

cdef class BoolCodec(_Codec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1
