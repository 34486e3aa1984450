"""The client of `carboy explain`, a separate process so that it does not slow down the server.

Run as a file; it needs only the standard library. Standard input has a JSON document with the
request. Standard output gets the status as soon as it is known and then the size of the body in
bytes, each on a line. An error goes to standard error.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from typing import Any

PAUSE = 0.02  # seconds between two tries to connect
GRACE = 3.0  # seconds for the server to close the connection


def ask(
    port: int, method: str, path: str, fields: dict[str, str], body: str | None, start: float
) -> int:
    """Send the request and print the status; returns the size of the body.

    `start` is the number of seconds that the server may take to start; 0 if it runs already.
    """
    client = http.client.HTTPConnection("127.0.0.1", port)
    connect(client, start)
    connection = client.sock.dup()  # the response closes the other one
    content = None if body is None else body.encode("latin-1")
    encoded = {name: value.encode("utf-8") for name, value in fields.items()}
    client.request(method, path, content, encoded)
    response = client.getresponse()
    print(f"{response.status} {response.reason}".strip(), flush=True)
    size = 0
    while part := response.read1(1 << 20):
        size += len(part)
    if start:
        await_close(connection)
    return size


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
        print(ask(**given))
    except (OSError, http.client.HTTPException) as problem:
        sys.exit(repr(problem))


if __name__ == "__main__":
    main(json.load(sys.stdin))
