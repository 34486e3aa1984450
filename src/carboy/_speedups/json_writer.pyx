# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Writes JSON text without spaces: the twin of `DefaultJSONProvider._compact` (app/json/provider.py).

The ordinary case is a tree of dicts with keys of text, lists, tuples, text, numbers, booleans and
None, each of just that class. So no code of the application runs meanwhile, and no object is made
but the result: what is read here cannot change or go away. That relies on the interpreter lock.
"""

from cpython.dict cimport PyDict_Next
from cpython.exc cimport PyErr_Clear
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport fabs, isfinite, isnan, signbit
from libc.string cimport memcmp, memcpy, strlen

ctypedef unsigned char byte

cdef extern from "Python.h":
    enum:
        Py_DTSF_ADD_DOT_0
    object PyUnicode_New(Py_ssize_t size, unsigned int maxchar)
    object PyUnicode_DecodeUTF8(const char* text, Py_ssize_t size, const char* errors)
    unsigned char* PyUnicode_1BYTE_DATA(object text)
    void* PyUnicode_DATA(object text)
    unsigned int PyUnicode_READ(int kind, void* data, Py_ssize_t index)
    int PyUnicode_KIND(object text)
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_Compare(object one, object other)
    char* PyOS_double_to_string(double number, char code, int precision, int flags, int* kind)

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
    DEEPEST = 100  # containers in one another; a value that contains itself is deeper
    MOST_KEYS = 1024  # of an object, which are sorted here
    FEW_KEYS = 16  # these are sorted on the stack
    LONGEST = 12  # bytes that are written for one character

cdef byte[128] plain  # 1: a character of ASCII that is written as it is
cdef byte[128] short_escapes  # the letter after the backslash
cdef const char* HEXADECIMAL = b"0123456789abcdef"
cdef double[7] POWERS = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6]


cdef void fill_tables() noexcept:
    cdef int i
    for i in range(128):
        plain[i] = 32 <= i < 127 and i != 34 and i != 92
        short_escapes[i] = 0
    short_escapes[34] = 34
    short_escapes[92] = 92
    short_escapes[8] = 98
    short_escapes[9] = 116
    short_escapes[10] = 110
    short_escapes[12] = 102
    short_escapes[13] = 114


fill_tables()


cdef struct Writer:
    char* text
    Py_ssize_t size, room
    bint ascii_only, sort_keys


cdef struct Entry:
    PyObject* key
    PyObject* value


cdef bint reserve(Writer* out, Py_ssize_t more) noexcept:
    """Make room for `more` bytes; False without memory."""
    cdef char* text
    cdef Py_ssize_t room
    if out.room - out.size >= more:
        return True
    room = 2 * out.room + more
    text = <char*>PyMem_Realloc(out.text, room)
    if text == NULL:
        return False
    out.text = text
    out.room = room
    return True


cdef inline bint put(Writer* out, const char* text, Py_ssize_t size) noexcept:
    if not reserve(out, size):
        return False
    memcpy(out.text + out.size, text, size)
    out.size += size
    return True


# --- text

cdef bint write_text(Writer* out, PyObject* text) noexcept:
    """A str of just that class, in quotes."""
    cdef Py_ssize_t i, size = PyUnicode_GET_LENGTH(<object>text)
    cdef int kind = PyUnicode_KIND(<object>text)
    cdef void* data = PyUnicode_DATA(<object>text)
    cdef byte* source
    cdef byte* to
    if not reserve(out, size + 2):
        return False
    out.text[out.size] = 34
    out.size += 1
    i = 0
    if PyUnicode_IS_ASCII(<object>text):
        source = <byte*>data
        to = <byte*>out.text + out.size
        while i < size and plain[source[i]]:
            to[i] = source[i]
            i += 1
        out.size += i
    elif kind == 0:
        return False
    while i < size:
        if not reserve(out, LONGEST + 1) or not write_character(out, PyUnicode_READ(kind, data, i)):
            return False
        i += 1
    return put(out, b'"', 1)


cdef bint write_character(Writer* out, unsigned int c) noexcept:
    """There is room for it. False for a surrogate that cannot be written."""
    cdef char* to = out.text + out.size
    if c < 128 and (plain[c] or c == 127 and not out.ascii_only):
        to[0] = c
        out.size += 1
    elif c < 128 and short_escapes[c]:
        to[0] = 92
        to[1] = short_escapes[c]
        out.size += 2
    elif c < 128 or out.ascii_only:
        if c >= 0x10000:
            c -= 0x10000
            escape(out, 0xD800 | (c >> 10))
            c = 0xDC00 | (c & 0x3FF)
        escape(out, c)
    elif c < 0x800:
        to[0] = 0xC0 | (c >> 6)
        to[1] = 0x80 | (c & 0x3F)
        out.size += 2
    elif c < 0x10000:
        if 0xD800 <= c < 0xE000:
            return False
        to[0] = 0xE0 | (c >> 12)
        to[1] = 0x80 | ((c >> 6) & 0x3F)
        to[2] = 0x80 | (c & 0x3F)
        out.size += 3
    else:
        to[0] = 0xF0 | (c >> 18)
        to[1] = 0x80 | ((c >> 12) & 0x3F)
        to[2] = 0x80 | ((c >> 6) & 0x3F)
        to[3] = 0x80 | (c & 0x3F)
        out.size += 4
    return True


cdef void escape(Writer* out, unsigned int c) noexcept:
    cdef char* to = out.text + out.size
    to[0] = 92
    to[1] = 117
    to[2] = HEXADECIMAL[c >> 12]
    to[3] = HEXADECIMAL[(c >> 8) & 15]
    to[4] = HEXADECIMAL[(c >> 4) & 15]
    to[5] = HEXADECIMAL[c & 15]
    out.size += 6


# --- numbers

cdef bint write_digits(Writer* out, unsigned long long number, int decimals) noexcept:
    """The number with a point before its last `decimals` digits, and at least one digit before."""
    cdef char[32] digits
    cdef int first = 32
    while number or decimals >= 0:
        first -= 1
        digits[first] = 48 + number % 10
        number //= 10
        decimals -= 1
        if decimals == 0:
            first -= 1
            digits[first] = 46
    return put(out, &digits[first], 32 - first)


cdef bint write_integer(Writer* out, PyObject* value) noexcept:
    cdef int overflow = 0
    cdef long long number = PyLong_AsLongLongAndOverflow(<object>value, &overflow)
    cdef unsigned long long size = <unsigned long long>number
    if overflow:
        return False
    if number < 0:
        size = 0 - size
        if not put(out, b"-", 1):
            return False
    return write_digits(out, size, 0)


cdef bint write_float(Writer* out, double number) noexcept:
    """As float.__repr__, which Python's encoder uses."""
    cdef double size = fabs(number)
    cdef double scaled
    cdef unsigned long long digits
    cdef int decimals
    cdef char* text
    if isnan(number):
        return put(out, b"NaN", 3)
    if not isfinite(number):
        return put(out, b"-Infinity", 9) if number < 0 else put(out, b"Infinity", 8)
    # A decimal number of at most 15 digits is the only one of so few digits that becomes this
    # double, so it is the shortest. It is this one if the correctly rounded quotient is the double.
    if CARBOY_PLAIN_DOUBLES and 0.001 <= size < 1e15:
        for decimals in range(7):
            scaled = size * POWERS[decimals] + 0.5
            if scaled >= 1e15:
                break
            digits = <unsigned long long>scaled
            if <double>digits / POWERS[decimals] == size:
                if signbit(number) and not put(out, b"-", 1):
                    return False
                if decimals == 0:
                    digits *= 10
                    decimals = 1
                return write_digits(out, digits, decimals)
    text = PyOS_double_to_string(number, 114, 0, Py_DTSF_ADD_DOT_0, NULL)
    if text == NULL:
        PyErr_Clear()
        return False
    done = put(out, text, strlen(text))
    PyMem_Free(text)
    return done


