"""Accept and related classes, compared with Werkzeug."""

from __future__ import annotations

import copy
import pickle
import re
import time
from typing import Any

import pytest
import werkzeug.datastructures as their_structures
import werkzeug.http as theirs
from hypothesis import example, given, settings
from hypothesis import strategies as st

import carboy.http as ours
from black_box import evaluated, outcome, plain
from carboy.http.fields.accept import MAX_ITEMS, _mime_parts

KINDS = ["Accept", "MIMEAccept", "LanguageAccept", "CharsetAccept"]
MEDIA = [
    "text/html",
    "text/plain",
    "TEXT/*",
    "*/*",
    "application/json",
    "application/xhtml+xml",
    "text/html;level=1",
    "text/html; level=2",
    "text/html;level=1;x=y",
    'a/b;x="y z"',
    "foo",
    "*/html",
    "*",
    "",
]
LANGUAGES = ["en", "en-US", "en_us", "de", "de-AT", "DE", "zh-Hant-TW", "zh", "*", "fr"]
CHARSETS = ["utf-8", "UTF8", "latin1", "iso-8859-1", "foo", "*", "ascii"]
WORDS = {"Accept": ["gzip", "br", "*", "GZIP", "x"], "MIMEAccept": MEDIA}
WORDS |= {"LanguageAccept": LANGUAGES, "CharsetAccept": CHARSETS}
QUALITIES = ["", "", ";q=1", ";q=0.5", ";q=0", "; q=0.8", ";q=0.8", ";Q=0.3", ";q=2", ";q=x"]
QUALITIES += [";q=-0", ";q=1.0", ';q="0.5"', ";q=.5", ";q=0.5;e=1", ";q=", ";q", ";q=1e-1"]


@st.composite
def fields(draw: Any) -> tuple[str, str, list[str]]:
    """(kind, field, offers)"""
    kind = draw(st.sampled_from(KINDS))
    word = st.sampled_from(WORDS[kind])
    items = draw(st.lists(st.tuples(word, st.sampled_from(QUALITIES)).map("".join), max_size=5))
    return kind, draw(st.sampled_from([",", ", "])).join(items), draw(st.lists(word, max_size=4))


def both(kind: str, field: str) -> tuple[Any, Any]:
    return (
        ours.parse_accept_header(field, getattr(ours, kind)),
        theirs.parse_accept_header(field, getattr(their_structures, kind)),
    )


@given(fields())
@settings(max_examples=300)
@example(("MIMEAccept", "text/html;q=0, */*", ["text/html", "a/b"]))
@example(("LanguageAccept", "es-ES, en;q=0", ["en", "es"]))
def test_fields_are_parsed_and_matched_as_in_werkzeug(case: tuple[str, str, list[str]]) -> None:
    kind, field, offers = case
    mine, other = both(kind, field)
    assert repr(mine) == repr(other)
    assert str(mine) == str(other)
    assert outcome(lambda: mine.best_match(offers, "d")) == outcome(
        lambda: other.best_match(offers, "d")
    )
    for offer in offers:
        for ask in ("quality", "find", "index", "__contains__", "__getitem__"):
            answers = [outcome(lambda a=a: getattr(a, ask)(offer)) for a in (mine, other)]
            assert answers[0] == answers[1], ask


@given(st.text('ab/*;q=0.5, "\\-', max_size=20))
def test_any_text_is_parsed_as_in_werkzeug(field: str) -> None:
    for kind in KINDS:
        mine, other = both(kind, field)
        assert repr(mine) == repr(other)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "*", "B"]), st.floats(0, 1)), max_size=5))
def test_values_are_sorted_as_in_werkzeug(values: list[tuple[str, float]]) -> None:
    assert repr(ours.Accept(values)) == repr(their_structures.Accept(values))


@pytest.mark.parametrize(
    "expression",
    [
        "a[0], a[0:2], type(a[0:2]), a[-1]",
        "a[9]",
        "list(a.values()), a.best, len(a), bool(a)",
        "a.find(('text/html', 0.7)), a.find(('q', 1))",
        "a.index(('q', 1))",
        "a.accept_html, a.accept_xhtml, a.accept_json",
        "a.append(1)",
        "copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a))",
        "type(a)(a), type(a)(None), type(a)()",
        "a == list(a)",
        "hash(a) == hash(type(a)(a))",
        "type(a)().best",
        "type(a)().best_match(['a/b'], 'c')",
        "a.best_match(iter(['a/b', 'text/html']))",
    ],
)
def test_the_methods_of_accept_return_what_werkzeug_returns(expression: str) -> None:
    field = "text/*;q=0.3, text/html;q=0.7, text/html;level=1, */*;q=0.5"
    answers = [
        evaluated(expression, {"a": a, "copy": copy, "pickle": pickle})
        for a in both("MIMEAccept", field)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "field",
    ["", "text/html", "application/xhtml+xml", "application/xml", "*/*", "application/json"],
)
def test_the_shortcuts_return_what_werkzeug_returns(field: str) -> None:
    mine, other = both("MIMEAccept", field)
    for name in ("accept_html", "accept_xhtml", "accept_json"):
        assert getattr(mine, name) == getattr(other, name)


def test_the_default_class_is_accept() -> None:
    assert plain(ours.parse_accept_header("a")) == plain(theirs.parse_accept_header("a"))
    assert ours.parse_accept_header(None) == []


def test_a_browser_gets_html_and_a_script_json() -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    offers = ["application/json", "text/html"]
    accept = ours.parse_accept_header(browser, ours.MIMEAccept)
    assert accept.best_match(offers) == "text/html"
    accept = ours.parse_accept_header("application/json", ours.MIMEAccept)
    assert accept.best_match(offers) == "application/json"


# intentional differences


def test_the_number_of_items_is_limited_unlike_in_werkzeug() -> None:
    field = ",".join(f"a/b{number}" for number in range(MAX_ITEMS + 10))
    mine, other = both("MIMEAccept", field)
    assert (len(mine), len(other)) == (MAX_ITEMS, MAX_ITEMS + 10)


def test_a_charset_that_breaks_the_codec_search_is_compared_as_text() -> None:
    accept = ours.parse_accept_header("utf-8", ours.CharsetAccept)
    assert accept.quality("a\0b") == 0


@pytest.mark.parametrize("text", [None, "", ",", "text/html;q=0.5"])
def test_provided_says_whether_the_header_was_sent(text: str | None) -> None:
    def provided(library: Any, structures: Any) -> tuple[bool, ...]:
        accept = library.parse_accept_header(text, structures.MIMEAccept)
        return accept.provided, structures.Accept(accept).provided, structures.Accept().provided

    assert provided(ours, ours) == provided(theirs, their_structures)


@pytest.mark.parametrize("space", [" ", "\t", " \t"])
def test_white_space_in_a_parameter_is_read_once(space: str) -> None:
    def seconds(size: int) -> float:
        value = 'a/b; c="' + space * (size // len(space)) + '"'
        found = []
        for _ in range(3):
            start = time.thread_time()
            ours.parse_accept_header(value, ours.MIMEAccept).best_match(["text/html"])
            found.append(time.thread_time() - start)
        return min(found)

    assert (
        seconds(32_000) < 0.25
    )  # takes a millisecond; a quadratic pattern took more than two seconds


@given(st.text("a/; \t"))
def test_the_parts_of_a_media_type_are_those_of_the_simple_pattern(text: str) -> None:
    assert _mime_parts(text) == re.split(r"/|\s*;\s*", text)
