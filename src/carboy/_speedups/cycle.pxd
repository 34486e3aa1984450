# cython: language_level=3
"""What other compiled modules call of cycle.pyx."""


cdef object key_of(object match)


cdef class Lane:
    cdef readonly object app
    cdef readonly dict state
    cdef object plan
    cdef bint quick
    cdef object config  # a dict, perhaps of a subclass with the same `__getitem__`
    cdef dict plan_state, views, before
    cdef object url_map, json
    cdef bint own_errors, own_json
    cdef tuple cookie_mark  # the name of the session cookie, and the bytes that tell it

    cdef int adopt(self, object plan) except -1
    cdef object match_of(self, object method, object host, object path)
    cdef object answer_to(self, object exchange, object method, object match)
    cdef object answer_without_rule(self, object exchange, object method, object search)
    cdef bint may_have_session(self, object exchange) except -1
    cdef object answer_of(self, object ctx, object value)
    cdef bint has_teardown(self)
    cdef bint is_unhooked(self)
    cdef list hooks_before(self)
