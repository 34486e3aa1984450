"""A strict incremental parser of multipart bodies (RFC 2046, section 5.1.1; RFC 7578).

It is given bytes and returns the header lines and the content of parts, without streams and forms.
The result does not depend on how the bytes are split into pieces: a line is parsed when it is
complete, and bytes that may begin a boundary are kept until this is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from carboy.grammar import TCHAR
from carboy.http.exceptions import RequestEntityTooLarge

# The header lines of a part, a piece of its content, or None at its end.
Lines = list[tuple[str, str]]
Event = Lines | bytes | None

# Parts have Content-Disposition, Content-Type and few other fields (RFC 7578, section 4.8).
MAX_HEADER_LINE = 8 * 1024
MAX_HEADER_LINES = 16

# What can follow the text of a boundary. `last`: the dashes of the last boundary. `next`: the end
# of the line after padding (RFC 2046, section 5.1.1), which is limited because it is read again
# with each piece. `open`: not enough bytes to decide. `bare`: an invalid line end. Without a match,
# the text is not a boundary but content.
_PADDING = rb"[ \t]{0,1024}+"
_behind = re.compile(
    rb"(?P<last>--)|(?P<next>%b\r\n)|(?P<open>(?:-|%b\r?)\Z)|(?P<bare>%b[\r\n])"
    % (_PADDING, _PADDING, _PADDING)
).match
_field = re.compile(rf"([{TCHAR}]++):([^\r\n]*+)".encode()).fullmatch
_length = re.compile(r"0{0,238}+[0-9]{1,18}|0{1,238}").fullmatch


class State(Enum):
    """The part of the body that the next byte belongs to."""

    PREAMBLE = "before the first boundary"
    HEAD = "among the headers of a part"
    CONTENT = "in the content of a part"
    END = "behind the last boundary"


class MultipartReader:
    """Parses one body with this boundary.

    ValueError is raised for a malformed body, RequestEntityTooLarge for more than `max_parts`
    parts and for header lines above the limits.
    """

    def __init__(self, boundary: bytes, max_parts: int | None = None) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._max_parts = max_parts
        self._state = State.PREAMBLE
        # The first boundary needs no line break before it. This one makes it like the others.
        self._buffer = b"\r\n"
        self._at = 0  # the position in the buffer up to which it has been used
        self._before = -2  # bytes of the body before the buffer, less the line break above
        self.content_at = 0  # position in the body of the content that was yielded last
        self._parts = 0
        # of the current part or the preamble:
        self._headers: Lines = []
        self._count = 0  # number of header lines
        self._lead = 0  # bytes in the buffer that belong to the line break before the content
        self._declared: int | None = None
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Parse the next piece of the body and yield the events that it completes."""
        self._buffer = self._buffer[self._at :] + piece
        self._before += self._at
        self._at = 0
        while self._state is not State.END:
            if self._state is State.HEAD:
                line = self._line()
                if line is None:
                    return
                if line:
                    self._add_header(line)
                else:
                    self._begin_content()
                    yield self._headers
            else:
                end, behind = self._find_boundary()
                content = self._take(end)
                if content:
                    yield content
                if behind is None:
                    return
                if self._state is State.CONTENT:
                    self._check_length()
                    yield None
                self._pass_boundary(behind)

    def close(self) -> None:
        """Check that the body ended after the last boundary. ValueError if not."""
        if self._state is not State.END:
            raise ValueError(
                f"The multipart body ends {self._state.value}. Send the whole body, up to the"
                " boundary that ends with two dashes."
            )

    # boundaries and content

    def _find_boundary(self) -> tuple[int, re.Match[bytes] | None]:
        """The end of the content, and the match of `_behind` if a boundary follows it."""
        buffer, delimiter = self._buffer, self._delimiter
        size = len(delimiter)
        found = buffer.find(delimiter, self._at)
        while found >= 0:
            behind = _behind(buffer, found + size)
            if behind is not None:
                if behind.lastgroup == "bare":
                    raise ValueError(
                        "The line of a boundary ends with a bare CR or LF instead of CRLF."
                    )
                return found, behind if behind.lastgroup != "open" else None
            found = buffer.find(delimiter, found + size)
        # A boundary contains one CR, so only the last CR can begin an incomplete boundary.
        found = buffer.rfind(b"\r", max(self._at, len(buffer) - size + 1))
        if found >= 0 and delimiter.startswith(buffer[found:]):
            return found, None
        return len(buffer), None

    def _take(self, end: int) -> bytes:
        """The content up to `end`; b"" for a preamble, or without content."""
        begin = self._at
        if end == begin:
            return b""
        self._at = end
        if self._state is State.PREAMBLE:
            self._size += end - begin
            return b""
        begin += self._lead
        content = self._buffer[begin:end]
        self.content_at = self._before + begin
        self._lead = 0
        self._size += len(content)
        return content

    def _pass_boundary(self, behind: re.Match[bytes]) -> None:
        self._at = behind.end()
        if behind.lastgroup == "last":
            # A form without parts is just the last boundary, possibly after a line break.
            if not self._parts and self._size > 2:
                raise ValueError("The multipart body ends before its first part.")
            self._state = State.END
            return
        self._parts += 1
        if self._max_parts is not None and self._parts > self._max_parts:
            raise RequestEntityTooLarge
        self._state = State.HEAD
        self._headers = []
        self._count = 0
        self._declared = None

    # headers

    def _line(self) -> bytes | None:
        """The next line without its end; None if it is incomplete. An empty line stays in place."""
        end = self._buffer.find(b"\r\n", self._at)
        size = (len(self._buffer) - 1 if end < 0 else end) - self._at
        if size > MAX_HEADER_LINE:
            raise RequestEntityTooLarge
        if end < 0:
            return None
        line = self._buffer[self._at : end]
        if line:
            self._at = end + 2
        return line

    def _add_header(self, line: bytes) -> None:
        self._count += 1
        if self._count > MAX_HEADER_LINES:
            raise RequestEntityTooLarge
        field = _field(line)
        if field is None:
            self._add_continuation(line)
            return
        # Values are UTF-8. Invalid bytes are replaced, so that the rest of the form is still read.
        name, value = field[1].decode(), field[2].decode("utf-8", "replace").strip(" \t")
        if len(name) == len("content-length") and name.lower() == "content-length":
            if self._declared is not None or not _length(value):
                raise ValueError("The Content-Length of a part has to be one decimal number.")
            self._declared = int(value)
        self._headers.append((name, value))

    def _add_continuation(self, line: bytes) -> None:
        """Append a line that begins with white space to the line before it."""
        if line[:1] not in (b" ", b"\t") or b"\r" in line or b"\n" in line or not self._headers:
            raise ValueError("A header line of a part has to be 'name: value' and end with CRLF.")
        name, value = self._headers[-1]
        if name.lower() == "content-length":
            raise ValueError("The Content-Length of a part has to be one decimal number.")
        more = line.decode("utf-8", "replace").strip(" \t")
        self._headers[-1] = name, f"{value} {more}".rstrip(" ")

    def _begin_content(self) -> None:
        self._state = State.CONTENT
        # In a part without content, the end of the empty line may be the boundary's line break.
        self._lead = 2
        self._size = 0

    def _check_length(self) -> None:
        if self._declared is not None and self._declared != self._size:
            raise ValueError("The content of a part does not have its Content-Length.")
