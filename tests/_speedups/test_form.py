"""The compiled function that splits forms: the same pairs as its twin, or None."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _speedups.twins import compiled
from carboy.http.containers import multidict
from carboy.http.containers.multidict import ImmutableMultiDict
from carboy.http.forms import urlencoded as python

twin = compiled("form")

PIECES = st.sampled_from(
    [b"a", b"bc", b"=", b"&", b"+", b"%41", b"%4a", b"%4A", b"%7f", b"%80", b"%C3%BC", b"%", b"%4",
     b"%4g", b"%g4", b"%00", b"%26", b"%3D", b"%2B", b"%25", b"\xc3\xbc", b"\xff", b"\0", b"\n"]
)  # fmt: skip
BODIES = st.lists(PIECES).map(b"".join) | st.binary(max_size=40)


@given(BODIES)
@example(b"name=Ada+Lovelace&email=ada%40example.org&a&=b&&c==d&e=%3d%2526")
@example(b"a=%2")
@example(b"a=%2&b=1")
@example(b"a%2=5")
def test_both_make_the_same_pairs(body: bytes) -> None:
    pairs = twin.ordinary_pairs(body)
    if pairs is not None:
        assert pairs == python._pairs(body.decode())


@given(st.text(st.characters(max_codepoint=127)))
def test_text_of_ascii_is_ordinary(text: str) -> None:
    body = python.encode_pairs([("name", text), (text, "value")]).encode()
    assert twin.ordinary_pairs(body) == [("name", text), (text, "value")]


@pytest.mark.parametrize(
    "body", [b"a=\xc3\xbc", b"a=%C3%BC", b"a=%zz", b"%=a", b"a=%4", bytearray(b"a=b"), "a=b", None]
)
def test_everything_else_is_left_to_the_twin(body: Any) -> None:
    assert twin.ordinary_pairs(body) is None


def test_forms_and_queries_are_split_by_the_compiled_function() -> None:
    if python.speedups.reason:
        pytest.skip(f"The Python twins run: {python.speedups.reason}.")
    assert python._ordinary_pairs is twin.ordinary_pairs
    assert multidict._compiled_dict is twin.grouped
    python.speedups.hold("a test")
    try:
        assert python._ordinary_pairs is None
        assert multidict._compiled_dict is None
        assert python.parse_form(b"a=%41") == [("a", "A")]
    finally:
        python.speedups.release("a test")
    assert python.parse_query(b"a=%41&b=\xff") == [("a", "A"), ("b", "%FF")]


@given(st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2)), max_size=9))
def test_both_make_the_same_dict_of_pairs(pairs: list[tuple[str, str]]) -> None:
    found = twin.grouped(pairs, ImmutableMultiDict)
    assert type(found) is ImmutableMultiDict
    assert found == ImmutableMultiDict(pairs)
    assert list(found.lists()) == list(ImmutableMultiDict(pairs).lists())


def test_a_dict_of_pairs_needs_names_that_can_be_hashed_and_pairs() -> None:
    for wrong in ([([], 1)], [(1, 2, 3)], [1]):
        with pytest.raises((TypeError, ValueError)):
            twin.grouped(wrong, ImmutableMultiDict)
    with pytest.raises(TypeError):
        twin.grouped(None, ImmutableMultiDict)
