"""A chunked body to its octets (RFC 9112, section 7.1)."""

from __future__ import annotations

import re

from carboy.grammar import QUOTED_STRING, TCHAR

from .buffer import ReceiveBuffer
from .errors import RemoteProtocolError
from .events import Fields
from .head import chop, split_field_line
from .limits import Limits

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


class ChunkReader:
    """Takes chunks off a buffer; `next` gives octets, b"" at the end, None for need of more.

    Chunks that are there completely and have a plain size line are taken together, about
    `_AT_A_TIME` of them; everything else, and everything that is refused, is left to the way
    of one chunk, or a part of it, at a time. The outcome is the same.
    """

    __slots__ = (
        "_in_chunk",
        "_in_trailers",
        "_left",
        "_limits",
        "_overhead",
        "_total",
        "_trailer",
        "_trailer_lines",
        "trailers",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = 0
        self._total = 0
        self._overhead = 0
        self._in_chunk = False
        self._in_trailers = False
        self._trailer = 0
        self._trailer_lines = 0
        self.trailers: Fields = []

    def next(self, buffer: ReceiveBuffer, limit: int) -> bytes | None:
        """The next octets; RemoteProtocolError 413 above `limit`, 400 for bad framing."""
        if self._in_trailers:
            return self._trailers(buffer)
        if self._in_chunk and not self._left and not self._chunk_end(buffer):
            return None
        if not self._left:
            octets = self._whole_chunks(buffer, limit)
            if octets:
                return octets
            size = self._size(buffer, limit)
            if size is None:
                return None
            if not size:
                self._in_trailers = True
                return self._trailers(buffer)
        if not buffer.octets:
            return None
        octets = buffer.take(self._left)
        self._left -= len(octets)
        return octets

    def _whole_chunks(self, buffer: ReceiveBuffer, limit: int) -> bytes:
        """The octets of the plain chunks at the start of the buffer; b"" if there are none.

        An overhead that was within its limit stays so: a plain line has at most 3 octets for
        one of content, where 8 are allowed.
        """
        if self._limits.chunk_line < 8:
            return b""
        octets = buffer.octets
        pieces: list[bytearray] = []
        at = content = 0
        room = limit - self._total
        while len(pieces) < _AT_A_TIME:
            match = _plain_line(octets, at)
            if match is None:
                break
            start = match.end()
            size = int(match[1], 16)
            end = start + size
            if content + size > room or octets[end : end + 2] != b"\r\n":
                break
            pieces.append(octets[start:end])
            content += size
            at = end + 2
        if not pieces:
            return b""
        buffer.drop(at)
        self._total += content
        self._overhead += at - content - 2 * len(pieces)
        return b"".join(pieces)

    def _chunk_end(self, buffer: ReceiveBuffer) -> bool:
        octets = buffer.peek(2)
        if octets != b"\r\n"[: len(octets)]:
            raise RemoteProtocolError(400, "a chunk is not followed by CRLF")
        if len(octets) < 2:
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
            raise RemoteProtocolError(
                413, f"the body is larger than the {limit} bytes allowed here"
            )
        # Size lines may cost a few octets for each octet of content, and a fixed sum: enough for
        # chunks of one octet, not for an extension on each of them.
        self._overhead += len(line)
        if self._overhead > self._limits.chunk_overhead + 8 * self._total:
            raise RemoteProtocolError(400, "the chunks have too many extensions for their content")
        self._left = size
        self._in_chunk = True
        return size

    def _trailers(self, buffer: ReceiveBuffer) -> bytes | None:
        while True:
            line = buffer.line()
            room = max(0, self._limits.trailers_size - self._trailer - 2)
            if (len(buffer) - 1 if line is None else len(line) - 2) > room:
                raise RemoteProtocolError(400, "the trailers are too large")
            if line is None:
                return None
            if line == b"\r\n":
                return b""
            self._trailer += len(line)
            self._trailer_lines += 1
            if self._trailer_lines > self._limits.fields_count:
                raise RemoteProtocolError(400, "there are too many trailers")
            field = check_trailer(line)
            if field is not None:
                name, value = field
                self.trailers.append((name.decode("latin-1"), value.decode("latin-1")))


# In trailers these are an attempt to frame or route the request once more.
_REFUSED = frozenset((b"host", b"content-length", b"transfer-encoding"))
# Trailers come too late for what frames, routes, authenticates, modifies or describes a request
# or its content, or controls an answer (RFC 9110, section 6.5.1, and RFC 7230, section 4.1.2,
# which names them): these are dropped.
_DROPPED = frozenset(
    (
        b"accept",
        b"accept-charset",
        b"accept-encoding",
        b"accept-language",
        b"age",
        b"authentication-info",
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-location",
        b"content-range",
        b"content-type",
        b"cookie",
        b"cookie2",
        b"date",
        b"expect",
        b"expires",
        b"forwarded",
        b"from",
        b"http2-settings",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"keep-alive",
        b"location",
        b"max-forwards",
        b"origin",
        b"pragma",
        b"prefer",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"range",
        b"referer",
        b"retry-after",
        b"set-cookie",
        b"set-cookie2",
        b"te",
        b"trailer",
        b"upgrade",
        b"user-agent",
        b"vary",
        b"via",
        b"warning",
        b"www-authenticate",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-real-ip",
    )
)


def check_trailer(line: bytes) -> tuple[bytes, bytes] | None:
    """Name and value of a trailer line with its CRLF; None if it is to be dropped."""
    name, value = split_field_line(chop(line))
    if name in _REFUSED:
        raise RemoteProtocolError(
            400, f"the field {name.decode('latin-1')} is not allowed in trailers"
        )
    return None if name in _DROPPED else (name, value)
