from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from carboy.net import AddressInUse, listen_tcp, listen_unix
from carboy.protocol.machine import Machine
from carboy.server.connection import STREAMING
from live_engine import GET, LAST, PATIENCE, eventually, hello, served

POLLERS = ["epoll", "selectors"]


@pytest.fixture(params=POLLERS)
def poller(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def answers(data: bytes) -> int:
    return data.count(b"HTTP/1.1 200 OK\r\n")


def test_a_request_is_answered_with_length_date_and_server(poller: str) -> None:
    with served(hello, poller=poller) as live:
        reply = live.get()
    assert (reply.status, reply.body) == (200, b"hello")
    assert reply.headers["Content-Length"] == "5"
    assert reply.headers["Server"] == "carboy"
    assert reply.headers["Date"].endswith(" GMT")


def test_one_connection_serves_many_requests(poller: str) -> None:
    with served(hello, poller=poller) as live, live.client() as client:
        for _ in range(5):
            client.send(GET)
            assert client.reply().body == b"hello"


def test_a_connection_is_closed_when_the_client_asks(poller: str) -> None:
    with served(hello, poller=poller) as live:
        data = live.ask(LAST)
    assert b"Connection: close\r\n" in data
    assert data.endswith(b"\r\n\r\nhello")


def test_http_1_0_closes_and_is_kept_alive_on_request() -> None:
    with served(hello) as live:
        assert live.ask(b"GET / HTTP/1.0\r\n\r\n").endswith(b"hello")
        with live.client() as client:
            for _ in range(2):
                client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                assert client.reply().headers["Connection"] == "keep-alive"


def test_pipelined_requests_are_answered_in_order(poller: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    with served(app, poller=poller) as live:
        data = live.ask(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(20)) + LAST
        )
    assert answers(data) == 21
    places = [data.index(b"\r\n\r\n/%dHTTP" % n) for n in range(20)]
    assert places == sorted(places)


def test_pipelined_requests_are_answered_in_order_when_the_crew_runs_them(poller: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        threading.Event().wait(0.005)
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    with served(app, poller=poller, inline_budget=0.0001) as live:
        data = live.ask(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(10)) + LAST
        )
    places = [data.index(b"\r\n\r\n/%dHTTP" % n) for n in range(10)]
    assert places == sorted(places)


def test_thousands_of_pipelined_requests_need_no_deeper_stack(poller: str) -> None:
    with served(hello, poller=poller) as live:
        data = live.ask(GET * 3000 + LAST)
    assert answers(data) == 3001


def test_a_client_that_pipelines_does_not_delay_others() -> None:
    order: list[str] = []
    go = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        order.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/first":
            go.wait(20)
        return hello(environ, start_response)

    with served(app, threads=1) as live, live.client() as many, live.client() as one:
        many.send(
            b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
            + b"GET /many HTTP/1.1\r\nHost: a\r\n\r\n" * 500
            + LAST
        )
        eventually(lambda: order)
        one.request("GET", "/one")
        go.set()
        one.reply()
        many.rest()
    assert order.index("/one") < 100


def test_a_request_may_come_byte_by_byte(poller: str) -> None:
    with served(hello, poller=poller) as live, live.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(len(GET)):
            client.send(GET[n : n + 1])
        assert client.reply().body == b"hello"


def test_a_bad_request_gets_its_status_and_the_connection_closes(poller: str) -> None:
    with served(hello, poller=poller, record=True) as live:
        data = live.ask(b"GET / HTTP/1.1\r\n\r\n" + GET)
    assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answers(data) == 0
    eventually(lambda: [record[4] for record in live.records] == [400])


def test_head_is_answered_without_a_body(poller: str) -> None:
    with served(hello, poller=poller) as live, live.client() as client:
        client.request("HEAD", "/")
        reply = client.reply("HEAD")
        assert (reply.status, reply.headers["Content-Length"], reply.body) == (200, "5", b"")
        client.send(GET)
        assert client.reply().body == b"hello"


def test_a_handler_that_raises_gets_a_500_and_is_logged(
    poller: str, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise ZeroDivisionError("on purpose")

    with served(app, poller=poller) as live, live.client() as client:
        client.request("GET", "/broken?x=1")
        reply = client.reply()
        assert reply.status == 500
        assert b"on purpose" not in reply.body
        client.send(GET)  # the connection lives on
        assert client.reply().status == 500
    assert "GET /broken?x=1 HTTP/1.1" in caplog.text
    assert "ZeroDivisionError: on purpose" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_no_exception_of_a_handler_ends_the_engine(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/":
            return hello(environ, start_response)
        raise error

    with served(app) as live:
        assert live.get("/x").status == 500
        assert live.get("/").status == 200


def test_an_answer_the_wire_refuses_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-Bad", "a\r\nSet-Cookie: b")])
        return [b"never"]

    with served(app) as live:
        reply = live.get()
    assert reply.status == 500
    assert reply.headers["Set-Cookie"] is None
    assert "X-Bad" in caplog.text


def test_a_failure_after_the_head_cuts_the_connection(
    poller: str, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"first"
        raise RuntimeError("halfway")

    with served(app, poller=poller) as live, live.client() as client:
        client.send(GET)
        client.until(b"5\r\nfirst\r\n")
        assert client.closed()
    assert "halfway" in caplog.text
    assert "GET / HTTP/1.1" in caplog.text


def test_a_large_answer_is_finished_by_the_engine(poller: str) -> None:
    body = bytes(range(256)) * 40_000  # ten megabytes: no socket buffer takes that

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/large":
            start_response("200 OK", [])
            return [body]
        return hello(environ, start_response)

    with served(app, poller=poller, threads=1) as live, live.client() as client:
        client.request("GET", "/large")
        # One thread, and the client does not read the large response: others are served.
        assert live.get("/").body == b"hello"
        assert client.reply().body == body
        client.send(GET)
        assert client.reply().body == b"hello"


def test_a_client_that_closed_is_not_logged_as_an_error(
    poller: str, caplog: pytest.LogCaptureFixture
) -> None:
    closed = threading.Event()

    class Endless:
        def __iter__(self) -> Any:
            while True:
                yield b"x" * 65536

        def close(self) -> None:
            closed.set()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/":
            return hello(environ, start_response)
        start_response("200 OK", [])
        return Endless()

    with served(app, poller=poller) as live:
        with live.client() as client:
            client.request("GET", "/endless")
            client.until(b"xxxx")
        assert closed.wait(10)
        assert live.get("/").status == 200
    assert caplog.text == ""


def test_a_generator_waits_for_a_slow_reader(poller: str) -> None:
    made = 0

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        nonlocal made
        if environ["PATH_INFO"] == "/":
            yield from hello(environ, start_response)
            return
        start_response("200 OK", [])
        for _ in range(400):
            made += 1
            yield b"x" * 65536

    with served(app, poller=poller, high_water=65536) as live:
        with live.client() as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.request("GET", "/many")
            connections = live.engine.connections
            eventually(lambda: any(c.phase is STREAMING for c in list(connections.values())))
            assert live.get("/").body == b"hello"
            assert made < 400
            assert len(client.reply().body) == 400 * 65536
    assert made == 400


def test_the_log_gets_every_request_also_refused_ones() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("404 Not Found", [])
        return [b"no such page"]

    with served(app, record=True) as live:
        live.ask(b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        live.ask(b"NONSENSE\r\n\r\n")
        eventually(lambda: len(live.records) == 2)
    (_, peer, head, _, status, data, seconds, _), refused = live.records
    assert (peer, head.target, status, data) == ("127.0.0.1", "/a", 404, 12)
    assert 0 <= seconds < 20
    assert (refused[2], refused[4]) == (None, 400)
    assert "NONSENSE" in refused[3]


def recorded(live: Any, count: int) -> list[tuple[str, int, int]]:
    """Target, status and bytes of the first requests in the log."""
    eventually(lambda: len(live.records) >= count)
    return [(each[2].target, each[4], each[5]) for each in live.records]


def in_pieces(environ: dict[str, Any], start_response: Any) -> Any:
    """As many pieces as the path says, of three bytes; then what comes after it."""
    _, count, then = environ["PATH_INFO"].split("/")
    start_response("200 OK", [("Content-Length", "8")] if then == "long" else [])
    for _ in range(int(count)):
        yield b"abc"
    if then == "fail":
        raise RuntimeError("halfway")


def test_the_log_counts_the_bytes_of_each_answer_on_its_own() -> None:
    with served(in_pieces, record=True) as live, live.client() as client:
        for _ in range(2):
            client.request("GET", "/2/end")
            assert client.reply().body == b"abcabc"
        assert recorded(live, 2) == [("/2/end", 200, 6)] * 2


def test_the_log_gets_a_request_whose_answer_was_cut(caplog: pytest.LogCaptureFixture) -> None:
    with served(in_pieces, record=True) as live:
        with live.client() as client:
            client.request("GET", "/2/fail")
            client.until(b"abc")
        assert recorded(live, 1) == [("/2/fail", 200, 6)]
    assert "halfway" in caplog.text


def test_the_log_does_not_count_bytes_that_were_dropped(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/whole":
            return in_pieces(environ, start_response)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"abc"]

    with served(app, record=True) as live:
        assert live.get("/4/long").body == b"abcabcab"
        assert live.get("/whole").body == b"ab"
        assert recorded(live, 2) == [("/4/long", 200, 8), ("/whole", 200, 2)]


def test_the_log_counts_no_bytes_where_an_answer_has_no_content() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("204 No Content", [])
        return [b"never seen"]

    with served(app, record=True) as live:
        live.get("/")
        assert recorded(live, 1) == [("/", 204, 0)]


@pytest.mark.parametrize("by_write", [False, True])
def test_the_log_gets_a_request_whose_client_left(
    by_write: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", [])
        if by_write:
            for piece in endless():
                write(piece)
        return endless()

    with served(app, record=True) as live:
        with live.client() as client:
            client.request("GET", "/endless")
            client.until(b"xxxx")
        [(target, status, data)] = recorded(live, 1)
        assert (target, status) == ("/endless", 200)
        assert data >= 65536
    assert caplog.text == ""


@pytest.mark.parametrize("method", ["receive", "next_event"])
def test_a_bug_in_carboy_closes_one_connection(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Machine, *args: object) -> Any:
        raise SystemError("re says so")

    with served(hello) as live:
        with live.client() as client, monkeypatch.context() as patch:
            patch.setattr(Machine, method, broken)
            client.send(GET + GET[:-1])
            if method == "next_event":
                assert client.reply().body == b"hello"
            assert client.closed()
        assert live.get().status == 200
    assert "bug in Carboy" in caplog.text
    assert "re says so" in caplog.text


def test_a_silent_connection_is_closed_in_time(poller: str) -> None:
    with served(hello, poller=poller, headers_timeout=0.1) as live, live.client() as client:
        assert client.closed()


@pytest.mark.parametrize("begun", [b"GET", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost:"])
def test_a_head_that_takes_too_long_gets_408(poller: str, begun: bytes) -> None:
    with served(hello, poller=poller, headers_timeout=0.1) as live:
        data = live.ask(begun)
    assert data.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_in_time(poller: str) -> None:
    with served(hello, poller=poller, keepalive_timeout=0.1) as live, live.client() as client:
        client.send(GET)
        assert client.reply().status == 200
        assert client.closed()


def test_a_body_that_arrives_too_slowly_gets_408(poller: str) -> None:
    with served(hello, poller=poller, body_grace=0.1, body_rate=500) as live:
        data = live.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    assert data.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_reads_too_slowly_is_cut(poller: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x" * 30_000_000]

    with served(app, poller=poller, write_grace=0.1, write_rate=10**9) as live:
        with live.client() as client:
            client.send(GET)
            client.until(b"\r\n\r\n")
            eventually(lambda: not live.engine.connections)
            with pytest.raises(ConnectionResetError):
                client.rest()


def test_the_oldest_idle_connection_makes_room(poller: str) -> None:
    with served(hello, poller=poller, connections=2) as live:
        with live.client() as first, live.client() as second, live.client() as third:
            for client in (first, second):
                client.send(GET)
                client.reply()
            third.send(GET)
            assert third.reply().status == 200
            assert first.closed()
            second.send(GET)
            assert second.reply().status == 200


def test_accepting_pauses_while_every_connection_is_busy(poller: str) -> None:
    go = threading.Event()
    inside = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            inside.set()
            go.wait(20)
        return hello(environ, start_response)

    with served(app, poller=poller, connections=1) as live:
        with live.client() as first, live.client() as second:
            first.request("GET", "/wait")
            assert inside.wait(10)
            second.send(GET)
            go.set()
            assert first.reply().status == 200
            assert second.reply().status == 200


def test_a_graceful_stop_finishes_requests_and_closes_idle_connections(poller: str) -> None:
    go = threading.Event()
    inside = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            inside.set()
            go.wait(20)
        return hello(environ, start_response)

    with served(app, poller=poller) as live:
        with live.client() as idle, live.client() as busy:
            idle.send(GET)
            idle.reply()
            busy.request("GET", "/wait")
            assert inside.wait(10)
            live.engine.stop()
            assert idle.closed()
            assert [line for line, _ in live.engine.in_flight()] == ["GET /wait HTTP/1.1"]
            go.set()
            reply = busy.reply()
            assert (reply.status, reply.headers["Connection"]) == (200, "close")
            live.join()


def test_a_request_that_comes_during_a_stop_gets_a_last_response(poller: str) -> None:
    with served(hello, poller=poller) as live, live.client() as client:
        client.send(GET)
        client.reply()
        live.engine.stop()
        eventually(lambda: live.engine.responder.stopping)
        client.send(GET)
        reply = client.reply()
        assert (reply.status, reply.headers["Connection"]) == (200, "close")
        assert client.closed()
        live.join()


def test_a_graceful_stop_does_not_wait_for_silent_connections(poller: str) -> None:
    with served(hello, poller=poller) as live, live.client() as client:
        eventually(lambda: live.engine.connections)
        live.engine.stop()
        assert client.closed()
        live.join()


def test_a_response_that_began_before_the_stop_is_the_last_of_its_connection(poller: str) -> None:
    go = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"first"
        go.wait(20)
        yield b"second"

    with served(app, poller=poller) as live, live.client() as client:
        client.send(GET)
        client.until(b"first\r\n")
        live.engine.stop()
        go.set()
        client.until(b"second\r\n0\r\n\r\n")
        assert client.closed()
        live.join()


def test_a_client_not_told_to_close_may_send_one_more_request() -> None:
    """Closing at once would lose a request that is on its way."""
    go = threading.Event()

    class Body(list[bytes]):
        def close(self) -> None:
            go.wait(20)  # the answer is out, the request has not ended

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        return Body(hello(environ, start_response))

    with served(app) as live, live.client() as client:
        client.send(GET)
        assert "Connection" not in client.reply().headers
        live.engine.stop()
        eventually(lambda: live.engine.responder.stopping)
        go.set()
        eventually(lambda: not live.engine.in_flight())
        client.send(GET)
        assert client.reply().headers["Connection"] == "close"
        assert client.closed()
        live.join()


@pytest.mark.parametrize("threads", [1, 4])
def test_a_stuck_handler_does_not_outlast_the_graceful_time(
    threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()
    inside = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        inside.set()
        go.wait(20)
        return hello(environ, start_response)

    try:
        with served(app, threads=threads, graceful_timeout=0.1) as live, live.client() as client:
            client.request("GET", "/stuck")
            assert inside.wait(10)
            live.engine.stop()
            live.join()
        assert "GET /stuck HTTP/1.1" in caplog.text
    finally:
        go.set()


class WithoutDescriptors(socket.socket):
    """A listener whose process has run out of descriptors for a while."""

    failures = 3

    def accept(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_accepting_pauses_while_there_is_no_descriptor(
    poller: str, caplog: pytest.LogCaptureFixture
) -> None:
    listener = WithoutDescriptors(fileno=listen_tcp("127.0.0.1", 0).detach())
    with served(hello, listener=listener, poller=poller) as live:
        assert live.get().status == 200
    assert listener.failures == 0
    assert caplog.text.count("Too many open files") == 1  # one line, not one for each try


def test_the_engine_is_idle_while_every_connection_is_taken(poller: str) -> None:
    """No client is refused, and the engine does not spin: its turns are counted."""
    go = threading.Event()
    turns = 0

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        go.wait(20)
        return hello(environ, start_response)

    with served(app, poller=poller, connections=1) as live:
        wait = live.engine.poller.wait

        def counted(timeout: float) -> Any:
            nonlocal turns
            turns += 1
            return wait(timeout)

        live.engine.poller.wait = counted
        with live.client() as first, live.client() as second:
            first.send(GET)
            second.send(GET)
            eventually(lambda: live.engine.listeners.paused)
            before = turns
            go.wait(0.3)
            assert turns - before < 100
            go.set()
            assert first.reply().status == 200
            assert second.reply().status == 200


def test_a_client_that_closes_its_half_still_gets_its_response(poller: str) -> None:
    with served(hello, poller=poller) as live, live.client() as client:
        client.send(GET)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest().endswith(b"\r\n\r\nhello")


def test_a_reset_is_not_logged_as_an_error(poller: str, caplog: pytest.LogCaptureFixture) -> None:
    with served(hello, poller=poller) as live:
        for data in (b"", GET[:10], GET):
            with live.client() as client:
                client.send(data)
                linger = b"\1\0\0\0\0\0\0\0"
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        eventually(lambda: not live.engine.connections)
        assert live.get().status == 200
    assert caplog.text == ""


def test_the_connection_of_a_client_that_leaves_during_its_request_is_closed(poller: str) -> None:
    go = threading.Event()
    inside = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            inside.set()
            go.wait(20)
        return hello(environ, start_response)

    with served(app, poller=poller) as live:
        with live.client() as client:
            client.request("GET", "/wait")
            assert inside.wait(10)
        assert live.get().status == 200
        go.set()
        eventually(lambda: not live.engine.connections)


@pytest.mark.parametrize("end", [b"Connection: close\r\n", b""])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_last_response_is_whole_although_the_client_has_sent_more(
    end: bytes, pieces: int, poller: str
) -> None:
    """RFC 9112, section 9.6: unread input would make the kernel reset the connection."""
    go = threading.Event()
    inside = threading.Event()
    large = b"x" * 200_000

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        inside.set()
        go.wait(20)
        start_response("200 OK", [("Connection", "close")])
        return [large]

    request = GET.replace(b"\r\n\r\n", b"\r\n%b\r\n" % end)
    with served(app, poller=poller) as live:
        with socket.socket(live.listener.family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            sock.settimeout(PATIENCE)
            sock.connect(live.address)
            if pieces == 1:
                sock.sendall(request + b"y" * 40_000)
                assert inside.wait(20)
            else:
                sock.sendall(request)
                assert inside.wait(20)
                sock.sendall(b"y" * 40_000)
            go.set()
            with sock.makefile("rb") as file:
                assert file.read().endswith(b"\r\n\r\n" + large)
        eventually(lambda: not live.engine.connections)


def test_ipv6_is_served() -> None:
    try:
        listener = listen_tcp("::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with served(hello, listener=listener) as live:
        assert live.get().status == 200


def test_a_unix_socket_is_served(tmp_path: Any) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [repr((environ["REMOTE_ADDR"], environ["SERVER_NAME"])).encode()]

    path = str(tmp_path / "s")
    with served(app, listener=listen_unix(path)) as live:
        assert live.get().body == b"('', 'localhost')"
        with pytest.raises(AddressInUse):
            listen_unix(path)
