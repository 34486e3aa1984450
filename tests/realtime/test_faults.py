"""Faults beside open streams: clients that half-close or leave, a relay that does not answer."""

from __future__ import annotations

import itertools
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from carboy import publish
from carboy.realtime.engine import Message
from carboy.realtime.local_engine import LocalEngine
from carboy.relay.frames import LARGEST_DATA
from carboy.server.settings import Settings
from realtime_server import post, runtime_folder, start, until
from running import PATIENCE, Running
from websocket_client import handshake

names = map(str, itertools.count())
GET = "GET {} HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = "GET {} HTTP/1.0\r\nHost: a\r\n\r\n"
POST = "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Running]:
    with start(project, "--threads", "2", workers=1, app="fault_app:app") as running:
        running.address()
        yield running
        assert running.stop() == 0, running.text()


class Client:
    """A connection of which tests read up to a text."""

    def __init__(self, server: Running, request: bytes) -> None:
        self.sock = socket.create_connection(server.address(), timeout=PATIENCE)
        self.sock.sendall(request)
        self.data = b""

    def until(self, text: bytes) -> None:
        while text not in self.data:
            piece = self.sock.recv(65536)
            assert piece, f"the connection ended after {self.data!r}"
            self.data += piece

    def to_end(self) -> None:
        while piece := self.sock.recv(65536):
            self.data += piece

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()


def subscribers(server: Running, channel: str) -> int:
    return int(server.get(f"/subscribers/{channel}")[1])


# --- half-closed clients


@pytest.mark.parametrize("request_text", [GET, OLD, POST], ids=["GET", "HTTP 1.0", "with a body"])
def test_a_client_that_ends_its_side_gets_all_messages(server: Running, request_text: str) -> None:
    channel = next(names)
    with Client(server, request_text.format(f"/hold/{channel}").encode()) as client:
        client.sock.shutdown(socket.SHUT_WR)
        client.until(b"retry: 3000\n\n")
        for number in range(3):
            post(server.address(), f"/publish/{channel}", f"message {number}")
        client.until(b"data: message 2\n\n")
        assert b"data: message 0\n\n" in client.data
    until(lambda: subscribers(server, channel) == 0, "the client has left")


@pytest.mark.parametrize("kind", ["sse", "stream"])
@pytest.mark.parametrize("request_text", [GET, OLD, POST], ids=["GET", "HTTP 1.0", "with a body"])
def test_a_client_that_ends_its_side_gets_the_whole_stream(
    server: Running, kind: str, request_text: str
) -> None:
    name = next(names)
    with Client(server, request_text.format(f"/{kind}/{name}").encode()) as client:
        client.sock.shutdown(socket.SHUT_WR)
        client.until(b"first")
        post(server.address(), f"/go/{name}")
        client.until(b"last")
        client.to_end()
        if request_text != OLD:
            # The test for a client that has gone may have been the first digit of the last size.
            assert re.search(rb"\r\n0+\r\n\r\n$", client.data)


def test_a_websocket_whose_client_ends_its_side_is_closed(server: Running) -> None:
    channel = next(names)
    with Client(server, handshake(f"/hold/{channel}")) as client:
        client.until(b"\r\n\r\n")
        until(lambda: subscribers(server, channel) == 1, "the client has come")
        client.sock.shutdown(socket.SHUT_WR)
        client.to_end()
        until(lambda: subscribers(server, channel) == 0, "the client has left")


# --- busy threads


def test_messages_arrive_and_clients_come_while_all_threads_wait(server: Running) -> None:
    channel, gate = next(names), next(names)
    with ExitStack() as stack:
        held = GET.format(f"/hold/{channel}").encode()
        first = stack.enter_context(Client(server, held))
        first.until(b"retry: 3000\n\n")
        post(server.address(), f"/publish/{channel}", "before")
        waiting = [
            stack.enter_context(Client(server, GET.format(f"/wait/{gate}").encode()))
            for _ in range(4)
        ]
        second = stack.enter_context(Client(server, held))
        second.until(b"retry: 3000\n\n")
        post(server.address(), f"/publish/{channel}", "meanwhile")
        for client in (first, second):
            client.until(b"data: meanwhile\n\n")
        post(server.address(), f"/go/{gate}")
        for client in waiting:
            client.until(b"waited")


