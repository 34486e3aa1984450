"""Responses whose bodies are async iterators: no thread waits, and nothing is left open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import carboy
from carboy.app.app import Carboy
from carboy.middleware.proxy_fix import ProxyFix
from live_engine import GET, LAST, Live, eventually, served


class Told:
    """Events that the application has seen."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.running = 0
        self.threads: set[str] = set()
        self.go = threading.Event()

    async def wait(self) -> None:
        while not self.go.is_set():
            await asyncio.sleep(0.01)


class Pieces:
    """An async iterator that is not a generator."""

    def __init__(self, told: Told) -> None:
        self.left = 3
        self.told = told

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        await asyncio.sleep(0)
        return b"%d" % self.left

    async def aclose(self) -> None:
        self.told.events.append("closed")


def application(told: Told) -> Carboy:
    app = carboy.Flask("bodies")
    app.secret_key = "key"

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        told.events.append(("teardown", carboy.request.path, type(error).__name__))
        told.threads.add(threading.current_thread().name)

    @app.after_request
    def after(response: Any) -> Any:
        response.headers["X-After"] = "yes"
        return response

    @app.get("/text")
    async def text() -> AsyncIterator[str]:
        carboy.g.seen = carboy.request.args["a"]
        yield carboy.request.path
        await asyncio.sleep(0)
        yield f" {carboy.g.seen} {carboy.session.get('n')} {carboy.current_app.name}"

    @app.get("/made")
    def made() -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"made "
            await asyncio.sleep(0)
            yield carboy.request.path.encode()

        return carboy.stream_with_context(pieces()), 201, {"X-Own": "1"}

    @app.get("/awaited")
    async def awaited() -> Any:
        await asyncio.sleep(0)
        return carboy.Response(Pieces(told), mimetype="text/plain")

    @app.get("/waits")
    async def waits() -> AsyncIterator[str]:
        yield "first"
        told.running += 1
        try:
            await told.wait()
        except asyncio.CancelledError:
            told.events.append("cancelled")
            raise
        finally:
            told.events.append("cleaned up")
        yield " last"

    @app.get("/silent")
    async def silent() -> AsyncIterator[str]:
        told.running += 1
        try:
            await told.wait()
            yield "late"
        finally:
            told.events.append("cleaned up")

    @app.get("/fails")
    async def fails() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        raise ValueError("early")
        yield "never"

    @app.get("/breaks")
    async def breaks() -> AsyncIterator[str]:
        yield "first"
        await asyncio.sleep(0)
        raise ValueError("late")

    @app.get("/wrong")
    async def wrong() -> AsyncIterator[int]:
        yield 1

    @app.get("/empty")
    async def empty() -> AsyncIterator[str]:
        for _ in range(0):
            yield ""

    @app.get("/endless")
    async def endless() -> AsyncIterator[bytes]:
        told.running += 1
        try:
            while True:
                yield b"x" * 10_000
                told.events.append("piece")
        finally:
            told.events.append("cleaned up")

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


def test_an_async_generator_view_has_the_contexts_of_its_request(live: Live, told: Told) -> None:
    reply = live.get("/text?a=1")
    assert reply.body == b"/text 1 None bodies"
    assert (reply.headers["X-After"], reply.headers["Content-Type"]) == (
        "yes",
        "text/html; charset=utf-8",
    )
    eventually(lambda: told.events)
    assert told.events == [("teardown", "/text", "NoneType")]


def test_a_view_may_return_an_async_iterator_with_status_and_headers(live: Live) -> None:
    reply = live.get("/made")
    assert (reply.status, reply.headers["X-Own"], reply.body) == (201, "1", b"made /made")


def test_an_iterator_of_any_class_is_closed_after_its_last_piece(live: Live, told: Told) -> None:
    with live.client() as client:
        for _ in range(2):  # on a connection that is kept
            client.send(GET.replace(b" / ", b" /awaited "))
            reply = client.reply()
            assert (reply.body, reply.headers["Content-Type"]) == (
                b"210",
                "text/plain; charset=utf-8",
            )
    eventually(lambda: len(told.events) == 4)
    assert told.events == ["closed", ("teardown", "/awaited", "NoneType")] * 2


def test_each_piece_is_sent_when_it_comes(live: Live, told: Told) -> None:
    with live.client() as client:
        client.send(LAST.replace(b" / ", b" /waits "))
        assert client.until(b"first\r\n")
        told.go.set()
        assert b" last" in client.rest()


@pytest.mark.parametrize("wrapped", [False, True])
def test_more_streams_wait_than_there_are_threads(told: Told, wrapped: bool) -> None:
    app = application(told)
    if wrapped:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    with served(app, threads=2) as live, ExitStack() as stack:
        before = threading.active_count()
        clients = [stack.enter_context(live.client()) for _ in range(50)]
        for client in clients:
            client.send(LAST.replace(b" / ", b" /waits "))
        for client in clients:
            client.until(b"first\r\n")
        assert threading.active_count() < before + 10
        assert live.get("/quick").body == b"quick"
        told.go.set()
        for client in clients:
            assert b" last" in client.rest()
    assert "carboy-loop" not in told.threads


def test_an_iterator_is_closed_at_once_when_its_client_leaves(live: Live, told: Told) -> None:
    with live.client() as client:
        client.send(GET.replace(b" / ", b" /waits "))
        client.until(b"first\r\n")
        eventually(lambda: told.running)
    eventually(lambda: len(told.events) == 3)
    assert told.events[:2] == ["cancelled", "cleaned up"]
    eventually(lambda: live.records)
    assert live.records[0][4] == 200


