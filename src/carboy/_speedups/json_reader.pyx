# cython: language_level=3, freethreading_compatible=True, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Reads JSON text in UTF-8: the twin of `_decode` (app/json/provider.py), the decoder of `json`.

The ordinary case is an object or an array. Everything else, such as text that is not JSON, is for the
twin, which says what is wrong. Nothing is remembered between two calls, so threads may share this.
The loops stop at `data[len(data)]`, which CPython keeps 0: no byte that a loop skips is 0.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.string cimport memcmp, memcpy, memset

ctypedef unsigned char byte

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, unsigned int maxchar)
    object PyUnicode_DecodeUTF8(const char* text, Py_ssize_t size, const char* errors)
    unsigned char* PyUnicode_1BYTE_DATA(object text)

cdef extern from *:
    """
    #include <float.h>
    /* Whether a double has no more digits while one calculates with it (not so on the x87). */
    #if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
    #define CARBOY_PLAIN_DOUBLES 1
    #else
    #define CARBOY_PLAIN_DOUBLES 0
    #endif
    """
    bint CARBOY_PLAIN_DOUBLES

cdef enum:
    DEEPEST = 100  # containers in one another
    KNOWN = 32  # keys of one text that are remembered, because objects in a list have the same
    LONG_KEY = 40  # bytes; longer keys are not remembered
    MOST_DIGITS = 18  # of a number that is read here
    EXACT_POWER = 22  # a double holds 10 to this power exactly

cdef byte[256] plain  # 1: a character of ASCII that is not escaped in a string
cdef byte[256] blank
cdef signed char[256] digits  # hexadecimal
cdef byte[256] unescaped  # the character of each letter after a backslash
cdef double[EXACT_POWER + 1] powers
cdef long long exact_numbers = 10 ** 15  # a double holds each whole number below exactly


cdef void fill_tables() noexcept:
    cdef int i
    for i in range(256):
        plain[i] = 32 <= i < 128 and i != 34 and i != 92
        blank[i] = i == 32 or i == 9 or i == 10 or i == 13
        digits[i] = -1
        unescaped[i] = 0
    for i in range(10):
        digits[48 + i] = i
    for i in range(6):
        digits[65 + i] = digits[97 + i] = 10 + i
    unescaped[34] = 34
    unescaped[92] = 92
    unescaped[47] = 47
    unescaped[98] = 8
    unescaped[102] = 12
    unescaped[110] = 10
    unescaped[114] = 13
    unescaped[116] = 9
    powers[0] = 1.0
    for i in range(EXACT_POWER):
        powers[i + 1] = powers[i] * 10.0


fill_tables()


class Unusual(ValueError):
    """The twin has to look at the text."""


cdef struct Key:
    const byte* start
    Py_ssize_t size
    PyObject* text


cdef struct Reader:
    const byte* at
    Key[KNOWN] keys


# --- strings

cdef object string(Reader* reader):
    """The string whose first byte after the quote is `at`."""
    cdef const byte* start = reader.at
    cdef const byte* p = start
    while plain[p[0]]:
        p += 1
    if p[0] == 34:
        reader.at = p + 1
        return ascii_text(start, p - start)
    while plain[p[0]] or p[0] >= 128:
        p += 1
    if p[0] == 34:
        reader.at = p + 1
        return PyUnicode_DecodeUTF8(<const char*>start, p - start, NULL)
    return string_with_escapes(reader)


cdef inline object ascii_text(const byte* start, Py_ssize_t size):
    if not size:
        return ""
    text = PyUnicode_New(size, 127)
    memcpy(PyUnicode_1BYTE_DATA(text), start, size)
    return text


cdef object string_with_escapes(Reader* reader):
    cdef const byte* end = reader.at
    cdef char* buffer
    cdef Py_ssize_t size
    while plain[end[0]] or end[0] >= 128 or (end[0] == 92 and end[1]):
        end += 2 if end[0] == 92 else 1
    if end[0] != 34:
        raise Unusual
    # An escape is longer than its character.
    buffer = <char*>PyMem_Malloc(end - reader.at)
    if buffer == NULL:
        raise MemoryError
    try:
        size = unescape(reader.at, end, <byte*>buffer)
        if size < 0:
            raise Unusual
        reader.at = end + 1
        return PyUnicode_DecodeUTF8(buffer, size, NULL)
    finally:
        PyMem_Free(buffer)


