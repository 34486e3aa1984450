"""Requests without a rule, answered without contexts: the same bytes as the request cycle gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import carboy
from carboy.app import lane as lanes
from carboy.app import no_route, signals
from carboy.http.exceptions import HTTPException, NotFound
from carboy.middleware.proxy_fix import ProxyFix
from live_engine import Client, served

REQUESTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("GET", "/missing", {}),
    ("HEAD", "/missing", {}),
    ("GET", "/missing?a=1", {"Cookie": "theme=dark"}),
    ("GET", "/%E2%82%AC/x", {}),
    ("GET", "//", {}),
    ("POST", "/", {}),
    ("DELETE", "/item/7", {}),
    ("GET", "/item/seven", {}),
    ("GET", "/folder", {}),  # a redirect
    ("OPTIONS", "/missing", {}),
    ("OPTIONS", "/item/7", {}),
    ("get", "/missing", {}),
)


def str_of(n: int) -> str:
    return str(n)


def application(**config: Any) -> carboy.Carboy:
    app = carboy.Carboy("no-route", static_folder=None)
    app.config.update(config)
    app.add_url_rule("/", "home", lambda: "Home")
    app.add_url_rule("/folder/", "folder", lambda: "Folder")
    app.add_url_rule("/item/<int:n>", "item", str_of, methods=["GET", "PUT"])
    app.add_url_rule("/item/<int:n>", "change", str_of, methods=["PATCH"])
    return app


def wrapped(app: carboy.Carboy) -> None:
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]


def direct(app: carboy.Carboy) -> None:
    """The lane of an application that nothing wraps."""


both_lanes = pytest.mark.parametrize("lane", [direct, wrapped], ids=lambda lane: lane.__name__)


def replace_answers(
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[..., Any],
    missing_of: Callable[[Any], Any],
) -> None:
    """Replace what the cycle and the compiled lane ask before they run a request without a rule."""
    monkeypatch.setattr("carboy.app.no_route.answer", answer)
    monkeypatch.setattr(lanes, "missing_of", missing_of)
    lanes._choose(lanes.compiled)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The status of each request that was answered without the cycle."""
    for name in ("request_started", "request_finished", *signals.CONTEXTS):
        monkeypatch.setattr(getattr(signals, name), "receivers", {})
    monkeypatch.setattr(signals, "of_contexts", ())  # without receivers that other tests have left
    found: list[str] = []

    def noting(original: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*args: Any) -> Any:
            made = original(*args)
            if made is not None:
                found.append(made[0])
            return made

        return answer

    with monkeypatch.context() as patch:
        replace_answers(patch, noting(no_route.answer), noting(no_route.missing_of))
        yield found
    lanes._choose(lanes.compiled)