# --- the relay


def test_clients_that_leave_before_their_channels_are_attached_are_forgotten(
    server: Running,
) -> None:
    """The relay is in the supervisor, which is stopped meanwhile."""
    channel = next(names)
    held = GET.format(f"/hold/{channel}").encode()
    with Client(server, held) as stays:
        stays.until(b"retry: 3000\n\n")
        server.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(5):
                with Client(server, held):
                    assert server.get("/quick") == (200, b"quick")
            text = post(server.address(), f"/publish/{channel}?timeout=0.1", "lost")
            assert b"has not answered within 0.1 s" in text
        finally:
            server.process.send_signal(signal.SIGCONT)
        until(lambda: subscribers(server, channel) == 1, "the others have left")
        post(server.address(), f"/publish/{channel}", "after")
        stays.until(b"data: after\n\n")


def test_a_socket_that_something_removes_is_made_again(server: Running, project: Path) -> None:
    channel = next(names)
    (path,) = Path(runtime_folder(project), "carboy").glob("*.sock")
    with Client(server, GET.format(f"/hold/{channel}").encode()) as client:
        client.until(b"retry: 3000\n\n")
        path.unlink()
        post(server.address(), f"/publish/{channel}", "meanwhile")
        client.until(b"data: meanwhile\n\n")
        server.line(f"The socket of channels {path} was removed and has been made again.")
        other = LocalEngine(lambda: str(path))
        try:
            other.publish(Message(channel, "from a script"), PATIENCE)
        finally:
            other.stop(PATIENCE)
        client.until(b"data: from a script\n\n")


def test_a_server_that_cannot_make_its_socket_has_no_channels_and_says_so(tmp_path: Path) -> None:
    """Its workers do not make relays of their own, which would carry messages to themselves."""
    path = tmp_path / "missing" / "own.sock"
    options = ("--channels-socket", str(path), "--workers", "2")
    with start(tmp_path, *options, app="fault_app:app") as running:
        running.line("There are no channels, because their socket cannot be made")
        path.parent.mkdir()
        for _ in range(4):
            assert running.get("/hold/room")[0] == 500
            assert b"This server has no channels" in post(running.address(), "/publish/room", "x")
        assert running.get("/quick") == (200, b"quick")
        running.line("EngineError: The relay of channels cannot be started: This server has no")
        assert not path.exists()


# --- large messages


def test_data_that_no_server_accepts_is_refused_before_it_is_sent() -> None:
    for data in (bytes(LARGEST_DATA + 1), "x" * (LARGEST_DATA + 1), "é" * (LARGEST_DATA // 2 + 1)):
        with pytest.raises(ValueError, match="longer than a channel carries"):
            publish("room", data)


def test_a_server_cannot_accept_more_than_a_channel_carries() -> None:
    assert Settings(channel_max_message=LARGEST_DATA)
    with pytest.raises(ValueError, match="channel_max_message must be at most 16777216"):
        Settings(channel_max_message=LARGEST_DATA + 1)


def test_a_message_of_the_largest_size_arrives(tmp_path: Path) -> None:
    options = ("--channel-max-message", "16m", "--hold-buffer", "40m")
    with start(tmp_path, *options, workers=1, app="fault_app:app") as running:
        with Client(running, GET.format("/hold/room").encode()) as client:
            client.until(b"retry: 3000\n\n")
            data = "x" * LARGEST_DATA
            assert b"longer than" not in post(running.address(), "/publish/room", data)
            count = 0
            while count < LARGEST_DATA:
                piece = client.sock.recv(1 << 20)
                assert piece
                count += piece.count(b"x")
