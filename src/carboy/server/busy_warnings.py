"""Warnings in the log when all threads are busy for longer than a moment, and when that ends.

Decides what to log and when. The caller gives the time and all figures.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger("carboy.error")

MOMENT = 1.0  # seconds that all threads may be busy without a warning
PAUSE = 10.0  # seconds at least between the first warnings of two such times
REMINDER = 60.0  # seconds until the warning is repeated while nothing changes
NAMED = 10  # requests named in one warning

Running = Callable[[], list[tuple[str, float]]]  # request line and seconds, in any order


class BusyWarnings:
    """There is one for each engine; `check` is called about once a second."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._since: float | None = None  # when all threads became busy
        self._warned_at: float | None = None  # about the current busy time
        self._last = -PAUSE  # when a first warning was logged
        self._refused = 0
        self._left = 0

    def refused(self) -> None:
        """One request was answered with 503."""
        self._refused += 1

    def left(self) -> None:
        """The client of a waiting request has disconnected."""
        self._left += 1

    def check(
        self,
        now: float,
        full: bool,
        last_free: float,
        oldest: float | None,
        waiting: int,
        running: Running,
    ) -> None:
        """`last_free`: when a thread last became free; `oldest`: when the oldest request came."""
        if not full:
            if self._warned_at is not None:
                self._log_free(now)
            self._since = self._warned_at = None
            return
        if self._since is None:
            self._since = now
        if self._warned_at is None:
            stuck = now - max(last_free, self._since) >= MOMENT
            slow = oldest is not None and now - oldest >= MOMENT
            if (stuck or slow) and now >= self._last + PAUSE:
                self._last = now
                self._log_busy(now, waiting, running())
        elif now >= self._warned_at + REMINDER:
            self._log_busy(now, waiting, running())

    def _log_busy(self, now: float, waiting: int, running: list[tuple[str, float]]) -> None:
        self._warned_at = now
        longest = sorted(running, key=lambda each: -each[1])
        named = ", ".join(f"{line} ({seconds:.1f} s)" for line, seconds in longest[:NAMED])
        more = f" and {len(longest) - NAMED} more" if len(longest) > NAMED else ""
        log.warning(
            "All %d threads are busy, and %d %s for one. Running: %s%s.",
            self._threads,
            waiting,
            "request waits" if waiting == 1 else "requests wait",
            named or "nothing",
            more,
        )

    def _log_free(self, now: float) -> None:
        refused = "1 request was" if self._refused == 1 else f"{self._refused} requests were"
        dropped = (
            "1 was dropped because its client had gone"
            if self._left == 1
            else f"{self._left} were dropped because their clients had gone"
        )
        log.warning(
            "Threads are free again after %.1f s. Meanwhile %s answered with 503, and %s.",
            now - (self._since or now),
            refused,
            dropped,
        )
        self._refused = self._left = 0
