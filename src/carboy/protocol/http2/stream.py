"""One request of an HTTP/2 connection and its response: a ConnectionMachine.

In: the session (protocol/http2/session.py) appends the content to `received` and sets `ended`. The
server takes the content out (`Session.take`) and gives it to `receive`, like the bytes of a socket,
with b"" at its end.

Out: the bytes that the methods return are sent in their order through `Sender.send`. `segments`
says for each part what it is: whole frames, or content that is put into frames as the windows of
the client allow. Every response of a stream is its last, so `must_close` is always true.
"""

from __future__ import annotations

import sys
from collections import deque
from enum import Enum

from .. import response
from ..errors import REASONS, LocalProtocolError, RemoteProtocolError, content_too_large
from ..events import Data, Event, Fields, RequestHead, Signal
from ..response import encode_status
from ..states import Reading, Writing
from . import blocks
from .codes import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, LEAST_FRAME, frame
from .priority import UNKNOWN, read_priority

WAITING, LENGTH, UNTIL_CLOSE, BODILESS, OTHER = (
    Writing.WAITING, Writing.LENGTH, Writing.UNTIL_CLOSE, Writing.BODILESS, Writing.OTHER,
)  # fmt: skip
ANSWERED = Writing.DONE
DONE, CONTENT = Reading.DONE, Reading.LENGTH
# Field sections of ordinary responses, by everything they are made of. Bounded as in `response`;
# only sections without secrets are kept.
_SECTIONS_SIZE = 256
_sections: dict[tuple[object, ...], bytes] = {}


class How(Enum):
    """How a stream has ended."""

    BOTH = "each side has ended it"
    RESET_BY_CLIENT = "by the client"
    RESET_BY_SERVER = "by us, and frames for it may be on their way"


