"""The client of `carboy explain`, a separate process so that it does not slow down the server.

Run as a file; it needs only the standard library. Standard input has a JSON document with the
request. Standard output gets a JSON document with the response as far as it has arrived: when it is
complete, after `patience` seconds, or when the process is told to end (SIGTERM).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

PAUSE = 0.02  # seconds between two tries to connect
MOST = 1 << 16  # bytes that are kept
CLOSED = "the server closed the connection"
CLOSES = 1.0  # seconds for a server that said that it closes the connection
GRACE = 3.0  # seconds for the server to close the connection
ANSWERS = 10.0  # seconds for a server to answer the message of a WebSocket
CONTINUATION, TEXT, BINARY, CLOSE = 0, 1, 2, 8  # opcodes of WebSocket
NORMAL = (1000).to_bytes(2)  # the code of a close frame
NO_CODE = (1005).to_bytes(2)


class Exchange:
    """One request, and what has arrived of its response so far."""

    def __init__(self, host: str, port: int) -> None:
        self.client = http.client.HTTPConnection(host, port)
        self.tapped: Tapped | None = None
        self.status = ""
        self.size = 0  # bytes of the body
        self.problem = ""  # why the response is not complete
        self.note = ""  # how a WebSocket was closed
        self.over = threading.Event()

    def run(
        self,
        method: str,
        path: str,
        fields: list[tuple[str, str]],
        body: str | None,
        start: float,
        message: str | None = None,
    ) -> None:
        """Send the request and read the response.

        After the response 101, the client sends `message` if there is one, waits for the first
        message of the server, and closes the WebSocket.
        `start` is the number of seconds that the server may take to start; 0 if it runs already.
        The server is then given time to close the connection, too.
        """
        try:
            connect(self.client, start)
            connection = self.client.sock.dup()  # the response closes the other one
            self.tapped = self.client.sock = Tapped(self.client.sock)
            content = None if body is None else body.encode("latin-1")
            with contextlib.suppress(OSError):  # the server may have answered without the body
                send(self.client, method, path, fields, content)
            is_last = self._read()
            if self.status.startswith("101"):
                self._converse(message)
            if start:
                await_close(connection, is_last)
        except (OSError, http.client.HTTPException) as error:
            self.problem = said(error)
        self.over.set()

    def _read(self) -> bool:
        """Read the response; whether the server closes the connection after it."""
        response = self.client.getresponse()
        self.status = f"{response.status} {response.reason}".strip()
        while part := response.read1(1 << 20):
            self.size += len(part)
        if response.length:
            self.problem = f"{response.length:,} bytes of the body are missing"
        return response.will_close

    def _converse(self, message: str | None) -> None:
        """Exchange a message, and close the WebSocket; raises OSError if the server is gone."""
        assert self.tapped is not None
        # What came with the response is in its buffer, and among the bytes that were kept.
        frames = Frames(self.tapped, bytes(self.tapped.received).partition(b"\r\n\r\n")[2])
        code = b""
        if message is not None:
            self.tapped.sendall(frame(TEXT, message.encode()))
            code = self._await_message(frames)
        with contextlib.suppress(OSError):  # the server may have closed the connection
            self.tapped.sendall(frame(CLOSE, code or NORMAL))
        while not code and (found := frames.next()) is not None:
            code = self._heard(*found)
        number = int.from_bytes(code[:2]) if len(code) > 1 else 0
        self.note = f"closed with {number}" if number else "closed without a code"

    def _await_message(self, frames: Frames) -> bytes:
        """Wait for the first message of the server; the content of its close frame, or b""."""
        frames.patience = ANSWERS
        with contextlib.suppress(TimeoutError):
            while (found := frames.next()) is not None:
                if code := self._heard(*found):
                    return code
                if found[0] in (TEXT, BINARY):
                    break
        frames.patience = None
        return b""

    def _heard(self, kind: int, content: bytes) -> bytes:
        """Count a frame; the content of a close frame, with 1005 if it has no code."""
        if kind in (TEXT, BINARY, CONTINUATION):
            self.size += len(content)
        return (content or NO_CODE) if kind == CLOSE else b""

    def document(self, cut: str) -> dict[str, Any]:
        """The parts that have arrived. `cut` says why the response was cut off."""
        tapped = self.tapped
        return {
            "status": "; ".join(filter(None, [self.status, self.note])),
            "size": self.size,
            "sent": str(tapped.sent, "latin-1") if tapped else "",
            "received": str(tapped.received, "latin-1") if tapped else "",
            "sent_size": tapped.sent_size if tapped else 0,
            "received_size": tapped.received_size if tapped else 0,
            "problem": self.problem or cut,
            "connected": tapped is not None,
        }


class Frames:
    """The frames that a server sends (RFC 6455, section 5.2). It masks none of them."""

    def __init__(self, connection: Tapped, data: bytes) -> None:
        self._connection = connection
        self._data = bytearray(data)
        self.patience: float | None = None  # seconds for the next bytes

    def next(self) -> tuple[int, bytes] | None:
        """Opcode and content of the next frame; None at the end of the connection.

        Raises TimeoutError if nothing comes within `patience`.
        """
        size, start = 0, 2
        while len(self._data) < 2 or len(self._data) < start + size:
            if len(self._data) >= 2:
                size, start = self._size()
                if len(self._data) >= start + size:
                    break
            piece = bytearray(1 << 16)
            self._connection.settimeout(self.patience)
            count = self._connection.recv_into(piece)
            if not count:
                return None
            self._data += piece[:count]
        size, start = self._size()
        kind, content = self._data[0] & 0x0F, bytes(self._data[start : start + size])
        del self._data[: start + size]
        return kind, content

    def _size(self) -> tuple[int, int]:
        """The size of the content, and where it begins, as far as the bytes say it."""
        short = self._data[1] & 0x7F
        if short < 126:
            return short, 2
        end = 4 if short == 126 else 10
        return int.from_bytes(self._data[2:end]), end


def frame(kind: int, content: bytes) -> bytes:
    """A frame of a client, masked (RFC 6455, section 5.3)."""
    size = len(content)
    if size < 126:
        head = bytes([0x80 | kind, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([0x80 | kind, 0x80 | 126]) + size.to_bytes(2)
    else:
        head = bytes([0x80 | kind, 0x80 | 127]) + size.to_bytes(8)
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(content))
    return head + mask + masked


def said(error: Exception) -> str:
    """The meaning of an error of the connection."""
    if isinstance(error, http.client.RemoteDisconnected):
        return f"{CLOSED} without a response"
    if isinstance(error, http.client.IncompleteRead | ConnectionResetError):
        return f"{CLOSED} before the end"
    return repr(error)


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


def await_close(connection: socket.socket, is_last: bool) -> None:
    """Wait until the server closes the connection, and tell it that nothing follows.

    A server that said that it closes the connection is first given the time to do so: what it reads
    before the close must not depend on which of the two is faster.
    """
    try:
        if is_last and _has_closed(connection, CLOSES):
            return
        connection.shutdown(socket.SHUT_WR)
        _has_closed(connection, GRACE)
    except OSError:
        pass  # the server has closed it already


def _has_closed(connection: socket.socket, patience: float) -> bool:
    """Whether the server closes the connection within these seconds."""
    connection.settimeout(patience)
    try:
        while connection.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    return True


def main(host: str, port: int, patience: float, **request: Any) -> None:
    """Send the request and print what has arrived when it is over."""
    exchange = Exchange(host, port)
    signal.signal(signal.SIGTERM, lambda *_: exchange.over.set())
    threading.Thread(target=exchange.run, kwargs=request, daemon=True).start()
    in_time = exchange.over.wait(patience)
    late = "cut off after" if exchange.status else "no response within"
    document = exchange.document("" if in_time else f"{late} {patience:g} s")
    with contextlib.suppress(BrokenPipeError):  # the application has ended the other process
        print(json.dumps(document), flush=True)
    os._exit(0)  # the thread may be waiting


if __name__ == "__main__":
    main(**json.load(sys.stdin))
