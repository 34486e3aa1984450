"""A request that has ended is freed at once: nothing of it is left to the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any
from weakref import ref

import pytest

from carboy import Carboy, Response, request
from carboy.gateway import for_application
from carboy.server.exchange import ServerExchange
from http2_client import http2, served_h2c
from live_asgi import body, only_http, start
from live_engine import GET, eventually, served

REQUESTS = 5


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ref[Any]]]:
    """The exchanges that the gateways get."""
    found: list[ref[Any]] = []
    gc.collect()
    gc.disable()
    yield found
    gc.enable()


def watched(gateway: Any, found: list[ref[Any]]) -> Any:
    """The gateway; each exchange that it prepares is noted."""
    prepare = gateway.prepare

    def noting(exchange: ServerExchange) -> Any:
        found.append(ref(exchange))
        return prepare(exchange)

    gateway.prepare = noting
    return gateway


def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def streamed(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    yield b"hello"
    yield b"hello"


@only_http
async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send(start(200, (b"content-length", b"5")))
    await send(body(b"hello"))


@only_http
async def asgi_in_pieces(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(start(200, (b"content-length", b"10")))
    await send(body(b"hello", more=True))
    await send(body(b"hello"))


def framework() -> Carboy:
    app = Carboy(__name__)
    app.add_url_rule("/", view_func=lambda: Response(f"hello {request.headers.get('X')}"))
    return app


APPLICATIONS = {
    "plain": plain, "streamed": streamed, "asgi": asgi, "asgi in pieces": asgi_in_pieces,
    "framework": framework(), "framework behind middleware": framework().wsgi_app,
}  # fmt: skip


def ended(found: list[ref[Any]]) -> bool:
    """Whether all requests but the last were freed."""
    return [each() for each in found[:-1]] == [None] * (REQUESTS - 1)


@pytest.mark.parametrize("name", APPLICATIONS)
@pytest.mark.parametrize("logged", [True, False])
def test_over_http_1(made: list[ref[Any]], name: str, logged: bool) -> None:
    gateway = watched(for_application(APPLICATIONS[name], "auto", "asyncio"), made)
    if begin := getattr(gateway, "start", None):
        begin()
    try:
        with served(
            None, gateway=gateway, access=(lambda record: None) if logged else None
        ) as live:
            with live.client() as client:
                for _ in range(REQUESTS):
                    client.send(GET)
                    client.reply()
                eventually(lambda: ended(made))
    finally:
        if stop := getattr(gateway, "stop", None):
            stop(5)


@pytest.mark.parametrize("name", ["plain", "framework"])
def test_over_http_2(made: list[ref[Any]], name: str) -> None:
    gateway = watched(for_application(APPLICATIONS[name]), made)
    with served_h2c(None, gateway=gateway) as live, http2(live) as client:
        for _ in range(REQUESTS):
            assert client.get().status == 200
        eventually(lambda: ended(made))
