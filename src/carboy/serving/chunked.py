"""Chunked bodies (RFC 9112, section 7.1) outside of the server's own parser.

`DechunkedInput` is for code that reads a socket itself. `unframed` is for applications that frame
their own responses: PEP 3333 leaves framing to the server, and Werkzeug's server frames only when
it serves in threads. An application that sends `Transfer-Encoding: chunked` and yields chunks with
their sizes would be framed twice, so its own framing is removed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import IO, Any

from carboy.gateway.interface import Answer

__all__ = ["DechunkedInput"]


class DechunkedInput(io.RawIOBase):
    """Reads the content of the chunks of `rfile`. Raises OSError for malformed chunks.

    Chunk extensions and trailers are refused.
    """

    def __init__(self, rfile: IO[bytes]) -> None:
        self._rfile = rfile
        self._done = False
        self._len = 0

    def readable(self) -> bool:
        """True."""
        return True

    def read_chunk_len(self) -> int:
        """The size at the start of a chunk."""
        line = self._rfile.readline().decode("latin-1")
        try:
            size = int(line.strip(), 16)
        except ValueError:
            raise OSError(f"Invalid chunk header: {line!r:.40} is not a size.") from None
        if size < 0:
            raise OSError(f"Negative chunk length not allowed: {size}.")
        return size

    def readinto(self, buf: Any) -> int:
        """Fill `buf` as far as the content goes; returns how many bytes that are."""
        read = 0
        while not self._done and read < len(buf):
            if not self._len:
                self._len = self.read_chunk_len()
            if not self._len:
                self._done = True
            elif read < len(buf):
                data = self._rfile.read(min(len(buf) - read, self._len))
                buf[read : read + len(data)] = data
                self._len -= len(data)
                read += len(data)
                if not data:
                    raise OSError(
                        "Missing chunk terminating newline: the body ends inside a chunk."
                    )
            if not self._len and self._rfile.readline() not in (b"\n", b"\r\n", b"\r"):
                raise OSError(
                    "Missing chunk terminating newline: the chunk is longer than its size says."
                )
        return read


class _Pieces(io.RawIOBase):
    """An iterable of bytes as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def unframed(answer: Answer) -> Answer:
    """The answer without its own framing; each of its chunks is one piece."""
    status, headers, body, close = answer
    if not any(n.lower() == "transfer-encoding" and v.lower() == "chunked" for n, v in headers):
        return answer
    # Content-Length would count the framing; RFC 9112, section 6.3 says to ignore it.
    own = ("transfer-encoding", "content-length")
    headers = [(n, v) for n, v in headers if n.lower() not in own]
    pieces = [body] if isinstance(body, bytes) else body
    return status, headers, _contents(pieces), close


def _contents(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The content of the chunks. Raises OSError, which cuts the response, for malformed chunks."""
    file = io.BufferedReader(_Pieces(pieces))
    while line := file.readline():
        try:
            size = int(line, 16)
        except ValueError:
            yield line  # this sends the head, so the client sees that the response is cut
            raise OSError(f"The application sent {line!r:.40}, not the size of a chunk.") from None
        if size <= 0:
            return
        content = file.read(size)
        yield content
        if len(content) < size or file.readline() not in (b"\r\n", b"\n"):
            raise OSError("The application sent a chunk that does not have its size.")
