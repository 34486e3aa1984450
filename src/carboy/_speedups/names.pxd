# cython: language_level=3
"""Comparison of names of header fields, for all compiled modules."""

ctypedef unsigned char byte


cdef inline bint is_name(const byte* p, const char* name, Py_ssize_t size) noexcept nogil:
    """Whether `size` bytes are this name in any case; it has lower-case letters and "-" only."""
    cdef Py_ssize_t i
    for i in range(size):
        # Of the bytes of a token, only letters become letters by this bit, and "-" has it. So has
        # CR as "-": a caller whose bytes are not a token has to check for CR.
        if (p[i] | 32) != <byte>name[i]:
            return False
    return True
