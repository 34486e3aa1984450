"""A server in a thread that another thread ends by raising an exception in it."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from carboy import Flask
from carboy.server import serve
from carboy.serving import make_server, run_simple
from carboy.serving.wsgi_server import BaseWSGIServer
from live_engine import eventually
from running import PATIENCE, free_port

app = Flask(__name__, static_folder=None)
app.add_url_rule("/", view_func=lambda: "hello")


@pytest.fixture(autouse=True)
def _not_below_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the commands leave a variable in the environment, which app.run() reads."""
    for name in ("FLASK_RUN_FROM_CLI", "CARBOY_RUN_FROM_CLI"):
        monkeypatch.delenv(name, raising=False)


def raise_in(thread: threading.Thread) -> None:
    """Raise SystemExit in a thread, as dash.testing and others do to end a server."""
    ident = ctypes.c_long(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))


def get(port: int) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
        client.request("GET", "/")
        return client.getresponse().read()


def answers(port: int) -> bool:
    try:
        return get(port) == b"hello"
    except OSError:
        return False


def app_run(port: int) -> None:
    app.run(port=port)


def simple(port: int) -> None:
    run_simple("127.0.0.1", port, app)


def forever(port: int) -> None:
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


def one_request(port: int) -> None:
    server = make_server("127.0.0.1", port, app)
    try:
        while True:
            server.handle_request()
    finally:
        server.server_close()


def serving(port: int) -> None:
    serve(app, port=port, access_log=False)


# Pytest, not Python, complains about a thread that ends with SystemExit.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
LASTING = [app_run, simple, forever, serving]
EVERY_WAY = pytest.mark.parametrize("run", [*LASTING, one_request])


@EVERY_WAY
def test_an_idle_server_in_a_thread_ends_with_the_exception(run: Callable[[int], None]) -> None:
    port = free_port()
    thread = threading.Thread(target=run, args=(port,))
    thread.start()
    eventually(lambda: answers(port))
    raise_in(thread)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    socket.create_server(("127.0.0.1", port)).close()  # the port is closed


@pytest.mark.parametrize("run", LASTING)
def test_its_threads_may_be_ended_with_it(
    run: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    port = free_port()
    thread = threading.Thread(target=run, args=(port,))
    thread.start()
    eventually(lambda: answers(port))
    ended = set(threading.enumerate()) - before
    for each in ended:
        raise_in(each)
    for each in ended:  # pytest complains about a thread that ends during a later test
        each.join(PATIENCE)
        assert not each.is_alive()
    assert "The engine" not in caplog.text


def test_a_connection_that_is_kept_alive_ends_too() -> None:
    port = free_port()
    thread = threading.Thread(target=app_run, args=(port,))
    thread.start()
    eventually(lambda: answers(port))
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"
        raise_in(thread)
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert client.sock.recv(1) == b""


def test_shutdown_from_another_thread_ends_an_idle_server() -> None:
    server: BaseWSGIServer = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    eventually(lambda: answers(server.port))
    server.shutdown()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_an_exception_is_raised_again_by_the_server() -> None:
    server = make_server("127.0.0.1", 0, app)
    seen: list[Any] = []

    def run() -> None:
        with contextlib.suppress(SystemExit):
            try:
                server.serve_forever()
            except BaseException as error:
                seen.append(type(error))
                raise

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: answers(server.port))
    raise_in(thread)
    thread.join(PATIENCE)
    assert seen == [SystemExit]
