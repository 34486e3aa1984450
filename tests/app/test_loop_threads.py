"""Views that are coroutine functions hold no thread while they await, on Carboy's own server."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import carboy
from carboy.app.app import Carboy
from live_engine import GET, LAST, Live, eventually, served

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Told:
    """Events that the hooks of the application have seen."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.threads: set[str] = set()
        self.running = 0
        self.go = threading.Event()


def application(told: Told) -> Carboy:
    app = carboy.Flask("loops")
    app.secret_key = "key"

    @app.before_request
    def before() -> None:
        carboy.g.path = carboy.request.path
        variable.set("before")

    @app.after_request
    def after(response: Any) -> Any:
        told.threads.add(threading.current_thread().name)
        response.headers["X-Seen"] = f"{carboy.g.path} {variable.get()}"
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        told.events.append(f"{carboy.request.path} {type(error).__name__}")

    @app.get("/waits")
    async def waits() -> str:
        told.running += 1
        while not told.go.is_set():
            await asyncio.sleep(0.01)
        variable.set("view")
        return carboy.request.path

    @app.post("/body")
    async def body() -> dict[str, Any]:
        await asyncio.sleep(0)
        carboy.session["n"] = carboy.session.get("n", 0) + 1
        return {"form": carboy.request.form, "n": carboy.session["n"]}

    @app.get("/fails")
    async def fails() -> str:
        await asyncio.sleep(0)
        raise ValueError("broken")

    @app.get("/aborts")
    async def aborts() -> str:
        await asyncio.sleep(0)
        carboy.abort(418)

    @app.get("/nothing")
    async def nothing() -> None:
        await asyncio.sleep(0)

    @app.get("/stream")
    async def stream() -> Any:
        await asyncio.sleep(0)
        return carboy.stream_with_context(carboy.request.path for _ in range(3))

    @app.get("/after")
    async def after_this() -> str:
        @carboy.after_this_request
        def mark(response: Any) -> Any:
            response.headers["X-After"] = "yes"
            return response

        return "after"

    @app.errorhandler(ValueError)
    async def handled(error: ValueError) -> tuple[str, int]:
        await asyncio.sleep(0)
        return f"handled {error}", 503

    return app


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def live(told: Told) -> Iterator[Live]:
    with served(application(told), record=True) as live:
        yield live
        told.go.set()


def test_more_requests_await_than_there_are_threads(told: Told) -> None:
    count = 100
    with served(application(told), threads=2) as live, ExitStack() as stack:
        before = threading.active_count()
        clients = [stack.enter_context(live.client()) for _ in range(count)]
        for client in clients:
            client.send(GET.replace(b" / ", b" /waits "))
        eventually(lambda: told.running == count)
        assert threading.active_count() < before + 20  # far fewer than requests
        assert len(live.engine.in_flight()) == count
        told.go.set()
        for client in clients:
            reply = client.reply()
            assert (reply.body, reply.headers["X-Seen"]) == (b"/waits", "/waits view")
    assert told.events == ["/waits NoneType"] * count
    assert "carboy-loop" not in told.threads


def test_one_thread_is_enough(told: Told) -> None:
    with served(application(told), threads=1) as live, live.client() as client:
        client.send(GET.replace(b" / ", b" /waits "))
        eventually(lambda: told.running)
        with live.client() as other:
            other.send(GET.replace(b" / ", b" /after "))
            assert other.reply().headers["X-After"] == "yes"
        told.go.set()
        assert client.reply().body == b"/waits"


def test_the_rest_of_the_request_is_as_after_any_view(live: Live, told: Told) -> None:
    with live.client() as client:
        fields = {"Content-Type": "application/x-www-form-urlencoded"}
        client.request("POST", "/body", fields, b"a=1")
        reply = client.reply()
        assert reply.body == b'{"form":{"a":"1"},"n":1}\n'
        fields["Cookie"] = reply.headers["Set-Cookie"].partition(";")[0]
        client.request("POST", "/body", fields, b"a=2")
        assert client.reply().body == b'{"form":{"a":"2"},"n":2}\n'
        for path, status, text in (
            ("/fails", 503, b"handled broken"),
            ("/aborts", 418, None),
            ("/nothing", 500, None),
            ("/stream", 200, b"/stream" * 3),
        ):
            client.request("GET", path)
            reply = client.reply()
            assert reply.status == status, path
            assert text is None or reply.body == text
            assert reply.headers["X-Seen"] == f"{path} before"
    eventually(lambda: len(live.records) == 6)
    assert [record[4] for record in live.records] == [200, 200, 503, 418, 500, 200]


