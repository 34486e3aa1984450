from __future__ import annotations

import math
import warnings
from typing import Any
from uuid import UUID

import pytest
import werkzeug.datastructures
import werkzeug.routing

import carboy.http
import carboy.routing
from black_box import outcome
from carboy.http.containers.multidict import MultiDict
from carboy.http.exceptions import NotFound
from carboy.routing import BuildError, Map, RequestRedirect, Rule, WebsocketMismatch

ENVIRON = {
    "wsgi.url_scheme": "http",
    "SERVER_NAME": "h",
    "SERVER_PORT": "80",
    "REQUEST_METHOD": "PUT",
    "PATH_INFO": "/\xc3\xa9",
    "SCRIPT_NAME": "/s",
    "QUERY_STRING": "a=%20\xc3\xa9",
}


@pytest.mark.parametrize(
    ("environ", "arguments", "options"),
    [
        ({}, {}, {}),
        ({"HTTP_HOST": "sub.Example.com:80"}, {"server_name": "example.COM"}, {}),
        ({"HTTP_HOST": "example.com"}, {"server_name": "example.com:80"}, {}),
        ({"HTTP_HOST": "example.com:8080"}, {}, {}),
        ({"HTTP_HOST": "a.example.com"}, {"server_name": "example.com", "subdomain": "z"}, {}),
        ({"HTTP_HOST": "other.com"}, {"server_name": "example.com"}, {}),
        ({"HTTP_HOST": "other.com:80"}, {}, {"host_matching": True}),
        ({"HTTP_HOST": "other.com"}, {"server_name": "x"}, {"host_matching": True}),
        ({"HTTP_CONNECTION": "keep-alive, Upgrade", "HTTP_UPGRADE": "WebSocket"}, {}, {}),
        ({"HTTP_CONNECTION": "keep-alive", "HTTP_UPGRADE": "websocket"}, {}, {}),
        ({"HTTP_HOST": "bad host"}, {"server_name": "example.com"}, {}),
        ({"HTTP_HOST": "h:443", "wsgi.url_scheme": "https"}, {"server_name": "h"}, {}),
        ({"HTTP_HOST": "x.h", "wsgi.url_scheme": "https"}, {"server_name": "h:443"}, {}),
        ({"SERVER_PORT": "8080"}, {}, {}),
        ({"PATH_INFO": "/\xff"}, {}, {}),
    ],
)
def test_an_environ_is_bound_as_in_werkzeug(environ: dict, arguments: dict, options: dict) -> None:
    bound = []
    for library in (werkzeug.routing, carboy.routing):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            url_map = library.Map(**options)
            adapter = url_map.bind_to_environ({**ENVIRON, **environ}, **arguments)
        state = {key: value for key, value in vars(adapter).items() if key != "map"}
        bound.append((state, len(caught)))
    assert bound[1] == bound[0]


def test_a_request_object_can_be_bound() -> None:
    class Request:
        environ = ENVIRON

    assert Map().bind_to_environ(Request()).default_method == "PUT"


def test_a_host_outside_the_server_name_causes_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"'other\.com'.*'example\.com'"):
        Map().bind_to_environ({**ENVIRON, "HTTP_HOST": "other.com"}, "example.com")


def made(*rules: Rule, **options: object) -> carboy.routing.MapAdapter:
    return Map(rules).bind("h", **options)  # type: ignore[arg-type]


def test_dispatch_calls_the_view() -> None:
    adapter = made(Rule("/<int:x>", endpoint="e"))
    assert adapter.dispatch(lambda endpoint, values: (endpoint, values), "/3") == ("e", {"x": 3})


def test_dispatch_returns_a_redirect() -> None:
    answer = made(Rule("/x/", endpoint="e")).dispatch(lambda *_: None, "/x")
    assert isinstance(answer, RequestRedirect)


def test_dispatch_returns_errors_when_asked() -> None:
    adapter = made(Rule("/x", endpoint="e"))
    assert isinstance(adapter.dispatch(print, "/y", catch_http_exceptions=True), NotFound)
    with pytest.raises(NotFound):
        adapter.dispatch(print, "/y")


def test_test_says_whether_a_path_matches() -> None:
    adapter = made(Rule("/x/", endpoint="e", methods=["GET"]))
    assert adapter.test("/x/") and adapter.test("/x")
    assert not adapter.test("/y") and not adapter.test("/x/", "POST")


