"""Responses made piece by piece, whose iterators are closed while they wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import carboy
from carboy.app.app import Carboy
from carboy.middleware.proxy_fix import ProxyFix
from live_engine import GET, LAST, eventually, served


class Told:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.inside = threading.Event()
        self.go = threading.Event()
        self.queue: queue.Queue[str | None] = queue.Queue()


def application(told: Told) -> Carboy:
    app = carboy.Flask("streams")

    def waiting() -> Iterator[str]:
        try:
            yield "first "
            told.inside.set()
            while not told.go.wait(0.01):
                pass
            yield "last"
        except GeneratorExit:
            told.events.append("GeneratorExit")
            raise
        finally:
            told.events.append("closed")

    @app.get("/cancel")
    def cancel() -> Any:
        return carboy.stream(waiting(), cancel=True, mimetype="text/plain", status=202)

    @app.get("/plain")
    def plain() -> Any:
        return carboy.stream(waiting(), headers={"X-Own": "1"})

    @app.get("/swallows")
    def swallows() -> Any:
        def stubborn() -> Iterator[str]:
            yield "first "
            told.inside.set()
            try:
                while not told.go.wait(0.01):
                    pass
            except GeneratorExit:
                told.events.append("swallowed")
            try:
                yield "more"
            finally:
                told.events.append("closed")

        return carboy.stream(stubborn(), cancel=True)

    @app.get("/queue")
    def of_queue() -> Any:
        return carboy.stream(iter(told.queue.get, None), cancel=True)

    @app.get("/error")
    def error() -> Any:
        def failing() -> Iterator[str]:
            yield "first"
            raise ValueError("late")

        return carboy.stream(failing(), cancel=True)

    return app


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    yield told
    told.go.set()
    told.queue.put(None)


@pytest.fixture(params=["direct", "wsgi"])
def app(request: pytest.FixtureRequest, told: Told) -> Carboy:
    made = application(told)
    if request.param == "wsgi":
        made.wsgi_app = ProxyFix(made.wsgi_app)  # type: ignore[method-assign]
    return made


def test_a_stream_has_the_pieces_of_its_iterator(app: Carboy, told: Told) -> None:
    told.go.set()
    with served(app) as live:
        reply = live.get("/cancel")
        assert (reply.status, reply.body) == (202, b"first last")
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        reply = live.get("/plain")
        assert (reply.headers["X-Own"], reply.body) == ("1", b"first last")
    assert told.events == ["closed", "closed"]


def test_a_plain_generator_that_waits_is_closed_when_its_client_leaves(
    app: Carboy, told: Told
) -> None:
    with served(app) as live:
        with live.client() as client:
            client.send(GET.replace(b" / ", b" /cancel "))
            assert told.inside.wait(20)
        eventually(lambda: told.events == ["GeneratorExit", "closed"])


def test_a_generator_that_goes_on_is_closed_at_its_next_piece(app: Carboy, told: Told) -> None:
    with served(app) as live:
        with live.client() as client:
            client.send(GET.replace(b" / ", b" /swallows "))
            assert told.inside.wait(20)
        eventually(lambda: told.events == ["swallowed", "closed"])


def test_a_stop_closes_a_generator_that_waits(app: Carboy, told: Told) -> None:
    with served(app) as live, live.client() as client:
        client.send(GET.replace(b" / ", b" /cancel "))
        assert told.inside.wait(20)
        live.engine.stop()
        assert client.rest().endswith(b"0\r\n\r\n")
        live.join()
    assert told.events == ["GeneratorExit", "closed"]


def test_an_iterator_that_waits_in_c_does_not_keep_the_server_from_stopping(
    app: Carboy, told: Told
) -> None:
    with served(app) as live, live.client() as client:
        client.send(GET.replace(b" / ", b" /queue "))
        eventually(live.engine.in_flight)
        live.engine.stop()
        live.join()


def test_an_error_of_a_plain_generator_cuts_the_response(
    app: Carboy, caplog: pytest.LogCaptureFixture
) -> None:
    with served(app) as live:
        text = live.ask(LAST.replace(b" / ", b" /error "))
    assert b"first" in text
    assert not text.endswith(b"0\r\n\r\n")
    assert "ValueError: late" in caplog.text


def test_the_exception_does_not_reach_other_code_of_the_thread(app: Carboy, told: Told) -> None:
    """Values and clients that leave come at the same moments."""
    ends: list[str] = []

    def short() -> Iterator[str]:
        try:
            for _ in range(300):
                yield "x" * 100
        finally:
            ends.append("closed")

    @app.get("/short")
    def view() -> Any:
        return carboy.stream(short(), cancel=True)

    count = 60
    errors: list[Any] = []
    before, threading.excepthook = threading.excepthook, errors.append
    try:
        with served(app) as live:
            for number in range(count):
                with live.client() as client:
                    client.send(GET.replace(b" / ", b" /short "))
                    client.file.read(200 + number * 100)
            eventually(lambda: len(ends) == count)
            eventually(lambda: all(each.name != "carboy-stream" for each in threading.enumerate()))
    finally:
        threading.excepthook = before
    assert errors == []
