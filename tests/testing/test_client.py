from __future__ import annotations

import io
from typing import Any

import pytest
import werkzeug.test
import werkzeug.wrappers

import carboy.http.request.environ_builder
from carboy.http.request.environ_builder import EnvironBuilder
from carboy.http.request.request import Request
from carboy.http.response.response import Response
from carboy.testing import Client, ClientRedirectError, TestResponse, create_environ
from carboy.testing.client import followed

LOCATIONS = {
    "/r": "/t?x=1",
    "/rel": "t",
    "/loop": "/loop",
    "/external": "http://other.example/t",
    "/sub": "http://sub.localhost/t",
    "/https": "https://localhost/t",
    "/port": "http://localhost:81/t",
    "/chain": "/r",
    "/out": "/other/t",
    "/in": "/app/t",
}


def echo(library: Any) -> Any:
    def respond(request: Any) -> Any:
        status = int(request.args.get("status", 302))
        if request.path in LOCATIONS:
            headers = {"Location": LOCATIONS[request.path]}
            return library[1]("moved", status, headers=headers)
        text = f"{request.method} {request.url} {request.script_root!r} {request.get_data()!r}"
        return library[1](f"{text} {request.content_type} {request.headers.get('X-Q')}")

    return library[0].application(respond)


OURS = (Request, Response, Client)
THEIRS = (werkzeug.wrappers.Request, werkzeug.wrappers.Response, werkzeug.test.Client)


