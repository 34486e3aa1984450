"""Django Channels: consumers of WebSockets and of HTTP beside the views of Django."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from live_asgi import served_asgi
from live_engine import Live, eventually
from running import PATIENCE, in_a_fresh_process

pytest.importorskip("channels")

SPOOLED = 3_000_000
events: list[str] = []


def configure() -> None:
    from django.conf import settings

    settings.configure(
        SECRET_KEY="key",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=type("urls", (), {"urlpatterns": urls()}),
        CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    )


def urls() -> list[Any]:
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
    from django.urls import path

    def upload(request: HttpRequest) -> HttpResponse:
        file: Any = request.FILES["file"]
        return HttpResponse(f"{file.name} {file.size} {sum(file.read())}")

    async def waiting(request: HttpRequest) -> StreamingHttpResponse:
        async def pieces() -> AsyncIterator[str]:
            try:
                yield "data: x\n\n"
                await asyncio.Event().wait()
            finally:
                events.append("stream left")

        return StreamingHttpResponse(pieces(), content_type="text/event-stream")

    def fails(request: HttpRequest) -> HttpResponse:
        raise ValueError("broken view")

    return [path("upload", upload), path("waiting", waiting), path("fails", fails)]


def application() -> Any:
    configure()
    from django.core.asgi import get_asgi_application

    django = get_asgi_application()  # before anything that uses models is imported
    from channels.generic.http import AsyncHttpConsumer
    from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path, re_path

    class Echo(WebsocketConsumer):  # a plain consumer, on a thread
        def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            if text_data == "close":
                self.close(4001)
            elif text_data == "fail":
                raise ValueError("broken consumer")
            else:
                self.send(text_data, bytes_data)

        def disconnect(self, code: int) -> None:
            events.append(f"closed {code}")

    class Room(AsyncJsonWebsocketConsumer):
        async def connect(self) -> None:
            if self.scope["url_route"]["kwargs"]["room"] == "secret":
                await self.close()
                return
            await self.channel_layer.group_add("room", self.channel_name)
            await self.accept()

        async def receive_json(self, content: Any, **more: Any) -> None:
            await self.channel_layer.group_send("room", {"type": "said", "text": content["text"]})

        async def said(self, event: Any) -> None:
            await self.send_json({"said": event["text"]})

        async def disconnect(self, code: int) -> None:
            await self.channel_layer.group_discard("room", self.channel_name)

    class LongPoll(AsyncHttpConsumer):
        async def handle(self, body: bytes) -> None:
            await self.send_headers(headers=[(b"Content-Type", b"text/plain")])
            await self.send_body(b"size %d" % len(body), more_body=False)

    http = URLRouter([path("consumer", LongPoll.as_asgi()), re_path(r"", django)])
    sockets = URLRouter([path("echo", Echo.as_asgi()), path("rooms/<room>", Room.as_asgi())])
    return ProtocolTypeRouter({"http": http, "websocket": sockets})


def socket_at(live: Live, path: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{live.port}{path}", open_timeout=PATIENCE)


def views(live: Live) -> None:
    address = f"http://127.0.0.1:{live.port}"
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        content = bytes(range(100)) * (SPOOLED // 100)
        reply = client.post("/upload", files={"file": ("ä.bin", io.BytesIO(content))})
        assert reply.text == f"ä.bin {SPOOLED} {sum(content)}"
        assert client.post("/consumer", content=b"x" * 100_000).text == "size 100000"
        assert client.get("/fails").status_code == 500
        assert client.get("/nowhere").status_code == 404
        with client.stream("GET", "/waiting") as stream:
            assert next(stream.iter_bytes())
        eventually(lambda: "stream left" in events)


def echoes(live: Live) -> None:
    with socket_at(live, "/echo") as client:
        for message in ("ä", b"\x00\xff", "x" * 300_000):
            client.send(message)
            assert client.recv(PATIENCE) == message
        client.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001
    with socket_at(live, "/echo") as client:
        client.close(3000)
    eventually(lambda: "closed 3000" in events)
    with socket_at(live, "/echo") as client:
        client.socket.shutdown(socket.SHUT_RDWR)
    eventually(lambda: "closed 1006" in events or "closed 1005" in events)
    with socket_at(live, "/echo") as client:
        client.send("fail")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011


def rooms(live: Live) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        socket_at(live, "/rooms/secret")
    with socket_at(live, "/rooms/a") as ada, socket_at(live, "/rooms/a") as ben:
        ada.send(json.dumps({"text": "Hello"}))
        for client in (ada, ben):
            assert json.loads(client.recv(PATIENCE)) == {"said": "Hello"}


@in_a_fresh_process  # A process can have one configuration of Django.
def test_channels_has_views_uploads_streams_and_websockets() -> None:
    with served_asgi(application()) as live:
        views(live)
        echoes(live)
        rooms(live)
