"""Frames on the sockets of the relay: a JSON object and the data of one message.

    4 bytes   length of the rest, big-endian
    1 line    a JSON object in UTF-8
    rest      the data, as it is

Both ends are processes of one user on one machine, and of one version of Carboy: a server that is
started with a new version has a new relay.
"""

from __future__ import annotations

import json
import struct
from typing import Any

Fields = dict[str, Any]
Frame = tuple[Fields, bytes]

_LENGTH = struct.Struct(">I")
LARGEST = 64 * 1024 * 1024  # bytes; a larger frame is a fault of the sender
# Bytes of the data of one message. A process that publishes checks it before it sends anything;
# the server may allow less (--channel-max-message).
LARGEST_DATA = 16 * 1024 * 1024
_dumps = json.JSONEncoder(separators=(",", ":")).encode


def size_of(data: str | bytes) -> int:
    """Bytes of the data of a message."""
    if isinstance(data, bytes) or data.isascii():
        return len(data)
    return len(data.encode())


def too_long(size: int, channel: str, largest: int) -> str:
    """The error of a message that is longer than a server allows."""
    return (
        f"The message of {size} bytes for the channel {channel!r} is longer than"
        f" --channel-max-message ({largest} bytes)."
    )


class FrameError(ValueError):
    """The other side does not speak this protocol."""


def frame(fields: Fields, data: bytes = b"") -> bytes:
    """One frame as bytes."""
    head = _dumps(fields).encode()
    return b"%b%b\n%b" % (_LENGTH.pack(len(head) + 1 + len(data)), head, data)


class FrameReader:
    """Takes bytes as they come, and gives complete frames."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, received: bytes) -> list[Frame]:
        """The frames that are complete now. Raises FrameError."""
        kept = self._kept
        kept += received
        found = []
        start = 0
        while len(kept) - start >= 4:
            (length,) = _LENGTH.unpack_from(kept, start)
            if length > LARGEST:
                raise FrameError(f"A frame of {length} bytes is longer than {LARGEST} bytes.")
            end = start + 4 + length
            if len(kept) < end:
                break
            found.append(_parsed(bytes(kept[start + 4 : end])))
            start = end
        del kept[:start]
        return found


def _parsed(content: bytes) -> Frame:
    head, line_end, data = content.partition(b"\n")
    try:
        fields = json.loads(head)
    except ValueError:
        fields = None
    if not line_end or not isinstance(fields, dict):
        raise FrameError("A frame does not begin with a JSON object.")
    return fields, data
