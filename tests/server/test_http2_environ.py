"""The requests of one HTTP/2 connection share what their environs have in common, and no more."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from carboy import Carboy, request
from http2_client import http2, served_h2c

SEEN = ("PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "HTTP_HOST", "HTTP_X_NAME", "HTTP_COOKIE")


def show(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Show what was received, and leave traces in the environ."""
    said = " ".join(str(environ.get(name)) for name in SEEN)
    said += f" {environ.get('left.behind')}"
    environ["left.behind"] = environ["HTTP_X_NAME"] = "of the request before"
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said.encode()]


CASES: list[tuple[dict[str, Any], str]] = [
    ({"path": "/a?b"}, "/a b GET example.test None None None"),
    ({"path": "/c"}, "/c  GET example.test None None None"),
    ({"path": "/c", "authority": "other.test"}, "/c  GET other.test None None None"),
    ({"fields": [("x-name", "one")]}, "/  GET example.test one None None"),
    ({"fields": [("x-name", "two")]}, "/  GET example.test two None None"),
    ({"fields": [("cookie", "a=1"), ("cookie", "b=2")]}, "/  GET example.test None a=1; b=2 None"),
    ({"method": "DELETE"}, "/  DELETE example.test None None None"),
]


@pytest.mark.parametrize("times", [1, 3])
def test_each_request_has_its_own_values(times: int) -> None:
    # A section of headers is remembered from its second arrival on.
    with served_h2c(show) as live, http2(live) as client:
        for _ in range(2):
            for more, expected in CASES:
                for _ in range(times):
                    assert client.reply(client.request(**more)).body.decode() == expected


def test_requests_that_run_at_the_same_time_have_their_own_values() -> None:
    both = threading.Barrier(2, timeout=60)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        both.wait()
        environ["wsgi.early_hints"]([("Link", f"<{environ['PATH_INFO']}>; rel=preload")])
        start_response("200 OK", [("Content-Length", str(len(environ["PATH_INFO"])))])
        both.wait()
        return [environ["PATH_INFO"].encode()]

    with served_h2c(app) as live, http2(live) as client:
        for _ in range(3):
            numbers = [client.request(path=path) for path in ("/a", "/b")]
            for number, path in zip(numbers, ("/a", "/b"), strict=True):
                reply = client.reply(number)
                assert reply.body.decode() == path
                assert reply.hints == [f"<{path}>; rel=preload"]


def test_a_view_reads_the_fields_of_its_request() -> None:
    app = Carboy(__name__)

    @app.get("/")
    def name() -> str:
        return str(request.headers.get("X-Name"))

    with served_h2c(app) as live, http2(live) as client:
        for value in ("one", "one", "two", "one", "two", "two"):
            number = client.request(fields=[("x-name", value)])
            assert client.reply(number).body.decode() == value
