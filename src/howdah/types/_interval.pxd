cimport cython
from cpython.datetime cimport import_datetime
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_i32, read_i64, read_text
from howdah.wire.outbuf cimport OutBuf

cdef extern from *:
    """
    #include <datetime.h>
    #ifndef HOWDAH_INTERVAL_INCLUDED
    #define HOWDAH_INTERVAL_INCLUDED
    static CYTHON_INLINE PyObject *howdah_make_timedelta(long long days, long long us) {
        return PyDateTimeAPI->Delta_FromDelta((int)days, (int)(us / 1000000), (int)(us % 1000000), 1,
                                              PyDateTimeAPI->DeltaType);
    }
    #endif
    """
    object make_timedelta "howdah_make_timedelta"(long long days, long long us)

cdef long long US_PER_DAY
cdef long long MAX_DAYS
cdef long long NO_US_MIN
cdef long long NO_US_MAX
cdef long long NO_DAYS_MIN
cdef long long NO_DAYS_MAX

cdef class IntervalCodec(_Codec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(us="long long", days="long long", months="long long")
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(whole="long long")
    cdef object timedelta_of(self, long long months, long long days, long long us, object text)
    cpdef int encode(self, OutBuf out, object value) except -1
