# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""One call of an ASGI application, up to the end of its first step: `receive` and `send`.

They are the twins of those of `Request` (gateway/asgi.py), for one message with the head and one
with the whole body of a response. A Request does everything else.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_GetSlice
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE

from carboy._speedups.slots cimport get, has, slot_offset

import warnings
from collections.abc import Coroutine

from carboy.server.connection import Connection
from carboy.server.exchange import ExchangeSlots
from carboy.server.responder import LARGE as RESPONDER_LARGE

cdef Py_ssize_t MACHINE = slot_offset(Connection.__dict__["machine"])
cdef Py_ssize_t TAKING = slot_offset(Connection.__dict__["taking"])
cdef Py_ssize_t CONNECTION = slot_offset(ExchangeSlots.__dict__["connection"])
cdef Py_ssize_t KEY = slot_offset(ExchangeSlots.__dict__["key"])

# Set by `load`, because these modules load asyncio, which other applications do not need.
cdef object Request, first_message, decoded
cdef dict statuses, kept
cdef Py_ssize_t large


cdef int load() except -1:
    """Take what a Call uses of its twin."""
    global Request, first_message, decoded, statuses, kept, large
    from carboy.gateway import asgi, asgi_first_step, asgi_messages

    Request, first_message = asgi.Request, asgi_first_step.first_message
    decoded, kept = asgi_messages.decoded, asgi_messages._kept
    statuses = asgi_messages.STATUSES
    large = min(asgi.LARGE + 1, RESPONDER_LARGE)
    return 0


cdef list texts(object headers):
    """asgi_messages.decoded for fields that were decoded before; else None."""
    cdef PyObject* known
    cdef Py_ssize_t i
    cdef list found
    if type(headers) is not list:
        return None
    found = PyList_GetSlice(headers, 0, PyList_GET_SIZE(headers))
    for i in range(PyList_GET_SIZE(found)):
        field = <object>PyList_GET_ITEM(found, i)
        if (
            type(field) is not tuple
            or PyTuple_GET_SIZE(field) != 2
            or type(<object>PyTuple_GET_ITEM(field, 0)) is not bytes
            or type(<object>PyTuple_GET_ITEM(field, 1)) is not bytes
        ):
            return None
        known = PyDict_GetItem(kept, field)
        if known == NULL:
            return None
        found[i] = <object>known
    return found


cdef class Maker:
    """What makes whole responses (turn.pyx)."""

    cdef bytes whole(self, object machine, object status, object headers, bytes body, bytes extra):
        """The bytes of a response, after which the machine has changed; None if it has not."""
        return None


cdef class Call:
    """One call of the application: `receive` and `send`, up to the end of the first step."""

    cdef bint takes(self):
        """Whether the call is as at the beginning, but for what is noted here."""
        return self.request is None and self.output is not None

    def rest(self):
        """The Request that goes on with the call."""
        if self.request is None:
            request = Request(self.gateway, self.exchange)
            request._here = self.output is not None
            request._body_read = self.body_read
            request._answered = request._begun = self.answered
            if self.status is not None:
                request._response = self.status, self.headers
            if self.response is not None and self.output is not None:
                self.exchange.made = self.response
            self.request = request
        return self.request

    def receive(self):
        """A coroutine, as Request.receive."""
        return first_message(self)

    def take_empty_body(self):
        """Whether the next message is the empty body of the request, which is read now."""
        if not self.takes() or self.body_read or self.answered:
            return False
        self.body_read = True
        return True

    def send(self, message):
        """A coroutine, as Request.send."""
        cdef Sending sending = Sending.__new__(Sending)
        sending.call = self
        sending.message = message
        return sending

    cdef bint take(self, object message) except -1:
        """Do what a message says; whether that was possible here."""
        cdef PyObject* known
        if not self.takes() or self.answered or type(message) is not dict:
            return False
        known = PyDict_GetItem(message, "type")
        if known == NULL or type(<object>known) is not str:
            return False
        if <str><object>known == "http.response.start":
            return self.start(<dict>message)
        if <str><object>known == "http.response.body":
            return self.body(<dict>message)
        return False

    cdef bint start(self, dict message) except -1:
        cdef PyObject* code = PyDict_GetItem(message, "status")
        cdef PyObject* headers = PyDict_GetItem(message, "headers")
        cdef PyObject* text
        cdef list fields
        if (
            self.status is not None
            or code == NULL
            or type(<object>code) is not int
            or PyDict_GetItem(message, "trailers") != NULL
        ):
            return False
        text = PyDict_GetItem(statuses, <object>code)
        if text == NULL:
            return False
        if headers == NULL:
            fields = []
        else:
            fields = texts(<object>headers)
            if fields is None:
                fields = decoded(<object>headers or ())
        self.headers = fields
        self.status = <object>text
        return True

    cdef bint body(self, dict message) except -1:
        cdef PyObject* found = PyDict_GetItem(message, "body")
        cdef PyObject* more = PyDict_GetItem(message, "more_body")
        cdef bytes body = b""
        cdef Output output = self.output
        if self.status is None or (more != NULL and <object>more is not False):
            return False
        if found != NULL:
            if type(<object>found) is not bytes:
                return False
            body = <bytes><object>found
        if PyBytes_GET_SIZE(body) >= large:
            return False
        exchange = self.exchange
        connection = get(exchange, CONNECTION)
        responder = output.responder
        found = PyDict_GetItem(output.averages, get(exchange, KEY))
        if (
            responder.plain
            and found != NULL
            and <double>(<object>found) == 0.0
            and has(connection, TAKING, None)
        ):
            self.response = output.maker.whole(
                get(connection, MACHINE), self.status, self.headers, body, responder.extra.lines
            )
        if self.response is None:
            exchange.answer(self.status, self.headers, body)
        else:
            exchange.head_begun = True
            exchange.status = self.status
            if responder.count is not None:
                responder.count(exchange, self.status, PyBytes_GET_SIZE(body))
        self.answered = True
        return True


cdef class Sending:
    """The coroutine of `Call.send`."""

    cdef Call call  # None: it has begun
    cdef object message
    cdef object rest  # the coroutine of the Request
    cdef object __weakref__

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        cdef PyObject* result = NULL
        if self.rest is None and self.begin():
            raise StopIteration
        if PyIter_Send(self.rest, None, &result) != WAITS:
            Py_DECREF(<object>result)
            raise StopIteration
        future = <object>result
        Py_DECREF(future)
        return future

    cdef bint begin(self) except -1:
        """Take the message; whether that was all."""
        cdef Call call = self.call
        if call is None:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self.call = None
        if call.take(self.message):
            return True
        self.rest = call.rest().send(self.message)
        return False

    def send(self, value):
        """As that of a coroutine."""
        if self.rest is None and self.begin():
            raise StopIteration
        return self.rest.send(value)

    def throw(self, *error):
        """As that of a coroutine."""
        if self.rest is None:
            if self.call is None:
                raise RuntimeError("cannot reuse already awaited coroutine")
            self.rest = self.call.rest().send(self.message)
            self.call = None
        return self.rest.throw(*error)

    def close(self):
        """As that of a coroutine."""
        self.call = None
        if self.rest is not None:
            self.rest.close()

    @property
    def __name__(self):
        return "send"

    @property
    def __qualname__(self):
        return "Request.send"

    def __dealloc__(self):
        if self.call is not None:
            try:
                warnings.warn(
                    "coroutine 'Request.send' was never awaited", RuntimeWarning, stacklevel=1
                )
            except Exception:
                pass


Coroutine.register(Sending)
