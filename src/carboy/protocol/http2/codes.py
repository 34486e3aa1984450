"""The numbers of HTTP/2: frames and flags (RFC 9113, 6), errors (7), settings (6.5.2)."""

from __future__ import annotations

import struct
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REQUEST_LINE = "PRI * HTTP/2.0"  # its first line, as a reader of HTTP/1.1 sees it
FRAME_HEAD = 9  # bytes
LEAST_FRAME = 16384  # every endpoint accepts frames of this size
DEFAULT_WINDOW = 65535
MOST_WINDOW = 2**31 - 1
MOST_STREAM = 2**31 - 1

# Types of frames
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
PRIORITY_UPDATE = 16  # RFC 9218, section 7.1

# Flags
ACK = END_STREAM = 1
END_HEADERS = 4
PADDED = 8
WITH_PRIORITY = 32

# Settings
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6
ENABLE_CONNECT_PROTOCOL = 8  # RFC 8441
NO_RFC7540_PRIORITIES = 9  # RFC 9218

_head = struct.Struct(">HBBBI").pack


class Code(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class ConnectionFailed(Exception):
    """The client broke a rule that ends the connection; the GOAWAY that says so is ready."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StreamFailed(Exception):
    """The client broke a rule that ends one stream."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def frame_head(length: int, kind: int, flags: int, stream: int) -> bytes:
    """The nine bytes before the payload of a frame."""
    return _head(length >> 8, length & 255, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A whole frame."""
    return _head(len(payload) >> 8, len(payload) & 255, kind, flags, stream) + payload
