"""An open WebSocket, on the server's side: bytes in, messages out, and the reverse.

The rules of RFC 6455 are those of `websockets.protocol.Protocol`, with two exceptions for speed:

    an unfragmented, uncompressed message, a ping or a pong   is read here (`_quick`), which takes a
                                                              sixth of the time
    the frames that the server sends                          are made here, from whole messages

The Protocol is made for the first frame of another kind, so that connections that only wait have
none. It is given frames one by one: `_owed` says how many bytes of its frame are still to come, and
a frame is read here only between two frames and two messages of the Protocol.
tests/protocol/websocket/test_connection.py feeds the same bytes with and without `_quick`.
"""

from __future__ import annotations

from codecs import IncrementalDecoder, getincrementaldecoder
from enum import Enum

from websockets.frames import (
    BINARY,
    CLOSE,
    CONT,
    EXTERNAL_CLOSE_CODES,
    PONG,
    TEXT,
    CloseCode,
    Frame,
)
from websockets.protocol import Protocol, Side

from .deflate import LEAST, Deflate

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

FIN_TEXT = 0x81
FIN_BINARY = 0x82
FIN_PING = 0x89
FIN_PONG = 0x8A
QUICK = frozenset((FIN_TEXT, FIN_BINARY, FIN_PING, FIN_PONG))
RSV1 = 0x40
CONTROL = 0x08  # in an opcode
MASKED = 0x80
LONGEST_CONTROL = 125  # bytes of payload (section 5.5)
LONGEST_REASON = LONGEST_CONTROL - 2
NOT_UTF_8 = "The text is not UTF-8."
MOST_EMPTY = 1024  # empty fragments of one message

_utf8 = getincrementaldecoder("utf-8")


class State(Enum):
    """How far the closing handshake is (section 7)."""

    OPEN = "messages may be sent"
    CLOSING = "the server has sent a close frame, and waits for the client's"
    CLOSED = "nothing more is sent or read: close the TCP connection"


OPEN, CLOSING, CLOSED = State


