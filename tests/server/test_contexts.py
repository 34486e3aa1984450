"""Each request has a context of its own: what it sets is not seen by the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from flask import Flask as RealFlask
from tests.live_engine import served

from carboy import Flask
from carboy.routing import BaseConverter

who: ContextVar[str] = ContextVar("who", default="no user")


def carboy_application() -> Any:
    return with_views(Flask("contexts"))


def flask_application() -> Any:
    return with_views(RealFlask("contexts"))


def plain_application() -> Any:
    """The same routes without a framework."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/stream":
            return pieces()
        if environ["PATH_INFO"] == "/fail":
            who.set("failed")
            raise ValueError("on purpose")
        return [seen_before()]

    return application


def with_views(app: Any) -> Any:
    app.add_url_rule("/", view_func=seen_before, methods=["GET", "POST"])
    app.add_url_rule("/stream", view_func=lambda: app.response_class(pieces()))

    @app.get("/fail")
    def fail() -> str:
        who.set("failed")
        raise ValueError("on purpose")

    return app


def seen_before() -> bytes:
    before = who.get()
    who.set("an earlier request")
    return before.encode()


def pieces() -> Iterator[bytes]:
    try:
        yield who.get().encode()
        who.set("an earlier stream")
        yield b" " + who.get().encode()
    finally:
        assert who.get() == "an earlier stream"


APPLICATIONS = [carboy_application, flask_application, plain_application]


@pytest.mark.parametrize("make", APPLICATIONS)
@pytest.mark.parametrize("budget", [10.0, 0.0], ids=["quick", "away"])
def test_the_next_request_does_not_see_a_context_variable(
    make: Callable[[], Any], budget: float
) -> None:
    with (
        served(make(), inline_budget=budget, watch_interval=5.0, threads=2) as live,
        live.client() as client,
    ):
        for _ in range(4):
            client.request("GET", "/")
            assert client.reply().body == b"no user"
        client.request("GET", "/fail")
        assert client.reply().status == 500
        client.request("POST", "/", body=b"content")
        assert client.reply().body == b"no user"


@pytest.mark.parametrize("make", APPLICATIONS)
def test_a_body_in_pieces_runs_in_the_context_of_its_request(make: Callable[[], Any]) -> None:
    with served(make()) as live, live.client() as client:
        for _ in range(3):
            client.request("GET", "/stream")
            assert client.reply().body == b"no user an earlier stream"


def test_hooks_view_and_teardown_share_the_context() -> None:
    app = Flask("hooks")
    seen: list[str] = []
    done = threading.Event()

    @app.before_request
    def before() -> None:
        who.set("the hook")

    @app.get("/")
    def view() -> str:
        seen.append(who.get())
        who.set("the view")
        return ""

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        seen.append(who.get())
        done.set()

    with served(app) as live:
        live.get()
        assert done.wait(20)
    assert seen == ["the hook", "the view"]


def test_the_view_sees_what_a_converter_has_set() -> None:
    app = Flask("converter")

    class Language(BaseConverter):
        def to_python(self, value: str) -> str:
            who.set(value)
            return value

    app.url_map.converters["language"] = Language

    @app.get("/<language:name>/")
    def view(name: str) -> str:
        return who.get()

    @app.get("/")
    def plain() -> str:
        return who.get()

    with served(app) as live, live.client() as client:
        client.request("GET", "/en/")
        assert client.reply().body == b"en"
        client.request("GET", "/")
        assert client.reply().body == b"no user"


def test_a_request_does_not_run_in_the_context_of_the_serving_thread() -> None:
    """As on a server with a new thread for each request (Python below 3.14)."""
    token = who.set("the program")
    try:
        with served(carboy_application()) as live:
            assert live.get().body == b"no user"
    finally:
        who.reset(token)
