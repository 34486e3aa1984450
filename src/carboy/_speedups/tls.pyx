# cython: language_level=3, binding=False
"""Reading and writing of TLS connections, as TlsStream.recv and TlsStream.send (net/tls.py).

After the handshake, OpenSSL's object is called at once. All else, and every error, is left to the
methods of the stream. Other streams get calls of their own methods.
"""

from cpython.bytes cimport PyBytes_GET_SIZE

from carboy._speedups.slots cimport get, has, slot_offset

from carboy.net.tls_state import PIECE, Phase, TlsState

cdef Py_ssize_t PHASE = slot_offset(TlsState.__dict__["_phase"])
cdef Py_ssize_t READ = slot_offset(TlsState.__dict__["_read"])
cdef Py_ssize_t PENDING = slot_offset(TlsState.__dict__["_pending"])
cdef Py_ssize_t WRITE = slot_offset(TlsState.__dict__["_write"])
cdef object OPEN = Phase.OPEN
cdef Py_ssize_t piece = PIECE
cdef object known = None  # a class with the methods of TlsStream
cdef object unknown = None  # a class without


cdef bint is_open(object stream) except -1:
    """Whether the methods of the stream are those of TlsStream, and its handshake is done."""
    global known, unknown
    cls = type(stream)
    if cls is unknown:
        return False
    if cls is not known:
        if not issubclass(cls, TlsState) or not has_methods_of_tls(cls):
            unknown = cls
            return False
        known = cls
    return has(stream, PHASE, OPEN)


cdef bint has_methods_of_tls(object cls) except -1:
    from carboy.net.tls import TlsStream

    return cls.recv is TlsStream.recv and cls.send is TlsStream.send


cdef object decrypt(object stream, object size):
    """As stream.recv(size). Raises OSError."""
    if not is_open(stream):
        return stream.recv(size)
    try:
        data = get(stream, READ)(size)
        while left := get(stream, PENDING)():
            data += get(stream, READ)(left)
        return data
    except OSError as error:
        return stream.not_read(error)


cdef Py_ssize_t encrypt(object stream, bytes data) except -1:
    """As stream.send(data), but 0 when the socket is full. Raises OSError."""
    try:
        if not 0 < PyBytes_GET_SIZE(data) <= piece or not is_open(stream):
            return stream.send(data)
        try:
            return get(stream, WRITE)(data)
        except OSError as error:
            stream.not_written(error)
    except BlockingIOError:
        pass
    return 0
