cimport cython
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport (
    new_int, read_f32, read_f64, read_i16, read_i32, read_i64, read_text, read_u16, read_u32, write_f32, write_f64,
)
from howdah.wire.outbuf cimport OutBuf

cdef extern from *:
    """
    #include <math.h>
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
    /* See short_decimal in the .py file, whose arithmetic this is, step by step. */
    static double howdah_short_decimal(double value) {
        static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
                                      1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
        double size = value < 0 ? -value : value, above, below, whole, found;
        int exponent, ten, digits, shift, power_of_two;
        if (!(size >= 1e-13 && size < 1e21)) return 0.0;
        power_of_two = frexp(size, &exponent) == 0.5;
        above = ldexp(0.5, exponent - 24);
        below = power_of_two ? above / 2 : above;
        ten = (int)floor((exponent - 1) * 0.30103);
        if (ten >= -1 ? size >= tens[ten + 1] : size * tens[-ten - 1] >= 1.0) ten++;
        for (digits = 6; digits < 10; digits++) {
            shift = digits - 1 - ten;
            whole = rint(shift >= 0 ? size * tens[shift] : size / tens[-shift]);
            found = shift >= 0 ? whole / tens[shift] : whole * tens[-shift];
            if (found - size > -below && found - size < above) return value < 0 ? -found : found;
            if (power_of_two) {
                whole += 1;
                found = shift >= 0 ? whole / tens[shift] : whole * tens[-shift];
                if (found - size < above) return value < 0 ? -found : found;
            }
        }
        return 0.0;
    }
    #endif
    """
    double short_decimal "howdah_short_decimal"(double value) noexcept nogil
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
    cpdef int encode(self, OutBuf out, object value) except -1

cdef class OidCodec(_IntCodec):
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1

cdef double FLOAT4_END
cdef double FLOAT4_ROUNDS_TO_ZERO

@cython.locals(found=double)
cdef object float4_value(double value)
cpdef str shown_int(object number)

cdef class Float4Codec(_Codec):
    @cython.locals(value=double, store=bytearray, buffer="unsigned char *")
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(number=double, buffer="unsigned char *")
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

cdef class WrappedIntCodec(_Codec):
    cdef readonly _Codec target
    cdef readonly object low
    cdef readonly object high
    cpdef _Codec for_value(self, object value)

cdef class PythonIntCodec(_Codec):
    @cython.locals(width=int)
    cpdef _Codec for_value(self, object value)
