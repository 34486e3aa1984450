"""Streamed responses: slow readers, waiting sources, clients that leave, stops."""

from __future__ import annotations

import hashlib
import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import flask
import pytest

import carboy
import carboy.serving
from carboy.server.dispatch_times import DispatchTimes
from certificates import unchecked
from live_engine import Client, Live, eventually
from live_engine import served as served_as_it_is
from running import Running

KIB = 1024
MIB = 1024 * KIB
PIECE = bytes(range(256)) * 256  # 64 KiB
COUNT = 32  # two megabytes: several times what the sockets and the server keep

seen: ContextVar[str] = ContextVar("seen", default="nothing")


@contextmanager
def served(app: Any, **settings: Any) -> Iterator[Live]:
    """Serve with small socket buffers, so that few bytes have to be made."""
    with served_as_it_is(app, **settings) as live:
        live.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * KIB)
        yield live


class Watched:
    """A record of what happened inside the generators of an application."""

    def __init__(self) -> None:
        self.made = 0
        self.closed: list[str] = []
        self.running = 0
        self.most = 0
        self.threads: set[str] = set()
        self.events = threading.Condition()
        self.release = threading.Event()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Wraps application code, and notes how many threads run it at once."""
        with self.events:
            self.running += 1
            self.most = max(self.most, self.running)
            self.threads.add(threading.current_thread().name)
        try:
            yield
        finally:
            with self.events:
                self.running -= 1


def pieces(watched: Watched, count: int = COUNT) -> Iterator[bytes]:
    try:
        for _ in range(count):
            with watched.inside():
                watched.made += 1
                piece = PIECE
            yield piece
    except GeneratorExit:
        watched.closed.append("left")
        raise
    else:
        watched.closed.append("read")


def application(kind: str, watched: Watched) -> Any:
    """`kind`: carboy directly, carboy as a WSGI callable, or the real Flask."""
    app: Any = (flask.Flask if kind == "flask" else carboy.Flask)("streams")
    module: Any = flask if kind == "flask" else carboy
    app.secret_key = "k"

    @app.get("/quick")
    def quick() -> str:
        return "quick"

    @app.get("/slow")
    def slow() -> str:
        with watched.inside():
            time.sleep(0.02)
        return "slow"

    @app.get("/large")
    def large() -> Any:
        return app.response_class(pieces(watched), mimetype="text/plain")

    @app.get("/counted")
    def counted() -> Any:
        fields = {"Content-Length": str(COUNT * len(PIECE))}
        return app.response_class(pieces(watched), headers=fields)

    @app.get("/bytes-io")
    def bytes_io() -> Any:
        return module.send_file(io.BytesIO(PIECE * COUNT), mimetype="text/plain")

    @app.get("/template")
    def template() -> Any:
        source = "{% for _ in range(32) %}{{ piece }}{% endfor %}{{ request.path }}"
        return module.stream_template_string(source, piece="x" * len(PIECE))

    @app.get("/context")
    def context() -> Any:
        module.session["name"] = "session"
        module.g.name = "g"
        seen.set("variable")

        def generate() -> Iterator[bytes]:
            yield from pieces(watched)
            found = [module.session["name"], module.g.name, seen.get(), module.request.path]
            seen.set("changed")
            yield PIECE * 20
            yield f"{' '.join(found)} {seen.get()}".encode()

        return module.stream_with_context(generate()), {"Content-Type": "text/plain"}

    @app.get("/fails")
    def fails() -> Any:
        def generate() -> Iterator[bytes]:
            yield from pieces(watched)
            raise RuntimeError("in the middle")

        return app.response_class(generate())

    @app.get("/events")
    def events() -> Any:
        def generate() -> Iterator[bytes]:
            yield b"data: first\n\n"
            watched.release.wait(60)
            yield b"data: last\n\n"

        return app.response_class(generate(), mimetype="text/event-stream")

    @app.get("/silent-events")
    def silent_events() -> Any:
        def generate() -> Iterator[bytes]:
            watched.release.wait(60)
            yield b"data: last\n\n"

        return app.response_class(generate(), mimetype="text/event-stream")

    @app.teardown_request
    def torn_down(error: Any) -> None:
        if module.request.path == "/context":
            watched.closed.append("torn down")

    if kind == "direct":
        return app

    def called(environ: dict[str, Any], start_response: Any) -> Any:
        return app(environ, start_response)

    return called


KINDS = pytest.mark.parametrize("kind", ["direct", "wsgi", "flask"])
THREADS = pytest.mark.parametrize("threads", [1, 4])


def asking(stack: ExitStack, live: Live, path: str, method: str = "GET") -> Client:
    """A client that has sent a request and does not read, with a receive buffer as on a network."""
    sock = socket.socket(live.listener.family, socket.SOCK_STREAM)
    stack.callback(sock.close)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * KIB)
    sock.settimeout(30)
    sock.connect(live.address)
    client = Client(sock)
    stack.callback(client.file.close)  # it holds the socket open
    client.request(method, path)
    return client


def set_aside(live: Live) -> int:
    return sum(c.phase.name == "STREAMING" for c in list(live.engine.connections.values()))


@KINDS
@THREADS
def test_clients_that_do_not_read_hold_no_thread(kind: str, threads: int) -> None:
    watched = Watched()
    with served(application(kind, watched), threads=threads) as live, ExitStack() as stack:
        paths = ["/large", "/counted", "/bytes-io", "/template", "/context"]
        for number in range(33):
            asking(stack, live, paths[number % len(paths)])
        eventually(lambda: set_aside(live) == 33)
        for _ in range(3):
            assert live.get("/slow").body == b"slow"
            assert live.get("/quick").body == b"quick"
        if threads == 1:
            assert watched.most == 1


@KINDS
@THREADS
@pytest.mark.parametrize("path", ["/large", "/counted", "/bytes-io"])
def test_a_slow_client_gets_every_byte_and_the_connection_is_kept(
    kind: str, threads: int, path: str
) -> None:
    watched = Watched()
    with (
        served(application(kind, watched), threads=threads, record=True) as live,
        ExitStack() as stack,
    ):
        client = asking(stack, live, path)
        client.request("GET", "/quick")  # pipelined
        eventually(lambda: set_aside(live) == 1)
        reply = client.reply()
        assert hashlib.sha256(reply.body).digest() == hashlib.sha256(PIECE * COUNT).digest()
        assert client.reply().body == b"quick"
        client.request("GET", "/quick")
        assert client.reply().body == b"quick"
        eventually(lambda: len(live.records) == 3)
        assert [(r[2].target, r[4], r[5]) for r in live.records] == [
            (path, 200, COUNT * len(PIECE)),
            ("/quick", 200, 5),
            ("/quick", 200, 5),
        ]


@KINDS
@THREADS
def test_a_generator_is_resumed_in_its_context(kind: str, threads: int) -> None:
    watched = Watched()
    with served(application(kind, watched), threads=threads) as live, ExitStack() as stack:
        client = asking(stack, live, "/context")
        other = asking(stack, live, "/context")
        eventually(lambda: set_aside(live) == 2)
        for each in (client, other):
            assert each.reply().body.endswith(b"session g variable /context changed")
        assert live.get("/quick").body == b"quick"
        eventually(lambda: watched.closed.count("torn down") == 4)


@KINDS
@THREADS
@pytest.mark.parametrize("path", ["/large", "/context"])
def test_a_generator_is_closed_when_its_client_leaves(
    kind: str, threads: int, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched()
    with (
        served(application(kind, watched), threads=threads, record=True) as live,
        ExitStack() as stack,
    ):
        clients = [asking(stack, live, path) for _ in range(5)]
        eventually(lambda: set_aside(live) == 5)
        for client in clients:
            client.sock.close()
            client.file.close()
        eventually(lambda: watched.closed.count("left") == 5)
        eventually(lambda: not live.engine.connections)
        assert len(live.records) == 5
        if path == "/context":
            assert watched.closed.count("torn down") == 10  # the view's and the generator's
    assert caplog.text == ""


@KINDS
@THREADS
def test_an_error_after_the_generator_was_set_aside_cuts_the_connection(
    kind: str, threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched()
    with (
        served(application(kind, watched), threads=threads, record=True) as live,
        ExitStack() as stack,
    ):
        client = asking(stack, live, "/fails")
        eventually(lambda: set_aside(live) == 1)
        body = client.rest()
        assert not body.endswith(b"0\r\n\r\n")
        eventually(lambda: len(live.records) == 1)
        assert live.get("/quick").body == b"quick"
    assert "in the middle" in caplog.text


@THREADS
def test_a_client_that_reads_too_little_is_cut_and_its_generator_closed(threads: int) -> None:
    watched = Watched()
    app = application("direct", watched)
    with (
        served(app, threads=threads, write_grace=0.1, write_rate=MIB) as live,
        ExitStack() as stack,
    ):
        asking(stack, live, "/large")
        eventually(lambda: watched.closed == ["left"])
        eventually(lambda: not live.engine.connections)


@THREADS
@pytest.mark.parametrize("graceful", [False, True])
def test_a_stop_closes_what_was_set_aside(
    threads: int, graceful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carboy.server.stopping.STALLED", 0.1)
    watched = Watched()
    with (
        served(application("direct", watched), threads=threads) as live,
        ExitStack() as stack,
    ):
        for _ in range(3):
            asking(stack, live, "/large")
        eventually(lambda: set_aside(live) == 3)
        began = time.monotonic()
        live.engine.stop(graceful)
        live.join()
        assert time.monotonic() - began < 20  # of 30 seconds of grace
        assert watched.closed == ["left"] * 3


@KINDS
@pytest.mark.parametrize("path", ["/events", "/silent-events"])
def test_many_event_streams_do_not_use_up_the_crew(kind: str, path: str) -> None:
    watched = Watched()
    with served(application(kind, watched), threads=2) as live, ExitStack() as stack:
        clients = [asking(stack, live, path) for _ in range(40)]
        for _ in range(3):
            assert live.get("/slow").body == b"slow"
        watched.release.set()
        for client in clients:
            assert client.reply().body.endswith(b"data: last\n\n")


def test_streams_wait_for_a_stream_thread(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()
    app = application("direct", watched)
    with served(app, threads=2, stream_threads=3) as live, ExitStack() as stack:
        clients = [asking(stack, live, "/events") for _ in range(3)]
        for client in clients:
            client.until(b"first\n\n\r\n")
        # All three, not only the first that has run for a second: otherwise a new one begins first.
        eventually(lambda: live.engine.streams.busy() == 3 and live.engine.streams.keys)
        clients += [asking(stack, live, "/events") for _ in range(5)]
        eventually(lambda: len(live.engine.streams.waiting()) == 5)
        assert live.get("/slow").body == b"slow"
        eventually(lambda: "stream threads" in caplog.text)
        watched.release.set()
        for client in clients:
            client.until(b"last\n\n\r\n0\r\n\r\n")
        assert live.get("/slow").body == b"slow"
    assert "3 stream threads are in use" in caplog.text
    assert "--stream-threads" in caplog.text


@pytest.mark.parametrize(
    ("how", "threads"),
    [("next", 1), ("next", 4), ("write", 4), ("close", 4), ("close of a file", 4)],
)
def test_a_piece_is_sent_while_the_application_goes_on(
    how: str, threads: int, tmp_path: Path
) -> None:
    """PEP 3333: the server continues to send while the application makes the next block."""
    released = threading.Event()
    waiting = threading.Event()
    large = PIECE * 32
    file = tmp_path / "large"
    file.write_bytes(large)

    def wait() -> None:
        waiting.set()
        assert released.wait(30)

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield large
            if how == "next":
                wait()

        def close(self) -> None:
            if how == "close":
                wait()

    class File(io.FileIO):
        def close(self) -> None:
            if not self.closed:
                wait()
            super().close()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", [("Content-Length", str(len(large)))])
        if how == "write":
            write(large)
            wait()
            return []
        return environ["wsgi.file_wrapper"](File(file)) if how == "close of a file" else Body()

    with served(app, threads=threads, high_water=4 * MIB) as live, ExitStack() as stack:
        client = asking(stack, live, "/")
        if threads > 1:
            assert waiting.wait(20)
        assert client.reply().body == large
        assert waiting.wait(20)
        released.set()


def test_a_stream_that_waits_for_a_thread_is_closed_when_its_client_leaves() -> None:
    watched = Watched()
    go = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/hold":
            return held()
        return pieces(watched)

    def held() -> Iterator[bytes]:
        yield b"first"
        assert go.wait(30)

    with served(app, threads=2, stream_threads=1, record=True) as live, ExitStack() as stack:
        asking(stack, live, "/hold").until(b"first\r\n")
        eventually(lambda: live.engine.streams.keys)
        live.engine.dispatch_times.averages["GET /large"] = 1.0  # continued on a stream thread
        live.engine.dispatch_times.next_trial = float("inf")
        clients = [asking(stack, live, "/large") for _ in range(3)]
        # Put aside, and waiting for a thread already if the socket could take some more.
        eventually(lambda: set_aside(live) + len(live.engine.streams) == 3)
        clients += [asking(stack, live, "/hold") for _ in range(3)]  # not begun
        eventually(lambda: set_aside(live) + len(live.engine.streams) == 6)
        for client in clients:
            client.sock.close()
            client.file.close()
        eventually(lambda: watched.closed == ["left"] * 3)
        eventually(lambda: not live.engine.streams.waiting())
        eventually(lambda: len(live.records) == 6)
        assert sorted(record[4] for record in live.records) == [200] * 3 + [499] * 3
        go.set()


def test_a_handler_that_computes_is_counted_once_although_its_pieces_are_set_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DispatchTimes, "computes", lambda self, key: 1.0)
    watched = Watched()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return pieces(watched)

    with served(app, threads=2) as live, ExitStack() as stack:
        learned = live.engine.dispatch_times
        learned.averages["GET /"] = 1.0
        learned.next_trial = float("inf")
        clients = [asking(stack, live, "/") for _ in range(4)]
        eventually(lambda: set_aside(live) == 4)
        for client in clients:
            client.sock.close()
            client.file.close()
        eventually(lambda: not live.engine.connections)
        assert live.engine.scheduler.queue._computing == 0
        assert live.engine.crew.away == 0


def test_requests_that_wait_for_a_stream_thread_are_limited_in_time_and_number() -> None:
    go = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        assert go.wait(30)

    options = {"stream_threads": 1, "queue_limit": 2, "queue_timeout": 1.5}
    with served(app, threads=2, **options) as live, ExitStack() as stack:
        asking(stack, live, "/").until(b"first\r\n")
        eventually(lambda: live.engine.streams.keys)
        clients = [asking(stack, live, "/") for _ in range(3)]
        for client in reversed(clients):  # the third one at once
            assert client.reply().status == 503
        go.set()


def test_connections_with_another_protocol_do_not_use_up_the_crew() -> None:
    go = threading.Event()
    inside = threading.Semaphore(0)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/upgrade":
            environ["werkzeug.socket"].sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            inside.release()
            assert go.wait(30)
            return []
        time.sleep(0.01)
        start_response("200 OK", [])
        return [b"slow"]

    upgrade = b"GET /upgrade HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    with served(app, threads=2) as live, ExitStack() as stack:
        for _ in range(9):
            client = stack.enter_context(live.client())
            client.send(upgrade)
        for _ in range(9):
            assert inside.acquire(timeout=20)
        for _ in range(3):
            assert live.get("/slow").body == b"slow"
        go.set()


@THREADS
def test_no_piece_is_made_for_a_head_request(threads: int) -> None:
    watched = Watched()
    with (
        served(application("wsgi", watched), threads=threads, record=True) as live,
        ExitStack() as stack,
    ):
        client = asking(stack, live, "/large", "HEAD")
        assert client.reply("HEAD").body == b""
        client.request("GET", "/quick")
        assert client.reply().body == b"quick"
        assert watched.made <= 1  # the first decides about the status
        eventually(lambda: len(live.records) == 2)
        assert live.records[0][5] == 0


@THREADS
@pytest.mark.parametrize("length", [COUNT * len(PIECE) - 1, COUNT * len(PIECE) + 1])
def test_a_wrong_length_is_noticed_after_the_pieces_were_set_aside(
    threads: int, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", str(length))])
        return pieces(watched)

    with served(app, threads=threads, record=True) as live, ExitStack() as stack:
        client = asking(stack, live, "/")
        eventually(lambda: set_aside(live) == 1)
        client.until(b"\r\n\r\n")
        expected = min(length, COUNT * len(PIECE))
        assert len(client.file.read(expected)) == expected
        if length > expected:
            assert client.closed()
        else:
            client.request("GET", "/")
            client.until(b"HTTP/1.1 200 OK\r\n")
        eventually(lambda: live.records)
        assert live.records[0][5] == expected
    assert ("shorter" if length > expected else "longer") in caplog.text


@THREADS
def test_a_client_of_http_1_0_gets_all_pieces(threads: int) -> None:
    watched = Watched()
    with served(application("wsgi", watched), threads=threads) as live, ExitStack() as stack:
        sock = socket.create_connection(live.address, 20)
        stack.callback(sock.close)
        client = Client(sock)
        client.send(b"GET /large HTTP/1.0\r\n\r\n")
        eventually(lambda: set_aside(live) == 1)
        assert client.rest().endswith(b"\r\n\r\n" + PIECE * COUNT)


def test_pieces_are_set_aside_under_tls() -> None:
    watched = Watched()
    context = unchecked()
    app = application("wsgi", watched)
    server = carboy.serving.make_server("127.0.0.1", 0, app, threaded=False, ssl_context="adhoc")
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * KIB)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        silent = [https(server.port, context) for _ in range(3)]
        for connection in silent:
            connection.request("GET", "/large")
        quick = https(server.port, context)
        quick.request("GET", "/quick")
        assert quick.getresponse().read() == b"quick"
        assert watched.closed == []
        assert silent[0].getresponse().read() == PIECE * COUNT
        for connection in (*silent, quick):
            connection.close()
        eventually(lambda: sorted(watched.closed) == ["left", "left", "read"])
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


def https(port: int, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)


SERVICE = """
import threading, time

