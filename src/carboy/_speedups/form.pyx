# cython: language_level=3, freethreading_compatible=True, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Splits queries and urlencoded forms into pairs, and makes a MultiDict of pairs: the twins of
`_pairs` (http/forms/urlencoded.py) and of `immutable_of` (http/containers/multidict.py).

The ordinary case is ASCII, before and after it is decoded. Nothing here changes after the module
has loaded, so threads may share it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError, PyDict_SetItem
from cpython.list cimport PyList_Append
from cpython.object cimport PyObject
from libc.string cimport memchr

from carboy._speedups.slots cimport fresh

ctypedef unsigned char byte

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, unsigned int maxchar)
    unsigned char* PyUnicode_1BYTE_DATA(object text)

cdef enum:
    PLAIN = 0  # stays what it is
    SPACE = 1  # "+"
    ESCAPE = 2  # "%"
    OTHER = 3  # not ASCII

cdef byte[256] kinds
cdef signed char[256] digits


cdef void fill_tables() noexcept:
    cdef int i
    for i in range(256):
        kinds[i] = PLAIN if i < 128 else OTHER
        digits[i] = -1
    kinds[43] = SPACE
    kinds[37] = ESCAPE
    for i in range(10):
        digits[48 + i] = i
    for i in range(6):
        digits[65 + i] = digits[97 + i] = 10 + i


fill_tables()


cdef object decoded(const byte* p, const byte* end):
    """The text of a name or a value; None if it is not ordinary."""
    cdef Py_ssize_t size = 0
    cdef const byte* at = p
    cdef byte* out
    cdef byte kind
    while at < end:
        kind = kinds[at[0]]
        if kind == ESCAPE:
            # "%00" to "%7F": the digits are in the text, and the first one is at most 7.
            if end - at < 3 or not 0 <= digits[at[1]] < 8 or digits[at[2]] < 0:
                return None
            at += 2
        elif kind == OTHER:
            return None
        at += 1
        size += 1
    if not size:
        return ""
    text = PyUnicode_New(size, 127)
    out = PyUnicode_1BYTE_DATA(text)
    while p < end:
        if p[0] == 37:
            out[0] = digits[p[1]] * 16 + digits[p[2]]
            p += 2
        else:
            out[0] = 32 if p[0] == 43 else p[0]
        p += 1
        out += 1
    return text


def ordinary_pairs(data):
    """The pairs of a query or of the body of a form; None if the twin has to look at it."""
    if type(data) is not bytes:
        return None
    cdef const byte* p = <const byte*>PyBytes_AS_STRING(data)
    cdef const byte* end = p + PyBytes_GET_SIZE(data)
    cdef const byte* piece
    cdef const byte* equals
    cdef list pairs = []
    while p < end:
        piece = <const byte*>memchr(p, 38, end - p)
        if piece == NULL:
            piece = end
        if piece > p:
            equals = <const byte*>memchr(p, 61, piece - p)
            if equals == NULL:
                equals = piece
            name = decoded(p, equals)
            if name is None:
                return None
            value = "" if equals == piece else decoded(equals + 1, piece)
            if value is None:
                return None
            pairs.append((name, value))
        p = piece + 1
    return pairs


def grouped(list pairs not None, kind):
    """A dict of the class `kind`, a subclass of dict: for each name a list of its values."""
    cdef object found = fresh(kind)
    cdef PyObject* values
    for name, value in pairs:
        values = PyDict_GetItemWithError(found, name)
        if values == NULL:
            PyDict_SetItem(found, name, [value])
        else:
            PyList_Append(<object>values, value)
    return found
