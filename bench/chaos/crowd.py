"""Many bad clients: connections that send or read slowly, or disconnect."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from bench.chaos.client import Address

SMALL_BUFFER = 4096  # bytes that the kernel buffers for a client that does not read
CONNECT_SECONDS = 5.0

Habit = Callable[[socket.socket], bool]
"""What a bad client does in its turn; False when its connection has ended."""


class Crowd:
    """`many` connections that first send `first`; a context manager.

    With a habit, each connection has its turn every `pause` seconds, in one thread. With `again`, a
    connection that has ended is replaced.
    """

    def __init__(
        self,
        address: Address,
        many: int,
        first: bytes,
        habit: Habit | None = None,
        *,
        pause: float = 0.5,
        again: bool = False,
    ) -> None:
        self.address = address
        self.many = many
        self.first = first
        self.habit = habit
        self.pause = pause
        self.again = again
        self.sockets: list[socket.socket] = []
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._act, daemon=True)

    def __enter__(self) -> Crowd:
        for _ in range(self.many):
            self._join_in()
        if self.habit is not None:
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._enough.set()
        if self.habit is not None:
            self._thread.join()
        self.leave()

    def leave(self) -> None:
        """Close all connections."""
        for one in self.sockets:
            one.close()
        self.sockets.clear()

    def held(self) -> int:
        """The number of connections that the server has not closed."""
        return sum(map(is_open, self.sockets))

    def _join_in(self) -> None:
        one = socket.socket()
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            one.settimeout(CONNECT_SECONDS)
            one.connect(self.address)
            one.sendall(self.first)
            one.setblocking(False)
        except OSError:
            one.close()
        else:
            self.sockets.append(one)

    def _act(self) -> None:
        assert self.habit is not None
        while not self._enough.wait(self.pause):
            for one in list(self.sockets):
                if not self.habit(one):
                    self.sockets.remove(one)
                    one.close()
                    if self.again:
                        self._join_in()


def drip(piece: bytes) -> Habit:
    """Send `piece` in each turn."""

    def habit(one: socket.socket) -> bool:
        try:
            one.send(piece)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    return habit


def sip(most: int) -> Habit:
    """Read at most `most` bytes in each turn."""

    def habit(one: socket.socket) -> bool:
        try:
            return bool(one.recv(most))
        except BlockingIOError:
            return True
        except OSError:
            return False

    return habit


def is_open(one: socket.socket) -> bool:
    """Whether the server has not closed the connection. Discards what it has sent."""
    try:
        while one.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
