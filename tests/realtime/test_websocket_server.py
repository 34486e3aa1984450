"""Handlers of WebSocket rules under Carboy's servers, with a real client."""

from __future__ import annotations

import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed as ClientClosed
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from carboy import Carboy, ConnectionClosed, abort, request, session
from carboy.middleware.proxy_fix import ProxyFix
from carboy.net import loop_watch
from carboy.serving import make_server
from live_engine import eventually, served
from running import PATIENCE, Running


def made_app() -> Carboy:
    app = Carboy(__name__)
    app.secret_key = "secret"
    app.add_url_rule("/", "index", lambda: "hello")

    @app.websocket("/plain/<word>")
    def plain(ws: Any, word: str) -> None:
        for message in ws:
            ws.send(message if isinstance(message, bytes) else f"{word}: {message}")

    @app.websocket("/coroutine/<word>")
    async def coroutine(ws: Any, word: str) -> None:
        async for message in ws:
            await ws.send(message if isinstance(message, bytes) else f"{word}: {message}")

    @app.websocket("/generator/<word>")
    def generator(ws: Any, word: str) -> Any:
        reply = None
        while True:
            message = yield reply
            reply = message if isinstance(message, bytes) else f"{word}: {message}"

    @app.websocket("/events/<word>")
    def events(ws: Any, word: str) -> None:
        @ws.on_message
        def received(message: Any) -> None:
            ws.send(message if isinstance(message, bytes) else f"{word}: {message}")

    @app.websocket("/forbidden")
    def forbidden(ws: Any) -> None:
        abort(403)

    @app.websocket("/session", subprotocols=["v2", "v1"])
    def with_session(ws: Any) -> None:
        session["user"] = "Ann"
        ws.accept(headers={"X-Seen": request.headers["Sec-WebSocket-Version"]})
        ws.close(4000, "over")

    @app.websocket("/fail")
    def fail(ws: Any) -> None:
        ws.receive()
        raise ZeroDivisionError

    return app


KINDS = ["plain", "coroutine", "generator", "events"]


