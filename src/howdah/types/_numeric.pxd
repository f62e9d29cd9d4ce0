cimport cython
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport (
    read_f64, read_i16, read_i32, read_i64, read_text, read_u16, read_u32, write_f64, write_i64,
)
from howdah.wire.outbuf cimport OutBuf

cdef extern from *:
    """
    #ifndef HOWDAH_NUMERIC_INCLUDED
    #define HOWDAH_NUMERIC_INCLUDED
    /* The bytes of the smallest integer type that holds an int; 0 when none does, -1 for an error. */
    static CYTHON_INLINE int howdah_int_width(PyObject *value) {
        int overflow;
        long long v = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow) return 0;
        if (v == -1 && PyErr_Occurred()) return -1;
        if (v >= -32768 && v <= 32767) return 2;
        return v >= -2147483648LL && v <= 2147483647LL ? 4 : 8;
    }
    /* The decimal text of a binary numeric; its counts and digits are proven by the caller. */
    static PyObject *howdah_numeric_text(const unsigned char *d, Py_ssize_t pos, Py_ssize_t size) {
        const unsigned char *p = d + pos;
        int count = (p[0] << 8) | p[1];
        int weight = (int)(int16_t)(((unsigned)p[2] << 8) | p[3]);
        int sign = (p[4] << 8) | p[5];
        int scale = (p[6] << 8) | p[7];
        Py_ssize_t room = (weight >= 0 ? ((Py_ssize_t)weight + 1) * 4 : 0) + (Py_ssize_t)scale + 16;
        char small[256];
        char *text = small, *at;
        int i, started = 0, left;
        PyObject *result;
        (void)size;
        if (room > (Py_ssize_t)sizeof(small)) {
            text = (char *)PyMem_Malloc((size_t)room);
            if (!text) return PyErr_NoMemory();
        }
        at = text;
        if (sign == 0x4000) *at++ = '-';
        for (i = 0; i <= weight; i++) {
            unsigned v = i < count ? (((unsigned)p[8 + 2 * i] << 8) | p[9 + 2 * i]) : 0;
            unsigned a = v / 1000, b = v / 100 % 10, c = v / 10 % 10, e = v % 10;
            if (started || a) { *at++ = (char)('0' + a); started = 1; }
            if (started || b) { *at++ = (char)('0' + b); started = 1; }
            if (started || c) { *at++ = (char)('0' + c); started = 1; }
            if (started || e) { *at++ = (char)('0' + e); started = 1; }
        }
        if (!started) *at++ = '0';
        if (scale) {
            *at++ = '.';
            for (left = scale, i = weight + 1; left > 0; i++) {
                unsigned v = (i >= 0 && i < count) ? (((unsigned)p[8 + 2 * i] << 8) | p[9 + 2 * i]) : 0;
                char four[4];
                int j;
                four[0] = (char)('0' + v / 1000); four[1] = (char)('0' + v / 100 % 10);
                four[2] = (char)('0' + v / 10 % 10); four[3] = (char)('0' + v % 10);
                for (j = 0; j < 4 && left > 0; j++, left--) *at++ = four[j];
            }
        }
        result = PyUnicode_New(at - text, 127);
        if (result) memcpy(PyUnicode_1BYTE_DATA(result), text, (size_t)(at - text));
        if (text != small) PyMem_Free(text);
        return result;
    }
    #endif
    """
    int int_width "howdah_int_width"(object value) except -1
    object numeric_text "howdah_numeric_text"(const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)

cdef object Decimal
cdef int NEGATIVE
cdef int NUMERIC_NAN
cdef int NUMERIC_PINF
cdef int NUMERIC_NINF
cdef int MAX_SCALE
cdef object MAX_WHOLE_DIGITS
cdef _Codec INT2_CODEC
cdef _Codec INT4_CODEC
cdef _Codec INT8_CODEC
cdef _Codec NUMERIC_CODEC

cdef class _IntCodec(_Codec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)

cdef class Int2Codec(_IntCodec):
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class Int4Codec(_IntCodec):
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class Int8Codec(_IntCodec):
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(buffer="unsigned char *")
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class OidCodec(_IntCodec):
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class Float8Codec(_Codec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(buffer="unsigned char *")
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class NumericCodec(_Codec):
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(sign=int)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(at=Py_ssize_t)
    cdef object check_digits(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1
    cpdef int encode_words(self, OutBuf out, list words) except -1

cdef class PythonIntCodec(_Codec):
    @cython.locals(width=int)
    cpdef _Codec for_value(self, object value)
