"""Rules, maps, and building and matching URLs."""

from __future__ import annotations

from typing import Any

from table import case, row, rows
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BuildError, Map, RequestRedirect, Rule, WebsocketMismatch
from werkzeug.test import create_environ


def mapped(*rules: str, **options: Any) -> Map:
    return Map([Rule(text, endpoint="index", **options) for text in rules])


def bound(*rules: str, **options: Any) -> Any:
    return mapped(*rules, **options).bind("example.com")


row("rule without a slash", ValueError, "URL rule 'x' must start with a slash", lambda: Rule("x"))
row(
    "rule with text for methods",
    TypeError,
    "'methods' should be a list of strings",
    lambda: Rule("/x", methods="GET"),
)
row(
    "WebSocket rule with POST",
    ValueError,
    "WebSocket rules can only use",
    lambda: Rule("/x", methods=["POST"], websocket=True),
)
rows(
    ValueError,
    "malformed url rule: '/<",
    {
        "variable left open": lambda: mapped("/<a"),
        "variable with a space": lambda: mapped("/<a b>"),
        "variable without a name": lambda: mapped("/<>"),
        "converter left open": lambda: mapped("/<int(:a>"),
    },
)
row(
    "converter's arguments without a comma",
    ValueError,
    "Cannot parse converter argument",
    lambda: mapped("/<int(x y):a>"),
)
row(
    "unknown converter",
    LookupError,
    "the converter 'nope' does not exist",
    lambda: mapped("/<nope:a>"),
)


@case("rule of two maps", RuntimeError, "already bound to map")
def two_maps() -> None:
    rule = Rule("/x", endpoint="x")
    Map([rule])
    Map([rule])


row("rule compiled alone", AssertionError, "rule not bound", lambda: Rule("/x").compile())
row(
    "subdomain with host matching",
    RuntimeError,
    "host matching enabled and a subdomain was provided",
    lambda: Map(host_matching=True).bind("a", subdomain="b"),
)
row(
    "request for another server name",
    UserWarning,
    "Current server name 'localhost' doesn't match configured server name 'example.com'",
    lambda: mapped("/").bind_to_environ(create_environ(), server_name="example.com"),
)
row("no such path", NotFound, "404 Not Found", lambda: bound("/").match("/x"))
row(
    "no such method",
    MethodNotAllowed,
    "405 Method Not Allowed",
    lambda: bound("/", methods=["GET"]).match("/", "POST"),
)
row("slash missing", RequestRedirect, "308 Permanent Redirect", lambda: bound("/x/").match("/x"))
row(
    "WebSocket wanted",
    WebsocketMismatch,
    "400 Bad Request",
    lambda: bound("/x", websocket=True).match("/x"),
)
row(
    "unknown endpoint",
    BuildError,
    "Could not build url for endpoint 'x'",
    lambda: bound("/").build("x"),
)
row(
    "unknown endpoint with values",
    BuildError,
    "Could not build url for endpoint 'x' with values ['a', 'b']",
    lambda: bound("/").build("x", {"b": 1, "a": 2}),
)
row(
    "endpoint misspelt",
    BuildError,
    "Did you mean 'index' instead?",
    lambda: bound("/").build("indexx"),
)
row(
    "value missing",
    BuildError,
    "Did you forget to specify values ['v']?",
    lambda: bound("/<v>").build("index"),
)
row(
    "two values missing",
    BuildError,
    "Did you forget to specify values ['v', 'w']?",
    lambda: bound("/<w>/<v>").build("index"),
)
row(
    "method that no rule has",
    BuildError,
    "Could not build url for endpoint 'index' ('POST')",
    lambda: bound("/", methods=["GET"]).build("index", method="POST"),
)
row(
    "methods that the rule has",
    BuildError,
    "Did you mean to use methods ['GET', 'HEAD']?",
    lambda: bound("/", methods=["GET"]).build("index", method="POST"),
)
row(
    "word that any does not list",
    ValueError,
    "'c' is not one of 'a', 'b'",
    lambda: bound("/<any(a, b):v>").build("index", {"v": "c"}),
)
