cimport cython
from cpython.datetime cimport import_datetime
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_i32, read_i64, read_text
from howdah.wire.outbuf cimport OutBuf

cdef extern from *:
    """
    #include <datetime.h>
    #ifndef HOWDAH_TIME_INCLUDED
    #define HOWDAH_TIME_INCLUDED
    static CYTHON_INLINE PyObject *howdah_make_time(long long us, PyObject *tz) {
        unsigned seconds = (unsigned)((unsigned long long)us / 1000000ULL);
        unsigned fraction = (unsigned)((unsigned long long)us % 1000000ULL);
        return PyDateTimeAPI->Time_FromTime((int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60),
                                            (int)fraction, tz, PyDateTimeAPI->TimeType);
    }
    #endif
    """
    object make_time "howdah_make_time"(long long us, object tz)

cdef long long US_PER_DAY
cdef dict _zones
cdef _Codec TIME_CODEC
cdef _Codec TIMETZ_CODEC

cdef class TimeCodec(_Codec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(us="long long")
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef object beyond(self, str text)
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class TimetzCodec(TimeCodec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(us="long long", west=int)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class PythonTimeCodec(_Codec):
    cpdef _Codec for_value(self, object value)
