"""The client of `carboy explain`, a separate process so that it does not slow down the server.

Run as a file; it needs only the standard library. Standard input has a JSON document with the
request. Standard output gets the status as soon as it is known, then the size of the body in
bytes, and, if the server was started for the request, the first bytes sent and received and their
whole numbers as JSON, each on a line. An error goes to standard error.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from typing import Any

PAUSE = 0.02  # seconds between two tries to connect
MOST = 1 << 16  # bytes that are kept
GRACE = 3.0  # seconds for the server to close the connection


def ask(
    port: int,
    method: str,
    path: str,
    fields: list[tuple[str, str]],
    body: str | None,
    start: float,
) -> None:
    """Send the request and print the status, the size of the body, and the bytes if `start`.

    `start` is the number of seconds that the server may take to start; 0 if it runs already.
    """
    client = http.client.HTTPConnection("127.0.0.1", port)
    connect(client, start)
    connection = client.sock.dup()  # the response closes the other one
    tapped = client.sock = Tapped(client.sock)
    send(client, method, path, fields, None if body is None else body.encode("latin-1"))
    response = client.getresponse()
    print(f"{response.status} {response.reason}".strip(), flush=True)
    size = 0
    while part := response.read1(1 << 20):
        size += len(part)
    if start:
        await_close(connection)
    print(size)
    if start:
        kept = [str(each, "latin-1") for each in (tapped.sent, tapped.received)]
        print(json.dumps([*kept, tapped.sent_size, tapped.received_size]))


def send(
    client: http.client.HTTPConnection,
    method: str,
    path: str,
    fields: list[tuple[str, str]],
    content: bytes | None,
) -> None:
    """Send the request with these fields only; with Transfer-Encoding, its body in chunks."""
    client.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in fields:
        client.putheader(name, value.encode("utf-8"))
    is_chunked = any(name.lower() == "transfer-encoding" for name, _ in fields)
    client.endheaders(content, encode_chunked=is_chunked)


class Tapped(socket.socket):
    """A socket that keeps the first bytes that it sends and receives."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(fileno=connected.detach())
        self.sent = bytearray()
        self.received = bytearray()
        self.sent_size = 0
        self.received_size = 0

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all bytes."""
        self.sent += bytes(data)[: MOST - len(self.sent)]
        self.sent_size += len(data)
        super().sendall(data, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive bytes; how many."""
        count = super().recv_into(buffer, nbytes, flags)
        self.received += bytes(buffer[:count])[: MOST - len(self.received)]
        self.received_size += count
        return count


def connect(client: http.client.HTTPConnection, start: float) -> None:
    """Connect, as soon as the server listens. A try that is refused does not reach the server."""
    end = time.monotonic() + start
    while True:
        try:
            return client.connect()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE)


def await_close(connection: socket.socket) -> None:
    """Tell the server that nothing follows, and wait until the server closes the connection."""
    connection.settimeout(GRACE)
    try:
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass
    except OSError:
        pass  # the server is slow, or has closed it already


def main(given: dict[str, Any]) -> None:
    """Send the request and print the result."""
    try:
        ask(**given)
    except (OSError, http.client.HTTPException) as problem:
        sys.exit(repr(problem))


if __name__ == "__main__":
    main(json.load(sys.stdin))
