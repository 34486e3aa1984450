"""A message as its subscribers get it: an event of a stream, or text for a WebSocket.

Each form is made once, when the first subscriber needs it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from carboy.realtime.engine import Message
from carboy.realtime.event import Event, encode

FINAL, TEXT, BINARY = 0x80, 1, 2
RESET = "reset"  # the event that says that messages may be missing


class Encoded:
    """One message in all forms."""

    __slots__ = ("_chunk", "_event", "_frame", "message", "size")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.size = len(message.data)  # about the bytes of memory that it needs
        self._chunk: bytes | None = None
        self._event: bytes | None = None
        self._frame: bytes | None = None

    @property
    def event(self) -> bytes:
        """The event of a text/event-stream. Bytes are sent as base64, because events are text."""
        if self._event is None:
            message = self.message
            data = message.data
            if isinstance(data, bytes):
                data = base64.b64encode(data).decode()
            self._event = encode(Event(data, message.event, message.id or None), json.dumps)
        return self._event

    @property
    def chunk(self) -> bytes:
        """The event as a chunk of a body (RFC 9112, section 7.1)."""
        if self._chunk is None:
            event = self.event
            self._chunk = b"%x\r\n%b\r\n" % (len(event), event)
        return self._chunk

    @property
    def frame(self) -> bytes:
        """The frame of a WebSocket: bytes as they are, and text in a JSON object."""
        if self._frame is None:
            message = self.message
            if isinstance(message.data, bytes):
                self._frame = _frame(BINARY, message.data)
            else:
                fields = {
                    "channel": message.channel,
                    "event": message.event or "message",
                    "data": message.data,
                    "id": message.id,
                }
                text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
                self._frame = _frame(TEXT, text.encode())
        return self._frame


def _frame(kind: int, payload: bytes) -> bytes:
    """A whole message in one frame, as a server sends it (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return b"%c%c%b" % (FINAL | kind, size, payload)
    if size < 1 << 16:
        return b"%c\x7e%b%b" % (FINAL | kind, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (FINAL | kind, size.to_bytes(8, "big"), payload)


def reset(channels: Sequence[str], reason: str) -> Encoded:
    """The notice that messages of these channels may be missing.

    `reason` is "history" (the client's id is older than what is kept), "slow" (the client has not
    read, and messages were skipped) or "engine" (what carries the messages was interrupted).
    """
    data = json.dumps({"channels": list(channels), "reason": reason})
    return Encoded(Message(channels[0] if channels else "", data, RESET))
