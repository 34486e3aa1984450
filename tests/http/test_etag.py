"""Entity tags and conditions, compared with Werkzeug."""

from __future__ import annotations

import itertools
import pickle
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import werkzeug.datastructures as their_structures
import werkzeug.http as theirs
from hypothesis import given
from hypothesis import strategies as st

import carboy.http as ours
from black_box import outcome

FIELDS = st.text('ab"W/w, *\t', max_size=14)


@given(FIELDS)
def test_fields_are_parsed_as_in_werkzeug(field: str) -> None:
    mine, other = ours.parse_etags(field), theirs.parse_etags(field)
    # Werkzeug reads the empty tag `""` as None. It is a valid tag.
    expected = {"" if tag is None else tag for tag in other.as_set(True)}
    if field.strip(" \t") == "*":
        assert mine.star_tag
        return
    assert mine.as_set(True) == expected
    assert mine.star_tag == other.star_tag
    assert len(mine) == len(other)
    for tag in "aWb*":
        for ask in ("is_weak", "is_strong", "contains", "contains_weak", "contains_raw"):
            assert getattr(mine, ask)(tag) == getattr(other, ask)(tag)


@given(FIELDS)
def test_a_tag_is_unquoted_as_in_werkzeug(tag: str) -> None:
    assert ours.unquote_etag(tag) == theirs.unquote_etag(tag)


@pytest.mark.parametrize("tag", ["a", "", "a b", 'a"b', "é"])
@pytest.mark.parametrize("weak", [True, False])
def test_a_tag_is_quoted_as_in_werkzeug(tag: str, weak: bool) -> None:
    assert outcome(lambda: ours.quote_etag(tag, weak)) == outcome(
        lambda: theirs.quote_etag(tag, weak)
    )


@given(st.binary(max_size=50))
def test_a_tag_is_computed_as_in_werkzeug(data: bytes) -> None:
    assert ours.generate_etag(data) == theirs.generate_etag(data)


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"strong_etags": ["a"]},
        {"weak_etags": ["a"]},
        {"strong_etags": ["a"], "weak_etags": ["b"]},
        {"star_tag": True},
        {"strong_etags": ["a"], "weak_etags": ["b"], "star_tag": True},
    ],
)
def test_the_methods_of_etags_return_what_werkzeug_returns(made: dict[str, Any]) -> None:
    mine, other = ours.ETags(**made), their_structures.ETags(**made)
    questions = [
        repr,
        str,
        bool,
        len,
        list,
        lambda tags: tags.as_set(),
        lambda tags: tags.as_set(True),
        lambda tags: tags("a"),
        lambda tags: tags("b", include_weak=True),
        lambda tags: tags("q"),
        lambda tags: tags(data=b"x"),
        lambda tags: tags(),
        lambda tags: "a" in tags,
        lambda tags: tags.contains_raw('W/"b"'),
        lambda tags: tags.to_header(),
        lambda tags: repr(pickle.loads(pickle.dumps(tags))),
        lambda tags: tags == tags,
    ]
    for ask in questions:
        assert outcome(lambda ask=ask: ask(mine)) == outcome(lambda ask=ask: ask(other))


def test_tags_keep_their_order() -> None:
    assert ours.parse_etags('"b", W/"z", "a", W/"c"').to_header() == '"b", "a", W/"z", W/"c"'


@pytest.mark.parametrize("evil", ['"' * 100_000, 'W/"' * 60_000, 'a"' * 90_000, "W/" * 90_000])
def test_parsing_is_linear_in_the_input(evil: str) -> None:
    started = time.process_time()
    ours.parse_etags(evil)
    assert time.process_time() - started < 5


# conditions

DATE = "Thu, 02 Jan 2020 03:04:05 GMT"
MOMENT = datetime(2020, 1, 2, 3, 4, 5)
MODIFIED = [None, MOMENT, MOMENT + timedelta(seconds=1), MOMENT + timedelta(microseconds=5)]
MODIFIED += [MOMENT - timedelta(seconds=1), MOMENT.replace(tzinfo=UTC), DATE, "x"]
TAGS = [None, '"a"', 'W/"a"', "a", ""]
CONDITIONS: list[dict[str, str]] = [
    {},
    {"HTTP_IF_NONE_MATCH": '"a"'},
    {"HTTP_IF_NONE_MATCH": 'W/"a"'},
    {"HTTP_IF_NONE_MATCH": '"b"'},
    {"HTTP_IF_NONE_MATCH": "*"},
    {"HTTP_IF_MATCH": '"a"'},
    {"HTTP_IF_MATCH": 'W/"a"'},
    {"HTTP_IF_MATCH": '"b"'},
    {"HTTP_IF_MATCH": '"b", "a"'},
    {"HTTP_IF_MODIFIED_SINCE": DATE},
    {"HTTP_IF_MODIFIED_SINCE": "x"},
    {"HTTP_IF_NONE_MATCH": '"b"', "HTTP_IF_MODIFIED_SINCE": DATE},
    {"HTTP_IF_NONE_MATCH": '"a"', "HTTP_IF_MODIFIED_SINCE": DATE},
    {"HTTP_IF_NONE_MATCH": '"a"', "HTTP_IF_MATCH": '"a"'},
    {"HTTP_RANGE": "bytes=0-1"},
    {"HTTP_IF_RANGE": '"a"'},
    {"HTTP_RANGE": "bytes=0-1", "HTTP_IF_RANGE": '"a"'},
    {"HTTP_RANGE": "bytes=0-1", "HTTP_IF_RANGE": '"b"'},
    {"HTTP_RANGE": "bytes=0-1", "HTTP_IF_RANGE": 'W/"a"'},
    {"HTTP_RANGE": "bytes=0-1", "HTTP_IF_RANGE": DATE},
    {"HTTP_RANGE": "bytes=0-1", "HTTP_IF_RANGE": DATE, "HTTP_IF_NONE_MATCH": '"a"'},
    {"HTTP_RANGE": "bytes=0-1", "HTTP_IF_RANGE": '"a"', "HTTP_IF_MODIFIED_SINCE": DATE},
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_condition_is_evaluated_as_in_werkzeug(
    condition: dict[str, str], method: str
) -> None:
    environ = {"REQUEST_METHOD": method, **condition}
    for etag, modified, ignore in itertools.product(TAGS, MODIFIED, (True, False)):
        answers = [
            library.is_resource_modified(environ, etag, None, modified, ignore)
            for library in (ours, theirs)
        ]
        assert answers[0] == answers[1], (etag, modified, ignore)


def test_either_data_or_a_tag_can_be_given() -> None:
    environ = {"REQUEST_METHOD": "GET", "HTTP_IF_NONE_MATCH": f'"{ours.generate_etag(b"x")}"'}
    assert ours.is_resource_modified(environ, data=b"x") is False
    assert ours.is_resource_modified(environ, data=b"y") is True
    with pytest.raises(TypeError, match="only one"):
        ours.is_resource_modified(environ, "a", b"x")


def test_if_match_with_a_star_matches_any_version_while_werkzeug_answers_412() -> None:
    """RFC 9110, section 13.1.1: `*` matches if there is a current representation."""
    environ = {"REQUEST_METHOD": "PUT", "HTTP_IF_MATCH": "*"}
    assert ours.is_resource_modified(environ, '"a"') is True
    assert theirs.is_resource_modified(environ, '"a"') is False
