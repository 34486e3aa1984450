# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The leader's turn for ordinary requests, from `recv` to `send`.

    Turn.read          Engine._read                            (server/engine.py)
    Turn.read_idle     the reading of Engine._turn             (the same)
    Turn.read_next     Engine._read_deferred                   (the same)
    Turn.dispatch      Dispatcher.dispatch                     (server/dispatching.py)
    Turn.holds_back    Pipelining.hold_back                    (server/pipelining.py)
    push               Connection.push                         (server/connection.py)
    Turn.watch         the looks of Crew._watch                (server/crew.py)
    Turn.watch_closely its close looks

Each does what its twin in Python does with an ordinary request, and leaves every other to it. The
steps around them, the tables they use and the proof of what a thread may touch are those of the
twins: only the leader calls a Turn. System calls do not give the interpreter lock up
(plain_sockets.pyx).

The slots of some classes are read and written where they are in memory (slots.pxd), as the
interpreter does for their methods.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_Append, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.sequence cimport PySequence_DelSlice
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from carboy._speedups.asgi cimport Steps
from carboy._speedups.asgi_call cimport Maker
from carboy._speedups.cycle cimport Lane, key_of
from carboy._speedups.machine cimport NONE, accept, head_in, whole_response
from carboy._speedups.plain_sockets cimport receive, send
from carboy._speedups.slots cimport fresh, get, has, put, slot_offset
from carboy._speedups.tls cimport decrypt, encrypt
from carboy._speedups.wsgi cimport Call, Repeated

import socket as sockets
from io import BytesIO

from carboy.gateway import wsgi
from carboy.gateway.direct import DirectGateway
from carboy.gateway.path_shapes import PathShapes
from carboy.gateway.wsgi import WsgiGateway, WsgiSlots
from carboy.protocol import readers as reading
from carboy.protocol.buffer import ReceiveBuffer
from carboy.protocol.events import RequestHead
from carboy.protocol.machine import Machine
from carboy.protocol.states import Reading, Writing
from carboy.server.connection import Connection, Phase
from carboy.server.crew import CrewSlots, Lead
from carboy.server.default_fields import DefaultFields
from carboy.server.dispatching import MANY_READY, MOST_MADE, DispatcherSlots
from carboy.server.exchange import ExchangeSlots, ServerExchange
from carboy.server.in_flight import TEXT
from carboy.server.responder import LARGE, ResponderSlots

cdef extern from "Python.h":
    object PyContext_New()
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1

cdef extern from "string.h":
    void* memmem(const void* where, size_t size, const void* what, size_t length)

cdef extern from "time.h":
    int c_nanosleep "nanosleep" (const timespec* pause, timespec* left) noexcept nogil

cdef extern from *:
    """
    /* Py_SIZE, for a thread without the interpreter lock. */
    static inline Py_ssize_t list_size(PyObject *list) {
        return *(volatile Py_ssize_t *)&((PyVarObject *)list)->ob_size;
    }
    """
    Py_ssize_t list_size(PyObject* of) noexcept nogil

cdef extern from *:
    """
    #include <sched.h>
    #include <time.h>
    #ifdef __linux__
    #include <sys/prctl.h>
    #endif

    /* How many ns late the kernel may wake this thread; 0: as many as when the thread began. */
    static inline void set_slack(unsigned long nanoseconds) {
    #ifdef PR_SET_TIMERSLACK
        prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
    #endif
    }

    /* Seconds that a thread has computed; always 0.0 if its clock is not known. */
    static inline double computed(long clock) {
        struct timespec time;
        if (clock == -1 || clock_gettime((clockid_t)clock, &time)) return 0.0;
        return time.tv_sec + time.tv_nsec / 1e9;
    }
    """
    void set_slack(unsigned long nanoseconds) noexcept nogil
    double computed(long clock) noexcept nogil
    int sched_yield() noexcept nogil

# --- slots

