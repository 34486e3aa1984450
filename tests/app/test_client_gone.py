"""`request.client_gone`: whether the client still reads."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import carboy
from carboy.app.app import Carboy
from carboy.middleware.proxy_fix import ProxyFix
from live_engine import GET, LAST, Live, eventually, served


class Told:
    def __init__(self) -> None:
        self.running = threading.Event()
        self.events: list[Any] = []
        self.go = threading.Event()

    def wait(self) -> None:
        """Wait for the client to leave, as a view may that computes for long."""
        self.events.append(carboy.request.client_gone)
        self.running.set()
        end = time.monotonic() + 20
        while not (carboy.request.client_gone or self.go.is_set()):
            assert time.monotonic() < end
            time.sleep(0.01)
        self.events.append(carboy.request.client_gone)


def application(told: Told) -> Carboy:
    app = carboy.Flask("gone")

    @app.get("/view")
    def view() -> str:
        told.wait()
        return "done"

    @app.get("/generator")
    def generator() -> Any:
        def pieces() -> Iterator[str]:
            yield "first "
            told.wait()

        return carboy.stream_with_context(pieces())

    @app.get("/sse")
    def events() -> Any:
        def source() -> Iterator[str]:
            yield "first"
            told.wait()

        return carboy.sse(source())

    @app.get("/async")
    async def awaited() -> str:
        told.events.append(carboy.request.client_gone)
        told.running.set()
        try:
            await asyncio.sleep(20)
        finally:
            told.events.append(carboy.request.client_gone)
        return "done"

    @app.get("/pieces")
    async def pieces() -> AsyncIterator[str]:
        told.events.append(carboy.request.client_gone)
        yield "first"
        told.running.set()
        try:
            await asyncio.sleep(20)
        finally:
            told.events.append(carboy.request.client_gone)

    @app.get("/quick")
    def quick() -> str:
        return str(carboy.request.client_gone)

    return app


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    yield told
    told.go.set()


@pytest.fixture(params=["direct", "wsgi"])
def live(request: pytest.FixtureRequest, told: Told) -> Iterator[Live]:
    app = application(told)
    if request.param == "wsgi":
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    with served(app) as live:
        yield live
        told.go.set()


@pytest.mark.parametrize("path", ["/view", "/generator", "/async", "/pieces"])
def test_a_client_that_leaves_is_gone(live: Live, told: Told, path: str) -> None:
    with live.client() as client:
        client.send(GET.replace(b" / ", f" {path} ".encode()))
        assert told.running.wait(20)
    eventually(lambda: told.events == [False, True])


def test_a_source_of_events_may_look_as_well(live: Live, told: Told) -> None:
    with live.client() as client:
        client.send(GET.replace(b" / ", b" /sse "))
        assert told.running.wait(20)
    eventually(lambda: told.events in ([False, True], [False]))  # it may be closed first


@pytest.mark.parametrize("path", ["/view", "/generator"])
def test_a_client_that_only_ends_its_side_is_not_gone(live: Live, told: Told, path: str) -> None:
    with live.client() as client:
        client.send(LAST.replace(b" / ", f" {path} ".encode()))
        assert told.running.wait(20)
        client.sock.shutdown(socket.SHUT_WR)
        threading.Event().wait(0.1)  # the view looks in the meantime
        told.go.set()
        rest = client.rest()
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    # The zero that has tested the client belongs to the size of the last chunk.
    assert rest.endswith((b"done", b"\r\n0\r\n\r\n", b"\r\n00\r\n\r\n"))
    assert told.events == [False, False]


def test_other_servers_do_not_say_it() -> None:
    app = application(Told())
    assert app.test_client().get("/quick").text == "False"
    with app.test_request_context("/quick"):
        assert carboy.request.client_gone is False
