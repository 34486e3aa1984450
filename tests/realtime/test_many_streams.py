"""Many open streams beside other requests."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import carboy
from carboy.app.app import Carboy
from live_engine import eventually, explained, served

COUNT = 1000


class Told:
    def __init__(self) -> None:
        self.running = 0
        self.go = threading.Event()


def application(told: Told) -> Carboy:
    app = carboy.Flask("many")

    @app.get("/async")
    def of_async() -> Any:
        async def events() -> AsyncIterator[str]:
            told.running += 1
            yield "first"
            while not told.go.is_set():
                await asyncio.sleep(0.1)
            yield "last"

        return carboy.sse(events())

    @app.get("/plain")
    def plain() -> Any:
        def pieces() -> Iterator[str]:
            told.running += 1
            yield "first"
            told.go.wait(60)
            yield "last"

        return carboy.stream(pieces())

    @app.get("/quick")
    def quick() -> str:
        return "quick"

    return app


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    yield told
    told.go.set()


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Name what waits in vain."""
    try:
        yield
    except TimeoutError as error:
        error.add_note(what)
        raise


@contextmanager
def closing_all(clients: list[socket.socket]) -> Iterator[None]:
    try:
        yield
    finally:
        for each in clients:
            each.close()


def test_quick_views_answer_beside_a_thousand_streams(told: Told) -> None:
    clients: list[socket.socket] = []
    with served(application(told), threads=16) as live, closing_all(clients), explained(live):
        before = threading.active_count()
        for _ in range(COUNT):
            sock = socket.create_connection(live.address, timeout=60)
            clients.append(sock)
            sock.sendall(b"GET /async HTTP/1.1\r\nHost: example.test\r\n\r\n")
        eventually(lambda: told.running == COUNT)
        assert threading.active_count() < before + 40
        for _ in range(20):
            assert live.get("/quick").body == b"quick"
        told.go.set()
        for number, sock in enumerate(clients):
            data = b""
            while not data.endswith(b"0\r\n\r\n"):
                with naming(f"client {number}, which has read {data!r}, on {sock.getsockname()}"):
                    piece = sock.recv(65536)
                assert piece
                data += piece
            assert b"data: last" in data


def test_plain_streams_beyond_the_limit_wait_and_quick_views_answer(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    limit, count = 8, 40
    settings = {"threads": 4, "stream_threads": limit}
    clients: list[socket.socket] = []
    with (
        served(application(told), **settings) as live,  # type: ignore[arg-type]
        closing_all(clients),
        explained(live),
    ):
        for _ in range(count):
            sock = socket.create_connection(live.address, timeout=60)
            clients.append(sock)
            sock.sendall(b"GET /plain HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n")
        eventually(lambda: told.running >= limit)
        for _ in range(20):
            assert live.get("/quick").body == b"quick"
        # Those that have begun wait for a stream thread, the others for any thread.
        warnings = ("stream threads are in use", "requests wait for one")
        eventually(lambda: any(each in caplog.text for each in warnings))
        told.go.set()
        for sock in clients:
            data = b""
            while piece := sock.recv(65536):
                data += piece
            assert b"first" in data
            assert b"last" in data