cdef Py_ssize_t REPEATED = slot_offset(Connection.__dict__["repeated"])
cdef Py_ssize_t APP = slot_offset(WsgiSlots.__dict__["app"])
cdef Py_ssize_t SOCK = slot_offset(Connection.__dict__["sock"])
cdef Py_ssize_t MACHINE = slot_offset(Connection.__dict__["machine"])
cdef Py_ssize_t PHASE = slot_offset(Connection.__dict__["phase"])
cdef Py_ssize_t UNSENT = slot_offset(Connection.__dict__["unsent"])
cdef Py_ssize_t CORKED = slot_offset(Connection.__dict__["corked"])
cdef Py_ssize_t BROKEN = slot_offset(Connection.__dict__["broken"])
cdef Py_ssize_t INTEREST = slot_offset(Connection.__dict__["interest"])
cdef Py_ssize_t SINCE = slot_offset(Connection.__dict__["since"])
cdef Py_ssize_t READING = slot_offset(Machine.__dict__["reading"])
cdef Py_ssize_t MUST_CLOSE = slot_offset(Machine.__dict__["must_close"])
cdef Py_ssize_t HEAD = slot_offset(Machine.__dict__["head"])
cdef Py_ssize_t EXCESS = slot_offset(Machine.__dict__["excess"])
cdef Py_ssize_t BUFFER = slot_offset(Machine.__dict__["_buffer"])
cdef Py_ssize_t LIMITS = slot_offset(Machine.__dict__["_limits"])
cdef Py_ssize_t READER = slot_offset(Machine.__dict__["_reader"])
cdef Py_ssize_t SHORT = slot_offset(Machine.__dict__["short"])
cdef Py_ssize_t AFTER_SENT = slot_offset(Connection.__dict__["after_sent"])
cdef Py_ssize_t FILE = slot_offset(Connection.__dict__["file"])
cdef Py_ssize_t SEARCHED = slot_offset(ReceiveBuffer.__dict__["_searched"])
cdef Py_ssize_t DATA = slot_offset(ReceiveBuffer.__dict__["data"])
cdef Py_ssize_t BEGAN = slot_offset(ExchangeSlots.__dict__["began"])
cdef Py_ssize_t BODY = slot_offset(ExchangeSlots.__dict__["body"])
cdef Py_ssize_t ENVIRON = slot_offset(ExchangeSlots.__dict__["cached_environ"])
cdef Py_ssize_t CONNECTION = slot_offset(ExchangeSlots.__dict__["connection"])
cdef Py_ssize_t CONTEXT = slot_offset(ExchangeSlots.__dict__["context"])
cdef Py_ssize_t EXCHANGE_HEAD = slot_offset(ExchangeSlots.__dict__["head"])
cdef Py_ssize_t KEY = slot_offset(ExchangeSlots.__dict__["key"])
cdef Py_ssize_t MATCH = slot_offset(ExchangeSlots.__dict__["match"])
cdef Py_ssize_t HOST = slot_offset(RequestHead.host)
cdef Py_ssize_t METHOD = slot_offset(RequestHead.method)
cdef Py_ssize_t PATH = slot_offset(RequestHead.path)
cdef Py_ssize_t TAIL = slot_offset(RequestHead.tail)
cdef Py_ssize_t RESPONDER = slot_offset(ExchangeSlots.__dict__["responder"])
cdef Py_ssize_t ASLEEP = slot_offset(CrewSlots.__dict__["asleep"])
cdef Py_ssize_t COUNT = slot_offset(ResponderSlots.__dict__["count"])
cdef Py_ssize_t PLAIN = slot_offset(ResponderSlots.__dict__["plain"])
cdef Py_ssize_t HANDLE = slot_offset(DispatcherSlots.__dict__["handle"])
cdef Py_ssize_t LINES = slot_offset(DefaultFields.__dict__["lines"])
cdef Py_ssize_t SLOT = slot_offset(Lead.__dict__["slot"])


# --- members by plain names, as in the twins

cdef object NOTHING_READ = Reading.IDLE
cdef object SOME_READ = Reading.HEAD
cdef object WAITING = Writing.WAITING
cdef object IDLE = Phase.IDLE
cdef object IN_HEAD = Phase.HEAD
cdef object READ = 1  # of net/poller.py
cdef object NEVER = 0.0
cdef object YES = True  # a cast of the literal would be one of a number
cdef object plain_socket = sockets.socket
cdef Py_ssize_t large = LARGE
cdef Py_ssize_t most_made = MOST_MADE, many_ready = MANY_READY
cdef Py_ssize_t text_size = TEXT  # bytes of a request that are shown
cdef object answer_of = wsgi.answer_of


