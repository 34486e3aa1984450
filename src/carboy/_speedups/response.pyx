# cython: language_level=3, freethreading_compatible=True, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The whole response to an ordinary request: the twin of `ordinary_response` (protocol/response.py).

Ordinary are valid fields of which none decides about the connection. Everything else is for the
twin, which says what is wrong. Nothing is changed here after the import, so threads may share this.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memcpy

from carboy._speedups.names cimport byte, is_name

from carboy.protocol import response

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    unsigned char* PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef dict statuses = response._ordinary

cdef enum:
    TOKEN = 1  # RFC 9110, section 5.6.2
    VALUE = 2  # no control character but HTAB (RFC 9110, section 5.5)

cdef byte[256] classes


cdef int fill_classes() except -1:
    cdef int i
    for i in range(256):
        classes[i] = (TOKEN if 0 < i < 128 and response.is_token(chr(i)) else 0) | (
            0 if response.has_control(chr(i)) else VALUE
        )
    return 0


fill_classes()


cdef int trait(const byte* p, Py_ssize_t size) noexcept nogil:
    """1 for Content-Length, 2 for another name that means something for the connection, else 0."""
    if size == 14:
        return is_name(p, b"content-length", 14)
    if (
        (size == 4 and is_name(p, b"date", 4))
        or (size == 6 and is_name(p, b"server", 6))
        or (size == 10 and (is_name(p, b"connection", 10) or is_name(p, b"keep-alive", 10)))
        or (size == 16 and is_name(p, b"proxy-connection", 16))
        or (size == 17 and is_name(p, b"transfer-encoding", 17))
        or (size == 25 and is_name(p, b"strict-transport-security", 25))
    ):
        return 2
    return 0


cdef Py_ssize_t number(const byte* p, Py_ssize_t size) noexcept nogil:
    """The number, if it is written as str() writes it; else -1."""
    cdef Py_ssize_t i, value = 0
    if size < 1 or size > 18 or (p[0] == 48 and size > 1):
        return -1
    for i in range(size):
        if not 48 <= p[i] <= 57:
            return -1
        value = value * 10 + (p[i] - 48)
    return value


cdef struct Text:
    byte* start
    Py_ssize_t size


cdef inline bint read_text(PyObject* text, int kind, Text* found) noexcept:
    """Whether this is a str of latin-1 characters that all are of this kind."""
    cdef Py_ssize_t i
    if type(<object>text) is not str or PyUnicode_KIND(<object>text) != 1:
        return False
    found.start = PyUnicode_1BYTE_DATA(<object>text)
    found.size = PyUnicode_GET_LENGTH(<object>text)
    for i in range(found.size):
        if not classes[found.start[i]] & kind:
            return False
    return True


cdef enum:
    MOST = 64  # fields; a response with more is left to the twin


def ordinary_response(status, headers, body, extra, size):
    """The twin of protocol/response.py: the whole response, or None if a decision is needed."""
    if type(headers) is not list or type(body) is not bytes or type(extra) is not bytes:
        return None
    return ordinary(status, <list>headers, <bytes>body, <bytes>extra, size)


cdef bytes ordinary(object status, list headers, bytes body, bytes extra, Py_ssize_t size):
    cdef Text[2 * MOST] texts
    cdef Py_ssize_t i, count = PyList_GET_SIZE(headers), total
    cdef PyObject* pair
    cdef PyObject* known
    cdef int special
    cdef bint sized = False
    cdef byte[24] digits
    cdef Py_ssize_t first = 24, left
    cdef char* out
    cdef Text* text
    if type(status) is not str or count > MOST:
        return None
    known = PyDict_GetItemWithError(statuses, status)
    if known == NULL:
        return None
    line = <object>known
    total = PyBytes_GET_SIZE(line) + PyBytes_GET_SIZE(extra) + PyBytes_GET_SIZE(body) + 2
    for i in range(count):
        pair = PyList_GET_ITEM(headers, i)
        text = &texts[2 * i]
        if (
            type(<object>pair) is not tuple
            or PyTuple_GET_SIZE(<object>pair) != 2
            or not read_text(PyTuple_GET_ITEM(<object>pair, 0), TOKEN, text)
            or not text.size
            or not read_text(PyTuple_GET_ITEM(<object>pair, 1), VALUE, text + 1)
        ):
            return None
        special = trait(text.start, text.size)
        if special:
            # One correct Content-Length is the only field that needs no decision.
            if special != 1 or sized or number(text[1].start, text[1].size) != size:
                return None
            sized = True
        total += text.size + text[1].size + 4
    if not sized:
        left = size
        while True:
            first -= 1
            digits[first] = 48 + left % 10
            left //= 10
            if not left:
                break
        total += 16 + (24 - first) + 2
    result = PyBytes_FromStringAndSize(NULL, total)
    out = PyBytes_AS_STRING(result)
    out = copied(out, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
    for i in range(count):
        text = &texts[2 * i]
        out = copied(out, text.start, text.size)
        out[0] = 58
        out[1] = 32
        out = copied(out + 2, text[1].start, text[1].size)
        out[0] = 13
        out[1] = 10
        out += 2
    out = copied(out, PyBytes_AS_STRING(extra), PyBytes_GET_SIZE(extra))
    if not sized:
        out = copied(out, b"Content-Length: ", 16)
        out = copied(out, &digits[first], 24 - first)
        out = copied(out, b"\r\n", 2)
    out = copied(out, b"\r\n", 2)
    copied(out, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
    return result


cdef inline char* copied(char* out, const void* start, Py_ssize_t size) noexcept:
    memcpy(out, start, size)
    return out + size