@contextmanager
def werkzeug_server(app: Any) -> Iterator[int]:
    """make_server, whose environ has the socket and whose gateway changes answers."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.port
    finally:
        stopping = threading.Thread(target=server.shutdown, daemon=True)
        stopping.start()
        thread.join(PATIENCE)
        server.server_close()
        assert not thread.is_alive()


@contextmanager
def engine(app: Any) -> Iterator[int]:
    with served(app) as live:
        yield live.port


@contextmanager
def behind_middleware(app: Any) -> Iterator[int]:
    app.wsgi_app = ProxyFix(app.wsgi_app)
    with served(app) as live:
        yield live.port


WAYS: dict[str, Callable[[Any], Any]] = {
    "engine": engine,
    "behind middleware": behind_middleware,
    "make_server": werkzeug_server,
}


@pytest.fixture(params=list(WAYS), scope="module")
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with WAYS[request.param](made_app()) as number:
        yield number


def client(port: int, path: str, **options: Any) -> ClientConnection:
    """A connection that gives up sending after PATIENCE; websockets itself has no deadline."""
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    limit = struct.pack("@ll", int(PATIENCE), 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    url = f"ws://127.0.0.1:{port}{path}"
    return connect(url, sock=sock, open_timeout=PATIENCE, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_messages_are_echoed(port: int, kind: str) -> None:
    with client(port, f"/{kind}/said") as ws:
        for text in ("a", "ü", "x" * 100_000):
            ws.send(text)
            assert ws.recv(PATIENCE) == f"said: {text}"
        ws.send(b"\x00" * 300_000)
        assert ws.recv(PATIENCE) == b"\x00" * 300_000


@pytest.mark.parametrize("kind", KINDS)
def test_many_connections_are_served_beside_each_other(port: int, kind: str) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(client(port, f"/{kind}/{n}")) for n in range(20)]
        for ws in clients:
            for number in range(5):
                ws.send(str(number))
        for place, ws in enumerate(clients):
            for number in range(5):
                assert ws.recv(PATIENCE) == f"{place}: {number}"


def test_a_handshake_is_refused_with_a_normal_response(port: int) -> None:
    for path, status in (("/forbidden", 403), ("/none", 404), ("/", 400)):
        with pytest.raises(InvalidStatus) as refused:
            client(port, path)
        assert refused.value.response.status_code == status
        assert b"<title>" in refused.value.response.body


def test_a_page_of_another_site_is_refused(port: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        client(port, "/plain/a", origin="http://evil.example")
    assert refused.value.response.status_code == 403
    with client(port, "/plain/a", origin=f"http://127.0.0.1:{port}") as ws:
        ws.send("b")
        assert ws.recv(PATIENCE) == "a: b"


def test_the_response_to_the_handshake_has_the_session_and_the_subprotocol(port: int) -> None:
    with client(port, "/session", subprotocols=["v1", "v2"]) as ws:
        assert ws.subprotocol == "v2"
        assert ws.response is not None
        assert ws.response.headers["X-Seen"] == "13"
        assert ws.response.headers["Set-Cookie"].startswith("session=")
        with pytest.raises(ClientClosed):
            ws.recv(PATIENCE)
        assert (ws.close_code, ws.close_reason) == (4000, "over")


def test_an_error_closes_with_1011(port: int) -> None:
    with client(port, "/fail") as ws:
        ws.send("go")
        with pytest.raises(ClientClosed):
            ws.recv(PATIENCE)
        assert ws.close_code == 1011


# --- threads


def test_connections_without_a_thread_leave_the_others_alone() -> None:
    with served(made_app(), threads=1, websocket_threads=1) as live, ExitStack() as stack:
        paths = ["/generator/a", "/events/a", "/coroutine/a"] * 8
        clients = [stack.enter_context(client(live.port, path)) for path in paths]
        for ws in clients:
            ws.send("b")
            assert ws.recv(PATIENCE) == "a: b"
        assert live.get("/").body == b"hello"


def test_a_handshake_gets_503_while_all_websocket_threads_are_in_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(made_app(), websocket_threads=2) as live:
        with client(live.port, "/plain/a") as first, client(live.port, "/plain/b") as second:
            for ws in (first, second):
                ws.send("c")
                ws.recv(PATIENCE)
            with pytest.raises(InvalidStatus) as refused:
                client(live.port, "/plain/c")
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["Retry-After"] == "5"
            eventually(lambda: "All 2 WebSocket threads are in use" in caplog.text)
            with client(live.port, "/generator/a") as ws:  # needs none
                ws.send("b")
                assert ws.recv(PATIENCE) == "a: b"
        assert live.get("/").body == b"hello"


def test_handlers_that_wait_leave_the_crew_its_threads() -> None:
    app = made_app()
    meeting = threading.Barrier(2)

    @app.get("/meet")
    def meet() -> str:
        meeting.wait(PATIENCE)
        return "met"

    with served(app, threads=2) as live, ExitStack() as stack:
        clients = [stack.enter_context(client(live.port, "/plain/a")) for _ in range(100)]
        for ws in clients:
            ws.send("b")
        for ws in clients:
            assert ws.recv(PATIENCE) == "a: b"
        with ThreadPoolExecutor() as pool:  # both threads of the crew are free
            met = [pool.submit(live.get, "/meet") for _ in range(2)]
            assert [each.result(PATIENCE).body for each in met] == [b"met", b"met"]


# --- the end of a connection


class Watched:
    """An application whose handlers tell when they begin and how they end."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Semaphore(0), threading.Semaphore(0)
        self.codes: list[int] = []
        self.steps: list[str] = []
        self.app = app = Carboy(__name__)
        app.teardown_request(lambda error: self.steps.append("teardown"))
        app.teardown_appcontext(lambda error: self.ended.release())

        @app.websocket("/wait/plain")
        def plain(ws: Any) -> None:
            ws.accept()
            self.begun.release()
            try:
                ws.receive()
            except ConnectionClosed as closed:
                self.codes.append(closed.code)

        @app.websocket("/wait/coroutine")
        async def coroutine(ws: Any) -> None:
            await ws.accept()
            self.begun.release()
            try:
                await ws.receive()
            except ConnectionClosed as closed:
                self.codes.append(closed.code)

        @app.websocket("/wait/generator")
        def generator(ws: Any) -> Any:
            self.begun.release()
            try:
                yield
            except ConnectionClosed as closed:
                self.codes.append(closed.code)

        @app.websocket("/wait/events")
        def events(ws: Any) -> None:
            ws.on_close(lambda: self.codes.append(ws.close_code))
            ws.accept()
            self.begun.release()


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_learns_that_its_client_has_gone(kind: str) -> None:
    watched = Watched()
    with served(watched.app) as live:
        with client(live.port, f"/wait/{kind}") as ws:
            assert watched.begun.acquire(timeout=PATIENCE)
            ws.socket.shutdown(socket.SHUT_RDWR)  # without a close frame
            assert watched.ended.acquire(timeout=PATIENCE)
        assert (watched.codes, watched.steps) == ([1006], ["teardown"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_graceful_stop_closes_with_1001_and_waits_for_the_handlers(kind: str) -> None:
    watched = Watched()
    with served(watched.app) as live:
        with client(live.port, f"/wait/{kind}") as ws:
            assert watched.begun.acquire(timeout=PATIENCE)
            live.engine.stop()
            with pytest.raises(ClientClosed):
                ws.recv(PATIENCE)
            assert ws.close_code == 1001
        live.join()
        assert (watched.codes, watched.steps) == ([1001], ["teardown"])


def test_a_handler_that_does_not_end_delays_a_stop_by_the_graceful_timeout_only() -> None:
    app = made_app()
    release = threading.Event()

    @app.websocket("/stay")
    def stay(ws: Any) -> None:
        ws.send("begun")
        release.wait(PATIENCE * 4)

    with served(app, graceful_timeout=0.2) as live:
        with client(live.port, "/stay") as ws:
            assert ws.recv(PATIENCE) == "begun"
            live.engine.stop()
            live.join()
    release.set()


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_a_client_that_does_not_read_makes_the_handler_wait(kind: str) -> None:
    app = made_app()
    sent: list[int] = []
    piece = b"x" * 100_000
    full = threading.Event()

    def plain(ws: Any) -> None:
        for number in range(300):
            ws.send(piece)
            sent.append(number)
            if ws._link.transport.full:
                full.set()
        ws.close()

    async def coroutine(ws: Any) -> None:
        for number in range(300):
            await ws.send(piece)
            sent.append(number)
            if ws._link.transport.full:
                full.set()
        await ws.close()

    app.add_websocket("/x", "x", plain if kind == "plain" else coroutine)
    with served(app) as live, client(live.port, "/x", max_queue=1, compression=None) as ws:
        assert full.wait(PATIENCE)
        assert len(sent) < 300
        for _ in range(300):
            assert ws.recv(PATIENCE) == piece
    assert len(sent) == 300


def test_a_coroutine_that_blocks_the_loop_is_reported_with_its_name(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_watch, "BLOCKED", 0.05)
    app = made_app()
    release = threading.Event()

    @app.websocket("/block")
    async def block(ws: Any) -> None:
        await ws.send("begun")
        release.wait(PATIENCE)

    with served(app) as live, client(live.port, "/block") as ws:
        assert ws.recv(PATIENCE) == "begun"
        try:
            eventually(lambda: "GET /block HTTP/1.1: block()" in caplog.text)
        finally:
            release.set()


def test_a_reload_closes_with_1001_and_new_connections_get_the_new_worker(tmp_path: Path) -> None:
    text = "import os\nfrom carboy import Carboy\napp = Carboy(__name__)\n"
    text += (
        "@app.websocket('/pid')\ndef pid(ws):\n    ws.send(str(os.getpid()))\n    ws.receive()\n"
    )
    (tmp_path / "app.py").write_text(text)
    with Running("run", "app:app", "-p", "0", cwd=tmp_path) as server:
        port = server.address()[1]
        with client(port, "/pid") as ws:
            old = ws.recv(PATIENCE)
            server.process.send_signal(signal.SIGHUP)
            with pytest.raises(ClientClosed):
                ws.recv(PATIENCE)
            assert ws.close_code == 1001
        with client(port, "/pid") as ws:
            assert ws.recv(PATIENCE) != old
