"""Functions run after the response has been sent, on all lanes and under the test client."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from carboy import Carboy, after_response, current_app, g, request
from http2_client import http2, served_h2c
from live_engine import eventually, served
from running import PATIENCE, Running

LARGE = 32 * 1024 * 1024


@pytest.fixture
def app() -> Carboy:
    app = Carboy(__name__)
    app.ran = threading.Event()  # type: ignore[attr-defined]
    app.said = []  # type: ignore[attr-defined]
    return app


def say(text: str) -> None:
    app: Any = current_app
    app.said.append((text, request.path, threading.current_thread().name))
    app.ran.set()


@pytest.mark.parametrize("lane", ["direct", "wsgi", "server"])
def test_it_runs_in_the_request_of_a_test_client(app: Any, lane: str) -> None:
    @app.get("/x")
    def view() -> str:
        after_response(say, "one")
        after_response(say, text="two")
        assert app.said == []
        return "ok"

    client = app.test_client(lane=lane)
    assert client.get("/x").data == b"ok"
    assert [each[:2] for each in app.said] == [("one", "/x"), ("two", "/x")]


def test_a_coroutine_function_runs_under_a_test_client(app: Any) -> None:
    async def later(text: str) -> None:
        await asyncio.sleep(0)
        say(text)

    @app.get("/x")
    def view() -> str:
        after_response(later, "one")
        return "ok"

    app.test_client().get("/x")
    assert [each[0] for each in app.said] == ["one"]


def test_an_error_is_raised_in_a_test_and_logged_otherwise(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/x")
    def view() -> str:
        after_response(int, "no number")
        return "ok"

    assert app.test_client().get("/x").data == b"ok"
    assert "The job int after GET /x failed." in caplog.text
    app.testing = True
    with pytest.raises(ValueError, match="no number"):
        app.test_client().get("/x")


def test_teardown_functions_run_after_the_job(app: Any) -> None:
    order: list[str] = []

    @app.teardown_appcontext
    def teardown(error: BaseException | None) -> None:
        order.append("teardown")

    @app.get("/x")
    def view() -> str:
        g.value = 1
        after_response(lambda: order.append(f"job {'value' in g}"))
        return "ok"

    app.test_client().get("/x")
    assert order == ["teardown", "job False", "teardown"]


def test_it_runs_after_error_pages_too(app: Any) -> None:
    @app.get("/x")
    def view() -> str:
        after_response(say, "one")
        raise RuntimeError

    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert app.test_client().get("/x").status_code == 500
    assert len(app.said) == 1


def test_it_runs_after_a_response_that_a_hook_has_replaced(app: Any) -> None:
    @app.after_request
    def replace(response: Any) -> Any:
        return app.response_class("other")

    @app.get("/x")
    def view() -> str:
        after_response(say, "one")
        return "ok"

    assert app.test_client().get("/x").data == b"other"
    assert len(app.said) == 1


def test_it_can_only_be_used_in_a_request(app: Any) -> None:
    with pytest.raises(RuntimeError, match="while a request is being handled"):
        after_response(say, "one")
    with app.test_request_context(), pytest.raises(TypeError, match="needs a function"):
        after_response("say")  # type: ignore[arg-type]


# --- under a server


@pytest.mark.parametrize("wrapped", [False, True])
def test_it_runs_in_a_thread_of_its_own_after_the_response(app: Any, wrapped: bool) -> None:
    may_end = threading.Event()

    def job() -> None:
        assert may_end.wait(PATIENCE)
        say("job")

    @app.get("/x")
    def view() -> str:
        after_response(job)
        return "ok"

    if wrapped:
        inner = app.wsgi_app
        app.wsgi_app = lambda environ, start: iter(inner(environ, start))
    with served(app) as live:
        assert live.get("/x").body == b"ok"  # the job runs for longer
        may_end.set()
        assert app.ran.wait(PATIENCE)
    assert app.said == [("job", "/x", "carboy-job")]


def test_a_job_waits_until_the_bytes_of_a_large_response_have_left(app: Any) -> None:
    @app.get("/x")
    def view() -> bytes:
        after_response(say, "job")
        return bytes(LARGE)

    with served(app) as live, live.client() as client:
        client.request("GET", "/x")
        client.until(b"\r\n\r\n")
        assert not app.ran.wait(0.05)  # the client has not read
        left = LARGE
        while left:
            left -= len(client.file.read(min(left, 1 << 20)))
        assert app.ran.wait(PATIENCE)


@pytest.mark.parametrize("size", [2, 1 << 20])
def test_a_job_runs_after_a_response_over_http_2(app: Any, size: int) -> None:
    @app.get("/x")
    def view() -> bytes:
        after_response(say, "job")
        return bytes(size)

    with served_h2c(app) as live, http2(live) as client:
        assert len(client.get("/x").body) == size
        assert app.ran.wait(PATIENCE)


def test_a_job_runs_although_the_client_has_gone(app: Any) -> None:
    @app.get("/x")
    def view() -> bytes:
        after_response(say, "job")
        return bytes(LARGE)

    with served(app) as live:
        with live.client() as client:
            client.request("GET", "/x")
            client.until(b"\r\n\r\n")
        assert app.ran.wait(PATIENCE)


def test_a_streamed_response_is_complete_before_the_job(app: Any) -> None:
    @app.get("/x")
    def view() -> Any:
        after_response(say, "job")

        def pieces() -> Any:
            yield b"a"
            assert not app.ran.is_set()
            yield b"b"

        return pieces()

    with served(app) as live:
        assert live.get("/x").body == b"ab"
        assert app.ran.wait(PATIENCE)


def test_jobs_of_a_coroutine_view_run_on_the_loop(app: Any) -> None:
    async def job(text: str) -> None:
        say(text)

    @app.get("/x")
    async def view() -> str:
        after_response(job, "job")
        return "ok"

    with served(app) as live:
        assert live.get("/x").body == b"ok"
        assert app.ran.wait(PATIENCE)
    assert app.said == [("job", "/x", "carboy-loop")]


def test_an_error_is_logged_with_the_request(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        app.ran.set()
        raise ValueError("wrong")

    @app.get("/x")
    def view() -> str:
        after_response(fails)
        after_response(say, "next")
        return "ok"

    with served(app) as live:
        live.get("/x")
        eventually(lambda: app.said)  # the client may have the response before the jobs begin
        gateway_end(app)
    assert "fails after GET /x failed" in caplog.text
    assert [each[0] for each in app.said] == ["next"]


def gateway_end(app: Any) -> None:
    from carboy.net.worker_jobs import jobs

    assert jobs().drain(PATIENCE) == []


APP = """
import time
from pathlib import Path
from carboy import Carboy, after_response

app = Carboy(__name__)

def job():
    Path("begun").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    print("the job has ended", flush=True)

@app.get("/")
def view():
    after_response(job)
    return "ok"

@app.after_serving
def end():
    print("after serving", flush=True)
"""


@pytest.mark.parametrize("options", [(), ("--no-supervisor",)])
def test_a_stop_waits_for_jobs(tmp_path: Any, options: tuple[str, ...]) -> None:
    (tmp_path / "app.py").write_text(APP)
    with Running("run", "--port", "0", *options, cwd=tmp_path) as server:
        assert server.get()[1] == b"ok"
        server.send(15)
        (tmp_path / "go").touch()
        assert server.wait() == 0
        lines = [line.strip() for line in server.out if "GET" not in line]
    assert lines == ["the job has ended", "after serving"]


def test_a_job_that_does_not_end_is_named(tmp_path: Any) -> None:
    (tmp_path / "app.py").write_text(APP)
    args = ("--port", "0", "--graceful-timeout", "0.2", "--no-supervisor")
    with Running("run", *args, cwd=tmp_path) as server:
        server.get()
        server.send(15)
        server.line("Jobs did not end within")
        assert "job after GET /" in server.text()
        server.wait()
