"""When a change is complete: editors save in steps, and tools write many files at a time.

No clock and no disk inside: `now` are seconds of any monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

# The steps of an editor (write another file, rename it; or truncate, write) are a few milliseconds
# apart, and are reported in rounds of watching.STEP.
QUIET = 0.025
# That many files at once are a checkout or a tool, which may pause for longer than an editor.
MANY = 10
QUIET_WHEN_MANY = 0.1
# A file that is empty or missing is most likely being written. If it is meant to be so, it waits.
QUIET_WHEN_UNFINISHED = 0.3
# A tool that never stops writing must not keep a change back. Longer than a checkout takes.
LONGEST = 5.0


def _never(path: str) -> bool:
    return False


class Burst:
    """Collects paths until none has been added for a moment.

    `is_unfinished` says whether a file is likely to change again. It is called only after a quiet
    moment.
    """

    def __init__(self, is_unfinished: Callable[[str], bool] = _never, quiet: float = QUIET) -> None:
        self._is_unfinished = is_unfinished
        self._quiet = quiet
        self._paths: set[str] = set()
        self._first = 0.0
        self._last = 0.0
        self._due = 0.0

    def add(self, paths: Iterable[str], now: float) -> None:
        """Note that these files have changed."""
        fresh = set(paths)
        if not fresh:
            return
        if not self._paths:
            self._first = now
        self._paths |= fresh
        self._last = now
        self._wait_until(now + (self._quiet if len(self._paths) < MANY else QUIET_WHEN_MANY))

    def wake_at(self) -> float | None:
        """When to call `take` again; None while no file has changed."""
        return self._due if self._paths else None

    def take(self, now: float) -> frozenset[str]:
        """All paths that were collected, once the change is complete; until then, none."""
        if not self._paths or now < self._due:
            return frozenset()
        self._wait_until(self._last + QUIET_WHEN_UNFINISHED)
        if now < self._due and any(map(self._is_unfinished, self._paths)):
            return frozenset()
        taken, self._paths = frozenset(self._paths), set()
        return taken

    def _wait_until(self, time: float) -> None:
        self._due = min(time, self._first + LONGEST)
