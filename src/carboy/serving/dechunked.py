"""A chunked body (RFC 9112, section 7.1) as a file, for code that reads a socket itself.

Carboy's own server never uses it: the machine in `protocol` decodes what it receives.
"""

from __future__ import annotations

import io
from typing import IO, Any

__all__ = ["DechunkedInput"]


class DechunkedInput(io.RawIOBase):
    """Reads the content of the chunks of `rfile`; OSError where they are malformed.

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
            raise OSError(f"Invalid chunk header: {line!r:.40} is no size.") from None
        if size < 0:
            raise OSError(f"Negative chunk length not allowed: {size}.")
        return size

    def readinto(self, buf: Any) -> int:
        """Fill `buf` as far as the content goes; how many octets that were."""
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
