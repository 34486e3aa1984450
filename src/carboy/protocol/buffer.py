"""Bytes that have been received but not used yet; each byte is searched only once."""

from __future__ import annotations


class ReceiveBuffer:
    """A queue of bytes from which whole lines or counted pieces are taken.

    Removing from the front of a bytearray only moves its start, and `line` remembers how far
    it has looked, so the time is linear in the input, whatever pieces it comes in.
    """

    __slots__ = ("_searched", "data")

    def __init__(self) -> None:
        self.data = bytearray()  # to read; change it by the methods
        self._searched = 0

    def __len__(self) -> int:
        return len(self.data)

    def feed(self, data: bytes) -> None:
        """Append bytes."""
        self.data += data

    def clear(self) -> None:
        """Forget everything."""
        self.data = bytearray()
        self._searched = 0

    def first(self) -> int:
        """The next byte, or -1."""
        return self.data[0] if self.data else -1

    def find(self, needle: bytes) -> int:
        """Position of the first `needle`, or -1."""
        return self.data.find(needle)

    def take(self, count: int) -> bytes:
        """At most `count` bytes, removed."""
        data = self.data
        if count >= len(data):
            self.data = bytearray()
            self._searched = 0
            return bytes(data)
        piece = bytes(data[:count])
        del data[:count]
        self._searched = 0
        return piece

    def drop(self, count: int) -> None:
        """Remove `count` bytes."""
        del self.data[:count]
        self._searched = 0

    def line(self) -> bytes | None:
        """The bytes up to and including the next LF, removed; None if there is no LF yet."""
        end = self.data.find(b"\n", self._searched) + 1
        if not end:
            self._searched = len(self.data)
            return None
        return self.take(end)

    def peek(self, count: int) -> bytes:
        """A copy of at most the first `count` bytes."""
        return bytes(self.data[:count])