class Stream:
    """A machine for one request. Its methods are those of ConnectionMachine."""

    __slots__ = (
        "_body_limit",
        "_continued",
        "_count",
        "_default_limit",
        "_to_write",
        "closed",
        "consumed",
        "ended",
        "excess",
        "expected",
        "finished",
        "head",
        "id",
        "line",
        "priority",
        "reading",
        "received",
        "reset",
        "segments",
        "short",
        "window",
        "window_in",
        "writing",
    )  # fmt: skip

    buffered = 0  # the content is in `received`
    must_close = True

    def __init__(self, number: int, window: int, window_in: int, body_limit: int) -> None:
        self.id = number
        self.head: RequestHead | None = None
        self.line = ""  # of a refused head, for logs
        # kept by the session
        self.window = window  # bytes of content that the client takes now; may be negative
        self.window_in = window_in  # bytes that it may send
        self.consumed = 0  # bytes taken, for which the window was not opened yet
        self.received = bytearray()  # content that was not taken yet
        self.expected: int | None = None  # bytes of content that are still to come
        self.ended = False  # the client has ended the request
        self.finished = False  # the response has been sent to its end
        self.reset = False  # by either side
        self.closed = False  # the session has stopped counting it
        self.priority = UNKNOWN
        # [whole frames or content, bytes, the last of the response]
        self.segments: deque[list[int]] = deque()
        # the request
        self.reading = CONTENT
        self._default_limit = self._body_limit = body_limit
        self._count = 0
        self._continued = False
        # the response
        self.writing = WAITING
        self.short = False
        self.excess = 0
        self._to_write = 0

    # --- the request

    @property
    def readable(self) -> bool:
        """Whether content, or its end, can be taken; of a WebSocket, as soon as it is accepted."""
        return bool(self.received) or (self.ended and (self.reading is CONTENT or self._connecting))

    @property
    def _connecting(self) -> bool:
        """Whether a handshake for a WebSocket is not answered yet."""
        return self.writing is WAITING and self.head is not None and self.head.upgrade

    @property
    def precedence(self) -> tuple[int, bool, int]:
        """What has a smaller value is sent first (RFC 9218, section 10).

        Responses that are of use in parts share the connection with their like, and so do those
        whose length is not known: they may have no end.
        """
        urgency, incremental = self.priority
        if incremental or self.writing is UNTIL_CLOSE or self.writing is OTHER:
            return urgency, True, 0
        return urgency, False, self.id

    @property
    def another_waits(self) -> bool:
        """False: each request has a stream of its own."""
        return False

    @property
    def request_line(self) -> str:
        """The request line for a log, even if refused."""
        return self.line if self.head is None else self.head.request_line()

    def accept(self, head: RequestHead) -> None:
        """Begin a request with a valid head."""
        self.head = head
        self.expected = head.content_length
        if not head.has_body:
            self.reading = DONE

    def receive(self, data: bytes) -> Event:
        """Take content, b"" at its end, and return the event."""
        if not data:
            self.reading = DONE
            return Signal.END_OF_MESSAGE
        self._count += len(data)
        if self._count > self._body_limit:
            raise content_too_large(self._body_limit)
        return Data(data)

    def next_event(self) -> Event:
        """The event without more content."""
        # In this order: the session appends content before it sets `ended`.
        if self.reading is CONTENT and self.ended and not self.received:
            self.reading = DONE
            return Signal.END_OF_MESSAGE
        return Signal.NEED_DATA

    def whole_body(self, limit: int | None) -> bytes | None:
        """None: the content is in the socket of the stream."""
        return None

    def left_to_receive(self, received: int = 0) -> int:
        """0: the content comes in frames."""
        return 0

    def set_body_limit(self, limit: int | None) -> None:
        """Set the largest content of this request, in bytes; None: the server's own limit."""
        self._body_limit = self._default_limit if limit is None else limit
        head = self.head
        if head is not None and (head.content_length or 0) > self._body_limit:
            raise content_too_large(self._body_limit)

    @property
    def continue_needed(self) -> bool:
        """Whether the client waits for `100 Continue` before its content."""
        head = self.head
        return (
            head is not None
            and head.expect_continue
            and self.writing is WAITING
            and not (self._continued or self._count or self.received or self.ended)
        )

    def send_continue(self) -> bytes:
        """That interim response, once; b"" when it is not needed."""
        if not self.continue_needed:
            return b""
        self._continued = True
        return self._section(blocks.section(100, ()), False)

    def close_after_response(self) -> None:
        """Nothing: no request follows on a stream."""

    # --- the response

    def _section(self, block: bytes, last: bool) -> bytes:
        """The frames of a field section, which are sent as they are."""
        flags = END_STREAM if last else 0
        if len(block) <= LEAST_FRAME:
            data = frame(HEADERS, flags | END_HEADERS, self.id, block)
        else:
            parts = [block[i : i + LEAST_FRAME] for i in range(0, len(block), LEAST_FRAME)]
            frames = [frame(HEADERS, flags, self.id, parts[0])]
            frames += [frame(CONTINUATION, 0, self.id, part) for part in parts[1:-1]]
            frames.append(frame(CONTINUATION, END_HEADERS, self.id, parts[-1]))
            data = b"".join(frames)
        self.segments.append([False, len(data), last])
        return data

    def _content(self, count: int, last: bool) -> None:
        if count:
            self.segments.append([True, count, last])

    def head_before(self, status: str, headers: Fields, size: int, extra: bytes) -> bytes:
        """b"": the body is sent in frames."""
        return b""

    def whole_response(self, status: str, headers: Fields, body: bytes, extra: bytes) -> bytes:
        """A complete response; `extra` has the encoded default lines."""
        size = len(body)
        head = self.head
        if (
            head is not None
            and head.method != "HEAD"
            and self.writing is WAITING
            and not head.upgrade
        ):
            try:
                block = _sections.get((status, size, extra, *headers))
            except TypeError:  # a pair that cannot be a key, for example a list
                block = None
            if block is not None:
                self.writing = ANSWERED
                data = self._section(block, not size)
                self._content(size, True)
                return data + body
        data = self._response_head(status, headers, extra, size)
        if self.writing is LENGTH:
            return data + self.send_data(body) + self.end_response()
        return data + self.end_response()

    def start_response(self, status: str, headers: Fields, extra: bytes) -> bytes:
        """The head of a response whose body follows by `send_data` and `end_response`."""
        return self._response_head(status, headers, extra, None)

    def _response_head(self, status: str, headers: Fields, extra: bytes, size: int | None) -> bytes:
        _, code = response.final_status(status, self.writing)
        lines, length, _, more = response.examined(headers, extra)
        head = self.head
        if head is not None and head.upgrade and 200 <= code < 300:
            raise RemoteProtocolError(400, "the URL does not answer requests for a WebSocket")
        # Nothing is refused below this line, so the state may change now.
        for name, value in headers:
            if len(name) == 8 and name.lower() == "priority":
                self.priority = read_priority(value.encode("latin-1"), self.priority)
        if code in response.BODILESS or (head is not None and head.method == "HEAD"):
            self.writing = BODILESS
        elif length is not None or size is not None:
            self.writing = LENGTH
            self._to_write = length if length is not None else size or 0
        else:
            self.writing = UNTIL_CLOSE
        framing = response.framing_line(self.writing, code, length, size)
        block = blocks.section(code, (*lines, *blocks.split(more + framing)))
        if self.writing is LENGTH and self._to_write == size:
            self._remember((status, size, extra, *headers), headers, block)
        last = self.writing is BODILESS or (self.writing is LENGTH and not self._to_write)
        return self._section(block, last)

    def _remember(self, key: tuple[object, ...], headers: Fields, block: bytes) -> None:
        if all(name.lower() in response.KEPT for name, _ in headers):
            if len(_sections) >= _SECTIONS_SIZE:
                _sections.clear()
            try:
                _sections[key] = block
            except TypeError:  # a pair that cannot be a key
                pass

    def send_data(self, data: bytes) -> bytes:
        """Bytes of the body; bytes beyond Content-Length are dropped and counted."""
        if self.writing in (WAITING, ANSWERED):
            raise LocalProtocolError("No response has begun. Call start_response() first.")
        return data[: self.account(len(data))]

    def account(self, count: int) -> int:
        """Count bytes of the body that are sent next; returns the number allowed."""
        if self.writing is LENGTH:
            if count > self._to_write:
                self.excess += count - self._to_write
                count = self._to_write
            self._to_write -= count
            self._content(count, not self._to_write)
            return count
        if self.writing is UNTIL_CLOSE or self.writing is OTHER:
            self._content(count, False)
            return count
        return 0

    def chunk_around(self, count: int) -> tuple[bytes, bytes]:
        """Nothing: frames are made when the content is sent."""
        return b"", b""

    def end_response(self, trailers: Fields | None = None) -> bytes:
        """The bytes that end the body, with fields after it if the client accepts them."""
        writing = self.writing
        if writing in (WAITING, ANSWERED):
            raise LocalProtocolError("No response has begun. Call start_response() first.")
        after = response.trailer_lines(trailers, self.head)
        self.writing = ANSWERED
        if writing is LENGTH:
            self.short = bool(self._to_write)
        if writing is not UNTIL_CLOSE and writing is not OTHER:
            return b""
        if after:
            return self._section(blocks.trailers(blocks.split(after)), True)
        data = frame(DATA, END_STREAM, self.id, b"")
        self.segments.append([False, len(data), True])
        return data

    def informational(self, status: str, headers: Fields) -> bytes:
        """An interim response such as 103."""
        if self.writing is not WAITING:
            raise LocalProtocolError("An interim response has to come before the final one.")
        response.interim(status, headers, 1)  # refuses what may not be sent
        lines = [line for line, trait in response.encode_lines(headers) if not trait]
        return self._section(blocks.section(encode_status(status)[1], lines), False)

    def error_response(self, error: RemoteProtocolError, extra: bytes) -> bytes:
        """A response that says which rule the client broke."""
        if self.writing is not WAITING:
            return b""
        reason = REASONS.get(error.status, "Error")
        text = f"{error.status} {reason}: {error.message}\n".encode("latin-1", "replace")
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        if self.request_line.startswith("HEAD "):
            self.writing = ANSWERED
            lines = [line for line, _ in response.encode_lines(headers)]
            return self._section(blocks.section(error.status, lines + blocks.split(extra)), True)
        return self.whole_response(f"{error.status} {reason}", headers, text, extra)

    # --- another protocol

    def upgrade(self, status: str, headers: Fields) -> bytes:
        """The response 200 to an extended CONNECT; the stream is a WebSocket from then on.

        HTTP/2 has no response 101 (RFC 9113, section 8.6). Each side may end the stream after that
        (RFC 8441, section 5). `account` counts the bytes that the server sends.
        """
        head = self.head
        if self.writing is not WAITING or head is None or not head.upgrade:
            raise LocalProtocolError("There is no request that asks for another protocol.")
        _, code = response.final_status(status, self.writing)
        if code != 200:
            raise LocalProtocolError(f"{status} does not open a WebSocket over HTTP/2. Send 200.")
        lines = response.lines_without_framing(headers)
        self.writing, self.reading, self._body_limit = OTHER, CONTENT, sys.maxsize
        head.forget_fields()  # the stream may last for long
        return self._section(blocks.section(code, lines), False)

    def hand_over(self, for_good: bool) -> bytes:
        """The socket belongs to all requests of the connection."""
        raise OSError("The socket of an HTTP/2 connection belongs to all of its requests.")
