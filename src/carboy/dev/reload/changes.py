"""Changes of files as the program means them: watched, gathered into bursts, told by kind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable

from carboy.dev.reload.burst import Burst
from carboy.dev.reload.rules import Change, Rules
from carboy.dev.reload.watching import Watching, native_name


class Changes:
    """Calls `hear`, in a thread of its own, with each `Change` below `roots`.

    It watches from the moment that `start` returns; places may be added at any time with `also`.
    """

    def __init__(
        self,
        roots: Iterable[str],
        hear: Callable[[Change], object],
        rules: Rules,
        interval: float = 1.0,
        native: bool = True,
    ) -> None:
        self.hear = hear
        self.rules = rules
        self.interval = interval
        self.native = native
        self.name_of_way = (native_name() if native else None) or "polling"
        self._waiting = list(roots)
        self._watching: Watching | None = None
        self._burst = Burst(_is_unfinished)
        self._changed = threading.Condition()
        self._running = False
        self._thread = threading.Thread(target=self._run, name="carboy-changes", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._running = True
        self.also(self._waiting)
        self._thread.start()

    def stop(self) -> None:
        """Tell of nothing more."""
        with self._changed:
            self._running = False
            self._changed.notify()
        if self._watching is not None:
            self._watching.stop()

    def also(self, roots: Iterable[str]) -> None:
        """Watch these folders and files too. Those that are watched go on meanwhile."""
        if not self._running:
            return
        before = self._watching
        known = before.roots if before is not None else ()
        fresh = filter(os.path.exists, map(os.path.realpath, roots))
        wanted = _outermost([*known, *fresh])
        if before is not None and wanted == set(known):
            return
        # One for all places, because each looks many times a second whether there is something.
        # The one before stops after this one has started: what both hear is told once.
        self._watching = Watching(
            wanted,
            self._heard,
            enters=self.rules.enters,
            interval=self.interval,
            native=self.native,
        )
        self._watching.start()
        self.name_of_way = self._watching.name_of_way
        if before is not None:
            before.stop()

    def _heard(self, paths: frozenset[str]) -> None:
        counting = [path for path in paths if self.rules.kind(path) is not None]
        with self._changed:
            self._burst.add(counting, time.monotonic())
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._running:
                    return
                wake_at = self._burst.wake_at()
                now = time.monotonic()
                self._changed.wait(None if wake_at is None else max(0.0, wake_at - now))
                paths = self._burst.take(time.monotonic())
            change = self.rules.change(paths)
            if change is not None and self._running:
                self.hear(change)


def _is_unfinished(path: str) -> bool:
    """Empty, or removed to be made again: most likely an editor is at it."""
    try:
        return os.stat(path).st_size == 0  # noqa: PTH116
    except OSError:
        return True


def _outermost(places: Iterable[str]) -> set[str]:
    """Those that are in none of the others."""
    found: list[str] = []
    for place in sorted(places):
        if not any(_is_below(place, each) for each in found):
            found.append(place)
    return set(found)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
