# cython: language_level=3
"""What other compiled modules call of routes.pyx."""

cdef int use(object fast_path, object trie) except -1
cpdef object lookup(object tables, object method, str path)
