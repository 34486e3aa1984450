"""Decodes a chunked body into its content (RFC 9112, section 7.1).

Trailers, the field lines after the last chunk, are checked and discarded (RFC 9110, section
6.5.1, allows that). They never become headers.
"""

from __future__ import annotations

import re

from carboy.grammar import QUOTED_STRING, TCHAR

from .buffer import ReceiveBuffer
from .errors import RemoteProtocolError, content_too_large
from .head import chop, split_field_line
from .limits import Limits

# In trailers, these fields are an attempt to frame or route the request again.
_REFUSED_TRAILERS = frozenset((b"host", b"content-length", b"transfer-encoding"))
# RFC 9112, section 7.1.1: *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
_chunk_line = re.compile(
    rf"(?:0*+([1-9A-Fa-f][0-9A-Fa-f]{{0,15}})|0++)"  # leading zeros are harmless
    rf"(?:[ \t]*+;[ \t]*+[{TCHAR}]++(?:[ \t]*+=[ \t]*+(?:[{TCHAR}]++|{QUOTED_STRING}))?+)*+".encode(
        "latin-1"
    )
).fullmatch


# The size line of nearly every chunk that is not the last.
_plain_line = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,7}+)\r\n").match
# Chunks taken at a time, so that the work of one step is bounded: about 30 µs.
_AT_A_TIME = 64
# Chunks of one byte are taken in a run, at most so many at a time: about as long.
_RUN = 2048
_alone_size = len(b"1\r\n?\r\n")
_around = ((0, b"1"), (1, b"\r"), (2, b"\n"), (4, b"\r"), (5, b"\n"))  # the byte at place 3


class ChunkReader:
    """Takes chunks off a buffer.

    `next` returns the content of one or more chunks, b"" at the end, and None when it needs more
    bytes. Complete chunks with a plain size line are taken together, at most `_AT_A_TIME` of them.
    Everything else, and everything that is refused, is taken one chunk, or a part of it, at a time.
    The outcome is the same.
    """

    __slots__ = (
        "_in_chunk",
        "_in_trailers",
        "_left",
        "_limits",
        "_overhead",
        "_total",
        "_trailer_lines",
        "_trailers_size",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = 0
        self._total = 0
        self._overhead = 0
        self._in_chunk = False
        self._in_trailers = False
        self._trailers_size = 0
        self._trailer_lines = 0

    def next(self, buffer: ReceiveBuffer, limit: int) -> bytes | None:
        """The next content; RemoteProtocolError 413 above `limit`, 400 for bad framing."""
        if self._in_trailers:
            return self._trailers(buffer)
        if self._in_chunk and not self._left and not self._chunk_end(buffer):
            return None
        if not self._left:
            content = self._whole_chunks(buffer, limit)
            if content:
                return content
            size = self._size(buffer, limit)
            if size is None:
                return None
            if not size:
                self._in_trailers = True
                return self._trailers(buffer)
        if not buffer.data:
            return None
        content = buffer.take(self._left)
        self._left -= len(content)
        return content

    def _whole_chunks(self, buffer: ReceiveBuffer, limit: int) -> bytes:
        """The content of the plain chunks at the start of the buffer; b"" if there are none.

        An overhead within its limit stays within it: a plain line has at most 3 bytes for a byte
        of content, and 8 are allowed.
        """
        if self._limits.chunk_line < 8:
            return b""
        data = buffer.data
        pieces: list[bytearray] = []
        at = size_so_far = 0
        room = limit - self._total
        if data.startswith(b"1\r\n") and (run := _bytes_alone(data, min(room, _RUN))):
            buffer.drop(_alone_size * len(run))
            self._total += len(run)
            self._overhead += len(b"1\r\n") * len(run)
            return run
        while len(pieces) < _AT_A_TIME:
            match = _plain_line(data, at)
            if match is None:
                break
            start = match.end()
            size = int(match[1], 16)
            end = start + size
            if size_so_far + size > room or data[end : end + 2] != b"\r\n":
                break
            pieces.append(data[start:end])
            size_so_far += size
            at = end + 2
        if not pieces:
            return b""
        buffer.drop(at)
        self._total += size_so_far
        self._overhead += at - size_so_far - 2 * len(pieces)
        return b"".join(pieces)

    def _chunk_end(self, buffer: ReceiveBuffer) -> bool:
        end = buffer.peek(2)
        if end != b"\r\n"[: len(end)]:
            raise RemoteProtocolError(400, "a chunk is not followed by CRLF")
        if len(end) < 2:
            return False
        buffer.take(2)
        self._in_chunk = False
        return True

    def _size(self, buffer: ReceiveBuffer, limit: int) -> int | None:
        line = buffer.line()
        if (len(buffer) - 1 if line is None else len(line) - 2) > self._limits.chunk_line:
            raise RemoteProtocolError(400, "a chunk size line is too long")
        if line is None:
            return None
        match = _chunk_line(chop(line))
        if not match:
            raise RemoteProtocolError(400, "a chunk size is not a hexadecimal number")
        size = int(match.group(1) or "0", 16)
        self._total += size
        if self._total > limit:
            raise content_too_large(limit)
        # Size lines may cost a few bytes for each byte of content, and a fixed sum: enough for
        # chunks of one byte, not for an extension on each of them.
        self._overhead += len(line)
        if self._overhead > self._limits.chunk_overhead + 8 * self._total:
            raise RemoteProtocolError(400, "the chunks have too many extensions for their content")
        self._left = size
        self._in_chunk = True
        return size

    def _trailers(self, buffer: ReceiveBuffer) -> bytes | None:
        while True:
            line = buffer.line()
            room = max(0, self._limits.trailers_size - self._trailers_size - 2)
            if (len(buffer) - 1 if line is None else len(line) - 2) > room:
                raise RemoteProtocolError(400, "the trailers are too large")
            if line is None:
                return None
            if line == b"\r\n":
                return b""
            self._trailers_size += len(line)
            self._trailer_lines += 1
            if self._trailer_lines > self._limits.fields_count:
                raise RemoteProtocolError(400, "there are too many trailers")
            name, _ = split_field_line(chop(line))
            if name in _REFUSED_TRAILERS:
                text = f"the field {name.decode('latin-1')} is not allowed in trailers"
                raise RemoteProtocolError(400, text)


def _bytes_alone(data: bytearray, most: int) -> bytes:
    """The content of the chunks of one byte at the start of `data`, of at most `most` of them.

    The bytes at each place of their framing are compared together, by loops of C.
    """
    count = min(len(data) // _alone_size, most)
    for place, byte in _around:
        column = data[place : count * _alone_size : _alone_size]
        count = len(column) - len(column.lstrip(byte))
    return bytes(data[3 : count * _alone_size : _alone_size])
