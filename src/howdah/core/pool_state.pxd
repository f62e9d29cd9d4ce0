# What is compiled of pool_state.py.

cdef class Slot:
    cdef public object connection, holder, pending, settings, state
    cdef public Py_ssize_t generation, uses
    cdef public double expires_at, idle_since, opened_at, taken_at


cdef class Ticket:
    cdef public object error, slot, wake
    cdef public double queued_at


cdef class PoolState:
    cdef public bint closed, keeps_idle, lifo
    cdef public Py_ssize_t failures, generation, max_size, max_waiting, min_size, opening
    cdef public double failing_since, max_idle_s, max_lifetime_s, retry_at
    cdef public object chance, failure, idle, max_uses, to_open, waiting
    cdef public set slots
    cdef public list fullness, to_close
    cdef public dict counts

    cpdef Slot take(self, double now)
    cpdef give_back(self, Slot slot, double now, bint usable)
    cdef _keep(self, Slot slot, double now)
    cdef _remove(self, Slot slot)
    cpdef plan(self, double now)
    cdef _tell_fullness(self)
