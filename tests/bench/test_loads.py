"""The clients of the benchmarks for WebSocket and server-sent events notice each wrong answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench.apps import on_starlette
from bench.load_process import load_process
from bench.loads import frames
from bench.loads.control import LoadFailed, percentile
from bench.loads.crowd import Crowd
from bench.loads.echo import Echoes
from bench.realtime import fan_out
from bench.servers import Running, ServerFailed
from bench.under_load import Bench
from bench.work import Kind, Work
from hypothesis import given
from hypothesis import strategies as st
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve

from live_asgi import Message, Receive, Send, served_asgi
from live_engine import eventually

SHORT = 0.05  # seconds
CORE = min(os.sched_getaffinity(0))


@contextmanager
def websocket_server(handler: Callable[[ServerConnection], None]) -> Iterator[int]:
    """The port of a server of the package websockets, which calls `handler`."""
    with serve(handler, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@given(st.binary(max_size=70_000), st.binary(max_size=3))
def test_a_frame_from_a_server_is_split_off_when_it_is_complete(
    payload: bytes, rest: bytes
) -> None:
    frame = frames.from_server(payload)
    assert frames.split(frame + rest) == (frames.TEXT, payload, rest)
    assert frames.split(frame[:-1]) is None or not payload


@pytest.mark.parametrize("size", [0, 64, 125, 126, 65_535, 65_536])
def test_frames_of_clients_are_what_servers_read(size: int) -> None:
    text = b"x" * size
    server = ServerProtocol()
    server.receive_data(frames.handshake(80, "/"))
    request: Any = server.events_received()[0]
    server.send_response(server.accept(request))
    server.receive_data(frames.from_client(text))
    (frame,) = server.events_received()
    assert bytes(frame.data) == text  # type: ignore[union-attr]


@pytest.mark.parametrize("frame", [b"\x81\x80", b"\xc1\x00"])
def test_a_frame_that_servers_must_not_send_is_an_error(frame: bytes) -> None:
    with pytest.raises(ValueError, match="The server sent a frame that begins with"):
        frames.split(frame)


def test_the_percentile_is_a_value_of_the_list() -> None:
    values = [float(value) for value in range(100)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (50.0, 99.0)
    assert percentile([7.0], 0.99) == 7.0


@pytest.mark.parametrize("size", [64, 16 * 1024])
def test_echoes_are_counted(size: int) -> None:
    with websocket_server(echo) as port, Echoes(port, size) as clients:
        clients.open(3)
        for _ in range(2):
            figures = clients.measure(SHORT)
            assert figures["messages"] >= 3
            assert 0 < figures["p50_ms"] <= figures["p99_ms"]


def test_pings_between_echoes_are_answered() -> None:
    answered = threading.Event()

    def pings(connection: ServerConnection) -> None:
        for message in connection:
            pong = connection.ping()
            connection.send(message)
            if pong.wait(0):
                answered.set()
            threading.Thread(target=lambda: pong.wait(20) and answered.set()).start()

    with websocket_server(pings) as port, Echoes(port, 64) as clients:
        clients.open(1)
        clients.measure(SHORT)
        assert answered.wait(20)


def test_a_wrong_echo_is_an_error() -> None:
    def wrong(connection: ServerConnection) -> None:
        connection.send(str(connection.recv()).replace(".", ","))

    with websocket_server(wrong) as port, Echoes(port, 64) as clients:
        clients.open(1)
        with pytest.raises(LoadFailed, match="A message came back as"):
            clients.measure(SHORT)


def test_a_connection_that_the_server_closes_is_an_error() -> None:
    with websocket_server(lambda connection: None) as port, Echoes(port, 64) as clients:
        clients.open(1)
        with pytest.raises((LoadFailed, OSError)):
            clients.measure(SHORT)


def test_a_refused_handshake_is_an_error() -> None:
    async def refuses(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await send({"type": "websocket.close"})

    with (
        served_asgi(refuses) as live,
        Echoes(live.port, 64) as clients,
        Crowd("websocket", live.port, "/subscribe") as crowd,
    ):
        with pytest.raises(LoadFailed, match=r"The handshake was answered with b'HTTP/1\.1 403"):
            clients.open(1)
        with pytest.raises(LoadFailed, match=r"/subscribe was answered with b'HTTP/1\.1 403"):
            crowd.open(1)


def test_each_subscriber_of_a_stream_has_to_receive_each_event() -> None:
    with starlette() as port, Crowd("sse", port, "/events") as crowd:
        crowd.open(20)
        figures = crowd.publish(SHORT, 64)
        assert figures["messages"] >= 20
        assert figures["messages"] % 20 == 0
        assert crowd.check() == {"open": 20}


def test_each_subscriber_of_a_websocket_has_to_receive_each_message() -> None:
    with starlette() as port, Crowd("websocket", port, "/subscribe") as crowd:
        crowd.open(20)
        figures = crowd.publish(SHORT, 64)
        assert figures["messages"] % 20 == 0
        assert crowd.check() == {"open": 20}


def test_an_event_that_was_not_published_is_an_error() -> None:
    async def unasked(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        events = b"data: a\n\ndata: b\n\n"
        await send({"type": "http.response.body", "body": events, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    with served_asgi(unasked) as live, Crowd("sse", live.port, "/events") as crowd:
        with pytest.raises(LoadFailed, match="An unexpected event came"):
            crowd.open(1)


@contextmanager
def starlette() -> Iterator[int]:
    """The port of the application on Starlette, whose streams have ended before it is stopped."""
    with served_asgi(on_starlette.app) as live:
        yield live.port
        eventually(lambda: not on_starlette.queues and not on_starlette.sockets)


@contextmanager
def started(work: Work, tmp_path: Path) -> Iterator[tuple[Bench, Running, Work, Path]]:
    """The arguments of a measurement, with the application on Starlette in this process."""
    bench = Bench(CORE, CORE, SHORT, SHORT, tmp_path)
    with starlette() as port:
        yield bench, Running(port, os.getpid()), work, tmp_path / "request"


def test_a_fan_out_is_measured(tmp_path: Path) -> None:
    work = Work("x", "x", (), kind=Kind.FAN_OUT, connections=10, transport="sse")
    with started(work, tmp_path) as case:
        figures = fan_out(*case)
    assert figures["kept"] == 10
    assert figures["requests_per_second"] > 0
    assert figures["cpu_us"] >= 0


def test_a_server_without_a_connection_is_reported_by_the_load_process() -> None:
    with pytest.raises(ServerFailed, match="refused"), load_process(CORE, "echo", 1, 1, 64):
        pass
