cimport cython
from cpython.datetime cimport import_datetime
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_i32, read_i64, read_text
from howdah.wire.outbuf cimport OutBuf

cdef extern from *:
    """
    #include <datetime.h>
    #ifndef HOWDAH_DATETIME_INCLUDED
    #define HOWDAH_DATETIME_INCLUDED
    /* Gregorian date of a day count, by 400-year eras; days are counted from 2000-01-01 and range checked. */
    static CYTHON_INLINE void howdah_civil(int days, int *year, int *month, int *day) {
        unsigned z = (unsigned)(days + 730425);              /* from 0000-03-01; never negative in range */
        unsigned era = z / 146097, doe = z % 146097;
        unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        unsigned mp = (5 * doy + 2) / 153;
        *day = (int)(doy - (153 * mp + 2) / 5 + 1);
        *month = (int)(mp < 10 ? mp + 3 : mp - 9);
        *year = (int)(yoe + era * 400 + (*month <= 2));
    }
    static CYTHON_INLINE PyObject *howdah_make_date(int days) {
        int y, m, d;
        howdah_civil(days, &y, &m, &d);
        return PyDateTimeAPI->Date_FromDate(y, m, d, PyDateTimeAPI->DateType);
    }
    static CYTHON_INLINE PyObject *howdah_make_datetime(long long us, PyObject *tz) {
        int y, m, d, days;
        unsigned long long since = (unsigned long long)(us + 63113904000000000LL);   /* from 0000-01-01: positive */
        unsigned long long day = since / 86400000000ULL, rest = since % 86400000000ULL;
        unsigned seconds = (unsigned)(rest / 1000000ULL), fraction = (unsigned)(rest % 1000000ULL);
        days = (int)day - 730485;
        howdah_civil(days, &y, &m, &d);
        return PyDateTimeAPI->DateTime_FromDateAndTime(
            y, m, d, (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60), (int)fraction, tz,
            PyDateTimeAPI->DateTimeType);
    }
    #endif
    """
    object make_date "howdah_make_date"(int days)
    object make_datetime "howdah_make_datetime"(long long us, object tz)

cdef object UTC
cdef object PG_EPOCH
cdef object PG_EPOCH_UTC
cdef int PG_EPOCH_ORDINAL
cdef int MIN_DAYS
cdef int MAX_DAYS
cdef int NO_DAYS_MIN
cdef int NO_DAYS_MAX
cdef long long MIN_US
cdef long long MAX_US
cdef long long NO_US_MIN
cdef long long NO_US_MAX
cdef _Codec TIMESTAMP_CODEC
cdef _Codec TIMESTAMPTZ_UTC

cdef class _CalendarCodec(_Codec):
    cdef readonly str style
    cpdef object read_styled(self, str text)
    cpdef object other_style(self, str text)
    cpdef object out_of_range(self, str text, bint beyond=*)

cdef class DateCodec(_CalendarCodec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(days=int)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef object read_styled(self, str text)
    cpdef object beyond(self, int days)
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class TimestampCodec(_CalendarCodec):
    cdef object tz
    cdef bint utc
    cdef bint zoned
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(us="long long")
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef object read_styled(self, str text)
    cpdef object localise(self, object value, long long us)
    cpdef object beyond(self, long long us)
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class PythonDatetimeCodec(_Codec):
    cpdef _Codec for_value(self, object value)
