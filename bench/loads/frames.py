"""The client's side of WebSocket (RFC 6455) as bytes that are built before the measurement."""

from __future__ import annotations

import base64
import os

from bench.commands import HOST

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
SWITCHED = b"HTTP/1.1 101 "
FIN = 0x80
MASKED = 0x80
MEDIUM, LARGE = 126, 127  # these lengths say that the length is in the next 2 or 8 bytes


def handshake(port: int, path: str) -> bytes:
    """The request that opens a WebSocket, without extensions."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def _head(opcode: int, size: int, flag: int) -> bytes:
    first = bytes([FIN | opcode])
    if size < MEDIUM:
        return first + bytes([flag | size])
    if size < 1 << 16:
        return first + bytes([flag | MEDIUM]) + size.to_bytes(2, "big")
    return first + bytes([flag | LARGE]) + size.to_bytes(8, "big")


def from_server(payload: bytes, opcode: int = TEXT) -> bytes:
    """A message as servers send it: one frame, not masked."""
    return _head(opcode, len(payload), 0) + payload


def from_client(payload: bytes, opcode: int = TEXT) -> bytes:
    """A message as clients send it: one frame, masked."""
    mask = os.urandom(4)
    size = len(payload)
    stream = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return _head(opcode, size, MASKED) + mask + mixed.to_bytes(size, "big")


def split(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Opcode and payload of the first frame from a server, and the rest; None if it is incomplete.

    Raises ValueError for a frame that is masked, or has bits that no extension has defined.
    """
    if len(data) < 2:
        return None
    if data[0] & 0x70 or data[1] & MASKED:
        raise ValueError(f"The server sent a frame that begins with {data[:2].hex()}.")
    size, start = data[1], 2
    if size == MEDIUM:
        size, start = int.from_bytes(data[2:4], "big"), 4
    elif size == LARGE:
        size, start = int.from_bytes(data[2:10], "big"), 10
    if len(data) < start + size:
        return None
    return data[0] & 0x0F, data[start : start + size], data[start + size :]
