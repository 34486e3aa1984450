"""A real engine on a real socket, for tests of the wire column."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from carboy.gateway import for_application
from carboy.net import listen_tcp, worker_loop
from carboy.net.certificates import generate_adhoc_ssl_context
from carboy.net.tls import TlsStream
from carboy.server.engine import Engine
from carboy.server.settings import Settings, with_values
from carboy.thread_frames import thread_frames
from certificates import unchecked

PATIENCE = 60.0  # seconds, more than a working engine needs on a busy machine
GET = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n"


class Live:
    """An engine that runs: where it listens, whether clients speak TLS, and what it recorded."""

    def __init__(self, engine: Engine, listener: socket.socket, tls: bool = False) -> None:
        self.engine = engine
        self.listener = listener
        self.address = listener.getsockname()
        self.tls = tls
        self.records: list[Any] = []
        self.thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self.address[1])

    @contextmanager
    def client(self) -> Iterator[Client]:
        sock = socket.socket(self.listener.family, socket.SOCK_STREAM)
        try:
            sock.settimeout(PATIENCE)
            sock.connect(self.address)
            if self.tls:
                sock = unchecked().wrap_socket(sock)
            client = Client(sock)
            try:
                yield client
            finally:
                client.file.close()
        finally:
            sock.close()

    def ask(self, data: bytes) -> bytes:
        """Send all of `data`, and read to the end of the connection."""
        with self.client() as client:
            client.send(data)
            return client.rest()

    def get(self, path: str = "/", **headers: str) -> Reply:
        with self.client() as client:
            client.request("GET", path, headers)
            return client.reply()

    def join(self) -> None:
        assert self.thread is not None
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


class Reply:
    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class _Shared:
    """A socket for HTTPResponse: one buffer for all responses, never closed."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def makefile(self, mode: str) -> Any:
        return self

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class Client:
    """One connection of a client."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> None:
        fields = {"Host": "example.test", **(headers or {})}
        if body:
            fields["Content-Length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.send(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)

    def reply(self, method: str = "GET") -> Reply:
        """The next response; nothing after it is read."""
        shared: Any = _Shared(self.file)
        response = http.client.HTTPResponse(shared, method=method)
        response.begin()
        return Reply(response.status, response.headers, response.read())

    def until(self, end: bytes) -> bytes:
        """Bytes up to and with `end`."""
        data = b""
        while not data.endswith(end):
            piece = self.file.read(1)
            assert piece, f"the connection ended after {data!r}"
            data += piece
        return data

    def rest(self) -> bytes:
        return self.file.read()

    def closed(self) -> bool:
        """Whether the server closes now, without sending more."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


@cache
def adhoc() -> ssl.SSLContext:
    """The context of a server with a certificate for development."""
    return generate_adhoc_ssl_context()


@contextmanager
def served(
    app: Any,
    *,
    gateway: Any = None,
    listener: socket.socket | None = None,
    record: bool = False,
    access: Callable[[Any], None] | None = None,
    trace: Callable[[], object] | None = None,
    wrap: Callable[[Any], Any] | None = None,
    tls: bool = False,
    **settings: Any,
) -> Iterator[Live]:
    """`app` served until the block ends; `access` or `live.records` gets the records."""
    wrap = partial(TlsStream, context=adhoc()) if tls else wrap
    listener = listener or listen_tcp("127.0.0.1", 0)
    records: list[Any] = []
    access = records.append if record else access
    options = {"threads": 4, "switch_interval": None, "idle_grace": 0.0, **settings}
    engine = Engine(
        gateway or for_application(app), [listener], with_values(Settings(), options), access,
        trace=trace,
        wrap=wrap,
    )  # fmt: skip
    live = Live(engine, listener, tls)
    live.records = records
    live.thread = threading.Thread(target=engine.run, name="test-engine")
    live.thread.start()
    try:
        yield live
    finally:
        engine.stop(graceful=False)
        live.join()
        listener.close()


class WaitedInVain(AssertionError):
    """A condition did not hold in time."""


def state_of(engine: Engine) -> str:
    """The state of an engine, and the calls of all threads, for a test that has waited long."""
    crew, channels, now = engine.crew, engine.channels, time.monotonic()
    phases = Counter(connection.phase for connection in list(engine.connections.values()))
    unsent = sum(each.unsent is not None for each in list(engine.connections.values()))
    open_channels = channels.all()
    loops = [(loop._woken, len(loop._calls)) for loop in worker_loop.running_loops()]
    lines = [
        f"asked to stop: {engine.stopping.asked}; over: {engine.stopping.over}",
        f"connections: {dict(phases)}; with unsent bytes: {unsent}; accepted: "
        f"{engine.accepting.accepted}; listeners held: {engine.listeners.held}",
        f"waker: {engine._waker._woken}; left by the last turn: {[len(x) for x in engine._left]}; "
        f"patience: {engine.patience()}; next tick in {engine._next_tick - now:.3f} s",
        f"channels: {len(open_channels)}; asked: {sum(c.asked for c in open_channels)}; full: "
        f"{sum(c.full for c in open_channels)}; gone: {sum(c.gone for c in open_channels)}",
        f"queue: {engine._queue.count}; streams that wait: {len(engine.streams)}; running: "
        f"{len(crew.running)}; slot: {crew.current.slot}; leader: {crew.current.thread}",
        f"loops (woken, calls): {loops}",
    ]
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in thread_frames().items():
        lines += [f"thread {names.get(ident)} ({ident})", *traceback.format_stack(frame, 12)]
    return "\n".join(lines)


@contextmanager
def explained(live: Live) -> Iterator[None]:
    """Show the state of the engine if the block waits in vain. Clients are to be open still."""
    try:
        yield
    except (TimeoutError, WaitedInVain) as error:
        error.add_note(state_of(live.engine))
        raise


def eventually(condition: Callable[[], Any]) -> None:
    """Wait until `condition` holds; fails after a time no working engine needs."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() >= end:
            raise WaitedInVain("waited in vain")
        time.sleep(0.002)


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
