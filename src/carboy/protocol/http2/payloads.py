"""Payloads of the client's frames that have a fixed form (RFC 9113, section 6), read and checked.

Each function raises ConnectionFailed, or StreamFailed where the rule concerns one stream only.
`number` is the stream that the frame names; 0: the connection.
"""

from __future__ import annotations

from . import codes
from .codes import LEAST_FRAME, MOST_STREAM, MOST_WINDOW, Code, ConnectionFailed, StreamFailed


def _of_connection(number: int, kind: str) -> None:
    if number:
        raise ConnectionFailed(Code.PROTOCOL_ERROR, f"{kind} belongs to the connection")


def _sized(is_right: bool, rule: str) -> None:
    if not is_right:
        raise ConnectionFailed(Code.FRAME_SIZE_ERROR, rule)


def settings(number: int, payload: bytes, acknowledges: bool) -> list[tuple[int, int]]:
    """The settings in their order."""
    found = []
    _of_connection(number, "SETTINGS")
    _sized(not (acknowledges and payload), "an acknowledgement of SETTINGS is empty")
    _sized(not len(payload) % 6, "SETTINGS have six bytes each")
    for at in range(0, len(payload), 6):
        key = int.from_bytes(payload[at : at + 2])
        value = int.from_bytes(payload[at + 2 : at + 6])
        if key == codes.ENABLE_PUSH and value > 1:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "ENABLE_PUSH is 0 or 1")
        if key == codes.MAX_FRAME_SIZE and not LEAST_FRAME <= value < 2**24:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "MAX_FRAME_SIZE is from 16384 to 16777215")
        if key == codes.INITIAL_WINDOW_SIZE and value > MOST_WINDOW:
            raise ConnectionFailed(Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is too large")
        found.append((key, value))
    return found


def ping(number: int, payload: bytes) -> None:
    """Check a PING."""
    _of_connection(number, "PING")
    _sized(len(payload) == 8, "PING has eight bytes")


def goaway(number: int, payload: bytes) -> None:
    """Check a GOAWAY."""
    _of_connection(number, "GOAWAY")
    _sized(len(payload) >= 8, "GOAWAY is too short")


def window_update(payload: bytes) -> int:
    """The number of bytes by which a window opens; 0 is for the caller to refuse."""
    _sized(len(payload) == 4, "WINDOW_UPDATE has four bytes")
    return int.from_bytes(payload) & MOST_WINDOW


def rst_stream(payload: bytes) -> None:
    """Check an RST_STREAM. Every code is a cancelled request."""
    _sized(len(payload) == 4, "RST_STREAM has four bytes")


def priority(number: int, payload: bytes) -> None:
    """Check a PRIORITY, whose meaning is obsolete."""
    if not number:
        raise ConnectionFailed(Code.PROTOCOL_ERROR, "PRIORITY for the whole connection")
    if len(payload) != 5:
        raise StreamFailed(Code.FRAME_SIZE_ERROR, "PRIORITY has five bytes")
    if int.from_bytes(payload[:4]) & MOST_STREAM == number:
        raise StreamFailed(Code.PROTOCOL_ERROR, "a stream depends on itself")


def priority_update(number: int, payload: bytes) -> tuple[int, bytes]:
    """The stream of a PRIORITY_UPDATE, and the value of its Priority (RFC 9218, section 7.1)."""
    _of_connection(number, "PRIORITY_UPDATE")
    _sized(len(payload) >= 4, "PRIORITY_UPDATE is too short")
    of = int.from_bytes(payload[:4]) & MOST_STREAM
    if not of & 1:
        raise ConnectionFailed(Code.PROTOCOL_ERROR, "PRIORITY_UPDATE is for a stream of a client")
    return of, payload[4:]
