"""ASGI applications over HTTP/2."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from http2_client import Http2Client, connected
from live_asgi import Message, Receive, Send, body, only_http, served_asgi, start, whole_body
from live_engine import eventually

pytestmark = pytest.mark.usefixtures("led_by")


@only_http
async def echo(scope: Message, receive: Receive, send: Send) -> None:
    data = await whole_body(receive)
    await send(start(200, (b"x-version", scope["http_version"].encode())))
    await send(body(data))


def test_the_scope_says_2_and_content_is_read() -> None:
    with served_asgi(echo, h2c=True) as live, connected(live) as sock:
        client = Http2Client(sock)
        assert client.get().headers["x-version"] == "2"
        data = bytes(range(256)) * 4000
        assert client.post("/", data).body == data


def test_the_headers_begin_with_the_host() -> None:
    seen: list[Any] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        seen.extend(scope["headers"])
        await send(start())
        await send(body())

    with served_asgi(app, h2c=True) as live, connected(live) as sock:
        Http2Client(sock).get(fields=[("accept", "x")])
    assert seen == [(b"host", b"example.test"), (b"accept", b"x")]


def test_requests_of_one_connection_run_at_the_same_time() -> None:
    waiting: list[asyncio.Event] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        waiting.append(asyncio.Event())
        if len(waiting) == 2:
            for each in waiting:
                each.set()
        await waiting[0].wait()
        await send(start())
        await send(body(b"met"))

    with served_asgi(app, h2c=True) as live, connected(live) as sock:
        client = Http2Client(sock)
        numbers = [client.request() for _ in range(2)]
        assert [client.reply(number).body for number in numbers] == [b"met"] * 2


def test_a_cancelled_request_is_a_disconnect() -> None:
    messages: list[Any] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", more=True))
        while messages[-1:] != ["http.disconnect"]:
            messages.append((await receive())["type"])

    with served_asgi(app, h2c=True) as live, connected(live) as sock:
        client = Http2Client(sock)
        number = client.request()
        client.until(lambda: client.replies[number].body == b"first")
        client.reset(number)
        eventually(lambda: messages[-1:] == ["http.disconnect"])


def test_a_slow_reader_pauses_the_application() -> None:
    sent: list[int] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        for _ in range(100):
            await send(body(b"x" * 20_000, more=True))
            sent.append(1)
        await send(body())

    with served_asgi(app, h2c=True, high_water=50_000) as live, connected(live) as sock:
        client = Http2Client(sock)
        client.reading = False
        number = client.request()
        client.until(lambda: len(client.replies[number].body) >= 60_000)
        assert len(sent) < 20
        client.reading = True
        client.h2.acknowledge_received_data(len(client.replies[number].body), number)
        client.flush()
        assert len(client.reply(number).body) == 2_000_000


def test_trailers_end_the_response() -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({**start(), "trailers": True})
        await send(body(b"abc"))
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"3")]})

    with served_asgi(app, h2c=True) as live, connected(live) as sock:
        reply = Http2Client(sock).get(fields=[("te", "trailers")])
        assert (reply.body, reply.trailers) == (b"abc", [("x-sum", "3")])
