cimport cython
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_text
from howdah.wire.outbuf cimport OutBuf

cdef class TextCodec(_Codec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(data=bytes)
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class CharCodec(TextCodec):
    @cython.locals(byte=int)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)

cdef class EmptyArrayCodec(_Codec):
    cpdef int encode(self, OutBuf out, object value) except -1