# --- containers

cdef bint is_before(PyObject* one, PyObject* other) noexcept:
    """one < other, for text."""
    cdef Py_ssize_t size, other_size
    cdef byte* p
    cdef byte* q
    cdef int order
    if PyUnicode_KIND(<object>one) != 1 or PyUnicode_KIND(<object>other) != 1:
        return PyUnicode_Compare(<object>one, <object>other) < 0
    size = PyUnicode_GET_LENGTH(<object>one)
    other_size = PyUnicode_GET_LENGTH(<object>other)
    if not size or not other_size:
        return size < other_size
    p = PyUnicode_1BYTE_DATA(<object>one)
    q = PyUnicode_1BYTE_DATA(<object>other)
    if p[0] != q[0]:
        return p[0] < q[0]
    order = memcmp(p, q, min(size, other_size))
    return order < 0 or (order == 0 and size < other_size)


cdef void sort(Entry* entries, Py_ssize_t count) noexcept:
    """By Shell's method, which for a few entries is insertion."""
    cdef Py_ssize_t gap = 1, i, k
    cdef Entry entry
    while gap < count // 9:
        gap = 3 * gap + 1
    while gap:
        for i in range(gap, count):
            entry = entries[i]
            k = i
            while k >= gap and is_before(entry.key, entries[k - gap].key):
                entries[k] = entries[k - gap]
                k -= gap
            entries[k] = entry
        gap //= 3


