"""Coroutines whose client leaves, and coroutines that keep the event loop from running."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import carboy
from carboy.app.loop import waiting_for
from carboy.net import loop_watch
from carboy.net.worker_loop import worker_loop
from live_engine import GET, eventually, served

log = logging.getLogger("carboy.error")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_watch, "LOOK", 0.02)
    monkeypatch.setattr(loop_watch, "BLOCKED", 0.1)


@pytest.fixture(params=["direct", "wsgi", "serial"])
def lane(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def application(lane: str) -> carboy.Flask:
    app = carboy.Flask(__name__)
    if lane == "wsgi":
        inner = app.wsgi_app

        def wrapped(environ: Any, start_response: Any) -> Any:
            return inner(environ, start_response)

        app.wsgi_app = wrapped  # type: ignore[method-assign]
    return app


def test_a_coroutine_whose_client_leaves_is_cancelled(lane: str) -> None:
    app = application(lane)
    order: list[str] = []
    entered = threading.Event()

    @app.get("/")
    async def view() -> str:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            order.append(f"cancelled {carboy.request.path}")
            raise
        return ""

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        order.append(f"teardown {type(error).__name__}")

    with served(app, record=True, threads=1 if lane == "serial" else 4) as live:
        with live.client() as client:
            client.send(GET)
            assert entered.wait(20)
        eventually(lambda: live.records)
        eventually(lambda: not live.engine.connections)
        assert live.records[0][4] == 499
    assert order == ["cancelled /", "teardown CancelledError"]


def test_nothing_is_logged_as_a_failure_when_the_client_leaves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = application("direct")
    entered = threading.Event()

    @app.get("/")
    async def view() -> str:
        entered.set()
        await asyncio.Event().wait()
        return ""

    with served(app, record=True) as live:
        with live.client() as client:
            client.send(GET)
            assert entered.wait(20)
        eventually(lambda: live.records)
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["small", "large", "file"])
def test_a_client_that_only_shuts_down_its_sending_side_gets_its_answer(
    lane: str, kind: str, tmp_path: Path
) -> None:
    app = application(lane)
    text = "there" if kind == "small" else "there" * 50_000  # sent after its head
    (tmp_path / "file.txt").write_text(text)
    entered = threading.Event()
    may_go = threading.Event()

    @app.get("/")
    async def view() -> Any:
        entered.set()
        while not may_go.is_set():
            await asyncio.sleep(0.01)
        return carboy.send_file(tmp_path / "file.txt") if kind == "file" else text

    looks: list[bool] = []

    def has_left(self: Any) -> bool:
        looks.append(before(self))
        return looks[-1]

    from carboy.server.exchange import ServerExchange

    before = ServerExchange.has_left
    ServerExchange.has_left = has_left  # type: ignore[method-assign]
    try:
        with served(app, threads=1 if lane == "serial" else 4) as live, live.client() as client:
            client.send(GET)
            client.sock.shutdown(socket.SHUT_WR)
            assert entered.wait(20)
            if lane == "wsgi":  # a thread waits for the coroutine
                eventually(lambda: len(looks) >= 3)
            else:
                (connection,) = live.engine.connections.values()
                eventually(lambda: connection.exchange.channel.half_closed)  # type: ignore[union-attr]
            may_go.set()
            answer = client.rest()
    finally:
        ServerExchange.has_left = before  # type: ignore[method-assign]
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n" + text.encode())
    assert not any(looks)


def test_a_timeout_error_of_the_coroutine_is_raised() -> None:
    async def late() -> None:
        await asyncio.sleep(0.1)
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine") as caught:
        waiting_for(late)()
    assert caught.value.__context__ is None


class Warned(logging.Handler):
    """Releases a coroutine that blocks, once it was reported."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.once = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        self.once.set()


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> Any:
    handler = Warned()
    monkeypatch.setattr(log, "propagate", False)
    monkeypatch.setattr(worker_loop().watch, "_report_after", 0.0)
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def test_a_coroutine_that_blocks_the_loop_is_named_with_its_request(warned: Warned) -> None:
    app = application("direct")

    @app.get("/slow")
    async def view() -> str:
        assert warned.once.wait(20)  # blocks
        return "done"

    with served(app, linger_timeout=0.1) as live:  # makes the engine's interval short, too
        assert live.get("/slow").body == b"done"
    [text] = warned.texts
    assert text.startswith("GET /slow HTTP/1.1: ")
    assert "view() has kept the event loop from running for" in text
    assert "warned.once.wait(20)  # blocks" in text
    assert "asyncio/events.py" not in text
    assert "_run" not in text


def test_a_task_of_the_application_that_blocks_is_shown_by_its_stack(warned: Warned) -> None:
    async def background() -> None:
        assert warned.once.wait(20)  # in the background

    async def view() -> None:
        await asyncio.create_task(background())

    waiting_for(view)()
    [text] = warned.texts
    assert text.startswith("A coroutine has kept")
    assert "# in the background" in text


def test_repeated_blocking_is_reported_once(warned: Warned) -> None:
    async def view() -> None:
        assert warned.once.wait(20)

    waiting_for(view)()
    again = threading.Event()

    async def once_more() -> None:
        again.wait(0.4)  # four times the reported limit

    waiting_for(once_more)()
    assert len(warned.texts) == 1


class Loop:
    """The part of a loop that a watch uses."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    thread_id = threading.get_ident()

    def wake(self, step: Any) -> None:
        self.steps.append(step)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> loop_watch.LoopWatch:
    monkeypatch.setattr(loop_watch, "BLOCKED", 0.0)
    monkeypatch.setattr(loop_watch, "LOOK", 10.0)  # the machine may be busy
    watch = loop_watch.LoopWatch(Loop())
    watch.learn(test_a_running_loop_is_not_reported.__code__, lambda frame: "A test")
    return watch


def test_a_running_loop_is_not_reported(watch: loop_watch.LoopWatch, warned: Warned) -> None:
    steps = watch._loop.steps  # type: ignore[attr-defined]
    for _ in range(5):
        watch.look()
        steps.pop()()
    assert warned.texts == []
    watch.look()
    watch.look()
    assert warned.texts[0].startswith("A test has kept the event loop from running")


def test_time_while_the_process_was_suspended_does_not_count(
    watch: loop_watch.LoopWatch, warned: Warned
) -> None:
    watch.look()
    watch._looked -= 100.0
    watch._asked -= 100.0
    watch.look()
    assert warned.texts == []
