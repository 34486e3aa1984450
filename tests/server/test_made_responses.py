"""Whole responses of one turn are made first, then sent; none waits for a slow handler."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from carboy.gateway import for_application
from carboy.gateway.asgi import AsgiGateway
from carboy.server.connection import Connection
from carboy.speedups import speedups
from live_asgi import body, only_http, start
from live_engine import GET, Client, Live, eventually, served

QUICK, SLOW = GET.replace(b" / ", b" /quick "), GET.replace(b" / ", b" /slow ")


class Turns:
    """Has requests of several clients read in one turn, and notes what the server does."""

    def __init__(self) -> None:
        self.go = threading.Event()  # for the handler of /slow
        self.inside = threading.Event()
        self.steps: list[str] = []
        self._held = threading.Event()
        self._held.set()
        self._waits = threading.Event()  # a turn is held

    def app(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.handle(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    def handle(self, path: str) -> None:
        self.steps.append(path)
        if path == "/slow":
            self.inside.set()
            assert self.go.wait(60)

    @contextmanager
    def served(self, known: dict[str, float], **more: Any) -> Iterator[Live]:
        gateway: Any = for_application(self.app)
        gateway.prepare = lambda exchange: exchange.head.path
        with served(self.app, gateway=gateway, trace=self._before_a_turn, **more) as live:
            live.engine.dispatch_times.averages.update(known)
            try:
                yield live
            finally:
                self.go.set()

    def _before_a_turn(self) -> None:
        if not self._held.is_set():
            self._waits.set()
        assert self._held.wait(60)

    def send(self, live: Live, clients: list[Client], requests: list[bytes]) -> None:
        """Send each client's request; the server reads all of them in one turn."""
        eventually(lambda: len(live.engine.connections) == len(clients))
        self._held.clear()
        live.engine.nudge()  # the turn that waits in the poller ends, and the next one is held
        assert self._waits.wait(60)
        for client, request in zip(clients, requests, strict=True):
            client.send(request)
        self._held.set()


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def noted(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    push = Connection.push

    def noting(self: Connection, data: bytes) -> bool:
        turns.steps.append("sent")
        return push(self, data)

    monkeypatch.setattr(Connection, "push", noting)
    speedups.hold("Connection.push is replaced")
    yield
    speedups.release("Connection.push is replaced")


@pytest.mark.usefixtures("noted")
@pytest.mark.parametrize("count", [1, 3, 16, 20])
def test_responses_of_quick_handlers_are_sent_together(turns: Turns, count: int) -> None:
    # A busy machine may interrupt a handler for longer than a quick one takes.
    with turns.served({"/quick": 0.0}, watch_interval=60.0) as live, ExitStack() as stack:
        live.engine.dispatcher._worth = 60.0
        clients = [stack.enter_context(live.client()) for _ in range(count)]
        turns.send(live, clients, [QUICK] * count)
        assert [client.reply().body for client in clients] == [b"hello"] * count
    first = min(count, 16)
    rest = count - first
    assert (
        turns.steps == ["/quick"] * first + ["sent"] * first + ["/quick"] * rest + ["sent"] * rest
    )


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("known", [{}, {"/slow": 0.0001}])
def test_a_response_is_sent_before_a_handler_that_may_be_slow(
    turns: Turns, known: dict[str, float], threads: int
) -> None:
    with turns.served({"/quick": 0.0, **known}, threads=threads) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(4)]
        turns.send(live, clients, [QUICK, QUICK, SLOW, QUICK])
        assert clients[0].reply().body == clients[1].reply().body == b"hello"
        turns.go.set()
        assert clients[2].reply().body == clients[3].reply().body == b"hello"


def test_the_next_leader_sends_what_was_made_before_a_handler_became_slow(turns: Turns) -> None:
    with turns.served({"/quick": 0.0, "/slow": 0.0}) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(4)]
        turns.send(live, clients, [QUICK, QUICK, SLOW, QUICK])
        assert turns.inside.wait(60)
        assert [clients[number].reply().body for number in (0, 1, 3)] == [b"hello"] * 3
        turns.go.set()
        assert clients[2].reply().body == b"hello"
        assert live.get("/quick").body == b"hello"


def test_the_batch_and_other_connections_are_served_while_leaders_wait(turns: Turns) -> None:
    with turns.served({"/quick": 0.0, "/slow": 0.0}) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(5)]
        turns.send(live, clients, [QUICK, SLOW, QUICK, SLOW, QUICK])
        assert [clients[number].reply().body for number in (0, 2, 4)] == [b"hello"] * 3
        assert live.get("/quick").body == b"hello"
        assert live.engine.crew.away == 2
        turns.go.set()
        assert [clients[number].reply().body for number in (1, 3)] == [b"hello"] * 2


def test_the_next_leader_runs_the_rest_with_the_steps_of_the_turn(turns: Turns) -> None:
    with turns.served({"/quick": 0.0, "/slow": 0.0}) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(4)]
        step, threads = live.engine._dispatch, set[int]()

        def dispatch(lead: Any, exchange: Any, data: bytes | None) -> None:
            threads.add(threading.get_ident())
            step(lead, exchange, data)

        live.engine._dispatch = dispatch
        turns.send(live, clients, [QUICK, SLOW, QUICK, QUICK])
        assert [clients[number].reply().body for number in (0, 2, 3)] == [b"hello"] * 3
        assert len(threads) == 2
        turns.go.set()
        assert clients[1].reply().body == b"hello"


def test_a_stand_in_sends_what_was_made_before_a_handler_blocks_the_loop(turns: Turns) -> None:
    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        turns.handle(scope["path"])
        await send(start())
        await send(body(b"hello"))

    gateway: Any = AsgiGateway(app, "asyncio")
    gateway.start()
    try:
        with served(app, gateway=gateway) as live, ExitStack() as stack:
            live.engine.dispatch_times.averages.update({"GET /quick": 0.0, "GET /slow": 0.0})
            clients = [stack.enter_context(live.client()) for _ in range(3)]
            eventually(lambda: len(live.engine.connections) == 3)

            def send_all() -> None:  # on the loop, so that one turn reads all of it
                for client, request in zip(clients, [QUICK, SLOW, QUICK], strict=True):
                    client.send(request)

            gateway.loop.wake(send_all)
            assert turns.inside.wait(60)
            assert clients[0].reply().body == b"hello"
            turns.go.set()
            assert clients[1].reply().body == clients[2].reply().body == b"hello"
    finally:
        turns.go.set()
        gateway.stop(5)


def test_what_was_made_is_sent_at_a_stop(turns: Turns) -> None:
    with turns.served({"/quick": 0.0, "/slow": 0.0}) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(3)]
        turns.send(live, clients, [QUICK, SLOW, QUICK])
        assert turns.inside.wait(60)
        live.engine.stop()
        assert clients[0].reply().body == clients[2].reply().body == b"hello"
        turns.go.set()
        assert clients[1].reply().body == b"hello"
        live.join()


def test_a_client_that_has_gone_takes_nothing_from_the_others(turns: Turns) -> None:
    with turns.served({"/quick": 0.0}) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(3)]
        turns.send(live, clients, [QUICK] * 3)
        clients[1].sock.close()
        assert clients[0].reply().body == clients[2].reply().body == b"hello"
        assert live.get("/quick").body == b"hello"