cdef inline double clock() noexcept nogil:
    """time.monotonic()"""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <double>(<long long>now.tv_sec * 1000000000 + now.tv_nsec) / 1e9


# --- the turn

cdef int show(object memory, bytes data) except -1:
    """InFlight.read(memory, 0, data)"""
    cdef Py_buffer view
    cdef Py_ssize_t size = min(PyBytes_GET_SIZE(data), text_size)
    PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
    if view.len >= text_size:
        memcpy(view.buf, PyBytes_AS_STRING(data), size)
        memset(<char*>view.buf + size, 0, text_size - size)
    PyBuffer_Release(&view)
    return 0


cdef enum:
    MOST_LOOKS = 128  # of one call of `watch`
    MOST_AT_ONCE = 1000  # further looks of `watch_closely` after one that finds a request


cdef class Given:
    """Instead of the function that reads: what was read, or the error."""

    cdef object data, error

    def __call__(self, connection):
        if self.error is not None:
            raise self.error
        return self.data


cdef Repeated again(object connection, object head):
    """What is known of this request, which has come on this connection immediately before."""
    cdef Repeated kept = get(connection, REPEATED)
    if kept is None or kept.head is not head:
        kept = Repeated.__new__(Repeated)
        kept.head = head
        put(connection, REPEATED, kept)
    return kept


cdef extern from *:
    """
    /* list.pop(), without giving the memory of an empty list back for the next append. */
    static inline void empty(PyObject *list) {
        Py_ssize_t last = Py_SIZE(list) - 1;
        PyObject *item = ((PyListObject *)list)->ob_item[last];
        Py_SET_SIZE((PyVarObject *)list, last);
        Py_DECREF(item);
    }
    """
    void empty(list of) noexcept


cdef inline object get_key(object exchange):
    return get(exchange, KEY) if type(exchange) is ServerExchange else exchange.key


