# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The first step of an ASGI application for an ordinary request: the twin of `Request.run_here`
(gateway/asgi.py).

A request is ordinary if it has no body and is answered with one message for the head and one for
the body before the application waits for anything (asgi_call.pyx). A request that turns out not to
be ordinary gets a `Request`, which goes on with it.

A task makes the first steps of many requests, because a task costs as much as the rest of a step.
The application cannot see this: between two requests the task waits as if for a future (Pause),
and it makes no further request if the application

    waits              the task is that of this request from then on
    refers to the task, or has added a callback, a weak reference or a name to it
    refers to the context, or has set a variable in it

Everything in this file belongs to the thread of the loop.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.weakref cimport PyWeakref_NewRef

from carboy._speedups cimport asgi_call, asgi_scope
from carboy._speedups.asgi_call cimport WAITS, Call, Maker, Output, PyIter_Send
from carboy._speedups.asgi_scope cimport scope_of
from carboy._speedups.slots cimport get, has, put, slot_offset

from collections.abc import Coroutine
from contextvars import Context
from types import CoroutineType

from carboy.gateway.interface import ANSWERED
from carboy.protocol.events import RequestHead
from carboy.request_identity import current
from carboy.server.connection import Connection
from carboy.server.exchange import ExchangeSlots, ServerExchange

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
    Py_ssize_t PyObject_Size(object of) except -1
    Py_ssize_t Py_REFCNT(PyObject* of)
    unsigned long PyThread_get_thread_ident()

cdef Py_ssize_t PROXIED = slot_offset(Connection.__dict__["proxied"])
cdef Py_ssize_t SCHEME = slot_offset(Connection.__dict__["scheme"])
cdef Py_ssize_t BODY = slot_offset(ExchangeSlots.__dict__["body"])
cdef Py_ssize_t CONNECTION = slot_offset(ExchangeSlots.__dict__["connection"])
cdef Py_ssize_t CONTEXT = slot_offset(ExchangeSlots.__dict__["context"])
cdef Py_ssize_t HEAD = slot_offset(ExchangeSlots.__dict__["head"])
cdef Py_ssize_t LENGTH = slot_offset(RequestHead.content_length)

# Set by `load`, because these modules load asyncio, which other applications do not need.
cdef object CancelledError, awaited, http_scope
cdef str NO_RESPONSE = None


cdef int load() except -1:
    """Take what the first step uses of its twin."""
    global CancelledError, awaited, http_scope, NO_RESPONSE
    if NO_RESPONSE is not None:
        return 0
    from asyncio import CancelledError

    from carboy.gateway.asgi import NO_RESPONSE
    from carboy.gateway.asgi_first_step import awaited
    from carboy.gateway.asgi_scope import http_scope

    asgi_call.load()
    asgi_scope.load()
    return 0


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
        self.output = Output.__new__(Output)
        self.output.responder = responder
        self.output.averages = averages
        self.output.maker = maker

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
            and (get(connection, SCHEME) or self.output.responder.scheme) == "http"
        ):
            return scope_of(exchange, get(exchange, HEAD), connection, self.state)
        return http_scope(exchange, self.state)

    cdef object run(self, object exchange):
        """Make the first step; the whole response, or what `handle` returns or raises."""
        cdef Step step = self.idle
        cdef Pause pause = step.pause
        cdef Call call = Call.__new__(Call)
        task = self.task
        call.output = self.output
        call.gateway = self.gateway
        call.exchange = exchange
        self.call = call
        wakeup = pause.wakeup
        pause.wakeup = None
        try:
            wakeup(pause)
        finally:
            self.call = call.output = None
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


Coroutine.register(Step)
