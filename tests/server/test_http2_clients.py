"""HTTP/2 of an engine: clients that cancel, are slow, break rules or leave, and a server's stop."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import (
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from carboy import Carboy, Response, request, send_file
from carboy.net.poller import WRITE
from carboy.protocol.http2.session import FRAMES_A_TURN, Session
from carboy.server.http2.pipe import Pipe, StreamConnection, StreamSocket
from carboy.server.responder import SLICE
from http2_client import GET, PREFACE, FrameClient, connected, http2, served_h2c, show
from live_engine import eventually

NO_ERROR, INTERNAL_ERROR, CALM = 0, 2, 11


def hello() -> str:
    return "hello"


def app_with(**views: Any) -> Carboy:
    """An application with a view at "/", and each of these at its name."""
    app = Carboy(__name__)
    app.get("/")(hello)
    for name, view in views.items():
        app.add_url_rule(f"/{name}", view_func=view, methods=["GET", "POST"], endpoint=name)
    return app


def endless(closed: Callable[[], object]) -> Callable[[], Response]:
    """A view whose response has no end; `closed` is called when its generator is."""

    def made() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 50_000
        finally:
            closed()

    return lambda: Response(made())


# --- cancelled


def test_a_cancelled_response_closes_its_generator_and_no_other_request() -> None:
    closed = threading.Event()
    with served_h2c(app_with(pieces=endless(closed.set))) as live, http2(live) as client:
        client.reading = False
        number = client.request(path="/pieces")
        client.until(lambda: len(client.replies[number].body) >= 60_000)
        client.reset(number)
        assert closed.wait(60)
        client.h2.increment_flow_control_window(1_000_000)
        assert client.get().body == b"hello"


def test_a_view_sees_that_its_request_was_cancelled() -> None:
    began, gone = threading.Event(), threading.Event()

    def waits() -> str:
        began.set()
        eventually(lambda: request.client_gone)
        gone.set()
        return ""

    with served_h2c(app_with(waits=waits), record=True) as live, http2(live) as client:
        number = client.request(path="/waits")
        assert began.wait(60)
        client.reset(number)
        assert gone.wait(60)
        assert client.get().body == b"hello"


def test_a_client_that_leaves_ends_all_its_requests() -> None:
    closed = threading.Barrier(3, timeout=60)
    with served_h2c(app_with(pieces=endless(closed.wait))) as live:
        with http2(live) as client:
            client.reading = False
            numbers = [client.request(path="/pieces") for _ in range(2)]
            client.until(lambda: any(client.replies[number].body for number in numbers))
        closed.wait()
        eventually(lambda: not live.engine.connections)


# --- errors


def test_a_view_that_fails_costs_its_request_only() -> None:
    def fails() -> str:
        raise RuntimeError("on purpose")

    def breaks() -> Response:
        def made() -> Iterator[bytes]:
            yield b"first"
            raise RuntimeError("on purpose")

        return Response(made())

    with served_h2c(app_with(fails=fails, breaks=breaks)) as live, http2(live) as client:
        assert client.get("/fails").status == 500
        reply = client.get("/breaks")
        assert (reply.body, reply.reset, reply.ended) == (b"first", INTERNAL_ERROR, False)
        assert client.get().body == b"hello"


def test_what_is_refused_over_http_1_gets_the_same_answer() -> None:
    with served_h2c(app_with(), record=True) as live, http2(live) as client:
        reply = client.get("/a#b")
        assert (reply.status, reply.body[:16]) == (400, b"400 Bad Request:")
        assert client.get(fields=[("x", "y" * 9000)]).status == 431
        assert client.get().body == b"hello"
        assert [record[4] for record in live.records] == [400, 431, 200]


def test_a_malformed_request_is_reset_and_logged() -> None:
    with served_h2c(app_with(), record=True) as live, http2(live) as client:
        reply = client.get(fields=[("transfer-encoding", "chunked")])
        assert (reply.reset, reply.status) == (1, 0)
        assert client.get().body == b"hello"
        assert [record[3:5] for record in live.records] == [("GET / HTTP/2.0", 400), ("", 200)]


@pytest.mark.parametrize("limit", [10, 200_000])
def test_a_body_that_is_too_large_gets_413_and_the_connection_goes_on(limit: int) -> None:
    with served_h2c(show, limit_body=limit) as live, http2(live) as client:
        number = client.request("POST", "/", end=False)
        client.h2.send_data(number, b"x" * 16_000)
        client.flush()
        for _ in range(40):
            if client.replies[number].status or client.replies[number].reset is not None:
                break
            room = client.h2.local_flow_control_window(number)
            if room >= 16_000:
                client.h2.send_data(number, b"x" * 16_000)
                client.flush()
            else:
                client.step()
        reply = client.reply(number)
        assert reply.status == 413
        assert client.get().body.startswith(b"HTTP/2 GET")
        assert reply.reset is None  # a reset would make clients discard the response


def test_what_follows_an_early_response_is_drained_up_to_a_limit() -> None:
    with served_h2c(show, limit_body=10, linger_size=100_000) as live, http2(live) as client:
        number = client.request("POST", "/", end=False)
        client.send(number, b"x" * 20_000, end=False)
        assert client.reply(number).status == 413
        client.send(number, b"x" * 60_000, end=False)
        assert client.get().status == 200
        assert client.replies[number].reset is None
        client.send(number, b"x" * 30_000, end=False)
        client.until(lambda: client.replies[number].reset is not None)
        assert client.replies[number].reset == NO_ERROR
        assert client.get().status == 200


def test_a_body_beyond_the_limit_of_the_application_is_left_to_the_view() -> None:
    app = app_with()
    app.config["MAX_CONTENT_LENGTH"] = 100_000

    @app.post("/form")
    def form() -> str:
        return request.form["a"]

    with served_h2c(app) as live, http2(live) as client:
        fields = [
            ("content-type", "application/x-www-form-urlencoded"), ("content-length", "400000"),
        ]  # fmt: skip
        number = client.request("POST", "/form", fields, end=False)
        client.h2.send_data(number, b"a=" + b"x" * 1000)
        client.flush()
        client.until(lambda: client.replies[number].status)
        assert client.replies[number].status == 413
        assert client.get().body == b"hello"


def test_what_a_stranger_says_about_forwarding_is_removed() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [f"{environ['REMOTE_ADDR']} {'HTTP_X_FORWARDED_FOR' in environ}".encode()]

    with served_h2c(app) as live, http2(live) as client:
        for _ in range(3):
            reply = client.get(fields=[("x-forwarded-for", "192.0.2.1")])
            assert reply.body == b"127.0.0.1 False"


# --- slow


def test_a_slow_body_costs_its_request_only() -> None:
    with (
        served_h2c(app_with(echo=hello), body_grace=0.2, body_rate=1000) as live,
        http2(live) as client,
    ):
        number = client.request("POST", "/echo", end=False)
        assert client.reply(number).status == 408
        assert client.get().body == b"hello"


def test_a_response_that_is_not_read_costs_its_request_only() -> None:
    def large() -> bytes:
        return b"x" * 1_000_000

    with (
        served_h2c(app_with(large=large), write_grace=0.2, write_rate=1000) as live,
        http2(live) as client,
    ):
        client.reading = False
        number = client.request(path="/large")
        assert client.reply(number).reset == INTERNAL_ERROR
        assert len(client.replies[number].body) <= 65_535
        client.h2.increment_flow_control_window(1_000_000)
        client.flush()
        assert client.get().body == b"hello"


def test_the_most_urgent_response_is_sent_first_when_the_client_reads_again() -> None:
    def large() -> bytes:
        return b"x" * 300_000

    def waiting() -> int:
        (pipe,) = live.engine.connections.values()
        assert isinstance(pipe, Pipe)
        return sum(each.interest == WRITE for each in list(pipe.streams.values()))

    with (
        served_h2c(app_with(large=large)) as live,
        http2(live, INITIAL_WINDOW_SIZE=1_000_000) as client,
    ):
        client.reading = False
        usual, late, urgent = (
            client.request(path="/large", fields=[("priority", f"u={urgency}")])
            for urgency in (3, 7, 1)
        )
        client.until(
            lambda: sum(len(client.replies[each].body) for each in (usual, late, urgent)) == 65_535
        )  # all that the window of the connection allows
        eventually(lambda: waiting() == 3)
        before = {number: len(client.replies[number].body) for number in (usual, late, urgent)}
        client.h2.increment_flow_control_window(100)
        client.flush()
        client.until(lambda: len(client.replies[urgent].body) == before[urgent] + 100)
        assert len(client.replies[usual].body) == before[usual]
        assert len(client.replies[late].body) == before[late]


@pytest.mark.parametrize(
    "sent",
    [
        PREFACE[:20],
        PREFACE,
        PREFACE + SettingsFrame(0).serialize() + b"\0\0\x08\6",
        PREFACE + SettingsFrame(0).serialize() + HeadersFrame(1, b"\x82").serialize(),
    ],
    ids=["a part of the preface", "no settings", "a part of a frame", "a part of a head"],
)
def test_an_unfinished_beginning_is_ended_by_the_deadline_of_a_head(sent: bytes) -> None:
    with served_h2c(app_with(), headers_timeout=0.2) as live, connected(live) as sock:
        sock.settimeout(60)
        sock.sendall(sent)
        assert list(FrameClient(sock, preface=False).frames()) is not None
        eventually(lambda: not live.engine.connections)


def test_the_deadline_of_a_frame_begins_when_the_one_before_is_complete() -> None:
    ping = PingFrame(0, opaque_data=b"12345678").serialize()
    with served_h2c(app_with()) as live, connected(live) as sock:
        client = FrameClient(sock)
        client.send(ping + ping[:5])
        assert client.next(PingFrame)
        (pipe,) = live.engine.connections.values()
        assert isinstance(pipe, Pipe)
        began = pipe.partial_since
        assert began
        client.send(ping[5:] + ping[:5])  # at no time is nothing incomplete
        assert client.next(PingFrame)
        eventually(lambda: pipe.partial_since > began)


def test_nothing_is_received_while_frames_of_the_last_turn_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[bool, int]] = []
    receive = Session.receive

    def recorded(session: Session, data: bytes, now: float) -> None:
        calls.append((session.more, len(data)))
        receive(session, data, now)

    monkeypatch.setattr(Session, "receive", recorded)
    with served_h2c(app_with(), http2_pings=10_000) as live, connected(live) as sock:
        client = FrameClient(sock)
        client.send(PingFrame(0, opaque_data=b"12345678").serialize() * 4000)
        answers = (frame for frame in client.frames() if isinstance(frame, PingFrame))
        assert len(list(itertools.islice(answers, 4000))) == 4000
    assert sum(more for more, _ in calls) >= 4000 // FRAMES_A_TURN - 5
    assert all(size == 0 for more, size in calls if more)


def test_a_finished_request_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[object] = []
    monkeypatch.setattr(StreamSocket, "watched", watched.append)
    with served_h2c(app_with()) as live, http2(live) as client:
        for _ in range(3):
            assert client.get().body == b"hello"
    assert watched == []


def test_an_idle_connection_is_closed_with_goaway() -> None:
    with served_h2c(app_with(), keepalive_timeout=0.2) as live, http2(live) as client:
        while client.step():
            pass
        assert [goaway[1] for goaway in client.goaways] == [0]


def test_a_thread_that_waits_goes_on_when_the_socket_takes_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("carboy.server.http2.pipe.SECOND", 600.0)  # it looks again only if told
    waits = []
    wait = StreamConnection.wait

    def counted(connection: StreamConnection, flag: int) -> float:
        waits.append(flag)
        return wait(connection, flag)

    monkeypatch.setattr(StreamConnection, "wait", counted)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Length", "8000000")])
        for _ in range(80):
            write(b"x" * 100_000)
        return []

    with served_h2c(app) as live, connected(live) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        sock.sendall(PREFACE + SettingsFrame(settings={4: 2**31 - 1}).serialize())
        client = FrameClient(sock, preface=False)
        # No window is opened while the response comes.
        client.send(WindowUpdateFrame(0, 1_000_000_000), client.head(1))
        client.next(HeadersFrame)
        (pipe,) = live.engine.connections.values()
        assert isinstance(pipe, Pipe)
        eventually(lambda: pipe.full)
        size = 0
        while size < 8_000_000:
            size += len(client.next(DataFrame).data)
    assert len(waits) < 1000  # after each, something was sent


def test_a_client_that_does_not_read_is_not_read_either() -> None:
    with served_h2c(app_with(), http2_pings=1_000_000, write_grace=60.0) as live:
        with connected(live) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client = FrameClient(sock)
            sock.settimeout(0.5)
            ping = PingFrame(0, opaque_data=b"12345678").serialize() * 1000
            with pytest.raises(TimeoutError):
                for _ in range(100_000):
                    client.send(ping)
            (pipe,) = live.engine.connections.values()
            assert pipe.unsent_bytes < 2_000_000


def test_a_bug_ends_the_connection_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*values: object) -> None:
        raise ZeroDivisionError

    with served_h2c(app_with()) as live:
        with http2(live) as client, monkeypatch.context() as patched:
            assert client.get().body == b"hello"
            patched.setattr("carboy.protocol.http2.session.Session._begin", broken)
            client.request()
            with pytest.raises(AssertionError, match="the connection has ended"):
                client.until(lambda: False)
        with http2(live) as client:
            assert client.get().body == b"hello"
    assert any(record.levelno == logging.CRITICAL for record in caplog.records)


# --- floods


def test_a_flood_ends_the_connection_with_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served_h2c(app_with(), http2_pings=10) as live, connected(live) as sock:
        client = FrameClient(sock)
        client.send(*[PingFrame(0, opaque_data=b"12345678")] * 11)
        assert client.goaway().error_code == CALM
        assert list(client.frames()) == []
        eventually(lambda: not live.engine.connections)
    lines = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert lines == [
        "An HTTP/2 connection of 127.0.0.1 was ended with ENHANCE_YOUR_CALM: too many PING frames."
    ]


def test_requests_over_the_limit_are_refused_one_by_one() -> None:
    go_on = threading.Event()

    def waits() -> str:
        go_on.wait(60)
        return "waited"

    with served_h2c(app_with(waits=waits), http2_streams=2) as live, connected(live) as sock:
        client = FrameClient(sock)
        path = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/waits")]
        client.send(*[client.head(number, path) for number in (1, 3, 5)])
        refused = client.rst()
        assert (refused.stream_id, refused.error_code) == (5, 7)
        go_on.set()
        ended = {frame.stream_id for _, frame in zip(range(2), ends(client), strict=False)}
        assert ended == {1, 3}


def ends(client: FrameClient) -> Iterator[Any]:
    return (frame for frame in client.frames() if "END_STREAM" in frame.flags)


# --- the end of the server


def test_a_stop_lets_running_requests_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carboy.server.http2.pipes.GOODBYE", 60.0)  # it waits for the client
    began, go_on = threading.Event(), threading.Event()

    def waits() -> str:
        began.set()
        go_on.wait(60)
        return "waited"

    with served_h2c(app_with(waits=waits)) as live, connected(live) as sock:
        client = FrameClient(sock)
        client.send(client.head(1, [*GET[:3], (":path", "/waits")]))
        assert began.wait(60)
        live.engine.stop()
        first = client.goaway()
        assert (first.last_stream_id, first.error_code) == (2**31 - 1, 0)
        client.send(client.head(3))  # on its way: it is still served
        assert next(frame.stream_id for frame in ends(client)) == 3
        ping = PingFrame(0, opaque_data=b"carboy\0\0", flags=["ACK"])
        client.send(ping)
        assert client.goaway().last_stream_id == 3
        go_on.set()
        assert [frame.stream_id for frame in ends(client)] == [1]
        live.join()


def test_a_stop_without_requests_closes_the_connection() -> None:
    with served_h2c(app_with()) as live, connected(live) as sock:
        client = FrameClient(sock)
        client.send(client.head(1))
        assert next(frame.stream_id for frame in ends(client)) == 1
        live.engine.stop()
        assert [frame.last_stream_id for frame in goaways(client)] == [1]
        live.join()


def goaways(client: FrameClient) -> Iterator[Any]:
    return (frame for frame in client.frames() if isinstance(frame, GoAwayFrame))


# --- one thread


@pytest.mark.parametrize("threads", [1, 4])
def test_bodies_and_large_responses_with_one_thread_and_several(threads: int) -> None:
    app = app_with(large=lambda: b"x" * 1_000_000)
    app.config["MAX_CONTENT_LENGTH"] = 100_000

    @app.route("/pieces")
    def pieces() -> Response:
        return Response(b"y" * 30_000 for _ in range(20))

    @app.post("/read")
    def read() -> str:
        request.max_content_length = 1_000_000
        return str(len(request.get_data()))

    with served_h2c(app, threads=threads) as live, http2(live) as client:
        numbers = [client.request(path=path) for path in ("/large", "/pieces", "/")]
        sizes = [len(client.reply(number).body) for number in numbers]
        assert sizes == [1_000_000, 600_000, 5]
        number = client.request("POST", "/read", [("content-length", "300000")], end=False)
        client.send(number, b"z" * 300_000)
        assert client.reply(number).body == b"300000"


def test_a_generator_that_gives_way_to_others_goes_on() -> None:
    def pieces() -> Response:
        def made() -> Iterator[bytes]:
            for _ in range(5):
                eventually(lambda since=time.monotonic(): time.monotonic() > since + SLICE)
                yield b"x"

        return Response(made())

    with served_h2c(app_with(pieces=pieces), threads=1) as live, http2(live) as client:
        assert client.get("/pieces").body == b"xxxxx"


# --- other answers


def test_early_hints_come_before_the_response() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
        start_response("200 OK", [])
        return [b"hello"]

    with served_h2c(app) as live, http2(live) as client:
        reply = client.get()
        assert (reply.interim, reply.status, reply.body) == ([103], 200, b"hello")


def test_a_client_that_expects_it_gets_100_continue() -> None:
    with served_h2c(show) as live, http2(live) as client:
        number = client.request("POST", "/", [("expect", "100-continue")], end=False)
        client.until(lambda: client.replies[number].interim == [100])
        client.send(number, b"abc")
        assert client.reply(number).body.endswith(b"abc")


def test_a_file_is_sent_in_frames(tmp_path: Path) -> None:
    file = tmp_path / "file.bin"
    file.write_bytes(bytes(range(256)) * 2000)
    app = app_with(file=lambda: send_file(file))
    with served_h2c(app) as live, http2(live) as client:
        assert client.get("/file").body == file.read_bytes()
        reply = client.reply(client.request("HEAD", "/file"))
        assert (reply.headers["content-length"], reply.body) == ("512000", b"")


def test_http_1_on_the_same_port() -> None:
    with served_h2c(app_with()) as live:
        assert live.get().body == b"hello"
