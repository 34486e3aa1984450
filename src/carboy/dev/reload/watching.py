"""A thread that tells which files have changed: by the system's notification, or by looking."""

# Thousands of paths a second, which come and go as text:
# ruff: noqa: PTH110, PTH116

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, Literal, Protocol

log = logging.getLogger("carboy.dev")

Hear = Callable[[frozenset[str]], object]
Enters = Callable[[str], bool]
Snapshot = dict[str, tuple[int, int, int]]

# How the system's own notification is called; watchfiles takes it for us.
NATIVE = {"linux": "inotify", "darwin": "fsevents", "win32": "windowsapi"}

# In milliseconds, for watchfiles. It looks every STEP whether the system has sent something:
# longer costs the developer time, shorter costs an idle machine more than half a percent. After
# ROUND without a change this thread looks whether it is to stop.
STEP = 20
GROUP = 20
ROUND = 250


class _Native(Protocol):
    def watch(
        self, debounce_ms: int, step_ms: int, timeout_ms: int, stop_event: Any
    ) -> set[tuple[int, str]] | Literal["signal", "stop", "timeout"]: ...

    def close(self) -> None: ...


def native_name() -> str | None:
    """What notifies of changes here; None where there is nothing but looking."""
    if find_spec("watchfiles") is None:
        return None
    return NATIVE.get(sys.platform, "native")


def _everywhere(folder: str) -> bool:
    return True


class Watching(threading.Thread):
    """Calls `hear` with what has changed below `roots` (folders or files), until stopped.

    Natively where `native` is true and the system allows it, else by looking every `interval`
    seconds. `enters` keeps the looking out of folders that do not matter. It watches from the
    moment that `start` returns: what is saved after that is heard of.
    """

    def __init__(
        self,
        roots: Iterable[str],
        hear: Hear,
        *,
        enters: Enters = _everywhere,
        interval: float = 1.0,
        native: bool = True,
    ) -> None:
        super().__init__(name="carboy-watch", daemon=True)
        self.roots = tuple(sorted(roots))
        self.hear = hear
        self.enters = enters
        self.interval = interval
        self.name_of_way = (native_name() if native else None) or "polling"
        self._stop_asked = threading.Event()
        self._native: _Native | None = None
        self._before: Snapshot = {}

    def start(self) -> None:
        if self.name_of_way != "polling":
            self._native = self._open()
        if self._native is None:
            self.name_of_way = "polling"
            self._before = snapshot(self.roots, self.enters)
        super().start()

    def stop(self) -> None:
        """Have the thread end when it has told of what was there until now; `join` waits for it."""
        self._stop_asked.set()

    def run(self) -> None:
        if self._native is not None:
            self._listen(self._native)
        else:
            self._look()

    def _open(self) -> _Native | None:
        try:
            from watchfiles._rust_notify import RustNotify

            present = [root for root in self.roots if os.path.exists(root)]
            return RustNotify(present, False, False, 0, True, True)
        except (ImportError, OSError) as problem:
            # Most likely fs.inotify.max_user_watches of a large tree.
            log.warning(
                "Changes of files are found by looking every %g s, because the system does not"
                " notify of them: %s",
                self.interval,
                problem,
            )
            return None

    def _listen(self, native: _Native) -> None:
        stopped = False
        try:
            while not stopped:
                stopped = self._stop_asked.is_set()
                # Not told of the wish to stop, which would have it forget what it has gathered.
                found = native.watch(GROUP, STEP, STEP if stopped else ROUND, None)
                if isinstance(found, set):
                    self.hear(frozenset(path for _, path in found))
        finally:
            native.close()

    def _look(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop_asked.wait(self.interval)
            after = snapshot(self.roots, self.enters)
            found = differences(self._before, after)
            self._before = after
            if found:
                self.hear(found)


def snapshot(roots: Iterable[str], enters: Enters = _everywhere) -> Snapshot:
    """Time, size and inode of every file below `roots`; what cannot be read is left out."""
    found: Snapshot = {}
    waiting = list(roots)
    while waiting:
        place = waiting.pop()
        try:
            entries = os.scandir(place)
        except NotADirectoryError:
            _note(found, place)
            continue
        except OSError:
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if enters(entry.path):
                        waiting.append(entry.path)
                else:
                    _note(found, entry.path)
    return found


def _note(found: Snapshot, path: str) -> None:
    try:
        stat = os.stat(path)
    except OSError:
        return
    found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def differences(before: Snapshot, after: Snapshot) -> frozenset[str]:
    """Every path that is new, gone or not the same."""
    return frozenset(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
