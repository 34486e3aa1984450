from __future__ import annotations

import errno
import io
import socket
import tempfile
import threading
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from carboy.gateway import WsgiGateway
from carboy.server.request_body import ReceivedBody
from live_engine import GET, eventually, hello, served


@pytest.fixture(params=["epoll", "selectors"])
def poller(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [body]


def post(body: bytes, *fields: bytes) -> bytes:
    lines = b"".join(field + b"\r\n" for field in (b"Host: a", *fields))
    return b"POST / HTTP/1.1\r\n" + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 1000, 100_000, 3_000_000])
def test_a_body_arrives_whole(size: int, poller: str) -> None:
    body = bytes(n % 251 for n in range(1000)) * (size // 1000 or 1)
    with served(echo, poller=poller, spool_limit=50_000) as live, live.client() as client:
        for _ in range(2):
            client.send(post(body))
            reply = client.reply()
            assert reply.body == body
            assert reply.headers["X-Length"] == str(len(body))


def test_a_chunked_body_arrives_as_one_with_a_length(poller: str) -> None:
    with served(echo, poller=poller) as live, live.client() as client:
        for _ in range(2):
            client.send(CHUNKED)
            reply = client.reply()
            assert reply.body == b"hello world"
            assert reply.headers["X-Length"] == "11"


def test_a_body_may_come_byte_by_byte(poller: str) -> None:
    with served(echo, poller=poller) as live, live.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(len(CHUNKED)):
            client.send(CHUNKED[n : n + 1])
        assert client.reply().body == b"hello world"


def test_the_application_is_not_called_before_the_body_is_there(poller: str) -> None:
    called = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            called.set()
        return echo(environ, start_response)

    with served(app, poller=poller, threads=1) as live, live.client() as client:
        data = post(b"0123456789")
        client.send(data[:-3])
        assert live.get().status == 200
        assert not called.is_set()
        client.send(data[-3:])
        assert client.reply().body == b"0123456789"


def test_one_100_continue_is_sent_to_a_client_that_waits_for_it(poller: str) -> None:
    with served(echo, poller=poller) as live, live.client() as client:
        data = post(b"payload", b"Expect: 100-continue")
        client.send(data[:-7])
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(data[-7:])
        assert client.until(b"\r\n").startswith(b"HTTP/1.1 200")


def test_a_body_that_is_too_large_is_refused_before_it_is_asked_for(poller: str) -> None:
    with served(echo, gateway=Limited(echo, 10), poller=poller) as live:
        data = live.ask(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"
        )
    assert data.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in data


class Limited(WsgiGateway):
    """A gateway whose application allows this many bytes."""

    def __init__(self, app: Any, limit: int) -> None:
        super().__init__(app)
        self.limit = limit

    def body_limit(self, exchange: Any) -> int | None:
        return self.limit


def test_a_client_that_sends_too_much_still_sees_the_413(poller: str) -> None:
    body = b"x" * 600_000
    with served(echo, gateway=Limited(echo, 1000), poller=poller) as live:
        data = live.ask(post(body))
    assert data.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close\r\n" in data


def test_a_client_that_reads_only_after_20_mb_sees_the_413(poller: str) -> None:
    options = {"poller": poller, "linger_timeout": 20.0}
    with served(echo, gateway=Limited(echo, 1000), **options) as live:
        client = HTTPConnection("127.0.0.1", live.port, timeout=20)
        with closing(client):
            client.request("POST", "/", bytes(20_000_000))
            answer = client.getresponse()
            assert (answer.status, answer.getheader("Connection")) == (413, "close")
            answer.read()


def test_a_chunked_body_that_is_too_large_is_refused(poller: str) -> None:
    with served(echo, gateway=Limited(echo, 10), poller=poller) as live:
        assert live.ask(CHUNKED).startswith(b"HTTP/1.1 413 ")


def test_bytes_after_a_refused_request_are_discarded(poller: str) -> None:
    with served(echo, gateway=Limited(echo, 1), poller=poller) as live:
        data = live.ask(post(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") + GET)
    assert data.count(b"HTTP/1.1 ") == 1


def test_draining_ends_at_its_size_limit(poller: str) -> None:
    options = {"poller": poller, "linger_size": 100_000, "linger_timeout": 20.0}
    with served(echo, gateway=Limited(echo, 1), **options) as live, live.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        client.until(b"\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                client.send(b"x" * 65536)


def test_draining_ends_at_its_time_limit(poller: str) -> None:
    options = {"poller": poller, "linger_timeout": 0.1}
    with served(echo, gateway=Limited(echo, 1), **options) as live, live.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        assert client.rest().startswith(b"HTTP/1.1 413 ")
        eventually(lambda: not live.engine.connections)


def test_a_client_that_leaves_in_the_middle_of_a_body_costs_nothing(
    poller: str, caplog: pytest.LogCaptureFixture
) -> None:
    with served(echo, poller=poller) as live:
        with live.client() as client:
            client.send(post(b"0123456789")[:-3])
            eventually(lambda: live.engine.connections)
        eventually(lambda: not live.engine.connections)
        assert live.get().status == 200
    assert caplog.text == ""


class Full(io.BytesIO):
    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_gets_507_and_the_engine_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **kwargs: Full())
    with served(echo, spool_limit=10) as live:
        data = live.ask(post(b"x" * 1000))
        assert data.startswith(b"HTTP/1.1 507 ")
        assert live.get().status == 200
    assert "No space left on device" in caplog.text


class Streaming(WsgiGateway):
    """A gateway whose application reads the body itself."""

    def wants_stream(self, exchange: Any) -> bool:
        return True


def test_an_application_may_read_the_unread_stream(poller: str) -> None:
    started = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "GET":
            return hello(environ, start_response)
        first = environ["wsgi.input"].read(3)
        started.set()
        rest = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [first + b"|" + rest]

    with served(app, gateway=Streaming(app), poller=poller) as live, live.client() as client:
        for _ in range(2):
            started.clear()
            data = post(b"0123456789")
            client.send(data[:-5])
            assert started.wait(10)
            assert live.get().status == 200
            client.send(data[-5:])
            assert client.reply().body == b"012|3456789"
        client.send(CHUNKED)
        assert client.reply().body == b"hel|lo world"


def test_the_stream_asks_for_100_only_when_it_is_read(poller: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/read":
            return echo(environ, start_response)
        start_response("403 Forbidden", [])
        return [b"no"]

    with served(app, gateway=Streaming(app), poller=poller) as live:
        head = b"POST %b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        data = live.ask(head % b"/refused")
        assert data.startswith(b"HTTP/1.1 403 ")
        assert b"Connection: close\r\n" in data
        with live.client() as client:
            client.send(head % b"/read")
            assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"ok")
            assert client.reply().body == b"ok"


def test_an_unread_stream_is_never_read_as_a_request(poller: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"ignored"]

    with served(app, gateway=Streaming(app), poller=poller) as live:
        data = live.ask(post(GET * 10) + GET)
    assert data.count(b"HTTP/1.1 ") == 1


def test_a_body_stream_that_breaks_off_raises_in_the_application(poller: str) -> None:
    seen: list[Exception] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            seen.append(error)
        return hello(environ, start_response)

    with served(app, gateway=Streaming(app), poller=poller) as live:
        with live.client() as client:
            client.send(post(b"0123456789")[:-3])
        eventually(lambda: seen)


def test_a_body_in_memory_moves_to_a_file_past_the_limit() -> None:
    body = ReceivedBody(10)
    for _ in range(5):
        body.write(b"12345")
    file = body.finish()
    assert not isinstance(file, io.BytesIO)
    assert (file.read(), body.size) == (b"12345" * 5, 25)
    body.close()


def test_a_body_within_the_limit_stays_in_memory() -> None:
    body = ReceivedBody(10)
    body.write(b"1234567890")
    assert isinstance(body.finish(), io.BytesIO)
    body.close()
