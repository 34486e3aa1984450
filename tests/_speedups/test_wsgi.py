"""The compiled call of a WSGI application: the same environs, responses and errors as in Python."""

from __future__ import annotations

import gc
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any
from weakref import ref

import pytest

from _speedups.twins import compiled
from carboy.request_identity import identity
from carboy.server import turn
from carboy.speedups import speedups
from live_engine import GET, LAST, Live, served

compiled("wsgi")

App = Callable[[dict[str, Any], Any], Any]
HEADERS = [("Content-Type", "text/plain")]


def starts(result: Any, status: Any = "200 OK", headers: Any = None) -> App:
    """An application that calls start_response and returns `result`."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, HEADERS if headers is None else headers)
        return result() if callable(result) else result

    return app


def writes(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    write = start_response("200 OK", HEADERS)
    write(b"one")
    return [b"two"]


def twice(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", HEADERS)
    start_response("201 Created", HEADERS)
    return [b"one"]


def replaced(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", HEADERS)
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("500 Replaced", HEADERS, sys.exc_info())
    return [b"one"]


def too_late(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", HEADERS)
    yield b"one"
    try:
        raise ValueError("too late")
    except ValueError:
        start_response("500 Replaced", HEADERS, sys.exc_info())


def identified(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", HEADERS)
    return [b"%d" % (identity() is environ["carboy.exchange"])]


def wrongly_called(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK")
    return [b"one"]


class Closing:
    def __iter__(self) -> Iterator[bytes]:
        return iter((b"one", b"two"))

    def close(self) -> None:
        raise ValueError("close() failed")


APPS: dict[str, App] = {
    "list": starts([b"one"]),
    "tuple": starts((b"one",)),
    "several": starts([b"one", b"two"]),
    "empty": starts([]),
    "empty piece": starts([b""]),
    "large": starts([b"x" * 100_000]),
    "bytearray": starts([bytearray(b"one")]),
    "text": starts(["one"]),
    "number": starts([1]),
    "none": starts(lambda: None),
    "generator": starts(lambda: (piece for piece in (b"one", b"two"))),
    "closing": starts(Closing),
    "bytes": starts(b"one"),
    "fields as a tuple": starts([b"one"], headers=tuple(HEADERS)),
    "a field whose value is a number": starts([b"one"], headers=[("A", 1)]),
    "split fields": starts([b"one"], headers=[("A", "b\r\nC: d")]),
    "wrong length": starts([b"one"], headers=[("Content-Length", "2")]),
    "status as bytes": starts([b"one"], status=b"200 OK"),
    "status of a class": starts([b"one"], status=type("Text", (str,), {})("200 OK")),
    "empty status": starts([b"one"], status=""),
    "no content": starts([b""], status="204 No Content"),
    "no start": lambda environ, start_response: [b"one"],
    "writes": writes,
    "twice": twice,
    "replaced": replaced,
    "too late": too_late,
    "identified": identified,
    "wrongly called": wrongly_called,
}
_date = re.compile(rb"Date: [^\r]+")


@contextmanager
def twin_of(app: App, held: bool) -> Iterator[Live]:
    """A server whose leader runs GET / at once, with the functions in Python if `held`."""
    if held:
        speedups.hold("a test")
    try:
        with served(app, record=False) as live:
            live.engine.dispatch_times.averages["GET /"] = 0.0
            yield live
            assert (turn.compiled is None) == held
    finally:
        if held:
            speedups.release("a test")


def bytes_of(app: App, held: bool) -> list[bytes]:
    """The bytes that follow a request, on a connection that is kept and on one that is not."""
    found = []
    with twin_of(app, held) as live:
        for request in (GET, LAST):
            with live.client() as client:
                client.send(request)
                client.sock.shutdown(socket.SHUT_WR)
                found.append(_date.sub(b"", client.rest()))
    return found


@pytest.mark.parametrize("name", APPS)
def test_a_response_is_that_of_the_python_twin(name: str) -> None:
    if speedups.reason:
        pytest.skip(speedups.reason)
    mine, expected = (bytes_of(APPS[name], held) for held in (False, True))
    assert mine == expected


def shown(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """All of the environ, in order, but for objects of this one request."""
    start_response("200 OK", [("A", "b")])
    facts = [
        f"{key}={value if isinstance(value, str | bool | tuple) else type(value).__name__}"
        for key, value in environ.items()
        if key not in ("REMOTE_PORT", "SERVER_PORT")
    ]
    assert environ["carboy.exchange"].environ() is environ
    assert environ["werkzeug.socket"].fileno() >= 0
    facts.append(str(environ["carboy.exchange"].key))
    for key in list(environ)[::2]:  # the next request gets another environ
        del environ[key]
    environ["PATH_INFO"] = environ["of_another_request"] = "x"
    return ["\n".join(facts).encode("latin-1")]


def test_an_environ_is_that_of_the_python_twin() -> None:
    if speedups.reason:
        pytest.skip(speedups.reason)
    starts_of = (b"GET /", b"GET /?", b"GET /?a=b%20c", b"GET /%C3%A4/%2F", b"PUT /")
    lines = (
        b"Host: a\r\n\r\n",
        b"Host: a\r\nCookie: a=b\r\nX: y\r\ncookie: c\r\n\r\n",
        b"Host: a\r\nCookie: a=c\r\nX_Y: z\r\nX: y\r\n\r\n",
        b"Host: a\r\nContent-Length: 4\r\n\r\nbody",
        b"Host: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
        b"Host: a\r\nUpgrade: x\r\n\r\n",
    )
    found = []
    for held in (False, True):
        bodies = []
        with twin_of(shown, held) as live, live.client() as client:
            for minor in (1, 0, 1):
                for fields in lines:
                    for start in starts_of:
                        live.engine.dispatch_times.averages[start.split(b"?")[0].decode()] = 0.0
                        for _ in range(3):  # the same request, without and with what is kept of it
                            client.send(
                                start + b" HTTP/1.%d\r\nConnection: keep-alive\r\n" % minor + fields
                            )
                            bodies.append(client.reply().body)
        found.append(bodies)
    assert found[0] == found[1]


def test_repeated_requests_are_the_same_after_the_functions_have_changed() -> None:
    if speedups.reason:
        pytest.skip(speedups.reason)
    with twin_of(shown, held=False) as live, live.client() as client:

        def body() -> bytes:
            client.send(GET)
            return client.reply().body

        first = body()
        assert [body() for _ in range(3)] == [first] * 3
        (connection,) = live.engine.connections.values()
        for again in (True, False):
            speedups.hold("a test")
            try:
                if again:
                    connection.template = None  # as after a response through a channel
                assert [body(), body()] == [first] * 2
            finally:
                speedups.release("a test")
            assert [body() for _ in range(3)] == [first] * 3
        connection.template = None
        assert [body() for _ in range(3)] == [first] * 3


HEAD = GET.replace(b"GET", b"HEAD")
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n."
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n0\r\n\r\n"
OTHER = b"GET /other?q=1 HTTP/1.1\r\nHost: y\r\nX-A: b\r\nX-A: c\r\n\r\n"
SEQUENCES = {
    "the same": [GET] * 20 + [LAST],
    "several": [GET, OTHER, GET, OTHER, HEAD, GET, LAST],
    "content": [GET, POST, GET, CHUNKED, POST, GET, LAST],
    "an empty line": [GET, b"\r\n" + GET, LAST],
    "the last is not the end": [GET, LAST, GET],
    "HTTP/1.0": [GET, b"GET / HTTP/1.0\r\n\r\n", GET],
    "a bad head": [GET, GET, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", GET],
    "no Host": [GET, b"GET / HTTP/1.1\r\n\r\n", GET],
    "other bytes": [GET, GET, b"\x16\x03\x01\r\n\r\n", GET],
    "a part of a head": [GET, GET, GET[:-6]],
    "a large field": [
        GET,
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n",
        LAST,
    ],
    "HTTP/2": [GET, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", GET],
}


# The server closes the connection before the last request.
CLOSED = ("the last is not the end", "HTTP/1.0", "a bad head", "no Host", "other bytes", "HTTP/2")


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The request, as the application sees it."""
    start_response("200 OK", HEADERS)
    content = environ["wsgi.input"].read()
    names = "REQUEST_METHOD", "REQUEST_URI", "SERVER_PROTOCOL", "HTTP_HOST", "HTTP_X_A"
    return [repr([content, *map(environ.get, names)]).encode()]


