cimport cython
from howdah.core.rows cimport RowPlan

@cython.final
cdef class Query:
    cdef readonly str text
    cdef readonly bytes sql
    cdef readonly object names
    cdef readonly Py_ssize_t count
    cdef readonly str kind
    cdef readonly bint single
    cdef readonly bint preparable
    cdef readonly object misplaced
    cdef readonly bint client_bound
    cdef public list bound
    @cython.locals(values=list)
    cpdef list values(self, object params)

cdef dict _bare
cdef dict _with_params

@cython.locals(memo=dict, found=Query)
cpdef Query read_query(object query, bint has_params, bint backslashes=*)
@cython.locals(reading=Reading, places=list)
cdef Query _read(str text, bint has_params, bint backslashes)
cdef Query _read_template(object template, bint has_params, bint backslashes)
@cython.locals(reading=Reading, bare=Query)
cpdef Query read_raw(object text, bint backslashes)
cdef int LINE_COMMENT, BLOCK_COMMENT, STRING, QUOTED_NAME, WORD, PARAMETER, DOLLAR, NUMBER, MARK
@cython.locals(depth=Py_ssize_t)
cdef Py_ssize_t _skip_comment(str sql, Py_ssize_t at) except -1

@cython.final
cdef class Reading:
    cdef readonly str sql
    cdef readonly bint backslashes
    cdef object token
    cdef readonly Py_ssize_t at
    cdef readonly Py_ssize_t start
    cdef readonly int group
    cdef readonly str kind
    cdef readonly bint single
    cdef readonly Py_ssize_t misplaced
    cdef readonly str where
    @cython.locals(group=int, prefix=str, tag=str, end=Py_ssize_t)
    cpdef bint advance(self) except -1
    @cython.locals(end=Py_ssize_t)
    cdef object end_of_quoted(self, str quote)
    @cython.locals(end=Py_ssize_t)
    cdef object end_of_escaped(self)
    @cython.locals(sql=str, several=bint, count=Py_ssize_t, index=Py_ssize_t, depth=Py_ssize_t, atomic=Py_ssize_t,
                   words=Py_ssize_t, ended=bint, after_with=Py_ssize_t, defines=bint, before=str, word=str, group=int,
                   commented=list, used=set)
    cpdef object run(self, list places)

@cython.final
cdef class Statement:
    cdef readonly bytes sql
    cdef readonly tuple oids
    cdef public bytes name
    cdef public Py_ssize_t uses
    cdef public bint prepared
    cdef public bint described
    cdef public bint guessed
    cdef readonly object columns
    cdef public bytes formats
    cdef public bytes wanted
    cdef public RowPlan plan
    cdef public bint binary
    cdef public long long last_use
    cpdef object set_columns(self, object columns)
    cpdef object forget(self)
    cpdef bytes make_name(self)

@cython.final
cdef class StatementCache:
    cdef readonly dict entries
    cdef readonly long long clock
    cdef readonly list dropped
    cdef public Py_ssize_t max_entries
    @cython.locals(entry=Statement)
    cpdef Statement get(self, bytes sql, tuple oids)
    cpdef object drop_oldest(self)
    cpdef object discard(self, Statement statement)
    @cython.locals(entry=Statement)
    cpdef object clear(self)
