"""Requests forwarded to another server over real sockets, as by Werkzeug's proxy."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from werkzeug.middleware.http_proxy import ProxyMiddleware as Theirs

from carboy import Flask, request
from carboy.middleware.http_proxy import ProxyMiddleware
from carboy.testing import Client, create_environ, live_server

# Werkzeug's proxy does not close its sockets.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
BOTH = pytest.mark.parametrize("kind", [ProxyMiddleware, Theirs])


def own(environ: Any, start_response: Any) -> list[bytes]:
    start_response("404 NOT FOUND", [])
    return [b"own"]


@contextmanager
def target(answer: bytes | None = OK) -> Iterator[tuple[str, list[bytes]]]:
    """A server that records one request. It never answers if the answer is None."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(20)
            kept.append(read_request(sock))
            if answer is None:
                done.wait(20)
            else:
                sock.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", kept
    finally:
        done.set()
        thread.join()
        listener.close()


def read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (piece := sock.recv(65536)):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields.get(b"Content-Length", b"0"))
    while (
        len(body) < length or (b"Transfer-Encoding" in fields and not body.endswith(b"0\r\n\r\n"))
    ) and (piece := sock.recv(65536)):
        body += piece
    return head + b"\r\n\r\n" + body


def asked(
    kind: Any,
    options: dict[str, Any],
    prefix: str = "/api/",
    path: str = "/api/x",
    base: str = "",
    changes: Any = None,
    **environ: Any,
) -> list[bytes]:
    """The request that the target gets: request line, fields in any order, body."""
    with target() as (url, kept):
        proxy = kind(own, {prefix: {"target": url + base, **options}})
        given = {**create_environ(path, **environ), **(changes or {})}
        given.pop("HTTP_USER_AGENT", None)
        assert b"".join(proxy(given, lambda *started: None)) == b"hi"
    head, _, body = kept[0].partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    return [first, *sorted(fields), body]


CASES: dict[str, dict[str, Any]] = {
    "the path as it is": {"options": {}, "base": "/base/"},
    "behind the target's": {"options": {"remove_prefix": True}, "base": "/base/"},
    "behind a target without slash": {"options": {"remove_prefix": True}, "base": "/base"},
    "the prefix alone": {"options": {"remove_prefix": True}, "path": "/api/"},
    "a prefix without slashes": {"options": {}, "prefix": "api"},
    "the client's host": {"options": {"host": None}, "headers": {"Host": "a.example"}},
    "a host of its own": {"options": {"host": "b.example"}, "headers": {"Host": "a.example"}},
    "more fields": {"options": {"headers": {"X-More": "1"}}, "headers": {"X-One": "1"}},
    "fields of the connection": {
        "options": {},
        "headers": {"Keep-Alive": "1", "Upgrade": "x", "Connection": "keep-alive", "TE": "y"},
    },
    "a query": {"options": {}, "query_string": "a=1&b=%20%C3%A9"},
    "a mount point": {"options": {}, "changes": {"SCRIPT_NAME": "/root"}},
    "a body": {"options": {}, "method": "POST", "data": b"body", "content_type": "text/plain"},
    "a large body": {"options": {}, "method": "PUT", "data": b"x" * 100_000},
    "no body": {"options": {}, "method": "POST"},
    "another method": {"options": {}, "method": "PURGE"},
    "what a path may hold": {"options": {}, "changes": {"PATH_INFO": "/api/a b;c=1,(2)@:~!$'*+&"}},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_target_gets_what_werkzeug_sends(case: dict[str, Any]) -> None:
    assert asked(ProxyMiddleware, **case) == asked(Theirs, **case)


@pytest.mark.parametrize("path", ["/", "/api", "/apix", "/other"])
@BOTH
def test_other_paths_are_passed_to_the_application(kind: Any, path: str) -> None:
    proxy = kind(own, {"/api/": {"target": "http://127.0.0.1:1"}})
    assert Client(proxy).get(path).text == "own"


@BOTH
def test_the_first_matching_prefix_is_used(kind: Any) -> None:
    class Noting(kind):  # type: ignore[misc]
        def proxy_to(self, opts: Any, path: str, prefix: str) -> Any:
            taken.append((opts["target"], path, prefix))
            return own

    taken: list[Any] = []
    targets = {"/a/b": {"target": "first"}, "/a": {"target": "second"}}
    for path in ("/a/b/c", "/a/c"):
        Client(Noting(own, targets)).get(path)
    assert taken == [("first", "/a/b/c", "/a/b/"), ("second", "/a/c", "/a/")]


def answered(kind: Any, answer: bytes, **options: Any) -> tuple[Any, list[bytes]]:
    started: list[Any] = []
    with target(answer) as (url, _):
        proxy = kind(own, {"/api/": {"target": url}}, **options)
        body = list(proxy(create_environ("/api/x"), lambda *given: started.append(given[:2])))
    return started, body


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 201 Made it\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: close\r\nKeep-Alive: 1\r\n\r\nabc",
        b"HTTP/1.1 200\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX-L: \xe9\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nX-A: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + b"x" * 40_000,
    ],
    ids=lambda answer: repr(answer[:20]),
)
def test_the_client_gets_what_werkzeug_passes_on(answer: bytes) -> None:
    assert answered(ProxyMiddleware, answer) == answered(Theirs, answer)


