"""ASGI applications on Werkzeug's servers: a thread answers each request, as for WSGI."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import connect

from carboy.gateway import mount
from carboy.serving import make_server, run_simple
from carboy.serving.handler import WSGIRequestHandler
from running import Running


class App:
    """An ASGI application that notes its lifespan."""

    def __init__(self, fails: bool = False) -> None:
        self.noted: list[str] = []
        self.fails = fails

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            if self.fails:
                raise OSError("no database")
            self.noted.append("started")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.noted.append("ended")
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["path"] == "/fails":
            raise ValueError("broken")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["root_path"].encode() + b" ok"})


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[Any]:
    server = make_server("127.0.0.1", 0, app, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(30)


def get(server: Any, path: str = "/") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path, headers={"Connection": "close"})
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


@pytest.mark.parametrize("options", [{}, {"threaded": True}])
def test_make_server_serves_it_with_its_lifespan(options: dict[str, Any]) -> None:
    app = App()
    with serving(app, **options) as server:
        assert get(server) == (200, b" ok")
        assert get(server, "/fails")[0] == 500
    assert app.noted == ["started", "ended"]


def test_mounted_applications_are_served() -> None:
    app = App()
    with serving(mount(None, {"/api": app}), threaded=True) as server:
        assert get(server, "/api/x") == (200, b"/api ok")
    assert app.noted == ["started", "ended"]


def test_a_lifespan_that_fails_ends_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    server = make_server("127.0.0.1", 0, App(fails=True))
    with pytest.raises(SystemExit):
        server.serve_forever()
    assert "Error: The application failed to start: Traceback" in capsys.readouterr().err


def test_its_websockets_are_served_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", **await receive()} | {"type": "websocket.send"})
        await receive()

    with (
        serving(app, threaded=True) as server,
        connect(f"ws://127.0.0.1:{server.port}/") as websocket,
    ):
        websocket.send("hello")
        assert websocket.recv(timeout=30) == "hello"


@pytest.mark.parametrize("start", [make_server, run_simple])
def test_a_request_handler_is_for_wsgi_only(start: Any) -> None:
    with pytest.raises(TypeError, match="A request_handler is for WSGI applications"):
        start("127.0.0.1", 0, App(), request_handler=WSGIRequestHandler)


PROGRAM = """\
import sys
from carboy.serving import run_simple

async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/fails":
        raise ValueError("broken")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

run_simple("127.0.0.1", 0, app, use_debugger=True, threaded=True, static_files={"/f": "."})
"""


def test_run_simple_serves_it_with_the_debugger_and_static_files(tmp_path: Any) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with Running(cwd=tmp_path, command=("program.py",)) as server:
        server.line("Running on")
        assert server.get() == (200, b"ok")
        assert server.get("/f/program.py") == (200, PROGRAM.encode())
        assert b"ValueError: broken // Carboy Debugger" in server.get("/fails")[1]


def test_several_processes_serve_it(tmp_path: Any) -> None:
    text = PROGRAM.replace("threaded=True", "processes=2").replace("use_debugger=True, ", "")
    (tmp_path / "program.py").write_text(text)
    with Running(cwd=tmp_path, command=("program.py",)) as server:
        server.line("Running on")
        assert server.get() == (200, b"ok")
