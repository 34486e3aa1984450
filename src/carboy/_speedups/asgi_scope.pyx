# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The scope of an ordinary HTTP request: the twin of `http_scope` (gateway/asgi_scope.py)."""

from cpython.dict cimport PyDict_Copy, PyDict_GetItem, PyDict_SetItem
from cpython.list cimport PyList_GET_SIZE, PyList_GetSlice
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM
from cpython.weakref cimport PyWeakref_NewRef

from carboy._speedups.slots cimport fresh, get, put, slot_offset

from carboy.protocol.events import RequestHead
from carboy.server.connection import Connection

cdef extern from "Python.h":
    object PyUnicode_AsLatin1String(object text)
    bint PyUnicode_IS_ASCII(object text)

cdef Py_ssize_t PEER = slot_offset(Connection.__dict__["peer"])
cdef Py_ssize_t SERVER = slot_offset(Connection.__dict__["server"])
cdef Py_ssize_t METHOD = slot_offset(RequestHead.method)
cdef Py_ssize_t MINOR = slot_offset(RequestHead.minor)
cdef Py_ssize_t PATH = slot_offset(RequestHead.path)

# Set by `load`: other applications do not need the module of the twin.
cdef object fields_of, decoded_path, RequestNames, FIELDS, NAMES
cdef dict first_scope, first_extensions, version
cdef tuple http_versions, plain_extensions
cdef Py_ssize_t EXCHANGE


cdef int load() except -1:
    """Take what `scope_of` uses of its twin."""
    global fields_of, decoded_path, RequestNames, FIELDS, NAMES
    global first_scope, first_extensions, version, http_versions, plain_extensions, EXCHANGE
    from carboy.gateway import asgi_scope

    fields_of, decoded_path = asgi_scope.fields_of, asgi_scope.decoded_path
    RequestNames, FIELDS, NAMES = asgi_scope.RequestNames, asgi_scope.FIELDS, asgi_scope.NAMES
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
