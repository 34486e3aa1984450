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
        self._watched: list[Watching] = []
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
        for watching in self._watched:
            watching.stop()

    def also(self, roots: Iterable[str]) -> None:
        """Watch these folders and files too. Those that are watched go on meanwhile."""
        if not self._running:
            return
        known = [root for watching in self._watched for root in watching.roots]
        fresh: list[str] = []
        for root in sorted({os.path.realpath(root) for root in roots}):
            if os.path.exists(root) and not any(  # noqa: PTH110
                _is_below(root, each) for each in (*known, *fresh)
            ):
                fresh.append(root)
        if fresh:
            watching = Watching(
                fresh,
                self._heard,
                enters=self.rules.enters,
                interval=self.interval,
                native=self.native,
            )
            self._watched.append(watching)
            watching.start()
            self.name_of_way = self._watched[0].name_of_way

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


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
