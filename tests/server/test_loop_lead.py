"""The leader of an ASGI application runs on the thread of its event loop."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from carboy.gateway.asgi import AsgiGateway
from live_asgi import body, only_http, start
from live_engine import GET, Live, eventually, served

LOOP, STAND_IN = "carboy-loop", "carboy-stand-in"
BLOCK = GET.replace(b" / ", b" /block ")


class Blocking:
    """An application whose requests for /block keep the loop from running."""

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.go = threading.Event()
        self.leaders: list[str] = []  # names of the threads that have read a request

    @contextmanager
    def served(self, loop: str = "asyncio", **settings: Any) -> Iterator[Live]:
        @only_http
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/block":
                self.inside.set()
                assert self.go.wait(60)
            await send(start())
            await send(body(b"hello"))

        gateway: Any = AsgiGateway(app, loop)
        gateway.prepare = self.prepare
        gateway.start()
        try:
            with served(app, gateway=gateway, **settings) as live:
                yield live
        finally:
            self.go.set()
            gateway.stop(5)

    def prepare(self, exchange: Any) -> str:
        self.leaders.append(threading.current_thread().name)
        return "asgi"


@pytest.fixture
def blocking() -> Blocking:
    return Blocking()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_loop_leads(blocking: Blocking, loop: str) -> None:
    with blocking.served(loop) as live:
        for _ in range(3):
            assert live.get().body == b"hello"
    assert blocking.leaders == [LOOP] * 3


def test_no_thread_of_the_crew_is_started(blocking: Blocking) -> None:
    with blocking.served() as live:
        live.get()
        assert live.engine.crew._members == []


def test_a_thread_leads_if_the_poller_cannot_be_watched(
    blocking: Blocking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selectors.DefaultSelector", selectors.SelectSelector)
    with blocking.served(poller="selectors") as live:
        assert live.get().body == b"hello"
    assert blocking.leaders == ["carboy-1"]


def test_a_stand_in_leads_while_a_task_blocks_the_loop(blocking: Blocking) -> None:
    with blocking.served() as live, live.client() as client, live.client() as waiting:
        client.send(BLOCK)
        assert blocking.inside.wait(20)
        waiting.send(GET)
        eventually(lambda: blocking.leaders == [LOOP, STAND_IN])
        assert live.ask(b"bad\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        blocking.go.set()
        assert client.reply().body == waiting.reply().body == b"hello"
        eventually(lambda: live.get().body == b"hello" and blocking.leaders[-1] == LOOP)


def test_the_loop_and_its_stand_in_take_turns(blocking: Blocking) -> None:
    with blocking.served() as live:
        for _ in range(3):
            blocking.inside.clear()
            blocking.go.clear()
            with live.client() as client:
                client.send(BLOCK)
                assert blocking.inside.wait(20)
                assert live.ask(b"bad\r\n\r\n").startswith(b"HTTP/1.1 400 ")
                blocking.go.set()
                assert client.reply().body == b"hello"
            eventually(lambda: live.get().body == b"hello" and blocking.leaders[-1] == LOOP)


def test_time_outs_hold_while_a_task_blocks_the_loop(blocking: Blocking) -> None:
    with blocking.served(headers_timeout=0.2) as live, live.client() as client:
        client.send(BLOCK)
        assert blocking.inside.wait(20)
        with live.client() as slow:
            slow.send(b"GET / HTTP/1.1\r\n")
            assert slow.rest().startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("graceful", [True, False])
def test_a_server_stops_while_a_task_blocks_the_loop(blocking: Blocking, graceful: bool) -> None:
    with blocking.served(graceful_timeout=0.2) as live, live.client() as client:
        client.send(BLOCK)
        assert blocking.inside.wait(20)
        live.engine.stop(graceful=graceful)
        live.join()
        assert client.closed()


def test_a_request_that_blocks_is_answered_during_a_stop(blocking: Blocking) -> None:
    with blocking.served() as live, live.client() as client:
        client.send(BLOCK)
        assert blocking.inside.wait(20)
        live.engine.stop()
        eventually(lambda: live.engine.responder.stopping)
        blocking.go.set()
        assert client.reply().body == b"hello"
        live.join()


def test_a_loop_is_left_as_it_was(blocking: Blocking) -> None:
    """Several engines may be led by one loop, one after the other and at once."""
    from carboy.net import worker_loop

    kind = worker_loop.hold("asyncio")
    try:
        loop: Any = worker_loop.worker_loop(kind).start()
        before = len(loop._selector.get_map())
        for _ in range(3):
            with blocking.served() as first, blocking.served() as second:
                assert first.get().body == second.get().body == b"hello"
        eventually(lambda: len(loop._selector.get_map()) == before)
    finally:
        worker_loop.release(kind, 5)


def test_a_bug_in_a_turn_ends_the_engine(
    blocking: Blocking, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_type))
    with blocking.served() as live, live.client() as client:
        live.engine._tick = lambda now: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        client.send(GET)
        live.join()
    assert raised == [ZeroDivisionError]
    assert "The engine failed." in caplog.text
