# cython: language_level=3, freethreading_compatible=True, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Puts the header fields of a request into an environ: the twin of add_fields (gateway/wsgi.py).

The tables are filled when the module loads and never change, so threads may share them.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Size
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memchr

from carboy._speedups.names cimport byte, is_name

cdef extern from "Python.h":
    PyObject* PyDict_SetDefault(object, object, object) except NULL

cdef tuple PROTOCOLS = ("HTTP/1.0", "HTTP/1.1", "HTTP/2")
# Names of header fields that clients send often, and their variables.
cdef tuple NAMES = (
    b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"authorization",
    b"cache-control", b"connection", b"content-encoding", b"content-length", b"content-type",
    b"cookie", b"date", b"dnt", b"expect", b"forwarded", b"from", b"host", b"if-match",
    b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since", b"keep-alive",
    b"max-forwards", b"origin", b"pragma", b"priority", b"proxy-authorization", b"range",
    b"referer", b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"sec-fetch-dest",
    b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user", b"sec-gpc", b"te", b"traceparent",
    b"tracestate", b"trailer", b"transfer-encoding", b"upgrade", b"upgrade-insecure-requests",
    b"user-agent", b"via", b"x-csrf-token", b"x-csrftoken", b"x-forwarded-for",
    b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-proto",
    b"x-real-ip", b"x-request-id", b"x-request-start", b"x-requested-with",
)

cdef enum:
    SLOTS = 256  # of a table with open addressing, most of which are empty
    LONGEST = 64

cdef const char* known_names[SLOTS]
cdef Py_ssize_t known_sizes[SLOTS]
cdef PyObject* known_keys[SLOTS]
cdef list alive = []  # owns what these point to


cdef unsigned int slot_of(const byte* name, Py_ssize_t size) noexcept nogil:
    return <unsigned int>(size * 61 + (name[0] | 32) * 7 + (name[size - 1] | 32) * 31
                          + (name[size >> 1] | 32) * 3) & (SLOTS - 1)


cdef str variable_of(bytes name):
    upper = name.decode("latin-1").upper()
    if upper == "CONTENT-TYPE" or upper == "CONTENT-LENGTH":
        return upper.replace("-", "_")
    return "HTTP_" + upper.replace("-", "_")


cdef int _fill() except -1:
    import sys

    cdef bytes name
    cdef unsigned int slot
    for name in NAMES:
        slot = slot_of(<const byte*>PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
        while known_sizes[slot]:
            slot = (slot + 1) & (SLOTS - 1)
        key = sys.intern(variable_of(name))
        alive.append((name, key))
        known_names[slot] = PyBytes_AS_STRING(name)
        known_sizes[slot] = PyBytes_GET_SIZE(name)
        known_keys[slot] = <PyObject*>key
    return 0


_fill()


cdef object key_of(const byte* name, Py_ssize_t size):
    """The variable for a name, which is a token."""
    cdef unsigned int slot
    if 0 < size <= LONGEST:
        slot = slot_of(name, size)
        while known_sizes[slot]:
            if known_sizes[slot] == size and is_name(name, known_names[slot], size):
                return <object>known_keys[slot]
            slot = (slot + 1) & (SLOTS - 1)
    return variable_of(name[:size])


cdef int add(dict environ, object key, object value) except -1:
    cdef Py_ssize_t count = PyDict_Size(environ)
    cdef PyObject* before = PyDict_SetDefault(environ, key, value)
    if PyDict_Size(environ) == count:
        joint = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = <object>before + joint + value
    return 0


def add_fields(dict environ not None, head, bint underscores):
    """Put the version and the header fields into `environ`, which has no such variables yet.

    None, and no change, for a head whose fields are not in its bytes only.
    """
    return put_fields(environ, head, underscores)


cdef object put_fields(dict environ, object head, bint underscores):
    cdef bytes block = head._block
    cdef const byte* p
    cdef const byte* end
    cdef const byte* at
    cdef const byte* colon
    cdef const byte* last
    if head._fields is not None:
        return None
    if block is None:
        block = head.tail
        p = <const byte*>PyBytes_AS_STRING(block)
        end = p + PyBytes_GET_SIZE(block)
        at = <const byte*>memchr(p, 10, end - p)  # the end of the request line
        p = end if at == NULL else at + 1
    else:
        p = <const byte*>PyBytes_AS_STRING(block)
        end = p + PyBytes_GET_SIZE(block)
    environ["SERVER_PROTOCOL"] = PROTOCOLS[head.minor]
    while p < end:
        colon = <const byte*>memchr(p, 58, end - p)
        if colon == NULL:
            break
        at = colon + 1
        last = <const byte*>memchr(at, 13, end - at)
        if last == NULL:
            break
        if underscores or memchr(p, 95, colon - p) == NULL:
            key = key_of(p, colon - p)
            p = last + 2
            while at < last and (at[0] == 32 or at[0] == 9):
                at += 1
            while last > at and ((last - 1)[0] == 32 or (last - 1)[0] == 9):
                last -= 1
            add(environ, key, PyUnicode_DecodeLatin1(<const char*>at, last - at, NULL))
        else:
            p = last + 2
    return True
