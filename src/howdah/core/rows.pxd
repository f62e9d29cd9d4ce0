cimport cython
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from howdah.types.codec cimport _Codec
from howdah.wire.bytes cimport read_i32, read_u16

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(object op)
    int PyGC_Disable()
    int PyGC_Enable()

cdef int DATA_ROW

cdef class RowPlan:
    cdef readonly tuple columns
    cdef readonly tuple codecs
    cdef readonly bytes formats
    cdef readonly object registry
    cdef readonly Py_ssize_t width
    cdef readonly bint atomic

cdef class Sink:
    cdef public Py_ssize_t count
    cdef public object error
    @cython.locals(size=Py_ssize_t)
    cdef Py_ssize_t receive(self, RowPlan plan, const unsigned char *data, Py_ssize_t pos, Py_ssize_t end) except -1
    cpdef object taken(self)

cdef class TupleSink(Sink):
    cdef readonly list rows
    cdef Py_ssize_t column
    cdef Py_ssize_t stop
    cpdef object taken(self)
    @cython.locals(collecting=int)
    cdef Py_ssize_t receive(self, RowPlan plan, const unsigned char *data, Py_ssize_t pos, Py_ssize_t end) except -1
    cdef Py_ssize_t receive_rows(self, RowPlan plan, const unsigned char *data, Py_ssize_t pos, Py_ssize_t end) except -1
    @cython.locals(width=Py_ssize_t, codecs=tuple, formats="const unsigned char *", atomic=bint, rows=list, i=Py_ssize_t,
                   size=Py_ssize_t, stop=Py_ssize_t, at=Py_ssize_t, length=Py_ssize_t, row=tuple, codec=_Codec)
    cdef Py_ssize_t decode_rows(self, RowPlan plan, const unsigned char *data, Py_ssize_t pos, Py_ssize_t end) except -1

@cython.locals(base="const unsigned char *")
cpdef Py_ssize_t decode_rows(Sink sink, RowPlan plan, bytes data) except -1

cpdef bytes choose_formats(object columns, dict by_oid, bint binary)
@cython.locals(by_oid=dict)
cpdef RowPlan make_plan(tuple columns, object registry, object fallback)
