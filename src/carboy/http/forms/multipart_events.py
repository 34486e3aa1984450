"""What a multipart body consists of, as events: in from the decoder, out by the encoder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.fields.headers import Headers
from carboy.http.fields.syntax import parse_options_header

if TYPE_CHECKING:
    from carboy.http.fields.headers import Headers


class Event:
    """Anything that a multipart body is made of."""


@dataclass(frozen=True)
class Preamble(Event):
    """What stands before the first boundary; readers ignore it."""

    data: bytes


@dataclass(frozen=True)
class Field(Event):
    """The head of a part that is a value."""

    name: str
    headers: Headers


@dataclass(frozen=True)
class File(Event):
    """The head of a part that is a file."""

    name: str
    filename: str
    headers: Headers


@dataclass(frozen=True)
class Data(Event):
    """A piece of a part's content; `more_data` is off on the last."""

    data: bytes
    more_data: bool


@dataclass(frozen=True)
class Epilogue(Event):
    """What stands behind the last boundary; readers ignore it."""

    data: bytes


class NeedData(Event):
    """Nothing can be said before there is more input."""


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
# What may stand around a boundary's own octets: two line breaks, and two dashes on each side.
SEARCH_EXTRA_LENGTH = 8
# RFC 2046, section 5.1.1: "--" closes, "transport-padding" is skipped.
_ENDING = b"(--[^\\S\n\r]*" + LINE_BREAK + b"?|[^\\S\n\r]*" + LINE_BREAK + b")"


class MultipartDecoder:
    """Decodes one body between boundaries of `boundary`.

    `max_form_memory_size` bounds what is received and not yet handed out, in octets, and
    `max_parts` the number of parts: RequestEntityTooLarge. Of a malformed or cut off body
    `next_event` raises ValueError.
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
        """Take in a piece of the body; None at its end."""
        if data is None:
            self.complete = True
            return
        limit = self.max_form_memory_size
        if limit is not None and len(self.buffer) + len(data) > limit:
            raise RequestEntityTooLarge
        self.buffer.extend(data)

    def next_event(self) -> Event:
        """The next event that the input holds, NEED_DATA if it ends within one."""
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
        # The second line break stays: a part without content has only one before its boundary.
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
        # A part without a name has the name None there too; nobody is helped by an error.
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
        """Content that is certain, what it takes of the buffer, and whether more follows."""
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
        """Where what may turn out to be a boundary begins; the length if there is none."""
        window = len(data) - len(self.boundary) - 4
        index = len(data)
        for octet in (b"\n", b"\r"):
            found = data.rfind(octet)
            if found >= 0 and found >= window:
                index = min(index, found)
        waiting = self._waiting(data)
        if waiting >= 0:
            index = min(index, waiting)
        # What turns out to be a boundary takes the CR of its CRLF with it.
        after_cr = index > 0 and data[index - 1 : index + 1] == b"\r\n"
        if after_cr and (index == waiting or self._delimiter.startswith(data[index + 1 :])):
            index -= 1
        return index

    def _waiting(self, data: bytes | bytearray) -> int:
        """The LF before a boundary whose line is not over yet, or -1."""
        whole = data.rfind(b"\n" + self._delimiter)
        rest = data[whole + 1 + len(self._delimiter) :]
        over = rest != b"-" and (len(rest) > SEARCH_EXTRA_LENGTH or rest.strip(b" \t\f\v") != b"")
        return -1 if over else whole

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        """The fields of a part; a folded line is joined to the one before."""
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


# HTML, "multipart/form-data encoding algorithm": what would end a quoted name.
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class MultipartEncoder:
    """Turns events into octets. ValueError for one that cannot stand at its place."""

    def __init__(self, boundary: bytes) -> None:
        self.boundary = boundary
        self.state = State.PREAMBLE

    def send_event(self, event: Event) -> bytes:
        """The octets of the event."""
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
        first = f'Content-Disposition: form-data; name="{event.name.translate(_ESCAPES)}"'
        if isinstance(event, File):
            first += f'; filename="{event.filename.translate(_ESCAPES)}"'
        lines = [first]
        lines += [f"{k}: {v}" for k, v in event.headers if k.lower() != "content-disposition"]
        return b"\r\n--" + self.boundary + b"\r\n" + "\r\n".join([*lines, ""]).encode()

    def _data(self, event: Data) -> bytes:
        # The empty line goes with the first content; without any the next boundary brings it.
        if self.state is State.DATA_START and (event.data or not event.more_data):
            self.state = State.DATA
            return b"\r\n" + event.data if event.data else b""
        return event.data


_BEFORE_A_PART = (State.PREAMBLE, State.PART, State.DATA)
