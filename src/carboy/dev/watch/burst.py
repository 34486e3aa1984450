"""When a change is complete: editors save in steps, and tools write many files at a time.

No clock and no disk inside: `now` are seconds of any monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

# An editor's steps (write beside it, rename; or truncate, write) are a few milliseconds apart.
QUIET = 0.03
# A file that is empty is most likely being written; one that is meant to be waits this long.
QUIET_WHEN_EMPTY = 0.3
# A tool that writes for minutes (a build, a checkout) must not keep a change back for ever.
LONGEST = 2.0


class Burst:
    """Collects paths until nothing has been added for a moment."""

    def __init__(
        self, is_empty: Callable[[str], bool] = lambda path: False, quiet: float = QUIET
    ) -> None:
        self._is_empty = is_empty
        self._quiet = quiet
        self._paths: set[str] = set()
        self._first = 0.0
        self._due = 0.0

    def add(self, paths: Iterable[str], now: float) -> None:
        """Note that something happened to `paths`."""
        if not self._paths:
            self._first = now
        self._paths.update(paths)
        if not self._paths:
            return
        quiet = self._quiet
        if any(map(self._is_empty, self._paths)):
            quiet = max(quiet, QUIET_WHEN_EMPTY)
        self._due = min(now + quiet, self._first + LONGEST)

    def wake_at(self) -> float | None:
        """When `take` has something to give; None while nothing has happened."""
        return self._due if self._paths else None

    def take(self, now: float) -> frozenset[str]:
        """Everything that was collected, once it is complete; else nothing."""
        if not self._paths or now < self._due:
            return frozenset()
        taken, self._paths = frozenset(self._paths), set()
        return taken
