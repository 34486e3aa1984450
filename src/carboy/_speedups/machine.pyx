# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Steps of the HTTP machine for ordinary requests and responses (protocol/machine.py)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.bytearray cimport PyByteArray_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from libc.string cimport memcmp

from carboy._speedups.response cimport ordinary
from carboy._speedups.slots cimport get, has, put, slot_offset

from carboy.protocol import readers as reading
from carboy.protocol.buffer import ReceiveBuffer
from carboy.protocol.events import RequestHead
from carboy.protocol.machine import Machine
from carboy.protocol.states import Reading, Writing

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    unsigned char* PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef Py_ssize_t READING = slot_offset(Machine.__dict__["reading"])
cdef Py_ssize_t WRITING = slot_offset(Machine.__dict__["writing"])
cdef Py_ssize_t MUST_CLOSE = slot_offset(Machine.__dict__["must_close"])
cdef Py_ssize_t HEAD = slot_offset(Machine.__dict__["head"])
cdef Py_ssize_t BUFFER = slot_offset(Machine.__dict__["_buffer"])
cdef Py_ssize_t LIMITS = slot_offset(Machine.__dict__["_limits"])
cdef Py_ssize_t QUICK = slot_offset(Machine.__dict__["_quick"])
cdef Py_ssize_t DATA = slot_offset(ReceiveBuffer.__dict__["data"])
cdef Py_ssize_t LENGTH = slot_offset(RequestHead.content_length)
cdef Py_ssize_t KEEP_ALIVE = slot_offset(RequestHead.keep_alive)
cdef Py_ssize_t METHOD = slot_offset(RequestHead.method)
cdef Py_ssize_t MINOR = slot_offset(RequestHead.minor)
cdef Py_ssize_t PATH = slot_offset(RequestHead.path)
cdef Py_ssize_t QUERY = slot_offset(RequestHead.query)
cdef Py_ssize_t TARGET = slot_offset(RequestHead.target)
cdef Py_ssize_t TAIL = slot_offset(RequestHead.tail)

cdef object NOTHING_READ = Reading.IDLE
cdef object REQUEST_READ = Reading.DONE
cdef object SOME_READ = Reading.HEAD
cdef object WAITING = Writing.WAITING
cdef object ANSWERED = Writing.DONE
cdef dict readers = reading.__dict__  # whose functions change


cdef inline bint is_head(object method) noexcept:
    """Whether this is HEAD; a method is of ASCII."""
    return (
        PyUnicode_GET_LENGTH(method) == 4
        and memcmp(PyUnicode_1BYTE_DATA(method), b"HEAD", 4) == 0
    )


cdef bytes whole_response(
    object machine, object status, object headers, bytes body, bytes extra
):
    """Machine.whole_response for an ordinary response, which changes the machine; else None."""
    if type(machine) is not Machine:
        return None
    head = get(machine, HEAD)
    if (
        not has(machine, READING, REQUEST_READ)
        or not has(machine, WRITING, WAITING)
        or not has(machine, MUST_CLOSE, False)
        or type(headers) is not list
        or not isinstance(head, RequestHead)
        or not get(head, MINOR)
        or is_head(get(head, METHOD))
    ):
        return None
    whole = ordinary(status, <list>headers, body, extra, PyBytes_GET_SIZE(body))
    if whole is not None:
        put(machine, WRITING, ANSWERED)
        # IDLE means that the buffer is empty; bytes in the buffer come before new bytes.
        data = get(get(machine, BUFFER), DATA)
        put(machine, READING, SOME_READ if PyByteArray_GET_SIZE(data) else NOTHING_READ)
    return whole


cdef void accept(object machine, object head) noexcept:
    """The state of the machine after a whole request."""
    put(machine, HEAD, head)
    put(machine, WRITING, WAITING)
    put(machine, MUST_CLOSE, False if get(head, KEEP_ALIVE) else True)
    put(machine, READING, REQUEST_READ)


cdef inline object reader(str name):
    """The function of protocol/readers.py that runs now."""
    return <object>PyDict_GetItemWithError(readers, name)


cdef inline bint is_at(const char* p, object text) noexcept:
    """Whether these bytes are the text; each text of a request is of Latin-1."""
    return (
        PyUnicode_KIND(text) == 1
        and memcmp(p, PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text)) == 0
    )


cdef bint is_of(object head, const char* p, Py_ssize_t size) noexcept:
    """Whether a head without a body, which has a tail, is what would be read from these bytes.

    A gateway may have changed it.
    """
    cdef object method = get(head, METHOD), target = get(head, TARGET), tail = get(head, TAIL)
    cdef object path = get(head, PATH), query = get(head, QUERY)
    cdef Py_ssize_t first = PyUnicode_GET_LENGTH(method), second = PyUnicode_GET_LENGTH(target)
    cdef Py_ssize_t third = PyBytes_GET_SIZE(tail), middle = PyUnicode_GET_LENGTH(path)
    cdef const char* start = p + first + 1
    return (
        type(head) is RequestHead
        and size == first + 1 + second + third
        and has(head, LENGTH, None)
        and is_at(p, method)
        and p[first] == 32
        and is_at(start, target)
        and memcmp(start + second, PyBytes_AS_STRING(tail), third) == 0
        and (
            (path is target and not PyUnicode_GET_LENGTH(query))
            or (
                middle + 1 + PyUnicode_GET_LENGTH(query) == second
                and is_at(start, path)
                and start[middle] == 63  # "?"
                and is_at(start + middle + 1, query)
            )
        )
    )


cdef object head_in(object machine, bytes data, Py_ssize_t* body):
    """The head in `data`, if `data` is an ordinary one, or one and its whole body.

    `body`: where the body is in `data`.
    """
    cdef const char* p = PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data), quick = get(machine, QUICK)
    cdef long long start, end
    body[0] = NONE
    last = get(machine, HEAD)
    if isinstance(last, RequestHead) and get(last, TAIL):
        if size <= quick and is_of(last, p, size):
            return last
        tail = <bytes>get(last, TAIL)
        end = size - <long long>(get(last, LENGTH) or 0)
        start = end - PyBytes_GET_SIZE(tail)
        if (
            start > 0
            and end <= quick
            and memcmp(p + start, PyBytes_AS_STRING(tail), end - start) == 0
        ):
            head = reader("similar_head")(data if end == size else data[:end], last)
            if head is not None:
                body[0] = NONE if end == size else end
                return head
    end = data.find(b"\r\n\r\n") + 4
    if end < 4 or end > quick:
        return None
    if end == size:
        head = reader("quick_head")(data, get(machine, LIMITS))
        return None if head is None or head.content_length else head
    head = reader("quick_head")(data[:end], get(machine, LIMITS))
    if head is None or head.content_length != size - end:
        return None
    body[0] = end
    return head
