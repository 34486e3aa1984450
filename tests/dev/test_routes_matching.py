"""The rule that matches a request and the reason; always the rule that the map finds."""

from __future__ import annotations

from typing import Any

import flask
import pytest
import werkzeug.routing
from hypothesis import given
from hypothesis import strategies as st

import carboy
from carboy.dev.routes.matching import lines_for, matched, of_app
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
        (
            "/notes/3",
            "note",
            {"save": "only allows POST", "named": "tried later", "page": "variable"},
        ),
        ("/about", "page", {}),
    ],
)
def test_rules_that_do_not_win_have_a_reason(
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
def test_a_request_without_a_matching_rule_has_an_outcome(url_map: Any) -> None:
    assert "redirect to http://localhost/notes/" in matched(url_map, "GET", "/notes").outcome
    assert "405: the path only allows GET, HEAD" in matched(url_map, "PUT", "/notes/new").outcome
    only = type(url_map)([type(next(url_map.iter_rules()))("/a", endpoint="a")])
    assert lines_for(matched(only, "GET", "/b"), "GET", "/b") == [
        "GET /b",
        "  ✗ 404: no rule matches",
    ]


@pytest.mark.parametrize("kind", [MAP, THEIRS], ids=["carboy", "werkzeug"])
def test_websocket_rules_match_handshakes_only(kind: Any) -> None:
    rule = type(next(kind.iter_rules()))
    rules = [rule("/a", endpoint="a"), rule("/ws/<x>", endpoint="ws", websocket=True)]
    url_map = type(kind)(rules)
    found = matched(url_map, "WEBSOCKET", "/ws/1")
    assert found.winner is not None
    assert (found.winner.rule.endpoint, found.winner.values) == ("ws", {"x": "1"})
    assert matched(url_map, "GET", "/ws/1").outcome == "400: the path is only for WebSocket"
    assert matched(url_map, "WEBSOCKET", "/a").outcome == "400: the path is not for WebSocket"


def test_of_two_equal_rules_the_first_wins() -> None:
    twice = Map([Rule("/a", endpoint="one"), Rule("/a", endpoint="two")])
    lines = lines_for(matched(twice, "GET", "/a"), "GET", "/a")
    assert lines[2:] == ["  · /a → two", "      was added later"]


def test_the_nearest_rule_is_suggested_if_no_rule_matches() -> None:
    assert matched(MAP, "GET", "/").winner is not None
    only = Map([Rule("/notes/<int:n>", endpoint="note"), Rule("/about", endpoint="about")])
    assert matched(only, "GET", "/note/3").outcome == (
        "404: no rule matches; the nearest is /notes/<int:n>"
    )


@pytest.mark.parametrize("kind", [carboy.Flask, flask.Flask], ids=["carboy", "flask"])
def test_the_host_of_an_address_counts(kind: Any) -> None:
    app = kind("shop", subdomain_matching=True)
    app.config["SERVER_NAME"] = "shop.example:8000"
    app.add_url_rule("/", "home", str)
    app.add_url_rule("/", "office", str, subdomain="admin")
    for url, line in [
        ("/", "→ home"),
        ("http://shop.example:8000/", "→ home"),
        ("http://admin.shop.example:8000/?a=b", "→ office"),
        ("http://admin.shop.example/", "→ office"),
        ("http://www.shop.example:8000/", "404"),
        ("http://other.example/", "404"),
    ]:
        assert line in "\n".join(of_app(app, "GET", url)), url


@pytest.mark.parametrize("kind", [carboy.Flask, flask.Flask], ids=["carboy", "flask"])
def test_hosts_are_matched_with_host_matching(kind: Any) -> None:
    app = kind("shop", host_matching=True, static_host="a.example")
    app.add_url_rule("/", "there", str, host="a.example")
    assert "→ there" in "\n".join(of_app(app, "GET", "http://a.example/"))
    assert "404" in "\n".join(of_app(app, "GET", "http://b.example/"))


PATHS = st.lists(st.sampled_from(["notes", "new", "3", "x", ""]), max_size=4).map("/".join)


@given(PATHS, st.sampled_from(["GET", "POST", "HEAD", "PUT"]))
def test_the_winner_is_the_rule_that_the_map_finds(path: str, method: str) -> None:
    found = matched(MAP, method, f"/{path}")
    try:
        rule, values = MAP.bind("localhost").match(f"/{path}", method, return_rule=True)
    except HTTPException:
        assert found.winner is None
        assert found.outcome
    else:
        assert found.winner is not None
        assert (found.winner.rule, found.winner.values) == (rule, values)
