"""A client that leaves within a response, as an ASGI application learns of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from live_asgi import Message, Receive, Send, body, only_http, served_asgi, start
from live_engine import GET, eventually

pytestmark = pytest.mark.usefixtures("led_by")


def ends_after(does: Any) -> list[str]:
    """How an application ends that does `does` in its response while its client leaves."""
    ended: list[str] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await send(start())
            await send(body(b"x", more=True))
            await does(receive, send)
            ended.append("returned")
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    with served_asgi(app) as live:
        with live.client() as client:
            client.send(GET)
            client.until(b"\r\n1\r\nx\r\n")
        eventually(lambda: ended)
    return ended


def test_a_response_that_waits_for_something_else_is_cancelled_when_its_client_leaves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def waits(receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    assert ends_after(waits) == ["CancelledError"]
    assert "Traceback" not in caplog.text


def test_an_application_that_learns_that_its_client_has_left_is_not_cancelled() -> None:
    async def listens(receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        for _ in range(20):
            await asyncio.sleep(0)

    assert ends_after(listens) == ["returned"]
