# cython: language_level=3, freethreading_compatible=True, binding=True
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Attributes of a proxy such as `request`: the twin of `LocalProxy.__getattribute__` (http/local.py).

The object of `request` is found without a call of `find_request` (app/active.py), unless there is
none: then that function raises its error.
"""

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_XDECREF

from carboy._speedups.slots cimport slot_offset

cdef extern from "Python.h":
    int PyContextVar_Get(object variable, PyObject* default, PyObject** value) except -1
    unsigned int PyUnicode_READ_CHAR(object text, Py_ssize_t index)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bint PyObject_TypeCheck(object of, PyTypeObject* kind)

cdef object own_attribute = object.__getattribute__
cdef object LocalProxy = None
cdef object finder = None
cdef object variable = None
cdef Py_ssize_t FIND = 0


def prepare_proxy(proxy_class):
    """Take the class of proxies."""
    global LocalProxy, FIND
    FIND = slot_offset(proxy_class.__dict__["_get_current_object"])
    LocalProxy = proxy_class


def prepare_finder(find, context_variable):
    """Take a function that returns the attribute `request` of what a context variable has."""
    global finder, variable
    variable = context_variable
    finder = find


cdef object current(object proxy):
    """The object of a proxy."""
    cdef PyObject* find = NULL
    cdef PyObject* frame = NULL
    if LocalProxy is not None and PyObject_TypeCheck(proxy, <PyTypeObject*>LocalProxy):
        find = (<PyObject**>(<char*><PyObject*>proxy + FIND))[0]
    if find == NULL:  # not made by `__init__`, or not a proxy
        return own_attribute(proxy, "_get_current_object")()
    if find == <PyObject*>finder:
        PyContextVar_Get(variable, NULL, &frame)
        if frame != NULL:
            found = <object>frame
            Py_XDECREF(frame)
            try:
                return found.request
            except AttributeError:
                pass
    return (<object>find)()


def proxy_attribute(self, name):
    """As LocalProxy.__getattribute__."""
    if not isinstance(name, str):
        raise TypeError("The name of an attribute has to be text.")
    if not PyUnicode_GET_LENGTH(name) or PyUnicode_READ_CHAR(name, 0) != 95:
        return getattr(current(self), name)
    try:
        return own_attribute(self, name)
    except AttributeError:
        return getattr(current(self), name)

