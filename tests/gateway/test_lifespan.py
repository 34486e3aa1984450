"""The lifespan of an ASGI application: its start, its end, and what can fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from carboy.gateway.asgi import AsgiGateway
from carboy.gateway.interface import StartFailed
from live_asgi import Message, Receive, Send, body, served_asgi, start
from live_engine import GET, served

COMPLETE = {"type": "lifespan.startup.complete"}
ENDED = {"type": "lifespan.shutdown.complete"}


class App:
    """Answers with its state, and runs `before` and `after` in its lifespan."""

    def __init__(self, before: Any = None, after: Any = None) -> None:
        self.before, self.after = before, after
        self.events: list[str] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
            return
        self.events.append("request")
        scope["state"]["of one request"] = True
        await send(start())
        await send(body(repr(sorted(scope["state"].items())).encode()))

    async def live(self, scope: Message, receive: Receive, send: Send) -> None:
        assert await receive() == {"type": "lifespan.startup"}
        self.events.append("startup")
        scope["state"]["pool"] = 1
        if self.before is not None:
            await self.before(send)
        await send(COMPLETE)
        assert await receive() == {"type": "lifespan.shutdown"}
        self.events.append("shutdown")
        if self.after is not None:
            await self.after(send)
        await send(ENDED)


def test_it_surrounds_all_requests_and_its_state_is_copied_for_each() -> None:
    app = App()
    with served_asgi(app) as live, live.client() as client:
        assert app.events == ["startup"]
        for _ in range(2):
            client.send(GET)
            assert client.reply().body == b"[('of one request', True), ('pool', 1)]"
    assert app.events == ["startup", "request", "request", "shutdown"]


async def raises(send: Send) -> None:
    raise ValueError("no database")


async def says(send: Send) -> None:
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def says_nothing(send: Send) -> None:
    await send({"type": "lifespan.startup.failed"})


async def unknown(send: Send) -> None:
    await send({"type": "lifespan.begun"})


async def cancelled(send: Send) -> None:
    raise asyncio.CancelledError


async def stops_the_loop(send: Send) -> None:
    asyncio.get_running_loop().stop()
    await asyncio.Event().wait()


STARTS = {
    stops_the_loop: "The application failed to start: It (has stopped|ended)",
    raises: "The application failed to start: Traceback .*ValueError: no database",
    says: "The application failed to start: no database",
    says_nothing: "The application failed to start: It sent no message",
    unknown: "There is no message 'lifespan.begun' for a lifespan",
    cancelled: "It ended without sending lifespan.startup.complete",
}


@pytest.mark.parametrize("before", STARTS, ids=lambda each: each.__name__)
def test_a_start_that_fails_is_an_error_and_leaves_no_thread(before: Any) -> None:
    gateway = AsgiGateway(App(before), "asyncio")
    with pytest.raises(StartFailed, match=f"(?s){STARTS[before]}"):
        gateway.start()
    assert not gateway.loop.running


@pytest.mark.parametrize("how", ["raises", "returns"])
def test_an_application_that_does_not_know_it_is_served(how: str) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if how == "raises":
                raise RuntimeError("Only http is known.")
            return
        await send(start())
        await send(body(b"x"))

    with served_asgi(app) as live, live.client() as client:
        client.send(GET)
        assert client.reply().body == b"x"


async def breaks(send: Send) -> None:
    raise ValueError("cannot be closed")


async def reports(send: Send) -> None:
    await send({"type": "lifespan.shutdown.failed", "message": "cannot be closed"})


@pytest.mark.parametrize("after", [breaks, reports])
def test_an_end_that_fails_is_logged(after: Any, caplog: pytest.LogCaptureFixture) -> None:
    with served_asgi(App(after=after)):
        pass
    assert "The application: the shutdown failed: " in caplog.text
    assert "cannot be closed" in caplog.text


def test_an_end_that_takes_too_long_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def wait(send: Send) -> None:
        await asyncio.sleep(3600)

    gateway = AsgiGateway(App(after=wait), "asyncio")
    gateway.start()
    gateway.stop(0)
    assert "The application: the shutdown did not end within" in caplog.text
    assert not gateway.loop.running


def test_tasks_that_do_not_end_are_cancelled_at_a_stop(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []

    class Endless(App):
        async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
            await super().__call__(scope, receive, send)
            if scope["type"] == "http":
                try:
                    await asyncio.sleep(3600)
                finally:
                    events.append("cancelled")

    gateway = AsgiGateway(Endless(), "asyncio")
    gateway.start()
    with served(gateway.app, gateway=gateway) as live, live.client() as client:
        client.send(GET)
        client.reply()
    gateway.stop(0)
    assert events == ["cancelled"]
    assert not gateway.loop.running
    assert not caplog.records


def test_tasks_that_outlive_their_response_end_before_the_lifespan_does() -> None:
    events: list[str] = []

    class WithTask(App):
        async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
            await super().__call__(scope, receive, send)
            if scope["type"] == "http":
                await asyncio.sleep(0.1)
                self.events.append("background task")

    app = WithTask()
    with served_asgi(app) as live, live.client() as client:
        client.send(GET)
        client.reply()
    events = app.events
    assert events == ["startup", "request", "background task", "shutdown"]
