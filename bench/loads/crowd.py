"""`python -m bench.loads.crowd TRANSPORT PORT MANY PATH`: many connections that mostly wait.

The transport is `websocket` or `sse`. Pings are answered all the time. Commands, as JSON:

- `{"publish": SECONDS, "size": BYTES}`: messages are published by POST /publish, the next one as
  soon as each connection has the last one. Each message is different, and has to arrive once.
- `{"check": true}`: how many connections are open; each WebSocket has to return an echo.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import sys
import time
from collections.abc import Iterator

from bench.commands import HOST
from bench.loads import frames
from bench.loads.control import LoadFailed, percentile, say

AT_ONCE = 128
"""Connections that are being opened at a time: fewer than the shortest backlog of a server."""
PATIENCE = 120.0
ROOM = 65_536
EVENT = b"data: %b\n\n"
SENT = b"data: "
NOTHING = b"(no message is expected)"


class Connection:
    """One connection of the crowd."""

    __slots__ = ("arrived", "open", "sock", "waits")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.arrived = b""
        self.open = False  # the head of the response has come
        self.waits = False  # for the message that is published


class Transport:
    """How a connection is opened, and how a message is found in what it receives."""

    def request(self, port: int, path: str) -> bytes:
        raise NotImplementedError

    def begins(self) -> bytes:
        raise NotImplementedError

    def take(self, connection: Connection, payload: bytes) -> bool:
        """Whether `payload` has come; removes it. Raises LoadFailed if another message came."""
        raise NotImplementedError


class WebSocket(Transport):
    """Messages are frames; each is answered by its echo if it is the crowd that sends it."""

    def request(self, port: int, path: str) -> bytes:
        return frames.handshake(port, path)

    def begins(self) -> bytes:
        return frames.SWITCHED

    def take(self, connection: Connection, payload: bytes) -> bool:
        if connection.arrived == frames.from_server(payload):
            connection.arrived = b""
            return True
        found = False
        while (frame := self._next(connection)) is not None:
            opcode, content = frame
            if opcode == frames.PING:
                connection.sock.sendall(frames.from_client(content, frames.PONG))
            elif opcode == frames.TEXT and not found and carries(content, payload):
                found = True
            elif opcode != frames.PONG:
                raise LoadFailed(f"An unexpected frame ({opcode}) came: {content[:60]!r}.")
        return found

    def _next(self, connection: Connection) -> tuple[int, bytes] | None:
        try:
            frame = frames.split(connection.arrived)
        except ValueError as error:
            raise LoadFailed(str(error)) from None
        if frame is None:
            return None
        connection.arrived = frame[2]
        return frame[:2]


def carries(content: bytes, payload: bytes) -> bool:
    """Whether a message is `payload`, or has it as "data", as the messages of Carboy's channels."""
    if content == payload:
        return True
    return payload in content and bool(json.loads(content)["data"] == payload.decode())