def outcome(library: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    options = {"allow_subdomain_redirects": True} if kwargs.pop("subdomains", False) else {}
    client = library[2](echo(library), **options)
    try:
        response = getattr(client, method)(*args, **kwargs)
    except Exception as error:
        return type(error).__name__
    history = [(entry.status, entry.request.path) for entry in response.history]
    return response.status, list(response.headers), response.text, history, response.request.url


@pytest.mark.parametrize(
    "method", ["get", "post", "put", "delete", "patch", "options", "head", "trace"]
)
def test_every_method_sends_what_werkzeugs_client_sends(method: str) -> None:
    arguments = {"query_string": {"a": "é"}, "headers": {"X-Q": "1"}, "data": {"a": 1}}
    assert outcome(OURS, method, "/x", **arguments) == outcome(THEIRS, method, "/x", **arguments)


@pytest.mark.parametrize("path", sorted(LOCATIONS))
@pytest.mark.parametrize("subdomains", [False, True])
def test_redirects_are_followed_as_by_werkzeugs_client(path: str, subdomains: bool) -> None:
    arguments = {"follow_redirects": True, "subdomains": subdomains}
    assert outcome(OURS, "get", path, **arguments) == outcome(THEIRS, "get", path, **arguments)


@pytest.mark.parametrize("path", ["/r", "/rel", "/out", "/in"])
def test_redirects_of_a_mounted_application_are_followed(path: str) -> None:
    arguments = {"follow_redirects": True, "base_url": "http://localhost/app"}
    ours, theirs = (outcome(library, "get", path, **arguments) for library in (OURS, THEIRS))
    if path == "/rel":
        assert "http://localhost/app/t" in ours[2]
    else:
        assert ours == theirs


@pytest.mark.parametrize("status", [301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize("method", ["get", "head", "post", "put"])
def test_method_and_body_after_a_redirect_are_as_in_werkzeugs_client(
    status: int, method: str
) -> None:
    arguments: dict[str, Any] = {
        "query_string": {"status": status},
        "headers": {"X-Q": "1"},
        "follow_redirects": True,
    }
    if method in ("post", "put"):
        arguments["data"] = {"a": 1}
    assert outcome(OURS, method, "/r", **arguments) == outcome(THEIRS, method, "/r", **arguments)


def test_a_relative_redirect_is_relative_to_its_directory() -> None:
    @Request.application
    def app(request: Request) -> Response:
        if request.path == "/a/b/c":
            return Response("", 302, headers={"Location": "../d"})
        return Response(request.path)

    assert Client(app).get("/a/b/c", follow_redirects=True).text == "/a/d"


def test_a_body_the_application_has_read_is_sent_again_after_308() -> None:
    @Request.application
    def app(request: Request) -> Response:
        data = request.get_data()
        if request.path == "/r":
            return Response("", 308, headers={"Location": "/t"})
        return Response(data)

    assert Client(app).post("/r", data=b"xyz", follow_redirects=True).data == b"xyz"


def test_a_redirect_to_a_host_without_a_scheme_keeps_the_scheme() -> None:
    response = Client(Response("", 302, headers={"Location": "//localhost/t"})).get("/")
    assert followed(response, response.request.environ, False).base_url == "http://localhost/"


def test_a_loop_is_an_error() -> None:
    with pytest.raises(ClientRedirectError, match="/loop"):
        Client(echo(OURS)).get("/loop", follow_redirects=True)


def test_a_redirect_without_a_location_is_an_error() -> None:
    app = Response("", 302)
    with pytest.raises(ClientRedirectError, match="Location"):
        Client(app).get("/", follow_redirects=True)


def test_a_redirect_can_be_followed_explicitly() -> None:
    client = Client(echo(OURS))
    response = client.resolve_redirect(client.get("/r"))
    assert response.request.url == "http://localhost/t?x=1"


@pytest.mark.parametrize(
    "argument",
    [
        lambda: EnvironBuilder("/t", method="PUT"),
        lambda: EnvironBuilder("/t", method="PUT").get_request(),
        lambda: create_environ("/t", method="PUT"),
    ],
    ids=["builder", "request", "environ"],
)
def test_open_takes_builders_environs_and_requests(argument: Any) -> None:
    response = Client(echo(OURS)).open(argument())
    assert response.text.startswith("PUT http://localhost/t")


def test_open_takes_the_arguments_of_a_builder() -> None:
    response = Client(echo(OURS)).open("/t", method="PUT", json=[1])
    assert "b'[1]' application/json" in response.text


def test_a_response_is_streamed_unless_it_is_buffered() -> None:
    @Request.application
    def app(request: Request) -> Response:
        return Response(iter(["a", "b"]))

    streamed, buffered = Client(app).get("/"), Client(app).get("/", buffered=True)
    assert streamed.is_streamed and not buffered.is_streamed
    assert streamed.data == buffered.data == b"ab"


def test_the_response_class_is_mixed_into_the_response() -> None:
    class Own(Response):
        marker = 1

    response = Client(echo(OURS), Own).get("/")
    assert isinstance(response, TestResponse) and isinstance(response, Own)
    assert isinstance(response.request, Request)


def test_a_response_gets_no_default_content_type() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"x"]

    response = Client(app).get("/")
    assert list(response.headers) == [] and response.mimetype is None


@pytest.mark.parametrize("lane", ["wsgi", "direct"])
@pytest.mark.parametrize(
    "bad",
    [
        {"headers": {"X-A": "a\r\nX-B: c"}},
        {"environ_base": {"HTTP_X_A": "a\nb"}},
        {"environ_overrides": {"HTTP_X_A": "a\x00b"}},
    ],
)
def test_control_characters_in_request_headers_are_refused(lane: str, bad: Any) -> None:
    with pytest.raises(ValueError):
        Client(echo(OURS), lane=lane).get("/", **bad)


def test_an_unknown_lane_is_refused() -> None:
    with pytest.raises(ValueError, match="wsgi, direct"):
        Client(echo(OURS), lane="fast")


@pytest.mark.parametrize("lane", ["wsgi", "direct"])
def test_both_lanes_send_the_same_request(lane: str) -> None:
    client = Client(echo(OURS), lane=lane)
    response = client.post("/é b?q=ü", data={"f": (io.BytesIO(b"x"), "n.txt")}, buffered=True)
    assert response.text.startswith("POST http://localhost/é%20b?q=ü ''")
    assert "n.txt" in response.text


def test_a_client_shows_its_application() -> None:
    assert "echo" in repr(Client(echo))  # type: ignore[arg-type]


def shown(library: Any) -> Any:
    """An application that shows the environ it gets, sets a cookie and redirects."""

    def respond(request: Any) -> Any:
        if request.path == "/set":
            response = library[1]("set")
            response.set_cookie("c", "1")
            return response
        if request.path in LOCATIONS:
            return library[1]("moved", 307, headers={"Location": LOCATIONS[request.path]})
        kept = {
            key: str(value)
            for key, value in sorted(request.environ.items())
            if key.isupper() or key == "own.key"
        }
        return library[1](repr([kept, request.form.to_dict(), request.get_data()]))

    return library[0].application(respond)


ODD_CALLS: dict[str, Any] = {
    "no slash": lambda send, m: [send("/set"), send("x"), send("x", method="POST")],
    "no slash, mounted": lambda send, m: [
        send("set", base_url="http://h/app"),
        send("x", base_url="http://h/app"),
        send("/x", base_url="http://h/app"),
        send("/x", base_url="http://h/"),
    ],
    "empty path": lambda send, m: [send("/set"), send(""), send("?y=1")],
    "slashes": lambda send, m: [send("/set"), send("///x"), send("/x//y"), send("//other/x")],
    "names that are not tokens": lambda send, m: [
        send("/x", headers={name: "1"}) for name in ("X A", "X:A", "é", "", "(x)", "X_A")
    ],
    "such names after a redirect": lambda send, m: [
        send("/r", headers={"X A": "1"}, follow_redirects=True)
    ],
    "such names in an environ": lambda send, m: [
        send(m.EnvironBuilder("/x", headers={"X A": "1"}).get_environ())
    ],
    "a request": lambda send, m: [
        send(m.EnvironBuilder("/x", environ_overrides=OWN).get_request())
    ],
    "a request, redirected": lambda send, m: [
        send(m.EnvironBuilder("/r", environ_overrides=OWN).get_request(), follow_redirects=True)
    ],
    "an environ": lambda send, m: [
        send(m.EnvironBuilder("/x", environ_overrides=OWN).get_environ())
    ],
    "a builder": lambda send, m: [
        send(m.EnvironBuilder("/x", environ_overrides=OWN, environ_base={"own.key": "0"}))
    ],
    "from an environ": lambda send, m: [
        send(m.EnvironBuilder.from_environ(m.create_environ("/x", environ_overrides=OWN)))
    ],
    "a length that is not the body's": lambda send, m: [
        send("/x", headers={"Content-Length": "99"}, **body)
        for body in ({}, {"data": b""}, {"data": b"abc"}, {"data": {"a": "1"}})
    ],
    "a length of its own": lambda send, m: [send("/x", content_length=0, method="POST")],
    "an empty base": lambda send, m: [send("/x", base_url="")],
    "a fragment": lambda send, m: [send("/x#frag"), send("/x?a=1#frag"), send("/x?")],
    "overrides": lambda send, m: [
        send("/x", environ_overrides={"HTTP_HOST": "o.example", **OWN}),
        send("/x", environ_base={"HTTP_X_B": "2", "REQUEST_METHOD": "PUT"}),
    ],
}
OWN = {"REMOTE_ADDR": "7.7.7.7", "REMOTE_USER": "z", "own.key": "k"}


@pytest.mark.parametrize("calls", ODD_CALLS.values(), ids=ODD_CALLS)
def test_odd_calls_send_what_werkzeugs_client_sends(calls: Any) -> None:
    def answers(library: Any, module: Any) -> list[Any]:
        client = library[2](shown(library))
        return [
            (response.status, response.text, response.request.path)
            for response in calls(client.open, module)
        ]

    assert answers(OURS, carboy.http.request.environ_builder) == answers(THEIRS, werkzeug.test)


def test_each_response_of_a_chain_has_the_earlier_ones_as_history() -> None:
    for library in (OURS, THEIRS):
        response = library[2](echo(library)).get("/chain", follow_redirects=True)
        chain = [*response.history, response]
        assert [each.history for each in chain] == [tuple(chain[:n]) for n in range(len(chain))]


def test_the_request_of_a_response_is_the_one_that_was_sent() -> None:
    for library in (OURS, THEIRS):
        request = library[0](create_environ("/x"))
        assert library[2](echo(library)).open(request).request is request
