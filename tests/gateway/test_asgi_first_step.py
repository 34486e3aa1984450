"""The first step of an ASGI request, which is made in the leader's turn."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from live_asgi import Message, Receive, Send, body, only_http, served_asgi, start
from live_engine import GET

BOTH = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
pytestmark = BOTH


def test_it_is_a_task_of_the_loop(loop: str) -> None:
    seen: list[Any] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        seen.append((task in asyncio.all_tasks(), asyncio.get_running_loop() is task.get_loop()))  # type: ignore[union-attr]
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        seen.append(asyncio.current_task() is task)
        await send(start())
        await send(body(b"x"))

    with served_asgi(app, loop) as live:
        assert live.get().body == b"x"
    assert seen == [(True, True), True]


def test_a_response_leaves_before_the_application_goes_on(loop: str) -> None:
    go = threading.Event()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"x"))
        if scope["path"] == "/blocks":
            assert go.wait(60)

    with served_asgi(app, loop) as live, live.client() as client:
        for _ in range(20):  # known to be quick, as the other path is not
            client.send(GET)
            assert client.reply().body == b"x"
        client.send(GET.replace(b" / ", b" /blocks "))
        assert client.reply().body == b"x"
        go.set()
        client.send(GET)
        assert client.reply().body == b"x"


def test_after_the_response_there_is_http_disconnect(loop: str) -> None:
    seen: list[str] = []
    ended = threading.Event()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        waits = asyncio.ensure_future(receive())
        seen.append((await receive())["type"])
        await send(start())
        await send(body(b"x"))
        seen.append((await receive())["type"])
        seen.append((await waits)["type"])
        ended.set()

    with served_asgi(app, loop) as live:
        assert live.get().body == b"x"
        assert ended.wait(60)
    assert seen == ["http.request", "http.disconnect", "http.disconnect"]


def test_a_second_response_is_refused(loop: str) -> None:
    raised: list[str] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"x"))
        for message in (start(), body(b"y"), {"type": "http.response.early_hint", "links": []}):
            try:
                await send(message)
            except Exception as error:
                raised.append(str(error))

    with served_asgi(app, loop) as live:
        assert live.get().body == b"x"
        assert live.get().body == b"x"
    assert raised == 2 * [
        "The response was started a second time. Send its body.",
        "The response is complete already.",
        "The response is complete already.",
    ]


@pytest.mark.parametrize("waits", [False, True])
def test_an_error_before_the_response_is_logged_once_and_answered(
    loop: str, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if waits:
            await asyncio.sleep(0)
        raise LookupError("lost")

    with served_asgi(app, loop) as live, live.client() as client:
        for _ in range(2):  # the connection is kept
            client.send(GET)
            assert client.reply().status == 500
    assert [record.message for record in caplog.records] == 2 * [
        "The application failed: GET / HTTP/1.1."
    ]
    assert "LookupError: lost" in caplog.text


@pytest.mark.parametrize("waits", [False, True])
def test_an_error_after_the_response_is_logged_once(
    loop: str, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"x"))
        if waits:
            await asyncio.sleep(0)
        raise LookupError("lost")

    with served_asgi(app, loop) as live:
        assert live.get().body == b"x"
    (record,) = caplog.records
    assert record.message == (
        "The application failed after its response was complete: GET / HTTP/1.1."
    )


def test_a_task_factory_of_the_application_is_used(loop: str) -> None:
    made: list[str] = []

    def factory(on: Any, coroutine: Any, **options: Any) -> Any:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=on, **options)

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        await send(start())
        await send(body(b"x"))

    with served_asgi(app, loop) as live:
        assert [live.get().body for _ in range(3)] == [b"x", b"x", b"x"]
    assert made.count("Request.run") == 2


def test_a_response_in_parts_goes_on_after_a_first_step_that_lost_the_lead(loop: str) -> None:
    inside, go = threading.Event(), threading.Event()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] == "/block":
            inside.set()
            assert go.wait(60)
        await send(start())
        await send(body(b"x", more=True))
        await asyncio.sleep(0)
        await send(body(b"y"))

    with served_asgi(app, loop) as live, live.client() as client:
        client.send(GET.replace(b" / ", b" /block "))
        assert inside.wait(60)
        # Another thread leads now, because the loop cannot.
        assert live.ask(b"bad\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        go.set()
        assert client.reply().body == b"xy"
        client.send(GET)
        assert client.reply().body == b"xy"