def test_allowed_methods_are_those_of_the_path() -> None:
    adapter = made(Rule("/x", endpoint="e", methods=["GET"]), Rule("/x", methods=["PUT"]))
    assert sorted(adapter.allowed_methods("/x")) == ["GET", "HEAD", "PUT"]
    assert adapter.allowed_methods("/y") == []


def test_a_websocket_rule_is_not_for_http() -> None:
    adapter = made(Rule("/ws", endpoint="ws", websocket=True))
    with pytest.raises(WebsocketMismatch):
        adapter.match("/ws")
    assert adapter.match("/ws", websocket=True) == ("ws", {})


@pytest.mark.parametrize("path", ["//evil.example/x", "///evil.example/x", "/\\evil.example//x"])
def test_a_redirect_stays_on_the_host_whatever_the_path(path: str) -> None:
    adapter = made(Rule("/<path:p>/", endpoint="e"))
    with pytest.raises(RequestRedirect) as caught:
        adapter.match(path)
    assert caught.value.new_url.startswith("http://h/")
    assert not caught.value.new_url.startswith("http://h//")


def test_a_built_path_never_starts_with_two_slashes() -> None:
    adapter = made(Rule("/<path:p>", endpoint="e"))
    assert adapter.build("e", {"p": "/evil.example"}) == "/evil.example"
    mounted = made(Rule("/", endpoint="e"), script_name="//evil.example")
    assert mounted.build("e") == "/evil.example/"


@pytest.mark.parametrize(
    "items",
    [
        [("x", "1"), ("y", "2"), ("y", "3")],
        [("x", "1"), ("y", None), ("y", "3")],
        [("x", "1"), ("x", "2")],
        [("x", ""), ("z", "")],
        [("x", None)],
        [("x", None), ("x", "1")],
        [("x", ["a", "b"])],
        [("x", ["a", ["b"]]), ("y", None)],
        [("x", ("a",)), ("y", [1, None])],
    ],
)
def test_a_multidict_builds_the_same_url_as_in_werkzeug(items: list) -> None:
    theirs = werkzeug.routing.Map([werkzeug.routing.Rule("/<x>", endpoint="e")]).bind("h")
    expected = theirs.build("e", werkzeug.datastructures.MultiDict(items))
    assert made(Rule("/<x>", endpoint="e")).build("e", MultiDict(items)) == expected


CONVERTERS = ["string", "path", "int", "float", "uuid", "any(x, 'y/z')", "int(signed=True)"]
CONVERTERS += ["float(signed=True)", "int(fixed_digits=4)", "int(min=2, max=9)", "string(length=2)"]
ODD_VALUES = [
    None, "", "x", "x/y", "é", b"x", b"\xff", 0, 5, -5, 5.0, 1.5, 1e20, math.nan, math.inf, True,
    "5", " 5", "1.5", [], (), [1], ["x"], ("x", "y"), ["x", ["y"]], [None], [None, "x"], {"q": 1},
    {"x"}, UUID(int=5), "y/z", 10**30, "../x", "ab", 1j, bytearray(b"x"), "\x00", object,
]  # fmt: skip


@pytest.mark.parametrize("converter", CONVERTERS)
@pytest.mark.parametrize("append_unknown", [True, False])
def test_odd_values_build_the_same_url_as_in_werkzeug(converter: str, append_unknown: bool) -> None:
    def built(library: Any, datastructures: Any, value: Any) -> list[str]:
        adapter = library.Map([library.Rule(f"/<{converter}:x>", endpoint="e")]).bind("h")
        rest = {"q": [1, 2], "n": None, "t": (3,), "e": []}
        sources = (
            lambda: {"x": value, **rest},
            lambda: datastructures.MultiDict({"x": value}),
            lambda: datastructures.MultiDict([("x", value), ("q", "z")]),
        )
        return [
            outcome(lambda: adapter.build("e", source(), append_unknown=append_unknown))  # noqa: B023
            for source in sources
        ]

    for value in ODD_VALUES:
        ours = built(carboy.routing, carboy.http, value)
        assert ours == built(werkzeug.routing, werkzeug.datastructures, value), value


