# cython: language_level=3, freethreading_compatible=True, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Reads one request head, byte by byte: the twins of quick_head and similar_head (protocol/head.py).

Nothing is remembered between two calls, so threads share only tables that never change.
The loops stop at `data[len(data)]`, which CPython keeps 0: no class of bytes that a loop skips
contains 0.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memchr, memcmp

from carboy._speedups.names cimport byte, is_name
from carboy._speedups.slots cimport fresh, get, put, slot_offset

# Classes of bytes, one bit each.
cdef enum:
    NAME = 1  # of a field: a token without "_", which is for the line reader
    VALUE = 2  # of a field, but not CR
    PATH = 4
    QUERY = 8
    HOST = 16
    DIGIT = 32

cdef byte[256] classes


cdef int _fill() except -1:
    cdef int i
    token = b"!#$%&'*+-.^`|~0123456789"
    for i in range(256):
        kind = 0
        c = bytes((i,))
        if c in token or (c.isalpha() and i < 128):
            kind |= NAME
        if (i >= 32 or i == 9) and i != 127:
            kind |= VALUE
        if i > 32 and i != 127 and c != b"#":
            kind |= QUERY
            if c != b"?":
                kind |= PATH
        if i < 128 and (c.isalnum() or c in b".-"):
            kind |= HOST
        if i < 128 and c.isdigit():
            kind |= DIGIT
        classes[i] = kind
    return 0


_fill()

# The classes of heads, which `prepare` sets: this module imports nothing of the package, because
# the module of its twin loads it.
cdef object ordinary = None
cdef object forwarded = None
cdef object YES = True, NO = False
cdef Py_ssize_t LENGTH, FOUND, HOST_TEXT, KEEP_ALIVE, METHOD, MINOR, PATH_TEXT, QUERY_TEXT
cdef Py_ssize_t TAIL, TARGET  # slots
cdef str NOTHING = ""
cdef tuple METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


cdef struct Found:
    # Positions in the head. A value is between two of them; the second one is 0 without the field.
    Py_ssize_t path, question, space, host, host_end
    Py_ssize_t length, length_end, connection, connection_end
    int method, minor, fields, types
    bint forwarded


cdef int method_of(const byte* p, Py_ssize_t size) noexcept nogil:
    """The place of the method in METHODS, or -1."""
    if size == 3:
        if memcmp(p, b"GET", 3) == 0:
            return 0
        if memcmp(p, b"PUT", 3) == 0:
            return 3
    elif size == 4:
        if memcmp(p, b"HEAD", 4) == 0:
            return 1
        if memcmp(p, b"POST", 4) == 0:
            return 2
    elif size == 5:
        if memcmp(p, b"PATCH", 5) == 0:
            return 6
    elif size == 6:
        if memcmp(p, b"DELETE", 6) == 0:
            return 4
    elif size == 7:
        if memcmp(p, b"OPTIONS", 7) == 0:
            return 5
    return -1


cdef bint read_start(const byte* p, Py_ssize_t size, Found* found) noexcept nogil:
    """Method and target, as far as the byte after the target."""
    cdef Py_ssize_t i = 0
    while 65 <= p[i] <= 90:
        i += 1
    found.method = method_of(p, i)
    if found.method < 0 or p[i] != 32 or p[i + 1] != 47:
        return False
    i += 1
    found.path = i
    while classes[p[i]] & PATH:
        i += 1
    found.question = i
    if p[i] == 63:
        while classes[p[i]] & QUERY:
            i += 1
    found.space = i
    return i <= size


