# cython: language_level=3
"""What other compiled modules call of machine.pyx. Each machine is of just the class Machine."""

cdef enum:
    NONE = 0  # where the body is, if there is none


cdef bytes whole_response(object machine, object status, object headers, bytes body, bytes extra)


cdef void accept(object machine, object head) noexcept


cdef object head_in(object machine, bytes data, Py_ssize_t* body)
