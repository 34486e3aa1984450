"""`werkzeug.socket`: the application takes a connection over and speaks another protocol on it."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import websocket
import werkzeug.serving

from carboy.server.raw_socket import RawSocket
from carboy.serving import make_server
from certificates import unchecked
from live_engine import eventually, served
from running import PATIENCE, Running

# A protocol of our own: what comes is sent back.
UPGRADE = b"GET /%b HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
Environ = dict[str, Any]
MEETING = threading.Barrier(2)


def app(environ: Environ, start_response: Any) -> list[bytes]:
    """Echoes one piece, then does what the path says."""
    sock = environ["werkzeug.socket"]
    path = environ["PATH_INFO"]
    if path == "/look":
        told = (isinstance(sock, socket.socket), sock.gettimeout(), sock.getblocking())
        told += (sock.getpeername()[1] == int(environ["REMOTE_PORT"]), sock.fileno() > 2)
        start_response("200 OK", [])
        return [repr(told).encode()]
    if path == "/meet":
        MEETING.wait(PATIENCE)
        start_response("200 OK", [])
        return [b"met"]
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    sock.sendall(sock.recv(100))
    if path == "/connection-error":
        raise ConnectionError
    if path == "/error":
        raise RuntimeError("in the other protocol")
    if path == "/rest":
        while data := sock.recv(2):
            sock.sendall(data)
    if path == "/close":
        sock.close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"an answer that nobody can read"]


def test_the_socket_looks_like_that_of_werkzeugs_server() -> None:
    theirs = werkzeug.serving.make_server("127.0.0.1", 0, app)
    with served(app) as live, in_a_thread(theirs):
        with socket.create_connection(("127.0.0.1", theirs.port), PATIENCE) as sock:
            sock.sendall(b"GET /look HTTP/1.1\r\nHost: a\r\n\r\n")
            real = b""
            while data := sock.recv(4096):
                real += data
        for _ in range(3):
            assert live.get("/look").body in real
        assert live.get("/look").body == b"(True, None, True, True, True)"


@contextmanager
def in_a_thread(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("path", [b"connection-error", b"answer", b"close", b"error"])
def test_no_response_is_sent_after_the_other_protocol(
    path: bytes, threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    with served(app, record=True, threads=threads) as live:
        for _ in range(3):
            with live.client() as client:
                client.send(UPGRADE % path)
                client.until(b"\r\n\r\n")
                client.send(b"hello")
                assert client.rest() == b"hello"
        eventually(lambda: [record[4] for record in live.records] == [101, 101, 101])
        assert live.get("/look").status == 200
    errors = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert len(errors) == (3 if path == b"error" else 0)


def test_bytes_sent_with_the_head_are_not_lost() -> None:
    with served(app) as live, live.client() as client:
        client.send(UPGRADE % b"rest" + b"early, in pieces")
        client.until(b"\r\n\r\nearly, in pieces")
        client.send(b"and later")
        client.until(b"and later")


def test_other_requests_are_served_meanwhile() -> None:
    with served(app) as live, live.client() as client:
        client.send(UPGRADE % b"rest" + b"a")
        client.until(b"\r\n\r\na")
        for _ in range(5):
            assert live.get("/look").status == 200
        client.send(b"b")
        client.until(b"b")


@pytest.mark.parametrize("threads", [1, 4])
def test_a_graceful_stop_cuts_the_socket(threads: int) -> None:
    with served(app, threads=threads) as live, live.client() as client:
        client.send(UPGRADE % b"rest" + b"a")
        client.until(b"\r\n\r\na")
        live.engine.stop()
        assert client.closed()
        live.join()


def test_a_request_without_an_upgrade_is_answered() -> None:
    def takes(environ: Environ, start_response: Any) -> list[bytes]:
        environ["werkzeug.socket"].sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        start_response("200 OK", [("Content-Length", "2")])
        return [b"hi"]

    with served(takes) as live:
        data = live.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert data.endswith(b"Connection: close\r\n\r\nhi")


def test_the_socket_cannot_be_used_after_the_request() -> None:
    kept: list[Any] = []

    def keeps(environ: Environ, start_response: Any) -> list[bytes]:
        kept.append(environ["werkzeug.socket"])
        start_response("200 OK", [])
        return [b"hi"]

    with served(keeps) as live, live.client() as client:
        client.request("GET", "/")
        assert client.reply().body == b"hi"
        client.request("GET", "/")  # by now the engine has seen the end of the first
        assert client.reply().body == b"hi"
        with pytest.raises(OSError, match="The request has ended"):
            kept[0].sendall(b"what belongs to nobody")


def test_an_environ_has_a_complete_socket() -> None:
    """The environ makes it without calling `__init__`."""
    found: list[Any] = []

    def looks(environ: Environ, start_response: Any) -> list[bytes]:
        sock = environ["werkzeug.socket"]
        slots = [RawSocket.__dict__[name] for name in ("_closed", "_exchange", "_rest")]
        made = RawSocket(environ["carboy.exchange"])
        found.extend(slot.__get__(sock) == slot.__get__(made) for slot in slots)
        start_response("200 OK", [])
        return [b"hi"]

    with served(looks) as live, live.client() as client:
        for _ in range(3):
            client.request("GET", "/")
            assert client.reply().body == b"hi"
    assert found == [True] * 9


def test_the_development_server_shows_no_page_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with in_a_thread(server):
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
            sock.sendall(UPGRADE % b"connection-error" + b"hello")
            with sock.makefile("rb") as file:
                assert file.read().endswith(b"\r\n\r\nhello")
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_the_socket_can_be_taken_under_tls() -> None:
    context = unchecked()
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context="adhoc")
    with in_a_thread(server):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain:
                with context.wrap_socket(plain) as sock, sock.makefile("rb") as file:
                    sock.sendall(UPGRADE % b"connection-error" + b"early")
                    assert file.read().endswith(b"\r\n\r\nearly")


# --- Flask-Sock's example, with a real client

ECHO = """
from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)

