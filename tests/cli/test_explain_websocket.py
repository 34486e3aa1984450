"""`carboy explain` of the handshake for a WebSocket, and of its first message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("websockets")

from carboy import Carboy  # noqa: E402
from carboy.cli.explain import record  # noqa: E402
from carboy.cli.explain_question import Question  # noqa: E402
from carboy.dev.explain.explanation import Explanation  # noqa: E402
from carboy.realtime import websocket_threads  # noqa: E402
from running import carboy  # noqa: E402

MESSAGE = "a message " * 20  # long enough for a size of two bytes


@pytest.fixture(autouse=True)
def new_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of the test before are not recorded, because they ran before this recording."""
    monkeypatch.setattr(websocket_threads, "_threads", {})


def views() -> Carboy:
    app = Carboy("views")

    @app.websocket("/echo")
    def echo(ws: Any) -> None:
        for message in ws:
            ws.send(message)

    @app.websocket("/async")
    async def echo_async(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    @app.websocket("/fails")
    def fails(ws: Any) -> None:
        ws.receive()
        raise LookupError("broken")

    @app.get("/page")
    def page() -> str:
        return "a page"

    return app


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def explained(
    app: Any, path: str, message: str | None = None, *fields: tuple[str, str]
) -> Explanation:
    body = None if message is None else message.encode()
    return record(app, "app", Question("GET", path, list(fields), body, not fields))


def titles(found: Explanation) -> list[str]:
    return [step.title for step in found.steps]


def assert_in_order(found: Explanation, *wanted: str) -> None:
    assert [title for title in titles(found) if title in wanted] == list(wanted)


def test_the_handshake_the_handler_and_the_message_of_a_view_are_steps() -> None:
    found = explained(views(), "/echo", MESSAGE)
    assert found.status == "101 Switching Protocols; closed with 1000"
    assert found.size == len(MESSAGE)
    assert_in_order(
        found, "The bytes are parsed as a request head", "The WebSocket handshake is checked",
        "A WebSocket thread calls the handler", "The view 'echo' runs",
        "The key of the handshake is answered", "The response 101 becomes bytes",
        "The frames of the client are read", "The handler sends a message",
        "The message becomes a frame",
    )  # fmt: skip
    assert found.rule == ["WEBSOCKET /echo", "  ✓ /echo → echo"]


def test_a_coroutine_function_is_called_by_the_loop() -> None:
    found = explained(views(), "/async", "a message")
    assert found.status == "101 Switching Protocols; closed with 1000"
    assert_in_order(
        found, "The event loop calls the handler", "The view 'echo_async' runs",
        "The response 101 becomes bytes", "The handler sends a message",
    )  # fmt: skip


def test_an_asgi_application_gets_the_messages() -> None:
    found = explained(asgi, "/", "a message")
    assert found.status == "101 Switching Protocols; closed with 1000"
    assert_in_order(
        found, "The WebSocket handshake is checked", "The event loop calls the application",
        "Your asgi runs", "The response 101 becomes bytes", "The message becomes a frame",
    )  # fmt: skip


def test_without_a_message_the_websocket_is_closed_at_once() -> None:
    found = explained(asgi, "/")
    assert found.status == "101 Switching Protocols; closed with 1000"
    assert found.size == 0


def test_compressed_messages_are_read() -> None:
    fields = (("Upgrade", "websocket"), ("Sec-WebSocket-Extensions", "permessage-deflate"))
    found = explained(asgi, "/", MESSAGE * 2, *fields)
    assert found.status == "101 Switching Protocols; closed with 1000"
    assert found.size == 2 * len(MESSAGE)


def test_a_header_that_asks_for_a_websocket_is_enough() -> None:
    found = explained(asgi, "/", None, ("upgrade", "WebSocket"))
    assert found.status == "101 Switching Protocols; closed with 1000"


def test_a_handshake_that_breaks_a_rule_shows_the_refusal() -> None:
    version = ("Sec-WebSocket-Version", "8")
    found = explained(asgi, "/", None, ("Upgrade", "websocket"), version)
    assert found.status == "426 Upgrade Required"
    assert "The WebSocket handshake is checked" in titles(found)


def test_a_path_without_a_websocket_shows_the_response() -> None:
    found = explained(views(), "/page")
    assert found.status == "400 BAD REQUEST"
    assert found.rule[1].startswith("  ✗ 400: the path is not for WebSocket")


def test_a_handler_that_fails_is_shown_with_its_exception() -> None:
    found = explained(views(), "/fails", "a message")
    assert found.status == "101 Switching Protocols; closed with 1011"
    failure = found.failure()
    assert failure is not None
    assert str(failure[0]) == "broken"


def test_a_server_that_is_recorded_from_its_start_has_the_steps(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'websocket':\n"
        "        await receive()\n"
        "        await send({'type': 'websocket.accept'})\n"
        "        await send({'type': 'websocket.send', 'text': 'hello'})\n"
        "        await receive()\n"
        "    else:\n"
        "        raise RuntimeError\n"
    )
    options = ("-d", "a message", "--from-start")
    said = carboy(tmp_path, "explain", "app:app", "WEBSOCKET", "/", *options)
    assert said.startswith("GET / → 101 Switching Protocols; closed with 1000, 5 bytes; carboy")
    assert "The WebSocket handshake is checked" in said
    assert "The response 101 becomes bytes" in said


def test_what_does_not_go_with_a_websocket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def app(environ, start_response): ...\n")
    (tmp_path / "image").write_bytes(b"\xff\xd8")
    explain = ("explain", "app:app")
    said = carboy(tmp_path, *explain, "POST", "/", "--websocket", code=2)
    assert "A WebSocket is opened with GET (RFC 6455)." in said
    said = carboy(tmp_path, *explain, "GET", "/", "--websocket", "--step", code=2)
    assert "Leave out --step." in said
    said = carboy(tmp_path, *explain, "GET", "/", "--websocket", "-d", "@image", code=2)
    assert "the file is not UTF-8" in said
