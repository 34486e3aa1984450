"""Takes a multipart body apart piece by piece (RFC 2046, section 5.1; RFC 7578).

Knows nothing of streams: bytes come in with `receive_data`, events go out of `next_event`.
Lenient where the form parser is strict: any line break will do. For who reads a form as it
comes in; forms of a request are read by `carboy.http.forms.multipart`.
"""

from __future__ import annotations

import re

from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.forms.events import (
    NEED_DATA,
    Data,
    Epilogue,
    Event,
    Field,
    File,
    NeedData,
    Preamble,
    State,
)
from carboy.http.headers import Headers
from carboy.http.options import parse_options_header

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
