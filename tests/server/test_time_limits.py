"""Requests over their time limit on a real engine: what clients, views and the log see."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import carboy
from carboy import RequestTimeout, time_limits, timeout
from carboy.app.sessions import SecureCookieSessionInterface
from carboy.server.scoreboard import Figure
from http2_client import Http2Client
from live_asgi import body, only_http, served_asgi, start
from live_engine import LAST, Live, eventually, served

SOON = 0.05  # seconds: the limit of requests that exceed it
PATIENCE = 60.0  # seconds for what has to happen, also on a busy machine


@pytest.fixture(autouse=True)
def own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test declares are not those of other tests."""
    monkeypatch.setattr(time_limits, "_declared", set())


def run_until_ended(ended: list[str]) -> None:
    """The work of a view that runs until an exception ends it."""
    end = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end:
            time.sleep(0.001)
        ended.append("nothing came")
    except BaseException as error:
        ended.append(type(error).__name__)
        raise


class Stuck:
    """A view that ignores the exception until the test lets it go, as code in C does."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        end = time.monotonic() + PATIENCE
        while not self.go.is_set() and time.monotonic() < end:
            try:
                self.go.wait(PATIENCE)
            except RequestTimeout:
                pass
        self.ended.set()
        return "late"


def wrapped(inner: Any, environ: Any, start_response: Any) -> Any:
    return inner(environ, start_response)


def application() -> tuple[carboy.Carboy, list[str]]:
    app = carboy.Carboy("limits")
    seen: list[str] = []

    @app.get("/")
    def hello() -> str:
        return "hello"

    @app.get("/slow")
    def slow() -> str:
        run_until_ended(seen)
        return "late"

    @app.get("/handles-exceptions")
    def handles() -> str:
        try:
            run_until_ended(seen)
        except Exception:
            return "handled"
        return "late"

    return app, seen


def wsgi_slow(seen: list[str]) -> Callable[..., Any]:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            run_until_ended(seen)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"hello"]

    return app


# --- the client


@pytest.mark.parametrize("threads", [1, 4])
def test_the_client_of_a_request_over_its_limit_gets_503(threads: int) -> None:
    app, seen = application()
    with served(app, request_timeout=SOON, threads=threads) as live:
        reply = live.get("/slow")
        assert reply.status == 503
        assert reply.headers["Retry-After"] == "1"
        assert reply.headers["Connection"] == "close"
        eventually(lambda: seen)
        assert seen == ["RequestTimeout"]
        assert live.get("/").body == b"hello"


def test_the_response_comes_while_the_thread_still_runs() -> None:
    app, _ = application()
    view = Stuck()
    app.add_url_rule("/stuck", "stuck", view)
    with served(app, request_timeout=SOON) as live:
        assert live.get("/stuck").status == 503
        assert not view.ended.is_set()
        view.go.set()
        assert view.ended.wait(PATIENCE)


def test_the_connection_ends_although_the_thread_still_runs() -> None:
    app, _ = application()
    view = Stuck()
    app.add_url_rule("/", "stuck", view, methods=["POST", "GET"])
    app.view_functions["hello"] = view
    with served(app, request_timeout=SOON) as live:
        assert live.ask(LAST).startswith(b"HTTP/1.1 503 ")
        assert not view.ended.is_set()
        view.go.set()


def test_a_request_within_its_limit_is_answered_as_without_one() -> None:
    app, _ = application()
    with served(app, request_timeout=PATIENCE) as live, live.client() as client:
        for _ in range(3):
            client.request("GET", "/")
            assert client.reply().body == b"hello"


@pytest.mark.parametrize("threads", [1, 4])
def test_a_wsgi_application_is_ended_as_well(threads: int) -> None:
    seen: list[str] = []
    with served(wsgi_slow(seen), request_timeout=SOON, threads=threads) as live:
        assert live.get("/slow").status == 503
        eventually(lambda: seen)
        assert seen == ["RequestTimeout"]
        assert live.get("/").body == b"hello"


def test_a_response_that_has_begun_is_cut() -> None:
    begun = threading.Event()
    seen: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"first")
        begun.set()
        run_until_ended(seen)
        return []

    with served(app, request_timeout=SOON, record=True) as live, live.client() as client:
        client.send(LAST.replace(b"Connection: close\r\n", b""))
        got = b""
        try:
            while piece := client.sock.recv(1000):
                got += piece
        except ConnectionResetError:
            pass
        assert b"5\r\nfirst\r\n" in got
        assert not got.endswith(b"0\r\n\r\n")
        eventually(lambda: seen and live.records)
        assert seen == ["RequestTimeout"]
        assert [record[4] for record in live.records] == [200]


def test_a_stream_is_not_limited_after_its_first_piece() -> None:
    app, _ = application()
    limits = threading.Event()

    @app.get("/stream")
    def stream() -> Any:
        def pieces() -> Iterator[str]:
            yield "first "
            assert limits.wait(PATIENCE)
            yield "second"

        return pieces()

    @app.get("/other")
    def other() -> str:
        run_until_ended([])
        return "late"

    with served(app, request_timeout=SOON) as live, live.client() as client:
        client.request("GET", "/stream")
        assert live.get("/other").status == 503  # so more than the limit has passed
        assert live.get("/other").status == 503
        limits.set()
        assert client.reply().body == b"first second"


def test_the_stream_of_http2_gets_the_response_and_the_connection_goes_on() -> None:
    app, seen = application()
    with served(app, request_timeout=SOON, h2c=True) as live, live.client() as client:
        http2 = Http2Client(client.sock)
        assert http2.get("/slow").status == 503
        assert http2.get("/").status == 200
        eventually(lambda: seen)


# --- how long


def test_a_view_has_a_limit_of_its_own() -> None:
    app, seen = application()
    app.view_functions["slow"] = timeout(SOON)(app.view_functions["slow"])
    with served(app) as live:
        assert live.get("/slow").status == 503
        eventually(lambda: seen)


def test_a_view_may_lift_the_limit() -> None:
    app, _ = application()
    other = threading.Event()

    @app.get("/long")
    @timeout(None)
    def long() -> str:
        assert other.wait(PATIENCE)
        return "long"

    with served(app, request_timeout=SOON) as live, live.client() as client:
        client.request("GET", "/long")
        assert live.get("/slow").status == 503
        assert live.get("/slow").status == 503
        other.set()
        assert client.reply().body == b"long"


def test_the_configuration_has_a_limit() -> None:
    app, seen = application()
    app.config["REQUEST_TIMEOUT"] = SOON
    with served(app) as live:
        assert live.get("/slow").status == 503
        eventually(lambda: seen)


def test_a_limit_is_found_on_the_wsgi_lane() -> None:
    app, seen = application()
    app.view_functions["slow"] = timeout(SOON)(app.view_functions["slow"])
    inner = app.wsgi_app
    app.wsgi_app = partial(wrapped, inner)  # type: ignore[method-assign]
    with served(app) as live:
        assert live.get("/slow").status == 503
        eventually(lambda: seen)
        assert seen == ["RequestTimeout"]


def test_a_limit_that_is_declared_while_serving_is_enforced() -> None:
    app, seen = application()
    with served(app) as live:
        assert live.get("/").body == b"hello"
        timeout(SOON)(app.view_functions["slow"])
        eventually(lambda: live.get("/") and hasattr(live.engine.runner.gateway, "continued"))
        assert live.get("/slow").status == 503
        eventually(lambda: seen)


def test_the_client_gets_504_if_the_view_waits_for_a_service() -> None:
    app, seen = application()
    timeout(SOON, upstream="payments")(app.view_functions["slow"])
    with served(app) as live:
        reply = live.get("/slow")
        assert reply.status == 504
        assert reply.headers["Retry-After"] == "1"
        eventually(lambda: seen)


# --- the view


def test_except_exception_does_not_handle_the_end() -> None:
    app, seen = application()
    ended: list[Any] = []
    app.teardown_request(ended.append)
    with served(app, request_timeout=SOON) as live:
        assert live.get("/handles-exceptions").status == 503
        eventually(lambda: ended)
        assert seen == ["RequestTimeout"]
        assert isinstance(ended[0], RequestTimeout)


def test_hooks_the_session_and_teardown_functions_run() -> None:
    app, _ = application()
    app.secret_key = "k"
    order: list[str] = []

    @app.get("/saves")
    def saves() -> str:
        carboy.session["n"] = 1
        run_until_ended(order)
        return "late"

    @app.after_request
    def see(response: carboy.Response) -> carboy.Response:
        order.append(f"after {response.status_code}")
        return response

    class Interface(SecureCookieSessionInterface):
        def save_session(self, *args: Any) -> None:
            super().save_session(*args)
            order.append("saved")

    app.session_interface = Interface()  # the one of the class is that of all applications
    app.teardown_request(lambda error: order.append("teardown"))
    app.teardown_appcontext(lambda error: order.append("teardown of the context"))
    with served(app, request_timeout=SOON) as live:
        assert live.get("/saves").status == 503
        eventually(lambda: "teardown of the context" in order)
        assert order == [
            "RequestTimeout", "after 503", "saved", "teardown", "teardown of the context",
        ]  # fmt: skip


def test_a_finally_block_is_not_interrupted_again() -> None:
    app, _ = application()
    seen: list[str] = []
    other = threading.Event()

    @app.get("/cleans-up")
    def cleans_up() -> str:
        try:
            run_until_ended(seen)
        finally:
            assert other.wait(PATIENCE)
            run_for_a_while()
            seen.append("clean")
        return "late"

    def run_for_a_while() -> None:
        for _ in range(1000):
            time.sleep(0.0001)

    with served(app, request_timeout=SOON) as live:
        assert live.get("/cleans-up").status == 503
        assert live.get("/slow").status == 503
        other.set()
        eventually(lambda: len(seen) == 2)
        assert seen == ["RequestTimeout", "clean"]


def test_a_teardown_function_is_not_interrupted() -> None:
    app, _ = application()
    ended: list[str] = []
    other = threading.Event()

    @app.teardown_request
    def slow_teardown(error: BaseException | None) -> None:
        if carboy.request.path == "/":
            assert other.wait(PATIENCE)
            ended.append("teardown")

    with served(app, request_timeout=SOON) as live, live.client() as client:
        client.request("GET", "/")
        assert client.reply().status == 503
        assert live.get("/slow").status == 503
        other.set()
        eventually(lambda: ended)


def test_what_a_late_view_returns_is_closed_and_dropped() -> None:
    closed = threading.Event()
    view = Stuck()

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.set()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        view()
        start_response("200 OK", [])
        return Body()

    with served(app, request_timeout=SOON, record=True) as live:
        assert live.get("/").status == 503
        view.go.set()
        assert closed.wait(PATIENCE)
        eventually(lambda: not live.engine.connections)
        assert [record[4] for record in live.records] == [503]


def test_an_error_after_the_limit_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = application()
    view = Stuck()

    @app.get("/fails")
    def fails() -> str:
        view()
        raise ValueError("too late")

    app.config["PROPAGATE_EXCEPTIONS"] = True
    with served(app, request_timeout=SOON) as live:
        assert live.get("/fails").status == 503
        view.go.set()
        eventually(lambda: "failed after its time limit: GET /fails" in caplog.text)


def test_a_coroutine_function_is_cancelled() -> None:
    import asyncio

    app, _ = application()
    seen: list[str] = []
    ended: list[Any] = []
    app.teardown_request(ended.append)

    @app.get("/waits")
    async def waits() -> str:
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return "late"

    with served(app, request_timeout=SOON, record=True) as live:
        # The first one may be cancelled before it has begun.
        eventually(lambda: live.get("/waits").status == 503 and seen)
        eventually(lambda: len(ended) == len(live.records))
        assert {type(each) for each in ended} == {RequestTimeout}
        assert {record[4] for record in live.records} == {503}
        assert live.get("/").body == b"hello"


def test_hooks_that_are_coroutine_functions_run_after_the_end() -> None:
    app, _ = application()
    order: list[str] = []

    @app.after_request
    async def see(response: carboy.Response) -> carboy.Response:
        order.append(f"after {response.status_code}")
        return response

    @app.get("/waits")
    async def waits() -> str:
        import asyncio

        await asyncio.sleep(PATIENCE)
        return "late"

    app.teardown_request(lambda error: order.append("teardown"))
    with served(app, request_timeout=SOON) as live:
        live.get("/")
        live.get("/")
        order.clear()
        assert live.get("/waits").status == 503
        eventually(lambda: "teardown" in order)
        assert order == ["after 503", "teardown"]


# --- ASGI


def test_the_task_of_an_asgi_application_is_cancelled() -> None:
    import asyncio

    seen: list[str] = []

    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
        await send(start())
        await send(body(b"hello"))

    with served_asgi(app, request_timeout=SOON, record=True) as live:
        eventually(lambda: live.get("/slow").status == 503 and seen)
        assert {record[4] for record in live.records} == {503}
        assert live.get("/").body == b"hello"


def test_an_asgi_response_is_not_limited_after_its_head() -> None:
    import asyncio

    go = threading.Event()

    @only_http
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await asyncio.sleep(PATIENCE)
        await send(start())
        await send(body(b"first ", more=True))
        await asyncio.get_running_loop().run_in_executor(None, go.wait, PATIENCE)
        await send(body(b"second"))

    with served_asgi(app, request_timeout=SOON) as live, live.client() as client:
        client.request("GET", "/")
        assert live.get("/slow").status == 503
        assert live.get("/slow").status == 503
        go.set()
        assert client.reply().body == b"first second"


# --- the log and the figures


def test_the_log_has_the_request_its_time_and_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    app, seen = application()
    with caplog.at_level(logging.ERROR, "carboy.error"):
        with served(app, request_timeout=SOON) as live:
            live.get("/slow")
            eventually(lambda: seen)
    records = [each for each in caplog.records if "over its time limit" in each.message]
    assert len(records) == 1
    assert records[0].message.startswith("GET /slow HTTP/1.1 is over its time limit of 0.05 s")
    assert "in run_until_ended" in records[0].message
    assert "cycle.py" not in records[0].message


def test_a_thread_that_does_not_end_is_logged_counted_and_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, _ = application()
    view = Stuck()
    app.add_url_rule("/stuck", "stuck", view)
    with served(app, request_timeout=SOON, threads=2) as live:
        engine = live.engine
        engine.limits._grace = 0.05
        assert live.get("/stuck").status == 503
        eventually(lambda: live.get("/") and engine.row.cells[Figure.STUCK] == 1.0)
        eventually(lambda: engine.streams.stuck == 1 and engine.crew.away == 0)
        assert "Its thread is stuck" in caplog.text
        view.go.set()
        eventually(lambda: live.get("/") and engine.row.cells[Figure.STUCK] == 0.0)
        eventually(lambda: engine.streams.stuck == 0)


# --- what is declared


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_time_that_cannot_be_a_limit_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="timeout needs a positive number of seconds"):
        timeout(value)


@pytest.mark.parametrize("value", ["5", True, lambda: None])
def test_something_else_than_a_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="timeout needs a number of seconds"):
        timeout(value)


def test_a_configured_limit_that_is_not_a_number_is_refused() -> None:
    app, _ = application()
    app.config["REQUEST_TIMEOUT"] = "5"
    with pytest.raises(TypeError, match="REQUEST_TIMEOUT needs a number of seconds"):
        app.test_client().get("/")


def test_a_server_without_limits_has_no_guard_and_no_thread() -> None:
    app, _ = application()
    with served(app) as live:
        assert live.get("/").body == b"hello"
        assert not hasattr(live.engine.runner.gateway, "continued")
        assert live.engine.limits._thread is None


# --- other ways through the server


def test_a_response_that_has_begun_is_reset_over_http2() -> None:
    seen: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/slow":
            write(b"first")
            run_until_ended(seen)
        write(b"second")
        return []

    with served(app, request_timeout=SOON, h2c=True) as live, live.client() as client:
        http2 = Http2Client(client.sock)
        assert http2.get("/slow").reset is not None
        assert http2.get("/").body == b"second"
        eventually(lambda: seen)


def test_a_view_that_reads_its_body_itself_gets_its_response_from_its_thread() -> None:
    app, _ = application()
    app.config["MAX_CONTENT_LENGTH"] = 10
    seen: list[str] = []

    @app.post("/upload")
    def upload() -> str:
        run_until_ended(seen)
        return "late"

    with served(app, request_timeout=SOON, record=True) as live, live.client() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nhalf of it")
        assert client.reply().status == 503
        eventually(lambda: seen and live.records)
        assert [record[4] for record in live.records] == [503]


def test_early_hints_after_the_limit_are_not_sent() -> None:
    app, _ = application()
    view = Stuck()

    @app.get("/hints")
    def hints() -> str:
        view()
        carboy.request.early_hints("/style.css")
        return "late"

    with served(app, request_timeout=SOON) as live, live.client() as client:
        client.send(LAST.replace(b" / ", b" /hints "))
        view.begun.wait(PATIENCE)
        first = client.until(b"try again later.\n")
        view.go.set()
        assert first.startswith(b"HTTP/1.1 503 ")
        assert client.rest() == b""


def test_a_request_that_was_ended_does_not_hold_up_a_stop() -> None:
    app, seen = application()
    with served(app, request_timeout=SOON) as live:
        assert live.get("/slow").status == 503
        live.engine.stop()
        live.join()
        assert seen == ["RequestTimeout"]


def test_a_client_that_has_gone_does_not_keep_the_view_running() -> None:
    app, seen = application()
    with served(app, request_timeout=SOON) as live:
        with live.client() as client:
            client.request("GET", "/slow")
        eventually(lambda: seen)
        assert seen == ["RequestTimeout"]
        eventually(lambda: not live.engine.connections)


def test_pipelined_requests_after_one_over_its_limit_are_not_answered() -> None:
    app, seen = application()
    with served(app, request_timeout=SOON) as live, live.client() as client:
        client.send(LAST.replace(b"Connection: close\r\n", b"").replace(b" / ", b" /slow ") + LAST)
        got = client.rest()
        assert got.count(b"HTTP/1.1 ") == 1
        assert b" 503 " in got
        eventually(lambda: seen)


def test_all_requests_are_ended_when_all_threads_are_busy() -> None:
    app, seen = application()
    with served(app, request_timeout=SOON, threads=2) as live:
        clients = [live.client() for _ in range(12)]
        try:
            opened = [each.__enter__() for each in clients]
            for client in opened:
                client.request("GET", "/slow")
            assert [client.reply().status for client in opened] == [503] * 12
        finally:
            for each in clients:
                each.__exit__(None, None, None)
        eventually(lambda: live.get("/").status == 200)
        assert set(seen) == {"RequestTimeout"}


def echoing() -> carboy.Carboy:
    importlib.import_module("carboy.gateway.websocket")  # that takes longer than the limit
    app, _ = application()

    @app.websocket("/echo")
    def echo(ws: Any) -> None:
        for message in ws:
            ws.send(message)

    return app


def test_a_handshake_is_limited_until_its_handler_begins() -> None:
    app = echoing()
    view = Stuck()

    @app.before_request
    def wait() -> None:
        if carboy.request.path == "/echo":
            view()

    with served(app, request_timeout=SOON, record=True) as live:
        with pytest.raises(InvalidStatus, match="503"):
            connect(f"ws://127.0.0.1:{live.port}/echo")
        view.go.set()
        assert view.ended.wait(PATIENCE)
        eventually(lambda: not live.engine.connections)
        assert [record[4] for record in live.records] == [503]
        assert live.get("/").body == b"hello"


def test_a_websocket_is_not_limited() -> None:
    with served(echoing(), request_timeout=SOON) as live:
        with connected(live) as socket:
            socket.send("one")
            assert socket.recv() == "one"
            assert live.get("/slow").status == 503
            assert live.get("/slow").status == 503
            socket.send("two")
            assert socket.recv() == "two"


def connected(live: Live) -> Any:
    """A WebSocket; on a busy machine, a handshake may take longer than the limit."""
    found: list[Any] = []

    def connects() -> bool:
        try:
            found.append(connect(f"ws://127.0.0.1:{live.port}/echo"))
        except InvalidStatus:
            return False
        return True

    eventually(connects)
    return found[0]