@pytest.mark.parametrize("size", [1, 3, 1000], ids=["bytes", "three", "together"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_pipelined_requests_are_answered_as_by_the_python_twin(name: str, size: int) -> None:
    if speedups.reason:
        pytest.skip(speedups.reason)
    sequence = SEQUENCES[name]
    if name in CLOSED:
        size = len(sequence)  # a later send could fail
    sent = [b"".join(sequence[i : i + size]) for i in range(0, len(sequence), size)]
    found = []
    for held in (False, True):
        with twin_of(echo, held) as live, live.client() as client:
            live.engine.dispatch_times.averages["GET /other"] = 0.0
            for data in sent:
                client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
            found.append(_date.sub(b"", client.rest()))
    assert found[0] == found[1]


class Kept:
    """An application that keeps parts of each request, which it chooses by the path."""

    def __init__(self) -> None:
        self.contexts: list[Context] = []
        self.exchanges: list[Any] = []
        self.starts: list[Any] = []
        self.seen: list[Any] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path, exchange = environ["PATH_INFO"], environ["carboy.exchange"]
        assert identity() is exchange
        self.seen.append((ref(exchange), _mark.get()))
        if path == "/copy":
            self.contexts.append(copy_context())
        elif path == "/keep":
            self.contexts.append(copy_context())
            self.exchanges.append(exchange)
        elif path == "/set":
            _mark.set("set")
        elif path == "/reset":
            _mark.reset(_mark.set("reset"))
        elif path == "/start":
            self.starts += start_response, start_response("200 OK", HEADERS)
            return [b"first"]
        elif path == "/again":
            with pytest.raises((AssertionError, RuntimeError)):
                self.starts[0]("500 Not this one", [])
        elif path == "/error":
            raise ValueError("error")
        start_response("200 OK", HEADERS)
        return iter([b"a", b"b"]) if path == "/pieces" else [b"one"]


_mark: ContextVar[str] = ContextVar("mark", default="")


@pytest.mark.parametrize("held", [False, True], ids=["compiled", "python"])
def test_requests_that_follow_each_other_share_nothing(held: bool) -> None:
    if speedups.reason and not held:
        pytest.skip(speedups.reason)
    app = Kept()
    paths = [
        "/", "/", "/copy", "/", "/keep", "/", "/set", "/", "/reset", "/", "/start", "/again", "/",
        "/error", "/", "/pieces", "/", "/",
    ]  # fmt: skip
    gc.disable()
    try:
        with twin_of(app, held) as live, live.client() as client:
            for path in paths:
                live.engine.dispatch_times.averages[f"GET {path}"] = 0.0
                client.send(GET.replace(b" / ", b" %b " % path.encode()))
                assert client.reply().status == (500 if path == "/error" else 200)
                for context, exchange in zip(app.contexts, [None, *app.exchanges], strict=False):
                    assert context.run(identity) is exchange or exchange is None
            assert {mark for _, mark in app.seen} == {""}
            assert app.contexts[0].run(identity) is None
            assert app.contexts[1].run(identity) is app.exchanges[0]
            app.starts.clear()
        # Without the collector. The log of the tests keeps the error.
        alive = {path for path, (seen, _) in zip(paths, app.seen, strict=True) if seen()}
        assert alive - {"/error"} == {"/keep"}
    finally:
        gc.enable()
