"""The compiled turn of the leader: the same bytes, errors and ends as the steps in Python."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _speedups.twins import compiled
from carboy.protocol import LocalProtocolError, response
from carboy.server import turn
from carboy.speedups import speedups
from live_engine import GET, LAST, Live, eventually, served
from running import PATIENCE

twin = compiled("turn")

EXTRA = b"Server: carboy\r\nDate: Sun, 22 Nov 2026 16:30:11 GMT\r\n"
NAMES = st.sampled_from(
    ("Content-Type", "X-A", "content-length", "Content-Length", "Date", "SERVER", "Connection",
     "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Strict-Transport-Security",
     "Set-Cookie", "", "A B", "A:", "A\r\n", "\u00e9", "A\u0100", "X_Y", "\x00", "content\rlength")
)  # fmt: skip
VALUES = st.sampled_from(
    ("text/html", "", "5", "05", "+5", " 5", "5 ", "\u0665", "4", "close", "chunked", "a\tb",
     "a\rb", "a\nB: c", "a\r\nB: c", "\x00", "\x7f", "\x80", "\xff", "\u0100", "x" * 200)
)  # fmt: skip
FIELDS = st.lists(st.tuples(NAMES | st.text(max_size=5), VALUES | st.text(max_size=5)), max_size=4)


@given(FIELDS, st.sampled_from((b"", b"hello")), st.sampled_from(("200 OK", "404 Not Found")))
@example([("Content-Length", "5")], b"hello", "200 OK")
@example([("Content-Length", "5"), ("Content-Length", "5")], b"hello", "200 OK")
def test_a_response_is_that_of_the_python_twin(
    fields: list[tuple[str, str]], body: bytes, status: str
) -> None:
    response.encode_status(status)  # statuses that were sent before are known
    mine = twin.ordinary_response(status, fields, body, EXTRA, len(body))
    try:
        expected = response.ordinary_response(status, fields, body, EXTRA, len(body))
    except LocalProtocolError:
        expected = None
    assert mine == expected


@pytest.mark.parametrize(
    "fields",
    [
        [["A", "b"]],
        [("A",)],
        [("A", "b", "c")],
        [("A", 1)],
        [(b"A", "b")],
        [type("Pair", (tuple,), {})(("A", "b"))],
        (("A", "b"),),
        [("A", "b")] * 65,
        None,
    ],
)
def test_unusual_fields_are_left_to_the_python_twin(fields: Any) -> None:
    response.encode_status("200 OK")
    assert twin.ordinary_response("200 OK", fields, b"", EXTRA, 0) is None


@pytest.mark.parametrize("status", ["200 ok\r\nA: b", "204 No Content", "100 Continue", 200, []])
def test_other_statuses_are_left_to_the_python_twin(status: Any) -> None:
    for known in ("204 No Content", "100 Continue"):
        response.encode_status(known)
    assert twin.ordinary_response(status, [], b"", EXTRA, 0) is None


# -- on sockets ---------------------------------------------------------------------------------


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
def test_a_client_that_leaves_leaves_nothing_behind(sent: bytes, reset: bool) -> None:
    with known() as live:
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
def test_a_client_that_does_not_read_gets_everything_later() -> None:
    much = GET.replace(b" / ", b" /much ")
    with known() as live, live.client() as client:
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
def test_a_client_that_leaves_while_bytes_are_kept_is_forgotten() -> None:
    much = GET.replace(b" / ", b" /much ")
    with known() as live:
        with live.client() as client:
            while not any(c.has_unsent for c in live.engine.connections.values()):
                client.send(much)
        eventually(lambda: not live.engine.connections)
        assert live.get().body == b"hello"


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
def test_a_failing_application_gets_500_and_the_connection_goes_on() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/broken":
            raise ValueError("broken")
        start_response("200 OK", [("A", "b\r\nC: d")] if environ["PATH_INFO"] == "/split" else [])
        return [b"hello"]

    with known(app) as live, live.client() as client:
        for path in ("/broken", "/split"):
            live.engine.dispatch_times.averages[f"GET {path}"] = 0.0
            client.request("GET", path)
            assert client.reply().status == 500
            client.request("GET", "/")
            assert client.reply().body == b"hello"


_date = re.compile(rb"Date: [^\r]+")


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
