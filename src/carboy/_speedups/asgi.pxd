# cython: language_level=3
"""What other compiled modules call of asgi.pyx."""

from carboy._speedups.asgi_call cimport Output


cdef class Steps:
    cdef readonly object gateway
    cdef object app, loop, name
    cdef dict state
    cdef unsigned long thread
    cdef Output output
    cdef object idle, task  # a Step, and its task, which waits for a request
    cdef object call  # the Call that makes its first step

    cdef object context_for(self, object exchange, object head)
    cdef object run(self, object exchange)
    cdef object new_step(self)
    cdef object scope(self, object exchange)
    cdef int let_go(self) except -1
