"""The relay, with real sockets and turns that the test makes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from carboy.relay.board import Board, Rule
from carboy.relay.frames import Fields, Frame, FrameReader, frame
from carboy.relay.server import RelayServer

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
