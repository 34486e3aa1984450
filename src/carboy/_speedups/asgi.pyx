# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The first step of an ASGI application for an ordinary request: the twin of `Request.run_here`
(gateway/asgi.py) and of `http_scope` (gateway/asgi_scope.py).

A request is ordinary if it has no body and is answered with one message for the head and one for
the body before the application waits for anything. A request that turns out not to be ordinary
gets a `Request`, which goes on with it.

A task makes the first steps of many requests, because a task costs as much as the rest of a step.
The application cannot see this: between two requests the task waits as if for a future (Pause), and it makes no
further request if the application

    waits              the task is that of this request from then on
    refers to the task, or has added a callback, a weak reference or a name to it
    refers to the context, or has set a variable in it

Everything in this file belongs to the thread of the loop.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_GetItem, PyDict_SetItem
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_GetSlice
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.weakref cimport PyWeakref_NewRef

from carboy._speedups.slots cimport fresh, get, has, put, slot_offset

import warnings
from collections.abc import Coroutine
from contextvars import Context
from types import CoroutineType

from carboy.gateway.interface import ANSWERED
from carboy.protocol.events import RequestHead
from carboy.request_identity import current
from carboy.server.connection import Connection
from carboy.server.exchange import ExchangeSlots, ServerExchange
from carboy.server.responder import LARGE as RESPONDER_LARGE

cdef extern from "Python.h":
    """
    static int weak_references(PyObject *of) {
        PyTypeObject *type = Py_TYPE(of);
        if (!type->tp_weaklistoffset)
            return 0;
        PyWeakReference *first = *(PyWeakReference **)((char *)of + type->tp_weaklistoffset);
        int count = 0;
        for (; first != NULL; first = first->wr_next)
            count++;
        return count;
    }
    """
    int weak_references(object of)
    object PyContextVar_Set(object variable, object value)
    object PyUnicode_AsLatin1String(object text)
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyObject_Size(object of) except -1
    Py_ssize_t Py_REFCNT(PyObject* of)
    unsigned long PyThread_get_thread_ident()
    # PYGEN_RETURN, PYGEN_NEXT; PYGEN_ERROR with an exception
    int PyIter_Send(object coroutine, object value, PyObject** result) except -1

cdef Py_ssize_t PEER = slot_offset(Connection.__dict__["peer"])
cdef Py_ssize_t SERVER = slot_offset(Connection.__dict__["server"])
cdef Py_ssize_t MACHINE = slot_offset(Connection.__dict__["machine"])
cdef Py_ssize_t PROXIED = slot_offset(Connection.__dict__["proxied"])
cdef Py_ssize_t SCHEME = slot_offset(Connection.__dict__["scheme"])
cdef Py_ssize_t BODY = slot_offset(ExchangeSlots.__dict__["body"])
cdef Py_ssize_t CONNECTION = slot_offset(ExchangeSlots.__dict__["connection"])
cdef Py_ssize_t CONTEXT = slot_offset(ExchangeSlots.__dict__["context"])
cdef Py_ssize_t HEAD = slot_offset(ExchangeSlots.__dict__["head"])
cdef Py_ssize_t KEY = slot_offset(ExchangeSlots.__dict__["key"])
cdef Py_ssize_t METHOD = slot_offset(RequestHead.method)
cdef Py_ssize_t MINOR = slot_offset(RequestHead.minor)
cdef Py_ssize_t PATH = slot_offset(RequestHead.path)
cdef Py_ssize_t LENGTH = slot_offset(RequestHead.content_length)
cdef Py_ssize_t TAKING = slot_offset(Connection.__dict__["taking"])

cdef enum:
    WAITS = 1  # PYGEN_NEXT

# Set by `load`, because these modules load asyncio, which other applications do not need.
cdef object Request, CancelledError, awaited, first_message, fields_of, decoded_path, http_scope
cdef object decoded, RequestNames, FIELDS, NAMES
cdef dict statuses, kept, first_scope, first_extensions, version
cdef tuple http_versions, plain_extensions
cdef str NO_RESPONSE
cdef Py_ssize_t EXCHANGE, large = 0


