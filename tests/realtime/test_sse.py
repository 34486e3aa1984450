"""Responses of server-sent events, on a real engine with real clients."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import carboy
from carboy.app.app import Carboy
from carboy.middleware.proxy_fix import ProxyFix
from carboy.realtime import thread_source
from event_stream import Reader, Received, read
from live_engine import GET, LAST, Client, Live, eventually, served


class Told:
    """Events that the application has seen."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.running = 0
        self.go = threading.Event()

    async def wait(self) -> None:
        while not self.go.is_set():
            await asyncio.sleep(0.01)


def application(told: Told) -> Carboy:
    app = carboy.Flask("events")

    @app.get("/plain")
    def plain() -> Any:
        def events() -> Iterator[Any]:
            try:
                yield "text\nof two lines"
                yield b"bytes"
                yield {"a": [1, None]}
                yield carboy.Event(carboy.request.path, event="path", id="7")
            finally:
                told.events.append("closed")

        return carboy.sse(events(), retry=2500)

    @app.get("/async")
    async def awaited() -> Any:
        async def events() -> AsyncIterator[Any]:
            last = int(carboy.last_event_id() or 0)
            for number in range(last + 1, 4):
                await asyncio.sleep(0)
                yield carboy.Event(number, id=str(number))

        return carboy.sse(events())

    @app.get("/waits")
    def waits() -> Any:
        async def events() -> AsyncIterator[Any]:
            told.running += 1
            try:
                yield "first"
                await told.wait()
                yield "last"
            finally:
                told.events.append("closed")

        return carboy.sse(events(), keep_alive=float(carboy.request.args.get("keep", 15)))

    @app.get("/waits/thread")
    def waits_in_thread() -> Any:
        def events() -> Iterator[Any]:
            told.running += 1
            try:
                yield "first"
                while not told.go.wait(0.05):
                    pass
                yield "last"
            finally:
                told.events.append("closed")

        return carboy.sse(events(), keep_alive=float(carboy.request.args.get("keep", 15)))

    @app.get("/silent")
    def silent() -> Any:
        async def events() -> AsyncIterator[Any]:
            await told.wait()
            yield "late"

        return carboy.sse(events())

    @app.get("/fails")
    def fails() -> Any:
        async def events() -> AsyncIterator[Any]:
            raise ValueError("early")
            yield ""

        return carboy.sse(events())

    @app.get("/fails/thread")
    def fails_in_thread() -> Any:
        def events() -> Iterator[Any]:
            raise ValueError("early")
            yield ""

        return carboy.sse(events())

    @app.get("/quick")
    def quick() -> str:
        return "quick"

    return app


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    yield told
    told.go.set()


@pytest.fixture(params=["direct", "wsgi"])
def app(request: pytest.FixtureRequest, told: Told) -> Carboy:
    made = application(told)
    if request.param == "wsgi":
        made.wsgi_app = ProxyFix(made.wsgi_app)  # type: ignore[method-assign]
    return made


@pytest.fixture
def live(app: Carboy, told: Told) -> Iterator[Live]:
    with served(app, record=True) as live:
        yield live
        told.go.set()


def get(path: str) -> bytes:
    return GET.replace(b" / ", f" {path} ".encode())


def until(client: Client, data: str) -> Reader:
    """Read a response, chunked, to the event with this data."""
    reader = Reader()
    client.until(b"\r\n\r\n")
    while data not in [each.data for each in reader.events]:
        size = int(client.file.readline(), 16)
        assert size, "the stream has ended"
        reader.feed(client.file.read(size))
        client.file.readline()
    return reader


def test_events_are_text_bytes_json_and_events(live: Live, told: Told) -> None:
    reply = live.get("/plain")
    reader = read(reply.body)
    assert reader.retry == 2500
    assert reader.events == [
        Received("message", "text\nof two lines", ""),
        Received("message", "bytes", ""),
        Received("message", '{"a": [1, null]}', ""),
        Received("path", "/plain", "7"),
    ]
    assert told.events == ["closed"]


def test_the_response_is_neither_stored_nor_buffered_nor_compressed(live: Live) -> None:
    headers = live.get("/plain").headers
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache, no-store, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Content-Encoding"] is None


def test_a_client_that_connects_again_says_what_it_has(live: Live) -> None:
    assert [each.data for each in read(live.get("/async").body).events] == ["1", "2", "3"]
    again = live.get("/async", **{"Last-Event-ID": "2"})
    assert read(again.body).events == [Received("message", "3", "3")]


def test_the_response_begins_before_the_first_event(live: Live, told: Told) -> None:
    with live.client() as client:
        client.send(get("/silent"))
        assert b"200 OK" in client.until(b"\r\n\r\n")
        told.go.set()


@pytest.mark.parametrize("path", ["/waits", "/waits/thread"])
def test_comments_show_that_the_connection_lives(live: Live, told: Told, path: str) -> None:
    with live.client() as client:
        client.send(LAST.replace(b" / ", f" {path}?keep=0.05 ".encode()))
        client.until(b"first\n\n\r\n")
        for _ in range(3):
            client.until(b":\n\n\r\n")
        told.go.set()
        assert b"data: last\n\n" in client.rest()


@pytest.mark.parametrize("path", ["/waits", "/waits/thread"])
def test_a_source_is_closed_at_once_when_its_client_leaves(
    live: Live, told: Told, path: str
) -> None:
    with live.client() as client:
        client.send(get(path))
        until(client, "first")
    eventually(lambda: told.events == ["closed"])


@pytest.mark.parametrize("path", ["/waits", "/waits/thread"])
def test_a_stop_ends_the_stream_and_has_the_client_connect_again(
    app: Carboy, told: Told, path: str
) -> None:
    with served(app) as live, live.client() as client:
        client.send(get(path))
        until(client, "first")
        live.engine.stop()
        rest = client.rest()
        live.join()
    assert told.events == ["closed"]
    found = re.search(rb"retry: (\d+)\n", rest)
    assert found is not None
    assert 1000 <= int(found[1]) <= 3000
    assert rest.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("path", ["/fails", "/fails/thread"])
def test_an_error_at_the_start_is_a_500(live: Live, path: str) -> None:
    assert live.get(path).status == 500


@pytest.mark.parametrize("path", ["/waits", "/waits/thread"])
def test_a_response_to_head_has_the_headers_only(live: Live, told: Told, path: str) -> None:
    with live.client() as client:
        client.request("HEAD", path)
        assert client.reply("HEAD").headers["Content-Type"].startswith("text/event-stream")
        client.send(get("/quick"))
        assert client.reply().body == b"quick"
    assert not told.running


def test_more_plain_sources_than_threads_wait_and_the_log_says_so(
    told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(thread_source, "MOST", thread_source._threads + 2)
    monkeypatch.setattr(thread_source, "_warn_at", 0.0)
    with served(application(told), threads=2) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(4)]
        for client in clients[:2]:
            client.send(get("/waits/thread"))
            until(client, "first")
        for client in clients[2:]:
            client.send(get("/waits/thread"))
            client.until(b"\r\n\r\n")
        assert live.get("/quick").body == b"quick"
        eventually(lambda: "further ones wait" in caplog.text)
        assert told.running == 2
        told.go.set()
        for client in clients:
            assert b"data: last" in client.until(b"0\r\n\r\n")


def test_a_negative_keep_alive_is_refused() -> None:
    with pytest.raises(ValueError, match="seconds"):
        carboy.sse([], keep_alive=-1)
