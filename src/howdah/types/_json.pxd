cimport cython
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_text
from howdah.wire.outbuf cimport OutBuf

# The common documents, read straight from the wire: see the theory in _json.py. Everything else is Py_NotImplemented.
cdef extern from *:
    """
    #include <float.h>
    #include <stdint.h>
    #include <string.h>
    #define HOWDAH_JSON_DEPTH 64
    #define HOWDAH_JSON_KEYS 512
    #define HOWDAH_JSON_KEY_BYTES 48
    typedef struct { const unsigned char *at; const unsigned char *end; } howdah_json_cursor;
    static PyObject *howdah_json_keys[HOWDAH_JSON_KEYS];
    static PyObject *howdah_json_value(howdah_json_cursor *c, int depth);

    static CYTHON_INLINE void howdah_json_space(howdah_json_cursor *c) {
        while (c->at < c->end && (*c->at == 32 || (*c->at < 14 && (*c->at == 9 || *c->at == 10 || *c->at == 13)))) c->at++;
    }
    /* The length of the string that begins at c->at, behind its quote; -1 for an escape, a control byte or no end. */
    static CYTHON_INLINE Py_ssize_t howdah_json_length(howdah_json_cursor *c, int *ascii) {
        const unsigned char *p = c->at, *end = c->end;
        unsigned char high = 0;
        for (; p < end && *p != 34; p++) {
            if (*p < 32 || *p == 92) return -1;
            high |= *p;
        }
        if (p == end) return -1;
        *ascii = high < 128;
        return p - c->at;
    }
    static CYTHON_INLINE PyObject *howdah_json_ascii(const unsigned char *p, Py_ssize_t size) {
        PyObject *text;
        if (size < 2) return PyUnicode_FromStringAndSize((const char *)p, size);
        text = PyUnicode_New(size, 127);
        if (text) memcpy(PyUnicode_1BYTE_DATA(text), p, (size_t)size);
        return text;
    }
    /* A new reference, or NULL: without an exception when the document is one for json.loads. */
    static CYTHON_INLINE PyObject *howdah_json_string(howdah_json_cursor *c) {
        int ascii = 0;
        const unsigned char *p = c->at;
        Py_ssize_t size = howdah_json_length(c, &ascii);
        if (size < 0) return NULL;
        c->at += size + 1;
        if (ascii) return howdah_json_ascii(p, size);
        return PyUnicode_DecodeUTF8((const char *)p, size, NULL);
    }
    /* A key: the same few come in every row, so their str objects, and hashes, are kept. */
    static CYTHON_INLINE PyObject *howdah_json_key(howdah_json_cursor *c) {
        int ascii = 0;
        const unsigned char *p = c->at;
        uint32_t hash = 2166136261u;
        Py_ssize_t i, size = howdah_json_length(c, &ascii);
        PyObject *key, *old;
        if (size < 0) return NULL;
        c->at += size + 1;
        if (!ascii) return PyUnicode_DecodeUTF8((const char *)p, size, NULL);
        if (size > HOWDAH_JSON_KEY_BYTES) return howdah_json_ascii(p, size);
        for (i = 0; i < size; i++) hash = (hash ^ p[i]) * 16777619u;
        hash = (hash ^ (hash >> 15)) % HOWDAH_JSON_KEYS;
        key = howdah_json_keys[hash];
        if (key && PyUnicode_GET_LENGTH(key) == size && memcmp(PyUnicode_1BYTE_DATA(key), p, (size_t)size) == 0) {
            Py_INCREF(key);
            return key;
        }
        key = howdah_json_ascii(p, size);
        if (!key) return NULL;
        old = howdah_json_keys[hash];
        Py_INCREF(key);
        howdah_json_keys[hash] = key;
        Py_XDECREF(old);
        return key;
    }
    static CYTHON_INLINE const unsigned char *howdah_json_digits(const unsigned char *p, const unsigned char *end) {
        while (p < end && *p >= '0' && *p <= '9') p++;
        return p;
    }
    static PyObject *howdah_json_number(howdah_json_cursor *c) {
        static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
        const unsigned char *start = c->at, *end = c->end, *p = start, *digits, *point, *tail, *q;
        char copy[64];
        int64_t whole = 0;
        double value;
        int exponent = 0;
        if (p < end && *p == '-') p++;
        digits = p;
        p = point = tail = howdah_json_digits(p, end);
        if (p == digits || (*digits == '0' && p - digits > 1)) return NULL;
        if (p < end && *p == '.') {
            p = tail = howdah_json_digits(p + 1, end);
            if (p == point + 1) return NULL;
        }
        if (p < end && (*p == 'e' || *p == 'E')) {
            exponent = 1;
            p++;
            if (p < end && (*p == '+' || *p == '-')) p++;
            q = howdah_json_digits(p, end);
            if (q == p) return NULL;
            p = q;
        }
        c->at = p;
        if (p == point) {
            if (p - digits > 18) return NULL;
            for (q = digits; q < p; q++) whole = whole * 10 + (*q - '0');
            return PyLong_FromLongLong(digits > start ? -whole : whole);
        }
    #if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
        if (!exponent && tail - digits <= 16) {
            for (q = digits; q < point; q++) whole = whole * 10 + (*q - '0');
            for (q = point + 1; q < tail; q++) whole = whole * 10 + (*q - '0');
            /* at most 15 digits: both are exact doubles, so that the quotient is the nearest double (Clinger 1990) */
            value = (double)whole / powers[tail - point - 1];
            return PyFloat_FromDouble(digits > start ? -value : value);
        }
    #endif
        if (p - start >= (Py_ssize_t)sizeof copy) return NULL;
        memcpy(copy, start, (size_t)(p - start));
        copy[p - start] = 0;
        value = PyOS_string_to_double(copy, NULL, NULL);
        if (value == -1.0 && PyErr_Occurred()) return NULL;
        return PyFloat_FromDouble(value);
    }
    static PyObject *howdah_json_array(howdah_json_cursor *c, int depth) {
        PyObject *list = PyList_New(0), *item;
        int failed;
        if (!list) return NULL;
        howdah_json_space(c);
        if (c->at < c->end && *c->at == ']') { c->at++; return list; }
        for (;;) {
            howdah_json_space(c);
            item = howdah_json_value(c, depth);
            if (!item) break;
            failed = PyList_Append(list, item);
            Py_DECREF(item);
            if (failed) break;
            howdah_json_space(c);
            if (c->at == c->end) break;
            if (*c->at == ',') { c->at++; continue; }
            if (*c->at != ']') break;
            c->at++;
            return list;
        }
        Py_DECREF(list);
        return NULL;
    }
    static PyObject *howdah_json_object(howdah_json_cursor *c, int depth) {
        PyObject *dict = PyDict_New(), *key, *item;
        int failed;
        if (!dict) return NULL;
        howdah_json_space(c);
        if (c->at < c->end && *c->at == '}') { c->at++; return dict; }
        for (;;) {
            howdah_json_space(c);
            if (c->at == c->end || *c->at != 34) break;
            c->at++;
            key = howdah_json_key(c);
            if (!key) break;
            howdah_json_space(c);
            if (c->at == c->end || *c->at != ':') { Py_DECREF(key); break; }
            c->at++;
            howdah_json_space(c);
            item = howdah_json_value(c, depth);
            if (!item) { Py_DECREF(key); break; }
            failed = PyDict_SetItem(dict, key, item);
            Py_DECREF(key);
            Py_DECREF(item);
            if (failed) break;
            howdah_json_space(c);
            if (c->at == c->end) break;
            if (*c->at == ',') { c->at++; continue; }
            if (*c->at != '}') break;
            c->at++;
            return dict;
        }
        Py_DECREF(dict);
        return NULL;
    }
    static CYTHON_INLINE PyObject *howdah_json_word(howdah_json_cursor *c, const char *word, Py_ssize_t size, PyObject *value) {
        if (c->end - c->at < size || memcmp(c->at, word, (size_t)size) != 0) return NULL;
        c->at += size;
        Py_INCREF(value);
        return value;
    }
    static PyObject *howdah_json_value(howdah_json_cursor *c, int depth) {
        if (c->at == c->end || depth == HOWDAH_JSON_DEPTH) return NULL;
        switch (*c->at) {
        case 34: c->at++; return howdah_json_string(c);
        case '{': c->at++; return howdah_json_object(c, depth + 1);
        case '[': c->at++; return howdah_json_array(c, depth + 1);
        case 't': return howdah_json_word(c, "true", 4, Py_True);
        case 'f': return howdah_json_word(c, "false", 5, Py_False);
        case 'n': return howdah_json_word(c, "null", 4, Py_None);
        default: return howdah_json_number(c);
        }
    }
    static PyObject *howdah_read_json(const unsigned char *data, Py_ssize_t pos, Py_ssize_t size) {
        howdah_json_cursor c;
        PyObject *value;
        c.at = data + pos;
        c.end = c.at + size;
        howdah_json_space(&c);
        value = howdah_json_value(&c, 0);
        if (value) {
            howdah_json_space(&c);
            if (c.at == c.end) return value;
            Py_DECREF(value);
        } else if (PyErr_Occurred()) {
            if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return NULL;
            PyErr_Clear();
        }
        Py_INCREF(Py_NotImplemented);
        return Py_NotImplemented;
    }
    """
    object read_json "howdah_read_json"(const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)

cdef object _scan_once
cdef object _loads

cdef object load_json(const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
@cython.locals(end=Py_ssize_t, found=tuple)
cdef object load_text(str text)

cdef class JsonCodec(_Codec):
    cdef bint versioned
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cpdef int encode(self, OutBuf out, object value) except -1
