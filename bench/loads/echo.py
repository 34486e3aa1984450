"""`python -m bench.loads.echo PORT CONNECTIONS BYTES`: sends messages, and checks each echo.

Each connection sends its next message as soon as it has the echo of the last one. The messages are
built before the measurement, and differ between connections and from one message to the next, so
that no message can be taken for another. The command `SECONDS` measures.
"""

from __future__ import annotations

import select
import socket
import sys
import time

from bench.commands import HOST
from bench.loads import frames
from bench.loads.control import LoadFailed, percentile, say

PATH = "/echo"
VARIANTS = 8
PATIENCE = 20.0


class Connection:
    """One WebSocket, with its messages and the echoes that they must have."""

    __slots__ = ("arrived", "echoes", "messages", "number", "sent", "sock")

    def __init__(self, sock: socket.socket, index: int, size: int) -> None:
        texts = [message(index, variant, size) for variant in range(VARIANTS)]
        self.messages = [frames.from_client(text) for text in texts]
        self.echoes = [frames.from_server(text) for text in texts]
        self.number = 0
        self.arrived = b""  # the part of an echo that has come
        self.sent = 0.0
        self.sock = sock

    def handshake(self, port: int) -> None:
        """Open the WebSocket. Raises LoadFailed, OSError."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(frames.handshake(port, PATH))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = self.sock.recv(1)  # so that the socket keeps what follows the head
            if not piece:
                raise LoadFailed(f"The handshake was answered with {head[:200]!r}.")
            head += piece
        self.sock.settimeout(None)  # a timeout costs a system call for each message
        if not head.startswith(frames.SWITCHED):
            raise LoadFailed(f"The handshake was answered with {head[:200]!r}.")

    def send(self) -> None:
        self.number = (self.number + 1) % VARIANTS
        self.sent = time.perf_counter()
        self.sock.sendall(self.messages[self.number])

    def complete(self) -> bool:
        """Whether the echo has come. Raises LoadFailed if something else has come."""
        echo = self.echoes[self.number]
        while not self.arrived.startswith(echo):
            if echo.startswith(self.arrived) or not self._control():
                return False
        self.arrived = self.arrived[len(echo) :]
        return True

    def _control(self) -> bool:
        """Take a control frame from the front, and answer a ping. False if it is incomplete."""
        if self.arrived[0] & 0x0F not in (frames.PING, frames.PONG):
            raise LoadFailed(f"A message came back as {self.arrived[:100]!r}.")
        try:
            frame = frames.split(self.arrived)
        except ValueError as error:
            raise LoadFailed(str(error)) from None
        if frame is None:
            return False
        opcode, payload, self.arrived = frame
        if opcode == frames.PING:
            self.sock.sendall(frames.from_client(payload, frames.PONG))
        return True


def message(index: int, variant: int, size: int) -> bytes:
    """A text of `size` bytes that names its connection and its number."""
    name = f"{index:06d}.{variant:02d} ".encode()
    return (name * (size // len(name) + 1))[:size]


class Echoes:
    """The connections, which are used for one measurement after the other."""

    def __init__(self, port: int, size: int) -> None:
        self.port = port
        self.size = size
        self.room = size + 256
        self.by_number: dict[int, Connection] = {}
        self.poller = select.epoll()

    def __enter__(self) -> Echoes:
        return self

    def __exit__(self, *exc: object) -> None:
        for each in self.by_number.values():
            each.sock.close()
        self.poller.close()

    def open(self, many: int) -> None:
        """Open the connections. Raises LoadFailed, OSError."""
        for index in range(many):
            sock = socket.create_connection((HOST, self.port), PATIENCE)
            self.by_number[sock.fileno()] = connection = Connection(sock, index, self.size)
            connection.handshake(self.port)
            self.poller.register(sock, select.EPOLLIN)

    def measure(self, seconds: float) -> dict[str, float]:
        """Messages and latencies of the next `seconds`. Raises LoadFailed, OSError."""
        times: list[float] = []
        by_number, poll, many = self.by_number, self.poller.poll, len(self.by_number)
        start = time.perf_counter()
        used = time.process_time()
        end = start + seconds
        for each in by_number.values():
            each.send()
        waiting = many
        while waiting:
            ready = poll(PATIENCE, many)
            if not ready:
                raise LoadFailed(f"{waiting} messages had no echo within {PATIENCE:g} s.")
            go_on = time.perf_counter() < end
            for number, _ in ready:
                connection = by_number[number]
                if not self._arrived(connection):
                    continue
                times.append(time.perf_counter() - connection.sent)
                if go_on:
                    connection.send()
                else:
                    waiting -= 1
        took = time.perf_counter() - start
        times.sort()
        return {
            "messages": len(times),
            "seconds": took,
            "p50_ms": percentile(times, 0.5) * 1000,
            "p99_ms": percentile(times, 0.99) * 1000,
            "load_busy": (time.process_time() - used) / took,
        }

    def _arrived(self, connection: Connection) -> bool:
        data = connection.sock.recv(self.room)
        if not data:
            raise LoadFailed("The server closed a connection.")
        if not connection.arrived and data == connection.echoes[connection.number]:
            return True
        connection.arrived += data
        return connection.complete()


def main() -> None:
    port, many, size = map(int, sys.argv[1:4])
    try:
        with Echoes(port, size) as echoes:
            echoes.open(many)
            say(ready=many)
            for line in sys.stdin:
                say(**echoes.measure(float(line)))
    except (LoadFailed, OSError) as error:
        say(error=str(error) or repr(error))


if __name__ == "__main__":
    main()
