"""A multipart body taken apart as it comes in, strictly (RFC 2046, section 5.1.1; RFC 7578).

Knows no streams and no forms: bytes go in, the header lines and the content of parts come out.
The outcome depends on the bytes alone and not on the pieces they come in: a line is judged when
all of it is there, and what may be the beginning of a boundary waits until it is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from carboy.grammar import TCHAR
from carboy.http.exceptions import RequestEntityTooLarge

# Header lines of a part; bytes of its content; None at its end.
Lines = list[tuple[str, str]]
Event = Lines | bytes | None

# A part has Content-Disposition, Content-Type and perhaps a few more (RFC 7578, section 4.8).
MAX_HEADER_LINE = 8 * 1024
MAX_HEADER_LINES = 16

# What follows the text of a boundary: the dashes of the last one; the end of its line, behind
# padding (RFC 2046, section 5.1.1), which is bounded because it is looked at again with every
# piece; nothing that decides yet; or a line end that is none. All else belongs to the content.
_PADDING = rb"[ \t]{0,1024}+"
_behind = re.compile(
    rb"(?P<last>--)|(?P<next>%b\r\n)|(?P<open>(?:-|%b\r?)\Z)|(?P<bare>%b[\r\n])"
    % (_PADDING, _PADDING, _PADDING)
).match
_field = re.compile(rf"([{TCHAR}]++):([^\r\n]*+)".encode()).fullmatch
_length = re.compile(r"0{0,238}+[0-9]{1,18}|0{1,238}").fullmatch


class State(Enum):
    """Where the next byte belongs."""

    PREAMBLE = "before the first boundary"
    HEAD = "among the headers of a part"
    CONTENT = "in the content of a part"
    END = "behind the last boundary"


class MultipartReader:
    """Reads the body between boundaries of `boundary`.

    ValueError is raised for a malformed body, RequestEntityTooLarge for more than `max_parts`
    parts and for header lines above the limits.
    """

    def __init__(self, boundary: bytes, max_parts: int | None = None) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._max_parts = max_parts
        self._state = State.PREAMBLE
        # The first boundary needs no line break before it; with this one it is like the others.
        self._buffer = b"\r\n"
        self._at = 0  # what comes before this in the buffer is done with
        self._parts = 0
        # one part, or the preamble
        self._headers: Lines = []
        self._count = 0  # of its header lines
        self._lead = 0  # bytes of the line break before the content that are still in the buffer
        self._declared: int | None = None
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take the next piece of the body and give what it completes."""
        self._buffer = self._buffer[self._at :] + piece
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
        """Call it at the end of the body: ValueError if that is not behind the last boundary."""
        if self._state is not State.END:
            raise ValueError(
                f"The multipart body ends {self._state.value}; send it whole, up to the boundary"
                " that ends in two dashes."
            )

    # boundaries and content

    def _find_boundary(self) -> tuple[int, re.Match[bytes] | None]:
        """Where the content ends for now, and what follows the boundary there, if one does."""
        buffer, delimiter = self._buffer, self._delimiter
        size = len(delimiter)
        found = buffer.find(delimiter, self._at)
        while found >= 0:
            behind = _behind(buffer, found + size)
            if behind is not None:
                if behind.lastgroup == "bare":
                    raise ValueError("The line of a boundary ends in a bare CR or LF, not in CRLF.")
                return found, behind if behind.lastgroup != "open" else None
            found = buffer.find(delimiter, found + size)
        # A boundary has one CR, so only the last CR can begin one that is not complete yet.
        found = buffer.rfind(b"\r", max(self._at, len(buffer) - size + 1))
        if found >= 0 and delimiter.startswith(buffer[found:]):
            return found, None
        return len(buffer), None

    def _take(self, end: int) -> bytes:
        """The content up to `end`; b"" for a preamble, and while there is none."""
        begin = self._at
        if end == begin:
            return b""
        self._at = end
        if self._state is State.PREAMBLE:
            self._size += end - begin
            return b""
        content = self._buffer[begin + self._lead : end]
        self._lead = 0
        self._size += len(content)
        return content

    def _pass_boundary(self, behind: re.Match[bytes]) -> None:
        self._at = behind.end()
        if behind.lastgroup == "last":
            # A form without a single part is the last boundary alone, perhaps on a second line.
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
        """The next line without its end, None if that has not come. An empty line stays."""
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
        # Values are UTF-8; one that is not must not cost the user the whole form.
        name, value = field[1].decode(), field[2].decode("utf-8", "replace").strip(" \t")
        if len(name) == len("content-length") and name.lower() == "content-length":
            if self._declared is not None or not _length(value):
                raise ValueError("The Content-Length of a part has to be one decimal number.")
            self._declared = int(value)
        self._headers.append((name, value))

    def _add_continuation(self, line: bytes) -> None:
        """A line that begins with white space goes on with the one before it."""
        if line[:1] not in (b" ", b"\t") or b"\r" in line or b"\n" in line or not self._headers:
            raise ValueError("A header line of a part has to be 'name: value' and end in CRLF.")
        name, value = self._headers[-1]
        if name.lower() == "content-length":
            raise ValueError("The Content-Length of a part has to be one decimal number.")
        more = line.decode("utf-8", "replace").strip(" \t")
        self._headers[-1] = name, f"{value} {more}".rstrip(" ")

    def _begin_content(self) -> None:
        self._state = State.CONTENT
        # Of a part without content the empty line's end may be the boundary's line break too.
        self._lead = 2
        self._size = 0

    def _check_length(self) -> None:
        if self._declared is not None and self._declared != self._size:
            raise ValueError("The content of a part does not have its Content-Length.")
