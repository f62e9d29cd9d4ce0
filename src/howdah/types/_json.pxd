cimport cython
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_text
from howdah.wire.outbuf cimport OutBuf

cdef object _scan_once
cdef object _loads

@cython.locals(end=Py_ssize_t, found=tuple)
cpdef object load_json(str text)

cdef class JsonCodec(_Codec):
    cdef bint versioned
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1
