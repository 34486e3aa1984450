# cython: language_level=3
"""What other compiled modules call of wsgi.pyx."""


cdef class Repeated:
    cdef object head, key, template
    cdef dict environ


cdef class Call:
    cdef public object exchange, status, headers, writer, environ
    cdef public bint answering

    cdef object run(
        self, object app, object exchange, object head, object connection, bint underscores
    )
    cdef bytes whole(self, object result)


cdef object environ_of(object exchange, object head, object connection, bint underscores)
