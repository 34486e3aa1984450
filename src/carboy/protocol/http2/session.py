"""The server side of one HTTP/2 connection, without the connection (RFC 9113).

Bytes in, events out; responses in, bytes out. No sockets, clock or log: the server says what time
it is. After ConnectionFailed, nothing more is read.

    receive     bytes of the client ─▶ `events`
    take        content of a request, which opens the window of its stream again
    send        frames and content of a response, as far as the client's windows allow
    out         bytes for the client

Every method may be called by one thread at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NoReturn

from ..errors import RemoteProtocolError
from ..limits import Limits
from ..states import Writing
from . import codes, payloads
from .codes import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_WINDOW,
    END_STREAM,
    HEADERS,
    MOST_STREAM,
    MOST_WINDOW,
    PING,
    SETTINGS,
    Code,
    ConnectionFailed,
    StreamFailed,
)
from .events import Event, Happened
from .frames import FrameReader, Sender, unpadded
from .limits import Budget, Http2Limits
from .priority import Priority, read_priority
from .request import Heads, check_trailers, malformed, request_line
from .sections import Section, SectionReader
from .stream import How, Stream

CONNECTION_WINDOW = 1024 * 1024  # bytes; opened again for everything that arrives
FRAMES_A_TURN = 64  # frames that are read at a time; then other connections have their turn
TINY = 256  # bytes of a WINDOW_UPDATE
REFILL = 0.25  # seconds between two refills of the budgets
REMEMBERED = 256  # streams that have ended, and how
PING_OF_STOP = b"carboy\0\0"


class Session:
    """One HTTP/2 connection. `preface`: what the client has still to send of it.

    `websocket`: clients may ask for a WebSocket (RFC 8441).
    """

    def __init__(
        self,
        limits: Limits,
        http2: Http2Limits,
        preface: bytes = codes.PREFACE,
        websocket: bool = False,
    ) -> None:
        self._limits = limits
        self._http2 = http2
        self._websocket = websocket
        self._frames = FrameReader(preface)
        self._sections = SectionReader(http2)
        self.streams: dict[int, Stream] = {}
        self.events: deque[Event] = deque()
        self.sender = Sender(self._has_finished)
        self.last = 0  # number of the client's last stream
        self.open = 0  # streams that neither side has ended in full
        self.settled = False  # the client's first SETTINGS have come
        self.failed = False
        self.going_away: int | None = None  # the last stream that is served, once GOAWAY is sent
        self.completed = 0  # frames and field sections that have come whole
        self.more = False  # whole frames are left for the next turn
        self._initial_window = DEFAULT_WINDOW  # that the client allows for each stream
        # what we allow
        self._window_in = CONNECTION_WINDOW
        self._consumed = 0
        self._acknowledged = False
        self._ended: dict[int, How] = {}
        self._heads = Heads(limits, websocket)
        self._early_priorities: dict[int, Priority] = {}
        # floods
        names = ("resets", "pings", "settings", "priorities", "empty_frames", "tiny_updates")
        self._budgets = {name: Budget(getattr(http2, name)) for name in names}
        self._refilled = 0.0
        self._of_frame: dict[int, Callable[[int, int, bytes], None]] = {
            DATA: self._data,
            HEADERS: self._headers,
            codes.PRIORITY: self._priority,
            codes.RST_STREAM: self._rst_stream,
            SETTINGS: self._settings,
            PING: self._ping,
            codes.PUSH_PROMISE: self._push_promise,
            codes.GOAWAY: self._goaway,
            codes.WINDOW_UPDATE: self._window_update,
            CONTINUATION: self._continuation,
            codes.PRIORITY_UPDATE: self._priority_update,
        }
        self._greet()

    def _greet(self) -> None:
        http2 = self._http2
        values = {
            codes.HEADER_TABLE_SIZE: http2.header_table,
            codes.MAX_CONCURRENT_STREAMS: http2.streams,
            codes.INITIAL_WINDOW_SIZE: http2.window,
            codes.MAX_HEADER_LIST_SIZE: http2.header_list,
            codes.NO_RFC7540_PRIORITIES: 1,
        }
        if self._websocket:
            values[codes.ENABLE_CONNECT_PROTOCOL] = 1
        self.sender.settings(values)
        self.sender.window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW)

    # --- from the client

    @property
    def incomplete(self) -> bool:
        """Whether a part of a frame, of a field section, or of the greeting has come."""
        if self.more:
            return False
        return not self.settled or bool(self._sections.open or self._frames.incomplete)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes, and note what happened in `events`. Raises ConnectionFailed.

        At most FRAMES_A_TURN frames are read; `more`: call again, with b"". If not one frame is
        complete, the content that has come of a DATA frame is taken: a slow client may need longer
        for a frame than the deadlines of a request allow.
        """
        if now - self._refilled > REFILL:
            for budget in self._budgets.values():
                budget.refill(now - self._refilled)
            self._refilled = now
        frames = self._frames
        try:
            frames.add(data)
            for count in range(FRAMES_A_TURN):
                found = frames.next()
                if found is None and not count:
                    found = frames.part()
                if found is None:
                    self.more = False
                    return
                self._frame(*found)
                if not self._sections.open:
                    self.completed += 1
            self.more = True
        except ConnectionFailed as failure:
            # The GOAWAY has the last stream that was begun (RFC 9113, section 5.4.1).
            self.failed = True
            self.more = False
            frames.clear()
            self.sender.goaway(self.last, failure.code, failure.message)
            raise

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        of_section = self._sections.open
        if of_section and (kind != CONTINUATION or number != of_section):
            self._fail(Code.PROTOCOL_ERROR, "a header block was interrupted by another frame")
        if not self.settled and kind != SETTINGS:
            self._fail(Code.PROTOCOL_ERROR, "the first frame has to be SETTINGS")
        reader = self._of_frame.get(kind)
        if reader is None:
            self._spend("priorities", "frames of unknown types")
            return
        try:
            reader(flags, number, payload)
        except StreamFailed as error:
            self._fail_stream(number, error.code)

    def _spend(self, budget: str, what: str) -> None:
        if not self._budgets[budget].spend():
            self._fail(Code.ENHANCE_YOUR_CALM, f"too many {what}")

    def _fail(self, code: Code, message: str) -> NoReturn:
        raise ConnectionFailed(code, message)

    def _fail_stream(self, number: int, code: Code) -> None:
        """A fault of the client ends a stream."""
        self._spend("resets", "streams that break a rule")
        stream = self.streams.get(number)
        if stream is None:
            self.sender.reset(number, code)
        elif not stream.reset:
            self.reset(stream, code)
            self.events.append(Event(Happened.RESET, stream))

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        stream = self.streams.get(number)
        if stream is None and (number > self.last or not number & 1):
            self._fail(Code.PROTOCOL_ERROR, "DATA for a stream that has not begun")
        size = len(payload)
        self._window_in -= size
        if self._window_in < 0:
            self._fail(Code.FLOW_CONTROL_ERROR, "more content than the connection's window allows")
        self._consumed += size
        if self._consumed >= CONNECTION_WINDOW // 2:
            self.sender.window_update(0, self._consumed)
            self._window_in += self._consumed
            self._consumed = 0
        data = unpadded(flags, payload)
        if not data and not flags & END_STREAM:
            self._spend("empty_frames", "empty DATA frames")
        if stream is None or stream.closed:
            self._after_end(number)
            return
        if stream.ended:
            raise StreamFailed(Code.STREAM_CLOSED, "DATA after the end of the request")
        stream.window_in -= size
        if stream.window_in < 0:
            raise StreamFailed(Code.FLOW_CONTROL_ERROR, "more content than the window allows")
        if size > len(data):
            self._open_again(stream, size - len(data))
        if stream.expected is not None:
            stream.expected -= len(data)
            if stream.expected < 0 or (flags & END_STREAM and stream.expected):
                raise malformed("the content does not have the size that Content-Length says")
        stream.received += data
        if flags & END_STREAM:
            self._end(stream)
        self.events.append(Event(Happened.READABLE, stream))

    def _after_end(self, number: int) -> None:
        """DATA or a field section for a stream that has ended (RFC 9113, section 5.1)."""
        how = self._how_ended(number)
        if how is How.BOTH:
            self._fail(Code.STREAM_CLOSED, "a frame for a stream that has ended")
        if how is not How.RESET_BY_SERVER:
            self._spend("resets", "frames for streams that have ended")
            self.sender.reset(number, Code.STREAM_CLOSED)

    def _how_ended(self, number: int) -> How | None:
        stream = self.streams.get(number)
        if stream is not None and not stream.reset:
            return How.BOTH
        return self._ended.get(number)

    def _end(self, stream: Stream) -> None:
        """The client has ended its side."""
        stream.ended = True
        if stream.finished:
            self._close(stream, How.BOTH)

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        if not number & 1:
            self._fail(Code.PROTOCOL_ERROR, "HEADERS for a stream that clients cannot open")
        self._take_section(self._sections.headers(flags, number, payload), payload)

    def _continuation(self, flags: int, number: int, payload: bytes) -> None:
        self._take_section(self._sections.continuation(flags, payload), payload)

    def _take_section(self, section: Section | None, payload: bytes) -> None:
        """A field section is complete: a head, or trailers. None: more of it follows."""
        if section is None:
            if not payload:
                self._spend("empty_frames", "empty frames of headers")
            return
        number = section.number
        stream = self.streams.get(number)
        if stream is None and number > self.last:
            self._begin(section)
        elif stream is None and number not in self._ended:
            self._fail(Code.PROTOCOL_ERROR, "the number of a stream is smaller than the last one")
        elif stream is None or stream.closed:
            self._after_end(number)
        elif stream.ended:
            raise StreamFailed(Code.STREAM_CLOSED, "HEADERS after the end of the request")
        else:
            self._trailers(stream, section)

    def _begin(self, section: Section) -> None:
        self.last = number = section.number
        if self.going_away is not None and number > self.going_away:
            self._ended_as(number, How.RESET_BY_SERVER)
            return  # RFC 9113, section 6.8: it is ignored, and the client asks elsewhere
        http2 = self._http2
        if self.open >= http2.streams or len(self.streams) >= 2 * http2.streams:
            self._ended_as(number, How.RESET_BY_SERVER)
            raise StreamFailed(Code.REFUSED_STREAM, "too many requests at a time")
        if section.of_itself:
            self._ended_as(number, How.RESET_BY_SERVER)
            raise malformed("a stream depends on itself")
        window_in = http2.window if self._acknowledged else max(http2.window, DEFAULT_WINDOW)
        stream = Stream(number, self._initial_window, window_in, self._limits.body)
        try:
            head, stream.priority = self._heads.read(section)
            if (early := self._early_priorities.pop(number, None)) is not None:
                stream.priority = early
            stream.accept(head)
            event = Event(Happened.OPENED, stream)
        except StreamFailed as error:
            stream.line = request_line(section.pairs)
            self._spend("resets", "streams that break a rule")
            self.sender.reset(number, error.code)
            self._ended_as(number, How.RESET_BY_SERVER)
            refusal = RemoteProtocolError(400, error.message)
            self.events.append(Event(Happened.MALFORMED, stream, refusal))
            return
        except RemoteProtocolError as error:
            stream.line = request_line(section.pairs)
            event = Event(Happened.REFUSED, stream, error)
        self.streams[number] = stream
        self.open += 1
        stream.ended = section.ended
        self.events.append(event)

    def _trailers(self, stream: Stream, section: Section) -> None:
        if not section.ended or (stream.head is not None and stream.head.upgrade):
            raise malformed("trailers have to end the request")
        check_trailers(section.pairs)
        if stream.expected:
            raise malformed("the content does not have the size that Content-Length says")
        self._end(stream)
        self.events.append(Event(Happened.READABLE, stream))

    def _priority(self, flags: int, number: int, payload: bytes) -> None:
        self._spend("priorities", "PRIORITY frames")
        payloads.priority(number, payload)

    def _priority_update(self, flags: int, number: int, payload: bytes) -> None:
        self._spend("priorities", "PRIORITY_UPDATE frames")
        of, value = payloads.priority_update(number, payload)
        stream = self.streams.get(of)
        if stream is not None:
            stream.priority = read_priority(value)
            self.events.append(Event(Happened.WRITABLE))
        elif of > self.last and len(self._early_priorities) < self._http2.streams:
            self._early_priorities[of] = read_priority(value)  # of a request that is on its way

    def _rst_stream(self, flags: int, number: int, payload: bytes) -> None:
        payloads.rst_stream(payload)
        if number > self.last or not number & 1:
            self._fail(Code.PROTOCOL_ERROR, "RST_STREAM for a stream that has not begun")
        self._spend("resets", "cancelled requests")
        stream = self.streams.get(number)
        if stream is None or stream.closed:
            return
        stream.reset = True
        self._close(stream, How.RESET_BY_CLIENT)
        self.events.append(Event(Happened.RESET, stream))

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        found = payloads.settings(number, payload, bool(flags & ACK))
        if flags & ACK:
            if not self.settled:
                self._fail(Code.PROTOCOL_ERROR, "the first frame has to be SETTINGS")
            self._spend("settings", "SETTINGS frames")
            self._acknowledged = True
            self._sections.acknowledged()
            return
        self._spend("settings", "SETTINGS frames")
        for key, value in found:
            if key == codes.INITIAL_WINDOW_SIZE:
                self._resize_windows(value)
        self.settled = True
        self.sender.frame(SETTINGS, ACK, 0, b"")

    def _resize_windows(self, size: int) -> None:
        """The client has another initial size for the windows of streams (section 6.9.2)."""
        change = size - self._initial_window
        self._initial_window = size
        for stream in self.streams.values():
            stream.window += change
            if stream.window > MOST_WINDOW:
                self._fail(Code.FLOW_CONTROL_ERROR, "a window is too large")
        if change > 0:
            self.events.append(Event(Happened.WRITABLE))

    def _push_promise(self, flags: int, number: int, payload: bytes) -> None:
        self._fail(Code.PROTOCOL_ERROR, "clients do not push")

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        payloads.ping(number, payload)
        self._spend("pings", "PING frames")
        if not flags & ACK:
            self.sender.frame(PING, ACK, 0, payload)
        elif payload == PING_OF_STOP:
            self.events.append(Event(Happened.PONG))

    def _goaway(self, flags: int, number: int, payload: bytes) -> None:
        payloads.goaway(number, payload)
        self._spend("pings", "GOAWAY frames")

    def _window_update(self, flags: int, number: int, payload: bytes) -> None:
        more = payloads.window_update(payload)
        if more < TINY:
            self._spend("tiny_updates", "small WINDOW_UPDATE frames")
        if not number:
            if not more:
                self._fail(Code.PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
            self.sender.window += more
            if self.sender.window > MOST_WINDOW:
                self._fail(Code.FLOW_CONTROL_ERROR, "the window of the connection is too large")
            self.events.append(Event(Happened.WRITABLE))
            return
        if number > self.last or not number & 1:
            self._fail(Code.PROTOCOL_ERROR, "WINDOW_UPDATE for a stream that has not begun")
        stream = self.streams.get(number)
        if stream is None or stream.closed:
            return  # it may have been on its way
        if not more:
            raise malformed("WINDOW_UPDATE by nothing")
        stream.window += more
        if stream.window > MOST_WINDOW:
            raise StreamFailed(Code.FLOW_CONTROL_ERROR, "the window of a stream is too large")
        self.events.append(Event(Happened.WRITABLE, stream))

    # --- from the server

    def take(self, stream: Stream, most: int) -> bytes:
        """Content of a request that has come, at most `most` bytes."""
        received = stream.received
        data = bytes(received[:most])
        del received[:most]
        if not (stream.ended or stream.reset):
            self._open_again(stream, len(data))
        return data

    def _open_again(self, stream: Stream, count: int) -> None:
        stream.consumed += count
        if stream.consumed * 2 >= self._http2.window:
            self.sender.window_update(stream.id, stream.consumed)
            stream.window_in += stream.consumed
            stream.consumed = 0

    def reset(self, stream: Stream, code: Code) -> None:
        """End a stream at once, unless it has ended."""
        if not stream.closed:
            stream.reset = True
            stream.received.clear()
            if not self.failed:  # the GOAWAY has said it for all streams
                self.sender.reset(stream.id, code)
            self._close(stream, How.RESET_BY_SERVER)

    def forget(self, stream: Stream) -> None:
        """The server has done with a stream; it is reset if it has not ended."""
        code = Code.CANCEL if stream.writing is Writing.OTHER else Code.INTERNAL_ERROR
        self.reset(stream, Code.NO_ERROR if stream.finished else code)
        self.streams.pop(stream.id, None)

    def _has_finished(self, stream: Stream) -> None:
        """The end of the response has been sent."""
        if stream.ended:
            self._close(stream, How.BOTH)

    def _close(self, stream: Stream, how: How) -> None:
        if not stream.closed:
            stream.closed = True
            self.open -= 1
            self._ended_as(stream.id, how)

    def _ended_as(self, number: int, how: How) -> None:
        if len(self._ended) >= REMEMBERED:
            del self._ended[next(iter(self._ended))]
        self._ended[number] = how

    def announce_stop(self) -> None:
        """Ask for no further requests, before it is decided which the last one is."""
        if not self.failed and self.going_away is None:
            self.sender.goaway(MOST_STREAM, Code.NO_ERROR)
            self.sender.frame(PING, 0, 0, PING_OF_STOP)

    def go_away(self) -> None:
        """Serve no request after those that have begun."""
        if not self.failed and self.going_away is None:
            self.going_away = self.last
            self.sender.goaway(self.last, Code.NO_ERROR)
