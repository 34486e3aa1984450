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

from contextvars import Context, ContextVar

from carboy.gateway import wsgi
from carboy.gateway.route import rule_of_environ
from carboy.protocol.events import RequestHead
from carboy.request_identity import current
from carboy.server import exchange as exchanges
from carboy.server.connection import Connection
from carboy.server.raw_socket import RawSocket

cdef extern from "Python.h":
    """
    /* Python/context.c. `is_known_context` checks it. */
    typedef struct {
        PyObject_HEAD
        PyObject *previous, *variables, *weak;
        int entered;
    } CarboyContext;
    static int has_weak_references(PyObject *context) {
        return ((CarboyContext *)context)->weak != NULL;
    }
    static int has_variables(PyObject *context, PyObject *variables) {
        return ((CarboyContext *)context)->variables == variables;
    }
    static PyObject *variables_of(PyObject *context) {
        return Py_NewRef(((CarboyContext *)context)->variables);
    }
    static int is_known_context(PyObject *context) {
        CarboyContext *it = (CarboyContext *)context;
        PyObject *copy;
        Py_ssize_t before;
        int known;
        if (!PyContext_CheckExact(context)
            || Py_TYPE(context)->tp_basicsize != sizeof(CarboyContext)
            || it->previous != NULL || it->weak != NULL || it->variables == NULL
            || strcmp(Py_TYPE(it->variables)->tp_name, "hamt") != 0)
            return 0;
        before = Py_REFCNT(it->variables);
        if ((copy = PyContext_Copy(context)) == NULL)
            return -1;
        known = ((CarboyContext *)copy)->variables == it->variables
            && Py_REFCNT(it->variables) == before + 1;
        Py_DECREF(copy);
        return known;
    }
    """
    bint has_weak_references(PyObject* context)
    bint has_variables(PyObject* context, PyObject* variables)
    object variables_of(PyObject* context)
    bint is_known_context(object context) except -1
    Py_ssize_t Py_REFCNT(PyObject* of)
    Py_ssize_t PyObject_Size(object of) except -1
    object PyContext_New()
    object PyContextVar_Set(object variable, object value)

cdef Py_ssize_t REPEATED = slot_offset(Connection.__dict__["repeated"])
cdef Py_ssize_t TEMPLATE = slot_offset(Connection.__dict__["template"])
cdef Py_ssize_t BODY = slot_offset(exchanges.ExchangeSlots.__dict__["body"])
cdef Py_ssize_t CONTEXT = slot_offset(exchanges.ExchangeSlots.__dict__["context"])
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


cdef object with_variable():
    """A context in which a variable was set."""
    context = Context()
    context.run(ContextVar("test").set, 1)
    return context


cdef bint known_contexts = is_known_context(with_variable())


cdef class Identity:
    """The value of `current` in the context of a request: calls return its exchange, or None.

    The reference is weak once the application has returned. Until then, a weak one would be made
    for each request for nothing.
    """

    def __call__(self):
        if self.exchange is not None or self.weak is None:
            return self.exchange
        return self.weak()


cdef class Call:
    """One call of the application: the arguments of start_response, and `write`.

    A call whose request has had an ordinary response is used again, if nothing refers to it or to
    its methods any more. So is its context, if nothing refers to the context or to its variables,
    and no variable was set.
    """

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
        return self.write if self.write_method is None else self.write_method

    def write(self, data):
        """PEP 3333's `write`: sends the head first."""
        return twin.write(self, data)

    def started(self):
        """The status. Raises RuntimeError if the application never called start_response."""
        return twin.started(self)

    cdef object context_for(self, object exchange):
        """The context in which `run` has to be called."""
        own = get(exchange, CONTEXT)
        if self.context is None:
            return own
        # `prepare` may have kept it. It is known here, in the turn and in the exchange.
        if (
            Py_REFCNT(<PyObject*>own) != 3
            or PyObject_Size(own)
            or has_weak_references(<PyObject*>own)
        ):
            self.forget(exchange)
            return own
        self.unused = own
        put(exchange, CONTEXT, self.context)
        return self.context

    cdef object run(
        self, object app, object exchange, object head, object connection, bint underscores
    ):
        """Call the application for a request as in `environ_of`; returns its result."""
        if self.start is None:
            self.start = self.start_response
            self.write_method = self.write
        self.exchange = exchange
        self.headers = NO_FIELDS
        if self.identity is None:
            self.identity = Identity.__new__(Identity)
            PyContextVar_Set(current, self.identity)
            if known_contexts:
                self.context = get(exchange, CONTEXT)
                self.variables = variables_of(<PyObject*>self.context)
        self.identity.exchange = exchange
        self.environ = environ_of(exchange, head, connection, underscores)
        return app(self.environ, self.start)

    cdef bint is_free(self, object exchange) except -1:
        """Let go of the request; whether the call can be used again, by its only owner."""
        cdef PyObject* context = <PyObject*>self.context
        if (
            self.context is not None
            and Py_REFCNT(context) == 3  # here, in the exchange and in the turn
            and has_variables(context, <PyObject*>self.variables)
            and Py_REFCNT(<PyObject*>self.variables) == 2  # here and in the context
            and not has_weak_references(context)
            and Py_REFCNT(<PyObject*>self.identity) == 2  # here and in the variables
        ):
            self.identity.exchange = None
            put(exchange, CONTEXT, PyContext_New() if self.unused is None else self.unused)
            self.unused = None
        else:
            self.forget(exchange)
        if (
            Py_REFCNT(<PyObject*>self.start) != 1
            or Py_REFCNT(<PyObject*>self.write_method) != 1
            or Py_REFCNT(<PyObject*>self) != 3  # in the two methods and in the turn
        ):
            self.start = self.write_method = None
            return False
        self.exchange = self.status = self.headers = self.writer = self.environ = None
        self.answering = False
        return True

    cdef int let_go(self, object exchange) except -1:
        """The call and its context are not used again."""
        self.forget(exchange)
        self.start = self.write_method = None  # they refer to the call
        return 0

    cdef int forget(self, object exchange) except -1:
        """Leave the context to the exchange."""
        if self.identity is not None and self.identity.exchange is not None:
            self.identity.weak = PyWeakref_NewRef(exchange, None)
            self.identity.exchange = None
        self.context = self.variables = self.identity = self.unused = None
        return 0

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
