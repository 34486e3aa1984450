"""An ASGI application with WSGI middleware around it, as the tools of development use it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from carboy.gateway import for_application, mount, with_middleware
from carboy.gateway.asgi import AsgiGateway
from carboy.gateway.bridge import HIGH, BridgeChannel
from live_asgi import Message, Receive, Send, Signal, body, only_http, start, whole_body
from live_engine import Live, eventually, served
from websocket_client import connected

noted: ContextVar[str] = ContextVar("noted", default="")


def nothing(app: Any, own: Any) -> Any:
    return app


@contextmanager
def bridged(app: Any, wrap: Any = nothing, **settings: Any) -> Iterator[Live]:
    gateway: Any = for_application(with_middleware(app, wrap), "auto", "asyncio")
    gateway.start()
    try:
        with served(app, gateway=gateway, **settings) as live:
            yield live
    finally:
        gateway.stop(5)


class Catching:
    """Middleware that keeps what the application raises, and answers 500."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []

    def __call__(self, app: Any, own: Any) -> Any:
        def middleware(environ: Any, start_response: Any) -> Iterator[bytes]:
            try:
                yield from app(environ, start_response)
            except Exception as error:
                self.raised.append(error)
                start_response("500 Caught", [], (type(error), error, None))
                yield b"caught"

        return middleware


@only_http
async def shows(scope: Message, receive: Receive, send: Send) -> None:
    """Answers with the scope."""
    seen = {
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        "raw_path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "noted": noted.get(),
        **{key: scope[key] for key in ("path", "root_path", "method", "scheme", "http_version")},
    }
    await send(start(200, (b"content-type", b"application/json")))
    await send(body(json.dumps(seen).encode()))


async def speaks(scope: Message, receive: Receive, send: Send) -> None:
    """Sends what it sees of the path over a WebSocket."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": f"{scope['root_path']} {scope['path']}"})
    await send({"type": "websocket.close"})


def test_a_websocket_passes_by_the_middleware() -> None:
    with (
        bridged(mount(None, {"/api": speaks}), Catching()) as live,
        connected(live, "/api/chat") as websocket,
    ):
        assert websocket.message() == "/api /api/chat"


def test_the_scope_is_that_of_the_request() -> None:
    with bridged(shows) as live, live.client() as client:
        client.send(
            b"GET /a%20b?x=%20 HTTP/1.0\r\nHost: h\r\nX-Two: 1\r\nx-two: 2\r\nCookie: a=b\r\n\r\n"
        )
        seen = json.loads(client.reply().body)
    assert seen["headers"] == [["host", "h"], ["x-two", "1"], ["x-two", "2"], ["cookie", "a=b"]]
    assert (seen["path"], seen["raw_path"], seen["query"]) == ("/a b", "/a%20b", "x=%20")
    assert (seen["method"], seen["http_version"], seen["root_path"]) == ("GET", "1.0", "")


def test_a_mounted_application_sees_its_prefix_once() -> None:
    mounts = mount(None, {"/café": shows})
    with bridged(mounts) as live:
        seen = json.loads(live.get("/caf%C3%A9/x").body)
    assert (seen["path"], seen["root_path"]) == ("/café/x", "/café")
    assert seen["raw_path"] == "/caf%C3%A9/x"


@pytest.mark.parametrize("path", ["/page", "/shopping", "/shop", "/shop%2Fping"])
def test_a_prefix_that_the_proxy_has_removed_is_part_of_the_path(path: str) -> None:
    trust = {"trusted_proxies": "127.0.0.1"}
    with bridged(shows, **trust) as live:
        seen = json.loads(live.get(path, **{"X-Forwarded-Prefix": "/shop"}).body)
    assert (seen["path"], seen["root_path"]) == ("/shop" + path.replace("%2F", "/"), "/shop")


def test_a_path_that_the_middleware_has_changed_is_that_of_the_scope() -> None:
    def wrap(app: Any, own: Any) -> Any:
        def middleware(environ: Any, start_response: Any) -> Any:
            return app(environ | {"PATH_INFO": "/new path"}, start_response)

        return middleware

    with bridged(shows, wrap) as live:
        seen = json.loads(live.get("/old").body)
    assert (seen["path"], seen["raw_path"]) == ("/new path", "/new%20path")


def test_changes_of_the_environ_and_context_variables_reach_the_application() -> None:
    def wrap(app: Any, own: Any) -> Any:
        def middleware(environ: Any, start_response: Any) -> Any:
            del environ["HTTP_X_GONE"]
            environ["HTTP_X_CHANGED"] = "new"
            environ["HTTP_X_ADDED"] = "added"
            noted.set("by the middleware")
            return app(environ, start_response)

        return middleware

    with bridged(shows, wrap) as live:
        seen = json.loads(live.get("/", **{"X-Gone": "1", "X-Changed": "old", "X-Kept": "k"}).body)
    headers = dict(seen["headers"])
    assert "x-gone" not in headers
    assert (headers["x-changed"], headers["x-added"], headers["x-kept"]) == ("new", "added", "k")
    assert seen["noted"] == "by the middleware"


@pytest.mark.parametrize("size", [0, 10, 64 * 1024, 300_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_completely(size: int, chunked: bool) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        data = await whole_body(receive)
        await send(start())
        await send(body(b"%d" % len(data)))

    with bridged(app) as live, live.client() as client:
        if chunked:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send((b"%x\r\n%b\r\n" % (size, b"x" * size) if size else b"") + b"0\r\n\r\n")
        else:
            client.request("POST", "/", body=b"x" * size)
        assert client.reply().body == b"%d" % size


def test_a_complete_response_has_a_length_and_a_stream_its_pieces() -> None:
    more = Signal()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start(204 if scope["path"] == "/204" else 200))
        if scope["path"] == "/stream":
            await send(body(b"first", True))
            await more.reached()
        await send(body(b"" if scope["path"] == "/204" else b"last"))

    with bridged(app) as live, live.client() as client:
        client.request("GET", "/")
        reply = client.reply()
        assert (reply.headers["Content-Length"], reply.body) == ("4", b"last")
        client.request("HEAD", "/")
        assert client.reply("HEAD").headers["Content-Length"] == "4"
        client.request("GET", "/204")
        assert client.reply().headers["Content-Length"] is None
        client.request("GET", "/stream")
        assert client.until(b"first").endswith(b"first")
        more.set()
        assert client.until(b"0\r\n\r\n").endswith(b"4\r\nlast\r\n0\r\n\r\n")


def test_an_exception_is_raised_in_the_middleware_with_the_applications_frames_only() -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    catching = Catching()
    with bridged(app, catching) as live:
        assert live.get("/").body == b"caught"
    trace = catching.raised[0].__traceback__
    files = []
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    after = files[files.index(str(Path(__file__).parents[1] / "live_asgi.py")) :]
    assert len(after) == 2
    assert "asgi.py" not in [Path(each).name for each in files]


def test_an_exception_replaces_the_frameworks_own_response_to_it() -> None:
    """As of Starlette's ServerErrorMiddleware, which answers and then raises."""

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start(500))
        await send(body(b"Internal Server Error"))
        raise ValueError("broken")

    catching = Catching()
    with bridged(app, catching) as live:
        assert live.get("/").body == b"caught"
    assert str(catching.raised[0]) == "broken"


