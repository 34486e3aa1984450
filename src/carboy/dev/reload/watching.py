"""A thread that tells which files have changed: by the system's notification, or by looking."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, Literal, Protocol

from carboy.dev.reload.tree import Enters, Snapshot, Tree, differences, everywhere, snapshot

log = logging.getLogger("carboy.dev")

Hear = Callable[[frozenset[str]], object]

# How the system's own notification is called; watchfiles takes it for us.
NATIVE = {"linux": "inotify", "darwin": "fsevents", "win32": "windowsapi"}
# Where each folder is watched by itself, and takes one of the user's few watches (8,192 on some
# systems): thousands in node_modules or an environment would leave none for anybody else.
FOLDER_BY_FOLDER = sys.platform.startswith("linux")

# In milliseconds, for watchfiles. It looks every STEP whether the system has sent something:
# longer costs the developer time, shorter costs an idle machine more than half a percent. After
# ROUND without a change this thread looks whether it is to stop.
STEP = 20
GROUP = 20
ROUND = 250

MODIFIED = 2  # what watchfiles says of a file that was there before and is still


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


class Watching(threading.Thread):
    """Calls `hear` with what has changed below `roots` (folders or files), until stopped.

    Natively where `native` is true and the system allows it, else by looking every `interval`
    seconds. `enters` keeps it out of folders that do not matter. It watches from the moment
    that `start` returns: what is saved after that is heard of.
    """

    def __init__(
        self,
        roots: Iterable[str],
        hear: Hear,
        *,
        enters: Enters = everywhere,
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
        self._tree: Tree | None = None  # where it is watched folder by folder
        self._before: Snapshot = {}

    def start(self) -> None:
        if self.name_of_way == "polling":
            self._before = snapshot(self.roots, self.enters)
        else:
            self._open()
        super().start()

    def stop(self) -> None:
        """Have the thread end when it has told of what was there until now; `join` waits for it."""
        self._stop_asked.set()

    def run(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop_asked.is_set()
            if self._native is not None:
                # Not told of the wish to stop: it would forget what it has gathered.
                self._tell(_gathered(self._native, STEP if stopped else ROUND))
            else:
                stopped = self._stop_asked.wait(self.interval)
                self._look()
        if self._native is not None:
            self._native.close()

    def _look(self) -> None:
        after = snapshot(self.roots, self.enters)
        found = differences(self._before, after)
        self._before = after
        if found:
            self.hear(found)

    # --- what the system tells

    def _tell(self, found: set[tuple[int, str]]) -> None:
        """Pass it on as files. Folders that are new are watched from now on."""
        while found:
            tree, meanwhile = self._tree, set()
            if tree is None:
                paths = {path for _, path in found}
            else:
                paths = {name for _, path in found if (name := tree.name(path))}
                folders = {path for how, path in found if how != MODIFIED and tree.is_folder(path)}
                if folders:
                    meanwhile = self._open_again()
                    # Nobody has said what is in them, or was.
                    paths |= tree.below(folders) | Tree(folders, self.enters).all_files()
                    paths -= folders
            if paths:
                self.hear(frozenset(paths))
            found = meanwhile

    def _open(self) -> None:
        try:
            self._native = self._opened()
        # A RuntimeError of its own: the system has no more of what it needs one of.
        except (ImportError, OSError, RuntimeError) as problem:
            self._native = self._tree = None
            self.name_of_way = "polling"
            self._before = snapshot(self.roots, self.enters)
            log.warning(
                "Changes of files are found by looking every %g s, because the system does not"
                " notify of them: %s",
                self.interval,
                problem,
            )

    def _opened(self) -> _Native:
        # Not public there: what is public begins to watch when it is asked for
        # changes, and no sooner.
        from watchfiles._rust_notify import RustNotify

        if not FOLDER_BY_FOLDER:
            present = [root for root in self.roots if os.path.exists(root)]  # noqa: PTH110
            return RustNotify(present, False, False, 0, True, True)
        while True:
            tree = Tree(self.roots, self.enters)
            try:
                # Ignoring what may not be read would ignore that there are too many as well.
                native = RustNotify(sorted(tree.places), False, False, 0, False, False)
            except FileNotFoundError:
                continue  # gone since we have looked
            self._tree = tree
            return native

    def _open_again(self) -> set[tuple[int, str]]:
        """Watch the folders that there are now; what was told until then."""
        before = self._native
        if before is None:
            return set()
        try:
            self._native = self._opened()
        except (OSError, RuntimeError):  # not enough for both
            before.close()
            self._open()
            return set()
        told = _gathered(before, STEP)
        before.close()
        return told


def _gathered(native: _Native, patience: int) -> set[tuple[int, str]]:
    found = native.watch(GROUP, STEP, patience, None)
    return found if isinstance(found, set) else set()