class Pong:
    """The client has answered a ping."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Closed:
    """The WebSocket has ended: code, reason, and whether the client has sent its close frame.

    Without one, the code is that of the server's close frame.
    """

    __slots__ = ("clean", "code", "reason")

    def __init__(self, code: int, reason: str, clean: bool) -> None:
        self.code = code
        self.reason = reason
        self.clean = clean


Event = str | bytes | Pong | Closed  # str and bytes: a message
NONE: list[Event] = []  # between two calls of `receive`; nothing is added to it


class TextCheck:
    """Checks the text of a frame that comes in pieces, so that an error is found at once."""

    __slots__ = ("_decoder", "_head", "_mask", "_size")

    def __init__(self, size: int, before: IncrementalDecoder | None) -> None:
        self._size = size  # bytes of the header, with the mask
        self._head = b""
        self._mask = b""
        self._decoder = _utf8()
        if before is not None:  # a character may have begun in the fragment before
            self._decoder.setstate(before.getstate())

    def feed(self, piece: bytes) -> None:
        """Check more bytes of the frame. Raises UnicodeDecodeError."""
        missing = self._size - len(self._head)
        if missing:
            self._head += piece[:missing]
            self._mask = self._head[-4:]
            piece = piece[missing:]
        if piece:
            self._decoder.decode(apply_mask(piece, self._mask))
            turn = len(piece) % 4
            self._mask = self._mask[turn:] + self._mask[:turn]


def check_close(code: int | None, reason: str) -> None:
    """Raise ValueError for a code that may not be sent (section 7.4), or a reason that is long."""
    if len(reason.encode()) > LONGEST_REASON:
        raise ValueError(
            f"The reason of a close has at most {LONGEST_REASON} bytes in UTF-8. Shorten it."
        )
    if code is None:
        if reason:
            raise ValueError("A close with a reason needs a code. Use 1000.")
    elif code not in EXTERNAL_CLOSE_CODES and not 3000 <= code < 5000:
        raise ValueError(
            f"A close cannot have the code {code}. Use 1000 to 1003, 1007 to 1014, or 3000 to 4999."
        )


class WebSocketMachine:
    """One WebSocket. Every method may be called by one thread at a time."""

    __slots__ = (
        "_decoder",
        "_deflate",
        "_empty",
        "_events",
        "_max_message",
        "_out",
        "_owed",
        "_parts",
        "_protocol",
        "_rest",
        "_text_check",
        "held",
        "state",
    )

    def __init__(self, max_message: int, deflate: Deflate | None = None) -> None:
        self.state = OPEN
        self._max_message = max_message  # bytes, after decompression
        self._deflate = deflate
        self._protocol: Protocol | None = None
        self._rest = b""  # received, and not used yet
        self.held = False  # it may have whole messages, for which `receive` had no room
        self._owed = 0  # bytes of a frame that the Protocol is still to be given
        self._text_check: TextCheck | None = None  # of that frame
        self._events = NONE
        self._out: list[bytes] = []
        # of a message in fragments
        self._parts: bytearray | list[str] | None = None
        self._decoder: IncrementalDecoder | None = None
        self._empty = 0

    # --- from the client

    def receive(self, data: bytes, most: int = 1 << 30) -> list[Event]:
        """Take bytes, and return what they complete; `to_send` has the responses to them.

        After `most` events the rest is kept, and `held` is true: call again, with b"" or more.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        self.held = False
        position, end = 0, len(data)
        events: list[Event] = []
        self._events = events
        while position < end and self.state is not CLOSED:
            if self._owed:
                position = self._give(data, position)
            elif len(events) >= most:
                self.held = True
                self._rest = data[position:]
                break
            else:
                after = self._quick(data, position, end) or self._begin(data, position, end)
                if after == position:
                    self._rest = data[position:]
                    break
                position = after
        self._events = NONE
        return events

    def to_send(self) -> bytes:
        """Bytes to send because of what was received: pongs and close frames."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _quick(self, data: bytes, position: int, end: int) -> int:
        """Read a frame as Protocol would; returns where it ends, or 0 if it is not for here."""
        if end - position < 6:
            return 0
        first, second = data[position], data[position + 1]
        length = second & 0x7F
        mask = position + 2
        if length > LONGEST_CONTROL:
            if length != 126 or first & CONTROL:
                return 0
            length = data[mask] << 8 | data[mask + 1]
            if length <= LONGEST_CONTROL:
                return 0
            mask += 2
        start = mask + 4
        after = start + length
        if (
            after > end
            or first not in QUICK
            or not second & MASKED
            or length > self._max_message
            or self.state is not OPEN
        ):
            return 0
        if first < FIN_PING and self._parts is not None:
            return 0
        payload = apply_mask(data[start:after], data[mask:start])
        if first == FIN_TEXT:
            try:
                self._events.append(payload.decode())
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, NOT_UTF_8)
        elif first == FIN_BINARY:
            self._events.append(payload)
        elif first == FIN_PING:
            self._out.append(bytes((FIN_PONG, length)) + payload)
        else:
            self._events.append(Pong(payload))
        return after

    def _begin(self, data: bytes, position: int, end: int) -> int:
        """Begin a frame for the Protocol; returns `position` if its header is not complete."""
        if end - position < 2:
            return position
        first, second = data[position], data[position + 1]
        length = second & 0x7F
        size = 2 + (0 if length < 126 else 2 if length == 126 else 8)
        if end - position < size:
            return position
        if length >= 126:
            length = int.from_bytes(data[position + 2 : position + size], "big")
        problem = self._problem(first, length, size)
        if problem:
            self._fail(CloseCode.PROTOCOL_ERROR, problem)
            return end
        protocol = self._made()
        if first & 0x0F == CLOSE:
            # A close frame may come between fragments (section 5.4), and ends the message. For the
            # Protocol, this would be an error of the client.
            protocol.current_size = None
        self._owed = size + (4 if second & MASKED else 0) + length
        if self._owed > end - position and second & MASKED and self._is_text(first):
            before = self._decoder if first & 0x0F == CONT else None
            self._text_check = TextCheck(size + 4, before)
        return self._give(data, position)

    def _is_text(self, first: int) -> bool:
        """Whether a frame that begins with this byte has text that is not compressed."""
        opcode = first & 0x0F
        if opcode == CONT and self._decoder is not None:
            return self._deflate is None or not self._deflate.inflating
        return opcode == TEXT and not first & RSV1

    def _problem(self, first: int, length: int, size: int) -> str:
        """An error that the header of a frame shows, before its payload has come."""
        if first & 0x30 or (first & RSV1 and (self._deflate is None or first & CONTROL)):
            return "A reserved bit is set."
        if first & CONTROL and (length > LONGEST_CONTROL or not first & 0x80):
            return "A control frame is too long or fragmented."
        if length < (0, 126, 1 << 16)[(size > 2) + (size > 4)] or length >> 63:
            return "The length is not written in the shortest form."  # section 5.2
        return ""

    def _give(self, data: bytes, position: int) -> int:
        """Give the Protocol more of its frame; returns where this ends."""
        piece = data[position : position + self._owed]
        self._owed -= len(piece)
        if self._text_check is not None:
            try:
                self._text_check.feed(piece)
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, NOT_UTF_8)
                return len(data)
            if not self._owed:
                self._text_check = None
        protocol = self._made()
        protocol.receive_data(piece)
        for frame in protocol.events_received():
            if self.state is not CLOSED:
                self._take(frame)
        self._drain(protocol)
        if protocol.eof_sent and self.state is not CLOSED:
            self.state = CLOSED
            received, sent = protocol.close_rcvd, protocol.close_sent
            if received is not None and protocol.parser_exc is None:
                self._events.append(Closed(int(received.code), received.reason, True))
            elif sent is not None:
                self._events.append(Closed(int(sent.code), sent.reason, False))
        return position + len(piece)

    def _take(self, frame: object) -> None:
        """Use a frame that the Protocol has found correct."""
        if not isinstance(frame, Frame):
            return
        if frame.opcode is PONG:
            self._events.append(Pong(bytes(frame.data)))
        elif self.state is OPEN and frame.opcode in (TEXT, BINARY, CONT):
            try:
                self._fragment(frame)
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, NOT_UTF_8)

    def _fragment(self, frame: Frame) -> None:
        """Add a fragment to its message; what it has is checked at once (section 8.1)."""
        if frame.opcode is TEXT:
            self._parts, self._decoder, self._empty = [], _utf8(), 0
        elif frame.opcode is BINARY:
            self._parts, self._decoder, self._empty = bytearray(), None, 0
        parts, decoder = self._parts, self._decoder
        data = bytes(frame.data)
        if not data and not frame.fin:
            self._empty += 1
            if self._empty > MOST_EMPTY:
                self._fail(CloseCode.POLICY_VIOLATION, "The message has too many empty fragments.")
                return
        if isinstance(parts, bytearray):
            parts += data
        elif parts is not None and decoder is not None:
            text = decoder.decode(data, frame.fin)
            if text:
                parts.append(text)
        if frame.fin:
            self._parts = self._decoder = None
            self._events.append(
                bytes(parts) if isinstance(parts, bytearray) else "".join(parts or ())
            )

    # --- to the client

    def text(self, message: str) -> bytes:
        """The frame of a text message. Raises ValueError for lone surrogates."""
        return self._message(FIN_TEXT, message.encode())

    def binary(self, message: bytes) -> bytes:
        """The frame of a binary message."""
        return self._message(FIN_BINARY, message)

    def ping(self, data: bytes) -> bytes:
        """A ping with at most 125 bytes."""
        return bytes((FIN_PING, len(data))) + data

    def close(self, code: int | None = 1000, reason: str = "") -> bytes:
        """A close frame; the state is CLOSING after it. b"" if there was one.

        Raises ValueError for a code that may not be sent (section 7.4), and for a long reason.
        """
        if self.state is not OPEN:
            return b""
        check_close(code, reason)
        protocol = self._made()
        protocol.send_close(code, reason)
        self.state = CLOSING
        self._drain(protocol)
        return self.to_send()

    def _message(self, first: int, payload: bytes) -> bytes:
        if self._deflate is not None and len(payload) >= LEAST:
            payload = self._deflate.compress(payload)
            first |= RSV1
        length = len(payload)
        if length < 126:
            return bytes((first, length)) + payload
        if length < 1 << 16:
            return bytes((first, 126, length >> 8, length & 0xFF)) + payload
        return bytes((first, 127)) + length.to_bytes(8, "big") + payload

    # --- both

    def _made(self) -> Protocol:
        protocol = self._protocol
        if protocol is None:
            protocol = self._protocol = Protocol(Side.SERVER, max_size=self._max_message)
            if self._deflate is not None:
                protocol.extensions = [self._deflate]
        return protocol

    def _fail(self, code: int, reason: str) -> None:
        """Close because of what the client has sent (section 7.1.7)."""
        protocol = self._made()
        if not protocol.eof_sent:
            protocol.fail(code, reason)
        self._drain(protocol)
        self._owed = 0
        self.state = CLOSED
        self._events.append(Closed(code, reason, False))

    def _drain(self, protocol: Protocol) -> None:
        self._out += filter(None, protocol.data_to_send())
