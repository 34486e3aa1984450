"""Multipart bodies as events: a decoder and an encoder, as in `werkzeug.sansio.multipart`.

Forms of a request are read by `carboy.http.forms.parser`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.fields.headers import Headers
from carboy.http.fields.syntax import FORM_NAME_ESCAPES, parse_options_header


class Event:
    """The base class of the parts of a multipart body."""


@dataclass(frozen=True)
class Preamble(Event):
    """The bytes before the first boundary, which readers ignore."""

    data: bytes


@dataclass(frozen=True)
class Field(Event):
    """The headers of a part that is a value."""

    name: str
    headers: Headers


@dataclass(frozen=True)
class File(Event):
    """The headers of a part that is a file."""

    name: str
    filename: str
    headers: Headers


@dataclass(frozen=True)
class Data(Event):
    """A piece of a part's content. `more_data` is False for the last piece."""

    data: bytes
    more_data: bool


@dataclass(frozen=True)
class Epilogue(Event):
    """The bytes after the last boundary, which readers ignore."""

    data: bytes


class NeedData(Event):
    """The decoder needs more input."""


NEED_DATA = NeedData()


class State(Enum):
    """Which event comes next in a body."""

    PREAMBLE = auto()
    PART = auto()
    DATA = auto()
    DATA_START = auto()
    EPILOGUE = auto()
    COMPLETE = auto()


LINE_BREAK = b"(?:\r\n|\n|\r)"
LINE_BREAK_RE = re.compile(LINE_BREAK)
BLANK_LINE_RE = re.compile(b"(?:\r\n\r\n|\r\r|\n\n)")
HEADER_CONTINUATION_RE = re.compile(LINE_BREAK + b"[ \t]")
# Bytes around the text of a boundary: two line breaks, and two dashes on each side.
SEARCH_EXTRA_LENGTH = 8
# RFC 2046, section 5.1.1: "--" is the end of the body, "transport-padding" is skipped.
_ENDING = b"(--[^\\S\n\r]*" + LINE_BREAK + b"?|[^\\S\n\r]*" + LINE_BREAK + b")"


