# cython: language_level=3
"""Slots of Python classes, read and written where they are in memory, for all compiled modules.

`slot_offset` asks the class for the place. Each object is tested for being of just this class
before.
"""

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

cdef extern from "structmember.h":
    """
    CYTHON_UNUSED static Py_ssize_t slot_offset(PyObject *descriptor) {
        if (!Py_IS_TYPE(descriptor, &PyMemberDescr_Type)) {
            PyErr_SetString(PyExc_TypeError, "A slot is expected.");
            return -1;
        }
        PyMemberDef *member = ((PyMemberDescrObject *)descriptor)->d_member;
        if (member->type != T_OBJECT_EX) {
            PyErr_SetString(PyExc_TypeError, "A slot of __slots__ is expected.");
            return -1;
        }
        return member->offset;
    }
    CYTHON_UNUSED static PyObject *fresh(PyObject *cls) {
        static PyObject *nothing = NULL;
        if (nothing == NULL && (nothing = PyTuple_New(0)) == NULL)
            return NULL;
        return ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, nothing, NULL);
    }
    """
    Py_ssize_t slot_offset(object descriptor) except -1
    object fresh(object cls)  # cls.__new__(cls)


cdef inline object get(object of, Py_ssize_t offset):
    """The value of a slot that was set when the object was made."""
    return <object>(<PyObject**>(<char*><PyObject*>of + offset))[0]


cdef inline bint has(object of, Py_ssize_t offset, object value):
    """Whether the slot has this very value."""
    return (<PyObject**>(<char*><PyObject*>of + offset))[0] == <PyObject*>value


cdef inline void put(object of, Py_ssize_t offset, object value) noexcept:
    cdef PyObject** place = <PyObject**>(<char*><PyObject*>of + offset)
    cdef PyObject* before = place[0]
    Py_INCREF(value)
    place[0] = <PyObject*>value
    Py_XDECREF(before)
