"""Pipelined requests: responses leave together, in order, and none waits for a slow handler."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from carboy.server.connection import Connection
from carboy.speedups import speedups
from live_engine import LAST, Live, eventually, served

PATIENCE = 60.0


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


class Application:
    """Answers with the path; /slow waits, /write uses `write`, /pieces is a generator."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/slow":
            assert self.go.wait(PATIENCE)
        if path == "/hints":
            environ["wsgi.early_hints"]([("Link", "</a>; rel=preload")])
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        if path == "/write":
            write(b"/write")
            return []
        if path == "/pieces":
            return (piece for piece in (b"/pie", b"ces"))
        return [path.encode()]


@pytest.fixture
def app() -> Application:
    return Application()


@contextmanager
def quick(app: Application, *paths: str, **settings: Any) -> Iterator[Live]:
    """A server that knows that the handlers of these paths are quick."""
    with served(app, **settings) as live:
        for path in paths:
            live.engine.dispatch_times.averages[f"GET {path}"] = 0.0
        try:
            yield live
        finally:
            app.go.set()


@pytest.fixture
def sends(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The bytes of each send."""
    found: list[bytes] = []
    push = Connection.push

    def noting(self: Connection, data: bytes, flags: int = 0, uncorking: bool = False) -> bool:
        if uncorking or self.corked is None:
            found.append(data)
        return push(self, data, flags, uncorking)

    monkeypatch.setattr(Connection, "push", noting)
    speedups.hold("Connection.push is replaced")
    yield found
    speedups.release("Connection.push is replaced")


def test_responses_to_pipelined_requests_leave_in_one_send(
    app: Application, sends: list[bytes]
) -> None:
    paths = [f"/{letter}" for letter in "abcdefghijklmnop"]
    # A busy machine may interrupt a handler for longer than a quick one takes.
    with quick(app, *paths, watch_interval=PATIENCE) as live, live.client() as client:
        live.engine.dispatcher._worth = PATIENCE
        client.send(b"".join(map(get, paths)))
        assert [client.reply().body.decode() for _ in paths] == paths
    assert len(sends) == 1


@pytest.mark.parametrize("count", [2, 16, 17, 100])
def test_responses_come_in_the_order_of_the_requests(app: Application, count: int) -> None:
    kinds = ("/a", "/write", "/pieces", "/b", "/hints", "/unknown")
    paths = [kinds[number % len(kinds)] for number in range(count)]
    with quick(app, *kinds[:-1]) as live, live.client() as client:
        client.send(b"".join(map(get, paths)))
        found = []
        while len(found) < count:
            reply = client.reply()
            if reply.status == 200:
                found.append(reply.body.decode())
        assert found == paths


def test_a_response_does_not_wait_for_a_handler_that_may_be_slow(app: Application) -> None:
    with quick(app, "/a") as live, live.client() as client:
        client.send(get("/a") + get("/slow") + get("/a"))
        assert client.reply().body == b"/a"
        app.go.set()
        assert [client.reply().body for _ in range(2)] == [b"/slow", b"/a"]


def test_a_response_does_not_wait_for_a_handler_that_is_not_always_quick(app: Application) -> None:
    waiting: list[bytes | None] = []

    def looks(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/looks":
            waiting.extend(each.corked for each in live.engine.connections.values())
        return app(environ, start_response)

    with served(looks) as live, live.client() as client:
        live.engine.dispatch_times.averages |= {"GET /a": 0.0, "GET /looks": 0.0001}
        client.send(get("/a") + get("/looks") + get("/a"))
        assert [client.reply().body for _ in range(3)] == [b"/a", b"/looks", b"/a"]
    assert waiting == [None]


def test_a_response_does_not_wait_for_a_quick_handler_that_has_become_slow(
    app: Application,
) -> None:
    with quick(app, "/a", "/slow") as live, live.client() as client:
        client.send(get("/a") + get("/slow") + get("/a"))
        assert client.reply().body == b"/a"
        app.go.set()
        assert [client.reply().body for _ in range(2)] == [b"/slow", b"/a"]


def test_a_response_does_not_wait_for_the_rest_of_the_next_request(app: Application) -> None:
    with quick(app, "/a") as live, live.client() as client:
        last = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
        for rest in (get("/a")[:20], last):
            client.send(get("/a") * 3 + rest)
            assert [client.reply().body for _ in range(3)] == [b"/a"] * 3
            client.send(get("/a")[20:] if rest is not last else b"ok")
            assert client.reply().body == b"/a"


def test_a_refused_request_comes_after_the_responses_before_it(app: Application) -> None:
    with quick(app, "/a") as live:
        received = live.ask(get("/a") * 2 + b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.rindex(b"HTTP/1.1 200 OK") < received.index(b"HTTP/1.1 400 ")


def test_the_connection_is_closed_after_a_request_that_asks_for_it(app: Application) -> None:
    with quick(app, "/a", "/") as live:
        received = live.ask(get("/a") * 2 + LAST + get("/a"))
        assert received.count(b"HTTP/1.1 200 OK") == 3
        eventually(lambda: not live.engine.connections)
