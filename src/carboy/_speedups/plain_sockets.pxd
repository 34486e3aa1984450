# cython: language_level=3
"""What other compiled modules call of plain_sockets.pyx. Each socket is of just `socket.socket`."""


cdef bytes receive(object sock, char* buffer, Py_ssize_t size)


cdef Py_ssize_t send(object sock, bytes data) except -1