def test_a_client_that_leaves_before_the_first_piece_is_noticed(live: Live, told: Told) -> None:
    with live.client() as client:
        client.send(GET.replace(b" / ", b" /silent "))
        eventually(lambda: told.running)
    eventually(lambda: live.records)
    assert told.events[0] == "cleaned up"
    assert live.records[0][4] == 499


def test_a_client_that_only_ends_its_side_gets_the_whole_response(live: Live, told: Told) -> None:
    import socket

    with live.client() as client:
        client.send(LAST.replace(b" / ", b" /waits "))
        client.until(b"first\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        told.go.set()
        rest = client.rest()
    # A zero that has tested the client may belong to the size of the last chunk.
    assert rest.endswith((b" last\r\n0\r\n\r\n", b" last\r\n00\r\n\r\n"))


def test_an_error_before_the_first_piece_is_a_500(
    live: Live, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    reply = live.get("/fails")
    assert reply.status == 500
    assert "early" not in reply.body.decode()
    assert "ValueError: early" in caplog.text
    eventually(lambda: told.events)
    assert told.events == [("teardown", "/fails", "ValueError")]


def test_an_error_after_the_first_piece_cuts_the_response(
    live: Live, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    text = live.ask(LAST.replace(b" / ", b" /breaks "))
    assert b"first" in text
    assert not text.endswith(b"0\r\n\r\n")
    assert "ValueError: late" in caplog.text
    eventually(lambda: told.events)
    assert told.events == [("teardown", "/breaks", "ValueError")]


def test_a_piece_of_another_type_is_an_error_that_names_it(
    live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    assert live.get("/wrong").status == 500
    assert "text or bytes, not int" in caplog.text


def test_an_iterator_without_pieces_is_an_empty_body(live: Live) -> None:
    reply = live.get("/empty")
    assert (reply.status, reply.body) == (200, b"")


def test_a_response_to_head_runs_no_iterator(live: Live, told: Told) -> None:
    with live.client() as client:
        client.request("HEAD", "/waits")
        assert client.reply("HEAD").status == 200
        client.send(GET.replace(b" / ", b" /quick "))
        assert client.reply().body == b"quick"
    assert not told.running
    eventually(lambda: len(told.events) == 2)
    assert told.events[0] == ("teardown", "/waits", "NoneType")


def test_a_slow_client_stops_the_iterator(live: Live, told: Told) -> None:
    with live.client() as client:
        client.send(GET.replace(b" / ", b" /endless "))
        eventually(lambda: told.running)
        seen = -1

        def rests() -> bool:
            nonlocal seen
            before, seen = seen, len(told.events)
            threading.Event().wait(0.2)
            return before == seen == len(told.events)

        eventually(rests)
        assert live.get("/quick").body == b"quick"
    eventually(lambda: "cleaned up" in told.events)


def test_iterators_are_closed_when_the_server_ends(app: Carboy, told: Told) -> None:
    with served(app) as live, live.client() as client:
        client.send(GET.replace(b" / ", b" /waits "))
        client.until(b"first\r\n")
        eventually(lambda: told.running)
        live.engine.stop(graceful=False)
        live.join()
        eventually(lambda: len(told.events) == 3)
    assert told.events[:2] == ["cancelled", "cleaned up"]


def test_a_graceful_stop_lets_an_iterator_end(app: Carboy, told: Told) -> None:
    with served(app) as live, live.client() as client:
        client.send(GET.replace(b" / ", b" /waits "))
        client.until(b"first\r\n")
        live.engine.stop()
        told.go.set()
        assert b" last" in client.rest()
        live.join()


def test_the_test_client_reads_such_a_body(app: Carboy, told: Told) -> None:
    client = app.test_client()
    assert client.get("/text?a=2").text == "/text 2 None bodies"
    assert client.get("/awaited").data == b"210"
    assert told.events == [
        ("teardown", "/text", "NoneType"),
        "closed",
        ("teardown", "/awaited", "NoneType"),
    ]


def test_any_wsgi_server_gets_an_iterable(told: Told) -> None:
    from carboy.http.request.environ_builder import EnvironBuilder

    app = application(told)
    started: list[Any] = []
    environ = EnvironBuilder(path="/text", query_string="a=3").get_environ()
    body: Any = app(environ, lambda *args: started.append(args))
    assert b"".join(body) == b"/text 3 None bodies"
    body.close()
    assert started[0][0] == "200 OK"
    assert told.events == [("teardown", "/text", "NoneType")]
    assert not carboy.has_request_context()


def test_closing_the_iterable_early_closes_the_iterator(told: Told) -> None:
    from carboy.http.request.environ_builder import EnvironBuilder

    app = application(told)
    body: Any = app(EnvironBuilder(path="/endless").get_environ(), lambda *args: None)
    pieces = iter(body)
    assert next(pieces) == b"x" * 10_000
    body.close()
    assert told.events[-2:] == ["cleaned up", ("teardown", "/endless", "NoneType")]
    assert not carboy.has_request_context()


def test_the_loop_does_not_wait_for_itself(told: Told) -> None:
    app = application(told)

    @app.get("/inside")
    async def inside() -> str:
        with pytest.raises(RuntimeError, match="async for"):
            carboy.Response(Pieces(told)).get_data()
        return "done"

    with served(app) as live:
        assert live.get("/inside").body == b"done"
