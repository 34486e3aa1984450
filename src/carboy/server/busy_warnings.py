"""Tells the operator when every thread is taken for longer than a moment, and when no longer.

Decides when to say what; it is told the time and everything else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger("carboy.error")

MOMENT = 1.0  # seconds that all threads may be taken without a word
PAUSE = 10.0  # seconds at least between the beginnings of two such times
REMINDER = 60.0  # seconds until the warning is repeated while nothing changes
NAMED = 10  # requests named in one warning

Running = Callable[[], list[tuple[str, float]]]  # request line and seconds, in any order


class BusyWarnings:
    """One for each engine; `look` is called about once a second."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._since: float | None = None  # all threads have been taken since then
        self._warned_at: float | None = None  # in this time of pressure
        self._last = -PAUSE  # a warning began at that time
        self._refused = 0
        self._left = 0

    def refused(self) -> None:
        """One request was answered with 503."""
        self._refused += 1

    def left(self) -> None:
        """The client of one that waited has gone."""
        self._left += 1

    def look(
        self, now: float, full: bool, moved: float, oldest: float | None, waiting: int, run: Running
    ) -> None:
        """`moved`: when a thread last got free; `oldest`: since when a request waits."""
        if not full:
            if self._warned_at is not None:
                self._say_free(now)
            self._since = self._warned_at = None
            return
        if self._since is None:
            self._since = now
        if self._warned_at is None:
            stuck = now - max(moved, self._since) >= MOMENT
            slow = oldest is not None and now - oldest >= MOMENT
            if (stuck or slow) and now >= self._last + PAUSE:
                self._last = now
                self._say_full(now, waiting, run())
        elif now >= self._warned_at + REMINDER:
            self._say_full(now, waiting, run())

    def _say_full(self, now: float, waiting: int, running: list[tuple[str, float]]) -> None:
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

    def _say_free(self, now: float) -> None:
        log.warning(
            "Threads are free again after %.1f s. Meanwhile %d requests were answered with 503,"
            " and %d were dropped because their clients had gone.",
            now - (self._since or now),
            self._refused,
            self._left,
        )
        self._refused = self._left = 0
