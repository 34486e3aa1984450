"""The WebSocket handlers that still run: they may end after their connections.

A handler sees the end of its connection, closes what it has opened, and its teardown functions run.
A stop waits for that.
"""

from __future__ import annotations

import threading


class OpenHandlers:
    """A count of handlers. Any thread may change it, and one waits for the last."""

    def __init__(self) -> None:
        self._count = 0
        self._none = threading.Condition(threading.Lock())

    def begin(self) -> None:
        """A handler has begun."""
        with self._none:
            self._count += 1

    def end(self) -> None:
        """A handler and its teardown functions have ended."""
        with self._none:
            self._count -= 1
            if not self._count:
                self._none.notify_all()

    def wait(self, seconds: float) -> int:
        """Wait until none runs, `seconds` at most; returns how many do."""
        with self._none:
            self._none.wait_for(lambda: not self._count, seconds)
            return self._count
