# cython: language_level=3
"""What other compiled modules call of wsgi.pyx."""


cdef class Repeated:
    cdef object head, key, template
    cdef dict environ


cdef class Identity:
    cdef object exchange, weak


cdef class Call:
    cdef public object exchange, status, headers, writer, environ
    cdef public bint answering
    cdef object start, write_method  # methods of this call
    cdef object context, variables  # of a request that this call belongs to, or of the next one
    cdef object unused  # the context of an exchange that has that one instead
    cdef Identity identity  # the value of `current` in the context

    cdef object context_for(self, object exchange)
    cdef object run(
        self, object app, object exchange, object head, object connection, bint underscores
    )
    cdef bytes whole(self, object result)
    cdef bint is_free(self, object exchange) except -1
    cdef int let_go(self, object exchange) except -1
    cdef int forget(self, object exchange) except -1


cdef object environ_of(object exchange, object head, object connection, bint underscores)