cdef Py_ssize_t unescape(const byte* p, const byte* end, byte* out) noexcept nogil:
    """Write the string as UTF-8; returns its size, -1 for an escape that is for the twin."""
    cdef byte* start = out
    cdef int c, other
    while p < end:
        if p[0] != 92:
            out[0] = p[0]
            out += 1
            p += 1
        elif unescaped[p[1]]:
            out[0] = unescaped[p[1]]
            out += 1
            p += 2
        else:
            c = code(p, end)
            if c < 0:
                return -1
            p += 6
            if 0xD800 <= c < 0xE000:
                other = code(p, end) if c < 0xDC00 else -1
                if not 0xDC00 <= other < 0xE000:
                    return -1  # half of a pair
                c = 0x10000 + ((c & 0x3FF) << 10) + (other & 0x3FF)
                p += 6
            out += write_utf8(out, c)
    return out - start


cdef int code(const byte* p, const byte* end) noexcept nogil:
    """The number of an escape with four hexadecimal digits; -1 if it is none."""
    cdef int i, value = 0
    if end - p < 6 or p[0] != 92 or p[1] != 117:
        return -1
    for i in range(2, 6):
        if digits[p[i]] < 0:
            return -1
        value = value * 16 + digits[p[i]]
    return value


cdef int write_utf8(byte* out, int c) noexcept nogil:
    if c < 0x80:
        out[0] = c
        return 1
    if c < 0x800:
        out[0] = 0xC0 | (c >> 6)
        out[1] = 0x80 | (c & 0x3F)
        return 2
    if c < 0x10000:
        out[0] = 0xE0 | (c >> 12)
        out[1] = 0x80 | ((c >> 6) & 0x3F)
        out[2] = 0x80 | (c & 0x3F)
        return 3
    out[0] = 0xF0 | (c >> 18)
    out[1] = 0x80 | ((c >> 12) & 0x3F)
    out[2] = 0x80 | ((c >> 6) & 0x3F)
    out[3] = 0x80 | (c & 0x3F)
    return 4


cdef object key(Reader* reader):
    """A string that is a key: the same object again, if it was a key in this text before."""
    cdef const byte* start = reader.at
    cdef const byte* p = start
    cdef Py_ssize_t size
    cdef Key* known
    while plain[p[0]]:
        p += 1
    size = p - start
    if p[0] != 34 or not 0 < size < LONG_KEY:
        return string(reader)
    reader.at = p + 1
    known = &reader.keys[(start[0] + 7 * (p - 1)[0] + 3 * size) % KNOWN]
    if known.size == size and memcmp(known.start, start, size) == 0:
        return <object>known.text
    text = ascii_text(start, size)
    known.start = start
    known.size = size
    Py_XDECREF(known.text)
    Py_INCREF(text)
    known.text = <PyObject*>text
    return text


# --- numbers

cdef object number(Reader* reader):
    cdef const byte* start = reader.at
    cdef const byte* p = start
    cdef bint negative = p[0] == 45
    cdef long long value = 0
    cdef int count, power = 0, exponent = 0, sign = 1
    cdef bint whole = True
    p += negative
    start = p
    while 48 <= p[0] <= 57 and p - start < MOST_DIGITS:
        value = 10 * value + (p[0] - 48)
        p += 1
    count = p - start
    if not count or (start[0] == 48 and count > 1):
        raise Unusual
    if p[0] == 46:
        whole = False
        p += 1
        start = p
        while 48 <= p[0] <= 57 and count + (p - start) < MOST_DIGITS:
            value = 10 * value + (p[0] - 48)
            p += 1
        power = start - p
        if not (power or 48 <= p[0] <= 57):
            raise Unusual
    if p[0] == 101 or p[0] == 69:
        whole = False
        p += 1
        if p[0] == 43 or p[0] == 45:
            sign = 44 - p[0]
            p += 1
        start = p
        while 48 <= p[0] <= 57 and p - start < 4:
            exponent = 10 * exponent + (p[0] - 48)
            p += 1
        if p == start:
            raise Unusual
        power += sign * exponent
    if 48 <= p[0] <= 57:
        return long_number(reader)
    if whole:
        reader.at = p
        return -value if negative else value
    # Both are doubles without rounding, so that their product or quotient is rounded correctly.
    if not CARBOY_PLAIN_DOUBLES or value >= exact_numbers or not (
        -EXACT_POWER <= power <= EXACT_POWER
    ):
        return long_number(reader)
    reader.at = p
    return exact(value, power, negative)


