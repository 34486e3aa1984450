"""Encoded contents of bodies that are sent again and again, such as static files in memory.

A body is known by its identity, which is quick to compare, and it is kept when the same content is
sent from the same place in memory for the second time. That happens if something keeps the object,
as the memory of static files and the cache do. For any thread: each method holds the lock.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

SIZE = 16 * 1024 * 1024  # bytes of bodies and encoded contents
SEEN = 1024  # identities of bodies that were sent once


class Repeated:
    """Keeps up to `size` bytes; the contents unused for longest go first."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._used = 0
        self._known: OrderedDict[tuple[int, str], tuple[bytes, bytes]] = OrderedDict()
        self._seen: dict[tuple[int, str], int] = {}
        self._lock = Lock()

    def find(self, body: bytes, coding: str) -> bytes | None:
        """The content of a body in a coding; None if it is not known."""
        key = (id(body), coding)
        with self._lock:
            found = self._known.get(key)
            if found is None or found[0] is not body:
                return None
            self._known.move_to_end(key)
            return found[1]

    def offer(self, body: bytes, coding: str, encoded: bytes) -> None:
        """Keep the content of a body that was sent before."""
        key = (id(body), coding)
        with self._lock:
            if self._seen.get(key) != hash(body):
                if len(self._seen) >= SEEN:
                    self._seen.clear()
                self._seen[key] = hash(body)
                return
            size = len(body) + len(encoded)
            if size > self._size // 8 or key in self._known:
                return
            self._known[key] = body, encoded
            self._used += size
            while self._used > self._size:
                _, (old, kept) = self._known.popitem(last=False)
                self._used -= len(old) + len(kept)
