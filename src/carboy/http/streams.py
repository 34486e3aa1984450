"""The body of a request as a stream that ends where the body ends."""

from __future__ import annotations

import io
from typing import IO, Any

from carboy.http.exceptions import ClientDisconnected, RequestEntityTooLarge

_CHUNK = 64 * 1024


class LimitedStream(io.RawIOBase):
    """At most `limit` octets of `stream`, which may be a socket that goes on after them.

    The limit is the exact length: a stream that ends before it raises ClientDisconnected.
    With `is_max` it is the most there may be: more raises RequestEntityTooLarge.
    """

    def __init__(self, stream: IO[bytes], limit: int, is_max: bool = False) -> None:
        super().__init__()
        self._stream = stream
        self._pos = 0
        self.limit = limit
        self._limit_is_max = is_max

    @property
    def is_exhausted(self) -> bool:
        """Whether all of it has been read."""
        return self._pos >= self.limit

    def on_exhausted(self) -> bytes | None:
        """Called when all has been read and more is asked for: RequestEntityTooLarge if a
        stream with `is_max` goes on. A subclass may do something else; what it returns is ignored.

        A stream whose maximum is reached is asked for one octet more, so that a body of
        exactly that size is not refused.
        """
        if self._limit_is_max and self._read_some(1):
            raise RequestEntityTooLarge
        return None

    def on_disconnect(self, error: Exception | None = None) -> bytes | None:
        """Called when the stream fails or ends early: ClientDisconnected. A subclass may do
        something else; what it returns is ignored."""
        raise ClientDisconnected from error

    def _read_some(self, size: int) -> bytes:
        return self._stream.read(size)

    def exhaust(self) -> bytes:
        """Read what is left and give it."""
        return b"" if self.is_exhausted else self.readall()

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        """Octets read so far."""
        return self._pos

    def _next(self, size: int) -> bytes:
        """Up to `size` octets; empty at the end, after what the end means was done."""
        size = min(size, self.limit - self._pos)
        if size <= 0:
            self.on_exhausted()
            return b""
        try:
            data = self._read_some(size)
        except (OSError, ValueError) as error:
            self.on_disconnect(error)
            return b""
        if not data and not self._limit_is_max:
            self.on_disconnect()
            return b""
        self._pos += len(data)
        return data

    def readinto(self, b: Any) -> int | None:
        if not len(b):
            return 0
        data = self._next(len(b))
        b[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Everything up to the end of the body."""
        if self._pos >= self.limit:
            self.on_exhausted()
            return b""
        pieces: list[bytes] = []
        while not self.is_exhausted:
            # The limit is the client's word: never allocate it before the octets are there.
            data = self._next(min(_CHUNK if not pieces else 1 << 20, self.limit - self._pos))
            if not data:
                break
            pieces.append(data)
        if self._limit_is_max and self.is_exhausted:
            self.on_exhausted()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
