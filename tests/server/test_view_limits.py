"""Time limits of views of other frameworks, and services that requests wait for."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from functools import partial
from types import SimpleNamespace
from typing import Any

import fastapi
import flask
import flask.views
import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import carboy
from carboy import RequestTimeout, time_limits, timeout, waiting_for
from carboy.server.admin.running import running_requests
from carboy.server.view_limits import foreign_limit
from live_asgi import served_asgi
from live_engine import Live, eventually, served

SOON = 0.05  # seconds: the limit of requests that exceed it
LONG = 3600.0  # seconds: that of the others
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test declares are not those of other tests."""
    monkeypatch.setattr(time_limits, "_declared", set())


def run_until_ended(ended: list[Any]) -> str:
    """The work of a view that runs until an exception ends it."""
    end = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end:
            time.sleep(0.001)
    except BaseException as error:
        ended.append(type(error))
        raise
    return "late"


# --- Flask


class Slow(flask.views.MethodView):
    ended: list[Any]

    @timeout(SOON)
    def get(self) -> str:
        return run_until_ended(self.ended)

    def post(self) -> str:
        return "posted"


def flask_application(ended: list[Any]) -> flask.Flask:
    app = flask.Flask("limits")
    outer = timeout(SOON)(flask.Blueprint("outer", __name__, url_prefix="/outer"))
    inner = flask.Blueprint("inner", __name__, url_prefix="/inner")
    Slow.ended = ended
    app.add_url_rule("/class", view_func=Slow.as_view("class"))
    app.add_url_rule("/", view_func=timeout(LONG)(lambda: "quick"), endpoint="quick")

    @app.get("/view")
    @timeout(SOON, upstream="payments")
    def view() -> str:
        return run_until_ended(ended)

    @inner.get("/")
    def deep() -> str:
        return run_until_ended(ended)

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    return app


@pytest.mark.parametrize(
    ("path", "status"), [("/view", 504), ("/class", 503), ("/outer/inner/", 503)]
)
def test_a_limit_of_a_view_of_flask_is_enforced(path: str, status: int) -> None:
    ended: list[Any] = []
    with served(flask_application(ended), request_timeout=LONG) as live:
        assert live.get("/").body == b"quick"
        assert live.get(path).status == status
        eventually(lambda: ended == [RequestTimeout])


def test_a_view_of_flask_may_take_longer_than_the_option_says() -> None:
    app = flask.Flask("limits")
    seen = threading.Event()

    @app.get("/")
    @timeout(None)
    def view() -> str:
        seen.wait(PATIENCE)
        return "done"

    @app.get("/limited")
    def limited() -> str:
        return run_until_ended([])

    with served(app, request_timeout=SOON, threads=4) as live, live.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert live.get("/limited").status == 503  # the limit of both is over then
        seen.set()
        assert client.rest().endswith(b"done")


# --- ASGI


def test_limits_of_endpoints_of_starlette_are_enforced() -> None:
    class Endpoint(HTTPEndpoint):
        @timeout(SOON)
        async def get(self, request: Request) -> PlainTextResponse:
            await asyncio.sleep(PATIENCE)
            return PlainTextResponse("late")

        async def post(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse("posted")

    @timeout(SOON)
    async def view(request: Request) -> PlainTextResponse:
        await asyncio.sleep(PATIENCE)
        return PlainTextResponse("late")

    app = Starlette(
        routes=[
            Mount("/in", routes=[Route("/view", view)]),
            Route("/class", Endpoint),
        ]
    )
    with served_asgi(app) as live:
        assert live.get("/in/view").status == 503
        assert live.get("/class").status == 503
        assert live.ask(
            b"POST /class HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ).endswith(b"posted")


def test_a_limit_of_fastapi_is_enforced_and_the_client_gets_504_while_it_waits() -> None:
    app = fastapi.FastAPI()

    @app.get("/items/{number}")
    @timeout(SOON)
    async def item(number: int) -> int:
        with waiting_for("stock"):
            await asyncio.sleep(PATIENCE)
        return number

    with served_asgi(app) as live:
        assert live.get("/items/7").status == 504


def test_a_plain_function_of_fastapi_runs_to_its_end_and_its_client_does_not_wait() -> None:
    app = fastapi.FastAPI()
    go, ended = threading.Event(), threading.Event()

    @app.get("/")
    @timeout(2)  # its thread has begun by then
    def view() -> str:
        go.wait(PATIENCE)
        ended.set()
        return "late"

    with served_asgi(app) as live:
        assert live.get("/").status == 503
        assert not ended.is_set()
        go.set()
        assert ended.wait(PATIENCE)


def test_a_limit_of_bottle_is_found() -> None:
    exchange = SimpleNamespace(
        scope=None,
        cached_environ={"bottle.route": SimpleNamespace(callback=timeout(3)(lambda: "view"))},
    )
    found = foreign_limit(exchange)
    assert found is not None
    assert found.seconds == 3


# --- services


def waiting(service: str, ended: list[Any]) -> carboy.Carboy:
    app = carboy.Carboy("waits")

    @app.get("/")
    def view() -> str:
        with waiting_for("first"):
            pass
        with waiting_for(service):
            return run_until_ended(ended)

    @app.get("/after")
    def after() -> str:
        with waiting_for(service):
            pass
        return run_until_ended(ended)

    return app


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_request_that_waits_for_a_service_gets_504_and_the_log_names_it(
    wrapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[Any] = []
    app = waiting("payments", ended)
    if wrapped:
        inner = app.wsgi_app
        app.wsgi_app = partial(inner)  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR, "carboy.error"), served(app, request_timeout=SOON) as live:
        assert live.get("/").status == 504
        eventually(lambda: ended == [RequestTimeout])
        eventually(lambda: "waiting for payments" in caplog.text)


def test_a_request_that_has_waited_before_gets_503() -> None:
    ended: list[Any] = []
    with served(waiting("payments", ended), request_timeout=SOON) as live:
        assert live.get("/after").status == 503


def test_the_list_of_running_requests_says_what_they_wait_for() -> None:
    app = carboy.Carboy("waits")
    go = threading.Event()

    @app.get("/")
    def view() -> str:
        with waiting_for("outer"), waiting_for("payments"):
            go.wait(PATIENCE)
        return "done"

    def waits(live: Live) -> list[Any]:
        return [each["waits_for"] for each in running_requests(live.engine)]

    with served(app) as live, live.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        eventually(lambda: waits(live) == ["payments"])
        go.set()
        assert client.rest().endswith(b"done")


def test_outside_of_a_request_nothing_is_noted() -> None:
    def outside() -> None:
        with waiting_for("payments"):
            pass

    contextvars.Context().run(outside)


@pytest.mark.parametrize(("name", "error"), [(None, TypeError), (7, TypeError), (" ", ValueError)])
def test_the_name_of_a_service_is_checked(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="name of a service"):
        waiting_for(name)
