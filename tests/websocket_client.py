"""A WebSocket client that can break every rule, for tests: raw frames on a socket."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from live_engine import Client, Live, Reply

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def handshake(path: str = "/", **changes: str | None) -> bytes:
    """A handshake; `changes` replaces fields (with "_" for "-"), and None leaves one out."""
    fields: dict[str, str | None] = {
        "Host": "example.test", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13",
    }  # fmt: skip
    fields.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value is not None]
    return f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1")


def frame(
    opcode: int,
    payload: bytes | str = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    form: int | None = None,
) -> bytes:
    """A frame of a client; `form` is the size of the extended length: 0, 2 or 8 bytes."""
    data = payload.encode() if isinstance(payload, str) else payload
    if form is None:
        form = 0 if len(data) < 126 else 2 if len(data) < 1 << 16 else 8
    short = {0: len(data), 2: 126, 8: 127}[form]
    head = bytes(((fin << 7) | (rsv << 4) | opcode, (mask is not None) << 7 | short))
    head += len(data).to_bytes(form, "big") if form else b""
    if mask is None:
        return head + data
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    masked = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
    return head + mask + masked.to_bytes(len(data), "big")


def close(code: int | None = 1000, reason: str = "") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


class Frame:
    def __init__(self, opcode: int, payload: bytes, rsv: int) -> None:
        self.opcode = opcode
        self.payload = payload
        self.rsv = rsv

    def __repr__(self) -> str:
        return f"<{self.opcode} {self.payload[:60]!r} {self.rsv}>"

    @property
    def code(self) -> int | None:
        """The code of a close frame; None if it has none."""
        assert self.opcode == CLOSE, self
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else None

    @property
    def reason(self) -> str:
        return self.payload[2:].decode()


class RawWebSocket:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.reply: Reply

    def send(self, data: bytes) -> None:
        self.client.send(data)

    def text(self, text: str) -> None:
        self.send(frame(TEXT, text))

    def read(self) -> Frame:
        head = self._exactly(2)
        assert head[0] & 0x80, "a fragment"
        assert not head[1] & 0x80, "masked"
        size = head[1]
        if size == 126:
            size = struct.unpack("!H", self._exactly(2))[0]
            assert size >= 126
        elif size == 127:
            size = struct.unpack("!Q", self._exactly(8))[0]
            assert size >= 1 << 16
        return Frame(head[0] & 0x0F, self._exactly(size), (head[0] >> 4) & 7)

    def message(self) -> str | bytes:
        found = self.read()
        assert found.opcode in (TEXT, BINARY), found
        return found.payload.decode() if found.opcode == TEXT else found.payload

    def ended(self) -> bool:
        """Whether the server has closed the connection."""
        return self.client.closed()

    def _exactly(self, size: int) -> bytes:
        data = self.client.file.read(size)
        assert len(data) == size, f"the connection ended after {data!r}"
        return data


@contextmanager
def connected(live: Live, path: str = "/", **changes: str | None) -> Iterator[RawWebSocket]:
    """A WebSocket that was accepted."""
    with live.client() as client:
        client.send(handshake(path, **changes))
        websocket = RawWebSocket(client)
        websocket.reply = client.reply()
        assert websocket.reply.status == 101, (websocket.reply.status, websocket.reply.body)
        yield websocket


def refused(live: Live, data: bytes) -> Any:
    """The response to a handshake that is not accepted."""
    with live.client() as client:
        client.send(data)
        reply = client.reply()
        assert reply.status != 101
        return reply