def test_pipelined_requests_are_answered_in_order(live: Live, told: Told) -> None:
    told.go.set()
    paths = [b"/waits", b"/after", b"/fails", b"/waits"]
    sent = b"".join(GET.replace(b" / ", b" %b " % path) for path in paths)
    data = live.ask(sent + LAST.replace(b" / ", b" /after "))
    bodies = [each.rpartition(b"\r\n\r\n")[2] for each in data.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"/waits", b"after", b"handled broken", b"/waits", b"after"]


def test_the_access_log_counts_the_time_of_the_whole_request(live: Live, told: Told) -> None:
    with live.client() as client:
        client.send(GET.replace(b" / ", b" /waits "))
        eventually(lambda: told.running)
        threading.Timer(0.3, told.go.set).start()
        client.reply()
    eventually(lambda: live.records)
    assert live.records[0][6] >= 0.3


@pytest.mark.parametrize("replaced", ["dispatch_request", "full_dispatch_request", "ensure_sync"])
def test_a_step_that_an_application_has_replaced_surrounds_the_whole_view(replaced: str) -> None:
    order: list[str] = []

    def step(self: Any, *args: Any) -> Any:
        order.append("begin")
        try:
            return getattr(carboy.Flask, replaced)(self, *args)
        finally:
            order.append("end")

    app = type("Own", (carboy.Flask,), {replaced: step})("own")

    @app.get("/")
    async def view() -> str:
        await asyncio.sleep(0)
        order.append("view")
        return "done"

    with served(app) as live:
        assert live.get().body == b"done"
    assert order == (
        ["begin", "end", "view"] if replaced == "ensure_sync" else ["begin", "view", "end"]
    )


def test_teardown_functions_run_when_the_client_has_gone(live: Live, told: Told) -> None:
    with live.client() as client:
        client.send(GET.replace(b" / ", b" /waits "))
        eventually(lambda: told.running)
    eventually(lambda: told.events)
    assert told.events == ["/waits CancelledError"]
    eventually(lambda: live.records)
    assert live.records[0][4] == 499
    eventually(lambda: not live.engine.connections)


def test_a_stop_waits_for_the_view(told: Told) -> None:
    with served(application(told)) as live, live.client() as client:
        client.send(GET.replace(b" / ", b" /waits "))
        eventually(lambda: told.running)
        live.engine.stop()
        eventually(lambda: live.engine.responder.stopping)
        told.go.set()
        reply = client.reply()
        assert (reply.body, reply.headers["Connection"]) == (b"/waits", "close")
        live.join()


def test_a_slow_hook_after_the_view_does_not_hold_the_leader(told: Told) -> None:
    app = application(told)
    entered, leave = threading.Event(), threading.Event()

    @app.after_request
    def slow(response: Any) -> Any:
        if carboy.request.path == "/waits":
            entered.set()
            leave.wait(20)
        return response

    told.go.set()
    with served(app) as live, live.client() as client:
        client.send(GET.replace(b" / ", b" /waits "))
        assert entered.wait(20)
        assert live.get("/after").status == 200
        leave.set()
        assert client.reply().body == b"/waits"


def test_a_continuation_that_finds_no_thread_runs_all_the_same(told: Told) -> None:
    app = application(told)
    leave = threading.Event()

    @app.teardown_request
    def slow(error: BaseException | None) -> None:
        if carboy.request.path == "/waits":
            leave.wait(20)

    count = 12
    told.go.set()
    options: dict[str, Any] = {"threads": 2, "queue_timeout": 0.2, "queue_limit": 2}
    with served(app, **options) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(count)]
        for client in clients:
            client.send(GET.replace(b" / ", b" /waits "))
        eventually(lambda: told.running >= 2)
        threading.Timer(1.0, leave.set).start()
        statuses = [client.reply().status for client in clients]
    assert set(statuses) <= {200, 503}
    assert len(told.events) == statuses.count(200) == told.running
