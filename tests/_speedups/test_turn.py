"""The compiled turn of the leader: the same bytes, errors and ends as the steps in Python."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import carboy
from _speedups.twins import compiled
from carboy.net.tls import TlsStream
from carboy.server import turn
from carboy.speedups import speedups
from certificates import unchecked
from live_engine import GET, LAST, Live, adhoc, eventually, served
from running import PATIENCE

twin = compiled("turn")


@pytest.fixture(params=["python", "compiled"])
def which(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "python":
        speedups.hold("a test")
    elif speedups.reason:
        pytest.skip(speedups.reason)
    try:
        assert (turn.compiled is None) == (request.param == "python")
        yield request.param
    finally:
        if request.param == "python":
            speedups.release("a test")


@pytest.fixture(params=[False, True], ids=["http", "https"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


BODY = b"x" * 20_000


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [BODY if environ["PATH_INFO"] == "/much" else b"hello"]


@contextmanager
def known(app: Any = hello, **more: Any) -> Iterator[Live]:
    """A server that knows the routes of `app` to be quick, so that the leader runs them."""
    with served(app, record=False, **more) as live:
        for _ in range(2):
            for path in ("/", "/much"):
                assert live.get(path).status == 200
        yield live


def is_compiled(live: Live) -> bool:
    return live.engine._read_ordinary is not None


def test_the_engine_runs_the_chosen_twin_and_changes_while_it_serves(which: str) -> None:
    with known() as live:
        assert is_compiled(live) == (which == "compiled")
        speedups.hold("a recording")
        try:
            assert live.get().body == b"hello"
            assert not is_compiled(live)
        finally:
            speedups.release("a recording")
        assert live.get().body == b"hello"
        assert is_compiled(live) == (which == "compiled")


@pytest.mark.usefixtures("which")
def test_a_client_that_has_ended_its_side_gets_its_response() -> None:
    with known() as live, live.client() as client:
        client.send(GET)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest().endswith(b"hello")


@pytest.mark.usefixtures("which")
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("sent", [b"", GET[:20], GET, GET * 3])
def test_a_client_that_leaves_leaves_nothing_behind(sent: bytes, reset: bool, tls: bool) -> None:
    with known(tls=tls) as live:
        with live.client() as client:
            client.send(GET)
            assert client.reply().body == b"hello"
            client.send(sent) if sent else None
            if reset:
                linger = struct.pack("ii", 1, 0)
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        eventually(lambda: not live.engine.connections)
        assert live.get().body == b"hello"


@pytest.mark.usefixtures("which")
def test_a_client_that_does_not_read_gets_everything_later(tls: bool) -> None:
    much = GET.replace(b" / ", b" /much ")
    with known(tls=tls) as live, live.client() as client:
        count, end = 0, time.monotonic() + PATIENCE
        while not any(c.has_unsent for c in live.engine.connections.values()):
            client.send(much)
            count += 1
            assert time.monotonic() < end
        client.send(LAST)
        received = client.rest()
        assert received.count(BODY) == count
        assert received.endswith(b"hello")


@pytest.mark.usefixtures("which")
def test_a_client_that_leaves_while_bytes_are_kept_is_forgotten(tls: bool) -> None:
    much = GET.replace(b" / ", b" /much ")
    with known(tls=tls) as live:
        with live.client() as client:
            while not any(c.has_unsent for c in live.engine.connections.values()):
                client.send(much)
        eventually(lambda: not live.engine.connections)
        assert live.get().body == b"hello"


@pytest.mark.usefixtures("which")
def test_a_broken_record_ends_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    with known(tls=True) as live:
        for sent in (b"GET / HTTP/1.1\r\n", b"\x17\x03\x03\x00\x20" + b"x" * 32):
            with live.client() as client:
                client.send(GET)
                assert client.reply().body == b"hello"
                socket.socket.send(client.sock, sent)  # without encryption
                with pytest.raises(ssl.SSLError, match="(?i)alert"):
                    client.rest()
            eventually(lambda: not live.engine.connections)
            assert live.get().body == b"hello"
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.usefixtures("which")
def test_a_record_may_come_in_pieces_and_several_at_once() -> None:
    with known(tls=True) as live:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = unchecked().wrap_bio(incoming, outgoing)
        plain = socket.create_connection(live.address, PATIENCE)
        with plain:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(65536))
            tls.write(GET)
            for byte in outgoing.read():
                plain.sendall(bytes([byte]))
            for _ in range(3):
                tls.write(GET)
            tls.write(LAST)
            plain.sendall(outgoing.read())
            received = b""
            while received.count(b"hello") < 5:
                try:
                    received += tls.read(65536)
                except ssl.SSLWantReadError:
                    data = plain.recv(65536)
                    assert data
                    incoming.write(data)


class Apart(TlsStream):
    """A stream with methods of its own, which count."""

    calls: list[str] = []

    def recv(self, size: int) -> bytes:
        self.calls.append("recv")
        return super().recv(size)

    def send(self, data: Any) -> int:
        self.calls.append("send")
        return super().send(data)


@pytest.mark.usefixtures("which")
def test_a_stream_with_methods_of_its_own_gets_their_calls() -> None:
    Apart.calls.clear()
    with served(record=False, app=hello, wrap=partial(Apart, context=adhoc())) as live:
        live.tls = True
        with live.client() as client:
            for _ in range(20):
                client.send(GET)
                assert client.reply().body == b"hello"
    assert Apart.calls.count("send") >= 20
    assert Apart.calls.count("recv") >= 20


@pytest.mark.usefixtures("which")
def test_a_socket_that_the_application_has_detached_is_not_used() -> None:
    taken: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/detach":
            taken.append(environ["werkzeug.socket"].detach())
        start_response("200 OK", [])
        return [b"hello"]

    with known(app) as live, live.client() as client:
        live.engine.dispatch_times.averages["GET /detach"] = 0.0
        client.send(GET.replace(b" / ", b" /detach "))
        eventually(lambda: taken and not live.engine.connections)
        own = socket.socket(fileno=taken[0])
        with own:
            own.settimeout(60)
            own.sendall(b"of the application")
        assert client.rest() == b"of the application"
        assert live.get().body == b"hello"


@pytest.mark.usefixtures("which")
def test_a_failing_application_gets_500_and_the_connection_goes_on(tls: bool) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/broken":
            raise ValueError("broken")
        start_response("200 OK", [("A", "b\r\nC: d")] if environ["PATH_INFO"] == "/split" else [])
        return [b"hello"]

    with known(app, tls=tls) as live, live.client() as client:
        for path in ("/broken", "/split"):
            live.engine.dispatch_times.averages[f"GET {path}"] = 0.0
            client.request("GET", path)
            assert client.reply().status == 500
            client.request("GET", "/")
            assert client.reply().body == b"hello"


_date = re.compile(rb"Date: [^\r]+")


def test_a_leader_that_is_held_is_replaced_on_both_twins(which: str) -> None:
    go_on = threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["QUERY_STRING"]:
            assert go_on.wait(PATIENCE)
        return hello(environ, start_response)

    with known(application, inline_budget=60.0) as live, live.client() as client:
        assert (live.engine.crew.quick_watch is not None) == (which == "compiled")
        client.send(b"GET /?wait HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: live.engine.crew.away == 1)
        assert live.get("/").status == 200
        with live.client() as second:  # which close looks find
            second.send(b"GET /?wait HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(lambda: live.engine.crew.away == 2)
            assert live.get("/").status == 200
            go_on.set()
            assert second.reply().status == 200
        assert client.reply().status == 200


HELD, IDLE = 1, 2


def test_the_watch_tells_a_held_leader_from_an_idle_one() -> None:
    with known() as live:
        steps = twin.Turn(live.engine, live.engine.dispatcher, 1024)
        exchange: Any = object()
        assert steps.watch([exchange], bytearray(1), 0.0, 3) == HELD
        assert steps.watch([], bytearray(1), 0.0, 3) == IDLE
        for slot in ([], [exchange]):
            assert steps.watch(slot, bytearray(b"\1"), 0.0, 3) == 0
        assert steps.watch([], bytearray(1), 0.0, 1000) == 0  # after so many looks


UNKNOWN, NEVER = -1, 3600.0  # a clock of a thread, and seconds


def test_close_looks_find_a_leader_that_waits() -> None:
    with known() as live:
        steps = twin.Turn(live.engine, live.engine.dispatcher, 1024)
        exchange: Any = object()

        def look(
            slot: list[Any], clock: int, least: float, most: float, look_again: bytes = b"\0"
        ) -> tuple[int, float]:
            again = bytearray(look_again)
            return steps.watch_closely(slot, again, clock, 0.0, least, most, 7, 5)

        # It has not computed for as long, or its request has lasted for as long.
        for least, most in ((0.0, NEVER), (NEVER, 0.0)):
            before = time.monotonic()
            made, found = look([exchange], UNKNOWN, least, most)
            assert made == 1
            assert before <= found <= time.monotonic()
        for least, most in ((1e-6, NEVER), (NEVER, 1e-6)):
            assert look([exchange], UNKNOWN, least, most)[1] > 0.0
        assert look([exchange], UNKNOWN, NEVER, NEVER) == (7, 0.0)
        # The clock of a thread that computes all the time.
        assert look([exchange], time.CLOCK_MONOTONIC, 60.0, NEVER) == (7, 0.0)
        assert look([], UNKNOWN, 0.0, 0.0) == (6, -1.0)
        assert look([exchange], UNKNOWN, 0.0, 0.0, b"\1") == (0, 0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_close_looks_leave_the_timer_slack_of_their_thread() -> None:
    slack = Path(f"/proc/{threading.get_native_id()}/timerslack_ns")
    with known() as live:
        steps = twin.Turn(live.engine, live.engine.dispatcher, 1024)
        before = slack.read_text()
        steps.watch_closely([], bytearray(1), UNKNOWN, 0.0, 0.0, 0.0, 1, 5)
        assert slack.read_text() == before


def test_both_twins_send_the_same_bytes() -> None:
    found = set()
    for held in (True, False):
        if held:
            speedups.hold("a test")
        try:
            with known() as live:
                pieces = []
                with live.client() as client:
                    for start in (b"GET /", b"HEAD /", b"GET /a?b=%20", b"OPTIONS /", b"DELETE /x"):
                        for _ in range(3):
                            client.send(start + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                            is_head = start.startswith(b"HEAD")
                            pieces.append(client.until(b"\r\n\r\n" if is_head else b"hello"))
                    client.send(LAST)
                    pieces.append(client.rest())
                found.add(_date.sub(b"", b"".join(pieces)))
        finally:
            if held:
                speedups.release("a test")
    assert len(found) == 1


@pytest.mark.parametrize("changed", ["path", "query", "target", "method"])
def test_a_head_that_an_application_has_changed_is_not_that_of_the_next_request(
    which: str, changed: str
) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        setattr(environ["carboy.exchange"].head, changed, "changed")
        start_response("200 OK", [("Content-Type", "text/plain")])
        names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "REQUEST_URI")
        return [" ".join(environ[name] for name in names).encode() + b"<end>"]

    with known(application) as live:
        assert is_compiled(live) == (which == "compiled")
        with live.client() as client:
            for path, asked in (("/", "/  /"), ("/a?b=1", "/a b=1 /a?b=1")):
                for _ in range(3):
                    client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                    assert client.until(b"<end>").endswith(f"\r\n\r\nGET {asked}<end>".encode())


# -- bodies -------------------------------------------------------------------------------------


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ("REQUEST_METHOD", "PATH_INFO", "CONTENT_LENGTH", "CONTENT_TYPE")
    return ["|".join(environ.get(name, "") for name in names).encode() + b"|" + body + b"<end>"]


def post(body: bytes, *lines: str, path: str = "/") -> bytes:
    fields = (f"POST {path} HTTP/1.1", "Host: a", *lines, f"Content-Length: {len(body)}")
    return "".join(f"{line}\r\n" for line in fields).encode() + b"\r\n" + body


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
# What is sent at a time; the bytes of one line are one or more requests.
SENT = {
    "one body": [post(b"a=b", "Content-Type: text/plain")],
    "several": [post(b"one"), post(b"two"), post(b"three", path="/%20?x=1"), post(b"fourth")],
    "no body": [post(b""), GET, post(b""), post(b"x"), post(b""), GET],
    "a body that is a request": [post(GET), GET, post(GET), post(post(b"x")), post(b"\r\n\r\n")],
    "large": [post(b"x" * 7000), post(b"y" * 9000), post(b"z" * 200_000), post(b"w" * 7000)],
    "in pieces": [post(b"body")[:-2], b"dy", post(b"body")[:-4], b"body", post(b"body")],
    "pipelined": [post(b"one") + post(b"two") + GET, post(b"one") + post(b"two")[:-1], b"o"],
    "chunked": [post(b"one"), CHUNKED, post(b"one"), CHUNKED],
    "a client that waits": [post(b"one", "Expect: 100-continue"), post(b"two")],
    "with a proxy": [post(b"one", "X-Forwarded-For: 1.2.3.4")] * 2,
    "HTTP/1.0": [post(b"one").replace(b"1.1", b"1.0")],
    "closed": [post(b"one"), post(b"two", "Connection: close")],
    "two lengths": [post(b"one"), post(b"two", "Content-Length: 3")],
    "no number": [post(b"one"), post(b"two").replace(b"Length: 3", b"Length: +3")],
    "too long": [post(b"one"), post(b"x" * 300_001)[:100]],
}
MANY: dict[str, Any] = {"inline_budget": 60.0, "limit_body": 300_000}


@pytest.mark.parametrize("name", SENT)
def test_both_twins_answer_requests_with_bodies_alike(name: str, tls: bool) -> None:
    found = set()
    for held in (True, False):
        if held:
            speedups.hold("a test")
        try:
            with served(echo, tls=tls, **MANY) as live, live.client() as client:
                for data in SENT[name]:
                    client.send(data)
                client.send(LAST)
                found.add(_date.sub(b"", client.rest()))
        finally:
            if held:
                speedups.release("a test")
    assert len(found) == 1


@contextmanager
def counted(app: Any = echo, **more: Any) -> Iterator[tuple[Live, list[Any]]]:
    """A server, and the requests whose body the function in Python has taken."""
    with served(app, record=False, **{**MANY, **more}) as live:
        reader = live.engine._body_reader
        begin, taken = reader.begin, list[Any]()
        reader.begin = lambda exchange: (taken.append(exchange), begin(exchange))[1]  # type: ignore[method-assign]
        yield live, taken


def test_a_body_that_comes_with_its_head_is_taken_by_the_turn(which: str, tls: bool) -> None:
    with counted(tls=tls) as (live, taken), live.client() as client:
        client.send(GET)  # the first request of a connection is read in Python
        assert client.reply().body == b"GET|/|||<end>"
        for body in (b"one", b"two", b"x" * 7000, GET):
            client.send(post(body))
            assert client.reply().body == b"POST|/|%d||%b<end>" % (len(body), body)
        assert len(taken) == (4 if which == "python" else 0)


def test_a_flask_application_reads_it(which: str) -> None:
    app = carboy.Flask("bodies")
    app.add_url_rule("/", view_func=lambda: carboy.request.get_json() | {"b": 2}, methods=["POST"])
    with counted(app) as (live, taken), live.client() as client:
        client.send(GET)
        assert client.reply().status == 405
        for _ in range(3):
            client.send(post(b'{"a": 1}', "Content-Type: application/json"))
            assert client.reply().body == b'{"a":1,"b":2}\n'
        app.config["MAX_CONTENT_LENGTH"] = 3  # the application reads the body itself, and refuses
        client.send(post(b'{"a": 1}', "Content-Type: application/json"))
        assert client.reply().status == 413
        assert len(taken) == (4 if which == "python" else 1)


@pytest.mark.usefixtures("which")
@pytest.mark.parametrize("spool_limit", [0, 2, 3])
def test_a_body_above_the_limit_for_memory_goes_into_a_file(spool_limit: int) -> None:
    with counted(spool_limit=spool_limit) as (live, _), live.client() as client:
        for _ in range(2):
            client.send(post(b"one"))
            assert client.reply().body == b"POST|/|3||one<end>"


@pytest.mark.usefixtures("which")
def test_a_gateway_may_set_a_smaller_limit() -> None:
    with counted() as (live, _), live.client() as client:
        gateway: Any = live.engine._body_reader._gateway
        gateway.body_limit = lambda exchange: 3
        client.send(post(b"one"))
        assert client.reply().status == 200
        client.send(post(b"four"))
        assert b" 413 " in client.rest()


@pytest.mark.usefixtures("which")
def test_an_error_of_the_gateway_is_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken(exchange: Any) -> Any:
        raise ValueError("broken")

    with counted() as (live, _), live.client() as client:
        gateway: Any = live.engine._body_reader._gateway
        gateway.wants_stream = broken
        client.send(post(b"one"))
        assert b" 500 " in client.rest()
    assert "broken" in caplog.text
