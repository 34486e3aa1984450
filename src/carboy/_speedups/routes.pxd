# cython: language_level=3
"""What other compiled modules call of routes.pyx."""

cpdef object lookup(object tables, object method, str path)
