# cython: language_level=3
"""What other compiled modules call of tls.pyx. A stream is of any class but `socket.socket`."""


cdef object decrypt(object stream, object size)


cdef Py_ssize_t encrypt(object stream, bytes data) except -1
