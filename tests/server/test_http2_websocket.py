"""WebSockets over HTTP/2 (RFC 8441), on each kind of application."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h2.settings
import pytest

from carboy import Carboy, Response, request
from carboy.middleware.proxy_fix import ProxyFix
from carboy.net.tls_files import Pair
from carboy.net.tls_server import TlsOptions, TlsServer
from certificates import Authority
from http2_client import Http2Client, connected, http2, served_h2c
from http2_websocket import VERSION, connect, websocket
from live_asgi import Message, served_asgi

CANCEL = 8
ORIGIN = ("origin", "https://evil.example")


def made_app() -> Carboy:
    app = Carboy(__name__)
    app.get("/")(lambda: "hello")

    @app.websocket("/plain")
    def plain(ws: Any) -> None:
        for message in ws:
            ws.send(message)

    @app.websocket("/coroutine")
    async def coroutine(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    @app.websocket("/events")
    def events(ws: Any) -> None:
        ws.on_message(ws.send)

    @app.websocket("/version", subprotocols=["chat"])
    def version(ws: Any) -> None:
        ws.accept(headers={"X-Seen": "yes"})
        ws.send(f"{request.environ['SERVER_PROTOCOL']} {request.method} {request.host}")
        ws.close(4001, "over")

    return app


async def echo(scope: Message, receive: Any, send: Any) -> None:
    """An ASGI application that sends back what comes."""
    assert scope["type"] != "lifespan"
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


@contextmanager
def served_asgi_h2c(app: Any, **settings: Any) -> Iterator[Any]:
    with served_asgi(app, h2c=True, **settings) as live:
        yield live


@pytest.mark.parametrize("path", ["/plain", "/coroutine", "/events"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["direct", "wsgi"])
def test_each_kind_of_handler_serves_its_websocket(path: str, wrapped: bool) -> None:
    app = made_app()
    if wrapped:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    with served_h2c(app) as live, websocket(live, path) as ws:
        for message in ("a", b"\0\1", "ü" * 70_000, b"x" * 300_000):
            ws.send(message)
            assert ws.message() == message
        ws.close(1000, "bye")
        assert ws.closed() == (1000, "bye")
        assert ws.until_over() is None
        assert ws.client.get().body == b"hello"


def test_an_asgi_application_serves_websockets() -> None:
    with served_asgi_h2c(echo) as live, websocket(live) as ws:
        for message in ("a", b"\0\1", b"x" * 300_000):
            ws.send(message)
            assert ws.message() == message
        assert ws.client.get().body == b"hello"
        ws.close(3000)
        assert ws.closed() == (3000, "")
        assert ws.until_over() is None


def test_the_scope_of_an_asgi_application_is_that_of_a_websocket() -> None:
    seen: list[Message] = []

    async def app(scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            seen.append(scope)
        await echo(scope, receive, send)

    with served_asgi_h2c(app) as live:
        fields = [("sec-websocket-protocol", "a, b"), ("x-more", "1")]
        with websocket(live, "/x?y=1", fields=fields, scheme="https"):
            pass
    scope = seen[0]
    assert scope["type"] == "websocket"
    assert scope["http_version"] == "2"
    assert (scope["path"], scope["query_string"]) == ("/x", b"y=1")
    assert scope["subprotocols"] == ["a", "b"]
    names = [name for name, _ in scope["headers"]]
    assert b"x-more" in names
    assert b"sec-websocket-version" in names
    assert "method" not in scope


def test_a_handler_sees_a_get_and_its_fields_are_sent() -> None:
    offered = [("sec-websocket-protocol", "other, chat")]
    with served_h2c(made_app(), record=True) as live:
        with websocket(live, "/version", fields=offered) as ws:
            headers = ws.reply.headers
            assert headers["x-seen"] == "yes"
            assert headers["sec-websocket-protocol"] == "chat"
            assert not {"upgrade", "connection", "sec-websocket-accept"} & headers.keys()
            assert ws.message() == "HTTP/2 GET example.test"
            assert ws.closed() == (4001, "over")  # and the client has answered it
            assert ws.until_over() is None
        assert [(each[2].request_line(), each[4]) for each in live.records] == [
            ("GET /version HTTP/2.0", 200)
        ]


def test_many_websockets_and_requests_share_a_connection() -> None:
    with served_h2c(made_app()) as live, http2(live) as client:
        several = [connect(client, "/plain") for _ in range(10)]
        for number, ws in enumerate(several):
            ws.send(f"number {number}")
        assert client.get().body == b"hello"
        for number, ws in reversed(list(enumerate(several))):
            assert ws.message() == f"number {number}"


def test_compressed_messages_go_both_ways() -> None:
    offer = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")]
    with served_h2c(made_app()) as live, websocket(live, "/plain", fields=offer) as ws:
        ws.deflate()
        for message in ("word " * 10_000, "word " * 10_000, b"\0" * 50_000):
            ws.send(message)
            assert ws.message() == message
        assert len(ws.reply.body) < 5_000


def test_a_websocket_under_tls(tmp_path: Path) -> None:
    authority = Authority()
    pair = Pair(*authority.sign("localhost").write(tmp_path))
    tls = TlsServer(TlsOptions(pairs=(pair,), protocols=("h2", "http/1.1")))
    with served_h2c(made_app(), wrap=tls) as live, connected(live, authority.client()) as sock:
        client = Http2Client(sock)
        for path in ("/plain", "/coroutine"):
            ws = connect(client, path, scheme="https")
            for message in ("a", b"x" * 300_000):
                ws.send(message)
                assert ws.message() == message
        assert client.get(scheme="https").body == b"hello"


# --- the handshake


def statuses(live: Any, *wanted: dict[str, Any]) -> list[tuple[int, bytes]]:
    found = []
    with http2(live) as client:
        for each in wanted:
            ws = connect(client, **each)
            client.until(lambda ws=ws: ws.over)
            found.append((ws.reply.status, ws.reply.body))
        assert client.get().body == b"hello"
    return found


def test_what_is_not_a_websocket_gets_an_error() -> None:
    with served_h2c(made_app(), http2_websocket=True) as live:
        found = statuses(
            live,
            {"path": "/"},
            {"path": "/missing"},
            {"path": "/plain", "fields": [("sec-websocket-version", "12")]},
            {"path": "/plain", "fields": [ORIGIN]},
            {"path": "/plain", "protocol": "connect-udp"},
        )
    assert [status for status, _ in found] == [400, 404, 426, 403, 501]


def test_a_success_that_opens_no_websocket_is_an_error() -> None:
    """The client would take the status 200 for the beginning of a WebSocket."""

    def whole(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    def pieces(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"hel"
        yield b"lo"

    for app in (whole, pieces):
        with served_h2c(app, http2_websocket=True, record=True) as live:
            status, body = statuses(live, {"path": "/x"})[0]
            assert status == 400
            assert b"does not answer requests for a WebSocket" in body
            assert live.records[0][4] == 400


def test_a_response_of_the_application_refuses_the_handshake() -> None:
    app = made_app()
    app.before_request(lambda: Response("no", 401) if request.path == "/plain" else None)
    with served_h2c(app) as live:
        assert statuses(live, {"path": "/plain"}) == [(401, b"no")]


def test_an_asgi_application_cannot_refuse_with_a_success() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await echo(scope, receive, send)
            return
        await receive()
        start = {"type": "websocket.http.response.start", "headers": []}
        await send({**start, "status": 204 if scope["path"] == "/204" else 410})
        await send({"type": "websocket.http.response.body", "body": b""})

    with served_asgi_h2c(app) as live:
        assert [status for status, _ in statuses(live, {"path": "/410"}, {"path": "/204"})] == [
            410, 400,
        ]  # fmt: skip


def test_a_malformed_handshake_is_reset() -> None:
    with served_h2c(made_app()) as live, http2(live) as client:
        for more in ({"scheme": None}, {"path": ""}, {"authority": None}):
            assert connect(client, **{"path": "/plain", **more}).reply.reset == 1
        assert connect(client, "/plain", [("content-length", "3")]).reply.reset == 1
        assert client.reply(client.request(path="/plain", protocol="websocket")).reset == 1
        assert client.get().body == b"hello"


def test_trailers_reset_a_websocket() -> None:
    with served_h2c(made_app()) as live, websocket(live, "/plain") as ws:
        ws.client.h2.send_headers(ws.number, [("x-trailer", "1")], end_stream=True)
        ws.client.flush()
        assert ws.until_over() == 1


# --- both ends


def test_the_close_code_of_a_client_is_known() -> None:
    seen: list[Any] = []
    done = threading.Event()

    async def app(scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] != "websocket.disconnect":
                pass
            seen.append((message["code"], message["reason"]))
            done.set()

    with served_asgi_h2c(app) as live:
        with websocket(live) as ws:
            ws.close(4005, "enough")
            assert ws.closed() == (4005, "enough")
            assert done.wait(60)
        done.clear()
        with websocket(live) as ws:
            ws.client.reset(ws.number)  # the client has gone
            assert done.wait(60)
        done.clear()
        with websocket(live) as ws:
            ws.end()
            assert done.wait(60)
            assert ws.until_over() is None
        done.clear()
        with websocket(live) as ws:
            ws.client.sock.close()
            assert done.wait(60)
    assert seen == [(4005, "enough"), (1006, "The client has gone."),
                    (1006, "The client has gone."), (1006, "The client has gone.")]  # fmt: skip


def test_an_end_that_comes_with_the_handshake_ends_the_websocket() -> None:
    with served_h2c(made_app()) as live, http2(live) as client:
        ws = connect(client, "/plain", end=True)
        assert ws.reply.status == 200
        assert ws.until_over() is None


def test_a_stop_closes_with_1001() -> None:
    # h2 takes nothing after a GOAWAY, so none may come before the last stream has ended.
    with served_h2c(made_app(), idle_grace=60.0) as live, http2(live) as client:
        several = [connect(client, path) for path in ("/plain", "/coroutine", "/events")]
        live.engine.stop()
        for ws in several:
            assert ws.closed() == (1001, "")
            assert ws.until_over() is None
        live.join()


def test_a_client_that_does_not_answer_a_ping_is_reset() -> None:
    limits = {"websocket_ping_interval": 0.1, "websocket_ping_timeout": 0.1}
    with served_h2c(made_app(), **limits) as live, http2(live) as client:
        ws = connect(client, "/plain")
        assert ws.until_over() == CANCEL
        assert client.get().body == b"hello"


def test_a_message_that_is_too_large_is_1009() -> None:
    with (
        served_h2c(made_app(), websocket_max_message=1000) as live,
        websocket(live, "/plain") as ws,
    ):
        ws.send("x" * 2000)
        assert ws.closed()[0] == 1009


def test_a_websocket_may_send_more_than_a_body_may_have() -> None:
    with served_h2c(made_app(), limit_body=10_000) as live, websocket(live, "/plain") as ws:
        for _ in range(5):
            ws.send(b"x" * 9_000)
            assert ws.message() == b"x" * 9_000


# --- flow control


def test_a_client_that_does_not_read_stops_the_sender() -> None:
    sent, done = [0], threading.Event()
    app = made_app()

    @app.websocket("/source")
    def source(ws: Any) -> None:
        for _ in range(40):
            ws.send(b"x" * 50_000)
            sent[0] += 1
        done.set()

    with served_h2c(app) as live, http2(live) as client:
        client.reading = False
        ws = connect(client, "/source")
        client.until(lambda: len(ws.reply.body) >= 65_535)
        assert sent[0] < 40
        assert not done.is_set()
        client.reading = True
        client.h2.increment_flow_control_window(10_000_000)
        client.h2.increment_flow_control_window(10_000_000, ws.number)
        client.flush()
        for _ in range(40):
            assert ws.message() == b"x" * 50_000
        assert done.wait(60)


def test_nothing_is_received_while_the_application_takes_no_messages() -> None:
    go = threading.Event()
    app = made_app()

    @app.websocket("/late")
    def late(ws: Any) -> None:
        ws.accept()
        go.wait(60)
        for message in ws:
            ws.send(str(len(message)))

    small = {"websocket_max_queue": 2, "http2_window": 65_536, "high_water": 16_384}
    with served_h2c(app, **small) as live, http2(live) as client:
        ws = connect(client, "/late")
        count = 0
        while client.h2.local_flow_control_window(ws.number) >= 20_000:
            ws.send(b"x" * 10_000)
            count += 1
            client.get()  # what the server has to say about its window comes before
        assert count < 30
        go.set()
        assert [ws.message() for _ in range(count)] == ["10000"] * count


# --- whether it is offered


def offered(live: Any) -> bool:
    """Whether the server says that it serves WebSockets over HTTP/2."""
    with http2(live) as client:
        client.get()
        code = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
        return bool(client.h2.remote_settings.get(code, 0))


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def test_websockets_are_offered_if_the_application_has_some() -> None:
    without = Carboy(__name__)
    without.get("/")(lambda: "hello")
    for app, expected in ((made_app(), True), (without, False), (hello, False)):
        with served_h2c(app) as live:
            assert offered(live) is expected
    with served_asgi_h2c(echo) as live:
        assert offered(live)


def test_the_setting_decides_if_it_is_given() -> None:
    for app, chosen in ((made_app(), False), (hello, True)):
        with served_h2c(app, http2_websocket=chosen) as live:
            assert offered(live) is chosen


def test_without_the_offer_a_handshake_gets_501() -> None:
    with served_h2c(hello) as live:
        status, body = statuses(live, {"path": "/x"})[0]
        assert status == 501
        assert b"open one over HTTP/1.1" in body


def test_an_application_that_takes_the_socket_answers_501(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    def takes(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ.get("HTTP_UPGRADE"):
            environ["werkzeug.socket"].recv(1)
        return hello(environ, start_response)

    with served_h2c(takes, http2_websocket=True, record=True) as live:
        status, body = statuses(live, {"path": "/x"})[0]
        assert status == 501
        assert b"use HTTP/1.1" in body
        assert "--no-http2-websocket" in caplog.text
        assert live.records[0][4] == 501


def test_a_handshake_needs_its_version() -> None:
    with served_h2c(made_app()) as live, http2(live) as client:
        number = client.request("CONNECT", "/plain", [], end=False, protocol="websocket")
        client.until(lambda: client.replies[number].headers)
        assert client.replies[number].status == 426
        assert VERSION[1] == client.replies[number].headers["sec-websocket-version"]
