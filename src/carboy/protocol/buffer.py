"""Octets received and not yet used; every one is looked at once."""

from __future__ import annotations


class ReceiveBuffer:
    """A queue of octets that gives whole lines or counted pieces.

    Removing from the front of a bytearray only moves its start, and `line` remembers how far
    it has looked, so any way of feeding costs time linear in the input.
    """

    __slots__ = ("_searched", "octets")

    def __init__(self) -> None:
        self.octets = bytearray()  # to read; change it by the methods
        self._searched = 0

    def __len__(self) -> int:
        return len(self.octets)

    def feed(self, data: bytes) -> None:
        """Append octets."""
        self.octets += data

    def clear(self) -> None:
        """Forget everything."""
        self.octets = bytearray()
        self._searched = 0

    def first(self) -> int:
        """The next octet, or -1."""
        return self.octets[0] if self.octets else -1

    def find(self, needle: bytes) -> int:
        """Where `needle` stands first, or -1."""
        return self.octets.find(needle)

    def take(self, count: int) -> bytes:
        """At most `count` octets, removed."""
        octets = self.octets
        if count >= len(octets):
            self.octets = bytearray()
            self._searched = 0
            return bytes(octets)
        piece = bytes(octets[:count])
        del octets[:count]
        self._searched = 0
        return piece

    def drop(self, count: int) -> None:
        """Remove `count` octets."""
        del self.octets[:count]
        self._searched = 0

    def line(self) -> bytes | None:
        """The octets up to and with the next LF, removed; None if there is no LF yet."""
        end = self.octets.find(b"\n", self._searched) + 1
        if not end:
            self._searched = len(self.octets)
            return None
        return self.take(end)

    def peek(self, count: int) -> bytes:
        """A copy of at most the first `count` octets."""
        return bytes(self.octets[:count])
