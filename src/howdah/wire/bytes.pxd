cimport cython

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #ifndef HOWDAH_BYTES_INCLUDED
    #define HOWDAH_BYTES_INCLUDED
    static CYTHON_INLINE uint16_t howdah_u16(const unsigned char *p) {
        return (uint16_t)(((unsigned)p[0] << 8) | (unsigned)p[1]);
    }
    static CYTHON_INLINE uint32_t howdah_u32(const unsigned char *p) {
    #if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        uint32_t word;
        memcpy(&word, p, 4);
        return __builtin_bswap32(word);
    #else
        return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | (uint32_t)p[3];
    #endif
    }
    static CYTHON_INLINE uint64_t howdah_u64(const unsigned char *p) {
        return ((uint64_t)howdah_u32(p) << 32) | (uint64_t)howdah_u32(p + 4);
    }
    static CYTHON_INLINE int howdah_read_i16(const unsigned char *d, Py_ssize_t pos) {
        return (int)(int16_t)howdah_u16(d + pos);
    }
    static CYTHON_INLINE int howdah_read_u16(const unsigned char *d, Py_ssize_t pos) {
        return (int)howdah_u16(d + pos);
    }
    static CYTHON_INLINE int howdah_read_i32(const unsigned char *d, Py_ssize_t pos) {
        return (int)(int32_t)howdah_u32(d + pos);
    }
    static CYTHON_INLINE unsigned int howdah_read_u32(const unsigned char *d, Py_ssize_t pos) {
        return (unsigned int)howdah_u32(d + pos);
    }
    static CYTHON_INLINE long long howdah_read_i64(const unsigned char *d, Py_ssize_t pos) {
        return (long long)(int64_t)howdah_u64(d + pos);
    }
    static CYTHON_INLINE double howdah_read_f32(const unsigned char *d, Py_ssize_t pos) {
        uint32_t u = howdah_u32(d + pos); float f; memcpy(&f, &u, 4); return (double)f;
    }
    static CYTHON_INLINE double howdah_read_f64(const unsigned char *d, Py_ssize_t pos) {
        uint64_t u = howdah_u64(d + pos); double f; memcpy(&f, &u, 8); return f;
    }
    /* A Python int. PyLong_FromLong spends 78 instructions on one beyond the small ints that CPython keeps, most of them in
       calls; where its layout is known (tested versions of CPython with the GIL, 30-bit digits) the object is laid out
       here, in 35. */
    #if defined(CYTHON_COMPILING_IN_CPYTHON) && CYTHON_COMPILING_IN_CPYTHON && PYLONG_BITS_IN_DIGIT == 30 \
        && !defined(Py_GIL_DISABLED) && !defined(Py_TRACE_REFS) && !defined(Py_REF_DEBUG) \
        && PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000
    #define HOWDAH_OWN_INTS 1
    #else
    #define HOWDAH_OWN_INTS 0
    #endif
    static CYTHON_INLINE PyObject *howdah_int(long long v) {
    #if HOWDAH_OWN_INTS
        if ((v > 256 && v < (1LL << 30)) || (v < -5 && v > -(1LL << 30))) {
            PyLongObject *made = (PyLongObject *)PyObject_Malloc(sizeof(PyLongObject));
            if (!made) return PyErr_NoMemory();
            ((PyObject *)made)->ob_type = &PyLong_Type;
            ((PyObject *)made)->ob_refcnt = 1;  /* Py_SET_REFCNT would first look whether the old count is immortal */
    #if PY_VERSION_HEX >= 0x030C0000
            made->long_value.lv_tag = ((uintptr_t)1 << 3) | (v < 0 ? 2 : 0);
            made->long_value.ob_digit[0] = (digit)(v < 0 ? -v : v);
    #else
            ((PyVarObject *)made)->ob_size = v < 0 ? -1 : 1;
            made->ob_digit[0] = (digit)(v < 0 ? -v : v);
    #endif
            return (PyObject *)made;
        }
    #endif
        return PyLong_FromLongLong(v);
    }
    static CYTHON_INLINE PyObject *howdah_read_u128(const unsigned char *d, Py_ssize_t pos) {
        return _PyLong_FromByteArray(d + pos, 16, 0, 0);
    }
    static CYTHON_INLINE PyObject *howdah_read_text(const unsigned char *d, Py_ssize_t pos, Py_ssize_t size) {
        const unsigned char *p = d + pos;
        uint64_t seen = 0, word;
        Py_ssize_t i = 0;
        PyObject *text;
        if (size > 1) {
            for (; i + 8 <= size; i += 8) { memcpy(&word, p + i, 8); seen |= word; }
            for (; i < size; i++) seen |= p[i];
            if (!(seen & 0x8080808080808080ULL)) {
                text = PyUnicode_New(size, 127);
                if (text) memcpy(PyUnicode_1BYTE_DATA(text), p, (size_t)size);
                return text;
            }
        }
        return PyUnicode_DecodeUTF8((const char *)p, size, NULL);
    }
    static CYTHON_INLINE PyObject *howdah_read_bytes(const unsigned char *d, Py_ssize_t pos, Py_ssize_t size) {
        return PyBytes_FromStringAndSize((const char *)d + pos, size);
    }
    static CYTHON_INLINE Py_ssize_t howdah_find_nul(const unsigned char *d, Py_ssize_t pos, Py_ssize_t end) {
        const unsigned char *hit;
        if (pos >= end) return -1;
        hit = (const unsigned char *)memchr(d + pos, 0, (size_t)(end - pos));
        return hit ? (Py_ssize_t)(hit - d) : -1;
    }
    static CYTHON_INLINE void howdah_write_u16(unsigned char *d, Py_ssize_t pos, int v) {
        d[pos] = (unsigned char)((unsigned)v >> 8); d[pos + 1] = (unsigned char)v;
    }
    static CYTHON_INLINE void howdah_write_u32(unsigned char *d, Py_ssize_t pos, unsigned int v) {
        d += pos;
        d[0] = (unsigned char)(v >> 24); d[1] = (unsigned char)(v >> 16);
        d[2] = (unsigned char)(v >> 8); d[3] = (unsigned char)v;
    }
    static CYTHON_INLINE void howdah_write_i64(unsigned char *d, Py_ssize_t pos, long long v) {
        howdah_write_u32(d, pos, (unsigned int)((uint64_t)v >> 32));
        howdah_write_u32(d, pos + 4, (unsigned int)(uint64_t)v);
    }
    static CYTHON_INLINE void howdah_write_f32(unsigned char *d, Py_ssize_t pos, double v) {
        float f = (float)v; uint32_t u; memcpy(&u, &f, 4); howdah_write_u32(d, pos, u);
    }
    static CYTHON_INLINE void howdah_write_f64(unsigned char *d, Py_ssize_t pos, double v) {
        uint64_t u; memcpy(&u, &v, 8); howdah_write_i64(d, pos, (long long)u);
    }
    #endif
    """
    int read_i16 "howdah_read_i16"(const unsigned char *data, Py_ssize_t pos) noexcept nogil
    int read_u16 "howdah_read_u16"(const unsigned char *data, Py_ssize_t pos) noexcept nogil
    int read_i32 "howdah_read_i32"(const unsigned char *data, Py_ssize_t pos) noexcept nogil
    unsigned int read_u32 "howdah_read_u32"(const unsigned char *data, Py_ssize_t pos) noexcept nogil
    long long read_i64 "howdah_read_i64"(const unsigned char *data, Py_ssize_t pos) noexcept nogil
    double read_f32 "howdah_read_f32"(const unsigned char *data, Py_ssize_t pos) noexcept nogil
    double read_f64 "howdah_read_f64"(const unsigned char *data, Py_ssize_t pos) noexcept nogil
    object new_int "howdah_int"(long long value)
    object read_u128 "howdah_read_u128"(const unsigned char *data, Py_ssize_t pos)
    object read_text "howdah_read_text"(const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    object read_bytes "howdah_read_bytes"(const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    Py_ssize_t find_nul "howdah_find_nul"(const unsigned char *data, Py_ssize_t pos, Py_ssize_t end) noexcept nogil
    void write_i16 "howdah_write_u16"(unsigned char *out, Py_ssize_t pos, int value) noexcept nogil
    void write_u16 "howdah_write_u16"(unsigned char *out, Py_ssize_t pos, int value) noexcept nogil
    void write_i32 "howdah_write_u32"(unsigned char *out, Py_ssize_t pos, int value) noexcept nogil
    void write_u32 "howdah_write_u32"(unsigned char *out, Py_ssize_t pos, unsigned int value) noexcept nogil
    void write_i64 "howdah_write_i64"(unsigned char *out, Py_ssize_t pos, long long value) noexcept nogil
    void write_f32 "howdah_write_f32"(unsigned char *out, Py_ssize_t pos, double value) noexcept nogil
    void write_f64 "howdah_write_f64"(unsigned char *out, Py_ssize_t pos, double value) noexcept nogil

@cython.locals(base="const unsigned char *", width=Py_ssize_t)
cpdef object probe(str name, bytes data, Py_ssize_t pos, Py_ssize_t size)

@cython.locals(store=bytearray, out="unsigned char *")
cpdef bytes probe_write(str name, object value, Py_ssize_t width)
