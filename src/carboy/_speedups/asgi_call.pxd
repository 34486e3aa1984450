# cython: language_level=3
"""What other compiled modules use of asgi_call.pyx."""

from cpython.object cimport PyObject

cdef extern from "Python.h":
    # PYGEN_RETURN, PYGEN_NEXT; PYGEN_ERROR with an exception
    int PyIter_Send(object coroutine, object value, PyObject** result) except -1

cdef enum:
    WAITS = 1  # PYGEN_NEXT


cdef int load() except -1


cdef class Maker:
    cdef bytes whole(self, object machine, object status, object headers, bytes body, bytes extra)


cdef class Output:
    """Where responses go, and what has to be told about them."""

    cdef object responder
    cdef dict averages
    cdef Maker maker


cdef class Call:
    cdef Output output  # until the end of the first step
    cdef readonly object gateway, exchange
    cdef object request  # the Request that goes on with the call
    cdef object status, headers  # of the start message
    cdef bytes response  # whole, to be sent after the first step
    cdef object error  # of the application, before its response
    cdef bint body_read, answered

    cdef bint takes(self)
    cdef bint take(self, object message) except -1
    cdef bint start(self, dict message) except -1
    cdef bint body(self, dict message) except -1
