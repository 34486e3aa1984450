"""The relay, with real sockets and turns that the test makes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from carboy.relay import place
from carboy.relay.board import Board, Rule
from carboy.relay.frames import Fields, Frame, FrameReader, frame
from carboy.relay.server import RelayServer
from carboy.relay.socket_file import INTERVAL

COUNT, SIZE, BUFFER = 40, 100_000, 10_000


class Peer:
    """A worker or a publisher; the relay makes a turn for each look."""

    def __init__(self, relay: RelayServer, path: str) -> None:
        self.relay = relay
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.setblocking(False)
        self.reader = FrameReader()
        self.frames: list[Frame] = []

    def send(self, data: bytes = b"", **fields: object) -> None:
        left: bytes = frame(dict(fields), data)
        while left:
            try:
                left = left[self.sock.send(left) :]
            except BlockingIOError:
                pass
            self.relay.turn()

    def until(self, done: Callable[[Fields], object]) -> None:
        while not any(done(fields) for fields, _ in self.frames):
            self.relay.turn()
            try:
                received = self.sock.recv(1 << 16)
            except BlockingIOError:
                continue
            assert received, "the relay has closed the connection"
            self.frames += self.reader.feed(received)


def test_a_replay_longer_than_the_buffer_is_not_a_slow_worker(tmp_path: Path) -> None:
    """The next message would end its connection, again and again, and it would never get it."""
    path = str(tmp_path / "relay")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        relay = RelayServer(listener, Board(Rule("*", COUNT, 0.0), 1 << 30), BUFFER, SIZE)
        publisher, worker = Peer(relay, path), Peer(relay, path)
        for _ in range(COUNT):
            publisher.send(bytes(SIZE), do="publish", channel="room")
        publisher.until(lambda fields: fields.get("order") == COUNT)
        first = publisher.frames[0][0]["id"]
        worker.send(do="resume", channels=["room"], after=first, key=0)
        for _ in range(2):
            publisher.send(b"x", do="publish", channel="room")
        publisher.until(lambda fields: fields.get("order") == COUNT + 2)
        worker.until(lambda fields: fields.get("o") == COUNT + 2)
        messages = [fields["o"] for fields, _ in worker.frames if "o" in fields]
        assert messages == list(range(2, COUNT + 3))
        assert relay.slow == 0
        figures = relay.figures()
        assert figures["messages"] == COUNT + 2
        assert figures["history_bytes"] > (COUNT - 3) * SIZE
        assert figures["connections"] == 2
        for peer in (publisher, worker):
            peer.sock.close()
        relay.close()


def test_a_worker_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    path = str(tmp_path / "relay")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        relay = RelayServer(listener, Board(Rule("*", 0, 0.0), 1 << 30), BUFFER, SIZE)
        publisher, worker = Peer(relay, path), Peer(relay, path)
        worker.send(do="attach", channel="room", key=1)
        worker.until(lambda fields: fields.get("replay") == 1)
        while not relay.slow:
            publisher.send(bytes(SIZE), do="publish", channel="room")
        for peer in (publisher, worker):
            peer.sock.close()
        relay.close()


def test_a_peer_that_sends_nonsense_is_disconnected_and_the_relay_goes_on(tmp_path: Path) -> None:
    path = str(tmp_path / "relay")
    deep = b"[" * 100_000
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        relay = RelayServer(listener, Board(Rule("*", 0, 0.0), 1 << 30), BUFFER, SIZE)
        for nonsense in (
            b"GET / HTTP/1.1\r\n\r\n", struct.pack(">I", len(deep)) + deep, frame({"do": "fly"}),
            frame({"do": "attach"}), frame({"do": "rules", "rules": 3}),
            frame({"do": "join", "channel": ["room"], "count": 1}),
        ):  # fmt: skip
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(path)
                peer.sendall(nonsense)
                peer.setblocking(False)
                while True:
                    relay.turn()
                    try:
                        assert peer.recv(1) == b""
                        break
                    except BlockingIOError:
                        pass
        publisher = Peer(relay, path)
        publisher.send(b"x", do="publish", channel="room")
        publisher.until(lambda fields: fields.get("order") == 1)
        publisher.sock.close()
        relay.close()


def test_a_socket_file_is_made_again_unless_another_server_has_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "relay"
    relay = RelayServer(place.listen(str(path)), Board(Rule(), 1 << 30), BUFFER, SIZE)
    relay.file.look(0.0)
    assert caplog.records == []
    path.unlink()
    with place.listen(str(path)):
        for step in (1, 2):
            relay.file.look(step * INTERVAL)
        assert "cannot be made again: Another server uses the socket" in caplog.text
        assert len(caplog.records) == 1
        relay.file.remove()
        assert path.exists()
    path.unlink()
    relay.file.look(3 * INTERVAL)
    assert "was removed and has been made again" in caplog.text
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
    relay.file.remove()
    assert not path.exists()
    relay.close()
