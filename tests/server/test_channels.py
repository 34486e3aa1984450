"""Exchanges that are answered later: clients that leave, are slow, or break a rule; and stops."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from carboy.net.certificates import generate_adhoc_ssl_context
from carboy.net.tls import TlsStream
from certificates import unchecked
from live_asgi import (
    Message,
    Receive,
    Send,
    Signal,
    body,
    channel_of,
    only_http,
    served_asgi,
    start,
    whole_body,
)
from live_engine import GET, LAST, Client, Live, eventually

pytestmark = pytest.mark.usefixtures("led_by")

POLLERS = ["epoll", "selectors"]
POST = b"POST / HTTP/1.1\r\nHost: example.test\r\n"


def leave_with_reset(client: Client) -> None:
    client.file.close()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sock.close()


def leave(client: Client) -> None:
    client.file.close()
    client.sock.close()


class Waiting:
    """An application that waits for `http.disconnect`, and what happened in it."""

    def __init__(self, streams: bool = False, reads: bool = True) -> None:
        self.streams = streams
        self.reads = reads
        self.runs = Signal()
        self.answer = Signal()
        self.got: list[str] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError
        if self.reads:
            await whole_body(receive)
        if self.streams:
            await send(start())
            await send(body(b"begun", more=True))
        self.runs.set()
        message = await receive()
        self.got.append(message["type"])
        try:
            await send(body(b"x", more=True) if self.streams else start())
        except OSError as error:
            self.got.append(str(error))


# Without HANGUP, only the next piece of a response shows that its client has closed.
@pytest.mark.parametrize(
    ("poller", "streams", "left"),
    [
        (poller, streams, left)
        for poller, streams, left in product(POLLERS, [False, True], [leave, leave_with_reset])
        if poller != "selectors" or not streams or left is leave_with_reset
    ],
)
def test_an_application_that_waits_is_told_that_its_client_has_gone(
    left: Any, streams: bool, poller: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = Waiting(streams)
    # A short timeout makes the interval short in which a poller without HANGUP is helped.
    with served_asgi(app, poller=poller, record=True, linger_timeout=0.1) as live:
        with live.client() as client:
            client.send(GET)
            app.runs.wait()
            if streams:
                client.until(b"begun\r\n")
            left(client)
            eventually(lambda: len(app.got) == 2)
        assert app.got == ["http.disconnect", "The client has gone."]
        eventually(lambda: live.records and not live.engine.connections)
        assert live.records[0][4] == (200 if streams else 499)
    assert not caplog.records


def test_a_client_that_leaves_within_its_body_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    app = Waiting(reads=False)
    with served_asgi(app, record=True) as live:
        with live.client() as client:
            client.send(POST + b"Content-Length: 10\r\n\r\nabc")
            app.runs.wait()
        eventually(lambda: live.records)
    assert app.got[0] == "http.request"


@pytest.mark.parametrize("poller", POLLERS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "in chunks"])
@pytest.mark.parametrize(
    "text", [b"the response", b"the response" * 20_000], ids=["small", "large"]
)
def test_a_client_that_only_ends_its_side_gets_its_response(
    poller: str, streams: bool, text: bytes
) -> None:
    go, runs = Signal(), Signal()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if streams:
            await send(start())
            await send(body(b"first ", more=True))
        runs.set()
        await go.reached()
        if not streams:
            await send(start())
        await send(body(text))

    with served_asgi(app, poller=poller, linger_timeout=0.1) as live, live.client() as client:
        client.send(GET)
        client.sock.shutdown(socket.SHUT_WR)
        runs.wait()
        connection = next(iter(live.engine.connections.values()))
        if poller == "epoll":
            channel = channel_of(connection)
            eventually(lambda: channel.half_closed)
        go.set()
        reply = client.reply()
        assert reply.status == 200
        assert reply.body == (b"first " + text if streams else text)
        assert client.closed()


def test_the_whole_body_of_a_client_that_has_ended_its_side_is_received() -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        size = 0
        more = True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
            await asyncio.sleep(0.001)  # slower than the client
        await send(start())
        await send(body(str(size).encode()))

    data = POST + b"Content-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
    with served_asgi(app) as live, live.client() as client:
        sender = threading.Thread(target=client.send, args=(data,))
        sender.start()
        sender.join(20)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.reply().body == b"3000000"


def test_an_application_that_does_not_read_its_body_stops_the_client() -> None:
    go, runs = Signal(), Signal()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        runs.set()
        await go.reached()
        await send(start())
        await send(body(str(len(await whole_body(receive))).encode()))

    size = 30_000_000
    with served_asgi(app, high_water=100_000, body_grace=0.1, silence_timeout=0.2) as live:
        with live.client() as client:
            data = POST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
            sender = threading.Thread(target=client.send, args=(data,))
            sender.start()
            runs.wait()
            (connection,) = live.engine.connections.values()
            channel = channel_of(connection)
            eventually(lambda: channel.paused_at)
            kept = len(channel.kept)
            assert 100_000 <= kept <= 100_000 + 2 * live.engine.settings.read_size
            time.sleep(0.5)  # longer than a client may be silent: this pause is not the client's
            assert sender.is_alive()
            assert len(channel.kept) == kept
            go.set()
            sender.join(20)
            assert client.reply().body == b"%d" % size


def test_a_response_waits_for_a_client_that_does_not_read() -> None:
    sent = 0
    piece = b"x" * 50_000

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        if scope["path"] == "/quick":
            await send(start())
            await send(body(b"quick"))
            return
        await send(start())
        for _ in range(400):
            await send(body(piece, more=True))
            sent += 1
        await send(body())

    with served_asgi(app, high_water=100_000) as live, live.client() as client:
        client.send(GET)
        eventually(lambda: sent)
        (connection,) = live.engine.connections.values()
        eventually(lambda: connection.unsent_bytes > 100_000)
        before = sent
        with live.client() as other:  # the loop and the leader are free
            other.request("GET", "/quick")
            assert other.reply().body == b"quick"
        assert sent == before
        assert connection.unsent_bytes <= 100_000 + 50_010
        assert len(client.reply().body) == 400 * 50_000
        client.send(LAST.replace(b" / ", b" /quick "))
        assert client.reply().body == b"quick"


def test_a_client_that_reads_too_little_is_cut_and_send_says_so() -> None:
    told: list[str] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(body(b"x" * 50_000, more=True))
        except OSError as error:
            told.append(str(error))

    limits = {"write_grace": 0.2, "write_rate": 1_000_000, "silence_timeout": 0.3}
    with served_asgi(app, record=True, **limits) as live, live.client() as client:
        client.send(GET)
        eventually(lambda: told)
        eventually(lambda: not live.engine.connections)
        with pytest.raises(ConnectionResetError):
            while client.sock.recv(1_000_000):
                pass
    assert told == ["The client has gone."]


@pytest.mark.parametrize("begun", [False, True], ids=["before the response", "within it"])
def test_a_body_that_comes_too_slowly_is_refused(begun: bool) -> None:
    got: list[str] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if begun:
            await send(start())
            await send(body(b"begun", more=True))
        while (message := await receive())["type"] == "http.request":
            pass
        got.append(message["type"])

    with served_asgi(app, record=True, body_grace=0.2, body_rate=1000) as live:
        data = live.ask(POST + b"Content-Length: 10\r\n\r\nabc")
        eventually(lambda: got == ["http.disconnect"] and live.records)
    if begun:
        assert data.endswith(b"begun\r\n")
        assert live.records[0][4] == 200
    else:
        assert data.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert live.records[0][4] == 408


BROKEN = {
    "chunk size": (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n+1\r\nx\r\n", 400),
    "too large": (b"Content-Length: 1001\r\n\r\n", 413),
    "too large in chunks": (
        b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n" + b"x" * 100 + b"\r\n3E8\r\n", 413
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", ["whole", "byte by byte"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_body_that_breaks_a_rule_is_refused(name: str, how: str) -> None:
    rest, status = BROKEN[name]
    got: list[str] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request":
            pass
        got.append(message["type"])

    with served_asgi(app, record=True, limit_body=1000) as live, live.client() as client:
        data = POST + rest
        try:
            for piece in [data] if how == "whole" else [data[n : n + 1] for n in range(len(data))]:
                client.send(piece)
        except OSError:
            pass  # it has been refused already
        reply = client.reply()
        assert reply.status == status
        assert reply.headers["Connection"] == "close"
        eventually(lambda: [record[4] for record in live.records] == [status])
    assert got in ([], ["http.disconnect"])


def test_a_response_before_the_body_has_come_closes_the_connection_without_a_reset() -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start(403))
        await send(body(b"no"))

    size = 5_000_000
    with served_asgi(app) as live, live.client() as client:
        client.send(POST + b"Content-Length: %d\r\n\r\n" % size)
        client.send(b"x" * size)
        reply = client.reply()
        assert (reply.status, reply.body) == (403, b"no")
        assert reply.headers["Connection"] == "close"
        assert client.closed()


def test_bytes_that_look_like_a_request_in_an_unread_body_are_not_one() -> None:
    paths: list[str] = []

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await send(start())
        await send(body(b"first"))

    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with served_asgi(app) as live:
        data = live.ask(POST + b"Content-Length: 100000\r\n\r\n" + smuggled)
        assert data.count(b"HTTP/1.1 ") == 1
    assert paths == ["/"]


def test_input_after_the_request_does_not_keep_the_leader_busy() -> None:
    go, runs = Signal(), Signal()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        runs.set()
        if scope["path"] == "/":
            await go.reached()
        await send(start())
        await send(body(scope["path"].encode()))

    turns = 0

    def counted(seconds: float) -> list[tuple[int, int]]:
        nonlocal turns
        turns += 1
        return wait(seconds)

    with served_asgi(app) as live, live.client() as client:
        wait, live.engine.poller.wait = live.engine.poller.wait, counted
        client.send(GET)
        runs.wait()
        client.send(GET.replace(b" / ", b" /next "))
        (connection,) = live.engine.connections.values()
        channel = channel_of(connection)
        eventually(lambda: channel.input_waits)
        before = turns
        time.sleep(0.2)
        assert turns - before < 5
        go.set()
        assert client.reply().body == b"/"
        assert client.reply().body == b"/next"


# --- stops


def test_a_graceful_stop_waits_for_the_response_and_says_that_it_is_the_last() -> None:
    go, runs = Signal(), Signal()

    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        runs.set()
        await go.reached()
        await send(start())
        await send(body(b"last"))

    with served_asgi(app) as live, live.client() as client:
        client.send(GET)
        runs.wait()
        assert [line for line, _ in live.engine.in_flight()] == ["GET / HTTP/1.1"]
        live.engine.stop()
        eventually(lambda: live.engine.responder.stopping)
        go.set()
        reply = client.reply()
        assert (reply.body, reply.headers["Connection"]) == (b"last", "close")
        live.join()
    assert live.engine.in_flight() == []


def test_a_stop_that_is_out_of_time_cuts_what_still_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Waiting()
    with served_asgi(app, graceful_timeout=0.2) as live, live.client() as client:
        client.send(GET)
        app.runs.wait()
        live.engine.stop()
        live.join()
        assert client.closed()
        eventually(lambda: len(app.got) == 2)
    assert app.got == ["http.disconnect", "The client has gone."]
    assert "Stopped while a request was running" in caplog.text


def test_running_requests_are_noted_for_the_supervisor() -> None:
    app = Waiting()
    with served_asgi(app) as live:
        with live.client() as client:
            client.send(GET)
            app.runs.wait()
            assert [line for line, _ in live.engine.shown.running()] == ["GET / HTTP/1.1"]
        eventually(lambda: not live.engine.shown.running())


# --- TLS: only the leader touches the TLS object


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return generate_adhoc_ssl_context()


class Leaders(TlsStream):
    """A stream that notes the threads that use it."""

    threads: set[str] = set()

    def recv(self, size: int) -> bytes:
        self.threads.add(threading.current_thread().name)
        return super().recv(size)

    def send(self, data: Any) -> int:
        self.threads.add(threading.current_thread().name)
        return super().send(data)


def over_tls(live: Live) -> Iterator[Client]:
    with socket.create_connection(live.address, 20) as plain:
        with unchecked().wrap_socket(plain) as sock:
            yield Client(sock)


def test_under_tls_everything_is_sent_by_the_leader(context: ssl.SSLContext, led_by: str) -> None:
    @only_http
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        data = await whole_body(receive)
        await send(start())
        if scope["path"] == "/fail":
            raise ValueError
        for _ in range(20):
            await send(body(b"x" * 50_000, more=True))
        await send(body(scope["scheme"].encode() + data[:1]))

    Leaders.threads.clear()
    logging.getLogger("carboy.error").disabled = True
    try:
        with served_asgi(app, wrap=lambda sock: Leaders(sock, context)) as live:
            for client in over_tls(live):
                for size in (0, 10, 500_000):
                    client.request("POST", "/", body=b"y" * size)
                    assert client.reply().body.endswith(b"https" + b"y"[: size and 1])
                client.request("POST", "/fail")
                assert client.reply().status == 500
                client.request("GET", "/")
                assert client.reply().status == 200
    finally:
        logging.getLogger("carboy.error").disabled = False
    assert Leaders.threads
    if led_by == "loop":
        assert Leaders.threads <= {"carboy-loop", "carboy-stand-in"}
    else:
        assert "carboy-loop" not in Leaders.threads


@pytest.mark.parametrize("streams", [False, True])
def test_under_tls_a_client_that_has_gone_is_noticed(
    context: ssl.SSLContext, streams: bool
) -> None:
    app = Waiting(streams)
    with served_asgi(app, wrap=lambda sock: TlsStream(sock, context)) as live:
        for client in over_tls(live):
            client.send(GET)
            app.runs.wait()
            client.file.close()
            client.sock.close()
            eventually(lambda: len(app.got) == 2)
    assert app.got == ["http.disconnect", "The client has gone."]