cdef bint write_object(Writer* out, PyObject* of, int depth) noexcept:
    cdef Entry[FEW_KEYS] few
    cdef Entry* entries = few
    cdef Py_ssize_t count = len(<dict>of), i = 0, place = 0
    cdef bint done
    if count > FEW_KEYS:
        if count > MOST_KEYS:
            return False
        entries = <Entry*>PyMem_Malloc(count * sizeof(Entry))
        if entries == NULL:
            return False
    while i < count and PyDict_Next(<object>of, &place, &entries[i].key, &entries[i].value):
        if type(<object>entries[i].key) is not str:
            break
        i += 1
    done = i == count
    if done:
        if out.sort_keys:
            sort(entries, count)
        done = write_entries(out, entries, count, depth)
    if entries != few:
        PyMem_Free(entries)
    return done


cdef bint write_entries(Writer* out, Entry* entries, Py_ssize_t count, int depth) noexcept:
    cdef Py_ssize_t i
    if not put(out, b"{", 1):
        return False
    for i in range(count):
        if (
            (i and not put(out, b",", 1))
            or not write_text(out, entries[i].key)
            or not put(out, b":", 1)
            or not write(out, entries[i].value, depth)
        ):
            return False
    return put(out, b"}", 1)


cdef bint write_array(Writer* out, PyObject* of, int depth) noexcept:
    cdef bint is_list = type(<object>of) is list
    cdef Py_ssize_t i
    cdef Py_ssize_t count = (
        PyList_GET_SIZE(<object>of) if is_list else PyTuple_GET_SIZE(<object>of)
    )
    if not put(out, b"[", 1):
        return False
    for i in range(count):
        if i and not put(out, b",", 1):
            return False
        if not write(
            out, PyList_GET_ITEM(<object>of, i) if is_list else PyTuple_GET_ITEM(<object>of, i),
            depth,
        ):
            return False
    return put(out, b"]", 1)


cdef bint write(Writer* out, PyObject* value, int depth) noexcept:
    """Write a value; False if the twin has to look at it."""
    kind = type(<object>value)
    if kind is str:
        return write_text(out, value)
    if kind is int:
        return write_integer(out, value)
    if kind is float:
        return write_float(out, PyFloat_AS_DOUBLE(<object>value))
    if <object>value is None:
        return put(out, b"null", 4)
    if <object>value is True:
        return put(out, b"true", 4)
    if <object>value is False:
        return put(out, b"false", 5)
    if depth == DEEPEST:
        return False
    if kind is dict:
        return write_object(out, value, depth + 1)
    if kind is list or kind is tuple:
        return write_array(out, value, depth + 1)
    return False


def compact(value, bint ensure_ascii, bint sort_keys):
    """The JSON text of an ordinary value; None for any other."""
    cdef Writer out
    out.size = 0
    out.room = 2048
    out.ascii_only = ensure_ascii
    out.sort_keys = sort_keys
    out.text = <char*>PyMem_Malloc(out.room)
    if out.text == NULL:
        return None
    try:
        if not write(&out, <PyObject*>value, 0):
            return None
        if not ensure_ascii:
            return PyUnicode_DecodeUTF8(out.text, out.size, NULL)
        text = PyUnicode_New(out.size, 127)
        memcpy(PyUnicode_1BYTE_DATA(text), out.text, out.size)
        return text
    finally:
        PyMem_Free(out.text)
