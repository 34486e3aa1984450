"""How many applications have taken over the socket of their connection, for a WebSocket.

Each of them holds a thread. Handlers take and give back sockets on any thread, so the count has a
lock, which is only held for counting.
"""

from __future__ import annotations

import logging
import threading
import time

log = logging.getLogger("carboy.error")

WARN_EVERY = 60.0  # seconds between two lines in the log


class TakenSockets:
    """The number of taken sockets of an engine, `limit` at most."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._count = 0
        self._warn_at = 0.0
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many are taken."""
        return self._count

    def take(self) -> bool:
        """Count one more; returns False, and says so in the log, if that is too many."""
        with self._lock:
            if self._count < self.limit:
                self._count += 1
                return True
            now = time.monotonic()
            warn = now >= self._warn_at
            if warn:
                self._warn_at = now + WARN_EVERY
        if warn:
            log.warning(
                "All %d WebSocket threads are in use, and further handshakes get 503. Use"
                " --websocket-threads for more.",
                self.limit,
            )
        return False

    def give_back(self) -> None:
        """Count one less."""
        with self._lock:
            self._count -= 1