@sock.route("/echo")
def echo(ws):
    while True:
        data = ws.receive()
        if data == "fail":
            raise RuntimeError("this one fails")
        ws.send(data)

@sock.route("/once")
def once(ws):
    ws.send(ws.receive())

@app.get("/")
def index():
    return "hello"

if __name__ == "__main__":
    app.run(port=0, **OPTIONS)
"""
SCRIPT = ("-m", "carboy.compat", "app.py")
WAYS = {
    "carboy run": (("-m", "carboy"), ("run", "--flask", "app:app", "-p", "0"), "{}"),
    "carboy run, real Flask": (("-m", "carboy"), ("run", "app:app", "-p", "0"), "{}"),
    "carboy run, serial": (("-m", "carboy"), ("run", "app:app", "-p", "0", "--threads", "1"), "{}"),
    "carboy dev": (("-m", "carboy"), ("dev", "--flask", "app:app", "-p", "0"), "{}"),
    "app.run()": (SCRIPT, (), "{}"),
    "app.run(debug=True)": (SCRIPT, (), "{'use_debugger': True}"),
}


@pytest.mark.parametrize("way", WAYS)
def test_flask_sock_echoes(way: str, tmp_path: Path) -> None:
    command, args, options = WAYS[way]
    (tmp_path / "app.py").write_text(ECHO.replace("OPTIONS", options))
    with Running(*args, cwd=tmp_path, command=command) as server:
        url = "ws://{}:{}".format(*server.address())
        for _ in range(3):
            with connected(f"{url}/echo") as client:
                client.send("hello")
                assert client.recv() == "hello"
                client.send_binary(b"\0" * 100_000)
                assert client.recv() == b"\0" * 100_000
                client.close()
            with connected(f"{url}/once") as client:
                client.send("last")
                assert client.recv() == "last"
                assert (client.recv(), client.connected) == ("", False)
        assert server.get() == (200, b"hello")
        assert "Traceback" not in server.text()
        with connected(f"{url}/echo") as client:
            client.send("fail")
            with pytest.raises(websocket.WebSocketConnectionClosedException):
                client.recv()
        server.line("RuntimeError: this one fails")
        with connected(f"{url}/echo") as client:
            client.send("still open")
            assert client.recv() == "still open"
            assert server.stop(signal.SIGTERM) == 0


@contextmanager
def connected(url: str) -> Iterator[Any]:
    client = websocket.create_connection(url, timeout=PATIENCE)
    try:
        yield client
    finally:
        client.shutdown()


def test_open_sockets_leave_the_crew_its_threads() -> None:
    with served(app, threads=2, websocket_threads=6) as live, ExitStack() as stack:
        for _ in range(6):
            client = stack.enter_context(live.client())
            client.send(UPGRADE % b"rest" + b"a")
            client.until(b"\r\n\r\na")
        assert live.get("/look").status == 200
        with ThreadPoolExecutor() as pool:  # both threads of the crew are free
            met = [pool.submit(live.get, "/meet") for _ in range(2)]
            assert [each.result().body for each in met] == [b"met", b"met"]


def test_a_handshake_gets_503_while_all_websocket_threads_are_in_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(app, record=True, threads=2, websocket_threads=1) as live:
        with live.client() as first:
            first.send(UPGRADE % b"rest" + b"a")
            first.until(b"\r\n\r\na")
            for path in (b"rest", b"answer", b"error"):
                with live.client() as second:
                    second.send(UPGRADE % path)
                    assert second.rest().startswith(b"HTTP/1.1 503 ")
            eventually(lambda: "Use --websocket-threads" in caplog.text)
        eventually(lambda: [record[4] for record in live.records] == [503, 503, 503, 101])
        with live.client() as third:
            third.send(UPGRADE % b"rest" + b"b")
            third.until(b"\r\n\r\nb")