cdef int load() except -1:
    global Request, CancelledError, awaited, first_message, fields_of, decoded_path, http_scope
    global decoded, RequestNames, FIELDS, NAMES, statuses, kept, first_scope, first_extensions
    global version, http_versions, plain_extensions, NO_RESPONSE, EXCHANGE, large
    if large:
        return 0
    from asyncio import CancelledError

    from carboy.gateway import asgi, asgi_first_step, asgi_messages, asgi_scope

    Request = asgi.Request
    awaited, first_message = asgi_first_step.awaited, asgi_first_step.first_message
    NO_RESPONSE = asgi.NO_RESPONSE
    statuses, kept = asgi_messages.STATUSES, asgi_messages._kept
    decoded = asgi_messages.decoded
    fields_of, decoded_path = asgi_scope.fields_of, asgi_scope.decoded_path
    http_scope, FIELDS, NAMES = asgi_scope.http_scope, asgi_scope.FIELDS, asgi_scope.NAMES
    RequestNames = asgi_scope.RequestNames
    version, http_versions = asgi_scope.VERSION, asgi_scope.HTTP_VERSIONS
    EXCHANGE = slot_offset(RequestNames.__dict__["exchange"])
    # Everything that a scope may have, in the order of the twin, so that no copy has to grow.
    first_scope = dict.fromkeys(
        ("type", "asgi", "http_version", "server", "client", "scheme", "method", "root_path",
         "path", "raw_path", "query_string", "headers", "extensions", "state")
    )
    first_scope.update(type="http", scheme="http")
    names = ["http.response.early_hint", "http.response.pathsend", "http.response.trailers"]
    if asgi_scope.HAS_SENDFILE:
        names.append("http.response.zerocopysend")
    plain_extensions = tuple(names)
    first_extensions = dict.fromkeys((*names[:3], NAMES, *names[3:]))
    large = min(asgi.LARGE + 1, RESPONDER_LARGE)
    return 0


