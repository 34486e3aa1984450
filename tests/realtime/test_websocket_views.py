"""Handlers of WebSocket rules, through the test client, on both lanes."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import pytest

from carboy import (
    Blueprint,
    Carboy,
    ConnectionClosed,
    abort,
    current_app,
    g,
    redirect,
    request,
    session,
    url_for,
)
from carboy.middleware.proxy_fix import ProxyFix
from carboy.testing import WebSocketRefused


@pytest.fixture(params=["direct", "wsgi"])
def lane(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app() -> Carboy:
    app = Carboy(__name__)
    app.testing = True
    app.secret_key = "secret"
    return app


def client_of(app: Carboy, lane: str) -> Any:
    return app.test_client(lane=lane)


def test_a_plain_function_gets_the_websocket_and_the_values_of_the_rule(
    app: Carboy, lane: str
) -> None:
    @app.websocket("/chat/<int:room>")
    def chat(ws: Any, room: int) -> None:
        ws.send(f"room {room + 1}")
        for message in ws:
            ws.send(message)

    with client_of(app, lane).websocket("/chat/7") as ws:
        assert ws.receive() == "room 8"
        ws.send("hello")
        ws.send(b"\x00\xff")
        assert [ws.receive(), ws.receive()] == ["hello", b"\x00\xff"]


def test_a_coroutine_function_is_a_handler(app: Carboy, lane: str) -> None:
    @app.websocket("/echo")
    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    with client_of(app, lane).websocket("/echo") as ws:
        ws.send("hello")
        assert ws.receive() == "hello"


def test_a_generator_is_a_handler(app: Carboy, lane: str) -> None:
    @app.websocket("/echo")
    def echo(ws: Any) -> Any:
        while True:
            message = yield
            ws.send(message)

    with client_of(app, lane).websocket("/echo") as ws:
        ws.send("hello")
        assert ws.receive() == "hello"


def test_functions_for_events_are_called_after_the_handler_has_returned(
    app: Carboy, lane: str
) -> None:
    seen = []

    @app.websocket("/echo")
    def echo(ws: Any) -> None:
        @ws.on_message
        def received(message: Any) -> None:
            ws.send(message)

        @ws.on_close
        def closed() -> None:
            seen.append(ws.close_code)

    with client_of(app, lane).websocket("/echo") as ws:
        ws.send("hello")
        assert ws.receive() == "hello"
        ws.close(4001)
    assert seen == [4001]


def refused(app: Carboy, lane: str, path: str, **arguments: Any) -> Any:
    with pytest.raises(WebSocketRefused) as caught:
        client_of(app, lane).websocket(path, **arguments)
    return caught.value.response


# --- the handshake is refused


def test_a_return_value_before_the_handshake_is_accepted_is_the_response(
    app: Carboy, lane: str
) -> None:
    @app.websocket("/x")
    def handler(ws: Any) -> Any:
        return {"reason": "full"}, 503

    response = refused(app, lane, "/x")
    assert (response.status_code, response.json) == (503, {"reason": "full"})


@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator"])
def test_abort_before_the_handshake_is_accepted_is_the_response(
    app: Carboy, lane: str, kind: str
) -> None:
    def plain(ws: Any) -> Any:
        abort(403)

    async def coroutine(ws: Any) -> Any:
        abort(403)

    def generator(ws: Any) -> Any:
        abort(403)
        yield

    app.add_websocket("/x", "x", {"plain": plain, "coroutine": coroutine}.get(kind, generator))
    app.register_error_handler(403, lambda error: ("not for you", 403))
    response = refused(app, lane, "/x")
    assert (response.status_code, response.text) == (403, "not for you")


def test_an_error_before_the_handshake_is_accepted_is_a_500(app: Carboy, lane: str) -> None:
    app.testing = False

    @app.websocket("/x")
    def handler(ws: Any) -> None:
        raise ZeroDivisionError

    assert refused(app, lane, "/x").status_code == 500


def test_a_test_raises_the_error_of_a_handler(app: Carboy, lane: str) -> None:
    @app.websocket("/early")
    def early(ws: Any) -> None:
        raise ZeroDivisionError

    @app.websocket("/late")
    def late(ws: Any) -> None:
        ws.receive()
        raise ZeroDivisionError

    client = client_of(app, lane)
    with pytest.raises(ZeroDivisionError):
        client.websocket("/early")
    with client.websocket("/late") as ws:
        ws.send("go")
        with pytest.raises(ZeroDivisionError):
            ws.receive()


def test_a_hook_before_the_view_refuses_the_handshake(app: Carboy, lane: str) -> None:
    @app.before_request
    def no_one() -> Any:
        return redirect("/login")

    @app.websocket("/x")
    def handler(ws: Any) -> None:
        raise AssertionError("called")

    response = refused(app, lane, "/x")
    assert (response.status_code, response.location) == (302, "/login")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/none", "GET", 404), ("/x", "POST", 405), ("/http", "GET", 400), ("/folder", "GET", 308)],
)
def test_a_handshake_that_no_websocket_rule_matches_gets_a_response_as_in_flask(
    app: Carboy, lane: str, path: str, method: str, status: int
) -> None:
    app.add_websocket("/x", "x", lambda ws: ws.receive())
    app.add_websocket("/folder/", "folder", lambda ws: ws.receive())
    app.add_url_rule("/http", "http", lambda: "text")
    response = refused(app, lane, path, method=method)
    assert response.status_code == status
    if status == 308:
        assert response.location == "ws://localhost/folder/"


def test_a_request_for_a_websocket_rule_without_a_handshake_gets_400(
    app: Carboy, lane: str
) -> None:
    app.add_websocket("/x", "x", lambda ws: ws.receive())
    assert client_of(app, lane).get("/x").status_code == 400


# --- accepting it


def test_a_handler_that_returns_nothing_at_once_is_accepted_and_closed(
    app: Carboy, lane: str
) -> None:
    app.add_websocket("/x", "x", lambda ws: None)
    with client_of(app, lane).websocket("/x") as ws:
        with pytest.raises(ConnectionClosed) as closed:
            ws.receive()
        assert (closed.value.code, ws.close_code) == (1000, 1000)


def test_the_first_subprotocol_of_the_rule_that_the_client_offers_is_chosen(
    app: Carboy, lane: str
) -> None:
    @app.websocket("/x", subprotocols=["v2", "v1"])
    def handler(ws: Any) -> None:
        ws.accept()
        ws.send(f"{ws.subprotocol} of {', '.join(ws.requested_subprotocols)}")

    client = client_of(app, lane)
    with client.websocket("/x", subprotocols=["v1", "v2"]) as ws:
        assert (ws.subprotocol, ws.receive()) == ("v2", "v2 of v1, v2")
    with client.websocket("/x", subprotocols=["v3"]) as ws:
        assert (ws.subprotocol, ws.receive()) == (None, "None of v3")


def test_a_handler_chooses_a_subprotocol_and_adds_header_fields(app: Carboy, lane: str) -> None:
    @app.websocket("/x")
    def handler(ws: Any) -> None:
        with pytest.raises(ValueError, match="does not offer the subprotocol 'v3'"):
            ws.accept("v3")
        ws.accept("v1", {"X-Room": "7"})
        with pytest.raises(RuntimeError, match="accepted already"):
            ws.accept()

    with client_of(app, lane).websocket("/x", subprotocols=["v1", "v2"]) as ws:
        assert ws.subprotocol == "v1"
        assert ws.response.headers["X-Room"] == "7"


def test_the_session_is_saved_in_the_response_of_the_handshake(app: Carboy, lane: str) -> None:
    @app.websocket("/x")
    def handler(ws: Any) -> None:
        session["count"] = session.get("count", 0) + 1
        ws.send(str(session["count"]))

    @app.get("/count")
    def count() -> str:
        return str(session["count"])

    client = client_of(app, lane)
    for expected in ("1", "2"):
        with client.websocket("/x") as ws:
            assert ws.receive() == expected
    assert client.get("/count").text == "2"


@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator", "events"])
def test_hooks_run_once_around_the_connection(app: Carboy, lane: str, kind: str) -> None:
    steps = []
    app.before_request(lambda: steps.append("before"))
    app.teardown_request(lambda error: steps.append(f"teardown {error}"))
    app.teardown_appcontext(lambda error: steps.append("app"))

    @app.after_request
    def after(response: Any) -> Any:
        steps.append(f"after {response.status_code}")
        response.headers["X-After"] = "1"
        return response

    def plain(ws: Any) -> None:
        steps.append(ws.receive())

    async def coroutine(ws: Any) -> None:
        steps.append(await ws.receive())

    def generator(ws: Any) -> Any:
        message = yield
        steps.append(message)

    def events(ws: Any) -> None:
        @ws.on_message
        def received(message: str) -> None:
            steps.append(message)
            ws.close()

        ws.on_close(lambda: steps.append("closed"))

    handlers = {"plain": plain, "coroutine": coroutine, "generator": generator, "events": events}
    app.add_websocket("/x", "x", handlers[kind])
    with client_of(app, lane).websocket("/x") as ws:
        assert ws.response.headers["X-After"] == "1"
        ws.send("message")
        assert list(ws) == []
    closed = ["closed"] if kind == "events" else []
    assert steps == ["before", "after 101", "message", *closed, "teardown None", "app"]


@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator", "events"])
def test_the_context_of_the_request_is_there(app: Carboy, lane: str, kind: str) -> None:
    def context() -> list[Any]:
        g.count = g.get("count", 0) + 1
        urls = [url_for("page"), url_for("x", _external=True)]
        return [request.path, request.args["q"], current_app.name == app.name, g.count, *urls]

    def plain(ws: Any) -> None:
        for _ in ws:
            ws.send_json(context())

    async def coroutine(ws: Any) -> None:
        async for _ in ws:
            await ws.send_json(context())

    def generator(ws: Any) -> Any:
        while True:
            yield
            ws.send_json(context())

    def events(ws: Any) -> None:
        ws.on_message(lambda message: ws.send_json(context()))

    handlers = {"plain": plain, "coroutine": coroutine, "generator": generator, "events": events}
    app.add_websocket("/x", "x", handlers[kind])
    app.add_url_rule("/page", "page", lambda: "")
    with client_of(app, lane).websocket("/x?q=1") as ws:
        for count in (1, 2, 3):
            ws.send("")
            assert ws.receive_json() == [
                "/x", "1", True, count, "/page", "ws://localhost/x",
            ]  # fmt: skip


def test_a_blueprint_has_websocket_rules(app: Carboy, lane: str) -> None:
    blueprint = Blueprint("chat", __name__, url_prefix="/chat")
    blueprint.before_request(lambda: setattr(g, "seen", "hook of the blueprint"))

    @blueprint.websocket("/<room>")
    @blueprint.websocket("/rooms/<room>")
    def handler(ws: Any, room: str) -> None:
        ws.send(f"{room} {g.seen} {url_for('.handler', room='b')}")

    app.register_blueprint(blueprint)
    for path in ("/chat/a", "/chat/rooms/a"):
        with client_of(app, lane).websocket(path) as ws:
            assert ws.receive() == "a hook of the blueprint ws://localhost/chat/rooms/b"


# --- messages


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_receive_returns_none_after_its_timeout(app: Carboy, lane: str, kind: str) -> None:
    def plain(ws: Any) -> None:
        found = [ws.receive(timeout=0), ws.receive(timeout=0.01), ws.receive_json(timeout=0)]
        ws.send_json(found)

    async def coroutine(ws: Any) -> None:
        await ws.send_json(
            [
                await ws.receive(timeout=0),
                await ws.receive(timeout=0.01),
                await ws.receive_json(timeout=0),
            ]
        )

    app.add_websocket("/x", "x", plain if kind == "plain" else coroutine)
    with client_of(app, lane).websocket("/x") as ws:
        assert ws.receive_json() == [None, None, None]


def test_json_helpers_use_the_provider_of_the_application(app: Carboy, lane: str) -> None:
    @app.websocket("/x")
    def handler(ws: Any) -> None:
        value = ws.receive_json()
        ws.send_json(value)
        ws.send_json(when=date(2026, 1, 2))
        with pytest.raises(ValueError, match="Expecting value"):
            ws.receive_json()
        with pytest.raises(TypeError, match=r"Use send_json\(\)"):
            ws.send({"a": 1})
        ws.send(bytearray(b"end"))

    with client_of(app, lane).websocket("/x") as ws:
        ws.send_json({"ü": [1, None]})
        assert ws.receive_json() == {"ü": [1, None]}
        assert ws.receive_json() == {"when": "Fri, 02 Jan 2026 00:00:00 GMT"}
        ws.send("not JSON")
        assert ws.receive() == b"end"


def test_a_generator_sends_what_it_yields(app: Carboy, lane: str) -> None:
    @app.websocket("/x")
    def handler(ws: Any) -> Any:
        message = yield
        while message != "end":
            message = yield f"{message}!"

    with client_of(app, lane).websocket("/x") as ws:
        for text in ("a", "b"):
            ws.send(text)
            assert ws.receive() == f"{text}!"
        ws.send("end")
        assert list(ws) == []
        assert ws.close_code == 1000


def test_messages_of_one_connection_come_one_at_a_time_and_in_order(app: Carboy, lane: str) -> None:
    inside = threading.Lock()

    @app.websocket("/x")
    def handler(ws: Any) -> None:
        @ws.on_message
        def received(message: str) -> None:
            assert inside.acquire(blocking=False)
            ws.send(message)
            inside.release()

    with client_of(app, lane).websocket("/x") as ws:
        for number in range(200):
            ws.send(str(number))
        assert [ws.receive() for _ in range(200)] == [str(number) for number in range(200)]


# --- the end


@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator", "events"])
def test_a_handler_closes_the_connection_with_code_and_reason(
    app: Carboy, lane: str, kind: str
) -> None:
    def plain(ws: Any) -> None:
        ws.close(4000, "over")
        assert (ws.closed, ws.close_code, ws.close_reason) == (True, 4000, "over")

    async def coroutine(ws: Any) -> None:
        await ws.close(4000, "over")

    def generator(ws: Any) -> Any:
        yield
        ws.close(4000, "over")

    def events(ws: Any) -> None:
        ws.on_message(lambda message: ws.close(4000, "over"))

    handlers = {"plain": plain, "coroutine": coroutine, "generator": generator, "events": events}
    app.add_websocket("/x", "x", handlers[kind])
    with client_of(app, lane).websocket("/x") as ws:
        if kind in ("generator", "events"):
            ws.send("")
        assert list(ws) == []
        assert (ws.close_code, ws.close_reason) == (4000, "over")


@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator"])
def test_a_handler_sees_how_the_client_has_closed(app: Carboy, lane: str, kind: str) -> None:
    seen: list[tuple[int, str]] = []

    def plain(ws: Any) -> None:
        try:
            ws.receive()
        except ConnectionClosed as closed:
            seen.append((closed.code, closed.reason))
        with pytest.raises(ConnectionClosed):
            ws.send("late")

    async def coroutine(ws: Any) -> None:
        try:
            await ws.receive()
        except ConnectionClosed as closed:
            seen.append((closed.code, closed.reason))

    def generator(ws: Any) -> Any:
        try:
            yield
        except ConnectionClosed as closed:
            seen.append((closed.code, closed.reason))

    handlers = {"plain": plain, "coroutine": coroutine, "generator": generator}
    app.add_websocket("/x", "x", handlers[kind])
    with client_of(app, lane).websocket("/x") as ws:
        ws.close(4001, "enough")
    assert seen == [(4001, "enough")]


@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator", "events"])
def test_an_error_after_the_handshake_is_logged_and_closes_with_1011(
    app: Carboy, lane: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    app.testing = False
    seen: list[Any] = []
    app.teardown_request(lambda error: seen.append(type(error)))

    def plain(ws: Any) -> None:
        ws.receive()
        raise ZeroDivisionError("in the handler")

    async def coroutine(ws: Any) -> None:
        await ws.receive()
        raise ZeroDivisionError("in the handler")

    def generator(ws: Any) -> Any:
        yield
        raise ZeroDivisionError("in the handler")

    def events(ws: Any) -> None:
        @ws.on_message
        def received(message: str) -> None:
            raise ZeroDivisionError("in the handler")

    handlers = {"plain": plain, "coroutine": coroutine, "generator": generator, "events": events}
    app.add_websocket("/x", "x", handlers[kind])
    with client_of(app, lane).websocket("/x") as ws:
        ws.send("go")
        assert list(ws) == []
        assert ws.close_code == 1011
    assert "Exception on /x [GET]" in caplog.text
    assert "ZeroDivisionError: in the handler" in caplog.text
    assert seen == [ZeroDivisionError]


def test_abort_after_the_handshake_closes_with_1008(app: Carboy, lane: str) -> None:
    @app.websocket("/x")
    def handler(ws: Any) -> None:
        ws.receive()
        abort(403)

    with client_of(app, lane).websocket("/x") as ws:
        ws.send("go")
        assert list(ws) == []
        assert (ws.close_code, ws.close_reason) == (1008, "Forbidden")


# --- registration


def test_unfit_handlers_and_options_are_refused(app: Carboy) -> None:
    async def generator(ws: Any) -> Any:
        yield

    with pytest.raises(TypeError, match="is an asynchronous generator"):
        app.add_websocket("/x", "x", generator)
    with pytest.raises(TypeError, match="has no methods"):
        app.add_websocket("/x", "x", len, methods=["GET"])
    with pytest.raises(TypeError, match=r"Write \['v1'\]"):
        app.add_websocket("/x", "x", len, subprotocols="v1")
    with pytest.raises(TypeError, match="is a function"):
        app.add_websocket("/x", "x", "handler")
    app.add_websocket("/x", "x", len)
    with pytest.raises(AssertionError, match="overwriting an existing endpoint"):
        app.add_websocket("/y", "x", print)


def test_middleware_may_wrap_the_application(app: Carboy) -> None:
    @app.websocket("/x")
    def handler(ws: Any) -> None:
        ws.send(request.url)

    def late(environ: Any, start_response: Any) -> Any:
        yield from inner(environ, start_response)

    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]
    headers = {"X-Forwarded-Host": "example.com"}
    with app.test_client().websocket("/x", headers=headers) as ws:
        assert ws.receive() == "http://example.com/x"
    inner = app.wsgi_app
    app.wsgi_app = late  # type: ignore[method-assign]
    with app.test_client().websocket("/x", headers=headers) as ws:
        assert ws.receive() == "http://example.com/x"


def test_other_servers_get_501(app: Carboy) -> None:
    app.add_websocket("/x", "x", lambda ws: ws.receive())
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    response = app.test_client(lane="wsgi").get("/x", headers=headers)
    assert response.status_code == 501
    assert "Use `carboy run`" in response.text


@pytest.mark.parametrize("early", [True, False])
def test_a_session_that_is_changed_too_late_is_reported(
    app: Carboy, lane: str, early: bool, caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/x")
    def handler(ws: Any) -> None:
        session["early"] = 1
        ws.accept()
        if not early:
            session["late"] = 1

    with client_of(app, lane).websocket("/x"):
        pass
    assert ("changed after the WebSocket of /x was accepted" in caplog.text) is not early
