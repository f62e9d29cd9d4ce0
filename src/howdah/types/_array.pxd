cimport cython
from cpython.ref cimport Py_INCREF
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_bytes, read_i32, read_u32
from howdah.wire.outbuf cimport OutBuf

cdef extern from "Python.h":
    list PyList_New(Py_ssize_t size)
    void PyList_SET_ITEM(object items, Py_ssize_t i, object value)

cdef extern from *:
    """
    #ifndef HOWDAH_FILL_INTEGERS
    #define HOWDAH_FILL_INTEGERS
    /* Fills a new list with integers of one width, up to the first element that is none; returns how many, or -1.
       A list that is left early has NULL in its other places, which the caller fills. */
    static CYTHON_INLINE Py_ssize_t howdah_fill_width(PyObject *items, Py_ssize_t count, const int width,
                                                      const unsigned char *p, Py_ssize_t size) {
        PyObject **places = ((PyListObject *)items)->ob_item;
        Py_ssize_t i, fit = size / (4 + width);
        if (fit < count) count = fit;
        for (i = 0; i < count; i++, p += 4 + width) {
            PyObject *value;
            if (howdah_u32(p) != (uint32_t)width) break;
            value = howdah_int(width == 4 ? (int32_t)howdah_u32(p + 4) : (int64_t)howdah_u64(p + 4));
            if (!value) return -1;
            places[i] = value;
        }
        return i;
    }
    static Py_ssize_t howdah_fill_integers(PyObject *items, Py_ssize_t count, int width, const unsigned char *d,
                                           Py_ssize_t at, Py_ssize_t end) {
        return width == 4 ? howdah_fill_width(items, count, 4, d + at, end - at)
                          : howdah_fill_width(items, count, 8, d + at, end - at);
    }
    #endif
    """
    Py_ssize_t fill_integers "howdah_fill_integers"(list items, Py_ssize_t count, int width, const unsigned char *data,
                                                    Py_ssize_t at, Py_ssize_t end) except -1

cdef int MAX_DIMENSIONS
cdef unsigned int INT4, INT8

cdef class ArrayCodec(_Codec):
    cdef readonly _Codec element
    cdef int delimiter
    cdef unsigned int kind

    @cython.locals(end=Py_ssize_t, at=Py_ssize_t, dimensions=int, count=Py_ssize_t, length=Py_ssize_t, element=_Codec, items=list, first=Py_ssize_t, width=int, i=Py_ssize_t)
    cdef object decode_binary(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(end=Py_ssize_t, at=Py_ssize_t, length=Py_ssize_t, total=Py_ssize_t, index=Py_ssize_t)
    cdef object decode_nested(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size, int dimensions)
    cdef object decode_text(self, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    @cython.locals(at=Py_ssize_t, end=Py_ssize_t, start=Py_ssize_t, char=int, delimiter=int, escaped=bint, want_value=bint,
                   may_close=bint, stack=list, item=bytes)
    cpdef list parse(self, bytes text)
    cpdef list no_array(self, bytes text)
    @cython.locals(at=Py_ssize_t, flags=Py_ssize_t, end=Py_ssize_t)
    cpdef int encode(self, OutBuf out, object value) except -1
    cpdef list measure(self, object value)
    cpdef bint encode_level(self, OutBuf out, object value, Py_ssize_t depth, list lengths) except -1
