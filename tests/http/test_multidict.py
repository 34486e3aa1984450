"""MultiDict and related classes, compared with Werkzeug."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import werkzeug.datastructures as theirs
from hypothesis import given
from hypothesis import strategies as st

import carboy.http as ours
from black_box import evaluated, outcome, plain
from carboy.http.exceptions import BadRequest, BadRequestKeyError

KEYS = st.sampled_from("abc")
VALUES = st.sampled_from(["1", "2", "x", None])
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=6)
# (method, arguments) of the changes
CALLS = st.one_of(
    st.tuples(st.sampled_from(["add", "__setitem__", "setdefault"]), st.tuples(KEYS, VALUES)),
    st.tuples(st.just("pop"), st.tuples(KEYS) | st.tuples(KEYS, VALUES)),
    st.tuples(st.sampled_from(["poplist", "__getitem__", "__delitem__", "get"]), st.tuples(KEYS)),
    st.tuples(st.just("setlist"), st.tuples(KEYS, st.lists(VALUES, min_size=1, max_size=3))),
    st.tuples(st.just("setlistdefault"), st.tuples(KEYS, st.just(["d", "e"]))),
    st.tuples(st.just("update"), st.tuples(PAIRS)),
    st.tuples(st.just("update"), st.tuples(st.dictionaries(KEYS, VALUES | st.lists(VALUES)))),
    st.tuples(st.sampled_from(["popitem", "popitemlist", "clear"]), st.just(())),
)


@given(PAIRS, st.lists(CALLS, max_size=12))
def test_sequences_of_changes_have_the_same_result_as_in_werkzeug(
    pairs: list[tuple[str, Any]], calls: list[tuple[str, tuple[Any, ...]]]
) -> None:
    mine, other = ours.MultiDict(pairs), theirs.MultiDict(pairs)
    for method, arguments in calls:
        mine_says = outcome(lambda: getattr(mine, method)(*arguments))
        assert mine_says == outcome(lambda: getattr(other, method)(*arguments))
        assert repr(mine) == repr(other)
        assert list(mine.lists()) == list(other.lists())


READS = [
    "m['a']",
    "m['zz']",
    "m.get('a', type=int)",
    "m.get('b', 5, int)",
    "m.get('zz', 5, int)",
    "m.get('a', type=lambda value: 1 / 0)",
    "m.get('a', 7, type=lambda value: {}['q'])",
    "m.getlist('a')",
    "m.getlist('a', int)",
    "m.getlist('b', type=int)",
    "m.getlist('zz')",
    "m.items()",
    "m.items(multi=True)",
    "m.values()",
    "m.lists()",
    "m.listvalues()",
    "list(m.keys())",
    "list(m)",
    "m.to_dict()",
    "m.to_dict(flat=False)",
    "len(m), 'a' in m, 'zz' in m, bool(m)",
    "m.copy(), type(m.copy())",
    "copy.copy(m), copy.deepcopy(m), m.deepcopy()",
    "copy.copy(m) is m",
    "pickle.loads(pickle.dumps(m))",
    "[pickle.loads(pickle.dumps(m, p)) for p in range(5)]",
    "dict(m)",
    "m | {'a': ['9'], 'n': '8'}",
    "type(m | {})",
    "m | [('a', 1)]",
    "{'a': 3} | m",
    "m == {'a': ['1', '2'], 'b': ['x']}",
    "m == m.copy()",
    "m != {}",
    "hash(m) == hash(m)",
    "m.__ior__([('a', '5')])",
    "m.__ior__(3)",
    "m.update(None)",
    "m.update(b=4)",
    "m.fromkeys(['a'], 1)",
    "m.setdefault('a', 1)",
    "m.setlistdefault('b')",
    "m.popitem()",
    "m.popitemlist()",
    "m.poplist('a')",
    "m.setlist('a', ())",
    "m.add('a', 'b')",
    "m.__delitem__('a')",
    "m.__setitem__('a', 'b')",
    "m.pop('a')",
    "m.pop('a', 1)",
    "m.clear()",
    "str(m)",
    "m.copy().add('a', 3), m",
]
MADE_OF = [
    "[('a', '1'), ('a', '2'), ('b', 'x')]",
    "{'a': ['1', '2'], 'b': 'x'}",
    "{'a': ('1', '2'), 'b': {'x'}, 'e': []}",
    "iter([('a', '1'), ('b', 'x'), ('a', '2')])",
]


def names(library: Any) -> dict[str, Any]:
    return {**{name: getattr(library, name) for name in EXPORTS}, "copy": copy, "pickle": pickle}


EXPORTS = [
    "CallbackDict",
    "CombinedMultiDict",
    "FileMultiDict",
    "ImmutableDict",
    "ImmutableList",
    "ImmutableMultiDict",
    "ImmutableTypeConversionDict",
    "MultiDict",
    "TypeConversionDict",
    "iter_multi_items",
]


@pytest.mark.parametrize("source", MADE_OF)
@pytest.mark.parametrize("kind", ["MultiDict", "ImmutableMultiDict"])
def test_every_method_returns_what_werkzeug_returns(kind: str, source: str) -> None:
    for read in READS:
        answers = []
        for library in (ours, theirs):
            m = eval(f"{kind}({source})", names(library))
            answers.append(evaluated(read, {**names(library), "m": m}) + plain(m))
        assert answers[0] == answers[1], read


@pytest.mark.parametrize(
    "expression",
    [
        "MultiDict(), MultiDict(None), MultiDict({}), MultiDict([])",
        "MultiDict(5)",
        "MultiDict(a=1)",
        "MultiDict([('a',)])",
        "MultiDict(MultiDict([('a', 1), ('a', 2)]))",
        "list(dict.items(MultiDict({'a': [1, 2]})))",
        "iter_multi_items({'a': [1, 2], 'b': (3,), 'c': {4}, 'd': frozenset([5]), 'e': 'xy'})",
        "iter_multi_items([(1, 2), (3, [4])])",
        "iter_multi_items(MultiDict({'a': [1, 2]}))",
        "hash(ImmutableMultiDict([('a', 1), ('b', 2)])) "
        "== hash(ImmutableMultiDict([('b', 2), ('a', 1)]))",
        "ImmutableMultiDict([('a', 1)]).copy()",
        "ImmutableMultiDict([('a', 1)]).__reduce_ex__(2)",
        "TypeConversionDict(a='1', b='x').get('a', type=int)",
        "TypeConversionDict(a='1', b='x').get('b', -1, int)",
        "TypeConversionDict(a='1').get('q', 3, int), TypeConversionDict(a='1').copy()",
        "TypeConversionDict(a='1')['zz']",
        "ImmutableTypeConversionDict(a='1').copy()",
        "ImmutableTypeConversionDict(a='1').update({})",
        "ImmutableDict(a=1), ImmutableDict(a=1).copy(), ImmutableDict(a=1) | {'b': 1}",
        "type(ImmutableDict(a=1) | {}), {'b': 1} | ImmutableDict(a=1)",
        "ImmutableDict(a=1).setdefault('a')",
        "ImmutableDict.fromkeys('ab', 1)",
        "hash(ImmutableDict(a=[1]))",
        "hash(ImmutableDict(a=1)) == hash(ImmutableDict(a=1))",
        "pickle.loads(pickle.dumps(ImmutableDict(a=1)))",
        "copy.deepcopy(ImmutableDict(a=[1]))",
        "ImmutableList([1, 2]), ImmutableList([1]) + [3], ImmutableList([1, 2])[:1]",
        "hash(ImmutableList([1, 2])) == hash((1, 2))",
        "pickle.loads(pickle.dumps(ImmutableList([1]))), copy.copy(ImmutableList([1]))",
        "ImmutableList([1]) == [1]",
        *[
            f"ImmutableList([1]).{call}"
            for call in (
                "append(1)",
                "__iadd__([1])",
                "__imul__(2)",
                "sort()",
                "reverse()",
                "pop()",
                "remove(1)",
                "insert(0, 1)",
                "extend([])",
                "__setitem__(0, 1)",
                "__delitem__(0)",
            )
        ],
        "CallbackDict({'a': 1}), CallbackDict(), CallbackDict([('a', 1)])",
        "CallbackDict({'a': 1}).pop('zz')",
        "CallbackDict({'a': 1}).copy(), copy.copy(CallbackDict({'a': 1}))",
        "copy.deepcopy(CallbackDict({'a': 1}))",
    ],
)
def test_an_expression_has_the_same_value_as_in_werkzeug(expression: str) -> None:
    assert evaluated(expression, names(ours)) == evaluated(expression, names(theirs))


COMBINED = (
    "CombinedMultiDict([MultiDict([('a', '1'), ('x', 'y')]), MultiDict([('a', '2'), ('b', 'x')])])"
)


@pytest.mark.parametrize(
    "expression",
    [
        "c",
        "c['a'], c.get('a', type=int), c.get('x', 5, int), c.get('zz'), c.get('zz', 1)",
        "c['zz']",
        "c.getlist('a'), c.getlist('a', type=int), c.getlist('b', type=int), c.getlist('zz')",
        "c.items()",
        "c.items(multi=True)",
        "c.values()",
        "c.lists()",
        "c.listvalues()",
        "len(c), 'a' in c, 'zz' in c, bool(c), bool(CombinedMultiDict())",
        "sorted(c.keys()), sorted(c), set(c.keys()) & {'a'}",
        "c.to_dict(), c.to_dict(flat=False)",
        "c.copy(), type(c.copy()), copy.copy(c)",
        "c | {'z': 1}",
        "pickle.loads(pickle.dumps(c))",
        "c.fromkeys([])",
        "c == c, c == CombinedMultiDict(c.dicts), CombinedMultiDict((MultiDict(),)).dicts",
        "hash(c) == hash(CombinedMultiDict(c.dicts))",
        *[
            f"c.{call}"
            for call in (
                "add('a', 1)",
                "__setitem__('a', 1)",
                "__delitem__('a')",
                "pop('a')",
                "popitem()",
                "poplist('a')",
                "popitemlist()",
                "setdefault('a')",
                "setlist('a', [])",
                "setlistdefault('a')",
                "update({})",
                "clear()",
                "__ior__({})",
            )
        ],
    ],
)
def test_combined_dicts_return_what_werkzeug_returns(expression: str) -> None:
    answers = []
    for library in (ours, theirs):
        available = names(library)
        answers.append(evaluated(expression, {**available, "c": eval(COMBINED, available)}))
    assert answers[0] == answers[1]


CHANGES = [
    "d.__setitem__('a', 2)",
    "d.__setitem__('b', 2)",
    "d.pop('a')",
    "d.pop('zz', None)",
    "d.setdefault('a', 5)",
    "d.setdefault('z', 5)",
    "d.update(q=1)",
    "d.update({'q': 1}, r=2)",
    "d.update()",
    "d.popitem()",
    "d.clear()",
    "d.__ior__({'a': 3})",
    "d.__delitem__('a')",
]


@given(st.lists(st.sampled_from(CHANGES), max_size=6))
def test_a_callback_dict_reports_the_same_changes_as_in_werkzeug(changes: list[str]) -> None:
    logs: list[list[str]] = []
    for library in (ours, theirs):
        log: list[str] = []
        d = library.CallbackDict({"a": 1}, lambda value, log=log: log.append(repr(value)))
        for change in changes:
            log.append(evaluated(change, {"d": d}))
        logs.append(log)
    assert logs[0] == logs[1]


def test_a_missing_key_is_a_key_error_and_a_bad_request() -> None:
    for multi in (ours.MultiDict(), ours.CombinedMultiDict(), ours.ImmutableMultiDict()):
        with pytest.raises(BadRequestKeyError) as raised:
            multi["name"]
        assert isinstance(raised.value, KeyError)
        assert isinstance(raised.value, BadRequest)
        assert raised.value.args == ("name",)


def test_getlist_returns_a_copy() -> None:
    multi = ours.MultiDict([("a", 1)])
    multi.getlist("a").append(2)
    assert multi.getlist("a") == [1]


def test_setlistdefault_returns_the_list_of_the_dict() -> None:
    multi = ours.MultiDict()
    multi.setlistdefault("a").append(2)
    assert multi["a"] == 2


def test_copying_and_pickling_keep_the_subclass() -> None:
    multi = Sub([("a", 1), ("a", 2)])
    for copied in (multi.copy(), copy.deepcopy(multi), pickle.loads(pickle.dumps(multi))):
        assert type(copied) is Sub
        assert copied.getlist("a") == [1, 2]


class Sub(ours.MultiDict):  # type: ignore[type-arg]
    pass


# intentional differences


def test_a_dict_can_be_added_to_itself_while_werkzeug_loops() -> None:
    multi = ours.MultiDict([("a", 1), ("b", 2)])
    multi.update(multi)
    assert multi == {"a": [1, 1], "b": [2, 2]}


def test_a_key_with_an_empty_list_is_skipped_while_werkzeug_raises_index_error() -> None:
    multi = ours.MultiDict({"a": [1]})
    multi.setlistdefault("b")
    assert list(multi.items()) == [("a", 1)]
    assert list(multi.values()) == [1]
    assert multi.to_dict() == {"a": 1}
    assert multi.to_dict(flat=False) == {"a": [1], "b": []}


def test_clearing_an_immutable_list_is_refused_while_werkzeug_clears_it() -> None:
    fixed = ours.ImmutableList([1])
    with pytest.raises(TypeError, match="copy"):
        fixed.clear()
    assert fixed == [1]


def test_combined_dicts_compare_their_content_unlike_in_werkzeug() -> None:
    combined = ours.CombinedMultiDict([ours.MultiDict([("a", 1)])])
    assert combined != {}
    assert combined != ours.CombinedMultiDict()
    assert combined == ours.MultiDict([("a", 1)])


def test_combined_dicts_keep_the_order_of_keys_and_can_be_deep_copied() -> None:
    first = ours.MultiDict([("z", []), ("a", 1)])
    combined = ours.CombinedMultiDict([first, ours.MultiDict([("b", 2)])])
    assert list(combined) == ["z", "a", "b"]
    copied = copy.deepcopy(combined)
    copied["z"].append(1)
    assert combined["z"] == []