class Sse(Transport):
    """Messages are events, each within one chunk."""

    def request(self, port: int, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()

    def begins(self) -> bytes:
        return b"HTTP/1.1 200 "

    def take(self, connection: Connection, payload: bytes) -> bool:
        before, found, rest = connection.arrived.partition(EVENT % payload)
        if SENT in before and (found or b"\n\n" in before.partition(SENT)[2]):
            raise LoadFailed(f"An unexpected event came: {before[:100]!r}.")
        if found:
            connection.arrived = rest
        elif SENT not in before:
            connection.arrived = before[-len(SENT) :]  # without chunk heads and comments
        return bool(found)


TRANSPORTS: dict[str, Transport] = {"websocket": WebSocket(), "sse": Sse()}


class Crowd:
    """The open connections. Raises LoadFailed where the server does what it must not."""

    def __init__(self, transport: str, port: int, path: str) -> None:
        self.transport = TRANSPORTS[transport]
        self.port = port
        self.path = path
        self.by_number: dict[int, Connection] = {}
        self.poller = select.epoll()
        self.payload = b""
        self.number = 0
        self.publisher = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *exc: object) -> None:
        for each in self.by_number.values():
            each.sock.close()
        self.publisher.close()
        self.poller.close()

    # --- opening

    def open(self, many: int) -> None:
        """Open the connections, some at a time."""
        request = self.transport.request(self.port, self.path)
        opening = 0
        to_open = many
        end = time.monotonic() + PATIENCE
        while to_open or opening:
            while to_open and opening < AT_ONCE:
                self._connect(request)
                to_open -= 1
                opening += 1
            if time.monotonic() > end:
                raise LoadFailed(
                    f"Only {many - to_open - opening} of {many} connections were opened "
                    f"in {PATIENCE:g} s."
                )
            for connection in self._ready(1.0):
                if not connection.open:
                    connection.open = self._has_begun(connection)
                    opening -= connection.open
                if connection.open:
                    self.transport.take(connection, NOTHING)

    def _connect(self, request: bytes) -> None:
        sock = socket.create_connection((HOST, self.port), PATIENCE)
        sock.settimeout(None)  # a timeout costs a system call for each message
        sock.sendall(request)
        self.by_number[sock.fileno()] = Connection(sock)
        self.poller.register(sock, select.EPOLLIN)

    def _has_begun(self, connection: Connection) -> bool:
        head, end, rest = connection.arrived.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(self.transport.begins()):
            raise LoadFailed(f"{self.path} was answered with {head[:200]!r}.")
        connection.arrived = rest
        return True

    # --- what arrives

    def _ready(self, seconds: float) -> Iterator[Connection]:
        """The connections that have received something, after that."""
        for number, _ in self.poller.poll(seconds, len(self.by_number) or 1):
            connection = self.by_number.get(number)
            if connection is None:
                continue
            try:
                data = connection.sock.recv(ROOM)
            except OSError:
                data = b""
            if not data:
                self._lost(connection)
                continue
            connection.arrived += data
            yield connection

    def _lost(self, connection: Connection) -> None:
        if not connection.open or connection.waits:
            raise LoadFailed(f"The server closed a connection after {connection.arrived!r}.")
        self.poller.unregister(connection.sock)
        del self.by_number[connection.sock.fileno()]
        connection.sock.close()

    def idle(self, seconds: float) -> None:
        """Answer pings."""
        for connection in self._ready(seconds):
            self.transport.take(connection, NOTHING)

    def _until_taken(self, waiting: int) -> None:
        """Wait until the message that is expected has come on `waiting` connections."""
        end = time.monotonic() + PATIENCE
        payload, take = self.payload, self.transport.take
        while waiting:
            for connection in self._ready(1.0):
                if take(connection, payload):
                    if not connection.waits:
                        raise LoadFailed(f"A message came twice: {payload[:60]!r}.")
                    connection.waits = False
                    waiting -= 1
            if time.monotonic() > end:
                raise LoadFailed(f"{waiting} connections had no message in {PATIENCE:g} s.")

    # --- commands

    def publish(self, seconds: float, size: int) -> dict[str, float]:
        """Publish for `seconds`. The latency is that of the last connection of each message."""
        times: list[float] = []
        start, used = time.perf_counter(), time.process_time()
        while time.perf_counter() < start + seconds:
            began = time.perf_counter()
            self._publish_one(size)
            times.append(time.perf_counter() - began)
        took = time.perf_counter() - start
        times.sort()
        return {
            "messages": len(times) * len(self.by_number),
            "seconds": took,
            "p50_ms": percentile(times, 0.5) * 1000,
            "p99_ms": percentile(times, 0.99) * 1000,
            "load_busy": (time.process_time() - used) / took,
        }

    def _publish_one(self, size: int) -> None:
        self.payload = self._text(size)
        for connection in self.by_number.values():
            connection.waits = True
        self.publisher.request("POST", "/publish", self.payload, {"Content-Type": "text/plain"})
        self._until_taken(len(self.by_number))
        reply = self.publisher.getresponse()
        reply.read()
        if reply.status not in (200, 204):
            raise LoadFailed(f"/publish was answered with {reply.status}.")

    def _text(self, size: int) -> bytes:
        self.number += 1
        name = b"%08d " % self.number
        return (name * (size // len(name) + 1))[:size]

    def check(self) -> dict[str, float]:
        """The number of connections that are still open."""
        self.idle(0)
        if isinstance(self.transport, WebSocket):
            self.payload = self._text(16)
            message = frames.from_client(self.payload)
            for connection in list(self.by_number.values()):
                connection.waits = True
                connection.sock.sendall(message)
            self._until_taken(len(self.by_number))
        return {"open": len(self.by_number)}


def obey(crowd: Crowd) -> None:
    """Carry out commands until standard input ends."""
    commands = sys.stdin.fileno()
    crowd.poller.register(commands, select.EPOLLIN)
    text = b""
    while True:
        crowd.idle(0.05)
        if not select.select([commands], [], [], 0)[0]:
            continue
        piece = os.read(commands, ROOM)
        if not piece:
            return
        text += piece
        while b"\n" in text:
            line, _, text = text.partition(b"\n")
            command = json.loads(line)
            if "publish" in command:
                say(**crowd.publish(command["publish"], command["size"]))
            else:
                say(**crowd.check())


def main() -> None:
    transport, port, many, path = sys.argv[1:5]
    try:
        with Crowd(transport, int(port), path) as crowd:
            crowd.open(int(many))
            say(ready=many)
            obey(crowd)
    except (LoadFailed, OSError, http.client.HTTPException) as error:
        say(error=str(error) or repr(error))


if __name__ == "__main__":
    main()
