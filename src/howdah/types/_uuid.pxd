cimport cython
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_text, read_u128
from howdah.wire.outbuf cimport OutBuf

cdef object UUID
cdef object UNKNOWN_SAFETY
cdef object _new_uuid
cdef object _set_int
cdef object _set_safety

cdef class UuidCodec(_Codec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1