class MultipartDecoder:
    """Decodes one body with this boundary.

    RequestEntityTooLarge for more than `max_form_memory_size` bytes that were received but not
    returned as events, and for more than `max_parts` parts. `next_event` raises ValueError for a
    malformed or incomplete body.
    """

    def __init__(
        self,
        boundary: bytes,
        max_form_memory_size: int | None = None,
        *,
        max_parts: int | None = None,
    ) -> None:
        self.boundary = boundary
        self.max_form_memory_size = max_form_memory_size
        self.max_parts = max_parts
        delimiter = b"--" + re.escape(boundary) + _ENDING
        self.preamble_re = re.compile(LINE_BREAK + b"?" + delimiter)
        self.boundary_re = re.compile(LINE_BREAK + delimiter)
        self.buffer = bytearray()
        self.complete = False
        self.state = State.PREAMBLE
        self._search_position = 0
        self._parts_decoded = 0

    def receive_data(self, data: bytes | None) -> None:
        """Receive a piece of the body; None at its end."""
        if data is None:
            self.complete = True
            return
        limit = self.max_form_memory_size
        if limit is not None and len(self.buffer) + len(data) > limit:
            raise RequestEntityTooLarge
        self.buffer.extend(data)

    def next_event(self) -> Event:
        """The next event, or NEED_DATA if the input ends before it is complete."""
        event = self._step()
        if self.complete and isinstance(event, NeedData):
            raise ValueError(
                f"Invalid form-data cannot parse beyond {self.state}: the body ends there. Send"
                " it whole, up to the closing boundary."
            )
        return event

    def _step(self) -> Event:
        if self.state is State.PREAMBLE:
            return self._preamble()
        if self.state is State.PART:
            return self._head()
        if self.state in (State.DATA_START, State.DATA):
            return self._data()
        if self.state is State.EPILOGUE and self.complete:
            event = Epilogue(bytes(self.buffer))
            self.buffer.clear()
            self.state = State.COMPLETE
            return event
        return NEED_DATA

    def _preamble(self) -> Event:
        match = self.preamble_re.search(self.buffer, self._search_position)
        if match is None:
            self._search_from(len(self.buffer) - len(self.boundary) - SEARCH_EXTRA_LENGTH)
            return NEED_DATA
        event = Preamble(bytes(self.buffer[: match.start()]))
        self._behind(match)
        return event

    def _head(self) -> Event:
        match = BLANK_LINE_RE.search(self.buffer, self._search_position)
        if match is None:
            self._search_from(len(self.buffer) - SEARCH_EXTRA_LENGTH)
            return NEED_DATA
        headers = self._parse_headers(self.buffer[: match.start()])
        # The second line break is kept: a part without content has one before its boundary only.
        del self.buffer[: (match.start() + match.end()) // 2]
        if "content-disposition" not in headers:
            raise ValueError(
                "Missing Content-Disposition header: each part of a form needs one (RFC 7578, 4.2)."
            )
        options = parse_options_header(headers["content-disposition"])[1]
        name, filename = options.get("name"), options.get("filename")
        self.state = State.DATA_START
        self._search_position = 0
        self._parts_decoded += 1
        if self.max_parts is not None and self._parts_decoded > self.max_parts:
            raise RequestEntityTooLarge
        # Werkzeug also gives a part without a name the name None.
        if filename is not None:
            return File(name, filename, headers)  # type: ignore[arg-type]
        return Field(name, headers)  # type: ignore[arg-type]

    def _data(self) -> Event:
        start = self.state is State.DATA_START
        data, used, more = self._parse_data(self.buffer, start=start)
        del self.buffer[:used]
        if start and more:
            self.state = State.DATA
        return Data(data, more) if data or start or not more else NEED_DATA

    def _parse_data(self, data: bytes | bytearray, *, start: bool) -> tuple[bytes, int, bool]:
        """The content before a boundary, the bytes used of the buffer, and whether more follows."""
        begin = 0
        if start and (line_break := LINE_BREAK_RE.match(data)):
            begin = line_break.end()
        match = self.boundary_re.search(data) if self._delimiter in data else None
        if match is None:
            end = begin + self._last_partial_boundary_index(data[begin:])
            return bytes(data[begin:end]), end, True
        self.state = State.EPILOGUE if match[1].startswith(b"--") else State.PART
        return bytes(data[begin : match.start()]), match.end(), False

    @property
    def _delimiter(self) -> bytes:
        return b"--" + self.boundary

    def _last_partial_boundary_index(self, data: bytes | bytearray) -> int:
        """The position where a boundary may begin; the length if there is no such position."""
        window = len(data) - len(self.boundary) - 4
        index = len(data)
        for line_break in (b"\n", b"\r"):
            found = data.rfind(line_break)
            if found >= 0 and found >= window:
                index = min(index, found)
        waiting = self._waiting(data)
        if waiting >= 0:
            index = min(index, waiting)
        # The CR before the LF belongs to the boundary.
        after_cr = index > 0 and data[index - 1 : index + 1] == b"\r\n"
        if after_cr and (index == waiting or self._delimiter.startswith(data[index + 1 :])):
            index -= 1
        return index

    def _waiting(self, data: bytes | bytearray) -> int:
        """The position of the LF before a boundary whose line is not complete, or -1."""
        whole = data.rfind(b"\n" + self._delimiter)
        rest = data[whole + 1 + len(self._delimiter) :]
        over = rest != b"-" and (len(rest) > SEARCH_EXTRA_LENGTH or rest.strip(b" \t\f\v") != b"")
        return -1 if over else whole

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        """The header fields of a part. A folded line is joined to the line before it."""
        headers = Headers()
        for line in LINE_BREAK_RE.split(HEADER_CONTINUATION_RE.sub(b" ", data)):
            if line := line.strip():
                name, _, value = line.decode().partition(":")
                headers.add(name.strip(), value.strip())
        return headers

    def _search_from(self, position: int) -> None:
        self._search_position = max(0, position)

    def _behind(self, match: re.Match[bytes]) -> None:
        self.state = State.EPILOGUE if match[1].startswith(b"--") else State.PART
        del self.buffer[: match.end()]
        self._search_position = 0


class MultipartEncoder:
    """Encodes events as bytes. ValueError for an event that may not come next."""

    def __init__(self, boundary: bytes) -> None:
        self.boundary = boundary
        self.state = State.PREAMBLE

    def send_event(self, event: Event) -> bytes:
        """The event as bytes."""
        if isinstance(event, Preamble) and self.state is State.PREAMBLE:
            self.state = State.PART
            return event.data
        if isinstance(event, Field | File) and self.state in _BEFORE_A_PART:
            self.state = State.DATA_START
            return self._head(event)
        if isinstance(event, Data) and self.state in (State.DATA_START, State.DATA):
            return self._data(event)
        if isinstance(event, Epilogue):
            self.state = State.COMPLETE
            return b"\r\n--" + self.boundary + b"--\r\n" + event.data
        raise ValueError(
            f"Cannot generate {event!r} in state: {self.state}. Send the head of a part"
            " before its data."
        )

    def _head(self, event: Field | File) -> bytes:
        first = f'Content-Disposition: form-data; name="{event.name.translate(FORM_NAME_ESCAPES)}"'
        if isinstance(event, File):
            first += f'; filename="{event.filename.translate(FORM_NAME_ESCAPES)}"'
        lines = [first]
        lines += [f"{k}: {v}" for k, v in event.headers if k.lower() != "content-disposition"]
        return b"\r\n--" + self.boundary + b"\r\n" + "\r\n".join([*lines, ""]).encode()

    def _data(self, event: Data) -> bytes:
        # The empty line is sent with the first content, or with the next boundary without content.
        if self.state is State.DATA_START and (event.data or not event.more_data):
            self.state = State.DATA
            return b"\r\n" + event.data if event.data else b""
        return event.data


_BEFORE_A_PART = (State.PREAMBLE, State.PART, State.DATA)