def test_the_error_of_an_any_converter_names_the_value_and_the_choices() -> None:
    for library in (carboy.routing, werkzeug.routing):
        adapter = library.Map([library.Rule("/<any(x, y):v>", endpoint="e")]).bind("h")
        with pytest.raises(ValueError, match=r"^'no' is not one of 'x', 'y'$"):
            adapter.build("e", {"v": "no"})


@pytest.mark.parametrize(
    "value",
    ["%2F%zz|^\"<>`{}\\~:@!$&'()*+,;=", "\n \x7f€", "a b", "é", b"bytes", 1.5, True, "a+b", ""],
)
def test_values_are_quoted_as_in_werkzeug(value: object) -> None:
    built = [
        library.Map([library.Rule("/a%b é/<x>/<path:p>", endpoint="e")])
        .bind("h")
        .build("e", {"x": value, "p": value, "q": value})
        for library in (werkzeug.routing, carboy.routing)
    ]
    assert built[1] == built[0]


@pytest.mark.parametrize("sort_key", [None, lambda item: -ord(item[0])])
def test_a_query_can_be_sorted(sort_key: object) -> None:
    built = [
        library.Map([library.Rule("/", endpoint="e")], sort_parameters=True, sort_key=sort_key)
        .bind("h")
        .build("e", {"b": 1, "a": [2, 3], "c": "x"})
        for library in (werkzeug.routing, carboy.routing)
    ]
    assert built[1] == built[0]


def test_a_key_that_is_not_text_is_in_the_query_where_werkzeug_fails() -> None:
    assert made(Rule("/", endpoint="e")).build("e", {3: 4}) == "/?3=4"  # type: ignore[dict-item]


@pytest.mark.parametrize("host", ["q.example", "z.example", "other.example"])
def test_host_matching_builds_as_in_werkzeug(host: str) -> None:
    built = []
    for library in (werkzeug.routing, carboy.routing):
        rules = [
            library.Rule("/y", endpoint="e", host="z.example"),
            library.Rule("/x", endpoint="e", host="q.example"),
            library.Rule("/u", endpoint="u", host="<u>.example"),
        ]
        adapter = library.Map(rules, host_matching=True).bind(host)
        built.append((adapter.build("e"), adapter.build("u", {"u": "other"}), adapter.match))
    assert built[1][:2] == built[0][:2]


@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss", "", "ftp"])
@pytest.mark.parametrize("websocket", [False, True])
@pytest.mark.parametrize("url_scheme", [None, "", "https", "ws"])
def test_the_scheme_of_a_url_is_as_in_werkzeug(
    scheme: str, websocket: bool, url_scheme: str | None
) -> None:
    built = [
        library.Map([library.Rule("/", endpoint="e", websocket=websocket)])
        .bind("h", url_scheme=scheme)
        .build("e", force_external=True, url_scheme=url_scheme)
        for library in (werkzeug.routing, carboy.routing)
    ]
    assert built[1] == built[0]


def test_redirect_to_may_be_a_function() -> None:
    def target(adapter: carboy.routing.MapAdapter, x: int) -> str:
        return f"new/{x + 1}"

    adapter = made(Rule("/old/<int:x>", redirect_to=target), script_name="/s")
    with pytest.raises(RequestRedirect) as caught:
        adapter.match("/old/3")
    assert caught.value.new_url == "http://h/s/new/4"


def test_redirect_to_gets_the_encoded_values() -> None:
    with pytest.raises(RequestRedirect) as caught:
        made(Rule("/old/<x>", redirect_to="/new/<x>")).match("/old/é b")
    assert caught.value.new_url == "http://h/new/%C3%A9%20b"


def test_an_alias_is_redirected_with_the_query() -> None:
    adapter = made(Rule("/a/<int:x>", endpoint="e"), Rule("/b/<int:x>", endpoint="e", alias=True))
    with pytest.raises(RequestRedirect) as caught:
        adapter.match("/b/1", query_args="q=1")
    assert caught.value.new_url == "http://h/a/1?q=1"


def test_a_build_error_says_what_is_missing() -> None:
    adapter = made(Rule("/<x>/<y>", endpoint="show", methods=["POST"]))
    with pytest.raises(BuildError) as caught:
        adapter.build("show", {"x": 1}, "GET")
    assert "['POST']" in str(caught.value) and "['y']" in str(caught.value)
    with pytest.raises(BuildError, match="Did you mean 'show' instead"):
        adapter.build("shwo")
    with pytest.raises(LookupError):
        made().build("show")
