from __future__ import annotations

import asyncio
from typing import Any

import pytest

import carboy
from carboy.gateway import DirectGateway, WsgiGateway, for_application
from live_engine import GET, hello, served


class App:
    """A minimal direct application."""

    def __init__(self) -> None:
        self.ready = True
        self.environs = 0
        self.limit: int | None = None
        self.stream = False

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"by environ"]

    def direct_ready(self) -> bool:
        return self.ready

    def direct_prepare(self, exchange: Any) -> str:
        exchange.match = exchange.head.path.rpartition("/")[2]
        return "the rule"

    def direct_body_limit(self, exchange: Any) -> int | None:
        return self.limit

    def direct_wants_stream(self, exchange: Any) -> bool:
        return self.stream

    def direct_handle(self, exchange: Any) -> Any:
        body = exchange.body.read() if exchange.body else b""
        text = f"{exchange.match} {exchange.peer[0]} {exchange.body_size} ".encode()
        return "200 OK", [("Content-Type", "text/plain")], text + body, None


def test_the_right_gateway_is_chosen() -> None:
    assert isinstance(for_application(App()), DirectGateway)
    assert isinstance(for_application(hello), WsgiGateway)


def test_a_direct_application_gets_the_exchange() -> None:
    with served(App()) as live, live.client() as client:
        client.send(GET)
        assert client.reply().body == b" 127.0.0.1 0 "
        client.request("POST", "/a/b", {}, b"payload")
        assert client.reply().body == b"b 127.0.0.1 7 payload"


def test_a_wrapped_application_is_called_with_an_environ() -> None:
    app = App()
    with served(app) as live:
        assert live.get("/x").body.startswith(b"x ")
        app.ready = False
        assert live.get("/x").body == b"by environ"


def test_the_limit_of_the_application_is_checked_before_reading() -> None:
    app = App()
    app.limit = 3
    with served(app) as live:
        data = live.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 413 ")


def test_a_rule_may_ask_for_the_stream() -> None:
    app = App()
    app.stream = True
    with served(app) as live, live.client() as client:
        client.request("POST", "/a", {}, b"payload")
        assert client.reply().body == b"a 127.0.0.1 7 payload"


def test_an_application_that_fails_to_prepare_gets_a_500() -> None:
    class Broken(App):
        def direct_prepare(self, exchange: Any) -> str:
            raise KeyError("no table")

    with served(Broken()) as live:
        assert live.get().status == 500


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_coroutines_of_an_application_run_on_the_kind_of_loop_of_the_server(kind: str) -> None:
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    app = carboy.Flask("loops")

    @app.get("/")
    async def view() -> str:
        return type(asyncio.get_running_loop()).__module__.partition(".")[0]

    gateway: Any = for_application(app, loop=kind)
    gateway.start()
    try:
        with served(app, gateway=gateway) as live:
            assert live.get().body.decode() == kind
    finally:
        gateway.stop(5)