cdef bint read_name(const byte* p, Py_ssize_t name, Py_ssize_t size, Py_ssize_t value,
                    Py_ssize_t end, Found* found) noexcept nogil:
    """Note one of the fields that decide something; False if the careful reader has to look."""
    cdef Py_ssize_t start = value
    while p[start] == 32 or p[start] == 9:
        start += 1
    if size == 4:
        if is_name(p + name, b"host", 4):
            if found.host_end:
                return False
            found.host = start
            found.host_end = end
    elif size == 6:
        return not is_name(p + name, b"expect", 6)
    elif size == 7:
        return not is_name(p + name, b"upgrade", 7)
    elif size == 10:
        if is_name(p + name, b"connection", 10):
            if found.connection_end:
                return False
            found.connection = start
            found.connection_end = end
    elif size == 12:
        if is_name(p + name, b"content-type", 12):
            found.types += 1
            return found.types == 1
    elif size == 14:
        if is_name(p + name, b"content-length", 14):
            if found.length_end:
                return False
            found.length = start
            found.length_end = end
    elif size == 17:
        return not is_name(p + name, b"transfer-encoding", 17)
    return True


cdef bint read_fields(const byte* p, Py_ssize_t i, Py_ssize_t size, Found* found) noexcept nogil:
    """The field lines from `i` and the empty line, which has to be the end."""
    cdef Py_ssize_t name, colon
    while p[i] != 13:
        name = i
        while classes[p[i]] & NAME:
            i += 1
        if i == name or p[i] != 58:
            return False
        colon = i
        i += 1
        while classes[p[i]] & VALUE:
            i += 1
        if p[i] != 13 or p[i + 1] != 10:
            return False
        found.fields += 1
        if not read_name(p, name, colon - name, colon + 1, i, found):
            return False
        i += 2
    return p[i + 1] == 10 and i + 2 == size


cdef bint is_host(const byte* p, Py_ssize_t i, Py_ssize_t end) noexcept nogil:
    """A name or an IPv4 address, with a port up to 65499 or without one."""
    cdef Py_ssize_t start = i
    cdef int port = 0
    while classes[p[i]] & HOST:
        i += 1
    if i == start:
        return False
    if i == end:
        return True
    if p[i] != 58 or not 1 <= end - i - 1 <= 5:
        return False
    start = i + 1
    for i in range(start, end):
        if not classes[p[i]] & DIGIT:
            return False
        port = port * 10 + (p[i] - 48)
    return end - start < 5 or 10000 <= port < 65500


cdef bint has_word(const byte* p, Py_ssize_t size) noexcept nogil:
    """Whether `forwarded` is anywhere, in any case. Its "w" is looked for: few heads have many."""
    return has_word_with(p, size, 119) or has_word_with(p, size, 87)


cdef bint has_word_with(const byte* p, Py_ssize_t size, int letter) noexcept nogil:
    cdef const byte* end = p + size
    cdef const byte* at = p
    while True:
        at = <const byte*>memchr(at, letter, end - at)
        if at == NULL:
            return False
        if at - p >= 3 and end - at >= 6 and is_name(at - 3, b"forwarded", 9):
            return True
        at += 1


cdef object text(const byte* p, Py_ssize_t start, Py_ssize_t end):
    return PyUnicode_DecodeLatin1(<const char*>p + start, end - start, NULL)


cdef int set_start(object head, const byte* p, Found* found) except -1:
    put(head, METHOD, METHODS[found.method])
    if found.space == found.question:
        path = text(p, found.path, found.space)
        put(head, PATH_TEXT, path)
        put(head, TARGET, path)
        put(head, QUERY_TEXT, NOTHING)
    else:
        put(head, PATH_TEXT, text(p, found.path, found.question))
        put(head, TARGET, text(p, found.path, found.space))
        put(head, QUERY_TEXT, text(p, found.question + 1, found.space))
    return 0


cdef bint read_version(const byte* p, Py_ssize_t i, Found* found) noexcept nogil:
    # The comparison stops at the first byte that differs; memcmp could read beyond the end.
    cdef const char* version = b" HTTP/1."
    cdef Py_ssize_t k
    for k in range(8):
        if p[i + k] != <byte>version[k]:
            return False
    found.minor = p[i + 8] - 48
    return 0 <= found.minor <= 1 and p[i + 9] == 13 and p[i + 10] == 10


