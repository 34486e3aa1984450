"""The client of `carboy explain`, a separate process so that it does not slow down the server.

Run as a file; it needs only the standard library, and the package websockets for the messages of a
WebSocket. Standard input has a JSON document with the
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
MESSAGES = (0, 1, 2)  # the opcodes of messages and their fragments (RFC 6455, section 5.2)
NORMAL = 1000  # the code of a close frame


class Exchange:
    """One request, and what has arrived of its response so far."""

    def __init__(self, host: str, port: int) -> None:
        self.client = http.client.HTTPConnection(host, port)
        self.tapped: Tapped | None = None
        self.status = ""
        self.size = 0  # bytes of the body
        self.problem = ""  # why the response is not complete
        self.extensions: list[str] = []  # that the server has chosen for a WebSocket
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
        self.extensions = response.headers.get_all("Sec-WebSocket-Extensions", [])
        while part := response.read1(1 << 20):
            self.size += len(part)
        if response.length:
            self.problem = f"{response.length:,} bytes of the body are missing"
        return response.will_close

    def _converse(self, message: str | None) -> None:
        """Exchange a message, and close the WebSocket; raises OSError if the server is gone."""
        assert self.tapped is not None
        try:
            conversation = Conversation(self.tapped, self.extensions)
        except ImportError:
            self.problem = "messages require the package websockets"
            return
        if message is not None:
            conversation.send_text(message)
            with contextlib.suppress(TimeoutError):
                conversation.receive(ANSWERS, one=True)
        conversation.close()
        conversation.receive(None)
        self.size += conversation.size
        code = conversation.code
        self.note = f"closed with {code}" if code else "closed without a code"
        self.problem = conversation.problem

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


class Conversation:
    """A WebSocket after its handshake. Pings are answered by the package websockets."""

    def __init__(self, connection: Tapped, extensions: list[str]) -> None:
        from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
        from websockets.headers import parse_extension
        from websockets.protocol import CLIENT, State
        from websockets.protocol import Protocol as Machine

        self._connection = connection
        self._machine = Machine(CLIENT, state=State.OPEN, max_size=None)
        for name, parameters in [each for value in extensions for each in parse_extension(value)]:
            if name == ClientPerMessageDeflateFactory.name:
                factory = ClientPerMessageDeflateFactory(client_max_window_bits=True)
                self._machine.extensions = [factory.process_response_params(parameters, [])]
        self.size = 0  # bytes of the content of messages
        # What came with the response is in its buffer, and among the bytes that were kept.
        self._machine.receive_data(bytes(connection.received).partition(b"\r\n\r\n")[2])

    @property
    def code(self) -> int | None:
        """The code of the close frame of the server, 1005 without a code; None: no close frame."""
        closed = self._machine.close_rcvd
        return None if closed is None else int(closed.code)

    @property
    def problem(self) -> str:
        """The rule that the server has broken, or an empty text."""
        error = self._machine.parser_exc
        return "" if error is None or isinstance(error, EOFError) else str(error)

    def send_text(self, text: str) -> None:
        """Send a message."""
        self._machine.send_text(text.encode())
        self._flush()

    def close(self) -> None:
        """Send a close frame, unless one has been sent as an answer."""
        if self._machine.close_sent is None:
            self._machine.send_close(NORMAL)
        with contextlib.suppress(OSError):  # the server may have closed the connection
            self._flush()

    def receive(self, patience: float | None, one: bool = False) -> None:
        """Receive up to the first message, or up to the close frame or the end of the connection.

        Raises TimeoutError if nothing comes within `patience` seconds.
        """
        self._connection.settimeout(patience)
        while True:
            frames: list[Any] = self._machine.events_received()
            messages = [frame for frame in frames if frame.opcode in MESSAGES]
            self.size += sum(len(frame.data) for frame in messages)
            if (one and messages) or self._machine.close_rcvd or self._machine.parser_exc:
                return
            piece = bytearray(1 << 16)
            count = self._connection.recv_into(piece)
            if not count:
                return
            self._machine.receive_data(bytes(piece[:count]))
            with contextlib.suppress(OSError):
                self._flush()  # answers to pings and to a close

    def _flush(self) -> None:
        for data in self._machine.data_to_send():
            if data:
                self._connection.sendall(data)


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
