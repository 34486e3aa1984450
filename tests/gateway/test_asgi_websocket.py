"""The WebSocket scope of ASGI over a real socket: handshake, messages, both ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import queue
from typing import Any

import pytest

from live_asgi import Message, Receive, Send, Signal, served_asgi
from websocket_client import (
    ACCEPT,
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close,
    connected,
    frame,
    handshake,
    refused,
)


def only_websocket(function: Any) -> Any:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket", scope["type"]
        await function(scope, receive, send)

    return app


async def accepted(receive: Receive, send: Send, **more: Any) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **more})


@only_websocket
async def echo(scope: Message, receive: Receive, send: Send) -> None:
    await accepted(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


@only_websocket
async def describe(scope: Message, receive: Receive, send: Send) -> None:
    await accepted(receive, send)
    shown = json.dumps(scope, default=lambda each: each.decode("latin-1"))
    await send({"type": "websocket.send", "text": shown})
    await send({"type": "websocket.close"})


@pytest.fixture(scope="module")
def echoing() -> Any:
    with served_asgi(echo) as live:
        yield live


def test_the_handshake_of_rfc_6455_is_accepted(echoing: Any) -> None:
    with connected(echoing) as websocket:
        headers = websocket.reply.headers
        assert headers["Sec-WebSocket-Accept"] == ACCEPT
        assert headers["Upgrade"] == "websocket"
        assert headers["Connection"] == "Upgrade"
        assert "Sec-WebSocket-Protocol" not in headers
        assert "Sec-WebSocket-Extensions" not in headers
        assert "Content-Length" not in headers
        assert "Transfer-Encoding" not in headers


def test_messages_are_echoed_in_their_order_and_kind(echoing: Any) -> None:
    with connected(echoing) as websocket:
        websocket.send(frame(TEXT, "grüße") + frame(BINARY, b"\0\xff") + frame(TEXT, ""))
        assert [websocket.message() for _ in range(3)] == ["grüße", b"\0\xff", ""]


def test_messages_that_come_with_the_handshake_are_read(echoing: Any) -> None:
    with echoing.client() as client:
        client.send(handshake() + frame(TEXT, "early"))
        assert client.reply().status == 101
        assert client.file.read(7) == b"\x81\x05early"


def test_a_ping_is_answered_with_its_payload(echoing: Any) -> None:
    with connected(echoing) as websocket:
        websocket.send(frame(PING, b"payload"))
        answer = websocket.read()
        assert (answer.opcode, answer.payload) == (PONG, b"payload")


def test_the_close_of_a_client_is_answered_and_the_server_closes_first(echoing: Any) -> None:
    with connected(echoing) as websocket:
        websocket.send(close(1000, "done"))
        answer = websocket.read()
        assert (answer.opcode, answer.code, answer.reason) == (CLOSE, 1000, "done")
        assert websocket.ended()


def test_a_message_of_every_size_of_length_comes_back(echoing: Any) -> None:
    with connected(echoing) as websocket:
        for size in (0, 1, 125, 126, 127, 65535, 65536, 1 << 20):
            websocket.send(frame(BINARY, b"x" * size))
            assert websocket.message() == b"x" * size


def test_the_scope_describes_the_handshake() -> None:
    with served_asgi(describe) as live, connected(
        live, "/a%20b?c=d", Sec_WebSocket_Protocol="one, two", Origin="http://o.test"
    ) as websocket:  # fmt: skip
        scope = json.loads(str(websocket.message()))
        assert scope["type"] == "websocket"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
        assert scope["scheme"] == "ws"
        assert scope["http_version"] == "1.1"
        assert scope["path"] == "/a b"
        assert scope["raw_path"] == "/a%20b"
        assert scope["query_string"] == "c=d"
        assert scope["root_path"] == ""
        assert scope["subprotocols"] == ["one", "two"]
        assert ["origin", "http://o.test"] in scope["headers"]
        assert scope["client"][0] == "127.0.0.1"
        assert scope["server"][1] == live.port
        assert scope["extensions"] == {"websocket.http.response": {}, "carboy.request": {}}
        assert "method" not in scope
        assert websocket.read().code == 1000


def test_a_subprotocol_and_headers_of_the_application_are_sent() -> None:
    @only_websocket
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send, subprotocol="two", headers=[(b"x-one", b"1")])
        await send({"type": "websocket.close", "code": 3001, "reason": "über"})

    with served_asgi(app) as live, connected(live, Sec_WebSocket_Protocol="one,two") as websocket:
        assert websocket.reply.headers["Sec-WebSocket-Protocol"] == "two"
        assert websocket.reply.headers["x-one"] == "1"
        ended = websocket.read()
        assert (ended.code, ended.reason) == (3001, "über")
        websocket.send(close(3001))
        assert websocket.ended()


def test_a_close_before_the_accept_is_a_403() -> None:
    @only_websocket
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4000})
        assert (await receive())["type"] == "websocket.disconnect"

    with served_asgi(app) as live:
        assert refused(live, handshake()).status == 403


def test_the_application_learns_code_and_reason_of_the_client() -> None:
    seen: queue.Queue[Message] = queue.Queue()

    @only_websocket
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        seen.put(await receive())
        with contextlib.suppress(OSError):
            await send({"type": "websocket.send", "text": "late"})
            raise AssertionError("send after the close raised nothing")
        seen.put(await receive())

    with served_asgi(app) as live, connected(live) as websocket:
        websocket.send(close(4321, "why"))
        expected = {"type": "websocket.disconnect", "code": 4321, "reason": "why"}
        assert seen.get(timeout=30) == expected
        assert seen.get(timeout=30) == expected


def test_a_client_that_goes_without_a_close_is_1006() -> None:
    seen: queue.Queue[Message] = queue.Queue()

    @only_websocket
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        seen.put(await receive())

    with served_asgi(app) as live:
        with connected(live):
            pass
        assert seen.get(timeout=30)["code"] == 1006


def test_an_exception_before_the_accept_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    @only_websocket
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR, "carboy.error"), served_asgi(app) as live:
        assert refused(live, handshake()).status == 500
    assert "broken" in caplog.text


def test_an_exception_after_the_accept_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    @only_websocket
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR, "carboy.error"), served_asgi(app) as live:
        with connected(live, "/here") as websocket:
            assert websocket.read().code == 1011
        assert "broken" in caplog.text
        assert "GET /here HTTP/1.1" in caplog.text


def test_an_ordinary_response_refuses_the_handshake() -> None:
    @only_websocket
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        more = scope["path"] == "/streamed"
        await send({"type": "websocket.http.response.body", "body": b"no", "more_body": more})
        if more:
            await send({"type": "websocket.http.response.body", "body": b"pe"})
        assert (await receive())["type"] == "websocket.disconnect"

    with served_asgi(app) as live:
        for path, body in (("/whole", b"no"), ("/streamed", b"nope")):
            reply = refused(live, handshake(path))
            assert (reply.status, reply.body) == (401, body)
            assert reply.headers["content-type"] == "text/plain"


def test_a_response_that_cannot_be_sent_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    @only_websocket
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"broken\r\nname", b"x")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    with served_asgi(app) as live:
        assert refused(live, handshake()).status == 500
    assert "The application failed: GET / HTTP/1.1" in caplog.text


def test_a_stop_closes_with_1001() -> None:
    seen: queue.Queue[Message] = queue.Queue()
    waits = Signal()

    @only_websocket
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        asyncio.get_running_loop().call_soon(waits.set)
        seen.put(await receive())

    with served_asgi(app) as live, connected(live) as websocket:
        waits.wait()
        live.engine.stop(graceful=True)
        assert websocket.read().code == 1001
        websocket.send(close(1001))
        assert websocket.ended()
        assert seen.get(timeout=30)["code"] == 1001
        live.join()
