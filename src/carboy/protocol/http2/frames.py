"""Frames of HTTP/2: those of the client taken apart, ours put together (RFC 9113, section 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import codes
from .codes import (
    DATA,
    DEFAULT_WINDOW,
    END_STREAM,
    FRAME_HEAD,
    LEAST_FRAME,
    MOST_STREAM,
    PADDED,
    Code,
    ConnectionFailed,
    frame_head,
)
from .stream import Stream

Frame = tuple[int, int, int, bytes]  # type, flags, stream, payload


class FrameReader:
    """Bytes in, frames out. `preface`: what the client has still to send before its frames."""

    def __init__(self, preface: bytes) -> None:
        self._preface = preface
        self._buffer = bytearray()
        self._at = 0  # bytes of the buffer that were read

    @property
    def incomplete(self) -> bool:
        """Whether bytes have come that are not a whole frame."""
        return bool(self._buffer or self._preface)

    def add(self, data: bytes) -> None:
        """Take bytes. Raises ConnectionFailed if the preface is wrong."""
        self._buffer += data
        if self._preface:
            size = min(len(self._preface), len(self._buffer))
            if self._buffer[:size] != self._preface[:size]:
                raise ConnectionFailed(
                    Code.PROTOCOL_ERROR, "the preface of the connection is wrong"
                )
            self._preface = self._preface[size:]
            del self._buffer[:size]

    def clear(self) -> None:
        """Forget what has come."""
        self._buffer.clear()
        self._at = 0

    def next(self) -> Frame | None:
        """The next frame; None: more bytes are needed. Raises ConnectionFailed."""
        buffer, at = self._buffer, self._at
        if len(buffer) - at >= FRAME_HEAD and not self._preface:
            length = buffer[at] << 16 | buffer[at + 1] << 8 | buffer[at + 2]
            if length > LEAST_FRAME:
                raise ConnectionFailed(Code.FRAME_SIZE_ERROR, "a frame is larger than 16384 bytes")
            start = at + FRAME_HEAD
            end = start + length
            if end <= len(buffer):
                self._at = end
                number = int.from_bytes(buffer[at + 5 : start]) & MOST_STREAM
                return buffer[at + 3], buffer[at + 4], number, bytes(buffer[start:end])
        del buffer[:at]
        self._at = 0
        return None

    def part(self) -> Frame | None:
        """The content that has come of a DATA frame, as a frame; its rest is the next one.

        Call it after `next` has returned None. A frame with padding is left until it is whole.
        """
        buffer = self._buffer
        size = len(buffer) - FRAME_HEAD
        if size <= 0 or self._preface or buffer[3] != DATA or buffer[4] & PADDED:
            return None
        length = int.from_bytes(buffer[:3]) - size
        number = int.from_bytes(buffer[5:FRAME_HEAD]) & MOST_STREAM
        found = DATA, buffer[4] & ~END_STREAM, number, bytes(buffer[FRAME_HEAD:])
        buffer[:] = frame_head(length, DATA, buffer[4], number)
        return found


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload without its padding. Raises ConnectionFailed."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFailed(
            Code.PROTOCOL_ERROR, "the padding of a frame is larger than the frame"
        )
    return payload[1 : len(payload) - payload[0]]


class Sender:
    """Frames for the client, in `out`; `finished` is called when a response has been sent."""

    def __init__(self, finished: Callable[[Stream], None]) -> None:
        self.out = bytearray()
        self.window = DEFAULT_WINDOW  # bytes of content that the client takes on the connection
        self._finished = finished

    def frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Send a frame."""
        self.out += frame_head(len(payload), kind, flags, stream) + payload

    def settings(self, values: dict[int, int]) -> None:
        """Send SETTINGS."""
        pairs = (key.to_bytes(2) + value.to_bytes(4) for key, value in values.items())
        self.frame(codes.SETTINGS, 0, 0, b"".join(pairs))

    def goaway(self, last: int, code: Code, message: str = "") -> None:
        """Send GOAWAY: streams after `last` are not served."""
        head = last.to_bytes(4) + int(code).to_bytes(4)
        self.frame(codes.GOAWAY, 0, 0, head + message.encode("latin-1", "replace"))

    def reset(self, number: int, code: Code) -> None:
        """Send RST_STREAM."""
        self.frame(codes.RST_STREAM, 0, number, int(code).to_bytes(4))

    def window_update(self, number: int, more: int) -> None:
        """Send WINDOW_UPDATE."""
        self.frame(codes.WINDOW_UPDATE, 0, number, more.to_bytes(4))

    def can_send(self, stream: Stream) -> bool:
        """Whether `send` would take something, or nothing is left to send."""
        segments = stream.segments
        if not segments or not segments[0][0]:
            return True
        return stream.window > 0 and self.window > 0

    def send(self, stream: Stream, data: Any, most: int) -> int:
        """Put the next bytes of a response into `out`, as `Stream.segments` says what they are.

        Returns how many were taken: about `most` of them, and no more than the windows allow.
        """
        view = memoryview(data)
        out, segments = self.out, stream.segments
        at, size = 0, len(view)
        while at < size and at < most:
            segment = segments[0]
            content, left, last = segment
            if not content:
                out += view[at : at + left]
                at += left
            else:
                room = min(left, size - at, stream.window, self.window, LEAST_FRAME)
                if room <= 0:
                    break
                end = END_STREAM if last and room == left else 0
                out += frame_head(room, DATA, end, stream.id)
                out += view[at : at + room]
                at += room
                stream.window -= room
                self.window -= room
                if room < left:
                    segment[1] = left - room
                    continue
            segments.popleft()
            if last:
                stream.finished = True
                self._finished(stream)
        return at
