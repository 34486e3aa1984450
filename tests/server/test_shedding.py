"""Load shedding on a real engine."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from typing import Any

import pytest

import carboy
from carboy.server.engine import Engine
from live_asgi import body, only_http, served_asgi, start
from live_engine import Live, eventually, hello, served

PATIENCE = 60.0
NEVER = float("inf")


def limited(engine: Engine, limit: float) -> None:
    """Have the engine take this many requests at a time."""
    shedding = engine.scheduler.shedding
    assert shedding is not None
    shedding._limit.limit = limit


def held(live: Live, clients: ExitStack, count: int, path: str = "/hold") -> None:
    """Requests that run until the test lets them go."""
    for _ in range(count):
        clients.enter_context(live.client()).request("GET", path)


class Room:
    """A WSGI application whose requests for /hold wait."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.running: list[None] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/hold":
            self.running.append(None)
            assert self.go.wait(PATIENCE)
        return hello(environ, start_response)


def slow(live: Live, *paths: str) -> None:
    """Routes that get threads from the start."""
    for path in paths:
        live.engine.dispatch_times.averages[f"GET {path}"] = 1.0
    live.engine.dispatch_times.next_trial = NEVER


def test_requests_above_the_limit_get_503_and_quick_routes_continue() -> None:
    app = Room()
    with (
        served(app, adaptive_limit=True, threads=4, record=True) as live,
        ExitStack() as clients,
    ):
        clients.callback(app.go.set)
        live.get("/quick")
        slow(live, "/hold")
        limited(live.engine, 2.0)
        held(live, clients, 2)
        eventually(lambda: len(app.running) == 2)
        reply = live.get("/hold")
        assert reply.status == 503
        assert reply.headers["Retry-After"] == "1"
        assert live.get("/quick").status == 200
        assert live.records[1][7].refusal == "overload"
        limited(live.engine, 3.0)
        held(live, clients, 1)
        eventually(lambda: len(app.running) == 3)


def test_health_checks_are_not_refused() -> None:
    app = Room()
    with served(app, adaptive_limit=True, threads=4) as live, ExitStack() as clients:
        clients.callback(app.go.set)
        slow(live, "/hold", "/healthz", "/mine", "/other")
        limited(live.engine, 1.0)
        held(live, clients, 1)
        eventually(lambda: len(app.running) == 1)
        assert live.get("/healthz").status == 200
        assert live.get("/other").status == 503


def test_the_paths_of_health_checks_can_be_set() -> None:
    app = Room()
    options: dict[str, Any] = {"adaptive_exempt": ("/mine",)}
    with served(app, adaptive_limit=True, threads=4, **options) as live, ExitStack() as clients:
        clients.callback(app.go.set)
        slow(live, "/hold", "/mine", "/healthz")
        limited(live.engine, 1.0)
        held(live, clients, 1)
        eventually(lambda: len(app.running) == 1)
        assert live.get("/mine").status == 200
        assert live.get("/healthz").status == 503


def test_an_asgi_application_is_not_called_above_the_limit() -> None:
    go = threading.Event()
    calls: list[str] = []

    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        if scope["path"] == "/hold":
            await asyncio.get_running_loop().run_in_executor(None, go.wait, PATIENCE)
        await send(start())
        await send(body(b"hello"))

    with served_asgi(app, adaptive_limit=True) as live, ExitStack() as clients:
        clients.callback(go.set)
        limited(live.engine, 1.0)
        held(live, clients, 1)
        eventually(lambda: calls)
        eventually(lambda: live.get("/hold").status == 503)
        go.set()
        shedding = live.engine.scheduler.shedding
        assert shedding is not None
        eventually(lambda: shedding.running() == 0)
        eventually(lambda: live.get("/hold").status == 200)


def test_coroutine_functions_count() -> None:
    app = carboy.Carboy("shed")
    go = threading.Event()
    calls: list[None] = []

    @app.get("/hold")
    async def hold() -> str:
        calls.append(None)
        await asyncio.get_running_loop().run_in_executor(None, go.wait, PATIENCE)
        return "held"

    with served(app, adaptive_limit=True) as live, ExitStack() as clients:
        clients.callback(go.set)
        limited(live.engine, 1.0)
        held(live, clients, 1)
        eventually(lambda: calls)
        eventually(lambda: live.get("/hold").status == 503)


def test_a_stream_counts_until_it_has_begun() -> None:
    go = threading.Event()

    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"first ", more=True))
        await asyncio.get_running_loop().run_in_executor(None, go.wait, PATIENCE)
        await send(body(b"second"))

    with served_asgi(app, adaptive_limit=True) as live, live.client() as client:
        client.request("GET", "/")
        shedding = live.engine.scheduler.shedding
        assert shedding is not None
        client.until(b"first \r\n")
        eventually(lambda: live.engine.channels.all() and shedding.running() == 0)
        go.set()


@pytest.mark.parametrize("threads", [1, 4])
def test_a_server_without_the_option_refuses_nothing(threads: int) -> None:
    with served(hello, threads=threads) as live:
        assert live.engine.scheduler.shedding is None
        assert live.get("/").status == 200