PIECE = b"x" * 65536

def app(environ, start_response):
    write = start_response("200 OK", [])
    path = environ["PATH_INFO"]
    if path == "/threads":
        return [str(threading.active_count()).encode()]
    if path == "/slow":
        time.sleep(0.02)
        return [b"slow"]
    if path == "/write":
        for _ in range(160):
            write(PIECE)
        return []
    return (PIECE for _ in range(160))
"""


@pytest.mark.parametrize("options", [(), ("--threads", "1")])
def test_a_process_with_clients_that_do_not_read_ends_soon(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    with (
        Running("run", "service:app", "-p", "0", *options, cwd=tmp_path) as server,
        ExitStack() as stack,
    ):
        address = server.address()
        paths = ["/large"] if options else ["/large", "/large", "/write"]
        for number in range(60):
            sock = socket.socket()
            stack.callback(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * KIB)
            sock.connect(address)
            path = paths[number % len(paths)]
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        for _ in range(3):
            assert server.get("/slow") == (200, b"slow")
        assert int(server.get("/threads")[1]) < 60
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 25  # of 30 seconds of grace


def test_one_thread_takes_turns_between_streams() -> None:
    """Two threads never run the application at once, and no client keeps a thread for itself."""
    watched = Watched()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] != "/endless":
            yield b"hello"
            return
        while True:
            with watched.inside():
                time.sleep(0.02)
            yield b"x"

    with served(app, threads=1) as live, ExitStack() as stack:
        for _ in range(3):
            asking(stack, live, "/endless").until(b"x")
        for _ in range(5):
            assert live.get("/").body == b"hello"
        assert watched.most == 1
