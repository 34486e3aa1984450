"""ASGI applications on a real engine, for tests of the asgi gateway and of channels."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from carboy.gateway import for_application
from carboy.gateway.asgi import AsgiGateway
from live_engine import Live, eventually, served

Message = dict[str, Any]
trace: Callable[[], object] | None = None  # of the engines; see led_by in conftest.py
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@contextmanager
def served_asgi(app: Any, loop: str = "asyncio", **settings: Any) -> Iterator[Live]:
    """`app` served until the block ends, with its lifespan."""
    gateway = AsgiGateway(app, loop)
    gateway.start()
    try:
        with served(app, gateway=gateway, trace=trace, **settings) as live:
            yield live
    finally:
        gateway.stop(5)


@contextmanager
def served_mounts(mounts: Any, **settings: Any) -> Iterator[Live]:
    """Mounted applications served until the block ends, with their lifespans."""
    gateway: Any = for_application(mounts, "auto", "asyncio")
    gateway.start()
    try:
        with served(mounts, gateway=gateway, **settings) as live:
            yield live
    finally:
        gateway.stop(5)


def only_http(function: Any) -> Any:
    """An application that does not know the lifespan protocol."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await function(scope, receive, send)

    return app


def channel_of(connection: Any) -> Any:
    """The channel of a connection, once its application has begun to wait."""
    eventually(lambda: connection.exchange is not None and connection.exchange.channel is not None)
    return connection.exchange.channel


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def whole_body(receive: Receive) -> bytes:
    data = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        data += bytes(message["body"])
        if not message["more_body"]:
            return data


class Signal:
    """An event that the loop of the application waits for, and the test sets; and reversed."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(20), "waited in vain"

    async def reached(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.wait)
