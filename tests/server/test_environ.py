"""The environ of the development server beside that of Werkzeug's, for the same requests."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
import pytest
import werkzeug.serving

import carboy
import carboy.serving
from running import PATIENCE

HOST = b"Host: a.test:80\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
REQUESTS = {
    "plain": b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/1.0": b"GET /a HTTP/1.0\r\n\r\n",
    "HEAD": b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n",
    "query": b"GET /a%20b;c?x=1&y=%20?z HTTP/1.1\r\n" + HOST + b"\r\n",
    "empty query": b"GET /a? HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded": b"GET /%C3%BC%2Fb?q=%C3%BC HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded wrongly": b"GET /%zz%4 HTTP/1.1\r\n" + HOST + b"\r\n",
    "dots": b"GET /a/../b/./c HTTP/1.1\r\n" + HOST + b"\r\n",
    "two slashes": b"GET //a//b/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "three slashes": b"GET ///a?x HTTP/1.1\r\n" + HOST + b"\r\n",
    "slashes alone": b"GET // HTTP/1.1\r\n" + HOST + b"\r\n",
    "another host": b"GET //evil.test/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "an encoded slash": b"GET /%2F/b HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute": b"GET http://other.test/p?q HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute, slashes": b"GET http://other.test//p HTTP/1.1\r\n" + HOST + b"\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "content": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    "no content": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    "chunked": b"POST / HTTP/1.1\r\n" + CHUNKED,
    "chunked, by a GET": b"GET / HTTP/1.1\r\n" + CHUNKED,
    "chunked, nothing": b"PUT / HTTP/1.1\r\n" + HOST
    + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    "repeated": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: 1\r\nx-a: 2\r\nX_A: 3\r\nX-E:\r\n\r\n",
    "beyond ASCII": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: \xc3\xbc\xff\r\n\r\n",
    "usual": b"GET / HTTP/1.1\r\n" + HOST + b"User-Agent: x\r\nAccept: */*\r\nReferer: r\r\n"
    b"Authorization: Basic YTpi\r\nConnection: keep-alive\r\nCookie: a=1\r\nProxy: p\r\n\r\n",
}  # fmt: skip
# Keys of the server itself, or that only one of the two has; docs/framework.md has the differences.
OWN = {"SERVER_SOFTWARE", "SERVER_PORT", "REMOTE_PORT", "wsgi.errors", "wsgi.input",
       "wsgi.input_terminated", "wsgi.file_wrapper", "wsgi.early_hints", "carboy.exchange",
       "werkzeug.socket"}  # fmt: skip


@contextmanager
def serving(server: Any) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


def ask(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(data)
        with sock.makefile("rb") as file:
            return file.readline()


@pytest.mark.parametrize("name", REQUESTS)
def test_the_environ_is_that_of_werkzeugs_server(name: str) -> None:
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        shown = {key: value for key, value in environ.items() if key not in OWN}
        length = environ.get("CONTENT_LENGTH")
        if length or "HTTP_TRANSFER_ENCODING" in environ:
            shown["content"] = environ["wsgi.input"].read(*([int(length)] if length else []))
        shown["kinds"] = [type(environ[key]) for key in ("SERVER_PORT", "REMOTE_PORT")]
        seen.append(shown)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    for module in (werkzeug.serving, carboy.serving):
        make_server: Any = module.make_server  # type: ignore[attr-defined]
        with serving(make_server("127.0.0.1", 0, app, threaded=True)) as port:
            assert b" 200 " in ask(port, REQUESTS[name])
    theirs, ours = seen
    if "HTTP_TRANSFER_ENCODING" in theirs:
        assert ours.pop("CONTENT_LENGTH") == str(len(ours["content"]))  # it has been received
    assert ours == theirs


def application(package: Any, wrapped: bool, seen: list[Any]) -> Any:
    app = package.Flask("scenario", static_folder=None)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "HEAD"])
    @app.route("/<path:path>", methods=["GET", "POST", "PUT", "HEAD"])
    def view(path: str) -> str:
        request = package.request
        seen.append((
            path, request.url, request.path, request.full_path, request.method,
            request.content_length, request.headers.get("Transfer-Encoding"), request.get_data(),
        ))  # fmt: skip
        return ""

    if wrapped:
        app.wsgi_app = functools.partial(app.wsgi_app)
    return app


@pytest.mark.parametrize("wrapped", [False, True], ids=["direct", "wsgi"])
@pytest.mark.parametrize("name", [n for n in REQUESTS if n != "OPTIONS *"])
def test_a_request_made_from_it_agrees_too(name: str, wrapped: bool) -> None:
    theirs: list[Any] = []
    ours: list[Any] = []
    real = werkzeug.serving.make_server("127.0.0.1", 0, application(flask, False, theirs))
    own = carboy.serving.make_server("127.0.0.1", 0, application(carboy, wrapped, ours))
    status = []
    for server in (real, own):
        with serving(server) as port:
            status.append({ask(port, REQUESTS[name]).split(b" ")[1] for _ in range(3)})
    assert status[0] == status[1]
    theirs = [(path, url.replace(str(real.port), "PORT"), *more) for path, url, *more in theirs]
    ours = [(path, url.replace(str(own.port), "PORT"), *more) for path, url, *more in ours]
    assert ours == theirs
