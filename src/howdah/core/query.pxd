cimport cython

@cython.final
cdef class Query:
    cdef readonly str text
    cdef readonly bytes sql
    cdef readonly object names
    cdef readonly Py_ssize_t count
    cdef readonly str kind
    cdef readonly bint single
    cdef readonly bint preparable
    @cython.locals(values=list)
    cpdef list values(self, object params)

cdef dict _bare
cdef dict _with_params

@cython.locals(memo=dict, found=Query)
cpdef Query read_query(object query, bint has_params)
