# cython: language_level=3
"""What other compiled modules call of asgi_scope.pyx."""


cdef int load() except -1


cdef dict scope_of(object exchange, object head, object connection, dict state)
