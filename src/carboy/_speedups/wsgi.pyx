# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The call of a WSGI application for an ordinary request: the twin of `Call` and of
`WsgiGateway.handle` (gateway/wsgi.py), and of `ServerExchange.environ` (server/exchange.py).

Everything that is not ordinary is done by the functions of the twins, which take a `Call` of either
kind.
"""

from cpython.dict cimport PyDict_Copy, PyDict_GetItemWithError, PyDict_SetItem
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.weakref cimport PyWeakref_NewRef

from carboy._speedups.environ cimport put_fields
from carboy._speedups.slots cimport fresh, get, put, slot_offset

from carboy.gateway import wsgi
from carboy.gateway.route import rule_of_environ
from carboy.protocol.events import RequestHead
from carboy.request_identity import current
from carboy.server import exchange as exchanges
from carboy.server.connection import Connection
from carboy.server.raw_socket import RawSocket

cdef extern from "Python.h":
    object PyContextVar_Set(object variable, object value)

cdef Py_ssize_t REPEATED = slot_offset(Connection.__dict__["repeated"])
cdef Py_ssize_t TEMPLATE = slot_offset(Connection.__dict__["template"])
cdef Py_ssize_t BODY = slot_offset(exchanges.ExchangeSlots.__dict__["body"])
cdef Py_ssize_t ENVIRON = slot_offset(exchanges.ExchangeSlots.__dict__["cached_environ"])
cdef Py_ssize_t HEAD_METHOD = slot_offset(RequestHead.method)
cdef Py_ssize_t HEAD_TARGET = slot_offset(RequestHead.target)
cdef Py_ssize_t HEAD_PATH = slot_offset(RequestHead.path)
cdef Py_ssize_t HEAD_QUERY = slot_offset(RequestHead.query)
cdef Py_ssize_t HEAD_TAIL = slot_offset(RequestHead.tail)
cdef Py_ssize_t SOCKET_CLOSED = slot_offset(RawSocket.__dict__["_closed"])
cdef Py_ssize_t SOCKET_EXCHANGE = slot_offset(RawSocket.__dict__["_exchange"])
cdef Py_ssize_t SOCKET_REST = slot_offset(RawSocket.__dict__["_rest"])
cdef object twin = wsgi.Call
cdef object answer_of = wsgi.answer_of
cdef object decode_path = wsgi.decode_path
cdef list NO_FIELDS = []

# The very keys that the templates have.
cdef dict keys = {key: key for key in exchanges._OF_ONE_REQUEST}
keys.update({key: key for key in wsgi.base_environ(True, False, "")})
cdef object METHOD = keys["REQUEST_METHOD"]
cdef object URI = keys["REQUEST_URI"]
cdef object RAW_URI = keys["RAW_URI"]
cdef object PATH = keys["PATH_INFO"]
cdef object QUERY = keys["QUERY_STRING"]
cdef object INPUT = keys["wsgi.input"]
cdef object EXCHANGE = keys["carboy.exchange"]
cdef object SOCKET = keys["werkzeug.socket"]


cdef class Repeated:
    """What is known of a request that has come on its connection before, byte for byte.

    `key` is its dispatch key, or None. `environ` has the variables of `template`, and those of the
    request line.
    """


cdef object environ_of(object exchange, object head, object connection, bint underscores):
    """ServerExchange.environ for a request on a connection of just its class.

    `exchange` and `head` are of just the classes ServerExchange and RequestHead, and the head has a
    tail, so a body is not chunked.
    """
    cdef object known = get(connection, TEMPLATE)
    cdef object tail = get(head, HEAD_TAIL)
    cdef object first
    cdef dict environ
    cdef Repeated kept = get(connection, REPEATED)
    if kept is not None and kept.head is not head:
        kept = None
    if kept is not None and known is not None and kept.template is known:
        environ = PyDict_Copy(kept.environ)
        put(exchange, ENVIRON, environ)
        return with_exchange(environ, exchange)
    if known is None or <object>PyTuple_GET_ITEM(known, 0) != tail:
        first = None if known is None else <object>PyTuple_GET_ITEM(known, 2)
        if first is None:
            known = exchange._template(known)
        else:
            environ = PyDict_Copy(first)
            if put_fields(environ, head, underscores) is None:
                known = exchange._template(known)
            else:
                known = (tail, environ, first)
        put(connection, TEMPLATE, known)
    environ = PyDict_Copy(<object>PyTuple_GET_ITEM(known, 1))
    put(exchange, ENVIRON, environ)
    path = get(head, HEAD_PATH)
    target = get(head, HEAD_TARGET)
    PyDict_SetItem(environ, METHOD, get(head, HEAD_METHOD))
    PyDict_SetItem(environ, URI, target)
    PyDict_SetItem(environ, RAW_URI, target)
    PyDict_SetItem(environ, PATH, decode_path(path) if "%" in <str>path else path)
    PyDict_SetItem(environ, QUERY, get(head, HEAD_QUERY))
    if kept is not None:
        kept.environ = PyDict_Copy(environ)
        kept.template = known
    return with_exchange(environ, exchange)


cdef inline object with_exchange(dict environ, object exchange):
    """The variables that belong to the exchange."""
    body = get(exchange, BODY)
    if body is not None:
        PyDict_SetItem(environ, INPUT, body)
    PyDict_SetItem(environ, EXCHANGE, exchange)
    sock = fresh(RawSocket)
    put(sock, SOCKET_EXCHANGE, exchange)
    put(sock, SOCKET_REST, b"")
    put(sock, SOCKET_CLOSED, False)
    PyDict_SetItem(environ, SOCKET, sock)
    return environ


cdef class Call:
    """One call of the application: the arguments of start_response, and `write`."""

    def start_response(self, status, headers, exc_info=None):
        """PEP 3333's start_response: notes its arguments. The first piece of body sends them."""
        if (
            exc_info is not None
            or self.status is not None
            or type(status) is not str
            or type(headers) is not list
        ):
            return twin.start_response(self, status, headers, exc_info)
        if PyDict_GetItemWithError(self.environ, "werkzeug.request") != NULL:
            rule_of_environ(self.exchange, self.environ)
        self.status = status
        self.headers = headers
        return self.write

    def write(self, data):
        """PEP 3333's `write`: sends the head first."""
        return twin.write(self, data)

    def started(self):
        """The status. Raises RuntimeError if the application never called start_response."""
        return twin.started(self)

    cdef object run(
        self, object app, object exchange, object head, object connection, bint underscores
    ):
        """Call the application for a request as in `environ_of`; returns its result."""
        self.exchange = exchange
        self.headers = NO_FIELDS
        PyContextVar_Set(current, PyWeakref_NewRef(exchange, None))
        self.environ = environ_of(exchange, head, connection, underscores)
        return app(self.environ, self.start_response)

    cdef bytes whole(self, object result):
        """The body, if it is all of what the application gives; else None."""
        cdef PyObject* piece
        if self.status is None or self.writer is not None:
            return None
        if type(result) is list and PyList_GET_SIZE(result) == 1:
            piece = PyList_GET_ITEM(result, 0)
        elif type(result) is tuple and PyTuple_GET_SIZE(result) == 1:
            piece = PyTuple_GET_ITEM(result, 0)
        else:
            return None
        if type(<object>piece) is not bytes:
            return None
        self.answering = True
        return <bytes><object>piece