cdef object length_of(const byte* p, Py_ssize_t start, Py_ssize_t end):
    """The number, or None for one of more than 18 digits, or none: the twin looks closer."""
    cdef long long number = 0
    cdef Py_ssize_t i
    if not 1 <= end - start <= 18:
        return None
    for i in range(start, end):
        if not classes[p[i]] & DIGIT:
            return None
        number = number * 10 + (p[i] - 48)
    return number


cdef int option_of(const byte* p, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """1: keep-alive, 0: close, -1: anything else, as nearly every client sends it."""
    if end - start == 10:
        if memcmp(p + start, b"keep-alive", 10) == 0 or memcmp(p + start, b"Keep-Alive", 10) == 0:
            return 1
    elif end - start == 5 and memcmp(p + start, b"close", 5) == 0:
        return 0
    return -1


def prepare(ordinary_class, forwarded_class):
    """Set RequestHead and ForwardedHead. Until then, quick_head returns None."""
    global ordinary, forwarded
    global LENGTH, FOUND, HOST_TEXT, KEEP_ALIVE, METHOD, MINOR, PATH_TEXT, QUERY_TEXT, TAIL, TARGET
    LENGTH = slot_offset(ordinary_class.content_length)
    FOUND = slot_offset(ordinary_class.found)
    HOST_TEXT = slot_offset(ordinary_class.host)
    KEEP_ALIVE = slot_offset(ordinary_class.keep_alive)
    METHOD = slot_offset(ordinary_class.method)
    MINOR = slot_offset(ordinary_class.minor)
    PATH_TEXT = slot_offset(ordinary_class.path)
    QUERY_TEXT = slot_offset(ordinary_class.query)
    TAIL = slot_offset(ordinary_class.tail)
    TARGET = slot_offset(ordinary_class.target)
    ordinary = ordinary_class
    forwarded = forwarded_class


def quick_head(bytes data not None, limits, last=None):
    """The head if `data` is one complete head of the usual shape, else None. `last` is not used."""
    cdef Found found
    cdef const byte* p = <const byte*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef int option = -2
    found.host_end = found.length_end = found.connection_end = 0
    found.fields = found.types = 0
    if not read_start(p, size, &found) or not read_version(p, found.space, &found):
        return None
    if not read_fields(p, found.space + 11, size, &found):
        return None
    if not found.host_end or not is_host(p, found.host, found.host_end):
        return None
    if found.fields > limits.fields_count:
        return None
    length = None
    if found.length_end:
        length = length_of(p, found.length, found.length_end)
        if length is None:
            return None
    if found.connection_end:
        option = option_of(p, found.connection, found.connection_end)
        if option == -1:
            return None
    if ordinary is None:
        return None
    head = fresh(forwarded if has_word(p, size) else ordinary)
    set_start(head, p, &found)
    put(head, HOST_TEXT, text(p, found.host, found.host_end))
    put(head, TAIL, data[found.space :])
    put(head, FOUND, None)
    put(head, LENGTH, length)
    put(head, MINOR, found.minor)
    put(head, KEEP_ALIVE, YES if (option != 0 if found.minor else option == 1) else NO)
    return head


def similar_head(bytes data not None, last):
    """The head in `data`, which ends in the tail of `last`, a result of quick_head; else None."""
    cdef Found found
    cdef const byte* p = <const byte*>PyBytes_AS_STRING(data)
    if ordinary is None or not (type(last) is ordinary or type(last) is forwarded):
        return None
    cdef bytes tail = get(last, TAIL)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data) - PyBytes_GET_SIZE(tail)
    if size < 0 or not read_start(p, size, &found) or found.space != size:
        return None
    head = fresh(type(last))
    set_start(head, p, &found)
    put(head, HOST_TEXT, get(last, HOST_TEXT))
    put(head, TAIL, tail)
    put(head, FOUND, get(last, FOUND))
    put(head, LENGTH, get(last, LENGTH))
    put(head, MINOR, get(last, MINOR))
    put(head, KEEP_ALIVE, get(last, KEEP_ALIVE))
    return head
