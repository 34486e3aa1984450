"""Content codings: gzip, br (RFC 7932) and zstd (RFC 8878), each as an object for one response.

gzip is always there. The others need a package (`pip install carboy[compress]`), except zstd on
Python 3.14 and newer.
"""

from __future__ import annotations

import importlib
import os
import zlib
from collections.abc import Callable
from typing import Any, Protocol

LARGE = 256 * 1024  # bytes of a body from which speed matters more than the last per cent
# Levels for ordinary bodies and for large ones.
GZIP_LEVELS = (6, 1)
BROTLI_LEVELS = (4, 1)
ZSTD_LEVELS = (3, 1)
# Random bytes in the head of gzip for responses with secrets, so that their length says less about
# their content (the attack BREACH). https://ieeexplore.ieee.org/document/9754554
JITTER = 256  # the values of a byte
_GZIP_HEAD = b"\x1f\x8b\x08%b\x00\x00\x00\x00\x00\xff"  # RFC 1952, section 2.3; no time
_FNAME = b"\x08"


class Encoder(Protocol):
    """Encodes the content of one response."""

    def piece(self, data: bytes) -> bytes:
        """The bytes from which a client can decode everything up to the end of `data`."""
        ...

    def whole(self, data: bytes) -> bytes:
        """The complete content, encoded. Nothing else is called then."""
        ...

    def end(self) -> bytes:
        """The last bytes."""
        ...


class Gzip:
    """gzip (RFC 1952); with `jitter`, a file name of random length is in its head."""

    def __init__(self, large: bool = False, jitter: bool = False) -> None:
        self._deflate = zlib.compressobj(GZIP_LEVELS[large], zlib.DEFLATED, -zlib.MAX_WBITS)
        self._checksum = 0
        self._size = 0
        self._head = _GZIP_HEAD % (_FNAME if jitter else b"\x00")
        if jitter:
            self._head += b"x" * (1 + os.urandom(1)[0] % JITTER) + b"\x00"

    def _encoded(self, data: bytes) -> bytes:
        self._checksum = zlib.crc32(data, self._checksum)
        self._size += len(data)
        head, self._head = self._head, b""
        return head + self._deflate.compress(data)

    def piece(self, data: bytes) -> bytes:
        """A sync flush after the data."""
        return self._encoded(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def whole(self, data: bytes) -> bytes:
        """Head, data and trailer."""
        return self._encoded(data) + self.end()

    def end(self) -> bytes:
        """The trailer: checksum and size."""
        head, self._head = self._head, b""
        numbers = self._checksum.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(
            4, "little"
        )
        return head + self._deflate.flush() + numbers


class Brotli:
    """br, with the package brotli."""

    def __init__(self, large: bool = False, jitter: bool = False) -> None:
        self._encoder = _brotli.Compressor(quality=BROTLI_LEVELS[large])

    def piece(self, data: bytes) -> bytes:
        """The data and a flush."""
        return bytes(self._encoder.process(data) + self._encoder.flush())

    def whole(self, data: bytes) -> bytes:
        """The data and the end."""
        return bytes(self._encoder.process(data) + self._encoder.finish())

    def end(self) -> bytes:
        """The last block."""
        return bytes(self._encoder.finish())


class Zstd:
    """zstd, with Python's compression.zstd or the package backports.zstd."""

    def __init__(self, large: bool = False, jitter: bool = False) -> None:
        self._encoder = _zstd.ZstdCompressor(level=ZSTD_LEVELS[large])

    def piece(self, data: bytes) -> bytes:
        """A flushed block."""
        return bytes(self._encoder.compress(data, self._encoder.FLUSH_BLOCK))

    def whole(self, data: bytes) -> bytes:
        """One frame."""
        return bytes(self._encoder.compress(data, self._encoder.FLUSH_FRAME))

    def end(self) -> bytes:
        """The end of the frame."""
        return bytes(self._encoder.flush(self._encoder.FLUSH_FRAME))


def _imported(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_brotli: Any = None
_zstd: Any = None


def available() -> dict[str, Callable[..., Encoder]]:
    """The codings that can be used here, the server's best first."""
    global _brotli, _zstd
    _zstd = _zstd or _imported("compression.zstd", "backports.zstd")
    _brotli = _brotli or _imported("brotli", "brotlicffi")
    found: dict[str, Callable[..., Encoder]] = {}
    if _zstd is not None:
        found["zstd"] = Zstd
    if _brotli is not None:
        found["br"] = Brotli
    found["gzip"] = Gzip
    return found
