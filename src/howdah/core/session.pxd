cimport cython
from howdah.core.operation cimport Operation
from howdah.core.rows cimport RowPlan, choose_formats, make_plan
from howdah.core.query cimport Statement, StatementCache
from howdah.wire.bytes cimport find_nul, read_bytes, read_i32, read_text
from howdah.wire.inbuf cimport InBuf
from howdah.wire.outbuf cimport OutBuf
from howdah.wire.frontend cimport write_copy_fail, write_sync, write_terminate

cdef bytes ACTIONS
cdef int ADVANCE, BEGUN, COMPLETE, COPY_DONE, COPY_IN, COPY_OUT, CUSTOM, DESCRIBE, DESCRIBED, EMPTY, EXECUTE, NO_DATA, PARSE
cdef Py_ssize_t MAX_SHORT_BYTES
cdef int PARSED, QUIET, READY, ROW, SIMPLE, START_COPY_BOTH, START_COPY_IN, START_COPY_OUT, STARTUP, SUSPENDED, SYNC, VIOLATION

@cython.final
cdef class Session:
    cdef readonly InBuf inbuf
    cdef readonly OutBuf outbuf
    cdef readonly object queue
    cdef readonly Operation head
    cdef public list finished
    cdef public int transaction_status
    cdef readonly dict parameters
    cdef public unsigned int backend_pid
    cdef readonly bint backslashes
    cdef public bytes backend_key
    cdef public int protocol_version
    cdef public bint authenticated
    cdef public bint exclusive
    cdef readonly bint closed
    cdef readonly bint terminated
    cdef readonly object failure
    cdef readonly bint decoding
    cdef readonly Py_ssize_t bytes_in
    cdef public Py_ssize_t max_message_bytes
    cdef readonly object notices
    cdef readonly object notifications
    cdef public bint pooler_suspected
    cdef public object prepare_threshold
    cdef public object registry
    cdef readonly StatementCache statements
    cdef public object hook
    cdef public object memory
    cdef public bint writing
    cdef public bytes begin

    cpdef object get_buffer(self, Py_ssize_t sizehint=*)
    @cython.locals(inbuf=InBuf, before=Py_ssize_t, hold=bytearray, base="const unsigned char *", pos=Py_ssize_t,
                   end=Py_ssize_t, size=Py_ssize_t, after=Py_ssize_t, head=Operation, first=Operation)
    cpdef Py_ssize_t received(self, Py_ssize_t count) except -1
    cpdef object receive_eof(self)
    cpdef bytes data_to_send(self)
    @cython.locals(operation=Operation)
    cpdef object fail(self, object exc)
    cpdef object submit(self, Operation operation)
    cpdef object check_usable(self)
    @cython.locals(operation=Operation)
    cpdef object withdraw_unsent(self)
    cpdef object check_not_inside(self)
    cpdef list take_finished(self)
    cpdef object terminate(self)
    @cython.locals(head=Operation, action=int)
    cdef object on_message(self, unsigned char kind, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object advance(self, Operation head)
    @cython.locals(status=int)
    cdef object on_ready(self, Operation head, const unsigned char *data, Py_ssize_t pos, Py_ssize_t size)
    cdef object on_complete(self, Operation head, str tag)
    cdef object on_parsed(self, Operation head)
    cdef object on_row_description(self, Operation head, bytes body)
    cdef object refuse_formats(self, Operation head)
    cdef object forget_statement(self, Statement statement)
    cdef object check_empty(self, int kind, Py_ssize_t size)
    cdef object on_rare(self, Operation head, int action, int kind, bytes body)
    cdef object on_unowned(self, Operation head, int kind, bytes body)
    cdef object on_error(self, Operation head, dict fields)
    cdef object on_parameter(self, str name, str value)