cdef inline object exact(long long value, int power, bint negative):
    cdef double found = <double>value
    found = found / powers[-power] if power < 0 else found * powers[power]
    return -found if negative else found


cdef object long_number(Reader* reader):
    """A number that is one already, as far as `number` has looked, or needs more than a double."""
    cdef const byte* start = reader.at
    cdef const byte* p = start + (start[0] == 45)
    cdef bint whole = True
    while 48 <= p[0] <= 57:
        p += 1
    if p[0] == 46:
        whole = False
        p += 1
        while 48 <= p[0] <= 57:
            p += 1
        if (p - 1)[0] == 46:
            raise Unusual
    if p[0] == 101 or p[0] == 69:
        whole = False
        p += 2 if p[1] == 43 or p[1] == 45 else 1
        while 48 <= p[0] <= 57:
            p += 1
        if not 48 <= (p - 1)[0] <= 57:
            raise Unusual
    reader.at = p
    text = <bytes>(<const char*>start)[: p - start]
    return int(text) if whole else float(text)


# --- values

cdef inline void skip(Reader* reader) noexcept nogil:
    while blank[reader.at[0]]:
        reader.at += 1


cdef object value(Reader* reader, int depth):
    cdef byte first = reader.at[0]
    if first == 34:
        reader.at += 1
        return string(reader)
    if first == 45 or 48 <= first <= 57:
        return number(reader)
    if first == 123 or first == 91:
        if depth == DEEPEST:
            raise Unusual
        reader.at += 1
        return members(reader, depth + 1) if first == 123 else items(reader, depth + 1)
    # What is compared ends at the first byte that differs, so nothing beyond the end is read.
    if first == 116 and reader.at[1] == 114 and reader.at[2] == 117 and reader.at[3] == 101:
        reader.at += 4
        return True
    if first == 110 and reader.at[1] == 117 and reader.at[2] == 108 and reader.at[3] == 108:
        reader.at += 4
        return None
    if (
        first == 102 and reader.at[1] == 97 and reader.at[2] == 108 and reader.at[3] == 115
        and reader.at[4] == 101
    ):
        reader.at += 5
        return False
    raise Unusual


cdef dict members(Reader* reader, int depth):
    """An object, after its brace."""
    cdef dict found = {}
    skip(reader)
    if reader.at[0] == 125:
        reader.at += 1
        return found
    while True:
        if reader.at[0] != 34:
            raise Unusual
        reader.at += 1
        name = key(reader)
        skip(reader)
        if reader.at[0] != 58:
            raise Unusual
        reader.at += 1
        skip(reader)
        found[name] = value(reader, depth)
        skip(reader)
        reader.at += 1
        if (reader.at - 1)[0] == 125:
            return found
        if (reader.at - 1)[0] != 44:
            raise Unusual
        skip(reader)


cdef list items(Reader* reader, int depth):
    """An array, after its bracket."""
    cdef list found = []
    skip(reader)
    if reader.at[0] == 93:
        reader.at += 1
        return found
    while True:
        found.append(value(reader, depth))
        skip(reader)
        reader.at += 1
        if (reader.at - 1)[0] == 93:
            return found
        if (reader.at - 1)[0] != 44:
            raise Unusual
        skip(reader)


def container(data):
    """The object or array that the bytes are; None if they are anything else."""
    cdef Reader reader
    cdef int i
    if type(data) is not bytes:
        return None
    reader.at = <const byte*>PyBytes_AS_STRING(data)
    memset(reader.keys, 0, sizeof(reader.keys))
    skip(&reader)
    if reader.at[0] != 123 and reader.at[0] != 91:
        return None
    try:
        found = value(&reader, 0)
        skip(&reader)
        if reader.at - <const byte*>PyBytes_AS_STRING(data) != PyBytes_GET_SIZE(data):
            return None
        return found
    except ValueError:  # or of UTF-8, or of a number with too many digits
        return None
    finally:
        for i in range(KNOWN):
            Py_XDECREF(reader.keys[i].text)
