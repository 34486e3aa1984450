"""Faults in the middle of messages to many clients, of which one does not read."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from event_stream import Reader
from realtime_server import post, start, until
from running import PATIENCE, Running, children

CLIENTS = 30
MESSAGES = 60
LARGE = 100_000  # bytes of a message that soon fills what is kept for a client


class Follower:
    """A client as EventSource is: it connects again, with the id of its last event."""

    def __init__(self, followers: Followers) -> None:
        self.followers = followers
        self.got: list[str] = []
        self.lost: list[str] = []  # events that say that messages are missing
        self.last = ""
        self.connect()

    def connect(self) -> None:
        self.sock = socket.create_connection(self.followers.address, timeout=PATIENCE)
        last = f"Last-Event-ID: {self.last}\r\n" if self.last else ""
        self.sock.sendall(f"GET /events?channel=long:room HTTP/1.0\r\n{last}\r\n".encode())
        self.head = b""
        self.reader: Reader | None = None
        self.followers.selector.register(self.sock, selectors.EVENT_READ, self)

    def read(self) -> None:
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            self.close()
            self.connect()
            return
        if self.reader is None:
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 200 "), head
            self.reader = Reader()
            self.reader._id = self.last
        for event in self.reader.feed(data):
            (self.lost if event.type == "reset" else self.got).append(event.data.split()[0])
            self.last = event.last_event_id

    @property
    def is_open(self) -> bool:
        """Whether the server has attached its channel: it has sent a `retry`."""
        return self.reader is not None and self.reader.retry is not None

    def close(self) -> None:
        self.followers.selector.unregister(self.sock)
        self.sock.close()


class Followers(threading.Thread):
    """Many clients on one thread."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        super().__init__()
        self.address = address
        self.selector = selectors.DefaultSelector()
        self.done: Callable[[], bool] = lambda: False
        self.failure: BaseException | None = None
        self.all = [Follower(self) for _ in range(count)]

    def run(self) -> None:
        try:
            while not self.done():
                for key, _ in self.selector.select(0.05):
                    key.data.read()
        except BaseException as failure:
            self.failure = failure

    def __enter__(self) -> Followers:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.done = lambda: True
        self.join(PATIENCE)
        for each in self.all:
            each.close()
        self.selector.close()


def test_a_reload_and_a_killed_worker_lose_no_message_of_clients_that_read(
    tmp_path: Path,
) -> None:
    # Clients that read may be slow on a busy machine. Then they continue from the history.
    options = ("--hold-buffer", "64k", "--high-water", "64k")
    with start(tmp_path, *options) as running, Followers(running.address(), CLIENTS) as followers:
        until(lambda: followers.failure or all(e.is_open for e in followers.all), "clients")
        sent: list[str] = []
        with does_not_read(running):
            while not any("closed because their clients do not read" in e for e in running.err):
                publish(running, sent, LARGE)
        for _ in range(MESSAGES // 3):
            publish(running, sent)
        running.send(signal.SIGHUP)
        for _ in range(MESSAGES // 3):
            publish(running, sent)
        running.line("All workers have been replaced")
        os.kill(max(children(running.pid)), signal.SIGKILL)  # one of the new workers
        for _ in range(MESSAGES // 3):
            publish(running, sent)
        running.line("another one takes its place")
        until(
            lambda: followers.failure or all(len(e.got) >= len(sent) for e in followers.all),
            "all messages",
        )
        assert followers.failure is None
        assert all(each.got == sent for each in followers.all)
        assert not any(each.lost for each in followers.all)


def does_not_read(running: Running) -> socket.socket:
    """A client whose kernel takes little, and that never reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(running.address())
    sock.sendall(b"GET /events?channel=long:room HTTP/1.0\r\n\r\n")
    return sock


def publish(running: Running, sent: list[str], size: int = 100) -> None:
    """Publish the next number; a request to a worker that is killed meanwhile is made again."""
    number = str(len(sent))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            post(running.address(), "/publish/long:room", number.ljust(size))
            break
        except ConnectionError:
            pass
    sent.append(number)
