# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""System calls on sockets that do not give the interpreter lock up, which takes longer than they do.

    They cannot wait         MSG_DONTWAIT, whatever mode the descriptor is in.
    The descriptor is right  The socket says which descriptor it has (-1 once it is closed or
                             detached) immediately before the call. To close it, a thread needs
                             the interpreter lock, and the socket forgets the descriptor before it
                             gives the lock up. Interpreters without the lock use the twins.
    No signal is sent        MSG_NOSIGNAL. A peer that has gone is an error as in Python.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno

import socket as sockets

cdef extern from *:
    """
    /* The first member of the object of a socket (Modules/socketmodule.h). */
    typedef struct { PyObject_HEAD int fd; } CarboySocket;
    """
    ctypedef struct CarboySocket:
        int fd

cdef extern from "sys/socket.h":
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
    ssize_t c_recv "recv" (int fd, void* buffer, size_t size, int flags)
    ssize_t c_send "send" (int fd, const void* buffer, size_t size, int flags)

cdef object plain_socket = sockets.socket  # the class whose objects may be given


cdef inline int descriptor_in_place(object sock) noexcept:
    return (<CarboySocket*><PyObject*>sock).fd


cdef bint is_in_place() except -1:
    """Whether sockets have their descriptor where CarboySocket says so, open and closed."""
    one, other = sockets.socketpair()
    with one, other:
        for sock in (one, other):
            if type(sock) is not plain_socket or descriptor_in_place(sock) != sock.fileno():
                return False
    return descriptor_in_place(one) == -1 and descriptor_in_place(other) == -1


cdef bint in_place = is_in_place()


cdef inline int descriptor(object sock) except? -1:
    """The descriptor that the socket has now; -1 if it has none any more."""
    return descriptor_in_place(sock) if in_place else sock.fileno()


cdef bytes receive(object sock, char* buffer, Py_ssize_t size):
    """As sock.recv(size). Raises OSError."""
    cdef Py_ssize_t count
    cdef int fd = descriptor(sock)
    while True:
        count = c_recv(fd, buffer, size, MSG_DONTWAIT)
        if count >= 0:
            return PyBytes_FromStringAndSize(buffer, count)
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()
        fd = descriptor(sock)  # a signal handler may have closed it


cdef Py_ssize_t send(object sock, bytes data) except -1:
    """As sock.send(data), but 0 when the socket is full. Raises OSError."""
    cdef Py_ssize_t count
    cdef int fd = descriptor(sock)
    while True:
        count = c_send(
            fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), MSG_DONTWAIT | MSG_NOSIGNAL
        )
        if count >= 0:
            return count
        if errno == EAGAIN:
            return 0
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()
        fd = descriptor(sock)
