"""Which rule wins and why: always the one that the map itself finds."""

from __future__ import annotations

from typing import Any

import pytest
import werkzeug.routing
from hypothesis import given
from hypothesis import strategies as st

from carboy.cli.matching import matched, told
from carboy.http.exceptions import HTTPException
from carboy.routing import Map, Rule

RULES = [
    ("/", "index", ["GET"]), ("/notes/", "notes", ["GET"]), ("/notes/new", "new", ["GET"]),
    ("/notes/<int:n>", "note", ["GET"]), ("/notes/<int:n>", "save", ["POST"]),
    ("/notes/<name>", "named", ["GET"]), ("/<path:page>", "page", ["GET"]),
]  # fmt: skip
MAP = Map([Rule(rule, endpoint=name, methods=methods) for rule, name, methods in RULES])


THEIRS = werkzeug.routing.Map(
    [werkzeug.routing.Rule(rule, endpoint=name, methods=methods) for rule, name, methods in RULES]
)


@pytest.mark.parametrize("url_map", [MAP, THEIRS], ids=["carboy", "werkzeug"])
@pytest.mark.parametrize(
    ("path", "winner", "others"),
    [
        ("/notes/new", "new", {"named": "has a variable where", "page": "has a variable where"}),
        ("/notes/3", "note", {"save": "is for POST", "named": "tried later", "page": "variable"}),
        ("/about", "page", {}),
    ],
)
def test_the_others_have_their_reasons(
    url_map: Any, path: str, winner: str, others: dict[str, str]
) -> None:
    found = matched(url_map, "GET", path)
    assert found.winner is not None
    assert found.winner.rule.endpoint == winner
    reasons = {each.rule.endpoint: each.why for each in found.others}
    assert reasons.keys() == others.keys()
    for endpoint, part in others.items():
        assert part in reasons[endpoint]


@pytest.mark.parametrize("url_map", [MAP, THEIRS], ids=["carboy", "werkzeug"])
def test_what_no_rule_answers_is_told(url_map: Any) -> None:
    assert "redirect to http://localhost/notes/" in matched(url_map, "GET", "/notes").outcome
    assert "405: the path is there, for GET, HEAD" in matched(url_map, "PUT", "/notes/new").outcome
    only = type(url_map)([type(next(url_map.iter_rules()))("/a", endpoint="a")])
    assert told(matched(only, "GET", "/b"), "GET", "/b") == ["GET /b", "  ✗ 404: no rule fits"]


def test_of_two_equal_rules_the_first_wins() -> None:
    twice = Map([Rule("/a", endpoint="one"), Rule("/a", endpoint="two")])
    assert "  · /a → two  was added later" in told(matched(twice, "GET", "/a"), "GET", "/a")


PATHS = st.lists(st.sampled_from(["notes", "new", "3", "x", ""]), max_size=4).map("/".join)


@given(PATHS, st.sampled_from(["GET", "POST", "HEAD", "PUT"]))
def test_the_winner_is_the_one_of_the_map(path: str, method: str) -> None:
    found = matched(MAP, method, f"/{path}")
    try:
        rule, values = MAP.bind("localhost").match(f"/{path}", method, return_rule=True)
    except HTTPException:
        assert found.winner is None
        assert found.outcome
    else:
        assert found.winner is not None
        assert (found.winner.rule, found.winner.values) == (rule, values)
