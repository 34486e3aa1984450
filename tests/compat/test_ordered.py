"""OrderedMultiDict, compared with Werkzeug: the same changes have the same result."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
import werkzeug.datastructures
from hypothesis import given
from hypothesis import strategies as st

from carboy.compat import ordered
from carboy.http import MultiDict

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Ours = ordered._OrderedMultiDict
Frozen = ordered._ImmutableOrderedMultiDict
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    Theirs: Any = werkzeug.datastructures.OrderedMultiDict
    TheirFrozen: Any = werkzeug.datastructures.ImmutableOrderedMultiDict

keys = st.sampled_from("abc")
pairs = st.lists(st.tuples(keys, st.integers(0, 3)), max_size=8)
steps = st.one_of(
    st.tuples(st.sampled_from(["__getitem__", "__delitem__", "pop", "poplist", "getlist"]), keys),
    st.tuples(
        st.sampled_from(["__setitem__", "add", "setdefault", "setlistdefault", "get"]),
        keys,
        st.integers(0, 3),
    ),
    st.tuples(st.just("setlist"), keys, st.lists(st.integers(0, 3), max_size=3)),
    st.tuples(st.sampled_from(["popitem", "popitemlist", "copy", "__len__"])),
    st.tuples(st.just("update"), pairs),
    st.tuples(st.just("pop"), keys, st.none()),
)


def outcome(multi: Any, step: tuple[Any, ...]) -> Any:
    name, *arguments = step
    try:
        result = getattr(multi, name)(*arguments)
    except (KeyError, TypeError) as error:
        result = type(error).__name__
    if name == "copy":
        result = list(result.items(multi=True))
    return result, seen(multi)


def seen(multi: Any) -> Any:
    flat = (list(multi), list(multi.items()), list(multi.values()), multi.to_dict(flat=False))
    return list(multi.items(multi=True)), *flat, list(multi.lists()), list(multi.listvalues())


@given(pairs=pairs, steps=st.lists(steps, max_size=8))
def test_changes_have_the_same_result_as_in_werkzeug(pairs: Any, steps: Any) -> None:
    ours, theirs = Ours(pairs), Theirs(pairs)
    for step in steps:
        assert outcome(ours, step) == outcome(theirs, step)


@given(first=pairs, second=pairs)
def test_equality_is_that_of_werkzeug(first: Any, second: Any) -> None:
    assert (Ours(first) == Ours(second)) == (Theirs(first) == Theirs(second))
    assert (Ours(first) == MultiDict(second)) == (MultiDict(first) == Ours(second))
    assert (Frozen(first) == Frozen(second)) == (TheirFrozen(first) == TheirFrozen(second))
    if first == second:
        assert hash(Frozen(first)) == hash(Frozen(second))


def test_it_does_not_equal_a_plain_dict_or_another_object() -> None:
    assert Ours({"a": 1}) != {"a": [1]}
    assert Ours() != 1


PAIRS = [("a", 1), ("b", 2), ("a", 3)]


def test_clear_removes_all_pairs() -> None:
    multi = Ours(PAIRS)
    multi.clear()
    assert list(multi.items(multi=True)) == []


@pytest.mark.parametrize("kind", [Ours, Frozen])
def test_copies_keep_the_order(kind: Any) -> None:
    multi = kind(PAIRS)
    for made in (
        multi.copy(),
        multi.deepcopy(),
        copy.copy(multi),
        copy.deepcopy(multi),
        pickle.loads(pickle.dumps(multi)),
        kind(multi),
    ):
        assert list(made.items(multi=True)) == PAIRS
    assert multi | {"c": 4} == Ours([*PAIRS, ("c", 4)])


def test_the_immutable_dict_has_a_mutable_copy() -> None:
    multi = Frozen(PAIRS)
    assert type(multi.copy()) is Ours
    assert copy.copy(multi) is multi
    with pytest.raises(TypeError):
        multi.add("a", 4)


def test_the_state_is_restored() -> None:
    multi = Ours()
    multi.__setstate__(Ours(PAIRS).__getstate__())
    assert list(multi.items(multi=True)) == PAIRS


def test_the_repr_shows_the_order() -> None:
    assert repr(Ours(PAIRS)) == repr(Theirs(PAIRS))


@pytest.mark.parametrize("kind", [Ours, Frozen])
def test_creating_one_warns_at_the_callers_line(kind: Any) -> None:
    with pytest.warns(DeprecationWarning, match="MultiDict") as caught:
        kind()
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["OrderedMultiDict", "ImmutableOrderedMultiDict"])
def test_importing_one_warns(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=name):
        assert getattr(ordered, name).__name__ == f"_{name}"
    with pytest.raises(AttributeError, match="other"):
        _ = ordered.other
