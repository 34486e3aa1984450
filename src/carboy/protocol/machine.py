"""The server side of one HTTP/1.1 connection, without the connection.

Bytes in, events out; responses in, bytes out. The machine has no socket, clock or log. After the
client has broken a rule, nothing that it sends is read as a request, and one error response may be
sent.

Whether the connection is kept after a response (RFC 9112, section 9.3) is `must_close`. It begins
as what the client asked for (`RequestHead.keep_alive`, protocol/head.py); `close_after_response`
is called for every other reason to close:

    the application sends `Connection: close`
    the end of the response's body is marked by closing the connection (HTTP/1.0)
    the response is shorter than its Content-Length, or given up (server/responder.py)
    the response leaves before the whole request has come
    the client breaks a rule, or ends its side
    the application takes the socket over (server/raw_socket.py), or switches protocols
    the server stops, or fails before the application is called (server/responder.py, closing.py)
"""

from __future__ import annotations

from . import readers, response
from .buffer import ReceiveBuffer
from .chunked import ChunkReader
from .errors import LocalProtocolError, RemoteProtocolError, content_too_large
from .events import Data, Event, Fields, RequestHead, Signal
from .head import HeadReader
from .limits import Limits
from .response import ordinary_response, sized_head
from .states import Reading, Writing

# Members by plain names: an Enum's attribute is looked up slowly on Python 3.11.
IDLE, HEAD, LENGTH, CHUNKS, ENDING, DONE, OTHER, CLOSED, ERROR = Reading
WAITING, ANSWERED = Writing.WAITING, Writing.DONE
NEED_DATA = Signal.NEED_DATA

_TLS_HANDSHAKE = 22
_SHORTEST_HEAD = len(b"GET / HTTP/1.1\r\n\r\n")


