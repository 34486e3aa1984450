# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The direct lane of an application for ordinary requests: the twins of `prepare` and `handle`
(app/cycle.py).

Ordinary is a request in the default domain, in an application whose cycle is that of the package,
without receivers of signals, or one that no rule matches, if nothing takes part at all (the twin of
app/no_route.py). Everything else is done by the twins:

    before the view     they take the whole request
    after the view      `run` goes on with the value or the error of the view, as it does with those
                        of a view that was awaited

This module imports nothing of the package: app/lane.py, which loads it, hands over what it uses.
"""

from cpython.dict cimport PyDict_GetItem, PyDict_Size
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_GetSlice
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8String

from carboy._speedups.routes cimport lookup, use
from carboy._speedups.slots cimport fresh, get, has, put, slot_offset

cdef extern from "Python.h":
    """
    /* The error that was raised, as an `except` has it, but without a line in its traceback. */
    static PyObject *taken_error(void) {
        PyObject *kind, *error, *traceback;
        PyErr_Fetch(&kind, &error, &traceback);
        PyErr_NormalizeException(&kind, &error, &traceback);
        if (traceback != NULL) {
            PyException_SetTraceback(error, traceback);
            Py_DECREF(traceback);
        }
        Py_DECREF(kind);
        return error;
    }
    """
    object taken_error()
    object PyContextVar_Set(object variable, object value)
    int PyContextVar_Get(object variable, PyObject* default, PyObject** value) except -1
    int PyContextVar_Reset(object variable, object token) except -1
    PyObject* PyObject_CallNoArgs(object function)
    PyObject* PyObject_CallFunctionObjArgs(object function, ...)
    PyObject* PyObject_Call(object function, object arguments, object keywords)
    bint PyUnicode_IS_ASCII(object text)
    Py_UCS4 PyUnicode_READ_CHAR(object text, Py_ssize_t index)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    Py_ssize_t PyBytes_GET_SIZE(object data)

cdef tuple NO_ARGUMENTS = ()
cdef list NO_HOOKS = []
cdef object YES = True, NO = False  # a cast of the literals would be one of numbers

# --- what app/lane.py hands over

cdef object RequestContext, active, prepare_twin, handle_twin, run, raising, returning
cdef object release, session_to_refresh, missing_of, Search, NO_RULE, call_view, finish_pushed
cdef dict signals
cdef list LENGTHS
cdef object HTML
cdef Py_ssize_t APP, EXCHANGE, MATCH, METHOD, AFTER, OPENED, TOKENS, REQUEST, APP_CTX
cdef Py_ssize_t RULE, OTHER_PATH, ALLOWED, MISMATCH


def prepare(names):
    """Take the classes and functions of the twins, by their names."""
    global RequestContext, active, prepare_twin, handle_twin, run, raising, returning
    global release, session_to_refresh, missing_of, Search, NO_RULE, signals, LENGTHS, HTML
    global call_view, finish_pushed
    global APP, EXCHANGE, MATCH, METHOD, AFTER, OPENED, TOKENS, REQUEST, APP_CTX
    global RULE, OTHER_PATH, ALLOWED, MISMATCH
    RequestContext = names["RequestContext"]
    active = names["active"]
    use(names["fast_path"], names["trie"])
    prepare_twin, handle_twin, run = names["prepare"], names["handle"], names["run"]
    raising, returning = names["raising"], names["returning"]
    release, session_to_refresh = names["release"], names["session_to_refresh"]
    call_view, finish_pushed = names["call_view"], names["finish_pushed"]
    missing_of, Search, NO_RULE = names["missing_of"], names["Search"], names["NO_RULE"]
    signals, LENGTHS, HTML = names["signals"], names["LENGTHS"], names["HTML"]
    slots = names["slots"]
    APP, EXCHANGE = slot_offset(slots["app"]), slot_offset(slots["exchange"])
    MATCH, METHOD = slot_offset(slots["match"]), slot_offset(slots["method"])
    AFTER, OPENED = slot_offset(slots["_after"]), slot_offset(slots["_opened"])
    TOKENS, REQUEST = slot_offset(slots["_tokens"]), slot_offset(slots["_request"])
    APP_CTX = slot_offset(slots["_app_ctx"])
    RULE, OTHER_PATH = slot_offset(Search.rule), slot_offset(Search.other_path)
    ALLOWED, MISMATCH = slot_offset(Search.allowed), slot_offset(Search.mismatch)


cdef inline bint is_empty(PyObject* table):
    """Whether this is an empty dict (of that class or a subclass) or an empty list."""
    if table == NULL:
        return False
    if isinstance(<object>table, dict):
        return not PyDict_Size(<object>table)
    return type(<object>table) is list and not PyList_GET_SIZE(<object>table)


cdef inline bint may_be_true(object table, object key) except -1:
    """Whether a dict has a value of this key that is true."""
    cdef PyObject* value = PyDict_GetItem(table, key)
    return value != NULL and bool(<object>value)


cdef bint are_unheard() except -1:
    """Whether no signal of a request has a receiver."""
    if signals["request_started"].receivers or signals["request_finished"].receivers:
        return False
    for signal in signals["of_contexts"]:
        if signal:
            return False
    return True


cdef object key_of(object match):
    """The dispatch key of what `match_of` has found."""
    rule = <object>PyTuple_GET_ITEM(match, 0) if type(match) is tuple else get(match, RULE)
    return NO_RULE if rule is None else rule._key


cdef class Lane:
    """The direct lane of one application. `prepare` and `handle` are those of app/cycle.py.

    Threads change nothing but what is taken from a new plan, and `plan` last.
    """

    def __init__(self, app):
        self.app = app
        self.state = app.__dict__

    def prepare(self, exchange):
        """The dispatch key."""
        head = exchange.head
        match = None if head.upgrade else self.match_of(head.method, head.host, head.path)
        if match is None:
            return prepare_twin(self.app, exchange)
        exchange.match = match
        return key_of(match)

    def handle(self, exchange):
        """The answer."""
        return self.answer_to(exchange, exchange.head.method, exchange.match)

    cdef int adopt(self, object plan) except -1:
        """Take from a plan what requests need of it."""
        state = self.state
        config = plan.config
        views = state.get("view_functions")
        self.quick = (
            plan.quick
            and isinstance(config, dict)
            and type(config).__getitem__ is dict.__getitem__
            and isinstance(views, dict)
            and type(views).__getitem__ is dict.__getitem__
        )
        if self.quick:
            self.plan_state = plan.__dict__
            self.config = config
            self.views = plan.views
            self.before = plan.before
            self.url_map = self.app.url_map
            self.own_errors = not plan.stock_errors
            self.json = self.app.json
            self.own_json = dict not in plan.plain_types
        self.plan = plan
        return 0

    cdef object match_of(self, object method, object host, object path):
        """The rule and its values for a head without upgrade, or a Search; None: the twin searches.
        """
        cdef PyObject* found = PyDict_GetItem(self.state, "_plan_made")
        cdef PyObject* domain
        if found == NULL:
            return None
        if <PyObject*>self.plan != found:
            self.adopt(<object>found)
        if not self.quick or type(path) is not str or not path:
            return None
        found = PyDict_GetItem(self.config, "TRUSTED_HOSTS")
        if found != <PyObject*>None or PyDict_GetItem(self.plan_state, "trusted") != found:
            return None
        domains = <object>PyDict_GetItem(self.plan_state, "domains")
        domain = PyDict_GetItem(domains, host)
        if (
            domain == NULL
            or not PyUnicode_IS_ASCII(path)
            or "%" in <str>path
            or PyUnicode_READ_CHAR(path, 0) != u"/"
            or (PyUnicode_GET_LENGTH(path) > 1 and PyUnicode_READ_CHAR(path, 1) == u"/")
        ):
            return None
        tables = self.url_map._fast_path
        match = lookup(tables, method, path)
        if match is None and tables.start is not None:
            match = self.url_map.search(<object>domain, (<str>method).upper(), path)
        return match

    cdef bint has_teardown(self):
        """Whether teardown functions may have to be called."""
        return not (
            is_empty(PyDict_GetItem(self.state, "teardown_request_funcs"))
            and is_empty(PyDict_GetItem(self.state, "teardown_appcontext_funcs"))
        )

    cdef bint is_unhooked(self):
        """Whether no hook or teardown function can take part."""
        return (
            is_empty(PyDict_GetItem(self.state, "before_request_funcs"))
            and is_empty(PyDict_GetItem(self.state, "url_value_preprocessors"))
            and is_empty(PyDict_GetItem(self.state, "after_request_funcs"))
            and not self.has_teardown()
        )

    cdef list hooks_before(self):
        """The functions that are called before the view; None if `preprocess` has to find them."""
        cdef PyObject* table = PyDict_GetItem(self.state, "before_request_funcs")
        cdef PyObject* found
        cdef PyObject* known
        if not is_empty(PyDict_GetItem(self.state, "url_value_preprocessors")):
            return None
        if is_empty(table):
            return NO_HOOKS
        if table == NULL or not isinstance(<object>table, dict) or PyDict_Size(<object>table) != 1:
            return None
        found = PyDict_GetItem(<object>table, None)
        known = PyDict_GetItem(self.before, None)
        if found == NULL or known == NULL:
            return None
        if <object>PyTuple_GET_ITEM(<object>known, 0) != <object>found:
            return None
        return <list>PyTuple_GET_ITEM(<object>known, 1)

    cdef object answer_to(self, object exchange, object method, object match):
        cdef dict state = self.state
        cdef PyObject* found = PyDict_GetItem(state, "_plan_made")
        cdef PyObject* known
        cdef PyObject* views
        cdef PyObject* value = NULL
        if found == NULL:
            return handle_twin(self.app, exchange)
        plan = <object>found
        if self.plan is not plan:
            self.adopt(plan)
        if (
            not self.quick
            or match is None
            or PyDict_GetItem(state, "_got_first_request") != <PyObject*>YES
            or PyDict_GetItem(self.plan_state, "awaits") != <PyObject*>NO
            or not (PyDict_GetItem(signals, "loaded") == <PyObject*>NO or are_unheard())
        ):
            return handle_twin(self.app, exchange)
        if type(match) is not tuple:
            answer = self.answer_without_rule(exchange, method, match)
            return handle_twin(self.app, exchange) if answer is None else answer
        hooks = self.hooks_before()
        if hooks is None or method == "OPTIONS":
            return handle_twin(self.app, exchange)
        rule = <object>PyTuple_GET_ITEM(match, 0)
        values = <object>PyTuple_GET_ITEM(match, 1)
        endpoint = rule.endpoint
        views = PyDict_GetItem(state, "view_functions")
        found = PyDict_GetItem(<object>views, endpoint)
        known = PyDict_GetItem(self.views, endpoint)
        if (
            found == NULL
            or known == NULL
            or PyTuple_GET_ITEM(<object>known, 0) != found
            or (values and "filename" in values)  # perhaps a static file
        ):
            return handle_twin(self.app, exchange)
        view = <object>PyTuple_GET_ITEM(<object>known, 1)
        PyContextVar_Get(active, NULL, &value)
        if value != NULL and value != <PyObject*>None:
            Py_XDECREF(value)
            return handle_twin(self.app, exchange)
        Py_XDECREF(value)
        ctx = fresh(RequestContext)
        put(ctx, APP, self.app)
        put(ctx, EXCHANGE, exchange)
        put(ctx, MATCH, match)
        put(ctx, METHOD, method)
        put(ctx, AFTER, None)
        put(ctx, OPENED, None)
        put(ctx, TOKENS, None)
        put(ctx, REQUEST, None)
        put(ctx, APP_CTX, None)
        token = PyContextVar_Set(active, ctx)
        value = NULL
        for hook in hooks:
            value = PyObject_CallNoArgs(hook)
            if value != <PyObject*>None:
                break  # an answer or an error
            Py_XDECREF(value)
        if hooks:
            if value == <PyObject*>None:  # a hook may have changed the request
                value = PyObject_CallFunctionObjArgs(
                    call_view, <PyObject*>self.app, <PyObject*>plan, <PyObject*>ctx, NULL
                )
        elif values:
            value = PyObject_Call(view, NO_ARGUMENTS, values)
        else:
            value = PyObject_CallNoArgs(view)
        if value == NULL:
            return run(
                self.app, plan, ctx, exchange, None, None, (token, raising(taken_error()))
            )
        result = <object>value
        Py_XDECREF(value)
        answer = self.answer_of(ctx, result)
        if answer is None:
            return run(self.app, plan, ctx, exchange, None, None, (token, returning(result)))
        if self.has_teardown():
            finish_pushed(self.app, plan, ctx, token)
            return answer
        # What `run` does at its end, if nothing takes part in it.
        request = get(ctx, REQUEST)
        if request is not None:
            release(request)
        app_ctx = get(ctx, APP_CTX)
        if app_ctx is not None:
            app_ctx._cv_tokens.clear()
        PyContextVar_Reset(active, token)
        return answer

    cdef object answer_without_rule(self, object exchange, object method, object search):
        """As `answer` of app/no_route.py for a 404 without any hooks; else None."""
        cdef PyObject* handlers = PyDict_GetItem(self.state, "error_handler_spec")
        if (
            self.own_errors
            or not self.is_unhooked()
            or type(search) is not Search
            or not has(search, RULE, None)
            or not has(search, OTHER_PATH, None)
            or not has(search, MISMATCH, NO)
            or get(search, ALLOWED)
            or handlers == NULL
            or not isinstance(<object>handlers, dict)
            or PyDict_GetItem(self.config, "TRAP_HTTP_EXCEPTIONS") != <PyObject*>NO
            or (
                PyDict_GetItem(self.config, "SECRET_KEY") != <PyObject*>None
                and self.may_have_session(exchange)
            )
        ):
            return None
        handlers = PyDict_GetItem(<object>handlers, None)
        if handlers != NULL and (
            not isinstance(<object>handlers, dict)
            or may_be_true(<object>handlers, 404)
            or may_be_true(<object>handlers, None)
        ):
            return None
        made = missing_of(self.plan)
        if made is None:
            return None
        status, fields, body, _ = <tuple>made
        return status, PyList_GetSlice(fields, 0, PyList_GET_SIZE(fields)), (
            b"" if method == "HEAD" else body
        ), None

    cdef bint may_have_session(self, object exchange) except -1:
        """Whether the request may have a session cookie."""
        cdef PyObject* name = PyDict_GetItem(self.config, "SESSION_COOKIE_NAME")
        if name == NULL:
            return True
        mark = self.cookie_mark
        if mark is None or <PyObject*>PyTuple_GET_ITEM(mark, 0) != name:
            self.cookie_mark = mark = (<object>name, f"{<object>name}=".encode())
        return <object>PyTuple_GET_ITEM(mark, 1) in exchange.head.block

    cdef object answer_of(self, object ctx, object value):
        """As `answer_of` of the twin, for text, bytes and JSON that no code sees; else None."""
        config = self.config
        cdef PyObject* secret = PyDict_GetItem(config, "SECRET_KEY")
        cdef Py_ssize_t size
        content_type = HTML
        if (
            not has(ctx, AFTER, None)
            or not has(ctx, OPENED, None)
            or not has(ctx, TOKENS, None)
            or secret == NULL
            or not is_empty(PyDict_GetItem(self.state, "after_request_funcs"))
            or not (PyDict_GetItem(signals, "loaded") == <PyObject*>NO or are_unheard())
        ):
            return None
        try:
            if (
                secret != <PyObject*>None
                and self.may_have_session(get(ctx, EXCHANGE))
                and session_to_refresh(self.app, ctx)
            ):
                return None
            if type(value) is str:
                body = PyUnicode_AsUTF8String(value)
            elif type(value) is bytes:
                body = value
            elif (type(value) is dict or type(value) is list) and not self.own_json:
                text = self.json.dumps_compact(value, config["DEBUG"])
                body = PyUnicode_AsUTF8String(f"{text}\n")
                content_type = ("Content-Type", self.json.mimetype)
            else:
                return None
        except Exception:
            return None  # `run` raises the error again, and handles it
        size = PyBytes_GET_SIZE(body)
        if size < PyList_GET_SIZE(LENGTHS):
            length = <object>PyList_GET_ITEM(LENGTHS, size)
        else:
            length = ("Content-Length", str(size))
        if get(ctx, METHOD) == "HEAD":
            body = b""
        return "200 OK", [content_type, length], body, None
