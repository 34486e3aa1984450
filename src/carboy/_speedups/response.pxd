# cython: language_level=3
"""What other compiled modules call of response.pyx."""


cdef bytes ordinary(object status, list headers, bytes body, bytes extra, Py_ssize_t size)
