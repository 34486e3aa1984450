"""The test clients and the environs they make."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import flask
from table import case, row, rows
from werkzeug.test import Client, ClientRedirectError, EnvironBuilder

DISABLED = "Cookies are disabled. Create"
NO_STREAM_FORM = "an input stream is defined"


def redirecting(location: str) -> Client:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("302 Found", [("Location", location)])
        return [b""]

    return Client(app)


row(
    "redirect to another host",
    RuntimeError,
    "Following external redirects is not supported",
    lambda: redirecting("http://other.com/").get("/", follow_redirects=True),
)
row(
    "redirect to a subdomain",
    RuntimeError,
    "Following subdomain redirects is not enabled",
    lambda: redirecting("http://sub.localhost/").get("/", follow_redirects=True),
)
row(
    "redirects without end",
    ClientRedirectError,
    "Loop detected",
    lambda: redirecting("/x").get("/", follow_redirects=True),
)


def without_cookies(call: Callable[[Client], Any]) -> Callable[[], Any]:
    return lambda: call(Client(lambda environ, start_response: [], use_cookies=False))


rows(
    TypeError,
    DISABLED,
    {
        "get_cookie without cookies": without_cookies(lambda client: client.get_cookie("a")),
        "set_cookie without cookies": without_cookies(lambda client: client.set_cookie("a", "b")),
        "delete_cookie without cookies": without_cookies(lambda client: client.delete_cookie("a")),
    },
)
# Before Werkzeug 2.3 the domain came first.
rows(
    TypeError,
    "positional arguments but",
    {
        "set_cookie with the domain first": lambda: Client(str).set_cookie("localhost", "a", "b"),
        "delete_cookie with the domain first": lambda: Client(str).delete_cookie("localhost", "a"),
    },
)
row(
    "data and a stream",
    TypeError,
    "can't provide input stream and data",
    lambda: EnvironBuilder(data="x", input_stream=io.BytesIO()),
)
row(
    "data and JSON",
    TypeError,
    "can't provide both json and data",
    lambda: EnvironBuilder(data="x", json={}),
)
row(
    "query twice",
    ValueError,
    "Query string is defined in the path",
    lambda: EnvironBuilder("/?a=b", query_string="x"),
)
rows(
    ValueError,
    "base url must not contain a query string",
    {
        "base URL with a query": lambda: EnvironBuilder(base_url="http://a/?x"),
        "base URL with a fragment": lambda: EnvironBuilder(base_url="http://a/#x"),
    },
)
rows(
    AttributeError,
    NO_STREAM_FORM,
    {
        "form of a stream": lambda: EnvironBuilder(input_stream=io.BytesIO()).form,
        "files of a stream": lambda: EnvironBuilder(input_stream=io.BytesIO()).files,
    },
)
row(
    "arguments of a query as text",
    AttributeError,
    "a query string is defined",
    lambda: EnvironBuilder(query_string="a=b").args,
)
row(
    "JSON of an object",
    TypeError,
    "is not JSON serializable",
    lambda: EnvironBuilder(json=object()),
)


@case("client in itself", RuntimeError, "Cannot nest client invocations")
def nested() -> None:
    client = flask.Flask("plain").test_client()
    with client, client:
        pass


@case("session without cookies", TypeError, DISABLED)
def session_without_cookies() -> None:
    with flask.Flask("plain").test_client(use_cookies=False).session_transaction():
        pass


@case("session of a client without a key", RuntimeError, "Session backend did not open a session")
def session_without_key() -> None:
    with flask.Flask("plain").test_client().session_transaction():
        pass


rows(
    AssertionError,
    'Cannot pass "subdomain" or "url_scheme" with "base_url"',
    {
        "base URL and subdomain": lambda: flask.testing.EnvironBuilder(
            flask.Flask("plain"), base_url="http://x", subdomain="y"
        ),
        "base URL and scheme": lambda: flask.testing.EnvironBuilder(
            flask.Flask("plain"), base_url="http://x", url_scheme="y"
        ),
    },
)


@case("unknown command", "output", "No such command 'nope'")
def unknown_command() -> None:
    print(flask.Flask("plain").test_cli_runner().invoke(args=["nope"]).output)
