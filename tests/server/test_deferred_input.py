"""How much one connection may do in one turn of the leader, and how much it may buffer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from carboy.server.engine import PIECES_A_TURN
from live_engine import GET, LAST, Live, eventually, hello, served

HEAD = b"POST /%b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=["epoll", "selectors"])
def poller(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Turns:
    """Counts the pieces of bodies in each turn of an engine, and the bytes it buffers."""

    def __init__(self, live: Live) -> None:
        self.pieces = [0]
        self.most_kept = 0
        engine: Any = live.engine
        connections = engine.connections
        wait, take = engine.poller.wait, engine._body_reader.take

        def next_turn(seconds: float) -> Any:
            self.pieces.append(0)
            kept = [each.machine.buffered for each in list(connections.values())]
            self.most_kept = max([self.most_kept, *kept])
            return wait(seconds)

        def take_one(connection: Any, data: bytes) -> None:
            self.pieces[-1] += 1
            take(connection, data)

        engine.poller.wait = next_turn
        engine._body_reader.take = take_one


@contextmanager
def held(live: Live) -> Iterator[None]:
    """Keep the leader of a serial engine busy, so that requests wait in the sockets."""
    with live.client() as client:
        client.request("GET", "/hold")
        assert inside.wait(10)
        inside.clear()
        yield
        go.set()
        client.reply()
        go.clear()


inside = threading.Event()
go = threading.Event()


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/hold":
        inside.set()
        go.wait(20)
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body]


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"01\r\nx\r\n", b"1;a=b\r\nx\r\n"])
def test_tiny_chunks_are_taken_a_few_at_a_turn(chunk: bytes, poller: str) -> None:
    with served(echo, poller=poller) as live, live.client() as client:
        turns = Turns(live)
        client.send(HEAD % b"" + chunk * 5000 + b"0\r\n\r\n" + LAST)
        assert client.reply().body == b"x" * 5000
        assert client.reply().body == b""
    assert max(turns.pieces) <= 2 * PIECES_A_TURN  # in the turn of the read and in the next one


def test_other_clients_are_served_between_the_chunks_of_one_read() -> None:
    order: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        order.append(environ["PATH_INFO"])
        return echo(environ, start_response)

    with served(app, threads=1, read_size=1 << 20) as live:
        with live.client() as many, live.client() as one:
            with held(live):
                many.send(HEAD % b"many" + b"2\r\nxy\r\n" * 10_000 + b"0\r\n\r\n")
                one.request("GET", "/one")
            one.reply()
            assert many.reply().body == b"xy" * 10_000
    assert order == ["/hold", "/one", "/many"]


@pytest.mark.parametrize("raw", [GET, HEAD % b"" + b"1\r\nx\r\n" * 100 + b"0\r\n\r\n"])
def test_requests_that_cannot_be_answered_yet_wait_in_the_socket(raw: bytes, poller: str) -> None:
    count = 200_000 // len(raw)
    with served(echo, poller=poller, read_size=4096) as live, live.client() as client:
        turns = Turns(live)
        sender = threading.Thread(target=client.send, args=(raw * count + LAST,))
        sender.start()
        answers = client.rest()
        sender.join()
    assert answers.count(b"HTTP/1.1 200 OK") == count + 1
    assert turns.most_kept <= 4096


def test_a_connection_is_read_again_after_its_requests_are_answered(poller: str) -> None:
    with served(echo, poller=poller, threads=1) as live, live.client() as client:
        for _ in range(3):
            with held(live):
                client.send(GET * 50)
            for _ in range(50):
                assert client.reply().status == 200
            client.send(HEAD % b"" + b"1\r\nx\r\n" * 5000)
            client.send(b"1\r\ny\r\n" * 5000 + b"0\r\n\r\n\r\n")
            assert client.reply().body == b"x" * 5000 + b"y" * 5000


def test_an_empty_line_after_a_request_leaves_an_idle_connection() -> None:
    with served(hello, headers_timeout=0.1) as live, live.client() as client:
        client.send(GET + b"\r\n")
        client.reply()
        done = threading.Event()
        eventually(lambda: [c.phase.name for c in live.engine.connections.values()] == ["IDLE"])
        done.wait(0.3)  # three times headers_timeout
        client.send(GET)
        assert client.reply().status == 200


def test_the_connection_of_a_client_that_leaves_early_is_closed(poller: str) -> None:
    with served(echo, poller=poller, threads=1) as live:
        with held(live), live.client() as client:
            client.send(GET * 200)
            client.sock.shutdown(1)
        with held(live), live.client() as client:
            client.send(HEAD % b"" + b"1\r\nx\r\n" * 5000)
        eventually(lambda: not live.engine.connections)


def test_a_stop_does_not_wait_for_all_pipelined_requests() -> None:
    with served(echo, threads=1) as live, live.client() as client:
        with held(live):
            client.send(GET * 200)
            live.engine.stop()
        answers = client.rest()
    assert answers.count(b"HTTP/1.1 200 OK") <= 2
    assert answers.endswith(b"Connection: close\r\n\r\n")