@BOTH
def test_a_body_has_pieces_of_the_given_size(kind: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2500\r\n\r\n" + b"x" * 2500
    assert [len(piece) for piece in answered(kind, answer, chunk_size=1000)[1]] == [1000, 1000, 500]


@BOTH
def test_an_unreachable_target_is_a_502(kind: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert Client(kind(own, {"/api/": {"target": url}})).get("/api/x").status_code == 502


@BOTH
def test_a_target_that_does_not_answer_is_a_502(kind: Any) -> None:
    with target(None) as (url, _):
        proxy = kind(own, {"/api/": {"target": url}}, timeout=0.1)
        assert Client(proxy).get("/api/x").status_code == 502


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 x OK\r\n\r\n"])
def test_a_target_that_does_not_speak_http_is_a_502(answer: bytes) -> None:
    assert answered(ProxyMiddleware, answer)[0][0][0] == "502 BAD GATEWAY"


@BOTH
def test_a_target_must_be_an_http_url(kind: Any) -> None:
    with pytest.raises(RuntimeError, match="ftp"):
        Client(kind(own, {"/api/": {"target": "ftp://example.test"}})).get("/api/x")


def test_bytes_above_ascii_are_forwarded_unchanged() -> None:
    case: dict[str, Any] = {"changes": {"PATH_INFO": "/api/\xc3\xa9/%", "QUERY_STRING": "a b\xff"}}
    assert asked(ProxyMiddleware, {}, **case)[0] == b"GET /api/%C3%A9/%25?a%20b%FF HTTP/1.1"


def test_a_body_without_length_is_forwarded_in_chunks() -> None:
    from io import BytesIO

    changes = {
        "wsgi.input": BytesIO(b"GET /"),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    lines = asked(ProxyMiddleware, {}, method="POST", changes=changes)
    assert b"Transfer-Encoding: chunked" in lines
    assert lines[-1] == b"5\r\nGET /\r\n0\r\n\r\n"


def test_fields_named_by_connection_are_not_forwarded() -> None:
    headers = {"Connection": "close, X-Hop", "X-Hop": "1", "Accept-Encoding": "br"}
    lines = asked(ProxyMiddleware, {}, headers=headers)
    assert b"X-Hop: 1" not in lines
    assert [line for line in lines if line.startswith(b"Accept-Enc")] == [b"Accept-Encoding: br"]


def test_tls_is_verified_with_the_given_context() -> None:
    with target() as (url, _):
        options = {
            "target": url.replace("http:", "https:"),
            "ssl_context": ssl.create_default_context(),
        }
        proxy = ProxyMiddleware(own, {"/api/": options})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ssl.SSLContext, "wrap_socket", lambda self, sock, **named: sock)
            assert Client(proxy).get("/api/x").text == "hi"


def test_a_carboy_server_behind_another() -> None:
    app = Flask(__name__)

    @app.post("/base/<name>")
    def echo(name: str) -> Any:
        return {"name": name, "query": request.query_string.decode(), "body": request.form}

    with live_server(app) as url:
        targets = {"/api/": {"target": f"{url}/base", "remove_prefix": True}}
        client = Client(ProxyMiddleware(own, targets))
        response = client.post("/api/é?a=1", data={"b": "2"})
    expected = {"name": "é", "query": "a=1", "body": {"b": "2"}}
    assert json.loads(response.get_data()) == expected