class Machine:
    """One connection, seen from the server.

    `receive` takes bytes and returns the next event; `next_event` returns further events. A head
    without a body is complete by itself; a head with a body is followed by Data and one
    END_OF_MESSAGE. RemoteProtocolError is raised when the client breaks a rule, and
    LocalProtocolError when the application does; in that case nothing was written.
    """

    __slots__ = ("_blank_skipped", "_body_limit", "_buffer", "_chunks", "_continued", "_eof",
                 "_limits", "_quick", "_reader", "_received", "_remaining", "_to_write", "excess",
                 "head", "must_close", "reading", "short", "writing")  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        # for the life of the connection
        self._limits = limits
        self._quick = limits.quick
        self._buffer = ReceiveBuffer()
        self._eof = False
        self.reading = IDLE
        self.writing = Writing.NOTHING
        # for one request
        self.must_close = False  # once the response is sent, see above
        self.head: RequestHead | None = None
        self.short = False  # the application gave fewer bytes than its Content-Length
        self.excess = 0  # bytes that it gave beyond its Content-Length, which were dropped
        self._reader: HeadReader | None = None
        self._blank_skipped = False
        self._chunks: ChunkReader | None = None
        self._remaining = 0
        self._received = self._continued = False
        self._body_limit = limits.body
        self._to_write = 0

    # --- the request

    def receive(self, data: bytes) -> Event:
        """Take bytes (b"": the client has ended its side) and return the next event."""
        if self.reading is IDLE and len(data) <= self._quick:
            last = self.head
            head = None
            rest = b""
            if last is not None and last.tail and data.endswith(last.tail):
                head = readers.similar_head(data, last)
            if head is None:
                end = data.find(b"\r\n\r\n") + 4
                if end > _SHORTEST_HEAD:
                    whole, rest = data[:end], data[end:]
                    if rest and last is not None and last.tail and whole.endswith(last.tail):
                        head = readers.similar_head(whole, last)
                    if head is None:
                        head = readers.quick_head(whole, self._limits, last)
            if head is not None:
                # The same as _accept, without its call; no such head is chunked.
                self.head = head
                self.writing = WAITING
                self.must_close = not head.keep_alive
                if head.content_length:
                    self._expect_body(head)
                else:
                    self.reading = DONE
                if rest:
                    self._buffer.feed(rest)
                return head
        elif self.reading is CLOSED or self.reading is ERROR:
            return Signal.CLOSED
        if data:
            self._buffer.feed(data)
        else:
            self._eof = True
        return self.next_event()

    def next_event(self) -> Event:
        """The next event without new bytes."""
        reading = self.reading
        try:
            if reading is LENGTH:
                event = self._next_counted()
            elif reading is ENDING:
                self.reading = DONE
                return Signal.END_OF_MESSAGE
            elif reading is IDLE or reading is HEAD:
                event = self._next_head()
            elif reading is CHUNKS:
                event = self._next_chunked()
            elif reading is OTHER:
                return self._next_of_other_protocol()
            else:
                return Signal.PAUSED if reading is DONE else Signal.CLOSED
            if event is NEED_DATA and self._eof:
                return self._ended()
        except RemoteProtocolError:
            self._fail()
            raise
        return event

    def _ended(self) -> Event:
        reader = self._reader
        nothing_came = reader is None or (reader.request_line is None and not self._buffer.data)
        if self.reading is IDLE or (self.reading is HEAD and nothing_came):
            self.reading = CLOSED
            self.close_after_response()
            return Signal.CLOSED
        raise RemoteProtocolError(400, "the connection ended in the middle of a request")

    def _fail(self) -> None:
        self.reading = ERROR
        self.close_after_response()
        self._buffer.clear()

    def _accept(self, head: RequestHead) -> None:
        self.head = head
        self.writing = WAITING
        self.must_close = not head.keep_alive
        if head.chunked or head.content_length:
            self._expect_body(head)
        else:
            self.reading = DONE

    def _expect_body(self, head: RequestHead) -> None:
        self._body_limit = self._limits.body
        self._received = self._continued = False
        if head.chunked:
            self.reading = CHUNKS
            self._chunks = ChunkReader(self._limits)
        else:
            self.reading = LENGTH
            self._remaining = head.content_length or 0

    def _next_head(self) -> Event:
        buffer = self._buffer
        if self._reader is None:
            if not buffer.data:
                return NEED_DATA
            quick = self._begin_head()
            if quick is not None:
                return quick
        reader = self._reader
        if reader is None:
            return NEED_DATA
        while True:
            line = buffer.line()
            room = reader.room()
            if (len(buffer) - 1 if line is None else len(line) - 2) > room:
                raise reader.too_long()
            if line is None:
                return NEED_DATA
            if line == b"\r\n" and reader.request_line is None and not self._blank_skipped:
                # RFC 9112, section 2.2: one empty line before a request is ignored.
                self._blank_skipped = True
                continue
            head = reader.add(line)
            if head is not None:
                self._blank_skipped = False
                self._reader = None
                self._accept(head)
                return head

    def _begin_head(self) -> RequestHead | None:
        """The whole head, if the buffer has it and it is an ordinary one; else a line reader."""
        buffer = self._buffer
        self.reading = HEAD
        self.head, self.writing = None, Writing.NOTHING
        if buffer.first() == _TLS_HANDSHAKE:
            raise RemoteProtocolError(400, "this port speaks plain HTTP, not TLS")
        end = buffer.find(b"\r\n\r\n") + 4
        if 4 <= end <= self._quick:
            head = readers.quick_head(buffer.peek(end), self._limits)
            if head is not None:
                buffer.take(end)
                self._accept(head)
                return head
        self._reader = HeadReader(self._limits)
        return None

    def _next_counted(self) -> Event:
        self._check_limit()
        if not self._buffer.data:
            return NEED_DATA
        piece = self._buffer.take(self._remaining)
        self._remaining -= len(piece)
        self._received = True
        if not self._remaining:
            self.reading = ENDING
        return Data(piece)

    def _next_chunked(self) -> Event:
        chunks = self._chunks
        if chunks is None or not self._buffer.data:
            return NEED_DATA
        self._received = True
        piece = chunks.next(self._buffer, self._body_limit)
        if piece is None:
            return NEED_DATA
        if piece:
            return Data(piece)
        self.reading = DONE
        return Signal.END_OF_MESSAGE

    def _next_of_other_protocol(self) -> Event:
        if self._buffer.data:
            return Data(self._buffer.take(len(self._buffer)))
        if not self._eof:
            return NEED_DATA
        self.reading = CLOSED
        return Signal.END_OF_MESSAGE

    def _check_limit(self) -> None:
        head = self.head
        if head is not None and (head.content_length or 0) > self._body_limit:
            self._fail()
            raise content_too_large(self._body_limit)

    def whole_body(self, limit: int | None) -> bytes | None:
        """The content within `limit`, if all of it has come, which ends the request; else None."""
        most = self._limits.body if limit is None else limit
        come, size = len(self._buffer.data), self._remaining
        if self.reading is not LENGTH or self._received or not come >= size <= most:
            return None
        self.reading = DONE
        return self._buffer.take(size)

    def left_to_receive(self, received: int = 0) -> int:
        """Bytes of a counted content that the server may receive itself, after `received` of them.

        0 if no length is known, if bytes are in the buffer, and once all has come: a whole request.
        """
        if self.reading is not LENGTH or self._buffer.data:
            return 0
        if received:
            self._received = True
            self._remaining -= received
            if not self._remaining:
                self.reading = DONE
        return self._remaining

    def set_body_limit(self, limit: int | None) -> None:
        """Set the largest content of this one request, in bytes; None: the server's own limit.

        Call it after the head. Raises RemoteProtocolError 413 for a larger Content-Length.
        """
        self._body_limit = self._limits.body if limit is None else limit
        self._check_limit()

    # --- what the server asks

    @property
    def continue_needed(self) -> bool:
        """Whether the client waits for `100 Continue` before its body (RFC 9110, 10.1.1)."""
        if self.head is None or not self.head.expect_continue or self.writing is not WAITING:
            return False
        begun = self._continued or self._received or len(self._buffer) > 0
        return not begun and (self.reading is LENGTH or self.reading is CHUNKS)

    def send_continue(self) -> bytes:
        """The interim response, once; b"" when it is not needed or no longer needed."""
        if not self.continue_needed:
            return b""
        self._continued = True
        return b"HTTP/1.1 100 Continue\r\n\r\n"

    @property
    def buffered(self) -> int:
        """Number of bytes that were received but not used yet."""
        return len(self._buffer)

    @property
    def another_waits(self) -> bool:
        """Whether the bytes not used yet begin with the head of a GET or HEAD request."""
        data = self._buffer.data
        return data.startswith((b"GET ", b"HEAD ")) and b"\r\n\r\n" in data

    def close_after_response(self) -> None:
        """Read no further request: the response to this one is the last of the connection."""
        self.must_close = True

    def hand_over(self, for_good: bool) -> bytes:
        """The bytes after the current request, for the application that takes the socket.

        No further request is read. `for_good`: the current request is not answered either.
        """
        rest = self._buffer.peek(len(self._buffer))
        self._buffer.clear()
        self.close_after_response()
        if for_good:
            self.writing, self.reading = ANSWERED, CLOSED
        return rest

    @property
    def request_line(self) -> str:
        """The current request line for a log, even if refused; it may contain any character."""
        if self._reader is not None and self._reader.request_line is not None:
            return self._reader.request_line.decode("latin-1")
        return "" if self.head is None or self._reader is not None else self.head.request_line()

    # --- the response

    def whole_response(self, status: str, headers: Fields, body: bytes, extra: bytes) -> bytes:
        """Head and body of a complete response in one piece.

        Content-Length and Connection are added where needed, and `extra`, encoded default
        lines (Server, Date), where the application has not sent its own.
        """
        head = self.head
        ordinary = head is not None and head.minor and head.method != "HEAD"
        if ordinary and self.reading is DONE and self.writing is WAITING and not self.must_close:
            whole = ordinary_response(status, headers, body, extra, len(body))
            if whole is not None:
                self.writing = ANSWERED
                # IDLE means that the buffer is empty; bytes in the buffer come before new bytes.
                self.reading = HEAD if self._buffer.data else IDLE
                return whole
        lines = self._response_head(status, headers, extra, len(body))
        if self.writing is Writing.LENGTH:
            return lines + self.send_data(body) + self.end_response()
        return lines + self.end_response()

    def head_before(self, status: str, headers: Fields, size: int, extra: bytes) -> bytes:
        """As `whole_response`, without the body; b"", and no change, if a decision is needed."""
        head, data = self.head, None
        ordinary = head is not None and head.minor and head.method != "HEAD"
        if ordinary and self.reading is DONE and self.writing is WAITING and not self.must_close:
            data = ordinary_response(status, headers, b"", extra, size)
        if data is not None:
            self._finish()
        return data or b""

    def start_response(self, status: str, headers: Fields, extra: bytes) -> bytes:
        """The head of a response whose body follows by `send_data` and `end_response`.

        The body is framed by the application's Content-Length, else in chunks, else, for
        HTTP/1.0, by closing the connection.
        """
        head = self.head
        if self.reading is DONE and self.writing is WAITING and not self.must_close and head:
            found = sized_head(status, headers, extra) if head.method != "HEAD" else None
            if found is not None and head.minor:
                self.writing, self.short, self.excess = Writing.LENGTH, False, 0
                self._to_write = found[1]
                return found[0]
        return self._response_head(status, headers, extra, None)

    def _response_head(self, status: str, headers: Fields, extra: bytes, size: int | None) -> bytes:
        status_line, code = response.final_status(status, self.writing)
        lines, length, options, extra = response.examined(headers, extra)
        # Nothing is refused below this line, so the state may change now.
        self._begin_response(code, length, size, options)
        minor = 1 if self.head is None else self.head.minor
        framing = response.framing_line(self.writing, code, length, size)
        connection = response.connection_line(options, self.must_close, minor)
        return b"".join((status_line, *lines, extra, framing, connection, b"\r\n"))

    def _begin_response(
        self, code: int, length: int | None, size: int | None, options: list[str]
    ) -> None:
        self.short, self.excess = False, 0
        if self.reading is ENDING:
            self.reading = DONE
        if self.reading is not DONE or "close" in options:
            self.close_after_response()
        head = self.head
        if code in response.BODILESS or (head is not None and head.method == "HEAD"):
            self.writing = Writing.BODILESS
        elif length is not None or size is not None:
            self.writing = Writing.LENGTH
            self._to_write = length if length is not None else size or 0
        elif head is not None and head.minor:
            self.writing = Writing.CHUNKED
        else:
            self.writing = Writing.UNTIL_CLOSE
            self.close_after_response()

    def send_data(self, data: bytes) -> bytes:
        """Bytes of the body, framed; bytes beyond Content-Length are dropped and counted."""
        writing = self.writing
        if writing is Writing.LENGTH:
            return data[: self.account(len(data))]
        if writing is Writing.CHUNKED:
            # An empty chunk would be the last one.
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if writing is Writing.UNTIL_CLOSE or writing is Writing.OTHER:
            return data
        if writing is Writing.BODILESS:
            return b""
        raise LocalProtocolError("No response has begun. Call start_response() first.")

    def account(self, count: int) -> int:
        """Count `count` bytes that the server sends itself (sendfile); returns the number allowed.

        In a chunked body they are sent between the two parts of `chunk_around`.
        """
        if self.writing is Writing.LENGTH:
            if count > self._to_write:
                self.excess += count - self._to_write
                count = self._to_write
            self._to_write -= count
            return count
        return count if self.writing in (Writing.UNTIL_CLOSE, Writing.CHUNKED) else 0

    def chunk_around(self, count: int) -> tuple[bytes, bytes]:
        """The bytes before and after `count` bytes (1 or more) that the server sends itself."""
        return (b"%x\r\n" % count, b"\r\n") if self.writing is Writing.CHUNKED else (b"", b"")

    def end_response(self, trailers: Fields | None = None) -> bytes:
        """The bytes that end the body: the last chunk, with trailers if the client accepts them."""
        writing = self.writing
        if writing is WAITING or writing is ANSWERED or writing is Writing.NOTHING:
            raise LocalProtocolError("No response has begun. Call start_response() first.")
        after = response.trailer_lines(trailers, self.head)
        if writing is Writing.LENGTH and self._to_write:
            self.short = True
            self.close_after_response()
        self._finish()
        return b"0\r\n%b\r\n" % after if writing is Writing.CHUNKED else b""

    def _finish(self) -> None:
        self.writing = ANSWERED
        if self.reading is ERROR:
            return
        if self.reading is ENDING:
            self.reading = DONE
        if self.reading is not DONE:
            self.close_after_response()
        if self.must_close:
            self.reading = CLOSED
            self._buffer.clear()
        else:
            self.reading = HEAD if self._buffer.data else IDLE

    def informational(self, status: str, headers: Fields) -> bytes:
        """An interim response such as 103; b"" for an HTTP/1.0 client, which knows none."""
        if self.writing is not WAITING or self.head is None:
            raise LocalProtocolError("An interim response has to come before the final one.")
        return response.interim(status, headers, self.head.minor)

    def upgrade(self, status: str, headers: Fields) -> bytes:
        """The response 101; the connection speaks another protocol from then on (RFC 9110, 7.8).

        `receive` returns what the client sends as Data, and END_OF_MESSAGE once it has ended its
        side; `send_data` changes nothing; `end_response` says that nothing more is sent.
        """
        head = self.head
        if self.writing is not WAITING or head is None or not head.upgrade:
            raise LocalProtocolError("There is no request that asks for another protocol.")
        if self.reading not in (DONE, ENDING):
            raise LocalProtocolError("Read the content of the request before you switch protocols.")
        data = response.switching(status, headers, head.fields())
        head._fields = None  # the connection may be kept for long, and the block gives them again
        self.close_after_response()
        self.short, self.excess, self.reading, self.writing = False, 0, OTHER, Writing.OTHER
        return data

    def error_response(self, error: RemoteProtocolError, extra: bytes) -> bytes:
        """The last response, which says what was wrong; b"" if a response has begun."""
        answerable = self.writing is WAITING or self.writing is Writing.NOTHING
        self._fail()
        self.writing = ANSWERED
        if not answerable:
            return b""
        return response.refusal(error, extra, with_body=not self.request_line.startswith("HEAD "))
