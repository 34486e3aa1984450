"""A client of WebSockets over HTTP/2 (RFC 8441): h2 for the stream, websockets for the frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from http2_client import Http2Client, http2

VERSION = ("sec-websocket-version", "13")


class Http2WebSocket:
    """A WebSocket on a stream of a client."""

    def __init__(self, client: Http2Client, number: int) -> None:
        self.client = client
        self.number = number
        self.reply = client.replies[number]
        self.protocol = Protocol(Side.CLIENT, state=OPEN, max_size=None)
        self.frames: deque[Frame] = deque()
        self.ended = False  # by the client
        self._fed = 0

    def deflate(self) -> None:
        """Compress as the server has agreed to."""
        agreed = self.reply.headers["sec-websocket-extensions"]
        assert agreed.startswith("permessage-deflate"), agreed
        extension = PerMessageDeflate(
            remote_no_context_takeover="server_no_context_takeover" in agreed,
            local_no_context_takeover="client_no_context_takeover" in agreed,
            remote_max_window_bits=15, local_max_window_bits=15,
        )  # fmt: skip
        self.protocol.extensions = [extension]

    # --- out

    def flush(self) -> None:
        data = b"".join(self.protocol.data_to_send())
        if data:
            self.client.send(self.number, data, end=False)

    def end(self) -> None:
        """End the stream without a close frame."""
        self.ended = True
        self.client.end(self.number)

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        self.flush()

    def ping(self, data: bytes) -> None:
        self.protocol.send_ping(data)
        self.flush()

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        self.protocol.send_close(code, reason)
        self.flush()

    # --- in

    def _feed(self) -> None:
        body = self.reply.body
        if len(body) > self._fed:
            data, self._fed = body[self._fed :], len(body)
            self.protocol.receive_data(data)
            for event in self.protocol.events_received():
                assert isinstance(event, Frame)
                self.frames.append(event)
            if not (self.reply.ended or self.reply.reset is not None):
                self.flush()

    def frame(self) -> Frame:
        """The next frame, control frames included."""
        while not self.frames:
            self._feed()
            if not self.frames:
                assert not self.over, "the stream has ended"
                assert self.client.step(), "the connection has ended"
                self._feed()
        return self.frames.popleft()

    def message(self) -> str | bytes:
        """The next message; control frames before it are left out."""
        data = b""
        kind = None
        while True:
            found = self.frame()
            if found.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                kind = kind or found.opcode
                data += found.data
                if found.fin:
                    return data.decode() if kind is Opcode.TEXT else data
            else:
                assert found.opcode is not Opcode.CLOSE, found

    def closed(self) -> tuple[int, str]:
        """Code and reason of the server's close frame; messages before it are left out."""
        while True:
            found = self.frame()
            if found.opcode is Opcode.CLOSE:
                if not found.data:
                    return 1005, ""
                data = bytes(found.data)
                return int.from_bytes(data[:2]), data[2:].decode()

    @property
    def over(self) -> bool:
        return self.reply.ended or self.reply.reset is not None

    def until_over(self) -> int | None:
        """Wait for the end of the stream; the code of a reset, None if the server has ended it."""
        self.client.until(lambda: self.over)
        if self.reply.reset is None and not self.ended:
            self.ended = True
            self.client.end(self.number)
        return self.reply.reset


def connect(
    client: Http2Client,
    path: str = "/",
    fields: Sequence[tuple[str, str]] = (),
    end: bool = False,
    **more: Any,
) -> Http2WebSocket:
    """Ask for a WebSocket, and wait for the response."""
    more = {"protocol": "websocket", **more}
    number = client.request("CONNECT", path, [VERSION, *fields], end=end, **more)
    websocket = Http2WebSocket(client, number)
    websocket.ended = end
    reply = websocket.reply
    client.until(lambda: reply.headers or reply.reset is not None)
    return websocket


@contextmanager
def websocket(live: Any, path: str = "/", **more: Any) -> Iterator[Http2WebSocket]:
    """A WebSocket on a connection of its own, accepted."""
    with http2(live) as client:
        found = connect(client, path, **more)
        assert found.reply.status == 200, (found.reply.headers, found.reply.body)
        yield found
