"""Changes of files: watched, gathered into bursts, and reported with what they mean."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable

from carboy.dev.reload.burst import Burst
from carboy.dev.reload.rules import Change, Rules
from carboy.dev.reload.tree import outermost
from carboy.dev.reload.watching import Watching, native_name

Identity = tuple[int, int, int, int]  # number, size, and times of the content and of the file


class Changes:
    """Calls `report`, in a thread of its own, with each `Change` below `roots`.

    It watches from the moment that `start` returns; places may be added at any time with `also`.
    """

    def __init__(
        self,
        roots: Iterable[str],
        report: Callable[[Change], object],
        rules: Rules,
        interval: float = 1.0,
        native: bool = True,
    ) -> None:
        self.report = report
        self.rules = rules
        self.interval = interval
        self.native = native
        self.name_of_way = (native_name() if native else None) or "polling"
        self._waiting = list(roots)
        self._watching: Watching | None = None
        self._burst = Burst(_is_unfinished)
        self._known: dict[str, Identity | None] = {}  # identities of files when they were reported
        self._changed = threading.Condition()
        self._running = False
        self._thread = threading.Thread(target=self._run, name="carboy-changes", daemon=True)

    def start(self) -> None:
        """Start to watch."""
        self._running = True
        self.also(self._waiting)
        self._thread.start()

    def stop(self) -> None:
        """Report no more changes."""
        with self._changed:
            self._running = False
            self._changed.notify()
        if self._watching is not None:
            self._watching.stop()

    def also(self, roots: Iterable[str]) -> None:
        """Watch these folders and files as well."""
        if not self._running:
            return
        before = self._watching
        known = before.roots if before is not None else ()
        fresh = filter(os.path.exists, map(os.path.realpath, roots))
        wanted = outermost([*known, *fresh])
        if before is not None and wanted == set(known):
            return
        # One thread watches all places, because each looks many times a second for events. The
        # thread before it stops after this one has started; a change that both report, even at
        # different times, counts once (`_has_changed`).
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
            paths = frozenset(filter(self._has_changed, paths))
            change = self.rules.change(paths)
            if change is not None and self._running:
                self.report(change)

    def _has_changed(self, path: str) -> bool:
        """Whether a file is another one than when it was last reported."""
        identity = _identity(path)
        if path in self._known and self._known[path] == identity:
            return False
        self._known[path] = identity
        return True


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_unfinished(path: str) -> bool:
    """Whether a file is empty or missing: most likely an editor is writing it."""
    try:
        return os.stat(path).st_size == 0  # noqa: PTH116
    except OSError:
        return True