def raw(client: Client, method: str, path: str, fields: dict[str, str]) -> bytes:
    """A whole response, without its date."""
    client.request(method, path, fields)
    head = client.until(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    body = client.file.read(int(length[1])) if length and method != "HEAD" else b""
    lines = sorted(re.sub(rb"Date: [^\r]*", b"Date: x", head).split(b"\r\n"))
    return b"\r\n".join(lines) + body


def answers(app: carboy.Carboy, lane: Callable[[carboy.Carboy], None]) -> list[bytes]:
    lane(app)
    with served(app) as live, live.client() as client:
        raw(client, "GET", "/", {})
        return [raw(client, *request) for request in REQUESTS]


@both_lanes
@pytest.mark.parametrize(
    "config",
    [{}, {"SECRET_KEY": "k"}, {"TRUSTED_HOSTS": ["example.test"]}, {"DEBUG": True}],
    ids=str,
)
def test_the_answers_are_those_of_the_cycle(
    lane: Callable[[carboy.Carboy], None],
    config: dict[str, Any],
    quick: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = answers(application(**config), lane)
    assert {status[:3] for status in quick} == {"404", "405"}
    replace_answers(monkeypatch, lambda *args: None, lambda plan: None)
    assert found == answers(application(**config), lane)


def _before(app: carboy.Carboy, seen: list[Any]) -> None:
    app.before_request(lambda: seen.append(1))


def _after(app: carboy.Carboy, seen: list[Any]) -> None:
    @app.after_request
    def after(response: Any) -> Any:
        seen.append(response.status_code)
        return response


def _teardown(app: carboy.Carboy, seen: list[Any]) -> None:
    app.teardown_request(seen.append)


def _teardown_app(app: carboy.Carboy, seen: list[Any]) -> None:
    app.teardown_appcontext(seen.append)


def _values(app: carboy.Carboy, seen: list[Any]) -> None:
    app.url_value_preprocessor(lambda endpoint, values: seen.append(endpoint))


def _handler(app: carboy.Carboy, seen: list[Any]) -> None:
    @app.errorhandler(404)
    def missing(error: Any) -> Any:
        seen.append(error)
        return "not here", 404


def _handler_of_all(app: carboy.Carboy, seen: list[Any]) -> None:
    @app.errorhandler(HTTPException)
    def failed(error: Any) -> Any:
        seen.append(error)
        return error


def _handler_of_exceptions(app: carboy.Carboy, seen: list[Any]) -> None:
    @app.errorhandler(Exception)
    def failed(error: Any) -> Any:
        seen.append(error)
        return "failed", 500


def _step(app: carboy.Carboy, seen: list[Any]) -> None:
    original = app.handle_http_exception

    def handle(e: HTTPException) -> Any:
        seen.append(e)
        return original(e)

    app.handle_http_exception = handle  # type: ignore[method-assign]


def _response_class(app: carboy.Carboy, seen: list[Any]) -> None:
    class Own(carboy.Response):
        @classmethod
        def force_type(cls, *args: Any) -> Any:
            seen.append(args)
            return super().force_type(*args)

    app.response_class = Own


def _request_class(app: carboy.Carboy, seen: list[Any]) -> None:
    class Own(carboy.Request):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "routing_exception":
                seen.append(value)
            super().__setattr__(name, value)

    app.request_class = Own


def _trap(app: carboy.Carboy, seen: list[Any]) -> None:
    app.config["TRAP_HTTP_EXCEPTIONS"] = True
    _handler_of_exceptions(app, seen)


CHANGES = (
    _before,
    _after,
    _teardown,
    _teardown_app,
    _values,
    _handler,
    _handler_of_all,
    _handler_of_exceptions,
    _step,
    _response_class,
    _request_class,
    _trap,
)


@pytest.mark.parametrize(
    ("change", "lane"),
    [*((change, direct) for change in CHANGES), (_after, wrapped), (_handler, wrapped)],
    ids=lambda each: each.__name__,
)
def test_code_of_the_application_sees_a_request_without_a_rule(
    change: Callable[[carboy.Carboy, list[Any]], None],
    lane: Callable[[carboy.Carboy], None],
    quick: list[str],
) -> None:
    app = application()
    seen: list[Any] = []
    change(app, seen)
    lane(app)
    with served(app) as live, live.client() as client:
        raw(client, "GET", "/", {})
        seen.clear()
        for _ in range(3):
            raw(client, "GET", "/missing", {})
    assert len(seen) >= 3
    assert not quick


def test_a_hook_that_is_added_to_the_open_table_runs(quick: list[str]) -> None:
    app = application()
    seen: list[Any] = []
    with served(app) as live:
        for _ in range(2):
            live.get("/missing")
        assert quick == ["404 NOT FOUND"], "the cycle runs for the first request of an application"
        app.before_request_funcs[None] = [lambda: seen.append(1)]
        live.get("/missing")
    assert seen == [1]


@both_lanes
def test_a_handler_of_another_status_changes_nothing(
    lane: Callable[[carboy.Carboy], None], quick: list[str]
) -> None:
    app = application()
    app.register_error_handler(500, lambda error: ("failed", 500))
    answers(app, lane)
    assert quick


def test_a_receiver_of_a_signal_is_called(quick: list[str]) -> None:
    seen: list[Any] = []

    def receive(sender: Any, **extra: Any) -> None:
        seen.append(sender)

    app = application()
    with served(app) as live:
        for _ in range(2):
            live.get("/missing")
        assert len(quick) == 1
        with carboy.request_finished.connected_to(receive, app):
            assert live.get("/missing").status == 404
    assert len(seen) == 1


def test_a_permanent_session_is_sent_again_with_a_404(quick: list[str]) -> None:
    app = application(SECRET_KEY="k")

    @app.get("/log-in")
    def log_in() -> str:
        carboy.session.permanent = True
        return "in"

    with served(app) as live, live.client() as client:
        cookie = live.get("/log-in").headers["Set-Cookie"].partition(";")[0]
        reply = raw(client, "GET", "/missing", {"Cookie": cookie})
    assert b"HTTP/1.1 404" in reply
    assert b"Set-Cookie: session=" in reply
    assert not quick


def test_a_patch_of_the_error_takes_effect(
    quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(application()) as live:
        live.get("/")
        live.get("/missing")
        monkeypatch.setattr(NotFound, "description", "Nothing is here.")
        assert b"Nothing is here." in live.get("/missing").body
        monkeypatch.setattr(HTTPException, "get_body", lambda self, *args: "own page")
        assert live.get("/missing").body == b"own page"