cdef dict scope_of(object exchange, object head, object connection, dict state):
    """http_scope for a request without TLS, the PROXY protocol and a prefix."""
    cdef dict scope = PyDict_Copy(first_scope)
    cdef dict extensions = PyDict_Copy(first_extensions)
    cdef dict none = {}
    cdef PyObject* known = NULL
    cdef object found = head.found
    names = fresh(RequestNames)
    put(names, EXCHANGE, PyWeakref_NewRef(exchange, None))
    for name in plain_extensions:
        PyDict_SetItem(extensions, name, none)
    PyDict_SetItem(extensions, NAMES, names)
    text = get(head, PATH)
    raw = PyUnicode_AsLatin1String(text)
    if not PyUnicode_IS_ASCII(text) or b"%" in <bytes>raw:
        text = decoded_path(raw)
    if type(found) is dict:
        known = PyDict_GetItem(found, FIELDS)
    fields = fields_of(head) if known == NULL else <object>known
    PyDict_SetItem(scope, "asgi", PyDict_Copy(version))
    PyDict_SetItem(scope, "http_version", <object>PyTuple_GET_ITEM(http_versions, get(head, MINOR)))
    PyDict_SetItem(scope, "server", get(connection, SERVER))
    peer = exchange.forwarded_client
    PyDict_SetItem(scope, "client", peer or get(connection, PEER))
    PyDict_SetItem(scope, "method", get(head, METHOD))
    PyDict_SetItem(scope, "root_path", exchange.root_path)
    PyDict_SetItem(scope, "path", text)
    PyDict_SetItem(scope, "raw_path", raw)
    query = head.query
    PyDict_SetItem(scope, "query_string", PyUnicode_AsLatin1String(query) if query else b"")
    PyDict_SetItem(scope, "headers", PyList_GetSlice(fields, 0, PyList_GET_SIZE(fields)))
    PyDict_SetItem(scope, "extensions", extensions)
    PyDict_SetItem(scope, "state", PyDict_Copy(state))
    return scope


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

    cdef Steps steps  # until the end of the first step
    cdef readonly object gateway, exchange
    cdef object request  # the Request that goes on with the call
    cdef object status, headers  # of the start message
    cdef bytes response  # whole, to be sent after the first step
    cdef object error  # of the application, before its response
    cdef bint body_read, answered

    cdef bint takes(self):
        """Whether the call is as at the beginning, but for what is noted here."""
        return self.request is None and self.steps is not None

    def rest(self):
        """The Request that goes on with the call."""
        if self.request is None:
            request = Request(self.gateway, self.exchange)
            request._here = self.steps is not None
            request._body_read = self.body_read
            request._answered = request._begun = self.answered
            if self.status is not None:
                request._response = self.status, self.headers
            if self.response is not None and self.steps is not None:
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
        cdef Steps steps = self.steps
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
        responder = steps.responder
        found = PyDict_GetItem(steps.averages, get(exchange, KEY))
        if (
            responder.plain
            and found != NULL
            and <double>(<object>found) == 0.0
            and has(connection, TAKING, None)
        ):
            self.response = steps.maker.whole(
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


cdef class Pause:
    """What the task of a Step waits for between two requests, like a future.

    A task that is cancelled meanwhile ends.
    """

    cdef public bint _asyncio_future_blocking
    cdef object wakeup  # of the task, while it waits
    cdef object loop
    cdef bint is_cancelled

    def add_done_callback(self, wakeup, *, context=None):
        """Called by the task that begins to wait."""
        self.wakeup = wakeup

    def result(self):
        """Called by the task that goes on."""
        if self.is_cancelled:
            raise CancelledError

    def cancel(self, msg=None):
        """Called when the task is cancelled; returns whether it will be."""
        if not self.is_cancelled:
            self.is_cancelled = True
            self.loop.call_soon(self._wake)
        return True

    def _wake(self):
        wakeup, self.wakeup = self.wakeup, None
        if wakeup is not None:
            wakeup(self)

    def get_loop(self):
        """As that of a future."""
        return self.loop


cdef class Rest:
    """The rest of the application's coroutine, to be awaited: it waits for `future`, or has ended.
    """

    cdef object coroutine, future, error

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """As that of a coroutine."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if self.future is not None:
            future, self.future = self.future, None
            return future
        if self.coroutine is None:
            raise StopIteration
        return self.coroutine.send(value)

    def throw(self, *error):
        """As that of a coroutine."""
        return self.coroutine.throw(*error)

    def close(self):
        """As that of a coroutine."""
        if self.coroutine is not None:
            self.coroutine.close()


cdef class Step:
    """The coroutine of a task that makes the first steps of requests."""

    cdef Steps steps  # None: it does the rest of a request, or has ended
    cdef Pause pause
    cdef readonly object context
    cdef object coroutine  # of the application; then that of Request.run

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """As that of a coroutine."""
        if self.steps is None:
            if self.coroutine is None:
                raise StopIteration
            return self.coroutine.send(value)
        if self.steps.call is None or self.first_step():
            self.pause._asyncio_future_blocking = True
            return self.pause
        self.steps = None
        if self.coroutine is None:
            raise StopIteration
        return self.coroutine.send(None)

    cdef bint first_step(self) except -1:
        """Make the first step of a request; whether another request can follow."""
        cdef Steps steps = self.steps
        cdef Call call = steps.call
        cdef PyObject* result = NULL
        cdef PyObject* task = <PyObject*>steps.task
        cdef PyObject* context = <PyObject*>self.context
        cdef Py_ssize_t task_references = Py_REFCNT(task)
        cdef Py_ssize_t context_references = Py_REFCNT(context)
        cdef int weak = weak_references(steps.task)
        cdef int how = 0
        cdef Rest rest
        error = None
        exchange = call.exchange
        PyContextVar_Set(current, PyWeakref_NewRef(exchange, None))
        coroutine = None
        try:
            scope = steps.scope(exchange)
            exchange.scope = scope
            coroutine = steps.app(scope, call.receive, call.send)
            scope = None
            if type(coroutine) is not CoroutineType:
                coroutine = awaited(coroutine)
            how = PyIter_Send(coroutine, None, &result)
            value = <object>result
            Py_DECREF(value)
        except BaseException as problem:
            error = problem
        if how != WAITS and call.request is None:
            value = coroutine = None
            if error is None and not call.answered:
                error = RuntimeError(NO_RESPONSE)
            if error is None or not call.answered:
                call.error = error
            elif not isinstance(error, CancelledError):
                exchange.failed_late(error)
            error = None
            return (
                Py_REFCNT(task) == task_references
                and Py_REFCNT(context) == context_references
                and weak_references(steps.task) == weak
                and PyObject_Size(self.context) == 1  # `current`
                and steps.task._callbacks is None
                and steps.task.get_name() is steps.name
            )
        rest = Rest.__new__(Rest)
        rest.error = error
        if how == WAITS:
            rest.future = value
            rest.coroutine = coroutine
        self.coroutine = call.rest().run(rest)
        return False

    def throw(self, *error):
        """As that of a coroutine."""
        self.steps = None
        if self.coroutine is not None:
            return self.coroutine.throw(*error)
        raise error[0] if len(error) == 1 or error[1] is None else error[1]

    def close(self):
        """As that of a coroutine."""
        self.steps = None
        if self.coroutine is not None:
            self.coroutine.close()

    @property
    def __name__(self):
        return "run"

    @property
    def __qualname__(self):
        return "Request.run"

    @property
    def cr_frame(self):
        return getattr(self.coroutine, "cr_frame", None)

    @property
    def cr_await(self):
        return getattr(self.coroutine, "cr_await", None)


cdef class Steps:
    """The first steps of the requests of one gateway, for one engine."""

    def __init__(self, gateway, responder, averages, Maker maker):
        load()
        self.gateway = gateway
        self.app = gateway.app
        self.state = gateway.state
        self.loop = gateway.loop.start()
        self.thread = gateway.loop.thread_id
        self.responder = responder
        self.averages = averages
        self.maker = maker

    cdef object context_for(self, object exchange, object head):
        """The context in which `run` has to be called; None if the request is not ordinary."""
        cdef Step step = self.idle
        if (
            PyThread_get_thread_ident() != self.thread
            or type(exchange) is not ServerExchange
            or not has(exchange, BODY, None)
            or get(head, LENGTH)
            or head.chunked
            or head.upgrade
            or PyObject_Size(get(exchange, CONTEXT))
            or self.loop.get_task_factory() is not None
        ):
            return None
        if step is None or step.pause.is_cancelled or step.pause.wakeup is None:
            step = self.new_step()
        put(exchange, CONTEXT, step.context)
        return step.context

    cdef object new_step(self):
        cdef Step step = Step.__new__(Step)
        self.let_go()
        step.pause = Pause.__new__(Pause)
        step.pause.loop = self.loop
        step.context = Context()
        step.steps = self
        self.task = step.context.run(self.gateway.loop.run_now, step, step.context)
        self.name = self.task.get_name()
        self.gateway.spare.add(self.task)
        self.idle = step
        return step

    cdef int let_go(self) except -1:
        """Forget the task, because it is that of a request, or has ended."""
        if self.task is not None:
            self.gateway.spare.discard(self.task)
        self.idle = self.task = None
        return 0

    cdef object scope(self, object exchange):
        connection = get(exchange, CONNECTION)
        if (
            has(connection, PROXIED, None)
            and not exchange.outer_path
            and not exchange.forwarded_scheme
            and (get(connection, SCHEME) or self.responder.scheme) == "http"
        ):
            return scope_of(exchange, get(exchange, HEAD), connection, self.state)
        return http_scope(exchange, self.state)

    cdef object run(self, object exchange):
        """Make the first step; the whole response, or what `handle` returns or raises."""
        cdef Step step = self.idle
        cdef Pause pause = step.pause
        cdef Call call = Call.__new__(Call)
        task = self.task
        call.steps = self
        call.gateway = self.gateway
        call.exchange = exchange
        self.call = call
        wakeup = pause.wakeup
        pause.wakeup = None
        try:
            wakeup(pause)
        finally:
            self.call = call.steps = None
            if pause.wakeup is None:
                self.let_go()
        request = call.request
        if request is None:
            if call.error is not None:
                error, call.error = call.error, None
                raise error
            return ANSWERED if call.response is None else call.response
        if not task.done():
            self.gateway.tasks.add(task)
            request.task = task
        return request.after_first_step()


for _class in (Sending, Step):
    Coroutine.register(_class)
