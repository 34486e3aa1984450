"""A thread that reports which files have changed: notified by the system, or by polling."""

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

Report = Callable[[frozenset[str]], object]

# The name of the system's notification, which the package watchfiles uses.
NATIVE = {"linux": "inotify", "darwin": "fsevents", "win32": "windowsapi"}
# Whether each folder takes one of the user's few watches (8,192 on some systems). Thousands for
# node_modules or an environment would leave none for other programs.
FOLDER_BY_FOLDER = sys.platform.startswith("linux")

# In milliseconds, for watchfiles. Every STEP it looks for events of the system: a longer step costs
# the developer time, a shorter one costs an idle machine more than half a percent. After a ROUND
# without a change, this thread looks whether it is asked to stop.
STEP = 20
GROUP = 20
ROUND = 250

MODIFIED = 2  # watchfiles' number for a file that existed before and still does


class _Native(Protocol):
    def watch(
        self, debounce_ms: int, step_ms: int, timeout_ms: int, stop_event: Any
    ) -> set[tuple[int, str]] | Literal["signal", "stop", "timeout"]: ...

    def close(self) -> None: ...


def native_name() -> str | None:
    """The system's way to notify of changes; None if files have to be polled."""
    if find_spec("watchfiles") is None:
        return None
    return NATIVE.get(sys.platform, "native")


class Watching(threading.Thread):
    """Calls `report` with the changed files below `roots` (folders or files), until stopped.

    The system notifies it if `native` is true and the system can; otherwise it polls, every
    `interval` seconds. Folders for which `enters` is false are left out. It watches from the moment
    that `start` returns, so no later change is missed.
    """

    def __init__(
        self,
        roots: Iterable[str],
        report: Report,
        *,
        enters: Enters = everywhere,
        interval: float = 1.0,
        native: bool = True,
    ) -> None:
        super().__init__(name="carboy-watch", daemon=True)
        self.roots = tuple(sorted(roots))
        self.report = report
        self.enters = enters
        self.interval = interval
        self.name_of_way = (native_name() if native else None) or "polling"
        self._stop_asked = threading.Event()
        self._native: _Native | None = None
        self._tree: Tree | None = None  # if each folder is watched by itself
        self._before: Snapshot = {}
        self._found: dict[str, tuple[int, int] | None] = {}  # identity of each root

    def start(self) -> None:
        if self.name_of_way == "polling":
            self._before = snapshot(self.roots, self.enters)
        else:
            self._open()
        super().start()

    def stop(self) -> None:
        """Have the thread end after it has reported all changes until now; `join` waits for it."""
        self._stop_asked.set()

    def run(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop_asked.is_set()
            if self._native is not None:
                # Without a stop event: watchfiles would forget the changes it has gathered.
                self._tell(_gathered(self._native, STEP if stopped else ROUND))
                self._look_for_roots()
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
            self.report(found)

    # --- events of the system

    def _tell(self, found: set[tuple[int, str]]) -> None:
        """Report events as files. New folders are watched from now on."""
        while found:
            tree, meanwhile = self._tree, set()
            if tree is None:
                paths = {path for _, path in found}
            else:
                paths = {name for _, path in found if (name := tree.name(path))}
                folders = {path for how, path in found if how != MODIFIED and tree.is_folder(path)}
                if folders:
                    meanwhile = self._open_again()
                    # There were no events for the files in them.
                    paths |= tree.below(folders) | Tree(folders, self.enters).all_files()
                    # A folder may have replaced a file of its name, or the other way round.
                    paths -= {
                        each
                        for each in folders
                        if not tree.has_file(each) and not os.path.isfile(each)  # noqa: PTH113
                    }
            if paths:
                self.report(frozenset(paths))
            found = meanwhile

    def _look_for_roots(self) -> None:
        """Watch roots that were deleted and made again: the system's watches went with them."""
        found = _identities(self.roots)
        changed = [root for root, identity in found.items() if identity != self._found[root]]
        if changed:
            paths = self._tree.below(changed) if self._tree else set()
            more = self._open_again()
            self.report(frozenset({*paths, *Tree(changed, self.enters).all_files()}))
            self._tell(more)

    def _open(self) -> None:
        try:
            self._native = self._opened()
        # A RuntimeError of watchfiles: the system has no more watches, for example.
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
        # Not public there. The public functions do not begin to watch before they are asked for
        # changes.
        from watchfiles._rust_notify import RustNotify

        self._found = _identities(self.roots)
        if not FOLDER_BY_FOLDER:
            present = [root for root in self.roots if os.path.exists(root)]  # noqa: PTH110
            return RustNotify(present, False, False, 0, True, True)
        while True:
            tree = Tree(self.roots, self.enters)
            try:
                # The option to ignore unreadable folders would also ignore a lack of watches.
                native = RustNotify(sorted(tree.places), False, False, 0, False, False)
            except FileNotFoundError:
                continue  # removed meanwhile
            self._tree = tree
            return native

    def _open_again(self) -> set[tuple[int, str]]:
        """Watch the folders that exist now; the events until then."""
        before = self._native
        if before is None:
            return set()
        try:
            self._native = self._opened()
        except (OSError, RuntimeError):  # not enough watches for both
            before.close()
            self._open()
            return set()
        told = _gathered(before, STEP)
        before.close()
        return told


def _identities(roots: Iterable[str]) -> dict[str, tuple[int, int] | None]:
    """Device and inode of each folder; None if it is missing or is a file."""
    found: dict[str, tuple[int, int] | None] = {}
    for root in roots:
        try:
            stat = os.stat(os.path.join(root, ""))  # noqa: PTH116, PTH118 - called often
        except OSError:
            found[root] = None
        else:
            found[root] = stat.st_dev, stat.st_ino
    return found


def _gathered(native: _Native, patience: int) -> set[tuple[int, str]]:
    found = native.watch(GROUP, STEP, patience, None)
    return found if isinstance(found, set) else set()