cdef class Turn(Maker):
    """The steps of one engine, and what they use of it."""

    cdef object dispatcher, responder, prepare, closing, finish, crew, scheduler
    cdef object read_deferred, defer
    cdef object hold_back, ready, made, append_ready, append_made, take_ready, take_made, memory
    cdef object read_twin
    cdef dict connections
    cdef object handle  # of the gateway, with the next two
    cdef object gateway  # a WsgiGateway, if this is just its function
    cdef Lane lane  # of a DirectGateway, if this is just its function
    cdef object direct  # a DirectGateway, if `prepare` is just its function
    cdef dict shapes  # of a PathShapes, if `prepare` is just its function
    cdef Steps steps  # of an AsgiGateway
    cdef object body_reader
    cdef bint underscores
    cdef object extra
    cdef Call spare  # for the next request of a WSGI application
    cdef long long dispatched  # exchanges, which `watch` compares
    cdef double began  # the last of them
    cdef dict averages
    cdef double budget, worth, longest_hold
    cdef char* buffer
    cdef Py_ssize_t size, most_in_memory

    def __cinit__(self, engine, dispatcher, size):
        self.size = size
        self.buffer = <char*>PyMem_Malloc(size)
        if self.buffer == NULL:
            raise MemoryError

    def __init__(self, engine, dispatcher, size):
        responder, extra = dispatcher._responder, dispatcher._responder.extra
        if not (
            isinstance(dispatcher, DispatcherSlots)
            and isinstance(responder, ResponderSlots)
            and isinstance(extra, DefaultFields)
            and isinstance(dispatcher._crew, CrewSlots)
        ):
            raise TypeError("An engine is expected.")
        self.dispatcher = dispatcher
        self.responder = responder
        self.extra = extra
        self.prepare = engine._prepare
        self.read_twin = engine._read
        self.connections = engine.connections
        self.closing = engine._closing
        self.finish = dispatcher._finish
        self.hold_back = dispatcher.hold_back
        self.read_deferred = engine._read_deferred
        self.defer = engine._keep_alive.defer
        self.crew = dispatcher._crew
        self.scheduler = dispatcher._scheduler
        self.ready = dispatcher.ready
        self.made = dispatcher.made
        self.append_ready = self.ready.append
        self.append_made = self.made.append
        self.take_ready = self.ready.popleft
        self.take_made = self.made.popleft
        self.handle = self.gateway = self.lane = self.direct = None
        gateway = getattr(self.prepare, "__self__", None)
        if type(gateway) is PathShapes and self.prepare == PathShapes.prepare.__get__(gateway):
            self.shapes = gateway._keys
        if type(gateway) is DirectGateway:
            if self.prepare == DirectGateway.prepare.__get__(gateway):
                self.direct = gateway
        self.body_reader = engine._body_reader
        self.most_in_memory = engine.settings.spool_limit
        self.underscores = engine.settings.limits.underscore_fields
        self.memory = dispatcher._memory
        self.averages = dispatcher._averages
        self.budget = dispatcher._budget
        self.worth = dispatcher._worth
        self.longest_hold = dispatcher._longest_hold

    def __dealloc__(self):
        PyMem_Free(self.buffer)

    def read(self, connection):
        """Receive from a connection, and put an ordinary request into `ready`.

        None if that was done; else the bytes that have come. Raises OSError. Nothing has changed
        then. A request with a body has been prepared at most, which the twin does again.
        """
        return self.take(connection)

    def read_idle(self, lead, list events not None):
        """Read from the idle connections of `events` as the engine does; returns the others."""
        cdef Py_ssize_t i
        cdef list others = []
        cdef Given given
        for i in range(PyList_GET_SIZE(events)):
            event = <object>PyList_GET_ITEM(events, i)
            found = PyDict_GetItemWithError(
                self.connections, <object>PyTuple_GET_ITEM(event, 0)
            )
            if (
                found == NULL
                or type(<object>found) is not Connection
                or not has(<object>found, PHASE, IDLE)
            ):
                others.append(event)
                continue
            connection = <object>found
            given = None
            try:
                data = self.take(connection)
                if data is not None:
                    given = Given.__new__(Given)
                    given.data = data
            except OSError as error:
                given = Given.__new__(Given)
                given.error = error
            if given is not None:
                self.read_twin(lead, connection, False, given)
        return others

    cdef object take(self, object connection):
        """As `read`."""
        cdef Py_ssize_t body
        if type(connection) is not Connection:  # before its slots are read
            return connection.sock.recv(self.size)
        sock = get(connection, SOCK)
        if type(sock) is plain_socket:
            data = receive(sock, self.buffer, self.size)
        else:
            data = decrypt(sock, self.size)
        machine = get(connection, MACHINE)
        if (
            type(machine) is not Machine
            or not has(machine, READING, NOTHING_READ)
            or not has(connection, PHASE, IDLE)
        ):
            return data
        head = head_in(machine, data, &body)
        if head is None or type(head) is not RequestHead:
            return data
        return self.begin(connection, machine, head, data, body)

    def read_next(self, lead, connection):
        """As Engine._read_deferred: a request that has come behind another one."""
        cdef Py_ssize_t size
        cdef char* start
        cdef char* end
        cdef bytes part
        cdef Py_ssize_t body
        if type(connection) is Connection and has(connection, PHASE, IN_HEAD):
            machine = get(connection, MACHINE)
            if (
                type(machine) is Machine
                and has(machine, READING, SOME_READ)
                and has(machine, READER, None)
            ):
                buffer = get(machine, BUFFER)
                data = get(buffer, DATA)
                size = PyByteArray_GET_SIZE(data)
                start = PyByteArray_AS_STRING(data)
                end = <char*>memmem(start, size, b"\r\n\r\n", 4)
                if end != NULL:
                    size = end - start + 4
                    part = PyBytes_FromStringAndSize(start, size)
                    head = head_in(machine, part, &body)
                    if type(head) is RequestHead and body == NONE:
                        PySequence_DelSlice(data, 0, size)
                        put(buffer, SEARCHED, 0)
                        put(connection, PHASE, IDLE)
                        self.begin(connection, machine, head, part, NONE)
                        while self.ready:
                            exchange, part = self.take_ready()
                            self.run(lead, exchange, part)
                        return None
        self.read_deferred(lead, connection)

    cdef object begin(
        self, object connection, object machine, object head, bytes data, Py_ssize_t body
    ):
        """Put the request of this head into `ready`, and return None; else `data`."""
        cdef PyObject* found
        cdef Repeated kept = None
        if has(machine, HEAD, head):
            kept = again(connection, head)
        exchange = fresh(ServerExchange)
        context = PyContext_New()
        put(exchange, EXCHANGE_HEAD, head)
        put(exchange, CONNECTION, connection)
        put(exchange, RESPONDER, self.responder)
        put(exchange, CONTEXT, context)
        put(exchange, BODY, None)
        put(exchange, ENVIRON, None)
        put(exchange, KEY, None)
        put(exchange, MATCH, None)
        put(exchange, BEGAN, NEVER)
        if body == NONE:
            accept(machine, head)
        try:
            self.look(get(self.dispatcher, HANDLE))
            key = None
            if self.lane is not None and self.direct is not None:
                # In no context, since it runs no other code.
                match = self.lane.match_of(
                    get(head, METHOD), get(head, HOST), get(head, PATH)
                )
                if match is not None:
                    put(exchange, MATCH, match)
                    key = key_of(match)
            elif kept is not None and kept.key is not None:
                key = kept.key
            elif self.shapes is not None:  # PathShapes.prepare, for a path that it knows
                found = PyDict_GetItemWithError(
                    self.shapes, <str>get(head, METHOD) + <str>get(head, PATH)
                )
                if found != NULL:
                    key = <object>found
            if key is None:
                PyContext_Enter(context)
                try:
                    key = self.prepare(exchange)
                finally:
                    PyContext_Exit(context)
            put(exchange, KEY, key)
            if kept is not None and self.shapes is not None:  # it depends on the head only
                kept.key = key
            if body != NONE:
                if not self.may_have(exchange, machine, PyBytes_GET_SIZE(data) - body):
                    return data
                accept(machine, head)
        except BaseException as error:
            if body != NONE:
                if isinstance(error, Exception):
                    return data
                accept(machine, head)
            self.closing.fail_early(connection, exchange, error)
            return None
        if body != NONE:
            put(exchange, BODY, BytesIO(data[body:]))
            exchange.body_size = PyBytes_GET_SIZE(data) - body
        self.append_ready((exchange, data))
        return None

    cdef bint may_have(self, object exchange, object machine, Py_ssize_t size) except -1:
        """Whether the application is to get a body of this size, as BodyReader.begin decides."""
        gateway = self.body_reader._gateway
        limit = gateway.body_limit(exchange)
        if limit is None:
            limit = get(machine, LIMITS).body
        later = self.body_reader._answers_later
        return (
            size <= <Py_ssize_t>limit
            and size <= self.most_in_memory
            and not gateway.wants_stream(exchange)
            and (later is None or not later(exchange))
        )

    def dispatch(self, lead, exchange, data=None, slow=False):
        """As Dispatcher.dispatch, for this request and for those in `ready`."""
        if slow:
            return self.dispatcher.dispatch(lead, exchange, data, slow)
        self.run(lead, exchange, data)
        while self.ready:
            exchange, data = self.take_ready()
            self.run(lead, exchange, data)

    cdef object run(self, object lead, object exchange, object data):
        """As Dispatcher.dispatch for a request that is not expected to be slow."""
        cdef double began, now
        if data is None or type(exchange) is not ServerExchange:
            return self.dispatcher.dispatch(lead, exchange, data)
        cdef PyObject* known = PyDict_GetItemWithError(self.averages, get(exchange, KEY))
        if known == NULL or <double>(<object>known) > self.budget:
            return self.dispatcher.dispatch(lead, exchange, data)
        cdef double average = <object>known
        connection = get(exchange, CONNECTION)
        if average != 0.0 and connection.corked is not None:
            connection.uncork()  # no response waits for a handler that may be slow
        cdef Call call = None
        cdef bint first_step = False
        show(self.memory, data)
        began = clock()
        put(exchange, BEGAN, began)
        cdef list slot = get(lead, SLOT) if type(lead) is Lead else lead.slot
        PyList_Append(slot, exchange)
        self.began = began
        self.dispatched += 1
        if not has(self.crew, ASLEEP, False):
            self.crew.wake_watcher()
        context = get(exchange, CONTEXT)
        head = get(exchange, EXCHANGE_HEAD)
        cdef bytes response_bytes = None
        answer = status = headers = body = close = None
        handle = get(self.dispatcher, HANDLE)
        try:
            self.look(handle)
            if (
                self.steps is not None
                and type(connection) is Connection
                and type(head) is RequestHead
            ):
                other = self.steps.context_for(exchange, head)
                if other is not None:
                    first_step = True
                    context = other
            elif (
                self.gateway is not None
                and self.lane is None
                and type(connection) is Connection
                and type(head) is RequestHead
                and get(head, TAIL)
            ):
                call = self.spare
                self.spare = None
                if call is None:
                    call = Call.__new__(Call)
                context = call.context_for(exchange)
            PyContext_Enter(context)
            try:
                if first_step:
                    answer = self.steps.run(exchange)
                elif self.lane is not None:
                    answer = self.lane.answer_to(exchange, head.method, get(exchange, MATCH))
                elif call is not None:
                    answer = call.run(
                        get(self.gateway, APP), exchange, head, connection, self.underscores
                    )
                    body = call.whole(answer)
                    if body is None:
                        call.let_go(exchange)
                        answer = answer_of(call, answer)
                        call = None
                if call is None and answer is None:
                    answer = handle(exchange)
            finally:
                PyContext_Exit(context)
            if call is not None:
                status, headers = call.status, call.headers
            elif first_step and type(answer) is bytes:
                response_bytes = <bytes>answer
            elif type(answer) is tuple and PyTuple_GET_SIZE(answer) == 4:
                status, headers, body, close = answer
            if response_bytes is not None:
                pass
            elif (
                close is None
                and type(body) is bytes
                and PyBytes_GET_SIZE(body) < large
                and has(self.responder, PLAIN, YES)
            ):
                extra = get(self.extra, LINES)
                if type(connection) is Connection:
                    machine = get(connection, MACHINE)
                else:
                    machine = connection.machine
                response_bytes = whole_response(machine, status, headers, body, extra)
                if response_bytes is None:
                    response_bytes = machine.whole_response(status, headers, body, extra)
                count = get(self.responder, COUNT)
                if count is not None:
                    count(exchange, status, PyBytes_GET_SIZE(body))
            else:
                if call is not None:
                    answer = (status, headers, body, None)
                response_bytes = self.dispatcher.answered(exchange, answer)
        except BaseException as error:
            response_bytes = None
            context.run(self.responder.fail, exchange, error)
        now = clock()
        if call is not None:
            if not response_bytes or not PyList_GET_SIZE(slot):
                call.let_go(exchange)
            elif call.is_free(exchange):
                self.spare = call
        if not PyList_GET_SIZE(slot):
            self.dispatcher.lost(exchange, response_bytes or b"", now - began)  # raises Deposed
        empty(slot)
        if average != 0.0 or now - began > self.worth:
            self.scheduler.ran_here(exchange, now - began)
        if response_bytes:
            self.append_made((exchange, response_bytes))
        else:
            self.finish(exchange, now)
        if self.ready and len(self.made) < most_made:
            known = PyDict_GetItemWithError(self.averages, get_key(self.ready[0][0]))
            if known != NULL and (
                <double>(<object>known) == 0.0
                or (
                    self.made
                    and len(self.ready) >= many_ready
                    and now - self.made[0][0].began + <double>(<object>known) <= self.longest_hold
                )
            ):
                return None
        while self.made:
            exchange, response_bytes = self.take_made()
            self.leave(exchange, response_bytes, now)
        return None

    def watch(self, list slot, bytearray look_again, double interval, int idle_looks):
        """Look at the slot of a leader at intervals, for the watcher, without the interpreter lock.

        LEADER_HELD: it was filled at two looks, and Turn.dispatch has not filled it in between, so
        it may have the same exchange. LEADER_IDLE: it was empty at so many looks. NOTHING_FOUND:
        the first byte of `look_again` is set, or enough time has passed. Only the size of the list
        is read, as one word, and it is the caller that decides by the exchange.
        """
        cdef timespec pause
        cdef long long before = -1, count
        cdef int looks, idle = 0, found = 0
        cdef PyObject* watched = <PyObject*>slot
        cdef const char* again = PyByteArray_AS_STRING(look_again)
        pause.tv_sec = <long>interval
        pause.tv_nsec = <long>((interval - <long>interval) * 1e9)
        with nogil:
            for looks in range(MOST_LOOKS):
                c_nanosleep(&pause, NULL)
                if again[0]:
                    break
                if list_size(watched):
                    idle = 0
                    count = self.dispatched
                    if count == before:
                        found = 1
                        break
                    before = count
                else:
                    before = -1
                    idle += 1
                    if idle > idle_looks:
                        found = 2
                        break
        return found

    def watch_closely(
        self,
        list slot,
        bytearray look_again,
        long thread_clock,
        double pause,
        double least,
        double most,
        int looks,
        int idle_looks,
    ):
        """Look at the slot of a leader like `watch`, for a request that waits.

        `thread_clock`: that of the leader, -1 if it is not known. `looks`: as many are made at
        most, a `pause` apart. Returns how many were made, and when the leader was found in a
        request that has waited for `least` seconds or lasted for `most`; -1.0 if it ran none at so
        many looks as `idle_looks`; otherwise 0.0.

        A look that finds a request is followed by others at once, until the leader computes or the
        request has waited for long enough: to sleep for so short a time would take longer, and cost
        as much. On a single processor, the leader runs when this thread yields.
        """
        cdef timespec duration
        cdef long long count, seen
        cdef int made = 0, idle = 0, _
        cdef double found = 0.0, now = 0.0, used = 0.0, since = 0.0, waited, end, before, used_before
        cdef PyObject* watched = <PyObject*>slot
        cdef const char* again = PyByteArray_AS_STRING(look_again)
        duration.tv_sec = <long>pause
        duration.tv_nsec = <long>((pause - <long>pause) * 1e9)
        seen = -1
        waited = 0.0  # seconds of the request `seen`, at least
        with nogil:
            set_slack(1)
            while made < looks and not again[0] and not found:
                c_nanosleep(&duration, NULL)
                made += 1
                end = 0.0  # of this look
                for _ in range(MOST_AT_ONCE):
                    before, used_before = now, used
                    # First the clocks: a request that begins meanwhile has waited for nothing.
                    now, used = clock(), computed(thread_clock)
                    count = self.dispatched
                    if not list_size(watched):
                        seen = -1
                        idle += 1
                        if idle > idle_looks:
                            found = -1.0
                        break
                    idle = 0
                    if count != seen:
                        seen = count
                        since = now
                        # It cannot have waited while the leader has computed, nor before it began.
                        waited = now - max(before, self.began) - (used - used_before)
                        if waited < 0.0 or not before:
                            waited = 0.0
                    else:
                        waited += now - before - (used - used_before)
                        if end and used - used_before > (now - before) / 2:
                            break  # the leader computes
                    if waited >= least or now - since >= most:
                        found = now
                        break
                    if not end:
                        end = now + 2 * least
                    elif now > end:
                        break
                    sched_yield()
            set_slack(0)
        return made, found

    cdef int look(self, object handle) except -1:
        """Find out whether the requests of this turn go to a WsgiGateway or a Lane, as they are."""
        if handle is self.handle:
            return 0
        owner = getattr(handle, "__self__", None)
        plain = type(owner) is WsgiGateway and handle == WsgiGateway.handle.__get__(owner)
        self.gateway = owner if plain else None
        self.lane = owner if type(owner) is Lane and handle == owner.handle else None
        if self.direct is not None and self.direct.lane is not self.lane:
            self.lane = None
        self.handle = handle
        self.steps = None
        if type(owner).__name__ == "AsgiGateway":  # without a module that loads asyncio
            from carboy.gateway.asgi import AsgiGateway

            if (
                type(owner) is AsgiGateway
                and handle == AsgiGateway.handle.__get__(owner)
                and type(getattr(owner, "state", None)) is dict
            ):
                self.steps = Steps(owner, self.responder, self.averages, self)
        return 0

    cdef bytes whole(self, object machine, object status, object headers, bytes body, bytes extra):
        return whole_response(machine, status, headers, body, extra)

    cdef int leave(self, object exchange, bytes response_bytes, double now) except -1:
        """Send a whole response, and make its connection ready for the next request."""
        if type(exchange) is not ServerExchange:
            return self.leave_unusual(exchange, response_bytes, now)
        connection = get(exchange, CONNECTION)
        if type(connection) is not Connection:
            return self.leave_unusual(exchange, response_bytes, now)
        machine = get(connection, MACHINE)
        if type(machine) is not Machine:
            return self.leave_unusual(exchange, response_bytes, now)
        body = get(exchange, BODY)
        if has(machine, READING, SOME_READ) and (
            self.holds_back(connection, machine, exchange, response_bytes, now)
            or self.hold_back(exchange, response_bytes, now)
        ):
            return 0
        if (
            push(connection, response_bytes)
            and has(machine, READING, NOTHING_READ)
            and (body is None or type(body) is BytesIO)
            and get(machine, EXCESS) == 0
            and get(connection, INTEREST) == READ  # not after it has waited
        ):
            put(connection, SINCE, now)
            if body is not None:
                body.close()
            put(exchange, ENVIRON, None)  # each would keep the other alive
            return 0
        self.finish(exchange, now)
        return 0

    cdef int leave_unusual(self, object exchange, bytes response_bytes, double now) except -1:
        """The same for an exchange, connection or machine of another class."""
        connection = exchange.connection
        if connection.machine.reading is SOME_READ:
            if self.hold_back(exchange, response_bytes, now):
                return 0
        connection.push(response_bytes)
        self.finish(exchange, now)
        return 0

    cdef bint holds_back(
        self, object connection, object machine, object exchange, bytes response_bytes, double now
    ) except -1:
        """Pipelining.hold_back for an ordinary GET that has come completely; else False."""
        cdef Py_ssize_t size
        cdef char* start
        if (
            not has(machine, MUST_CLOSE, False)
            or not has(machine, SHORT, False)
            or get(machine, EXCESS) != 0
            or not has(exchange, BODY, None)
            or not has(connection, AFTER_SENT, None)
            or not has(connection, UNSENT, None)
            or not has(connection, FILE, None)
            or not has(connection, BROKEN, False)
            or get(connection, INTEREST) != READ
        ):
            return False
        data = get(get(machine, BUFFER), DATA)
        size = PyByteArray_GET_SIZE(data)
        start = PyByteArray_AS_STRING(data)
        if size < 8 or memcmp(start, b"GET ", 4) or memmem(start, size, b"\r\n\r\n", 4) == NULL:
            return False
        corked = get(connection, CORKED)
        put(connection, CORKED, response_bytes if corked is None else <bytes>corked + response_bytes)
        put(exchange, ENVIRON, None)  # each would keep the other alive
        put(connection, PHASE, IN_HEAD)
        put(connection, SINCE, now)
        self.defer(connection)
        return True


cdef bint push(object connection, bytes data) except -1:
    """Connection.push of a connection of just that class."""
    cdef Py_ssize_t sent
    sock = get(connection, SOCK)
    if (
        not has(connection, UNSENT, None)
        or not has(connection, CORKED, None)
        or not has(connection, BROKEN, False)
    ):
        return connection.push(data)
    try:
        sent = send(sock, data) if type(sock) is plain_socket else encrypt(sock, data)
    except OSError:
        put(connection, BROKEN, True)
        return False
    if sent == PyBytes_GET_SIZE(data):
        return True
    connection.keep_rest(data, sent)
    return False
