# cython: language_level=3, binding=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""URL matching in the default domain: the twin of `Map.lookup` and of routing/fast_path.py.

This module imports nothing of the package, so that a server of another application loads no routing:
app/lane.py hands over what it uses.
"""

from cpython.dict cimport PyDict_Copy, PyDict_GetItem
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_SIZE

from carboy._speedups.slots cimport get, has, slot_offset

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_FindChar(
        object text, Py_UCS4 char, Py_ssize_t start, Py_ssize_t end, int direction
    ) except -2
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef object FastPath, NOTHING, DIGITS, TEXT
cdef Py_ssize_t ALONE, FIXED, PREFIXES, START, ANSWERS, CHILDREN, EDGES, FINAL, KIND, NODE, SUFFIXED


cdef int use(object fast_path, object trie) except -1:
    """Take the classes and constants of these two modules. Before that, nothing is found."""
    global FastPath, NOTHING, DIGITS, TEXT, ALONE, FIXED, PREFIXES, START
    global ANSWERS, CHILDREN, EDGES, FINAL, KIND, NODE, SUFFIXED
    NOTHING, DIGITS, TEXT = trie.NOTHING, trie.DIGITS, trie.TEXT
    ALONE = slot_offset(fast_path.FastPath.alone)
    FIXED = slot_offset(fast_path.FastPath.fixed)
    PREFIXES = slot_offset(fast_path.FastPath.prefixes)
    START = slot_offset(fast_path.FastPath.start)
    ANSWERS = slot_offset(trie.Node.answers)
    CHILDREN = slot_offset(trie.Node.fixed)
    EDGES = slot_offset(trie.Node.edges)
    FINAL = slot_offset(trie.Edge.final)
    KIND = slot_offset(trie.Edge.kind)
    NODE = slot_offset(trie.Edge.node)
    SUFFIXED = slot_offset(trie.Edge.suffixed)
    FastPath = fast_path.FastPath
    return 0


cpdef object lookup(object tables, object method, str path):
    """As Map.lookup, but NOTHING for a path that leads nowhere. The path begins with a slash.

    None is for Map.lookup and Map.search: also while there are no tables.
    """
    cdef PyObject* found
    cdef Py_ssize_t slash, size = PyUnicode_GET_LENGTH(path)
    if type(tables) is not FastPath or has(tables, START, None):
        return None
    found = PyDict_GetItem(get(tables, FIXED), path)
    if found != NULL:
        found = rule_for(<object>found, method)
        if found != NULL:
            defaults = (<object>found).defaults
            return <object>found, PyDict_Copy(defaults) if defaults else {}
    slash = PyUnicode_FindChar(path, u"/", 0, size, -1)
    if slash < 0:
        return None
    found = PyDict_GetItem(get(tables, PREFIXES), path[:slash])
    if found == NULL:
        return walk(tables, method, path)
    # The variable at the end, as `step`.
    text = path[slash + 1 :]
    node = <object>found
    if PyDict_GetItem(get(node, CHILDREN), text) != NULL:
        return None
    for edge in <list>get(node, EDGES):
        raw = texts_of(edge, text)
        if raw is not None:
            return None if has(edge, SUFFIXED, True) else finish(get(edge, NODE), method, raw)
    return None


cdef object walk(object tables, object method, str path):
    """As `walk` and `leads_nowhere` of the twin."""
    cdef list segments = path.split("/")
    cdef list edges
    cdef PyObject* child
    cdef Py_ssize_t index, count = PyList_GET_SIZE(segments)
    cdef tuple raw = (), texts
    cdef bint sure = get(tables, ALONE)  # that no rule matches, if nothing is found
    if segments[0] or not segments[1]:
        return None
    node = get(tables, START)
    for index in range(1, count):
        segment = segments[index]
        edges = get(node, EDGES)
        if edges or not segment:
            sure = False
        child = PyDict_GetItem(get(node, CHILDREN), segment)
        if child != NULL:
            node = <object>child
            continue
        texts = None
        for edge in edges:
            text = "/".join(segments[index:]) if has(edge, FINAL, True) else segment
            texts = texts_of(edge, text)
            if texts is not None:
                break
        if texts is None:
            return NOTHING if sure else None
        if has(edge, SUFFIXED, True):
            return None
        raw += texts
        node = get(edge, NODE)
        if has(edge, FINAL, True):
            break
    return finish(node, method, raw)


cdef inline PyObject* rule_for(object answers, object method):
    cdef PyObject* rule = PyDict_GetItem(answers, method)
    return rule if rule != NULL else PyDict_GetItem(answers, None)


cdef inline tuple texts_of(object edge, str text):
    """As Edge.match."""
    if has(edge, KIND, DIGITS):
        return (text,) if text.isdecimal() else None
    if has(edge, KIND, TEXT):
        return (text,) if text else None
    return edge.match(text)


cdef object finish(object node, object method, tuple raw):
    """As `finish` of the twin."""
    cdef PyObject* found = rule_for(get(node, ANSWERS), method)
    cdef Py_ssize_t index
    cdef dict values = {}
    cdef tuple conversions, pair
    if found == NULL:
        return None
    rule = <object>found
    conversions = rule._conversions
    try:
        for index in range(min(PyTuple_GET_SIZE(raw), PyTuple_GET_SIZE(conversions))):
            pair = conversions[index]
            text, convert = raw[index], pair[1]
            values[pair[0]] = text if convert is None else convert(text)
    except ValueError:
        return None
    defaults = rule.defaults
    if defaults:
        values.update(defaults)
    return rule, values
