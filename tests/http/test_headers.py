"""Headers, EnvironHeaders and HeaderSet, compared with Werkzeug."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import werkzeug.datastructures as theirs
import werkzeug.http
from hypothesis import given
from hypothesis import strategies as st

import carboy.http as ours
from black_box import evaluated, outcome
from carboy.http.exceptions import BadRequestKeyError

NAMES = st.sampled_from(["A", "a", "B", "X-C", "x-c"])
VALUES = st.sampled_from(["1", "2", 3, None, "ä b"])
POSITIONS = st.integers(-3, 3)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
MAPPINGS = st.dictionaries(NAMES, VALUES | st.lists(st.sampled_from("xyz"), max_size=3))
CALLS = st.one_of(
    st.tuples(
        st.sampled_from(["add", "add_header", "set", "__setitem__", "setdefault"]),
        st.tuples(NAMES, VALUES),
    ),
    st.tuples(
        st.sampled_from(["remove", "__delitem__", "__getitem__", "get", "getlist", "get_all"]),
        st.tuples(NAMES),
    ),
    st.tuples(st.sampled_from(["setlist", "setlistdefault"]), st.tuples(NAMES, st.lists(VALUES))),
    st.tuples(st.just("pop"), st.tuples(NAMES) | st.tuples(NAMES, VALUES) | st.just(())),
    st.tuples(
        st.sampled_from(["pop", "__getitem__", "__delitem__"]), st.tuples(st.integers(-3, 3))
    ),
    st.tuples(st.just("__setitem__"), st.tuples(POSITIONS, st.tuples(NAMES, VALUES))),
    st.tuples(st.just("__setitem__"), st.tuples(st.just(slice(0, 1)), PAIRS)),
    st.tuples(st.sampled_from(["extend", "update", "__ior__"]), st.tuples(PAIRS | MAPPINGS)),
    st.tuples(st.just("__or__"), st.tuples(MAPPINGS)),
    st.tuples(st.sampled_from(["popitem", "clear", "copy", "to_wsgi_list"]), st.just(())),
)


@given(PAIRS, st.lists(CALLS, max_size=12))
def test_sequences_of_changes_have_the_same_result_as_in_werkzeug(
    pairs: list[tuple[str, Any]], calls: list[tuple[str, tuple[Any, ...]]]
) -> None:
    mine, other = ours.Headers(pairs), theirs.Headers(pairs)
    for method, arguments in calls:
        mine_says = outcome(lambda: getattr(mine, method)(*arguments))
        assert mine_says == outcome(lambda: getattr(other, method)(*arguments))
        assert repr(mine) == repr(other)
        assert str(mine) == str(other)


@given(PAIRS, PAIRS)
def test_equality_is_that_of_werkzeug(first: Any, second: Any) -> None:
    equal = ours.Headers(first) == ours.Headers(second)
    assert equal == (theirs.Headers(first) == theirs.Headers(second))


def names(library: Any) -> dict[str, Any]:
    available = {"copy": copy, "pickle": pickle}
    for name in ("Headers", "EnvironHeaders", "MultiDict", "HeaderSet"):
        available[name] = getattr(library, name)
    return available


H = "Headers([('Content-Type', 'text/plain'), ('X-A', '1'), ('x-a', '2')])"
E = (
    "EnvironHeaders({'HTTP_X_FOO': 'bar', 'CONTENT_TYPE': 'text/plain', 'CONTENT_LENGTH': '5',"
    " 'wsgi.input': 3, 'HTTP_CONTENT_TYPE': 'x', 'HTTP_CONTENT_LENGTH': '9', 'REMOTE_ADDR': 'x'})"
)


@pytest.mark.parametrize(
    "expression",
    [
        "Headers(), Headers(None), Headers({}), Headers([]), bool(Headers()), str(Headers())",
        "Headers({'a': 'b', 'c': ['d', 'e'], 'f': ('g',), 'h': {'i'}})",
        "Headers(MultiDict([('a', 1), ('a', 2)]))",
        f"Headers({H}), Headers({E})",
        "Headers(a='b')",
        "Headers([('a', 1), ('b', None), ('c', b'x'), ('d', 1.5), ('e', True), ('f', ['x'])])",
        "Headers([('a', 'b', 'c')])",
        f"{H}['content-type'], {H}['X-a'], {H}[0], {H}[-1], {H}[0:2], type({H}[0:2])",
        f"{H}['zz']",
        f"{H}[9]",
        f"{H}[None]",
        f"{H}.get('zz'), {H}.get('x-a', type=int), {H}.get('content-type', 5, type=int)",
        f"{H}.getlist('x-a', type=int), {H}.getlist('content-type', int), {H}.getlist('zz')",
        f"{H}.items(), {H}.items(lower=True), {H}.keys(), {H}.keys(lower=True), {H}.values()",
        f"'x-a' in {H}, 'zz' in {H}, len({H}), list({H})",
        f"{H} == [('a', 'b')], {H} == {{}}, {H} != 3",
        f"hash({H})",
        f"copy.copy({H}), copy.deepcopy({H}), pickle.loads(pickle.dumps({H})), {H}.copy() == {H}",
        f"{H} | [('A', 1)]",
        f"{H} | {H}",
        f"{H}.__or__(3), {H}.__ior__(3)",
        f"{H}.extend({{'a': 1}}, {{'b': 2}})",
        f"{H}.extend(None), {H}.update(None)",
        f"{H}.pop('zz')",
        f"{H}.insert",
        E,
        f"str({E}), len({E}), list({E}), {E}.to_wsgi_list()",
        f"{E}['x-foo'], {E}['X_FOO'], {E}.get('content-length', type=int), {E}.get('zz', 4)",
        f"'x-foo' in {E}, {E}.getlist('x-foo'), {E}.get_all('X-FOO')",
        f"{E}.keys(), {E}.items(lower=True), {E}.values(), bool({E}), bool(EnvironHeaders({{}}))",
        "EnvironHeaders({'CONTENT_TYPE': '', 'CONTENT_LENGTH': ''})",
        "EnvironHeaders({'CONTENT_TYPE': ''})['content-type']",
        "EnvironHeaders({'HTTP_': 'x', 'HTTP_FOO_BAR_': 'z', 'HTTP_host': 'z'})",
        f"{E} == {E}, {E} == Headers(list({E})), Headers(list({E})) == {E}",
        f"{E}[0]",
        f"hash({E})",
        f"copy.copy({E})",
        f"{E} | {{}}",
        "pickle.loads(pickle.dumps(EnvironHeaders({'HTTP_A': 'b'})))",
        "copy.deepcopy(EnvironHeaders({'HTTP_A': 'b'}))",
        *[
            f"{E}.{call}"
            for call in (
                "add('a', 'b')",
                "add('a', 'b', c='d')",
                "add_header('a', 'b')",
                "set('a', 'b')",
                "setlist('a', [])",
                "setlistdefault('a', [])",
                "setdefault('a', 'b')",
                "__setitem__('a', 'b')",
                "__delitem__('a')",
                "remove('a')",
                "pop('a')",
                "popitem()",
                "insert(0, 1)",
                "update({})",
                "extend({})",
                "__ior__({})",
            )
        ],
    ],
)
def test_an_expression_has_the_same_value_as_in_werkzeug(expression: str) -> None:
    assert evaluated(expression, names(ours)) == evaluated(expression, names(theirs))


@pytest.mark.parametrize(
    "call",
    [
        "h.add('X', 'q', foo='bar baz', max_age=3)",
        "h.add('X', 'q', foo=None)",
        "h.add('X', None, c='d')",
        "h.add('X', '', c='d')",
        "h.add('X', 'v', filename='fö.txt')",
        "h.add('X', 'v', c='')",
        "h.add('X', 'v', c='a\"b\\\\')",
        "h.add_header('X', 'v', a=True)",
        "h.set('X-A', 'v', a=1)",
        "h.extend({'A': ['5', '6']}, B='7')",
        "h.extend(a_b='7', c=['1', '2'])",
        "h.update(a_b='1', c=['3', '4'], d=5)",
        "h.update(x=())",
        "h.update(Headers([('X-A', '8'), ('X-A', '9')]))",
        "h.update(MultiDict([('X-A', '8'), ('X-A', '9')]))",
    ],
)
def test_keywords_become_parameters_or_fields_as_in_werkzeug(call: str) -> None:
    after = []
    for library in (ours, theirs):
        headers = eval(H, names(library))
        after.append((evaluated(call, {**names(library), "h": headers}), repr(headers)))
    assert after[0] == after[1]


@given(st.dictionaries(st.sampled_from(["HTTP_A", "HTTP_B_C", "CONTENT_TYPE", "x"]), st.text()))
def test_any_environ_is_read_as_in_werkzeug(environ: dict[str, str]) -> None:
    assert list(ours.EnvironHeaders(environ)) == list(theirs.EnvironHeaders(environ))


SET_CHANGES = [
    "s.add('a')",
    "s.add('new')",
    "s.discard('zz')",
    "s.discard('a')",
    "s.remove('c')",
    "s.remove('a')",
    "s.remove('zz')",
    "s.update(['q', 'A', 'r'])",
    "s.__setitem__(0, 't')",
    "s.__delitem__(0)",
    "s.__delitem__(9)",
    "s.clear()",
    "s.pop()",
    "s.find('B'), s.find('zz'), s[0], 'A' in s, s.as_set(), s.as_set(True), len(s), bool(s)",
    "s.index('zz')",
    "s | {'n'}",
    "s & {'a'}",
    "s - {'a'}",
    "s == {'a', 'c', 'x y'}",
    "hash(s)",
    "str(s), s.to_header(), list(s)",
]


@given(st.lists(st.sampled_from(SET_CHANGES), max_size=8))
def test_a_lower_case_header_set_changes_and_reports_as_in_werkzeug(changes: list[str]) -> None:
    logs: list[list[str]] = []
    for library in (ours, theirs):
        log: list[str] = []
        s = library.HeaderSet(["a", "c", "x y"], lambda value, log=log: log.append(repr(value)))
        for change in changes:
            log += [evaluated(change, {"s": s}), repr(s)]
        logs.append(log)
    assert logs[0] == logs[1]


@given(st.text('aB, "\\', max_size=12))
def test_a_header_set_is_parsed_as_in_werkzeug(value: str) -> None:
    assert repr(ours.parse_set_header(value)) == repr(werkzeug.http.parse_set_header(value))


def test_a_missing_name_is_a_key_error_and_a_bad_request() -> None:
    with pytest.raises(BadRequestKeyError):
        ours.Headers()["X"]


def test_the_wsgi_list_has_plain_tuples_of_text() -> None:
    headers = ours.Headers({"A": 1})
    headers.add("B", 2.5)
    headers["C"] = None
    headers.setlist("D", [1, 2])
    assert headers._list == [("A", "1"), ("B", "2.5"), ("C", "None"), ("D", "1"), ("D", "2")]
    assert all(type(field) is tuple for field in headers._list)


# intentional differences


@pytest.mark.parametrize("method", ["discard", "remove"])
def test_a_word_is_removed_in_any_case_unlike_in_werkzeug(method: str) -> None:
    words, others = ours.HeaderSet(["a", "B"]), theirs.HeaderSet(["a", "B"])
    getattr(words, method)("B")
    getattr(others, method)("B")
    assert words.to_header() == "a"
    assert ("B" in others, others.to_header()) == (False, "a, B")


WAYS_IN = [
    lambda headers, name, value: headers.add(name, value),
    lambda headers, name, value: headers.set(name, value),
    lambda headers, name, value: headers.setdefault(name, value),
    lambda headers, name, value: headers.setlist(name, ["ok", value]),
    lambda headers, name, value: headers.setlistdefault(name, [value]),
    lambda headers, name, value: headers.extend([(name, value)]),
    lambda headers, name, value: headers.extend({name: [value]}),
    lambda headers, name, value: headers.update({name: value}),
    lambda headers, name, value: headers.update([(name, value)]),
    lambda headers, name, value: headers.__setitem__(name, value),
    lambda headers, name, value: headers.__setitem__(0, (name, value)),
    lambda headers, name, value: headers.__setitem__(slice(0, 0), [(name, value)]),
    lambda headers, name, value: headers.__ior__({name: value}),
    lambda headers, name, value: headers | {name: value},
    lambda headers, name, value: ours.Headers([(name, value)]),
    lambda headers, name, value: ours.Headers({name: value}),
    lambda headers, name, value: headers.add(name, "v", option=value),
]


@pytest.mark.parametrize("way", WAYS_IN)
def test_a_control_character_in_a_value_is_refused(way: Any) -> None:
    """Werkzeug refuses CR and LF only (uvicorn CVE-2020-7695, gunicorn CVE-2018-1000164)."""
    for byte in [*range(9), *range(10, 32), 127]:
        headers = ours.Headers([("Here", "before")])
        value = f"a{chr(byte)}b"
        try:
            way(headers, "X-Name", value)
        except ValueError as error:
            assert "control character" in str(error), value
        else:
            pytest.fail(f"{value!r} is accepted")
        assert headers == ours.Headers([("Here", "before")]), value


@pytest.mark.parametrize("way", WAYS_IN)
def test_a_name_has_to_be_a_token_while_werkzeug_accepts_anything(way: Any) -> None:
    for name in ["X\r\nY", "X\nY", "X: Y", "X Y", "X\0", "", "é", "X\x7f", "(X)"]:
        headers = ours.Headers([("Here", "before")])
        for _ in range(2):  # a refused name must not be stored as valid
            with pytest.raises(ValueError, match="is not a header name"):
                way(headers, name, "value")
        assert headers == ours.Headers([("Here", "before")]), name


@pytest.mark.parametrize("name", [3, b"X", None])
def test_a_name_that_is_not_text_is_a_type_error(name: Any) -> None:
    with pytest.raises(TypeError, match="text"):
        ours.Headers().add(name, "value")


def test_a_value_may_contain_tabs_and_text_that_is_not_ascii() -> None:
    headers = ours.Headers([("X", "a\tb"), ("Y", "é\xa0☃")])
    assert headers["x"] == "a\tb"
    assert headers["y"] == "é\xa0☃"


def test_the_number_of_stored_valid_names_is_limited() -> None:
    from carboy.http.fields import headers as module

    for number in range(module.MAX_KNOWN_NAMES + 50):
        ours.Headers([(f"X-{number}", "v")])
    assert len(module._known_names) <= module.MAX_KNOWN_NAMES


@pytest.mark.parametrize("key", ["X-Missing", "content-type", "", 0, None, b"X"])
def test_a_header_missing_in_an_environ_raises_the_same_error(key: Any) -> None:
    raised = []
    for library in (ours, theirs):
        with pytest.raises(KeyError) as caught:
            library.EnvironHeaders({})[key]
        raised.append((type(caught.value).__name__, caught.value.args))
    assert raised[0] == raised[1]


def test_clearing_an_environ_view_is_refused_while_werkzeug_ignores_it() -> None:
    with pytest.raises(TypeError, match="copy"):
        ours.EnvironHeaders({}).clear()