def test_a_response_with_a_status_of_an_error_is_sent_if_nothing_is_raised() -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start(503))
        await send(body(b"in ", True))
        await send(body(b"maintenance"))

    with bridged(app, Catching()) as live:
        reply = live.get("/")
        assert (reply.status, reply.body) == (503, b"in maintenance")


def test_an_application_that_sends_nothing_is_an_error() -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None: ...

    catching = Catching()
    with bridged(app, catching) as live:
        assert live.get("/").status == 500
    assert "returned without sending a response" in str(catching.raised[0])


def test_an_exception_after_the_response_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    answered = Signal()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"ok"))
        await answered.reached()
        raise ValueError("too late")

    with bridged(app) as live:
        assert live.get("/").body == b"ok"
        answered.set()
        eventually(lambda: "ValueError: too late" in caplog.text)


def test_the_application_learns_that_the_client_has_gone() -> None:
    left = threading.Event()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await whole_body(receive)
        await send(start())
        await send(body(b"first", True))
        assert (await receive())["type"] == "http.disconnect"
        with pytest.raises(OSError, match="gone"):
            await send(body(b"more", True))
        left.set()

    with bridged(app) as live:
        with live.client() as client:
            client.request("GET", "/")
            client.until(b"first")
        assert left.wait(20)


def test_a_file_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send({"type": "http.response.pathsend", "path": str(file)})

    with bridged(app) as live:
        reply = live.get("/")
        assert (reply.headers["Content-Length"], len(reply.body)) == ("100000", 100_000)


def test_parts_of_a_file_are_sent_and_trailers_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({**start(), "trailers": True})
        with (tmp_path / "file").open("rb") as file:
            part = {"type": "http.response.zerocopysend", "file": file, "offset": 2, "count": 3}
            await send({**part, "more_body": True})
        await send(body(b"end"))
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

    with bridged(app) as live:
        assert live.get("/").body == b"234end"


def test_the_lifespan_and_its_state_are_those_of_the_application() -> None:
    events: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["pool"] = "pool"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            events.append("ended")
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send(start())
        await send(body(scope["state"]["pool"].encode()))

    with bridged(app) as live:
        assert live.get("/").body == b"pool"
    assert events == ["ended"]


def test_an_application_that_sends_more_than_is_taken_waits() -> None:
    gateway = AsgiGateway(shows, "asyncio")
    environ = {"wsgi.input": None}
    channel: Any = BridgeChannel(environ, gateway)
    channel.receiver = Woken()
    channel.head("200 OK", [])
    channel.send(b"x" * HIGH)
    assert not channel.full
    channel.send(b"x")
    assert channel.full
    pieces = channel.respond(lambda status, headers: None)
    assert len(next(pieces)) == HIGH
    assert not channel.full
    assert channel.receiver.count == 1


class Woken:
    def __init__(self) -> None:
        self.count = 0

    def changed(self) -> None:
        self.count += 1
