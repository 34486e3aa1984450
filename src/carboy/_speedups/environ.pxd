# cython: language_level=3
"""What other compiled modules call of environ.pyx."""

cdef object put_fields(dict environ, object head, bint underscores)
